"""The files that an archive keeps: which, each content once, and how they are read."""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfx_graphlets.errors import ArchiveError
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.stores.archive.columns import Rewriter
from tfx_graphlets.stores.archive.format import RESTORE
from tfx_graphlets.stores.archive.tables import ArchiveTables
from tfx_graphlets.trace.trace import BoolArray, Trace


@dataclasses.dataclass(frozen=True, order=True)
class KeptFile:
    """A file to keep; ordered so that files of one kind come one after another."""

    name: str
    position: int  # of the artifact in the trace
    uri: str
    uri_in_archive: str


def kept_files(
    trace: Trace,
    chosen: BoolArray,
    payloads: Payloads,
    keep: Mapping[str, Sequence[str]],
    rewrite: Rewriter,
) -> list[KeptFile]:
    """The files of the chosen artifacts, bool [num_artifacts], that are kept."""
    found: dict[tuple[str, str], KeptFile] = {}
    patterns_of_type = [keep.get(base, ()) for base in trace.artifact_base_types]
    with_files = np.array([bool(patterns) for patterns in patterns_of_type], bool)
    if not with_files.any():
        return []
    for position in np.flatnonzero(chosen & with_files[trace.artifacts.type]).tolist():
        patterns = patterns_of_type[trace.artifacts.type[position]]
        uri = trace.artifacts.uri[position]
        if not uri:
            continue
        for name in payloads.files(uri):
            if any(fnmatch.fnmatchcase(name.rpartition("/")[2], one) for one in patterns):
                file = KeptFile(name, position, uri, rewrite(uri))
                found.setdefault((file.uri_in_archive, name), file)
    return sorted(found.values())


@dataclasses.dataclass
class Listing:
    """What an archive holds of files, to write more of them.

    Attributes:
      row_of_digest: row of payload_contents by its sha256.
      row_of_file: row of payload_contents by URI and name.
    """

    row_of_digest: dict[bytes, int] = dataclasses.field(default_factory=dict)
    row_of_file: dict[tuple[str, str], int] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(cls, tables: ArchiveTables) -> Listing:
        """Of an archive as it is."""
        result = cls()
        if not tables.manifest.counts["payloads"]:
            return result
        listed = tables.read("payloads")
        for uri, name, row in zip(*(column.to_pylist() for column in listed.columns)):
            result.row_of_file[uri, name] = row
        for row, digest in enumerate(_digests(tables)):
            result.row_of_digest.setdefault(digest, row)
        return result

    def new_contents(
        self,
        files: Sequence[KeptFile],
        payloads: Payloads,
        rewrite: Rewriter,
        rows: dict[str, list[Any]],
        progress: Callable[[int, int, str], None],
    ) -> Iterator[tuple[bytes, bytes]]:
        """Contents, with their sha256, that are not there; lists all new files in ``rows``."""
        for number, file in enumerate(files):
            progress(number, len(files), "files")
            content = payloads.read(file.uri, file.name)
            if content is None:
                continue
            if rewrite.changes:
                content = _rewritten(file.name, content, rewrite)
            digest = hashlib.sha256(content).digest()
            is_new = digest not in self.row_of_digest
            row = self.row_of_digest.setdefault(digest, len(self.row_of_digest))
            key = (file.uri_in_archive, file.name)
            if self.row_of_file.get(key) != row:
                self.row_of_file[key] = row
                for column, value in zip(rows.values(), (*key, row)):
                    column.append(value)
            if is_new:
                yield content, digest


class ArchivePayloads:
    """The kept files; contents are read when they are asked for."""

    def __init__(self, tables: ArchiveTables, check_open: Callable[[], None]) -> None:
        self._tables = tables
        self._check_open = check_open
        self._row_of_file: dict[str, dict[str, int]] = {}
        for (uri, name), row in Listing.of(tables).row_of_file.items():
            self._row_of_file.setdefault(uri, {})[name] = row
        self._portions = list(_portions(tables))
        self._begins = np.cumsum([0, *(length for _, _, length in self._portions)])
        self._last: tuple[int, Any] = (-1, None)

    def files(self, uri: str) -> tuple[str, ...]:
        """Names of the kept files below ``uri``, sorted; see ``Payloads.files``."""
        return tuple(sorted(self._row_of_file.get(uri, ())))

    def read(self, uri: str, name: str) -> bytes | None:
        """Content of a kept file; see ``Payloads.read``."""
        row = self._row_of_file.get(uri, {}).get(name)
        return None if row is None else self._content(row)

    def _content(self, row: int) -> bytes:
        portion = int(np.searchsorted(self._begins, row, "right")) - 1
        if portion != self._last[0]:
            self._last = (portion, self._read(portion))
        content: bytes = self._last[1][row - int(self._begins[portion])].as_py()
        return content

    def _read(self, portion: int) -> Any:
        import pyarrow as pa

        part, group, _ = self._portions[portion]
        self._check_open()
        self._tables.check(part)
        try:
            file = self._tables.parquet("payload_contents", part)
            return file.read_row_group(group, ["content"]).column("content").combine_chunks()
        except (pa.ArrowException, KeyError, OSError) as error:
            problem = str(error).strip().partition("\n")[0]
            raise ArchiveError(
                self._tables.name, f"its {part.file} cannot be read ({problem}); {RESTORE}"
            ) from error


def all_contents(tables: ArchiveTables) -> Iterator[tuple[bytes, bytes]]:
    """Every row of payload_contents in order, with its sha256."""
    for part, group, _ in _portions(tables):
        rows = tables.parquet("payload_contents", part).read_row_group(group, ["content"])
        for content in itertools.chain.from_iterable(
            chunk.to_pylist() for chunk in rows.column("content").chunks
        ):
            yield content, hashlib.sha256(content).digest()


def _portions(tables: ArchiveTables) -> Iterator[tuple[Any, int, int]]:
    """Part, row group and number of rows of each portion of payload_contents."""
    for part in tables.manifest.tables["payload_contents"]:
        metadata = tables.parquet("payload_contents", part).metadata
        for group in range(metadata.num_row_groups):
            yield part, group, metadata.row_group(group).num_rows


def _digests(tables: ArchiveTables) -> Collection[bytes]:
    kept = tables.read("payload_contents", ["sha256"]).column("sha256")
    if kept.null_count:  # version 1 kept none
        return [digest for _, digest in all_contents(tables)]
    digests: list[bytes] = kept.to_pylist()
    return digests


def _rewritten(name: str, content: bytes, rewrite: Rewriter) -> bytes:
    # Only these are free text: eval_config.json names the place of each model.
    if not name.endswith((".json", ".txt")):
        return content
    try:
        return rewrite(content.decode("utf-8")).encode("utf-8")
    except UnicodeDecodeError:
        return content
