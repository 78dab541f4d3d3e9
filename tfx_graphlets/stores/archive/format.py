"""The archive format: ``manifest.json`` and Parquet files in one directory.

Each table is one file; the contents of kept files, which never change, may
stand in several. A file is named by its content and never changed: a write
puts new files beside the old ones, exchanges the manifest in one step, and
removes the files that it no longer names. Ids are those of the store. Values
that repeat are dictionary-encoded, all is compressed by zstd.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Union

import numpy as np

from tfx_graphlets.errors import ArchiveError
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.trace import rows
from tfx_graphlets.vocabulary import ArtifactType

MANIFEST: Final = "manifest.json"
FORMAT: Final = "tfx-graphlets archive"
FORMAT_VERSION: Final = 3
_CHECKSUM: Final = "checksum"  # of all else in the manifest
RESTORE: Final = "restore the archive from a copy, or write it again"

# The tables of a Trace's rows (``trace.rows.TABLES``) by their names here.
TABLE_OF_ROWS: Final[Mapping[str, str]] = {
    "executions": "Execution",
    "artifacts": "Artifact",
    "events": "Event",
    "contexts": "Context",
    "associations": "Association",
    "attributions": "Attribution",
    "execution_properties": "ExecutionProperty",
    "artifact_properties": "ArtifactProperty",
}


def _arrow_type(kind: type) -> str:
    return np.dtype(kind).name if issubclass(kind, np.generic) else "string"


# Table: column -> Arrow type.
# ``pipeline``: position in ``Manifest.pipelines`` of the only pipeline that has
# a use for the row, ALWAYS_READ where there is none or there are several.
TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    **{
        table: {
            **{column: _arrow_type(kind) for column, kind in rows.TABLES[name].items()},
            "pipeline": "int32",
        }
        for table, name in TABLE_OF_ROWS.items()
    },
    "payloads": {"uri": "string", "name": "string", "sha256": "binary"},
    "payload_contents": {"content": "large_binary", "sha256": "binary"},
}
ALWAYS_READ: Final = -1
# What rows are sorted by; those of properties by their names before it.
SORTED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "executions": ("pipeline", "id"),
    "artifacts": ("pipeline", "id"),
    "events": ("pipeline", "execution", "artifact", "type"),
    "contexts": ("pipeline", "id"),
    "associations": ("pipeline", "execution", "context"),
    "attributions": ("pipeline", "artifact", "context"),
    "execution_properties": ("pipeline", "owner", "is_custom"),
    "artifact_properties": ("pipeline", "owner", "is_custom"),
}

# Patterns of the file names that are kept, by the artifact type's last part:
# what features read. Models, examples, plots and attributions are not kept.
KEPT_PAYLOADS: Final[Mapping[str, tuple[str, ...]]] = {
    ArtifactType.EXAMPLE_STATISTICS: ("FeatureStats.pb", "stats_tfrecord"),
    ArtifactType.EXAMPLE_ANOMALIES: ("SchemaDiff.pb", "anomalies.pbtxt"),
    ArtifactType.SCHEMA: ("schema.pbtxt",),
    ArtifactType.MODEL_EVALUATION: ("metrics*", "validations*", "eval_config.json"),
    ArtifactType.HYPER_PARAMETERS: ("*.txt", "*.json"),
    ArtifactType.TRANSFORM_CACHE: ("MANIFEST",),
}


@dataclasses.dataclass(frozen=True)
class ArchiveFile:
    """One file of an archive.

    Attributes:
      name: its name in the directory.
      size: in bytes.
      sha256: of its bytes, hexadecimal.
      num_rows: rows in it.
    """

    name: str
    size: int
    sha256: str
    num_rows: int


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What an archive says of itself.

    Attributes:
      library_version: release of tfx_graphlets that wrote it last.
      created_ms: when it was first written, milliseconds since the epoch.
      updated_ms: when it was written last.
      source: the store it was made from: no path, no credentials; empty where redacted.
      dropped_events: ``Trace.events.dropped`` of the store.
      tables: the files of each table of ``TABLES``.
      pipelines: names of the pipelines, sorted.
      selection, node: the pipeline and the Trainer node that are archived; None for all.
      declared: roles of custom types and pushers that count, for every reader.
      scrubbed: whether secrets were taken out of texts.
      redaction: what tells the key of the fingerprints that stand for texts; None where texts
        are kept.
    """

    library_version: str
    created_ms: int
    updated_ms: int
    source: str
    dropped_events: int
    tables: Mapping[str, tuple[ArchiveFile, ...]]
    pipelines: tuple[str, ...] = ()
    selection: Union[str, None] = None
    node: Union[str, None] = None
    declared: Declared = dataclasses.field(default_factory=Declared)
    scrubbed: bool = True
    redaction: Union[str, None] = None

    @property
    def counts(self) -> Mapping[str, int]:
        """Number of rows per table."""
        return {name: sum(file.num_rows for file in files) for name, files in self.tables.items()}

    @property
    def files(self) -> frozenset[str]:
        """Names of all files but the manifest's own."""
        return frozenset(file.name for files in self.tables.values() for file in files)

    @property
    def size(self) -> int:
        """Bytes of all files but the manifest's own."""
        return sum(file.size for files in self.tables.values() for file in files)

    def __str__(self) -> str:
        counts = self.counts
        return (
            f"Archive of {self.source or 'a store'}: {counts['executions']} executions, "
            f"{counts['artifacts']} artifacts, {counts['payloads']} files"
        )

    def check_options(
        self,
        name: str,
        selection: str | None,
        node: str | None,
        *,
        scrubbed: bool,
        redaction: str | None,
    ) -> None:
        """Refuses to go on with an archive that was made with other options.

        Args:
          name: of the archive, for messages.
          selection, node, scrubbed, redaction: see the attributes.

        Raises:
          ArchiveError: they differ.
        """
        problem = ""
        if self.selection != selection:
            kept = "all pipelines" if self.selection is None else repr(self.selection)
            problem = f"is an archive of {kept}, and pipeline={selection!r} is asked for"
        elif self.node != node:
            kept = "all Trainer nodes" if self.node is None else f"the Trainer node {self.node!r}"
            problem = f"is an archive of {kept}, and node={node!r} is asked for"
        elif self.scrubbed != scrubbed:
            problem = (
                f"was written with scrub={self.scrubbed!r}, and scrub={scrubbed!r} is asked for"
            )
        elif (self.redaction is None) != (redaction is None):
            kinds = ("not redacted", "redacted")
            kept, asked = kinds[self.redaction is not None], kinds[redaction is not None]
            problem = f"is {kept}, and asked to be {asked}"
        elif self.redaction != redaction:
            problem = "is redacted with another key than that in TFX_GRAPHLETS_REDACT_KEY"
        if problem:
            raise ArchiveError(
                name,
                f"{problem}; ask for the same, name another directory, or replace the archive "
                "(--replace)",
            )

    def to_json(self) -> str:
        """The text of ``manifest.json``."""
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            **dataclasses.asdict(self),
            "declared": self.declared.to_dict(),
            "counts": self.counts,
        }
        return json.dumps({**content, _CHECKSUM: _checksum(content)}, indent=1) + "\n"

    @classmethod
    def read(cls, directory: Path, name: str) -> Manifest:
        """Reads and checks the manifest of an archive.

        Args:
          directory: the archive.
          name: its name, for messages.

        Raises:
          ArchiveError: it is missing, damaged, changed or of another format.
        """
        try:
            content = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        except OSError as error:
            raise ArchiveError(name, f"its {MANIFEST} cannot be read ({error.strerror})") from error
        except (ValueError, RecursionError) as error:
            raise ArchiveError(name, f"its {MANIFEST} is damaged ({error}); {RESTORE}") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ArchiveError(name, f"its {MANIFEST} is not that of an archive; check the path")
        version = content.get("format_version")
        if isinstance(version, int) and version > FORMAT_VERSION:
            raise ArchiveError(
                name,
                f"has archive format {version}, newer than {FORMAT_VERSION}, the only one that "
                "this release reads; upgrade tfx-graphlets",
            )
        if isinstance(version, int) and 0 < version < FORMAT_VERSION:
            raise ArchiveError(
                name,
                f"has archive format {version}, which no release has written; archive its store "
                "again into another directory",
            )
        try:
            manifest = cls._of(content)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ArchiveError(
                name, f"its {MANIFEST} is damaged ({type(error).__name__}: {error}); {RESTORE}"
            ) from error
        stated = content.pop(_CHECKSUM, None)  # archives of earlier releases state none
        if stated is not None and stated != _checksum(content):
            raise ArchiveError(name, f"its {MANIFEST} was changed after it was written; {RESTORE}")
        return manifest

    @classmethod
    def _of(cls, content: Mapping[str, Any]) -> Manifest:
        if content["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format_version {content['format_version']!r}")
        known = {"format", "format_version", "counts", _CHECKSUM}
        unknown = content.keys() - known - {field.name for field in dataclasses.fields(cls)}
        if unknown:  # a checksum by another name would check nothing
            raise ValueError(f"nothing is known of {min(unknown)!r}")
        content = {"node": None, **content}  # the first archives were never of one node
        given = {field.name: content[field.name] for field in dataclasses.fields(cls)}
        for name in ("library_version", "source", "selection", "node", "redaction"):
            if given[name] is not None or name in ("library_version", "source"):
                _text(name, given[name])
        if not isinstance(given["scrubbed"], bool) or not isinstance(given["pipelines"], list):
            raise TypeError("scrubbed is no truth value, or pipelines no list")
        given.update(
            {name: _whole(given[name]) for name in ("created_ms", "updated_ms", "dropped_events")},
            tables={name: tuple(_file_of(one) for one in given["tables"][name]) for name in TABLES},
            pipelines=tuple(_text("pipelines", one) for one in given["pipelines"]),
            declared=Declared.from_dict(**given["declared"]),
        )
        return cls(**given)


def _checksum(content: Mapping[str, Any]) -> str:
    """The sha256 of what a manifest says, but for its checksum, hexadecimal."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _file_of(content: Mapping[str, Any]) -> ArchiveFile:
    name, sha256 = _text("name", content["name"]), _text("sha256", content["sha256"])
    if Path(name).name != name:
        raise ValueError(f"file {name!r}")
    size, num_rows = _whole(content["size"]), _whole(content["num_rows"])
    return ArchiveFile(name, size, sha256, num_rows)


def _text(name: str, value: object) -> str:
    """A text of a manifest.

    Raises:
      TypeError: it is none.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name} {value!r:.60} is no text")
    return value


def _whole(value: object) -> int:
    """A number of a manifest that is written as a whole one.

    Raises:
      ValueError: it is none, or takes more than 63 bits.
    """
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**63:
        raise ValueError(f"{value!r:.60} is no whole number")
    return value


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
