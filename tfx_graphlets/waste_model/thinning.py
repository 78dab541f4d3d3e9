"""Thinning: a history as it would look had a gate skipped some of its waste.

A gate that skips changes what later runs look like: their predecessor lies
further back, more spans are new at once, the last outcome is older. A model
that was trained on histories without a gate has never seen such runs.
"""

from __future__ import annotations

import numpy as np

from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.world import World


def thinned(dataset: Dataset, seed: int, share: float = 0.5) -> Dataset:
    """The labelled rows, described after a share of the waste before them was skipped.

    Only unpushed graphlets are skipped: they left no model in serving, so the
    outcomes of later ones are what they would have been.

    Args:
      dataset: graphlets that can be described anew (Dataset.describe).
      seed: of the choice of what is skipped.
      share: of the unpushed graphlets, 0..1.

    Returns:
      The labelled rows in the order of time, those that were skipped included,
      each as it was seen when it was decided about.

    Raises:
      InvalidArgumentError: the dataset has no describers.
    """
    draw = np.random.default_rng(seed)
    world = World(dataset, censored=True)
    rows, features = [], []
    for row in dataset.time_order.tolist():
        if dataset.labelled[row]:
            rows.append(row)
            features.append(world.features(row))
        world.decided(row, not (dataset.unpushed[row] and draw.random() < share))
    for describer in dataset.describers.values():
        describer.reset()
    kept = dataset.take(np.array(rows, np.int64))
    return kept.with_table(FeatureTable.concatenate(features)) if features else kept
