"""ArchiveTables: the tables of an archive as one, whatever parts they lie in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tfx_graphlets.errors import ArchiveError
from tfx_graphlets.stores.archive import format as archive_format
from tfx_graphlets.stores.archive.format import (
    ADDED_COLUMNS,
    ALWAYS_READ,
    NODE_TABLES,
    RESTORE,
    Manifest,
    Part,
)
from tfx_graphlets.trace.trace import IntArray

# Columns of which many rows are the same.
CODED_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "executions": ("type",),
    "artifacts": ("type",),
    "events": ("key",),
    "contexts": ("type",),
    "execution_properties": ("name", "string_value"),
    "artifact_properties": ("name", "string_value"),
}
# Files up to this size are held against their sha256 when the archive is
# opened, and those up to the other one also if only some pipelines are read.
_CHECKED_AT_ONCE: Final = 16 * 2**20
_CHECKED_FOR_SOME: Final = 64 * 2**20


class ArchiveTables:
    """The tables of one archive, read column by column.

    A file is held against its sha256 before it is read for the first time,
    small ones at once; a large one of which only some pipelines are read is not.
    """

    def __init__(self, directory: Path, manifest: Manifest, name: str) -> None:
        """Checks that all files are there.

        Args:
          directory: the archive.
          manifest: its manifest.
          name: its name, for messages.

        Raises:
          ArchiveError: a file is missing or damaged.
        """
        self.directory = directory
        self.manifest = manifest
        self.name = name
        self._checked: set[str] = set()
        self._ids: dict[str, IntArray] = {}
        for parts in manifest.tables.values():
            for part in parts:
                self.check(part, _CHECKED_AT_ONCE)

    def read(
        self,
        table: str,
        columns: Sequence[str] | None = None,
        *,
        pipelines: Collection[int] | None = None,
        names: Collection[str] | None = None,
    ) -> Any:
        """Reads a table; of nodes and properties only the rows that count.

        Args:
          table: one of ``TABLES``.
          columns: names of its columns; None for all.
          pipelines: positions in ``Manifest.pipelines``; only rows that one of
            them has a use for are read, where the archive tells them apart.
          names: only properties of these names.

        Returns:
          A pyarrow.Table with the columns, of the types of ``TABLES``, those of
          CODED_COLUMNS as dictionaries; what a part does not have is null.

        Raises:
          ArchiveError: a file is damaged or gone.
        """
        import pyarrow as pa

        chosen = [*archive_format.TABLES[table]] if columns is None else [*columns]
        if not self.manifest.by_pipeline:
            pipelines = None
        found = [
            self._read_part(table, part, chosen, pipelines, names)
            for part in self.manifest.tables[table]
        ]
        parts = [part for part in found if part is not None]
        return pa.concat_tables(parts or [_schema(table, chosen).empty_table()])

    def parquet(self, table: str, part: Part) -> Any:
        """The pyarrow.parquet.ParquetFile of a part of a table."""
        import pyarrow.parquet as pq

        return pq.ParquetFile(
            self.directory / part.file, read_dictionary=[*CODED_COLUMNS.get(table, ())]
        )

    def check(self, part: Part, at_most: int | None = None) -> None:
        """Holds a file against its sha256, once.

        Args:
          part: the file.
          at_most: larger files, in bytes, are left for later; None for none.

        Raises:
          ArchiveError: the file is damaged or gone.
        """
        if part.file in self._checked:
            return
        place = self.directory / part.file
        try:
            if at_most is not None and place.stat().st_size > at_most:
                return
            digest = archive_format.sha256_of(place)
        except OSError as error:
            raise ArchiveError(
                self.name,
                f"its {part.file} cannot be read ({error.strerror}); open it again if "
                f"it was written meanwhile, else {RESTORE}",
            ) from error
        if digest != part.sha256:
            raise ArchiveError(
                self.name,
                f"its {part.file} is not what was written (the sha256 in the "
                f"manifest is another one); {RESTORE}",
            )
        self._checked.add(part.file)

    def _read_part(
        self,
        table: str,
        part: Part,
        columns: Sequence[str],
        pipelines: Collection[int] | None,
        names: Collection[str] | None,
    ) -> Any:
        import pyarrow as pa

        wanted = None if pipelines is None else sorted({ALWAYS_READ, *pipelines})
        if (
            wanted is not None
            and part.pipelines is not None
            and not any(first <= one <= last for first, last in part.pipelines for one in wanted)
        ):
            return None
        self.check(part, None if wanted is None else _CHECKED_FOR_SOME)
        try:
            return self._rows(table, part, columns, {"pipeline": wanted, "name": names})
        except (pa.ArrowException, KeyError, OSError) as error:
            problem = str(error).strip().partition("\n")[0]
            raise ArchiveError(
                self.name, f"its table {table} cannot be read ({problem}); {RESTORE}"
            ) from error

    def _rows(
        self,
        table: str,
        part: Part,
        columns: Sequence[str],
        wanted: Mapping[str, Collection[Any] | None],
    ) -> Any:
        import pyarrow as pa
        import pyarrow.compute as pc

        file = self.parquet(table, part)
        owner = "owner" if table.endswith("_properties") else "id"
        replaced = self._replaced_after(NODE_TABLES.get(table, ""), part.generation)
        conditions = {column: values for column, values in wanted.items() if values is not None}
        needed = {*columns, *conditions, *([owner] if len(replaced) else ())}
        missing = needed - set(file.schema_arrow.names)
        if missing - ADDED_COLUMNS:
            raise KeyError(f"column {min(missing - ADDED_COLUMNS)!r} is missing")
        groups = _row_groups(file.metadata, conditions)
        there = sorted(needed - missing)
        if groups:
            content = file.read_row_groups(groups, there)
        else:  # pyarrow 18 refuses to read none
            content = file.schema_arrow.empty_table().select(there)
        for column in sorted(missing):
            kind = pa.type_for_alias(archive_format.TABLES[table][column])
            content = content.append_column(column, pa.nulls(len(content), kind))
        masks = [
            pc.is_in(content.column(column), pa.array(sorted(values), _value_type(content, column)))
            for column, values in conditions.items()
        ]
        if len(replaced):
            masks.append(pc.invert(pc.is_in(content.column(owner), pa.array(replaced))))
        for mask in masks[1:]:
            masks[0] = pc.and_(masks[0], mask)
        if masks and not pc.all(masks[0]).as_py():
            content = content.filter(masks[0])
        return content.select([*columns]).cast(_schema(table, columns))

    def _replaced_after(self, nodes: str, generation: int) -> IntArray:
        """Ids of nodes that a part after this generation holds again, int64 [k]."""
        later = [
            self._ids_of(nodes, part)
            for part in self.manifest.tables.get(nodes, ())
            if part.generation > generation and part.replaced
        ]
        return np.concatenate(later) if later else np.zeros(0, np.int64)

    def _ids_of(self, nodes: str, part: Part) -> IntArray:
        if part.file not in self._ids:
            self.check(part)
            self._ids[part.file] = self.parquet(nodes, part).read(["id"]).column("id").to_numpy()
        return self._ids[part.file]


def _schema(table: str, columns: Sequence[str]) -> Any:
    import pyarrow as pa

    coded = CODED_COLUMNS.get(table, ())
    kinds = {name: pa.type_for_alias(kind) for name, kind in archive_format.TABLES[table].items()}
    return pa.schema(
        [
            (name, pa.dictionary(pa.int32(), kinds[name]) if name in coded else kinds[name])
            for name in columns
        ]
    )


def _value_type(content: Any, column: str) -> Any:
    import pyarrow as pa

    kind = content.schema.field(column).type
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _row_groups(metadata: Any, conditions: Mapping[str, Collection[Any]]) -> list[int]:
    """Numbers of the row groups that may hold a row with the wanted values."""
    place = {metadata.schema.column(i).name: i for i in range(metadata.num_columns)}
    chosen = []
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        for column, values in conditions.items():
            if column not in place:
                continue
            statistics = group.column(place[column]).statistics
            if statistics is None or not statistics.has_min_max:
                continue
            if not any(statistics.min <= value <= statistics.max for value in values):
                break
        else:
            chosen.append(number)
    return chosen
