"""What is no store, or not a readable one: one clear error for each."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import sys
from pathlib import Path

import pytest

from tests.stores.mlmd_files import write_store
from tests.stores.readers import needs_mlmd
from tfx_graphlets.errors import (
    ArchiveError,
    InvalidArgumentError,
    MissingDependencyError,
    NotAMetadataStoreError,
    StoreError,
    StoreNotFoundError,
    UnsupportedSchemaError,
)
from tfx_graphlets.stores.archive.store import ArchiveStore
from tfx_graphlets.stores.sql import sqlite_file
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.testing import TraceBuilder

# A SQLite file that is read by SQL and by the API has the same errors.
by_either = pytest.mark.parametrize(
    "scheme", ["", "sqlite://", pytest.param("sqlite+mlmd://", marks=needs_mlmd)]
)


def some_store(path: Path, **options: int) -> Path:
    """A sound store of some 60 kB."""
    build = TraceBuilder()
    for number in range(200):
        model = build.artifact("Model", uri=f"runs/model/{number}")
        build.execution("Trainer", outputs={"model": [model]}, run=f"r{number}", module="x" * 99)
    return write_store(path, build.raw(), **options)


def assert_one_sentence(error: Exception, path: Path) -> None:
    """The message is one line that begins with the store and says what to do."""
    text = str(error)
    assert "\n" not in text
    assert str(path) in text
    assert len(text.replace(str(path), "").strip()) > 30


@by_either
def test_a_file_that_is_not_there(scheme: str, tmp_path: Path) -> None:
    """Nothing at the path: not found, and nothing is made there."""
    path = tmp_path / "none.sqlite"
    with pytest.raises(StoreNotFoundError, match="no such file") as caught:
        open_store(f"{scheme}{path}")
    assert_one_sentence(caught.value, path)
    assert not path.exists()


@by_either
@pytest.mark.parametrize(
    "content",
    [b"", b"id,name\n1,a\n", b"SQLite format 3\0" + b"\xff" * 5_000, b"\0" * 4096],
    ids=["empty", "text", "header only", "zeros"],
)
def test_a_file_that_is_no_database(scheme: str, content: bytes, tmp_path: Path) -> None:
    """An empty file, a text or garbage is no metadata store, and stays as it is."""
    path = tmp_path / "file.sqlite"
    path.write_bytes(content)
    with pytest.raises(NotAMetadataStoreError) as caught:
        open_store(f"{scheme}{path}")
    assert_one_sentence(caught.value, path)
    assert path.read_bytes() == content


@by_either
def test_a_database_of_something_else(scheme: str, tmp_path: Path) -> None:
    """A SQLite database without MLMD's tables is named as such."""
    path = tmp_path / "other.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE Customer (id INTEGER)")
    connection.close()
    with pytest.raises(NotAMetadataStoreError, match="without the tables of ML Metadata") as caught:
        open_store(f"{scheme}{path}")
    assert_one_sentence(caught.value, path)


def test_a_store_that_lacks_a_table(tmp_path: Path) -> None:
    """The table that is missing is named."""
    path = some_store(tmp_path / "store.sqlite")
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE Event")
    connection.close()
    with pytest.raises(NotAMetadataStoreError, match="lacks the table Event"):
        open_store(path)


@by_either
@pytest.mark.parametrize(
    ("version", "rule"), [(11, "newer than 10"), (3, "older than 4"), (0, "without a version")]
)
def test_a_schema_that_is_not_read(scheme: str, version: int, rule: str, tmp_path: Path) -> None:
    """A newer or older schema is refused with its version and what to do."""
    path = some_store(tmp_path / "store.sqlite")
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE MLMDEnv SET schema_version = ?", (version,))
    connection.close()
    with pytest.raises(UnsupportedSchemaError, match=rule) as caught:
        open_store(f"{scheme}{path}")
    assert_one_sentence(caught.value, path)
    assert caught.value.schema_version == version


def test_a_store_without_a_version_table(tmp_path: Path) -> None:
    """A store of before MLMDEnv counts as too old."""
    path = some_store(tmp_path / "store.sqlite")
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE MLMDEnv")
    connection.close()
    with pytest.raises(UnsupportedSchemaError, match="without a version"):
        open_store(path)


@needs_mlmd
def test_the_api_never_migrates(tmp_path: Path) -> None:
    """A store of schema 7 is refused by way of the API, and stays as it is."""
    path = some_store(tmp_path / "store.sqlite", schema_version=7)
    content = path.read_bytes()
    with pytest.raises(UnsupportedSchemaError, match="by its path alone") as caught:
        open_store(f"sqlite+mlmd://{path}")
    assert caught.value.schema_version == 7
    assert path.read_bytes() == content


def test_the_api_is_named_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without ml-metadata a file is still read by SQL, and the error names the extra."""
    monkeypatch.setitem(sys.modules, "ml_metadata", None)
    monkeypatch.setitem(sys.modules, "ml_metadata.metadata_store", None)
    path = some_store(tmp_path / "store.sqlite")
    with open_store(path) as store:
        assert len(store.read_trace().executions) == 200
    for uri in (f"sqlite+mlmd://{path}", "mysql+mlmd://me@127.0.0.1:9/db", "grpc://127.0.0.1:9"):
        with pytest.raises(MissingDependencyError, match=r'pip install "tfx-graphlets\[mlmd\]"'):
            open_store(uri)


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_a_truncated_store(kept: float, tmp_path: Path) -> None:
    """A file that lost its end is damaged, wherever it was cut."""
    path = some_store(tmp_path / "store.sqlite")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with (
        pytest.raises(NotAMetadataStoreError, match="damaged") as caught,
        open_store(path) as store,
    ):
        store.read_trace()
    assert_one_sentence(caught.value, path)


def test_a_store_with_an_overwritten_page(tmp_path: Path) -> None:
    """Pages that were overwritten are found while reading."""
    path = some_store(tmp_path / "store.sqlite")
    content = bytearray(path.read_bytes())
    content[20_000:60_000] = b"\x55" * 40_000
    path.write_bytes(content)
    with pytest.raises(StoreError, match="damaged"), open_store(path) as store:
        store.read_trace()


def test_a_text_that_is_no_utf8(tmp_path: Path) -> None:
    """One property that is no UTF-8 does not keep the rest from being read."""
    path = some_store(tmp_path / "store.sqlite")
    with sqlite3.connect(path) as connection:
        connection.execute(
            "UPDATE ExecutionProperty SET string_value = CAST(X'ff61' AS TEXT) "
            "WHERE execution_id = 1"
        )
    connection.close()
    with open_store(path) as store:
        texts = store.read_trace().executions.properties.texts("module", 200)
    assert texts[0] == "\ufffda"
    assert texts[1] == "x" * 99


def test_a_directory_that_is_no_archive(tmp_path: Path) -> None:
    """A directory without a manifest is no store; the message names the file to give."""
    with pytest.raises(NotAMetadataStoreError, match=r"metadata\.sqlite") as caught:
        open_store(tmp_path)
    assert_one_sentence(caught.value, tmp_path)


def test_a_directory_with_another_manifest(tmp_path: Path) -> None:
    """A manifest.json of another program is not taken for an archive."""
    (tmp_path / "manifest.json").write_text('{"name": "app"}', encoding="utf-8")
    with pytest.raises(ArchiveError, match="not that of an archive") as caught:
        open_store(tmp_path)
    assert_one_sentence(caught.value, tmp_path)
    with pytest.raises(StoreNotFoundError):
        ArchiveStore(tmp_path / "none")


@pytest.mark.parametrize("uri", ["", "gs://bucket/store", "oracle://host/db"])
def test_a_name_of_no_known_form(uri: str) -> None:
    """The error lists the forms that are accepted."""
    with pytest.raises(InvalidArgumentError, match="grpc://host:port"):
        open_store(uri)


# -- files that another program is using ------------------------------------------------


def test_a_store_is_read_while_another_program_writes(tmp_path: Path) -> None:
    """An open transaction of a writer neither blocks reading nor shows what is not committed."""
    path = some_store(tmp_path / "store.sqlite")
    writer = sqlite3.connect(path, isolation_level=None, timeout=0.1)
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("DELETE FROM Execution WHERE id > 10")
    with open_store(path) as store:
        assert len(store.read_trace().executions) == 200
        writer.execute("COMMIT")  # nothing that this library holds is in the way
        assert len(store.read_trace().executions) == 10
    writer.close()


def test_a_store_that_stays_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that does not go away ends in an error that says so."""
    monkeypatch.setattr(sqlite_file, "_WAIT_SECONDS", 0.05)
    path = some_store(tmp_path / "store.sqlite")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StoreError, match="locked") as caught:
        open_store(path)
    assert_one_sentence(caught.value, path)
    writer.close()


def test_a_store_in_write_ahead_mode(tmp_path: Path) -> None:
    """With a log, what is in the log is read; without, no file is made beside the store."""
    folder = tmp_path / "folder"
    folder.mkdir()
    path = some_store(folder / "store.sqlite")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("DELETE FROM Execution WHERE id > 10")
    with open_store(path) as store:
        assert len(store.read_trace().executions) == 10
    writer.close()
    assert [file.name for file in folder.iterdir()] == ["store.sqlite"]
    with open_store(path) as store:
        assert len(store.read_trace().executions) == 10
    assert [file.name for file in folder.iterdir()] == ["store.sqlite"]


def test_a_store_whose_writer_crashed(tmp_path: Path) -> None:
    """A journal that was left behind is named, and not rolled back by reading."""
    path = some_store(tmp_path / "store.sqlite")
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA cache_size = 1")
    writer.execute("BEGIN IMMEDIATE")
    writer.execute("UPDATE ExecutionProperty SET string_value = 'y' || string_value")
    crashed = tmp_path / "crashed.sqlite"
    shutil.copyfile(path, crashed)
    shutil.copyfile(f"{path}-journal", f"{crashed}-journal")
    writer.close()
    content = crashed.read_bytes()
    with pytest.raises(StoreError, match=r"left crashed\.sqlite-journal") as caught:
        open_store(crashed)
    assert_one_sentence(caught.value, crashed)
    assert crashed.read_bytes() == content


def test_odd_file_names(tmp_path: Path) -> None:
    """Signs that mean something in a URI are part of a path like any others."""
    path = some_store(tmp_path / "a?b#c%20 ü.sqlite")
    shutil.copyfile(path, tmp_path / "a")
    with open_store(path) as store, open_store(f"sqlite://{path}") as again:
        assert store.read_trace().equals(again.read_trace())


@pytest.mark.parametrize(
    ("version", "table", "column"),
    [
        (5, "Execution", "last_known_state"), (10, "Artifact", "create_time_since_epoch"),
        (10, "ExecutionProperty", "bool_value"), (7, "Context", "create_time_since_epoch"),
    ],
)  # fmt: skip
def test_columns_that_do_not_fit_the_schema_are_refused(
    version: int, table: str, column: str, tmp_path: Path
) -> None:
    """A store that lacks a column of the version it states is not read as an older one."""
    build = TraceBuilder()
    build.execution("Trainer", run="r")
    path = write_store(tmp_path / "store.sqlite", build.raw(), schema_version=version)
    with open_store(path) as store:
        assert len(store.read_trace().executions) == 1
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
        connection.commit()
    with pytest.raises(NotAMetadataStoreError, match=f"schema {version}.*{table}.*{column}"):
        open_store(path)
