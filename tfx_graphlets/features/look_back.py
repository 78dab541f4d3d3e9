"""Rows: graphlets as gates at a stage could see them at moments, and the graphlets before them.

A window holds the latest LOOK_BACK graphlets of the row's lane that existed at
the row's moment, oldest first, and what was known of each by then. Windows are
flat arrays with one place for every pair of a row and a graphlet before it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterator
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tfx_graphlets.features.executions import Entries, Seen
from tfx_graphlets.features.spans import Spans
from tfx_graphlets.graphlets.graphlet import Part
from tfx_graphlets.trace.ragged import between, within
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray, SmallArray
from tfx_graphlets.vocabulary import Outcome, Role, Stage

# A row looks no further back than this, so that its cost does not grow with the history.
LOOK_BACK = 256
# Rows are described in pieces whose windows hold about so many graphlets: arrays
# of this length stay in a processor's cache.
_PLACES_AT_ONCE = 1 << 18
_Column = TypeVar("_Column")


class Rows:
    """Some graphlets, each at one moment.

    Attributes:
      entries: columns over the trace's graphlets.
      graphlet: int64 [rows], numbers of the graphlets.
      stage: what of the graphlets themselves may be seen.
      moment_ms: int64 [rows], what of everything else may be seen.
      low, high: int64 [rows], where the window of each lies in the order of
        ``entries.visible``.
      own_row, own_entry: int64 [m], executions of the graphlets that the stage
        may see and that had finished: row and entry.
    """

    def __init__(
        self, entries: Entries, stage: Stage, graphlet: IntArray, moment_ms: IntArray
    ) -> None:
        """Looks at graphlets at moments, pairwise."""
        self.entries, self.graphlet = entries, graphlet
        self.stage, self.moment_ms = stage, moment_ms
        first, self.high = entries.visible.before(graphlet, moment_ms)
        self.low: IntArray = np.maximum(first, self.high - LOOK_BACK)
        row, entry = within(entries.start, graphlet)
        times = entries.timeline
        known = times.own_known_ms if stage is Stage.INPUT else times.known_ms
        kept = (known[entry] <= moment_ms[row]) & self._may_see(entry) & entries.ran(entry)
        self.own_row, self.own_entry = row[kept], entry[kept]
        self._once: dict[Hashable, Any] = {}

    def __len__(self) -> int:
        return len(self.graphlet)

    def reaches(self, stage: Stage) -> bool:
        """True if the rows' stage is ``stage`` or later."""
        return self.stage.order >= stage.order

    def once(self, key: Hashable, work_out: Callable[[], _Column]) -> _Column:
        """What was worked out at the first call with this key; groups share it."""
        if key not in self._once:
            self._once[key] = work_out()
        kept: _Column = self._once[key]
        return kept

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
    def window(self) -> Window:
        """The graphlets before each."""
        return Window(self)

    @functools.cached_property
    def own(self) -> Seen:
        """What is known of each graphlet itself; the outcome is not."""
        return self.entries.shown(self.own_row, self.own_entry, len(self))

    @functools.cached_property
    def same_spans(self) -> BoolArray:
        """True at graphlets before each that were trained on exactly its spans, bool [places]."""
        return self.window.digest == self.own.spans.digest[self.window.row]

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


def pieces(
    entries: Entries, stage: Stage, graphlet: IntArray, moment_ms: IntArray
) -> Iterator[tuple[slice, Rows]]:
    """Rows of about equal size together, and which of the given they are."""
    first, high = entries.visible.before(graphlet, moment_ms)
    total = np.cumsum(np.minimum(high - first, LOOK_BACK) + 1)
    first_row = 0
    while first_row < len(total):
        done = total[first_row - 1] if first_row else 0
        end = max(int(np.searchsorted(total, done + _PLACES_AT_ONCE, "right")), first_row + 1)
        piece = slice(first_row, end)
        yield piece, Rows(entries, stage, graphlet[piece], moment_ms[piece])
        first_row = end


class Window:
    """Windows of some rows, and reductions over them.

    A *place* is one graphlet in the window of one row; -1 stands for none.

    Attributes:
      entries: columns over the graphlets.
      num_rows: number of rows.
      start: int64 [rows + 1], places of row ``r`` are ``start[r]:start[r + 1]``.
      row, graphlet, moment_ms: int64 [places].
      outcome: int8 [places], what had become of it.
      blessed: float64 [places], what its model validators had said.
    """

    def __init__(self, rows: Rows) -> None:
        """Looks at the graphlets before the rows at the rows' moments."""
        entries = self.entries = rows.entries
        self.num_rows = len(rows)
        self.row, in_order = between(rows.low, rows.high)
        self.start = np.zeros(self.num_rows + 1, np.int64)
        np.cumsum(rows.high - rows.low, out=self.start[1:])
        self.graphlet: IntArray = entries.visible.order[in_order]
        self.moment_ms: IntArray = rows.moment_ms[self.row]
        # Most have settled; only what had not by the row's moment is looked at again.
        unsettled = entries.settles_ms[self.graphlet] > self.moment_ms
        self._unsettled = np.flatnonzero(unsettled | entries.changed(self.graphlet))
        self._look = entries.look(self.graphlet[self._unsettled], self.moment_ms[self._unsettled])
        self.outcome: SmallArray = self.seen("outcome")
        self.blessed: FloatArray = self.seen("blessed")

    def seen(self, name: str, places: IntArray | None = None) -> NDArray[Any]:
        """A column of ``Seen`` at all places, or at some."""
        settled = getattr(self.entries.settled, name)
        if places is None:
            result = settled[self.graphlet]
            result[self._unsettled] = getattr(self._look, name)
            return result
        of_look = self._of_look(places)
        result = settled[self.graphlet[places]]
        late = of_look >= 0
        result[late] = getattr(self._look, name)[of_look[late]]
        return result

    @functools.cached_property
    def digest(self) -> NDArray[Any]:
        """``Spans.digest`` at all places, uint64."""
        result = self.entries.settled.spans.digest[self.graphlet]
        result[self._unsettled] = self._look.spans.digest
        return result

    def spans(self, places: IntArray) -> Spans:
        """What the graphlets at some places were trained on; none at a place -1."""
        settled, look = self.entries.settled.spans, self._look.spans
        number = np.full(len(places), len(settled.newest) + len(look.newest), np.int64)
        some = places >= 0
        number[some] = self.graphlet[places[some]]
        of_look = self._of_look(places)
        number = np.where(of_look >= 0, len(settled.newest) + of_look, number)
        return self._spans.take(number)

    @functools.cached_property
    def _spans(self) -> Spans:
        """Of all graphlets, of those that were looked at again, and of none."""
        settled = self.entries.settled.spans
        return Spans.joined((settled, self._look.spans, Spans.none(settled.contents)))

    @functools.cached_property
    def rows_seen_late(self) -> IntArray:
        """Rows that did not yet see some graphlet's spans as they were in the end, int64 [k]."""
        settled = self.entries.settled.spans.digest[self.graphlet[self._unsettled]]
        differs = self._unsettled[settled != self._look.spans.digest]
        return np.unique(self.row[differs])

    def _of_look(self, places: IntArray) -> IntArray:
        if not len(self._unsettled):
            return np.full(len(places), -1, np.int64)
        at = np.minimum(np.searchsorted(self._unsettled, places), len(self._unsettled) - 1)
        return np.where(self._unsettled[at] == places, at, -1)

    # -- reductions -------------------------------------------------------------------

    @property
    def counts(self) -> IntArray:
        """Number of places, int64 [rows]."""
        return np.diff(self.start)

    def count(self, flag: BoolArray) -> IntArray:
        """Number of places with a flag, int64 [rows]."""
        total = np.zeros(len(flag) + 1, np.int64)
        np.cumsum(flag, out=total[1:])
        return total[self.start[1:]] - total[self.start[:-1]]

    def last(self, flag: BoolArray) -> IntArray:
        """The latest place with a flag, int64 [rows]; -1 where there is none."""
        return self.nth_flagged(flag, 1)

    def first(self, flag: BoolArray) -> IntArray:
        """The earliest place with a flag, int64 [rows]; -1 where there is none."""
        places = np.flatnonzero(flag)
        at = np.searchsorted(places, self.start[:-1])
        found = places[np.minimum(at, len(places) - 1)] if len(places) else np.zeros(0, np.int64)
        result = np.full(self.num_rows, -1, np.int64)
        if len(places):
            inside = (at < len(places)) & (found < self.start[1:])
            result[inside] = found[inside]
        return result

    def nth(self, n: int) -> IntArray:
        """The n-th place from the end, 1 the latest, int64 [rows]; -1 if there are fewer."""
        return np.where(self.counts >= n, self.start[1:] - n, -1)

    def nth_flagged(self, flag: BoolArray, n: int) -> IntArray:
        """The n-th place with a flag from the end, int64 [rows]; -1 if there are fewer."""
        places = np.flatnonzero(flag)
        at = np.searchsorted(places, self.start[1:]) - n
        first = np.searchsorted(places, self.start[:-1])
        result = np.full(self.num_rows, -1, np.int64)
        inside = at >= first
        result[inside] = places[at[inside]]
        return result

    def in_last(self, n: int) -> BoolArray:
        """True at the latest n places of each row, bool [places]."""
        return np.arange(len(self.row)) >= (self.start[1:] - n)[self.row]

    def in_last_flagged(self, flag: BoolArray, n: int) -> BoolArray:
        """True at the latest n places with a flag of each row, bool [places]."""
        total = np.cumsum(flag)
        until = np.zeros(self.num_rows, np.int64)
        some = self.start[1:] > 0
        until[some] = total[self.start[1:][some] - 1] if len(total) else 0
        recent: BoolArray = flag & (until[self.row] - total < n)
        return recent

    # -- what groups of features ask for ------------------------------------------------

    @functools.cached_property
    def pushed(self) -> BoolArray:
        """True where it had been pushed, bool [places]."""
        return self.outcome == Outcome.PUSHED

    @functools.cached_property
    def labelled(self) -> BoolArray:
        """True where it was known to be pushed or unpushed, bool [places]."""
        return self.pushed | (self.outcome == Outcome.UNPUSHED)

    @functools.cached_property
    def last_pushed(self) -> IntArray:
        """Place of the latest that had been pushed, int64 [rows]."""
        return self.last(self.pushed)

    @functools.cached_property
    def last_blessed(self) -> IntArray:
        """Place of the latest whose model had been blessed, int64 [rows]."""
        return self.last(self.blessed == 1.0)


def at(values: NDArray[Any], places: IntArray) -> FloatArray:
    """Values at places as numbers, float64; NaN at a place -1."""
    result = np.full(len(places), np.nan)
    some = places >= 0
    result[some] = values[places[some]]
    return result


def ratio(numerator: FloatArray | IntArray, denominator: FloatArray | IntArray) -> FloatArray:
    """Quotient, float64; NaN unless the denominator is above 0."""
    result = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=result, where=np.asarray(denominator) > 0)
    return result
