"""The transforms on Beam's DirectRunner: the same table as without Beam."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import apache_beam
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that

from tests.beam.stores import many_pipelines, with_own_pushers
from tests.beam.tables import assert_same, described_at_once, written
from tests.corpus import needs_corpus, real_runs
from tfx_graphlets.analysis.corpus import describe_trace
from tfx_graphlets.beam import (
    Describe,
    PartFailedError,
    ReadPipelines,
    Score,
    Segment,
    StoreToParquet,
    WriteParquet,
)
from tfx_graphlets.beam.failures import reason_of
from tfx_graphlets.beam.steps import PROBABILITY
from tfx_graphlets.errors import InvalidArgumentError, ModelFormatError
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.vocabulary import Role, Stage
from tfx_graphlets.waste_model import load_waste_model, train_waste_model
from tfx_graphlets.waste_model.dataset import Dataset

TWO_PROCESSES = ["--direct_running_mode=multi_processing", "--direct_num_workers=2"]


def run(*transforms: apache_beam.PTransform, options: list[str] | None = None) -> None:
    """Runs transforms one after the other, on the DirectRunner."""
    pipeline = apache_beam.Pipeline(options=PipelineOptions(options or []))
    value = pipeline
    for transform in transforms:
        value |= transform
    pipeline.run().wait_until_finish()


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Seven pipelines."""
    return many_pipelines(tmp_path / "store.sqlite")


def test_separate_transforms_give_the_table_of_the_whole_store(store: Path, tmp_path: Path) -> None:
    """Read, segment, describe, write."""
    run(
        ReadPipelines(store, max_executions=60), Segment(), Describe(Stage.TRAINER),
        WriteParquet(tmp_path / "table"),
    )  # fmt: skip
    assert_same(written(tmp_path / "table"), described_at_once(store, Stage.TRAINER))


def test_one_transform_gives_the_same_files(store: Path, tmp_path: Path) -> None:
    """File by file, byte for byte in their values."""
    read = ReadPipelines(store, max_executions=60)
    run(read, Segment(), Describe(Stage.PRE), WriteParquet(tmp_path / "one"))
    run(StoreToParquet(store, Stage.PRE, tmp_path / "other", max_executions=60))
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "other").iterdir())
    assert len(names) == len(read.groups) + 1 > 3
    for name in names[1:]:
        one, other = (pyarrow.parquet.read_table(tmp_path / d / name) for d in ("one", "other"))
        assert_same(one, other)


@pytest.mark.slow
def test_two_processes_write_the_same_table(store: Path, tmp_path: Path) -> None:
    """Beam's multi-processing: workers are programs of their own."""
    write = StoreToParquet(store, Stage.PRE, tmp_path / "table", max_executions=60)
    run(write, options=TWO_PROCESSES)
    assert_same(written(tmp_path / "table"), described_at_once(store, Stage.PRE))


@pytest.mark.slow
def test_the_reason_comes_from_another_process(store: Path, tmp_path: Path) -> None:
    """There it is the text of a traceback."""
    write = StoreToParquet(store, Stage.PRE, tmp_path / "table")
    store.unlink()
    with pytest.raises(RuntimeError) as failed:
        run(write, options=TWO_PROCESSES)
    reason = reason_of(failed.value)
    assert reason.startswith("part 00000-of-00001 (pipelines 'pipeline-0'")
    assert reason.endswith("there is no such file; check the path")


@needs_corpus
@pytest.mark.parametrize("path", real_runs(), ids=lambda p: p.parent.name)
def test_stores_of_real_runs_give_the_same_table(path: Path, tmp_path: Path) -> None:
    """Pipelines that ran for weeks."""
    run(StoreToParquet(path, Stage.PRE, tmp_path / "table", max_executions=1))
    assert_same(written(tmp_path / "table"), described_at_once(path, Stage.PRE))


def test_elements_are_typed(store: Path) -> None:
    """What follows a transform can see what it gets."""
    pipeline = apache_beam.Pipeline()
    tables = pipeline | ReadPipelines(store) | Segment() | Describe(Stage.PRE)
    assert FeatureTable in tables.element_type.tuple_types


def test_transforms_can_be_followed_by_others(store: Path) -> None:
    """Elements are plain pairs: a table by group."""
    with apache_beam.Pipeline() as pipeline:
        tables = pipeline | ReadPipelines(store) | Segment() | Describe(Stage.PRE)
        sizes = tables | apache_beam.MapTuple(lambda _, table: len(table))
        expected = described_at_once(store, Stage.PRE).num_rows

        def all_rows(found: list[int]) -> None:
            assert sum(found) == expected

        assert_that(sizes, all_rows)


@pytest.fixture
def model(store: Path, tmp_path: Path) -> Path:
    """A waste model of the store."""
    with open_store(store) as opened:
        dataset = Dataset.describe(segment(opened.read_trace()), Stage.PRE, None, "store")
        train_waste_model(dataset, Stage.PRE, 0.9, 0).save(tmp_path / "model")
    return tmp_path / "model"


def test_scores_are_those_of_the_model(store: Path, model: Path, tmp_path: Path) -> None:
    """A column more, the same whatever the groups."""
    run(StoreToParquet(store, Stage.PRE, tmp_path / "t", model=model, max_executions=60))
    table = written(tmp_path / "t").sort_by("trainer")
    with open_store(store) as opened:
        expected = load_waste_model(model).predict(describe_trace(opened.read_trace(), Stage.PRE))
    np.testing.assert_allclose(table[PROBABILITY].to_numpy(), expected, rtol=1e-9)


def test_a_model_of_another_stage_is_refused_before_the_job(
    store: Path, model: Path, tmp_path: Path
) -> None:
    """And one that is none."""
    with pytest.raises(ModelFormatError, match="stage pre"):
        StoreToParquet(store, Stage.INPUT, tmp_path / "t", model=model)
    with pytest.raises(ModelFormatError):
        Score(tmp_path)


def test_a_model_brings_the_roles_and_pushers_that_it_was_trained_with(tmp_path: Path) -> None:
    """Others are refused before the job."""
    path = with_own_pushers(tmp_path / "s.sqlite")
    roles = {"Ship": Role.PUSHER}
    with open_store(path) as opened:
        graphlets = segment(opened.read_trace(), role_of_type=roles, pushers=["canary", "ship"])
        assert (int(graphlets.pushed.sum()), len(graphlets)) == (3, 12)
        dataset = Dataset.describe(graphlets, Stage.PRE, None, "store")
    train_waste_model(dataset, Stage.PRE, 0.9, 0).save(tmp_path / "model")
    write = StoreToParquet(path, Stage.PRE, tmp_path / "t", model=tmp_path / "model")
    assert write.groups[0].pushers == ("canary", "ship")
    assert write.groups[0].classes.role["acme.Ship"] is Role.PUSHER
    with pytest.raises(InvalidArgumentError, match="trained with roles: Ship=pusher"):
        StoreToParquet(
            path, Stage.PRE, tmp_path / "t", model=tmp_path / "model", role_of_type=roles
        )


def test_a_model_that_changed_since_fails_the_job(store: Path, model: Path, tmp_path: Path) -> None:
    """All rows of a table are of one model."""
    write = StoreToParquet(store, Stage.PRE, tmp_path / "t", model=model)
    with open_store(store) as opened:
        dataset = Dataset.describe(segment(opened.read_trace()), Stage.PRE, None, "store")
    train_waste_model(dataset, Stage.PRE, 0.9, 1).save(model)
    with pytest.raises(PartFailedError) as failed:
        run(write)
    assert "submit it anew" in reason_of(failed.value)


def test_a_store_that_goes_away_fails_the_job(store: Path, tmp_path: Path) -> None:
    """One line says which, and no file of the table is there."""
    write = StoreToParquet(store, Stage.PRE, tmp_path / "t", max_executions=60)
    store.unlink()
    with pytest.raises(PartFailedError) as failed:
        run(write)
    reason = reason_of(failed.value)
    assert str(store) in reason
    assert "part 0000" in reason
    assert "\n" not in reason
    assert not list((tmp_path).glob("t/*.parquet"))


def test_a_pipeline_that_goes_away_fails_the_whole_table(store: Path, tmp_path: Path) -> None:
    """Not half a table: the other groups are not published, and what was there stays."""
    run(StoreToParquet(store, Stage.PRE, tmp_path / "t"))
    before = written(tmp_path / "t")
    write = StoreToParquet(store, Stage.PRE, tmp_path / "t", max_executions=60)
    with sqlite3.connect(store) as connection:
        name = write.groups[-1].pipelines[0]
        connection.execute("UPDATE Context SET name = 'renamed' WHERE name = ?", (name,))
    connection.close()
    with pytest.raises(PartFailedError) as failed:
        run(write)
    assert repr(name) in reason_of(failed.value)
    files = sorted(path.name for path in (tmp_path / "t").glob("*.parquet"))
    assert files == ["part-00000-of-00001.parquet"]
    assert pyarrow.parquet.read_table(tmp_path / "t" / files[0]).equals(before)


def test_an_earlier_table_is_replaced(store: Path, tmp_path: Path) -> None:
    """Files of its own that the new one does not have go."""
    run(StoreToParquet(store, Stage.PRE, tmp_path / "t", max_executions=60))
    run(StoreToParquet(store, Stage.INPUT, tmp_path / "t"))
    assert_same(written(tmp_path / "t"), described_at_once(store, Stage.INPUT))


def test_a_directory_with_other_files_is_refused(store: Path, tmp_path: Path) -> None:
    """Before anything is read."""
    with pytest.raises(InvalidArgumentError, match=r"store\.sqlite"):
        WriteParquet(tmp_path)
