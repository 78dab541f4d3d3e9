"""The replay beside a plain restatement, which gathers what is known anew at each decision."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.waste_model.synthetic import HOUR_MS, coin_flips, history
from tfx_graphlets.backtest.censoring import World
from tfx_graphlets.backtest.replay import FixedScores, Replay, replay
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.policy.decide import (
    GateDecision,
    GatePolicy,
    GateState,
    decide,
    exploration_draw,
)
from tfx_graphlets.policy.freshness import FreshnessLedger, ThresholdChoice, choose_threshold
from tfx_graphlets.waste_model.dataset import Dataset

# A score that is hardly one, and one that is nearly certain, stand for so much of a push.
LEAST, MOST = 1e-6, 1 - 1e-6


@dataclasses.dataclass
class Reference:
    """Restates a replay in quadratic time; see ``replay`` for the arguments."""

    dataset: Dataset
    policy: GatePolicy
    scores: np.ndarray
    past: np.ndarray
    past_pushed: list[bool]
    censored: bool
    seed: int
    decisions: dict[int, GateDecision] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        # Each is worked out anew whenever it is asked for.
        self.group = self.dataset.lane.tolist()
        self.pushed, self.labelled = self.dataset.pushed, self.dataset.labelled

    def run(self) -> list[GateDecision]:
        """The decisions, in the order of time."""
        for row in self.dataset.time_order.tolist():
            self.decisions[row] = self.decision(row)
        return list(self.decisions.values())

    def learnt(self, moment_ms: int) -> list[int]:
        """Rows whose outcome is known, in the order in which they came to be."""
        known = self.dataset.known_ms
        rows = [
            row
            for row, decision in self.decisions.items()
            if self.labelled[row]
            and known[row] < moment_ms
            and (decision.proceed or not self.censored)
        ]
        return sorted(rows, key=lambda row: (known[row], row))

    def choice(self, learnt: list[int], mine: list[int]) -> ThresholdChoice:
        """The threshold for a row of a pipeline whose known rows are ``mine``."""
        ledger = FreshnessLedger(self.policy.freshness)
        for other in mine:
            if self.pushed[other]:
                ledger = ledger.after_push(self.decisions[other].risk, censored=self.censored)
        scored = [other for other in learnt if not np.isnan(self.scores[other])]
        explored = [other for other in scored if self.decisions[other].explored]
        worth = (1 + sum(self.pushed[explored])) / (1 + sum(self.scores[explored]))
        skipped = [
            other for other, decision in self.decisions.items()
            if self.censored and not decision.proceed
        ]  # fmt: skip
        scores = [*self.past, *self.scores[scored], *self.scores[skipped]]
        pushed = [*self.past_pushed, *self.pushed[scored], *[True] * len(skipped)]
        shares = [min(max(self.scores[other], LEAST), MOST) * max(worth, 1) for other in skipped]
        weights = [1.0] * (len(scores) - len(skipped)) + shares
        return choose_threshold(
            scores, pushed, self.policy.freshness, weights=weights, ledger=ledger
        )

    def decision(self, row: int) -> GateDecision:
        """The decision about a row."""
        dataset, moment = self.dataset, int(self.dataset.decision_ms[row])
        learnt = self.learnt(moment)
        mine = [other for other in learnt if self.group[other] == self.group[row]]
        earlier = [other for other in self.decisions if self.group[other] == self.group[row]]
        ran = [at for at, other in enumerate(earlier) if self.decisions[other].proceed]
        skips = len(earlier) - 1 - ran[-1] if ran else len(earlier)
        pushes = [int(dataset.known_ms[other]) for other in mine if self.pushed[other]]
        attempts = [int(dataset.decision_ms[earlier[at]]) for at in ran]
        policy, choice = self.policy, None
        if policy.threshold is None:
            choice = self.choice(learnt, mine)
            policy = dataclasses.replace(policy, threshold=choice.threshold)
        names = dataset.pipeline[row], dataset.run[row], "pre"
        state = GateState(
            labelled=len(mine),
            pushes=len(pushes),
            consecutive_skips=skips,
            hours_since_last_push=(moment - max(pushes)) / HOUR_MS if pushes else None,
            hours_since_last_attempt=(moment - attempts[-1]) / HOUR_MS if attempts else None,
            draw=exploration_draw(self.seed, *names),
            threshold_note=choice.note if choice else None,
        )
        decision = decide(
            policy, self.scores[row], state, stage=str(dataset.stage),
            risk=choice.risk if choice else 0.0,
        )  # fmt: skip
        return dataclasses.replace(decision, freshness=choice.freshness if choice else None)


def two_stores(seed: int) -> Dataset:
    """Pipelines of two stores, some runs failed, outcomes known a few hours late."""
    draw = np.random.default_rng(seed)
    parts = []
    for store in ("a", "b"):
        letters = [*coin_flips(50, seed=seed + len(parts))]
        for at in draw.integers(0, 50, 4):
            letters[at] = "F"
        parts.append(history("".join(letters), store=store, start_ms=HOUR_MS + len(parts)))
    dataset = Dataset.concatenate(parts)
    late = draw.integers(0, 4, len(dataset)) * HOUR_MS
    return dataclasses.replace(dataset, known_ms=dataset.known_ms + late)


def scores_of(dataset: Dataset, seed: int) -> np.ndarray:
    """Scores that tell of the outcome; a few are missing, one is 0 and one 1."""
    draw = np.random.default_rng(seed)
    scores = np.where(dataset.pushed, draw.beta(3, 2, len(dataset)), draw.beta(2, 6, len(dataset)))
    scores[draw.integers(0, len(dataset), 6)] = np.nan
    scores[-40], scores[-20] = 0.0, 1.0
    return scores


POLICIES = {
    "plain": GatePolicy(freshness=0.8, exploration=0.0, max_consecutive_skips=9),
    "exploring": GatePolicy(freshness=0.8, exploration=0.4),
    "guarded": GatePolicy(
        freshness=0.8, max_staleness_hours=7.0, max_hours_without_attempt=2.0, min_labelled=12,
        min_pushes=9,
    ),
    "fixed": GatePolicy(threshold=0.3, exploration=0.2),
}  # fmt: skip


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("censored", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_decision_is_that_of_the_reference(policy: str, censored: bool, seed: int) -> None:
    """Threshold, risk, verdict and words are those that all that is known gives."""
    dataset = two_stores(seed)
    scores, draw = scores_of(dataset, seed), np.random.default_rng(seed + 9)
    past, past_pushed = draw.random(12), (draw.random(12) < 0.7).tolist()
    replayed = replay(
        dataset, POLICIES[policy], FixedScores(scores, past, past_pushed),
        World(dataset, censored=censored), seed=seed,
    )  # fmt: skip
    expected = Reference(dataset, POLICIES[policy], scores, past, past_pushed, censored, seed).run()
    assert replayed.rows.tolist() == dataset.time_order.tolist()
    assert any(not decision.proceed for decision in expected)
    for at, (one, other) in enumerate(zip(replayed.decisions, expected)):
        assert (one.threshold is None) == (other.threshold is None), at
        if other.threshold is not None:
            assert one.threshold == pytest.approx(other.threshold, rel=1e-12, abs=0), at
        assert one.risk == pytest.approx(other.risk, rel=1e-12, abs=0), at
        approximate = {"threshold": None, "risk": 0.0}
        assert dataclasses.replace(one, **approximate) == dataclasses.replace(other, **approximate)
    assert (replayed.last_choice is None) == (policy == "fixed")


def replayed_plain(dataset: Dataset, scorer: FixedScores, **options: object) -> Replay:
    """An uncensored replay with few bounds."""
    policy = GatePolicy(freshness=0.5, exploration=0.0, min_labelled=1, max_consecutive_skips=9)
    return replay(dataset, policy, scorer, World(dataset, censored=False), **options)  # type: ignore[arg-type]


def test_without_a_history_the_scores_seen_are_all_there_is() -> None:
    """A scorer of fixed scores has no history unless it is given one."""
    dataset = history("P" * 6)
    scorer = FixedScores(np.full(6, 0.4))
    scores, pushed = scorer.history()
    assert (scores.tolist(), list(pushed)) == ([], [])
    replayed = replayed_plain(dataset, scorer)
    assert replayed.last_choice is not None
    assert replayed.last_choice.pushes == 5
    assert replayed.decisions[0].threshold is None


def test_an_empty_dataset_is_replayed() -> None:
    """No decision, and no choice of a threshold."""
    nothing = history("PU").take(np.zeros(0, np.int64))
    replayed = replayed_plain(nothing, FixedScores(np.zeros(0)))
    assert (len(replayed.rows), replayed.decisions, replayed.last_choice) == (0, (), None)


def test_the_exploration_is_that_of_the_seed() -> None:
    """The same seed draws the same runs, another one others; 0 is the default."""
    dataset = history("PU" * 30)
    policy = GatePolicy(threshold=0.5, exploration=0.5)
    scores = FixedScores(np.where(dataset.pushed, 0.9, 0.1))

    def explored(**options: int) -> list[bool]:
        world = World(dataset, censored=True)
        decisions = replay(dataset, policy, scores, world, **options).decisions
        return [decision.explored for decision in decisions]

    assert explored() == explored(seed=0) != explored(seed=1)


def test_progress_counts_the_decisions() -> None:
    """After each decision: how many were taken, of how many."""
    told: list[tuple[int, int]] = []
    dataset = history("PUP")
    replayed_plain(dataset, FixedScores(np.ones(3)), progress=lambda *n: told.append(n))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_a_row_is_learnt_as_it_was_described_when_it_was_decided_about() -> None:
    """The features that a scorer learns from are those that it scored."""

    class Remembering(FixedScores):
        """Keeps the tables by row."""

        def __init__(self, scores: np.ndarray) -> None:
            super().__init__(scores)
            self.scored: dict[int, FeatureTable] = {}
            self.learnt: dict[int, FeatureTable] = {}

        def learn(self, row: int, features: FeatureTable, needed: bool) -> None:
            assert needed is bool(dataset.pushed[row])
            self.learnt[row] = features

        def score(self, row: int, features: FeatureTable) -> float:
            self.scored[row] = features
            return super().score(row, features)

    dataset = history("PUPUP")
    scorer = Remembering(np.ones(5))
    replayed_plain(dataset, scorer)
    assert [*scorer.learnt] == [0, 1, 2, 3]
    assert all(scorer.scored[row] is table for row, table in scorer.learnt.items())
    assert scorer.scored[2].trainer.tolist() == [dataset.table.trainer[2]]
