"""Payloads: the files that an artifact's URI points to, where they still exist.

A store keeps only the place of statistics, anomalies, schemas and metrics. The
readers in ``stores`` implement ``Payloads``; the decoders here turn the
bytes of data analysis into plain values (``evaluation_payload`` those of model
validation). A payload that is gone or cannot be decoded is missing, never an
error.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from tfx_graphlets.payloads.bounds import (
    MAX_FEATURES,
    MAX_NAME,
    as_message,
    as_text,
    check_nesting,
    enum_name,
    left_out,
    tfrecords,
)
from tfx_graphlets.trace.properties import with_bytes
from tfx_graphlets.trace.trace import FloatArray

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import statistics_pb2

_SPLIT_PREFIX = "Split-"
_STATISTICS_FILES = ("FeatureStats.pb", "stats_tfrecord")
_ANOMALIES_FILES = ("SchemaDiff.pb", "Anomalies.pb", "anomalies.pbtxt")
_SCHEMA_FILE = "schema.pbtxt"
# One feature of a schema in the layout of text_format, and its parts.
_FEATURE_START = re.compile(r"^feature\b", re.MULTILINE)
_FEATURE_BLOCK = re.compile(r"^feature \{\n((?:  .*\n)*)\}$", re.MULTILINE)
_FEATURE_NAME = re.compile(r'^  name: "([^"]*)"$', re.MULTILINE)
_FEATURE_TYPE = re.compile(r"^  type: (\w+)$", re.MULTILINE)


class Payloads(Protocol):
    """Reads files below artifact URIs."""

    def files(self, uri: str) -> tuple[str, ...]:
        """Names of the files below ``uri``, relative to it, sorted.

        Returns: for example ``("Split-train/FeatureStats.pb",)``; empty where
          the place does not exist or cannot be read.
        """
        ...

    def read(self, uri: str, name: str) -> bytes | None:
        """Content of the file ``name`` below ``uri``; None where there is none."""
        ...


@runtime_checkable
class Foreseeing(Protocol):
    """Payloads that can tell a place without files from afar."""

    def may_hold(self, place: str) -> bool:
        """False only if no URI that is ``place``, or leads below it, has a file."""
        ...


class NoPayloads:
    """Payloads of a store whose files are not at hand: every one is missing."""

    def files(self, uri: str) -> tuple[str, ...]:
        """Always empty."""
        del uri
        return ()

    def read(self, uri: str, name: str) -> bytes | None:
        """Always None."""
        del uri, name
        return None

    def may_hold(self, place: str) -> bool:
        """Never."""
        del place
        return False


@dataclasses.dataclass(frozen=True, eq=False)
class FeatureStatistics:
    """What StatisticsGen measured of one feature of one split.

    Attributes:
      name: the feature's path, steps joined by dots.
      type: ``INT``, ``FLOAT``, ``STRING``, ``BYTES`` or ``STRUCT``.
      missing_share: share of examples without the feature, 0..1; NaN where
        there are no examples.
      mean, std_dev: of a numeric feature, else NaN.
      zero_share: share of values that are 0; NaN unless numeric.
      unique: number of distinct values; NaN where not measured.
      top_values: share of each frequent value among all values, most frequent
        first; empty unless a string feature.
      edges: float64 [k + 1], ascending bucket boundaries (quantiles where
        measured) of a numeric feature; empty where there are none.
      shares: float64 [k], share of the values in each bucket.
    """

    name: str
    type: str
    missing_share: float
    mean: float
    std_dev: float
    zero_share: float
    unique: float
    top_values: tuple[tuple[str, float], ...]
    edges: FloatArray
    shares: FloatArray


@dataclasses.dataclass(frozen=True, eq=False)
class DatasetStatistics:
    """What StatisticsGen measured of one split.

    Attributes:
      num_examples: number of examples.
      features: statistics by feature name.
    """

    num_examples: int
    features: Mapping[str, FeatureStatistics]


@dataclasses.dataclass(frozen=True)
class SplitAnomalies:
    """What ExampleValidator found in one split.

    Attributes:
      count: number of features with an anomaly, plus one for the dataset.
      reasons: kinds of anomaly by feature (``AnomalyInfo.Type`` names), an
        empty name for the dataset itself.
    """

    count: int
    reasons: Mapping[str, tuple[str, ...]]


@dataclasses.dataclass(frozen=True)
class SchemaSummary:
    """What a schema says of its features.

    Attributes:
      fingerprint: SHA-256 of the schema, of its text where TFX wrote it and
        nobody edited it, else of what the text says.
      types: type by feature name.
    """

    fingerprint: str
    types: Mapping[str, str]


def training_statistics(payloads: Payloads, uri: str) -> tuple[int, DatasetStatistics] | None:
    """Examples in all splits, and statistics of the one that a model is trained on.

    That is ``train``, or the largest split where there is none of that name.

    Args:
      payloads: where the files are.
      uri: of an ExampleStatistics artifact.

    Returns: None where no split can be read.
    """
    splits = {split: (dataset, name) for split, name, dataset in _datasets(payloads, uri)}
    if not splits:
        return None
    largest = max(splits, key=lambda split: (splits[split][0].num_examples, split))
    main = _described(*splits["train" if "train" in splits else largest], uri)
    total = sum(int(dataset.num_examples) for dataset, _ in splits.values())
    return None if main is None else (total, main)


def _datasets(
    payloads: Payloads, uri: str
) -> Iterator[tuple[str, str, statistics_pb2.DatasetFeatureStatistics]]:
    """Split name, file name and statistics, not yet taken out of the message."""
    from google.protobuf import message
    from tensorflow_metadata.proto.v0 import statistics_pb2

    for split, name, content in _split_files(payloads, uri, _STATISTICS_FILES):
        try:
            record = next(tfrecords(content), b"") if name == "stats_tfrecord" else content
            parsed = as_message(statistics_pb2.DatasetFeatureStatisticsList, record)
            _check_size(parsed)
        except (message.DecodeError, ValueError) as error:
            left_out(name, uri, error)
            continue
        if parsed.datasets:
            yield split, name, parsed.datasets[0]


def _described(
    dataset: statistics_pb2.DatasetFeatureStatistics, name: str, uri: str
) -> DatasetStatistics | None:
    """The statistics as values; None where a name is no text, or a type has no name."""
    try:
        return _dataset(dataset)
    except (TypeError, ValueError) as error:
        left_out(name, uri, error)
        return None


def _check_size(parsed: statistics_pb2.DatasetFeatureStatisticsList) -> None:
    if any(len(one.features) > MAX_FEATURES for one in parsed.datasets[:1]):
        raise ValueError(f"more than {MAX_FEATURES:,} features")


def anomalies(payloads: Payloads, uri: str) -> dict[str, SplitAnomalies] | None:
    """Anomalies of every split of an ExampleAnomalies artifact.

    Returns: by split name; None where no split can be read.
    """
    from google.protobuf import message, text_format
    from tensorflow_metadata.proto.v0 import anomalies_pb2

    result = {}
    for split, name, content in _split_files(payloads, uri, _ANOMALIES_FILES):
        try:
            if name.endswith(".pbtxt"):
                check_nesting(content)
                found = with_bytes(anomalies_pb2.Anomalies)()
                text_format.Parse(content, found, allow_unknown_field=True)
            else:
                found = as_message(anomalies_pb2.Anomalies, content)
            result[split] = _anomalies(found)
        except (message.DecodeError, text_format.ParseError, TypeError, ValueError) as error:  # noqa: PERF203
            left_out(name, uri, error)
    return result or None


def schema_summary(payloads: Payloads, uri: str) -> SchemaSummary | None:
    """Fingerprint and feature types of a Schema artifact; None if unreadable."""
    content = payloads.read(uri, _SCHEMA_FILE)
    summary = None if content is None else _schema(content)
    if content is not None and summary is None:
        left_out(_SCHEMA_FILE, uri, ValueError("it is no schema"))
    return summary


@functools.lru_cache(maxsize=64)
def _schema(content: bytes) -> SchemaSummary | None:
    return _schema_as_written(content) or _parsed_schema(content)


def _schema_as_written(content: bytes) -> SchemaSummary | None:
    """The summary of a schema in the layout that TFX writes; None for any other.

    Parsing text takes milliseconds, which a history has hundreds of.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    blocks = _FEATURE_BLOCK.findall(text)
    if not blocks or "#" in text or len(blocks) != len(_FEATURE_START.findall(text)):
        return None
    types = {}
    for block in blocks:
        name, kind = _FEATURE_NAME.search(block), _FEATURE_TYPE.search(block)
        if name is None or kind is None or "\\" in name.group(1):
            return None
        types[name.group(1)] = kind.group(1)
    return SchemaSummary(hashlib.sha256(content).hexdigest(), types)


def _parsed_schema(content: bytes) -> SchemaSummary | None:
    from google.protobuf import text_format
    from tensorflow_metadata.proto.v0 import schema_pb2

    schema = schema_pb2.Schema()
    try:
        check_nesting(content)
        text_format.Parse(content, schema, allow_unknown_field=True)
    except (text_format.ParseError, ValueError):
        return None
    types = {
        as_text(feature.name): enum_name(schema_pb2.FeatureType, feature.type)
        for feature in schema.feature
    }
    digest = hashlib.sha256(schema.SerializeToString(deterministic=True)).hexdigest()
    return SchemaSummary(digest, types)


def _split_files(
    payloads: Payloads, uri: str, wanted: tuple[str, ...]
) -> Iterator[tuple[str, str, bytes]]:
    """Split name, file name and content of the first wanted file of each split."""
    seen: set[str] = set()
    by_folder: dict[str, set[str]] = {}
    for path in payloads.files(uri):
        folder, _, file = path.rpartition("/")
        by_folder.setdefault(folder, set()).add(file)
    for folder in sorted(by_folder):
        name: str | None = next((name for name in wanted if name in by_folder[folder]), None)
        split = folder.removeprefix(_SPLIT_PREFIX)
        if name is None or split in seen:
            continue
        content = payloads.read(uri, f"{folder}/{name}" if folder else name)
        if content is not None:
            seen.add(split)
            yield split, name, content


def _dataset(dataset: statistics_pb2.DatasetFeatureStatistics) -> DatasetStatistics:
    features = [_feature(feature) for feature in dataset.features]
    features = [feature for feature in features if len(feature.name) <= MAX_NAME]
    return DatasetStatistics(
        int(dataset.num_examples), {feature.name: feature for feature in features}
    )


def _feature(feature: statistics_pb2.FeatureNameStatistics) -> FeatureStatistics:
    # A feature without any statistics counts as one without values.
    kind = feature.WhichOneof("stats") or "bytes_stats"
    stats = getattr(feature, kind)
    present = float(stats.common_stats.num_non_missing)
    total = present + float(stats.common_stats.num_missing)
    values = float(stats.common_stats.tot_num_values) or present
    nan = float("nan")
    numeric = kind == "num_stats" and present > 0
    edges, shares = _histogram(stats.histograms) if numeric else (_NOTHING, _NOTHING)
    counted = kind in ("string_stats", "bytes_stats")
    return FeatureStatistics(
        name=".".join(map(as_text, feature.path.step)) or as_text(feature.name),
        type=enum_name(type(feature).Type, feature.type),
        missing_share=1.0 - present / total if total else nan,
        mean=float(stats.mean) if numeric else nan,
        std_dev=float(stats.std_dev) if numeric else nan,
        zero_share=float(stats.num_zeros) / values if numeric and values else nan,
        unique=float(stats.unique) if counted else nan,
        top_values=_top_values(stats, values) if kind == "string_stats" else (),
        edges=edges,
        shares=shares,
    )


_NOTHING: FloatArray = np.zeros(0)


def _histogram(histograms: object) -> tuple[FloatArray, FloatArray]:
    """Edges and shares of the finest histogram at hand, quantiles preferred."""
    best, best_rank = None, (-1, -1)
    for histogram in histograms:  # type: ignore[attr-defined]
        rank = (int(histogram.type), len(histogram.buckets))  # QUANTILES is 1, STANDARD 0
        if histogram.buckets and rank > best_rank:
            best, best_rank = histogram, rank
    if best is None:
        return _NOTHING, _NOTHING
    edges = np.array([best.buckets[0].low_value] + [b.high_value for b in best.buckets])
    counts = np.array([b.sample_count for b in best.buckets], np.float64)
    if not np.isfinite(edges).all() or not counts.sum() > 0:
        return _NOTHING, _NOTHING
    return np.maximum.accumulate(edges), counts / counts.sum()


def _top_values(
    stats: statistics_pb2.StringStatistics, total: float
) -> tuple[tuple[str, float], ...]:
    """Value and share, from the rank histogram, which is longer, or the top values."""
    ranked = [
        (as_text(bucket.label), float(bucket.sample_count))
        for bucket in stats.rank_histogram.buckets
        if bucket.low_rank == bucket.high_rank
    ]
    counts = ranked or [(as_text(top.value), float(top.frequency)) for top in stats.top_values]
    total = max(total, sum(count for _, count in counts))
    return tuple((value, count / total) for value, count in counts) if total else ()


def _anomalies(found: Any) -> SplitAnomalies:
    reasons = {as_text(entry.key): _reasons(entry.value) for entry in found.anomaly_info}
    if found.HasField("dataset_anomaly_info"):
        reasons[""] = _reasons(found.dataset_anomaly_info)
    return SplitAnomalies(len(reasons), dict(sorted(reasons.items())))


def _reasons(info: Any) -> tuple[str, ...]:
    return tuple(sorted({enum_name(type(info).Type, one.type) for one in info.reason}))
