"""Cuts one trace by both implementations and holds them to the same result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tests.reference import Reference
from tests.reference_rows import rows_of_raw
from tfx_graphlets.graphlets import outcome, roles
from tfx_graphlets.graphlets.graphlet import NEVER, Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder, Value
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.vocabulary import ExecutionState, Role


class Cut(NamedTuple):
    """What a graphlet is, by MLMD ids."""

    trainer: int
    executions: list[int]
    artifacts: list[int]
    warm_start: Sequence[int] = ()
    outcome: str = "unpushed"


def reference_of(
    raw: RowBuilder, *, role_of_type: Mapping[str, Role] | None = None,
    pushers: Sequence[str] | None = None,
    cost_weight_of_role: Mapping[Role, float] | None = None,
    cost_weight_of_type: Mapping[str, float] | None = None,
) -> Reference:  # fmt: skip
    """The reference's view of the rows, options as ``segment`` takes them."""
    return Reference(
        rows_of_raw(raw),
        role_of_type={name: role.name for name, role in (role_of_type or {}).items()},
        pushers=pushers,
        cost_weight_of_role={role.name: w for role, w in (cost_weight_of_role or {}).items()},
        cost_weight_of_type=cost_weight_of_type,
    )


def assert_same(graphlets: Graphlets, reference: Reference) -> None:
    """Fails unless both say the same about every graphlet and execution."""
    ids = graphlets.trace.executions.id.tolist()
    assert [graphlet.to_dict() for graphlet in graphlets] == reference.graphlets
    assert {
        execution: Role(role).name for execution, role in zip(ids, graphlets.role.tolist())
    } == reference.role
    assert dict(zip(ids, graphlets.cost.tolist())) == reference.cost
    assert set(graphlets.trainer_id[graphlets.useful].tolist()) == reference.useful
    needed_ms = [None if moment == NEVER else moment for moment in graphlets.needed_ms.tolist()]
    assert dict(zip(graphlets.trainer_id.tolist(), needed_ms)) == reference.needed_ms
    overhead = roles.own_executions(graphlets.trace)
    assert set(graphlets.trace.executions.id[overhead].tolist()) == reference.overhead
    for start in range(3):
        skipped = np.arange(len(graphlets)) % 3 == start
        chosen = set(graphlets.trainer_id[skipped].tolist())
        missed = outcome.missed_pushes(graphlets, skipped)
        assert set(graphlets.trainer_id[missed].tolist()) == reference.missed(chosen)


def both(raw: RowBuilder, **options: Mapping) -> tuple[Graphlets, Reference]:  # type: ignore[type-arg]
    """The graphlets of the rows and the reference, which agree."""
    graphlets, reference = segment(assemble(raw.rows()), **options), reference_of(raw, **options)
    assert_same(graphlets, reference)
    return graphlets, reference


def cut(build: TraceBuilder, **options: Mapping) -> Sequence[Cut]:  # type: ignore[type-arg]
    """The graphlets of the trace, on which both implementations agree."""
    graphlets, _ = both(build.raw(), **options)
    return [
        Cut(
            graphlet.trainer, list(graphlet.executions), list(graphlet.artifacts),
            tuple(graphlet.warm_start), str(graphlet.outcome),
        )
        for graphlet in graphlets
    ]  # fmt: skip


def train(
    build: TraceBuilder, *data: int, warm_start: int | None = None, pushed: Value | None = None,
    state: ExecutionState = ExecutionState.COMPLETE, duration_ms: int = 100,
) -> int:  # fmt: skip
    """A Trainer and, if ``pushed`` is given, a Pusher; returns the Model."""
    model = build.artifact("Model")
    inputs = {"examples": list(data), "base_model": [] if warm_start is None else [warm_start]}
    build.execution(
        "Trainer", inputs=inputs, outputs={"model": [model]}, state=state, duration_ms=duration_ms
    )
    if pushed is not None:
        build.execution(
            "Pusher", inputs={"model": [model]}, duration_ms=1,
            outputs={"pushed_model": [build.artifact("PushedModel", pushed=pushed)]},
        )  # fmt: skip
    return model
