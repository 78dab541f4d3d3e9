"""Evidence: what a decision rests on, as values, and how it is told.

``Contribution`` is what moved the probability, ``SimilarGraphlet`` a past
graphlet that the model takes for the same kind, with what became of it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

# So many are told, none that rounds to nothing or is small beside the strongest.
_MOST_TOLD: Final = 3
_LEAST_EFFECT: Final = 0.005
_LEAST_SHARE: Final = 0.1


@dataclasses.dataclass(frozen=True)
class Contribution:
    """How much something about the run moved the probability.

    Attributes:
      feature: name of the feature that says it best; features that mean much
        the same are one contribution.
      value: its value as text, ``missing`` where there is none.
      effect: probability minus what it would be had that feature, and those
        that mean the same, their usual values; negative speaks for skipping.
      phrase: what the value says, half a sentence; "" where nobody worded it.
      advice: what a person can do about it, a sentence without a full stop; ""
        where nothing is known to help.
    """

    feature: str
    value: str
    effect: float
    phrase: str = ""
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.phrase or f'{self.feature} = {self.value}'} ({self.effect:+.2f})"


@dataclasses.dataclass(frozen=True)
class SimilarGraphlet:
    """A past graphlet that is like the one decided upon, and its fate.

    Attributes:
      trainer: MLMD id of its Trainer execution.
      run: name of its run; "" where it is not known.
      decision_ms: when a gate at the same stage would have decided on it,
        milliseconds since the epoch.
      pushed: whether it was pushed; else it was trained and was not.
      similarity: 0..1, see ``WasteModel.similar``.
    """

    trainer: int
    run: str
    decision_ms: int
    pushed: bool
    similarity: float

    @property
    def name(self) -> str:
        """Its run, or its Trainer's id where the run is not known."""
        return self.run or str(self.trainer)


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What a waste model says of one graphlet.

    Attributes:
      probability: of a push, 0..1.
      contributions: what moved it, the largest first.
      similar: past graphlets of the same kind, the most similar first.
    """

    probability: float
    contributions: tuple[Contribution, ...]
    similar: tuple[SimilarGraphlet, ...]


def told_contributions(contributions: Sequence[Contribution], *, speak_for: bool) -> str:
    """What speaks for the run, or against it, the strongest first; "" if nothing does."""
    return ", ".join(map(str, _worth_telling(contributions, 1 if speak_for else -1)))


def told_advice(contributions: Sequence[Contribution]) -> str:
    """What a person can do, of the strongest that speaks against the run; "" if nothing."""
    return next((c.advice for c in _worth_telling(contributions, -1) if c.advice), "")


def _worth_telling(contributions: Sequence[Contribution], sign: int) -> list[Contribution]:
    strongest = max((sign * contribution.effect for contribution in contributions), default=0.0)
    least = max(_LEAST_EFFECT, _LEAST_SHARE * strongest)
    return [c for c in contributions if sign * c.effect >= least][:_MOST_TOLD]


def told_similar(similar: Sequence[SimilarGraphlet]) -> str:
    """What became of the most similar graphlets, a sentence without a full stop; "" for none.

    >>> told_similar([SimilarGraphlet(7, "r1", 0, False, 0.9)])
    'The most similar past graphlet was not pushed (run r1)'
    """
    if not similar:
        return ""
    pushed = [graphlet for graphlet in similar if graphlet.pushed]
    kept_out = [graphlet for graphlet in similar if not graphlet.pushed]
    if pushed and kept_out:
        return (
            f"Of the {len(similar)} most similar past graphlets {_were(pushed)} pushed "
            f"({_named(pushed)}) and {_were(kept_out)} not ({_named(kept_out)})"
        )
    fate = "pushed" if pushed else "not pushed"
    if len(similar) == 1:
        return f"The most similar past graphlet was {fate} ({_named(similar)})"
    return f"The {len(similar)} most similar past graphlets were {fate} ({_named(similar)})"


def _were(graphlets: Sequence[SimilarGraphlet]) -> str:
    return f"{len(graphlets)} {'was' if len(graphlets) == 1 else 'were'}"


def _named(graphlets: Sequence[SimilarGraphlet]) -> str:
    groups = []
    for kind, known in (("run", True), ("Trainer execution", False)):
        names = [graphlet.name for graphlet in graphlets if bool(graphlet.run) is known]
        if names:
            groups.append(f"{kind}{'' if len(names) == 1 else 's'} {', '.join(names)}")
    return ", ".join(groups)
