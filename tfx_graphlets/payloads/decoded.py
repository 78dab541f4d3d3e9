"""Payloads of artifacts, decoded once each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from tfx_graphlets.payloads import statistics
from tfx_graphlets.payloads.evaluation import EvaluationMetrics, evaluation_metrics
from tfx_graphlets.payloads.similarity import (
    Moments,
    dataset_similarity,
    features_lost,
    mean_shift,
    missing_rise,
    moments_of,
    spans_similarity,
)
from tfx_graphlets.payloads.statistics import (
    DatasetStatistics,
    Foreseeing,
    Payloads,
    SchemaSummary,
)
from tfx_graphlets.trace.strings import Texts
from tfx_graphlets.trace.trace import BoolArray, IntArray

_Decoded = TypeVar("_Decoded")


class DecodedPayloads:
    """Decoded payloads by the artifact's URI.

    Every answer is None or NaN where the payload is gone. Where payloads are asked for,
    this may be given: what was decoded before serves again.
    """

    def __init__(self, payloads: Payloads) -> None:
        """Decodes nothing yet.

        Args:
          payloads: where the files are.
        """
        self._payloads = payloads
        self._statistics: dict[str, tuple[int, DatasetStatistics] | None] = {}
        self._anomalies: dict[str, float] = {}
        self._schemas: dict[str, SchemaSummary | None] = {}
        self._metrics: dict[str, EvaluationMetrics | None] = {}
        self._similarity: dict[tuple[str, str], float] = {}
        self._moments: dict[tuple[str, ...], Mapping[str, Moments]] = {}

    @classmethod
    def of(cls, payloads: Payloads) -> DecodedPayloads:
        """Those given, if they are decoded ones, else new ones."""
        return payloads if isinstance(payloads, DecodedPayloads) else cls(payloads)

    def files(self, uri: str) -> tuple[str, ...]:
        """Names of the files below ``uri``; see ``Payloads.files``."""
        return self._payloads.files(uri)

    def read(self, uri: str, name: str) -> bytes | None:
        """Content of a file; see ``Payloads.read``."""
        return self._payloads.read(uri, name)

    def may_be_read(self, uris: Sequence[str], rows: IntArray) -> BoolArray:
        """False only for artifacts of which no file can be read.

        Asks for the folder above each artifact's, which those of one node share.

        Args:
          uris: of all artifacts.
          rows: int64 [k], positions of those that are asked for.

        Returns: bool [k].
        """
        if not isinstance(self._payloads, Foreseeing):
            return np.ones(len(rows), bool)
        import pyarrow as pa
        import pyarrow.compute as pc

        if isinstance(uris, Texts):
            named = uris.take(rows).to_arrow()
        else:
            named = pa.array([uris[row] for row in rows.tolist()], pa.large_string())
        if pc.any(pc.match_substring(named, "\\")).as_py():  # written on Windows
            named = pc.replace_substring(named, "\\", "/")
        if not len(named):
            return np.zeros(0, bool)
        folders = pc.list_element(pc.split_pattern(named, "/", max_splits=1, reverse=True), 0)
        encoded = folders.dictionary_encode()
        if isinstance(encoded, pa.ChunkedArray):
            encoded = encoded.combine_chunks()
        held = [
            bool(folder) and self._payloads.may_hold(folder)
            for folder in encoded.dictionary.to_pylist()
        ]
        return np.array(held, bool)[encoded.indices.to_numpy()]

    def statistics(self, uri: str) -> DatasetStatistics | None:
        """Statistics of the split that models are trained on."""
        found = self._once(self._statistics, uri, statistics.training_statistics)
        return found[1] if found else None

    def has_statistics(self, uri: str) -> bool:
        """True if an ExampleStatistics artifact can be read."""
        return self.statistics(uri) is not None

    def num_examples(self, uri: str) -> float:
        """Number of examples in all splits of an ExampleStatistics artifact."""
        found = self._once(self._statistics, uri, statistics.training_statistics)
        return float(found[0]) if found else math.nan

    def num_anomalies(self, uri: str) -> float:
        """Number of anomalies in all splits of an ExampleAnomalies artifact."""
        return self._once(self._anomalies, uri, _count_anomalies)

    def schema(self, uri: str) -> SchemaSummary | None:
        """What a Schema artifact says."""
        return self._once(self._schemas, uri, statistics.schema_summary)

    def metrics(self, uri: str) -> EvaluationMetrics | None:
        """What a ModelEvaluation artifact says."""
        return self._once(self._metrics, uri, evaluation_metrics)

    def similarity(self, left: str, right: str) -> float:
        """``dataset_similarity`` of two ExampleStatistics artifacts."""
        key = (min(left, right), max(left, right))
        if key not in self._similarity:
            first, second = self.statistics(key[0]), self.statistics(key[1])
            self._similarity[key] = (
                math.nan if first is None or second is None else dataset_similarity(first, second)
            )
        return self._similarity[key]

    def moments(self, uris: tuple[str, ...]) -> Mapping[str, Moments]:
        """``moments_of`` some ExampleStatistics artifacts; those gone are left out."""
        if uris not in self._moments:
            datasets = [self.statistics(uri) for uri in uris]
            self._moments[uris] = moments_of([d for d in datasets if d is not None])
        return self._moments[uris]

    # -- windows: ExampleStatistics of several spans, by their URIs ---------------------

    def examples(self, uris: tuple[str, ...]) -> float:
        """Number of examples in all splits of some ExampleStatistics artifacts."""
        return sum(map(self.num_examples, uris))

    def spans_similarity(self, left: tuple[str, ...], right: tuple[str, ...]) -> float:
        """``spans_similarity`` of two windows, 0..1."""
        return spans_similarity(left, right, self.similarity)

    def missing_rise(self, new: tuple[str, ...], old: tuple[str, ...]) -> float:
        """``missing_rise`` of a window against another."""
        return missing_rise(self.moments(new), self.moments(old))

    def mean_shift(self, new: tuple[str, ...], old: tuple[str, ...]) -> float:
        """``mean_shift`` of a window against another."""
        return mean_shift(self.moments(new), self.moments(old))

    def features_lost(self, new: tuple[str, ...], old: tuple[str, ...]) -> float:
        """``features_lost`` in a window against another."""
        return features_lost(self.moments(new), self.moments(old))

    def feature_mean(self, uris: tuple[str, ...], names: Sequence[str]) -> float:
        """Mean of the first of some features that is there; NaN where none, or not numeric."""
        moments = self.moments(uris)
        return next((moments[name].mean for name in names if name in moments), math.nan)

    # -- pairs of schemas -----------------------------------------------------------------

    def schema_changed(self, new: str, old: str) -> float:
        """1 where two Schema artifacts differ, else 0; NaN where one is gone."""
        one = self.schema(new)
        other = None if one is None else self.schema(old)
        if one is None or other is None:
            return math.nan
        return float(one.fingerprint != other.fingerprint)

    def features_added(self, new: str, old: str) -> float:
        """Number of features of a schema that another has not; NaN where one is gone."""
        one = self.schema(new)
        other = None if one is None else self.schema(old)
        if one is None or other is None:
            return math.nan
        return float(len(set(one.types) - set(other.types)))

    def _once(
        self, done: dict[str, _Decoded], uri: str, decode: Callable[[Payloads, str], _Decoded]
    ) -> _Decoded:
        if uri not in done:
            done[uri] = decode(self._payloads, uri)
        return done[uri]


def _count_anomalies(payloads: Payloads, uri: str) -> float:
    splits = statistics.anomalies(payloads, uri)
    return float(sum(split.count for split in splits.values())) if splits else math.nan
