"""What a gate knows of a Trainer node at a moment, and the scores it chooses a threshold from.

The live gate reads both from what earlier gates left in the store, the replay
keeps them while it goes on; that both do it here is what makes a replay tell
what a live gate would do.

>>> account = NodeAccount(freshness=0.5)
>>> account.trained(0)
>>> account.outcome_known(pushed_ms=3_600_000)
>>> account.state(7_200_000, draw=0.3).hours_since_last_push
1.0
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final, Union

import numpy as np

from tfx_graphlets.policy.decide import GateDecision, GatePolicy, GateState, decide
from tfx_graphlets.policy.decision import Contribution, PastDecision, SimilarGraphlet
from tfx_graphlets.policy.freshness import (
    DelayLedger,
    FreshnessLedger,
    Ledger,
    ThresholdChoice,
    choose_threshold,
)
from tfx_graphlets.vocabulary import HOUR_MS

_LEAST_SHARE: Final = 1e-6


Decision = Union[GateDecision, PastDecision]


@dataclasses.dataclass
class NodeAccount:
    """State and account of one Trainer node; told what happened, in the order of time.

    Attributes:
      freshness: share of pushes to keep, 0..1.
      delay: runs that a push may wait on average, which is promised in place of
        that; None: the share is.
      shadow: the gate skips nothing: what it would have skipped in shadow mode
        counts as skipped, and as no attempt.
      labelled: graphlets of the node whose outcome is known.
      pushes: those among them that were pushed.
      skips: runs that were skipped since the last that ran.
      last_push_ms, last_attempt_ms: milliseconds since the epoch; None where
        there was none.
      runs: runs that the gate decided about.
      ledger: account of the risk that needed graphlets were put at.
    """

    freshness: float
    delay: float | None = None
    shadow: bool = False
    labelled: int = 0
    pushes: int = 0
    skips: int = 0
    last_push_ms: int | None = None
    last_attempt_ms: int | None = None
    runs: int = 0
    ledger: Ledger = dataclasses.field(init=False)
    _last_needed: int = 0  # the run of the latest needed graphlet, counted from 1

    def __post_init__(self) -> None:
        self.ledger = (
            FreshnessLedger(self.freshness) if self.delay is None else DelayLedger(self.delay)
        )

    def counts_as_skipped(self, decision: Decision, *, shadow: bool) -> bool:
        """Whether a decision counts as a skip.

        Args:
          decision: the decision.
          shadow: whether it was taken in shadow mode.
        """
        return not decision.proceed or (self.shadow and shadow and decision.would_skip)

    def decided(self, decision: Decision, *, shadow: bool = False) -> int:
        """The gate decided about a run; see ``counts_as_skipped`` for the arguments.

        Returns: the number of the run, for ``needed``.
        """
        skipped = self.counts_as_skipped(decision, shadow=shadow)
        self.skips = self.skips + 1 if skipped else 0
        self.runs += 1
        return self.runs

    def trained(self, moment_ms: int) -> None:
        """A run went on to its Trainer, whatever let it and whatever became of it.

        It ends a row of skips, but in shadow mode, where every run trains.
        """
        self.last_attempt_ms = max(moment_ms, self.last_attempt_ms or moment_ms)
        if not self.shadow:
            self.skips = 0

    def outcome_known(self, *, pushed_ms: int | None) -> None:
        """A graphlet is known to be pushed at a moment, or (None) not to be."""
        self.labelled += 1
        if pushed_ms is not None:
            self.pushes += 1
            self.last_push_ms = max(pushed_ms, self.last_push_ms or pushed_ms)

    def needed(self, decision: Decision, *, censored: bool, run: int | None = None) -> None:
        """A graphlet that the gate had decided about is known to be needed.

        Args:
          decision: the decision about it.
          censored: had it been skipped, nobody would know that it was needed.
          run: what ``decided`` said of it; the latest by default.
        """
        number = self.runs if run is None else run
        since, self._last_needed = number - self._last_needed, max(number, self._last_needed)
        self.ledger = self.ledger.after_push(decision.risk, censored=censored, runs=max(since, 0))

    def state(self, moment_ms: int, *, draw: float, pushes: int | None = None) -> GateState:
        """What is known at a moment.

        Args:
          moment_ms: milliseconds since the epoch, not before what was told.
          draw: of the run's exploration.
          pushes: of all nodes of the pipeline: a model in serving is the
            pipeline's, whichever node trained it; None: those of this node.
        """
        return GateState(
            labelled=self.labelled,
            pushes=self.pushes if pushes is None else pushes,
            consecutive_skips=self.skips,
            hours_since_last_push=_hours(self.last_push_ms, moment_ms),
            hours_since_last_attempt=_hours(self.last_attempt_ms, moment_ms),
            draw=draw,
        )


@dataclasses.dataclass(frozen=True)
class SeenScore:
    """A score that a gate has given, and what is known of it since.

    Attributes:
      score: probability of a push, 0..1.
      moment_ms: when it was given, milliseconds since the epoch.
      needed: what the graphlet turned out to be; None: it was skipped.
      explored: it proceeded only because skips are explored.
    """

    score: float
    moment_ms: int
    needed: bool | None
    explored: bool = False


class ThresholdSample:
    """Out-of-sample scores of what became known, from which thresholds are chosen.

    The needed graphlets that a gate has skipped are missing from them, and a
    threshold chosen from the rest would creep up. So a skipped graphlet counts as so
    much of a push as its score says, times what the explored ones show that scores
    below the threshold are worth.

    Args:
      scores: out-of-sample scores of the history, [n].
      needed: what became of each, [n].
    """

    def __init__(self, scores: Sequence[float], needed: Sequence[bool]) -> None:
        self._scores, self._needed = list(scores), list(needed)
        self._share = [1.0] * len(self._scores)  # of a push; below 1 if skipped
        self._explored_scores = self._explored_needed = 0.0

    def skipped(self, score: float) -> None:
        """A graphlet of this score was skipped, and nobody will know."""
        self._scores.append(score)
        self._needed.append(True)
        self._share.append(min(max(score, _LEAST_SHARE), 1.0 - _LEAST_SHARE))

    def learnt(self, score: float, needed: bool, *, explored: bool, new: bool = True) -> int:
        """The outcome of a graphlet that was let through.

        Args:
          score: what it was given when it was decided about.
          needed: whether it is needed, as far as is known now.
          explored: whether it proceeded only because skips are explored.
          new: it is not in the history already.

        Returns: its place, for ``became_needed``; -1 where it has none.
        """
        if explored:
            self._explored_scores += score
            self._explored_needed += needed
        if not new:
            return -1
        self._scores.append(score)
        self._needed.append(needed)
        self._share.append(1.0)
        return len(self._scores) - 1

    def add(self, seen: Iterable[SeenScore], *, trained_ms: int) -> None:
        """What a gate has seen; outcomes until ``trained_ms`` are in the history already."""
        for one in seen:
            if one.needed is None:
                self.skipped(one.score)
            else:
                new = one.moment_ms > trained_ms
                self.learnt(one.score, one.needed, explored=one.explored, new=new)

    def became_needed(self, place: int, *, explored: bool) -> None:
        """A graphlet that was learnt as not needed has led to a push."""
        self._needed[place] = True
        self._explored_needed += explored

    def choose(self, freshness: float, ledger: Ledger | None) -> ThresholdChoice:
        """The highest threshold that keeps a share of pushes (``choose_threshold``)."""
        weights = np.asarray(self._share)
        # One pseudo-observation keeps a single explored push from deciding alone.
        worth = (self._explored_needed + 1) / (self._explored_scores + 1)
        weights = np.where(weights < 1.0, weights * max(worth, 1.0), 1.0)
        return choose_threshold(
            self._scores, self._needed, freshness, weights=weights.tolist(), ledger=ledger
        )


def decide_by(
    policy: GatePolicy,
    choice: ThresholdChoice | None,
    probability: float | None,
    state: GateState,
    *,
    stage: str = "",
    model_fingerprint: str = "",
    contributions: Sequence[Contribution] = (),
    similar: Sequence[SimilarGraphlet] = (),
) -> GateDecision:
    """``decide`` with a threshold that was chosen; it carries the choice's risk and promise.

    Args:
      policy: what the gate may do.
      choice: the threshold; None: that of the policy, which promises nothing.
      probability, state, stage, model_fingerprint, contributions, similar: see ``decide``.
    """
    if choice is not None:
        policy = dataclasses.replace(policy, threshold=choice.threshold)
        state = dataclasses.replace(state, threshold_note=choice.note or None)
    decision = decide(
        policy,
        probability,
        state,
        stage=stage,
        model_fingerprint=model_fingerprint,
        contributions=contributions,
        similar=similar,
        risk=choice.risk if choice else 0.0,
    )
    return dataclasses.replace(decision, freshness=choice.freshness if choice else None)


def together(names: Sequence[str], found: Sequence[GateDecision]) -> tuple[GateDecision, ...]:
    """What a gate decides from its findings about the Trainer nodes behind it.

    It proceeds if it would for any of them (docs/graphlets.md, The unit of a decision), and says
    which; a node that another one lets run is at no risk.

    Args:
      names: of the nodes.
      found: what is decided about each alone, at least one.

    Returns:
      The decision with the figures of each node, in their order.
    """
    if len(found) == 1:
        return tuple(found)
    lets_run = [one.proceed and not one.explored for one in found]
    proceed = any(one.proceed for one in found)
    would_skip, reason = all(one.would_skip for one in found), _reason_of_all(names, found)
    return tuple(
        dataclasses.replace(
            one,
            proceed=proceed,
            would_skip=would_skip,
            explored=proceed and not any(lets_run),
            reason=reason,
            risk=0.0 if any(lets_run[:at] + lets_run[at + 1 :]) else one.risk,
        )
        for at, one in enumerate(found)
    )


def settling(found: Sequence[GateDecision]) -> int:
    """Which of several decisions settles the run.

    The first that lets the run go on, not only to explore; else the one whose probability is
    highest.
    """
    order = sorted(
        range(len(found)),
        key=lambda at: (found[at].proceed and not found[at].explored, _score(found[at])),
    )
    return order[-1]


def _score(decision: GateDecision) -> float:
    return -1.0 if decision.probability is None else decision.probability


def _reason_of_all(names: Sequence[str], found: Sequence[GateDecision]) -> str:
    running = [name for name, one in zip(names, found) if one.proceed]
    skipped = [name for name, one in zip(names, found) if not one.proceed]
    if running and skipped:
        about = f"Because of {' and '.join(running)}, and not of {' and '.join(skipped)}. "
    else:
        about = f"For {' and '.join(running or skipped)} alike. "
    return about + found[settling(found)].reason


def _hours(since_ms: int | None, moment_ms: int) -> float | None:
    return None if since_ms is None else (moment_ms - since_ms) / HOUR_MS
