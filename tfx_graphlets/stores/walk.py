"""The walks of the segmentation, over a store that is asked step by step.

See ``neighbourhood`` for what they are for and what they do not see.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

from tfx_graphlets import vocabulary
from tfx_graphlets.stores.lookups import ArtifactRow, ContextRow, EventRow, ExecutionRow, Lookups
from tfx_graphlets.trace.rows import RowBuilder, Rows
from tfx_graphlets.vocabulary import ArtifactType, ExecutionState, Role

MOST_JOINED: Final = 256
_INPUTS: Final = frozenset(map(int, vocabulary.INPUT_EVENTS))
_OUTPUTS: Final = frozenset(map(int, vocabulary.OUTPUT_EVENTS))
# Which executions of other runs are looked for at an artifact; a sum of these.
# (enum.Flag takes longer to add up than SQLite takes to answer.)
_Want = int
_PRODUCERS: Final = 1
_ANALYSIS: Final = 2
_DOWNSTREAM: Final = 4
_DATA: Final = _PRODUCERS | _ANALYSIS
_PRODUCES_NOTHING: Final = frozenset({Role.TRAINER, Role.RESOLVER})
_ANALYSES: Final = frozenset({None, *vocabulary.DATA_ANALYSIS})
_NOT_FOLLOWED: Final = frozenset({Role.RESOLVER, *vocabulary.NOT_ENTERED_DOWNSTREAM})
_MAKES_NO_MODEL: Final = (
    Role.EXAMPLE_GEN,
    Role.IMPORTER,
    Role.TRANSFORM,
    Role.TUNER,
    Role.RESOLVER,
    *vocabulary.DATA_ANALYSIS,
)


class Walk:
    """What has been read so far, and what has been asked."""

    def __init__(self, lookups: Lookups, pipelines: Sequence[ContextRow] | None) -> None:
        self._lookups = lookups
        self._pipelines = None if pipelines is None else [context.id for context in pipelines]
        self._contexts: dict[int, ContextRow] = {}
        self._members: dict[int, list[int]] = {}  # run context to executions
        self._executions: dict[int, ExecutionRow] = {}
        self._artifacts: dict[int, ArtifactRow] = {}
        self._events: dict[int, list[EventRow]] = {}  # by execution
        self._asked: dict[int, _Want] = {}  # by artifact
        self._pending: dict[int, _Want] = {}
        self._expanded: dict[int, _Want] = {}  # by execution
        # No walk passes through this project's own nodes.
        names = [n for n in lookups.execution_types if not n.startswith(vocabulary.OWN_PREFIX)]
        # A class that TFX does not know may have any role.
        role = {name: role_of_name(name) for name in names}
        self._role = role
        self._producing = {n for n in names if role[n] not in _PRODUCES_NOTHING}
        self._analysing = {n for n in names if role[n] in _ANALYSES}
        self._following = {n for n in names if role[n] not in _NOT_FOLLOWED}

    # -- runs ----------------------------------------------------------------------

    def add_runs(self, contexts: Sequence[ContextRow]) -> None:
        """Reads the executions of run contexts, and their events."""
        for context in contexts:
            self._contexts[context.id] = context
            self._members[context.id] = []
        found = self._lookups.members([context.id for context in contexts])
        if self._pipelines is not None:
            # Pipelines that name their runs after the day share run contexts.
            ids = [execution for _, execution in found]
            own = {pair[1] for pair in self._lookups.members_of_pipeline(self._pipelines, ids)}
            found = [pair for pair in found if pair[1] in own]
        for context_id, execution in found:
            self._members[context_id].append(execution)
        self._add([execution for _, execution in found])

    @property
    def runs(self) -> list[ContextRow]:
        """The run contexts that were added."""
        return [self._contexts[number] for number in self._members]

    def has_trainer(self, *, but: Collection[int]) -> bool:
        """True if a run other than these, by context, has what may be a Trainer."""
        return any(
            self._may_train(self._executions[execution])
            for context, executions in self._members.items()
            if context not in but
            for execution in executions
            if execution in self._executions
        )

    def _may_train(self, row: ExecutionRow) -> bool:
        role = self._role.get(row.type_name)
        if role is not None:
            return role is Role.TRAINER
        put_out = [event.artifact for event in self._events[row.id] if event.type in _OUTPUTS]
        self._load_artifacts(put_out)
        return any(
            vocabulary.base_name(self._artifacts[artifact].type_name) == ArtifactType.MODEL
            for artifact in put_out
            if artifact in self._artifacts
        )

    def _add(self, ids: Iterable[int]) -> None:
        new = [number for number in dict.fromkeys(ids) if number not in self._executions]
        for row in self._lookups.executions(new):
            self._executions[row.id] = row
            self._events[row.id] = []
        for event in self._lookups.events(new):
            if event.execution in self._events:
                self._events[event.execution].append(event)

    # -- the walks -------------------------------------------------------------------

    def follow(self, runs: Sequence[ContextRow], uris: Sequence[str]) -> None:
        """Walks from the executions of some runs, and from artifacts."""
        members = {execution for run in runs for execution in self._members[run.id]}
        named = self._lookups.artifacts_at(uris)
        self._artifacts.update({row.id: row for row in named})
        self._want([row.id for row in named], _DATA)
        for execution in members:
            self._expand_member(execution)
        while self._pending:
            pending, self._pending = self._pending, {}
            self._load_artifacts(pending)
            by_want: dict[_Want, list[int]] = {}
            for artifact, pended in pending.items():
                want = self._allowed(artifact, pended) & ~self._asked.get(artifact, 0)
                if want:
                    self._asked[artifact] = self._asked.get(artifact, 0) | want
                    by_want.setdefault(want, []).append(artifact)
            joining: dict[int, _Want] = {}
            for want, artifacts in by_want.items():
                for _, execution, kind in self._ask(artifacts, want):
                    how = self._how(want, kind)
                    joining[execution] = joining.get(execution, 0) | how
            self._add(joining)
            for execution, how in joining.items():
                if execution in self._executions:
                    self._expand(execution, how)

    def _ask(self, artifacts: Sequence[int], want: _Want) -> list[tuple[int, int, int]]:
        consuming: set[str] = set()
        if want & _ANALYSIS:
            consuming |= self._analysing
        if want & _DOWNSTREAM:
            consuming |= self._following
        return self._lookups.touching(
            artifacts,
            producing=self._producing if want & _PRODUCERS else (),
            consuming=consuming,
            cached=want & _DOWNSTREAM != 0,
            most=MOST_JOINED,
        )

    def _how(self, want: _Want, kind: int) -> _Want:
        """By which walks an execution may join that was found at an event of this kind."""
        if kind in _OUTPUTS:
            return want & _PRODUCERS
        return want & (_ANALYSIS | _DOWNSTREAM)

    def _expand_member(self, execution: int) -> None:
        """All that a member touches can be its Trainer's."""
        if execution not in self._executions:
            return
        role = self._role.get(self._executions[execution].type_name)
        for event in self._events[execution]:
            want = _DATA
            if event.type in _OUTPUTS and role not in _MAKES_NO_MODEL:
                want |= _DOWNSTREAM
            self._want([event.artifact], want)

    def _expand(self, execution: int, how: _Want) -> None:
        """Goes on from an execution of another run."""
        row = self._executions[execution]
        cached = row.state == ExecutionState.CACHED
        if cached or row.type_name not in self._analysing:
            how &= ~_ANALYSIS
        if cached or row.type_name not in self._producing:
            how &= ~_PRODUCERS
        if row.type_name not in self._following or not self._takes_in_what_is_followed(execution):
            how &= ~_DOWNSTREAM
        how &= ~self._expanded.get(execution, 0)
        self._expanded[execution] = self._expanded.get(execution, 0) | how
        for event in self._events[execution]:
            want = 0
            if event.type in _INPUTS and how & _PRODUCERS:
                want = _DATA
            elif event.type in _OUTPUTS:
                want = _ANALYSIS if how & _DATA else 0
                want |= how & _DOWNSTREAM
            self._want([event.artifact], want)

    def _takes_in_what_is_followed(self, execution: int) -> bool:
        return any(
            event.type in _INPUTS
            and event.key != vocabulary.BASELINE_MODEL_KEY
            and self._asked.get(event.artifact, 0) & _DOWNSTREAM
            for event in self._events[execution]
        )

    def _want(self, artifacts: Iterable[int], want: _Want) -> None:
        for artifact in artifacts:
            new = want & ~self._asked.get(artifact, 0)
            if new:
                self._pending[artifact] = self._pending.get(artifact, 0) | new

    def _allowed(self, artifact: int, want: _Want) -> _Want:
        row = self._artifacts.get(artifact)
        if row is None:
            return 0
        if row.type_name.startswith(vocabulary.OWN_PREFIX):
            return 0
        base = vocabulary.base_name(row.type_name)
        if base == ArtifactType.SCHEMA:  # step 2 follows none
            want &= ~_ANALYSIS
        return want & ~_PRODUCERS if base in vocabulary.NOT_ENTERED_UPSTREAM else want

    def _load_artifacts(self, ids: Iterable[int]) -> None:
        new = [number for number in ids if number not in self._artifacts]
        self._artifacts.update({row.id: row for row in self._lookups.artifacts(new)})

    # -- the rows ----------------------------------------------------------------------

    def rows(
        self,
        pipelines: Sequence[ContextRow],
        properties: Collection[str] | None,
        named: Collection[str] = (),
    ) -> Rows:
        """All that was read.

        Args:
          pipelines: whose executions stand in their context and in those of nodes.
          properties: names of those to keep; None for all.
          named: nodes of other pipelines whose executions are to be known as theirs.
        """
        events = [event for group in self._events.values() for event in group]
        self._load_artifacts(dict.fromkeys(event.artifact for event in events))
        executions = list(self._executions.values())
        ids = [row.id for row in executions]
        association = [
            (context, execution)
            for context, members in self._members.items()
            for execution in members
        ]
        contexts = {**self._contexts, **{context.id: context for context in pipelines}}
        for pipeline in pipelines:
            association += self._lookups.members_of_pipeline([pipeline.id], ids)
            nodes, of_nodes = self._lookups.nodes_of(pipeline.name, executions)
            contexts.update({context.id: context for context in nodes})
            association += of_nodes
        if named:
            of_others, of_nodes = self._of_other_pipelines(named, ids)
            contexts.update({context.id: context for context in of_others})
            association = list(dict.fromkeys([*association, *of_nodes]))
        build = RowBuilder()
        build.extend("Execution", executions)
        build.extend("Artifact", self._artifacts.values())
        build.extend("Event", (event for event in events if event.artifact in self._artifacts))
        build.extend("Context", contexts.values())
        build.extend("Association", association)
        rows = build.rows()
        lookups, artifacts = self._lookups, list(self._artifacts)
        rows.put("ExecutionProperty", lookups.execution_properties(ids, properties))
        rows.put("ArtifactProperty", lookups.artifact_properties(artifacts, properties))
        return rows

    def _of_other_pipelines(
        self, names: Collection[str], executions: Sequence[int]
    ) -> tuple[list[ContextRow], list[tuple[int, int]]]:
        """Contexts of named nodes and of their pipelines, and who of the executions is in them."""
        nodes, pairs = self._lookups.nodes_named(names, executions)
        contexts = list(nodes)
        for node in nodes:
            mine = [execution for context, execution in pairs if context == node.id]
            ends = [f".{name}" for name in names if mine and node.name.endswith(f".{name}")]
            for end in ends:
                pipeline = node.name.removesuffix(end)
                for found in self._lookups.contexts_named(vocabulary.PIPELINE_CONTEXTS, pipeline):
                    contexts.append(found)
                    pairs += [(found.id, execution) for execution in mine]
        return contexts, pairs


def role_of_name(type_name: str) -> Role | None:
    """The role that a class's name gives it; None for a custom class (see ``roles``)."""
    base = vocabulary.base_name(type_name)
    if base in vocabulary.ROLE_OF_CLASS:
        return vocabulary.ROLE_OF_CLASS[base]
    return Role.EXAMPLE_GEN if base.endswith(vocabulary.EXAMPLE_GEN_SUFFIX) else None
