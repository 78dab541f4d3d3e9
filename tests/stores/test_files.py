"""Files below artifact URIs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.stores.mlmd_files import write_store
from tests.stores.readers import needs_mlmd
from tfx_graphlets.stores import files as payloads
from tfx_graphlets.stores.files import FilePayloads, FsspecPayloads
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.testing import TraceBuilder

URI = "runs/StatisticsGen/statistics/3"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A store's folder with the files of one artifact."""
    for name, content in (("Split-train/FeatureStats.pb", b"train"), ("schema.pbtxt", b"schema")):
        file = tmp_path / URI / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return tmp_path


def test_a_relative_uri_is_relative_to_the_root(root: Path) -> None:
    """Names are relative to the URI and sorted; contents are bytes."""
    files = FilePayloads(root)
    assert files.files(URI) == ("Split-train/FeatureStats.pb", "schema.pbtxt")
    assert files.read(URI, "Split-train/FeatureStats.pb") == b"train"


def test_every_spelling_of_a_place_is_found(root: Path) -> None:
    """Absolute, file://, with a trailing slash, percent-encoded and with backslashes."""
    (root / "with space").mkdir()
    (root / "with space" / "a.txt").write_bytes(b"a")
    files = FilePayloads(root)
    for uri in (
        f"{root}/{URI}", f"file://{root}/{URI}", f"file://localhost{root}/{URI}", f"{URI}/",
        URI.replace("/", "\\"),
    ):  # fmt: skip
        assert files.read(uri, "schema.pbtxt") == b"schema"
        assert len(files.files(uri)) == 2
    assert files.read(f"file://{root}/with%20space", "a.txt") == b"a"
    assert files.read("with space", "a.txt") == b"a"


def test_a_uri_may_be_a_file(root: Path) -> None:
    """An artifact whose URI names a file has that file, under its own name."""
    files = FilePayloads(root)
    uri = f"{URI}/schema.pbtxt"
    assert files.files(uri) == ("schema.pbtxt",)
    assert files.read(uri, "schema.pbtxt") == b"schema"
    assert files.read(uri, "other") is None


@pytest.mark.parametrize(
    "uri",
    ["", "gone", "C:\\Users\\me\\root\\1", "\0", "x" * 5_000, "gs://bucket/runs/1", "file://"],
)
def test_what_is_gone_is_missing(uri: str, root: Path) -> None:
    """A place that is not there, or cannot be, has no files and no contents; no error."""
    files = FilePayloads(root)
    assert files.files(uri) == ()
    assert files.read(uri, "schema.pbtxt") is None


def test_without_a_root_relative_uris_lead_nowhere(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The working directory does not count; absolute URIs do."""
    monkeypatch.chdir(root)
    files = FilePayloads(None)
    assert files.files(URI) == ()
    assert files.read(f"{root}/{URI}", "schema.pbtxt") == b"schema"


def test_what_is_too_large_is_missing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file over the bound is not read, and no more names are listed than the bound."""
    monkeypatch.setattr(payloads, "MAX_BYTES", 5)
    monkeypatch.setattr(payloads, "MAX_FILES", 1)
    files = FilePayloads(root)
    assert files.read(URI, "schema.pbtxt") is None
    assert files.read(URI, "Split-train/FeatureStats.pb") == b"train"
    assert files.files(URI) == ("schema.pbtxt",)


@pytest.mark.parametrize("scheme", ["", pytest.param("sqlite+mlmd://", marks=needs_mlmd)])
def test_a_store_finds_the_files_beside_it(scheme: str, root: Path) -> None:
    """Relative URIs of a SQLite store are relative to its folder, whoever reads it."""
    build = TraceBuilder()
    build.execution("Gen", outputs={"o": [build.artifact("Schema", uri=URI)]}, run="r")
    path = write_store(root / "store.sqlite", build.raw())
    with open_store(f"{scheme}{path}") as store:
        (uri,) = store.read_trace().artifacts.uri
        assert store.payloads.read(uri, "schema.pbtxt") == b"schema"


@needs_mlmd
def test_an_open_connection_finds_the_files_beside_it(root: Path) -> None:
    """So does a store that a TFX driver hands over; another root may be given."""
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    from tfx_graphlets.stores.mlmd.store import MlmdStore

    build = TraceBuilder()
    build.execution("Gen", outputs={"o": [build.artifact("Schema", uri=URI)]}, run="r")
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(write_store(root / "store.sqlite", build.raw()))
    connection = metadata_store.MetadataStore(config)
    with MlmdStore.from_store(connection, "the runner's") as store:
        assert store.name == "the runner's"
        assert store.read_trace().artifacts.uri == (URI,)
        assert store.payloads.read(URI, "schema.pbtxt") == b"schema"
    moved = MlmdStore.from_store(connection, "the runner's", payload_root=root / "runs")
    assert moved.payloads.files(URI) == ()
    assert len(moved.payloads.files(URI.partition("/")[2])) == 2


class Bucket:
    """Stands in for fsspec's module ``core`` and a file system of it."""

    def __init__(self) -> None:
        self.content = {"bucket/runs/1/a/b.pb": b"b", "bucket/runs/1/c.json": b"c"}

    def url_to_fs(self, uri: str) -> tuple[Bucket, str]:
        """The file system and the path of a URL."""
        if "secret" in uri:
            raise PermissionError(uri)
        return self, uri.partition("://")[2]

    def find(self, path: str) -> list[str]:
        """All files below a path."""
        return [name for name in self.content if name.startswith(path)]

    def isfile(self, path: str) -> bool:
        """Whether there is such a file."""
        return path in self.content

    def size(self, path: str) -> int:
        """Bytes of a file."""
        return len(self.content[path])

    def cat_file(self, path: str) -> bytes:
        """Content of a file."""
        return self.content[path]


def test_remote_files_are_read_through_fsspec(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With fsspec a bucket's files are there; what it refuses is missing."""
    monkeypatch.setitem(sys.modules, "fsspec", Bucket())
    monkeypatch.setitem(sys.modules, "fsspec.core", Bucket())
    files = FilePayloads(root)
    assert files.files("gs://bucket/runs/1") == ("a/b.pb", "c.json")
    assert files.read("gs://bucket/runs/1/", "a/b.pb") == b"b"
    assert files.files("gs://bucket/runs/1/c.json") == ("c.json",)
    assert files.read("gs://bucket/runs/1/c.json", "c.json") == b"c"
    assert files.read("gs://bucket/runs/1", "none") is None
    assert FsspecPayloads().files("gs://secret/x") == ()


def test_a_driver_that_is_not_installed_is_looked_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of each scheme the first URI asks fsspec; all are missing, other schemes are not."""
    asked = []

    class Driverless(Bucket):
        def url_to_fs(self, uri: str) -> tuple[Bucket, str]:
            asked.append(uri)
            if uri.startswith("gs://"):
                raise ImportError("Please install gcsfs to access Google Storage")
            return super().url_to_fs(uri)

    monkeypatch.setitem(sys.modules, "fsspec", Driverless())
    monkeypatch.setitem(sys.modules, "fsspec.core", Driverless())
    remote = FsspecPayloads()
    assert remote.files("gs://bucket/runs/1") == ()
    assert remote.read("gs://bucket/runs/1", "c.json") is None
    assert not remote.may_hold("GS://bucket/runs/2")
    assert remote.files("s3://bucket/runs/1") == ("a/b.pb", "c.json")
    assert remote.files("s3://secret/runs") == ()
    assert remote.files("s3://bucket/runs/1/c.json") == ("c.json",)
    assert [uri.partition(":")[0] for uri in asked] == ["gs", "s3", "s3", "s3"]
    assert FsspecPayloads().files("gs://bucket/runs/1") == ()
    assert len(asked) == 5


def test_somebody_else_may_read_remote_files(root: Path) -> None:
    """``remote`` is asked for every URI with another scheme, and for no local one."""

    class Remote:
        def files(self, uri: str) -> tuple[str, ...]:
            return (uri,)

        def read(self, uri: str, name: str) -> bytes | None:
            return f"{uri}/{name}".encode()

    files = FilePayloads(root, remote=Remote())
    assert files.files("hdfs://host/x") == ("hdfs://host/x",)
    assert files.read("s3://bucket/x", "name") == b"s3://bucket/x/name"
    assert files.read(URI, "schema.pbtxt") == b"schema"
