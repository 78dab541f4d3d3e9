"""Lookups: what a metadata store answers by its indexes, whatever its size.

MLMD's schema has indexes for a context by type and name, the children of a
context, the executions of a context, the events of an execution and those of an
artifact, an artifact by URI, and every node by id. It has none from an
execution or an artifact to its contexts: ``get_contexts_by_execution`` and
``get_contexts_by_artifact`` scan a table, and nothing here asks so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple, Protocol

from tfx_graphlets.trace.odd_rows import OddRows
from tfx_graphlets.trace.rows import Table

# Longer lists of ids turn SQLite's plan into a full scan.
IDS_PER_QUERY: Final = 900
# Events that are looked at of an artifact that very many executions took in or put
# out (a schema that every run of years shares): the first for its producers, the
# latest for its consumers.
EVENTS_LOOKED_AT: Final = 2_048


class ContextRow(NamedTuple):
    """A context."""

    id: int
    type_name: str
    name: str
    create_ms: int


class ExecutionRow(NamedTuple):
    """An execution; ``state`` as in ``Executions``, taken from the property where it has to be."""

    id: int
    type_name: str
    state: int
    create_ms: int
    update_ms: int


class ArtifactRow(NamedTuple):
    """An artifact."""

    id: int
    type_name: str
    state: int
    create_ms: int
    update_ms: int
    uri: str


class EventRow(NamedTuple):
    """An event; ``key`` is the first key step of its path."""

    execution: int
    artifact: int
    type: int
    key: str | None
    time_ms: int


class Lookups(Protocol):
    """Look-ups in an open store; each costs what it returns, unless it says otherwise.

    What does not exist is left out of an answer. Ids of an argument may come in
    any order and number.
    """

    @property
    def odd(self) -> OddRows:
        """Rows that were left out of the answers so far."""
        ...

    @property
    def execution_types(self) -> Collection[str]:
        """Full names of the store's execution types."""
        ...

    def contexts_named(self, type_names: Sequence[str], name: str) -> list[ContextRow]:
        """Contexts of one of these types that have this name."""
        ...

    def parents(self, contexts: Sequence[int]) -> list[ContextRow]:
        """Parent contexts: since TFX 1.11 the pipeline of a run is one."""
        ...

    def newest_children(self, contexts: Sequence[int], count: int) -> list[ContextRow]:
        """The newest child contexts by id, at most ``count``, newest first."""
        ...

    def members(self, contexts: Sequence[int]) -> list[tuple[int, int]]:
        """Pairs (context, execution) of contexts that hold few executions, such as runs."""
        ...

    def members_of_pipeline(
        self, pipelines: Sequence[int], executions: Sequence[int]
    ) -> list[tuple[int, int]]:
        """Pairs (pipeline context, execution), of these executions."""
        ...

    def nodes_of(
        self, pipeline: str, executions: Sequence[ExecutionRow]
    ) -> tuple[list[ContextRow], list[tuple[int, int]]]:
        """Node contexts of a pipeline, and pairs (node context, execution) of these executions.

        TFX names a node's context after its pipeline: ``pipeline.node``.
        """
        ...

    def nodes_named(
        self, names: Collection[str], executions: Sequence[int]
    ) -> tuple[list[ContextRow], list[tuple[int, int]]]:
        """Node contexts of any pipeline by the node's id or their own name, and pairs as above.

        It costs what the store has of node contexts.
        """
        ...

    def executions(self, ids: Sequence[int]) -> list[ExecutionRow]:
        """Executions by id."""
        ...

    def artifacts(self, ids: Sequence[int]) -> list[ArtifactRow]:
        """Artifacts by id."""
        ...

    def artifacts_at(self, uris: Sequence[str]) -> list[ArtifactRow]:
        """Artifacts by URI."""
        ...

    def events(self, executions: Sequence[int]) -> list[EventRow]:
        """All events of executions."""
        ...

    def touching(
        self,
        artifacts: Sequence[int],
        *,
        producing: Collection[str],
        consuming: Collection[str],
        cached: bool,
        most: int,
    ) -> list[tuple[int, int, int]]:
        """Triples (artifact, execution, event type) of some executions at artifacts.

        Args:
          artifacts: ids.
          producing: full names of the types of executions that are looked for
            at output events.
          consuming: the same at input events.
          cached: executions in state CACHED too.
          most: at most so many per artifact: the lowest ids of those at output
            events, the highest of those at input events. See EVENTS_LOOKED_AT.
        """
        ...

    def execution_properties(self, ids: Sequence[int], names: Collection[str] | None) -> Table:
        """Properties of executions, of these names; None for all. No column: there are none."""
        ...

    def artifact_properties(self, ids: Sequence[int], names: Collection[str] | None) -> Table:
        """The same of artifacts."""
        ...


def lookups_of(store: object) -> contextlib.AbstractContextManager[Lookups | None]:
    """Look-ups in a store, in one state of it where it is a SQLite file.

    Args:
      store: any ``Store``.

    Returns: a context that gives None where a store is read as a whole (an
      archive, a database over TLS, and others).

    Raises:
      StoreError: the store cannot be read.
    """
    own = getattr(store, "lookups", None)
    return contextlib.nullcontext() if own is None else own()
