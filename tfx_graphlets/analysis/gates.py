"""Gates: what each of them saved, cost, promised and kept, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfx_graphlets.analysis.tables import STORE, Column, Table, made

_NOTHING_KEPT = {"value": None, "low": None, "high": None}


def gates_table(gates: Sequence[Mapping[str, Any]]) -> Table:
    """What each gate did.

    Args:
      gates: of each the values of ``monitor.report.GateReport.to_dict``, with its
        ``store``, ``saved_money``, and ``cost_ms``, the cost of its pipeline's own nodes.
    """
    rows = []
    for gate in gates:
        kept = gate["freshness"] or _NOTHING_KEPT
        values = gate | gate["savings"]
        values |= {f"kept_{key}": kept[key] for key in _NOTHING_KEPT}
        rows.append([values[key] for key in _COLUMNS])
    return made(
        "gates",
        "Gates",
        "A row is a gate: a node of a pipeline at a stage.",
        list(_COLUMNS.values()),
        rows,
    )


# By the name that the value has among those of a gate.
_COLUMNS = {
    "store": STORE,
    "pipeline": Column("pipeline", "Pipeline", "name", "Pipeline context of the gate."),
    "stage": Column("stage", "Stage", "name", "Where the gate stands."),
    "gate": Column("gate", "Gate", "name", "Id of its node."),
    "node": Column("node", "Trainer", "name", "Id of the Trainer's node behind it."),
    "decisions": Column("decisions", "Decisions", "count", "That it took."),
    "skips": Column("skips", "Skips", "count", "Runs that it did not let train."),
    "explored": Column("explored", "Explored", "count", "Runs that it let train only to explore."),
    "failed_open": Column(
        "failed_open", "Failed open", "count", "Runs that it let train as it broke."
    ),
    "saved_ms": Column(
        "saved_ms",
        "Saved",
        "ms",
        "What the skipped runs would have cost behind it, by the mean of earlier ones.",
    ),
    "saved_money": Column(
        "saved_money", "Money saved", "money", "That at the mean price of what the stores spent."
    ),
    "waste_removed": Column(
        "waste_removed", "Waste removed", "share", "Saved waste, of wasted and saved waste."
    ),
    "cost_ms": Column(
        "cost_ms",
        "Cost of gates",
        "ms",
        "Of the pipeline's nodes that belong to this project: gates, rehearsals.",
    ),
    "target": Column("promised", "Promised", "share", "Share of pushes that it promised to keep."),
    "kept_value": Column("kept", "Kept", "share", "Share of pushes that it kept, an estimate."),
    "kept_low": Column("kept_low", "Kept, low", "share", "Lower end of its interval."),
    "kept_high": Column("kept_high", "Kept, high", "share", "Upper end of its interval."),
}
