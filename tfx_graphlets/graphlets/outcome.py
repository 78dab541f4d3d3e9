"""Outcome, cost and waste of graphlets, after docs/graphlets.md.

Compute is counted on *sets of executions*: one that several graphlets share is
counted once, and it is wasted only if every graphlet that holds it is.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.graphlets.edges import Edges
from tfx_graphlets.graphlets.graphlet import NEVER, Graphlets, Part
from tfx_graphlets.graphlets.timeline import lane_of
from tfx_graphlets.trace.ragged import Adjacency, PairSet, Ragged
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
      float64 [num_executions], milliseconds; 0 for a CACHED execution and for one of which a
      time is missing (0), never negative.

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
    missing = (executions.create_ms == 0) | (executions.update_ms == 0)
    cost[missing | (executions.state == ExecutionState.CACHED)] = 0.0
    for one_role, weight in (weight_of_role or {}).items():
        cost[role == one_role] *= weight
    by_name = weight_of_type or {}
    for code, name in enumerate(executions.type_names if by_name else ()):
        weight = by_name.get(name, by_name.get(vocabulary.base_name(name), 1.0))
        cost[executions.type == code] *= weight
    return cost


def pushed_since(edges: Edges, pushes: BoolArray, executions: Ragged, part: SmallArray) -> IntArray:
    """When each graphlet was first pushed, int64 [n], milliseconds; NEVER where it was not.

    Args:
      edges: of the trace.
      pushes: bool [num_executions], see ``verdicts.pushing``.
      executions: members of every graphlet.
      part: Part of every member.
    """
    executed = edges.trace.executions
    downstream = np.flatnonzero(part == Part.DOWNSTREAM)
    entries = downstream[pushes[executions.index[downstream]]]
    graphlet = np.searchsorted(executions.start, entries, side="right") - 1
    position = executions.index[entries]
    result = np.full(len(executions), NEVER, np.int64)
    ended = np.maximum(executed.update_ms, executed.create_ms)[position]
    np.minimum.at(result, graphlet, ended)
    return result


def next_attempts(edges: Edges, trainer: IntArray) -> IntArray:
    """The graphlet of the next attempt at each training, int64 [n]; -1 where there is none.

    A later attempt is a Trainer of the same node that shares a run context, has a higher id
    and took in exactly the same artifacts. Trainers without a node context are told apart by
    their pipeline and type, as lanes are. Iterations of a loop of Kubeflow Pipelines, which stand
    in boxes of their own, are no attempts at one training.

    Args:
      edges: of the trace.
      trainer: int64 [n], positions of the Trainers, ascending.
    """
    result = np.full(len(trainer), -1, np.int64)
    lane = lane_of(edges.trace, trainer)
    graphlet, run = edges.runs.expand(trainer)
    order = np.lexsort((graphlet, lane[graphlet], run))
    graphlet, key = graphlet[order], np.column_stack((run[order], lane[graphlet[order]]))
    again = (key[1:] == key[:-1]).all(axis=1)
    together = np.flatnonzero(np.append(again, False) | np.append(False, again))
    iteration = np.column_stack(
        [
            edges.trace.executions.properties.numbers(name, len(edges.trace.executions))[trainer]
            for name in (PropertyName.PARENT_DAG_ID, PropertyName.ITERATION_INDEX)
        ]
    )
    latest: dict[tuple[int, int, bytes, bytes], int] = {}
    for at in together[::-1].tolist():
        number = int(graphlet[at])
        _, taken = edges.inputs.expand(trainer[number : number + 1])
        attempt = (
            *(int(one) for one in key[at]),
            np.unique(taken).tobytes(),
            iteration[number].tobytes(),
        )
        following = latest.get(attempt, -1)
        if following >= 0 and (result[number] < 0 or following < result[number]):
            result[number] = following
        latest[attempt] = number
    return result


def outcomes(edges: Edges, trainer: IntArray, pushed_ms: IntArray, retry: IntArray) -> SmallArray:
    """Outcome of every graphlet, int8 [n], vocabulary.Outcome.

    Args:
      edges: of the trace.
      trainer: int64 [n], positions of the Trainers.
      pushed_ms: int64 [n], see ``pushed_since``.
      retry: int64 [n], see ``next_attempts``.
    """
    state = edges.trace.executions.state[trainer]
    is_model = edges.trace.artifacts_of_types([ArtifactType.MODEL])
    index, artifact = edges.outputs.expand(trainer)
    puts_out_model = np.zeros(len(trainer), bool)
    puts_out_model[index[is_model[artifact]]] = True

    result = np.full(len(trainer), Outcome.INCOMPLETE, np.int8)
    result[(state == ExecutionState.COMPLETE) & puts_out_model] = Outcome.UNPUSHED
    result[retry >= 0] = Outcome.RETRIED
    result[state == ExecutionState.FAILED] = Outcome.FAILED
    result[pushed_ms != NEVER] = Outcome.PUSHED
    return result


def needed_since(
    edges: Edges,
    trainer: IntArray,
    warm_start: Ragged,
    outcome: SmallArray,
    pushed_ms: IntArray,
) -> IntArray:
    """When each graphlet became needed, int64 [n], milliseconds; NEVER where it is not.

    A pushed graphlet is needed from its push on; an unpushed one, which is then *useful*, from
    the first push of a graphlet that its Model is the warm start of, transitively.

    Args:
      edges: of the trace.
      trainer: int64 [n], positions of the Trainers.
      warm_start: Models that each took in.
      outcome, pushed_ms: of each graphlet.
    """
    bases = _bases(edges, trainer, warm_start)
    reached = pushed_ms.copy()
    # The earliest push first: what it reaches, it reaches first.
    started = np.flatnonzero((pushed_ms != NEVER) & (np.diff(bases.start) > 0))
    heap = [(int(pushed_ms[number]), number) for number in started.tolist()]
    heapq.heapify(heap)
    while heap:
        moment, number = heapq.heappop(heap)
        if moment > reached[number]:
            continue
        for base in bases.of(number).tolist():
            if moment < reached[base]:
                reached[base] = moment
                heapq.heappush(heap, (moment, base))
    counts = (outcome == Outcome.PUSHED) | (outcome == Outcome.UNPUSHED)
    # The label of a pushed graphlet is its own push, whatever was made of its Model before.
    reached = np.where(outcome == Outcome.PUSHED, pushed_ms, reached)
    return np.where(counts, reached, NEVER)


def needed_without(graphlets: Graphlets, skipped: IntArray) -> IntArray:
    """``needed_ms`` had some graphlets been skipped: they lead to no push, int64 [n].

    Args:
      graphlets: the graphlets.
      skipped: int64 [k], their numbers.
    """
    pushed_ms = np.where(graphlets.pushed, graphlets.needed_ms, NEVER)
    pushed_ms[skipped] = NEVER
    outcome, warm_start = graphlets.outcome.copy(), graphlets.warm_start
    outcome[skipped] = Outcome.INCOMPLETE
    rows = warm_start.rows()
    kept = ~np.isin(rows, skipped)
    remaining = Ragged.from_sorted(rows[kept], warm_start.index[kept], len(graphlets))
    return needed_since(graphlets.edges, graphlets.trainer, remaining, outcome, pushed_ms)


def _bases(edges: Edges, trainer: IntArray, warm_start: Ragged) -> Adjacency:
    """Graphlet to the graphlets that put out a Model which it took in."""
    graphlet, artifact = edges.outputs.expand(trainer)
    model = edges.trace.artifacts_of_types([ArtifactType.MODEL])[artifact]
    makers = Adjacency.from_edges(artifact[model], graphlet[model], len(edges.trace.artifacts))
    index, base = makers.expand(warm_start.index)
    return Adjacency.from_edges(warm_start.rows()[index], base, len(trainer))


def missed_pushes(graphlets: Graphlets, skipped: BoolArray) -> BoolArray:
    """Pushed graphlets that would not have been pushed, had these been skipped, bool [n].

    A push is missed if its graphlet is skipped, or one of the same run that its warm start
    comes from: by a chain of warm starts within the run.

    Args:
      graphlets: the graphlets.
      skipped: bool [n].

    Raises:
      InvalidArgumentError: ``skipped`` has another length.
    """
    _check_skipped(graphlets, skipped)
    lost = skipped.copy()
    bases = _bases(graphlets.edges, graphlets.trainer, graphlets.warm_start)
    child, base = bases.expand(np.arange(len(graphlets), dtype=np.int64))
    of = graphlets.trainer
    same_run = graphlets.edges.shares_run(of[child], of[base])
    child, base = child[same_run], base[same_run]
    while len(child):
        newly = lost[base] & ~lost[child]
        if not newly.any():
            break
        lost[child[newly]] = True
    missed: BoolArray = lost & graphlets.pushed
    return missed


# -- waste: sets of executions ---------------------------------------------------


def wasted_executions(graphlets: Graphlets) -> BoolArray:
    """True for executions that only served unpushed graphlets.

    Returns: bool [num_executions]; false for one that no graphlet holds, or
      that one holds which is pushed, useful, failed, retried or incomplete.
    """
    wasteful = graphlets.unpushed & ~graphlets.useful
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
    _check_skipped(graphlets, skipped)
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
    """``waste_removed`` of an oracle that skips exactly what is not needed."""
    return waste_removed(graphlets, ~graphlets.needed, stage)


def _check_skipped(graphlets: Graphlets, skipped: BoolArray) -> None:
    if len(skipped) != len(graphlets):
        raise InvalidArgumentError(
            "skipped", len(skipped), f"its length must be {len(graphlets)}, one per graphlet"
        )
