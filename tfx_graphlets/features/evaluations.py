"""One evaluation of a graphlet's model, in numbers that features compare."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from tfx_graphlets.evaluation_payload import (
    change_margin,
    metric_value,
    thresholds_of_config,
    value_margin,
)
from tfx_graphlets.features.facts import Facts, Member
from tfx_graphlets.graphlet import Part
from tfx_graphlets.vocabulary import ArtifactType, PropertyName, Role


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One evaluation's thresholded metric, NaN where not measured.

    The metric is the first with a change threshold in the Evaluator's
    ``eval_config``, else the first with a threshold.

    Attributes:
      candidate, baseline: its value of the new model and of the one it is
        compared with.
      value_margin, change_margin: smallest margin over all value thresholds
        and over all change thresholds, in the unit of the metric it is of,
        negative where one was missed.
      sign: 1 where a higher value of the metric is better, else -1.
    """

    candidate: float
    baseline: float
    value_margin: float
    change_margin: float
    sign: float


def evaluation_of(facts: Facts, members: Iterable[Member]) -> Evaluation | None:
    """The latest evaluation among some members whose metrics can be read."""
    validators = [
        member
        for member in members
        if member.part is Part.DOWNSTREAM and member.role is Role.MODEL_VALIDATOR
    ]
    for member in sorted(validators, key=lambda m: (m.known_ms, m.execution), reverse=True):
        for artifact in facts.outputs(member.execution, ArtifactType.MODEL_EVALUATION):
            metrics = facts.decoded.metrics(artifact)
            config = facts.execution_text(PropertyName.EVAL_CONFIG, member.execution)
            thresholds = thresholds_of_config(config) if config else ()
            thresholds = thresholds or (metrics.thresholds if metrics is not None else ())
            if metrics is None or not thresholds:
                continue
            chosen = next((t for t in thresholds if t.has_change), thresholds[0])
            better = chosen.higher_is_better
            if better is None:
                better = chosen.lower_bound is not None
            return Evaluation(
                candidate=metric_value(metrics.candidate, chosen.metric),
                baseline=metric_value(metrics.baseline, chosen.metric),
                value_margin=value_margin(metrics, thresholds),
                change_margin=change_margin(metrics, thresholds),
                sign=1.0 if better else -1.0,
            )
    return None
