"""Made-up histories of several pipelines for the study."""

from __future__ import annotations

import numpy as np

from tests.waste_model.synthetic import HOUR_MS, coin_flips, history
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model.dataset import Dataset


def several(
    pipelines: int = 3, count: int = 30, *, strength: float = 3.0, stage: Stage = Stage.PRE
) -> Dataset:
    """Pipelines side by side, each in a store of its own, half a minute apart."""
    return Dataset.concatenate(
        [
            history(
                coin_flips(count, seed=number), strength=strength, seed=number,
                store=f"store-{number}", pipeline=f"taxi-{number}",
                start_ms=HOUR_MS + number * 30_000, stage=stage,
            )
            for number in range(pipelines)
        ]
    )  # fmt: skip


def rows_of(dataset: Dataset, number: int) -> np.ndarray:
    """Positions of one pipeline's rows."""
    return np.flatnonzero(dataset.group == number)
