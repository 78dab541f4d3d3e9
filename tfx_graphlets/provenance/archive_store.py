"""ArchiveStore: reads what ``write_archive`` wrote."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from tfx_graphlets.assembly import RawProperties, RawTables
from tfx_graphlets.errors import ArchiveError, StoreNotFoundError
from tfx_graphlets.payload import Payloads
from tfx_graphlets.provenance import archive_format, rows
from tfx_graphlets.provenance.archive_format import RESTORE, Manifest
from tfx_graphlets.provenance.selection import Columns, Selection
from tfx_graphlets.trace import PropertyKind, Trace

if TYPE_CHECKING:
    from typing_extensions import Self


class ArchiveStore:
    """An archive directory, open for reading.

    Every file is held against its sha256 when the archive is opened.

    Attributes:
      manifest: what the archive says of itself.
    """

    def __init__(self, directory: str | os.PathLike[str], *, name: str | None = None) -> None:
        """Opens the archive.

        Args:
          directory: the archive.
          name: how messages name it; the directory by default.

        Raises:
          StoreNotFoundError: there is no such directory.
          ArchiveError: a file is missing, damaged or of a newer format.
        """
        self._directory = Path(directory)
        self._name = os.fspath(directory) if name is None else name
        if not self._directory.is_dir():
            raise StoreNotFoundError(self._name, "there is no such directory; check the path")
        self.manifest = Manifest.read(self._directory, self._name)
        self._check_files()
        self._closed = False

    @property
    def name(self) -> str:
        """The archive as the user named it."""
        return self._name

    @property
    def payloads(self) -> Payloads:
        """The files that the archive keeps."""
        return self._payloads

    def read_trace(
        self, *, pipeline: str | None = None, pipelines: Collection[str] | None = None,
        properties: Collection[str] | None = None, columns: Columns = Columns.ALL,
    ) -> Trace:  # fmt: skip
        """Reads the archive; see ``Store.read_trace``."""
        selection = Selection.of(
            pipeline=pipeline, pipelines=pipelines, properties=properties, columns=columns
        )
        self._check_open()
        executions, artifacts = self._read("executions"), self._read("artifacts")
        events, contexts = self._read("events"), self._read("contexts")
        association, attribution = self._read("associations"), self._read("attributions")
        raw = RawTables(
            execution_id=executions["id"],
            execution_type=executions["type"],
            execution_state=executions["state"],
            execution_create_ms=executions["create_ms"],
            execution_update_ms=executions["update_ms"],
            artifact_id=artifacts["id"],
            artifact_type=artifacts["type"],
            artifact_state=artifacts["state"],
            artifact_create_ms=artifacts["create_ms"],
            artifact_update_ms=artifacts["update_ms"],
            artifact_uri=artifacts["uri"],
            event_execution=events["execution"],
            event_artifact=events["artifact"],
            event_type=events["type"],
            event_key=events["key"],
            event_ms=events["time_ms"],
            context_id=contexts["id"],
            context_type=contexts["type"],
            context_name=contexts["name"],
            context_create_ms=contexts["create_ms"],
            association=np.column_stack((association["context"], association["execution"])),
            attribution=np.column_stack((attribution["context"], attribution["artifact"])),
            execution_properties=_raw_properties(self._read("execution_properties")),
            artifact_properties=_raw_properties(self._read("artifact_properties")),
        )
        trace = rows.finish(raw, self._name, selection)
        if selection.pipelines is not None:
            return trace
        events_of_store = dataclasses.replace(trace.events, dropped=self.manifest.dropped_events)
        return dataclasses.replace(trace, events=events_of_store)

    def pipelines(self) -> Mapping[str, int]:
        """Number of executions of each pipeline; see ``Store.pipelines``."""
        self._check_open()
        contexts, association = self._read("contexts"), self._read("associations")
        return rows.pipeline_sizes(
            contexts["id"], contexts["type"], contexts["name"],
            association["context"], association["execution"], self._read("executions")["id"],
        )  # fmt: skip

    def close(self) -> None:
        """Lets go of what was read."""
        self._closed = True
        self.__dict__.pop("_payloads", None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    @functools.cached_property
    def _payloads(self) -> Payloads:
        self._check_open()
        listed, contents = self._read("payloads"), self._table("payload_contents")
        files: dict[str, dict[str, int]] = {}
        for uri, name, row in zip(listed["uri"], listed["name"], listed["content"]):
            files.setdefault(uri, {})[name] = int(row)
        return _ArchivePayloads(files, contents.column("content"))

    def _check_open(self) -> None:
        if self._closed:
            raise ArchiveError(self._name, "is closed; open it again")

    def _check_files(self) -> None:
        for parts in self.manifest.tables.values():
            for part in parts:
                try:
                    digest = archive_format.sha256_of(self._directory / part.file)
                except OSError as error:
                    raise ArchiveError(
                        self._name, f"its {part.file} cannot be read ({error.strerror}); {RESTORE}"
                    ) from error
                if digest != part.sha256:
                    raise ArchiveError(
                        self._name, f"its {part.file} is not what was written (the sha256 in the "
                        f"manifest is another one); {RESTORE}",
                    )  # fmt: skip

    def _table(self, table: str) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = archive_format.arrow_schema(table)
        try:
            parts = [
                pq.ParquetFile(self._directory / part.file).read().select(schema.names).cast(schema)
                for part in self.manifest.tables[table]
            ]
            return pa.concat_tables([schema.empty_table(), *parts])
        except (pa.ArrowException, KeyError, OSError) as error:
            problem = str(error).strip().partition("\n")[0]
            raise ArchiveError(
                self._name, f"its table {table} cannot be read ({problem}); {RESTORE}"
            ) from error

    def _read(self, table: str) -> dict[str, Any]:
        """Columns: texts as lists with None for null, numbers as numpy arrays."""
        content = self._table(table)
        return {
            column: (
                content.column(column).to_pylist()
                if kind == "string"
                else content.column(column).to_numpy()
            )
            for column, kind in archive_format.TABLES[table].items()
        }


class _ArchivePayloads:
    """The kept files; their rows count in ``contents``, Arrow binary."""

    def __init__(self, row_of_file: Mapping[str, Mapping[str, int]], contents: Any) -> None:
        self._row_of_file = row_of_file
        self._contents = contents

    def files(self, uri: str) -> tuple[str, ...]:
        """Names of the kept files below ``uri``, sorted; see ``Payloads.files``."""
        return tuple(sorted(self._row_of_file.get(uri, ())))

    def read(self, uri: str, name: str) -> bytes | None:
        """Content of a kept file; see ``Payloads.read``."""
        row = self._row_of_file.get(uri, {}).get(name)
        if row is None:
            return None
        content: bytes = self._contents[row].as_py()
        return content


def _raw_properties(columns: Mapping[str, Any]) -> RawProperties:
    kinds = columns["kind"].tolist()
    numbers = {
        PropertyKind.INT: columns["int_value"].tolist(),
        PropertyKind.BOOL: columns["int_value"].tolist(),
        PropertyKind.DOUBLE: columns["double_value"].tolist(),
    }
    return RawProperties(
        owner=columns["owner"].tolist(),
        name=columns["name"],
        is_custom=columns["is_custom"].tolist(),
        kind=kinds,
        value=[
            numbers[kind][row] if kind in numbers else columns["string_value"][row]
            for row, kind in enumerate(kinds)
        ],
    )
