"""Neighbourhood: the part of a store that a run's graphlet can be made of.

A gate needs the graphlet of one run out of a store of years. So the store is
asked by its indexes only (``lookups``): the executions of the run and, if
wanted, of the latest runs of its pipeline; what they took in and put out; who
made that, to the end; data analysis beside it; what was made of their models.
The rules are those of ``segmentation``, applied to all the runs at once, so
what is read may be more than one graphlet, and ``segment`` cuts it out.

What is not seen:
- Of an artifact, no more than ``MOST_JOINED`` producers in other runs, the first,
  and as many consumers, the latest; see also ``lookups.EVENTS_LOOKED_AT``.
- The run contexts of executions of other runs. None of the rules needs them:
  of those a CACHED one is never entered, and the rest always.
- What a gate has put out and taken in is not walked through (``pending.without_gates``).
- The executions of a custom class elsewhere in the store, which have a say in
  its role (``roles``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Final

from tfx_graphlets import vocabulary
from tfx_graphlets.stores.lookups import ArtifactRow, ContextRow, EventRow, ExecutionRow, Lookups
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.odd_rows import leave_out_odd_rows
from tfx_graphlets.trace.rows import RowBuilder, Rows
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import ArtifactType, ExecutionState, Role

# Runs that are read at first, and without a Trainer in them at most, for the latest Trainer.
_RUNS_AT_FIRST: Final = 2
_MOST_RUNS_WITHOUT_TRAINER: Final = 64
MOST_JOINED: Final = 256  # executions of other runs at an artifact, producers and consumers each


@dataclasses.dataclass(frozen=True)
class Neighbourhood:
    """What was read.

    Attributes:
      trace: the executions, with their artifacts, their pipeline, run and node
        contexts, and without attributions.
      runs: names of the pipeline's runs that were read beside the current one,
        the latest first.
      complete: the pipeline has no other runs.
    """

    trace: Trace
    runs: tuple[str, ...]
    complete: bool


def read_neighbourhood(
    lookups: Lookups,
    *,
    run: str | None,
    pipeline: str | None = None,
    runs: int | None = None,
    uris: Sequence[str] = (),
    properties: Collection[str] | None = None,
    nodes: Collection[str] = (),
) -> Neighbourhood | None:
    """Reads what the graphlets of one run, and of the runs before it, are made of.

    ``current_graphlet`` finds in it the graphlet that it finds in the whole
    store, and ``segment`` the graphlets of the runs that were read.

    Args:
      lookups: the store.
      run: name of the current run's context; None for none.
      pipeline: name of its pipeline's context: of a run that several pipelines
        share, only its executions count; by default the parents of the run's
        context.
      runs: how many of the pipeline's latest runs are read beside it; None for
        as many as it takes to find a Trainer, which tells what the current run's
        Trainer will take in.
      uris: of further artifacts that its Trainer will take in.
      properties: names of the properties to keep; None for all.
      nodes: names that may be those of nodes in other pipelines, to know what is theirs (a
        Pusher that counts); names of types ask for nothing.

    Returns:
      None where the store cannot say by an index which runs a pipeline has
      (before TFX 1.11, and where there is no such pipeline), or where a row
      does not say what was run (Kubeflow's ``system.*`` types).
    """
    if not vocabulary.SystemType.EXECUTIONS.isdisjoint(lookups.execution_types):
        return None
    current = [] if run is None else lookups.contexts_named(vocabulary.RUN_CONTEXTS, run)
    if pipeline is not None:
        pipelines = lookups.contexts_named(vocabulary.PIPELINE_CONTEXTS, pipeline)
    else:
        parents = lookups.parents([context.id for context in current])
        pipelines = _of_types(parents, vocabulary.PIPELINE_CONTEXTS)
    ids = [context.id for context in pipelines]
    walk = Walk(lookups, None if pipeline is None else ids)
    wanted = _RUNS_AT_FIRST if runs is None else runs
    others, complete = _other_runs(lookups, ids, run, wanted)
    if wanted and complete and not others and not lookups.newest_children(ids, 1):
        return None
    read = len(others)
    walk.add_runs([*current, *chain.from_iterable(others)])
    own = {context.id for context in current}
    if runs is None and not complete and not walk.has_trainer(but=own):
        others, complete = _other_runs(lookups, ids, run, _MOST_RUNS_WITHOUT_TRAINER)
        while read < len(others) and not walk.has_trainer(but=own):
            walk.add_runs(list(chain.from_iterable(others[read : 2 * read])))
            read = min(2 * read, len(others))
    walk.follow(current if runs is None else walk.runs, uris)
    types = {*lookups.execution_types, *map(vocabulary.base_name, lookups.execution_types)}
    rows = walk.rows(pipelines, properties, set(nodes) - types)
    leave_out_odd_rows(rows, lookups.odd)
    lookups.odd.say()
    return Neighbourhood(
        trace=assemble(rows, consume=True),
        runs=tuple(named[0].name for named in others[:read]),
        complete=complete and read == len(others),
    )


def _other_runs(
    lookups: Lookups, pipelines: Sequence[int], current: str | None, count: int
) -> tuple[list[list[ContextRow]], bool]:
    """The latest runs but the current one, each with its contexts; and if these are all.

    Kubeflow's first runner wrote two contexts of one name for one run.
    """
    # One more than is wanted tells whether there are more; and the current one.
    most = 2 * (count + 2)
    children = lookups.newest_children(pipelines, most)
    of_name: dict[str, list[ContextRow]] = {}
    for context in _of_types(children, vocabulary.RUN_CONTEXTS):
        of_name.setdefault(context.name, []).append(context)
    found = [contexts for name, contexts in of_name.items() if name != current]
    return found[:count], len(found) <= count and len(children) < most


def _of_types(contexts: Iterable[ContextRow], type_names: Collection[str]) -> list[ContextRow]:
    return [context for context in contexts if context.type_name in type_names]


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

    def __init__(self, lookups: Lookups, pipelines: Sequence[int] | None) -> None:
        self._lookups, self._pipelines = lookups, pipelines
        self._contexts: dict[int, ContextRow] = {}  # of runs
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
        role = self._role = {name: vocabulary.role_of_class(name) for name in names}
        self._producing = {n for n in names if role[n] not in _PRODUCES_NOTHING}
        self._analysing = {n for n in names if role[n] in _ANALYSES}
        self._following = {n for n in names if role[n] not in _NOT_FOLLOWED}

    # -- runs ----------------------------------------------------------------------

    def add_runs(self, contexts: Sequence[ContextRow]) -> None:
        """Reads the executions of run contexts, and their events."""
        for context in contexts:
            self._contexts[context.id], self._members[context.id] = context, []
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
        return [*self._contexts.values()]

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
        put_out = {event.artifact for event in self._events[row.id] if event.type in _OUTPUTS}
        self._load_artifacts(put_out)
        types = [self._artifacts[one].type_name for one in put_out & self._artifacts.keys()]
        return ArtifactType.MODEL in map(vocabulary.base_name, types)

    def _add(self, ids: Iterable[int]) -> None:
        new = [number for number in dict.fromkeys(ids) if number not in self._executions]
        for row in self._lookups.executions(new):
            self._executions[row.id], self._events[row.id] = row, []
        for event in self._lookups.events(new):
            if event.execution in self._events:
                self._events[event.execution].append(event)

    # -- the walks -------------------------------------------------------------------

    def follow(self, runs: Sequence[ContextRow], uris: Sequence[str]) -> None:
        """Walks from the executions of some runs, and from artifacts."""
        members = {execution for run in runs for execution in self._members[run.id]}
        members &= self._executions.keys()
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
                    # By which walks an execution may join, at an event of this kind.
                    how = _PRODUCERS if kind in _OUTPUTS else _ANALYSIS | _DOWNSTREAM
                    joining[execution] = joining.get(execution, 0) | want & how
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

    def _expand_member(self, execution: int) -> None:
        """All that a member touches can be its Trainer's."""
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
        if row is None or row.type_name.startswith(vocabulary.OWN_PREFIX):
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
