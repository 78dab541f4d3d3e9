"""Group ``evaluation``: how candidates fared against the thresholds.

Of the preceding graphlets at every stage; of the graphlet itself at stage
``validation``. Which metric and which margins: see ``evaluations``.
"""

from __future__ import annotations

import math

import numpy as np

from tfx_graphlets.features.evaluations import Evaluation, clone_verdict, evaluation_of
from tfx_graphlets.features.registry import FeatureGroup, Value, numbers
from tfx_graphlets.features.view import View
from tfx_graphlets.vocabulary import Outcome, Role, Stage

_NO_METRICS = "no earlier evaluation, its metrics are gone, or no threshold"
_NO_BLESSING = "no such earlier graphlet, or no verdict"
_METRICS = "metrics of ModelEvaluation, MLMD Evaluator.eval_config"
_THRESHOLDS = "MLMD Evaluator.eval_config, change_threshold"
_BLESSING = "MLMD ModelBlessing.blessed"
_OWN = "not evaluated, or the metrics are gone"

FEATURES = (
    *numbers(
        "evaluation",
        Stage.INPUT,
        _NO_BLESSING,
        _BLESSING,
        blessed_1="0 or 1",
        blessed_2="0 or 1",
        blessed_3="0 or 1",
        blessed_rate_5="share 0..1 of the last 5 verdicts",
    ),
    *numbers(
        "evaluation",
        Stage.INPUT,
        "none was blessed",
        _BLESSING,
        runs_since_blessed="graphlets, 0 if the last was blessed",
    ),
    *numbers(
        "evaluation",
        Stage.INPUT,
        _NO_BLESSING,
        _BLESSING,
        blessed_not_pushed_1="0 or 1, the last verdict's graphlet",
    ),
    *numbers(
        "evaluation",
        Stage.INPUT,
        "none was blessed",
        _BLESSING,
        blessed_not_pushed_5="share 0..1 of the last 5 blessed",
    ),
    *numbers(
        "evaluation",
        Stage.INPUT,
        _NO_METRICS,
        _METRICS,
        metric_1="metric, latest candidate",
        baseline_1="metric, baseline of the latest evaluation",
        baseline_decay="metric, how much worse the blessed model is by now",
        value_margin_1="metric, smallest margin",
        value_failures_5="share 0..1 of the last 5",
        change_margin_1="metric, latest",
        change_margin_2="metric, second latest",
        change_margin_3="metric, third latest",
        change_margin_mean="metric, mean of the last 5",
    ),
    *numbers(
        "evaluation",
        Stage.INPUT,
        "fewer than two",
        _METRICS,
        change_margin_deviation="metric, standard deviation of the last 5",
        change_margin_trend="metric per graphlet, over the last 3",
    ),
    *numbers(
        "evaluation",
        Stage.INPUT,
        _NO_METRICS,
        _METRICS,
        change_failures_5="share 0..1 of the last 5",
    ),
    *numbers(
        "evaluation",
        Stage.INPUT,
        "no change threshold, or no earlier evaluation of which it is known",
        _THRESHOLDS,
        clone_margin="metric, smallest change margin of a model like the serving one",
    ),
    *numbers(
        "evaluation",
        Stage.INPUT,
        "no earlier evaluation whose thresholds are known",
        _THRESHOLDS,
        clone_passes="0 or 1, a model like the serving one would be blessed",
    ),
    *numbers(
        "evaluation",
        Stage.VALIDATION,
        "no verdict",
        _BLESSING,
        blessed="0 or 1",
    ),
    *numbers(
        "evaluation",
        Stage.VALIDATION,
        "no verdict",
        "MLMD InfraBlessing.blessed",
        infra_blessed="0 or 1",
    ),
    *numbers(
        "evaluation",
        Stage.VALIDATION,
        _OWN,
        _METRICS,
        metric="metric",
        metric_gain="metric, better than the latest candidate by",
        value_margin="metric, smallest margin",
        change_margin="metric, smallest margin",
    ),
)


def describe(view: View) -> dict[str, Value]:
    """Values of one row."""
    values: dict[str, Value] = {}
    values.update(_verdicts(view))
    recent = _recent(view)
    values.update(_history(view, recent))
    clone = clone_verdict(view)
    if clone is not None:
        values["evaluation.clone_margin"] = clone.margin
        values["evaluation.clone_passes"] = float(clone.passes)
    if view.reaches(Stage.VALIDATION):
        for role, name in (
            (Role.MODEL_VALIDATOR, "blessed"),
            (Role.INFRA_VALIDATOR, "infra_blessed"),
        ):
            values[f"evaluation.{name}"] = view.facts.verdict(view.own, role)
        own = evaluation_of(view.facts, view.own)
        if own is not None:
            values["evaluation.metric"] = own.candidate
            values["evaluation.value_margin"] = own.value_margin
            values["evaluation.change_margin"] = own.change_margin
            if recent:
                gain = own.sign * (own.candidate - recent[-1][1].candidate)
                values["evaluation.metric_gain"] = gain
    return values


GROUP = FeatureGroup(FEATURES, describe)


def _verdicts(view: View) -> dict[str, Value]:
    values: dict[str, Value] = {}
    verdicts = [seen.blessed for seen in view.seen_previous]
    for n in (1, 2, 3):
        if n <= len(verdicts):
            values[f"evaluation.blessed_{n}"] = verdicts[-n]
    known = [
        (verdict == 1.0, outcome)
        for verdict, outcome in zip(verdicts, view.outcomes)
        if not math.isnan(verdict)
    ]
    if known:
        recent = [good for good, _ in known[-5:]]
        values["evaluation.blessed_rate_5"] = sum(recent) / len(recent)
        good, outcome = known[-1]
        values["evaluation.blessed_not_pushed_1"] = float(good and outcome is Outcome.UNPUSHED)
    pushes = [outcome is Outcome.PUSHED for good, outcome in known if good][-5:]
    if pushes:
        values["evaluation.blessed_not_pushed_5"] = 1.0 - sum(pushes) / len(pushes)
    runs = next((n for n, verdict in enumerate(reversed(verdicts)) if verdict == 1.0), None)
    if runs is not None:
        values["evaluation.runs_since_blessed"] = float(runs)
    return values


def _recent(view: View) -> list[tuple[int, Evaluation]]:
    """The last five evaluations that were known, with their graphlets, oldest first."""
    found: list[tuple[int, Evaluation]] = []
    for graphlet in reversed(view.previous[-20:]):
        evaluation = evaluation_of(view.facts, view.seen(graphlet).members)
        if evaluation is not None:
            found.append((graphlet, evaluation))
        if len(found) == 5:
            break
    return found[::-1]


def _history(view: View, recent: list[tuple[int, Evaluation]]) -> dict[str, Value]:
    if not recent:
        return {}
    latest = recent[-1][1]
    values: dict[str, Value] = {
        "evaluation.metric_1": latest.candidate,
        "evaluation.baseline_1": latest.baseline,
        "evaluation.value_margin_1": latest.value_margin,
    }
    by_value = [e.value_margin < 0 for _, e in recent if not math.isnan(e.value_margin)]
    if by_value:
        values["evaluation.value_failures_5"] = sum(by_value) / len(by_value)
    margins = [e.change_margin for _, e in recent if not math.isnan(e.change_margin)]
    for n in (1, 2, 3):
        if n <= len(margins):
            values[f"evaluation.change_margin_{n}"] = margins[-n]
    if margins:
        values["evaluation.change_margin_mean"] = float(np.mean(margins))
        values["evaluation.change_failures_5"] = float(np.mean(np.array(margins) < 0))
    if len(margins) > 1:
        values["evaluation.change_margin_deviation"] = float(np.std(margins))
        last = margins[-3:]
        values["evaluation.change_margin_trend"] = (last[-1] - last[0]) / (len(last) - 1)
    if view.last_blessed is not None:
        values["evaluation.baseline_decay"] = _decay(view, view.last_blessed, recent)
    return values


def _decay(view: View, blessed: int, recent: list[tuple[int, Evaluation]]) -> float:
    """How much worse a blessed model did as a baseline since; 0 if it has not been one."""
    then = evaluation_of(view.facts, view.seen(blessed).members)
    if then is None:
        return math.nan
    later = set(view.previous[view.previous.index(blessed) + 1 :])
    baselines = [e.baseline for graphlet, e in recent if graphlet in later]
    known = [baseline for baseline in baselines if not math.isnan(baseline)]
    return then.sign * (then.candidate - known[-1]) if known else 0.0
