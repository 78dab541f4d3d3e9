"""Segmentation: cuts a trace into model graphlets.

The rules are those of design/graphlets.md, Segmentation (after section 3 of
Xin et al., SIGMOD 2021). All Trainers are walked at once: a frontier is an
array of (graphlet, node) pairs, and one step is a gather over CSR rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from tfx_graphlets import outcome as outcomes
from tfx_graphlets import roles, vocabulary
from tfx_graphlets.adjacency import Adjacency, PairSet
from tfx_graphlets.graphlet import Graphlets, Membership, Part
from tfx_graphlets.trace import BoolArray, IntArray, SmallArray, Trace
from tfx_graphlets.vocabulary import ArtifactType, ExecutionState, Role


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
    graph = _Graph.of(trace, role)
    executions = trace.executions
    trainer = np.flatnonzero(
        (role == Role.TRAINER) & (executions.state != ExecutionState.CACHED)
    ).astype(np.int64)

    members, held = PairSet(len(executions)), PairSet(len(trace.artifacts))
    part_of_step = []
    upstream = _upstream(graph, trainer, held)
    analysis = _data_analysis(graph, trainer, upstream, held)
    downstream = _downstream(graph, trainer, held)
    own = np.arange(len(trainer), dtype=np.int64)
    # Where steps overlap (a cycle in the trace) the earlier entry counts: what
    # is downstream counts as such for the outcome, and stays unknown to a gate.
    for part, pairs in (
        (Part.TRAINER, (own, trainer)),
        (Part.DOWNSTREAM, downstream.pairs()),
        (Part.UPSTREAM, upstream.pairs()),
        (Part.ANALYSIS, analysis.pairs()),
    ):
        graphlet, execution = members.add(*pairs)
        part_of_step.append((graphlet, execution, np.full(len(graphlet), part, np.int8)))
    graphlet = np.concatenate([step[0] for step in part_of_step])
    execution = np.concatenate([step[1] for step in part_of_step])
    order = np.lexsort((execution, graphlet))
    executions_of = Membership(_starts(graphlet[order], len(trainer)), execution[order])
    parts: SmallArray = np.concatenate([step[2] for step in part_of_step])[order]

    row, model = graph.inputs.expand(trainer)
    is_model = trace.artifacts_of_types([ArtifactType.MODEL])
    warm = is_model[model] if len(model) else np.zeros(0, bool)
    outcome = outcomes.outcomes(trace, role, trainer, executions_of, parts)
    warm_start = Membership.from_pairs(row[warm], model[warm], len(trainer), len(trace.artifacts))
    return Graphlets(
        trace=trace,
        role=role,
        trainer=trainer,
        executions=executions_of,
        part=parts,
        artifacts=Membership.from_pairs(*held.pairs(), len(trainer), len(trace.artifacts)),
        warm_start=warm_start,
        outcome=outcome,
        useful=outcomes.useful(trace, role, trainer, warm_start, outcome),
        cost=cost,
    )


def _starts(graphlet: IntArray, num_graphlets: int) -> IntArray:
    return np.searchsorted(graphlet, np.arange(num_graphlets + 1)).astype(np.int64)


@dataclasses.dataclass(frozen=True)
class _Graph:
    """The edges of a trace, and what the walks ask of its nodes.

    Attributes:
      inputs, outputs: execution to artifacts.
      producers, consumers: artifact to executions.
      consumers_of_own: ``consumers`` without ``baseline_model`` edges.
      not_entered: bool [A], artifacts whose type the upstream walk leaves out.
      runs: execution to its run contexts.
    """

    trace: Trace
    role: SmallArray
    inputs: Adjacency
    outputs: Adjacency
    producers: Adjacency
    consumers: Adjacency
    consumers_of_own: Adjacency
    not_entered: BoolArray
    runs: Adjacency

    @classmethod
    def of(cls, trace: Trace, role: SmallArray) -> _Graph:
        events = trace.events
        num_executions, num_artifacts = len(trace.executions), len(trace.artifacts)
        taken = roles.is_input_edge(trace, role)
        put = roles.is_output_edge(trace, role)
        own = taken.copy()
        if vocabulary.BASELINE_MODEL_KEY in events.keys:
            own &= events.key != events.keys.index(vocabulary.BASELINE_MODEL_KEY)
        member, context = trace.run_memberships()
        edges = Adjacency.from_edges
        return cls(
            trace=trace,
            role=role,
            inputs=edges(events.execution[taken], events.artifact[taken], num_executions),
            outputs=edges(events.execution[put], events.artifact[put], num_executions),
            producers=edges(events.artifact[put], events.execution[put], num_artifacts),
            consumers=edges(events.artifact[taken], events.execution[taken], num_artifacts),
            consumers_of_own=edges(events.artifact[own], events.execution[own], num_artifacts),
            not_entered=trace.artifacts_of_types(vocabulary.NOT_ENTERED_UPSTREAM),
            runs=edges(member, context, num_executions),
        )

    def is_foreign_cache_hit(self, execution: IntArray, trainer: IntArray) -> BoolArray:
        """True for a CACHED execution that shares no run context with its Trainer.

        Args:
          execution, trainer: int64 [n], positions, pairwise.

        Returns: bool [n].
        """
        foreign = self.trace.executions.state[execution] == ExecutionState.CACHED
        rows = np.flatnonzero(foreign)
        if len(rows):
            index, context = self.runs.expand(execution[rows])
            num_contexts = max(len(self.trace.contexts), 1)
            trainers = np.unique(trainer[rows])
            of, their_context = self.runs.expand(trainers)
            theirs = trainers[of] * num_contexts + their_context
            shares = np.isin(trainer[rows][index] * num_contexts + context, theirs)
            foreign[rows[index[shares]]] = False
        return foreign


def _upstream(graph: _Graph, trainer: IntArray, held: PairSet) -> PairSet:
    """Step 1: data and preprocessing that the Trainer was fed with.

    Adds the artifacts to ``held``; returns the executions, the Trainers
    themselves not among them.
    """
    reached = PairSet(len(graph.trace.executions))
    taken_in = PairSet(len(graph.trace.artifacts))
    graphlet, execution = np.arange(len(trainer), dtype=np.int64), trainer
    while len(graphlet):
        index, artifact = graph.inputs.expand(execution)
        enters = ~graph.not_entered[artifact]
        graphlet, artifact = taken_in.add(graphlet[index[enters]], artifact[enters])
        held.add(graphlet, artifact)
        index, execution = graph.producers.expand(artifact)
        graphlet = graphlet[index]
        enters = graph.role[execution] != Role.TRAINER
        graphlet, execution = graphlet[enters], execution[enters]
        enters = ~graph.is_foreign_cache_hit(execution, trainer[graphlet])
        graphlet, execution = reached.add(graphlet[enters], execution[enters])
        index, artifact = graph.outputs.expand(execution)
        held.add(graphlet[index], artifact)
    return reached


def _data_analysis(graph: _Graph, trainer: IntArray, upstream: PairSet, held: PairSet) -> PairSet:
    """Step 2: statistics, schemas and validation beside the graphlet's data.

    Starts from the artifacts that ``held`` has after step 1; adds to it.
    """
    executions = graph.trace.executions
    joined = PairSet(len(executions))
    joined.add(*upstream.pairs())
    walked = PairSet(len(graph.trace.artifacts))
    graphlet, artifact = walked.add(*held.pairs())
    while len(graphlet):
        index, execution = graph.consumers.expand(artifact)
        graphlet = graphlet[index]
        joins = np.isin(graph.role[execution], vocabulary.DATA_ANALYSIS)
        joins &= executions.create_ms[execution] <= executions.update_ms[trainer[graphlet]]
        graphlet, execution = graphlet[joins], execution[joins]
        joins = ~graph.is_foreign_cache_hit(execution, trainer[graphlet])
        graphlet, execution = joined.add(graphlet[joins], execution[joins])
        index, taken = graph.inputs.expand(execution)
        keeps = ~graph.not_entered[taken]
        held.add(graphlet[index[keeps]], taken[keeps])
        index, artifact = graph.outputs.expand(execution)
        held.add(graphlet[index], artifact)
        graphlet, artifact = walked.add(graphlet[index], artifact)
    return joined


def _downstream(graph: _Graph, trainer: IntArray, held: PairSet) -> PairSet:
    """Step 3: validation, serving and what else was made of the model.

    Adds the artifacts to ``held``; returns the executions, the Trainers
    themselves not among them.
    """
    reached = PairSet(len(graph.trace.executions))
    followed = PairSet(len(graph.trace.artifacts))
    graphlet, execution = np.arange(len(trainer), dtype=np.int64), trainer
    while len(graphlet):
        index, artifact = graph.outputs.expand(execution)
        graphlet, artifact = followed.add(graphlet[index], artifact)
        held.add(graphlet, artifact)
        index, execution = graph.consumers_of_own.expand(artifact)
        graphlet = graphlet[index]
        enters = ~np.isin(graph.role[execution], vocabulary.NOT_ENTERED_DOWNSTREAM)
        graphlet, execution = reached.add(graphlet[enters], execution[enters])
    return reached
