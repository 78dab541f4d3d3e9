"""Known: what an archive already holds, as far as is needed to append to it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tfx_graphlets.errors import ArchiveError
from tfx_graphlets.stores.archive.columns import Rewriter, tables_of
from tfx_graphlets.stores.archive.format import ALWAYS_READ
from tfx_graphlets.stores.archive.hashing import text_hashes
from tfx_graphlets.stores.archive.store import ArchiveStore
from tfx_graphlets.trace.ordering import positions_of
from tfx_graphlets.trace.trace import BoolArray, CodeArray, IntArray, SmallArray, Trace
from tfx_graphlets.vocabulary import ExecutionState

_UNFINISHED_EXECUTIONS = (ExecutionState.NEW, ExecutionState.RUNNING)
_PENDING = 1  # MLMD Artifact.State


@dataclasses.dataclass(frozen=True, eq=False)
class KnownNodes:
    """The executions, or the artifacts, of an archive, by ascending id.

    Attributes:
      id: int64 [n].
      pipeline: int32 [n], see ``archive.format.TABLES``.
      digest: int64 [n].
      type: uint64 [n], hash of the type's name.
      state: int8 [n].
      create_ms, update_ms: int64 [n].
    """

    id: IntArray
    pipeline: CodeArray
    digest: IntArray
    type: Any
    state: SmallArray
    create_ms: IntArray
    update_ms: IntArray

    @classmethod
    def of(cls, table: Any) -> KnownNodes:
        """From a pyarrow.Table with these columns."""
        columns = {name: _numbers(table, name) for name in _NODE_COLUMNS if name != "type"}
        columns["type"] = text_hashes(table.column("type"))
        order = np.argsort(columns["id"], kind="stable")
        return cls(**{name: values[order] for name, values in columns.items()})

    def __len__(self) -> int:
        return len(self.id)

    @property
    def highest(self) -> int:
        """The highest id, -1 where there is none."""
        return int(self.id[-1]) if len(self.id) else -1

    def unfinished(self, *, executions: bool) -> IntArray:
        """Ids of what was not finished when it was archived."""
        states = _UNFINISHED_EXECUTIONS if executions else (_PENDING,)
        return self.id[np.isin(self.state, np.array(states, np.int8))]


_NODE_COLUMNS = tuple(field.name for field in dataclasses.fields(KnownNodes))


@dataclasses.dataclass(frozen=True, eq=False)
class Known:
    """What an archive holds.

    Attributes:
      store: the archive itself, for what else is to be looked up.
      executions, artifacts: its nodes.
      context_id: int64 [n], ids of its contexts, ascending.
      context_pipeline: int32 [n], the only pipeline that has a use for each.
    """

    store: ArchiveStore
    executions: KnownNodes
    artifacts: KnownNodes
    context_id: IntArray
    context_pipeline: CodeArray

    @classmethod
    def of(cls, store: ArchiveStore) -> Known:
        """Reads what is needed of an archive."""
        nodes = {
            table: store.tables.read(table, _NODE_COLUMNS) for table in ("executions", "artifacts")
        }
        if any(table.column("digest").null_count for table in nodes.values()):
            digests = _computed(store)
            nodes = {
                name: table.set_column(
                    table.column_names.index("digest"),
                    "digest",
                    [_of_ids(digests[name], table.column("id").to_numpy())],
                )
                for name, table in nodes.items()
            }
        contexts = store.tables.read("contexts", ["id", "pipeline"])
        order = np.argsort(contexts.column("id").to_numpy(), kind="stable")
        return cls(
            store,
            KnownNodes.of(nodes["executions"]),
            KnownNodes.of(nodes["artifacts"]),
            contexts.column("id").to_numpy()[order],
            _numbers(contexts, "pipeline")[order],
        )

    def check_same_store(self, trace: Trace, highest: int) -> None:
        """Refuses another store than the one that was archived.

        Args:
          trace: executions of the store, some or all.
          highest: the highest id of an execution in the store.

        Raises:
          ArchiveError: an id stands for another execution, or none of the
            archived ones is there and the store's ids end before theirs.
        """
        mine = self.executions
        place = positions_of(mine.id, trace.executions.id)
        both = np.flatnonzero(place >= 0)
        place = place[both]
        created = trace.executions.create_ms[both]
        names = _hashes_of_names(trace.executions.type_names)[trace.executions.type[both]]
        # Types may be told in other words by another release: the time counts.
        differ = created != mine.create_ms[place]
        differ |= (created == 0) & (names != mine.type[place])
        advice = (
            "name the store that was archived, or another directory, or replace the archive "
            "(--replace)"
        )
        if differ.any():
            number = int(mine.id[place[np.flatnonzero(differ)[0]]])
            raise ArchiveError(
                self.store.name,
                f"was made from another store: execution {number} is not the one "
                f"that is archived under this id (another time or type); {advice}",
            )
        if len(mine) and not len(both) and highest < mine.highest:
            raise ArchiveError(
                self.store.name,
                "was made from another store: this one holds none of its "
                f"executions, and its ids end at {highest}, the archive's at {mine.highest}; "
                f"{advice}",
            )


def common_pipeline(length: int, member: IntArray, pipeline: IntArray) -> tuple[Any, BoolArray]:
    """The pipeline on which all entries of a member agree.

    Args:
      length: number of members.
      member: int64 [m], which member an entry is about.
      pipeline: integers [m], the entry's pipeline.

    Returns:
      int32 [length], ALWAYS_READ where entries differ or there is none, and
      bool [length], true where there is an entry.
    """
    lowest = np.full(length, np.iinfo(np.int32).max, np.int32)
    highest = np.full(length, np.iinfo(np.int32).min, np.int32)
    np.minimum.at(lowest, member, pipeline.astype(np.int32))
    np.maximum.at(highest, member, pipeline.astype(np.int32))
    return np.where(lowest == highest, lowest, ALWAYS_READ), lowest <= highest


def _hashes_of_names(names: tuple[str, ...]) -> Any:
    import pyarrow as pa

    return text_hashes(pa.array([*names], pa.large_string()))


def _numbers(table: Any, column: str) -> Any:
    values = table.column(column)
    return (values.fill_null(ALWAYS_READ) if values.null_count else values).to_numpy()


def _computed(store: ArchiveStore) -> dict[str, tuple[IntArray, IntArray]]:
    """Ids and digests of the nodes of an archive that keeps none itself."""
    tables = tables_of(store.read_whole(), Rewriter(scrub=False))
    return {
        name: (tables[name].column("id").to_numpy(), tables[name].column("digest").to_numpy())
        for name in ("executions", "artifacts")
    }


def _of_ids(found: tuple[IntArray, IntArray], ids: IntArray) -> IntArray:
    return found[1][positions_of(found[0], ids)]
