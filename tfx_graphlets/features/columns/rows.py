"""Rows: graphlets as gates at a stage could see them at moments; see ``view.View``."""

from __future__ import annotations

import functools

import numpy as np

from tfx_graphlets.features.columns.entries import Entries
from tfx_graphlets.features.columns.ragged import within
from tfx_graphlets.features.columns.seen import Seen
from tfx_graphlets.features.columns.windows import Bounds, Window
from tfx_graphlets.graphlets.graphlet import Part
from tfx_graphlets.trace.trace import BoolArray, IntArray
from tfx_graphlets.vocabulary import Role, Stage


class Rows:
    """Some graphlets, each at one moment.

    Attributes:
      entries: columns over the trace's graphlets.
      graphlet: int64 [rows], numbers of the graphlets.
      stage: what of the graphlets themselves may be seen.
      moment_ms: int64 [rows], what of everything else may be seen.
      bounds, window: the graphlets before them.
      own_row, own_entry: int64 [m], executions of the graphlets that the stage
        may see and that had finished: row and entry.
    """

    def __init__(
        self,
        entries: Entries,
        bounds: Bounds,
        graphlet: IntArray,
        stage: Stage,
        moment_ms: IntArray,
    ) -> None:
        """Makes them; the bounds are those of the rows."""
        self.entries, self.graphlet = entries, graphlet
        self.stage, self.moment_ms, self.bounds = stage, moment_ms, bounds
        self.window = Window(entries, bounds, moment_ms)
        row, entry = within(entries.start, graphlet)
        times = entries.timeline
        known = times.own_known_ms if stage is Stage.INPUT else times.known_ms
        kept = (known[entry] <= moment_ms[row]) & self._may_see(entry)
        self.own_row, self.own_entry = row[kept], entry[kept]

    def __len__(self) -> int:
        return len(self.graphlet)

    def reaches(self, stage: Stage) -> bool:
        """True if the rows' stage is ``stage`` or later."""
        return self.stage.order >= stage.order

    def _may_see(self, entry: IntArray) -> BoolArray:
        part, role = self.entries.part[entry], self.entries.role[entry]
        result: BoolArray = self.entries.is_source[entry]
        if self.reaches(Stage.PRE):
            result = result | (part == Part.UPSTREAM) | (part == Part.ANALYSIS)
        if self.reaches(Stage.TRAINER):
            result = result | (part == Part.TRAINER)
        if self.reaches(Stage.VALIDATION):
            result = result | ((part == Part.DOWNSTREAM) & (role != Role.PUSHER))
        return result

    @functools.cached_property
    def own(self) -> Seen:
        """What is known of each graphlet itself; the outcome is not."""
        return self.entries.shown(self.own_row, self.own_entry, len(self))

    @property
    def own_execution(self) -> IntArray:
        """Position of the execution of each ``own_entry``, int64 [m]."""
        return self.entries.execution[self.own_entry]

    @property
    def trainer(self) -> IntArray:
        """Position of each graphlet's Trainer, int64 [rows]."""
        return self.entries.graphlets.trainer[self.graphlet]

    def any_own(self, flag: BoolArray) -> BoolArray:
        """True for rows of which any own entry has a flag (bool [m]), bool [rows]."""
        return np.bincount(self.own_row[flag], minlength=len(self)) > 0
