"""Group ``evaluation``: how candidates fared against the thresholds.

Of the preceding graphlets at every stage; of the graphlet itself at stage
``validation``. The metric is the first with a change threshold in the Evaluator's
``eval_config``, else the first with a threshold.
"""

from __future__ import annotations

import functools

import numpy as np

from tfx_graphlets.features.evaluators import Evaluators, evaluators_of
from tfx_graphlets.features.look_back import Rows, Window, at, ratio
from tfx_graphlets.features.spans import UNSEEN
from tfx_graphlets.features.table import FeatureGroup, numbers
from tfx_graphlets.features.wording import (
    OUTCOMES,
    SINCE_PUSH,
    TRAINED,
    WITHHELD,
    Topic,
    Wording,
    counted,
    equal,
    flag,
    margin,
    percent,
    share,
)
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.vocabulary import Outcome, PropertyName, Stage

_NO_METRICS = "no earlier evaluation, its metrics are gone, or no threshold"
_NO_BLESSING = "no such earlier graphlet, or no verdict"
_METRICS = "metrics of ModelEvaluation, MLMD Evaluator.eval_config"
_THRESHOLDS = "MLMD Evaluator.eval_config, change_threshold"
_BLESSING = "MLMD ModelBlessing.blessed"
_OWN = "not evaluated, or the metrics are gone"
_MARGINS = Topic("earlier evaluations", "how the last models did in their evaluations")
_BAR = "Review the thresholds: they would keep out even a model as good as the serving one"
_CLONE = Topic("bar", "whether a model like the serving one would be blessed")
_EVALUATION = Topic("evaluation", "how this model did in its evaluation")


def _blessed(which: str) -> Wording:
    run = f"the {which} trained run"
    return flag(
        OUTCOMES, f"the model of {run} was blessed", f"the model of {run} was not blessed"
    ).ranked(1)


_at_input = functools.partial(numbers, "evaluation", Stage.INPUT)
_at_validation = functools.partial(numbers, "evaluation", Stage.VALIDATION)

FEATURES = (
    *_at_input(
        _NO_BLESSING,
        _BLESSING,
        blessed_1=("0 or 1", _blessed("last")),
        blessed_2=("0 or 1", _blessed("second last")),
        blessed_3=("0 or 1", _blessed("third last")),
        blessed_rate_5=(
            "share 0..1 of the last 5 verdicts",
            share(OUTCOMES, "last 5 evaluated models", "blessed"),
        ),
    ),
    *_at_input(
        "none was blessed",
        _BLESSING,
        runs_since_blessed=(
            "graphlets, 0 if the last was blessed",
            Wording(
                SINCE_PUSH,
                "the last blessing was {} before",
                counted("trained run"),
                {0.0: f"{TRAINED} was blessed"},
            ),
        ),
    ),
    *_at_input(
        _NO_BLESSING,
        _BLESSING,
        blessed_not_pushed_1=(
            "0 or 1, the last verdict's graphlet",
            flag(
                WITHHELD,
                "the last evaluated model was blessed and not pushed",
                "the last evaluated model was not withheld after a blessing",
            ).advising(equal(1), "See what keeps blessed models from being pushed"),
        ),
    ),
    *_at_input(
        "none was blessed",
        _BLESSING,
        blessed_not_pushed_5=(
            "share 0..1 of the last 5 blessed",
            Wording(
                WITHHELD,
                "{} of the last 5 blessed models were not pushed",
                percent,
                {
                    0.0: "the last blessed models were all pushed",
                    1.0: "none of the last blessed models was pushed",
                },
            ),
        ),
    ),
    *_at_input(
        _NO_METRICS,
        _METRICS,
        metric_1=(
            "metric, latest candidate",
            Wording(_MARGINS, "the metric of the last evaluated model was {}"),
        ),
        baseline_1=(
            "metric, baseline of the latest evaluation",
            Wording(_MARGINS, "the serving model's metric was {} in the last evaluation"),
        ),
        baseline_decay=(
            "metric, how much worse the blessed model is by now",
            Wording(
                _MARGINS,
                "the serving model's metric has become worse by {} since it was blessed",
                special={0.0: "the serving model is as good as when it was blessed"},
                negative="the serving model's metric has become better by {} since it was blessed",
            ),
        ),
        value_margin_1=(
            "metric, smallest margin",
            margin(_MARGINS, "the last evaluated model", "value"),
        ),
        value_failures_5=(
            "share 0..1 of the last 5",
            share(_MARGINS, "last 5 evaluated models", "below the value threshold"),
        ),
        **{
            f"change_margin_{place}": (
                f"metric, {nth}latest",
                margin(_MARGINS, f"the {nth}last evaluated model", "change").ranked(2),
            )
            for place, nth in ((1, ""), (2, "second "), (3, "third "))
        },
        change_margin_mean=(
            "metric, mean of the last 5",
            margin(_MARGINS, "on average the last 5 evaluated models", "change").ranked(1),
        ),
    ),
    *_at_input(
        "fewer than two",
        _METRICS,
        change_margin_deviation=(
            "metric, standard deviation of the last 5",
            Wording(_MARGINS, "the margins to the change threshold scatter by {}", rank=1),
        ),
        change_margin_trend=(
            "metric per graphlet, over the last 3",
            Wording(
                _MARGINS,
                "the margins to the change threshold rise by {} a run",
                special={0.0: "the margins to the change threshold stay as they are"},
                negative="the margins to the change threshold fall by {} a run",
                rank=1,
            ),
        ),
    ),
    *_at_input(
        _NO_METRICS,
        _METRICS,
        change_failures_5=(
            "share 0..1 of the last 5",
            share(_MARGINS, "last 5 evaluated models", "below the change threshold"),
        ),
    ),
    *_at_input(
        "no change threshold, or no earlier evaluation of which it is known",
        _THRESHOLDS,
        clone_margin=(
            "metric, smallest change margin of a model like the serving one",
            Wording(
                _CLONE,
                "a model like the serving one would pass the change threshold by {}",
                special={0.0: "a model like the serving one would just reach the change threshold"},
                negative="a model like the serving one would miss the change threshold by {}",
            ),
        ),
    ),
    *_at_input(
        "no earlier evaluation whose thresholds are known",
        _THRESHOLDS,
        clone_passes=(
            "0 or 1, a model like the serving one would be blessed",
            flag(
                _CLONE,
                "a model like the serving one would be blessed",
                "a model like the serving one would not be blessed",
            ).advising(equal(0), _BAR),
        ),
    ),
    *_at_validation(
        "no verdict",
        _BLESSING,
        blessed=(
            "0 or 1",
            flag(_EVALUATION, "this model was blessed", "this model was not blessed").advising(
                equal(0), "Look at this model's evaluation: it was not blessed"
            ),
        ),
    ),
    *_at_validation(
        "no verdict",
        "MLMD InfraBlessing.blessed",
        infra_blessed=(
            "0 or 1",
            flag(
                _EVALUATION,
                "this model passed the InfraValidator",
                "the InfraValidator refused this model",
            ).advising(equal(0), "Look at the InfraValidator: it refused this model"),
        ),
    ),
    *_at_validation(
        _OWN,
        _METRICS,
        metric=("metric", Wording(_EVALUATION, "the metric of this model is {}")),
        metric_gain=(
            "metric, better than the latest candidate by",
            Wording(
                _EVALUATION,
                "this model's metric is better than that of the last by {}",
                special={0.0: "this model's metric is that of the last"},
                negative="this model's metric is worse than that of the last by {}",
            ),
        ),
        value_margin=("metric, smallest margin", margin(_EVALUATION, "this model", "value")),
        change_margin=("metric, smallest margin", margin(_EVALUATION, "this model", "change")),
    ),
)

_MOST = 5  # evaluations that are looked at
_LOOK_BACK = 20  # graphlets in which they are looked for


def columns(rows: Rows) -> dict[str, FloatArray]:
    """Values by the second part of the feature's name, float64 [rows], NaN where missing."""
    window, evaluators = rows.window, evaluators_of(rows.entries)
    values = _verdicts(window)
    recent = _Recent(rows, evaluators)
    values.update(recent.columns())
    clone = evaluators.clone(rows)
    values["clone_margin"] = np.where(clone.known, clone.margin, np.nan)
    values["clone_passes"] = np.where(clone.known, clone.passes, np.nan)
    if rows.reaches(Stage.VALIDATION):
        said, awaited = rows.entries.verdicts, evaluators.awaited(rows)
        values["blessed"] = said.least(rows.own_row[awaited], rows.own_entry[awaited], len(rows))
        values["infra_blessed"] = said.of_infra(rows.own_row, rows.own_entry, len(rows))
        own = evaluators.latest(*evaluators.of_own(rows), len(rows))
        of_own = functools.partial(evaluators.values, numbers=own)
        gain = of_own("candidate") - evaluators.values("candidate", recent.number[0])
        values["metric"], values["metric_gain"] = of_own("candidate"), of_own("sign") * gain
        values["value_margin"] = of_own("value_margin")
        values["change_margin"] = of_own("change_margin")
    return values


def _verdicts(window: Window) -> dict[str, FloatArray]:
    values = {f"blessed_{n}": at(window.blessed, window.nth(n)) for n in (1, 2, 3)}
    spoken, good = ~np.isnan(window.blessed), window.blessed == 1.0
    recent = window.in_last_flagged(spoken, 5)
    values["blessed_rate_5"] = ratio(window.count(good & recent), window.count(recent))
    not_pushed = good & (window.outcome == Outcome.UNPUSHED)
    values["blessed_not_pushed_1"] = at(not_pushed, window.last(spoken))
    recent = window.in_last_flagged(good, 5)
    values["blessed_not_pushed_5"] = 1.0 - ratio(
        window.count(window.pushed & recent), window.count(recent)
    )
    last = window.last_blessed
    values["runs_since_blessed"] = np.where(last >= 0, window.start[1:] - 1 - last, np.nan)
    return values


class _Recent:
    """The last five evaluations that were known before each row, the latest first.

    Attributes:
      number: int64 [5, rows], for ``Evaluators.values``; UNSEEN where there are fewer.
      place: int64 [5, rows], of their graphlets.
    """

    def __init__(self, rows: Rows, evaluators: Evaluators) -> None:
        self._window, self._evaluators = rows.window, evaluators
        self.number = np.full((_MOST, len(rows)), UNSEEN, np.int64)
        self.place = np.full((_MOST, len(rows)), UNSEEN, np.int64)
        count = np.zeros(len(rows), np.int64)
        for n in range(1, _LOOK_BACK + 1) if evaluators.can_measure else ():
            place = np.where(count < _MOST, self._window.nth(n), UNSEEN)
            if not (place >= 0).any():
                break
            number = evaluators.at(self._window, place)
            found = np.flatnonzero(number != UNSEEN)
            self.number[count[found], found] = number[found]
            self.place[count[found], found] = place[found]
            count[found] += 1

    def columns(self) -> dict[str, FloatArray]:
        value = functools.partial(self._evaluators.values, numbers=self.number)
        by_value, margin = value("value_margin"), _latest_first(value("change_margin"))
        values = {
            "metric_1": value("candidate")[0],
            "baseline_1": value("baseline")[0],
            "baseline_decay": self._decay(value("baseline")),
            "value_margin_1": by_value[0],
            "value_failures_5": ratio((by_value < 0).sum(0), (~np.isnan(by_value)).sum(0)),
            "change_margin_1": margin[0],
            "change_margin_2": margin[1],
            "change_margin_3": margin[2],
        }
        count = (~np.isnan(margin)).sum(0)
        mean = ratio(np.nansum(margin, 0), count)
        values["change_margin_mean"] = mean
        values["change_failures_5"] = ratio((margin < 0).sum(0), count)
        with np.errstate(over="ignore"):  # of margins that a damaged file makes endless
            deviation = np.sqrt(ratio(np.nansum((margin - mean) ** 2, 0), count))
        known = (count > 1) & np.isfinite(deviation)
        values["change_margin_deviation"] = np.where(known, deviation, np.nan)
        steps = np.minimum(count, 3) - 1
        first = np.take_along_axis(margin, np.maximum(steps, 0)[None], 0)[0]
        values["change_margin_trend"] = ratio(margin[0] - first, steps)
        return values

    def _decay(self, baseline: FloatArray) -> FloatArray:
        """How much worse the last blessed model did as a baseline since; 0 if it was none."""
        blessed = self._window.last_blessed
        then = self._evaluators.at(self._window, blessed)
        since = _latest_first(np.where(self.place > blessed, baseline, np.nan))[0]
        candidate = self._evaluators.values("candidate", then)
        decay = self._evaluators.values("sign", then) * (candidate - since)
        decay = np.where(np.isnan(since) & (then != UNSEEN), 0.0, decay)
        return np.where(self.number[0] != UNSEEN, decay, np.nan)


def _latest_first(values: FloatArray) -> FloatArray:
    """The same [k, rows] with what is NaN at the end."""
    order = np.argsort(np.isnan(values), axis=0, kind="stable")
    return np.take_along_axis(values, order, 0)


GROUP = FeatureGroup(
    "evaluation",
    FEATURES,
    columns,
    {Stage.INPUT: (PropertyName.BLESSED, PropertyName.EVAL_CONFIG)},
)
