"""Rows: what a store recorded, by table and column, in any order, as readers hand it on.

``assemble`` makes the Trace of them. TABLES is the one place that names tables and columns: those
of the archive's files and the checks of odd rows follow from it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from tfx_graphlets.trace.strings import Coded, Texts
from tfx_graphlets.trace.trace import BoolArray, IntArray, Properties, PropertyKind, Trace

# Columns of one table by name, equally long.
Table = dict[str, Any]

_NODE: Final = {
    "id": np.int64,
    "type": Coded,
    "state": np.int8,
    "create_ms": np.int64,
    "update_ms": np.int64,
}
_PROPERTY: Final = {
    "owner": np.int64,
    "name": Coded,
    "is_custom": np.bool_,
    "kind": np.int8,
    "int_value": np.int64,
    "double_value": np.float64,
    "string_value": Coded,
}
# ML Metadata's tables: the columns of each, and of what kind they are: numpy arrays of a type
# (integers of any width, until they are assembled), Coded, or Texts (or another sequence of
# strings, where they are few).
# - ``type``: full name of the type; ``state``: 0 where the column holds none (then the property
#   ``state`` counts); times: milliseconds since the epoch, 0 where none; ``uri``: empty where none.
# - Event: ``execution`` and ``artifact`` are ids, which need not exist; ``key`` is the first key
#   step of its path, without a code where there is none.
# - Association, Attribution: ids of a context and of what it holds.
# - Properties: ``owner`` is the id of the execution or artifact; ``kind`` a PropertyKind;
#   ``int_value`` 0 where it is neither INT nor BOOL, ``double_value`` 0.0 where it is not DOUBLE,
#   ``string_value`` without a code where it is neither STRING nor STRUCT, of which it is the JSON
#   text (see ``properties.struct_to_json``).
TABLES: Final[Mapping[str, Mapping[str, type]]] = {
    "Execution": _NODE,
    "Artifact": {**_NODE, "uri": Texts},
    "Event": {
        "execution": np.int64,
        "artifact": np.int64,
        "type": np.int8,
        "key": Coded,
        "time_ms": np.int64,
    },
    "Context": {"id": np.int64, "type": Coded, "name": Texts, "create_ms": np.int64},
    "Association": {"context": np.int64, "execution": np.int64},
    "Attribution": {"context": np.int64, "artifact": np.int64},
    "ExecutionProperty": _PROPERTY,
    "ArtifactProperty": _PROPERTY,
}


class Rows:
    """Rows of a store.

    >>> rows = Rows({"Execution": {"id": np.array([7]), "type": Coded.of(["Trainer"])}})
    >>> rows["Execution"]["state"].tolist(), len(rows["Event"]["type"])
    ([0], 0)
    """

    def __init__(self, tables: Mapping[str, Table]) -> None:
        """Takes columns as they are.

        Args:
          tables: columns by the names of TABLES; those that are left out hold nothing in each row.
        """
        self._tables = {name: _filled(name, tables.get(name, {})) for name in TABLES}

    def __getitem__(self, table: str) -> Table:
        """The columns of a table, which may be exchanged."""
        return self._tables[table]

    def put(self, table: str, columns: Table) -> None:
        """Exchanges a table; columns that are left out hold nothing in each row."""
        self._tables[table] = _filled(table, columns)

    def keep(self, table: str, chosen: IntArray | BoolArray) -> None:
        """Keeps the chosen rows of a table: numbers, or bool [n]."""
        self._tables[table] = take(self._tables[table], chosen)

    def append(self, table: str, columns: Table) -> None:
        """Adds rows to a table; columns that are left out hold nothing in each row."""
        mine, more = self._tables[table], _filled(table, columns)
        self._tables[table] = {
            name: _joined(kind, [mine[name], more[name]]) for name, kind in TABLES[table].items()
        }

    def copy(self) -> Rows:
        """The same columns; to exchange one changes only one of both."""
        return Rows(self._tables)

    @classmethod
    def of(cls, trace: Trace) -> Rows:
        """The rows that ``assemble`` makes a trace of; events that were dropped are gone."""
        executions, artifacts = trace.executions, trace.artifacts
        events, contexts = trace.events, trace.contexts
        tables: dict[str, Any] = {
            "Execution": executions,
            "Artifact": artifacts,
            "Context": contexts,
        }
        return cls(
            {
                **{
                    name: {
                        **{column: getattr(table, column) for column in TABLES[name]},
                        "type": Coded(table.type, table.type_names),
                    }
                    for name, table in tables.items()
                },
                "Event": {
                    "execution": executions.id[events.execution],
                    "artifact": artifacts.id[events.artifact],
                    "type": events.type,
                    "key": Coded(events.key, events.keys),
                    "time_ms": events.time_ms,
                },
                "Association": {
                    "context": contexts.id[contexts.association_context],
                    "execution": executions.id[contexts.association_execution],
                },
                "Attribution": {
                    "context": contexts.id[contexts.attribution_context],
                    "artifact": artifacts.id[contexts.attribution_artifact],
                },
                "ExecutionProperty": _properties_of(executions.properties, executions.id),
                "ArtifactProperty": _properties_of(artifacts.properties, artifacts.id),
            }
        )


class RowBuilder:
    """Rows of a store one by one: a list for each column of TABLES.

    >>> build = RowBuilder()
    >>> build.extend("Association", [(1, 7), (1, 8)])
    >>> build.add("Execution", id=7, type="Trainer")
    >>> build.add_property("Execution", 7, "steps", True, PropertyKind.INT, 100)
    >>> build["Association"]["execution"], build.rows()["ExecutionProperty"]["int_value"].tolist()
    ([7, 8], [100])
    """

    def __init__(self) -> None:
        self._tables: dict[str, dict[str, list[Any]]] = {
            table: {column: [] for column in kinds} for table, kinds in TABLES.items()
        }

    def __getitem__(self, table: str) -> dict[str, list[Any]]:
        """The lists of a table by column."""
        return self._tables[table]

    def add(self, table: str, **values: Any) -> None:
        """Appends one row: strings, numbers, None for no key; what is left out is 0 or empty."""
        for column, kind in TABLES[table].items():
            self._tables[table][column].append(values.pop(column, "" if kind is Texts else 0))
        if values:
            raise TypeError(f"{table} has no column {min(values)!r}")

    def extend(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Appends rows with all columns in the order of TABLES."""
        lists = self._tables[table].values()
        for row in rows:
            for column, value in zip(lists, row):
                column.append(value)

    def add_property(
        self,
        owner_table: str,
        owner: int,
        name: str,
        is_custom: bool,
        kind: int,
        value: float | str,
    ) -> None:
        """Appends a property of an ``Execution`` or ``Artifact``; a STRUCT is its JSON text."""
        is_int = kind in (PropertyKind.INT, PropertyKind.BOOL)
        is_text = kind in (PropertyKind.STRING, PropertyKind.STRUCT)
        row = (
            owner,
            name,
            is_custom,
            kind,
            int(value) if is_int else 0,
            float(value) if kind == PropertyKind.DOUBLE else 0.0,
            str(value) if is_text else None,
        )
        self.extend(f"{owner_table}Property", [row])

    def rows(self) -> Rows:
        """The rows so far."""
        return Rows(
            {
                table: {column: _packed(kind, lists[column]) for column, kind in kinds.items()}
                for (table, kinds), lists in zip(TABLES.items(), self._tables.values())
            }
        )


def take(table: Table, chosen: IntArray | BoolArray) -> Table:
    """The chosen rows of a table: numbers, or bool [n]."""
    rows: IntArray = np.flatnonzero(chosen) if chosen.dtype == bool else np.asarray(chosen)
    return {name: taken(column, rows) for name, column in table.items()}


def taken(column: Any, rows: IntArray) -> Any:
    """A column's values in these rows; strings of a list or tuple as a tuple."""
    if isinstance(column, np.ndarray):
        return column[rows]
    if isinstance(column, (Coded, Texts)):
        return column.take(rows)
    return tuple(column[row] for row in rows.tolist())


def property_values(table: Table) -> list[int | float | str]:
    """The value of each row of a table of properties: a text for a STRUCT, 0 or 1 for a BOOL."""
    is_double = (table["kind"] == PropertyKind.DOUBLE).tolist()
    numbers = zip(is_double, table["int_value"].tolist(), table["double_value"].tolist())
    return [
        (real if double else number) if text is None else text
        for text, (double, number, real) in zip(table["string_value"].rows(), numbers)
    ]


def _filled(table: str, columns: Table) -> Table:
    """All columns of a table."""
    length = len(next(iter(columns.values()), ()))
    missing = TABLES[table].keys() - columns.keys()
    empty = {name: _empty(TABLES[table][name], length) for name in missing}
    return {**columns, **empty}


def _empty(kind: type, length: int) -> Any:
    if kind is Coded:
        return Coded.none(length)
    if kind is Texts:
        return Texts.blank(length)
    return np.zeros(length, np.int8 if issubclass(kind, np.integer) else kind)


def _packed(kind: type, values: list[Any]) -> Any:
    if kind is Coded:
        return Coded.of(values)
    if kind is Texts:
        return values
    # Numbers that are too large for a column are odd rows.
    return np.asarray(values, np.int64 if issubclass(kind, np.integer) else kind)


def _joined(kind: type, parts: list[Any]) -> Any:
    if kind is Coded:
        return Coded.joined(parts)
    if kind is not Texts:
        return np.concatenate(parts)
    if any(isinstance(part, Texts) for part in parts):
        return Texts.joined([part if isinstance(part, Texts) else Texts.of(part) for part in parts])
    return list(itertools.chain.from_iterable(parts))


def _properties_of(table: Properties, ids: IntArray) -> Table:
    return {
        "owner": ids[table.owner],
        "name": Coded(table.name, table.names),
        "is_custom": table.is_custom,
        "kind": table.kind,
        "int_value": table.int_value,
        "double_value": table.double_value,
        "string_value": Coded(table.string_code, table.strings),
    }
