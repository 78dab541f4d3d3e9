"""Penguins that were never measured: drawn from a seed, species by species.

Means and deviations are those of the Palmer penguins (Gorman, Williams, Fraser 2014, Adelie,
Chinstrap, Gentoo; CC0), the data of TFX's template; each number is drawn by itself.
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np

LABEL = "species"  # 0 Adelie, 1 Chinstrap, 2 Gentoo
FEATURES = ("culmen_length_mm", "culmen_depth_mm", "flipper_length_mm", "body_mass_g")
# Mean and standard deviation of each feature, by species.
SPECIES = (
    ((38.8, 2.7), (18.3, 1.2), (190.0, 6.5), (3701.0, 459.0)),
    ((48.8, 3.3), (18.4, 1.1), (195.8, 7.1), (3733.0, 384.0)),
    ((47.5, 3.1), (15.0, 1.0), (217.2, 6.5), (5076.0, 504.0)),
)
SHARES = (0.44, 0.20, 0.36)


def write_penguins(folder: str | os.PathLike[str], count: int, seed: int) -> Path:
    """Writes a CSV file of penguins; returns its path.

    Args:
      folder: where to write ``penguins.csv``; an earlier one is replaced.
      count: number of penguins, at least 1.
      seed: of the draw.
    """
    random = np.random.default_rng(seed)
    species = random.choice(len(SPECIES), size=count, p=SHARES)
    moments = np.array(SPECIES)[species]  # [count, features, 2]
    numbers = random.normal(moments[:, :, 0], moments[:, :, 1])
    target = Path(folder) / "penguins.csv"
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(".penguins.csv.draft")
    with draft.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow((*FEATURES, LABEL))
        for row, label in zip(numbers.round(1).tolist(), species.tolist()):
            writer.writerow((*row, label))
    draft.replace(target)
    return target
