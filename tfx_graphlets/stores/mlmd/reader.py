"""From the messages of the ML Metadata API to rows.

Only bulk calls, without ``filter_query`` and ``get_lineage_subgraph`` (later
releases of ml-metadata have neither). Members of contexts are asked for page
by page: without list options the API ends the process where a context names an
artifact that is gone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Callable, Final

from tfx_graphlets import vocabulary
from tfx_graphlets.stores.lookups import ArtifactRow, ContextRow, EventRow, ExecutionRow
from tfx_graphlets.stores.selection import WHERE_CONTEXTS, Columns
from tfx_graphlets.trace.properties import property_of_message
from tfx_graphlets.trace.rows import RowBuilder, Rows

if TYPE_CHECKING:
    from ml_metadata.metadata_store import metadata_store

# Longer lists of ids turn SQLite's plan into a full scan.
_IDS_PER_CALL: Final = 1_000


class Reader:
    """The calls: nodes page by page in the order of their ids, events by id.

    Members are asked for only of contexts that the columns name: one call each.
    """

    def __init__(self, api: metadata_store.MetadataStore, columns: Columns = Columns.ALL) -> None:
        from ml_metadata import errors
        from ml_metadata.metadata_store import metadata_store

        self.api = api
        self.columns = columns
        self.too_large = errors.ResourceExhaustedError
        self.page = metadata_store.ListOptions(order_by=metadata_store.OrderByField.ID)
        self.type_name = {
            kind: {one.id: one.name for one in types()}
            for kind, types in (
                ("execution", api.get_execution_types),
                ("artifact", api.get_artifact_types),
                ("context", api.get_context_types),
            )
        }

    def whole(self) -> Rows:
        """All rows of the store."""
        executions = self.api.get_executions(self.page)
        artifacts = self.api.get_artifacts(self.page)
        contexts = [one for one in self.api.get_contexts(self.page) if self._wanted(one)]
        known = {execution.id for execution in executions}
        events = self.in_chunks(self.api.get_events_by_execution_ids, sorted(known))
        # Events of executions that are gone are found from their artifacts.
        events += [
            event
            for event in self.in_chunks(
                self.api.get_events_by_artifact_ids, [artifact.id for artifact in artifacts]
            )
            if event.execution_id not in known
        ]
        association = [
            (context.id, execution.id)
            for context in contexts
            for execution in self.api.get_executions_by_context(context.id, self.page)
        ]
        return self.rows(executions, artifacts, events, contexts, association)

    def _wanted(self, context: Any) -> bool:
        types = self.columns.context_types
        # Those that say where an execution belongs are looked at in any case.
        return types is None or self.type_name["context"].get(context.type_id) in {
            *types,
            *WHERE_CONTEXTS,
        }

    def pipeline_sizes(self) -> dict[str, int]:
        """Number of executions in the pipeline contexts of each name, by name."""
        members: dict[str, set[int]] = {}
        for context in self.contexts_of_types(vocabulary.PIPELINE_CONTEXTS):
            executions = self.api.get_executions_by_context(context.id, self.page)
            members.setdefault(context.name, set()).update(one.id for one in executions)
        return {name: len(members[name]) for name in sorted(members)}

    def of_pipelines(self, names: Collection[str]) -> Rows:
        """Rows of the executions of some pipelines, and all pipeline contexts."""
        pipelines = self.contexts_of_types(vocabulary.PIPELINE_CONTEXTS)
        executions = {
            execution.id: execution
            for context in pipelines
            if context.name in names
            for execution in self.api.get_executions_by_context(context.id, self.page)
        }
        events = self.in_chunks(self.api.get_events_by_execution_ids, sorted(executions))
        artifacts = {
            artifact.id: artifact
            for context in pipelines
            if context.name in names
            for artifact in self.api.get_artifacts_by_context(context.id, self.page)
        }
        others = sorted({event.artifact_id for event in events} - artifacts.keys())
        for artifact in self.in_chunks(self.api.get_artifacts_by_id, others):
            artifacts[artifact.id] = artifact
        contexts = pipelines + self.contexts_of_types(
            (*vocabulary.RUN_CONTEXTS, *vocabulary.NODE_CONTEXTS)
        )
        # The API has no way from many executions to their contexts; both ways
        # give the same, and that with fewer calls is taken.
        if len(contexts) <= len(executions):
            association = [
                (context.id, execution.id)
                for context in contexts
                for execution in self.api.get_executions_by_context(context.id, self.page)
            ]
        else:
            association = [
                (context.id, execution)
                for execution in executions
                for context in self.api.get_contexts_by_execution(execution)
            ]
        held = {context for context, execution in association if execution in executions}
        held |= {context.id for context in pipelines}
        contexts = [one for one in contexts if one.id in held]
        return self.rows(executions.values(), artifacts.values(), events, contexts, association)

    def contexts_of_types(self, type_names: Sequence[str]) -> list[Any]:
        """All contexts of these types."""
        known = set(self.type_name["context"].values())
        return [
            context
            for name in type_names
            if name in known
            for context in self.api.get_contexts_by_type(name)
        ]

    def in_chunks(self, call: Callable[[list[int]], list[Any]], ids: Sequence[int]) -> list[Any]:
        """What ``call`` returns for all ids, asked for in bearable portions."""
        result: list[Any] = []
        portions = [
            list(ids[start : start + _IDS_PER_CALL]) for start in range(0, len(ids), _IDS_PER_CALL)
        ]
        while portions:
            portion = portions.pop()
            try:
                result += call(portion)
            except self.too_large:  # for one gRPC message
                if len(portion) == 1:
                    raise
                middle = len(portion) // 2
                portions += [portion[:middle], portion[middle:]]
        return result

    def rows(
        self,
        executions: Collection[Any],
        artifacts: Collection[Any],
        events: Sequence[Any],
        contexts: Sequence[Any],
        association: Sequence[tuple[int, int]],
    ) -> Rows:
        """The messages as rows, with the attributions of the contexts."""
        attribution = [
            (context.id, artifact.id)
            for context in (contexts if self.columns.attributions else ())
            for artifact in self.api.get_artifacts_by_context(context.id, self.page)
        ]
        build = RowBuilder()
        build.extend("Execution", map(self.execution_row, executions))
        build.extend("Artifact", map(self.artifact_row, artifacts))
        build.extend("Event", map(event_row, events))
        build.extend("Context", map(self.context_row, contexts))
        build.extend("Association", association)
        build.extend("Attribution", attribution)
        add_properties(build, "Execution", executions)
        add_properties(build, "Artifact", artifacts)
        return build.rows()

    def execution_row(self, one: Any) -> ExecutionRow:
        """An execution's message as a row; the state as in its column."""
        return ExecutionRow(
            one.id,
            self.type_name["execution"].get(one.type_id, ""),
            one.last_known_state,
            one.create_time_since_epoch,
            one.last_update_time_since_epoch,
        )

    def artifact_row(self, one: Any) -> ArtifactRow:
        """An artifact's message as a row."""
        return ArtifactRow(
            one.id,
            self.type_name["artifact"].get(one.type_id, ""),
            one.state,
            one.create_time_since_epoch,
            one.last_update_time_since_epoch,
            one.uri,
        )

    def context_row(self, one: Any) -> ContextRow:
        """A context's message as a row."""
        type_name = self.type_name["context"].get(one.type_id, "")
        return ContextRow(one.id, type_name, one.name, one.create_time_since_epoch)


def event_row(event: Any) -> EventRow:
    """An event's message as a row."""
    keys = [step.key for step in event.path.steps if step.WhichOneof("value") == "key"]
    return EventRow(
        event.execution_id,
        event.artifact_id,
        event.type,
        str(keys[0]) if keys else None,
        event.milliseconds_since_epoch,
    )


def add_properties(
    build: RowBuilder, table: str, nodes: Collection[Any], names: Collection[str] | None = None
) -> None:
    """Appends the properties of executions or artifacts, of these names; None for all."""
    for node in nodes:
        for is_custom, values in ((False, node.properties), (True, node.custom_properties)):
            for name, value in values.items():
                found = property_of_message(value)
                if found is not None and (names is None or name in names):
                    build.add_property(table, node.id, name, is_custom, *found)
