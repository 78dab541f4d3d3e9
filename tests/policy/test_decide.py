"""The policy: thresholds that keep their promise, decisions that say why."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import deterministic
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.policy.decide import GatePolicy, GateState, decide
from tfx_graphlets.policy.decision import Contribution, SimilarGraphlet
from tfx_graphlets.policy.freshness import choose_threshold

SETTLED = GateState(labelled=50, pushes=20, consecutive_skips=0, hours_since_last_push=1.0)
PROBABILITY = st.floats(0, 1)
STATE = st.builds(
    GateState,
    labelled=st.integers(0, 10),
    pushes=st.integers(0, 3),
    consecutive_skips=st.integers(0, 12),
    hours_since_last_push=st.none() | st.floats(0, 100),
)
POLICY = st.builds(
    GatePolicy,
    threshold=PROBABILITY,
    max_consecutive_skips=st.integers(0, 10),
    max_staleness_hours=st.none() | st.floats(1, 50),
)


# -- decide ------------------------------------------------------------------------


def test_a_probability_below_the_threshold_is_skipped() -> None:
    """Below the threshold the run is skipped, at it and above it proceeds."""
    policy = GatePolicy(threshold=0.4)
    verdicts = [decide(policy, p, SETTLED).proceed for p in (0.0, 0.399, 0.4, 0.9)]
    assert verdicts == [False, False, True, True]


@deterministic
@given(POLICY, STATE, PROBABILITY, PROBABILITY)
def test_a_higher_probability_never_turns_run_into_skip(
    policy: GatePolicy, state: GateState, one: float, other: float
) -> None:
    """Decisions are monotone in the probability."""
    low, high = sorted((one, other))
    assert decide(policy, low, state).proceed <= decide(policy, high, state).proceed


@deterministic
@given(POLICY, STATE, PROBABILITY, PROBABILITY, PROBABILITY)
def test_a_higher_threshold_never_turns_skip_into_run(
    policy: GatePolicy, state: GateState, probability: float, one: float, other: float
) -> None:
    """Decisions are monotone in the threshold."""
    low, high = (dataclasses.replace(policy, threshold=t) for t in sorted((one, other)))
    assert decide(high, probability, state).proceed <= decide(low, probability, state).proceed


@deterministic
@given(POLICY, st.lists(PROBABILITY, min_size=30, max_size=60))
def test_it_never_skips_past_the_maximum_gap(policy: GatePolicy, scores: list[float]) -> None:
    """In any sequence of runs no more than max_consecutive_skips are skipped in a row."""
    skips = longest = 0
    for probability in scores:
        state = dataclasses.replace(SETTLED, consecutive_skips=skips)
        skips = 0 if decide(policy, probability, state).proceed else skips + 1
        longest = max(longest, skips)
    assert longest <= policy.max_consecutive_skips


@pytest.mark.parametrize("probability", [None, math.nan])
def test_it_fails_open(probability: float | None) -> None:
    """Without a prediction the run proceeds, says so, and records no probability."""
    decision = decide(GatePolicy(threshold=1.0), probability, SETTLED)
    assert decision.proceed
    assert not decision.would_skip
    assert decision.probability is None
    assert "no prediction" in decision.reason


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (dataclasses.replace(SETTLED, labelled=4), "cold start"),
        (dataclasses.replace(SETTLED, pushes=0), "has pushed 0 models"),
        (dataclasses.replace(SETTLED, consecutive_skips=10), "10 runs in a row"),
        (dataclasses.replace(SETTLED, hours_since_last_push=48.0), "48.0 hours ago"),
        (dataclasses.replace(SETTLED, hours_since_last_push=None), "no push is known"),
        (dataclasses.replace(SETTLED, forced_reason="the operator asked."), "operator asked"),
    ],
)
def test_guard_rails_let_it_run_and_say_why(state: GateState, told: str) -> None:
    """Cold start, no push yet, too many skips, staleness and force each proceed with a reason."""
    decision = decide(GatePolicy(threshold=0.9, max_staleness_hours=24), 0.1, state)
    assert decision.proceed
    assert told in decision.reason
    assert decision.reason.endswith(".")
    assert ".." not in decision.reason


def test_without_a_threshold_it_never_skips_and_says_what_is_missing() -> None:
    """A policy without threshold proceeds and tells the note of the threshold's choice."""
    note = choose_threshold([0.1] * 10, [True] * 10, 0.95).note
    decision = decide(GatePolicy(), 0.0, dataclasses.replace(SETTLED, threshold_note=note))
    assert decision.proceed
    assert "9 more are needed" in decision.reason


def test_shadow_mode_records_and_never_skips() -> None:
    """In shadow mode the run proceeds and would_skip says what it would have done."""
    policy = GatePolicy(threshold=0.5, shadow=True)
    skipped, kept = decide(policy, 0.1, SETTLED), decide(policy, 0.9, SETTLED)
    assert (skipped.proceed, skipped.would_skip) == (True, True)
    assert (kept.proceed, kept.would_skip) == (True, False)
    assert "shadow" in skipped.reason


def test_force_run_proceeds_and_records_what_it_would_have_done() -> None:
    """A policy that forces every run still says which it would have skipped."""
    decision = decide(GatePolicy(threshold=0.5, force_run=True), 0.1, SETTLED)
    assert (decision.proceed, decision.would_skip) == (True, True)


def test_a_skip_names_what_spoke_against_it() -> None:
    """The reason of a skip names at most three contributions of negative effect."""
    moved = [Contribution("a.up", "1", 0.2)]
    moved += [Contribution(f"a.down_{at}", "same", -0.1) for at in range(4)]
    decision = decide(
        GatePolicy(threshold=0.5), 0.1, SETTLED, stage="pre", model_fingerprint="ab",
        contributions=moved,
    )  # fmt: skip
    assert "a.down_2 = same (-0.10)" in decision.reason
    assert "a.down_3" not in decision.reason
    assert "a.up" not in decision.reason
    assert (decision.stage, decision.model_fingerprint) == ("pre", "ab")
    assert decision.contributions == tuple(moved)


def similar(*fates: bool, runs: bool = True) -> tuple[SimilarGraphlet, ...]:
    """Past graphlets a, b, c, ... and whether each was pushed."""
    return tuple(
        SimilarGraphlet(7 + at, "abc"[at] if runs else "", 0, pushed, 0.9)
        for at, pushed in enumerate(fates)
    )


def test_the_reason_of_a_skip_as_a_whole() -> None:
    """Figures, phrases with their effects, the most similar graphlets, and what to do."""
    moved = (
        Contribution("d.same", "1", -0.2, "the data are the same", "Wait for new data"),
        Contribution("d.code", "1", -0.1, "the code is old", "Change the code"),
        Contribution("d.small", "1", -0.011, "it is Monday"),
    )
    decision = decide(
        GatePolicy(threshold=0.231), 0.007, SETTLED, contributions=moved,
        similar=similar(False, False, False),
    )  # fmt: skip
    assert decision.reason == (
        "Skipped because a push is unlikely (probability 0.007, threshold 0.231): the data are the "
        "same (-0.20), the code is old (-0.10). The 3 most similar past graphlets were not pushed "
        "(runs a, b, c). Wait for new data."
    )
    assert decision.similar == similar(False, False, False)


def test_the_reason_of_a_run_says_what_speaks_for_it() -> None:
    """Positive contributions, and that it was nearly skipped where it was."""
    moved = (
        Contribution("a", "1", 0.12, "the last push was long ago"),
        Contribution("b", "2", -0.2),
    )
    near, far = (
        decide(
            GatePolicy(threshold=0.3), probability, SETTLED, contributions=moved,
            similar=similar(True, False),
        ).reason
        for probability in (0.31, 0.8)
    )  # fmt: skip
    assert near == (
        "Runs because the probability of a push, 0.310, is not below the threshold 0.300, if "
        "barely: the last push was long ago (+0.12). Of the 2 most similar past graphlets 1 was "
        "pushed (run a) and 1 was not (run b)."
    )
    assert "barely" not in far


def test_a_skip_that_nothing_explains_says_how_to_have_it_trained() -> None:
    """Where no advice is known the way around the gate is told."""
    assert "force_run" in decide(GatePolicy(threshold=0.5), 0.1, SETTLED).reason


def test_graphlets_without_a_run_are_named_by_their_trainer() -> None:
    """The id of the Trainer execution stands in for the run."""
    reason = decide(
        GatePolicy(threshold=0.5), 0.1, SETTLED, similar=similar(True, True, runs=False)
    ).reason
    assert "The 2 most similar past graphlets were pushed (Trainer executions 7, 8)." in reason


@pytest.mark.parametrize(
    ("policy", "state", "setting"),
    [
        (GatePolicy(threshold=0.5), dataclasses.replace(SETTLED, labelled=2), "min_labelled"),
        (GatePolicy(threshold=0.5), dataclasses.replace(SETTLED, pushes=0), "min_pushes"),
        (
            GatePolicy(threshold=0.5),
            dataclasses.replace(SETTLED, consecutive_skips=10), "max_consecutive_skips",
        ),
        (
            GatePolicy(threshold=0.5, max_staleness_hours=1.0), SETTLED, "max_staleness_hours",
        ),
        (
            GatePolicy(threshold=0.5, max_hours_without_attempt=1.0), SETTLED,
            "max_hours_without_attempt",
        ),
        (GatePolicy(), SETTLED, "lower the freshness"),
    ],
)  # fmt: skip
def test_a_guard_rail_names_the_setting_that_it_comes_from(
    policy: GatePolicy, state: GateState, setting: str
) -> None:
    """Whoever wants another decision reads what to change."""
    decision = decide(policy, 0.1, state)
    assert decision.proceed
    assert setting in decision.reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("freshness", 1.01),
        ("freshness", math.nan),
        ("threshold", -0.1),
        ("min_labelled", -1),
        ("min_pushes", 1.5),
        ("max_consecutive_skips", True),
        ("max_staleness_hours", 0),
        ("max_staleness_hours", math.inf),
    ],
)
def test_a_policy_refuses_values_out_of_range(name: str, value: object) -> None:
    """Each field is checked in the constructor, and the error names it."""
    with pytest.raises(InvalidArgumentError, match=name) as caught:
        GatePolicy(**{name: value})  # type: ignore[arg-type]
    assert caught.value.argument == name


# -- choose_threshold -----------------------------------------------------------------


def test_the_threshold_is_the_kth_smallest_score_of_a_push() -> None:
    """With 39 pushes and freshness 0.95 k is 2: the second smallest score."""
    scores = [at / 100 for at in range(39)]
    choice = choose_threshold([*scores, 0.005], [True] * 39 + [False], 0.95)
    assert (choice.threshold, choice.pushes, choice.pushes_needed) == (0.01, 39, 0)
    assert choice.expected_skips == 2 / 40


@pytest.mark.parametrize(("freshness", "least"), [(0.9, 9), (0.95, 19), (0.99, 99), (0.5, 1)])
def test_too_few_pushes_give_no_threshold(freshness: float, least: int) -> None:
    """One push short of 1 / (1 - F) - 1 there is no threshold, and one more is asked for."""
    short = choose_threshold([0.5] * (least - 1), [True] * (least - 1), freshness)
    assert (short.threshold, short.pushes_needed) == (None, 1)
    assert choose_threshold([0.5] * least, [True] * least, freshness).threshold == 0.5


def test_the_ends_of_freshness() -> None:
    """Freshness 1 never has a threshold, freshness 0 skips what is likelier not to be pushed."""
    certain = choose_threshold([0.5] * 1000, [True] * 1000, 1.0)
    assert (certain.threshold, certain.pushes_needed) == (None, None)
    assert choose_threshold([0.2, 0.5], [True, True], 0.0).threshold == 0.5


def test_pushes_without_a_score_count_as_kept() -> None:
    """A NaN score of a push stands above all others, since its run would proceed."""
    choice = choose_threshold([math.nan] * 10 + [0.3] * 9, [True] * 19, 0.9)
    assert choice.threshold == 0.3
    assert choose_threshold([math.nan] * 19, [True] * 19, 0.9).threshold == 0.5


@pytest.mark.parametrize(("freshness", "pushes"), [(0.95, 19), (0.95, 64), (0.9, 30), (0.99, 150)])
def test_the_promise_is_kept_over_many_draws(freshness: float, pushes: int) -> None:
    """Over 4,000 draws the mean share of missed pushes is at most 1 - F, and not far below it."""
    draw = np.random.default_rng(7)
    missed = []
    for _ in range(4000):
        scores = draw.beta(5, 2, pushes)
        threshold = choose_threshold(
            scores.tolist(), [True] * pushes, freshness, most=1.0
        ).threshold
        assert threshold is not None
        missed.append(float((draw.beta(5, 2, 200) < threshold).mean()))
    allowed = math.floor((1 - freshness) * (pushes + 1) + 1e-9) / (pushes + 1)
    noise = 4 * float(np.std(missed)) / math.sqrt(len(missed))
    assert abs(float(np.mean(missed)) - allowed) < noise
    assert allowed <= 1 - freshness + 1e-9


def test_lengths_must_agree() -> None:
    """As many labels as probabilities."""
    with pytest.raises(InvalidArgumentError, match="pushed"):
        choose_threshold([0.1], [True, False], 0.9)
