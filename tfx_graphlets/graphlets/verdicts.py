"""Verdicts: what validators said of a model, and which executions brought it to serving.

After docs/graphlets.md, Outcome.

That of the model validator whose blessing the graphlet's pusher took in. Where no pusher took one
in, a model is blessed if every model validator with a verdict blessed it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.graphlets import roles
from tfx_graphlets.graphlets.edges import Edges
from tfx_graphlets.graphlets.graphlet import Graphlets, Part
from tfx_graphlets.trace.ragged import Adjacency
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray, SmallArray, Trace
from tfx_graphlets.vocabulary import ArtifactType, ExecutionState, PropertyName, Role


def counted(trace: Trace, role: SmallArray, pushers: Collection[str] | None) -> BoolArray:
    """True for executions of role PUSHER that count, bool [num_executions].

    Args:
      trace: the trace.
      role: role of every execution, int8 [num_executions].
      pushers: as for ``segment``.

    Raises:
      InvalidArgumentError: a name is that of no pusher of the trace.
    """
    is_pusher: BoolArray = role == Role.PUSHER
    if pushers is None:
        return is_pusher
    names = _names(trace, is_pusher)
    for name in pushers:
        if name not in names:
            there = f"there are {', '.join(sorted(names))}" if names else "there is none"
            raise InvalidArgumentError(
                "pushers", name, f"no pusher's node or type has this name; {there}"
            )
    wanted = np.zeros(len(is_pusher), bool)
    for name in pushers:
        wanted[names[name]] = True
    return wanted


def present(
    trace: Trace, role: SmallArray, pushers: Collection[str] | None
) -> tuple[str, ...] | None:
    """Those of the pushers that are in the trace, for ``segment``; None where all count.

    Before the first push, and in a part of a store, some or all of them are missing.
    """
    if pushers is None:
        return None
    names = _names(trace, role == Role.PUSHER)
    return tuple(name for name in pushers if name in names)


@dataclasses.dataclass(frozen=True)
class Classes:
    """What a whole store tells of its execution types: a part of it may not give it away.

    Attributes:
      role: by the full name of the type.
      silent: full names of the types that the user declared to be pushers and whose outputs carry
        no property ``pushed`` at all.
    """

    role: Mapping[str, Role]
    silent: frozenset[str]

    @classmethod
    def of(cls, trace: Trace, role_of_type: Mapping[str, Role] | None = None) -> Classes:
        """Those of a whole store.

        Args:
          trace: the store.
          role_of_type: roles that the user gives, as for ``segment``.

        Raises:
          InvalidArgumentError: a role is given to a type that is not in the trace.
        """
        executions, events = trace.executions, trace.events
        if not len(executions):
            return cls({}, frozenset())
        names = executions.type_names
        of_type = roles.roles_of_types(trace, role_of_type)
        declared = _declared(trace, role_of_type)
        if declared.any():
            properties = trace.artifacts.properties
            speaks = np.zeros(len(trace.artifacts), bool)
            speaks[properties.owner[properties.rows(PropertyName.PUSHED)]] = True
            puts_out = roles.is_output_edge(trace, of_type[executions.type])
            declared[executions.type[events.execution[puts_out & speaks[events.artifact]]]] = False
        return cls(
            {name: Role(int(role)) for name, role in zip(names, of_type)},
            frozenset(names[at] for at in np.flatnonzero(declared)),
        )

    def roles_in(self, trace: Trace) -> SmallArray:
        """Role of every execution of the store, or of a part: int8 [num_executions]."""
        of_type = [self.role[name] for name in trace.executions.type_names if self.role]
        return np.array(of_type, np.int8)[trace.executions.type]


def pushing(edges: Edges, pusher: BoolArray, classes: Classes) -> BoolArray:
    """True for executions that brought a model to serving, bool [num_executions].

    A pusher in state COMPLETE or CACHED that put out an artifact whose property ``pushed`` is
    1: a PushedModel alone proves nothing. Or one in state COMPLETE of a class that the user
    declared to be a PUSHER and whose outputs carry no property ``pushed`` at all.

    Args:
      edges: of the trace.
      pusher: bool [num_executions], the pushers that count.
      classes: of the store that the trace is a part of, or all of.
    """
    trace = edges.trace
    executions, artifacts = trace.executions, trace.artifacts
    states = (ExecutionState.COMPLETE, ExecutionState.CACHED)
    said = artifacts.properties.has_number(PropertyName.PUSHED, 1, len(artifacts))
    pushes = _puts_out(edges, pusher & roles.among(executions.state, states), said)
    if classes.silent:
        silent = np.array([name in classes.silent for name in executions.type_names], bool)
        complete = executions.state == ExecutionState.COMPLETE
        pushes |= pusher & silent[executions.type] & complete
    return pushes


def _puts_out(edges: Edges, execution: BoolArray, wanted: BoolArray) -> BoolArray:
    """Those of the executions that put out a wanted artifact, bool [num_executions]."""
    position = np.flatnonzero(execution)
    result = np.zeros(len(execution), bool)
    index, artifact = edges.outputs.expand(position)
    result[position[index[wanted[artifact]]]] = True
    return result


def _declared(trace: Trace, role_of_type: Mapping[str, Role] | None) -> BoolArray:
    """Execution types that the user declared to be pushers, bool [num_types].

    A class that is one by its name needs no declaration: TFX's says whether it pushed.
    """
    given = role_of_type or {}
    by_name = vocabulary.ROLE_OF_CLASS
    return np.array(
        [
            given.get(name, given.get(vocabulary.base_name(name))) is Role.PUSHER
            and by_name.get(vocabulary.base_name(name)) is not Role.PUSHER
            for name in trace.executions.type_names
        ],
        bool,
    )


def _names(trace: Trace, is_pusher: BoolArray) -> dict[str, list[int]]:
    """Executions of pushers by each name that selects them."""
    names: dict[str, list[int]] = {}
    for position in np.flatnonzero(is_pusher & ~roles.own_executions(trace)).tolist():
        type_name = trace.executions.type_names[int(trace.executions.type[position])]
        own = {type_name, vocabulary.base_name(type_name)}
        context = trace.context_name(int(trace.node_of_execution[position]))
        own |= {name for name in (context, trace.node_id(position)) if name is not None}
        for name in own:
            names.setdefault(name, []).append(position)
    return names


@dataclasses.dataclass(frozen=True, eq=False)
class Verdicts:
    """What each entry of some graphlets says of the model; an entry is a row of their executions.

    Attributes:
      model: float64 [entries], the least ``blessed`` of the ModelBlessings that a model validator
        put out; NaN for other entries, and where nothing is said.
      infra: float64 [entries], the same of an InfraValidator's InfraBlessings.
      validates: bool [entries], a model validator behind the Trainer.
      heard: entry of a pusher that counts to those of the graphlet's model validators whose
        blessing it took in.
    """

    model: FloatArray
    infra: FloatArray
    validates: BoolArray
    heard: Adjacency

    @classmethod
    def of(cls, graphlets: Graphlets) -> Verdicts:
        """Those of all graphlets of a trace."""
        return cls(
            model=_said(graphlets, Role.MODEL_VALIDATOR, ArtifactType.MODEL_BLESSING),
            infra=_said(graphlets, Role.INFRA_VALIDATOR, ArtifactType.INFRA_BLESSING),
            validates=_behind_the_trainer(graphlets, Role.MODEL_VALIDATOR),
            heard=_heard(graphlets),
        )

    def counting(self, query: IntArray, entry: IntArray) -> BoolArray:
        """Which of some entries of each query are model validators whose verdict counts.

        A query is a graphlet as it was known at some moment: a pusher that is not among its
        entries was not known to listen to anybody.

        Args:
          query, entry: int64 [m].

        Returns: bool [m].
        """
        index, validator = self.heard.expand(entry)
        listening = query[index]
        result: BoolArray = self.validates[entry]
        at = np.flatnonzero(result & np.isin(query, listening))
        pairs = len(self.model)
        result[at] = np.isin(query[at] * pairs + entry[at], listening * pairs + validator)
        return result

    def of_model(self, query: IntArray, entry: IntArray, num_queries: int) -> FloatArray:
        """The verdict that counts on the model of each query, as far as its entries tell.

        Args:
          query, entry: int64 [m], see ``counting``.
          num_queries: length of the result.

        Returns: float64 [num_queries], 1 or 0; NaN where nothing is said.
        """
        counts = self.counting(query, entry)
        return self.least(query[counts], entry[counts], num_queries)

    def least(self, query: IntArray, entry: IntArray, num_queries: int) -> FloatArray:
        """Whether each of the entries with a verdict blessed the model; as ``of_model``."""
        return _least(self.model, query, entry, num_queries)

    def of_infra(self, query: IntArray, entry: IntArray, num_queries: int) -> FloatArray:
        """Whether every InfraValidator with a verdict blessed the model; as ``of_model``."""
        return _least(self.infra, query, entry, num_queries)


def _least(said: FloatArray, query: IntArray, entry: IntArray, num_queries: int) -> FloatArray:
    result = np.full(num_queries, np.nan)
    np.fmin.at(result, query, said[entry])
    return result


def _behind_the_trainer(graphlets: Graphlets, role: Role) -> BoolArray:
    downstream = graphlets.part == Part.DOWNSTREAM
    behind: BoolArray = downstream & (graphlets.role[graphlets.executions.index] == role)
    return behind


def _said(graphlets: Graphlets, role: Role, blessing: str) -> FloatArray:
    artifacts, executions = graphlets.trace.artifacts, graphlets.executions
    blessed = artifacts.properties.numbers(PropertyName.BLESSED, len(artifacts))
    blessed[~graphlets.trace.artifacts_of_types([blessing])] = np.nan
    entry = np.flatnonzero(_behind_the_trainer(graphlets, role))
    index, artifact = graphlets.edges.outputs.expand(executions.index[entry])
    return _least(blessed, entry[index], artifact, len(executions.index))


def _heard(graphlets: Graphlets) -> Adjacency:
    executions, edges = graphlets.executions, graphlets.edges
    num_executions = len(graphlets.trace.executions)
    row, execution = executions.rows(), executions.index
    is_blessing = graphlets.trace.artifacts_of_types([ArtifactType.MODEL_BLESSING])

    pusher = np.flatnonzero((graphlets.part == Part.DOWNSTREAM) & graphlets.pusher[execution])
    pusher, artifact = edges.inputs.follow(pusher, execution[pusher])
    taken = is_blessing[artifact]
    pusher, producer = edges.producers.follow(pusher[taken], artifact[taken])

    # Entries ascend by graphlet, then execution: the producer's in the pusher's graphlet.
    validator = np.flatnonzero(_behind_the_trainer(graphlets, Role.MODEL_VALIDATOR))
    keys = row[validator] * num_executions + execution[validator]
    wanted = row[pusher] * num_executions + producer
    place = np.searchsorted(keys, wanted)
    place[place == len(keys)] = 0
    found = keys[place] == wanted if len(keys) else np.zeros(len(wanted), bool)
    return Adjacency.from_edges(pusher[found], validator[place[found]], len(execution))
