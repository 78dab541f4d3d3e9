"""The result of a backtest, and its readable view: the gate, the baselines, the oracle."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from tfx_graphlets.backtest.bootstrap import PairedDifference
from tfx_graphlets.backtest.figures import Figures, WeightedWaste
from tfx_graphlets.policy.decide import GateDecision, GatePolicy
from tfx_graphlets.vocabulary import Outcome
from tfx_graphlets.waste_model.metrics import plain

_HEADER = (
    f"{'':18}  skipped  missed  freshness  waste removed  of removable  saved s  later: runs, hours"
)


def backtest_text(result: BacktestResult) -> str:
    """Some lines: figures, intervals, the promise, the best baseline, notes."""
    lines = [
        f"Stage {result.stage}, freshness {result.policy.freshness:g}: {result.graphlets} "
        f"graphlets, {result.pushed} pushed, {result.unpushed} unpushed"
        + (f"; {result.history} of other pipelines known" if result.history else ""),
        _HEADER,
        *(_row(figures) for figures in (result.gate, *result.baselines)),
    ]
    if len(result.pipelines) > 1:
        lines += ["by pipeline:", *(_row(figures) for figures in result.pipelines)]
    if len(result.nodes) > max(len(result.pipelines), 1):
        lines += ["by node:", *(_row(one.figures) for one in result.nodes)]
    lines += [*_intervals(result.gate), _promise(result.promise)]
    if result.explored:
        lines.append(f"{result.explored} runs were explored instead of skipped")
    if result.against_best is not None:
        name, difference = result.against_best
        lines.append(
            f"against {name}: {difference.waste_removed:+.3f} of all waste"
            + _span(difference.waste_removed_interval)
        )
    if result.by_trainer_price:
        prices = (
            f"{one.waste_removed:.3f} of {one.waste_removable:.3f} at {one.weight:g}"
            for one in result.by_trainer_price
        )
        lines.append(f"waste removed by the price of a Trainer: {', '.join(prices)}")
    return "\n".join([*lines, *(f"note: {note}" for note in result.notes)])


def _row(figures: Figures) -> str:
    delay = figures.push_delay
    later = ""
    if figures.pushes_missed and delay.never < figures.pushes_missed:
        later = f"{delay.median_runs:g}, {delay.median_hours:.1f}"
    never = f" ({delay.never} never)" if delay.never else ""
    return (
        f"{figures.name[:18]:18}  {figures.skipped:7}  {figures.pushes_missed:6}  "
        f"{figures.freshness:9.3f}  {figures.waste_removed:13.3f}  {figures.of_removable:12.3f}  "
        f"{figures.cost_saved_ms / 1000:7.1f}  {later}{never}"
    ).rstrip()


def _intervals(gate: Figures) -> Sequence[str]:
    if gate.intervals is None:
        return ()
    removed, share = gate.intervals.waste_removed, gate.intervals.of_removable
    line = f"95 %: freshness{_span(gate.freshness_interval)}, waste removed{_span(removed)}"
    return (f"{line}, of removable{_span(share)}",)


def _span(interval: tuple[float, float] | None) -> str:
    return " (no interval)" if interval is None else f" [{interval[0]:.3f}, {interval[1]:.3f}]"


def _promise(promise: Mapping[str, float | int | bool | None]) -> str:
    if not promise["pushes"]:
        return "promise: there was no push to keep"
    verdict = "agrees with" if promise["consistent"] else "is below"
    return (
        f"promised {promise['promised']:g}, achieved {promise['achieved']:.3f}: {verdict} the "
        f"promise (p = {promise['p_value']:.2f})"
    )


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
            "waste_ms": plain(self.waste_ms),
            "waste_removable": plain(self.waste_removable),
            "pipelines": [figures.to_dict() for figures in self.pipelines],
            "nodes": [node.to_dict() for node in self.nodes],
            "baselines": [figures.to_dict() for figures in self.baselines],
            "by_trainer_price": [weighted.to_dict() for weighted in self.by_trainer_price],
            "decisions": [decision.to_dict() for decision in self.decisions],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        return backtest_text(self)
