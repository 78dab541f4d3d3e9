"""Features in words: what a value says of a graphlet, and what a person can do about it.

A group declares the ``Wording`` of a feature beside it. ``phrase`` turns one value into half
a sentence, ``topic`` says what a feature is about: features of one topic say much the same,
so that of a topic one is told. Both work for any declared feature, also without a wording.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final, Union

if TYPE_CHECKING:
    from tfx_graphlets.features.table import Feature

Value = Union[float, str, None]

# A run that was skipped has trained nothing: these are graphlets.
TRAINED: Final = "the last trained run"
PUSHED: Final = "the last pushed run"


# -- how values are written -------------------------------------------------------------


def figure(value: float) -> str:
    """At most four significant digits: 0.307, 12, 1,230,000, 3.4e-07.

    A whole number below 10,000 is told exactly, all else to three digits.
    """
    if not math.isfinite(value):
        return "infinite" if value > 0 else "minus infinite"
    if value == round(value) and abs(value) < 10_000:
        return str(round(value))
    if abs(value) < 1000:
        return f"{value:.3g}"
    if abs(value) >= 1e15:
        return f"{value:.2e}"
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}"


def percent(share: float) -> str:
    """A share 0..1 in percent; never 0 % or 100 % for what is neither."""
    text = f"{100 * share:.3g}%"
    if text == "100%" and share < 1:
        return "nearly 100%"
    return text


def times(ratio: float) -> str:
    """A ratio: ``1.2 times``, ``about`` or ``exactly`` as much."""
    text = figure(ratio)
    if text == "1":
        return "exactly" if ratio == 1 else "about"
    return f"{text} times"


def counted(one: str, many: str = "") -> Callable[[float], str]:
    """Writes a number of things: ``1 span``, ``3 spans``."""
    return functools.partial(_count, one, many or one + "s")


def _count(one: str, many: str, value: float) -> str:
    return f"{figure(value)} {one if value == 1 else many}"


def hours(value: float) -> str:
    """Hours as minutes, hours or days, whichever reads best."""
    if abs(value) < 1:
        return counted("minute")(round(60 * value))
    if abs(value) < 72:
        return counted("hour")(float(f"{value:.2g}"))
    return f"{figure(value / 24)} days"


def duration(milliseconds: float) -> str:
    """Milliseconds as such, or as seconds, or as ``hours`` writes it."""
    if abs(milliseconds) < 1000:
        return f"{figure(round(milliseconds))} ms"
    if abs(milliseconds) < 120_000:
        return f"{figure(milliseconds / 1000)} s"
    return hours(milliseconds / 3_600_000)


def size(number: float) -> str:
    """Bytes, kB, MB, GB, TB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if abs(number) < 1000:
            return f"{figure(number)} {unit}"
        number /= 1000
    return f"{figure(number)} TB"


def clock(hour: float) -> str:
    """Hours of a day as ``14:30``."""
    minutes = round(60 * hour) % 1440
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


@dataclasses.dataclass(frozen=True)
class Topic:
    """What some features are about.

    Attributes:
      name: in few words; tells topics apart.
      unknown: what is not known where a feature of it is missing, before "is
        not known".
    """

    name: str
    unknown: str


# Topics of several groups.
DATA: Final = Topic("data", "how the data compare with those of earlier runs")
NEWEST: Final = Topic("newest span", "how sound the newest span of data is")
CALENDAR: Final = Topic("calendar", "what day it is")
OUTCOMES: Final = Topic("outcomes", "what became of the last runs")
SINCE_PUSH: Final = Topic("time since the push", "when the last push was")
WITHHELD: Final = Topic("pushes withheld", "whether blessed models have been pushed")

# Advice of several groups; it does not ask for new code where the code is new.
NOTHING_NEW: Final = (
    "Wait for new data or change the code: what was trained on exactly these data is known"
)
CODE: Final = ("code.trainer_same_1", "code.transform_same_1")


@dataclasses.dataclass(frozen=True)
class Advice:
    """What a person can do where a feature has such a value.

    Attributes:
      holds: whether a value is such a one.
      sentence: without a full stop.
      rank: of a topic the advice of the lowest rank is given.
      unless_new: names of features; not given where the value of one is 0.
    """

    holds: Callable[[float], bool]
    sentence: str
    rank: int = 0
    unless_new: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Wording:
    """How one feature is told.

    Attributes:
      topic: what it is about.
      text: half a sentence, ``{}`` in place of the value.
      form: how the value is written.
      special: half sentences for some values; where ``text`` is empty, the
        nearest of them is told.
      negative: half a sentence for values below 0, which are told without
        their sign; ``text`` where there is none.
      rank: of a group's features on one topic, the one of the lowest rank says
        it best; of one rank the one that is declared first.
      advice: what to do about it.
    """

    topic: Topic
    text: str = ""
    form: Callable[[float], str] = figure
    special: Mapping[float, str] = dataclasses.field(default_factory=dict)
    negative: str = ""
    rank: int = 0
    advice: Advice | None = None

    def tell(self, value: float) -> str:
        """The half sentence of a value."""
        if value in self.special:
            return self.special[value]
        if not self.text:
            return self.special[min(self.special, key=lambda known: abs(known - value))]
        if value < 0 and self.negative:
            return self.negative.format(self.form(-value))
        return self.text.format(self.form(value))

    def ranked(self, rank: int) -> Wording:
        """The same with another rank."""
        return dataclasses.replace(self, rank=rank)

    def advising(
        self,
        holds: Callable[[float], bool],
        sentence: str,
        rank: int = 0,
        unless_new: tuple[str, ...] = (),
    ) -> Wording:
        """The same with an advice; see ``Advice``."""
        return dataclasses.replace(self, advice=Advice(holds, sentence, rank, unless_new))


# -- wordings of a kind ------------------------------------------------------------------


def flag(topic: Topic, yes: str, no: str) -> Wording:
    """Of a feature that is 1 or 0."""
    return Wording(topic, special={1.0: yes, 0.0: no})


def share(topic: Topic, runs: str, fate: str) -> Wording:
    """Of the share 0..1 of some runs that a fate befell."""
    special = {0.0: f"none of the {runs} was {fate}", 1.0: f"all of the {runs} were {fate}"}
    return Wording(topic, f"{{}} of the {runs} were {fate}", percent, special)


def margin(topic: Topic, who: str, kind: str) -> Wording:
    """Of a margin to a threshold, negative where it was missed."""
    return Wording(
        topic,
        f"{who} passed the {kind} threshold by {{}}",
        special={0.0: f"{who} just reached the {kind} threshold"},
        negative=f"{who} missed the {kind} threshold by {{}}",
    )


def above(limit: float) -> Callable[[float], bool]:
    """Of values above a limit."""
    return functools.partial(operator.lt, limit)


def below(limit: float) -> Callable[[float], bool]:
    """Of values below a limit."""
    return functools.partial(operator.gt, limit)


def equal(expected: float) -> Callable[[float], bool]:
    """Of one value."""
    return functools.partial(operator.eq, expected)


# -- features and their values ----------------------------------------------------------


def phrase(feature: Feature, value: Value) -> str:
    """What a value of a feature says, as half a sentence without a full stop.

    >>> from tfx_graphlets import Stage
    >>> from tfx_graphlets.features import all_features
    >>> named = {feature.name: feature for feature in all_features(Stage.INPUT)}
    >>> phrase(named["history.runs_since_push"], 3.0)
    'the last push was 3 trained runs before'

    Args:
      feature: its declaration; one without a wording of its own is told by
        name and unit.
      value: None or NaN where it is missing.
    """
    wording = feature.wording
    if value is None or (isinstance(value, float) and math.isnan(value)):
        unknown = wording.topic.unknown if wording else _plain(feature)
        why = "" if feature.missing == "never" else f": {feature.missing}"
        return f"{unknown} is not known{why}"
    if isinstance(value, str):
        return wording.text.format(value) if wording else f"{_plain(feature)} is {value}"
    return wording.tell(float(value)) if wording else _by_declaration(feature, float(value))


def topic(feature: Feature) -> str:
    """Name of what a feature is about.

    For a feature without a wording: its group and the first word of its name.
    """
    return feature.wording.topic.name if feature.wording else feature.name.partition("_")[0]


def advice(features: Iterable[Feature], values: Mapping[str, Value]) -> str:
    """What to do where features have such values; the most pressing alone, "" for nothing.

    Args:
      features: of one topic.
      values: by feature name, also of others; None or absent where missing.
    """
    found = []
    for feature in features:
        rule, value = feature.wording and feature.wording.advice, values.get(feature.name)
        if (
            rule
            and isinstance(value, (int, float))
            and rule.holds(value)
            and not any(values.get(name) == 0 for name in rule.unless_new)
        ):
            found.append(rule)
    return min(found, key=lambda rule: rule.rank).sentence if found else ""


_OF_WHICH: Final = (
    (re.compile(r" 1$"), " (against the last trained run)"),
    (re.compile(r" pushed$"), " (against the last pushed run)"),
)


def _plain(feature: Feature) -> str:
    """A feature's name in words: ``label share (against the last trained run)``."""
    words = feature.name.partition(".")[2].replace("_", " ")
    for pattern, replacement in _OF_WHICH:
        words = pattern.sub(replacement, words)
    return words


def _by_declaration(feature: Feature, value: float) -> str:
    unit, _, of_what = feature.unit.partition(", ")
    if unit == "0 or 1":
        told = f"{_plain(feature)} ({of_what})" if of_what else _plain(feature)
        return f"{told}: {'yes' if value else 'no'}"
    if "0..1" in feature.unit:
        return f"{_plain(feature)} is {percent(value)} ({feature.unit})"
    if unit == "ms":
        return f"{_plain(feature)} is {duration(value)}"
    return f"{_plain(feature)} is {figure(value)} ({feature.unit})"
