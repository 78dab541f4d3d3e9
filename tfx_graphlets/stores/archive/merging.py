"""Merges what a store holds now into what its archive held: by id, the store's rows count."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import ArchiveError
from tfx_graphlets.stores.archive.format import ALWAYS_READ
from tfx_graphlets.stores.archive.tables import Tables
from tfx_graphlets.trace.ordering import pack, positions_of
from tfx_graphlets.trace.trace import BoolArray, CodeArray, IntArray

_NO_PIPELINE: Final = ""  # name under which executions in no pipeline are told
_OWNED: Final = {"executions": "execution_properties", "artifacts": "artifact_properties"}


@dataclasses.dataclass(frozen=True, eq=False)
class Merge:
    """The tables of an archive and of its store as one.

    Attributes:
      tables: pyarrow.Table by name, with the column ``pipeline``; all but the payloads'.
      pipelines: names of the pipelines, sorted.
      new: number of executions, artifacts and events that the archive lacked, by table.
      changed: number of archived executions and artifacts that the store holds otherwise.
      artifacts: int64 [k], ids of artifacts that are new or changed: their files are looked at.
      changed_pipelines: names of the pipelines of which rows are new or changed.
      is_new: whether anything is.
    """

    tables: Tables
    pipelines: tuple[str, ...]
    new: Mapping[str, int]
    changed: int
    artifacts: IntArray
    changed_pipelines: frozenset[str]
    is_new: bool


def merge(archived: Tables | None, store: Tables) -> Merge:
    """The rows of both.

    Of an execution or artifact that both hold, the store's row and properties
    count; what the store no longer holds stays. Rows of the other tables add
    up, each as often as the one holds it that holds it more often. A context
    does not change: the archive's row stays.

    Args:
      archived: tables of the archive; None where there is none yet.
      store: tables of the store, see ``tables_of``.
    """
    rows = {
        name: _Rows.of(table.slice(0, 0) if archived is None else archived[name], table)
        for name, table in store.items()
    }
    touched: dict[str, IntArray] = {}
    new: dict[str, int] = {}
    kept: dict[str, BoolArray] = {}
    changed = 0
    for name, properties in _OWNED.items():
        mine, own = rows[name], rows[properties]
        ids, owner = mine.column("id"), own.column("owner")
        there, now = np.sort(ids[~mine.is_new]), np.sort(ids[mine.is_new])
        is_gone = positions_of(now, owner) < 0
        kept[name] = mine.is_new | (positions_of(now, ids) < 0)
        kept[properties] = own.is_new | is_gone
        unlike = (ids[mine.is_new & mine.is_unlike()], owner[own.is_unlike() & ~is_gone])
        touched[name] = np.unique(np.concatenate(unlike))
        is_archived = positions_of(there, touched[name]) >= 0
        new[name] = int((~is_archived).sum())
        changed += int(is_archived.sum())
    ids, is_new = rows["contexts"].column("id"), rows["contexts"].is_new
    kept["contexts"] = ~is_new | (positions_of(np.sort(ids[~is_new]), ids) < 0)
    touched["contexts"] = ids[is_new & kept["contexts"]]
    added = {}
    for name in ("events", "associations", "attributions"):
        added[name] = rows[name].is_new & rows[name].is_unlike()
        kept[name] = ~rows[name].is_new | added[name]
    new["events"] = int(added["events"].sum())
    tables = {name: rows[name].table.filter(_mask(kept[name])) for name in store}
    places = _Places.of(tables)
    return Merge(
        tables={
            name: table.append_column("pipeline", [places.of_rows(name, table)])
            for name, table in tables.items()
        },
        pipelines=places.names,
        new=new,
        changed=changed,
        artifacts=touched["artifacts"],
        changed_pipelines=places.names_of(
            np.concatenate(
                (
                    touched["executions"],
                    rows["events"].column("execution")[added["events"]],
                    rows["associations"].column("execution")[added["associations"]],
                )
            ),
            touched["artifacts"],
            np.concatenate(
                (
                    touched["contexts"],
                    rows["attributions"].column("context")[added["attributions"]],
                )
            ),
            tables,
        ),
        is_new=any(map(len, touched.values())) or any(one.any() for one in added.values()),
    )


def check_same_store(archived: Any, store: Any, name: str) -> None:
    """Refuses another store than the one that was archived.

    Args:
      archived, store: the table ``executions`` of both.
      name: of the archive, for messages.

    Raises:
      ArchiveError: an id stands for another execution, or none of the
        archived ones is there and the store's ids end before theirs.
    """
    rows = _Rows.of(archived, store)
    ids, created, kind = (rows.column(one) for one in ("id", "create_ms", "type"))
    there = np.flatnonzero(~rows.is_new)
    there = there[np.argsort(ids[there])]
    now = np.flatnonzero(rows.is_new)
    place = positions_of(ids[there], ids[now])
    now, then = now[place >= 0], there[place[place >= 0]]
    # Types may be told in other words by another release: the time counts.
    differ = created[now] != created[then]
    differ |= (created[now] == 0) & (kind[now] != kind[then])
    problem = ""
    if differ.any():
        number = int(ids[now[np.flatnonzero(differ)[0]]])
        problem = (
            f"execution {number} is not the one that is archived under this id (another time or "
            "type)"
        )
    elif len(there) and not len(now):
        highest, last = int(ids[rows.is_new].max(initial=-1)), int(ids[there[-1]])
        if highest < last:
            problem = (
                f"this one holds none of its executions, and its ids end at {highest}, the "
                f"archive's at {last}"
            )
    if problem:
        raise ArchiveError(
            name,
            f"was made from another store: {problem}; name the store that was archived, or "
            "another directory, or replace the archive (--replace)",
        )


@dataclasses.dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of one table: first those of the archive, then those of the store.

    Attributes:
      table: pyarrow.Table; texts are dictionaries.
      is_new: bool [n], true for those of the store.
    """

    table: Any
    is_new: BoolArray

    @classmethod
    def of(cls, archived: Any, store: Any) -> _Rows:
        import pyarrow as pa

        columns = {
            name: _joined([*archived.column(name).chunks, *store.column(name).chunks])
            for name in store.column_names
        }
        return cls(pa.table(columns), np.arange(len(archived) + len(store)) >= len(archived))

    def column(self, name: str) -> IntArray:
        """Integers that are the same where the values are the same."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self.table.column(name).combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = pc.fill_null(column.indices, -1)
        values = column.to_numpy(zero_copy_only=False)
        return (values.view(np.int64) if values.dtype == np.float64 else values).astype(np.int64)

    def is_unlike(self) -> BoolArray:
        """True for rows of which the other side does not hold one, as often as they are there."""
        result = np.ones(len(self.is_new), bool)
        if not self.is_new.any() or self.is_new.all():
            return result
        keys = _packed([self.column(name) for name in self.table.column_names])
        order = np.argsort(keys[0], kind="stable") if len(keys) == 1 else np.lexsort(keys[::-1])
        is_first = np.ones(len(order), bool)
        is_first[1:] = np.any([np.diff(key[order]) != 0 for key in keys], axis=0)
        start = np.flatnonzero(is_first)
        group = np.cumsum(is_first) - 1
        # Of equal rows the archive's come first.
        num_new = np.add.reduceat(self.is_new[order].astype(np.int64), start)
        num_old = np.diff(np.append(start, len(order))) - num_new
        rank = np.arange(len(order)) - start[group]
        is_new = self.is_new[order]
        rank[is_new] -= num_old[group[is_new]]
        result[order] = rank >= np.where(is_new, num_old[group], num_new[group])
        return result


@dataclasses.dataclass(frozen=True, eq=False)
class _Places:
    """Which pipelines have a use for which rows.

    Attributes:
      names: of the pipelines, sorted.
      execution, artifact, context: ids, ascending, and the only pipeline of each, int32.
      member, member_of: execution and pipeline of each membership, ids and int64 [m].
    """

    names: tuple[str, ...]
    execution: tuple[IntArray, CodeArray]
    artifact: tuple[IntArray, CodeArray]
    context: tuple[IntArray, CodeArray]
    member: IntArray
    member_of: IntArray

    @classmethod
    def of(cls, tables: Tables) -> _Places:
        kinds, titles = (tables["contexts"].column(one).to_pylist() for one in ("type", "name"))
        named = {
            number: title
            for number, kind, title in zip(_ints(tables, "contexts", "id").tolist(), kinds, titles)
            if kind in vocabulary.PIPELINE_CONTEXTS
        }
        names = tuple(sorted({*named.values()}))
        place = {title: number for number, title in enumerate(names)}
        pipelines = np.array(sorted(named), np.int64)
        number_of = np.array([place[named[one]] for one in pipelines.tolist()] + [-1], np.int64)
        context = _ints(tables, "associations", "context")
        execution = _ints(tables, "associations", "execution")
        of_context = number_of[positions_of(pipelines, context)]
        member, member_of = execution[of_context >= 0], of_context[of_context >= 0]
        executions = _common(_ints(tables, "executions", "id"), member, member_of)
        producers = _ints(tables, "events", "execution")
        return cls(
            names,
            executions,
            _common(
                _ints(tables, "artifacts", "id"),
                _ints(tables, "events", "artifact"),
                _looked_up(executions, producers),
            ),
            _common(_ints(tables, "contexts", "id"), context, _looked_up(executions, execution)),
            member,
            member_of,
        )

    def of_rows(self, name: str, table: Any) -> Any:
        """The only pipeline of each row, a pyarrow array of int32."""
        import pyarrow as pa

        places, column = {
            "executions": (self.execution, "id"),
            "artifacts": (self.artifact, "id"),
            "events": (self.execution, "execution"),
            "contexts": (self.context, "id"),
            "associations": (self.execution, "execution"),
            "attributions": (self.context, "context"),
            "execution_properties": (self.execution, "owner"),
            "artifact_properties": (self.artifact, "owner"),
        }[name]
        return pa.array(_looked_up(places, table.column(column).to_numpy()), pa.int32())

    def names_of(
        self, executions: IntArray, artifacts: IntArray, contexts: IntArray, tables: Tables
    ) -> frozenset[str]:
        """Names of the pipelines of these executions, artifacts and contexts, given by id."""
        taken = np.isin(_ints(tables, "events", "artifact"), artifacts)
        held = np.isin(_ints(tables, "associations", "context"), contexts)
        found = np.concatenate(
            (
                executions,
                _ints(tables, "events", "execution")[taken],
                _ints(tables, "associations", "execution")[held],
            )
        )
        of_found = np.unique(self.member_of[np.isin(self.member, found)]).tolist()
        outside = not np.isin(found, self.member).all()
        return frozenset(self.names[at] for at in of_found) | ({_NO_PIPELINE} if outside else set())


def _common(ids: IntArray, member: IntArray, pipeline: Any) -> tuple[IntArray, CodeArray]:
    """Of each id, ascending, the pipeline on which all entries agree, else ALWAYS_READ."""
    ids = np.sort(ids)
    place = positions_of(ids, member)
    known = place >= 0
    lowest = np.full(len(ids), np.iinfo(np.int32).max, np.int32)
    highest = np.full(len(ids), np.iinfo(np.int32).min, np.int32)
    np.minimum.at(lowest, place[known], pipeline[known].astype(np.int32))
    np.maximum.at(highest, place[known], pipeline[known].astype(np.int32))
    return ids, np.where(lowest == highest, lowest, np.int32(ALWAYS_READ))


def _looked_up(places: tuple[IntArray, CodeArray], ids: IntArray) -> CodeArray:
    return np.append(places[1], np.int32(ALWAYS_READ))[positions_of(places[0], ids)]


def _ints(tables: Tables, table: str, column: str) -> IntArray:
    values: IntArray = tables[table].column(column).to_numpy()
    return values


def _mask(chosen: BoolArray) -> Any:
    import pyarrow as pa

    return pa.array(chosen)


def _packed(columns: Sequence[IntArray]) -> list[IntArray]:
    """Fewer columns in which the same rows are equal."""
    result = [columns[0]]
    for column in columns[1:]:
        packed = pack([result[-1], column])
        if packed is None:
            result.append(column)
        else:
            result[-1] = packed
    return result


def _joined(chunks: Sequence[Any]) -> Any:
    """One array of several; texts become one dictionary of large strings."""
    import pyarrow as pa

    kind = chunks[-1].type
    if not (pa.types.is_dictionary(kind) or pa.types.is_string(kind)):
        return pa.concat_arrays(chunks)
    coded = [one if pa.types.is_dictionary(one.type) else one.dictionary_encode() for one in chunks]
    alike = [
        pa.DictionaryArray.from_arrays(one.indices, one.dictionary.cast(pa.large_string()))
        for one in coded
    ]
    return pa.chunked_array(alike).unify_dictionaries().combine_chunks()
