"""Decoders of what StatisticsGen, ExampleValidator and SchemaGen wrote."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.corpus import needs_corpus, real_runs
from tests.features.memory_payloads import MemoryPayloads, anomalies, schema, statistics, tfrecord
from tfx_graphlets.payloads import statistics as payload
from tfx_graphlets.payloads.statistics import NoPayloads, Payloads, SchemaSummary
from tfx_graphlets.stores.store import open_store


def files(**content: bytes) -> MemoryPayloads:
    """Payloads of the URI ``u``; ``__`` in a name stands for a slash, ``_pb`` for its suffix."""
    names = {name.replace("__", "/").replace("_pb", ".pb"): c for name, c in content.items()}
    return MemoryPayloads({("u", name): c for name, c in names.items()})


def at(name: str, content: bytes) -> MemoryPayloads:
    """Payloads with one file at the URI ``u``."""
    return MemoryPayloads({("u", name): content})


CONTENT = statistics(
    examples=200, numbers={"x": (0.0, 1.0, 2.0)}, words={"w": {"a": 60, "b": 40}},
    missing={"x": 50, "w": 100},
)  # fmt: skip


def test_statistics_are_plain_values() -> None:
    """Examples, missing share, moments, buckets and values of a split."""
    found = payload.training_statistics(at("Split-train/FeatureStats.pb", CONTENT), "u")
    assert found is not None
    total, train = found
    number, word = train.features["x"], train.features["w"]
    assert (total, train.num_examples) == (200, 200)
    assert (number.type, number.missing_share, number.mean) == ("FLOAT", 0.25, 1.0)
    assert number.edges.tolist() == [0.0, 1.0, 2.0]
    assert number.shares.tolist() == [0.5, 0.5]
    assert number.top_values == ()
    assert (word.type, word.missing_share, word.unique) == ("STRING", 0.5, 2.0)
    assert word.top_values == (("a", 0.6), ("b", 0.4))
    assert word.mean != word.mean  # missing


@pytest.mark.parametrize(
    "name",
    ["Split-train/FeatureStats.pb", "train/FeatureStats.pb", "train/stats_tfrecord"],
)
def test_every_layout_that_tfx_wrote_is_read(name: str) -> None:
    """Folder and file names of newer and older TFX."""
    content = tfrecord(CONTENT) if name.endswith("tfrecord") else CONTENT
    found = payload.training_statistics(at(name, content), "u")
    assert found is not None
    assert found[1].num_examples == 200


def test_the_training_split_is_the_one_of_that_name() -> None:
    """``train`` though another is larger; the largest where there is none of that name."""
    small, large = statistics(examples=1), statistics(examples=9)
    both = files(**{"Split-train__FeatureStats_pb": small, "Split-eval__FeatureStats_pb": large})
    found = payload.training_statistics(both, "u")
    assert found is not None
    assert (found[0], found[1].num_examples) == (10, 1)
    other = files(**{"Split-a__FeatureStats_pb": small, "Split-b__FeatureStats_pb": large})
    found = payload.training_statistics(other, "u")
    assert found is not None
    assert (found[0], found[1].num_examples) == (10, 9)


def test_anomalies_are_counted_by_feature() -> None:
    """Two features with an anomaly, with the kind of each."""
    found = payload.anomalies(at("Split-eval/SchemaDiff.pb", anomalies("b", "a")), "u")
    assert found is not None
    assert found["eval"].count == 2
    assert found["eval"].reasons == {
        "a": ("SCHEMA_MISSING_COLUMN",), "b": ("SCHEMA_MISSING_COLUMN",),
    }  # fmt: skip


def test_no_anomalies_are_zero_and_not_missing() -> None:
    """An empty SchemaDiff.pb says that all is well."""
    found = payload.anomalies(at("Split-eval/SchemaDiff.pb", b""), "u")
    assert found is not None
    assert found["eval"].count == 0


def test_anomalies_of_an_older_tfx_are_text() -> None:
    """``anomalies.pbtxt`` of a split is parsed."""
    text = (
        b'anomaly_info { key: "x" value { reason { type: ENUM_TYPE_UNEXPECTED_STRING_VALUES } } }'
    )
    found = payload.anomalies(at("train/anomalies.pbtxt", text), "u")
    assert found is not None
    assert found["train"].reasons == {"x": ("ENUM_TYPE_UNEXPECTED_STRING_VALUES",)}


def test_a_schema_is_told_from_another() -> None:
    """Types by feature; the fingerprint changes with the schema and not without."""
    first, again, other = (
        payload.schema_summary(at("schema.pbtxt", content), "u")
        for content in (schema(a="INT", b="BYTES"), schema(a="INT", b="BYTES"), schema(a="INT"))
    )
    assert first is not None
    assert other is not None
    assert first.types == {"a": "INT", "b": "BYTES"}
    assert first == again
    assert first.fingerprint != other.fingerprint


def test_an_edited_schema_is_parsed() -> None:
    """Comments and another layout change nothing of what a schema says."""
    tidy = b'feature { name: "a" type: INT }  # the id\nfeature { name: "b" type: FLOAT }'
    spread = b'feature:\n{ name: "a"\n type: INT }\n\n\nfeature: { type: FLOAT name: "b" }'
    found = [payload.schema_summary(at("schema.pbtxt", text), "u") for text in (tidy, spread)]
    assert found[0] == found[1]
    assert found[0] is not None
    assert found[0].types == {"a": "INT", "b": "FLOAT"}


def test_a_nested_feature_is_no_feature_of_its_own() -> None:
    """Features of a struct domain stand inside the feature that has it."""
    text = (
        b'feature {\n  name: "s"\n  type: STRUCT\n  struct_domain {\n    feature {\n'
        b'      name: "inner"\n      type: INT\n    }\n  }\n}\n'
    )
    found = payload.schema_summary(at("schema.pbtxt", text), "u")
    assert found is not None
    assert found.types == {"s": "STRUCT"}


@needs_corpus
@pytest.mark.parametrize("store", real_runs(), ids=lambda path: path.parent.name)
def test_both_ways_to_read_a_schema_agree(store: Path) -> None:
    """On every recorded schema the reader of TFX's layout finds what the parser finds."""
    with open_store(store) as opened:
        payloads: Payloads = opened.payloads
        uris = sorted({uri for uri in opened.read_trace().artifacts.uri if "/schema/" in uri})
        contents = {payloads.read(uri, "schema.pbtxt") for uri in uris}
    for content in filter(None, contents):
        quick, parsed = payload._schema_as_written(content), payload._parsed_schema(content)
        assert isinstance(quick, SchemaSummary)
        assert parsed is not None
        assert quick.types == parsed.types


@pytest.mark.parametrize(
    ("decode", "name"),
    [
        (payload.training_statistics, "Split-train/FeatureStats.pb"),
        (payload.training_statistics, "train/stats_tfrecord"),
        (payload.anomalies, "Split-train/SchemaDiff.pb"),
        (payload.anomalies, "anomalies.pbtxt"),
        (payload.schema_summary, "schema.pbtxt"),
    ],
)
@pytest.mark.parametrize("content", [b"\xff\xfe nothing of the kind", CONTENT[:-7] + b"\xff"])
def test_what_cannot_be_decoded_is_missing(decode, name: str, content: bytes) -> None:  # type: ignore[no-untyped-def]
    """Garbage and a file that was cut off give None and no error."""
    assert decode(at(name, content), "u") is None


def test_what_is_gone_is_missing() -> None:
    """Without files every decoder answers None."""
    for decode in (payload.training_statistics, payload.anomalies, payload.schema_summary):
        assert decode(NoPayloads(), "anywhere") is None


def test_one_broken_split_does_not_take_the_others_along() -> None:
    """The split that can be read is there."""
    split = files(
        **{"Split-eval__FeatureStats_pb": b"\xff", "Split-train__FeatureStats_pb": CONTENT}
    )
    found = payload.training_statistics(split, "u")
    assert found is not None
    assert (found[0], found[1].num_examples) == (200, 200)


def test_tfrecords_are_read_plain_and_packed() -> None:
    """Each record once, in order, also from a gzip file."""
    content = tfrecord(b"one", b"", b"three")
    assert list(payload.tfrecords(content)) == [b"one", b"", b"three"]
    assert list(payload.tfrecords(gzip.compress(content))) == [b"one", b"", b"three"]
    assert list(payload.tfrecords(b"")) == []


@pytest.mark.parametrize("cut", [1, 5, 11, 13, 18])
def test_a_tfrecord_file_that_is_cut_off_is_an_error(cut: int) -> None:
    """Wherever the file ends early, the reader says so and returns no half record."""
    with pytest.raises(ValueError, match="cut off"):
        list(payload.tfrecords(tfrecord(b"record")[:cut]))
    with pytest.raises(ValueError, match="gzip"):
        list(payload.tfrecords(gzip.compress(tfrecord(b"record"))[: 10 + cut]))
