"""A table as files of Parquet: all of them appear, or none does.

Parts are written below ``.draft`` in the table's directory, by names of their
own, and moved when the last one is there. ``_table.json`` comes last and says
that the table is whole. Paths are those of Beam's FileSystems: local, or of a
bucket where the extra of Beam that reaches it is installed.
"""

from __future__ import annotations

import dataclasses
import json
import re
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, Union

from tfx_graphlets.beam.failures import PartFailedError
from tfx_graphlets.beam.groups import Group
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features.table import FeatureTable

if TYPE_CHECKING:
    import pyarrow

Table = Union[FeatureTable, "pyarrow.Table"]

SUMMARY: Final = "_table.json"
DRAFT: Final = ".draft"
_PART: Final = re.compile(r"part-\d{5,}-of-\d{5,}\.parquet")


@dataclasses.dataclass(frozen=True)
class WrittenPart:
    """A part of the table that waits to be moved.

    Attributes:
      name: what the file will be called, ``part-00003-of-00019.parquet``.
      draft: where it is.
      count: number of parts of the table.
      rows: number of its rows.
      columns: names of its columns.
    """

    name: str
    draft: str
    count: int
    rows: int
    columns: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class TableOfFiles:
    """A table that was written.

    Attributes:
      directory: where.
      files: names of its files, sorted.
      rows: number of rows.
      columns: names of its columns.
    """

    directory: str
    files: tuple[str, ...]
    rows: int
    columns: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class WriteDraft:
    """Writes one part below the draft directory."""

    directory: str

    def __call__(self, group: Group, value: Table) -> WrittenPart:
        """The part; every attempt writes a file of its own."""
        import pyarrow.parquet
        from apache_beam.io.filesystems import FileSystems

        table = value.to_arrow() if isinstance(value, FeatureTable) else value
        # Two attempts at one part may run at the same time: of a slow worker, say.
        name = f"part-{group.part}.parquet"
        draft = FileSystems.join(self.directory, DRAFT, f"{uuid.uuid4().hex}.{name}")
        with FileSystems.create(draft) as file:
            pyarrow.parquet.write_table(table, file)
        columns = tuple(table.column_names)
        return WrittenPart(name, draft, group.count, table.num_rows, columns)


def publish(directory: str, parts: Iterable[WrittenPart]) -> TableOfFiles:
    """Moves the parts of a table to where they belong, in place of an earlier table.

    Args:
      directory: of the table.
      parts: all of its parts, in any order.

    Raises:
      PartFailedError: there are fewer or more parts than the table has.
    """
    from apache_beam.io.filesystems import FileSystems

    by_name = {part.name: part for part in sorted(parts, key=lambda part: part.name)}
    ordered = list(by_name.values())
    if any(part.count != len(ordered) for part in ordered) or not ordered:
        count = ordered[0].count if ordered else 0
        raise PartFailedError(
            f"{directory}: {len(ordered)} of {count} parts were written; run the job again"
        )
    earlier = [name for name in _names_in(directory) if name not in by_name]
    _delete(directory, [SUMMARY])
    FileSystems.rename(
        [part.draft for part in ordered], [FileSystems.join(directory, name) for name in by_name]
    )
    _delete(directory, [name for name in earlier if _PART.fullmatch(name)])
    result = TableOfFiles(
        directory, tuple(by_name), sum(part.rows for part in ordered), ordered[0].columns
    )
    document = {"rows": result.rows, "files": list(by_name), "columns": list(result.columns)}
    draft = FileSystems.join(directory, DRAFT, SUMMARY)
    with FileSystems.create(draft) as file:
        file.write((json.dumps(document, indent=1) + "\n").encode())
    FileSystems.rename([draft], [FileSystems.join(directory, SUMMARY)])
    discard(directory)
    return result


def discard(directory: str) -> None:
    """Removes what a job that failed has left below the draft directory."""
    from apache_beam.io.filesystems import FileSystems

    draft = FileSystems.join(directory, DRAFT)
    if (
        FileSystems.exists(draft)
        or FileSystems.match([FileSystems.join(draft, "*")])[0].metadata_list
    ):
        FileSystems.delete([draft])


def read_summary(directory: str) -> TableOfFiles:
    """What was written to a directory.

    Raises:
      InvalidArgumentError: it holds no whole table.
    """
    from apache_beam.io.filesystem import BeamIOError
    from apache_beam.io.filesystems import FileSystems

    try:
        with FileSystems.open(FileSystems.join(directory, SUMMARY)) as file:
            found = json.loads(file.read())
    except (OSError, BeamIOError) as error:
        raise InvalidArgumentError(
            "directory", directory, f"there is no {SUMMARY} in it; write the table anew"
        ) from error
    return TableOfFiles(directory, tuple(found["files"]), found["rows"], tuple(found["columns"]))


def check_target(directory: str) -> None:
    """Sees that a table may be written to a directory, which it need not have yet.

    Raises:
      InvalidArgumentError: it holds something else than such a table.
    """
    wrong = [n for n in _names_in(directory) if n != SUMMARY and not _PART.fullmatch(n)]
    if wrong:
        raise InvalidArgumentError(
            "directory",
            directory,
            f"holds {wrong[0]!r}, which is no part of such a table; name another directory",
        )


def _names_in(directory: str) -> list[str]:
    from apache_beam.io.filesystems import FileSystems

    (found,) = FileSystems.match([FileSystems.join(directory, "*")])
    names = [FileSystems.split(one.path.rstrip("/"))[1] for one in found.metadata_list]
    return sorted(name for name in names if name != DRAFT)


def _delete(directory: str, names: list[str]) -> None:
    from apache_beam.io.filesystems import FileSystems

    paths = [FileSystems.join(directory, name) for name in names]
    there = [path for path in paths if FileSystems.exists(path)]
    if there:
        FileSystems.delete(there)
