"""Features in words: what a value says of a graphlet, and what a person can do about it.

A group declares the ``Wording`` of a feature beside it. Features of one topic say much the same,
so that of a topic one speaks.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Mapping
from typing import Final

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

    def phrase(self, value: float) -> str:
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
