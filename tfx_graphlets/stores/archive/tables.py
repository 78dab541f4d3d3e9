"""The tables of an archive, read column by column, and those of a trace."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tfx_graphlets.errors import ArchiveError
from tfx_graphlets.stores.archive.format import (
    ALWAYS_READ,
    RESTORE,
    TABLE_OF_ROWS,
    TABLES,
    ArchiveFile,
    Manifest,
    arrow_schema,
)
from tfx_graphlets.stores.archive.texts import Rewriter, arrow_texts
from tfx_graphlets.trace import rows
from tfx_graphlets.trace.strings import Coded, Texts
from tfx_graphlets.trace.trace import CodeArray, Trace

Tables = Mapping[str, Any]  # pyarrow.Table by the table's name
# Columns of which many rows are the same.
CODED_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    table: tuple(column for column, kind in rows.TABLES[name].items() if kind is Coded)
    for table, name in TABLE_OF_ROWS.items()
}
# Files up to this size are held against their sha256 when the archive is
# opened, and those up to the other one also if only some pipelines are read.
_CHECKED_AT_ONCE: Final = 16 * 2**20
_CHECKED_FOR_SOME: Final = 64 * 2**20


class ArchiveTables:
    """The tables of one archive.

    Its files are open as long as this is: who reads is not disturbed by who
    writes. A file is held against its sha256 before it is read for the first
    time, small ones at once; a large one of which only some pipelines are
    read is not.
    """

    def __init__(self, directory: Path, name: str) -> None:
        """Opens all files.

        Args:
          directory: the archive.
          name: its name, for messages.

        Raises:
          ArchiveError: a file is missing or damaged.
        """
        self.directory, self.name = directory, name
        self._checked: set[str] = set()
        while True:
            self.manifest = Manifest.read(directory, name)
            try:
                self._files = {file: self._opened(file) for file in sorted(self.manifest.files)}
            except ArchiveError:
                if Manifest.read(directory, name) == self.manifest:
                    raise
                continue  # it was written meanwhile
            break
        for files in self.manifest.tables.values():
            for file in files:
                if self._files[file.name].size() != file.size:
                    raise self._damaged(file)
                self.check(file, _CHECKED_AT_ONCE)

    def read(
        self,
        table: str,
        columns: Sequence[str] | None = None,
        *,
        pipelines: Collection[int] | None = None,
        names: Collection[str] | None = None,
    ) -> Any:
        """Reads a table.

        Args:
          table: one of ``TABLES``.
          columns: names of its columns; None for all.
          pipelines: positions in ``Manifest.pipelines``; only rows that one of
            them has a use for are read.
          names: only properties of these names.

        Returns:
          A pyarrow.Table with the columns, of the types of ``TABLES``, those of
          CODED_COLUMNS as dictionaries.

        Raises:
          ArchiveError: a file is damaged or gone.
        """
        import pyarrow as pa

        chosen = [*TABLES[table]] if columns is None else [*columns]
        wanted: dict[str, list[Any]] = {}
        if pipelines is not None:
            wanted["pipeline"] = sorted({ALWAYS_READ, *pipelines})
        if names is not None:
            wanted["name"] = sorted(names)
        coded = CODED_COLUMNS.get(table, ())
        kinds = arrow_schema(table)
        schema = pa.schema(
            [
                (name, pa.dictionary(pa.int32(), kind) if name in coded else kind)
                for name, kind in ((name, kinds.field(name).type) for name in chosen)
            ]
        )
        parts = [schema.empty_table()]
        for file in self.manifest.tables[table]:
            self.check(file, None if pipelines is None else _CHECKED_FOR_SOME)
            with self.naming(table):
                part = self._rows(table, file, chosen, wanted).cast(schema)
                check_whole(table, part)
                parts.append(part)
        return pa.concat_tables(parts)

    def parquet(self, table: str, file: ArchiveFile) -> Any:
        """The pyarrow.parquet.ParquetFile of a file of a table."""
        import pyarrow.parquet as pq

        opened = self._files[file.name]
        return pq.ParquetFile(opened, read_dictionary=[*CODED_COLUMNS.get(table, ())])

    def check(self, file: ArchiveFile, at_most: int | None = None) -> None:
        """Holds a file against its sha256, once.

        Args:
          file: the file.
          at_most: larger files, in bytes, are left for later; None for none.

        Raises:
          ArchiveError: the file is damaged.
        """
        if file.name in self._checked or (at_most is not None and file.size > at_most):
            return
        opened, digest = self._files[file.name], hashlib.sha256()
        with self.naming(file.name):
            for start in range(0, file.size, 1 << 20):
                digest.update(opened.read_at(1 << 20, start))
        if digest.hexdigest() != file.sha256:
            raise self._damaged(file)
        self._checked.add(file.name)

    @contextlib.contextmanager
    def naming(self, what: str) -> Iterator[None]:
        """Says of which archive a table or file is that cannot be read.

        Raises:
          ArchiveError: what pyarrow raised.
        """
        import pyarrow as pa

        try:
            yield
        except (pa.ArrowException, KeyError, OSError) as error:
            problem = str(error).strip().partition("\n")[0]
            raise ArchiveError(
                self.name, f"its {what} cannot be read ({problem}); {RESTORE}"
            ) from error

    def close(self) -> None:
        """Lets go of the files."""
        for opened in self._files.values():
            opened.close()

    def _opened(self, name: str) -> Any:
        import pyarrow as pa

        with self.naming(name):
            return pa.OSFile(os.fsencode(self.directory / name), "rb")

    def _damaged(self, file: ArchiveFile) -> ArchiveError:
        return ArchiveError(
            self.name,
            f"its {file.name} is not what was written (the size or sha256 in the "
            f"manifest is another one); {RESTORE}",
        )

    def _rows(
        self,
        table: str,
        file: ArchiveFile,
        columns: Sequence[str],
        wanted: Mapping[str, Sequence[Any]],
    ) -> Any:
        """Columns of the rows with the wanted values; row groups without one are passed over."""
        import pyarrow as pa
        import pyarrow.compute as pc

        parquet = self.parquet(table, file)
        needed = [*dict.fromkeys((*columns, *wanted))]
        missing = {*needed} - {*parquet.schema_arrow.names}
        if missing:
            raise KeyError(f"column {min(missing)!r} is missing")
        groups = _row_groups(parquet.metadata, wanted)
        if not groups:  # pyarrow 18 refuses to read none
            return parquet.schema_arrow.empty_table().select([*columns])
        content = parquet.read_row_groups(groups, needed)
        for column, values in wanted.items():
            kind = content.schema.field(column).type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            chosen = pc.is_in(content.column(column), pa.array(values, kind))
            if not pc.all(chosen).as_py():
                content = content.filter(chosen)
        return content.select([*columns])


def check_whole(table: str, part: Any) -> None:
    """Raises ArrowInvalid where rows of a table lack a value that every row has.

    Only names and texts of a trace may be absent.
    """
    import pyarrow as pa

    for name in part.column_names:
        needed = table not in TABLE_OF_ROWS or pa.types.is_primitive(part.schema.field(name).type)
        if needed and part.column(name).null_count:
            raise pa.ArrowInvalid(f"column {name!r} lacks values")


def _row_groups(metadata: Any, wanted: Mapping[str, Collection[Any]]) -> list[int]:
    """Numbers of the row groups that may hold a row with the wanted values."""
    place = {metadata.schema.column(i).name: i for i in range(metadata.num_columns)}

    def may_hold(group: Any, column: str, values: Collection[Any]) -> bool:
        statistics = group.column(place[column]).statistics
        if statistics is None or not statistics.has_min_max:
            return True
        return any(statistics.min <= value <= statistics.max for value in values)

    return [
        number
        for number in range(metadata.num_row_groups)
        if all(may_hold(metadata.row_group(number), *one) for one in wanted.items())
    ]


def tables_of(trace: Trace, rewrite: Rewriter) -> Tables:
    """The tables of a trace, each a pyarrow.Table, rows as in the trace.

    All but those of the payloads, and without the column ``pipeline``; texts
    are dictionaries.
    """
    store = rows.Rows.of(trace)
    store["Artifact"]["uri"] = rewrite.all(trace.artifacts.uri)
    for name, nodes in (("Execution", trace.executions), ("Artifact", trace.artifacts)):
        texts = rewrite.of_properties(nodes.properties)
        store[f"{name}Property"]["string_value"] = Coded(*texts)
    return {
        table: arrow_table(
            table,
            {one: _arrow(kind, store[name][one]) for one, kind in rows.TABLES[name].items()},
        )
        for table, name in TABLE_OF_ROWS.items()
    }


def _arrow(kind: type, column: Any) -> Any:
    """A column of Rows as an Arrow array, where it is one of texts."""
    if kind is Coded:
        return _coded(column.code, column.values)
    return arrow_texts(column).dictionary_encode() if kind is Texts else column


def arrow_table(table: str, columns: Mapping[str, Any]) -> Any:
    """A pyarrow.Table of some columns of a table; texts may be dictionaries."""
    import pyarrow as pa

    arrays = {}
    for name, values in columns.items():
        array = values if isinstance(values, pa.Array) else pa.array(values)
        kind = pa.type_for_alias(TABLES[table][name])
        arrays[name] = array if pa.types.is_dictionary(array.type) else array.cast(kind)
    return pa.table(arrays)


def _coded(codes: CodeArray, values: Any) -> Any:
    """A dictionary array of codes into ``values``; null for a negative code."""
    import pyarrow as pa

    distinct = arrow_texts(values).dictionary_encode()  # what was rewritten may be alike
    codes = np.append(distinct.indices.to_numpy(), -1)[codes]
    return pa.DictionaryArray.from_arrays(
        pa.array(codes, pa.int32(), mask=codes < 0), distinct.dictionary
    )
