"""State and account of a Trainer node, and the scores that thresholds are chosen from."""

from __future__ import annotations

import dataclasses

import pytest

from tfx_graphlets.policy.account import (
    NodeAccount,
    SeenScore,
    ThresholdSample,
    decide_by,
    settling,
    together,
)
from tfx_graphlets.policy.decide import GateDecision, GatePolicy, GateState
from tfx_graphlets.policy.freshness import (
    DelayLedger,
    FreshnessLedger,
    ThresholdChoice,
    choose_threshold,
)

HOUR = 3_600_000


def verdict(proceed: bool, **more: object) -> GateDecision:
    """A decision."""
    values: dict[str, object] = {"would_skip": not proceed, "probability": 0.4, "threshold": 0.5}
    return GateDecision(proceed=proceed, reason="", **{**values, **more})  # type: ignore[arg-type]


def test_a_run_ends_the_row_of_skips_and_is_an_attempt() -> None:
    """Skips are counted from the last run, whether a decision or a training tells of it."""
    account = NodeAccount(0.9)
    account.decided(verdict(False))
    account.decided(verdict(False))
    assert (account.skips, account.last_attempt_ms) == (2, None)
    account.decided(verdict(True))
    assert (account.skips, account.last_attempt_ms) == (0, None)
    account.decided(verdict(False))
    account.trained(2 * HOUR)
    account.trained(HOUR)
    assert (account.skips, account.last_attempt_ms) == (0, 2 * HOUR)


def test_in_shadow_mode_what_would_be_skipped_is_a_skip() -> None:
    """So it is where gate and decision are in shadow mode; trainings end no row of skips then."""
    would = verdict(True, would_skip=True)
    for shadow, decided, skips in ((True, True, 1), (True, False, 0), (False, True, 0)):
        account = NodeAccount(0.9, shadow=shadow)
        account.decided(would, shadow=decided)
        account.trained(HOUR)
        assert account.skips == skips
    assert NodeAccount(0.9, shadow=True).counts_as_skipped(verdict(False), shadow=False)
    account = NodeAccount(0.9, shadow=True)
    account.decided(would)  # a decision is live unless it is said to be in shadow mode
    assert account.skips == 0


def test_an_account_begins_with_nothing_spent() -> None:
    """Its ledger follows from what is promised, and cannot be handed in."""
    assert NodeAccount(0.9).ledger == FreshnessLedger(0.9)
    assert NodeAccount(0.9, delay=0.5).ledger == DelayLedger(0.5)
    with pytest.raises(TypeError):
        NodeAccount(0.9, ledger=FreshnessLedger(0.5))  # type: ignore[call-arg]


def test_outcomes_and_what_is_needed_are_kept_apart() -> None:
    """A push counts as one and dates the last; what is needed costs risk and tells its score."""
    account = NodeAccount(0.9)
    account.outcome_known(pushed_ms=3 * HOUR)
    account.outcome_known(pushed_ms=2 * HOUR)
    account.outcome_known(pushed_ms=None)
    account.needed(verdict(True, risk=0.2), censored=True)
    account.needed(verdict(True, risk=0.2, probability=None), censored=False)
    assert (account.labelled, account.pushes) == (3, 2)
    assert account.ledger.pushes == 2
    assert account.ledger.spent == pytest.approx(0.2 / 0.8 + 0.2)
    assert account.state(5 * HOUR, draw=0.25) == GateState(
        labelled=3, pushes=2, consecutive_skips=0, hours_since_last_push=2.0, draw=0.25
    )
    assert account.state(5 * HOUR, draw=0.25, pushes=7).pushes == 7


def test_a_sample_of_known_scores_is_that_of_choose_threshold() -> None:
    """What was learnt since stands beside the history, a later push changes its label."""
    sample = ThresholdSample([0.2, 0.8], [True, False])
    place = sample.learnt(0.6, needed=False, explored=False)
    assert sample.choose(0.5, None) == choose_threshold([0.2, 0.8, 0.6], [True, False, False], 0.5)
    sample.became_needed(place, explored=False)
    ledger = FreshnessLedger(0.5, pushes=1, spent=0.25)
    expected = choose_threshold([0.2, 0.8, 0.6], [True, False, True], 0.5, ledger=ledger)
    assert sample.choose(0.5, ledger) == expected


def test_a_skip_stands_for_as_much_of_a_push_as_its_score_says() -> None:
    """Times what the explored ones show such scores to be worth, but never for less."""
    sample = ThresholdSample([0.6, 0.7], [True, True])
    sample.skipped(0.1)
    scores, labels = [0.6, 0.7, 0.1], [True] * 3
    assert sample.choose(0.5, None) == choose_threshold(scores, labels, 0.5, weights=[1, 1, 0.1])
    assert sample.learnt(0.1, needed=True, explored=True, new=False) == -1
    worth = 2 / 1.1  # one of a score of 0.1 was needed, and one pseudo-observation
    expected = choose_threshold(scores, labels, 0.5, weights=[1, 1, 0.1 * worth])
    assert sample.choose(0.5, None) == expected
    place = sample.learnt(0.2, needed=False, explored=True)
    sample.became_needed(place, explored=True)
    expected = choose_threshold(
        [*scores, 0.2], [*labels, True], 0.5, weights=[1, 1, 0.1 * 3 / 1.3, 1]
    )
    assert sample.choose(0.5, None) == expected


def test_what_the_model_was_trained_on_counts_once() -> None:
    """A skip counts whenever it was; so does what an exploration shows of such scores."""
    seen = (
        SeenScore(0.1, 5, needed=None),
        SeenScore(0.3, 10, needed=True, explored=True),
        SeenScore(0.4, 11, needed=True),
    )
    sample = ThresholdSample([0.6], [True])
    sample.add(seen, trained_ms=10)
    expected = choose_threshold([0.6, 0.1, 0.4], [True] * 3, 0.5, weights=[1, 0.1 * 2 / 1.3, 1])
    assert sample.choose(0.5, None) == expected


def test_a_chosen_threshold_brings_its_risk_and_its_promise() -> None:
    """Without a choice the policy's own threshold decides, and promises nothing."""
    policy = GatePolicy(threshold=0.5, exploration=0.0)
    state = GateState(labelled=9, pushes=9)
    by_hand = decide_by(policy, None, 0.4, state, stage="pre")
    assert (by_hand.proceed, by_hand.risk, by_hand.freshness) == (False, 0.0, None)
    chosen = decide_by(policy, ThresholdChoice(0.3, 0.8, 20, 0, 0.5, 1 / 3), 0.4, state)
    assert (chosen.proceed, chosen.threshold, chosen.freshness) == (True, 0.3, 0.8)
    assert chosen.risk == 0.333333  # what a store keeps of it
    none = decide_by(policy, ThresholdChoice(None, 0.8, 2, 3, 0.5), 0.4, state)
    assert none.threshold is None
    assert "3 more are needed" in none.reason
    assert dataclasses.replace(none, reason="").proceed


def test_a_promise_of_the_delay_is_kept_by_its_own_account() -> None:
    """The waits are runs that the gate decided about, skipped ones too."""
    account = NodeAccount(0.9, delay=0.5)
    first = account.decided(verdict(True))
    for _ in range(3):
        account.decided(verdict(False))
    second = account.decided(verdict(True))
    account.decided(verdict(True))
    for run in (first, second):
        account.needed(verdict(True), censored=False, run=run)
    assert isinstance(account.ledger, DelayLedger)
    assert (account.ledger.pushes, account.ledger.wait) == (2, 4.0)
    assert account.ledger.freshness == 1 - 0.5 / 4


YES = verdict(True, probability=0.6, risk=0.05)
NO = verdict(False, probability=0.2, risk=0.03)
EXPLORED = verdict(True, would_skip=True, explored=True, probability=0.7, risk=0.04)


def test_what_is_found_about_one_node_alone_is_the_decision() -> None:
    """Nothing is added to its reason, and its risk and exploration stay."""
    for one in (YES, NO, EXPLORED):
        assert together(["a"], [one]) == (one,)


def test_a_run_goes_on_for_the_sake_of_one_node_and_the_others_are_at_no_risk() -> None:
    """The node that lets it run stays at its own risk: nothing else would have saved it."""
    found = together(["a", "b", "c"], [NO, dataclasses.replace(YES, reason="Runs."), NO])
    assert [one.proceed for one in found] == [True] * 3
    assert [one.would_skip for one in found] == [False] * 3
    assert [one.risk for one in found] == [0.0, 0.05, 0.0]
    assert [one.probability for one in found] == [0.2, 0.6, 0.2]
    assert {one.reason for one in found} == {"Because of b, and not of a and c. Runs."}


@pytest.mark.parametrize(
    ("nodes", "proceed", "would_skip", "explored", "risks"),
    [
        ((NO, NO), False, True, False, (0.03, 0.03)),
        ((NO, EXPLORED), True, True, True, (0.03, 0.04)),
        ((YES, EXPLORED), True, False, False, (0.05, 0.0)),
        ((YES, YES), True, False, False, (0.0, 0.0)),
    ],
)
def test_an_exploration_of_one_node_takes_no_risk_from_another(
    nodes: tuple[GateDecision, ...],
    proceed: bool,
    would_skip: bool,
    explored: bool,
    risks: tuple[float, ...],
) -> None:
    """It lets the run go on by chance, and the next time it will not."""
    found = together(["a", "b"], nodes)
    for one in found:
        assert (one.proceed, one.would_skip, one.explored) == (proceed, would_skip, explored)
    assert tuple(one.risk for one in found) == risks


def test_nodes_of_one_mind_are_named_together() -> None:
    """The reason is that of the node that settles it."""
    least = dataclasses.replace(NO, probability=0.1, reason="The least.")
    most = dataclasses.replace(NO, reason="The most.")
    [reason] = {one.reason for one in together(["a", "b"], [most, least])}
    assert reason == "For a and b alike. The most."


def test_who_lets_the_run_go_on_settles_it_before_who_explores_and_who_is_likeliest() -> None:
    """Without a probability a node comes after those that have one."""
    unknown = verdict(True, probability=None)
    assert settling([NO, YES, EXPLORED]) == 1
    assert settling([NO, EXPLORED]) == 1
    assert settling([YES, NO, dataclasses.replace(YES, probability=0.5)]) == 0
    assert settling([dataclasses.replace(YES, probability=0.0), unknown]) == 0
    assert settling([NO, unknown]) == 1
