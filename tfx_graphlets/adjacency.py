"""Compressed sparse rows over integer nodes, and walks of many sources at once."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_graphlets.trace import BoolArray, IntArray


@dataclasses.dataclass(frozen=True, eq=False)
class Adjacency:
    """Directed edges between nodes numbered from 0.

    Attributes:
      start: int64 [num_sources + 1]; targets of node ``v`` are
        ``target[start[v]:start[v + 1]]``.
      target: int64 [num_edges].
    """

    start: IntArray
    target: IntArray

    @classmethod
    def from_edges(cls, source: IntArray, target: IntArray, num_sources: int) -> Adjacency:
        """Builds rows from edges in any order; parallel edges stay."""
        order = np.argsort(source, kind="stable")
        start = np.zeros(num_sources + 1, np.int64)
        np.cumsum(np.bincount(source, minlength=num_sources), out=start[1:])
        return cls(start, target[order].astype(np.int64))

    def expand(self, node: IntArray) -> tuple[IntArray, IntArray]:
        """All edges that leave the given nodes.

        Args:
          node: int64 [n], nodes, repeats allowed.

        Returns: for every edge the index into ``node`` and the target, each
          int64 [m], in the order of ``node``.
        """
        counts = self.start[node + 1] - self.start[node]
        index = np.repeat(np.arange(len(node), dtype=np.int64), counts)
        first = np.cumsum(counts) - counts
        within = np.arange(len(index), dtype=np.int64) - first[index]
        return index, self.target[self.start[node][index] + within]


class PairSet:
    """A growing set of (graphlet, node) pairs as sorted int64 keys.

    A key is ``graphlet * num_nodes + node``.
    """

    def __init__(self, num_nodes: int) -> None:
        self._num_nodes = max(num_nodes, 1)
        self._keys: IntArray = np.zeros(0, np.int64)

    def add(self, graphlet: IntArray, node: IntArray) -> tuple[IntArray, IntArray]:
        """Adds pairs; returns those that were new, distinct, ascending."""
        keys = np.unique(graphlet * self._num_nodes + node)
        if len(self._keys):
            position = np.searchsorted(self._keys, keys)
            position[position == len(self._keys)] = 0
            keys = keys[self._keys[position] != keys]
            if len(keys):
                merged = np.concatenate([self._keys, keys])
                merged.sort(kind="stable")
                self._keys = merged
        else:
            self._keys = keys
        return keys // self._num_nodes, keys % self._num_nodes

    def pairs(self) -> tuple[IntArray, IntArray]:
        """All pairs, ascending: graphlets and nodes, each int64 [n]."""
        return self._keys // self._num_nodes, self._keys % self._num_nodes

    def contains(self, graphlet: IntArray, node: IntArray) -> BoolArray:
        """True for pairs that are in the set, bool [n]."""
        if not len(self._keys):
            return np.zeros(len(graphlet), bool)
        keys = graphlet * self._num_nodes + node
        position = np.searchsorted(self._keys, keys)
        position[position == len(self._keys)] = 0
        found: BoolArray = self._keys[position] == keys
        return found
