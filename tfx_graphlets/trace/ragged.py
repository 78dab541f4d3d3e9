"""Rows of unequal length as flat arrays, and what is asked of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray


@dataclasses.dataclass(frozen=True, eq=False)
class Ragged:
    """Values by row.

    Attributes:
      start: int64 [rows + 1]; values of row ``r`` are ``value[start[r]:start[r + 1]]``.
      value: int64 [m].
    """

    start: IntArray
    value: IntArray

    @classmethod
    def of(cls, row: IntArray, value: IntArray, num_rows: int) -> Ragged:
        """From pairs in ascending order of row."""
        return cls(np.searchsorted(row, np.arange(num_rows + 1)).astype(np.int64), value)

    @property
    def counts(self) -> IntArray:
        """Number of values per row, int64 [rows]."""
        return np.diff(self.start)

    @property
    def rows(self) -> IntArray:
        """Row of each value, int64 [m]."""
        return np.repeat(np.arange(len(self.start) - 1, dtype=np.int64), self.counts)

    def take(self, rows: IntArray) -> Ragged:
        """Some rows, repeats allowed."""
        row, at = within(self.start, rows)
        return Ragged.of(row, self.value[at], len(rows))

    def sorted(self) -> Ragged:
        """The same with the values of each row in ascending order."""
        return Ragged(self.start, self.value[np.lexsort((self.value, self.rows))])

    def in_other(self, other: Ragged) -> BoolArray:
        """True for values that the same row of another one has too, bool [m].

        The other's values must ascend within each row.
        """
        if not len(self.value) or not len(other.value):
            return np.zeros(len(self.value), bool)
        width = int(max(self.value.max(), other.value.max())) + 1
        theirs = other.rows * width + other.value
        mine = self.rows * width + self.value
        at = np.minimum(np.searchsorted(theirs, mine), len(theirs) - 1)
        found: BoolArray = theirs[at] == mine
        return found


def within(start: IntArray, rows: IntArray) -> tuple[IntArray, IntArray]:
    """Places of all values of some rows.

    Args:
      start: int64, where rows start.
      rows: int64 [r], repeats allowed.

    Returns: for every value the index into ``rows`` and its place, each int64
      [m], in the order of ``rows``.
    """
    return between(start[rows], start[rows + 1])


def between(low: IntArray, high: IntArray) -> tuple[IntArray, IntArray]:
    """All whole numbers of some ranges: index of the range and the number, int64 [m]."""
    counts = high - low
    index = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    first = np.cumsum(counts) - counts
    return index, np.arange(len(index), dtype=np.int64) + (low - first)[index]


def medians(row: IntArray, value: FloatArray, num_rows: int) -> FloatArray:
    """Median of the values of each row that are not NaN, float64 [rows]; NaN if none.

    Args:
      row, value: [m], pairs in any order.
    """
    kept = ~np.isnan(value)
    row, value = row[kept], value[kept]
    order = np.lexsort((value, row))
    row, value = row[order], value[order]
    count = np.bincount(row, minlength=num_rows)
    start = np.cumsum(count) - count
    result = np.full(num_rows, np.nan)
    some = np.flatnonzero(count)
    low = value[start[some] + (count[some] - 1) // 2]
    high = value[start[some] + count[some] // 2]
    result[some] = (low + high) / 2
    return result


def of_distinct(function: Callable[..., float], *columns: IntArray) -> FloatArray:
    """Values of a function of numbers, worked out once for all rows that are the same.

    Args:
      function: of as many numbers as there are columns.
      columns: int64 [n] each.

    Returns: float64 [n]; NaN where a number is negative.
    """
    result = np.full(len(columns[0]), np.nan)
    some = np.flatnonzero(np.all([column >= 0 for column in columns], axis=0))
    keys = list(zip(*(column[some].tolist() for column in columns)))
    values = {key: function(*key) for key in dict.fromkeys(keys)}
    result[some] = [values[key] for key in keys]
    return result
