"""The same job, unchanged, on a Dask cluster."""

from __future__ import annotations

from pathlib import Path

import apache_beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from tests.beam.stores import many_pipelines
from tests.beam.tables import assert_same, described_at_once, written
from tfx_graphlets.beam import (
    Describe,
    PartFailedError,
    ReadPipelines,
    Segment,
    StoreToParquet,
    WriteParquet,
)
from tfx_graphlets.vocabulary import Stage

distributed = pytest.importorskip("dask.distributed")


def run(processes: bool, *transforms: apache_beam.PTransform) -> None:
    """Runs transforms on two workers of a cluster of this machine."""
    runner = "tfx_graphlets.beam.dask.DaskRunner"
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=processes, dashboard_address=None
    ) as cluster:
        options = [f"--runner={runner}", f"--dask_client_address={cluster.scheduler_address}"]
        pipeline = apache_beam.Pipeline(options=PipelineOptions(options))
        value = pipeline
        for transform in transforms:
            value |= transform
        pipeline.run().wait_until_finish()


@pytest.mark.slow
@pytest.mark.parametrize("processes", [False, True])
def test_dask_writes_the_same_table(tmp_path: Path, processes: bool) -> None:
    """Workers that are threads, and workers that are processes."""
    store = many_pipelines(tmp_path / "store.sqlite")
    run(processes, StoreToParquet(store, Stage.PRE, tmp_path / "table", max_executions=60))
    assert_same(written(tmp_path / "table"), described_at_once(store, Stage.PRE))


def test_separate_transforms_run_on_dask(tmp_path: Path) -> None:
    """Each transform for itself, too."""
    store = many_pipelines(tmp_path / "store.sqlite")
    run(
        False, ReadPipelines(store, max_executions=60), Segment(), Describe(Stage.PRE),
        WriteParquet(tmp_path / "table"),
    )  # fmt: skip
    assert_same(written(tmp_path / "table"), described_at_once(store, Stage.PRE))


def test_a_part_that_fails_fails_the_job(tmp_path: Path) -> None:
    """With the reason, and without a file."""
    store = many_pipelines(tmp_path / "store.sqlite")
    write = StoreToParquet(store, Stage.PRE, tmp_path / "table", max_executions=60)
    store.unlink()
    with pytest.raises(PartFailedError, match="there is no such file"):
        run(False, write)
    assert not list(tmp_path.glob("table/*.parquet"))
