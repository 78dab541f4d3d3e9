"""Analyzers: what Transform's analyzer cache names, read without loading a pickle."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from tests.features.memory_payloads import MemoryPayloads
from tfx_graphlets.payloads import analyzers as reading
from tfx_graphlets.payloads.analyzers import analyzers, vocabularies
from tfx_graphlets.stores.files import FilePayloads


def key(operation: str, scope: str, digest: bytes = b"\n\0]-\xff" * 4) -> bytes:
    """A key as tensorflow_transform makes it: version, label and a digest of any bytes."""
    return b"__v1__3.10_" + f"{operation}[{scope}]".encode() + b"-" + digest


def manifest(*keys: bytes, protocol: int = 0) -> bytes:
    """The pickle that is written beside the cache of one span."""
    return pickle.dumps({one: at for at, one in enumerate(keys)}, protocol=protocol)


def held(files: dict[str, bytes], uri: str = "cache") -> MemoryPayloads:
    """Payloads of one artifact."""
    return MemoryPayloads({(uri, name): content for name, content in files.items()})


TOKENS = key("VocabularyAccumulate", "tokens#vocabulary")
MEAN = key("CacheableCombineAccumulate", "scale_to_z_score#mean_and_var")
SECOND = key("CacheableCombineAccumulate", "scale_to_z_score_1#mean_and_var_1")
BARE = key("CacheableCombineAccumulate", "")


@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_analyzers_are_counted_by_kind(protocol: int) -> None:
    """By the innermost scope, without its number; by the operation where there is no scope."""
    content = manifest(TOKENS, MEAN, SECOND, BARE, b"else", protocol=protocol)
    found = analyzers(held({"span-1/MANIFEST": content}), "cache")
    assert found == {"CacheableCombineAccumulate": 1, "mean_and_var": 2, "vocabulary": 1}


def test_what_an_earlier_span_alone_names_is_of_an_earlier_code() -> None:
    """Its cache is carried on from run to run, with the keys that it once had."""
    files = {"a/MANIFEST": manifest(TOKENS, MEAN), "b/MANIFEST": manifest(MEAN, SECOND)}
    assert analyzers(held(files), "cache") == {"mean_and_var": 1}


def test_no_cache_and_no_analyzer_are_two_things() -> None:
    """Missing where no manifest can be read, empty where one names none."""
    assert analyzers(held({}), "cache") is None
    assert analyzers(held({"0-of-1.gz": b""}), "cache") is None
    assert analyzers(held({"MANIFEST": manifest()}), "cache") == {}


class Hostile:
    """Makes a file when it is loaded."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.path),)


def test_a_manifest_is_never_loaded(tmp_path: Path) -> None:
    """Loading this one makes a folder; its keys are read all the same."""
    content = pickle.dumps({TOKENS: Hostile(tmp_path / "made")}, protocol=0)
    assert analyzers(held({"MANIFEST": content}), "cache") == {"vocabulary": 1}
    assert not (tmp_path / "made").exists()
    pickle.loads(content)  # noqa: S301 - what this module never does
    assert (tmp_path / "made").exists()


def test_a_damaged_or_large_manifest_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As any payload that cannot be read; another span's still counts."""
    whole = manifest(MEAN, SECOND)
    long_number = b"L" + b"9" * 100_000 + b"L\n."
    for content in (b"", b"\xff\xff", whole[:-9], long_number, bytes(2**20 + 1)):
        assert analyzers(held({"MANIFEST": content}), "cache") is None, content[:9]
        both = {"a/MANIFEST": content, "b/MANIFEST": whole}
        assert analyzers(held(both), "cache") == {"mean_and_var": 2}
    monkeypatch.setattr(reading, "MAX_FEATURES", 1)
    assert analyzers(held({"MANIFEST": whole}), "cache") is None


def test_vocabularies_are_the_assets_of_the_graph(tmp_path: Path) -> None:
    """None where the folder is gone."""
    assets = tmp_path / "graph" / "transform_fn" / "assets"
    assets.mkdir(parents=True)
    (assets.parent / "saved_model.pb").touch()
    payloads = FilePayloads(tmp_path)
    assert vocabularies(payloads, "graph") == 0
    (assets / "tokens").touch()
    assert vocabularies(payloads, "graph") == 1
    assert vocabularies(payloads, "gone") is None
