"""Outcome, cost and waste of graphlets, after docs/graphlets.md.

Compute is counted on *sets of executions*: one that several graphlets share is
counted once, and it is wasted only if every graphlet that holds it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.graphlets import roles
from tfx_graphlets.graphlets.edges import Edges
from tfx_graphlets.graphlets.graphlet import Graphlets, Membership, Part
from tfx_graphlets.trace.adjacency import Adjacency, PairSet
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray, SmallArray, Trace
from tfx_graphlets.vocabulary import (
    ArtifactType,
    ExecutionState,
    Outcome,
    PropertyName,
    Role,
    Stage,
)

_BEFORE_THE_INPUT_GATE = (Role.EXAMPLE_GEN, Role.IMPORTER, Role.RESOLVER)


def execution_cost(
    trace: Trace,
    role: SmallArray,
    weight_of_role: Mapping[Role, float] | None = None,
    weight_of_type: Mapping[str, float] | None = None,
) -> FloatArray:
    """Cost of every execution: last update minus create time, weighted.

    Args:
      trace: the trace.
      role: role of every execution, int8 [num_executions].
      weight_of_role: factor by role, 1 where absent.
      weight_of_type: factor by the type's full name or its last dotted part
        (the full name counts first), 1 where absent.

    Returns:
      float64 [num_executions], milliseconds; 0 for a CACHED execution, never
      negative.

    Raises:
      InvalidArgumentError: a weight is negative or not finite.
    """
    executions = trace.executions
    for argument, weights in (
        ("cost_weight_of_role", weight_of_role or {}),
        ("cost_weight_of_type", weight_of_type or {}),
    ):
        for name, weight in weights.items():
            if not (np.isfinite(weight) and weight >= 0):
                raise InvalidArgumentError(
                    argument, {str(name): weight}, "a weight must be a finite number, 0 or more"
                )
    cost = np.maximum(executions.update_ms - executions.create_ms, 0).astype(np.float64)
    cost[executions.state == ExecutionState.CACHED] = 0.0
    for one_role, weight in (weight_of_role or {}).items():
        cost[role == one_role] *= weight
    by_name = weight_of_type or {}
    for code, name in enumerate(executions.type_names if by_name else ()):
        weight = by_name.get(name, by_name.get(vocabulary.base_name(name), 1.0))
        cost[executions.type == code] *= weight
    return cost


def pushing_executions(trace: Trace, role: SmallArray, *, edges: Edges | None = None) -> BoolArray:
    """True for executions that brought a model to serving, bool [num_executions].

    A PUSHER in state COMPLETE or CACHED that put out an artifact whose
    property ``pushed`` is 1. A PushedModel alone proves nothing.
    """
    properties = trace.artifacts.properties
    says_pushed = properties.has_number(PropertyName.PUSHED, 1, len(trace.artifacts))
    states = (ExecutionState.COMPLETE, ExecutionState.CACHED)
    pusher = np.flatnonzero((role == Role.PUSHER) & roles.among(trace.executions.state, states))
    return _puts_out(edges or Edges(trace, role), pusher, says_pushed)


def outcomes(
    trace: Trace,
    role: SmallArray,
    trainer: IntArray,
    executions: Membership,
    part: SmallArray,
    *,
    edges: Edges | None = None,
) -> SmallArray:
    """Outcome of every graphlet, int8 [n], vocabulary.Outcome.

    Args:
      trace: the trace.
      role: role of every execution, int8 [num_executions].
      trainer: positions of the Trainers, int64 [n].
      executions: members of every graphlet.
      part: Part of every member.
      edges: the trace's edges, if they are at hand.
    """
    edges = edges or Edges(trace, role)
    state = trace.executions.state[trainer]
    is_model = trace.artifacts_of_types([ArtifactType.MODEL])
    puts_out_model = _puts_out(edges, trainer, is_model)[trainer]

    downstream = np.flatnonzero(part == Part.DOWNSTREAM)
    pushing = pushing_executions(trace, role, edges=edges)
    pushes = downstream[pushing[executions.index[downstream]]]
    pushed = np.zeros(len(trainer), bool)
    pushed[np.searchsorted(executions.start, pushes, side="right") - 1] = True

    result = np.full(len(trainer), Outcome.INCOMPLETE, np.int8)
    result[(state == ExecutionState.COMPLETE) & puts_out_model] = Outcome.UNPUSHED
    result[state == ExecutionState.FAILED] = Outcome.FAILED
    result[pushed] = Outcome.PUSHED
    return result


def _puts_out(edges: Edges, execution: IntArray, wanted: BoolArray) -> BoolArray:
    """True for those of the executions that put out a wanted artifact, bool [num_executions]."""
    result = np.zeros(len(edges.trace.executions), bool)
    index, artifact = edges.outputs.expand(execution)
    result[execution[index[wanted[artifact]]]] = True
    return result


def useful(
    trace: Trace,
    role: SmallArray,
    trainer: IntArray,
    warm_start: Membership,
    outcome: SmallArray,
    *,
    edges: Edges | None = None,
) -> BoolArray:
    """True for unpushed graphlets that a pushed one was warm-started from.

    Transitively: a chain of warm starts that ends in a pushed graphlet makes
    all before it useful. Returns: bool [n].
    """
    edges = edges or Edges(trace, role)
    graphlet, artifact = edges.outputs.expand(trainer)
    is_model = trace.artifacts_of_types([ArtifactType.MODEL])
    model = is_model[artifact]
    makers = Adjacency.from_edges(artifact[model], graphlet[model], len(trace.artifacts))
    began_from = Adjacency(warm_start.start, warm_start.index.astype(np.int32))
    reaches_serving = outcome == Outcome.PUSHED
    frontier = np.flatnonzero(reaches_serving)
    while len(frontier):
        _, models = began_from.expand(frontier)
        _, makers_of = makers.expand(models)
        frontier = np.unique(makers_of[~reaches_serving[makers_of]])
        reaches_serving[frontier] = True
    return reaches_serving & (outcome == Outcome.UNPUSHED)


# -- waste: sets of executions ---------------------------------------------------


def wasted_executions(graphlets: Graphlets) -> BoolArray:
    """True for executions that only served unpushed graphlets.

    Returns: bool [num_executions]; false for one that no graphlet holds, or
      that one holds which is pushed, useful, failed or incomplete.
    """
    wasteful = (graphlets.outcome == Outcome.UNPUSHED) & ~graphlets.useful
    rows, index = graphlets.executions.rows(), graphlets.executions.index
    held = np.zeros(len(graphlets.trace.executions), bool)
    held[index] = True
    held[index[~wasteful[rows]]] = False
    return held


def cost_of(graphlets: Graphlets, executions: BoolArray) -> float:
    """Cost of a set of executions, milliseconds.

    Args:
      executions: bool [num_executions], the set.
    """
    return float(graphlets.cost[executions].sum())


def total_waste(graphlets: Graphlets) -> float:
    """Cost of all wasted executions, milliseconds."""
    return cost_of(graphlets, wasted_executions(graphlets))


def after_the_gate(graphlets: Graphlets, stage: Stage) -> BoolArray:
    """Which members of each graphlet run after a gate at ``stage``.

    Returns: bool [len(graphlets.executions.index)], aligned with it. At
      ``input`` all but EXAMPLE_GEN, IMPORTER and RESOLVER; at ``pre`` the
      Trainer and what is downstream of it; at ``trainer`` what is downstream
      of the Trainer; at ``validation`` what is downstream of model validation.
    """
    index, part = graphlets.executions.index, graphlets.part
    if stage is Stage.INPUT:
        return ~np.isin(graphlets.role[index], _BEFORE_THE_INPUT_GATE)
    if stage is Stage.PRE:
        return (part == Part.TRAINER) | (part == Part.DOWNSTREAM)
    if stage is Stage.TRAINER:
        return part == Part.DOWNSTREAM
    return _downstream_of_validation(graphlets)


def _downstream_of_validation(graphlets: Graphlets) -> BoolArray:
    trace, role, edges = graphlets.trace, graphlets.role, graphlets.edges
    rows, index = graphlets.executions.rows(), graphlets.executions.index
    downstream = graphlets.part == Part.DOWNSTREAM
    inside = PairSet(len(trace.executions))
    inside.add(rows[downstream], index[downstream])

    reached = PairSet(len(trace.executions))
    starts = downstream & (role[index] == Role.MODEL_VALIDATOR)
    graphlet, execution = rows[starts], index[starts]
    while len(graphlet):
        at, artifact = edges.outputs.expand(execution)
        graphlet = graphlet[at]
        at, execution = edges.users.expand(artifact)
        graphlet = graphlet[at]
        stays = inside.contains(graphlet, execution)
        graphlet, execution = reached.add(graphlet[stays], execution[stays])
    return reached.contains(rows, index)


def saved_executions(graphlets: Graphlets, skipped: BoolArray, stage: Stage) -> BoolArray:
    """Executions that would not have run, had a gate skipped these graphlets.

    Those that run after the gate's point and belong to no graphlet that still
    runs.

    Args:
      graphlets: the graphlets.
      skipped: bool [n], the graphlets that the gate skips.
      stage: where the gate stands.

    Returns: bool [num_executions].

    Raises:
      InvalidArgumentError: ``skipped`` has another length.
    """
    if len(skipped) != len(graphlets):
        raise InvalidArgumentError(
            "skipped", len(skipped), f"its length must be {len(graphlets)}, one per graphlet"
        )
    rows, index = graphlets.executions.rows(), graphlets.executions.index
    result = np.zeros(len(graphlets.trace.executions), bool)
    result[index[skipped[rows] & after_the_gate(graphlets, stage)]] = True
    result[index[~skipped[rows]]] = False
    return result


def saved_cost(graphlets: Graphlets, skipped: BoolArray, stage: Stage) -> float:
    """Cost of ``saved_executions``, milliseconds, wasted or not."""
    return cost_of(graphlets, saved_executions(graphlets, skipped, stage))


def waste_removed(graphlets: Graphlets, skipped: BoolArray, stage: Stage) -> float:
    """Share of all wasted cost that skipping these graphlets saves, 0..1.

    NaN where nothing is wasted.
    """
    wasted = wasted_executions(graphlets)
    total = cost_of(graphlets, wasted)
    if total <= 0:
        return float("nan")
    return cost_of(graphlets, wasted & saved_executions(graphlets, skipped, stage)) / total


def waste_removable(graphlets: Graphlets, stage: Stage) -> float:
    """``waste_removed`` of an oracle that skips exactly the unpushed graphlets."""
    return waste_removed(graphlets, graphlets.outcome == Outcome.UNPUSHED, stage)
