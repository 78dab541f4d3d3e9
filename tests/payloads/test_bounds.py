"""Bounds: what a file of somebody else's may make of this process."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.features.memory_payloads import MemoryPayloads
from tests.strategies import deterministic
from tfx_graphlets.payloads import bounds
from tfx_graphlets.payloads.bounds import check_nesting, decompressed, parsed_json, tfrecords
from tfx_graphlets.payloads.evaluation import evaluation_metrics
from tfx_graphlets.payloads.statistics import (
    anomalies,
    schema_summary,
    training_statistics,
)
from tfx_graphlets.payloads.thresholds import thresholds_of_config
from tfx_graphlets.trace.properties import struct_to_json

DEEP = "feature { " * 5_000 + "}" * 5_000
MIB = 2**20


@deterministic
@given(st.lists(st.binary(max_size=2_000), min_size=1, max_size=3))
def test_a_gzip_file_is_what_gzip_reads(members: list[bytes]) -> None:
    """Of one member or several, up to the bound to the byte."""
    content = b"".join(map(gzip.compress, members))
    whole = gzip.decompress(content)
    assert decompressed(content) == whole
    assert decompressed(content, len(whole)) == whole
    if whole:
        with pytest.raises(ValueError, match="more than"):
            decompressed(content, len(whole) - 1)


def test_a_small_file_cannot_become_a_large_one() -> None:
    """Half a GiB of zeros, half a MiB packed, is refused without being unpacked."""
    bomb = gzip.compress(bytes(512 * MIB), 9)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="holds more than"):
            decompressed(bomb, 16 * MIB)
        assert tracemalloc.get_traced_memory()[1] < 64 * MIB
    finally:
        tracemalloc.stop()


CUT = gzip.compress(b"abc" * 99, mtime=0)[:-9]


@pytest.mark.parametrize("content", [b"\x1f\x8b", b"\x1f\x8bxxxx", CUT])
def test_a_damaged_gzip_file_is_a_value_error(content: bytes) -> None:
    """Whatever zlib says of it."""
    with pytest.raises(ValueError, match="gzip"):
        list(tfrecords(content))


def test_nesting_is_counted_before_anything_recurses() -> None:
    """Up to the bound it is read, past it refused; closing brackets in front count too."""
    ok = "[" * 100 + "]" * 100
    check_nesting(ok)
    assert parsed_json(ok) is not None
    for text in ("[" * 101 + "]" * 101, "[" * 200_000, "]" * 200 + "[" * 200):
        with pytest.raises(ValueError, match="nested"):
            check_nesting(text)
        assert parsed_json(text) is None


def test_deeply_nested_payloads_are_missing() -> None:
    """Schema, anomalies, an eval_config: each as if the file were gone."""
    nested = json.dumps({"eval_config": "x"})[:-1] + ', "a": ' + "[" * 9_999 + "]" * 9_999 + "}"
    payloads = MemoryPayloads({
        ("/schema", "schema.pbtxt"): DEEP.encode(),
        ("/anomalies", "Split-train/anomalies.pbtxt"): DEEP.encode(),
        ("/evaluation", "eval_config.json"): nested.encode(),
    })  # fmt: skip
    assert schema_summary(payloads, "/schema") is None
    assert anomalies(payloads, "/anomalies") is None
    assert evaluation_metrics(payloads, "/evaluation") is None
    assert thresholds_of_config(nested) == ()


def test_too_many_features_are_no_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one with a name past all measure is left out of the others."""
    pb2 = pytest.importorskip("tensorflow_metadata.proto.v0.statistics_pb2")
    found = pb2.DatasetFeatureStatisticsList()
    dataset = found.datasets.add(num_examples=3)
    for name in ("short", "x" * (bounds.MAX_NAME + 1)):
        dataset.features.add(name=name)
    payloads = MemoryPayloads({("/s", "Split-train/FeatureStats.pb"): found.SerializeToString()})
    read = training_statistics(payloads, "/s")
    assert read is not None
    assert list(read[1].features) == ["short"]
    monkeypatch.setattr("tfx_graphlets.payloads.statistics.MAX_FEATURES", 1)
    assert training_statistics(payloads, "/s") is None


def test_of_many_bad_files_one_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """The others of its kind are logged as information."""
    bounds._warned_of.clear()
    bad = [f"/s{number}" for number in range(140)]
    payloads = MemoryPayloads({(uri, "schema.pbtxt"): b"\xff" + uri.encode() for uri in bad})
    with caplog.at_level(logging.INFO):
        assert [schema_summary(payloads, uri) for uri in bad] == [None] * 140
    levels = [record.levelno for record in caplog.records]
    assert levels.count(logging.WARNING) == 1
    assert levels.count(logging.INFO) == 139


TIP = b"ti\xffp"


def field(number: int, *parts: bytes) -> bytes:
    """A field of a message, or of bytes."""
    content = b"".join(parts)
    return bytes([number << 3 | 2, len(content)]) + content


def test_text_that_is_no_utf8_prints_nothing(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Statistics, anomalies, metrics, a Struct: each is missing, and our own log says so once."""
    pytest.importorskip("tensorflow_metadata.proto.v0.statistics_pb2")
    bounds._warned_of.clear()
    metric = b"\x9a\x03" + field(1, field(1, field(1, TIP)), b"\x12\x0b\x0a\x09\x09" + bytes(8))[1:]
    record = struct.pack("<QI", len(metric), 0) + metric + bytes(4)
    payloads = MemoryPayloads({
        ("/s", "Split-train/FeatureStats.pb"): field(1, field(3, field(1, TIP))),
        ("/a", "Split-train/SchemaDiff.pb"): field(2, field(1, TIP), field(2)),
        ("/m", "metrics"): record,
    })  # fmt: skip
    with caplog.at_level(logging.WARNING):
        assert training_statistics(payloads, "/s") is None
        assert anomalies(payloads, "/a") is None
        assert evaluation_metrics(payloads, "/m") is None
    assert len(caplog.records) == 3
    text = base64.b64encode(field(1, field(1, TIP), field(2))).decode()
    assert struct_to_json(f"mlmd-struct::{text}") is None
    out, err = capfd.readouterr()  # a handler of absl's may write our own lines there
    assert (out, [line for line in err.splitlines() if "is left out" not in line]) == ("", [])
