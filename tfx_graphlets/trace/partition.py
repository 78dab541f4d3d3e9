"""Shards and parts: a trace, or a store, cut where nothing is connected.

Graphlets are cut from connected executions, and features look back within a
pipeline, however long. So pipelines that share no artifact can be worked on one by
one, and no cut in time is exact: the result is that of the whole trace, the memory
that of the largest shard.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.trace.rows import taken
from tfx_graphlets.trace.strings import places_in
from tfx_graphlets.trace.trace import (
    BoolArray,
    CodeArray,
    Contexts,
    Events,
    Executions,
    IntArray,
    Properties,
    Trace,
)
from tfx_graphlets.vocabulary import PropertyName

_NOWHERE = -1


class Shards:
    """The shards of one trace.

    Pipelines that share an artifact, or whose Examples have the same
    ``input_fingerprint``, are in one shard; executions without a pipeline
    context are in one shard, too. An artifact without an event is in none.

    Attributes:
      trace: the trace that was cut.
      of_execution: int32 [num_executions], number of each execution's shard.
    """

    def __init__(self, trace: Trace, *, max_executions: int) -> None:
        """Cuts a trace.

        Args:
          trace: what the store recorded.
          max_executions: most executions in a shard, unless pipelines that
            belong together have more.

        Raises:
          InvalidArgumentError: ``max_executions`` is below 1.
        """
        if max_executions < 1:
            raise InvalidArgumentError("max_executions", max_executions, "it must be 1 or more")
        self.trace = trace
        component = _components(trace)
        self.of_execution = _packed(component, max_executions)
        events, contexts = trace.events, trace.contexts
        of_event = self.of_execution[events.execution]
        of_artifact = np.full(len(trace.artifacts), _NOWHERE, np.int32)
        of_artifact[events.artifact] = of_event
        number = len(self)
        self._execution = _Order.of(self.of_execution, number)
        self._artifact = _Order.of(of_artifact, number)
        self._event = _Order.of(of_event, number)
        self._association = _Order.of(self.of_execution[contexts.association_execution], number)
        self._attribution = _Order.of(of_artifact[contexts.attribution_artifact], number)
        self._execution_property = _Order.of(
            self.of_execution[trace.executions.properties.owner], number
        )
        self._artifact_property = _Order.of(of_artifact[trace.artifacts.properties.owner], number)
        # Where each row comes to lie within its shard.
        self._execution_place = self._execution.places()
        self._artifact_place = self._artifact.places()

    def __len__(self) -> int:
        return int(self.of_execution.max()) + 1 if len(self.of_execution) else 0

    def __iter__(self) -> Iterator[Trace]:
        return (self[number] for number in range(len(self)))

    def executions(self, number: int) -> IntArray:
        """Positions in the whole trace of the executions of a shard, ascending, int64 [k]."""
        return self._execution.of_shard(number)

    def __getitem__(self, number: int) -> Trace:
        """The trace of one shard; ids, type names and strings are those of the whole.

        ``events.dropped`` is 0: nobody knows where a dropped event belonged.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"number={number!r}: there are {len(self)} shards")
        trace = self.trace
        execution, artifact = self.executions(number), self._artifact.of_shard(number)
        executions, artifacts = trace.executions, trace.artifacts
        return Trace(
            executions=Executions(
                id=executions.id[execution],
                type=executions.type[execution],
                state=executions.state[execution],
                create_ms=executions.create_ms[execution],
                update_ms=executions.update_ms[execution],
                type_names=executions.type_names,
                properties=_properties(
                    executions.properties,
                    self._execution_property.of_shard(number),
                    self._execution_place,
                ),
            ),
            artifacts=dataclasses.replace(
                artifacts,
                id=artifacts.id[artifact],
                type=artifacts.type[artifact],
                state=artifacts.state[artifact],
                create_ms=artifacts.create_ms[artifact],
                update_ms=artifacts.update_ms[artifact],
                uri=taken(artifacts.uri, artifact),
                properties=_properties(
                    artifacts.properties,
                    self._artifact_property.of_shard(number),
                    self._artifact_place,
                ),
            ),
            events=self._events(number),
            contexts=self._contexts(number),
        )

    def _events(self, number: int) -> Events:
        events, rows = self.trace.events, self._event.of_shard(number)
        return Events(
            execution=self._execution_place[events.execution[rows]].astype(np.int64),
            artifact=self._artifact_place[events.artifact[rows]].astype(np.int64),
            type=events.type[rows],
            key=events.key[rows],
            time_ms=events.time_ms[rows],
            keys=events.keys,
        )

    def _contexts(self, number: int) -> Contexts:
        contexts = self.trace.contexts
        associated, attributed = (
            order.of_shard(number) for order in (self._association, self._attribution)
        )
        of_execution = contexts.association_context[associated]
        of_artifact = contexts.attribution_context[attributed]
        kept, place = np.unique(np.concatenate([of_execution, of_artifact]), return_inverse=True)
        place = place.reshape(-1).astype(np.int64)
        return Contexts(
            id=contexts.id[kept],
            type=contexts.type[kept],
            name=taken(contexts.name, kept),
            create_ms=contexts.create_ms[kept],
            type_names=contexts.type_names,
            association_context=place[: len(of_execution)],
            association_execution=self._execution_place[
                contexts.association_execution[associated]
            ].astype(np.int64),
            attribution_context=place[len(of_execution) :],
            attribution_artifact=self._artifact_place[
                contexts.attribution_artifact[attributed]
            ].astype(np.int64),
        )


@dataclasses.dataclass(frozen=True)
class Part:
    """Pipelines of a store that are read together, and without the others.

    Attributes:
      pipelines: names of pipeline contexts, sorted.
      others: whether executions without a pipeline context belong to it.
      executions: number of its executions.
    """

    pipelines: tuple[str, ...]
    others: bool
    executions: int


def parts_of(trace: Trace, max_executions: int) -> tuple[Part, ...]:
    """Divides a store into parts that know nothing of each other, the first pipelines first.

    Beside what a shard keeps together, pipelines that share an execution or a
    name are in one part, so that each can be read by the names of its pipelines.

    Args:
      trace: the whole store, at least ``Columns.FOR_PARTS`` and the property
        ``input_fingerprint``.
      max_executions: most executions in a part, unless pipelines that belong
        together have more.
    """
    names, member, execution = _named_members(trace)
    component = Shards(trace, max_executions=1).of_execution.astype(np.int64)
    first_name = int(component.max(initial=-1)) + 1
    label = _labels(component[execution], first_name + member, first_name + len(names))
    of_execution, of_name = label[component], label[first_name:]
    others = np.unique(of_execution[trace.pipeline_of_execution < 0])
    if len(others) and len(np.unique(component[of_execution == others[0]])) > 1:
        # An execution of two pipelines ties others to more than ``Shards`` does.
        return (Part(names, True, len(trace.executions)),)
    sizes = np.bincount(of_execution, minlength=len(label))

    def part(labels: Sequence[int]) -> Part:
        mine = np.flatnonzero(np.isin(of_name, labels)).tolist()
        is_others = bool(np.isin(others, labels).any())
        return Part(tuple(names[one] for one in mine), is_others, int(sizes[labels].sum()))

    result = [part(others.tolist())] if len(others) else []
    found, first = np.unique(of_name, return_index=True)
    packed: list[int] = []
    for one in found[np.argsort(first)].tolist():
        if not sizes[one] or one in others:  # a pipeline without an execution is in no part
            continue
        if packed and sizes[[*packed, one]].sum() > max_executions:
            result.append(part(packed))
            packed = []
        packed.append(one)
    return (*result, *([part(packed)] if packed else ()))


def only_others(trace: Trace) -> Trace:
    """Of a whole store, the executions without a pipeline context and what belongs to them.

    The part that ``parts_of`` says has others, where it is not the whole store.
    """
    shards = Shards(trace, max_executions=1)
    of_others = np.unique(shards.of_execution[trace.pipeline_of_execution < 0])
    return shards[int(of_others[0])] if len(of_others) == 1 and len(shards) > 1 else trace


def _named_members(trace: Trace) -> tuple[tuple[str, ...], IntArray, IntArray]:
    """Names of pipelines, sorted; and pairs (number of a name, execution), each int64 [m]."""
    contexts = trace.contexts
    positions = np.flatnonzero(contexts.of_types(vocabulary.PIPELINE_CONTEXTS)).tolist()
    names = tuple(sorted({contexts.name[one] for one in positions}))
    number = {name: at for at, name in enumerate(names)}
    of_context = np.full(len(contexts), _NOWHERE, np.int64)
    of_context[positions] = [number[contexts.name[one]] for one in positions]
    member = of_context[contexts.association_context]
    return names, member[member >= 0], contexts.association_execution[member >= 0]


@dataclasses.dataclass(frozen=True, eq=False)
class _Order:
    """Rows of a table sorted by shard; within a shard they keep their order."""

    row: CodeArray
    start: IntArray

    @classmethod
    def of(cls, shard: CodeArray, num_shards: int) -> _Order:
        # A radix sort, as shards are few.
        narrow = shard.astype(np.int16) if num_shards < 1 << 15 else shard
        row = np.argsort(narrow, kind="stable").astype(np.int32)
        counts = np.bincount(shard[shard >= 0], minlength=num_shards)
        start = np.cumsum(np.concatenate([[len(shard) - counts.sum()], counts]))
        return cls(row, start.astype(np.int64))

    def of_shard(self, number: int) -> IntArray:
        return self.row[self.start[number] : self.start[number + 1]].astype(np.int64)

    def places(self) -> CodeArray:
        """Place of every row within its shard, int32 [n]."""
        result = np.full(len(self.row), _NOWHERE, np.int32)
        first = np.repeat(self.start[:-1], np.diff(self.start))
        rows = self.row[self.start[0] :]
        result[rows] = np.arange(self.start[0], len(self.row)) - first
        return result


def _properties(properties: Properties, rows: IntArray, place: CodeArray) -> Properties:
    return dataclasses.replace(
        properties,
        owner=place[properties.owner[rows]].astype(np.int64),
        name=properties.name[rows],
        is_custom=properties.is_custom[rows],
        kind=properties.kind[rows],
        int_value=properties.int_value[rows],
        double_value=properties.double_value[rows],
        string_code=properties.string_code[rows],
    )


def _components(trace: Trace) -> CodeArray:
    """Number of the component of pipelines of every execution, int32 [E]."""
    group = trace.pipeline_of_execution.astype(np.int32)
    group[group < 0] = len(trace.contexts)
    events = trace.events
    one, other = _links(events.artifact, group[events.execution], len(trace.artifacts))
    content = _content(trace)
    if content is not None:
        marked = content[events.artifact] >= 0
        more = _links(
            content[events.artifact[marked]],
            group[events.execution[marked]],
            int(content.max()) + 1,
        )
        one, other = np.concatenate([one, more[0]]), np.concatenate([other, more[1]])
    return _labels(one, other, len(trace.contexts) + 1)[group]


def _labels(one: IntArray | CodeArray, other: IntArray | CodeArray, num_nodes: int) -> CodeArray:
    """Label of every node, equal where a path of pairs (one, other) joins them, int32 [nodes]."""
    if not len(one):
        return np.arange(num_nodes, dtype=np.int32)
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    links = coo_matrix((np.ones(len(one), np.int8), (one, other)), (num_nodes, num_nodes))
    label: CodeArray = connected_components(links, directed=False)[1]
    return label


def _links(
    node: IntArray | CodeArray, group: CodeArray, num_nodes: int
) -> tuple[CodeArray, CodeArray]:
    """Distinct pairs of groups that one node joins, each int32 [k]."""
    first = np.full(num_nodes, np.iinfo(np.int32).max, np.int32)
    np.minimum.at(first, node, group)
    apart: BoolArray = first[node] != group
    if not apart.any():
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    pairs = np.unique(np.stack([first[node[apart]], group[apart]], axis=1), axis=0)
    return pairs[:, 0], pairs[:, 1]


def _content(trace: Trace) -> CodeArray | None:
    """Number of each artifact's ``input_fingerprint``, int32 [A], -1 where none.

    Older TFX kept it with the ExampleGen that put the artifact out: what such
    an execution touched counts as its content.
    """
    own, executions = trace.artifacts.properties, trace.executions.properties
    rows = own.rows(PropertyName.INPUT_FINGERPRINT)
    of_execution = executions.rows(PropertyName.INPUT_FINGERPRINT)
    rows = rows[own.string_code[rows] >= 0]  # a row without a text says nothing
    of_execution = of_execution[executions.string_code[of_execution] >= 0]
    if not len(trace.artifacts) or not (len(rows) or len(of_execution)):
        return None
    result = np.full(len(trace.artifacts), -1, np.int32)
    if len(of_execution):
        # Texts that both tables have get the same number, others one of their own.
        place = places_in(executions.strings, own.strings)
        place = np.where(place >= 0, place, len(own.strings) + np.arange(len(place)))
        by_execution = np.full(len(trace.executions), -1, np.int32)
        by_execution[executions.owner[of_execution]] = place[executions.string_code[of_execution]]
        theirs = by_execution[trace.events.execution]
        result[trace.events.artifact[theirs >= 0]] = theirs[theirs >= 0]
    result[own.owner[rows]] = own.string_code[rows]
    return result


def _packed(component: CodeArray, max_executions: int) -> CodeArray:
    """Components put together, in order of their first execution, up to a size, int32 [E]."""
    distinct, first, place, counts = np.unique(
        component, return_index=True, return_inverse=True, return_counts=True
    )
    shard = np.zeros(len(distinct), np.int32)
    number, size = 0, 0
    for one in np.argsort(first, kind="stable").tolist():
        if size and size + counts[one] > max_executions:
            number, size = number + 1, 0
        shard[one] = number
        size += int(counts[one])
    return shard[place.reshape(-1)]
