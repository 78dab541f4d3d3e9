"""Files of an archive: parts are written beside what is there, then a manifest takes its place."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tfx_graphlets.errors import ArchiveError
from tfx_graphlets.stores.archive import format as archive_format
from tfx_graphlets.stores.archive.format import MANIFEST, TABLES, Manifest, Part, ranges_of
from tfx_graphlets.trace.ordering import order_of
from tfx_graphlets.trace.trace import IntArray

TEMPORARY: Final = ".new"

# Rows of a row group: few enough that one pipeline's are read without most others.
_ROWS_AT_ONCE: Final = 65_536
_TABLE_LEVEL: Final = 3  # zstd; higher ones take several times as long for a few percent
_CONTENT_LEVEL: Final = 19
# Within one page zstd finds what files have in common; its window is 8 MB.
CONTENT_PAGE_BYTES: Final = 32 * 2**20
_UNLIKE: Final = frozenset(
    {  # columns of which few rows are the same
        "id",
        "create_ms",
        "update_ms",
        "uri",
        "execution",
        "artifact",
        "context",
        "time_ms",
        "owner",
        "digest",
        "content",
        "sha256",
    }
)
_LOOKED_UP: Final = ("pipeline", "name")
_EXCHANGE: Final = 2  # RENAME_EXCHANGE of renameat2(2)
_AT_WORKING_DIRECTORY: Final = -100  # AT_FDCWD
_OWN_FILE: Final = re.compile(
    rf"(?:{'|'.join(TABLES)})(?:(?:-\d+(?:-[0-9a-f]{{8}})?)?\.parquet|-\d+\.\d+{re.escape(TEMPORARY)})"
    rf"|{re.escape(MANIFEST + TEMPORARY)}"
)


class PartFiles:
    """The parts that one write makes; no manifest names them until it is committed.

    Attributes:
      files: names of those that are there.
    """

    def __init__(self, directory: Path, generation: int) -> None:
        """States where parts go.

        Args:
          directory: the archive.
          generation: the number of the write.
        """
        self._directory, self._generation = directory, generation
        self.files: list[str] = []

    def write(self, table: str, content: Any, *, replaced: int = 0) -> Part:
        """Writes rows, sorted by name of property, then by pipeline.

        Args:
          table: one of ``TABLES``, but payload_contents.
          content: a pyarrow.Table with its columns; texts may be dictionaries.
          replaced: see ``Part``.
        """
        import pyarrow.parquet as pq

        schema = archive_format.arrow_schema(table)
        content = content.select(schema.names)
        order = _order(content)
        columns = set(schema.names)
        temporary = self._temporary(table)
        with pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            compression_level=_TABLE_LEVEL,
            use_dictionary=[name for name in schema.names if name not in _UNLIKE],
            write_statistics=[name for name in _LOOKED_UP if name in columns],
        ) as writer:
            for start in range(0, len(content), _ROWS_AT_ONCE):
                rows = (
                    content.slice(start, _ROWS_AT_ONCE)
                    if order is None
                    else content.take(order[start : start + _ROWS_AT_ONCE])
                )
                writer.write_table(rows.cast(schema))
        ranges = None
        if "pipeline" in columns:
            ranges = ranges_of(np.unique(content.column("pipeline").to_numpy()).tolist())
        part = self._placed(table, temporary, len(content))
        return dataclasses.replace(part, replaced=replaced, pipelines=ranges)

    def write_contents(self, contents: Iterable[tuple[bytes, bytes]]) -> Part:
        """Writes contents of files, each with its sha256, to payload_contents."""
        import pyarrow.parquet as pq

        schema = archive_format.arrow_schema("payload_contents")
        num_rows = 0
        temporary = self._temporary("payload_contents")
        with pq.ParquetWriter(
            temporary,
            schema,
            compression="zstd",
            compression_level=_CONTENT_LEVEL,
            use_dictionary=False,
            data_page_size=CONTENT_PAGE_BYTES,
            write_statistics=False,
        ) as writer:
            waiting: list[tuple[bytes, bytes]] = []
            size = 0
            for row in contents:
                waiting.append(row)
                size += len(row[0])
                if size > CONTENT_PAGE_BYTES:
                    num_rows += _write_contents(writer, waiting, schema)
                    size = 0
            num_rows += _write_contents(writer, waiting, schema)
        return self._placed("payload_contents", temporary, num_rows)

    def take_back(self) -> None:
        """Removes the parts of a write that failed, but for those that a manifest names."""
        manifest = (self._directory / MANIFEST).read_text(encoding="utf-8")
        for file in self.files:
            if f'"{file}"' not in manifest:
                with contextlib.suppress(OSError):
                    (self._directory / file).unlink(missing_ok=True)

    def _temporary(self, table: str) -> Path:
        # Where locks do not work, another process may write the same part.
        name = f"{table}-{self._generation:06}.{os.getpid()}{TEMPORARY}"
        self.files.append(name)
        return self._directory / name

    def _placed(self, table: str, temporary: Path, num_rows: int) -> Part:
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        digest = archive_format.sha256_of(temporary)
        # Named by its content too: no two writers mean different parts by one name.
        number = f"-{self._generation:06}-{digest[:8]}" if self._generation else ""
        place = temporary.with_name(f"{table}{number}.parquet")
        self.files.append(place.name)
        temporary.replace(place)
        return Part(place.name, digest, num_rows, self._generation)


@contextlib.contextmanager
def locked(directory: Path, name: str) -> Iterator[None]:
    """Keeps other writers out of an archive, where the system can.

    Raises:
      ArchiveError: another program is writing to it.
    """
    try:
        import fcntl
    except ImportError:  # Windows: what is left is the check of ``commit``
        yield
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ArchiveError(
                name, "is being written by another program; try again when it is done"
            ) from error
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)


def commit(directory: Path, name: str, expected: bytes, manifest: Manifest) -> None:
    """Puts a new manifest in place of the one that its writer began with.

    Args:
      directory: the archive; all parts of the new manifest are in it.
      name: its name, for messages.
      expected: bytes of the manifest that the writer began with.
      manifest: the new one.

    Raises:
      ArchiveError: another writer was faster; its manifest stays.
    """
    temporary = directory / (MANIFEST + TEMPORARY)
    with temporary.open("w", encoding="utf-8") as file:
        file.write(manifest.to_json())
        file.flush()
        os.fsync(file.fileno())
    if (directory / MANIFEST).read_bytes() != expected:
        raise ArchiveError(
            name,
            "was changed by another program meanwhile, and stays as that left it; "
            "write to it again",
        )
    temporary.replace(directory / MANIFEST)
    _sync(directory)


def remove_strays(directory: Path, *manifests: Manifest) -> None:
    """Removes what earlier writes left behind: own files that no manifest names."""
    named = {part.file for one in manifests for parts in one.tables.values() for part in parts} | {
        MANIFEST
    }
    for file in sorted(directory.iterdir()):
        if file.name not in named and _OWN_FILE.fullmatch(file.name):
            file.unlink(missing_ok=True)


def put_in_place(new: Path, target: Path) -> None:
    """Renames ``new`` to ``target``; what was there takes the place of ``new``."""
    if not target.exists():
        new.rename(target)
    elif not exchange(new, target):
        # Between these two there is no archive; only where the system cannot
        # exchange two directories.
        old = new.with_name(new.name + ".old")
        target.rename(old)
        new.rename(target)


def exchange(one: Path, other: Path) -> bool:
    """Exchanges two directories in one step; False where the system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    names = (os.fsencode(one), os.fsencode(other))
    result: int = library.renameat2(
        _AT_WORKING_DIRECTORY, names[0], _AT_WORKING_DIRECTORY, names[1], _EXCHANGE
    )
    return result == 0


def _order(content: Any) -> IntArray | None:
    by: list[Any] = []
    if "is_custom" in content.column_names:
        names = content.column("name").combine_chunks().dictionary_encode()
        if hasattr(names, "chunks"):
            names = names.chunk(0) if names.num_chunks else None
        if names is not None:
            rank = np.argsort(np.argsort(np.array(names.dictionary.to_pylist(), object)))
            by.append(rank[names.indices.to_numpy()])
    if "pipeline" in content.column_names:
        by.append(content.column("pipeline").to_numpy())
    return order_of(by) if by else None


def _write_contents(writer: Any, waiting: list[tuple[bytes, bytes]], schema: Any) -> int:
    import pyarrow as pa

    if waiting:
        contents: Sequence[bytes] = [content for content, _ in waiting]
        columns: Mapping[str, Sequence[bytes]] = {
            "content": contents,
            "sha256": [digest for _, digest in waiting],
        }
        writer.write_table(pa.table(columns, schema=schema))
    count = len(waiting)
    waiting.clear()
    return count


def _sync(directory: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
