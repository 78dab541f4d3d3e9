"""Compressed sparse rows over integer nodes, and walks of many sources at once."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_graphlets.trace import BoolArray, CodeArray, IntArray

_DIGIT_BITS = 16  # numpy sorts 16-bit integers by counting, wider ones by comparing


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
    def from_edges(cls, source: IntArray, target: IntArray, num_sources: int) -> Adjacency:
        """Builds rows from edges in any order; parallel edges stay.

        The targets of a row keep the order in which they are given. Edges that
        are sorted by source already are not sorted again.
        """
        start = np.zeros(num_sources + 1, np.int64)
        np.cumsum(np.bincount(source, minlength=num_sources), out=start[1:])
        ordered = target.astype(np.int32)
        if len(source) and bool((source[1:] < source[:-1]).any()):
            ordered = ordered[counting_order(source, num_sources)]
        return cls(start, ordered)

    def expand(self, node: IntArray) -> tuple[IntArray, IntArray]:
        """All edges that leave the given nodes.

        Args:
          node: int64 [n], nodes, repeats allowed.

        Returns: for every edge the index into ``node`` and the target, each
          int64 [m], in the order of ``node``.
        """
        first = self.start[node]
        index, edge = expand_ranges(first, self.start[node + 1] - first)
        return index, self.target[edge].astype(np.int64)


def expand_ranges(first: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """Numbers of all ranges ``first[i] .. first[i] + counts[i] - 1``.

    Args:
      first, counts: int64 [n].

    Returns: for every number the index ``i`` and the number, each int64 [m],
      range after range.
    """
    index = np.repeat(np.arange(len(first), dtype=np.int64), counts)
    ends = np.cumsum(counts)
    number = np.arange(len(index), dtype=np.int64)
    number += np.repeat(first - (ends - counts), counts)
    return index, number


def counting_order(values: IntArray, limit: int) -> IntArray:
    """Stable order of whole numbers from 0 to ``limit - 1``, int64 [n].

    What ``np.argsort(values, kind="stable")`` returns, 16 bits at a time, which
    numpy does in linear time.
    """
    order: IntArray = np.argsort(values.astype(np.uint16), kind="stable")
    shift = _DIGIT_BITS
    while max(limit - 1, 0) >> shift:
        digit = (values >> shift).astype(np.uint16)
        order = order[np.argsort(digit[order], kind="stable")]
        shift += _DIGIT_BITS
    return order


class PairSet:
    """A growing set of (graphlet, node) pairs as sorted int64 keys.

    A key holds the graphlet in its upper bits and the node in the lower. Pairs
    come nearly sorted from a walk (graphlet after graphlet), which the stable
    sort makes use of: it merges sorted runs.
    """

    def __init__(self, num_nodes: int) -> None:
        self._bits = max(num_nodes - 1, 1).bit_length()
        self._keys: IntArray = np.zeros(0, np.int64)

    def add(self, graphlet: IntArray, node: IntArray) -> tuple[IntArray, IntArray]:
        """Adds pairs; returns those that were new, distinct, ascending."""
        keys = (graphlet << self._bits) | node
        if not len(self._keys):
            keys.sort(kind="stable")
            self._keys = keys = keys[first_of_runs(keys)]
            return self._split(keys)
        # The lowest bit tells candidates from members, and sorts them behind.
        merged = np.concatenate([self._keys << 1, (keys << 1) | 1])
        merged.sort(kind="stable")
        tagged = merged[first_of_runs(merged >> 1)]
        self._keys = tagged >> 1
        return self._split(self._keys[(tagged & 1).astype(bool)])

    def pairs(self) -> tuple[IntArray, IntArray]:
        """All pairs, ascending: graphlets and nodes, each int64 [n]."""
        return self._split(self._keys)

    def contains(self, graphlet: IntArray, node: IntArray) -> BoolArray:
        """True for pairs that are in the set, bool [n]."""
        if not len(self._keys):
            return np.zeros(len(graphlet), bool)
        keys = (graphlet << self._bits) | node
        position = np.searchsorted(self._keys, keys)
        position[position == len(self._keys)] = 0
        found: BoolArray = self._keys[position] == keys
        return found

    def _split(self, keys: IntArray) -> tuple[IntArray, IntArray]:
        return keys >> self._bits, keys & ((1 << self._bits) - 1)


def first_of_runs(values: IntArray) -> BoolArray:
    """True where a value differs from the one before it, bool [n]; the first does."""
    first = np.ones(len(values), bool)
    np.not_equal(values[1:], values[:-1], out=first[1:])
    return first
