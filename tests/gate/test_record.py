"""Earlier decisions, as the store remembers them."""

from __future__ import annotations

from tfx_graphlets.gate.record import consecutive_skips, past_decisions, skipped_runs
from tfx_graphlets.gate.run import custom_properties
from tfx_graphlets.policy.decide import GateDecision
from tfx_graphlets.policy.decision import PastDecision
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import Stage

GATE = "tfx_graphlets.components.waste_gate.WasteGate"


def decision(time_ms: int, proceed: bool, **more: object) -> PastDecision:
    """A decision of the gate ``WasteGate`` at stage pre."""
    values: dict[str, object] = {
        "stage": "pre", "gate": "WasteGate", "run": "", "would_skip": not proceed, "shadow": False,
    }  # fmt: skip
    return PastDecision(time_ms=time_ms, proceed=proceed, **{**values, **more})  # type: ignore[arg-type]


def test_decisions_are_read_from_their_artifacts() -> None:
    """Every GateDecision with a proceed property is a decision, with run, stage and moment."""
    build = TraceBuilder()
    for run, proceed in (("r1", 1), ("r2", 0)):
        artifact = build.artifact(
            "tfx_graphlets.GateDecision", proceed=proceed, would_skip=1 - proceed, shadow=0,
            stage="pre", gate="WasteGate", create_ms=100 if run == "r1" else 200,
        )  # fmt: skip
        build.execution(GATE, outputs={"decision": [artifact]}, run=run)
    broken = build.artifact("tfx_graphlets.GateDecision", stage="pre")
    build.execution(GATE, outputs={"decision": [broken]}, run="r3")
    assert past_decisions(build.trace()) == (
        decision(100, True, run="r1", pipeline="pipeline"),
        decision(200, False, run="r2", pipeline="pipeline"),
    )


def test_all_that_a_decision_says_of_exploration_and_risk_is_read() -> None:
    """What custom_properties writes, past_decisions reads."""
    made = GateDecision(
        proceed=True, would_skip=True, probability=0.125, threshold=0.25, reason="Runs.",
        stage="pre", explored=True, exploration=0.05, risk=0.0475, freshness=0.95,
    )  # fmt: skip
    written = custom_properties(made, gate="WasteGate", shadow=False, failed_open=True, seconds=0.1)
    build = TraceBuilder()
    artifact = build.artifact("tfx_graphlets.GateDecision", create_ms=7, **written)
    build.execution(GATE, outputs={"decision": [artifact]}, run="r1")
    [read] = past_decisions(build.trace())
    assert read == decision(
        7, True, run="r1", pipeline="pipeline", would_skip=True, explored=True, exploration=0.05,
        risk=0.0475, probability=0.125, threshold=0.25, freshness=0.95, failed_open=True,
    )  # fmt: skip
    assert not read.followed


def test_runs_that_any_gate_cut_short_are_known() -> None:
    """By pipeline and name, whichever gate it was."""
    past = [decision(1, False, run="a", pipeline="p"), decision(2, True, run="b", pipeline="p")]
    assert skipped_runs(past) == {("p", "a")}


def test_a_trace_without_gates_has_no_decisions() -> None:
    """A store that never had a gate gives none."""
    build = TraceBuilder()
    build.execution("Trainer", outputs={"model": [build.artifact("Model")]}, run="r")
    assert past_decisions(build.trace()) == ()


def test_skips_are_counted_back_to_the_last_run_that_ran() -> None:
    """Only the skips after the latest proceeding decision count."""
    past = [decision(1, False), decision(2, True), decision(3, False), decision(4, False)]
    assert consecutive_skips(past, stage=Stage.PRE) == 2
    assert consecutive_skips([*past, decision(5, True)], stage=Stage.PRE) == 0


def test_the_order_in_which_decisions_come_does_not_matter() -> None:
    """They are counted by time."""
    past = [decision(3, False), decision(2, True), decision(1, False)]
    assert consecutive_skips(past, stage=Stage.PRE) == 1


def test_other_stages_and_other_gates_do_not_count() -> None:
    """A skip at the input stage, or of another known gate, is not this gate's."""
    past = [decision(1, False), decision(2, False, stage="input"), decision(3, False, gate="Other")]
    assert consecutive_skips(past, stage=Stage.PRE, gate="WasteGate") == 1
    assert consecutive_skips(past, stage=Stage.PRE) == 2


def test_a_training_after_the_skips_ends_them() -> None:
    """A Trainer that ran although no decision says so (the gate was taken out) counts."""
    past = [decision(10, False), decision(20, False)]
    assert consecutive_skips(past, stage=Stage.PRE, trained_ms=[15]) == 1
    assert consecutive_skips(past, stage=Stage.PRE, trained_ms=[5, 25]) == 0


def test_in_shadow_mode_what_would_have_been_skipped_counts() -> None:
    """Shadow decisions all proceed; the count follows what they would have done."""
    past = [
        decision(1, True, shadow=True, would_skip=False),
        decision(2, True, shadow=True, would_skip=True),
        decision(3, True, shadow=True, would_skip=True),
    ]
    assert consecutive_skips(past, stage=Stage.PRE, shadow=True, trained_ms=[1, 2, 3]) == 2
    assert consecutive_skips(past, stage=Stage.PRE, shadow=False) == 0
