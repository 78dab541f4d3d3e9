"""The promise: thresholds that keep it over many draws, and the account of the risk taken."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import deterministic
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.policy.decide import GatePolicy, GateState, decide
from tfx_graphlets.policy.freshness import (
    MOST_RISK,
    MOST_THRESHOLD,
    FreshnessLedger,
    ThresholdChoice,
    choose_threshold,
)

FRESHNESS = st.sampled_from([0.8, 0.9, 0.95, 0.99])


def choose(scores: list[float], freshness: float, **options: object) -> ThresholdChoice:
    """A choice from scores of pushes alone."""
    return choose_threshold(scores, [True] * len(scores), freshness, **options)  # type: ignore[arg-type]


def test_a_weight_of_three_is_three_graphlets() -> None:
    """Weights give the threshold that repeated scores give."""
    scores = [0.1, 0.2, 0.3, 0.4]
    weighted = choose(scores, 0.8, weights=[3.0, 1.0, 2.0, 5.0])
    repeated = choose([0.1] * 3 + [0.2] + [0.3] * 2 + [0.4] * 5, 0.8)
    # Of the heavy lowest score only the whole can be put at risk.
    assert weighted.pushes == repeated.pushes == 11
    assert weighted.threshold is None
    assert repeated.threshold == 0.1
    assert choose(scores, 0.7, weights=[3.0, 1.0, 2.0, 5.0]).threshold == 0.1
    assert choose([0.1] * 3 + [0.2] + [0.3] * 2 + [0.4] * 5, 0.7).threshold == 0.1


def test_nothing_that_is_likely_to_be_pushed_is_skipped() -> None:
    """However safe it were, no threshold is above one half, unless it is asked for."""
    scores = [0.9 + at / 1000 for at in range(40)]
    assert choose(scores, 0.9).threshold == MOST_THRESHOLD
    assert choose(scores, 0.9, most=1.0).threshold == pytest.approx(0.903)


def test_the_risk_is_what_lies_below() -> None:
    """The stated risk is the share of pushes below the threshold, the next one among them."""
    choice = choose([at / 100 for at in range(40)], 0.9)
    assert choice.threshold == 0.03
    assert choice.risk == pytest.approx(4 / 41)
    assert choose([0.9] * 40, 0.9).risk == pytest.approx(1 / 41)
    assert choose([0.9] * 3, 0.9).risk == 0.0


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"weights": [1.0]}, "weights"),
        ({"weights": [1.0, 0.0]}, "weights"),
        ({"ledger": FreshnessLedger(0.9)}, "ledger"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], told: str) -> None:
    """Weights of another number or of 0, and the account of another promise."""
    with pytest.raises(InvalidArgumentError) as caught:
        choose([0.1, 0.2], 0.95, **options)
    assert caught.value.argument == told


# -- the account -----------------------------------------------------------------------


@deterministic
@given(FRESHNESS, st.lists(st.floats(0, 1), max_size=80))
def test_the_risk_taken_never_exceeds_the_promise(freshness: float, wishes: list[float]) -> None:
    """Whatever share of its allowance is taken, the sum stays within (1 - F) N at every N."""
    ledger = FreshnessLedger(freshness)
    for wish in wishes:
        risk = wish * ledger.allowance
        assert risk <= MOST_RISK * (1 - freshness) + 1e-9
        ledger = ledger.after_push(risk, censored=False)
        assert ledger.spent <= (1 - freshness) * ledger.pushes + 1e-9


def test_what_was_kept_while_it_learnt_may_be_spent() -> None:
    """Alone, 0.95 can be promised from 7 kept pushes on, not from 19; 0.99 from 39, not 99."""
    for freshness, first in ((0.95, 7), (0.99, 39)):
        ledger, scores = FreshnessLedger(freshness), []
        for number in range(60):
            choice = choose(scores, freshness, ledger=ledger)
            assert (choice.threshold is not None) == (number >= first), number
            assert choice.pushes_needed == max(first - number, 0)
            scores.append(0.4)
            ledger = ledger.after_push(0.0, censored=False)


@dataclasses.dataclass
class Life:
    """Pushes missed, pushes, skipped and all unpushed runs of one gate's life."""

    missed: int = 0
    pushes: int = 0
    removed: int = 0
    unpushed: int = 0


def life(draw: np.random.Generator, freshness: float, runs: int, push_rate: float) -> Life:
    """A gate over one pipeline, beside 150 known runs of others like it.

    Scores are probabilities, as a waste model gives them; what is skipped is not seen, but
    for the twentieth that is explored, and counts as so much of a push as it scored.
    """

    def scored(pushed: bool) -> float:
        seen = draw.beta(4, 2) if pushed else draw.beta(2, 4)
        of_push, of_other = seen**3 * (1 - seen), seen * (1 - seen) ** 3
        return float(push_rate * of_push / (push_rate * of_push + (1 - push_rate) * of_other))

    labels = (draw.random(150) < push_rate).tolist()
    scores, weights = [scored(pushed) for pushed in labels], [1.0] * 150
    ledger, in_a_row, found = FreshnessLedger(freshness), 0, Life()
    for number in range(runs):
        pushed = bool(draw.random() < push_rate)
        score = scored(pushed)
        choice = choose_threshold(scores, labels, freshness, weights=weights, ledger=ledger)
        policy = GatePolicy(freshness=freshness, threshold=choice.threshold)
        state = GateState(
            labelled=number,
            pushes=ledger.pushes,
            consecutive_skips=in_a_row,
            draw=float(draw.random()),
        )
        decision = decide(policy, score, state, risk=choice.risk)
        skipped = not decision.proceed
        in_a_row = in_a_row + 1 if skipped else 0
        found.pushes += pushed
        found.missed += pushed and skipped
        found.unpushed += not pushed
        found.removed += skipped and not pushed
        scores.append(score)
        labels.append(pushed or skipped)
        weights.append(min(max(score, 0.01), 0.99) if skipped else 1.0)
        if pushed and not skipped:
            ledger = ledger.after_push(decision.risk, censored=True)
    return found


@pytest.mark.parametrize(
    ("freshness", "runs", "push_rate", "spent"),
    [(0.9, 80, 0.5, 0.5), (0.95, 80, 0.3, 0.3), (0.95, 250, 0.5, 0.65)],
)
def test_over_many_lives_the_promise_is_kept_and_spent(
    freshness: float, runs: int, push_rate: float, spent: float
) -> None:
    """Over many lives at most 1 - F are missed, and a stated part of that is spent."""
    draw = np.random.default_rng(runs)
    lives = [life(draw, freshness, runs, push_rate) for _ in range(8_000 // runs)]
    shares = np.array([one.missed / max(one.pushes, 1) for one in lives])
    noise = float(shares.std()) / np.sqrt(len(shares))
    assert shares.mean() <= 1 - freshness + 2 * noise
    assert shares.mean() >= spent * (1 - freshness)


@pytest.mark.parametrize(("freshness", "pushes"), [(0.9, 40), (0.95, 40), (0.95, 120)])
def test_the_account_keeps_the_promise_over_many_draws(freshness: float, pushes: int) -> None:
    """Of exchangeable pushes at most 1 - F are missed, counted from the first one."""
    draw = np.random.default_rng(pushes)
    missed = []
    for _ in range(150):
        ledger, scores, misses = FreshnessLedger(freshness), [], 0
        for score in (draw.random(pushes) / 2).tolist():  # below the cap of one half
            choice = choose(scores, freshness, ledger=ledger)
            misses += choice.threshold is not None and score < choice.threshold
            ledger = ledger.after_push(choice.risk, censored=False)
            scores.append(score)
        missed.append(misses / pushes)
    noise = float(np.std(missed)) / np.sqrt(len(missed))
    assert np.mean(missed) <= 1 - freshness + 3 * noise
    assert np.mean(missed) >= 0.8 * (1 - freshness)


@pytest.mark.parametrize(
    ("spent", "pushes", "place"),
    [
        (0.0, 400, 22),  # 5 % of 401 and two pushes more, though 12.5 % were saved up
        (3.95, 400, 20),  # what is left of 5 % of 80: 5 %
        (3.97, 400, 12),  # 3 %
        (0.0, 30, 3),  # of 31 the promise allows one and a half, and savings two more
        (0.0, 20, 2),  # of 21 that would be three, 14 %: no push is put at more than 12.5 %
        (0.0, 14, 1),  # a single push may be more than the promised share, 1 / 15
    ],
)
def test_savings_are_spent_at_a_pace(spent: float, pushes: int, place: int) -> None:
    """Savings pay for two known pushes below a threshold beyond those that 1 - F allows."""
    scores = [at / 1_000 for at in range(1, pushes + 1)]
    ledger = FreshnessLedger(0.95, pushes=79, spent=spent)
    assert choose(scores, 0.95, ledger=ledger).threshold == scores[place - 1]


def test_a_censored_push_stands_for_those_that_nobody_saw() -> None:
    """Counting only the pushes that were kept, the risk spent is right in the mean."""
    draw = np.random.default_rng(5)
    risk, spent = 0.1, 0.0
    for _ in range(20_000):
        if draw.random() >= risk:
            spent += FreshnessLedger(0.9).after_push(risk, censored=True).spent
    assert spent / 20_000 == pytest.approx(risk, rel=0.01)


# -- figures by hand ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ledger", "allowance"),
    [
        (FreshnessLedger(0.9, pushes=9), 0.25),  # a whole push is left: MOST_RISK times 1 - F
        (FreshnessLedger(0.9), 0.1),  # what one push brings, nothing was saved up
        (FreshnessLedger(0.9, pushes=9, spent=0.9), 0.1),
        (FreshnessLedger(0.9, pushes=9, spent=0.95), 0.05),  # what is left
        (FreshnessLedger(0.9, pushes=9, spent=1.5), 0.0),
        (FreshnessLedger(0.0, pushes=9), 1.0),
        (FreshnessLedger(1.0, pushes=9), 0.0),
    ],
)
def test_the_allowance_by_hand(ledger: FreshnessLedger, allowance: float) -> None:
    """The least of what is left and MOST_RISK times the promised share."""
    assert ledger.allowance == pytest.approx(allowance, abs=1e-12)


def test_a_push_is_entered_with_its_risk() -> None:
    """One push more and its risk; where a miss would go unseen, the odds of it."""
    ledger = FreshnessLedger(0.9, pushes=3, spent=0.1)
    assert ledger.after_push(0.2, censored=False) == FreshnessLedger(0.9, 4, 0.1 + 0.2)
    assert ledger.after_push(0.2, censored=True) == FreshnessLedger(0.9, 4, 0.1 + 0.2 / (1 - 0.2))
    assert ledger.after_push(1.0, censored=True).spent == 1.1
    assert FreshnessLedger(0.9) == FreshnessLedger(0.9, 0, 0.0)


@pytest.mark.parametrize("scores", [[], [0.1, 0.2], [0.9, 0.95]])
def test_freshness_0_asks_for_nothing(scores: list[float]) -> None:
    """Whatever is likelier not to be pushed is skipped, each push at the whole risk."""
    choice = choose(scores, 0.0)
    assert (choice.threshold, choice.risk, choice.pushes_needed) == (MOST_THRESHOLD, 1.0, 0)


def test_a_heavy_lowest_score_needs_no_more_pushes_but_lighter_ones() -> None:
    """There is mass enough, only none that is light enough to be put at risk."""
    choice = choose([0.1, 0.2, 0.3, 0.4], 0.8, weights=[3.0, 1.0, 2.0, 5.0])
    assert (choice.threshold, choice.pushes_needed, choice.risk) == (None, 0, 0.0)


@pytest.mark.parametrize("count", [9, 19, 29, 39])
def test_a_binary_fraction_short_of_a_whole_is_a_whole(count: int) -> None:
    """(1 - 0.9) * 20 is a little less than 2, and counts as 2."""
    scores = [at / 100 for at in range(1, count + 1)]
    assert choose(scores, 0.9).threshold == scores[(count + 1) // 10 - 1]


def test_what_a_choice_says() -> None:
    """A threshold with what it rests on, or why there is none and how many more are needed."""
    choice = choose([0.1 + at / 100 for at in range(20)], 0.9)
    assert str(choice) == (
        "skip below 0.1100: keeps at least 0.9 of pushes in expectation (from 20 pushes), "
        "skips 5% of runs"
    )
    assert choice.note == ""
    short = choose([0.5] * 4, 0.9)
    note = "a freshness of 0.9 cannot be promised from 4 scored pushes, 5 more are needed"
    assert (short.note, str(short)) == (note, f"never skip: {note}")
    never = choose([0.5] * 4, 1.0)
    assert never.note == "no threshold can promise to keep every push"
    assert np.isnan(choose([], 0.9).expected_skips)


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        (([0.1, 0.2], [True], 0.9), "pushed"),
        (([0.1], [True], 1.5), "freshness"),
        (([0.1], [True], -0.5), "freshness"),
    ],
)
def test_a_refused_argument_is_named(arguments: tuple[object, ...], argument: str) -> None:
    """The error holds the name of the argument that is wrong."""
    with pytest.raises(InvalidArgumentError) as caught:
        choose_threshold(*arguments)  # type: ignore[arg-type]
    assert caught.value.argument == argument
