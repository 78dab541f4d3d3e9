"""Groups of pipelines: the elements that a corpus is worked on by.

Features of a graphlet look at the executions upstream of it, however old, and
at earlier graphlets of its pipeline; so a pipeline is never cut, however long
it is: no cut in time is exact. Pipelines that share an artifact, an execution
or the content of a span (see ``trace.partition``) stay together. What is left apart is
put together again up to a size that makes opening and seeking cheap.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping
from typing import Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.graphlets.verdicts import Classes, counted
from tfx_graphlets.stores import uris as connection
from tfx_graphlets.stores.declared import declared_by, declared_in
from tfx_graphlets.stores.selection import Columns
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.trace.partition import Shards
from tfx_graphlets.trace.trace import IntArray, Trace
from tfx_graphlets.vocabulary import PropertyName, Role

# Reading a group costs one pass over the store's associations besides, which no
# index leads from executions to contexts: groups grow with the store.
_FEWEST_EXECUTIONS: Final = 25_000  # some tens of pipelines, some seconds of work
_MOST_EXECUTIONS: Final = 250_000  # some hundred megabytes
_GROUPS: Final = 32

# What tells which pipelines belong together, and what custom classes are.
_PROPERTIES: Final = (PropertyName.INPUT_FINGERPRINT, PropertyName.PUSHED)
_COLUMNS: Final = Columns(
    uris=False,
    event_times=False,
    event_keys=frozenset(),
    context_types=frozenset(vocabulary.PIPELINE_CONTEXTS),
    attributions=False,
)
_WITH_NODES: Final = dataclasses.replace(
    _COLUMNS,
    context_types=frozenset((*vocabulary.PIPELINE_CONTEXTS, *vocabulary.NODE_CONTEXTS)),
)


@dataclasses.dataclass(frozen=True)
class Group:
    """Pipelines that are worked on together, and all that a worker has to know.

    Attributes:
      store: URI of the store, for ``open_store``.
      number: of the group, from 0 on.
      count: number of groups of the store.
      pipelines: names of pipeline contexts, sorted.
      others: whether executions without a pipeline context belong to it.
      executions: number of its executions.
      classes: what the whole store tells of its execution types.
      pushers: names of the pushers that count, of which the group may hold some; None for all.
    """

    store: str
    number: int
    count: int
    pipelines: tuple[str, ...]
    others: bool
    executions: int
    classes: Classes
    pushers: tuple[str, ...] | None = None

    @property
    def part(self) -> str:
        """Which part of the whole it is, as in ``00003-of-00019``."""
        return f"{self.number:05d}-of-{self.count:05d}"


def groups_of_store(
    store: str,
    *,
    max_executions: int | None = None,
    role_of_type: Mapping[str, Role] | None = None,
    pushers: Collection[str] | None = None,
) -> tuple[Group, ...]:
    """Divides a store into groups of pipelines that know nothing of each other.

    Reads, of the whole store, types of nodes, events and pipeline contexts; it
    runs where the job is submitted, which has to reach the store, too.

    Args:
      store: URI of the store, for ``open_store``, without a password: each
        worker takes it from the variable that ``open_store`` names.
      max_executions: most executions in a group, unless pipelines that belong
        together have more; by default a 32nd of the store, but 25,000 to
        250,000. With more than 16 workers give less.
      role_of_type, pushers: as for ``segment``; an archive may declare others besides.

    Returns:
      The groups, of about equal size, the first pipelines first.

    Raises:
      InvalidArgumentError: ``max_executions`` is below 1, ``store`` holds a
        password, a role or a pusher is named that is not in the store, or the store declares
        others.
      StoreError: the store cannot be read, or holds no execution.
    """
    if max_executions is not None and max_executions < 1:
        raise InvalidArgumentError("max_executions", max_executions, "it must be 1 or more")
    if connection.may_hold_password(store):
        raise InvalidArgumentError(
            "store",
            connection.redacted(store),
            "it must hold no password, which would go with every element; set "
            f"{connection.PASSWORD_VARIABLE} for the job and on every worker",
        )
    with open_store(store) as opened:
        given = Declared.of(role_of_type, pushers)
        by_name = declared_by(opened, given).pushers is not None
        trace = opened.read_trace(
            properties=_PROPERTIES, columns=_WITH_NODES if by_name else _COLUMNS
        )
        plain = without_gates(trace)
        declared = declared_in(plain, opened, given)
    classes = Classes.of(plain, declared.role_of_type)
    counted(plain, classes.roles_in(plain), declared.pushers)  # refuses a name that no pusher has
    if max_executions is None:
        share = len(trace.executions) // _GROUPS
        max_executions = min(max(share, _FEWEST_EXECUTIONS), _MOST_EXECUTIONS)
    drafts = list(_divided(trace, max_executions))
    return tuple(
        Group(store, number, len(drafts), names, others, size, classes, declared.pushers)
        for number, (names, others, size) in enumerate(drafts)
    )


def only_others(trace: Trace) -> Trace:
    """Of a whole store, the executions without a pipeline context and what belongs to them.

    The group that ``groups_of_store`` says has others, where it is not the whole store.
    """
    shards = Shards(trace, max_executions=1)
    of_others = np.unique(shards.of_execution[trace.pipeline_of_execution < 0])
    return shards[int(of_others[0])] if len(of_others) == 1 and len(shards) > 1 else trace


def _divided(trace: Trace, max_executions: int) -> Iterator[tuple[tuple[str, ...], bool, int]]:
    """Names, whether there are others, number of executions, of every group."""
    names, member, execution = _members(trace)
    component = Shards(trace, max_executions=1).of_execution.astype(np.int64)
    label = _connected(component[execution], member, int(component.max()) + 1, len(names))
    of_execution = label[component]
    others = np.unique(of_execution[trace.pipeline_of_execution < 0])
    if len(others) and len(np.unique(component[of_execution == others[0]])) > 1:
        # An execution of two pipelines ties others to more than ``Shards`` does.
        yield names, True, len(trace.executions)
        return
    label_of_name = np.full(len(names), -1, np.int64)
    label_of_name[member] = of_execution[execution]
    sizes = np.bincount(of_execution)
    if len(others):
        mine = np.flatnonzero(label_of_name == others[0])
        yield tuple(names[one] for one in mine), True, int(sizes[others[0]])
    found, first = np.unique(label_of_name, return_index=True)
    packed: list[int] = []
    for one in found[np.argsort(first)].tolist():
        # A pipeline without an execution is in no group.
        if one < 0 or one in others:
            continue
        if packed and sizes[[*packed, one]].sum() > max_executions:
            yield _named(names, label_of_name, packed), False, int(sizes[packed].sum())
            packed = []
        packed.append(one)
    if packed:
        yield _named(names, label_of_name, packed), False, int(sizes[packed].sum())


def _named(names: tuple[str, ...], label: IntArray, wanted: list[int]) -> tuple[str, ...]:
    return tuple(names[one] for one in np.flatnonzero(np.isin(label, wanted)))


def _members(trace: Trace) -> tuple[tuple[str, ...], IntArray, IntArray]:
    """Names of pipelines, sorted; and pairs (number of a name, execution), each int64 [m]."""
    contexts = trace.contexts
    chosen = contexts.of_types(vocabulary.PIPELINE_CONTEXTS)
    positions = np.flatnonzero(chosen).tolist()
    names = tuple(sorted({contexts.name[one] for one in positions}))
    number = {name: at for at, name in enumerate(names)}
    of_context = np.full(len(contexts), -1, np.int64)
    of_context[positions] = [number[contexts.name[one]] for one in positions]
    member = of_context[contexts.association_context]
    return names, member[member >= 0], contexts.association_execution[member >= 0]


def _connected(one: IntArray, other: IntArray, num_ones: int, num_others: int) -> IntArray:
    """Label of every one, equal where a path of pairs (one, other) joins them, int64 [num_ones]."""
    pairs = np.unique(one * max(num_others, 1) + other)
    one, other = pairs // max(num_others, 1), pairs % max(num_others, 1)
    label = np.arange(num_ones, dtype=np.int64)
    while True:
        lowest = np.full(num_others, num_ones, np.int64)
        np.minimum.at(lowest, other, label[one])
        after = label.copy()
        np.minimum.at(after, one, lowest[other])
        if np.array_equal(after, label):
            return np.unique(label, return_inverse=True)[1].reshape(-1).astype(np.int64)
        label = after
