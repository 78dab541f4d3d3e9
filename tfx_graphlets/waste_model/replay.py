"""Replay: takes past decisions one after the other, knowing what was known.

The loop is the same for the gate and for the baselines that it is compared
with; they differ in the ``Scorer``. It hands a scorer one graphlet at a time
and tells it outcomes as they become known, so that a censored replay, which
withholds the outcomes of skipped runs, is a change of this file alone.
"""

from __future__ import annotations

import bisect
import dataclasses
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from tfx_graphlets.policy import GateDecision, GatePolicy, GateState, decide
from tfx_graphlets.promise import ThresholdChoice, choose_threshold
from tfx_graphlets.trace import FloatArray, IntArray
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.learner import Forest, LearnerSettings, train_forest
from tfx_graphlets.waste_model.training import enough, transfer_scores

_MS_PER_HOUR = 3_600_000.0
# Rows that are scored in one go: a call of the forest costs more than a row.
_ROWS_AT_ONCE = 64


class Scorer(Protocol):
    """Gives each graphlet a score, the higher the likelier a push."""

    def history(self) -> tuple[FloatArray, Sequence[bool]]:
        """Out-of-sample scores of the history, and which of it were pushed."""
        ...

    def learn(self, row: int) -> None:
        """The outcome of a labelled row is known from now on."""
        ...

    def score(self, position: int) -> float:
        """Score of the row at this position of the time order; NaN if none."""
        ...


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


class FixedScores:
    """A scorer whose scores are given, float64, by row."""

    def __init__(
        self, order: IntArray, scores: FloatArray,
        history: FloatArray | None = None, history_pushed: Sequence[bool] = (),
    ) -> None:  # fmt: skip
        self._order, self._scores = order, scores
        self._history = np.zeros(0) if history is None else history
        self._history_pushed = history_pushed

    def history(self) -> tuple[FloatArray, Sequence[bool]]:
        """See Scorer."""
        return self._history, self._history_pushed

    def learn(self, row: int) -> None:
        """Nothing: what is known is in the scores."""

    def score(self, position: int) -> float:
        """See Scorer."""
        return float(self._scores[self._order[position]])


class ModelScores:
    """A waste model that is trained anew as outcomes become known.

    Args:
      dataset: what is replayed.
      past: graphlets of other pipelines, known from the start; None: none.
      retrain_every: newly known outcomes after which it is trained anew.
      seed: of all forests.
      settings: how they are grown.
    """

    def __init__(
        self, dataset: Dataset, past: Dataset | None, *, retrain_every: int, seed: int,
        settings: LearnerSettings,
    ) -> None:  # fmt: skip
        self._dataset, self._order = dataset, dataset.time_order
        self._past = None if past is None else past.only_labelled()
        self._retrain_every, self._seed, self._settings = retrain_every, seed, settings
        self._known: list[int] = []
        self._known_when_trained = -1
        self._forest: Forest | None = None
        self._ahead: dict[int, float] = {}
        self.trainings = 0

    def history(self) -> tuple[FloatArray, Sequence[bool]]:
        """See Scorer."""
        if self._past is None:
            return np.zeros(0), ()
        scores = transfer_scores(self._past, self._seed, settings=self._settings)
        scored = ~np.isnan(scores)
        return scores[scored], self._past.pushed[scored].tolist()

    def learn(self, row: int) -> None:
        """See Scorer."""
        self._known.append(row)

    def score(self, position: int) -> float:
        """See Scorer."""
        new = len(self._known) - self._known_when_trained
        if self._known_when_trained < 0 or new >= self._retrain_every or self._forest is None:
            self._train()
        if self._forest is None:
            return float("nan")
        if position not in self._ahead:
            ahead = min(_ROWS_AT_ONCE, self._retrain_every + 1)
            rows = self._order[position : position + ahead]
            scores = self._forest.predict(self._dataset.table.take(rows))
            self._ahead = {position + number: float(s) for number, s in enumerate(scores)}
        return self._ahead[position]

    def _train(self) -> None:
        known = self._dataset.take(np.array(self._known, np.int64))
        both = known if self._past is None else Dataset.concatenate([self._past, known])
        if not enough(both, np.arange(len(both), dtype=np.int64)):
            return
        self._forest = train_forest(both.table, both.pushed, self._settings, self._seed)
        self._known_when_trained = len(self._known)
        self._ahead = {}
        self.trainings += 1


def replay(
    dataset: Dataset,
    policy: GatePolicy,
    scorer: Scorer,
    progress: Callable[[int, int], None] | None = None,
) -> Replay:
    """Decides about every graphlet in the order of time.

    At each decision the scorer has been told the outcomes that were known by
    then, and the threshold is chosen from the scores that earlier graphlets
    were given at their own decisions (and from those of the history), as far
    as their outcome was known by then; unless the policy states a threshold.

    Args:
      dataset: what is replayed.
      policy: the policy; its freshness is what the thresholds are chosen for.
      scorer: the scorer.
      progress: called after each decision with the number of decisions taken
        and of those to take; None: nobody is told.

    Returns:
      The decisions.
    """
    order = dataset.time_order
    group = dataset.group
    labelled, pushed = dataset.labelled, dataset.pushed
    becoming_known = np.flatnonzero(labelled)[
        np.argsort(dataset.known_ms[labelled], kind="stable")
    ].tolist()
    known_moments = dataset.known_ms[becoming_known].tolist()
    scores = np.full(len(dataset), np.nan)
    past_scores, past_pushed = scorer.history()
    calibration_scores, calibration_pushed = past_scores.tolist(), list(past_pushed)
    states: dict[int, _PipelineState] = {}
    decisions: list[GateDecision] = []
    told = 0
    choice: ThresholdChoice | None = None
    for position, row in enumerate(order.tolist()):
        moment = int(dataset.decision_ms[row])
        # Strictly before: an outcome of the very moment may be this graphlet's own.
        now_known = bisect.bisect_left(known_moments, moment)
        for other in becoming_known[told:now_known]:
            scorer.learn(other)
            states.setdefault(int(group[other]), _PipelineState()).learn(
                int(dataset.known_ms[other]), bool(pushed[other])
            )
            # A graphlet that was not scored is no sample of the scores.
            if not np.isnan(scores[other]):
                calibration_scores.append(float(scores[other]))
                calibration_pushed.append(bool(pushed[other]))
        if policy.threshold is None and (choice is None or now_known > told):
            choice = choose_threshold(calibration_scores, calibration_pushed, policy.freshness)
        told = now_known
        scores[row] = scorer.score(position)
        state = states.setdefault(int(group[row]), _PipelineState())
        decision = decide(
            policy if choice is None else dataclasses.replace(policy, threshold=choice.threshold),
            float(scores[row]),
            state.at(moment, None if choice is None else choice.note),
            stage=str(dataset.stage),
        )
        state.consecutive_skips = 0 if decision.proceed else state.consecutive_skips + 1
        decisions.append(decision)
        if progress is not None:
            progress(len(decisions), len(order))
    return Replay(order, tuple(decisions), choice)


@dataclasses.dataclass
class _PipelineState:
    labelled: int = 0
    pushes: int = 0
    last_push_ms: int | None = None
    consecutive_skips: int = 0

    def learn(self, moment_ms: int, pushed: bool) -> None:
        self.labelled += 1
        if pushed:
            self.pushes += 1
            self.last_push_ms = max(moment_ms, self.last_push_ms or moment_ms)

    def at(self, moment_ms: int, threshold_note: str | None) -> GateState:
        since = None
        if self.last_push_ms is not None:
            since = (moment_ms - self.last_push_ms) / _MS_PER_HOUR
        return GateState(
            labelled=self.labelled,
            pushes=self.pushes,
            consecutive_skips=self.consecutive_skips,
            hours_since_last_push=since,
            threshold_note=threshold_note,
        )
