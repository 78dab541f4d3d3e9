"""Runs a pipeline that `tfx template copy` wrote, gated by one line; a process of its own.

python -m tests.pipelines.template_run FOLDER WASTE_MODEL [threshold]
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path
from typing import Any


def main(folder: str, waste_model: str, threshold: str) -> None:
    """Runs the template's own local_runner; only what it runs is gated."""
    sys.path.insert(0, folder)
    os.chdir(folder)
    local_runner = importlib.import_module("local_runner")
    template: Any = importlib.import_module("pipeline.pipeline")
    from tfx_graphlets import gate_pipeline

    create = template.create_pipeline
    local_runner.pipeline.create_pipeline = lambda **options: gate_pipeline(
        create(**options), model_directory=waste_model,
        threshold=float(threshold), min_labelled=0, min_pushes=0, exploration=0.0,
    )  # fmt: skip
    local_runner.run()


if __name__ == "__main__":
    main(str(Path(sys.argv[1]).resolve()), sys.argv[2], sys.argv[3])
