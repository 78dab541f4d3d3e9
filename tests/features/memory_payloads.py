"""Payloads that are kept in memory, and content for them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from tfx_graphlets.payloads import evaluation


class MemoryPayloads:
    """Files by URI and name.

    Attributes:
      reads: names of the files that were found and read, in that order.
    """

    def __init__(self, files: Mapping[tuple[str, str], bytes] | None = None) -> None:
        self._files = dict(files or {})
        self.reads: list[str] = []

    def put(self, uri: str, name: str, content: bytes) -> None:
        """Adds a file."""
        self._files[uri, name] = content

    def files(self, uri: str) -> tuple[str, ...]:
        """See ``Payloads``."""
        return tuple(sorted(name for at, name in self._files if at == uri))

    def read(self, uri: str, name: str) -> bytes | None:
        """See ``Payloads``."""
        content = self._files.get((uri, name))
        self.reads += [] if content is None else [name]
        return content


def statistics(
    *, examples: int = 100, numbers: Mapping[str, Sequence[float]] | None = None,
    words: Mapping[str, Mapping[str, int]] | None = None, missing: Mapping[str, int] | None = None,
) -> bytes:  # fmt: skip
    """A FeatureStats.pb.

    Args:
      examples: number of examples.
      numbers: by FLOAT feature the ascending edges of its quantile buckets,
        which hold equal shares; mean and deviation are those of the edges.
      words: by STRING feature the count of each value.
      missing: by feature the number of examples without it.
    """
    content = statistics_pb2.DatasetFeatureStatisticsList()
    dataset = content.datasets.add(num_examples=examples)
    for name, edges in (numbers or {}).items():
        feature = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.FLOAT)
        feature.path.step.append(name)
        stats = feature.num_stats
        _fill(stats.common_stats, examples, (missing or {}).get(name, 0))
        stats.mean = sum(edges) / len(edges)
        stats.std_dev = (sum((edge - stats.mean) ** 2 for edge in edges) / len(edges)) ** 0.5
        histogram = stats.histograms.add(type=statistics_pb2.Histogram.QUANTILES)
        for low, high in zip(edges, edges[1:]):
            histogram.buckets.add(low_value=low, high_value=high, sample_count=1.0)
    for name, counts in (words or {}).items():
        feature = dataset.features.add(type=statistics_pb2.FeatureNameStatistics.STRING)
        feature.path.step.append(name)
        _fill(feature.string_stats.common_stats, examples, (missing or {}).get(name, 0))
        feature.string_stats.unique = len(counts)
        for value, count in counts.items():
            feature.string_stats.top_values.add(value=value, frequency=count)
    return content.SerializeToString()


def _fill(common: statistics_pb2.CommonStatistics, examples: int, missing: int) -> None:
    common.num_missing = missing
    common.num_non_missing = common.tot_num_values = examples - missing


def anomalies(*features: str) -> bytes:
    """A SchemaDiff.pb that names a missing column for each feature."""
    content = anomalies_pb2.Anomalies()
    for feature in features:
        content.anomaly_info[feature].reason.add(
            type=anomalies_pb2.AnomalyInfo.SCHEMA_MISSING_COLUMN
        )
    return content.SerializeToString()


def schema(**type_of_feature: str) -> bytes:
    """A schema.pbtxt in the layout that TFX writes."""
    blocks = (f'feature {{\n  name: "{n}"\n  type: {t}\n}}\n' for n, t in type_of_feature.items())
    return "".join(blocks).encode()


def metrics(
    candidate: float, baseline: float | None = None, name: str = "auc", is_slice: bool = False
) -> bytes:
    """A metrics TFRecord with one metric of candidate, baseline and their difference."""
    record = evaluation._message_classes()["MetricsForSlice"]()
    record.slice_key.SetInParent()  # type: ignore[attr-defined]
    if is_slice:
        record.slice_key.single_slice_keys.add()  # type: ignore[attr-defined]
    values = [("candidate", False, candidate)]
    if baseline is not None:
        values += [("baseline", False, baseline), ("candidate", True, candidate - baseline)]
    for model, is_diff, value in values:
        pair = record.metric_keys_and_values.add()  # type: ignore[attr-defined]
        pair.key.name, pair.key.model_name, pair.key.is_diff = name, model, is_diff
        pair.value.double_value.value = value
    return tfrecord(record.SerializeToString())


def tfrecord(*records: bytes) -> bytes:
    """A TFRecord file; its checksums are zeros."""
    return b"".join(struct.pack("<QI", len(r), 0) + r + bytes(4) for r in records)
