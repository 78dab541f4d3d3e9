"""Trainer nodes of a pipeline: which there are, and whether one repeats itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.graphlets.graphlet import Graphlet, Graphlets
from tfx_graphlets.graphlets.roles import Declared, present, roles_of_executions
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.graphlets.verdicts import present as present_pushers
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import ExecutionState, PropertyName, Role

# A Trainer node that was in none of so many of the latest runs that trained is gone.
RUNS_OF_NODES: Final = 10


def latest_trainer_nodes(
    trace: Trace, pipeline: str | None, role_of_type: Mapping[str, Role] | None = None
) -> tuple[str, ...]:
    """Ids of the nodes of the Trainers in a pipeline's latest runs, sorted.

    Of a pipeline that is not named: of that of the latest Trainer. A node that
    trained in none of the latest RUNS_OF_NODES runs with a Trainer was removed.
    Trainers without a node context are not among them.
    """
    role = roles_of_executions(trace, present(trace, role_of_type))
    found = np.flatnonzero(role == Role.TRAINER)
    found = found[np.lexsort((found, trace.executions.create_ms[found]))]
    of = [trace.context_name(int(trace.pipeline_of_execution[at])) for at in found]
    if pipeline is None and of:
        pipeline = of[-1]
    names: set[str] = set()
    runs: dict[int, None] = {}
    for at, name in zip(found.tolist()[::-1], of[::-1]):
        node = trace.node_id(at)
        if name != pipeline or node is None:
            continue
        run = int(trace.run_of_execution[at])
        runs[run if run >= 0 else -2 - at] = None
        if len(runs) > RUNS_OF_NODES:
            break
        names.add(node)
    return tuple(sorted(names))


def segment_present(trace: Trace, declared: Declared) -> Graphlets:
    """``segment``, with those of the declared names that the trace holds."""
    kinds = present(trace, declared.role_of_type)
    counting = present_pushers(trace, roles_of_executions(trace, kinds), declared.pushers)
    return segment(trace, role_of_type=kinds, pushers=counting)


def is_repeated(graphlet: Graphlet, code: str) -> bool:
    """Whether an earlier Trainer of the node has finished with the same artifacts and code.

    Args:
      graphlet: the current one.
      code: place of its code with a hash of it; "" where it is not known: then
        that of the earlier Trainer is taken to be the same.
    """
    trace, role = graphlet.graphlets.trace, graphlet.graphlets.role
    own = graphlet.trainer_position
    inputs = np.isin(trace.events.type, vocabulary.INPUT_EVENTS)

    def taken(execution: int) -> frozenset[int]:
        mine = inputs & (trace.events.execution == execution)
        return frozenset(at for at in trace.events.artifact[mine].tolist() if not own_artifact[at])

    own_artifact = np.array(
        [name.startswith(vocabulary.OWN_PREFIX) for name in trace.artifacts.type_names], bool
    )[trace.artifacts.type]
    wanted = taken(own)
    if not wanted:
        return False
    shared = inputs & np.isin(trace.events.artifact, list(wanted))
    sharing = np.unique(trace.events.execution[shared])
    places = trace.executions.properties.texts(PropertyName.MODULE_PATH, len(trace.executions))
    return any(
        role[at] == Role.TRAINER
        and at != own
        and trace.executions.state[at] in (ExecutionState.COMPLETE, ExecutionState.CACHED)
        and trace.node_of_execution[at] == trace.node_of_execution[own]
        and (not code or not places[at] or places[at] == code)
        and taken(int(at)) == wanted
        for at in sharing.tolist()
    )
