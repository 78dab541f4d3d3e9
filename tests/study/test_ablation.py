"""Ablation finds the group that matters."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.study.histories import several
from tests.waste_model.synthetic import number
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.study.comparison import ablation
from tfx_graphlets.study.harness import Harness
from tfx_graphlets.study.learners import Learner
from tfx_graphlets.waste_model.dataset import Dataset

pytest.importorskip("sklearn")


def two_groups() -> Dataset:
    """The made-up features, of which one tells, and a group of noise beside them."""
    dataset = several(pipelines=4, count=40)
    table = dataset.table
    noise = np.random.default_rng(5).normal(size=len(table))
    features = (*table.features, number("idle.noise"))
    columns = {**table.columns, "idle.noise": noise}
    return dataclasses.replace(
        dataset, table=FeatureTable(table.stage, table.trainer, features, columns)
    )


@pytest.mark.parametrize("way", ["left_out", "own"])
def test_the_group_with_the_signal_is_missed_and_the_noise_is_not(way: str) -> None:
    """Without the telling group AUC falls by much, without the noise hardly."""
    found = ablation(Harness(two_groups()), Learner("logistic"), way)
    assert found is not None
    made, idle = found.groups
    assert (made.group, made.features, idle.group, idle.features) == ("made", 5, "idle", 1)
    assert made.auc_loss > 0.2
    assert abs(idle.auc_loss) < 0.1
    assert made.alone.auc > 0.75
    assert idle.alone.auc < 0.65
    assert made.auc_loss_interval[0] > 0
    assert idle.without is not None
    assert idle.without.auc == pytest.approx(made.alone.auc)
