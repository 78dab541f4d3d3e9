"""The backtest: decisions in the order of time, figures by hand, baselines beside it."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from tests.waste_model.synthetic import (
    EVALUATOR_MS,
    HOUR_MS,
    PUSHER_MS,
    TRAINER_MS,
    coin_flips,
    history,
)
from tfx_graphlets.backtest.backtest import backtest
from tfx_graphlets.backtest.baselines import baselines
from tfx_graphlets.backtest.censoring import World
from tfx_graphlets.backtest.figures import figures_of
from tfx_graphlets.backtest.replay import FixedScores, replay
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.policy.decide import GatePolicy
from tfx_graphlets.vocabulary import Outcome, Stage
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.learner import LearnerSettings
from tfx_graphlets.waste_model.metrics import WasteMeter

pytest.importorskip("ydf")

SMALL = LearnerSettings(trees=30)
POLICY = GatePolicy(freshness=0.9)
AFTER_PRE_MS = TRAINER_MS + EVALUATOR_MS + PUSHER_MS


def test_a_signal_is_used_and_freshness_kept() -> None:
    """Where features tell of the outcome, waste is removed and few pushes are missed."""
    dataset = history(coin_flips(120, seed=1))
    result = backtest(dataset, POLICY, seed=1, settings=SMALL, retrain_every=5)
    assert result.gate.waste_removed > 0.4 * result.waste_removable
    assert result.gate.freshness_interval[1] >= 0.9
    beaten = [f for f in result.baselines if f.kind == "scored"]
    assert all(result.gate.waste_removed > f.waste_removed for f in beaten)
    oracle = {f.name: f for f in result.baselines}["oracle"]
    assert oracle.waste_removed == pytest.approx(result.waste_removable)
    assert (oracle.freshness, oracle.pushes_missed) == (1.0, 0)


def test_the_same_seed_gives_the_same_result() -> None:
    """Two backtests of one seed have one document."""
    dataset = history(coin_flips(50, seed=1))
    one, other = (backtest(dataset, POLICY, seed=2, settings=SMALL).to_dict() for _ in range(2))
    assert one == other


def test_progress_is_told_of_every_decision() -> None:
    """backtest calls progress after each decision, with how many there are in all."""
    told: list[tuple[int, int]] = []
    dataset = history(coin_flips(12, seed=1))
    backtest(dataset, POLICY, settings=SMALL, progress=lambda *numbers: told.append(numbers))
    assert told == [(done, 12) for done in range(1, 13)]


def test_past_decisions_do_not_depend_on_future_outcomes() -> None:
    """Turning the outcomes of the last 30 runs around leaves every earlier decision as it was."""
    dataset = history(coin_flips(90, seed=4))
    turned = np.array(dataset.outcome)
    turned[60:] = np.where(turned[60:] == Outcome.PUSHED, Outcome.UNPUSHED, Outcome.PUSHED)
    other = dataclasses.replace(dataset, outcome=turned, needed_ms=None)
    one, two = (
        [d.decision for d in backtest(rows, POLICY, settings=SMALL, retrain_every=3).decisions]
        for rows in (dataset, other)
    )
    assert one[:61] == two[:61]
    assert one[61:] != two[61:]


def test_nobody_learns_what_became_of_a_skipped_run() -> None:
    """Turning the outcomes of all skipped runs around changes no decision, unless uncensored."""
    dataset = history(coin_flips(110, seed=3), strength=1.5)
    for censored in (True, False):
        one = backtest(dataset, POLICY, settings=SMALL, retrain_every=3, censored=censored)
        skipped = np.zeros(len(dataset), bool)
        skipped[dataset.time_order] = [not d.decision.proceed for d in one.decisions]
        assert skipped.sum() > 10
        turned = np.where(dataset.outcome == Outcome.PUSHED, Outcome.UNPUSHED, Outcome.PUSHED)
        other = dataclasses.replace(
            dataset,
            outcome=np.where(skipped, turned, dataset.outcome).astype(np.int8),
            needed_ms=None,
        )
        two = backtest(other, POLICY, settings=SMALL, retrain_every=3, censored=censored)
        same = [d.decision for d in one.decisions] == [d.decision for d in two.decisions]
        assert same is censored


def test_a_skipped_run_is_skipped_in_the_descriptions_too() -> None:
    """The describer is told of every skip, in the order of time, and of nothing if uncensored."""
    dataset = history(coin_flips(60, seed=3))
    describer = dataset.describers["store"]
    for censored in (True, False):
        describer.reset()
        result = backtest(dataset, POLICY, settings=SMALL, retrain_every=5, censored=censored)
        skips = [at for at, d in enumerate(result.decisions) if not d.decision.proceed]
        assert len(skips) > 2
        assert describer.skipped == (skips if censored else [])


def test_explored_runs_run_and_are_counted() -> None:
    """With exploration 1 nothing is skipped, and what would have been is counted as explored."""
    dataset = history(coin_flips(60, seed=3))
    policy = dataclasses.replace(POLICY, exploration=1.0)
    result = backtest(dataset, policy, settings=SMALL, retrain_every=5)
    explored = [d.decision for d in result.decisions if d.decision.explored]
    assert result.gate.skipped == 0
    assert result.explored == len(explored) > 3
    assert all("explore" in decision.reason for decision in explored)


def test_rows_that_were_only_read_cannot_be_replayed_censored() -> None:
    """Without describers the replay is refused, and says what to do; uncensored it goes on."""
    dataset = dataclasses.replace(history("PU" * 10), describers={})
    with pytest.raises(InvalidArgumentError, match="uncensored"):
        backtest(dataset, POLICY, settings=SMALL)
    assert len(backtest(dataset, POLICY, settings=SMALL, censored=False).decisions) == 20


def test_a_label_counts_only_after_it_was_known() -> None:
    """Where outcomes are known a day late, the first prediction comes 24 runs later."""

    def first_prediction(dataset: Dataset) -> int:
        decisions = backtest(dataset, POLICY, settings=SMALL, retrain_every=4).decisions
        known = [at for at, d in enumerate(decisions) if d.decision.probability is not None]
        return known[0]

    dataset = history(coin_flips(60, seed=4))
    late = dataclasses.replace(dataset, known_ms=dataset.known_ms + 24 * HOUR_MS)
    assert first_prediction(dataset) == 10
    assert first_prediction(late) == 34


def test_an_outcome_of_the_very_moment_is_not_known() -> None:
    """Where the outcome is known at the decision itself, the graphlet does not learn its own."""
    dataset = history("PU" * 15, stage=Stage.VALIDATION)
    instant = dataclasses.replace(dataset, known_ms=np.array(dataset.decision_ms))

    class Telling(FixedScores):
        """Remembers what it was told before each score."""

        def __init__(self) -> None:
            super().__init__(np.ones(len(instant)))
            self.told: list[int] = []
            self.seen: list[list[int]] = []

        def learn(self, row: int, features: FeatureTable, needed: bool) -> None:
            del features, needed
            self.told.append(row)

        def score(self, row: int, features: FeatureTable) -> float:
            self.seen.append(list(self.told))
            return super().score(row, features)

    scorer = Telling()
    replay(instant, POLICY, scorer, World(instant, censored=True))
    assert scorer.seen == [list(range(at)) for at in range(len(instant))]


def test_shuffled_labels_keep_the_promise_and_save_little() -> None:
    """Without a signal the gate skips about as much as the promise allows at random."""
    missed = pushes = 0
    for seed in range(3):
        dataset = history(coin_flips(120, seed=seed), seed=seed)
        shuffled = np.random.default_rng(seed).permutation(dataset.outcome)
        dataset = dataclasses.replace(dataset, outcome=shuffled, needed_ms=None)
        result = backtest(dataset, POLICY, seed=seed, settings=SMALL, retrain_every=10)
        missed += result.gate.pushes_missed
        pushes += result.pushed
    assert missed / pushes < 0.1 + 3 * math.sqrt(0.1 * 0.9 / pushes)


def test_history_lets_it_skip_sooner() -> None:
    """With other pipelines' outcomes known from the start it skips more than without."""
    dataset = history(coin_flips(40, seed=5), seed=5)
    # The clock of the history is years ahead: it is known from the start all the same.
    past = history(
        coin_flips(120, seed=6), seed=6, store="past", pipeline="other",
        start_ms=HOUR_MS * 24 * 365 * 9,
    )  # fmt: skip
    alone = backtest(dataset, GatePolicy(), settings=SMALL, retrain_every=5)
    helped = backtest(dataset, GatePolicy(), history=past, settings=SMALL, retrain_every=5)
    first = [
        next(at for at, d in enumerate(result.decisions) if not d.decision.proceed)
        for result in (helped, alone)
    ]
    assert first[0] < first[1]
    assert helped.gate.skipped > alone.gate.skipped
    assert helped.history == 120
    assert helped.gate.waste_removed > 0.3 * helped.waste_removable


def test_no_promise_no_skip() -> None:
    """At freshness 0.99 with 40 runs the gate never skips, and the notes say how many it lacks."""
    result = backtest(history("PU" * 20), GatePolicy(freshness=0.99), settings=SMALL)
    assert result.gate.skipped == 0
    assert "more are needed" in result.notes[0]


@pytest.mark.parametrize("outcomes", ["P", "U", "F", "FF", "U" * 25, "P" * 25])
def test_a_store_without_anything_to_learn_runs_everything(outcomes: str) -> None:
    """One graphlet, no push, no waste or no label: all run, and the first note says why."""
    result = backtest(history(outcomes), POLICY, settings=SMALL)
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert document["skipped"] == 0
    assert "too little to learn" in document["notes"][0]
    assert document["freshness"] == (1.0 if "P" in outcomes else None)
    assert document["waste_removed"] == (0.0 if "U" in outcomes else None)
    assert len(document["decisions"]) == document["graphlets"] == len(outcomes)
    assert str(result)


def test_failed_graphlets_are_decided_about_and_not_counted() -> None:
    """They appear among the decisions without a label, and in neither count."""
    result = backtest(history("PUF" * 10), POLICY, settings=SMALL)
    document = result.to_dict()
    assert (document["graphlets"], document["pushed"], document["unpushed"]) == (30, 10, 10)
    decisions = document["decisions"]
    assert isinstance(decisions, list)
    assert [d["pushed"] for d in decisions[:3]] == [True, False, None]
    assert decisions[0].keys() >= {"trainer", "probability", "skip", "pushed", "reason"}


def test_a_fixed_threshold_is_used_as_it_is() -> None:
    """A policy that states a threshold needs no promise."""
    policy = GatePolicy(threshold=0.999, min_labelled=5, max_consecutive_skips=3)
    result = backtest(history("PU" * 15), policy, settings=SMALL)
    skips = [not d.decision.proceed for d in result.decisions]
    assert result.gate.skipped > 10
    # A row of five would hold four skips one after another.
    assert not any(all(skips[at : at + 4]) for at in range(len(skips) - 3))


def test_several_stores_are_replayed_by_one_clock() -> None:
    """Figures add up over pipelines, and each pipeline has its own."""
    both = Dataset.concatenate(
        [history(coin_flips(40, seed=1), store="a"), history(coin_flips(40, seed=2), store="b")]
    )
    result = backtest(both, POLICY, settings=SMALL, retrain_every=5)
    assert sum(p.skipped for p in result.pipelines) == result.gate.skipped
    assert sum(p.pushes_missed for p in result.pipelines) == result.gate.pushes_missed
    assert sum(p.cost_saved_ms for p in result.pipelines) == pytest.approx(
        result.gate.cost_saved_ms
    )
    moments = [d.decision_ms for d in result.decisions]
    assert moments == sorted(moments)


def test_what_cannot_be_replayed_is_refused() -> None:
    """A store on both sides, another stage, and no retraining at all."""
    dataset = history("PU" * 10)
    with pytest.raises(InvalidArgumentError, match="known from the start"):
        backtest(dataset, POLICY, history=dataset)
    with pytest.raises(InvalidArgumentError, match="history"):
        backtest(dataset, POLICY, history=history("PU", store="b", stage=Stage.INPUT))
    with pytest.raises(InvalidArgumentError, match="retrain_every"):
        backtest(dataset, POLICY, retrain_every=0)


# -- figures and baselines on a history made by hand ----------------------------------


def test_figures_of_skips_made_by_hand() -> None:
    """Skipping the first U and the middle P of P U P U P: half the waste, a push two runs late."""
    dataset = history("PUPUP")
    skipped = np.array([False, True, True, False, False])
    meter = WasteMeter(dataset.sources, dataset.stage)
    figures = figures_of("gate", "gate", dataset, skipped, meter)
    assert (figures.skipped, figures.pushes_missed) == (2, 1)
    assert figures.freshness == pytest.approx(2 / 3)
    assert figures.waste_removed == pytest.approx(meter.removable / 2)
    assert figures.cost_saved_ms == 2 * AFTER_PRE_MS
    assert (figures.delay_runs, figures.delay_hours) == ((2.0,), (2.0,))
    last = figures_of("gate", "gate", dataset, np.array([False] * 4 + [True]), meter).to_dict()
    assert last["delay_runs"] == {"median": None, "worst": None, "never": 1}


def skips_of(name: str, dataset: Dataset, freshness: float = 0.8) -> list[bool]:
    """What a rule skips."""
    rule = {b.name: b for b in baselines()}[name].skips
    assert rule is not None
    skips = rule(dataset, freshness)
    assert skips is not None
    return skips.tolist()


def test_rules_on_a_history_made_by_hand() -> None:
    """Always run, every k-th, repeat the last, majority and the oracle, on P U U P F P."""
    dataset = history("PUUPFP")
    assert skips_of("always_run", dataset) == [False] * 6
    assert skips_of("every_kth", dataset) == [False, False, False, False, True, False]
    assert skips_of("repeat_last_rule", dataset) == [False, False, True, True, False, False]
    assert skips_of("majority", dataset) == [False, False, False, True, False, False]
    assert skips_of("oracle", dataset) == [False, True, True, False, False, False]


def test_scored_baselines_hold_the_same_promise() -> None:
    """Random scores miss about as many pushes as the freshness allows, and no rule is left out."""
    missed, pushes = 0, 0
    for seed in range(8):
        dataset = history(coin_flips(150, seed=seed))
        random = {b.name: b for b in baselines()}["random"].scores
        assert random is not None
        scores = random(dataset, seed)
        assert scores is not None
        replayed = replay(dataset, POLICY, FixedScores(scores), World(dataset, censored=False))
        skipped = np.array([not d.proceed for d in replayed.decisions])
        missed += int((skipped & dataset.pushed).sum())
        pushes += int(dataset.pushed.sum())
    assert 0 < missed / pushes <= 0.1 + 2 * math.sqrt(0.1 * 0.9 / pushes)


def test_baselines_without_their_features_are_left_out() -> None:
    """Made-up features hold no spans and no statistics."""
    result = backtest(history("PU" * 6), POLICY, settings=SMALL)
    names = {figures.name for figures in result.baselines}
    assert {"always_run", "random", "every_kth", "repeat_last", "oracle"} <= names
    assert not names & {"drift", "same_spans", "model_type"}
