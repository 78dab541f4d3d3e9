"""Replay: takes past decisions one after the other, knowing what was known.

The loop is the same for the gate and for the baselines that it is compared
with; they differ in the ``Scorer``. What may be known is the ``World``'s
business: in a censored one a skipped run shows its outcome to nobody.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from tfx_graphlets.backtest.censoring import World
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.policy.decide import GateDecision, GatePolicy, GateState, decide
from tfx_graphlets.policy.exploration import exploration_draw
from tfx_graphlets.policy.freshness import (
    FreshnessLedger,
    ThresholdChoice,
    choose_threshold,
    guarded,
)
from tfx_graphlets.trace.trace import FloatArray, IntArray
from tfx_graphlets.waste_model.dataset import Dataset

_MS_PER_HOUR = 3_600_000.0
_LEAST_SHARE = 1e-6


class Scorer(Protocol):
    """Gives each graphlet a score, the higher the likelier a push."""

    def history(self) -> tuple[FloatArray, Sequence[bool]]:
        """Out-of-sample scores of the history, and which of it were needed."""
        ...

    def learn(self, row: int, features: FeatureTable, needed: bool) -> None:
        """The outcome of a labelled row is known from now on.

        Args:
          row: the row.
          features: one row, as it was described when it was decided about.
          needed: whether it is needed, as far as is known now.
        """
        ...

    def became_needed(self, row: int) -> None:
        """A row that was learnt as not needed turned out to have led to a push."""
        ...

    def score(self, row: int, features: FeatureTable) -> float:
        """Score of a row, described as it is seen now; NaN if none."""
        ...


class FixedScores:
    """A scorer whose scores are given, float64, by row."""

    def __init__(
        self,
        scores: FloatArray,
        history: FloatArray | None = None,
        history_pushed: Sequence[bool] = (),
    ) -> None:
        self._scores = scores
        self._history = np.zeros(0) if history is None else history
        self._history_pushed = history_pushed

    def history(self) -> tuple[FloatArray, Sequence[bool]]:
        """See Scorer."""
        return self._history, self._history_pushed

    def learn(self, row: int, features: FeatureTable, needed: bool) -> None:
        """Nothing: what is known is in the scores."""

    def became_needed(self, row: int) -> None:
        """Nothing."""

    def score(self, row: int, features: FeatureTable) -> float:
        """See Scorer."""
        del features
        return float(self._scores[row])


@dataclasses.dataclass(frozen=True)
class Replay:
    """What was decided, in the order of time.

    Attributes:
      rows: int64 [n], the rows in the order of time.
      decisions: the decision about each, aligned with ``rows``.
      last_choice: the threshold choice of the last decision; None where the
        policy's own threshold was used, or nothing was decided.
    """

    rows: IntArray
    decisions: tuple[GateDecision, ...]
    last_choice: ThresholdChoice | None


def replay(
    dataset: Dataset,
    policy: GatePolicy,
    scorer: Scorer,
    world: World,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Replay:
    """Decides about every graphlet in the order of time.

    At each decision the scorer has been told the outcomes that were known by
    then, and the threshold is chosen from the scores that earlier graphlets
    were given at their own decisions (and from those of the history), as far
    as their outcome was known by then, and from the account of the risk that
    the pipeline's pushes were put at; unless the policy states a threshold.

    Args:
      dataset: what is replayed.
      policy: the policy; its freshness is what the thresholds are chosen for.
      scorer: the scorer.
      world: what it may know; new.
      seed: of the exploration.
      progress: called after each decision with the number of decisions taken
        and of those to take; None: nobody is told.

    Returns:
      The decisions.
    """
    order, group = dataset.time_order, dataset.group
    calibration = _Calibration(scorer.history(), censored=world.censored)
    pipelines = {
        number: _Pipeline(FreshnessLedger(policy.freshness)) for number in set(group.tolist())
    }
    seen: dict[int, tuple[FeatureTable, float, GateDecision]] = {}
    decisions: list[GateDecision] = []
    choice: ThresholdChoice | None = None
    for row in order.tolist():
        moment = int(dataset.decision_ms[row])
        for other in world.known_before(moment):
            features, score, decision = seen[other]
            needed = world.needed_before(other, moment)
            scorer.learn(other, features, needed)
            pipelines[int(group[other])].learn(
                int(dataset.known_ms[other]), needed, score, decision, world.censored
            )
            calibration.learn(other, score, needed, decision)
            if needed or not dataset.needed[other]:
                del seen[other]
        for other in world.became_needed_before(moment):
            _, score, decision = seen.pop(other)
            scorer.became_needed(other)
            pipelines[int(group[other])].became_needed(moment, score, decision, world.censored)
            calibration.became_needed(other, decision)
        pipeline = pipelines[int(group[row])]
        features = world.features(row)
        score = scorer.score(row, features)
        if policy.threshold is None:
            choice = calibration.choose(pipeline.ledger)
            choice = guarded(
                choice, pipeline.scores_of_pushes, pipeline.ledger, pipeline.consecutive_skips
            )
        draw = exploration_draw(
            seed,
            dataset.content_of_store[dataset.store[row]],
            dataset.pipeline[row],
            str(dataset.table.trainer[row]),
        )
        decision = decide(
            policy if choice is None else dataclasses.replace(policy, threshold=choice.threshold),
            score,
            pipeline.at(moment, draw, None if choice is None else choice.note),
            stage=str(dataset.stage),
            risk=0.0 if choice is None else choice.risk,
        )
        calibration.decided(score, decision)
        pipeline.decided(moment, decision)
        world.decided(row, decision.proceed)
        seen[row] = features, score, decision
        decisions.append(decision)
        if progress is not None:
            progress(len(decisions), len(order))
    return Replay(order, tuple(decisions), choice)


class _Calibration:
    """Out-of-sample scores of what became known, from which thresholds are chosen.

    In a censored world the pushes that were skipped are missing from them, and
    a threshold chosen from the rest would creep up. A skipped graphlet counts
    as so much of a push as its score says, times what the explored ones show
    that scores below the threshold are worth.
    """

    def __init__(self, history: tuple[FloatArray, Sequence[bool]], *, censored: bool) -> None:
        self._censored = censored
        self._scores: list[float] = history[0].tolist()
        self._pushed: list[bool] = list(history[1])
        self._share: list[float] = [1.0] * len(self._scores)  # of a push; below 1 if skipped
        self._explored_scores = self._explored_pushes = 0.0
        self._place: dict[int, int] = {}  # of a row among the scores

    def decided(self, score: float, decision: GateDecision) -> None:
        if self._censored and not decision.proceed:
            self._scores.append(score)
            self._pushed.append(True)
            self._share.append(min(max(score, _LEAST_SHARE), 1.0 - _LEAST_SHARE))

    def learn(self, row: int, score: float, pushed: bool, decision: GateDecision) -> None:
        if np.isnan(score):  # a graphlet that was not scored is no sample of the scores
            return
        self._place[row] = len(self._scores)
        self._scores.append(score)
        self._pushed.append(pushed)
        self._share.append(1.0)
        if decision.explored:
            self._explored_scores += score
            self._explored_pushes += pushed

    def became_needed(self, row: int, decision: GateDecision) -> None:
        if row in self._place:
            self._pushed[self._place[row]] = True
            self._explored_pushes += decision.explored

    def choose(self, ledger: FreshnessLedger) -> ThresholdChoice:
        weights = np.asarray(self._share)
        # One pseudo-observation keeps a single explored push from deciding alone.
        worth = (self._explored_pushes + 1) / (self._explored_scores + 1)
        weights = np.where(weights < 1.0, weights * max(worth, 1.0), 1.0)
        return choose_threshold(
            self._scores, self._pushed, ledger.freshness, weights=weights.tolist(), ledger=ledger
        )


@dataclasses.dataclass
class _Pipeline:
    """What is known of one pipeline."""

    ledger: FreshnessLedger
    labelled: int = 0
    pushes: int = 0
    last_push_ms: int | None = None
    last_attempt_ms: int | None = None
    consecutive_skips: int = 0
    scores_of_pushes: list[float] = dataclasses.field(default_factory=list)

    def learn(
        self, moment_ms: int, pushed: bool, score: float, decision: GateDecision, censored: bool
    ) -> None:
        self.labelled += 1
        if pushed:
            self.became_needed(moment_ms, score, decision, censored)

    def became_needed(
        self, moment_ms: int, score: float, decision: GateDecision, censored: bool
    ) -> None:
        self.pushes += 1
        self.scores_of_pushes.append(score)
        self.last_push_ms = max(moment_ms, self.last_push_ms or moment_ms)
        self.ledger = self.ledger.after_push(decision.risk, censored=censored)

    def decided(self, moment_ms: int, decision: GateDecision) -> None:
        self.consecutive_skips = 0 if decision.proceed else self.consecutive_skips + 1
        if decision.proceed:
            self.last_attempt_ms = moment_ms

    def at(self, moment_ms: int, draw: float, threshold_note: str | None) -> GateState:
        return GateState(
            labelled=self.labelled,
            pushes=self.pushes,
            consecutive_skips=self.consecutive_skips,
            hours_since_last_push=_hours(self.last_push_ms, moment_ms),
            hours_since_last_attempt=_hours(self.last_attempt_ms, moment_ms),
            draw=draw,
            threshold_note=threshold_note,
        )


def _hours(since_ms: int | None, moment_ms: int) -> float | None:
    return None if since_ms is None else (moment_ms - since_ms) / _MS_PER_HOUR
