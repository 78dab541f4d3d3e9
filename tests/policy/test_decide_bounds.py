"""What a decision states, figure by figure: its risk, its bounds, its defaults, its words."""

from __future__ import annotations

import dataclasses
import math

import pytest

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.policy.decide import GateDecision, GatePolicy, GateState, decide

SETTLED = GateState(labelled=50, pushes=20, hours_since_last_push=1.0, hours_since_last_attempt=1.0)
SKIPS_BELOW_HALF = GatePolicy(threshold=0.5, exploration=0.25)


def but(value: GateState | GatePolicy, **changes: object) -> object:
    """The value with some fields changed."""
    return dataclasses.replace(value, **changes)  # type: ignore[arg-type]


# -- the risk that the account is charged -----------------------------------------------


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_the_risk_is_that_of_a_skip_which_is_not_explored(probability: float) -> None:
    """A quarter is explored, so that three quarters of the threshold's risk remain."""
    decision = decide(SKIPS_BELOW_HALF, probability, SETTLED, risk=0.08)
    assert decision.risk == pytest.approx(0.06)
    assert decision.exploration == 0.25
    assert decide(SKIPS_BELOW_HALF, probability, SETTLED).risk == 0.0


@pytest.mark.parametrize("probability", [0.1, 0.9])
@pytest.mark.parametrize(
    ("policy", "state"),
    [
        ({"force_run": True}, {}),
        ({"shadow": True}, {}),
        ({"threshold": None}, {}),
        ({"max_consecutive_skips": 0}, {}),
        ({"max_staleness_hours": 1.0}, {}),
        ({"max_hours_without_attempt": 1.0}, {}),
        ({}, {"forced_reason": "asked"}),
        ({}, {"labelled": 4}),
        ({}, {"pushes": 0}),
    ],
)
def test_a_run_that_could_not_be_skipped_costs_no_risk(
    policy: dict[str, object], state: dict[str, object], probability: float
) -> None:
    """Whatever its score: what lets every run go on puts no push at risk."""
    changed, at = but(SKIPS_BELOW_HALF, **policy), but(SETTLED, **state)
    decision = decide(changed, probability, at, risk=0.08)  # type: ignore[arg-type]
    assert (decision.proceed, decision.risk) == (True, 0.0)


def test_a_run_without_a_prediction_costs_no_risk() -> None:
    """Without a score nothing is skipped, whatever the threshold."""
    assert decide(SKIPS_BELOW_HALF, None, SETTLED, risk=0.08).risk == 0.0
    assert decide(SKIPS_BELOW_HALF, math.inf, SETTLED, risk=0.08).risk == 0.0


# -- bounds ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "state", "skips"),
    [
        ({"max_staleness_hours": 24.0}, {"hours_since_last_push": 24.0}, False),
        ({"max_staleness_hours": 24.0}, {"hours_since_last_push": 23.99}, True),
        ({"max_staleness_hours": 24.0}, {"hours_since_last_push": None}, False),
        ({"max_hours_without_attempt": 24.0}, {"hours_since_last_attempt": 24.0}, False),
        ({"max_hours_without_attempt": 24.0}, {"hours_since_last_attempt": 23.99}, True),
        ({"max_hours_without_attempt": 24.0}, {"hours_since_last_attempt": None}, False),
        ({}, {"hours_since_last_push": None, "hours_since_last_attempt": None}, True),
        ({"max_consecutive_skips": 3}, {"consecutive_skips": 3}, False),
        ({"max_consecutive_skips": 3}, {"consecutive_skips": 2}, True),
        ({"min_labelled": 7}, {"labelled": 7}, True),
        ({"min_labelled": 7}, {"labelled": 6}, False),
        ({"min_pushes": 3}, {"pushes": 3}, True),
        ({"min_pushes": 3}, {"pushes": 2}, False),
    ],
)
def test_a_guard_rail_holds_at_its_bound(
    policy: dict[str, object], state: dict[str, object], skips: bool
) -> None:
    """At the limit itself the run proceeds, just short of it it is skipped."""
    changed, at = but(SKIPS_BELOW_HALF, **policy), but(SETTLED, **state)
    decision = decide(changed, 0.1, at)  # type: ignore[arg-type]
    assert (decision.proceed, decision.would_skip) == (not skips, skips)


@pytest.mark.parametrize(
    ("draw", "explored"), [(None, False), (0.0, True), (0.249, True), (0.25, False), (0.9, False)]
)
def test_a_draw_below_the_share_is_explored(draw: float | None, explored: bool) -> None:
    """An explored run would have been skipped; one that runs anyway is not explored."""
    state = but(SETTLED, draw=draw)
    decision = decide(SKIPS_BELOW_HALF, 0.1, state)  # type: ignore[arg-type]
    assert (decision.proceed, decision.explored, decision.would_skip) == (explored, explored, True)
    assert not decide(SKIPS_BELOW_HALF, 0.9, state).explored  # type: ignore[arg-type]
    for spared in ({"shadow": True}, {"force_run": True}):
        policy = but(SKIPS_BELOW_HALF, **spared)
        assert not decide(policy, 0.1, state).explored  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "accepted", "refused"),
    [
        ("freshness", [0, 1], [-0.001, 1.001]),
        ("threshold", [None, 0, 1], [-0.001, 1.001, math.nan]),
        ("exploration", [0, 1], [-0.001, 1.001, math.nan]),
        ("min_labelled", [0, 1], [-1, 0.5, True]),
        ("min_pushes", [0, 1], [-1, 0.5, True]),
        ("max_consecutive_skips", [0, 1], [-1, 0.5, True]),
        ("max_staleness_hours", [None, 0.001], [0, -1, math.inf, math.nan]),
        ("max_hours_without_attempt", [None, 0.001], [0, -1, math.inf, math.nan]),
    ],
)
def test_a_policy_takes_the_ends_of_its_ranges(
    name: str, accepted: list[object], refused: list[object]
) -> None:
    """Both ends are values, what lies beyond is refused by the argument's name."""
    for value in accepted:
        assert getattr(GatePolicy(**{name: value}), name) == value  # type: ignore[arg-type]
    for value in refused:
        with pytest.raises(InvalidArgumentError) as caught:
            GatePolicy(**{name: value})  # type: ignore[arg-type]
        assert caught.value.argument == name


# -- defaults ----------------------------------------------------------------------------


def test_the_defaults_are_what_the_pages_say() -> None:
    """A policy skips a twentieth less than it could; a state knows nothing; a decision is bare."""
    assert dataclasses.asdict(GatePolicy()) == {
        "freshness": 0.95, "promise": "kept", "delay": None, "threshold": None,
        "min_labelled": 5, "min_pushes": 1,
        "max_consecutive_skips": 4, "max_staleness_hours": None,
        "max_hours_without_attempt": None, "exploration": 0.05, "force_run": False,
        "shadow": False,
    }  # fmt: skip
    assert dataclasses.asdict(GateState()) == {
        "labelled": 0, "pushes": 0, "consecutive_skips": 0, "hours_since_last_push": None,
        "hours_since_last_attempt": None, "draw": None, "forced_reason": None,
        "threshold_note": None,
    }  # fmt: skip
    assert dataclasses.asdict(GateDecision(True, False, None, None, "why")) == {
        "proceed": True, "would_skip": False, "probability": None, "threshold": None,
        "reason": "why", "stage": "", "model_fingerprint": "", "contributions": (), "similar": (),
        "explored": False, "exploration": 0.0, "risk": 0.0, "freshness": None,
        "nodes": (),
    }  # fmt: skip


def test_a_decision_records_what_it_was_given() -> None:
    """Stage and model as given, "" if not."""
    decision = decide(SKIPS_BELOW_HALF, 0.1, SETTLED, stage="pre", model_fingerprint="ab")
    assert (decision.stage, decision.model_fingerprint) == ("pre", "ab")
    assert (decision.probability, decision.threshold) == (0.1, 0.5)
    bare = decide(SKIPS_BELOW_HALF, 0.1, SETTLED)
    assert (bare.stage, bare.model_fingerprint) == ("", "")


# -- words -------------------------------------------------------------------------------

UNLIKELY = "because a push is unlikely (probability 0.100, threshold 0.500)."
ELSE = "; else it would be skipped (probability 0.100, threshold 0.500)."
FORCE = " Set force_run to have it trained all the same."


@pytest.mark.parametrize(
    ("policy", "state", "reason"),
    [
        ({}, {}, f"Skipped {UNLIKELY}{FORCE}"),
        ({"shadow": True}, {}, f"Runs in shadow mode, would be skipped {UNLIKELY}{FORCE}"),
        (
            {},
            {"draw": 0.1},
            f"Runs to explore (25% of skips do), would be skipped {UNLIKELY}{FORCE}",
        ),
        (
            {"force_run": True},
            {},
            "Runs because the policy forces every run (the gate would have skipped it).",
        ),
        (
            {"force_run": True, "threshold": 0.05},
            {},
            "Runs because the policy forces every run.",
        ),
        (
            {},
            {"forced_reason": "the operator asked, at X..."},
            "Runs because it is forced: the operator asked, at X (the gate would have skipped it).",
        ),
        (
            {},
            {"labelled": 1},
            (
                "Runs because this pipeline has only 1 labelled graphlet and the policy asks for 5 "
                "(cold start): 4 more to come, or lower min_labelled."
            ),
        ),
        (
            {"min_pushes": 3},
            {"pushes": 2},
            (
                "Runs because this pipeline has pushed 2 models and the policy asks for 3 before "
                "anything is skipped (min_pushes)."
            ),
        ),
        (
            {"threshold": None},
            {},
            (
                "Runs because the gate has no threshold: none was chosen or given; to have it skip "
                "now, lower the freshness or set a threshold."
            ),
        ),
        (
            {"threshold": 0.08},
            {},
            "Runs because the probability of a push, 0.100, is not below the threshold 0.080.",
        ),
        (
            {"threshold": 0.0801},
            {},
            (
                "Runs because the probability of a push, 0.100, is not below the threshold "
                "0.080, if barely."
            ),
        ),
        (
            {"max_consecutive_skips": 1},
            {"consecutive_skips": 1},
            (
                "Runs because 1 run in a row had been skipped and the policy allows 1 "
                f"(max_consecutive_skips){ELSE}"
            ),
        ),
        (
            {"max_staleness_hours": 2.5},
            {"hours_since_last_push": 3.25},
            (
                "Runs because the last push was 3.2 hours ago and the policy allows 2.5 "
                f"(max_staleness_hours){ELSE}"
            ),
        ),
        (
            {"max_hours_without_attempt": 2.5},
            {"hours_since_last_attempt": None},
            (
                "Runs because no attempt is known and the policy allows 2.5 hours without one "
                f"(max_hours_without_attempt){ELSE}"
            ),
        ),
        (
            {"max_hours_without_attempt": 2.5},
            {"hours_since_last_attempt": 3.25},
            (
                "Runs because the last run that went on to train was 3.2 hours ago and the policy "
                f"allows 2.5 (max_hours_without_attempt){ELSE}"
            ),
        ),
    ],
)
def test_each_reason_as_a_whole(
    policy: dict[str, object], state: dict[str, object], reason: str
) -> None:
    """Figures, singular and plural, full stops: what a person reads, word for word."""
    changed, at = but(SKIPS_BELOW_HALF, **policy), but(SETTLED, **state)
    assert decide(changed, 0.1, at).reason == reason  # type: ignore[arg-type]
