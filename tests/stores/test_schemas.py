"""Every schema that a backend can hold, read from it: one history, the same graphlets."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.row_lists import put, rows_of
from tests.stores.kubeflow.history import history, outline
from tests.stores.kubeflow.retelling import as_system_rows
from tests.stores.mlmd_files import write_store
from tests.stores.places import BACKENDS, Places, opened_places
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import first_difference

pytestmark = pytest.mark.server


# In a notebook no run says which cache hit belongs to a training: of the history
# of four runs, in the last of which there is one, it keeps three.
FEWER_RUNS = {"InteractiveContext": 3}


def with_run_contexts(kind: str, runs: int = 4) -> RowBuilder:
    """The history, its runs' contexts of another type, as they were before there were nodes."""
    raw = history(runs)
    names = {"pipeline_run": kind, "node": "component_run"}
    raw["Context"]["type"] = [names.get(name, name) for name in raw["Context"]["type"]]
    return raw


def from_a_notebook() -> RowBuilder:
    """The history as InteractiveContext keeps it: a run of its own for each execution."""
    raw = with_run_contexts("run", FEWER_RUNS["InteractiveContext"])
    runs = {
        number for number, kind in zip(*map(raw["Context"].get, ("id", "type"))) if kind == "run"
    }
    first = 1 + max(raw["Context"]["id"])
    put(raw, "Association", [row for row in rows_of(raw, "Association") if row[0] not in runs])
    for one, created in zip(raw["Execution"]["id"], raw["Execution"]["create_ms"]):
        raw.extend("Association", [(first + one, one)])
        raw.extend("Context", [(first + one, "run", f"moment-{one}", created)])
    return raw


SCHEMAS: dict[str, Callable[[], RowBuilder]] = {
    "pipeline_run": history,
    "run": lambda: with_run_contexts("run"),
    "KfpRun": lambda: with_run_contexts("KfpRun"),
    "InteractiveContext": from_a_notebook,
    "system": lambda: as_system_rows(history()),
}


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Places]:
    """Servers of this module."""
    with opened_places(tmp_path_factory.mktemp("servers")) as opened:
        yield opened


@pytest.mark.parametrize(
    ("backend", "schema"),
    [
        pytest.param(backend, schema, id=f"{backend}-{schema}")
        for backend, schema in itertools.product(BACKENDS, SCHEMAS)
        # Kubeflow's API tells of runs of Kubeflow Pipelines v2 alone.
        if backend != "kfp" or schema == "system"
    ],
)
def test_every_schema_from_every_backend(
    backend: str, schema: str, places: Places, tmp_path: Path
) -> None:
    """The backend gives the Trace that the SQLite file gives, cut as the history that TFX kept."""
    raw = SCHEMAS[schema]()
    path = write_store(tmp_path / "store.sqlite", copy.deepcopy(raw))
    with open_store(path) as store:
        expected = store.read_trace()
    with open_store(places.uri(backend, path, history())) as store:
        trace = store.read_trace()
    if backend != "kfp":  # whose ids are others
        assert first_difference(trace, expected) is None
    graphlets = segment(trace)
    told_by_tfx = segment(assemble(history(FEWER_RUNS.get(schema, 4)).rows()))
    with_nodes = schema in ("pipeline_run", "system")  # older runs name no node
    assert outline(graphlets, nodes=with_nodes) == outline(told_by_tfx, nodes=with_nodes)
    assert {str(one.outcome) for one in graphlets} == {"pushed", "unpushed", "failed"}
