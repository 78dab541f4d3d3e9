"""The current graphlet: that of a run whose Trainer does not exist yet.

A gate before the Trainer decides about a training that the store knows nothing
of. So a virtual Trainer is appended to the trace, which takes in what the real
one would, and the trace is cut into graphlets as always.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import TraceNotFoundError
from tfx_graphlets.graphlets import roles, segmentation, verdicts
from tfx_graphlets.graphlets.graphlet import Graphlet
from tfx_graphlets.graphlets.pending import DEFAULT_TRAINER_TYPE, with_pending_trainer
from tfx_graphlets.trace.trace import IntArray, SmallArray, Trace
from tfx_graphlets.vocabulary import ArtifactType, EventType, ExecutionState, Role, Stage

# Plain numbers: an enum takes longer to compare with than the rest of it all takes.
_TAKEN_IN = frozenset(map(int, vocabulary.INPUT_EVENTS))
_PUT_OUT = frozenset(  # a Resolver's are internal
    map(int, (*vocabulary.OUTPUT_EVENTS, EventType.INTERNAL_OUTPUT))
)
_UNFINISHED = frozenset(map(int, (ExecutionState.NEW, ExecutionState.RUNNING)))
_FALLBACK_KEYS: Mapping[str, str] = {
    ArtifactType.EXAMPLES: "examples",
    ArtifactType.TRANSFORM_GRAPH: "transform_graph",
    ArtifactType.SCHEMA: "schema",
    ArtifactType.HYPER_PARAMETERS: "hyperparameters",
}


def current_graphlet(
    trace: Trace,
    *,
    moment_ms: int,
    stage: Stage = Stage.PRE,
    run: str | None = None,
    input_artifacts: Mapping[str, Sequence[int]] | None = None,
    pipeline: str | None = None,
    node: str | None = None,
    trainer_type: str | None = None,
    role_of_type: Mapping[str, Role] | None = None,
    pushers: Collection[str] | None = None,
    model: int | None = None,
    code: Mapping[str, str] | None = None,
) -> Graphlet:
    """The graphlet that a run is about to train, or has trained.

    Args:
      trace: what the store holds now.
      moment_ms: now, milliseconds since the epoch.
      stage: where the gate stands; from ``trainer`` on the run has a Trainer,
        and the graphlet is that of the model, or of its latest Trainer.
      run: name of the run's context.
      input_artifacts: artifact ids that the Trainer will take in, by event key;
        ``inputs_from_run`` by default.
      pipeline, node, trainer_type: of the Trainer to come; by default those of
        the latest Trainer of the run's pipeline, or of any where the run's
        pipeline has none yet. The node is named by its id or by its context.
      role_of_type, pushers: as for ``segment``.
      model: id of an artifact of the graphlet that is meant, from stage
        ``trainer`` on: the model that is wired, or what came of it.
      code: of the Trainer to come, as for ``with_pending_trainer``.

    Returns:
      A view into the graphlets of the trace; before stage ``trainer`` of the
      trace with a pending Trainer, whose id is the highest. Describe it with
      ``rows=np.array([it.number])`` and ``moment_ms=np.array([moment_ms])``.

    Raises:
      TraceNotFoundError: the trace has no such run or artifact, there is
        neither a run nor input artifacts, or the run has no Trainer yet at
        stage ``trainer`` or later.
    """
    if stage.order >= Stage.TRAINER.order:
        return _trained_graphlet(trace, run, node, model, role_of_type, pushers)
    role = roles.roles_of_executions(trace, roles.present(trace, role_of_type))
    if input_artifacts is None:
        if run is None:
            raise TraceNotFoundError("", "run=None: name a run, or give its input_artifacts")
        input_artifacts = inputs_from_run(trace, run, role, node=node)
    members = _members_of_run(trace, run) if run is not None else np.zeros(0, np.int64)
    if pipeline is None:
        found = trace.pipeline_of_execution[members]
        known = found[found >= 0]
        pipeline = trace.context_name(int(known[0])) if len(known) else None
    example = latest_trainer(trace, role, pipeline, node)
    if example is not None:
        if trainer_type is None:
            trainer_type = trace.executions.type_names[trace.executions.type[example]]
        node = trace.context_name(int(trace.node_of_execution[example]))
    elif node is not None and pipeline is not None:
        node = f"{pipeline}.{node.removeprefix(f'{pipeline}.')}"
    extended = with_pending_trainer(
        trace,
        input_artifacts=input_artifacts,
        run_context=run,
        pipeline=pipeline,
        node=node,
        moment_ms=moment_ms,
        trainer_type=trainer_type or DEFAULT_TRAINER_TYPE,
        code=code,
    )
    kinds = {**roles.present(extended, role_of_type), **_role_of(trainer_type)}
    graphlets = segmentation.segment(
        extended,
        role_of_type=kinds,
        pushers=verdicts.present(extended, roles.roles_of_executions(extended, kinds), pushers),
    )
    return graphlets.of_trainer(int(extended.executions.id[-1]))


def _trained_graphlet(
    trace: Trace,
    run: str | None,
    node: str | None,
    model: int | None,
    role_of_type: Mapping[str, Role] | None,
    pushers: Collection[str] | None,
) -> Graphlet:
    """The graphlet that holds an artifact, else that of the latest Trainer of a run."""
    kinds = roles.present(trace, role_of_type)
    counting = verdicts.present(trace, roles.roles_of_executions(trace, kinds), pushers)
    graphlets = segmentation.segment(trace, role_of_type=kinds, pushers=counting)
    members = _members_of_run(trace, run) if run is not None else np.zeros(0, np.int64)
    found = np.flatnonzero(np.isin(graphlets.trainer, members))
    if model is not None:
        position = trace.artifact_position(model)
        held = graphlets.artifacts.rows()[graphlets.artifacts.index == position]
        warm = graphlets.warm_start.rows()[graphlets.warm_start.index == position]
        holding = np.setdiff1d(held, warm)
        # Of another run where this one found the model in the cache.
        found = np.intersect1d(found, holding) if np.isin(found, holding).any() else holding
    elif node is not None and len(found):
        found = np.intersect1d(found, graphlets.of(node=node))
    if not len(found):
        if model is not None:
            problem = "no training holds an artifact of this id; give a Model of the run"
            raise TraceNotFoundError(str(model), f"model={model}: {problem}")
        raise TraceNotFoundError(str(run), f"run={run!r}: this run has trained no model")
    create_ms = trace.executions.create_ms[graphlets.trainer[found]]
    return graphlets[int(found[np.lexsort((found, create_ms))[-1]])]


def inputs_from_run(
    trace: Trace, run: str, role: SmallArray | None = None, *, node: str | None = None
) -> dict[str, tuple[int, ...]]:
    """What the Trainer of a run will take in, as far as the run has made it.

    Follows the latest Trainer of the same pipeline (and node) in another run: what that
    one took in, and which node had put it out under which key, says which
    outputs of this run the next one will take in. Where that node has not run
    yet, what it would be made from stands for it. Without such an example, all
    Examples, TransformGraph, Schema and HyperParameters that the run put out.

    Args:
      trace: what the store holds.
      run: name of the run's context.
      role: role of every execution; worked out by default.
      node: id or context of the Trainer's node; any by default.

    Returns: artifact ids by the Trainer's event key, ascending.

    Raises:
      TraceNotFoundError: the trace has no such run.
    """
    if role is None:
        role = roles.roles_of_executions(trace)
    members = _members_of_run(trace, run)
    if not len(members):
        raise TraceNotFoundError(run, f"run={run!r}: the trace has no run of this name")
    found = trace.pipeline_of_execution[members]
    pipeline = trace.context_name(int(found.max())) if (found >= 0).any() else None
    result: dict[str, set[int]] = {}
    example = latest_trainer(trace, role, pipeline, node, members)
    if example is not None and pipeline is not None:
        result = _by_example(trace, example, members)
    if not result:
        base_types, types = trace.artifact_base_types, trace.artifacts.type
        for artifact, _ in _put_out(trace, members):
            key = _FALLBACK_KEYS.get(base_types[types[artifact]])
            if key is not None:
                result.setdefault(key, set()).add(artifact)
    ids = trace.artifacts.id
    return {
        key: tuple(sorted(int(ids[artifact]) for artifact in artifacts))
        for key, artifacts in sorted(result.items())
    }


def _by_example(trace: Trace, example: int, members: IntArray) -> dict[str, set[int]]:
    """Artifacts by key that mirror in one run what a Trainer took in another."""
    run = int(trace.run_of_execution[example])
    others = _members(trace, run) if run >= 0 else np.array([example])
    # Which node of the example's run had put out an artifact, and under which key.
    sources: dict[int, list[tuple[int, int]]] = {}
    for execution in others.tolist():
        for artifact, code in _put_out(trace, np.array([execution])):
            sources.setdefault(artifact, []).append((execution, code))
    twins: dict[tuple[int, int], list[int]] = {}
    for execution in members.tolist():
        twins.setdefault(_node(trace, execution), []).append(execution)
    outputs: dict[int, list[tuple[int, int]]] = {}
    result: dict[str, set[int]] = {}
    seen: set[tuple[str, int]] = set()
    pending = list(_taken_in(trace, example))
    while pending:
        name, artifact = pending.pop()
        if (name, artifact) in seen:
            continue
        seen.add((name, artifact))
        for source, code in sources.get(artifact, ()):
            node = _node(trace, source)
            made: list[int] = []
            # Of a node the last execution counts. Where the node is not known (two
            # Resolvers, by the MLMD API), it is the one that puts out the same key.
            found = twins.get(node, [])[::-1]
            for twin in found[:1] if node[0] >= 0 else found:
                if twin not in outputs:
                    outputs[twin] = _put_out(trace, np.array([twin]))
                made = made or [a for a, c in outputs[twin] if c == code]
            if made:
                result.setdefault(name, set()).update(made)
            else:
                pending += _taken_in(trace, source)
    return result


def _taken_in(trace: Trace, execution: int) -> Iterator[tuple[str, int]]:
    """Key and artifact of every input of an execution."""
    events = trace.events
    start, end = np.searchsorted(events.execution, (execution, execution + 1))
    for row in range(start, end):
        if int(events.type[row]) in _TAKEN_IN:
            key = int(events.key[row])
            yield (events.keys[key] if key >= 0 else ""), int(events.artifact[row])


def _put_out(trace: Trace, members: IntArray) -> list[tuple[int, int]]:
    """Artifact and key code of every output of finished executions, Resolvers too."""
    events, executions = trace.events, trace.executions
    result: list[tuple[int, int]] = []
    for execution in members.tolist():
        if int(executions.state[execution]) in _UNFINISHED:
            continue
        start, end = np.searchsorted(events.execution, (execution, execution + 1))
        result += [
            (artifact, key)
            for artifact, key, kind in zip(
                events.artifact[start:end].tolist(),
                events.key[start:end].tolist(),
                events.type[start:end].tolist(),
            )
            if kind in _PUT_OUT
        ]
    return result


def _node(trace: Trace, execution: int) -> tuple[int, int]:
    """What makes executions of two runs the same node: node context, type."""
    return int(trace.node_of_execution[execution]), int(trace.executions.type[execution])


def latest_trainer(
    trace: Trace,
    role: SmallArray,
    pipeline: str | None = None,
    node: str | None = None,
    but: IntArray | None = None,
) -> int | None:
    """The Trainer that was created last, of a pipeline and a node if given, not one of ``but``."""
    is_trainer = role == Role.TRAINER
    if but is not None:
        is_trainer[but] = False
    found = np.flatnonzero(is_trainer)
    if pipeline is not None:
        names = trace.contexts.name
        of = trace.pipeline_of_execution[found]
        found = found[[position >= 0 and names[position] == pipeline for position in of]]
    if node is not None:
        found = found[[is_node(trace, int(position), node) for position in found]]
    if not len(found):
        return None
    return int(found[np.lexsort((found, trace.executions.create_ms[found]))[-1]])


def is_node(trace: Trace, execution: int, node: str) -> bool:
    """Whether an execution is of a node, named by its id or by the name of its context."""
    context = trace.context_name(int(trace.node_of_execution[execution]))
    return node in (context, trace.node_id(execution))


def _members_of_run(trace: Trace, run: str) -> IntArray:
    """Executions of the run contexts of a name, ascending; empty if there is none."""
    is_run = trace.contexts.of_types(vocabulary.RUN_CONTEXTS)
    found = [
        _members(trace, position)
        for position in np.flatnonzero(is_run).tolist()
        if trace.contexts.name[position] == run
    ]
    return np.unique(np.concatenate(found)) if found else np.zeros(0, np.int64)


def _members(trace: Trace, context: int) -> IntArray:
    contexts = trace.contexts
    return contexts.association_execution[contexts.association_context == context]


def _role_of(trainer_type: str | None) -> dict[str, Role]:
    """The pending Trainer is one, whatever its class's name says."""
    return {} if trainer_type is None else {trainer_type: Role.TRAINER}
