"""Runs the penguin pipeline once: python -m pipelines.penguin.run --help."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import logging
from tfx import v1 as tfx
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner

from pipelines.penguin import data, gated, pipeline

RUNNERS = {"local": tfx.orchestration.LocalDagRunner, "beam": BeamDagRunner}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns 0, or raises what the run raised."""
    parser = argparse.ArgumentParser(prog="pipelines.penguin.run", description=__doc__)
    parser.add_argument("--folder", default="penguin_runs", help="of the pipeline")
    parser.add_argument("--penguins", type=int, default=344, help="how many are delivered")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--waste-model", help="directory; with it the pipeline is gated")
    parser.add_argument("--runner", choices=sorted(RUNNERS), default="local")
    options = parser.parse_args(arguments)
    logging.set_verbosity(logging.WARNING)
    folder = str(Path(options.folder).resolve())
    data.write_penguins(f"{folder}/data", options.penguins, options.seed)
    if options.waste_model:
        made = gated.create_pipeline(folder, waste_model=str(Path(options.waste_model).resolve()))
    else:
        made = pipeline.create_pipeline(folder)
    RUNNERS[options.runner]().run(made)
    sys.stdout.write(f"store {folder}/metadata.sqlite\nserving {folder}/serving\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
