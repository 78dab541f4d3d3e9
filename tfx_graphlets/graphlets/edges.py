"""The edges of a trace, and the steps that the rules let a walk take along them.

Rules: docs/graphlets.md, Input and output events, Segmentation.
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.graphlets import roles
from tfx_graphlets.trace.ragged import Adjacency, first_of_runs
from tfx_graphlets.trace.trace import BoolArray, CodeArray, IntArray, SmallArray, Trace
from tfx_graphlets.vocabulary import ArtifactType, ExecutionState, Role


@dataclasses.dataclass(frozen=True, eq=False)
class Edges:
    """Input and output edges of a trace, both ways; each is built when first used.

    Attributes:
      trace: the trace.
      role: int8 [num_executions], vocabulary.Role of every execution.
    """

    trace: Trace
    role: SmallArray

    # -- all edges -------------------------------------------------------------

    @functools.cached_property
    def inputs(self) -> Adjacency:
        """Execution to the artifacts that it took in."""
        return self._taken.by_execution()

    @functools.cached_property
    def outputs(self) -> Adjacency:
        """Execution to the artifacts that it put out."""
        return self._put.by_execution()

    @functools.cached_property
    def producers(self) -> Adjacency:
        """Artifact to the executions that put it out."""
        return self._put.by_artifact()

    @functools.cached_property
    def consumers(self) -> Adjacency:
        """Artifact to the executions that took it in."""
        return self._taken.by_artifact()

    # -- steps of the walks ----------------------------------------------------

    @functools.cached_property
    def data(self) -> Adjacency:
        """Execution to what it took in of the types that step 1 enters."""
        closed = self.trace.artifacts_of_types(vocabulary.NOT_ENTERED_UPSTREAM)
        return self._taken.by_execution(~closed[self._taken.artifact])

    @functools.cached_property
    def makers(self) -> StepToExecutions:
        """Artifact to its producers, no TRAINER among them (step 1)."""
        return StepToExecutions.of(self, self._put, self._put.role != Role.TRAINER)

    @functools.cached_property
    def surely_made(self) -> BoolArray:
        """Artifacts with a producer that ``makers`` enters for every Trainer, bool [A]."""
        made: BoolArray = np.diff(self.makers.others.start) > 0
        return made

    @functools.cached_property
    def models_taken(self) -> Adjacency:
        """TRAINER to the Models that it took in."""
        is_model = self.trace.artifacts_of_types([ArtifactType.MODEL])
        by_trainer = self._taken.role == Role.TRAINER
        return self._taken.by_execution(by_trainer & is_model[self._taken.artifact])

    @functools.cached_property
    def analysers(self) -> StepToExecutions:
        """Artifact to its consumers whose role is data analysis (step 2).

        None of an artifact of type Schema: being held against one schema is not being about
        the same data.
        """
        analyses = roles.among(self._taken.role, vocabulary.DATA_ANALYSIS)
        is_schema = self.trace.artifacts_of_types([ArtifactType.SCHEMA])
        return StepToExecutions.of(self, self._taken, analyses & ~is_schema[self._taken.artifact])

    def existed_by_the_end(self, execution: IntArray, trainer: IntArray) -> BoolArray:
        """True where an execution was not created after a Trainer had ended, pairwise.

        A time of 0 is a missing time: of it nothing is known to be later.

        Args:
          execution, trainer: int64 [n], positions of executions.

        Returns: bool [n].
        """
        created = self.trace.executions.create_ms[execution]
        ended = self.trace.executions.update_ms[trainer]
        return (created <= ended) | (ended == 0)

    @functools.cached_property
    def users(self) -> Adjacency:
        """Artifact to consumers of its own of the roles that step 3 enters."""
        closed = roles.among(self._taken.role, vocabulary.NOT_ENTERED_DOWNSTREAM)
        return self._taken.by_artifact(~(closed | self._taken.compares))

    @functools.cached_property
    def runs(self) -> Adjacency:
        """Execution to its pipeline-run contexts."""
        member, context = self.trace.run_memberships()
        return Adjacency.from_edges(member, context, len(self.trace.executions))

    def shares_run(self, left: IntArray, right: IntArray) -> BoolArray:
        """True where two executions stand in the same run context, pairwise.

        Args:
          left, right: int64 [n], positions of executions.

        Returns: bool [n].
        """
        run = self._first_run
        shared: BoolArray = (run[left] == run[right]) & (run[left] >= 0)
        if self._in_several_runs.any():
            several = self._in_several_runs
            rows = np.flatnonzero(several[left] | several[right])
            at, context = self.runs.expand(left[rows])
            index, other = self.runs.expand(right[rows[at]])
            shared[rows[at[index[other == context[index]]]]] = True
        return shared

    @functools.cached_property
    def _first_run(self) -> CodeArray:
        # The first of each row, -1 where there is none.
        first = np.append(self.runs.target, np.int32(-1))[self.runs.start[:-1]]
        return np.where(np.diff(self.runs.start) > 0, first, np.int32(-1))

    @functools.cached_property
    def _in_several_runs(self) -> BoolArray:
        several: BoolArray = np.diff(self.runs.start) > 1
        return several

    # -- events that are edges -------------------------------------------------

    @functools.cached_property
    def _taken(self) -> _Events:
        return self._events(roles.is_input_edge(self.trace, self.role))

    @functools.cached_property
    def _put(self) -> _Events:
        return self._events(roles.is_output_edge(self.trace, self.role))

    def _events(self, chosen: BoolArray) -> _Events:
        events, rows = self.trace.events, np.flatnonzero(chosen)
        compares = np.zeros(len(rows), bool)
        if vocabulary.BASELINE_MODEL_KEY in events.keys:
            compares = events.key[rows] == events.keys.index(vocabulary.BASELINE_MODEL_KEY)
        execution = events.execution[rows].astype(np.int32)
        return _Events(
            trace=self.trace,
            execution=execution,
            artifact=events.artifact[rows].astype(np.int32),
            role=self.role[execution],
            compares=compares,
        )


@dataclasses.dataclass(frozen=True, eq=False)
class _Events:
    """Some events, sorted by execution and artifact.

    Attributes:
      execution, artifact: int32 [n], positions.
      role: int8 [n], of the execution.
      compares: bool [n], the key is ``baseline_model``.
    """

    trace: Trace
    execution: CodeArray
    artifact: CodeArray
    role: SmallArray
    compares: BoolArray

    def by_execution(self, chosen: BoolArray | None = None) -> Adjacency:
        execution, artifact = self._pairs(chosen)
        return Adjacency.from_edges(execution, artifact, len(self.trace.executions))

    def by_artifact(self, chosen: BoolArray | None = None) -> Adjacency:
        execution, artifact = self._pairs(chosen)
        return Adjacency.from_edges(artifact, execution, len(self.trace.artifacts))

    def _pairs(self, chosen: BoolArray | None) -> tuple[CodeArray, CodeArray]:
        if chosen is None or bool(chosen.all()):
            return self.execution, self.artifact
        return self.execution[chosen], self.artifact[chosen]


@dataclasses.dataclass(frozen=True, eq=False)
class StepToExecutions:
    """Artifact to executions; one that is CACHED counts only for Trainers of its run.

    A long-lived artifact is named by a cache hit of every run after it. Those
    of other runs are never looked at: cache hits are found by run and artifact.

    Attributes:
      others: artifact to executions that are not CACHED.
      has_cached: bool [A], artifacts that some CACHED execution names.
      cached_key: int64 [k], distinct (run context, artifact) of CACHED ones,
        ascending.
      cached: number of the key to the CACHED executions.
      runs: execution to its run contexts.
    """

    others: Adjacency
    has_cached: BoolArray
    cached_key: IntArray
    cached: Adjacency
    runs: Adjacency

    @classmethod
    def of(cls, edges: Edges, events: _Events, chosen: BoolArray) -> StepToExecutions:
        """Builds it from those events that may be stepped over."""
        num_artifacts = len(edges.trace.artifacts)
        is_cached = edges.trace.executions.state[events.execution] == ExecutionState.CACHED
        others, cached = events.by_artifact(chosen & ~is_cached), chosen & is_cached
        artifact = events.artifact[cached].astype(np.int64)
        execution = events.execution[cached].astype(np.int64)
        has_cached = np.zeros(num_artifacts, bool)
        has_cached[artifact] = True
        index, context = edges.runs.expand(execution)
        keys = context * num_artifacts + artifact[index]
        order = np.argsort(keys, kind="stable")
        first = first_of_runs(keys[order])
        by_key = Adjacency.from_edges(np.cumsum(first) - 1, execution[index][order], first.sum())
        return cls(others, has_cached, keys[order][first], by_key, edges.runs)

    def follow(
        self, label: IntArray, artifact: IntArray, trainer: IntArray
    ) -> tuple[IntArray, IntArray]:
        """Executions one step from each artifact, for walks from Trainers.

        Args:
          label: int64 [n], of each artifact, a row of ``trainer``.
          artifact: int64 [n], positions.
          trainer: int64 [num_labels], position of the Trainer of each label.

        Returns: for every step the label and the execution, each int64 [m];
          steps to CACHED executions come last, and may be there twice.
        """
        labels, execution = self.others.follow(label, artifact)
        rows = np.flatnonzero(self.has_cached[artifact]) if len(self.cached_key) else ()
        if not len(rows):
            return labels, execution
        index, context = self.runs.expand(trainer[label[rows]])
        keys = context * len(self.has_cached) + artifact[rows[index]]
        found = np.searchsorted(self.cached_key, keys)
        found[found == len(self.cached_key)] = 0
        hit = self.cached_key[found] == keys
        label_of_hit, cached = self.cached.follow(label[rows[index[hit]]], found[hit])
        return np.concatenate([labels, label_of_hit]), np.concatenate([execution, cached])
