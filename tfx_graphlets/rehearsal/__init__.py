"""A cheap try before the dear one: what small models say of the model about to be trained.

Scouts and probes on a window and a split, as values: the metrics by which the
Evaluator will judge, their margins to its thresholds, and whether the try pays.
Nothing here knows TFX; ``components.rehearsal`` reads the files and calls this.
"""

from __future__ import annotations

from tfx_graphlets.rehearsal.calibration import Expected, expected_margin
from tfx_graphlets.rehearsal.demand import Demand, NotCoveredError, Task, demand_of
from tfx_graphlets.rehearsal.rehearse import Rehearsed, Split, rehearse, without_label
from tfx_graphlets.rehearsal.scouts import Scout, train_scout
from tfx_graphlets.rehearsal.worth import Mode, Worth, worth_of

__all__ = [
    "Demand",
    "Expected",
    "Mode",
    "NotCoveredError",
    "Rehearsed",
    "Scout",
    "Split",
    "Task",
    "Worth",
    "demand_of",
    "expected_margin",
    "rehearse",
    "train_scout",
    "without_label",
    "worth_of",
]
