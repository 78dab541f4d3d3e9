"""The archive format: a manifest and Parquet tables in one directory.

``manifest.json`` names the tables, each with its files, their sha256 and their
number of rows; ids are those of the store, so that a part can be added to a
table without touching the ones that are there. Values that repeat are
dictionary-encoded, all is compressed by zstd.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tfx_graphlets.errors import ArchiveError
from tfx_graphlets.vocabulary import ArtifactType

MANIFEST: Final = "manifest.json"
FORMAT: Final = "tfx-graphlets archive"
FORMAT_VERSION: Final = 1

# Table: column -> Arrow type. ``file`` is a row number of payload_contents.
_PROPERTY_COLUMNS: Final = {
    "owner": "int64", "name": "string", "is_custom": "bool", "kind": "int8",
    "int_value": "int64", "double_value": "float64", "string_value": "string",
}  # fmt: skip
TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "executions": {
        "id": "int64", "type": "string", "state": "int8", "create_ms": "int64",
        "update_ms": "int64",
    },
    "artifacts": {
        "id": "int64", "type": "string", "state": "int8", "create_ms": "int64",
        "update_ms": "int64", "uri": "string",
    },
    "events": {
        "execution": "int64", "artifact": "int64", "type": "int8", "key": "string",
        "time_ms": "int64",
    },
    "contexts": {"id": "int64", "type": "string", "name": "string", "create_ms": "int64"},
    "associations": {"context": "int64", "execution": "int64"},
    "attributions": {"context": "int64", "artifact": "int64"},
    "execution_properties": _PROPERTY_COLUMNS,
    "artifact_properties": _PROPERTY_COLUMNS,
    "payloads": {"uri": "string", "name": "string", "content": "int64"},
    "payload_contents": {"content": "large_binary"},
}  # fmt: skip

# Patterns of the file names that are kept, by the artifact type's last part:
# what features read. Models, examples, plots and attributions are not kept.
KEPT_PAYLOADS: Final[Mapping[str, tuple[str, ...]]] = {
    ArtifactType.EXAMPLE_STATISTICS: ("FeatureStats.pb", "stats_tfrecord"),
    ArtifactType.EXAMPLE_ANOMALIES: ("SchemaDiff.pb", "anomalies.pbtxt"),
    ArtifactType.SCHEMA: ("schema.pbtxt",),
    ArtifactType.MODEL_EVALUATION: ("metrics*", "validations*", "eval_config.json"),
    ArtifactType.HYPER_PARAMETERS: ("*.txt", "*.json"),
}


@dataclasses.dataclass(frozen=True)
class Part:
    """One file of a table.

    Attributes:
      file: its name in the directory.
      sha256: of its bytes, hexadecimal.
      num_rows: rows in it.
    """

    file: str
    sha256: str
    num_rows: int


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What an archive says of itself.

    Attributes:
      library_version: release of tfx_graphlets that wrote it.
      created_ms: when, milliseconds since the epoch.
      source: the store it was made from: no path, no credentials.
      dropped_events: ``Trace.events.dropped`` of the store.
      tables: parts of each table of ``TABLES``.
    """

    library_version: str
    created_ms: int
    source: str
    dropped_events: int
    tables: Mapping[str, tuple[Part, ...]]

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of rows per table."""
        return {name: sum(part.num_rows for part in parts) for name, parts in self.tables.items()}

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
            "source": self.source,
            "dropped_events": self.dropped_events,
            "counts": self.counts,
            "tables": {
                name: [dataclasses.asdict(part) for part in parts]
                for name, parts in self.tables.items()
            },
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
                name, f"has archive format {version}, newer than {FORMAT_VERSION}, the newest that "
                "this release reads; upgrade tfx-graphlets",
            )  # fmt: skip
        try:
            return cls._of(content)
        except (KeyError, TypeError, ValueError) as error:
            raise ArchiveError(
                name, f"its {MANIFEST} is damaged ({type(error).__name__}: {error}); {RESTORE}"
            ) from error

    @classmethod
    def _of(cls, content: Mapping[str, Any]) -> Manifest:
        if content["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format_version {content['format_version']!r}")
        tables = {
            table: tuple(
                Part(str(part["file"]), str(part["sha256"]), int(part["num_rows"]))
                for part in content["tables"][table]
            )
            for table in TABLES
        }
        for parts in tables.values():
            for part in parts:
                if Path(part.file).name != part.file:
                    raise ValueError(f"file {part.file!r}")
        return cls(
            library_version=str(content["library_version"]),
            created_ms=int(content["created_ms"]),
            source=str(content["source"]),
            dropped_events=int(content["dropped_events"]),
            tables=tables,
        )


RESTORE: Final = "restore the archive from a copy, or write it again"


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
