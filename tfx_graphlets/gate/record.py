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
from tfx_graphlets.gate.graphlets_file import PipelineHistory
from tfx_graphlets.graphlets import roles
from tfx_graphlets.policy.account import NodeAccount, SeenScore
from tfx_graphlets.policy.decision import NodeDecision, PastDecision
from tfx_graphlets.trace.trace import IntArray, Trace
from tfx_graphlets.vocabulary import Role, Stage

_FLAGS = (keys.PROCEED, keys.WOULD_SKIP, keys.SHADOW, keys.EXPLORED, keys.FAILED_OPEN)
_TEXTS = (keys.STAGE, keys.GATE, keys.NODES, keys.REASON, keys.FAULT)
_SHARES = (keys.EXPLORATION, keys.RISK, keys.PROBABILITY, keys.THRESHOLD, keys.FRESHNESS)
_FIGURES = (*_SHARES, keys.SECONDS)

# Properties of artifacts that ``past_decisions`` reads.
DECISION_PROPERTIES = frozenset((*_FLAGS, *_TEXTS, *_SHARES))


def past_decisions(trace: Trace) -> tuple[PastDecision, ...]:
    """Every decision in the trace, oldest first.

    An artifact without the custom property ``proceed`` is that of a gate that
    did not get to the end; it counts as no decision.
    """
    artifacts = trace.artifacts
    found = np.flatnonzero(trace.artifacts_of_types([keys.GATE_DECISION_TYPE]))
    if not len(found):
        return ()
    number = {
        key: artifacts.properties.numbers(key, len(artifacts)) for key in (*_FLAGS, *_FIGURES)
    }
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
        share = {key: values[key] for key in _FIGURES if not np.isnan(values[key])}
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
                seconds=share.get(keys.SECONDS),
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


def decisions_of_gate(
    decisions: Iterable[PastDecision], *, stage: Stage, gate: str = ""
) -> list[PastDecision]:
    """The decisions of one gate, oldest first.

    Args:
      decisions: of this pipeline, any order.
      stage: the gate's stage; decisions of other stages are left out.
      gate: the gate's node id; "" if it is not known. Decisions of another
        known gate are left out.
    """
    own = [
        decision
        for decision in decisions
        if decision.stage in ("", str(stage)) and _same(decision.gate, gate)
    ]
    return sorted(own, key=lambda decision: decision.time_ms)


def node_account(
    history: PipelineHistory,
    own: Sequence[PastDecision],
    freshness: float,
    *,
    delay: float | None = None,
    shadow: bool = False,
) -> NodeAccount:
    """State and account of a node, from its past and a gate's decisions about it.

    Only what was known when the store was read counts. An attempt is a
    graphlet, whatever became of it, as of the moment that a gate at this stage
    let it go on. A graphlet that no decision of the gate preceded stands for no risk.

    Args:
      history: of one node.
      own: the gate's decisions about it, oldest first (``decisions_of_gate``).
      freshness: share of pushes to keep, 0..1.
      delay: runs that a push may wait on average, in place of that; see NodeAccount.
      shadow: the gate is in shadow mode.
    """
    account, past = NodeAccount(freshness, delay, shadow=shadow), history.past
    if past is None:
        return account
    of_run = {decision.run: decision for decision in own if decision.run}
    # At one moment a training comes before a decision: it was let go on by an earlier one.
    happened: list[tuple[int, int, PastDecision | None]] = [(one.time_ms, 1, one) for one in own]
    for run, moment_ms in zip(past.run, past.decision_ms.tolist()):
        before = of_run.get(run)
        skipped = (  # in shadow mode, or by a gate that stands behind the Trainer
            before is not None
            and account.counts_as_skipped(before, shadow=before.shadow)
            and (before.shadow or moment_ms <= before.time_ms)
        )
        if moment_ms < history.read_ms and not skipped:
            happened.append((moment_ms, 0, None))
    number: dict[str, int] = {}  # of each run among those that were decided about
    for moment_ms, _, decision in sorted(happened, key=lambda one: one[:2]):
        if decision is None:
            account.trained(moment_ms)
        else:
            number[decision.run] = account.decided(decision, shadow=decision.shadow)
    needed = past.needed_before(history.read_ms)
    for row in np.flatnonzero(past.labelled & (past.known_ms < history.read_ms)).tolist():
        account.outcome_known(pushed_ms=int(past.known_ms[row]) if past.pushed[row] else None)
        decision = of_run.get(past.run[row])
        if needed[row] and decision is not None:
            account.needed(decision, censored=not decision.shadow, run=number[decision.run])
    return account


def seen_scores(history: PipelineHistory, own: Sequence[PastDecision]) -> tuple[SeenScore, ...]:
    """What a gate's own decisions about a node add to the scores of the waste model.

    Args:
      history: of one node.
      own: the gate's decisions about it (``decisions_of_gate``).

    Returns: a score for each decision whose run was skipped, or whose outcome was known
      when the store was read.
    """
    past = history.past
    if past is None:
        return ()
    known = past.labelled & (past.known_ms < history.read_ms)
    needed = past.needed_before(history.read_ms)
    outcome = {past.run[row]: bool(needed[row]) for row in np.flatnonzero(known).tolist()}
    return tuple(
        SeenScore(
            score=decision.probability,
            moment_ms=decision.time_ms,
            needed=outcome[decision.run] if decision.proceed else None,
            explored=decision.explored,
        )
        for decision in own
        if decision.probability is not None and (not decision.proceed or decision.run in outcome)
    )


def skipped_runs(decisions: Iterable[PastDecision]) -> frozenset[tuple[str, str]]:
    """Pipeline and name of each run that a gate, whichever, has cut short.

    What such a run came to says nothing of what it would have come to.
    """
    return frozenset((one.pipeline, one.run) for one in decisions if not one.proceed and one.run)


def _context(trace: Trace, of_execution: IntArray, execution: int) -> str:
    """Name of an execution's context; "" without one, or without an execution (-1)."""
    return "" if execution < 0 else trace.context_name(int(of_execution[execution])) or ""


def _same(left: str, right: str) -> bool:
    return not left or not right or left == right
