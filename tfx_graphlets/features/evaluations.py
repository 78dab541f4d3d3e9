"""Evaluations of graphlets' models, in numbers that features compare."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from tfx_graphlets.features.facts import Facts, Member
from tfx_graphlets.features.view import View
from tfx_graphlets.payloads.evaluation import (
    EvaluationMetrics,
    change_margin,
    clone_margin,
    metric_value,
    value_margin,
)
from tfx_graphlets.payloads.thresholds import (
    MetricThreshold,
    is_config,
    label_key_of_config,
    thresholds_of_config,
)
from tfx_graphlets.vocabulary import ArtifactType, Outcome, PropertyName


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
      sign: 1 where a higher value of the metric is better, else -1.
    """

    candidate: float
    baseline: float
    value_margin: float
    change_margin: float
    sign: float


def evaluation_of(facts: Facts, members: Sequence[Member]) -> Evaluation | None:
    """The latest evaluation among some members whose metrics can be read.

    Of several Evaluators those whose verdict counts come first.
    """
    for member in facts.validators(members):
        for artifact in facts.outputs(member.execution, ArtifactType.MODEL_EVALUATION):
            metrics = facts.decoded.metrics(artifact)
            thresholds = _thresholds(facts, member, metrics)
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


@dataclasses.dataclass(frozen=True)
class CloneVerdict:
    """What the Evaluator would say of a model that does exactly as well as the serving one.

    Attributes:
      margin: see ``clone_margin``; NaN without a change threshold.
      passes: True if a tie is enough, or nothing is compared.
    """

    margin: float
    passes: bool


def clone_verdict(view: View) -> CloneVerdict | None:
    """By the thresholds of the latest known evaluation of an earlier graphlet.

    TFX takes the change thresholds out of a config where it has no baseline yet,
    so that one without any counts only if a model had been blessed before it.

    Returns: None where no evaluation, or not its config, is known.
    """
    facts = view.facts
    blessed = [seen.blessed == 1.0 for seen in view.seen_previous]
    first_blessed = blessed.index(True) if True in blessed else len(blessed)
    for at in range(len(blessed) - 1, -1, -1):
        for member in facts.validators(view.seen_previous[at].members):
            evaluations = facts.outputs(member.execution, ArtifactType.MODEL_EVALUATION)
            metrics = facts.decoded.metrics(evaluations[0]) if evaluations else None
            thresholds = _thresholds(facts, member, metrics)
            if any(threshold.has_change for threshold in thresholds):
                margin = clone_margin(metrics.baseline if metrics else {}, thresholds)
                return None if math.isnan(margin) else CloneVerdict(margin, margin >= 0)
            config = facts.execution_text(PropertyName.EVAL_CONFIG, member.execution)
            if first_blessed < at and (thresholds or (config and is_config(config))):
                return CloneVerdict(math.nan, passes=True)
    return None


def rerun_expected(view: View, outcomes: Sequence[Outcome]) -> float | None:
    """Whether what is trained once more will be pushed: 1 if so, else 0.

    The same code on the same data is the same model, if training is
    deterministic. If it was not pushed, it will not be; if it was, it is as good
    as the serving model, and what counts is whether that is enough.

    Args:
      view: the graphlet.
      outcomes: of earlier graphlets that were trained on the same, oldest first.

    Returns: None if no outcome is known, or if the last was pushed and no
      threshold is known.
    """
    known = [outcome for outcome in outcomes if outcome in (Outcome.PUSHED, Outcome.UNPUSHED)]
    if not known:
        return None
    if known[-1] is Outcome.UNPUSHED:
        return 0.0
    clone = clone_verdict(view)
    return None if clone is None else float(clone.passes)


def label_key(view: View) -> str | None:
    """Name of the label by the latest known ``eval_config``; None where there is none."""
    for members in (view.own, *(seen.members for seen in reversed(view.seen_previous))):
        for member in view.facts.validators(members):
            config = view.facts.execution_text(PropertyName.EVAL_CONFIG, member.execution)
            key = label_key_of_config(config) if config else None
            if key is not None:
                return key
    return None


def _thresholds(
    facts: Facts, evaluator: Member, metrics: EvaluationMetrics | None
) -> tuple[MetricThreshold, ...]:
    """By the Evaluator's ``eval_config``, else by what stands beside its metrics."""
    config = facts.execution_text(PropertyName.EVAL_CONFIG, evaluator.execution)
    thresholds = thresholds_of_config(config) if config else ()
    return thresholds or (metrics.thresholds if metrics is not None else ())
