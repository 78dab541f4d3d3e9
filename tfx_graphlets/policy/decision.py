"""PastDecision: what a gate decided about an earlier run, as its store remembers it.

A value and no more; ``gate.record`` reads it from a trace.
"""

from __future__ import annotations

import dataclasses


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
      reason: its sentence; "" where the trace was read without.
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

    @property
    def followed(self) -> bool:
        """Whether it only followed the skip of a gate at an earlier stage."""
        return not self.proceed and self.probability is None and self.threshold is None
