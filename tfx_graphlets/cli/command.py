"""Commands: each opens what it is given, calls the library, returns a Result."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tfx_graphlets import outcome
from tfx_graphlets.cli.render import Result, table
from tfx_graphlets.graphlet import Graphlets
from tfx_graphlets.provenance.store import Store, open_store
from tfx_graphlets.segmentation import segment
from tfx_graphlets.vocabulary import Outcome, Role


def segment_store(options: argparse.Namespace) -> Result:
    """``segment STORE``: the graphlets, one row each."""
    with open_store(options.store) as store:
        graphlets = _graphlets(store, options, options.pipeline)
    rows = [graphlet.to_dict() for graphlet in graphlets]
    shown = [
        {
            **row,
            "executions": len(graphlet.executions),
            "artifacts": len(graphlet.artifacts),
            "cost_s": graphlet.cost_ms / 1000,
        }
        for row, graphlet in zip(rows, graphlets)
    ]
    columns = ("trainer", "pipeline", "run", "executions", "artifacts", "outcome", "cost_s")
    return Result(rows, f"{table(shown, columns)}\n\n{_summary(graphlets)}")


def _summary(graphlets: Graphlets) -> str:
    held = graphlets.executions.index
    cost = sum(graphlets.cost[list(set(held.tolist()))].tolist())
    waste = outcome.total_waste(graphlets)
    share = f" ({waste / cost:.0%})" if cost else ""
    return f"{graphlets}; {cost / 1000:.1f} s of compute, {waste / 1000:.1f} s wasted{share}"


def _graphlets(
    store: Store, options: argparse.Namespace, pipeline: str | None = None
) -> Graphlets:
    weights: list[tuple[str | Role, float]] = getattr(options, "cost_weight", [])
    roles: Mapping[str, Role] = dict(options.role)
    return segment(
        store.read_trace(pipeline=pipeline),
        role_of_type=roles,
        cost_weight_of_role={name: w for name, w in weights if isinstance(name, Role)},
        cost_weight_of_type={name: w for name, w in weights if isinstance(name, str)},
    )


COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace], Result]]] = {
    "segment": segment_store,
}
_ = Path, Outcome
