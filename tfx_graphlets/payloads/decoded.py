"""Payloads of artifacts, decoded once each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from tfx_graphlets.payloads import statistics as payload
from tfx_graphlets.payloads.evaluation import EvaluationMetrics, evaluation_metrics
from tfx_graphlets.payloads.moments import Moments, moments_of
from tfx_graphlets.payloads.similarity import dataset_similarity
from tfx_graphlets.payloads.statistics import DatasetStatistics, Payloads, SchemaSummary

_Decoded = TypeVar("_Decoded")


class DecodedPayloads:
    """Decoded payloads by the artifact's position in the trace.

    Every answer is None or NaN where the payload is gone.
    """

    def __init__(self, uris: Sequence[str], payloads: Payloads) -> None:
        self._uris = uris
        self._payloads = payloads
        self._statistics: dict[int, tuple[int, DatasetStatistics] | None] = {}
        self._anomalies: dict[int, float] = {}
        self._schemas: dict[int, SchemaSummary | None] = {}
        self._metrics: dict[int, EvaluationMetrics | None] = {}
        self._similarity: dict[tuple[int, int], float] = {}
        self._moments: dict[tuple[int, ...], Mapping[str, Moments]] = {}

    def statistics(self, artifact: int) -> DatasetStatistics | None:
        """Statistics of the split that models are trained on."""
        found = self._once(self._statistics, artifact, payload.training_statistics)
        return found[1] if found else None

    def num_examples(self, artifact: int) -> float:
        """Number of examples in all splits of an ExampleStatistics artifact."""
        found = self._once(self._statistics, artifact, payload.training_statistics)
        return float(found[0]) if found else math.nan

    def num_anomalies(self, artifact: int) -> float:
        """Number of anomalies in all splits of an ExampleAnomalies artifact."""
        return self._once(self._anomalies, artifact, _count_anomalies)

    def schema(self, artifact: int) -> SchemaSummary | None:
        """What a Schema artifact says."""
        return self._once(self._schemas, artifact, payload.schema_summary)

    def metrics(self, artifact: int) -> EvaluationMetrics | None:
        """What a ModelEvaluation artifact says."""
        return self._once(self._metrics, artifact, evaluation_metrics)

    def similarity(self, left: int, right: int) -> float:
        """``dataset_similarity`` of two ExampleStatistics artifacts."""
        key = (min(left, right), max(left, right))
        if key not in self._similarity:
            first, second = self.statistics(key[0]), self.statistics(key[1])
            known = first is not None and second is not None
            self._similarity[key] = dataset_similarity(first, second) if known else math.nan  # type: ignore[arg-type]
        return self._similarity[key]

    def moments(self, artifacts: tuple[int, ...]) -> Mapping[str, Moments]:
        """``moments_of`` some ExampleStatistics artifacts; those gone are left out."""
        if artifacts not in self._moments:
            datasets = [self.statistics(artifact) for artifact in artifacts]
            self._moments[artifacts] = moments_of([d for d in datasets if d is not None])
        return self._moments[artifacts]

    def _once(
        self, done: dict[int, _Decoded], artifact: int, decode: Callable[[Payloads, str], _Decoded]
    ) -> _Decoded:
        if artifact not in done:
            done[artifact] = decode(self._payloads, self._uris[artifact])
        return done[artifact]


def _count_anomalies(payloads: Payloads, uri: str) -> float:
    splits = payload.anomalies(payloads, uri)
    return float(sum(split.count for split in splits.values())) if splits else math.nan
