"""A trace without what the gate itself left in it.

Under ``tfx.dsl.Cond`` TFX records the GateDecision as an input of every gated
node. So the upstream walk of a gated Trainer enters the gate, GraphletGen and,
through the waste model, earlier runs; the same pipeline without a gate, or
before it had one, shows none of that. Features are described on a trace without
these events, so that they mean the same before and after a gate was added, and
to the graphlet that is still pending.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.trace.trace import Trace

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
