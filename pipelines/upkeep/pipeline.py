"""The upkeep pipeline: Archiver, then WasteModelKeeper.

``python -m pipelines.upkeep.pipeline --help`` runs it once with LocalDagRunner or BeamDagRunner, or
compiles it for Kubeflow, where a recurring run starts it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import logging
from tfx import v1 as tfx

from pipelines.upkeep.component import WasteModelKeeper
from pipelines.upkeep.retraining import Settings
from tfx_graphlets import Archiver, Stage
from tfx_graphlets.components.artifacts import is_local

NAME = "waste-model-upkeep"


def create_pipeline(
    folder: str,
    *,
    store: str,
    archive: str,
    model_directory: str,
    others: Sequence[str] = (),
    settings: Settings | None = None,
) -> tfx.dsl.Pipeline:
    """The pipeline; it keeps records of its own, apart from the store that it archives.

    Args:
      folder: its records: ``metadata.sqlite`` and artifacts below ``root``; on Kubeflow a bucket.
      store: what is archived, as for ``open_store``, without a password.
      archive: directory of the store's archive, a path or a URI that TFX's fileio opens.
      model_directory: where gates read the waste model; likewise.
      others: archives of other stores to learn from; likewise.
      settings: what is trained, and how it is tried; ``newest_share`` is the default one.
    """
    settings = Settings() if settings is None else settings
    archiver = Archiver(archive, store=store)
    keeper = WasteModelKeeper(
        archive=archiver.outputs["archive"],
        model_directory=model_directory,
        others=json.dumps(list(others)),
        stage=str(settings.stage),
        freshness=settings.freshness,
        seed=settings.seed,
    )
    records = None  # on Kubeflow they are kept elsewhere
    if is_local(folder):
        records = tfx.orchestration.metadata.sqlite_metadata_connection_config(
            os.path.join(folder, "metadata.sqlite")
        )
    return tfx.dsl.Pipeline(
        pipeline_name=NAME,
        pipeline_root=f"{folder.rstrip('/')}/root",
        components=[archiver, keeper],
        # The same store in another state would look like the same work.
        enable_cache=False,
        metadata_connection_config=records,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns 0, or raises what the run raised."""
    parser = argparse.ArgumentParser(
        prog="pipelines.upkeep.pipeline", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("store", help="as for pipelines.upkeep.run; no password in it")
    parser.add_argument("--archive", required=True, help="directory or URI of the archive")
    parser.add_argument("--model", required=True, help="directory or URI that gates read")
    parser.add_argument("--also", action="append", default=[], help="archive of another store")
    parser.add_argument("--stage", type=Stage, choices=list(Stage), default=Stage.PRE)
    parser.add_argument("--freshness", type=float, default=Settings.freshness)
    parser.add_argument("--folder", default="upkeep_runs", help="for its own records")
    parser.add_argument("--runner", choices=("local", "beam", "vertex", "kfp"), default="local")
    parser.add_argument("--image", help="of the containers, for vertex and kfp")
    parser.add_argument("--output", help="file to compile to, for vertex (.json) and kfp (.yaml)")
    options = parser.parse_args(arguments)
    logging.set_verbosity(logging.INFO)
    pipeline = create_pipeline(
        options.folder, store=options.store, archive=options.archive,
        model_directory=options.model, others=options.also,
        settings=Settings(options.stage, options.freshness),
    )  # fmt: skip
    if options.runner in ("vertex", "kfp"):
        from tfx_graphlets.components.kubeflow import compile_for_kubeflow

        if not options.image or not options.output:
            parser.error(f"--runner {options.runner}: give --image and --output")
        compile_for_kubeflow(pipeline, options.output, image=options.image, backend=options.runner)
    elif options.runner == "beam":
        from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner

        BeamDagRunner().run(pipeline)
    else:
        tfx.orchestration.LocalDagRunner().run(pipeline)
    return 0


if __name__ == "__main__":
    sys.exit(main())
