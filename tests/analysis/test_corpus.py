"""describe_store: features of whole stores, all at once or some pipelines at a time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.synthetic.parameters import StoreParameters
from tests.benchmarks.synthetic.writing import write_store
from tests.corpus import needs_corpus, real_runs
from tests.trace.test_partition import assert_same
from tfx_graphlets.analysis.corpus import describe_store
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.vocabulary import Role, Stage


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


def test_what_is_in_memory_is_bounded(synthetic: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No more executions are read at once than were allowed."""
    read = []
    with open_store(synthetic) as store:
        of_store = type(store).read_trace

        def counting(self, **arguments):  # type: ignore[no-untyped-def]
            trace = of_store(self, **arguments)
            read.append(len(trace.executions))
            return trace

        monkeypatch.setattr(type(store), "read_trace", counting)
        sizes = store.pipelines().values()
        describe_store(store, Stage.INPUT, executions_in_memory=max(sizes))
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
