"""Features in words: what a value says of a graphlet, for the reason of a decision.

``phrase`` turns one value into half a sentence, ``topic`` says what a feature
is about: features of one topic say much the same, so that of a topic one is
told. Both work for any declared feature; ``phrases`` holds the wordings.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Mapping
from typing import Final, Union

from tfx_graphlets.features.table import Feature

Value = Union[float, str, None]

# A run that was skipped has trained nothing: these are graphlets.
TRAINED: Final = "the last trained run"
PUSHED: Final = "the last pushed run"


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
    """

    topic: Topic
    text: str = ""
    form: Callable[[float], str] = lambda value: figure(value)  # noqa: PLW0108 - below
    special: Mapping[float, str] = dataclasses.field(default_factory=dict)
    negative: str = ""

    def tell(self, value: float) -> str:
        """The half sentence of a value."""
        if value in self.special:
            return self.special[value]
        if not self.text:
            return self.special[min(self.special, key=lambda known: abs(known - value))]
        if value < 0 and self.negative:
            return self.negative.format(self.form(-value))
        return self.text.format(self.form(value))


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
    wording = _wordings().get(feature.name)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        unknown = wording.topic.unknown if wording else _plain(feature)
        why = "" if feature.missing == "never" else f": {feature.missing}"
        return f"{unknown} is not known{why}"
    if isinstance(value, str):
        return wording.text.format(value) if wording else f"{_plain(feature)} is {value}"
    return wording.tell(float(value)) if wording else _by_declaration(feature, float(value))


def obscurity(feature: Feature) -> int:
    """Of two features that say the same, the one of lower obscurity says it better."""
    return _order().get(feature.name, len(_order()))


def topic(feature: Feature) -> str:
    """Name of what a feature is about.

    For a feature without a wording: its group and the first word of its name.
    """
    wording = _wordings().get(feature.name)
    if wording is not None:
        return wording.topic.name
    return feature.name.partition("_")[0]


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

    def form(value: float) -> str:
        return f"{figure(value)} {one if value == 1 else many or one + 's'}"

    return form


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


# -- features without a wording ---------------------------------------------------------


def _wordings() -> Mapping[str, Wording]:
    from tfx_graphlets.reasons.phrases import WORDINGS

    return WORDINGS


@functools.cache
def _order() -> Mapping[str, int]:
    return {name: order for order, name in enumerate(_wordings())}


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
