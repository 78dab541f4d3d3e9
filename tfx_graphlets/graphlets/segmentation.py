"""Segmentation: cuts a trace into model graphlets.

The rules are those of docs/graphlets.md, Segmentation (after section 3 of
Xin et al., SIGMOD 2021). Many Trainers are walked at once: a frontier is an
array of (graphlet, node) pairs, and one step is a gather over CSR rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

import numpy as np

from tfx_graphlets.graphlets import roles, verdicts
from tfx_graphlets.graphlets.edges import Edges
from tfx_graphlets.graphlets.graphlet import Graphlets, Part
from tfx_graphlets.graphlets.outcome import (
    execution_cost,
    needed_since,
    next_attempts,
    outcomes,
    pushed_since,
)
from tfx_graphlets.trace.ragged import PairSet, Ragged, first_of_runs
from tfx_graphlets.trace.trace import CodeArray, IntArray, SmallArray, Trace
from tfx_graphlets.vocabulary import ExecutionState, Role

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
    pushers: Collection[str] | None = None,
    classes: verdicts.Classes | None = None,
    cost_weight_of_role: Mapping[Role, float] | None = None,
    cost_weight_of_type: Mapping[str, float] | None = None,
) -> Graphlets:
    """Cuts a trace into graphlets, one for every Trainer that is not CACHED.

    Nodes of this project itself (types ``tfx_graphlets.*``: gates, rehearsals) belong to no
    graphlet, and no walk passes through them; see ``roles.own_executions``.

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
        type's full name or its last dotted part. A class that is declared to be a PUSHER here
        and whose outputs carry no property ``pushed`` at all has pushed when it is COMPLETE.
      pushers: which pushers count, by the id of their node, the name of its context or the name
        of their type, full or its last dotted part; None for all. (A push to staging that
        always happens proves nothing.)
      classes: where the trace is a part of a store, what all of that tells of its types, the
        roles that the user gives among it; by default what the trace tells.
      cost_weight_of_role: factor on the cost of executions of a role, at
        least 0; 1 where absent.
      cost_weight_of_type: the same by the type's full name or last part;
        multiplies with the role's.

    Returns:
      Graphlets in ascending id of the Trainer execution.

    Raises:
      InvalidArgumentError: an override names a type, or ``pushers`` a pusher, that is not in
        the trace (``roles.present`` and ``verdicts.present`` leave these out), or a weight is
        negative.
    """
    classes = verdicts.Classes.of(trace, role_of_type) if classes is None else classes
    role = classes.roles_in(trace)
    cost = execution_cost(trace, role, cost_weight_of_role, cost_weight_of_type)
    edges = Edges(trace, role)
    executions = trace.executions
    trains = (role == Role.TRAINER) & (executions.state != ExecutionState.CACHED)
    trainer = np.flatnonzero(trains & ~roles.own_executions(trace)).astype(np.int64)

    blocks = [
        _Block.of(edges, trainer[first : first + _BLOCK])
        for first in range(0, len(trainer), _BLOCK)
    ]
    executions_of = _joined([block.executions for block in blocks])
    parts: SmallArray = np.concatenate([np.zeros(0, np.int8), *(block.part for block in blocks)])
    artifacts_of = _joined([block.artifacts for block in blocks])

    models = PairSet(len(trace.artifacts)).add(*edges.models_taken.expand(trainer))
    warm_start = Ragged.from_sorted(*models, len(trainer))
    pusher = verdicts.counted(trace, role, pushers)
    pushes = verdicts.pushing(edges, pusher, classes)
    pushed_ms = pushed_since(edges, pushes, executions_of, parts)
    retry = next_attempts(edges, trainer)
    outcome = outcomes(edges, trainer, pushed_ms, retry)
    return Graphlets(
        trace=trace,
        role=role,
        trainer=trainer,
        executions=executions_of,
        part=parts,
        artifacts=artifacts_of,
        warm_start=warm_start,
        pusher=pusher,
        pushes=pushes,
        retry=retry,
        outcome=outcome,
        needed_ms=needed_since(edges, trainer, warm_start, outcome, pushed_ms),
        cost=cost,
        edges=edges,
        declared=roles.Declared.of(role_of_type, pushers),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class _Block:
    """What the three steps found for some Trainers, graphlets numbered from 0."""

    executions: _Members
    part: SmallArray
    artifacts: _Members

    @classmethod
    def of(cls, edges: Edges, trainer: IntArray) -> _Block:
        held = _Held()
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
        artifacts = PairSet(len(edges.trace.artifacts)).add(*held.pairs())
        return cls(_Members.of(*members, len(trainer)), part, _Members.of(*artifacts, len(trainer)))


def _upstream(edges: Edges, trainer: IntArray, held: _Held) -> PairSet:
    """Step 1: data and preprocessing that the Trainer was fed with.

    Adds the artifacts to ``held``; returns the executions, the Trainers
    themselves not among them.
    """
    reached = PairSet(len(edges.trace.executions))
    graphlet, execution = np.arange(len(trainer), dtype=np.int64), trainer
    while len(graphlet):
        graphlet, artifact = edges.data.follow(graphlet, execution)
        # The others are among the outputs of what this walk reaches.
        rest = np.flatnonzero(~edges.surely_made[artifact])
        held.add(graphlet[rest], artifact[rest])
        graphlet, execution = reached.add(*edges.makers.follow(graphlet, artifact, trainer))
    held.add(*edges.outputs.follow(*reached.pairs()))
    return reached


def _data_analysis(edges: Edges, trainer: IntArray, upstream: PairSet, held: _Held) -> PairSet:
    """Step 2: statistics, schemas and validation beside the graphlet's data.

    Starts from the artifacts that ``held`` has after step 1; adds to it.
    Returns the executions that joined and those of ``upstream``.
    """
    joined = upstream.copy()
    walked = PairSet(len(edges.trace.artifacts))
    graphlet, artifact = walked.add(*held.take())
    while len(graphlet):
        graphlet, execution = edges.analysers.follow(graphlet, artifact, trainer)
        joins = edges.existed_by_the_end(execution, trainer[graphlet])
        graphlet, execution = joined.add(graphlet[joins], execution[joins])
        held.add(*edges.data.follow(graphlet, execution))
        graphlet, artifact = walked.add(*edges.outputs.follow(graphlet, execution))
    held.add(*walked.pairs())
    return joined


def _downstream(edges: Edges, trainer: IntArray, held: _Held) -> PairSet:
    """Step 3: validation, serving and what else was made of the model.

    Adds the artifacts to ``held``; returns the executions, the Trainers
    themselves not among them.
    """
    reached = PairSet(len(edges.trace.executions))
    graphlet, execution = np.arange(len(trainer), dtype=np.int64), trainer
    while len(graphlet):
        graphlet, artifact = edges.outputs.follow(graphlet, execution)
        held.add(graphlet, artifact)
        graphlet, execution = reached.add(*edges.users.follow(graphlet, artifact))
    return reached


class _Held:
    """Artifacts of the graphlets of a block: pairs, repeats among them."""

    def __init__(self) -> None:
        self._graphlet: list[IntArray] = []
        self._artifact: list[IntArray] = []

    def add(self, graphlet: IntArray, artifact: IntArray) -> None:
        self._graphlet.append(graphlet)
        self._artifact.append(artifact)

    def pairs(self) -> tuple[IntArray, IntArray]:
        return np.concatenate(self._graphlet), np.concatenate(self._artifact)

    def take(self) -> tuple[IntArray, IntArray]:
        """All pairs, to be added again in fewer."""
        pairs = self.pairs()
        self._graphlet, self._artifact = [], []
        return pairs


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
    bits = num_executions.bit_length()
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


def _joined(blocks: list[_Members]) -> Ragged:
    """Rows of all blocks, one after the other."""
    counts = np.concatenate([np.zeros(1, np.int64), *(block.counts for block in blocks)])
    parts = [np.zeros(0, np.int32), *(block.index for block in blocks)]
    return Ragged(np.cumsum(counts), np.concatenate(parts, dtype=np.int64))
