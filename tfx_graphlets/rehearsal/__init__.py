"""A cheap try before the dear one: what small models say of the model about to be trained.

Scouts and probes on a window and a split, as values: the metrics by which the
Evaluator will judge, their margins to its thresholds, and whether the try pays.
Nothing here knows TFX; ``components.rehearsal`` reads the files and calls this.
Importing this package loads none of them: a gate reads no more than the record.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tfx_graphlets.rehearsal.demand import Demand, NotCoveredError, Task, demand_of
    from tfx_graphlets.rehearsal.record import Expected, Mode, expected_margin
    from tfx_graphlets.rehearsal.rehearsed import Rehearsed, Split, rehearse, without_label
    from tfx_graphlets.rehearsal.scouts import Scout, train_scout
    from tfx_graphlets.rehearsal.worth import Worth, worth_of

_HOME: Final = {
    "Expected": "record",
    "expected_margin": "record",
    "Demand": "demand",
    "NotCoveredError": "demand",
    "Task": "demand",
    "demand_of": "demand",
    "Rehearsed": "rehearsed",
    "Split": "rehearsed",
    "rehearse": "rehearsed",
    "without_label": "rehearsed",
    "Scout": "scouts",
    "train_scout": "scouts",
    "Mode": "record",
    "Worth": "worth",
    "worth_of": "worth",
}

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


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
