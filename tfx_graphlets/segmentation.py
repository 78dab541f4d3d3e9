"""Segmentation: cuts a trace into model graphlets.

The rules are those of design/graphlets.md, Segmentation (after section 3 of
Xin et al., SIGMOD 2021). Many Trainers are walked at once: a frontier is an
array of (graphlet, node) pairs, and one step is a gather over CSR rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from tfx_graphlets import outcome as outcomes
from tfx_graphlets import roles
from tfx_graphlets.adjacency import PairSet, first_of_runs
from tfx_graphlets.edges import Edges
from tfx_graphlets.graphlet import Graphlets, Membership, Part
from tfx_graphlets.trace import CodeArray, IntArray, SmallArray, Trace
from tfx_graphlets.vocabulary import ArtifactType, ExecutionState, Role

# Graphlets that are walked together: enough that numpy's cost per call does not
# count, few enough that a frontier stays in the processor's cache.
_BLOCK = 4096

# Where steps overlap (a cycle in the trace) the first of these counts: what is
# downstream counts as such for the outcome, and stays unknown to a gate.
_PRECEDENCE = (Part.TRAINER, Part.DOWNSTREAM, Part.UPSTREAM, Part.ANALYSIS)


def segment(
    trace: Trace,
    *,
    role_of_type: Mapping[str, Role] | None = None,
    cost_weight_of_role: Mapping[Role, float] | None = None,
    cost_weight_of_type: Mapping[str, float] | None = None,
) -> Graphlets:
    """Cuts a trace into graphlets, one for every Trainer that is not CACHED.

    >>> from tfx_graphlets.testing import TraceBuilder
    >>> build = TraceBuilder()
    >>> data, model = build.artifact("Examples"), build.artifact("Model")
    >>> _ = build.execution("CsvExampleGen", outputs={"examples": [data]}, run="r")
    >>> _ = build.execution("Trainer", inputs={"examples": [data]},
    ...                     outputs={"model": [model]}, run="r")
    >>> [str(graphlet) for graphlet in segment(build.trace())]
    ['Graphlet of Trainer 2 (unpushed): 2 executions, 2 artifacts, 2.0 s']

    Args:
      trace: what the store recorded.
      role_of_type: roles that count instead of the rules, by the execution
        type's full name or its last dotted part.
      cost_weight_of_role: factor on the cost of executions of a role, at
        least 0; 1 where absent.
      cost_weight_of_type: the same by the type's full name or last part;
        multiplies with the role's.

    Returns:
      Graphlets in ascending id of the Trainer execution.

    Raises:
      InvalidArgumentError: an override names a type that is not in the trace,
        or a weight is negative.
    """
    role = roles.roles_of_executions(trace, role_of_type)
    cost = outcomes.execution_cost(trace, role, cost_weight_of_role, cost_weight_of_type)
    edges = Edges(trace, role)
    executions = trace.executions
    trainer = np.flatnonzero(
        (role == Role.TRAINER) & (executions.state != ExecutionState.CACHED)
    ).astype(np.int64)

    blocks = [
        _Block.of(edges, trainer[first : first + _BLOCK])
        for first in range(0, len(trainer), _BLOCK)
    ]
    executions_of = _joined([block.executions for block in blocks])
    parts: SmallArray = np.concatenate([np.zeros(0, np.int8), *(block.part for block in blocks)])
    artifacts_of = _joined([block.artifacts for block in blocks])

    row, model = edges.inputs.expand(trainer)
    warm = trace.artifacts_of_types([ArtifactType.MODEL])[model]
    warm_start = Membership.from_pairs(row[warm], model[warm], len(trainer), len(trace.artifacts))
    outcome = outcomes.outcomes(trace, role, trainer, executions_of, parts, edges=edges)
    return Graphlets(
        trace=trace,
        role=role,
        trainer=trainer,
        executions=executions_of,
        part=parts,
        artifacts=artifacts_of,
        warm_start=warm_start,
        outcome=outcome,
        useful=outcomes.useful(trace, role, trainer, warm_start, outcome, edges=edges),
        cost=cost,
        edges=edges,
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Block:
    """What the three steps found for some Trainers, graphlets numbered from 0."""

    executions: _Members
    part: SmallArray
    artifacts: _Members

    @classmethod
    def of(cls, edges: Edges, trainer: IntArray) -> _Block:
        held = PairSet(len(edges.trace.artifacts))
        upstream = _upstream(edges, trainer, held)
        analysis = _data_analysis(edges, trainer, upstream, held)
        downstream = _downstream(edges, trainer, held)
        own = np.arange(len(trainer), dtype=np.int64)
        pairs = {
            Part.TRAINER: (own, trainer),
            Part.DOWNSTREAM: downstream.pairs(),
            Part.UPSTREAM: upstream.pairs(),
            Part.ANALYSIS: analysis.pairs(),
        }
        members, part = _by_precedence(pairs, len(edges.trace.executions))
        return cls(
            _Members.of(*members, len(trainer)),
            part,
            _Members.of(*held.pairs(), len(trainer)),
        )


def _upstream(edges: Edges, trainer: IntArray, held: PairSet) -> PairSet:
    """Step 1: data and preprocessing that the Trainer was fed with.

    Adds the artifacts to ``held``; returns the executions, the Trainers
    themselves not among them.
    """
    reached = PairSet(len(edges.trace.executions))
    taken_in = PairSet(len(edges.trace.artifacts))
    graphlet, execution = np.arange(len(trainer), dtype=np.int64), trainer
    while len(graphlet):
        index, artifact = edges.data.expand(execution)
        graphlet, artifact = taken_in.add(graphlet[index], artifact)
        index, execution = edges.makers.expand(artifact, trainer[graphlet])
        graphlet, execution = reached.add(graphlet[index], execution)
    graphlet, execution = reached.pairs()
    index, artifact = edges.outputs.expand(execution)
    held.add(*taken_in.pairs())
    held.add(graphlet[index], artifact)
    return reached


def _data_analysis(edges: Edges, trainer: IntArray, upstream: PairSet, held: PairSet) -> PairSet:
    """Step 2: statistics, schemas and validation beside the graphlet's data.

    Starts from the artifacts that ``held`` has after step 1; adds to it.
    Returns the executions that joined and those of ``upstream``.
    """
    executions = edges.trace.executions
    joined = PairSet(len(executions))
    joined.add(*upstream.pairs())
    walked = PairSet(len(edges.trace.artifacts))
    graphlet, artifact = walked.add(*held.pairs())
    while len(graphlet):
        index, execution = edges.analysers.expand(artifact, trainer[graphlet])
        graphlet = graphlet[index]
        joins = executions.create_ms[execution] <= executions.update_ms[trainer[graphlet]]
        graphlet, execution = joined.add(graphlet[joins], execution[joins])
        index, taken = edges.data.expand(execution)
        held.add(graphlet[index], taken)
        index, artifact = edges.outputs.expand(execution)
        held.add(graphlet[index], artifact)
        graphlet, artifact = walked.add(graphlet[index], artifact)
    return joined


def _downstream(edges: Edges, trainer: IntArray, held: PairSet) -> PairSet:
    """Step 3: validation, serving and what else was made of the model.

    Adds the artifacts to ``held``; returns the executions, the Trainers
    themselves not among them.
    """
    reached = PairSet(len(edges.trace.executions))
    followed = PairSet(len(edges.trace.artifacts))
    graphlet, execution = np.arange(len(trainer), dtype=np.int64), trainer
    while len(graphlet):
        index, artifact = edges.outputs.expand(execution)
        graphlet, artifact = followed.add(graphlet[index], artifact)
        index, execution = edges.users.expand(artifact)
        graphlet, execution = reached.add(graphlet[index], execution)
    held.add(*followed.pairs())
    return reached


# -- from pairs to rows --------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class _Members:
    """Members of the graphlets of a block: int64 counts, int32 positions."""

    counts: IntArray
    index: CodeArray

    @classmethod
    def of(cls, graphlet: IntArray, member: IntArray, num_graphlets: int) -> _Members:
        return cls(np.bincount(graphlet, minlength=num_graphlets), member.astype(np.int32))


def _by_precedence(
    pairs: Mapping[Part, tuple[IntArray, IntArray]], num_executions: int
) -> tuple[tuple[IntArray, IntArray], SmallArray]:
    """All pairs ascending, each once, and the part that counts for it."""
    bits = max(num_executions - 1, 1).bit_length()
    keys = np.concatenate(
        [
            (((pairs[part][0] << bits) | pairs[part][1]) << 2) | rank
            for rank, part in enumerate(_PRECEDENCE)
        ]
    )
    keys.sort(kind="stable")
    keys = keys[first_of_runs(keys >> 2)]
    part = np.array(_PRECEDENCE, np.int8)[keys & 3]
    keys >>= 2
    return (keys >> bits, keys & ((1 << bits) - 1)), part


def _joined(blocks: list[_Members]) -> Membership:
    """Rows of all blocks, one after the other."""
    counts = np.concatenate([np.zeros(1, np.int64), *(block.counts for block in blocks)])
    index = np.concatenate([np.zeros(0, np.int32), *(block.index for block in blocks)])
    return Membership(np.cumsum(counts), index.astype(np.int64))
