"""Executions that a crash left RUNNING: nobody will ever end them."""

from __future__ import annotations

import dataclasses
import datetime

import numpy as np

from tfx_graphlets.shown import shown
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import ExecutionState, base_name

MOST = 1_000  # that are told
_HOURS = 24.0
_MS_PER_HOUR = 3_600_000


@dataclasses.dataclass(frozen=True)
class LeftRunning:
    """One execution that is RUNNING in the store and can hardly be so.

    Attributes:
      execution: its id.
      type: name of its type, without the module.
      node, run, pipeline: of the execution; "" where not recorded.
      since_ms: its last update, milliseconds since the epoch.
    """

    execution: int
    type: str
    node: str
    run: str
    pipeline: str
    since_ms: int

    def __str__(self) -> str:
        place = ", ".join(shown(one, 100) for one in (self.pipeline, self.run, self.node) if one)
        since = datetime.datetime.fromtimestamp(self.since_ms / 1000, datetime.timezone.utc)
        return (
            f"LEFT RUNNING {self.type} {self.execution}{place and f' ({place})'} "
            f"since {since:%Y-%m-%d %H:%M} UTC: see what became of its process"
        )


def left_running(trace: Trace, *, now_ms: int, hours: float = _HOURS) -> tuple[LeftRunning, ...]:
    """Executions that are RUNNING though nothing has been heard of them for long.

    A runner updates an execution when it begins and when it ends. One that is
    RUNNING is told when its last update is more than ``hours`` ago, or when an
    execution of the same type and pipeline that began later has ended.

    Args:
      trace: with the gates' own executions.
      now_ms: the moment of asking, milliseconds since the epoch.
      hours: that a node may take.

    Returns:
      At most MOST, the oldest first.
    """
    executions = trace.executions
    running = executions.state == ExecutionState.RUNNING
    ended = np.isin(executions.state, (ExecutionState.COMPLETE, ExecutionState.FAILED))
    key = np.stack([executions.type, trace.pipeline_of_execution], axis=1)
    _, group = np.unique(key, axis=0, return_inverse=True)
    group = group.reshape(-1)
    last_ended = np.full(int(group.max(initial=-1)) + 1, -1, np.int64)
    np.maximum.at(last_ended, group[ended], executions.create_ms[ended])
    heard = np.maximum(executions.update_ms, executions.create_ms)
    old = heard < now_ms - hours * _MS_PER_HOUR
    found = np.flatnonzero(running & (old | (last_ended[group] > executions.create_ms)))
    found = found[np.argsort(heard[found], kind="stable")][:MOST]
    return tuple(
        LeftRunning(
            execution=int(executions.id[at]),
            type=base_name(executions.type_names[int(executions.type[at])]),
            node=trace.node_id(at) or "",
            run=_name(trace, int(trace.run_of_execution[at])),
            pipeline=_name(trace, int(trace.pipeline_of_execution[at])),
            since_ms=int(heard[at]),
        )
        for at in found.tolist()
    )


def _name(trace: Trace, context: int) -> str:
    return (trace.context_name(context) or "") if context >= 0 else ""
