"""Rows of unequal length as flat arrays: edges between nodes, walks of many sources, values."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from tfx_graphlets.trace.trace import BoolArray, CodeArray, FloatArray, IntArray

_TARGET_BITS = 32


@dataclasses.dataclass(frozen=True, eq=False)
class Adjacency:
    """Directed edges between nodes numbered from 0.

    Attributes:
      start: int64 [num_sources + 1]; targets of node ``v`` are
        ``target[start[v]:start[v + 1]]``.
      target: int32 [num_edges]; a store of 2^31 nodes does not fit in memory.
    """

    start: IntArray
    target: CodeArray

    @classmethod
    def from_edges(
        cls, source: IntArray | CodeArray, target: IntArray | CodeArray, num_sources: int
    ) -> Adjacency:
        """Builds rows from edges in any order; parallel edges stay.

        Edges that are sorted by source keep their order; of others the targets
        of a row ascend.
        """
        start = np.zeros(num_sources + 1, np.int64)
        np.cumsum(np.bincount(source, minlength=num_sources), out=start[1:])
        if len(source) and bool((source[1:] < source[:-1]).any()):
            # Both in one number: stores are nearly in order, and runs merge fast.
            edges = (source.astype(np.int64) << _TARGET_BITS) | target
            edges.sort(kind="stable")
            return cls(start, edges.astype(np.int32))
        return cls(start, target.astype(np.int32, copy=False))

    def of(self, node: int) -> CodeArray:
        """Targets of the edges that leave one node, int32 [k]."""
        return self.target[self.start[node] : self.start[node + 1]]

    def expand(self, node: IntArray) -> tuple[IntArray, IntArray]:
        """All edges that leave the given nodes.

        Args:
          node: int64 [n], nodes, repeats allowed.

        Returns: for every edge the index into ``node`` and the target, each
          int64 [m], in the order of ``node``.
        """
        return self.follow(np.arange(len(node), dtype=np.int64), node)

    def follow(self, label: IntArray, node: IntArray) -> tuple[IntArray, IntArray]:
        """``expand`` with a label of each node, int64 [n], in place of its index."""
        first = self.start[node]
        counts = self.start[node + 1] - first
        ends = np.cumsum(counts)
        # The edges of a node follow each other: its first, then one more each.
        edge = np.repeat(first - ends + counts, counts)
        edge += np.arange(len(edge), dtype=np.int64)
        return np.repeat(label, counts), self.target[edge].astype(np.int64)


class PairSet:
    """A growing set of (graphlet, node) pairs as sorted int64 keys.

    A key holds the graphlet in its upper bits and the node in the lower. Pairs
    come nearly sorted from a walk (graphlet after graphlet), which the stable
    sort makes use of: it merges sorted runs. Keys are kept in layers, each more
    than twice as long as the next, so that adding a few does not touch many.
    """

    def __init__(self, num_nodes: int) -> None:
        self._bits = max(num_nodes - 1, 1).bit_length()
        self._layers: list[IntArray] = []

    def add(self, graphlet: IntArray, node: IntArray) -> tuple[IntArray, IntArray]:
        """Adds pairs; returns those that were new, distinct, ascending."""
        keys = (graphlet << self._bits) | node
        keys.sort(kind="stable")
        keys = keys[first_of_runs(keys)]
        for layer in self._layers:
            keys = keys[~_is_among(layer, keys)]
        if len(keys):
            self._layers.append(keys)
            self._merge(2)
        return self._split(keys)

    def pairs(self) -> tuple[IntArray, IntArray]:
        """All pairs, ascending: graphlets and nodes, each int64 [n]."""
        self._merge(len(self._layers[0]) if self._layers else 0)
        return self._split(self._layers[0] if self._layers else np.zeros(0, np.int64))

    def copy(self) -> PairSet:
        """A set of the same pairs, which grows on its own."""
        other = PairSet(0)
        other._bits, other._layers = self._bits, list(self._layers)
        return other

    def contains(self, graphlet: IntArray, node: IntArray) -> BoolArray:
        """True for pairs that are in the set, bool [n]."""
        keys = (graphlet << self._bits) | node
        found = np.zeros(len(keys), bool)
        for layer in self._layers:
            found |= _is_among(layer, keys)
        return found

    def _merge(self, factor: int) -> None:
        layers = self._layers
        while len(layers) > 1 and len(layers[-2]) <= factor * len(layers[-1]):
            merged = np.concatenate([layers[-2], layers.pop()])
            merged.sort(kind="stable")
            layers[-1] = merged

    def _split(self, keys: IntArray) -> tuple[IntArray, IntArray]:
        return keys >> self._bits, keys & ((1 << self._bits) - 1)


def _is_among(layer: IntArray, keys: IntArray) -> BoolArray:
    position = np.searchsorted(layer, keys)
    position[position == len(layer)] = 0
    found: BoolArray = layer[position] == keys
    return found


def first_of_runs(values: IntArray) -> BoolArray:
    """True where a value differs from the one before it, bool [n]; the first does."""
    first = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return first


@dataclasses.dataclass(frozen=True, eq=False)
class Ragged:
    """Which entries of something belong to which row, compressed sparse rows.

    Attributes:
      start: int64 [rows + 1]; what belongs to row ``r`` is ``index[start[r]:start[r + 1]]``.
      index: int64 [m], numbers of entries.
    """

    start: IntArray
    index: IntArray

    @classmethod
    def from_sorted(cls, row: IntArray, index: IntArray, num_rows: int) -> Ragged:
        """From pairs, each int64 [m], in ascending order of row; a row may have none."""
        return cls(np.searchsorted(row, np.arange(num_rows + 1)).astype(np.int64), index)

    def __len__(self) -> int:
        return len(self.start) - 1

    def of(self, row: int) -> IntArray:
        """What belongs to one row, int64 [k]."""
        return self.index[self.start[row] : self.start[row + 1]]

    def rows(self) -> IntArray:
        """Row of every entry of ``index``, int64 [m]."""
        return np.repeat(np.arange(len(self), dtype=np.int64), self.counts())

    def counts(self) -> IntArray:
        """Number of entries per row, int64 [rows]."""
        return np.diff(self.start)

    def take(self, rows: IntArray) -> Ragged:
        """Some rows, repeats allowed."""
        row, at = within(self.start, rows)
        return Ragged.from_sorted(row, self.index[at], len(rows))

    def sorted(self) -> Ragged:
        """The same with what belongs to each row in ascending order."""
        return Ragged(self.start, self.index[np.lexsort((self.index, self.rows()))])

    def in_other(self, other: Ragged) -> BoolArray:
        """True for entries that the same row of another one has too, bool [m].

        The other's entries must ascend within each row.
        """
        if not len(self.index) or not len(other.index):
            return np.zeros(len(self.index), bool)
        width = int(max(self.index.max(), other.index.max())) + 1
        theirs = other.rows() * width + other.index
        mine = self.rows() * width + self.index
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
