"""Decisions that earlier gates left in the store.

A skipped run has no Trainer: its GateDecision artifact is its only trace.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Sequence

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.gate import keys
from tfx_graphlets.graphlets import roles
from tfx_graphlets.policy.decision import NodeDecision, PastDecision
from tfx_graphlets.policy.freshness import FreshnessLedger
from tfx_graphlets.trace.trace import IntArray, Trace
from tfx_graphlets.vocabulary import Role, Stage

_FLAGS = (keys.PROCEED, keys.WOULD_SKIP, keys.SHADOW, keys.EXPLORED, keys.FAILED_OPEN)
_TEXTS = (keys.STAGE, keys.GATE, keys.NODES, keys.REASON, keys.FAULT)
_SHARES = (keys.EXPLORATION, keys.RISK, keys.PROBABILITY, keys.THRESHOLD, keys.FRESHNESS)


def past_decisions(trace: Trace) -> tuple[PastDecision, ...]:
    """Every decision in the trace, oldest first.

    An artifact without the custom property ``proceed`` is that of a gate that
    did not get to the end; it counts as no decision.
    """
    artifacts = trace.artifacts
    found = np.flatnonzero(trace.artifacts_of_types([keys.GATE_DECISION_TYPE]))
    if not len(found):
        return ()
    number = {key: artifacts.properties.numbers(key, len(artifacts)) for key in (*_FLAGS, *_SHARES)}
    text = {key: artifacts.properties.texts(key, len(artifacts)) for key in _TEXTS}
    # Own nodes have no edges, so their events are looked at; a Resolver produced nothing.
    puts_out = roles.among(trace.events.type, vocabulary.OUTPUT_EVENTS)
    puts_out &= (roles.roles_of_executions(trace) != Role.RESOLVER)[trace.events.execution]
    producer = dict(
        zip(
            trace.events.artifact[puts_out].tolist(),
            trace.events.execution[puts_out].tolist(),
        )
    )
    decisions = []
    for at in found[~np.isnan(number[keys.PROCEED][found])].tolist():
        execution = producer.get(at, -1)
        # Where a property is absent, its value is NaN: neither 1 nor 0.
        values = {key: float(number[key][at]) for key in number}
        share = {key: values[key] for key in _SHARES if not np.isnan(values[key])}
        proceed = bool(values[keys.PROCEED])
        decisions.append(
            PastDecision(
                time_ms=int(artifacts.create_ms[at]),
                stage=text[keys.STAGE][at] or "",
                gate=text[keys.GATE][at] or "",
                run=_context(trace, trace.run_of_execution, execution),
                proceed=proceed,
                would_skip=values[keys.WOULD_SKIP] == 1 or (not proceed),
                shadow=values[keys.SHADOW] == 1,
                pipeline=_context(trace, trace.pipeline_of_execution, execution),
                explored=values[keys.EXPLORED] == 1,
                exploration=share.get(keys.EXPLORATION, 0.0),
                risk=share.get(keys.RISK, 0.0),
                probability=share.get(keys.PROBABILITY),
                threshold=share.get(keys.THRESHOLD),
                freshness=share.get(keys.FRESHNESS),
                failed_open=values[keys.FAILED_OPEN] == 1,
                reason=text[keys.REASON][at] or "",
                fault=text[keys.FAULT][at] or "",
                nodes=nodes_of_text(text[keys.NODES][at]),
            )
        )
    return tuple(sorted(decisions, key=lambda decision: decision.time_ms))


def nodes_to_text(nodes: Sequence[NodeDecision]) -> str:
    """What was found about Trainer nodes as a custom property: JSON, six digits, no reasons."""
    documents = []
    for one in nodes:
        document = dataclasses.asdict(one)
        del document["reason"]
        documents.append(
            {
                name: round(value, 6) if isinstance(value, float) else value
                for name, value in document.items()
            }
        )
    return json.dumps(documents)


def nodes_of_text(text: str | None) -> tuple[NodeDecision, ...]:
    """What ``nodes_to_text`` wrote; none where it cannot be read."""
    known = {field.name for field in dataclasses.fields(NodeDecision)}
    try:
        found = json.loads(text or "[]")
        return tuple(
            NodeDecision(**{name: one[name] for name in one.keys() & known}) for one in found
        )
    except (ValueError, TypeError, AttributeError):
        return ()


def consecutive_skips(
    decisions: Sequence[PastDecision],
    *,
    stage: Stage,
    gate: str = "",
    shadow: bool = False,
    trained_ms: Iterable[int] = (),
) -> int:
    """How many runs were skipped at this gate since the last that ran.

    Args:
      decisions: of this pipeline, any order.
      stage: the gate's stage; decisions of other stages are not looked at.
      gate: the gate's node id; "" if it is not known. Decisions of another
        known gate are not looked at.
      shadow: the gate is in shadow mode: what shadow gates would have skipped
        counts as skipped.
      trained_ms: create times of this pipeline's Trainers. One after a skip
        ended the row of skips, whatever let it run. Not looked at in shadow
        mode, where every run trains.
    """
    mine = sorted(
        _of_gate(decisions, stage, gate),
        key=lambda decision: decision.time_ms,
    )
    last_trained = 0 if shadow else max(trained_ms, default=0)
    skips = 0
    for decision in reversed(mine):
        ran = decision.proceed and not (shadow and decision.shadow and decision.would_skip)
        if ran or decision.time_ms < last_trained:
            break
        skips += 1
    return skips


def decisions_of_runs(
    decisions: Sequence[PastDecision], runs: Iterable[str], *, stage: Stage, gate: str = ""
) -> list[PastDecision]:
    """The decisions of one gate about some runs, in the order of the runs.

    A run that no decision of this gate preceded is left out; of one that was
    decided twice the later decision counts.

    Args:
      decisions: of this pipeline, any order.
      runs: names of runs; "" where one is not known.
      stage: the gate's stage; decisions of other stages are not looked at.
      gate: the gate's node id; "" if it is not known. Decisions of another
        known gate are not looked at.
    """
    of_run = {
        decision.run: decision
        for decision in sorted(_of_gate(decisions, stage, gate), key=lambda one: one.time_ms)
        if decision.run
    }
    return [of_run[run] for run in runs if run in of_run]


def account_of(pushes: Iterable[PastDecision], freshness: float) -> FreshnessLedger:
    """The account of the risk that a gate has taken with the pushes so far.

    Args:
      pushes: its decisions about the runs that were pushed.
      freshness: share of pushes to keep, 0..1.
    """
    ledger = FreshnessLedger(freshness)
    for decision in pushes:
        ledger = ledger.after_push(decision.risk, censored=not decision.shadow)
    return ledger


def skipped_runs(decisions: Iterable[PastDecision]) -> frozenset[tuple[str, str]]:
    """Pipeline and name of each run that a gate, whichever, has cut short.

    What such a run came to says nothing of what it would have come to.
    """
    return frozenset((one.pipeline, one.run) for one in decisions if not one.proceed and one.run)


def _of_gate(decisions: Iterable[PastDecision], stage: Stage, gate: str) -> list[PastDecision]:
    return [
        decision
        for decision in decisions
        if decision.stage in ("", str(stage)) and _same(decision.gate, gate)
    ]


def _context(trace: Trace, of_execution: IntArray, execution: int) -> str:
    """Name of an execution's context; "" without one, or without an execution (-1)."""
    return "" if execution < 0 else trace.context_name(int(of_execution[execution])) or ""


def _same(left: str, right: str) -> bool:
    return not left or not right or left == right
