"""When a gate at a stage would have had to decide."""

from __future__ import annotations

import numpy as np

from tfx_graphlets.graphlets.graphlet import Graphlets, Part
from tfx_graphlets.graphlets.timeline import Edges, Timeline
from tfx_graphlets.trace.trace import IntArray
from tfx_graphlets.vocabulary import Role, Stage

_SOURCES = (Role.EXAMPLE_GEN, Role.IMPORTER)
_VALIDATORS = (Role.MODEL_VALIDATOR, Role.INFRA_VALIDATOR)


def decision_moment(
    graphlets: Graphlets, stage: Stage, timeline: Timeline | None = None
) -> IntArray:
    """Moment of decision of a gate at ``stage``, for every graphlet.

    - ``input``: when the first execution of the run after ExampleGen began, not
      before the run's ExampleGen had ended, and when the Trainer was created at
      the latest.
    - ``pre``: when the Trainer was created.
    - ``trainer``: when the Trainer ended.
    - ``validation``: when the Trainer and the validators that were created
      before the first Pusher had ended.

    Args:
      graphlets: the graphlets.
      stage: where the gate stands.
      timeline: the graphlets' timeline, if it is at hand.

    Returns: int64 [n], milliseconds since the epoch.
    """
    executions, trainer = graphlets.trace.executions, graphlets.trainer
    ended_ms = np.maximum(executions.update_ms, executions.create_ms)
    if stage is Stage.PRE:
        return executions.create_ms[trainer]
    if stage is Stage.TRAINER:
        return ended_ms[trainer]
    rows, index = graphlets.executions.rows(), graphlets.executions.index
    role, part = graphlets.role[index], graphlets.part
    create, update = executions.create_ms[index], ended_ms[index]
    if stage is Stage.INPUT:
        timeline = timeline or Timeline.of(graphlets, Edges.of(graphlets))
        before = np.isin(part, (Part.UPSTREAM, Part.ANALYSIS)) & timeline.in_run
        source = before & np.isin(role, _SOURCES)
        later = before & ~np.isin(role, (*_SOURCES, Role.RESOLVER))
        moment = executions.create_ms[trainer].copy()
        np.minimum.at(moment, rows[later], create[later])
        np.maximum.at(moment, rows[source], update[source])
        return np.minimum(moment, executions.create_ms[trainer])
    first_push = np.full(len(graphlets), np.iinfo(np.int64).max)
    pusher = (part == Part.DOWNSTREAM) & (role == Role.PUSHER)
    np.minimum.at(first_push, rows[pusher], create[pusher])
    validator = (part == Part.DOWNSTREAM) & np.isin(role, _VALIDATORS)
    validator &= create < first_push[rows]
    moment = ended_ms[trainer].copy()
    np.maximum.at(moment, rows[validator], update[validator])
    return moment
