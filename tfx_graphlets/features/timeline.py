"""When each fact about a trace and its graphlets became known.

A trace is read long after the decision that a gate had to take. What the gate
could see then is told by times: an execution exists from its create time on,
its state and outputs count from its last update on, and an execution belongs
to a graphlet only once every execution on some path to it had finished. So a
feature that looks at nothing with a later ``known`` time than its moment has
the same value in a trace that was cut at that moment.

Two limits: properties of artifacts are taken as what they were when their
producer finished, and roles of custom classes as the whole trace shows them.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.adjacency import Adjacency
from tfx_graphlets.edges import Edges
from tfx_graphlets.graphlet import Graphlets, Part
from tfx_graphlets.trace import BoolArray, IntArray, Trace
from tfx_graphlets.vocabulary import ExecutionState

__all__ = ["NEVER", "Edges", "Timeline", "finished_ms", "shares_run"]

NEVER = int(np.iinfo(np.int64).max)

_UNFINISHED = (ExecutionState.NEW, ExecutionState.RUNNING)


@dataclasses.dataclass(frozen=True, eq=False)
class Timeline:
    """Times at which memberships became known, milliseconds, NEVER where not.

    Attributes:
      finished_ms: int64 [num_executions], when state and outputs of each
        execution counted; NEVER for one that is NEW or RUNNING.
      known_ms: int64 [m], for each entry of ``graphlets.executions.index``:
        when it had finished and was seen to belong to the graphlet.
      own_known_ms: int64 [m], the same before the graphlet's Trainer has
        started: what a run is going to do is no secret within that run, so
        the way to an execution may lead through unfinished ones of the run.
      joined_ms: int64 [m], when a downstream entry had been created and was
        seen to belong to the graphlet; NEVER for other entries.
      in_run: bool [m], the entry shares a run context with its Trainer.
    """

    finished_ms: IntArray
    known_ms: IntArray
    own_known_ms: IntArray
    joined_ms: IntArray
    in_run: BoolArray

    @classmethod
    def of(cls, graphlets: Graphlets, edges: Edges) -> Timeline:
        """Works out the times of all graphlets at once."""
        executions = graphlets.trace.executions
        finished = finished_ms(graphlets.trace)
        entries = _Entries.of(graphlets)
        in_run = shares_run(graphlets.trace, entries.execution, graphlets.trainer[entries.graphlet])
        walk = _Walk(graphlets, edges, entries, finished[entries.execution])
        known = walk.data(np.zeros(len(in_run), bool))
        # Only where an execution of the run had not finished can the two differ.
        own = walk.data(in_run)
        joined = walk.downstream()
        downstream = graphlets.part == Part.DOWNSTREAM
        trainers = graphlets.part == Part.TRAINER
        for times in (known, own):
            times[downstream] = np.maximum(joined, walk.finished)[downstream]
            times[trainers] = walk.finished[trainers]
        joined = np.maximum(joined, executions.create_ms[entries.execution])
        joined[~downstream] = NEVER
        return cls(finished, known, own, joined, in_run)


def finished_ms(trace: Trace) -> IntArray:
    """When state and outputs of each execution counted: last update, not before create.

    Returns: int64 [num_executions]; NEVER for one that is NEW or RUNNING.
    """
    executions = trace.executions
    finished = np.maximum(executions.update_ms, executions.create_ms)
    finished[np.isin(executions.state, _UNFINISHED)] = NEVER
    return finished


def shares_run(trace: Trace, left: IntArray, right: IntArray) -> BoolArray:
    """True where two executions stand in the same run context, pairwise.

    Args:
      left, right: int64 [n], positions of executions.

    Returns: bool [n].
    """
    member, context = trace.run_memberships()
    runs = Adjacency.from_edges(member, context, len(trace.executions))
    num_contexts = max(len(trace.contexts), 1)
    index, of_left = runs.expand(left)
    distinct = np.unique(right)
    row, of_right = runs.expand(distinct)
    theirs = distinct[row] * num_contexts + of_right
    result = np.zeros(len(left), bool)
    result[index[np.isin(right[index] * num_contexts + of_left, theirs)]] = True
    return result


@dataclasses.dataclass(frozen=True, eq=False)
class _Entries:
    """The entries of a membership, found by graphlet and execution."""

    graphlet: IntArray
    execution: IntArray
    keys: IntArray
    num_executions: int

    @classmethod
    def of(cls, graphlets: Graphlets) -> _Entries:
        graphlet, execution = graphlets.executions.rows(), graphlets.executions.index
        num_executions = max(len(graphlets.trace.executions), 1)
        return cls(graphlet, execution, graphlet * num_executions + execution, num_executions)

    def find(self, graphlet: IntArray, execution: IntArray) -> IntArray:
        """Entry number of each pair, -1 where it is no member, int64 [n]."""
        if not len(self.keys):
            return np.full(len(graphlet), -1, np.int64)
        keys = graphlet * self.num_executions + execution
        position = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[position] == keys, position, -1)


class _Walk:
    """The segmentation's walks again, over members only, with times."""

    def __init__(
        self, graphlets: Graphlets, edges: Edges, entries: _Entries, finished: IntArray
    ) -> None:
        self.part = graphlets.part
        self.role = graphlets.role[entries.execution]
        self.finished = finished
        times = graphlets.trace.executions
        trainer_ended = times.update_ms[graphlets.trainer[entries.graphlet]]
        self.in_time = times.create_ms[entries.execution] <= trainer_ended
        self._entries = entries
        self._edges = edges
        self._entered = ~graphlets.trace.artifacts_of_types(vocabulary.NOT_ENTERED_UPSTREAM)

    def data(self, passes: BoolArray) -> IntArray:
        """When each upstream or analysis entry was known, int64 [m].

        Args:
          passes: bool [m], entries whose inputs are seen though they have not
            finished.
        """
        fed = np.isin(self.part, (Part.UPSTREAM, Part.TRAINER))
        source, target = self._steps(
            fed, self._edges.inputs, self._edges.producers, self.part == Part.UPSTREAM
        )
        passes = passes | (self.part == Part.TRAINER)
        path = np.full(len(self.part), NEVER, np.int64)
        path[self.part == Part.TRAINER] = 0
        _relax(path, source, target, lambda: self._leave(path, passes))
        known = np.maximum(path, self.finished)

        # Data analysis beside the data: from all artifacts seen so far, forward.
        analysis = np.isin(self.role, vocabulary.DATA_ANALYSIS) & self.in_time
        analysis &= np.isin(self.part, (Part.UPSTREAM, Part.ANALYSIS))
        beside = np.full(len(self.part), NEVER, np.int64)
        seen = self._leave(path, passes)
        source, target = self._steps(fed, self._edges.inputs, self._edges.consumers, analysis)
        np.minimum.at(beside, target, seen[source])
        upstream = self.part == Part.UPSTREAM
        source, target = self._steps(upstream, self._edges.outputs, self._edges.consumers, analysis)
        np.minimum.at(beside, target, known[source])
        source, target = self._steps(analysis, self._edges.outputs, self._edges.consumers, analysis)
        _relax(beside, source, target, lambda: np.maximum(beside, self.finished))
        return np.minimum(known, np.maximum(beside, self.finished))

    def downstream(self) -> IntArray:
        """When the way to each downstream entry was seen, int64 [m]."""
        walked = np.isin(self.part, (Part.TRAINER, Part.DOWNSTREAM))
        source, target = self._steps(
            walked, self._edges.outputs, self._edges.consumers_of_own, self.part == Part.DOWNSTREAM
        )
        path = np.full(len(self.part), NEVER, np.int64)
        path[self.part == Part.TRAINER] = 0
        _relax(path, source, target, lambda: np.maximum(path, self.finished))
        return path

    def _leave(self, path: IntArray, passes: BoolArray) -> IntArray:
        return np.where(passes, path, np.maximum(path, self.finished))

    def _steps(
        self,
        sources: BoolArray,
        to_artifact: Adjacency,
        to_execution: Adjacency,
        targets: BoolArray,
    ) -> tuple[IntArray, IntArray]:
        """Entry pairs that one artifact joins, each int64 [k]."""
        entry = np.flatnonzero(sources)
        index, artifact = to_artifact.expand(self._entries.execution[entry])
        entry = entry[index]
        if to_artifact is self._edges.inputs:
            entered = self._entered[artifact]
            entry, artifact = entry[entered], artifact[entered]
        index, execution = to_execution.expand(artifact)
        entry = entry[index]
        target = self._entries.find(self._entries.graphlet[entry], execution)
        kept = (target >= 0) & targets[target] & (target != entry)
        return entry[kept], target[kept]


def _relax(times: IntArray, source: IntArray, target: IntArray, leave) -> None:  # type: ignore[no-untyped-def]
    """Lowers ``times[target]`` to ``leave()[source]`` until nothing changes."""
    while len(source):
        before = times.copy()
        np.minimum.at(times, target, leave()[source])
        if np.array_equal(before, times):
            return
