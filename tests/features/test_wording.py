"""Every registered feature can be told in words."""

from __future__ import annotations

import re

import pytest

from tfx_graphlets.features import all_features
from tfx_graphlets.features.table import Feature, FeatureKind, advice
from tfx_graphlets.features.wording import TRAINED, duration, figure, hours, percent, size
from tfx_graphlets.vocabulary import Stage

FEATURES = all_features(Stage.VALIDATION)
NAMED = {feature.name: feature for feature in FEATURES}
NO_PUSH = NAMED["history.hours_since_push"].missing
NUMBERS = (0.0, 1.0, 2.0, 1 / 3, -1 / 3, 0.9999999, 1.0000001, 71.23456, 98_765.4321, 1.5e12, 1e-9)
LONG = re.compile(r"\d[\d,.]*(?:e[+-]?\d+)?")


def significant_digits(figure_text: str) -> int:
    """How many digits of a written number say something."""
    mantissa = figure_text.partition("e")[0].strip(",.")
    digits = mantissa.replace(",", "").replace(".", "").lstrip("0")
    return len(digits if "." in mantissa else digits.rstrip("0"))


def test_every_feature_has_a_phrase_without_long_figures() -> None:
    """Whatever the value, there is a phrase, and no figure has more than four digits that count."""
    for feature in FEATURES:
        values = NUMBERS if feature.kind is FeatureKind.NUMBER else ("KerasTrainer",)
        for value in (*values, None, float("nan")):
            told = feature.phrase(value)
            assert told.strip()
            assert not told.endswith(".")
            assert "{" not in told
            assert "nan" not in told.split()
            figures = LONG.findall(told.replace(feature.missing, "").replace(feature.unit, ""))
            assert all(significant_digits(found) <= 4 for found in figures), told
        assert feature.topic


def test_a_rehearsal_is_one_topic() -> None:
    """Of all that it measured the reason tells one thing, and none by its declaration alone."""
    rehearsed = [feature for feature in FEATURES if feature.name.startswith("rehearsal.")]
    assert all(feature.wording for feature in rehearsed)
    assert len({feature.topic for feature in rehearsed}) == 1


def test_advice_is_about_the_value_and_is_no_whole_sentence() -> None:
    """Each feature that advises does so for some values, and not where its value is missing."""
    advising = [one for one in FEATURES if one.wording and one.wording.advice]
    assert len(advising) > 10
    for feature in advising:
        given = {advice([feature], {feature.name: value}) for value in (-1.0, 0.0, 1.0)}
        assert len(given) == 2, feature.name
        assert not any(sentence.endswith(".") for sentence in given)
        assert advice([feature], {feature.name: None}) == ""
        assert advice([feature], {feature.name: float("nan")}) == ""


def test_the_most_pressing_advice_is_given_and_none_for_what_was_done() -> None:
    """Anomalies of the newest span come before its size; new code is not asked for again."""
    newest = ("input_data.newest_bytes_ratio", "input_data.newest_anomalies")
    members = [NAMED[name] for name in newest]
    assert "anomalies" in advice(members, dict(zip(newest, (0.1, 3.0))))
    assert "smaller" in advice(members, dict(zip(newest, (0.1, 0.0))))
    same = [NAMED["input_data.jaccard_1"]]
    assert advice(same, {"input_data.jaccard_1": 1.0}) != ""
    assert advice(same, {"input_data.jaccard_1": 1.0, "code.transform_same_1": 0.0}) == ""


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("input_data.jaccard_1", 1.0, "the data are exactly those of the last trained run"),
        ("input_data.jaccard_1", 0.7, "the data overlap to 70% with those of the last trained run"),
        ("input_data.mean_shift_1", 0.0, "no feature's mean has moved since the last trained run"),
        ("code.transform_last_pushed", 0.0, "the code is that of a graphlet that was not pushed"),
        ("code.transform_runs", 0.0, "the code is new"),
        (
            "code.transform_value_margin", -0.7206,
            "the last model of this code missed the value threshold by 0.721",
        ),
        ("history.runs_since_push", 1.0, "the last push was 1 trained run before"),
        ("history.hours_since_push", 30.2, "the last push was 30 hours ago"),
        ("history.push_rate_5", 0.2, "20% of the last 5 trained runs were pushed"),
        (
            "rehearsal.scout_change_margin", -0.0312,
            "a small model that was rehearsed missed the change threshold by 0.0312",
        ),
        ("rehearsal.chance", 0.25, "the rehearsal gives this model a chance of 25% to be blessed"),
        ("history.push_rate_5", 0.0, "none of the last 5 trained runs was pushed"),
        ("history.rhythm_ratio", 1.002, f"the time since {TRAINED} is about as long as usual"),
        ("history.hours_since_push", None, f"when the last push was is not known: {NO_PUSH}"),
    ],
)  # fmt: skip
def test_phrases(name: str, value: float | None, told: str) -> None:
    """Some values and what is said of them."""
    assert NAMED[name].phrase(value) == told


def test_features_of_one_meaning_share_a_topic() -> None:
    """That the data are the same is said once: three features of it are one topic."""
    same = ("input_data.jaccard_1", "input_data.similarity_1", "input_data.mean_shift_1")
    assert len({NAMED[name].topic for name in same}) == 1
    assert NAMED["input_data.jaccard_1"].topic != NAMED["history.pushed_1"].topic


@pytest.mark.parametrize(
    ("name", "unit", "value", "told"),
    [
        ("moon.phase", "share 0..1", 0.5, "phase is 50% (share 0..1)"),
        ("moon.full_1", "0 or 1", 1.0, "full (against the last trained run): yes"),
        ("moon.seen", "0 or 1, by the dog", 0.0, "seen (by the dog): no"),
        ("moon.age_ms", "ms", 61_000.0, "age ms is 61 s"),
        ("moon.craters", "count", 12_345.0, "craters is 12,300 (count)"),
    ],
)
def test_a_feature_without_a_wording_is_told_by_its_declaration(
    name: str, unit: str, value: float, told: str
) -> None:
    """Name and unit serve where nobody has written a phrase."""
    feature = Feature(name, Stage.PRE, FeatureKind.NUMBER, unit, "a cloudy night", "sky")
    assert feature.phrase(value) == told
    assert feature.phrase(None).endswith(" is not known: a cloudy night")
    assert feature.topic == name.partition("_")[0]


def test_figures_are_short() -> None:
    """Four digits that count at most, and the unit that reads best."""
    assert [figure(x) for x in (3.0, 9999.0, 12_345.0, 0.30712)] == ["3", "9999", "12,300", "0.307"]
    assert [percent(x) for x in (0.0, 0.9999, 1.0)] == ["0%", "nearly 100%", "100%"]
    assert [hours(x) for x in (0.25, 1.0, 96.0)] == ["15 minutes", "1 hour", "4 days"]
    assert [duration(x) for x in (20.0, 3432.0, 7_200_000.0)] == ["20 ms", "3.43 s", "2 hours"]
    assert [size(x) for x in (12.0, 3.2e6, 5e13)] == ["12 bytes", "3.2 MB", "50 TB"]
