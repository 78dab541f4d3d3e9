"""The promise of the mean delay: its account by hand, and kept over many draws."""

from __future__ import annotations

import numpy as np
import pytest

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.policy.decide import GatePolicy, GateState, decide
from tfx_graphlets.policy.freshness import DelayLedger, choose_threshold


def test_while_no_wait_is_known_no_push_is_put_at_risk() -> None:
    """The first push says nothing of how long the next one takes."""
    none = DelayLedger(0.5)
    one = none.after_push(0.0, censored=True, runs=7)
    assert (none.wait, none.allowance, one.wait, one.allowance) == (None, 0.0, None, 0.0)
    assert one.after_push(0.0, censored=True, runs=4).wait == 4.0


def test_a_push_costs_the_wait_for_the_next_one() -> None:
    """At odds of 1 to 4 a push that is followed after 3 runs has cost 0.75 runs."""
    ledger = DelayLedger(0.5)
    for risk, runs in ((0.0, 0), (0.2, 2), (0.0, 3)):
        ledger = ledger.after_push(risk, censored=True, runs=runs)
    assert (ledger.pushes, ledger.runs, ledger.spent) == (3, 5, 0.25 * 3)
    assert ledger.wait == 2.5
    seen = DelayLedger(0.5, pushes=2, runs=2).after_push(0.2, censored=False, runs=2)
    assert seen.open_risk == 0.2


def test_the_allowance_by_hand() -> None:
    """What is left, by the mean wait; no more than MOST_RISK times the mean; at most 1."""
    ledger = DelayLedger(0.5, pushes=5, runs=16, spent=2.0)
    assert ledger.wait == 4.0
    assert ledger.freshness == 1 - 0.5 / 4
    assert ledger.allowance == pytest.approx((0.5 * 6 - 2.0) / 4)
    assert DelayLedger(0.5, 5, 16, 2.0, open_risk=0.2).allowance == pytest.approx((1.0 - 0.8) / 4)
    assert DelayLedger(0.5, pushes=5, runs=16).allowance == pytest.approx(2.5 * 0.5 / 4)
    assert DelayLedger(9.0, pushes=5, runs=16).allowance == 1.0
    assert DelayLedger(0.5, pushes=5, runs=16, spent=9.0).allowance == 0.0


def test_frequent_pushes_may_be_missed_more_often_than_rare_ones() -> None:
    """Each miss costs the one pipeline a run and the other ten."""
    often, seldom = DelayLedger(0.1, pushes=11, runs=10), DelayLedger(0.1, pushes=11, runs=100)
    assert (often.freshness, seldom.freshness) == (pytest.approx(0.9), pytest.approx(0.99))


@pytest.mark.parametrize("delay", [-0.1, float("nan"), float("inf")])
def test_a_delay_that_cannot_be_is_refused(delay: float) -> None:
    """Runs, 0 or more."""
    with pytest.raises(InvalidArgumentError, match=r"delay=.*0 or more"):
        DelayLedger(delay)


def waits(draw: np.random.Generator, delay: float, runs: int, stays: float) -> tuple[int, int, int]:
    """Runs that pushes waited, pushes, and unpushed runs removed, of one gate's life.

    Days that push and days that do not come in streaks: a state stays with chance ``stays``.
    """

    def scored(pushed: bool) -> float:
        seen = draw.beta(4, 2) if pushed else draw.beta(2, 4)
        return float(seen**2 / (seen**2 + (1 - seen) ** 2))

    labels = (draw.random(150) < 0.5).tolist()
    scores, weights = [scored(pushed) for pushed in labels], [1.0] * 150
    ledger, in_a_row = DelayLedger(delay), 0
    pushed = True
    waiting: list[int] = []  # runs at which pushes were missed that nothing made up for yet
    total = pushes = removed = since = 0
    for number in range(runs):
        pushed = pushed if draw.random() < stays else not pushed
        score = scored(pushed)
        choice = choose_threshold(scores, labels, ledger.freshness, weights=weights, ledger=ledger)
        policy = GatePolicy(threshold=choice.threshold)
        state = GateState(
            labelled=number,
            pushes=ledger.pushes,
            consecutive_skips=in_a_row,
            draw=float(draw.random()),
        )
        decision = decide(policy, score, state, risk=choice.risk)
        since += 1
        in_a_row = 0 if decision.proceed else in_a_row + 1
        pushes += pushed
        removed += not decision.proceed and not pushed
        scores.append(score)
        labels.append(pushed or not decision.proceed)
        weights.append(1.0 if decision.proceed else min(max(score, 0.01), 0.99))
        if pushed and not decision.proceed:
            waiting.append(number)
        elif pushed:
            total += sum(number - at for at in waiting)
            waiting = []
            ledger = ledger.after_push(decision.risk, censored=True, runs=since)
            since = 0
    return total + sum(runs - at for at in waiting), pushes, removed


@pytest.mark.parametrize(("delay", "stays"), [(0.1, 0.5), (0.3, 0.5), (0.2, 0.8)])
def test_pushes_wait_no_longer_than_promised_over_many_draws(delay: float, stays: float) -> None:
    """The mean over lives stays within the promise, and at least a third of it is used."""
    draw = np.random.default_rng(round(100 * delay + stays))
    lives = [waits(draw, delay, 100, stays) for _ in range(100)]
    means = np.array([total / max(pushes, 1) for total, pushes, _ in lives])
    noise = float(means.std()) / np.sqrt(len(means))
    assert means.mean() <= delay + 2 * noise
    assert means.mean() >= delay / 3
    assert sum(removed for _, _, removed in lives) > 0
