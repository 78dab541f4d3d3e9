"""Earlier decisions, as the store remembers them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from tests.components.histories import dataset, pipeline_history
from tfx_graphlets.gate.record import (
    decisions_of_gate,
    node_account,
    past_decisions,
    seen_scores,
    skipped_runs,
)
from tfx_graphlets.gate.run import decision_properties
from tfx_graphlets.policy.account import NodeAccount, SeenScore
from tfx_graphlets.policy.decide import GateDecision
from tfx_graphlets.policy.decision import PastDecision
from tfx_graphlets.policy.freshness import FreshnessLedger
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import Stage

GATE = "tfx_graphlets.components.waste_gate.WasteGate"


def decision(time_ms: int, proceed: bool, **more: object) -> PastDecision:
    """A decision of the gate ``WasteGate`` at stage pre."""
    values: dict[str, object] = {
        "stage": "pre", "gate": "WasteGate", "run": "", "would_skip": not proceed, "shadow": False,
    }  # fmt: skip
    return PastDecision(time_ms=time_ms, proceed=proceed, **{**values, **more})  # type: ignore[arg-type]


def account(
    *decisions: PastDecision,
    outcomes: str = "",
    runs: tuple[str, ...] = (),
    trained_ms: Sequence[int] = (),
    shadow: bool = False,
    gate: str = "",
    freshness: float = 0.9,
) -> NodeAccount:
    """The account of a node; its trainings are at given moments, or an hour apart."""
    past = dataset(outcomes or "f" * len(trained_ms), runs=runs)
    if trained_ms:
        moments = np.array(trained_ms, np.int64)
        past = dataclasses.replace(past, decision_ms=moments, known_ms=moments + 1)
    history = pipeline_history(past=past, read_ms=10**9)
    own = decisions_of_gate(decisions, stage=Stage.PRE, gate=gate)
    return node_account(history, own, freshness, shadow=shadow)


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
    written = decision_properties(
        made, gate="WasteGate", shadow=False, failed_open=True, seconds=0.1
    )
    build = TraceBuilder()
    artifact = build.artifact("tfx_graphlets.GateDecision", create_ms=7, **written)
    build.execution(GATE, outputs={"decision": [artifact]}, run="r1")
    [read] = past_decisions(build.trace())
    assert read == decision(
        7, True, run="r1", pipeline="pipeline", would_skip=True, explored=True, exploration=0.05,
        risk=0.0475, probability=0.125, threshold=0.25, freshness=0.95, failed_open=True,
        reason="Runs.", seconds=0.1,
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
    assert account(*past).skips == 2
    assert account(*past, decision(5, True)).skips == 0


def test_the_order_in_which_decisions_come_does_not_matter() -> None:
    """They are counted by time."""
    past = [decision(3, False), decision(2, True), decision(1, False)]
    assert account(*past).skips == 1


def test_other_stages_and_other_gates_do_not_count() -> None:
    """A skip at the input stage, or of another known gate, is not this gate's."""
    past = [decision(1, False), decision(2, False, stage="input"), decision(3, False, gate="Other")]
    assert account(*past, gate="WasteGate").skips == 1
    assert account(*past).skips == 2


def test_a_training_after_the_skips_ends_them() -> None:
    """A Trainer that ran although no decision says so (the gate was taken out) counts."""
    past = [decision(10, False), decision(20, False)]
    assert account(*past, trained_ms=[15]).skips == 1
    assert account(*past, trained_ms=[5, 25]).skips == 0


def test_in_shadow_mode_what_would_have_been_skipped_counts() -> None:
    """Shadow decisions all proceed; the count follows what they would have done."""
    past = [
        decision(1, True, shadow=True, would_skip=False),
        decision(2, True, shadow=True, would_skip=True),
        decision(3, True, shadow=True, would_skip=True),
    ]
    assert account(*past, shadow=True, trained_ms=[1, 2, 3]).skips == 2
    assert account(*past, shadow=False).skips == 0


def test_what_an_artifact_does_not_state_is_not_made_up() -> None:
    """A decision of its property ``proceed`` alone, that no execution is known to have written."""
    build = TraceBuilder()
    build.artifact("tfx_graphlets.GateDecision", proceed=0, create_ms=5)
    build.artifact("tfx_graphlets.GateDecision", proceed=1, create_ms=6)
    build.execution("Trainer", run="r")  # the last execution is nobody's producer
    assert past_decisions(build.trace()) == (
        PastDecision(5, "", "", "", proceed=False, would_skip=True, shadow=False),
        PastDecision(6, "", "", "", proceed=True, would_skip=False, shadow=False),
    )


def test_a_gate_outside_a_run_and_a_pipeline_has_neither() -> None:
    """The names are "" where an execution has no such context."""
    build = TraceBuilder()
    artifact = build.artifact("tfx_graphlets.GateDecision", proceed=1, create_ms=5)
    build.execution(GATE, outputs={"decision": [artifact]}, run=None, pipeline=None)
    [read] = past_decisions(build.trace())
    assert (read.run, read.pipeline) == ("", "")


@pytest.mark.parametrize("reader", ["Resolver", "Trainer"])
def test_a_decision_is_of_the_run_whose_gate_wrote_it(reader: str) -> None:
    """Neither a Resolver that finds it later nor a node that takes it in was its gate."""
    build = TraceBuilder()
    artifact = build.artifact("tfx_graphlets.GateDecision", proceed=1, create_ms=5)
    build.execution(GATE, outputs={"decision": [artifact]}, run="r1")
    if reader == "Resolver":
        build.execution(reader, outputs={"decision": [artifact]}, run="r2")
    else:
        build.execution(reader, inputs={"decision": [artifact]}, run="r2")
    [read] = past_decisions(build.trace())
    assert read.run == "r1"


def test_the_oldest_decision_stands_first() -> None:
    """Whatever the order of their artifacts."""
    build = TraceBuilder()
    for moment in (30, 10, 20):
        build.artifact("tfx_graphlets.GateDecision", proceed=1, create_ms=moment)
    assert [one.time_ms for one in past_decisions(build.trace())] == [10, 20, 30]


def test_a_run_is_put_at_the_risk_of_its_last_decision_of_this_gate() -> None:
    """Those of other gates and stages, and of no run, are left out."""
    past = [
        decision(4, True, run="b", risk=0.04),
        decision(3, True, run="a", risk=0.03),
        decision(1, True, run="a", risk=0.01),
        decision(5, True, run="c", risk=0.05, gate="Other"),
        decision(6, True, run="d", risk=0.06, stage="input"),
        decision(7, True, run="b", risk=0.07, stage="input"),
        decision(8, True, run="", risk=0.08),
        decision(2, True, run="e", risk=0.02, stage="", gate=""),
    ]
    runs = ("e", "c", "b", "", "d", "a", "unknown")
    found = account(*past, outcomes="p" * 7, runs=runs, gate="WasteGate").ledger
    assert found.pushes == 3
    assert found.spent == pytest.approx(0.02 / 0.98 + 0.04 / 0.96 + 0.03 / 0.97)
    found = account(*past, outcomes="p" * 7, runs=runs).ledger
    assert found.pushes == 4
    assert found.spent == pytest.approx(0.02 / 0.98 + 0.04 / 0.96 + 0.03 / 0.97 + 0.05 / 0.95)


def test_the_account_sums_the_risks_of_the_pushes() -> None:
    """A skip of a live gate hides what it missed, one in shadow mode does not."""
    risks = decision(1, True, run="a", risk=0.2), decision(2, True, run="b", risk=0.2, shadow=True)
    ledger = account(*risks, outcomes="pp", runs=("a", "b")).ledger
    assert (ledger.freshness, ledger.pushes) == (0.9, 2)
    assert ledger.spent == pytest.approx(0.2 / 0.8 + 0.2)
    assert account().ledger == FreshnessLedger(0.9)


def test_what_a_shadow_gate_would_have_skipped_is_no_attempt() -> None:
    """As it is in a replay; without shadow mode every training is one."""
    decided = (
        decision(10, True, run="a", shadow=True, would_skip=False),
        decision(20, True, run="b", shadow=True, would_skip=True),
    )
    trained = {"runs": ("a", "b"), "trained_ms": (11, 21)}
    assert account(*decided, **trained, shadow=True).last_attempt_ms == 11  # type: ignore[arg-type]
    assert account(*decided, **trained).last_attempt_ms == 21  # type: ignore[arg-type]


def test_what_a_gate_behind_the_trainer_has_skipped_is_no_attempt() -> None:
    """Its Trainer ran before the decision; one that ran after it was let go on by something."""
    skipped = decision(20, False, run="b")
    behind = account(decision(10, True, run="a"), skipped, runs=("a", "b"), trained_ms=(9, 20))
    assert (behind.last_attempt_ms, behind.skips) == (9, 1)
    after = account(decision(10, True, run="a"), skipped, runs=("a", "b"), trained_ms=(9, 21))
    assert (after.last_attempt_ms, after.skips) == (21, 0)


def test_scores_that_were_given_are_seen_with_what_became_of_them() -> None:
    """A skip has no outcome; a run whose outcome is not known, or no label, is not seen."""
    decided = [
        decision(1, True, run="a", probability=0.4),
        decision(2, True, run="b", probability=0.1, explored=True),
        decision(3, False, run="c", probability=0.05),
        decision(4, True, run="d", probability=0.3),
        decision(5, True, run="late", probability=0.2),
        decision(6, True, run="a2"),
        decision(7, False, run="follows"),
    ]
    history = pipeline_history(
        "pufpp", runs=("a", "b", "d", "a2", "late"), read_ms=5 * 3_600_000 + 2000
    )
    assert seen_scores(history, decided) == (
        SeenScore(0.4, 1, needed=True),
        SeenScore(0.1, 2, needed=False, explored=True),
        SeenScore(0.05, 3, needed=None),
    )
    assert seen_scores(dataclasses.replace(history, past=None), decided) == ()


def test_a_training_ends_the_skips_before_it_alone() -> None:
    """At the very moment of a skip nothing has ended; shadow gates' skips of a live one count."""
    past = [decision(10, False), decision(20, False)]
    assert account(*past, trained_ms=[20]).skips == 1
    assert account(*past, trained_ms=[10]).skips == 2
    assert account(decision(0, False)).skips == 1
    assert account(decision(0, False), shadow=True).skips == 1
    assert account().skips == 0


def test_a_skip_without_a_run_cuts_no_known_run_short() -> None:
    """It has no name to be known by."""
    assert skipped_runs([decision(1, False, run="", pipeline="p")]) == frozenset()
