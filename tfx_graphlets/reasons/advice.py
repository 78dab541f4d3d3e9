"""What a person can do about a graphlet that is unlikely to be pushed.

Each rule is about one feature: where its value is such, there is something to
do. A sentence is told only where the feature's topic spoke against the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Union

Value = Union[float, str, None]

_FIX: Final = "Push a fix of the code: its last model missed the value threshold"
_NOTHING_NEW: Final = (
    "Wait for new data or change the code: what was trained on exactly these data is known"
)
_SAME_CODE: Final = ("code.trainer_same_1", "code.transform_same_1")
_BAR: Final = "Review the thresholds: they would keep out even a model as good as the serving one"


def _is(expected: float) -> Callable[[float], bool]:
    return lambda value: value == expected


def _above(limit: float) -> Callable[[float], bool]:
    return lambda value: value > limit


def _below(limit: float) -> Callable[[float], bool]:
    return lambda value: value < limit


# The first that holds is told.
_RULES: Final[tuple[tuple[str, Callable[[float], bool], str], ...]] = (
    ("evaluation.blessed", _is(0), "Look at this model's evaluation: it was not blessed"),
    ("evaluation.infra_blessed", _is(0), "Look at the InfraValidator: it refused this model"),
    ("code.trainer_value_failed", _is(1), _FIX),
    ("code.trainer_value_margin", _below(0), _FIX),
    ("code.transform_value_failed", _is(1), _FIX),
    ("code.transform_value_margin", _below(0), _FIX),
    (
        "input_data.newest_anomalies",
        _above(0),
        "Look at the anomalies that ExampleValidator found in the newest span",
    ),
    ("input_data.anomalies", _above(0), "Look at the anomalies that ExampleValidator found"),
    (
        "input_data.missing_rise_newest",
        _above(0.1),
        "Look at the newest span: it lacks values that earlier spans have",
    ),
    (
        "input_data.features_lost",
        _above(0),
        "Look at the newest span: it lacks features that earlier spans have",
    ),
    (
        "input_data.newest_bytes_ratio",
        _below(0.5),
        "Look at the newest span: it is much smaller than others, some of it may be missing",
    ),
    ("input_data.missing_spans", _above(0), "Deliver the spans that are missing"),
    ("input_data.schema_changed_1", _is(1), "Check the change of the schema"),
    ("history.failed_1", _is(1), "Mend the Trainer: the last one failed"),
    ("evaluation.blessed_not_pushed_1", _is(1), "See what keeps blessed models from being pushed"),
    ("evaluation.clone_passes", _is(0), _BAR),
    ("input_data.jaccard_1", _is(1), _NOTHING_NEW),
    ("history.same_spans_runs", _above(0), _NOTHING_NEW),
)


def advice(values: Mapping[str, Value]) -> dict[str, str]:
    """Sentences without a full stop, by the name of the feature that each is about.

    Args:
      values: by feature name, None where missing; names without a rule and
        rules without a value are passed over.

    Returns:
      The most pressing first.
    """
    new_code = any(values.get(name) == 0 for name in _SAME_CODE)
    found = {}
    for name, holds, sentence in _RULES:
        value = values.get(name)
        if isinstance(value, (int, float)) and holds(value):
            if new_code and (sentence is _NOTHING_NEW or name.startswith("code.previous_")):
                continue
            found[name] = sentence
    return found
