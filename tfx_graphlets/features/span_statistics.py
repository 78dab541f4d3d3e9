"""Statistics of the spans that graphlets are trained on, as of a moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tfx_graphlets.features.executions import Entries
from tfx_graphlets.features.spans import UNSEEN, Spans
from tfx_graphlets.trace.ragged import of_distinct
from tfx_graphlets.trace.trace import FloatArray, IntArray
from tfx_graphlets.vocabulary import ArtifactType


class SpanStatistics:
    """Statistics of the spans that graphlets are trained on.

    The spans of a graphlet, or one alone, have a number: of their ExampleStatistics, the
    oldest first.
    """

    def __init__(self, entries: Entries) -> None:
        """Has looked at none yet."""
        self._entries = entries
        self._uris: list[tuple[str, ...]] = []
        self._number: dict[tuple[str, ...], int] = {}

    def of_spans(self, spans: Spans, moment_ms: IntArray) -> IntArray:
        """Numbers of some spans as of moments, pairwise.

        Returns: int64 [q], UNSEEN where there are no spans, or the statistics of
          one cannot be read.
        """
        row, start = spans.ragged.rows, spans.ragged.start
        identity = spans.contents.in_order(row, spans.ragged.value)
        artifact = self._read(identity, moment_ms[row])
        whole = np.bincount(row[artifact != UNSEEN], minlength=len(spans.counts)) == spans.counts
        result = np.full(len(spans.counts), UNSEEN, np.int64)
        for one in np.flatnonzero(whole & (spans.counts > 0)).tolist():
            result[one] = self._of(artifact[start[one] : start[one + 1]].tolist())
        return result

    def alone(self, identity: IntArray, moment_ms: IntArray) -> IntArray:
        """Numbers of one span each as of moments, pairwise; UNSEEN as in ``of_spans``."""
        artifact = self._read(identity, moment_ms)
        distinct, at = np.unique(artifact, return_inverse=True)
        numbers = [UNSEEN if one == UNSEEN else self._of([one]) for one in distinct.tolist()]
        return np.array(numbers, np.int64)[at.reshape(-1)]

    def values(self, function: Callable[..., float], *numbers: IntArray) -> FloatArray:
        """Values of a function of the URIs of ExampleStatistics, as ``of_distinct``."""
        return of_distinct(lambda *key: function(*(self._uris[one] for one in key)), *numbers)

    def _read(self, identity: IntArray, moment_ms: IntArray) -> IntArray:
        """The latest ExampleStatistics of spans, UNSEEN where none can be read."""
        entries = self._entries
        checks = entries.checks(ArtifactType.EXAMPLE_STATISTICS)
        artifact = entries.only_readable(checks.latest(identity, moment_ms))
        has = of_distinct(lambda one: entries.decoded.has_statistics(entries.uri(one)), artifact)
        return np.where(has == 1.0, artifact, UNSEEN)

    def _of(self, artifacts: Sequence[int]) -> int:
        uris = tuple(map(self._entries.uri, artifacts))
        if uris not in self._number:
            self._number[uris] = len(self._uris)
            self._uris.append(uris)
        return self._number[uris]
