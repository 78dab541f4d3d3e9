"""Compressed sparse rows over integer nodes, and walks of many sources at once."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_graphlets.trace.trace import BoolArray, CodeArray, IntArray

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
