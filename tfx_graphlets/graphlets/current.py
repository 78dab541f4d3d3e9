"""The current graphlet: that of a run whose Trainer does not exist yet.

A gate before the Trainer decides about a training that the store knows nothing
of. So a virtual Trainer is appended to the trace, which takes in what the real
one would, and the trace is cut into graphlets as always.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import TraceNotFoundError
from tfx_graphlets.graphlets import roles, segmentation
from tfx_graphlets.graphlets.graphlet import Graphlet
from tfx_graphlets.trace.assembly import positions_of
from tfx_graphlets.trace.trace import NO_KEY, CodeArray, Contexts, IntArray, SmallArray, Trace
from tfx_graphlets.vocabulary import ArtifactType, EventType, ExecutionState, Role, Stage

DEFAULT_TRAINER_TYPE = "tfx.components.trainer.component.Trainer"

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
) -> Graphlet:
    """The graphlet that a run is about to train, or has trained.

    Args:
      trace: what the store holds now.
      moment_ms: now, milliseconds since the epoch.
      stage: where the gate stands; from ``trainer`` on the run has a Trainer,
        and the graphlet is that of its latest.
      run: name of the run's context.
      input_artifacts: artifact ids that the Trainer will take in, by event key;
        ``inputs_from_run`` by default.
      pipeline, node, trainer_type: of the Trainer to come; by default those of
        the latest Trainer of the run's pipeline, or of any where the run's
        pipeline has none yet.
      role_of_type: as for ``segment``.

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
        return _trained_graphlet(trace, run, role_of_type)
    role = roles.roles_of_executions(trace, role_of_type)
    if input_artifacts is None:
        if run is None:
            raise TraceNotFoundError("", "run=None: name a run, or give its input_artifacts")
        input_artifacts = inputs_from_run(trace, run, role)
    members = _members_of_run(trace, run) if run is not None else np.zeros(0, np.int64)
    if pipeline is None:
        found = trace.pipeline_of_execution[members]
        known = found[found >= 0]
        pipeline = trace.context_name(int(known[0])) if len(known) else None
    example = _latest_trainer(trace, role, pipeline, np.zeros(0, np.int64))
    if example is not None:
        if trainer_type is None:
            trainer_type = trace.executions.type_names[trace.executions.type[example]]
        if node is None:
            node = trace.context_name(int(trace.node_of_execution[example]))
    extended = with_pending_trainer(
        trace,
        input_artifacts=input_artifacts,
        run_context=run,
        pipeline=pipeline,
        node=node,
        moment_ms=moment_ms,
        trainer_type=trainer_type or DEFAULT_TRAINER_TYPE,
    )
    graphlets = segmentation.segment(
        extended, role_of_type={**(role_of_type or {}), **_role_of(trainer_type)}
    )
    return graphlets.of_trainer(int(extended.executions.id[-1]))


def _trained_graphlet(
    trace: Trace, run: str | None, role_of_type: Mapping[str, Role] | None
) -> Graphlet:
    """The graphlet of the latest Trainer of a run."""
    graphlets = segmentation.segment(trace, role_of_type=role_of_type)
    members = _members_of_run(trace, run) if run is not None else np.zeros(0, np.int64)
    found = np.flatnonzero(np.isin(graphlets.trainer, members))
    if not len(found):
        raise TraceNotFoundError(str(run), f"run={run!r}: this run has trained no model")
    create_ms = trace.executions.create_ms[graphlets.trainer[found]]
    return graphlets[int(found[np.lexsort((found, create_ms))[-1]])]


def with_pending_trainer(
    trace: Trace,
    *,
    input_artifacts: Mapping[str, Sequence[int]],
    run_context: str | None,
    pipeline: str | None,
    node: str | None,
    moment_ms: int,
    trainer_type: str = DEFAULT_TRAINER_TYPE,
) -> Trace:
    """The trace with one more execution: a RUNNING Trainer, created at the moment.

    Args:
      trace: what the store holds.
      input_artifacts: artifact ids by event key; ``""`` for an event without.
      run_context, pipeline, node: names of its contexts, which are made if the
        trace has none of that name; None for no context.
      moment_ms: its create and update time.
      trainer_type: full name of its execution type.

    Returns:
      A trace whose last execution is the pending Trainer; its id is one more
      than the highest.

    Raises:
      TraceNotFoundError: an artifact is not in the trace.
    """
    executions, events = trace.executions, trace.events
    pairs = [(key, artifact) for key, ids in sorted(input_artifacts.items()) for artifact in ids]
    artifact = positions_of(
        trace.artifacts.id, np.array([artifact for _, artifact in pairs], np.int64)
    )
    if (artifact < 0).any():
        missing = pairs[int(np.flatnonzero(artifact < 0)[0])]
        raise TraceNotFoundError(
            str(missing[1]), f"input_artifacts[{missing[0]!r}]={missing[1]!r}: no such artifact"
        )
    type_names, types = _with_name(executions.type_names, executions.type, trainer_type)
    keys, key = events.keys, events.key
    for name in filter(None, input_artifacts):
        keys, key = _with_name(keys, key, name)
    new_key = np.array([keys.index(name) if name else NO_KEY for name, _ in pairs], np.int32)
    order = np.lexsort((new_key, artifact))
    number = len(executions)
    new_id = int(executions.id[-1]) + 1 if number else 1
    contexts = trace.contexts
    for context_types, name_or_none in (
        (vocabulary.RUN_CONTEXTS, run_context),
        (vocabulary.PIPELINE_CONTEXTS, pipeline),
        (vocabulary.NODE_CONTEXTS, node),
    ):
        if name_or_none is not None:
            contexts = _associated(contexts, context_types, name_or_none, number, moment_ms)
    return dataclasses.replace(
        trace,
        executions=dataclasses.replace(
            executions,
            id=np.append(executions.id, new_id),
            type=np.append(types, np.int32(type_names.index(trainer_type))),
            state=np.append(executions.state, np.int8(ExecutionState.RUNNING)),
            create_ms=np.append(executions.create_ms, moment_ms),
            update_ms=np.append(executions.update_ms, moment_ms),
            type_names=type_names,
        ),
        events=dataclasses.replace(
            events,
            execution=np.append(events.execution, np.full(len(pairs), number)),
            artifact=np.append(events.artifact, artifact[order]),
            type=np.append(events.type, np.full(len(pairs), EventType.INPUT, np.int8)),
            key=np.append(key, new_key[order]),
            time_ms=np.append(events.time_ms, np.full(len(pairs), moment_ms)),
            keys=keys,
        ),
        contexts=_sorted_associations(contexts),
    )


def inputs_from_run(
    trace: Trace, run: str, role: SmallArray | None = None
) -> dict[str, tuple[int, ...]]:
    """What the Trainer of a run will take in, as far as the run has made it.

    Follows the latest Trainer of the same pipeline in another run: what that
    one took in, and which node had put it out under which key, says which
    outputs of this run the next one will take in. Where that node has not run
    yet, what it would be made from stands for it. Without such an example, all
    Examples, TransformGraph, Schema and HyperParameters that the run put out.

    Args:
      trace: what the store holds.
      run: name of the run's context.
      role: role of every execution; worked out by default.

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
    example = _latest_trainer(trace, role, pipeline, members)
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
                events.artifact[start:end].tolist(), events.key[start:end].tolist(),
                events.type[start:end].tolist(),
            )
            if kind in _PUT_OUT
        ]  # fmt: skip
    return result


def _node(trace: Trace, execution: int) -> tuple[int, int]:
    """What makes executions of two runs the same node: node context, type."""
    return int(trace.node_of_execution[execution]), int(trace.executions.type[execution])


def _latest_trainer(
    trace: Trace, role: SmallArray, pipeline: str | None, but: IntArray
) -> int | None:
    """The Trainer that was created last, of a pipeline if given, not one of ``but``."""
    is_trainer = role == Role.TRAINER
    is_trainer[but] = False
    found = np.flatnonzero(is_trainer)
    if pipeline is not None:
        names = trace.contexts.name
        of = trace.pipeline_of_execution[found]
        found = found[[position >= 0 and names[position] == pipeline for position in of]]
    if not len(found):
        return None
    return int(found[np.lexsort((found, trace.executions.create_ms[found]))[-1]])


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


def _with_name(
    names: tuple[str, ...], codes: CodeArray, name: str
) -> tuple[tuple[str, ...], CodeArray]:
    """Sorted names with one more, and the codes that follow from it; -1 stays."""
    if name in names:
        return names, codes
    wider = tuple(sorted((*names, name)))
    place = wider.index(name)
    return wider, np.where(codes >= place, codes + 1, codes).astype(np.int32)


def _associated(
    contexts: Contexts, type_names: Sequence[str], name: str, execution: int, moment_ms: int
) -> Contexts:
    """The contexts with an execution put into one, which is made if it is new."""
    is_of_type = contexts.of_types(type_names)
    found = [p for p in np.flatnonzero(is_of_type).tolist() if contexts.name[p] == name]
    if found:
        position = found[0]
    else:
        position = len(contexts)
        names, codes = _with_name(contexts.type_names, contexts.type, type_names[0])
        new_id = int(contexts.id[-1]) + 1 if position else 1
        contexts = dataclasses.replace(
            contexts,
            id=np.append(contexts.id, new_id),
            type=np.append(codes, np.int32(names.index(type_names[0]))),
            name=(*contexts.name, name),
            create_ms=np.append(contexts.create_ms, moment_ms),
            type_names=names,
        )
    return dataclasses.replace(
        contexts,
        association_context=np.append(contexts.association_context, position),
        association_execution=np.append(contexts.association_execution, execution),
    )


def _sorted_associations(contexts: Contexts) -> Contexts:
    order = np.lexsort((contexts.association_context, contexts.association_execution))
    return dataclasses.replace(
        contexts,
        association_context=contexts.association_context[order],
        association_execution=contexts.association_execution[order],
    )
