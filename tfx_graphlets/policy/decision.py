"""PastDecision: what a gate decided about an earlier run, as its store remembers it.

A value and no more; ``gate.record`` reads it from a trace.
"""

from __future__ import annotations

import dataclasses
from typing import Final

_FIGURES: Final = ("probability", "threshold", "risk", "freshness")


@dataclasses.dataclass(frozen=True)
class NodeDecision:
    """What a gate found about one of the Trainer nodes that it stands before.

    Attributes:
      node: node id of the Trainer.
      proceed: whether the run goes on as far as this node is concerned.
      would_skip: what it would be were the gate neither in shadow mode nor forced.
      probability: of a push, 0..1; None where there is no prediction.
      threshold: below it the node is skipped, 0..1; None where there is none.
      risk: the most by which the run, were this node's model needed, was likely
        to be skipped, 0..1; 0 where another node let the run go on.
      freshness: share of pushes that the threshold was chosen to keep; None
        where it was not chosen for one.
      explored: whether it proceeds only because skips are explored.
      cache_hit: whether the training is one that TFX's cache holds: a skip of it
        saves nothing.
      reason: why.
    """

    node: str
    proceed: bool
    would_skip: bool
    probability: float | None = None
    threshold: float | None = None
    risk: float = 0.0
    freshness: float | None = None
    explored: bool = False
    cache_hit: bool = False
    reason: str = ""


@dataclasses.dataclass(frozen=True)
class PastDecision:
    """One GateDecision artifact of an earlier run.

    The fields from ``pipeline`` on have the values of an artifact that does not
    state them (one of an earlier release) as their defaults.

    Attributes:
      time_ms: create time of the artifact, milliseconds since the epoch.
      stage: where the gate stood; "" where the artifact does not say.
      gate: node id of the gate; "" where neither artifact nor node context say.
      run: name of the run; "" where there is none.
      proceed: whether the run was let through.
      would_skip: what the gate would have done were it not in shadow mode.
      shadow: whether it was.
      pipeline: name of the pipeline; "" where there is none.
      explored: whether it was let through only because skips are explored.
      exploration: share of predicted skips that ran anyway, 0..1.
      risk: the most by which the run, were it to push, was likely to be
        skipped, 0..1; 0 where the gate could not skip.
      probability: of a push, 0..1; None where there was no prediction.
      threshold: below it the gate skips, 0..1; None where there was none.
      freshness: share of pushes that the threshold was chosen to keep, 0..1;
        None where it was not chosen for one.
      failed_open: whether the gate broke and let the run through.
      fault: what kept it from deciding, as a code; "" where nothing did.
      seconds: what the decision took; None where the artifact does not say.
      reason: its sentence; "" where the trace was read without.
      nodes: what it found about each Trainer node behind it; empty where the
        artifact does not say.
      node: of which Trainer node the figures are; "" for the gate's own.
    """

    time_ms: int
    stage: str
    gate: str
    run: str
    proceed: bool
    would_skip: bool
    shadow: bool
    pipeline: str = ""
    explored: bool = False
    exploration: float = 0.0
    risk: float = 0.0
    probability: float | None = None
    threshold: float | None = None
    freshness: float | None = None
    failed_open: bool = False
    reason: str = ""
    nodes: tuple[NodeDecision, ...] = ()
    node: str = ""
    fault: str = ""
    seconds: float | None = None

    def of_node(self, node: str) -> PastDecision | None:
        """The decision with the figures of one Trainer node; None where it is not about that one.

        Whether the run went on stays what it was: that is the whole gate's. A
        decision that names no nodes is about each.
        """
        if not self.nodes or not node:
            return dataclasses.replace(self, node=node)
        found = next((one for one in self.nodes if one.node == node), None)
        if found is None:
            return None
        figures = {name: getattr(found, name) for name in _FIGURES}
        return dataclasses.replace(self, node=node, **figures)

    @property
    def cache_hit(self) -> bool:
        """Whether TFX's cache held the training of the node that the figures are of, or of all."""
        mine = [one for one in self.nodes if self.node in ("", one.node)]
        return bool(mine) and all(one.cache_hit for one in mine)

    @property
    def followed(self) -> bool:
        """Whether it only followed the skip of a gate at an earlier stage."""
        nothing_predicted = self.probability is None and self.threshold is None
        return not self.proceed and nothing_predicted and not self.fault
