"""Lanes: which graphlets come before which.

A lane is one Trainer node of one pipeline: its graphlets follow each other.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.trace.trace import BoolArray, IntArray, Trace


def lane_of(trace: Trace, trainer: IntArray) -> IntArray:
    """Number of each Trainer's lane, from 0, int64 [n].

    Lanes are told apart by the Trainer's pipeline context (Trainers without one share one) and
    its node context, else its type.

    Args:
      trace: the trace.
      trainer: int64 [n], positions of executions.
    """
    node = trace.node_of_execution[trainer]
    kind = np.where(node >= 0, node, -2 - trace.executions.type[trainer].astype(np.int64))
    # One number per pair sorts as the pair does, and many times faster.
    lowest = int(kind.min()) if len(kind) else 0
    num_kinds = int(kind.max()) - lowest + 1 if len(kind) else 1
    pair = trace.pipeline_of_execution[trainer] * num_kinds + (kind - lowest)
    return np.unique(pair, return_inverse=True)[1].astype(np.int64)


@dataclasses.dataclass(frozen=True, eq=False)
class Lanes:
    """Graphlets by lane, in the order in which their Trainers were created.

    Attributes:
      lane: int64 [n], number of each graphlet's lane, see ``lane_of``.
      create_ms: int64 [n], create time of each Trainer.
      order: int64 [n], graphlets sorted by (lane, create time, id).
      start: int64 [num_lanes + 1], where each lane starts in ``order``.
      times: int64 [k], the distinct create times, ascending.
      rank: int64 [n], place of each create time among them.
    """

    lane: IntArray
    create_ms: IntArray
    order: IntArray
    start: IntArray
    times: IntArray
    rank: IntArray

    @classmethod
    def of(cls, graphlets: Graphlets) -> Lanes:
        """Lanes of the graphlets of one trace."""
        trace, trainer = graphlets.trace, graphlets.trainer
        lane = lane_of(trace, trainer)
        create_ms = trace.executions.create_ms[trainer]
        order = np.lexsort((graphlets.trainer_id, create_ms, lane)).astype(np.int64)
        num_lanes = int(lane.max()) + 1 if len(lane) else 0
        start = np.searchsorted(lane[order], np.arange(num_lanes + 1)).astype(np.int64)
        times, rank = np.unique(create_ms, return_inverse=True)
        return cls(lane, create_ms, order, start, times, rank.reshape(-1).astype(np.int64))

    def without(self, hidden: BoolArray) -> Lanes:
        """The same without some graphlets (bool [n]), which are in no order then."""
        order = self.order[~hidden[self.order]]
        start = np.searchsorted(self.lane[order], np.arange(len(self.start))).astype(np.int64)
        return dataclasses.replace(self, order=order, start=start)

    def before(self, graphlet: IntArray, moment_ms: IntArray) -> tuple[IntArray, IntArray]:
        """Earlier graphlets of the same lanes that existed at moments, pairwise.

        Those whose Trainer had been created before the moment and before the
        graphlet's own Trainer.

        Returns: where they begin and end in ``order``, each int64 [q].
        """
        lane, width = self.lane[graphlet], len(self.times) + 1
        limit = np.minimum(self.create_ms[graphlet], moment_ms)
        high = np.searchsorted(self._keys, lane * width + np.searchsorted(self.times, limit))
        return self.start[lane], high.astype(np.int64)

    @functools.cached_property
    def _keys(self) -> IntArray:
        """Lane and rank of each graphlet in ``order`` as one number, ascending."""
        return self.lane[self.order] * (len(self.times) + 1) + self.rank[self.order]
