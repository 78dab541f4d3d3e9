"""Events of one stretch of time, and the contexts that artifacts come to stand in by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tests.benchmarks.synthetic import layout, statements
from tests.benchmarks.synthetic.arrays import Numbers
from tests.benchmarks.synthetic.schedule import sources
from tests.benchmarks.synthetic.world import Group, Load, World, lists
from tfx_graphlets.trace.trace import BoolArray, IntArray
from tfx_graphlets.vocabulary import EventType

_KEYS = np.array(layout.KEYS, object)
_KEY_NUMBER = {key: number for number, key in enumerate(layout.KEYS)}


class _Reads(NamedTuple):
    """Events of one key, shape [n] each.

    Attributes:
      group: their executions, one for each event.
      position: of the event among those of the stretch.
      artifact: ids.
      number: position under the key (MLMD's index step).
      own: the artifact was made by the same run.
    """

    group: Group
    position: IntArray
    artifact: IntArray
    number: IntArray
    own: BoolArray


def event_loads(
    world: World, started: Sequence[Group], finished: Sequence[Group], start: int, stop: int
) -> Iterator[Load]:
    """Events, their paths, and attributions of artifacts that were there before.

    Args:
      world: what the store is made of.
      started, finished: executions that start and end in the stretch.
      start, stop: the stretch, positions in the schedule's moments.
    """
    before = world.schedule.event_before
    base, count = int(before[start]), int(before[stop] - before[start])
    artifact, execution, when = (np.zeros(count, np.int64) for _ in range(3))
    kind, key, index = (np.zeros(count, np.int8) for _ in range(3))
    positions, contexts, artifacts = [], [], []
    for event_type, groups in (
        (EventType.INPUT, [group for group in started if not group.resolves]),
        # What a Resolver found is recorded when it ends, and is no edge.
        (EventType.INTERNAL_OUTPUT, [group for group in finished if group.resolves]),
        (EventType.OUTPUT, [group for group in finished if not group.resolves]),
    ):
        for group in groups:
            at = before[group.moment].astype(np.int64) - base
            made = event_type is EventType.OUTPUT
            for name, one in (_made if made else _read)(world, group, at):
                ms = (world.start_ms if event_type is EventType.INPUT else world.end_ms)(one.group)
                artifact[one.position], index[one.position] = one.artifact, one.number
                execution[one.position], when[one.position] = world.execution(one.group), ms
                kind[one.position], key[one.position] = event_type, _KEY_NUMBER[name]
                foreign = ~one.own
                # What an execution made itself was put into the node's context with it.
                some = foreign if made else np.ones(len(foreign), bool)
                positions.append(one.position[some])
                contexts.append(world.node_context(one.group)[some])
                artifacts.append(one.artifact[some])
                positions.append(one.position[foreign])
                contexts.append(world.contexts.of_run[one.group.row[foreign]])
                artifacts.append(one.artifact[foreign])
    ids = np.arange(base + 1, base + count + 1)
    yield Load(statements.EVENT, lists([ids, artifact, execution, kind, when]))
    yield Load(statements.EVENT_PATH, lists([ids, _KEYS[key], index]))
    if positions:
        yield _attributions(*map(np.concatenate, (positions, contexts, artifacts)))


def _read(world: World, group: Group, at: IntArray) -> Iterator[tuple[str, _Reads]]:
    """What executions read or found, key by key; ``at`` is where their events begin."""
    at = at.copy()
    for read in layout.INPUTS_OF_SLOT[group.slot]:
        source = sources(world.runs, group.slot, read, group.row)
        found = source >= 0
        place = np.cumsum(found, axis=1) - 1
        some, column = np.nonzero(found)
        number, made_by, one = place[some, column], source[some, column], group.only(some)
        ids = world.artifact_ids(read.output, made_by)
        yield read.key, _Reads(one, at[some] + number, ids, number, made_by == one.row)
        at += found.sum(axis=1)


def _made(world: World, group: Group, at: IntArray) -> Iterator[tuple[str, _Reads]]:
    """What executions put out, key by key: a cache hit what an earlier one made."""
    source = world.origin(group)
    some = source >= 0
    one, source, at = group.only(some), source[some], at[some]
    none = np.zeros(len(at), np.int64)
    for made in layout.OUTPUTS_OF_SLOT[group.slot]:
        ids = world.artifact_ids(layout.output(made.slot, made.key), source)
        yield made.key, _Reads(one, at + made.position, ids, none, source == one.row)


def _attributions(position: IntArray, context: Numbers, artifact: IntArray) -> Load:
    """Each pair once, in the order in which it came up."""
    order = np.argsort(position, kind="stable")
    pair = (context.astype(np.int64) << 32) | artifact
    _, first = np.unique(pair[order], return_index=True)
    kept = order[np.sort(first)]
    return Load(statements.ATTRIBUTION_AGAIN, lists([context[kept], artifact[kept]]))
