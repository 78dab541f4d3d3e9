"""The rows of a store, for one stretch of time after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tests.benchmarks.synthetic import layout, statements
from tests.benchmarks.synthetic.arrays import Cells, Texts
from tests.benchmarks.synthetic.contexts import KINDS
from tests.benchmarks.synthetic.events import event_loads
from tests.benchmarks.synthetic.pipelines import stream
from tests.benchmarks.synthetic.values import texts
from tests.benchmarks.synthetic.world import Group, Load, World, by_id, lists
from tfx_graphlets.trace.trace import IntArray
from tfx_graphlets.vocabulary import ExecutionState


def stretches(world: World, moments: int) -> Iterator[tuple[int, Iterator[Load]]]:
    """Loads of stretches of time, to be used in this order.

    Args:
      world: what the store is made of.
      moments: starts and ends of executions in a stretch, at most.

    Yields: number of Trainers in the stretch, and its loads.
    """
    draw = stream(world.parameters, 5)
    total = len(world.schedule.moment)
    for start in range(0, total, moments):
        stop = min(start + moments, total)
        started, finished = _groups(world, start, stop)
        trainers = sum(
            len(group.row) for group in started if layout.base_slot(group.slot) == layout.TRAINER
        )
        yield trainers, _loads(world, draw, started, finished, start, stop)


def _groups(world: World, start: int, stop: int) -> tuple[list[Group], list[Group]]:
    """Executions that start, and that end, in a stretch of moments, by slot."""
    moment, is_end = world.schedule.moment[start:stop], world.schedule.is_end
    slot = moment % layout.SLOTS
    order = np.argsort(slot, kind="stable")
    bounds = np.searchsorted(slot[order], np.arange(layout.SLOTS + 1))
    started, finished = [], []
    for number in range(layout.SLOTS):
        at = order[bounds[number] : bounds[number + 1]]
        group = Group(number, moment[at].astype(np.int64) // layout.SLOTS, at + start)
        ends = is_end[group.moment]
        started.append(group.only(~ends))
        finished.append(group.only(ends))
    return _some(started), _some(finished)


def _some(groups: Sequence[Group]) -> list[Group]:
    return [group for group in groups if len(group.row)]


def _loads(
    world: World, draw: np.random.Generator, started: Sequence[Group], finished: Sequence[Group],
    start: int, stop: int,
) -> Iterator[Load]:  # fmt: skip
    if started:
        yield from _contexts(world, draw, started)
        yield _executions(world, draw, started)
    for group in started:
        yield from _of_executions(world, group)
    fresh = _some([group.only(world.origin(group) == group.row) for group in finished])
    fresh = [group for group in fresh if layout.OUTPUTS_OF_SLOT[group.slot]]
    if fresh:
        yield _artifacts(world, fresh)
    for group in fresh:
        yield from _of_artifacts(world, group)
    yield from event_loads(world, started, finished, start, stop)


def _contexts(world: World, draw: np.random.Generator, groups: Sequence[Group]) -> Iterator[Load]:
    """New contexts, and the pipelines that new runs belong to."""
    types = world.type_ids["context"]
    parts: list[tuple[Cells, ...]] = []
    parents: list[tuple[Cells, ...]] = []
    for group in groups:
        new = world.contexts.new[world.execution(group) - 1]
        for kind, (kind_name, ids) in enumerate(zip(KINDS, world.contexts_of(group))):
            chosen = new[:, kind]
            if not chosen.any():
                continue
            some = group.only(chosen)
            pipeline, when = world.pipeline(some), world.start_ms(some)
            name: Texts = world.values.name[pipeline]
            if kind_name == "pipeline_run":
                name = name + _stamps(when)
                parents.append((ids[chosen], world.contexts.of_pipeline[pipeline]))
            elif kind_name == "node":
                name = name + f".{layout.NODES[group.slot].node_id}"
            elif kind_name == "execution_cache":
                name = _hexadecimal(draw, len(when), 32)
            parts.append((ids[chosen], np.full(len(when), types[kind_name]), name, when))
    if parts:
        yield Load(statements.CONTEXT, lists(by_id(parts)))
    if parents:
        yield Load(statements.PARENT_CONTEXT, lists(by_id(parents)))


def _stamps(when_ms: IntArray) -> Texts:
    """Ends of the names of runs, as orchestrators write them: -20240131120000."""
    stamps = np.datetime_as_string(when_ms.astype("datetime64[ms]"), unit="s")
    return texts("-" + "".join(filter(str.isdigit, stamp)) for stamp in stamps.tolist())


def _hexadecimal(draw: np.random.Generator, count: int, size: int) -> Texts:
    """Random numbers of ``size`` bytes, in hexadecimal digits."""
    drawn, step = draw.bytes(count * size).hex(), 2 * size
    return texts(drawn[at : at + step] for at in range(0, len(drawn), step))


def _executions(world: World, draw: np.random.Generator, groups: Sequence[Group]) -> Load:
    types = world.type_ids["execution"]
    parts: list[tuple[Cells, ...]] = []
    for group in groups:
        state, start = world.state(group), world.start_ms(group)
        # A crash leaves the time at which the execution was registered.
        update = np.where(state == ExecutionState.RUNNING, start, world.end_ms(group))
        type_id = np.full(len(state), types[layout.NODES[group.slot].type_name])
        parts.append((world.execution(group), type_id, state, start, update))
    ids, type_ids, states, starts, updates = lists(by_id(parts))
    drawn = _hexadecimal(draw, len(ids), 16)
    names = [f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}" for h in drawn]
    return Load(statements.EXECUTION, [ids, type_ids, states, names, starts, updates])


def _of_executions(world: World, group: Group) -> Iterator[Load]:
    """Properties and associations."""
    found = statements.EXECUTION_PROPERTIES.get(layout.base_slot(group.slot))
    owner = world.execution(group)
    if found is not None:
        insert, names = found
        yield Load(insert, lists([owner, *(world.column(group, name) for name in names)]))
    contexts = world.contexts_of(group)
    insert = statements.memberships("Association", "execution_id", len(contexts))
    yield Load(insert, lists([owner, *contexts]))


def _artifacts(world: World, groups: Sequence[Group]) -> Load:
    types = world.type_ids["artifact"]
    parts: list[tuple[Cells, ...]] = []
    for group in groups:
        end, execution = world.end_ms(group), world.execution(group)
        root: Texts = world.values.root[world.pipeline(group)]
        for made in layout.OUTPUTS_OF_SLOT[group.slot]:
            ids = world.artifact_ids(layout.output(made.slot, made.key), group.row)
            folder = root + f"/{layout.NODES[group.slot].node_id}/{made.key}/"
            type_id = np.full(len(end), types[made.type_name])
            parts.append((ids, type_id, folder, execution, end))
    return Load(statements.ARTIFACT, lists(by_id(parts)))


def _of_artifacts(world: World, group: Group) -> Iterator[Load]:
    """Properties and attributions of what executions made."""
    contexts = world.contexts_of(group)
    attribution = statements.memberships("Attribution", "artifact_id", len(contexts))
    for made in layout.OUTPUTS_OF_SLOT[group.slot]:
        number = layout.output(made.slot, made.key)
        owner = world.artifact_ids(number, group.row)
        found = [(statements.ARTIFACT_PROPERTIES[number], np.ones(len(owner), bool))]
        if made.type_name == "ModelBlessing":
            compared = world.runs.baseline[group.row, group.lane] >= 0
            found.append((statements.BASELINE_PROPERTIES, compared))
        elif made.type_name == "PushedModel":
            pushed = world.runs.pushed[group.row, group.lane]
            found.append((statements.PUSHED_PROPERTIES, pushed))
        for (insert, names), chosen in found:
            some = group.only(chosen)
            columns = [world.column(some, name) for name in names]
            yield Load(insert, lists([owner[chosen], *columns]))
        yield Load(attribution, lists([owner, *contexts]))
