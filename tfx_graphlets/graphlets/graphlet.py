"""Graphlets: the part of a trace that belongs to one training of one model.

``Graphlets`` holds all of a trace as columns with CSR membership; ``Graphlet`` is a view of one,
for people. Rules: docs/graphlets.md, after section 3 of Xin et al., SIGMOD 2021.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterator
from typing import Final

import numpy as np

from tfx_graphlets.errors import TraceNotFoundError
from tfx_graphlets.graphlets.edges import Edges
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.trace.ragged import Ragged
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray, SmallArray, Trace
from tfx_graphlets.vocabulary import Outcome, Role

NEVER: Final = int(np.iinfo(np.int64).max)  # a moment that does not come


class Part(enum.IntEnum):
    """Which step of the segmentation brought an execution in."""

    UPSTREAM = 1  # step 1, data and preprocessing
    ANALYSIS = 2  # step 2, data analysis beside the data
    TRAINER = 3  # the graphlet's own Trainer
    DOWNSTREAM = 4  # step 3, validation and serving


@dataclasses.dataclass(frozen=True, eq=False)
class Graphlets:
    """All graphlets of a trace, in ascending id of their Trainer execution.

    Attributes:
      trace: the trace they were cut from; positions below refer to it.
      role: int8 [num_executions], vocabulary.Role of every execution of the
        trace, user overrides applied.
      trainer: int64 [n], position of each graphlet's Trainer.
      executions: executions of each graphlet.
      part: int8 [len(executions.index)], a Part for each entry of
        ``executions.index``.
      artifacts: artifacts of each graphlet.
      warm_start: Models that the Trainer itself took in.
      pusher: bool [num_executions], executions of role PUSHER that count.
      pushes: bool [num_executions], those of them that brought a model to serving.
      retry: int64 [n], number of the graphlet of the next attempt at the same training (same
        run, node and artifacts); -1 where there is none.
      outcome: int8 [n], vocabulary.Outcome.
      needed_ms: int64 [n], when it became needed, milliseconds: the end of its push, or of the
        first push that its Model led to; NEVER where it is not needed.
      cost: float64 [num_executions], cost of every execution of the trace,
        milliseconds times the weight of its role or type, never negative.
      edges: the trace's edges, as the walks built them.
      declared: the roles and pushers that the user gave.
    """

    trace: Trace
    role: SmallArray
    trainer: IntArray
    executions: Ragged
    part: SmallArray
    artifacts: Ragged
    warm_start: Ragged
    pusher: BoolArray
    pushes: BoolArray
    retry: IntArray
    outcome: SmallArray
    needed_ms: IntArray
    cost: FloatArray
    edges: Edges = dataclasses.field(repr=False)
    declared: Declared = dataclasses.field(default_factory=Declared)

    def __len__(self) -> int:
        return len(self.trainer)

    def __iter__(self) -> Iterator[Graphlet]:
        return (Graphlet(self, number) for number in range(len(self)))

    def __getitem__(self, number: int) -> Graphlet:
        if not -len(self) <= number < len(self):
            raise IndexError(f"number={number!r}: there are {len(self)} graphlets")
        return Graphlet(self, number % len(self))

    def __str__(self) -> str:
        return self.counted(np.arange(len(self), dtype=np.int64))

    def _repr_html_(self) -> str:
        """The latest graphlets as a table, for a notebook."""
        from tfx_graphlets import notebook

        return notebook.latest(str(self), self, ("trainer", "pipeline", "run", "outcome"))

    def counted(self, numbers: IntArray) -> str:
        """Some graphlets, int64 [k], counted by outcome."""
        counts = ", ".join(f"{int((self.outcome[numbers] == o).sum())} {o}" for o in Outcome)
        return f"{len(numbers)} graphlets ({counts})"

    def of_trainer(self, execution_id: int) -> Graphlet:
        """The graphlet of the Trainer execution with this MLMD id.

        Raises:
          TraceNotFoundError: no graphlet has this Trainer.
        """
        position = self.trace.execution_position(execution_id)
        found = np.flatnonzero(self.trainer == position)
        if position < 0 or not len(found):
            raise TraceNotFoundError(
                str(execution_id), f"execution_id={execution_id!r}: no graphlet has this Trainer"
            )
        return Graphlet(self, int(found[0]))

    # -- columns, one entry per graphlet ------------------------------------------

    @property
    def trainer_id(self) -> IntArray:
        """MLMD id of each Trainer execution, int64 [n]."""
        return self.trace.executions.id[self.trainer]

    @property
    def labelled(self) -> BoolArray:
        """True where the outcome is pushed or unpushed, bool [n]."""
        return (self.outcome == Outcome.PUSHED) | (self.outcome == Outcome.UNPUSHED)

    @property
    def pushed(self) -> BoolArray:
        """True where the outcome is pushed, bool [n]."""
        return self.outcome == Outcome.PUSHED

    @property
    def unpushed(self) -> BoolArray:
        """True where the outcome is unpushed, bool [n]."""
        return self.outcome == Outcome.UNPUSHED

    @property
    def useful(self) -> BoolArray:
        """True where it is unpushed, and its Model led to a push by warm starts, bool [n]."""
        return self.unpushed & self.needed

    @property
    def needed(self) -> BoolArray:
        """True where it is pushed or useful, bool [n]: the label that is learnt and kept."""
        return self.needed_ms != NEVER

    @property
    def pipeline(self) -> IntArray:
        """Position of each Trainer's pipeline context, int64 [n], -1 if none."""
        return self.trace.pipeline_of_execution[self.trainer]

    @property
    def node(self) -> IntArray:
        """Position of each Trainer's node context, int64 [n], -1 if none."""
        return self.trace.node_of_execution[self.trainer]

    def of(self, *, pipeline: str | None = None, node: str | None = None) -> IntArray:
        """Numbers of the graphlets of a pipeline, of a node, or of a node of a pipeline.

        A name selects graphlets and cuts nothing: what belongs to them may stand in other
        pipelines of the store.

        Args:
          pipeline: name of a pipeline context that holds their Trainers; None for any.
          node: id of their Trainers' node (``Trainer``), or the name of its context
            (``pipeline.Trainer``); None for any.

        Returns: int64 [k], ascending; empty where the pipeline has trained nothing.

        Raises:
          TraceNotFoundError: the trace has no such pipeline, or no Trainer of it is such a node.
        """
        chosen = np.ones(len(self), bool)
        if pipeline is not None:
            chosen = np.isin(self.trainer, self.trace.members_of_pipeline(pipeline))
        if node is not None:
            chosen &= self._of_node(node, chosen)
        return np.flatnonzero(chosen).astype(np.int64)

    def _of_node(self, node: str, among: BoolArray) -> BoolArray:
        known: dict[str, list[int]] = {}
        for number in np.flatnonzero(among).tolist():
            position = int(self.trainer[number])
            name = self.trace.context_name(int(self.trace.node_of_execution[position]))
            for one in {name, self.trace.node_id(position)} - {None}:
                known.setdefault(str(one), []).append(number)
        if node not in known:
            ids = {self.trace.node_id(int(one)) for one in self.trainer[among]} - {None}
            there = f"there are {', '.join(sorted(map(repr, ids)))}" if ids else "there is none"
            raise TraceNotFoundError(node, f"node={node!r}: no Trainer is this node; {there}")
        result = np.zeros(len(self), bool)
        result[known[node]] = True
        return result

    @property
    def start_ms(self) -> IntArray:
        """Earliest create time of the graphlet's executions, int64 [n]; 0 if none has one."""
        create_ms = self.trace.executions.create_ms
        earliest = self._reduce(np.minimum, np.where(create_ms == 0, NEVER, create_ms))
        return np.where(earliest == NEVER, 0, earliest)

    @property
    def end_ms(self) -> IntArray:
        """Latest update time of the graphlet's executions, int64 [n]."""
        return self._reduce(np.maximum, self.trace.executions.update_ms)

    @property
    def cost_ms(self) -> FloatArray:
        """Summed cost of the graphlet's executions, float64 [n], milliseconds.

        An execution shared by graphlets counts in each: add up sets of
        executions (``outcome.cost_of``), not these, for the cost of several.
        """
        if not len(self):
            return np.zeros(0)
        return np.add.reduceat(self.cost[self.executions.index], self.executions.start[:-1])

    def _reduce(self, function: np.ufunc, column: IntArray) -> IntArray:
        if not len(self):
            return np.zeros(0, np.int64)
        # Every graphlet holds its Trainer, so no row of the membership is empty.
        members = column[self.executions.index]
        return np.asarray(function.reduceat(members, self.executions.start[:-1]), np.int64)


@dataclasses.dataclass(frozen=True, eq=False)
class Graphlet:
    """One graphlet: a view of row ``number`` of ``graphlets``."""

    graphlets: Graphlets
    number: int

    @property
    def trainer(self) -> int:
        """MLMD id of the Trainer execution, the graphlet's key."""
        return int(self.graphlets.trainer_id[self.number])

    @property
    def trainer_position(self) -> int:
        """Position of the Trainer in the trace's executions."""
        return int(self.graphlets.trainer[self.number])

    @property
    def pipeline(self) -> str | None:
        """Name of the pipeline context of the Trainer; None where it has none."""
        trace = self.graphlets.trace
        return trace.context_name(int(trace.pipeline_of_execution[self.trainer_position]))

    @property
    def node(self) -> str | None:
        """Id of the Trainer's node; None where it stands in no node context."""
        return self.graphlets.trace.node_id(self.trainer_position)

    @property
    def run(self) -> str | None:
        """Name of the run context of the Trainer; None where it has none."""
        trace = self.graphlets.trace
        return trace.context_name(int(trace.run_of_execution[self.trainer_position]))

    @property
    def executions(self) -> tuple[int, ...]:
        """MLMD ids of its executions, ascending."""
        return self._ids(self.graphlets.executions.of(self.number))

    @property
    def artifacts(self) -> tuple[int, ...]:
        """MLMD ids of its artifacts, ascending."""
        ids = self.graphlets.trace.artifacts.id[self.graphlets.artifacts.of(self.number)]
        return tuple(ids.tolist())

    @property
    def warm_start(self) -> tuple[int, ...]:
        """MLMD ids of the Models that the Trainer took in, ascending."""
        ids = self.graphlets.trace.artifacts.id[self.graphlets.warm_start.of(self.number)]
        return tuple(ids.tolist())

    @property
    def outcome(self) -> Outcome:
        """What became of it."""
        return Outcome(int(self.graphlets.outcome[self.number]))

    @property
    def needed(self) -> bool:
        """Whether it is pushed, or its Model led to a push."""
        return bool(self.graphlets.needed[self.number])

    @property
    def start_ms(self) -> int:
        """Earliest create time of its executions, milliseconds since the epoch; 0 if none."""
        known = self._times("create_ms")
        return int(min(known[known != 0], default=0))

    @property
    def end_ms(self) -> int:
        """Latest update time of its executions, milliseconds since the epoch."""
        return int(self._times("update_ms").max())

    @property
    def cost_ms(self) -> float:
        """Summed (weighted) cost of its executions, milliseconds."""
        return float(self.graphlets.cost[self.graphlets.executions.of(self.number)].sum())

    def with_role(self, *roles: Role) -> tuple[int, ...]:
        """MLMD ids of its executions that have one of the roles, ascending."""
        members = self.graphlets.executions.of(self.number)
        return self._ids(members[np.isin(self.graphlets.role[members], roles)])

    def in_part(self, *parts: Part) -> tuple[int, ...]:
        """MLMD ids of its executions that one of the steps brought in, ascending."""
        entries = slice(
            self.graphlets.executions.start[self.number],
            self.graphlets.executions.start[self.number + 1],
        )
        members = self.graphlets.executions.index[entries]
        return self._ids(members[np.isin(self.graphlets.part[entries], parts)])

    def to_dict(self) -> dict[str, object]:
        """Plain values, as ``tfx-graphlets segment --format json`` prints them.

        ``cost_ms`` is whole where no weights are in use.
        """
        cost = self.cost_ms
        return {
            "trainer": self.trainer,
            "node": self.node,
            "pipeline": self.pipeline,
            "run": self.run,
            "executions": list(self.executions),
            "artifacts": list(self.artifacts),
            "warm_start": list(self.warm_start),
            "outcome": str(self.outcome),
            "needed": self.needed,
            "start_ms": self.start_ms,
            "end_ms": self.end_ms,
            "cost_ms": int(cost) if cost.is_integer() else cost,
        }

    def __str__(self) -> str:
        return (
            f"Graphlet of Trainer {self.trainer} ({self.outcome}): {len(self.executions)} "
            f"executions, {len(self.artifacts)} artifacts, {self.cost_ms / 1000:.1f} s"
        )

    def _ids(self, positions: IntArray) -> tuple[int, ...]:
        return tuple(self.graphlets.trace.executions.id[positions].tolist())

    def _times(self, column: str) -> IntArray:
        times: IntArray = getattr(self.graphlets.trace.executions, column)
        return times[self.graphlets.executions.of(self.number)]
