"""Observations: decisions of gates, each with what became of its run."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.policy.decision import PastDecision
from tfx_graphlets.vocabulary import Outcome

# Where a run holds several graphlets, the first of these that occurs is its outcome.
_ORDER = (Outcome.PUSHED, Outcome.UNPUSHED, Outcome.FAILED)


@dataclasses.dataclass(frozen=True)
class Observation:
    """One decision and what became of its run.

    Attributes:
      decision: the decision, with the figures of one Trainer node where it names
        those that stand behind the gate.
      outcome: of that node's graphlet in the run, needed counting as pushed: pushed,
        unpushed or failed. None where it cannot be known: a gate cut the run
        short (this one or another), or the run has no graphlet that came to an
        end.
    """

    decision: PastDecision
    outcome: Outcome | None

    @property
    def pushed(self) -> bool:
        """Whether the run is known to have brought a model to serving."""
        return self.outcome is Outcome.PUSHED

    @property
    def labelled(self) -> bool:
        """Whether it is known to have trained a model that was pushed or was not."""
        return self.outcome in (Outcome.PUSHED, Outcome.UNPUSHED)

    @property
    def skipped(self) -> bool:
        """Whether this gate skipped the run by its own judgement."""
        return not self.decision.proceed and not self.decision.followed


def observe(decisions: Sequence[PastDecision], graphlets: Graphlets) -> tuple[Observation, ...]:
    """Joins decisions with outcomes by the names of pipeline and run.

    A gate before several Trainer nodes gives an observation of each. Of several
    decisions of one gate about one run (it was resumed) the last counts.
    A run that is just between its Trainer and its Pusher looks as if it were
    unpushed; ask when no run is under way, or again later.

    Args:
      decisions: of any gates, any order.
      graphlets: of the same store.

    Returns:
      Observations in the order of time.
    """
    cut_short = {(one.pipeline, one.run) for one in decisions if not one.proceed}
    outcome_of = _outcomes_by_run(graphlets)
    last: dict[tuple[object, ...], PastDecision] = {}
    for number, one in enumerate(sorted(decisions, key=lambda decision: decision.time_ms)):
        about = one.run or number  # without a name every decision is about a run of its own
        last[one.pipeline, about, one.stage, one.gate] = one
    observations = []
    for whole in sorted(last.values(), key=lambda decision: decision.time_ms):
        known = bool(whole.run) and (whole.pipeline, whole.run) not in cut_short
        for node in [one.node for one in whole.nodes] or [""]:
            one = whole.of_node(node) or whole
            outcome = outcome_of.get((one.pipeline, one.run, node)) if known else None
            observations.append(Observation(one, outcome))
    return tuple(observations)


def pushed_runs(observations: Iterable[Observation]) -> frozenset[tuple[str, str, str]]:
    """Pipeline, name and Trainer node of each run that is known to have been pushed.

    Where several gates decided about a run, it is still one push.
    """
    return frozenset(
        (one.decision.pipeline, one.decision.run, one.decision.node)
        for one in observations
        if one.pushed
    )


def runs_decided(observations: Iterable[Observation]) -> tuple[PastDecision, ...]:
    """The decisions, each once, however many Trainer nodes it is about."""
    found: dict[tuple[object, ...], PastDecision] = {}
    for one in observations:
        decision = one.decision
        key = (decision.pipeline, decision.run, decision.stage, decision.gate, decision.time_ms)
        found.setdefault(key, decision)
    return tuple(found.values())


def _outcomes_by_run(graphlets: Graphlets) -> dict[tuple[str, str, str], Outcome]:
    """By pipeline, run and node; by "" for the node also that of the run's best graphlet."""
    trace = graphlets.trace
    found: dict[tuple[str, str, str], Outcome] = {}
    outcomes = np.where(graphlets.needed, np.int8(Outcome.PUSHED), graphlets.outcome)
    for outcome in reversed(_ORDER):
        for row in np.flatnonzero(outcomes == outcome).tolist():
            position = int(graphlets.trainer[row])
            run = trace.context_name(int(trace.run_of_execution[position]))
            pipeline = trace.context_name(int(trace.pipeline_of_execution[position]))
            names = {trace.context_name(int(trace.node_of_execution[position]))}
            for node in {"", trace.node_id(position), *names} - {None}:
                found[pipeline or "", run or "", str(node)] = outcome
    return found
