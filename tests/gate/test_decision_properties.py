"""What a gate says that could not judge, and what of a decision stands on its artifact."""

from __future__ import annotations

import json

import pytest

from tests.components.histories import pipeline_history
from tfx_graphlets.errors import Fault, GraphletsError
from tfx_graphlets.gate import run as gate_run
from tfx_graphlets.gate.request import GateSettings
from tfx_graphlets.policy.decide import GateDecision
from tfx_graphlets.policy.decision import Contribution, SimilarGraphlet
from tfx_graphlets.vocabulary import Stage


def unjudged(proceed: bool, reason: str) -> GateDecision:
    """A decision at stage pre without a probability and a threshold."""
    return GateDecision(proceed, not proceed, None, None, reason, stage="pre")


def test_a_gate_behind_one_that_has_skipped_skips_and_names_it() -> None:
    """By its id, where it has one."""
    assert gate_run.skipped_before("pre", "early") == unjudged(
        False, "Skipped because the gate early has skipped this run."
    )
    assert gate_run.skipped_before("pre", "") == unjudged(
        False, "Skipped because the gate before this one has skipped this run."
    )


def test_a_gate_that_broke_runs_or_skips_as_its_author_prefers() -> None:
    """Either way it says what happened."""
    error = GraphletsError("no model")
    assert gate_run.failed_closed("pre", error) == unjudged(
        False, "Skipped because the gate could not decide: no model."
    )
    assert gate_run.failed_open("pre", error) == unjudged(
        True, "Runs because the gate could not decide: no model."
    )


@pytest.mark.parametrize(
    ("changes", "message", "fault"),
    [
        ({"problem": "the store is locked", "fault": "store_busy"}, "is locked", Fault.STORE_BUSY),
        ({"problem": "the store is gone"}, "is gone", Fault.NO_HISTORY),
        ({"current": None}, "there is no current graphlet", Fault.NO_HISTORY),
        ({"past": None}, "there is no current graphlet", Fault.NO_HISTORY),
    ],
)
def test_a_history_with_a_problem_is_refused_with_its_fault(
    changes: dict[str, object], message: str, fault: Fault
) -> None:
    """Also one that has graphlets all the same; no model is loaded for it."""
    with pytest.raises(GraphletsError, match=message) as refused:
        gate_run.run_gate(pipeline_history(**changes), pytest.fail, GateSettings(stage=Stage.PRE))
    assert refused.value.fault is fault


def test_figures_are_kept_to_as_many_digits_as_can_be_read_back() -> None:
    """Shares to six, what moved them and how similar runs are to four, seconds to three."""
    decision = GateDecision(
        proceed=True, would_skip=False, probability=0.12345678, threshold=0.98765432, reason="",
        contributions=(Contribution("f" * 300, "3", 0.123456),),
        similar=(SimilarGraphlet(1, "r" * 300, 0, True, 0.876543),),
    )  # fmt: skip
    written = gate_run.decision_properties(
        decision, gate="", shadow=False, failed_open=False, seconds=1.23456
    )
    assert (written["probability"], written["threshold"]) == (0.123457, 0.987654)
    assert written["seconds"] == 1.235
    [[feature, value, effect]] = json.loads(str(written["top_features"]))
    assert (len(feature), value, effect) == (200, "3", 0.1235)
    [[name, pushed, similarity]] = json.loads(str(written["similar_graphlets"]))
    assert (len(name), pushed, similarity) == (200, True, 0.8765)
