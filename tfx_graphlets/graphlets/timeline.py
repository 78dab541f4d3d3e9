"""When each fact about a trace and its graphlets became known.

A trace is read long after the decision that a gate had to take. What the gate
could see then is told by times: an execution exists from its create time on,
its state and outputs count from its last update on, and an execution belongs
to a graphlet only once every execution on some path to it had finished. So a
feature that looks at nothing with a later ``known`` time than its moment has
the same value in a trace that was cut at that moment.

Two limits: properties of artifacts are taken as what they were when their
producer finished, and roles of custom classes as the whole trace shows them.

``Lanes`` say which graphlets come before which: a lane is one Trainer
node of one pipeline, whose graphlets follow each other.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.graphlets import roles
from tfx_graphlets.graphlets.edges import Edges
from tfx_graphlets.graphlets.graphlet import NEVER, Graphlets, Part
from tfx_graphlets.trace.ragged import Adjacency
from tfx_graphlets.trace.trace import BoolArray, IntArray, Trace
from tfx_graphlets.vocabulary import ExecutionState, Role, Stage

# Graphlets that are walked together, so that their entries stay in the cache.
_BLOCK = 4096

_SOURCES = (Role.EXAMPLE_GEN, Role.IMPORTER)
_VALIDATORS = (Role.MODEL_VALIDATOR, Role.INFRA_VALIDATOR)
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
        """Works out the times of all graphlets, a block of them at a time."""
        finished = finished_ms(graphlets.trace)
        num_entries = len(graphlets.executions.index)
        timeline = cls(
            finished_ms=finished,
            known_ms=np.empty(num_entries, np.int64),
            own_known_ms=np.empty(num_entries, np.int64),
            joined_ms=np.empty(num_entries, np.int64),
            in_run=np.empty(num_entries, bool),
        )
        for first in range(0, len(graphlets), _BLOCK):
            timeline._fill(_Walk(graphlets, edges, finished, first, first + _BLOCK))
        return timeline

    def _fill(self, walk: _Walk) -> None:
        in_run = walk.in_run()
        known, own = walk.data(np.zeros(len(in_run), bool)), walk.data(in_run)
        joined = walk.downstream()
        downstream, trainers = walk.part == Part.DOWNSTREAM, walk.part == Part.TRAINER
        for times in (known, own):
            times[downstream] = np.maximum(joined, walk.finished)[downstream]
            times[trainers] = walk.finished[trainers]
        joined = np.maximum(joined, walk.create_ms)
        joined[~downstream] = NEVER
        self.known_ms[walk.rows], self.own_known_ms[walk.rows] = known, own
        self.joined_ms[walk.rows], self.in_run[walk.rows] = joined, in_run


def decision_moment(
    graphlets: Graphlets, stage: Stage, timeline: Timeline | None = None
) -> IntArray:
    """Moment of decision of a gate at ``stage``, for every graphlet.

    - ``input``: when the first execution of the run after ExampleGen began, not
      before the run's ExampleGen had ended, and when the Trainer was created at
      the latest.
    - ``pre``: when the Trainer was created.
    - ``trainer``: when the Trainer ended.
    - ``validation``: when the Trainer and the validators that were created
      before the first Pusher had ended.

    Args:
      graphlets: the graphlets.
      stage: where the gate stands.
      timeline: the graphlets' timeline, if it is at hand.

    A time of 0 is a missing time: of a Trainer whose create time is missing its end counts.

    Returns: int64 [n], milliseconds since the epoch; 0 where both are missing.
    """
    executions, trainer = graphlets.trace.executions, graphlets.trainer
    ended_ms = np.maximum(executions.update_ms, executions.create_ms)
    created_ms = np.where(executions.create_ms > 0, executions.create_ms, ended_ms)
    if stage is Stage.PRE:
        return created_ms[trainer]
    if stage is Stage.TRAINER:
        return ended_ms[trainer]
    rows, index = graphlets.executions.rows(), graphlets.executions.index
    role, part = graphlets.role[index], graphlets.part
    create, update = created_ms[index], ended_ms[index]
    if stage is Stage.INPUT:
        timeline = timeline or Timeline.of(graphlets, graphlets.edges)
        before = np.isin(part, (Part.UPSTREAM, Part.ANALYSIS)) & timeline.in_run
        source = before & np.isin(role, _SOURCES)
        later = before & ~np.isin(role, (*_SOURCES, Role.RESOLVER)) & (create > 0)
        begun = np.where(created_ms[trainer] > 0, created_ms[trainer], NEVER)
        moment = begun.copy()
        np.minimum.at(moment, rows[later], create[later])
        np.maximum.at(moment, rows[source], update[source])
        moment = np.minimum(moment, begun)
        return np.where(moment == NEVER, 0, moment)
    first_push = np.full(len(graphlets), np.iinfo(np.int64).max)
    pusher = (part == Part.DOWNSTREAM) & (role == Role.PUSHER) & (create > 0)
    np.minimum.at(first_push, rows[pusher], create[pusher])
    validator = (part == Part.DOWNSTREAM) & np.isin(role, _VALIDATORS)
    validator &= create < first_push[rows]
    moment = ended_ms[trainer].copy()
    np.maximum.at(moment, rows[validator], update[validator])
    return moment


def finished_ms(trace: Trace) -> IntArray:
    """When state and outputs of each execution counted: last update, not before create.

    Returns: int64 [num_executions]; NEVER for one that is NEW or RUNNING.
    """
    executions = trace.executions
    finished = np.maximum(executions.update_ms, executions.create_ms)
    finished[np.isin(executions.state, _UNFINISHED)] = NEVER
    return finished


class _Walk:
    """The segmentation's walks again, over members only, with times.

    Of the graphlets ``first`` to ``last - 1``: an entry is a row of their
    membership, numbered from 0.
    """

    def __init__(
        self, graphlets: Graphlets, edges: Edges, finished: IntArray, first: int, last: int
    ) -> None:
        members, executions = graphlets.executions, graphlets.trace.executions
        start = members.start[first : last + 1]
        self.rows = slice(int(start[0]), int(start[-1]))
        self._edges = edges
        self._execution = members.index[self.rows]
        self._graphlet = np.repeat(np.arange(len(start) - 1, dtype=np.int64), np.diff(start))
        self._trainer = graphlets.trainer[first:last][self._graphlet]
        self._bits = max(len(executions) - 1, 1).bit_length()
        self._keys = (self._graphlet << self._bits) | self._execution
        self.part = graphlets.part[self.rows]
        self.finished = finished[self._execution]
        self.create_ms = executions.create_ms[self._execution]
        self._data_steps = self._find_data_steps(
            roles.among(graphlets.role[self._execution], vocabulary.DATA_ANALYSIS)
            & edges.existed_by_the_end(self._execution, self._trainer)
        )

    def in_run(self) -> BoolArray:
        """True for entries that share a run context with their Trainer, bool [m]."""
        return self._edges.shares_run(self._execution, self._trainer)

    def data(self, passes: BoolArray) -> IntArray:
        """When each upstream or analysis entry was known, int64 [m].

        Args:
          passes: bool [m], entries whose inputs are seen though they have not
            finished.
        """
        steps = self._data_steps
        passes = passes | (self.part == Part.TRAINER)
        path = np.full(len(self.part), NEVER, np.int64)
        path[self.part == Part.TRAINER] = 0
        _relax(path, steps.upstream, lambda: self._leave(path, passes))
        known = np.maximum(path, self.finished)

        # Data analysis beside the data: from all artifacts seen so far, forward.
        beside = np.full(len(self.part), NEVER, np.int64)
        _lower(beside, steps.from_inputs, self._leave(path, passes))
        _lower(beside, steps.from_outputs, known)
        _relax(beside, steps.among_analysis, lambda: np.maximum(beside, self.finished))
        return np.minimum(known, np.maximum(beside, self.finished))

    def downstream(self) -> IntArray:
        """When the way to each downstream entry was seen, int64 [m]."""
        walked = roles.among(self.part, (Part.TRAINER, Part.DOWNSTREAM))
        users = self._edges.users
        steps = self._steps(
            walked,
            self._edges.outputs,
            lambda entry, artifact, _: users.follow(entry, artifact),
            self.part == Part.DOWNSTREAM,
        )
        path = np.full(len(self.part), NEVER, np.int64)
        path[self.part == Part.TRAINER] = 0
        _relax(path, steps, lambda: np.maximum(path, self.finished))
        return path

    def _find_data_steps(self, analysis: BoolArray) -> _DataSteps:
        upstream = self.part == Part.UPSTREAM
        fed = upstream | (self.part == Part.TRAINER)
        analysis = analysis & roles.among(self.part, (Part.UPSTREAM, Part.ANALYSIS))
        edges, beside = self._edges, self._edges.analysers.follow
        return _DataSteps(
            upstream=self._steps(fed, edges.data, edges.makers.follow, upstream),
            from_inputs=self._steps(fed, edges.data, beside, analysis),
            from_outputs=self._steps(upstream, edges.outputs, beside, analysis),
            among_analysis=self._steps(analysis, edges.outputs, beside, analysis),
        )

    def _leave(self, path: IntArray, passes: BoolArray) -> IntArray:
        return np.where(passes, path, np.maximum(path, self.finished))

    def _steps(
        self,
        sources: BoolArray,
        to_artifact: Adjacency,
        to_execution: Callable[[IntArray, IntArray, IntArray], _Pairs],
        targets: BoolArray,
    ) -> _Pairs:
        """Entry pairs that one artifact joins."""
        entry = np.flatnonzero(sources)
        entry, artifact = to_artifact.follow(entry, self._execution[entry])
        entry, execution = to_execution(entry, artifact, self._trainer)
        keys = (self._graphlet[entry] << self._bits) | execution
        target = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        kept = (self._keys[target] == keys) & targets[target] & (target != entry)
        return entry[kept], target[kept]


# Entries, source and target of each step, each int64 [k].
_Pairs = tuple[IntArray, IntArray]


@dataclasses.dataclass(frozen=True, eq=False)
class _DataSteps:
    """Steps to producers, and to data analysis from what was taken in or put out."""

    upstream: _Pairs
    from_inputs: _Pairs
    from_outputs: _Pairs
    among_analysis: _Pairs


def _lower(times: IntArray, steps: _Pairs, leave: IntArray) -> None:
    source, target = steps
    np.minimum.at(times, target, leave[source])


def _relax(times: IntArray, steps: _Pairs, leave: Callable[[], IntArray]) -> None:
    """Lowers ``times`` at the targets to ``leave()`` of the sources until nothing changes."""
    while len(steps[0]):
        before = times.copy()
        _lower(times, steps, leave())
        if np.array_equal(before, times):
            return


def lane_of(trace: Trace, trainer: IntArray) -> IntArray:
    """Number of each Trainer's lane, from 0, int64 [n].

    Lanes are told apart by the Trainer's pipeline context (Trainers without one share one) and
    its node context, else its type.

    Args:
      trace: the trace.
      trainer: int64 [n], positions of executions.
    """
    node = trace.node_of_execution[trainer]
    kind = np.where(node >= 0, node, -2 - trace.executions.type[trainer].astype(np.int64))
    # One number per pair sorts as the pair does, and many times faster.
    lowest = int(kind.min()) if len(kind) else 0
    num_kinds = int(kind.max()) - lowest + 1 if len(kind) else 1
    pair = trace.pipeline_of_execution[trainer] * num_kinds + (kind - lowest)
    return np.unique(pair, return_inverse=True)[1].astype(np.int64)


@dataclasses.dataclass(frozen=True, eq=False)
class Lanes:
    """Graphlets by lane, in the order in which their Trainers were created.

    Attributes:
      lane: int64 [n], number of each graphlet's lane, see ``lane_of``.
      create_ms: int64 [n], create time of each Trainer.
      order: int64 [n], graphlets sorted by (lane, create time, id).
      start: int64 [num_lanes + 1], where each lane starts in ``order``.
      times: int64 [k], the distinct create times, ascending.
      rank: int64 [n], place of each create time among them.
    """

    lane: IntArray
    create_ms: IntArray
    order: IntArray
    start: IntArray
    times: IntArray
    rank: IntArray

    @classmethod
    def of(cls, graphlets: Graphlets) -> Lanes:
        """Lanes of the graphlets of one trace."""
        trace, trainer = graphlets.trace, graphlets.trainer
        lane = lane_of(trace, trainer)
        create_ms = trace.executions.create_ms[trainer]
        order = np.lexsort((graphlets.trainer_id, create_ms, lane)).astype(np.int64)
        num_lanes = int(lane.max()) + 1 if len(lane) else 0
        start = np.searchsorted(lane[order], np.arange(num_lanes + 1)).astype(np.int64)
        times, rank = np.unique(create_ms, return_inverse=True)
        return cls(lane, create_ms, order, start, times, rank.reshape(-1).astype(np.int64))

    def without(self, hidden: BoolArray) -> Lanes:
        """The same without some graphlets (bool [n]), which are in no order then."""
        order = self.order[~hidden[self.order]]
        start = np.searchsorted(self.lane[order], np.arange(len(self.start))).astype(np.int64)
        return dataclasses.replace(self, order=order, start=start)

    def before(self, graphlet: IntArray, moment_ms: IntArray) -> tuple[IntArray, IntArray]:
        """Earlier graphlets of the same lanes that existed at moments, pairwise.

        Those whose Trainer had been created before the moment and before the
        graphlet's own Trainer.

        Returns: where they begin and end in ``order``, each int64 [q].
        """
        lane, width = self.lane[graphlet], len(self.times) + 1
        limit = np.minimum(self.create_ms[graphlet], moment_ms)
        high = np.searchsorted(self._keys, lane * width + np.searchsorted(self.times, limit))
        return self.start[lane], high.astype(np.int64)

    @functools.cached_property
    def _keys(self) -> IntArray:
        """Lane and rank of each graphlet in ``order`` as one number, ascending."""
        return self.lane[self.order] * (len(self.times) + 1) + self.rank[self.order]
