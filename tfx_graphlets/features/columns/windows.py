"""The graphlets before each row, as flat arrays with one place for every pair.

A window holds the latest LOOK_BACK graphlets of the row's lane that existed at
the row's moment, oldest first, and what was known of each by then.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from tfx_graphlets.features.columns.entries import Entries
from tfx_graphlets.features.columns.ragged import between
from tfx_graphlets.features.columns.seen import UNSEEN, Spans
from tfx_graphlets.features.view import LOOK_BACK
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray, SmallArray
from tfx_graphlets.vocabulary import Outcome


@dataclasses.dataclass(frozen=True, eq=False)
class Bounds:
    """Where the window of each row lies in ``Lanes.order``.

    Attributes:
      low, high: int64 [rows].
    """

    low: IntArray
    high: IntArray

    @classmethod
    def of(cls, entries: Entries, graphlet: IntArray, moment_ms: IntArray) -> Bounds:
        """Windows of graphlets at moments, pairwise."""
        lanes = entries.lanes
        times = np.unique(lanes.create_ms)
        width = len(times) + 1
        place = np.searchsorted(times, lanes.create_ms[lanes.order])
        keys = lanes.lane[lanes.order] * width + place
        limit = np.minimum(lanes.create_ms[graphlet], moment_ms)
        lane = lanes.lane[graphlet]
        high = np.searchsorted(keys, lane * width + np.searchsorted(times, limit))
        low = np.maximum(lanes.start[lane], high - LOOK_BACK)
        return cls(low.astype(np.int64), high.astype(np.int64))


class Window:
    """Windows of some rows, and reductions over them.

    A *place* is one graphlet in the window of one row; -1 stands for none.

    Attributes:
      num_rows: number of rows.
      start: int64 [rows + 1], places of row ``r`` are ``start[r]:start[r + 1]``.
      row, graphlet: int64 [places].
      outcome: int8 [places], what had become of it.
      blessed: float64 [places], what its model validators had said.
    """

    def __init__(self, entries: Entries, bounds: Bounds, moment_ms: IntArray) -> None:
        """Looks at the graphlets in the bounds at the rows' moments."""
        self._entries = entries
        self.num_rows = len(moment_ms)
        self.row, in_order = between(bounds.low, bounds.high)
        self.start = np.zeros(self.num_rows + 1, np.int64)
        np.cumsum(bounds.high - bounds.low, out=self.start[1:])
        self.graphlet: IntArray = entries.lanes.order[in_order]
        # Most have settled; only what had not by the row's moment is looked at again.
        moment = moment_ms[self.row]
        self._unsettled = np.flatnonzero(entries.settles_ms[self.graphlet] > moment)
        self._look = entries.look(self.graphlet[self._unsettled], moment[self._unsettled])
        self.outcome: SmallArray = self.seen("outcome")
        self.blessed: FloatArray = self.seen("blessed")

    def seen(self, name: str, places: IntArray | None = None) -> np.ndarray:  # type: ignore[type-arg]
        """A column of ``Seen`` at all places, or at some."""
        settled = getattr(self._entries.settled, name)
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
    def digest(self) -> np.ndarray:  # type: ignore[type-arg]
        """``Spans.digest`` at all places, uint64."""
        result = self._entries.settled.spans.digest[self.graphlet]
        result[self._unsettled] = self._look.spans.digest
        return result

    def spans(self, places: IntArray) -> Spans:
        """What the graphlets at some places were trained on; none at a place -1."""
        settled, look = self._entries.settled.spans, self._look.spans
        number = np.full(len(places), len(settled.newest) + len(look.newest), np.int64)
        some = places >= 0
        number[some] = self.graphlet[places[some]]
        of_look = self._of_look(places)
        number = np.where(of_look >= 0, len(settled.newest) + of_look, number)
        return self._spans.take(number)

    @functools.cached_property
    def _spans(self) -> Spans:
        """Of all graphlets, of those that were looked at again, and of none."""
        settled = self._entries.settled.spans
        return Spans.joined((settled, self._look.spans, Spans.none(settled.contents)))

    @functools.cached_property
    def rows_seen_late(self) -> IntArray:
        """Rows that did not yet see some graphlet's spans as they were in the end, int64 [k]."""
        settled = self._entries.settled.spans.digest[self.graphlet[self._unsettled]]
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
        latest = np.maximum.accumulate(np.where(flag, np.arange(len(flag)), -1))
        result = np.full(self.num_rows, -1, np.int64)
        some = self.start[1:] > self.start[:-1]
        result[some] = latest[self.start[1:][some] - 1]
        result[result < self.start[:-1]] = -1
        return result

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
        return np.arange(len(self.row)) >= self.start[1:][self.row] - n

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

    @functools.cached_property
    def clone(self) -> tuple[FloatArray, BoolArray, BoolArray]:
        """What the thresholds say of a model like the serving one; see ``clone_verdict``.

        Returns: its margin, float64 [rows], NaN where not known; true where it
          passes; true where that is known.
        """
        # Without thresholds on a change a config counts only after a blessing.
        after = np.arange(len(self.row)) > self._after_first_blessed[self.row]
        rule = np.where(after, self.seen("clone_by_any"), self.seen("clone_by_change"))
        place = self.last(rule != UNSEEN)
        number = np.where(place >= 0, rule[place], UNSEEN) if len(rule) else place
        rules = self._entries.clone
        change, margin = rules.has_change[number], rules.margin[number]
        known = (place >= 0) & ~(change & np.isnan(margin))
        return margin, known & (~change | (margin >= 0)), known

    @functools.cached_property
    def _after_first_blessed(self) -> IntArray:
        first = self.first(self.blessed == 1.0)
        return np.where(first >= 0, first, len(self.row))

    def rerun_expected(self, same: BoolArray) -> FloatArray:
        """``evaluations.rerun_expected`` of graphlets at the flagged places, float64 [rows]."""
        place = self.last(same & self.labelled)
        result = np.full(self.num_rows, np.nan)
        some = np.flatnonzero(place >= 0)
        pushed = self.pushed[place[some]]
        result[some[~pushed]] = 0.0
        _, passes, known = self.clone
        served = some[pushed]
        served = served[known[served]]
        result[served] = passes[served]
        return result


def at(values: np.ndarray, places: IntArray) -> FloatArray:  # type: ignore[type-arg]
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
