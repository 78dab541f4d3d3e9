"""Comparison of learners and of ways to learn, all on the same graphlets.

The ablation is one of them: what each group of features adds, and what it can do alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfx_graphlets.study.harness import LEFT_OUT, OWN, WAYS, Harness
from tfx_graphlets.study.learners import Learner
from tfx_graphlets.study.measures import Interval, Measures, auc_difference, measure


@dataclasses.dataclass(frozen=True)
class Compared:
    """One learner, learning in one way.

    Attributes:
      stage: the stage.
      learner: its name.
      way: ``left_out`` (pooled: from the other pipelines), ``own`` (from the
        pipeline's earlier graphlets) or ``joined`` (from both).
      measures: on graphlets that every way can score: those after the first
        ones of each pipeline.
      auc_gain: AUC less that of the first learner in the same way.
      auc_gain_interval: 95 % interval of it over pipelines.
    """

    stage: str
    learner: str
    way: str
    measures: Measures
    auc_gain: float
    auc_gain_interval: Interval


def compare_learners(
    harness: Harness, learners: Sequence[Learner], seed: int = 0
) -> tuple[Compared, ...]:
    """Every learner in every way.

    Args:
      harness: scores of one stage.
      learners: what learns; the first is what the others are compared with.
      seed: of intervals.

    Returns:
      By learner, then way; ways that score nothing are left out (``left_out``
      and ``joined`` with a single pipeline, ``own`` with short histories).
    """
    dataset = harness.dataset
    ways = [way for way in WAYS if len(harness.scores(way, learners[0]).known)]
    if not ways:
        return ()
    scored = {
        (learner.name, way): harness.scores(way, learner) for learner in learners for way in ways
    }
    common = ~np.isnan(np.stack([one.score for one in scored.values()])).any(axis=0)
    rows = np.flatnonzero(common).astype(np.int64)
    result = []
    for learner in learners:
        for way in ways:
            one = scored[learner.name, way]
            gain, interval = auc_difference(dataset, one, scored[learners[0].name, way], rows, seed)
            measures = measure(dataset, one, rows, seed)
            result.append(Compared(str(dataset.stage), learner.name, way, measures, gain, interval))
    return tuple(result)


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
