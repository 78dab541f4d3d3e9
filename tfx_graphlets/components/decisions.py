"""Decisions that earlier gates left in the store.

A skipped run has no Trainer: its GateDecision artifact is its only trace.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from tfx_graphlets.components import keys
from tfx_graphlets.roles import is_output_edge, roles_of_executions
from tfx_graphlets.trace import Trace
from tfx_graphlets.vocabulary import Stage


@dataclasses.dataclass(frozen=True)
class PastDecision:
    """One GateDecision artifact of an earlier run.

    Attributes:
      time_ms: create time of the artifact, milliseconds since the epoch.
      stage: where the gate stood; "" where the artifact does not say.
      gate: node id of the gate; "" where neither artifact nor node context say.
      run: name of the run; "" where there is none.
      proceed: whether the run was let through.
      would_skip: what the gate would have done were it not in shadow mode.
      shadow: whether it was.
    """

    time_ms: int
    stage: str
    gate: str
    run: str
    proceed: bool
    would_skip: bool
    shadow: bool


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
        key: artifacts.properties.numbers(key, len(artifacts))
        for key in (keys.PROCEED, keys.WOULD_SKIP, keys.SHADOW)
    }
    text = {key: artifacts.properties.texts(key, len(artifacts)) for key in (keys.STAGE, keys.GATE)}
    puts_out = is_output_edge(trace, roles_of_executions(trace))
    producer = dict(
        zip(
            trace.events.artifact[puts_out].tolist(),
            trace.events.execution[puts_out].tolist(),
        )
    )
    decisions = []
    for at in found[~np.isnan(number[keys.PROCEED][found])].tolist():
        execution = producer.get(at)
        run = None if execution is None else int(trace.run_of_execution[execution])
        proceed = bool(number[keys.PROCEED][at])
        would_skip = number[keys.WOULD_SKIP][at]
        decisions.append(
            PastDecision(
                time_ms=int(artifacts.create_ms[at]),
                stage=text[keys.STAGE][at] or "",
                gate=text[keys.GATE][at] or "",
                run=(None if run is None else trace.context_name(run)) or "",
                proceed=proceed,
                would_skip=not proceed if np.isnan(would_skip) else bool(would_skip),
                shadow=bool(number[keys.SHADOW][at] == 1),
            )
        )
    return tuple(sorted(decisions, key=lambda decision: decision.time_ms))


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
        (
            decision
            for decision in decisions
            if decision.stage in ("", str(stage)) and _same(decision.gate, gate)
        ),
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


def _same(left: str, right: str) -> bool:
    return not left or not right or left == right
