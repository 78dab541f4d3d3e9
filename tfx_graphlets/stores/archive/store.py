"""ArchiveStore: reads what ``write_archive`` and ``update_archive`` wrote."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import ArchiveError, StoreNotFoundError
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.stores import rows, system_types
from tfx_graphlets.stores.archive.format import TABLE_OF_ROWS
from tfx_graphlets.stores.archive.payloads import ArchivePayloads
from tfx_graphlets.stores.archive.tables import ArchiveTables
from tfx_graphlets.stores.selection import Selection
from tfx_graphlets.stores.store import Store
from tfx_graphlets.trace.rows import TABLES, Rows, Table
from tfx_graphlets.trace.strings import Coded, Texts
from tfx_graphlets.trace.trace import Trace


class ArchiveStore(Store):
    """An archive directory, open for reading.

    Every file is held against its sha256: small ones when the archive is
    opened, large ones before they are read as a whole. What is written
    meanwhile is seen when the archive is opened again.

    Attributes:
      manifest: what the archive says of itself.
      tables: its tables.
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
        place = Path(directory)
        self._name = os.fspath(directory) if name is None else name
        if not place.is_dir():
            raise StoreNotFoundError(self._name, "there is no such directory; check the path")
        self.tables = ArchiveTables(place, self._name)
        self.manifest = self.tables.manifest
        self._closed = False

    @property
    def name(self) -> str:
        """The archive as the user named it."""
        return self._name

    @property
    def payloads(self) -> Payloads:
        """The files that the archive keeps."""
        return self._kept

    @property
    def declared(self) -> Declared:
        """Roles and pushers that the archive declares."""
        return self.manifest.declared

    def _read(self, selection: Selection) -> Trace:
        """The rows that are selected.

        Of files that are sorted by pipeline only those portions are read that
        hold one of ``pipelines``.
        """
        self._check_open()
        trace = rows.finish(self._rows(selection), self._name, selection)
        if selection.pipelines is not None:
            return trace
        events_of_store = dataclasses.replace(trace.events, dropped=self.manifest.dropped_events)
        return dataclasses.replace(trace, events=events_of_store)

    def pipelines(self) -> Mapping[str, int]:
        """Number of executions of each pipeline; see ``Store.pipelines``."""
        self._check_open()
        return rows.pipeline_sizes(
            Rows(
                {
                    "Execution": self._table("executions", ["id"]),
                    "Context": self._table("contexts", ["id", "type", "name"]),
                    "Association": self._table("associations", ["context", "execution"]),
                }
            )
        )

    def close(self) -> None:
        """Lets go of what was read."""
        self._closed = True
        self.__dict__.pop("_kept", None)
        self.tables.close()

    @functools.cached_property
    def _kept(self) -> Payloads:
        self._check_open()
        return ArchivePayloads(self.tables, self._check_open)

    def _check_open(self) -> None:
        if self._closed:
            raise ArchiveError(self._name, "is closed; open it again")

    def _rows(self, selection: Selection) -> Rows:
        """The rows that are selected, and others."""
        wanted, what = self._ordinals(selection.pipelines), selection.columns
        names = selection.properties
        if names is not None:
            names |= {vocabulary.PropertyName.STATE, *system_types.PROPERTIES_READ}
        left_out = {"uri": not what.uris, "time_ms": not what.event_times}
        tables: dict[str, Table] = {}
        for table, name in TABLE_OF_ROWS.items():
            if name == "Attribution" and not what.attributions:
                continue
            columns = [column for column in TABLES[name] if not left_out.get(column)]
            of_names = names if name.endswith("Property") else None
            tables[name] = self._table(table, columns, pipelines=wanted, names=of_names)
        return Rows(tables)

    def _table(self, table: str, columns: Sequence[str], **selected: Any) -> Table:
        """Columns as Rows have them."""
        found = self.tables.read(table, columns, **selected)
        return {name: _values(found.column(name)) for name in columns}

    def _ordinals(self, pipelines: Collection[str] | None) -> Collection[int] | None:
        """Positions of the pipelines in the manifest; None where all is to be read."""
        place = {name: number for number, name in enumerate(self.manifest.pipelines)}
        if pipelines is None or not place.keys() >= {*pipelines}:
            return None  # the error names all there are, in the words of every reader
        return [place[name] for name in pipelines]


def _values(column: Any) -> Any:
    """A ChunkedArray as Rows have it: Coded, Texts, or a numpy array."""
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):
        return _coded(column)
    return Texts.from_arrow(column) if pa.types.is_string(column.type) else column.to_numpy()


def _coded(column: Any) -> Coded:
    """A ChunkedArray of dictionaries of strings, each chunk with its own."""
    import pyarrow as pa
    import pyarrow.compute as pc

    codes, values, count = [np.zeros(0, np.int32)], [], 0
    for chunk in column.chunks:
        code = pc.fill_null(chunk.indices, -1).to_numpy(zero_copy_only=False)
        codes.append(np.where(code < 0, -1, code + count).astype(np.int32, copy=False))
        values.append(chunk.dictionary)
        count += len(chunk.dictionary)
    texts = pa.chunked_array(values, pa.string())
    return Coded(np.concatenate(codes), Texts.from_arrow(texts))
