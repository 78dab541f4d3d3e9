"""The files that an archive keeps: which, each content once, and how they are read."""

from __future__ import annotations

import dataclasses
import fnmatch
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfx_graphlets.errors import ArchiveError
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.stores.archive.format import RESTORE, ArchiveFile, arrow_schema
from tfx_graphlets.stores.archive.tables import ArchiveTables, arrow_table, check_whole
from tfx_graphlets.stores.archive.texts import Rewriter
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
      of_file: sha256 of the content by URI and name.
      contents: sha256 of all contents that are there.
      is_new: whether anything was added.
    """

    of_file: dict[tuple[str, str], bytes] = dataclasses.field(default_factory=dict)
    contents: set[bytes] = dataclasses.field(default_factory=set)
    is_new: bool = False

    @classmethod
    def of(cls, tables: ArchiveTables) -> Listing:
        """Of an archive as it is."""
        columns = (column.to_pylist() for column in tables.read("payloads").columns)
        result = cls({(uri, name): digest for uri, name, digest in zip(*columns)})
        digests = tables.read("payload_contents", ["sha256"]).column("sha256")
        result.contents.update(digests.to_pylist())
        return result

    def new_contents(
        self,
        files: Sequence[KeptFile],
        payloads: Payloads,
        rewrite: Rewriter,
        progress: Callable[[int, int, str], None],
    ) -> Iterator[tuple[bytes, bytes]]:
        """Contents, with their sha256, that are not there yet; all files are listed."""
        for number, file in enumerate(files):
            progress(number, len(files), "files")
            content = payloads.read(file.uri, file.name)
            if content is None:
                continue
            if rewrite.changes:
                content = _rewritten(file.name, content, rewrite)
            digest = hashlib.sha256(content).digest()
            key = (file.uri_in_archive, file.name)
            self.is_new |= self.of_file.get(key) != digest
            self.of_file[key] = digest
            if digest not in self.contents:
                self.contents.add(digest)
                yield content, digest

    def table(self) -> Any:
        """The rows of the table payloads, sorted."""
        keys = sorted(self.of_file)
        columns = {
            "uri": [uri for uri, _ in keys],
            "name": [name for _, name in keys],
            "sha256": [self.of_file[key] for key in keys],
        }
        return arrow_table("payloads", columns)


class ArchivePayloads:
    """The kept files; contents are read when they are asked for."""

    def __init__(self, tables: ArchiveTables, check_open: Callable[[], None]) -> None:
        self._tables, self._check_open = tables, check_open
        self._of_uri: dict[str, dict[str, bytes]] = {}
        for (uri, name), digest in Listing.of(tables).of_file.items():
            self._of_uri.setdefault(uri, {})[name] = digest
        self._place = {
            digest: (portion, row)
            for portion in _portions(tables)
            for row, digest in enumerate(_column(tables, portion, "sha256").to_pylist())
        }
        self._last: tuple[Any, Any] = (None, None)

    def files(self, uri: str) -> tuple[str, ...]:
        """Names of the kept files below ``uri``, sorted; see ``Payloads.files``."""
        return tuple(sorted(self._of_uri.get(uri, ())))

    def read(self, uri: str, name: str) -> bytes | None:
        """Content of a kept file; see ``Payloads.read``."""
        digest = self._of_uri.get(uri, {}).get(name)
        return None if digest is None else self._content(digest)

    def _content(self, digest: bytes) -> bytes:
        self._check_open()
        try:
            portion, row = self._place[digest]
        except KeyError:
            raise ArchiveError(
                self._tables.name, f"it lists a file of which it lacks the content; {RESTORE}"
            ) from None
        if portion != self._last[0]:
            self._tables.check(portion[0])
            self._last = (portion, _column(self._tables, portion, "content"))
        content: bytes = self._last[1][row].as_py()
        return content


def all_contents(tables: ArchiveTables) -> Iterator[tuple[bytes, bytes]]:
    """Every row of payload_contents in order, with its sha256."""
    for portion in _portions(tables):
        tables.check(portion[0])
        columns = (_column(tables, portion, name) for name in ("content", "sha256"))
        yield from ((content.as_py(), digest.as_py()) for content, digest in zip(*columns))


Portion = tuple[ArchiveFile, int]  # a file of payload_contents, and the number of a row group


def _portions(tables: ArchiveTables) -> Iterator[Portion]:
    for file in tables.manifest.tables["payload_contents"]:
        for group in range(tables.parquet("payload_contents", file).num_row_groups):
            yield file, group


def _column(tables: ArchiveTables, portion: Portion, name: str) -> Any:
    """A column of a portion, a pyarrow array."""
    file, group = portion
    with tables.naming(file.name):
        rows = tables.parquet("payload_contents", file).read_row_group(group, [name])
        kind = arrow_schema("payload_contents").field(name).type
        check_whole("payload_contents", rows)
        return rows.column(name).cast(kind).combine_chunks()


def _rewritten(name: str, content: bytes, rewrite: Rewriter) -> bytes:
    # Only these are free text: eval_config.json names the place of each model.
    if not name.endswith((".json", ".txt")):
        return content
    try:
        return rewrite(content.decode("utf-8")).encode("utf-8")
    except UnicodeDecodeError:
        return content
