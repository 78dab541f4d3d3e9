"""Which modules are mutated, and which tests stand nearest to them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.import_graph import ROOT

# Module of the package: files below tests/, the quickest to notice first.
TARGETS: Final = {
    "policy.account": ("policy/test_account.py", "gate/test_record.py"),
    "policy.decide": ("policy/test_decide_bounds.py", "policy/test_decide.py"),
    "policy.freshness": (
        "policy/test_freshness.py",
        "policy/test_delay.py",
        "policy/test_decide.py",
    ),
    "backtest.replay": (
        "backtest/test_replay.py",
        "backtest/test_backtest.py",
        "golden/test_golden_decisions.py",
    ),
    "features.groups.holds": ("features/test_holds.py", "features/test_history.py"),
    "features.groups.history": ("features/test_history.py", "features/test_look_back.py"),
    "graphlets.outcome": (
        "graphlets/test_outcome.py",
        "graphlets/test_outcome_waste.py",
        "graphlets/test_outcome_properties.py",
    ),
    "graphlets.segmentation": (
        "graphlets/test_segmentation.py",
        "graphlets/test_segmentation_roles.py",
        "graphlets/test_segmentation_edges.py",
        "graphlets/test_segmentation_downstream.py",
        "graphlets/test_segmentation_properties.py",
    ),
    "graphlets.current": (
        "graphlets/test_current_inputs.py",
        "graphlets/test_current.py",
        "gate/test_unrecorded.py",
    ),
    "gate.run": (
        "gate/test_run.py",
        "gate/test_decision_properties.py",
        "gate/test_of_nodes.py",
        "gate/test_record.py",
    ),
    "gate.record": ("gate/test_record.py", "gate/test_run.py"),
}


def nearest_tests(module: str) -> list[Path]:
    """The test files of a module, in order.

    Raises:
      FileNotFoundError: there is no such file.
    """
    return [_existing(ROOT / "tests" / name) for name in TARGETS[module]]


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: name the test file that took its place in TARGETS")
    return path
