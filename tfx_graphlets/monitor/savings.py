"""Savings: what the skipped runs would have cost, and what the others did."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfx_graphlets.graphlets import outcome, roles
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.monitor.observed import Observation
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.vocabulary import Stage


@dataclasses.dataclass(frozen=True)
class Savings:
    """Compute that was spent and compute that was not, (weighted) milliseconds.

    Attributes:
      spent_ms: cost of all executions of the pipelines, but for this project's own.
      wasted_ms: the part of it that was wasted (docs/graphlets.md).
      saved_ms: estimate of what the skipped runs would have cost after the
        gate: what those cost on average that ran before, each.
      saved_waste_ms: the part of it that would have been wasted, by the
        probabilities that the gate decided by.
      overhead_ms: cost of this project's own nodes in the pipelines: gates,
        rehearsals, of all that stand there.
    """

    spent_ms: float = 0.0
    wasted_ms: float = 0.0
    saved_ms: float = 0.0
    saved_waste_ms: float = 0.0
    overhead_ms: float = 0.0

    @property
    def saved_share(self) -> float | None:
        """Saved, of spent and saved, 0..1; None where both are 0."""
        whole = self.spent_ms + self.saved_ms
        return self.saved_ms / whole if whole else None

    @property
    def waste_removed(self) -> float | None:
        """Saved waste, of wasted and saved waste, 0..1; None where both are 0."""
        whole = self.wasted_ms + self.saved_waste_ms
        return self.saved_waste_ms / whole if whole else None


class CostBook:
    """Costs of a store's graphlets after each stage, made once per stage."""

    def __init__(self, graphlets: Graphlets, observations: Sequence[Observation]) -> None:
        """Args: the graphlets, and every observation of their store."""
        self._graphlets = graphlets
        trace = graphlets.trace
        names = [trace.context_name(int(at)) or "" for at in graphlets.pipeline]
        self._pipeline = np.array(names, object)
        nodes = [trace.node_id(int(at)) or "" for at in graphlets.trainer]
        self._node = np.array(nodes, object)
        # A graphlet that a gate behind its Trainer cut short does not show what one costs.
        runs = [trace.context_name(int(at)) for at in trace.run_of_execution[graphlets.trainer]]
        cut_short = {(o.decision.pipeline, o.decision.run) for o in observations if o.skipped}
        self._whole = np.array([pair not in cut_short for pair in zip(names, runs)], bool)
        self._began_ms = trace.executions.create_ms[graphlets.trainer]
        self._wasted = outcome.wasted_executions(graphlets)
        self._after: dict[Stage, FloatArray] = {}

    def savings(
        self, observations: Sequence[Observation], pipelines: Sequence[str], since_ms: int = 0
    ) -> Savings:
        """What the skips among these observations saved.

        Before the first graphlet of its pipeline a skip is put at the mean of
        all; where there is none, or the stage is not known, at 0.

        Args:
          observations: of gates of these pipelines.
          pipelines: names; "" for executions without one.
          since_ms: executions from this moment on count as spent.
        """
        saved = saved_waste = 0.0
        for one in observations:
            # What TFX's cache holds would have cost nothing.
            if one.skipped and not one.decision.shadow and not one.decision.cache_hit:
                cost = self._cost_of_skip(one)
                saved += cost
                saved_waste += cost * (1 - (one.decision.probability or 0.0))
        trace = self._graphlets.trace
        names = np.array([name in set(pipelines) for name in (*trace.contexts.name, "")], bool)
        names[-1] = "" in pipelines  # position -1: executions without a pipeline
        mine = names[trace.pipeline_of_execution] & (trace.executions.create_ms >= since_ms)
        own = roles.own_executions(trace)
        return Savings(
            spent_ms=outcome.cost_of(self._graphlets, mine & ~own),
            wasted_ms=outcome.cost_of(self._graphlets, mine & self._wasted),
            saved_ms=saved,
            saved_waste_ms=saved_waste,
            overhead_ms=outcome.cost_of(self._graphlets, mine & own),
        )

    def _cost_of_skip(self, one: Observation) -> float:
        try:
            after = self._cost_after(Stage(one.decision.stage))
        except ValueError:  # an artifact that does not say where its gate stands
            return 0.0
        mine = (self._pipeline == one.decision.pipeline) & self._whole
        if one.decision.node:
            mine &= self._node == one.decision.node
        before = mine & (self._began_ms < one.decision.time_ms)
        chosen = after[before] if before.any() else after[mine]
        return float(chosen.mean()) if len(chosen) else 0.0

    def _cost_after(self, stage: Stage) -> FloatArray:
        """Cost of each graphlet after the stage, float64 [n], milliseconds.

        An execution that graphlets share is put on the first of them.
        """
        if stage not in self._after:
            graphlets = self._graphlets
            after = outcome.after_the_gate(graphlets, stage)
            rows, index = graphlets.executions.rows()[after], graphlets.executions.index[after]
            order = np.lexsort((rows, self._began_ms[rows]))
            _, first = np.unique(index[order], return_index=True)
            owner = rows[order][first]
            cost = graphlets.cost[index[order][first]]
            self._after[stage] = np.bincount(owner, cost, len(graphlets)).astype(np.float64)
        return self._after[stage]
