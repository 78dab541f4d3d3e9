"""Replay: takes past decisions one after the other, knowing what was known.

The loop is the same for the gate and for the baselines that it is compared
with; they differ in the ``Scorer``. What may be known is the ``World``'s
business: in a censored one a skipped run shows its outcome to nobody.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

import numpy as np

from tfx_graphlets.backtest.censoring import World
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.policy.account import NodeAccount, ThresholdSample, decide_by, together
from tfx_graphlets.policy.decide import GateDecision, GatePolicy, run_draw
from tfx_graphlets.policy.freshness import ThresholdChoice
from tfx_graphlets.trace.trace import FloatArray, IntArray
from tfx_graphlets.waste_model.dataset import Dataset


class Scorer(Protocol):
    """Gives each graphlet a score, the higher the likelier a push."""

    @property
    def of_all(self) -> bool:
        """Whether thresholds rest on what all nodes have shown.

        So it is where the model is trained anew from that. A model that stays knows of
        other nodes what it was trained on; since then each gate adds what its own has shown.
        """
        ...

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

    of_all = True

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
    gate: IntArray | None = None,
    seed: int = 0,
    forced: Collection[int] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Replay:
    """Decides about every graphlet in the order of time.

    Each Trainer node has its own past, threshold and account (docs/graphlets.md,
    The unit of a decision); that a model was pushed at all counts for its
    pipeline. One gate over several nodes proceeds if it would for any of them.

    At each decision the scorer has been told the outcomes that were known by
    then, and the threshold is chosen from the scores that earlier graphlets
    were given at their own decisions (and from those of the history), as far
    as their outcome was known by then, and from the account of the risk that
    what the node's gate let through was put at; unless the policy states a
    threshold. State, account and threshold are those of a live gate (``policy.account``).

    Args:
      dataset: what is replayed.
      policy: the policy; its freshness is what the thresholds are chosen for.
      scorer: the scorer.
      world: what it may know; new.
      gate: number of each row's decision, int64 [n], see ``gates.behind_one_gate``; None: each
        row has a gate of its own.
      seed: of the exploration.
      forced: rows that an operator forced to run.
      progress: called after each decision with the number of decisions taken
        and of those to take; None: nobody is told.

    Returns:
      The decisions.
    """
    order, group, lane = dataset.time_order, dataset.group, dataset.lane
    history = scorer.history()
    samples = {
        number: _Sample(history, world.censored)
        for number in ([0] if scorer.of_all else set(lane.tolist()))
    }
    shared = np.zeros(len(lane), np.int64) if scorer.of_all else lane
    accounts = {
        number: NodeAccount(policy.freshness, policy.delay, shadow=policy.shadow)
        for number in set(lane.tolist())
    }
    pushes = dict.fromkeys(group.tolist(), 0)  # of each pipeline
    seen: dict[int, tuple[FeatureTable, float, GateDecision, int]] = {}
    decisions: list[GateDecision] = []
    choice: ThresholdChoice | None = None
    decided: list[int] = []
    for rows in _by_gate(order, gate):
        moment = int(dataset.decision_ms[rows[0]])
        for other in world.known_before(moment):
            features, score, decision, run = seen[other]
            needed, pushed = world.needed_before(other, moment), bool(dataset.pushed[other])
            scorer.learn(other, features, needed)
            account = accounts[int(lane[other])]
            account.outcome_known(pushed_ms=int(dataset.known_ms[other]) if pushed else None)
            pushes[int(group[other])] += pushed
            samples[int(shared[other])].learn(other, score, needed, decision)
            if needed:
                account.needed(decision, censored=world.censored, run=run)
            if needed or not dataset.needed[other]:
                del seen[other]
        for other in world.became_needed_before(moment):
            _, _, decision, run = seen.pop(other)
            scorer.became_needed(other)
            accounts[int(lane[other])].needed(decision, censored=world.censored, run=run)
            samples[int(shared[other])].became_needed(other, decision)
        found: list[tuple[FeatureTable, float, GateDecision]] = []
        for row in rows:
            account, sample = accounts[int(lane[row])], samples[int(shared[row])]
            features = world.features(row)
            score = scorer.score(row, features)
            if policy.threshold is None:
                choice = sample.scores.choose(account.ledger.freshness, account.ledger)
            names = dataset.pipeline[row], dataset.run[row], str(dataset.stage)
            alone = decide_by(
                dataclasses.replace(policy, force_run=True) if row in forced else policy,
                choice,
                score,
                account.state(
                    moment,
                    draw=run_draw(seed, *names, moment_ms=moment),
                    pushes=pushes[int(group[row])],
                ),
                stage=str(dataset.stage),
            )
            found.append((features, score, alone))
        all_of_them = together([dataset.node[row] for row in rows], [one for *_, one in found])
        for row, (features, score, _), decision in zip(rows, found, all_of_them):
            account = accounts[int(lane[row])]
            samples[int(shared[row])].decided(score, decision)
            run = account.decided(decision, shadow=policy.shadow)
            if not account.counts_as_skipped(decision, shadow=policy.shadow):
                account.trained(moment)
            world.decided(row, decision.proceed)
            seen[row] = features, score, decision, run
        decided += rows
        decisions += all_of_them
        if progress is not None:
            progress(len(decisions), len(order))
    return Replay(np.array(decided, np.int64), tuple(decisions), choice)


def _by_gate(order: IntArray, gate: IntArray | None) -> list[list[int]]:
    """Rows that are decided about together, each where its first one comes."""
    together_with: dict[int, list[int]] = {}
    for row in order.tolist():
        together_with.setdefault(row if gate is None else int(gate[row]), []).append(row)
    return list(together_with.values())


class _Sample:
    """The scores that thresholds are chosen from, by the rows of the dataset."""

    def __init__(self, history: tuple[FloatArray, Sequence[bool]], censored: bool) -> None:
        self.scores = ThresholdSample(history[0].tolist(), history[1])
        self._censored = censored
        self._place: dict[int, int] = {}  # of a row among the scores

    def decided(self, score: float, decision: GateDecision) -> None:
        if self._censored and not decision.proceed:
            self.scores.skipped(score)

    def learn(self, row: int, score: float, needed: bool, decision: GateDecision) -> None:
        if not np.isnan(score):  # a graphlet that was not scored is no sample of the scores
            self._place[row] = self.scores.learnt(score, needed, explored=decision.explored)

    def became_needed(self, row: int, decision: GateDecision) -> None:
        if row in self._place:
            self.scores.became_needed(self._place[row], explored=decision.explored)
