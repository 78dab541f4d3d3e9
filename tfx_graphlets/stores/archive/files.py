"""Files of an archive: written beside what is there, then a manifest takes its place."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from tfx_graphlets.errors import ArchiveError
from tfx_graphlets.files import SIGN, replaced_directory, replaced_file, synchronise
from tfx_graphlets.stores.archive import format as archive_format
from tfx_graphlets.stores.archive.format import (
    MANIFEST,
    SORTED_BY,
    TABLES,
    ArchiveFile,
    Manifest,
)
from tfx_graphlets.trace.ordering import order_of

# Rows of a row group: few enough that one pipeline's are read without most others.
_ROWS_AT_ONCE: Final = 65_536
_TABLE_LEVEL: Final = 3  # zstd; higher ones take several times as long for a few percent
_CONTENT_LEVEL: Final = 19
# Within one page zstd finds what files have in common; its window is 8 MB.
CONTENT_PAGE_BYTES: Final = 32 * 2**20
# Columns of which many rows are the same.
_ALIKE: Final = ("type", "state", "key", "name", "is_custom", "kind", "string_value", "pipeline")
_VALUES: Final = ("int_value", "double_value")
_LOOKED_UP: Final = ("pipeline", "name")
_OWN_FILE: Final = re.compile(
    rf"(?:{'|'.join(TABLES)})-[0-9a-f]{{16}}\.parquet"
    rf"|\.(?:{'|'.join(TABLES)}|{re.escape(MANIFEST)}){re.escape(SIGN)}\d+"
)


def write_table(directory: Path, table: str, content: Any) -> ArchiveFile:
    """Writes a table, in an order that depends on its rows alone.

    Args:
      directory: the archive.
      table: one of ``TABLES``, but payload_contents.
      content: a pyarrow.Table with its columns; texts may be dictionaries.

    Raises:
      OSError: it cannot be written.
    """
    schema = archive_format.arrow_schema(table)
    content = content.select(schema.names)
    order = _order(table, content)

    def write(draft: Path) -> int:
        with _parquet(
            draft,
            schema,
            compression_level=_TABLE_LEVEL,
            use_dictionary=[name for name in schema.names if name in (*_ALIKE, *_VALUES)],
            write_statistics=[name for name in _LOOKED_UP if name in schema.names],
        ) as writer:
            for start in range(0, len(content), _ROWS_AT_ONCE):
                rows = (
                    content.slice(start, _ROWS_AT_ONCE)
                    if order is None
                    else content.take(order[start : start + _ROWS_AT_ONCE])
                )
                writer.write_table(rows.cast(schema))
        return len(content)

    return _written(directory, table, write)


def write_contents(directory: Path, contents: Iterable[tuple[bytes, bytes]]) -> ArchiveFile:
    """Writes contents of files, each with its sha256, to payload_contents.

    Raises:
      OSError: it cannot be written.
    """
    import pyarrow as pa

    schema = archive_format.arrow_schema("payload_contents")

    def write(draft: Path) -> int:
        num_rows = 0
        with _parquet(
            draft,
            schema,
            compression_level=_CONTENT_LEVEL,
            use_dictionary=False,
            data_page_size=CONTENT_PAGE_BYTES,
            write_statistics=False,
        ) as writer:
            for portion in _portions(contents):
                columns = dict(zip(schema.names, map(list, zip(*portion))))
                writer.write_table(pa.table(columns, schema=schema))
                num_rows += len(portion)
        return num_rows

    return _written(directory, "payload_contents", write)


@contextlib.contextmanager
def _parquet(draft: Path, schema: Any, **options: Any) -> Iterator[Any]:
    """A writer of a Parquet file, whatever its directory is called; see pyarrow for the options."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with (
        pa.OSFile(os.fsencode(draft), "wb") as sink,  # paths as text must be UTF-8
        pq.ParquetWriter(sink, schema, compression="zstd", **options) as writer,
    ):
        yield writer


@contextlib.contextmanager
def writing(target: Path, name: str) -> Iterator[Path]:
    """Where an archive is written: in its directory, or in a draft of a new one.

    A new archive appears whole or not at all. What was written and no manifest
    names is removed in the end.

    Args:
      target: the archive.
      name: its name, for messages.

    Raises:
      ArchiveError: the target is no archive, another program is writing to
        it, or it cannot be written.
    """
    try:
        if (target / MANIFEST).is_file():
            Manifest.read(target, name)
            with locked(target, name) as is_locked:
                try:
                    yield target
                finally:
                    if is_locked:
                        remove_strays(target)
            return
        if target.exists() and not (target.is_dir() and not any(target.iterdir())):
            raise ArchiveError(
                name, "exists and is no archive; name another directory, or remove it first"
            )
        with replaced_directory(target) as draft:
            yield draft
            if (target / MANIFEST).is_file():
                raise _changed_meanwhile(name)
    except OSError as error:
        raise ArchiveError(
            name, f"cannot be written ({error}); see to rights and space, then write it again"
        ) from error


@contextlib.contextmanager
def locked(directory: Path, name: str) -> Iterator[bool]:
    """Keeps other writers out of an archive; true where the system can.

    Raises:
      ArchiveError: another program is writing to it.
    """
    try:
        import fcntl
    except ImportError:  # Windows: what is left is the check of ``commit``
        yield False
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        is_locked = True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ArchiveError(
                name, "is being written by another program; try again when it is done"
            ) from error
        except OSError:  # a file system without locks
            is_locked = False
        yield is_locked
    finally:
        os.close(handle)


def commit(directory: Path, name: str, expected: bytes | None, manifest: Manifest) -> None:
    """Puts a new manifest in place of the one that its writer began with.

    Args:
      directory: the archive; all files of the new manifest are in it.
      name: its name, for messages.
      expected: bytes of the manifest that the writer began with; None where there was none.
      manifest: the new one.

    Raises:
      ArchiveError: another writer was faster; its manifest stays.
      OSError: it cannot be written.
    """
    synchronise(directory)  # the names of the tables' files outlive a loss of power before it
    with replaced_file(directory / MANIFEST) as draft:
        draft.write_text(manifest.to_json(), encoding="utf-8")
        if manifest_bytes(directory) != expected:
            raise _changed_meanwhile(name)


def _changed_meanwhile(name: str) -> ArchiveError:
    """What the slower of two writers is told."""
    return ArchiveError(
        name,
        "was changed by another program meanwhile, and stays as that left it; write to it again",
    )


def manifest_bytes(directory: Path) -> bytes | None:
    """The manifest as it is; None where there is none."""
    try:
        return (directory / MANIFEST).read_bytes()
    except FileNotFoundError:
        return None


def remove_strays(directory: Path) -> None:
    """Removes own files that the manifest does not name; what stays goes with the next write."""
    with contextlib.suppress(OSError):
        text = (manifest_bytes(directory) or b"").decode("utf-8", "replace")
        for file in directory.iterdir():
            if _OWN_FILE.fullmatch(file.name) and f'"{file.name}"' not in text:
                file.unlink(missing_ok=True)


def _written(directory: Path, table: str, write: Callable[[Path], int]) -> ArchiveFile:
    """A file of rows that ``write`` puts there, named by its content.

    No two writers mean different files by one name, also where locks do not work.
    """
    draft = directory / f".{table}{SIGN}{os.getpid()}"
    try:
        num_rows = write(draft)
        digest = archive_format.sha256_of(draft)
        synchronise(draft)
        place = directory / f"{table}-{digest[:16]}.parquet"
        size = draft.stat().st_size
        draft.replace(place)
    finally:
        draft.unlink(missing_ok=True)
    return ArchiveFile(place.name, size, digest, num_rows)


def _order(table: str, content: Any) -> Any:
    """What sorts the rows, int64 [n]; None where they are in order."""
    if not len(content):  # pyarrow cannot combine no chunk of a dictionary
        return None
    by: list[Any] = []
    if "is_custom" in content.column_names:
        names = content.column("name").combine_chunks()
        rank = np.argsort(np.argsort(np.array(names.dictionary.to_pylist(), object)))
        by.append(np.append(rank, 0)[names.indices.to_numpy()])
    by.extend(content.column(name).to_numpy() for name in SORTED_BY.get(table, ()))
    return order_of(by) if by else None


def _portions(contents: Iterable[tuple[bytes, bytes]]) -> Iterator[list[tuple[bytes, bytes]]]:
    portion: list[tuple[bytes, bytes]] = []
    size = 0
    for row in contents:
        portion.append(row)
        size += len(row[0])
        if size > CONTENT_PAGE_BYTES:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
