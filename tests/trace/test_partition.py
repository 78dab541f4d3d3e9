"""Shards and corpora: what is worked on in parts is the same as at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from tests.corpus import needs_corpus, public_stores, real_runs
from tests.features.runs import Runs
from tests.strategies import arbitrary_rows, deterministic, pipeline_rows, with_unrelated
from tfx_graphlets.analysis.corpus import describe_trace
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features import describe
from tfx_graphlets.features.table import FeatureKind, FeatureTable
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.partition import Shards
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import Stage


def assert_same(one: FeatureTable, other: FeatureTable) -> None:
    """Same rows, same columns, same values; NaN equals NaN."""
    assert one.trainer.tolist() == other.trainer.tolist()
    assert one.features == other.features
    for feature in one.features:
        left, right = one.columns[feature.name], other.columns[feature.name]
        if feature.kind is FeatureKind.CATEGORY:
            assert left == right, feature.name
        else:
            np.testing.assert_allclose(left, right, rtol=1e-12, err_msg=feature.name)


def ids_of_graphlets(trace: Trace) -> list[dict[str, object]]:
    """All that a graphlet holds, by ids, of every graphlet."""
    return [graphlet.to_dict() for graphlet in segment(trace)]


@deterministic
@given(rows=pipeline_rows(), other=arbitrary_rows())
def test_shards_hold_the_graphlets_of_the_whole(rows: RowBuilder, other: RowBuilder) -> None:
    """Cut into the smallest shards there are, every graphlet is what it was."""
    trace = assemble(with_unrelated(rows, other).rows())
    in_shards = [g for part in Shards(trace, max_executions=1) for g in ids_of_graphlets(part)]
    assert sorted(in_shards, key=lambda g: g["trainer"]) == ids_of_graphlets(trace)


@deterministic
@given(rows=pipeline_rows(), other=pipeline_rows())
def test_a_corpus_in_shards_is_described_as_at_once(rows: RowBuilder, other: RowBuilder) -> None:
    """Every feature of every graphlet, whatever the shards."""
    trace = assemble(with_unrelated(rows, other).rows())
    whole = describe(segment(without_gates(trace)), Stage.VALIDATION)
    assert_same(describe_trace(trace, Stage.VALIDATION, max_executions=1), whole)


def two_pipelines(shared_schema: bool) -> Trace:
    """Two pipelines of two runs each, which may use the same imported Schema."""
    build = TraceBuilder()
    schema = build.artifact("Schema")
    build.execution("Importer", outputs={"result": [schema]}, pipeline="p", run="p-0")
    for pipeline in ("p", "q"):
        for run in ("1", "2"):
            data, model = build.artifact("Examples"), build.artifact("Model")
            where = {"pipeline": pipeline, "run": f"{pipeline}-{run}"}
            build.execution("CsvExampleGen", outputs={"examples": [data]}, **where)
            inputs = {"examples": [data], **({"schema": [schema]} if shared_schema else {})}
            build.execution("Trainer", inputs=inputs, outputs={"model": [model]}, **where)
    return build.trace()


@pytest.mark.parametrize(("shared", "number"), [(False, 2), (True, 1)])
def test_pipelines_that_share_an_artifact_stay_together(shared: bool, number: int) -> None:
    """A pipeline is never cut, and pipelines with a common artifact are not cut apart."""
    trace = two_pipelines(shared)
    shards = Shards(trace, max_executions=1)
    assert len(shards) == number
    assert sum(len(part.executions) for part in shards) == len(trace.executions)
    assert {part.events.dropped for part in shards} == {0}


def test_small_pipelines_are_put_together() -> None:
    """Shards are filled up to the size that was asked for."""
    assert len(Shards(two_pipelines(False), max_executions=100)) == 1


@pytest.mark.parametrize("kept_by", [("artifact", "artifact"), ("artifact", "execution")])
def test_pipelines_on_the_same_data_stay_together(kept_by: tuple[str, str]) -> None:
    """Equal fingerprints are one span, wherever the release of TFX kept them."""
    build, mark = TraceBuilder(), {"input_fingerprint": "split:all,total_bytes:3"}
    for pipeline, keeper in zip("pq", kept_by):
        data = build.artifact("Examples", span=1, **(mark if keeper == "artifact" else {}))
        build.execution(
            "CsvExampleGen", outputs={"examples": [data]}, pipeline=pipeline, run=pipeline,
            **(mark if keeper == "execution" else {}),
        )  # fmt: skip
    assert len(Shards(build.trace(), max_executions=1)) == 1


def test_processes_fill_the_same_table() -> None:
    """Two processes give what one gives, categories too."""
    runs = Runs("p")
    for span in range(8):
        runs.run(span=span, pushed=span % 2 == 0)
    trace = runs.build.trace()
    one = describe_trace(trace, Stage.TRAINER, max_executions=10)
    assert_same(describe_trace(trace, Stage.TRAINER, max_executions=10, processes=2), one)
    assert one.columns["model.trainer_type"] == ("Trainer",) * 8


def test_a_corpus_without_a_trainer_is_an_empty_table() -> None:
    """No graphlet, no row."""
    build = TraceBuilder()
    build.execution("CsvExampleGen", outputs={"examples": [build.artifact("Examples")]})
    assert len(describe_trace(build.trace(), Stage.PRE)) == 0


def test_progress_is_told_of_every_shard() -> None:
    """The progress is handed each shard's number and their count."""
    told: list[int] = []

    def progress(numbers, count):  # type: ignore[no-untyped-def]
        for number in numbers:
            yield number
            told.append(count)

    describe_trace(two_pipelines(False), Stage.INPUT, max_executions=1, progress=progress)
    assert told == [2, 2]


@pytest.mark.parametrize("argument", ["processes", "max_executions"])
def test_sizes_below_one_are_refused(argument: str) -> None:
    """The message names the argument."""
    with pytest.raises(InvalidArgumentError, match=f"{argument}=0"):
        describe_trace(two_pipelines(False), Stage.INPUT, **{argument: 0})


@needs_corpus
@pytest.mark.parametrize("store", [*public_stores()[:12], *real_runs()], ids=lambda p: p.stem)
def test_real_stores_are_described_as_at_once(store: Path) -> None:
    """Stores that real pipelines wrote, in the smallest shards."""
    with open_store(store) as opened:
        trace = opened.read_trace()
    whole = describe(segment(without_gates(trace)), Stage.PRE)
    assert_same(describe_trace(trace, Stage.PRE, max_executions=1), whole)


def test_a_fingerprint_without_a_text_joins_nothing() -> None:
    """A property of that name that is a number, of executions or of artifacts, says nothing."""
    build = TraceBuilder()
    for run in ("r0", "r1"):
        examples, model = build.artifact("Examples", input_fingerprint=7), build.artifact("Model")
        build.execution(
            "CsvExampleGen", outputs={"examples": [examples]}, run=run, pipeline=run,
            input_fingerprint=7,
        )  # fmt: skip
        build.execution(
            "Trainer", inputs={"examples": [examples]}, outputs={"model": [model]}, run=run,
            pipeline=run,
        )  # fmt: skip
    trace = build.trace()
    assert len(list(Shards(trace, max_executions=1))) == 2
    assert len(describe_trace(trace, Stage.INPUT, max_executions=1)) == 2


def test_a_store_without_artifacts_is_cut_all_the_same() -> None:
    """Its executions may still carry fingerprints, as those of older TFX do."""
    build = TraceBuilder()
    build.execution("CsvExampleGen", run="r0", input_fingerprint="split:s,x:1")
    build.execution("Trainer", run="r0")
    assert len(describe_trace(build.trace(), Stage.INPUT, max_executions=1)) == 1
