"""Builders for pipeline histories, without any store."""

from __future__ import annotations

import numpy as np

from tfx_graphlets.features.table import Feature, FeatureKind, FeatureTable
from tfx_graphlets.gate.graphlets_file import PipelineHistory
from tfx_graphlets.vocabulary import Outcome, Stage
from tfx_graphlets.waste_model.dataset import Dataset

HOUR = 3_600_000
FEATURES = (
    Feature("input.num_spans", Stage.INPUT, FeatureKind.NUMBER, "count", "no span", "MLMD span"),
    Feature("model.trainer_type", Stage.PRE, FeatureKind.CATEGORY, "class", "none", "MLMD type"),
)


def feature_table(rows: int, first: int = 1, stage: Stage = Stage.PRE) -> FeatureTable:
    """Rows whose Trainer ids go up from ``first``; every third value is missing."""
    numbers = np.arange(rows, dtype=np.float64)
    numbers[::3] = np.nan
    names = tuple(None if row % 3 == 1 else f"type {row % 2}" for row in range(rows))
    return FeatureTable(
        stage,
        np.arange(first, first + rows, dtype=np.int64),
        FEATURES,
        {"input.num_spans": numbers, "model.trainer_type": names},
    )


def dataset(outcomes: str, stage: Stage = Stage.PRE, runs: tuple[str, ...] = ()) -> Dataset:
    """One graphlet an hour; ``p`` pushed, ``u`` unpushed, ``f`` failed, ``i`` incomplete."""
    of_letter = {
        "p": Outcome.PUSHED, "u": Outcome.UNPUSHED, "f": Outcome.FAILED, "i": Outcome.INCOMPLETE,
    }  # fmt: skip
    count = len(outcomes)
    start = np.arange(1, count + 1, dtype=np.int64) * HOUR
    return Dataset(
        table=feature_table(count, stage=stage),
        outcome=np.array([of_letter[letter] for letter in outcomes], np.int8),
        decision_ms=start + 1000,
        known_ms=start + 2000,
        start_ms=start,
        pipeline=("light",) * count,
        store=("",) * count,
        run=runs,
    )


def pipeline_history(
    outcomes: str = "pupu", *, runs: tuple[str, ...] = (), **more: object
) -> PipelineHistory:
    """A history that is read an hour after its last graphlet began."""
    values: dict[str, object] = {
        "stage": Stage.PRE,
        "pipeline": "light",
        "run": "now",
        "read_ms": (len(outcomes) + 1) * HOUR,
        "current": feature_table(1, first=0),
        "past": dataset(outcomes, runs=runs),
    }
    return PipelineHistory(**{**values, **more})  # type: ignore[arg-type]
