"""The wordings of all features.

Of the features of one topic, those that say it best come first: see
``wording.obscurity``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tfx_graphlets.reasons.phrases_of_data import CALENDAR, COMPARED, of_code, of_data
from tfx_graphlets.reasons.wording import (
    PUSHED,
    TRAINED,
    Topic,
    Wording,
    clock,
    counted,
    duration,
    flag,
    hours,
    margin,
    percent,
    share,
    times,
)
from tfx_graphlets.vocabulary import Role

_OUTCOMES = Topic("outcomes", "what became of the last runs")
_SINCE_PUSH = Topic("time since the push", "when the last push was")
_WITHHELD = Topic("pushes withheld", "whether blessed models have been pushed")
_MARGINS = Topic("earlier evaluations", "how the last models did in their evaluations")
_CLONE = Topic("bar", "whether a model like the serving one would be blessed")
_EVALUATION = Topic("evaluation", "how this model did in its evaluation")
_RHYTHM = Topic("rhythm", "how long ago the last trained run was")
_COST = Topic("cost", "what runs cost")
_REHEARSAL = Topic("rehearsal", "what a rehearsal finds")
_TRAINING = Topic("training", "how this model was trained, compared with earlier ones")
_SHAPE = Topic("shape", "what nodes ran")

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_RUNS, _MODELS = counted("trained run"), counted("model")


def _history() -> dict[str, Wording]:
    words: dict[str, Wording] = {
        "failed_1": flag(
            _OUTCOMES, f"the Trainer of {TRAINED} failed", f"the Trainer of {TRAINED} succeeded"
        ),
        "failures_5": Wording(
            _OUTCOMES, "of the last 5 Trainers {} failed", special={0.0: "no recent Trainer failed"}
        ),
        "labelled": Wording(_OUTCOMES, "the outcome of {} is known", _RUNS),
        "push_rate": share(_OUTCOMES, "trained runs", "pushed"),
        "pushes_3": Wording(
            _OUTCOMES,
            "of the last 3 trained runs {} were pushed",
            special={
                0.0: "none of the last 3 trained runs was pushed",
                1.0: "one of the last 3 trained runs was pushed",
                3.0: "all of the last 3 trained runs were pushed",
            },
        ),
        "unpushed_streak": Wording(
            _OUTCOMES,
            "the last {} not pushed",
            counted("trained run was", "trained runs were"),
            {0.0: f"{TRAINED} was pushed", 1.0: f"{TRAINED} was not pushed"},
        ),
        "runs_since_push": Wording(
            _SINCE_PUSH, "the last push was {} before", _RUNS, {0.0: f"{TRAINED} was pushed"}
        ),
        "hours_since_push": Wording(_SINCE_PUSH, "the last push was {} ago", hours),
        "push_gap_ratio": Wording(
            _SINCE_PUSH, "the wait since the last push is {} as long as usual between pushes", times
        ),
        "held_by_runs": _held("so few runs after a push"),
        "held_by_hours": _held("so few hours after a push"),
        "held_by_weekday": _held("on this day of the week"),
        "held_by_hour": _held("at this time of the day"),
        "hours_since_previous": Wording(_RHYTHM, f"{TRAINED} was {{}} ago", hours),
        "rhythm_ratio": Wording(
            _RHYTHM, f"the time since {TRAINED} is {{}} as long as usual", times
        ),
        "hour_of_day": Wording(CALENDAR, "it is {} UTC", clock),
        "day_of_week": Wording(
            CALENDAR, special={float(n): f"it is a {day}" for n, day in enumerate(_DAYS)}
        ),
        "same_spans_runs": Wording(
            COMPARED,
            "exactly these data have been trained on in {}",
            _RUNS,
            {0.0: "exactly these data have not been trained on before"},
        ),
        "same_spans_unpushed": Wording(
            COMPARED,
            "on exactly these data {} not pushed before",
            counted("trained run was", "trained runs were"),
            {0.0: "no model of exactly these data was turned down before"},
        ),
        "same_spans_pushed": Wording(
            COMPARED,
            "of exactly these data {} pushed before",
            counted("model was", "models were"),
            {0.0: "no model of exactly these data was pushed before"},
        ),
        "rerun_expected": flag(
            COMPARED,
            "a model like the last one on these data would be blessed",
            "a model like the last one on these data would not be pushed",
        ),
        "cost_so_far_ms": Wording(_COST, "this run has taken {} so far", duration),
        "previous_cost_ms": Wording(_COST, "the last trained runs took {} on average", duration),
    }
    for n, run in ((1, TRAINED), (2, "the second last trained run"), (3, "the third last")):
        words[f"pushed_{n}"] = flag(_OUTCOMES, f"{run} was pushed", f"{run} was not pushed")
    for n in (5, 10, 20):
        words[f"push_rate_{n}"] = share(_OUTCOMES, f"last {n} trained runs", "pushed")
    return words


def _held(when: str) -> Wording:
    return flag(
        _WITHHELD,
        f"{when} blessed models have been held back, and none was pushed",
        f"nothing is known to hold blessed models back {when}",
    )


def _evaluation() -> dict[str, Wording]:
    words: dict[str, Wording] = {
        "blessed_rate_5": share(_OUTCOMES, "last 5 evaluated models", "blessed"),
        "runs_since_blessed": Wording(
            _SINCE_PUSH, "the last blessing was {} before", _RUNS, {0.0: f"{TRAINED} was blessed"}
        ),
        "blessed_not_pushed_1": flag(
            _WITHHELD,
            "the last evaluated model was blessed and not pushed",
            "the last evaluated model was not withheld after a blessing",
        ),
        "blessed_not_pushed_5": Wording(
            _WITHHELD,
            "{} of the last 5 blessed models were not pushed",
            percent,
            {
                0.0: "the last blessed models were all pushed",
                1.0: "none of the last blessed models was pushed",
            },
        ),
        "metric_1": Wording(_MARGINS, "the metric of the last evaluated model was {}"),
        "baseline_1": Wording(_MARGINS, "the serving model's metric was {} in the last evaluation"),
        "baseline_decay": Wording(
            _MARGINS,
            "the serving model's metric has become worse by {} since it was blessed",
            special={0.0: "the serving model is as good as when it was blessed"},
            negative="the serving model's metric has become better by {} since it was blessed",
        ),
        "value_margin_1": margin(_MARGINS, "the last evaluated model", "value"),
        "value_failures_5": share(_MARGINS, "last 5 evaluated models", "below the value threshold"),
        "change_failures_5": share(
            _MARGINS, "last 5 evaluated models", "below the change threshold"
        ),
        "change_margin_mean": margin(_MARGINS, "on average the last 5 evaluated models", "change"),
        "change_margin_deviation": Wording(
            _MARGINS, "the margins to the change threshold scatter by {}"
        ),
        "change_margin_trend": Wording(
            _MARGINS,
            "the margins to the change threshold rise by {} a run",
            special={0.0: "the margins to the change threshold stay as they are"},
            negative="the margins to the change threshold fall by {} a run",
        ),
        "clone_margin": Wording(
            _CLONE,
            "a model like the serving one would pass the change threshold by {}",
            special={0.0: "a model like the serving one would just reach the change threshold"},
            negative="a model like the serving one would miss the change threshold by {}",
        ),
        "clone_passes": flag(
            _CLONE,
            "a model like the serving one would be blessed",
            "a model like the serving one would not be blessed",
        ),
        "blessed": flag(_EVALUATION, "this model was blessed", "this model was not blessed"),
        "infra_blessed": flag(
            _EVALUATION,
            "this model passed the InfraValidator",
            "the InfraValidator refused this model",
        ),
        "metric": Wording(_EVALUATION, "the metric of this model is {}"),
        "metric_gain": Wording(
            _EVALUATION,
            "this model's metric is better than that of the last by {}",
            special={0.0: "this model's metric is that of the last"},
            negative="this model's metric is worse than that of the last by {}",
        ),
        "value_margin": margin(_EVALUATION, "this model", "value"),
        "change_margin": margin(_EVALUATION, "this model", "change"),
    }
    for n, which in ((1, "last"), (2, "second last"), (3, "third last")):
        run = f"the {which} trained run"
        words[f"blessed_{n}"] = flag(
            _OUTCOMES, f"the model of {run} was blessed", f"the model of {run} was not blessed"
        )
        words[f"change_margin_{n}"] = margin(_MARGINS, f"the {which} evaluated model", "change")
    return words


def _rehearsal() -> dict[str, Wording]:
    small, code = "a small model that was rehearsed", "the code, rehearsed with few steps,"
    words = {
        "chance": Wording(
            _REHEARSAL, "the rehearsal gives this model a chance of {} to be blessed", percent
        ),
        "expected_change": Wording(
            _REHEARSAL,
            "after its rehearsal the model should pass the change threshold by {}",
            negative="after its rehearsal the model should miss the change threshold by {}",
        ),
        "pair_change_margin": Wording(
            _REHEARSAL,
            "the small model of this run passes that of the last blessed one by {}",
            negative="the small model of this run misses that of the last blessed one by {}",
        ),
        "serving_value_margin": margin(_REHEARSAL, "the serving model, rehearsed,", "value"),
    }
    for name, who in (("scout", small), ("probe", code)):
        for kind in ("change", "value"):
            words[f"{name}_{kind}_margin"] = margin(_REHEARSAL, who, kind)
    for name in ("scout_change", "probe_change", "scout_value", "probe_value", "pair_change"):
        who, _, kind = name.partition("_")
        words[f"{name}_chance"] = Wording(
            _REHEARSAL,
            f"the rehearsal's {who} gives a chance of {{}} to meet the {kind} threshold",
            percent,
        )
    return words


def _model() -> dict[str, Wording]:
    words: dict[str, Wording] = {
        "hyperparameters": flag(
            _TRAINING, "the hyperparameters are given by a node", "no node gives hyperparameters"
        ),
        "trainer_type": Wording(_TRAINING, "the Trainer is a {}"),
        "train_steps": Wording(_TRAINING, "it was trained for {}", counted("step")),
        "train_steps_ratio_1": Wording(
            _TRAINING,
            f"it was trained for {{}} as many steps as {TRAINED}",
            times,
            {1.0: f"it was trained for as many steps as {TRAINED}"},
        ),
        "warm_start": flag(
            _TRAINING, "training started from an earlier model", "training started from nothing"
        ),
        "duration_ms": Wording(_TRAINING, "training took {}", duration),
        "duration_ratio": Wording(_TRAINING, "training took {} as long as on average", times),
        "failed": flag(_TRAINING, "the Trainer failed", "the Trainer succeeded"),
        "models": Wording(_TRAINING, "the Trainer put out {}", _MODELS),
    }
    for end, run in (("1", TRAINED), ("pushed", PUSHED)):
        words[f"config_same_{end}"] = flag(
            _TRAINING,
            f"the Trainer's configuration is that of {run}",
            f"the Trainer's configuration is not that of {run}",
        )
    return words


def _shape() -> dict[str, Wording]:
    words = {
        f"trainer_{end}": Wording(_SHAPE, f"the Trainer {verb} {{}}", counted("artifact"))
        for end, verb in (("in", "took in"), ("out", "put out"))
    }
    for role in Role:
        node = role.name.lower().replace("_", " ")
        for when, after in (("", ""), ("after_", " after the Trainer")):
            name = f"{when}{role.name.lower()}"
            words |= {
                f"{name}_executions": Wording(
                    _SHAPE,
                    f"{{}} of kind {node}{after}",
                    counted("node ran", "nodes ran"),
                    {0.0: f"no node of kind {node} ran{after}"},
                ),
                f"{name}_in": Wording(
                    _SHAPE,
                    f"nodes of kind {node}{after} took in {{}} on average",
                    counted("artifact"),
                ),
                f"{name}_out": Wording(
                    _SHAPE,
                    f"nodes of kind {node}{after} put out {{}} on average",
                    counted("artifact"),
                ),
            }
    return words


_GROUPS: Final = {
    "input_data": of_data,
    "code": of_code,
    "history": _history,
    "evaluation": _evaluation,
    "rehearsal": _rehearsal,
    "model": _model,
    "shape": _shape,
}

WORDINGS: Final[Mapping[str, Wording]] = {
    f"{group}.{name}": wording
    for group, words in _GROUPS.items()
    for name, wording in words().items()
}
