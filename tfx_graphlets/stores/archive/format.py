"""The archive format: a manifest and Parquet tables in one directory.

``manifest.json`` names the tables, each with its parts: files that are never
changed once they are written. A later write appends parts and renames a new
manifest into place. Of an execution or an artifact that several parts hold,
the last part's row and properties count; rows of the other tables add up. Ids
are those of the store. Values that repeat are dictionary-encoded, all is
compressed by zstd.

Version 2 added the columns ``pipeline``, ``digest`` and ``sha256``, and that a
table may have several parts; version 1 is read, and appended to, as it is.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Union

from tfx_graphlets.errors import ArchiveError
from tfx_graphlets.stores.archive.mark import Mark
from tfx_graphlets.vocabulary import ArtifactType

MANIFEST: Final = "manifest.json"
FORMAT: Final = "tfx-graphlets archive"
FORMAT_VERSION: Final = 2
RESTORE: Final = "restore the archive from a copy, or write it again"

# Table: column -> Arrow type.
# ``pipeline``: position in ``Manifest.pipelines`` of the only pipeline that has
# a use for the row, ALWAYS_READ where there is none or there are several.
# ``digest``: of a node's row and properties, to tell whether it changed.
# ``content`` of payloads: a row number of payload_contents.
_PROPERTY_COLUMNS: Final = {
    "owner": "int64",
    "name": "string",
    "is_custom": "bool",
    "kind": "int8",
    "int_value": "int64",
    "double_value": "float64",
    "string_value": "string",
    "pipeline": "int32",
}
TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "executions": {
        "id": "int64",
        "type": "string",
        "state": "int8",
        "create_ms": "int64",
        "update_ms": "int64",
        "pipeline": "int32",
        "digest": "int64",
    },
    "artifacts": {
        "id": "int64",
        "type": "string",
        "state": "int8",
        "create_ms": "int64",
        "update_ms": "int64",
        "uri": "string",
        "pipeline": "int32",
        "digest": "int64",
    },
    "events": {
        "execution": "int64",
        "artifact": "int64",
        "type": "int8",
        "key": "string",
        "time_ms": "int64",
        "pipeline": "int32",
    },
    "contexts": {
        "id": "int64",
        "type": "string",
        "name": "string",
        "create_ms": "int64",
        "pipeline": "int32",
    },
    "associations": {"context": "int64", "execution": "int64", "pipeline": "int32"},
    "attributions": {"context": "int64", "artifact": "int64", "pipeline": "int32"},
    "execution_properties": _PROPERTY_COLUMNS,
    "artifact_properties": _PROPERTY_COLUMNS,
    "payloads": {"uri": "string", "name": "string", "content": "int64"},
    "payload_contents": {"content": "large_binary", "sha256": "binary"},
}
ADDED_COLUMNS: Final = frozenset({"pipeline", "digest", "sha256"})  # null in version 1
ALWAYS_READ: Final = -1
NODE_TABLES: Final = {
    "executions": "executions",
    "execution_properties": "executions",
    "artifacts": "artifacts",
    "artifact_properties": "artifacts",
}

# Patterns of the file names that are kept, by the artifact type's last part:
# what features read. Models, examples, plots and attributions are not kept.
KEPT_PAYLOADS: Final[Mapping[str, tuple[str, ...]]] = {
    ArtifactType.EXAMPLE_STATISTICS: ("FeatureStats.pb", "stats_tfrecord"),
    ArtifactType.EXAMPLE_ANOMALIES: ("SchemaDiff.pb", "anomalies.pbtxt"),
    ArtifactType.SCHEMA: ("schema.pbtxt",),
    ArtifactType.MODEL_EVALUATION: ("metrics*", "validations*", "eval_config.json"),
    ArtifactType.HYPER_PARAMETERS: ("*.txt", "*.json"),
}

Ranges = tuple[tuple[int, int], ...]


@dataclasses.dataclass(frozen=True)
class Part:
    """One file of a table.

    Attributes:
      file: its name in the directory.
      sha256: of its bytes, hexadecimal.
      num_rows: rows in it.
      generation: which write appended it, 0 for the first.
      replaced: number of its executions or artifacts that an earlier part
        holds too; 0 in other tables.
      pipelines: positions in ``Manifest.pipelines`` that its rows name, as
        ranges (first, last), ALWAYS_READ among them; None where it says none.
    """

    file: str
    sha256: str
    num_rows: int
    generation: int = 0
    replaced: int = 0
    pipelines: Union[Ranges, None] = None


@dataclasses.dataclass(frozen=True)
class ArchivedPipeline:
    """A pipeline of an archive.

    Attributes:
      name: name of its context; empty for executions that stand in none.
      executions: number of its executions.
      digest: another one whenever rows of it were added or replaced.
    """

    name: str
    executions: int
    digest: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What an archive says of itself.

    Attributes:
      library_version: release of tfx_graphlets that wrote it last.
      created_ms: when it was first written, milliseconds since the epoch.
      source: the store it was made from: no path, no credentials.
      dropped_events: ``Trace.events.dropped`` of the store.
      tables: parts of each table of ``TABLES``, the oldest first.
      updated_ms: when it was written last, milliseconds since the epoch.
      selection: the one pipeline that is archived; None for the whole store.
      scrubbed: whether secrets were taken out of texts.
      pipelines: the pipelines; their order never changes.
      by_pipeline: whether the column ``pipeline`` tells what a pipeline needs.
      mark: up to where the store was read; None where that is not known.
    """

    library_version: str
    created_ms: int
    source: str
    dropped_events: int
    tables: Mapping[str, tuple[Part, ...]]
    updated_ms: int = 0
    selection: Union[str, None] = None
    scrubbed: bool = True
    pipelines: tuple[ArchivedPipeline, ...] = ()
    by_pipeline: bool = False
    mark: Union[Mark, None] = None

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of rows per table, each execution and artifact once.

        Properties that a later part replaces are still counted.
        """
        return {
            name: sum(part.num_rows - part.replaced for part in parts)
            for name, parts in self.tables.items()
        }

    @property
    def generation(self) -> int:
        """Number of the last write that appended something, 0 for the first."""
        return max((part.generation for parts in self.tables.values() for part in parts), default=0)

    def changed_pipelines(self, since: Manifest) -> frozenset[str]:
        """Names of the pipelines of which rows were added or replaced.

        Args:
          since: an earlier manifest of the same archive; of another archive,
            all are changed.

        Returns:
          Names; the empty name stands for executions in no pipeline.
        """
        then = {pipeline.name: pipeline.digest for pipeline in since.pipelines}
        return frozenset(
            pipeline.name
            for pipeline in self.pipelines
            if then.get(pipeline.name) != pipeline.digest
        )

    def __str__(self) -> str:
        counts = self.counts
        return (
            f"Archive of {self.source or 'a store'}: {counts['executions']} executions, "
            f"{counts['artifacts']} artifacts, {counts['payloads']} files"
        )

    def to_json(self) -> str:
        """The text of ``manifest.json``."""
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "library_version": self.library_version,
            "created_ms": self.created_ms,
            "updated_ms": self.updated_ms,
            "source": self.source,
            "selection": self.selection,
            "scrubbed": self.scrubbed,
            "dropped_events": self.dropped_events,
            "by_pipeline": self.by_pipeline,
            "counts": self.counts,
            "mark": None if self.mark is None else self.mark.to_dict(),
            "tables": {
                name: [dataclasses.asdict(part) for part in parts]
                for name, parts in self.tables.items()
            },
            "pipelines": [dataclasses.asdict(pipeline) for pipeline in self.pipelines],
        }
        return json.dumps(content, indent=1) + "\n"

    @classmethod
    def read(cls, directory: Path, name: str) -> Manifest:
        """Reads and checks the manifest of an archive.

        Args:
          directory: the archive.
          name: its name, for messages.

        Raises:
          ArchiveError: it is missing, damaged or of a newer format.
        """
        try:
            content = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        except OSError as error:
            raise ArchiveError(name, f"its {MANIFEST} cannot be read ({error.strerror})") from error
        except ValueError as error:
            raise ArchiveError(name, f"its {MANIFEST} is damaged ({error}); {RESTORE}") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ArchiveError(name, f"its {MANIFEST} is not that of an archive; check the path")
        version = content.get("format_version")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise ArchiveError(
                name,
                f"has archive format {version}, newer than {FORMAT_VERSION}, the newest that "
                "this release reads; upgrade tfx-graphlets",
            )
        try:
            return cls._of(content)
        except (KeyError, TypeError, ValueError) as error:
            raise ArchiveError(
                name, f"its {MANIFEST} is damaged ({type(error).__name__}: {error}); {RESTORE}"
            ) from error

    @classmethod
    def _of(cls, content: Mapping[str, Any]) -> Manifest:
        if content["format_version"] not in (1, FORMAT_VERSION):
            raise ValueError(f"format_version {content['format_version']!r}")
        tables = {table: tuple(map(_part_of, content["tables"][table])) for table in TABLES}
        selection = content.get("selection")
        mark = content.get("mark")
        return cls(
            library_version=str(content["library_version"]),
            created_ms=int(content["created_ms"]),
            source=str(content["source"]),
            dropped_events=int(content["dropped_events"]),
            tables=tables,
            updated_ms=int(content.get("updated_ms", content["created_ms"])),
            selection=None if selection is None else str(selection),
            scrubbed=bool(content.get("scrubbed", True)),
            pipelines=tuple(
                ArchivedPipeline(str(one["name"]), int(one["executions"]), str(one["digest"]))
                for one in content.get("pipelines", ())
            ),
            by_pipeline=bool(content.get("by_pipeline", False)),
            mark=None if mark is None else Mark.of(mark),
        )


def _part_of(content: Mapping[str, Any]) -> Part:
    file = str(content["file"])
    if Path(file).name != file:
        raise ValueError(f"file {file!r}")
    ranges = content.get("pipelines")
    return Part(
        file,
        str(content["sha256"]),
        int(content["num_rows"]),
        int(content.get("generation", 0)),
        int(content.get("replaced", 0)),
        None if ranges is None else tuple((int(first), int(last)) for first, last in ranges),
    )


def ranges_of(values: Sequence[int]) -> Ranges:
    """Ascending distinct numbers as ranges (first, last).

    >>> ranges_of([-1, 3, 4, 5, 9])
    ((-1, -1), (3, 5), (9, 9))
    """
    ranges: list[tuple[int, int]] = []
    for value in values:
        if ranges and ranges[-1][1] == value - 1:
            ranges[-1] = (ranges[-1][0], value)
        else:
            ranges.append((value, value))
    return tuple(ranges)


def arrow_schema(table: str) -> Any:
    """The pyarrow.Schema of a table of ``TABLES``."""
    import pyarrow as pa

    return pa.schema([(column, pa.type_for_alias(kind)) for column, kind in TABLES[table].items()])


def sha256_of(file: Path) -> str:
    """The sha256 of a file's bytes, hexadecimal.

    Raises:
      OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        for block in iter(lambda: stream.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
