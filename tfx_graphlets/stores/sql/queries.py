"""The queries by which the tables of ML Metadata are read, in the SQL of each backend.

Tables and columns have the same names in SQLite, MySQL and PostgreSQL
(ml-metadata, ``metadata_source_query_config.cc``); what differs is a Dialect.
Every query gives its columns without NULL.
"""

# ruff: noqa: S608 - names are MLMD's; what a user gives goes through Dialect.literal

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import Final

from tfx_graphlets import vocabulary
from tfx_graphlets.stores.selection import WHERE_CONTEXTS, Columns
from tfx_graphlets.trace.odd_rows import ODD
from tfx_graphlets.trace.trace import PropertyKind


@dataclasses.dataclass(frozen=True)
class Dialect:
    """How one backend writes what the others write in another way.

    Attributes:
      integer, real, text: an expression of that type of ``{column}``, ``{null}``,
        0 or empty for NULL, and ODD for what is no number (see ``trace.odd_rows``).
      is_real: whether ``{column}`` is a number.
      flag: 1 where ``{column}`` is true, else 0, and ODD for what is neither.
      unindexed: stands before a column that no index is to be used for.
      in_row_order: stands behind a table's name to read it row by row, not
        along an index.
      order_of_rows: what orders rows as they were written, at the end.
      escapes: characters that a string literal has to double.
    """

    integer: str
    real: str
    text: str
    is_real: str = "TRUE"
    flag: str = "CASE WHEN {column} THEN 1 ELSE 0 END"
    unindexed: str = ""
    in_row_order: str = ""
    order_of_rows: str = ""
    escapes: str = "'"

    def literal(self, text: str) -> str:
        """The string in quotes."""
        for character in self.escapes:
            text = text.replace(character, 2 * character)
        return f"'{text}'"


SQLITE: Final = Dialect(
    # A text or a blob is larger than any number.
    integer=(
        f"CAST(CASE WHEN {{column}} BETWEEN {-(2**63)} AND {2**63 - 1} THEN {{column}} "
        f"WHEN {{column}} IS NULL THEN {{null}} ELSE {ODD} END AS INTEGER)"
    ),
    real="CAST(coalesce({column}, 0.0) AS REAL)",
    text="CAST(coalesce({column}, '') AS TEXT)",
    is_real="typeof({column}) IN ('real', 'integer')",
    flag=(
        "CASE WHEN {column} BETWEEN 0 AND 1 THEN CAST({column} AS INTEGER) "
        f"WHEN {{column}} IS NULL THEN 0 ELSE {ODD} END"
    ),
    unindexed="+",
    in_row_order=" NOT INDEXED",
    order_of_rows=" ORDER BY EventPath.rowid",
)
MYSQL: Final = Dialect(
    integer="CAST(coalesce({column}, {null}) AS SIGNED)",
    real="coalesce({column}, 0e0)",
    text="coalesce({column}, '')",
    escapes="\\'",
)
POSTGRESQL: Final = Dialect(
    integer="CAST(coalesce({column}, {null}) AS BIGINT)",
    real="coalesce({column}, CAST(0 AS DOUBLE PRECISION))",
    text="coalesce({column}, '')",
    order_of_rows=" ORDER BY EventPath.ctid",
)


ODD_KIND: Final = -1  # of a property whose value is of another type than its column


class Kind(Enum):
    """What a column of a query holds."""

    INTEGER = "integer"
    REAL = "real"
    CODE = "code"  # text of which many are the same
    TEXT = "text"


_Column = tuple[str, Kind]


@dataclasses.dataclass(frozen=True)
class Query:
    """A query and the kinds of its columns."""

    text: str
    kinds: tuple[Kind, ...]


@dataclasses.dataclass(frozen=True)
class Chosen:
    """The rows that belong to some pipelines, each as a query of their ids."""

    executions: str
    artifacts: str
    contexts: str


class Queries:
    """The queries for one reading of a store.

    Args:
      dialect: the backend's.
      known: names of the columns of each table; what a table does not have
        reads as 0 or empty. None where all are there.
      columns: what is wanted.
      properties: names of the properties that are wanted; None for all.
      chosen: what to restrict the queries to; None for the whole store.
      bounds: highest id of each table that is to be read.

    A look-up gives ``where``, a condition that an index answers.
    """

    def __init__(
        self,
        dialect: Dialect,
        *,
        known: Mapping[str, Collection[str]] | None = None,
        columns: Columns = Columns.ALL,
        properties: Collection[str] | None = None,
        chosen: Chosen | None = None,
        bounds: Mapping[str, int] | None = None,
    ) -> None:
        self.dialect = dialect
        self.columns = columns
        self._known = known
        self._properties = properties
        self._chosen = chosen
        self._bounds = bounds or {}

    def all(self) -> dict[str, Query]:
        """The queries by the table that they read, the slowest first."""
        queries = {
            "Event": self.events(),
            "ArtifactProperty": self.properties("Artifact"),
            "ExecutionProperty": self.properties("Execution"),
            "EventPath": self.keys(),
            "Artifact": self.nodes("Artifact"),
            "Association": self.members("Association", "execution"),
            "Attribution": self.members("Attribution", "artifact"),
            "Execution": self.nodes("Execution"),
            "Context": self.contexts(),
            "Type": self.types(),
        }
        if not self.columns.attributions:
            del queries["Attribution"]
        if self.columns.event_keys is not None and not self.columns.event_keys:
            del queries["EventPath"]
        return queries

    @property
    def with_event_ids(self) -> bool:
        """Whether events are read with their ids, by which they have keys."""
        return self.columns.event_keys is None or bool(self.columns.event_keys)

    def types(self) -> Query:
        """Columns id, name."""
        return self._select((self._key("id"), self._text("name")), "Type")

    def pipelines(self) -> Query:
        """Columns id, name of the contexts that stand for pipelines."""
        condition = f"type_id IN ({self._type_ids(vocabulary.PIPELINE_CONTEXTS)})"
        return self._select((self._key("id"), self._text("name")), "Context", [condition])

    def pipeline_sizes(self) -> Query:
        """Columns name of a pipeline context, number of its executions that exist."""
        types = self._type_ids(vocabulary.PIPELINE_CONTEXTS)
        return Query(
            f"SELECT {self._text('Context.name')[0]} AS named, "
            "count(DISTINCT Execution.id) FROM Context "
            "LEFT JOIN Association ON Association.context_id = Context.id "
            "LEFT JOIN Execution ON Execution.id = Association.execution_id "
            f"WHERE Context.type_id IN ({types}) GROUP BY named",
            (Kind.TEXT, Kind.INTEGER),
        )

    def nodes(self, table: str, where: str = "") -> Query:
        """Columns id, type id, state, create, update (, uri) of Execution or Artifact."""
        known = self._columns_of(table)
        state = "last_known_state" if table == "Execution" else "state"
        columns: list[str | _Column] = [
            self._key("id"),
            self._integer("type_id"),
            *(
                self._integer(name) if known is None or name in known else "0"
                for name in (state, "create_time_since_epoch", "last_update_time_since_epoch")
            ),
        ]
        if table == "Artifact" and self.columns.uris:
            columns.append(self._uri())
        return self._select(columns, table, self._of_chosen(table, "id"), where=where)

    def _uri(self) -> _Column:
        uri, wanted = self._text("uri"), self.columns.uri_types
        if wanted is None:
            return uri
        # The types of Kubeflow Pipelines say nothing: what they stand for is found out later.
        names = ["name LIKE 'system.%'"]
        for name in sorted(wanted):
            names.append(f"name = {self.dialect.literal(name)}")
            names.append(f"name LIKE {self.dialect.literal('%.' + name)}")
        types = f"SELECT id FROM Type WHERE {' OR '.join(names)}"
        return f"CASE WHEN type_id IN ({types}) THEN {uri[0]} ELSE '' END", Kind.TEXT

    def properties(self, table: str, where: str = "") -> Query:
        """Columns owner, name, custom, kind, int, double, string.

        The kind is 0 where the value is of none that a Trace holds.
        """
        known, owner = self._columns_of(f"{table}Property"), f"{table.lower()}_id"
        has_bool = known is None or "bool_value" in known
        is_real = self.dialect.is_real.format(column="double_value")
        kinds = {
            "int_value": f"{PropertyKind.INT:d}",
            "double_value": f"CASE WHEN {is_real} THEN {PropertyKind.DOUBLE:d} ELSE {ODD_KIND} END",
            "string_value": f"{PropertyKind.STRING:d}",
            **({"bool_value": f"{PropertyKind.BOOL:d}"} if has_bool else {}),
        }
        integer = self._integer("int_value")
        boolean = self.dialect.flag.format(column="bool_value") if has_bool else "0"
        cases = " ".join(f"WHEN {name} IS NOT NULL THEN {kind}" for name, kind in kinds.items())
        conditions = self._of_chosen(table, owner)
        if self._properties is not None and not any("\0" in name for name in self._properties):
            from tfx_graphlets.stores.system_types import PROPERTIES_READ

            names = {*self._properties, *PROPERTIES_READ}
            names |= {vocabulary.PropertyName.STATE}
            listed = ", ".join(map(self.dialect.literal, sorted(names)))
            conditions.append(f"name IN ({listed})")
        return self._select(
            (
                self._key(owner),
                self._code("name"),
                self.dialect.flag.format(column="is_custom_property"),
                f"CASE {cases} ELSE 0 END",
                f"CASE WHEN int_value IS NOT NULL THEN {integer} ELSE {boolean} END",
                self._real("double_value"),
                self._code("string_value"),
            ),
            f"{table}Property",
            conditions,
            where=where,
        )

    def events(self, where: str = "") -> Query:
        """Columns (id,) execution, artifact, type (, time)."""
        columns = [self._key("execution_id"), self._key("artifact_id"), self._integer("type")]
        if self.with_event_ids:
            columns.insert(0, self._key("id"))
        if self.columns.event_times:
            columns.append(self._integer("milliseconds_since_epoch"))
        conditions = self._of_chosen("Execution", "execution_id")
        return self._select(columns, "Event", conditions, where=where)

    def keys(self, where: str = "") -> Query:
        """Columns event, key of the key steps of event paths, in the order of their rows.

        All key steps of an event with one of the wanted keys: the first counts.
        """
        wanted, conditions = self.columns.event_keys, ["step_key IS NOT NULL"]
        of_chosen = ""
        if self._chosen is not None:
            of_chosen = (
                f"event_id IN (SELECT id FROM Event WHERE execution_id IN "
                f"({self._chosen.executions}))"
            )
        if wanted is not None:
            keys = ", ".join(map(self.dialect.literal, sorted(wanted)))
            found = " AND ".join(filter(None, (of_chosen, f"step_key IN ({keys})")))
            conditions.append(f"event_id IN (SELECT event_id FROM EventPath WHERE {found})")
        elif of_chosen:
            conditions.append(of_chosen)
        columns = (self._key("event_id"), self._code("step_key"))
        return self._select(
            columns,
            "EventPath",
            conditions,
            self.dialect.order_of_rows,
            in_row_order=wanted is None,
            where=where,
        )

    def contexts(self, where: str = "") -> Query:
        """Columns id, type id, name, create of the contexts of the wanted types."""
        known = self._columns_of("Context")
        has_times = known is None or "create_time_since_epoch" in known
        columns = (
            self._key("id"),
            self._integer("type_id"),
            self._text("name"),
            self._integer("create_time_since_epoch") if has_times else "0",
        )
        conditions = self._of_wanted_types("type_id")
        if self._chosen is not None:
            conditions.append(f"id IN ({self._chosen.contexts})")
        return self._select(columns, "Context", conditions, where=where)

    def members(self, table: str, member: str, where: str = "") -> Query:
        """Columns context, execution or artifact of Association or Attribution."""
        conditions = []
        if self.columns.context_types is not None:
            types = " AND ".join(self._of_wanted_types("type_id"))
            conditions.append(f"context_id IN (SELECT id FROM Context WHERE {types})")
        if self._chosen is not None:
            ids = self._chosen.executions if member == "execution" else self._chosen.artifacts
            conditions.append(f"context_id IN ({self._chosen.contexts})")
            # By context: a search for each pair of the two would take as many steps.
            conditions.append(f"{self.dialect.unindexed}{member}_id IN ({ids})")
        columns = (self._key("context_id"), self._key(f"{member}_id"))
        return self._select(columns, table, conditions, in_row_order=not conditions, where=where)

    def _of_chosen(self, table: str, column: str) -> list[str]:
        if self._chosen is None:
            return []
        ids = self._chosen.executions if table == "Execution" else self._chosen.artifacts
        return [f"{column} IN ({ids})"]

    def _of_wanted_types(self, column: str) -> list[str]:
        if self.columns.context_types is None:
            return []
        # Those that say where an execution belongs are looked at in any case.
        names = {*self.columns.context_types, *WHERE_CONTEXTS}
        return [f"{column} IN ({self._type_ids(names)})"]

    def _type_ids(self, names: Collection[str]) -> str:
        listed = ", ".join(map(self.dialect.literal, sorted(names)))
        return f"SELECT id FROM Type WHERE name IN ({listed})"

    def _select(
        self,
        columns: Sequence[str | _Column],
        table: str,
        conditions: Sequence[str] = (),
        order: str = "",
        *,
        in_row_order: bool = True,
        where: str = "",
    ) -> Query:
        found = [one if isinstance(one, tuple) else (one, Kind.INTEGER) for one in columns]
        if table in self._bounds:
            column = _ID_OF_TABLE.get(table, "id")
            conditions = [*conditions, f"{column} <= {int(self._bounds[table])}"]
        if where:  # a look-up: by an index
            conditions, in_row_order = [*conditions, where], False
        by_row = in_row_order and self._chosen is None
        parts = [
            "SELECT",
            ", ".join(text for text, _ in found),
            "FROM",
            table + (self.dialect.in_row_order if by_row else ""),
        ]
        if conditions:
            parts += ["WHERE", " AND ".join(conditions)]
        return Query(" ".join(parts) + order, tuple(kind for _, kind in found))

    def _columns_of(self, table: str) -> Collection[str] | None:
        return None if self._known is None else self._known[table]

    def _integer(self, column: str) -> str:
        return self.dialect.integer.format(column=column, null=0)

    def _key(self, column: str) -> str:
        return self.dialect.integer.format(column=column, null=ODD)

    def _real(self, column: str) -> _Column:
        return self.dialect.real.format(column=column), Kind.REAL

    def _text(self, column: str) -> _Column:
        return self.dialect.text.format(column=column), Kind.TEXT

    def _code(self, column: str) -> _Column:
        return self.dialect.text.format(column=column), Kind.CODE


# Where the rows of a table carry the id of another one's row.
_ID_OF_TABLE: Final[Mapping[str, str]] = {
    "ExecutionProperty": "execution_id",
    "ArtifactProperty": "artifact_id",
    "EventPath": "event_id",
}
