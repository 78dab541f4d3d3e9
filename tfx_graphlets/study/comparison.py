"""Comparison of learners and of ways to learn, all on the same graphlets."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfx_graphlets.study.harness import WAYS, Harness
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
