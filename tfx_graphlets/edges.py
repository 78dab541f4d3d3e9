"""The edges of a trace, and the steps that the rules let a walk take along them.

Rules: design/graphlets.md, Input and output events, Segmentation.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING

import numpy as np

from tfx_graphlets import roles, vocabulary
from tfx_graphlets.adjacency import Adjacency, first_of_runs
from tfx_graphlets.trace import BoolArray, CodeArray, IntArray, SmallArray, Trace
from tfx_graphlets.vocabulary import ArtifactType, ExecutionState, Role

if TYPE_CHECKING:
    from tfx_graphlets.graphlet import Graphlets


@dataclasses.dataclass(frozen=True, eq=False)
class Edges:
    """Input and output edges of a trace, both ways; each is built when first used.

    Attributes:
      trace: the trace.
      role: int8 [num_executions], vocabulary.Role of every execution.
    """

    trace: Trace
    role: SmallArray

    @staticmethod
    def of(graphlets: Graphlets) -> Edges:
        """Edges of the graphlets' trace, as segmentation built them."""
        return graphlets.edges

    # -- all edges -------------------------------------------------------------

    @functools.cached_property
    def inputs(self) -> Adjacency:
        """Execution to the artifacts that it took in."""
        return self._from_executions(self._taken)

    @functools.cached_property
    def outputs(self) -> Adjacency:
        """Execution to the artifacts that it put out."""
        return self._from_executions(self._put)

    @functools.cached_property
    def producers(self) -> Adjacency:
        """Artifact to the executions that put it out."""
        return self._from_artifacts(self._put)

    @functools.cached_property
    def consumers(self) -> Adjacency:
        """Artifact to the executions that took it in."""
        return self._from_artifacts(self._taken)

    @functools.cached_property
    def consumers_of_own(self) -> Adjacency:
        """``consumers`` without edges whose key is ``baseline_model``."""
        return self._from_artifacts(self._taken & ~self._compared_with)

    # -- steps of the walks ----------------------------------------------------

    @functools.cached_property
    def data(self) -> Adjacency:
        """Execution to what it took in of the types that step 1 enters."""
        chosen = np.flatnonzero(self._taken)
        not_entered = self.trace.artifacts_of_types(vocabulary.NOT_ENTERED_UPSTREAM)
        chosen = chosen[~not_entered[self.trace.events.artifact[chosen]]]
        return self._from_executions(chosen)

    @functools.cached_property
    def makers(self) -> StepToExecutions:
        """Artifact to its producers, no TRAINER among them (step 1)."""
        return self._step(self._put & ~self._has_role(Role.TRAINER))

    @functools.cached_property
    def surely_made(self) -> BoolArray:
        """Artifacts with a producer that ``makers`` enters for every Trainer, bool [A]."""
        made: BoolArray = np.diff(self.makers.others.start) > 0
        return made

    @functools.cached_property
    def models_taken(self) -> Adjacency:
        """TRAINER to the Models that it took in."""
        chosen = np.flatnonzero(self._taken & self._has_role(Role.TRAINER))
        is_model = self.trace.artifacts_of_types([ArtifactType.MODEL])
        return self._from_executions(chosen[is_model[self.trace.events.artifact[chosen]]])

    @functools.cached_property
    def analysers(self) -> StepToExecutions:
        """Artifact to its consumers whose role is data analysis (step 2)."""
        return self._step(self._taken & self._has_role(*vocabulary.DATA_ANALYSIS))

    @functools.cached_property
    def users(self) -> Adjacency:
        """Artifact to consumers of its own of the roles that step 3 enters."""
        closed = self._has_role(*vocabulary.NOT_ENTERED_DOWNSTREAM)
        return self._from_artifacts(self._taken & ~self._compared_with & ~closed)

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

    # -- which events are edges, bool [num_events] -----------------------------

    @functools.cached_property
    def _role_of_event(self) -> SmallArray:
        return self.role[self.trace.events.execution]

    @functools.cached_property
    def _taken(self) -> BoolArray:
        return self._is_edge(vocabulary.INPUT_EVENTS)

    @functools.cached_property
    def _put(self) -> BoolArray:
        return self._is_edge(vocabulary.OUTPUT_EVENTS)

    @property
    def _compared_with(self) -> BoolArray:
        events = self.trace.events
        if vocabulary.BASELINE_MODEL_KEY not in events.keys:
            return np.zeros(len(events), bool)
        compared: BoolArray = events.key == events.keys.index(vocabulary.BASELINE_MODEL_KEY)
        return compared

    def _is_edge(self, kinds: tuple[vocabulary.EventType, ...]) -> BoolArray:
        return roles.among(self.trace.events.type, kinds) & ~self._has_role(Role.RESOLVER)

    def _has_role(self, *wanted: Role) -> BoolArray:
        return roles.among(self._role_of_event, wanted)

    def _from_executions(self, chosen: BoolArray | IntArray) -> Adjacency:
        events = self.trace.events  # sorted by execution
        return Adjacency.from_edges(
            events.execution[chosen], events.artifact[chosen], len(self.trace.executions)
        )

    def _from_artifacts(self, chosen: BoolArray) -> Adjacency:
        events = self.trace.events
        return Adjacency.from_edges(
            events.artifact[chosen], events.execution[chosen], len(self.trace.artifacts)
        )

    def _step(self, chosen: BoolArray) -> StepToExecutions:
        events = self.trace.events
        return StepToExecutions.of(self, events.artifact[chosen], events.execution[chosen])


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
    def of(cls, edges: Edges, artifact: IntArray, execution: IntArray) -> StepToExecutions:
        """Builds it from the pairs that may be stepped over, each int64 [n]."""
        num_artifacts = len(edges.trace.artifacts)
        cached = edges.trace.executions.state[execution] == ExecutionState.CACHED
        others = Adjacency.from_edges(artifact[~cached], execution[~cached], num_artifacts)
        artifact, execution = artifact[cached], execution[cached]
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
