"""One decision about a run from those about the Trainer nodes that a gate stands before."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from tfx_graphlets.gate.graphlets_file import PipelineHistory
from tfx_graphlets.policy.decide import GateDecision
from tfx_graphlets.policy.decision import NodeDecision


def of_all(found: Sequence[tuple[PipelineHistory, GateDecision]], caching: bool) -> GateDecision:
    """One decision about a run from those about its Trainer nodes.

    Args:
      found: the history and the decision of each node, at least one.
      caching: whether TFX's cache is in use in the pipeline.

    Returns:
      The decision of the node that settles it, with the findings about all: the
      first that lets the run go on, not only to explore; else the one whose
      probability is highest. A node that another one lets run is at no risk.
    """
    names = [one.nodes[0] if one.nodes else "" for one, _ in found]
    lets_run = [d.proceed and not d.explored for _, d in found]
    order = sorted(range(len(found)), key=lambda at: (lets_run[at], _score(found[at][1])))
    settles = found[order[-1]][1]
    nodes = tuple(
        NodeDecision(
            node=names[at],
            proceed=one.proceed,
            would_skip=one.would_skip,
            probability=one.probability,
            threshold=one.threshold,
            risk=0.0 if any(lets_run[:at] + lets_run[at + 1 :]) else one.risk,
            freshness=one.freshness,
            explored=one.explored,
            cache_hit=caching and history.repeats[:1] == (True,),
            reason=one.reason,
        )
        for at, (history, one) in enumerate(found)
    )
    proceed = any(one.proceed for one in nodes)
    return dataclasses.replace(
        settles,
        proceed=proceed,
        would_skip=all(one.would_skip for one in nodes),
        explored=proceed and not any(lets_run),
        risk=max(one.risk for one in nodes),
        reason=_reason_of_all(settles, nodes),
        nodes=nodes,
    )


def _score(decision: GateDecision) -> float:
    return -1.0 if decision.probability is None else decision.probability


def _reason_of_all(settles: GateDecision, nodes: Sequence[NodeDecision]) -> str:
    hits = [one.node or "the Trainer" for one in nodes if one.cache_hit]
    cached = (
        f" TFX's cache holds what {' and '.join(hits)} would train: a skip of it saves nothing."
        if hits
        else ""
    )
    if len(nodes) == 1:
        return settles.reason + cached
    running = [one.node for one in nodes if one.proceed]
    skipped = [one.node for one in nodes if not one.proceed]
    if running and skipped:
        about = f"Because of {' and '.join(running)}, and not of {' and '.join(skipped)}. "
    else:
        about = f"For {' and '.join(running or skipped)} alike. "
    return about + settles.reason + cached
