"""What a backtest found, as values: decisions, figures by pipeline and node, notes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from tfx_graphlets.backtest.bootstrap import PairedDifference
from tfx_graphlets.backtest.figures import Figures, WeightedWaste, or_none
from tfx_graphlets.backtest.text import backtest_text
from tfx_graphlets.policy.decide import GateDecision, GatePolicy
from tfx_graphlets.vocabulary import Outcome


@dataclasses.dataclass(frozen=True)
class ReplayedDecision:
    """One decision of the replay.

    Attributes:
      store, pipeline, node, trainer: which graphlet.
      decision_ms: when it was decided, milliseconds since the epoch.
      outcome: what became of it.
      needed: whether it was pushed, or its Model led to a push.
      decision: the decision.
    """

    store: str
    pipeline: str
    node: str
    trainer: int
    decision_ms: int
    outcome: Outcome
    needed: bool
    decision: GateDecision

    def to_dict(self) -> dict[str, object]:
        """Plain values; ``pushed`` is None where the graphlet has no label."""
        labelled = self.outcome in (Outcome.PUSHED, Outcome.UNPUSHED)
        return {
            "store": self.store,
            "pipeline": self.pipeline or None,
            "node": self.node or None,
            "trainer": self.trainer,
            "decision_ms": self.decision_ms,
            "probability": self.decision.probability,
            "threshold": self.decision.threshold,
            "skip": not self.decision.proceed,
            "explored": self.decision.explored,
            "risk": self.decision.risk,
            "pushed": self.outcome is Outcome.PUSHED if labelled else None,
            "outcome": str(self.outcome),
            "needed": self.needed if labelled else None,
            "reason": self.decision.reason,
        }


@dataclasses.dataclass(frozen=True)
class NodeFigures:
    """What the gate of one Trainer node achieved.

    Attributes:
      store, pipeline, node: which node.
      graphlets, pushed, needed: numbers of its graphlets.
      needed_skipped: needed graphlets that were skipped. Where another node's push
        rests on this node's Model, it is missed with them.
      figures: of its own rows; pushes are its own.
    """

    store: str
    pipeline: str
    node: str
    graphlets: int
    pushed: int
    needed: int
    needed_skipped: int
    figures: Figures

    def to_dict(self) -> dict[str, object]:
        """Plain values."""
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)[:-1]}
        return {**own, **self.figures.to_dict()}


@dataclasses.dataclass(frozen=True)
class BacktestResult:
    """What the gate would have achieved, beside baselines and the oracle.

    Attributes:
      stage: where the gate stands.
      policy: what it was allowed to do.
      graphlets, pushed, unpushed: numbers of graphlets that were replayed; the
        rest failed or is incomplete.
      history: labelled graphlets that were known from the start.
      retrain_every: newly known outcomes after which it was trained anew.
      censored: whether skipped runs showed nothing to later ones.
      explored: runs that the gate would have skipped and explored.
      promise: what was promised and what was achieved
        (``waste_model.metrics.promise_kept``).
      against_best: the gate against the baseline that removes most waste at no
        lower a freshness than promised, by name and paired bootstrap; None
        where there is none.
      waste_ms: cost of all waste in the replayed stores.
      waste_removable: share of it that the oracle removes at this stage.
      gate: what the gate achieved.
      pipelines: the same for each pipeline, by ``store`` and name.
      nodes: the same for each Trainer node.
      baselines: what each baseline achieved.
      by_trainer_price: what the same skips remove where a Trainer's machine
        costs so many times more, on top of the weights that were given; empty
        where executions are not at hand.
      decisions: in the order of time.
      notes: what the replay cannot know, and what it could not do.
    """

    stage: str
    policy: GatePolicy
    graphlets: int
    pushed: int
    unpushed: int
    history: int
    retrain_every: int
    censored: bool
    explored: int
    promise: Mapping[str, float | int | bool | None]
    against_best: tuple[str, PairedDifference] | None
    waste_ms: float
    waste_removable: float
    gate: Figures
    pipelines: tuple[Figures, ...]
    nodes: tuple[NodeFigures, ...]
    baselines: tuple[Figures, ...]
    by_trainer_price: tuple[WeightedWaste, ...]
    decisions: tuple[ReplayedDecision, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON; the gate's figures stand at the top level."""
        gate = self.gate.to_dict()
        return {
            "stage": self.stage,
            "freshness_target": self.policy.freshness,
            "policy": dataclasses.asdict(self.policy),
            "graphlets": self.graphlets,
            "pushed": self.pushed,
            "unpushed": self.unpushed,
            "history_graphlets": self.history,
            "retrain_every": self.retrain_every,
            "censored": self.censored,
            "explored": self.explored,
            "promise": dict(self.promise),
            "against_best": None
            if self.against_best is None
            else {"baseline": self.against_best[0], **self.against_best[1].to_dict()},
            **{key: value for key, value in gate.items() if key not in ("name", "kind")},
            "waste_ms": or_none(self.waste_ms),
            "waste_removable": or_none(self.waste_removable),
            "pipelines": [figures.to_dict() for figures in self.pipelines],
            "nodes": [node.to_dict() for node in self.nodes],
            "baselines": [figures.to_dict() for figures in self.baselines],
            "by_trainer_price": [weighted.to_dict() for weighted in self.by_trainer_price],
            "decisions": [decision.to_dict() for decision in self.decisions],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return backtest_text(self)
