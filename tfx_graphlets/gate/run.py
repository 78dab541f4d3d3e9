"""One decision of a gate about a run, from a pipeline's history and a waste model.

It is made of those about the Trainer nodes that the gate stands before.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tfx_graphlets.errors import Fault, GraphletsError, in_one_line, shown
from tfx_graphlets.gate import keys
from tfx_graphlets.gate.graphlets_file import PipelineHistory
from tfx_graphlets.gate.record import (
    decisions_of_gate,
    node_account,
    nodes_to_text,
    seen_scores,
)
from tfx_graphlets.gate.request import GateSettings
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.policy.account import NodeAccount, decide_by, settling, together
from tfx_graphlets.policy.decide import GateDecision, GateState, run_draw
from tfx_graphlets.policy.decision import NodeDecision, PastDecision
from tfx_graphlets.policy.freshness import ThresholdChoice

if TYPE_CHECKING:
    from tfx_graphlets.waste_model.model import WasteModel

_LONGEST_NAME = 200  # characters of a feature's or a run's name on an artifact


def run_gate(
    history: PipelineHistory, load_model: Callable[[], WasteModel], settings: GateSettings
) -> GateDecision:
    """Decides about the current graphlet of each Trainer node behind the gate.

    The run proceeds if it would for any of them (docs/graphlets.md, The unit of
    a decision); history, threshold and account are those of the node.

    Args:
      history: the pipeline, read at the start of this run.
      load_model: gives the waste model.
      settings: the gate's.

    Returns:
      The decision.

    Raises:
      GraphletsError: the history or the model cannot be used. ``failed_open``
        makes the decision of a gate that broke.
    """
    if history.problem or history.current is None or history.past is None:
        problem = GraphletsError(history.problem or "there is no current graphlet")
        raise problem.with_fault(Fault(history.fault or Fault.NO_HISTORY))
    if history.stage is not settings.stage:
        raise GraphletsError(
            f"the Graphlets artifact is of stage {history.stage} and the gate stands at stage "
            f"{settings.stage}: give both components the same stage"
        )
    model = load_model()
    if model.stage is not settings.stage:
        raise GraphletsError(
            f"the waste model is of stage {model.stage} and the gate stands at stage "
            f"{settings.stage}: train one with stage {settings.stage}"
        )
    check_declared(model.declared, history.past.declared)
    own = history.of_nodes(settings.trainers)
    decision = of_all([(one, _decide(one, model, settings)) for one in own], settings.caching)
    if history.hint:
        return dataclasses.replace(decision, reason=f"{decision.reason} But {history.hint}.")
    return decision


def check_declared(model: Declared, given: Declared) -> None:
    """Refuses a model of graphlets that were cut otherwise than those that it is asked about.

    Args:
      model: the roles and pushers that the waste model was trained with.
      given: those of the gate.

    Raises:
      GraphletsError: they are not the same.
    """
    if model != given:
        raise GraphletsError(
            f"the waste model was trained with {model}; the graphlets that it is asked about were "
            f"cut with {given}: give both the same (role_of_type and pushers of GraphletGen, "
            "--role and --pusher on the command line)"
        )


def _decide(history: PipelineHistory, model: WasteModel, settings: GateSettings) -> GateDecision:
    """Decides about the current graphlet of one node."""
    if history.current is None or history.past is None:
        raise GraphletsError("there is no current graphlet")
    own = decisions_of_gate(history.decisions, stage=settings.stage, gate=settings.gate)
    freshness = model.threshold.freshness if settings.freshness is None else settings.freshness
    account = node_account(history, own, freshness, delay=settings.delay, shadow=settings.shadow)
    choice = (
        None if settings.threshold is not None else chosen_threshold(history, own, model, account)
    )
    judgement = model.judge(
        history.current, 0, history.past, runs=history.past.run, moment_ms=history.read_ms
    )
    return decide_by(
        settings.policy(choice),
        choice,
        judgement.probability,
        gate_state(history, settings, account),
        stage=str(settings.stage),
        model_fingerprint=model.fingerprint,
        contributions=judgement.contributions,
        similar=judgement.similar,
    )


def chosen_threshold(
    history: PipelineHistory, own: Sequence[PastDecision], model: WasteModel, account: NodeAccount
) -> ThresholdChoice:
    """The threshold for the next push, after those that this gate has put at risk so far.

    It rests on the model's scores and on those that this gate has given since.

    In a history that an earlier release wrote there are no runs, and so no account.

    Args:
      history: of one node.
      own: the gate's decisions about it.
      model: the waste model.
      account: the node's.
    """
    if history.past is None or (len(history.past) and not any(history.past.run)):
        return model.threshold_for(account.ledger.freshness)
    seen = seen_scores(history, own)
    promised = account.ledger.freshness
    return model.threshold_for(promised, ledger=account.ledger, seen=seen)


def gate_state(history: PipelineHistory, settings: GateSettings, account: NodeAccount) -> GateState:
    """What the history says of the pipeline at the moment of the decision.

    The draw is that of the run's name; where the run has none (it has not begun, or the
    runner does not tell), of the moment of reading.
    """
    draw = run_draw(
        settings.exploration_seed,
        history.pipeline,
        history.run,
        str(settings.stage),
        moment_ms=history.read_ms,
    )
    return account.state(history.read_ms, draw=draw, pushes=history.pipeline_pushes)


def skipped_before(stage: str, outer: str) -> GateDecision:
    """The decision where a gate at an earlier stage has skipped the run."""
    gate = outer or "before this one"
    return _unjudged(stage, False, f"Skipped because the gate {gate} has skipped this run.")


def failed_open(stage: str, error: BaseException) -> GateDecision:
    """The decision of a gate that broke: proceed, and say what happened."""
    why = f"Runs because the gate could not decide: {in_one_line(error)}."
    return _unjudged(stage, True, why)


def failed_closed(stage: str, error: BaseException) -> GateDecision:
    """The decision of a gate that broke where its author prefers a skip (``on_error="skip"``)."""
    why = f"Skipped because the gate could not decide: {in_one_line(error)}."
    return _unjudged(stage, False, why)


def _unjudged(stage: str, proceed: bool, reason: str) -> GateDecision:
    """A decision that no probability and no threshold stand behind."""
    return GateDecision(
        proceed=proceed,
        would_skip=not proceed,
        probability=None,
        threshold=None,
        reason=reason,
        stage=stage,
    )


def decision_properties(
    decision: GateDecision,
    *,
    gate: str,
    shadow: bool,
    failed_open: bool,
    seconds: float,
    fault: str = "",
) -> dict[str, int | float | str]:
    """What is written on the GateDecision artifact, by key; see ``keys``.

    Where there is no probability, threshold, promised freshness, gate id or
    model, there is no key.
    """
    top = [
        [shown(c.feature, _LONGEST_NAME), c.value, round(c.effect, 4)]
        for c in decision.contributions
    ]
    similar = [
        [shown(one.name, _LONGEST_NAME), one.pushed, round(one.similarity, 4)]
        for one in decision.similar
    ]
    properties: dict[str, int | float | str | None] = {
        keys.PROCEED: int(decision.proceed),
        keys.WOULD_SKIP: int(decision.would_skip),
        keys.SHADOW: int(shadow),
        keys.FAILED_OPEN: int(failed_open),
        keys.PROBABILITY: _rounded(decision.probability),
        keys.THRESHOLD: _rounded(decision.threshold),
        keys.EXPLORED: int(decision.explored),
        keys.EXPLORATION: _rounded(decision.exploration),
        keys.RISK: _rounded(decision.risk),
        keys.FRESHNESS: _rounded(decision.freshness),
        keys.FAULT: fault or None,
        keys.REASON: shown(decision.reason),
        keys.STAGE: decision.stage,
        keys.GATE: gate or None,
        keys.NODES: nodes_to_text(decision.nodes) if decision.nodes else None,
        keys.MODEL_FINGERPRINT: decision.model_fingerprint or None,
        keys.TOP_FEATURES: json.dumps(top),
        keys.SIMILAR_GRAPHLETS: json.dumps(similar),
        keys.SECONDS: round(float(seconds), 3),
    }
    return {key: value for key, value in properties.items() if value is not None}


def _rounded(share: float | None) -> float | None:
    """To what MLMD keeps of a double in a database: six digits."""
    return None if share is None else round(float(share), 6)


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
    alone = [decision for _, decision in found]
    shared = together(names, alone)
    nodes = tuple(
        NodeDecision(
            node=names[at],
            proceed=one.proceed,
            would_skip=one.would_skip,
            probability=one.probability,
            threshold=one.threshold,
            risk=shared[at].risk,
            freshness=one.freshness,
            explored=one.explored,
            cache_hit=caching and history.repeats[:1] == (True,),
            reason=one.reason,
        )
        for at, (history, one) in enumerate(found)
    )
    whole = shared[settling(alone)]
    return dataclasses.replace(
        whole,
        risk=max(one.risk for one in nodes),
        reason=whole.reason + _of_the_cache(nodes),
        nodes=nodes,
    )


def _of_the_cache(nodes: Sequence[NodeDecision]) -> str:
    hits = [one.node or "the Trainer" for one in nodes if one.cache_hit]
    if not hits:
        return ""
    return f" TFX's cache holds what {' and '.join(hits)} would train: a skip of it saves nothing."
