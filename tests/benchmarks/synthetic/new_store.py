"""Writes a SQLite metadata store in bulk, into a schema that MLMD itself made.

MLMD creates the tables and the types; rows are then loaded past it, at a hundred times its pace.
What a store holds afterwards is as sound as the rows that it was given: nothing checks them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfx_graphlets.errors import InvalidArgumentError, MissingDependencyError, StoreError

if TYPE_CHECKING:
    import ml_metadata

# Rows of columns that one statement adds. Each statement begins by looking up the last id that
# its table handed out and ends by writing it back: alone, a row takes three times as long.
_AT_ONCE: Final = 50
_PARAMETER: Final = re.compile(r"\?(\d+)")
# SQLite sorts an index in memory as far as this goes, and spills to a file beyond.
_CACHE_KIB: Final = 1_000_000
# Nobody reads a store that is being written, and a broken one is deleted: no journal is needed.
_PRAGMAS: Final = (
    "journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", "temp_store=FILE",
    f"cache_size=-{_CACHE_KIB}", "threads=2",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class NewType:
    """A type to register.

    Attributes:
      properties: declared properties, name to MLMD's name of the value type (INT, STRING, ...).
      base_type: MLMD's name of a system type that it derives from (DATASET, TRAIN, ...), or None.
    """

    properties: Mapping[str, str] = dataclasses.field(default_factory=dict)
    base_type: str | None = None


@dataclasses.dataclass(frozen=True)
class Insert:
    """What one row of columns adds to a table: one row or several.

    Attributes:
      into: SQL up to ``VALUES``.
      values: the rows, with parameters ?1, ?2, ... that stand for the columns.
      width: number of the parameters.
    """

    into: str
    values: str
    width: int

    def repeated(self, times: int) -> str:
        """SQL for several rows of columns at once, their values one after the other.

        Its parameters carry no numbers: Python 3.12 on, sequences may stand for such alone.

        >>> Insert("INSERT INTO T VALUES", "(?1, 0), (?1, ?2)", 2).repeated(2)
        'INSERT INTO T VALUES (?, 0), (?, ?), (?, 0), (?, ?)'
        """
        return f"{self.into} {', '.join([_PARAMETER.sub('?', self.values)] * times)}"

    @property
    def order(self) -> tuple[int, ...]:
        """The column, from 0, that each parameter of one row stands for.

        >>> Insert("INSERT INTO T VALUES", "(?1, 0), (?1, ?2)", 2).order
        (0, 0, 1)
        """
        return tuple(int(number) - 1 for number in _PARAMETER.findall(self.values))


class NewStore:
    """Tables of a store that is being written.

    Attributes:
      type_ids: MLMD ids of the types that were asked for, by kind (artifact, execution, context)
        and name.
    """

    def __init__(
        self, connection: sqlite3.Connection, type_ids: Mapping[str, Mapping[str, int]]
    ) -> None:
        self.type_ids = type_ids
        self._connection = connection
        self._statements: dict[Insert, str] = {}

    def load(self, insert: Insert, columns: Sequence[Iterable[object]]) -> None:
        """Adds rows.

        Args:
          insert: what to do with a row of columns.
          columns: as many as the insert has parameters, all of one length.
        """
        held = [list(column) for column in columns]
        order = insert.order
        values = list(itertools.chain.from_iterable(zip(*(held[column] for column in order))))
        step = len(order) * _AT_ONCE
        whole = len(values) - len(values) % step
        if insert not in self._statements:
            self._statements[insert] = insert.repeated(_AT_ONCE)
        self._connection.executemany(
            self._statements[insert], (values[at : at + step] for at in range(0, whole, step))
        )
        self._connection.executemany(
            insert.repeated(1),
            (values[at : at + len(order)] for at in range(whole, len(values), len(order))),
        )

    def finish(self, dropped: Collection[str]) -> None:
        """Makes the indexes that were dropped for the load, and tells SQLite about their use."""
        for sql in dropped:
            self._connection.execute(sql)
        self._connection.commit()


@contextlib.contextmanager
def new_store(
    path: str | Path, *, artifact_types: Mapping[str, NewType],
    execution_types: Mapping[str, NewType], context_types: Mapping[str, NewType],
) -> Iterator[NewStore]:  # fmt: skip
    """Opens a store for loading; on leaving the block it is complete and stands at ``path``.

    Until then it is written beside it under another name, and a block that raises leaves nothing.

    Args:
      path: the file; it must not exist, its folder must.
      artifact_types, execution_types, context_types: by name, registered in this order.

    Raises:
      InvalidArgumentError: there is a file at ``path`` already, or no such folder.
      MissingDependencyError: ml-metadata is not installed.
      StoreError: SQLite cannot write what it was given.
    """
    path = Path(path)
    if path.exists():
        raise InvalidArgumentError("path", str(path), "there is a file already: name a new one")
    if not path.parent.is_dir():
        raise InvalidArgumentError("path", str(path), "its folder does not exist: make it first")
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        type_ids = _make_schema(
            partial, artifact=artifact_types, execution=execution_types, context=context_types
        )
        with contextlib.closing(
            sqlite3.connect(partial, isolation_level=None, cached_statements=512)
        ) as connection:
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("BEGIN")
            dropped = _drop_indexes(connection)
            store = NewStore(connection, type_ids)
            yield store
            store.finish(dropped)
        partial.replace(path)
    except sqlite3.Error as error:  # a full disk, rows that contradict each other
        raise StoreError(str(path), f"cannot be written: {error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _drop_indexes(connection: sqlite3.Connection) -> list[str]:
    """Drops every index that is not part of a table's definition; returns what makes them again."""
    found = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    ).fetchall()
    for name, _ in found:
        connection.execute(f'DROP INDEX "{name}"')
    return [sql for _, sql in found]


def _make_schema(path: Path, **types: Mapping[str, NewType]) -> dict[str, dict[str, int]]:
    try:
        import ml_metadata
        from ml_metadata.proto import metadata_store_pb2
    except ImportError as error:
        raise MissingDependencyError("ml-metadata", "mlmd", "making a store's schema") from error
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    store: ml_metadata.MetadataStore = ml_metadata.MetadataStore(config)
    put: dict[str, tuple[Any, Any]] = {
        "artifact": (metadata_store_pb2.ArtifactType, store.put_artifact_type),
        "execution": (metadata_store_pb2.ExecutionType, store.put_execution_type),
        "context": (metadata_store_pb2.ContextType, store.put_context_type),
    }
    ids: dict[str, dict[str, int]] = {kind: {} for kind in types}
    for kind, by_name in types.items():
        message, register = put[kind]
        for name, new_type in by_name.items():
            properties = {
                key: metadata_store_pb2.PropertyType.Value(value)
                for key, value in new_type.properties.items()
            }
            made = message(name=name, properties=properties)
            if new_type.base_type is not None:
                made.base_type = message.SystemDefinedBaseType.Value(new_type.base_type)
            ids[kind][name] = register(made)
    return ids
