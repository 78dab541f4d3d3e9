"""Decision: what a gate decided about a run, and what that rests on, as values.

``Contribution`` is what moved the probability, ``SimilarGraphlet`` a past graphlet that the
model takes for the same kind, with what became of it. ``gate.record`` reads a
``PastDecision`` from a trace.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

# So many are named, none that rounds to nothing or is small beside the strongest.
_MOST_NAMED: Final = 3
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


def contributions_in_words(contributions: Sequence[Contribution], *, speak_for: bool) -> str:
    """What speaks for the run, or against it, the strongest first; "" if nothing does."""
    return ", ".join(map(str, _worth_naming(contributions, 1 if speak_for else -1)))


def advice_in_words(contributions: Sequence[Contribution]) -> str:
    """What a person can do, of the strongest that speaks against the run; "" if nothing."""
    return next((c.advice for c in _worth_naming(contributions, -1) if c.advice), "")


def _worth_naming(contributions: Sequence[Contribution], sign: int) -> list[Contribution]:
    strongest = max((sign * contribution.effect for contribution in contributions), default=0.0)
    least = max(_LEAST_EFFECT, _LEAST_SHARE * strongest)
    return [c for c in contributions if sign * c.effect >= least][:_MOST_NAMED]


def similar_in_words(similar: Sequence[SimilarGraphlet]) -> str:
    """What became of the most similar graphlets, a sentence without a full stop; "" for none.

    >>> similar_in_words([SimilarGraphlet(7, "r1", 0, False, 0.9)])
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


_FIGURES: Final = ("probability", "threshold", "risk", "freshness")


@dataclasses.dataclass(frozen=True)
class NodeDecision:
    """What a gate found about one of the Trainer nodes that it stands before.

    Attributes:
      node: node id of the Trainer.
      proceed: whether the run goes on as far as this node is concerned.
      would_skip: what it would be were the gate neither in shadow mode nor forced.
      probability: of a push, 0..1; None where there is no prediction.
      threshold: below it the node is skipped, 0..1; None where there is none.
      risk: the most by which the run, were this node's model needed, was likely
        to be skipped, 0..1; 0 where another node let the run go on.
      freshness: share of pushes that the threshold was chosen to keep; None
        where it was not chosen for one.
      explored: whether it proceeds only because skips are explored.
      cache_hit: whether the training is one that TFX's cache holds: a skip of it
        saves nothing.
      reason: why.
    """

    node: str
    proceed: bool
    would_skip: bool
    probability: float | None = None
    threshold: float | None = None
    risk: float = 0.0
    freshness: float | None = None
    explored: bool = False
    cache_hit: bool = False
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class PastDecision:
    """One GateDecision artifact of an earlier run.

    The fields from ``pipeline`` on have the values of an artifact that does not
    state them (one of an earlier release) as their defaults.

    Attributes:
      time_ms: create time of the artifact, milliseconds since the epoch.
      stage: where the gate stood; "" where the artifact does not say.
      gate: node id of the gate; "" where neither artifact nor node context say.
      run: name of the run; "" where there is none.
      proceed: whether the run was let through.
      would_skip: what the gate would have done were it not in shadow mode.
      shadow: whether it was.
      pipeline: name of the pipeline; "" where there is none.
      explored: whether it was let through only because skips are explored.
      exploration: share of predicted skips that ran anyway, 0..1.
      risk: the most by which the run, were it to push, was likely to be
        skipped, 0..1; 0 where the gate could not skip.
      probability: of a push, 0..1; None where there was no prediction.
      threshold: below it the gate skips, 0..1; None where there was none.
      freshness: share of pushes that the threshold was chosen to keep, 0..1;
        None where it was not chosen for one.
      failed_open: whether the gate broke and let the run through.
      fault: what kept it from deciding, as a code; "" where nothing did.
      seconds: what the decision took; None where the artifact does not say.
      reason: its sentence; "" where the trace was read without.
      nodes: what it found about each Trainer node behind it; empty where the
        artifact does not say.
      node: of which Trainer node the figures are; "" for the gate's own.
    """

    time_ms: int
    stage: str
    gate: str
    run: str
    proceed: bool
    would_skip: bool
    shadow: bool
    pipeline: str = ""
    explored: bool = False
    exploration: float = 0.0
    risk: float = 0.0
    probability: float | None = None
    threshold: float | None = None
    freshness: float | None = None
    failed_open: bool = False
    reason: str = ""
    nodes: tuple[NodeDecision, ...] = ()
    node: str = ""
    fault: str = ""
    seconds: float | None = None

    def of_node(self, node: str) -> PastDecision | None:
        """The decision with the figures of one Trainer node; None where it is not about that one.

        Whether the run went on stays what it was: that is the whole gate's. A
        decision that names no nodes is about each.
        """
        if not self.nodes or not node:
            return dataclasses.replace(self, node=node)
        found = next((one for one in self.nodes if one.node == node), None)
        if found is None:
            return None
        figures = {name: getattr(found, name) for name in _FIGURES}
        return dataclasses.replace(self, node=node, **figures)

    @property
    def cache_hit(self) -> bool:
        """Whether TFX's cache held the training of the node that the figures are of, or of all."""
        mine = [one for one in self.nodes if self.node in ("", one.node)]
        return bool(mine) and all(one.cache_hit for one in mine)

    @property
    def followed(self) -> bool:
        """Whether it only followed the skip of a gate at an earlier stage."""
        nothing_predicted = self.probability is None and self.threshold is None
        return not self.proceed and nothing_predicted and not self.fault
