"""What was known of graphlets at moments, as columns; see ``past.Seen``."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tfx_graphlets.features.columns.ragged import Ragged
from tfx_graphlets.features.contents import SpanContents
from tfx_graphlets.trace.trace import FloatArray, IntArray, SmallArray

UNSEEN = -1  # no such thing was known


@dataclasses.dataclass(frozen=True, eq=False)
class Spans:
    """Spans that each of some queries was trained on.

    Attributes:
      ragged: their identities by query, ascending.
      digest: uint64 [q], equal for equal sets of identities (a hash of 64 bits;
        0 for the empty set).
      newest: int64 [q], identity of the span with the highest number, the
        latest artifact where several have it; UNSEEN where there is none.
      bytes: float64 [q], of all; NaN where there are none or one has no size.
      contents: of the trace.
    """

    ragged: Ragged
    digest: NDArray[np.uint64]
    newest: IntArray
    bytes: FloatArray
    contents: SpanContents

    @classmethod
    def of(
        cls, query: IntArray, identity: IntArray, num_queries: int, contents: SpanContents
    ) -> Spans:
        """From distinct pairs in ascending order, each int64 [m]."""
        ragged = Ragged.of(query, identity, num_queries)
        digest = np.zeros(num_queries, np.uint64)
        np.add.at(digest, query, _mixed(identity))
        number = contents.number[identity]
        order = np.lexsort((identity, np.where(np.isnan(number), -1.0, number), query))
        newest = np.full(num_queries, UNSEEN, np.int64)
        newest[query[order]] = identity[order]
        size = np.bincount(query, contents.bytes[identity], num_queries).astype(float)
        size[ragged.counts == 0] = np.nan
        return cls(ragged, digest, newest, size, contents)

    def take(self, queries: IntArray) -> Spans:
        """Those of some queries, repeats allowed."""
        return Spans(
            self.ragged.take(queries),
            self.digest[queries],
            self.newest[queries],
            self.bytes[queries],
            self.contents,
        )

    @classmethod
    def none(cls, contents: SpanContents) -> Spans:
        """One query without spans."""
        nothing = np.zeros(0, np.int64)
        return cls.of(nothing, nothing, 1, contents)

    @classmethod
    def joined(cls, parts: Sequence[Spans]) -> Spans:
        """Queries of all parts, one after another; all of one trace, at least one."""
        counts = np.concatenate([part.counts for part in parts])
        value = np.concatenate([part.ragged.value for part in parts])
        start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(
            Ragged(start, value),
            np.concatenate([part.digest for part in parts]),
            np.concatenate([part.newest for part in parts]),
            np.concatenate([part.bytes for part in parts]),
            parts[0].contents,
        )

    @property
    def counts(self) -> IntArray:
        """Number of spans, int64 [q]."""
        return self.ragged.counts

    @property
    def newest_number(self) -> FloatArray:
        """Number of the newest span, float64 [q]; NaN where none."""
        return self._of_newest(self.contents.number)

    @property
    def newest_bytes(self) -> FloatArray:
        """Size of the newest span, float64 [q]; NaN where none."""
        return self._of_newest(self.contents.bytes)

    def _of_newest(self, column: FloatArray) -> FloatArray:
        result = np.full(len(self.newest), np.nan)
        some = self.newest >= 0
        result[some] = column[self.newest[some]]
        return result


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """What was known of some graphlets at some moments; see ``past.Seen``.

    Attributes:
      outcome: int8 [q].
      pushed_ms: int64 [q], end of the Pusher that had first pushed, NEVER if none.
      blessed: float64 [q], what the model validators had said; NaN if nothing.
      cost_ms: float64 [q], of the executions of the graphlet's own run; of all
        where it has no run.
      clone_by_change, clone_by_any: int64 [q], number of the rule in
        ``Entries.clone`` of the latest evaluator that has a change threshold,
        and that has any config.
      spans: what each was trained on.
    """

    outcome: SmallArray
    pushed_ms: IntArray
    blessed: FloatArray
    cost_ms: FloatArray
    clone_by_change: IntArray
    clone_by_any: IntArray
    spans: Spans


def _mixed(identity: IntArray) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele et al., OOPSLA 2014): numbers that add up to a hash."""
    z = identity.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
