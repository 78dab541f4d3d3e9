"""A trace as the gate of a run to be looks at it: without own nodes, with the pending Trainer.

Under ``tfx.dsl.Cond`` TFX records the GateDecision as an input of every gated
node. So the upstream walk of a gated Trainer enters the gate, GraphletGen and,
through the waste model, earlier runs; the same pipeline without a gate, or
before it had one, shows none of that. Features are described on a trace without
these events, so that they mean the same before and after a gate was added, and
to the graphlet that is still pending.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import TraceNotFoundError
from tfx_graphlets.trace.ordering import positions_of
from tfx_graphlets.trace.trace import NO_KEY, CodeArray, Contexts, Trace
from tfx_graphlets.vocabulary import EventType, ExecutionState, PropertyName

# Full names of our artifact types start so, and those of our components.
ARTIFACT_PREFIX: Final = vocabulary.OWN_PREFIX
EXECUTION_PREFIX: Final = "tfx_graphlets.components."


def without_gates(trace: Trace) -> Trace:
    """The trace without the events of this project's own nodes and artifacts.

    Executions and artifacts stay, unconnected; what was dropped is not counted
    in ``events.dropped``.
    """
    own_type = np.array([n.startswith(ARTIFACT_PREFIX) for n in trace.artifacts.type_names], bool)
    own_class = np.array(
        [n.startswith(EXECUTION_PREFIX) for n in trace.executions.type_names], bool
    )
    if not own_type.any() and not own_class.any():
        return trace
    events = trace.events
    kept = ~own_class[trace.executions.type][events.execution]
    kept &= ~own_type[trace.artifacts.type][events.artifact]
    columns = {
        name: getattr(events, name)[kept]
        for name in ("execution", "artifact", "type", "key", "time_ms")
    }
    return dataclasses.replace(trace, events=dataclasses.replace(events, **columns))


DEFAULT_TRAINER_TYPE = "tfx.components.trainer.component.Trainer"


def with_pending_trainer(
    trace: Trace,
    *,
    input_artifacts: Mapping[str, Sequence[int]],
    run_context: str | None,
    pipeline: str | None,
    node: str | None,
    moment_ms: int,
    trainer_type: str = DEFAULT_TRAINER_TYPE,
    code: Mapping[str, str] | None = None,
) -> Trace:
    """The trace with one more execution: a RUNNING Trainer, created at the moment.

    Args:
      trace: what the store holds.
      input_artifacts: artifact ids by event key; ``""`` for an event without.
      run_context, pipeline, node: names of its contexts, which are made if the
        trace has none of that name; None for no context.
      moment_ms: its create and update time.
      trainer_type: full name of its execution type.
      code: hash of the code by role (``transform``, ``tuner``, ``trainer``), as far
        as it is known; its only property (``PropertyName.CODE_KNOWN``).

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
    properties = executions.properties
    if code:
        text = json.dumps(dict(code), sort_keys=True)
        properties = properties.with_last(number, PropertyName.CODE_KNOWN, text)
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
            properties=properties,
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
