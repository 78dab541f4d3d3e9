"""Ablation: what each group of features adds, and what it can do alone."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_graphlets.study.harness import LEFT_OUT, OWN, Harness
from tfx_graphlets.study.learners import Learner
from tfx_graphlets.study.measures import Interval, Measures, auc_difference, measure


@dataclasses.dataclass(frozen=True)
class GroupEffect:
    """What one group of features does.

    Attributes:
      group: its name.
      features: number of its features at the stage.
      without: measures without the group; None where there is no other.
      alone: measures with the group alone.
      auc_loss: AUC with all features less AUC without the group.
      auc_loss_interval: 95 % interval of it over pipelines.
    """

    group: str
    features: int
    without: Measures | None
    alone: Measures
    auc_loss: float
    auc_loss_interval: Interval


@dataclasses.dataclass(frozen=True)
class Ablation:
    """The groups of one stage.

    Attributes:
      stage: the stage.
      way: ``left_out`` (leave one pipeline out) or ``own`` (within each
        pipeline, in the order of time).
      everything: measures with all features.
      groups: one effect per group.
    """

    stage: str
    way: str
    everything: Measures
    groups: tuple[GroupEffect, ...]


def ablation(
    harness: Harness, learner: Learner, way: str = LEFT_OUT, seed: int = 0
) -> Ablation | None:
    """The effect of each group; None where no row is scored.

    Args:
      harness: scores of one stage.
      learner: what learns.
      way: ``left_out`` or ``own``.
      seed: of intervals.
    """
    if way not in (LEFT_OUT, OWN):
        raise ValueError(way)
    dataset = harness.dataset
    full = harness.scores(way, learner)
    rows = full.known
    if not len(rows):
        return None
    effects = []
    for group in harness.groups:
        others = tuple(name for name in harness.groups if name != group)
        alone = harness.scores(way, learner, (group,))
        without, loss, interval = None, float("nan"), (float("nan"), float("nan"))
        if others:
            rest = harness.scores(way, learner, others)
            without = measure(dataset, rest, rows, seed)
            loss, interval = auc_difference(dataset, full, rest, rows, seed)
        effects.append(
            GroupEffect(
                group=group,
                features=int(np.sum([f.group == group for f in dataset.table.features])),
                without=without,
                alone=measure(dataset, alone, rows, seed),
                auc_loss=loss,
                auc_loss_interval=interval,
            )
        )
    everything = measure(dataset, full, rows, seed)
    return Ablation(str(dataset.stage), way, everything, tuple(effects))
