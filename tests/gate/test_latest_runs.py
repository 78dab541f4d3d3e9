"""Reading a pipeline's latest runs tells a gate what reading all of it would."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.corpus import needs_corpus, real_runs
from tests.stores.mlmd_files import write_store
from tests.stores.readers import by_mlmd, by_sql, needs_mlmd
from tests.stores.test_neighbourhood import with_parents
from tfx_graphlets.errors import TraceNotFoundError
from tfx_graphlets.features import look_back
from tfx_graphlets.gate import latest_runs
from tfx_graphlets.gate.graphlets_file import to_files
from tfx_graphlets.gate.latest_runs import read_recent
from tfx_graphlets.gate.snapshot import Request, collect
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.mlmd.store import MlmdStore
from tfx_graphlets.stores.store import Store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import Stage

OPENERS = [
    pytest.param(by_sql, id="sql"),
    pytest.param(by_mlmd, id="mlmd", marks=needs_mlmd),
]
PIPELINES = ("daily", "hourly")


def long_history(folder: Path, runs: int) -> Path:
    """Two pipelines that name their runs alike, each run with Trainer and Pusher but the last."""
    build = TraceBuilder()
    spans: dict[str, list[int]] = {name: [] for name in PIPELINES}
    for number in range(runs + 1):
        for name in PIPELINES:
            where = {"run": f"run-{number}", "pipeline": name}
            examples = build.artifact("Examples", span=number, uri=f"{name}/{number}")
            build.execution(
                "CsvExampleGen", outputs={"examples": [examples]}, node=f"{name}.Gen", **where
            )
            spans[name].append(examples)
            if number == runs:
                continue
            model = build.artifact("Model")
            build.execution(
                "Trainer", inputs={"examples": spans[name][-2:]}, outputs={"model": [model]},
                node=f"{name}.Trainer", **where,
            )  # fmt: skip
            pushed = build.artifact("PushedModel", pushed=int(number % 3 == 0))
            build.execution(
                "Pusher", inputs={"model": [model]}, outputs={"pushed_model": [pushed]},
                node=f"{name}.Pusher", **where,
            )  # fmt: skip
    return with_parents(write_store(folder / "metadata.sqlite", build.raw()))


@pytest.mark.parametrize("opener", OPENERS)
def test_the_latest_runs_tell_what_the_whole_pipeline_tells(
    opener: Callable[[Path], Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows with a full look-back are the same, older runs are gone, the current row is the same."""
    for module in (look_back, latest_runs):
        monkeypatch.setattr(module, "LOOK_BACK", 4)
    monkeypatch.setattr(MlmdStore, "_beside", lambda _store: None)
    path = long_history(tmp_path, 20)
    store = opener(path)
    few, all_of_it = (
        collect(store, Request(Stage.PRE, "hourly", "run-20", {}, runs), 10**9) for runs in (10, 0)
    )
    assert few.current is not None
    assert all_of_it.current is not None
    assert few.current.row(0) == all_of_it.current.row(0)
    assert few.past is not None
    assert all_of_it.past is not None
    assert few.past.run == all_of_it.past.run[-6:] == tuple(f"run-{n}" for n in range(14, 20))
    assert few.past.table.to_arrow().equals(all_of_it.past.take(np.arange(14, 20)).table.to_arrow())
    assert few.past.outcome.tolist() == all_of_it.past.outcome[-6:].tolist()


@pytest.mark.parametrize("opener", OPENERS)
def test_of_a_younger_pipeline_nothing_is_lost(
    opener: Callable[[Path], Store], tmp_path: Path
) -> None:
    """With fewer runs than are read, the history is that of the whole pipeline, file by file."""
    store = opener(long_history(tmp_path, 7))
    few, all_of_it = (
        to_files(collect(store, Request(Stage.PRE, "daily", "run-7", {}, runs), 10**9))
        for runs in (7, 0)
    )
    assert few == all_of_it


@needs_corpus
@pytest.mark.parametrize("place", real_runs(), ids=lambda path: path.parent.name)
def test_recorded_pipelines_are_told_the_same(place: Path, tmp_path: Path) -> None:
    """Recorded continuous training: what GraphletGen writes is the same, payloads and all."""
    path = shutil.copy(place, tmp_path)  # without the payloads
    with by_sql(Path(path)) as store:
        whole = segment(store.read_trace())
        last = whole[len(whole) - 1]
        request = Request(Stage.PRE, str(last.pipeline), str(last.run), {})
        read, unread = (
            collect(store, one, last.end_ms)
            for one in (request, Request(Stage.PRE, request.pipeline, request.run, {}, 0))
        )
    assert to_files(read) == to_files(unread)


def test_what_cannot_be_asked_so_is_read_whole(tmp_path: Path) -> None:
    """Without the parents of runs (before TFX 1.11), or without a run, all is read."""
    build = TraceBuilder()
    build.execution("CsvExampleGen", run="r")
    build.execution("CsvExampleGen", run="s")
    with by_sql(write_store(tmp_path / "old.sqlite", build.raw())) as store:
        assert not read_recent(store, pipeline="pipeline", run="s").around
        assert not read_recent(store, pipeline="", run="s").around
        assert len(read_recent(store, pipeline="pipeline", run="").trace.executions) == 2
        with pytest.raises(TraceNotFoundError, match="pipeline='other'"):
            read_recent(store, pipeline="other", run="s")
