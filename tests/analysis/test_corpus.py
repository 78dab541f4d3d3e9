"""describe_store: features of whole stores, all at once or some pipelines at a time."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings

from tests.benchmarks.synthetic.parameters import StoreParameters
from tests.benchmarks.synthetic.writing import write_store
from tests.corpus import needs_corpus, public_stores, real_runs
from tests.import_graph import ROOT
from tests.stores.mlmd_files import write_store as write_rows
from tests.strategies import arbitrary_rows, deterministic, pipeline_rows, with_unrelated
from tests.trace.test_partition import assert_same
from tfx_graphlets.analysis import corpus
from tfx_graphlets.analysis.corpus import describe_store, read_for_features
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import Store, open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import ExecutionState, Role, Stage

ARCHIVES = sorted(ROOT.glob("pipelines/*/history/*/archive"))


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of eight pipelines, 160 models."""
    path = tmp_path_factory.mktemp("corpus") / "store.sqlite"
    write_store(path, StoreParameters(models=160, pipelines=8, seed=3))
    return path


@pytest.mark.parametrize("stage", Stage)
def test_a_store_is_described_as_its_graphlets_are(synthetic: Path, stage: Stage) -> None:
    """Reading only what features need, and working in shards, changes no value."""
    with open_store(synthetic) as store:
        whole = describe(segment(without_gates(store.read_trace())), stage)
        assert_same(describe_store(store, stage, processes=2), whole)


def test_some_pipelines_at_a_time_give_the_same_table(synthetic: Path) -> None:
    """These pipelines share nothing: the largest alone bounds what is in memory."""
    with open_store(synthetic) as store:
        largest = max(store.pipelines().values())
        parts = describe_store(store, Stage.PRE, executions_in_memory=largest)
        assert_same(parts, describe_store(store, Stage.PRE))


@settings(deterministic, max_examples=25)
@given(rows=pipeline_rows(), other=arbitrary_rows())
def test_generated_stores_give_the_same_table_in_parts(
    tmp_path_factory: pytest.TempPathFactory, rows: RowBuilder, other: RowBuilder
) -> None:
    """In the smallest parts there are, whatever pipelines share, also without a pipeline."""
    path = tmp_path_factory.mktemp("stores") / "store.sqlite"
    assert_same_in_parts(write_rows(path, with_unrelated(rows, other)), Stage.VALIDATION)


@pytest.mark.parametrize("path", ARCHIVES, ids=lambda path: path.parent.name)
def test_recorded_histories_give_the_same_table_in_parts(path: Path) -> None:
    """Each of one pipeline."""
    assert_same_in_parts(path, Stage.PRE)


@needs_corpus
@pytest.mark.parametrize("path", [*public_stores(), *real_runs()], ids=lambda path: path.stem)
def test_stores_of_others_give_the_same_table_in_parts(path: Path) -> None:
    """Some with several pipelines, shared artifacts, executions without a pipeline."""
    assert_same_in_parts(path, Stage.PRE)


def test_pipelines_that_share_what_they_take_in_are_read_together(tmp_path: Path) -> None:
    """The producer in another pipeline and the role that a custom class has elsewhere count."""
    build = TraceBuilder()
    span = build.artifact("Examples", span=7)
    build.execution("CsvExampleGen", outputs={"examples": [span]}, pipeline="data", run="data-1")
    for name in ("a", "b", "c"):
        model = {"model": [build.artifact("Model", uri=f"{name}/model")]}
        taken = {"examples": [span] if name != "c" else []}
        build.execution("Trainer", inputs=taken, outputs=model, pipeline=name, run=name)
    made = {"model": [build.artifact("Model")]}
    build.execution("acme.Fit", inputs={"examples": [span]}, outputs=made, pipeline="d", run="d")
    build.execution("acme.Fit", state=ExecutionState.FAILED, pipeline="e", run="e")
    path = write_rows(tmp_path / "store.sqlite", build.raw())
    with open_store(path) as store:
        read = executions_read(store, Stage.PRE, executions_in_memory=1)
    assert sorted(read) == [1, 1, 4]
    assert_same_in_parts(path, Stage.PRE)


def assert_same_in_parts(path: Path, stage: Stage) -> None:
    """Reading as little at once as can be changes no value of any graphlet."""
    with open_store(path) as store:
        whole = describe_store(store, stage)
        assert_same(describe_store(store, stage, executions_in_memory=1), whole)


def executions_read(store: Store, stage: Stage, *, executions_in_memory: int) -> list[int]:
    """Number of executions of each part that is read for features."""
    read: list[int] = []

    def counting(*arguments: Any, **named: Any) -> Trace:
        trace = read_for_features(*arguments, **named)
        read.append(len(trace.executions))
        return trace

    with mock.patch.object(corpus, "read_for_features", counting):
        describe_store(store, stage, executions_in_memory=executions_in_memory)
    return read


def test_what_is_in_memory_is_bounded(synthetic: Path) -> None:
    """No more executions are read at once than were allowed, but for what ties them together."""
    with open_store(synthetic) as store:
        sizes = store.pipelines().values()
        read = executions_read(store, Stage.INPUT, executions_in_memory=max(sizes))
    assert sum(read) == sum(sizes)
    assert max(read) == max(sizes) < sum(sizes) / 2


def test_a_role_for_a_type_that_no_part_has_is_refused(synthetic: Path) -> None:
    """A misspelt type is found, also where the store is read in parts."""
    with open_store(synthetic) as store, pytest.raises(InvalidArgumentError, match="'Tutor'"):
        describe_store(
            store, Stage.INPUT, executions_in_memory=1, role_of_type={"Tutor": Role.TRAINER}
        )


def test_a_role_counts_in_every_part(synthetic: Path) -> None:
    """A type without the role of a Trainer makes no graphlets."""
    with open_store(synthetic) as store:
        roles = {"Trainer": Role.CUSTOM}
        table = describe_store(store, Stage.INPUT, executions_in_memory=1, role_of_type=roles)
    assert len(table) == 0


def test_less_than_one_execution_in_memory_is_refused(synthetic: Path) -> None:
    """The message names the argument."""
    with (
        open_store(synthetic) as store,
        pytest.raises(InvalidArgumentError, match="executions_in_memory=0"),
    ):
        describe_store(store, Stage.INPUT, executions_in_memory=0)


@needs_corpus
@pytest.mark.parametrize("path", real_runs(), ids=lambda path: path.parent.name)
def test_payloads_that_are_there_are_read(path: Path) -> None:
    """A store whose statistics and metrics are left is described with them."""
    with open_store(path) as store:
        graphlets = segment(without_gates(store.read_trace()))
        whole = describe(graphlets, Stage.PRE, payloads=store.payloads)
        assert_same(describe_store(store, Stage.PRE), whole)
