"""The penguin pipeline, after TFX's template, with a gate before the Trainer."""

from __future__ import annotations

from typing import Any

from tfx import v1 as tfx

from pipelines.penguin import pipeline
from tfx_graphlets import gate_pipeline


def create_pipeline(
    folder: str, *, accuracy: float = 0.6, waste_model: str = "waste_model", **settings: Any
) -> tfx.dsl.Pipeline:
    """The pipeline below a folder: reads its ``data``, pushes to its ``serving``.

    Args:
      folder: of the pipeline, with the CSV files in ``data``.
      accuracy: a model that does not reach it is not pushed, 0..1.
      waste_model: directory that `tfx-graphlets train` has written.
      settings: further ones of ``gate_pipeline``.
    """
    plain = pipeline.create_pipeline(folder, accuracy=accuracy)
    return gate_pipeline(plain, model_directory=waste_model, **settings)
