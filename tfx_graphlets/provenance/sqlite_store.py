"""SqliteStore: an MLMD SQLite file, read by SQL; schema versions 4 to 10."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from tfx_graphlets.assembly import RawProperties, RawTables, struct_to_json
from tfx_graphlets.payload import Payloads
from tfx_graphlets.provenance import rows, sqlite_file
from tfx_graphlets.provenance.payloads import FilePayloads
from tfx_graphlets.provenance.selection import Columns, Selection
from tfx_graphlets.provenance.sqlite_tables import Rows, Tables
from tfx_graphlets.trace import PropertyKind, Trace

if TYPE_CHECKING:
    from typing_extensions import Self


class SqliteStore:
    """An MLMD SQLite file, open for reading; never written, never migrated.

    A relative artifact URI is relative to the folder of the file.

    >>> SqliteStore("no/such.sqlite")
    Traceback (most recent call last):
      ...
    tfx_graphlets.errors.StoreNotFoundError: no/such.sqlite: there is no such file; check the path
    """

    def __init__(self, path: str | os.PathLike[str], *, name: str | None = None) -> None:
        """Opens the file.

        Args:
          path: the file.
          name: how messages name it; the path by default.

        Raises:
          StoreError: as ``open_store``.
        """
        self._name = os.fspath(path) if name is None else name
        self._path = Path(path).absolute()
        self._connection = sqlite_file.connect(self._path, self._name)
        self._payloads = FilePayloads(self._path.parent)

    @property
    def name(self) -> str:
        """The file as the user named it."""
        return self._name

    @property
    def payloads(self) -> Payloads:
        """The files below the artifacts' URIs."""
        return self._payloads

    def read_trace(
        self, *, pipeline: str | None = None, pipelines: Collection[str] | None = None,
        properties: Collection[str] | None = None, columns: Columns = Columns.ALL,
    ) -> Trace:  # fmt: skip
        """Reads the store; see ``Store.read_trace``.

        All is read in one transaction: a program that writes to the file waits
        until the rows are in memory.
        """
        selection = Selection.of(
            pipeline=pipeline, pipelines=pipelines, properties=properties, columns=columns
        )
        tables = Tables(self._connection)
        with (
            sqlite_file.translated(self._name, self._path),
            sqlite_file.snapshot(self._connection),
        ):
            if selection.pipelines is not None:
                found = tables.pipelines()
                rows.check_pipelines(self._name, selection, {name for _, name in found})
                tables.choose([number for number, name in found if name in selection.pipelines])
            executions, artifacts = tables.nodes("Execution"), tables.nodes("Artifact")
            execution_properties = tables.properties("Execution", properties)
            artifact_properties = tables.properties("Artifact", properties)
            events, steps, contexts = tables.events(), tables.key_steps(), tables.contexts()
            association, attribution = tables.associations(), tables.attributions()
        execution, artifact = _columns(executions, 6), _columns(artifacts, 6)
        event = _columns(_with_an_end(events, execution[0], artifact[0]), 5)
        context = _columns(contexts, 4)
        key_of_event: dict[int, str] = dict(reversed(steps))  # the first key step counts
        raw = RawTables(
            execution_id=execution[0],
            execution_type=execution[1],
            execution_state=execution[2],
            execution_create_ms=execution[3],
            execution_update_ms=execution[4],
            artifact_id=artifact[0],
            artifact_type=artifact[1],
            artifact_state=artifact[2],
            artifact_create_ms=artifact[3],
            artifact_update_ms=artifact[4],
            artifact_uri=artifact[5],
            event_execution=event[1],
            event_artifact=event[2],
            event_type=event[3],
            event_key=[key_of_event.get(number) for number in event[0]],
            event_ms=event[4],
            context_id=context[0],
            context_type=context[1],
            context_name=context[2],
            context_create_ms=context[3],
            association=association,
            attribution=attribution,
            execution_properties=_raw_properties(execution_properties),
            artifact_properties=_raw_properties(artifact_properties),
        )
        return rows.finish(raw, self._name, selection)

    def pipelines(self) -> Mapping[str, int]:
        """Number of executions of each pipeline; see ``Store.pipelines``."""
        with sqlite_file.translated(self._name, self._path):
            return dict(Tables(self._connection).pipeline_sizes())

    @contextlib.contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """The connection, for queries of one state of the file.

        Raises:
          StoreError: the file cannot be read.
        """
        with (
            sqlite_file.translated(self._name, self._path),
            sqlite_file.snapshot(self._connection),
        ):
            yield self._connection

    def close(self) -> None:
        """Closes the file."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()


def _columns(table: Rows, width: int) -> list[tuple[Any, ...]]:
    return list(zip(*table)) if table else [()] * width


def _with_an_end(events: Rows, executions: Sequence[int], artifacts: Sequence[int]) -> Rows:
    # An event of which both ends are gone is not counted as dropped: the MLMD
    # API, which finds events by their ends, cannot see it either.
    if not events:
        return events
    table = np.asarray([row[1:3] for row in events], np.int64)
    known = np.isin(table[:, 0], executions) | np.isin(table[:, 1], artifacts)
    return events if known.all() else [events[row] for row in np.flatnonzero(known)]


def _raw_properties(table: Rows) -> RawProperties:
    raw = RawProperties()
    for owner, name, is_custom, integer, double, string, boolean in table:
        if integer is not None:
            raw.add(owner, name, is_custom, PropertyKind.INT, integer)
        elif double is not None:
            # MLMD itself hands out 15 significant digits (SQLite's text form).
            raw.add(owner, name, is_custom, PropertyKind.DOUBLE, float(f"{double:.15g}"))
        elif string is not None:
            struct = struct_to_json(string)
            if struct is not None:
                raw.add(owner, name, is_custom, PropertyKind.STRUCT, struct)
            else:
                raw.add(owner, name, is_custom, PropertyKind.STRING, string)
        elif boolean is not None:
            raw.add(owner, name, is_custom, PropertyKind.BOOL, int(boolean))
    return raw
