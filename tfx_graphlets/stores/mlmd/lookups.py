"""Look-ups through the MLMD API, for TFX's drivers and for servers.

Every call is one that MLMD answers by an index. Three of them cost more than
what is wanted of them, and the API has no other way:
- the children of a pipeline's context (its runs) come all at once;
- the executions of a context come page by page, and every page sends all their
  ids again: of a node's context, which holds one for each run, only the newest
  are asked for;
- all events of an artifact come at once, however many they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Final

from tfx_graphlets import vocabulary
from tfx_graphlets.stores.lookups import (
    EVENTS_LOOKED_AT,
    ArtifactRow,
    ContextRow,
    EventRow,
    ExecutionRow,
)
from tfx_graphlets.stores.mlmd import reader as mlmd_reader
from tfx_graphlets.trace.odd_rows import OddRows
from tfx_graphlets.trace.rows import RowBuilder, Table
from tfx_graphlets.vocabulary import ExecutionState, Role

if TYPE_CHECKING:
    from ml_metadata.metadata_store import metadata_store

# Executions of one page of the API.
_PAGE: Final = 100
_INPUTS: Final = frozenset(map(int, vocabulary.INPUT_EVENTS))
_RESOLVERS: Final = tuple(
    name for name, role in vocabulary.ROLE_OF_CLASS.items() if role is vocabulary.Role.RESOLVER
)
_OUTPUTS: Final = frozenset(map(int, vocabulary.OUTPUT_EVENTS))


class MlmdLookups:
    """Look-ups through one connection; see ``Lookups``.

    That an execution of a run belongs to the pipeline that is the run's parent
    is taken as given, since the API cannot say so of single executions. Node
    contexts are known of what may train or push, and where a class does not
    tell the node.
    """

    def __init__(self, api: metadata_store.MetadataStore, store: str = "the store") -> None:
        """Takes the API's client; ``store`` is its name, for messages."""
        from ml_metadata.metadata_store import metadata_store

        self.odd = OddRows(store)
        self._api = api
        self._options = metadata_store.ListOptions
        self._by_id = metadata_store.OrderByField.ID
        self._reader = mlmd_reader.Reader(api)
        self._executions: dict[int, Any] = {}
        self._artifacts: dict[int, Any] = {}
        self._runs: dict[int, list[int]] = {}  # context to executions
        self._children: dict[int, set[int]] = {}  # pipeline context to run contexts
        self._outputs: dict[int, list[int]] = {}  # execution to artifacts
        self._shared: dict[int, bool] = {}  # by pipeline context
        self._nodes: list[ContextRow] | None = None  # all of the store

    @property
    def execution_types(self) -> Collection[str]:
        """All of the store."""
        return frozenset(self._reader.type_name["execution"].values())

    # -- contexts ------------------------------------------------------------------

    def contexts_named(self, type_names: Sequence[str], name: str) -> list[ContextRow]:
        """One call for each type that the store has."""
        known = self._reader.type_name["context"].values()
        found = [
            self._api.get_context_by_type_and_name(type_name, name)
            for type_name in type_names
            if type_name in known
        ]
        return [self._reader.context_row(context) for context in found if context is not None]

    def parents(self, contexts: Sequence[int]) -> list[ContextRow]:
        """One call for each context."""
        found = {}
        for context in contexts:
            for parent in self._api.get_parent_contexts_by_context(context):
                self._children.setdefault(parent.id, set()).add(context)
                found[parent.id] = self._reader.context_row(parent)
        return list(found.values())

    def newest_children(self, contexts: Sequence[int], count: int) -> list[ContextRow]:
        """All of them come, and the newest are kept."""
        found = []
        for context in contexts:
            children = self._api.get_children_contexts_by_context(context)
            self._children.setdefault(context, set()).update(child.id for child in children)
            found += children
        found.sort(key=lambda child: -child.id)
        return [self._reader.context_row(child) for child in found[:count]]

    def members(self, contexts: Sequence[int]) -> list[tuple[int, int]]:
        """One call for each context."""
        page = self._options(order_by=self._by_id)
        for context in contexts:
            found = self._api.get_executions_by_context(context, page)
            self._executions.update({execution.id: execution for execution in found})
            self._runs[context] = [execution.id for execution in found]
        return [(context, execution) for context in contexts for execution in self._runs[context]]

    def members_of_pipeline(
        self, pipelines: Sequence[int], executions: Sequence[int]
    ) -> list[tuple[int, int]]:
        """Those of the runs that were asked for; all are asked for if pipelines share runs."""
        wanted, result = set(executions), set()
        for pipeline in pipelines:
            children = self._children.get(pipeline)
            if self._shares_runs(pipeline):
                page = self._options(order_by=self._by_id)
                found = self._api.get_executions_by_context(pipeline, page)
                result |= {(pipeline, one.id) for one in found if one.id in wanted}
                continue
            for run, members in self._runs.items():
                # A store that knows no parents says nothing against it.
                if not children or run in children:
                    result |= {(pipeline, execution) for execution in wanted.intersection(members)}
        return sorted(result)

    def _shares_runs(self, pipeline: int) -> bool:
        """True if the latest run has several parents: pipelines name their runs alike."""
        if pipeline not in self._shared and self._runs:
            parents = self._api.get_parent_contexts_by_context(max(self._runs))
            self._shared[pipeline] = len(parents) > 1
        return self._shared.get(pipeline, False)

    def nodes_of(
        self, pipeline: str, executions: Sequence[ExecutionRow]
    ) -> tuple[list[ContextRow], list[tuple[int, int]]]:
        """Of classes that may train or push, and of those that a run has several executions of.

        Of others the class tells the node. Asked for are nodes that are named
        as the URIs of what they put out say; all nodes of the store are listed
        if that leaves some unknown of the runs that were read.
        """
        ambiguous = self._ambiguous(executions)
        pending = {
            row.id
            for row in executions
            if row.type_name in ambiguous or _may_train_or_push(row.type_name)
        }
        members = {execution for members in self._runs.values() for execution in members}
        contexts: list[ContextRow] = []
        pairs: list[tuple[int, int]] = []

        def ask(context: ContextRow) -> None:
            mine = self._members_among(context.id, pending)
            pending.difference_update(mine)
            contexts.append(context)
            pairs.extend((context.id, execution) for execution in mine)

        for name in sorted({name for number in pending for name in self._names_in_uris(number)}):
            for context in self.contexts_named(vocabulary.NODE_CONTEXTS, f"{pipeline}.{name}"):
                ask(context)
        known = {context.id for context in contexts}
        for context in self._all_nodes() if pending & members else ():
            if context.name.startswith(f"{pipeline}.") and context.id not in known:
                ask(context)
            if not pending & members:
                break
        return contexts, pairs

    def nodes_named(
        self, names: Collection[str], executions: Sequence[int]
    ) -> tuple[list[ContextRow], list[tuple[int, int]]]:
        """All nodes of the store are listed."""
        ends = tuple(f".{name}" for name in names)
        found = [
            context
            for context in self._all_nodes()
            if context.name in names or context.name.endswith(ends)
        ]
        wanted = set(executions)
        return found, [
            (context.id, execution)
            for context in found
            for execution in self._members_among(context.id, wanted)
        ]

    def _all_nodes(self) -> list[ContextRow]:
        if self._nodes is None:
            found = self._reader.contexts_of_types(vocabulary.NODE_CONTEXTS)
            self._nodes = [self._reader.context_row(message) for message in found]
        return self._nodes

    def _members_among(self, context: int, executions: Collection[int]) -> list[int]:
        """Those of some executions that stand in a node's context.

        It holds one for each run of years: its newest are asked for, twice as many as long as
        there may be more of these executions.
        """
        if not executions:
            return []
        limit = max(_PAGE, len(self._runs))
        while True:
            options = self._options(limit=limit, order_by=self._by_id, is_asc=False)
            found = [one.id for one in self._api.get_executions_by_context(context, options)]
            if len(found) < limit or found[-1] <= min(executions):
                return sorted(set(executions).intersection(found))
            limit *= 2

    def _ambiguous(self, executions: Sequence[ExecutionRow]) -> set[str]:
        """Names of the types that a run has several executions of."""
        type_of = {row.id: row.type_name for row in executions}
        result = set()
        for members in self._runs.values():
            count = Counter(type_of[execution] for execution in members if execution in type_of)
            result |= {name for name, times in count.items() if times > 1}
        return {name for name in result if vocabulary.base_name(name) not in _RESOLVERS}

    def _names_in_uris(self, execution: int) -> set[str]:
        """Node ids as TFX puts them into URIs: ``root/node/key/execution``."""
        result = set()
        for artifact in self._outputs.get(execution, ()):
            parts = self._artifacts[artifact].uri.split("/") if artifact in self._artifacts else []
            # Of a cache hit it is the execution that made it, of the same node.
            if len(parts) > 2 and parts[-1].isdecimal():
                result.add(parts[-3])
        return result

    # -- executions, artifacts, events -----------------------------------------------

    def executions(self, ids: Sequence[int]) -> list[ExecutionRow]:
        """One call for those that have not come with a run."""
        self._load(self._executions, self._api.get_executions_by_id, ids)
        found = [self._executions[number] for number in ids if number in self._executions]
        rows = zip(found, map(self._reader.execution_row, found))
        return [row if row.state else row._replace(state=_state_property(one)) for one, row in rows]

    def artifacts(self, ids: Sequence[int]) -> list[ArtifactRow]:
        """One call."""
        self._load(self._artifacts, self._api.get_artifacts_by_id, ids)
        found = [self._artifacts[number] for number in ids if number in self._artifacts]
        return [*map(self._reader.artifact_row, found)]

    def artifacts_at(self, uris: Sequence[str]) -> list[ArtifactRow]:
        """One call for each URI."""
        found = [artifact for uri in uris for artifact in self._api.get_artifacts_by_uri(uri)]
        self._artifacts.update({artifact.id: artifact for artifact in found})
        return [*map(self._reader.artifact_row, found)]

    def events(self, executions: Sequence[int]) -> list[EventRow]:
        """One call."""
        found = self._reader.in_chunks(self._api.get_events_by_execution_ids, list(executions))
        for event in found:
            if event.type in _OUTPUTS:
                self._outputs.setdefault(event.execution_id, []).append(event.artifact_id)
        return [*map(mlmd_reader.event_row, found)]

    def touching(
        self,
        artifacts: Sequence[int],
        *,
        producing: Collection[str],
        consuming: Collection[str],
        cached: bool,
        most: int,
    ) -> list[tuple[int, int, int]]:
        """One call for the events, and one for the executions that have not come yet."""
        if not producing and not consuming:
            return []
        of_artifact: dict[int, list[tuple[int, int]]] = {}
        for event in self._reader.in_chunks(self._api.get_events_by_artifact_ids, list(artifacts)):
            of_artifact.setdefault(event.artifact_id, []).append((event.execution_id, event.type))
        sides = []
        for artifact, events in of_artifact.items():
            events.sort()
            first, latest = events[:EVENTS_LOOKED_AT], events[::-1][:EVENTS_LOOKED_AT]
            if producing:
                sides.append((artifact, producing, [e for e in first if e[1] in _OUTPUTS]))
            if consuming:
                sides.append((artifact, consuming, [e for e in latest if e[1] in _INPUTS]))
        ids = {execution for _, _, events in sides for execution, _ in events}
        row_of = {row.id: row for row in self.executions(sorted(ids))}
        result = []
        for artifact, types, events in sides:
            found = [
                (artifact, execution, kind)
                for execution, kind in events
                if (row := row_of.get(execution)) is not None
                and row.type_name in types
                and (cached or row.state != ExecutionState.CACHED)
            ]
            result += found[:most]
        return result

    def _load(
        self, known: dict[int, Any], call: Callable[[list[int]], list[Any]], ids: Sequence[int]
    ) -> None:
        new = [number for number in ids if number not in known]
        known.update({one.id: one for one in self._reader.in_chunks(call, new)})

    # -- properties --------------------------------------------------------------------

    def execution_properties(self, ids: Sequence[int], names: Collection[str] | None) -> Table:
        """They have come with the executions."""
        return _properties("Execution", [self._executions[number] for number in ids], names)

    def artifact_properties(self, ids: Sequence[int], names: Collection[str] | None) -> Table:
        """They have come with the artifacts."""
        return _properties("Artifact", [self._artifacts[number] for number in ids], names)


def _may_train_or_push(type_name: str) -> bool:
    """True for Trainers, Pushers and classes that TFX does not know."""
    own = type_name.startswith(vocabulary.OWN_PREFIX)
    return not own and vocabulary.role_of_class(type_name) in (Role.TRAINER, Role.PUSHER, None)


def _properties(table: str, messages: Sequence[Any], names: Collection[str] | None) -> Table:
    build = RowBuilder()
    mlmd_reader.add_properties(build, table, messages, names)
    return build.rows()[f"{table}Property"]


def _state_property(execution: Any) -> int:
    for values in (execution.custom_properties, execution.properties):
        if vocabulary.PropertyName.STATE in values:
            return vocabulary.state_of_text(values[vocabulary.PropertyName.STATE].string_value)
    return 0
