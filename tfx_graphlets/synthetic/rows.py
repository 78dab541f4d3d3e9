"""The rows of a store, for one stretch of time after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfx_graphlets.synthetic import layout, statements, values
from tfx_graphlets.synthetic.contexts import KINDS, Contexts
from tfx_graphlets.synthetic.parameters import StoreParameters
from tfx_graphlets.synthetic.pipelines import Pipelines, stream
from tfx_graphlets.synthetic.runs import Runs
from tfx_graphlets.synthetic.schedule import Schedule, sources
from tfx_graphlets.synthetic.values import Texts, Values
from tfx_graphlets.trace import IntArray, SmallArray
from tfx_graphlets.vocabulary import EventType, ExecutionState

_KEYS = np.array(layout.KEYS, object)
_KEY_NUMBER = {key: number for number, key in enumerate(layout.KEYS)}


class Load(NamedTuple):
    """A statement and the columns that it is run over."""

    statement: str
    columns: Sequence[Sequence[object]]


@dataclasses.dataclass(frozen=True, eq=False)
class World:
    """Everything that rows are made of.

    Attributes:
      type_ids: MLMD's ids of types, by kind and name.
    """

    parameters: StoreParameters
    pipelines: Pipelines
    runs: Runs
    schedule: Schedule
    contexts: Contexts
    values: Values
    type_ids: Mapping[str, Mapping[str, int]]


@dataclasses.dataclass(frozen=True, eq=False)
class _Group:
    """Executions of one slot.

    Attributes:
      slot: the slot.
      row: int64 [n], the runs that they belong to, in the order of time.
      moment: int64 [n], position of their moment in the schedule.
    """

    slot: int
    row: IntArray
    moment: IntArray

    def only(self, chosen: np.ndarray) -> _Group:
        return _Group(self.slot, self.row[chosen], self.moment[chosen])


def stretches(world: World, moments: int) -> Iterator[tuple[int, Iterator[Load]]]:
    """Loads of stretches of time, to be used in this order.

    Args:
      world: what the store is made of.
      moments: starts and ends of executions in a stretch, at most.

    Yields: number of Trainers in the stretch, and its loads.
    """
    draw = stream(world.parameters, 5)
    moment, is_end = world.schedule.moment, world.schedule.is_end
    for start in range(0, len(moment), moments):
        stop = min(start + moments, len(moment))
        position = np.arange(start, stop)
        slot = moment[start:stop] % layout.SLOTS
        order = np.argsort(slot, kind="stable")
        bounds = np.searchsorted(slot[order], np.arange(layout.SLOTS + 1))
        begins, ends = [], []
        for number in range(layout.SLOTS):
            at = position[order[bounds[number] : bounds[number + 1]]]
            row = moment[at].astype(np.int64) // layout.SLOTS
            group = _Group(number, row, at)
            begins.append(group.only(~is_end[at]))
            ends.append(group.only(is_end[at]))
        trainers = sum(
            len(group.row) for group in begins if layout.base_slot(group.slot) == layout.TRAINER
        )
        yield trainers, _loads(world, draw, begins, ends, start, stop)


def _loads(
    world: World, draw: np.random.Generator, begins: Sequence[_Group], ends: Sequence[_Group],
    start: int, stop: int,
) -> Iterator[Load]:  # fmt: skip
    started = [group for group in begins if len(group.row)]
    finished = [group for group in ends if len(group.row)]
    yield from _contexts(world, draw, started)
    yield from _executions(world, draw, started)
    for group in started:
        yield from _execution_properties(world, group)
        yield _associations(world, group)
    fresh = [_fresh(world, group) for group in finished if layout.OUTPUTS_OF_SLOT[group.slot]]
    fresh = [group for group in fresh if len(group.row)]
    if fresh:
        yield _artifacts(world, fresh)
    for group in fresh:
        yield from _of_artifacts(world, group)
    yield from _events(world, started, finished, start, stop)


def _at(world: World, matrix: IntArray | SmallArray, group: _Group) -> IntArray:
    return matrix[group.row, group.slot].astype(np.int64)


def _pipeline(world: World, group: _Group) -> IntArray:
    return world.runs.pipeline[group.row]


def _start_ms(world: World, group: _Group) -> IntArray:
    return world.schedule.run_start_ms[group.row] + _at(world, world.schedule.start_ms, group)


def _end_ms(world: World, group: _Group) -> IntArray:
    return world.schedule.run_start_ms[group.row] + _at(world, world.schedule.end_ms, group)


def _fresh(world: World, group: _Group) -> _Group:
    """Those that made their outputs themselves."""
    return group.only(_at(world, world.runs.origin, group) == group.row)


def _by_id(parts: Sequence[Sequence[np.ndarray]]) -> list[np.ndarray]:
    """Columns of all parts, sorted by the first column."""
    columns = [np.concatenate(column) for column in zip(*parts)]
    order = np.argsort(columns[0], kind="stable")
    return [column[order] for column in columns]


def _lists(columns: Sequence[np.ndarray]) -> list[list[object]]:
    return [column.tolist() for column in columns]


def _contexts(world: World, draw: np.random.Generator, groups: Sequence[_Group]) -> Iterator[Load]:
    types = world.type_ids["context"]
    parts: list[tuple[np.ndarray, ...]] = []
    parents: list[tuple[np.ndarray, ...]] = []
    for group in groups:
        execution = _at(world, world.schedule.execution, group) - 1
        new, pipeline = world.contexts.new[execution], _pipeline(world, group)
        when = _start_ms(world, group)
        name = world.values.name[pipeline]
        node = f".{layout.NODES[group.slot].node_id}"
        for kind, (ids, names) in enumerate(
            (
                (world.contexts.of_pipeline[pipeline], name),
                (world.contexts.of_run[group.row], None),
                (world.contexts.of_node[pipeline, group.slot], None),
                (_at(world, world.contexts.of_cache, group), None),
            )
        ):
            chosen = new[:, kind]
            if not chosen.any():
                continue
            if KINDS[kind] == "pipeline_run":
                texts = name[chosen] + _stamps(when[chosen])
                parents.append((ids[chosen], world.contexts.of_pipeline[pipeline[chosen]]))
            elif KINDS[kind] == "node":
                texts = name[chosen] + node
            elif KINDS[kind] == "execution_cache":
                texts = _hexadecimal(draw, int(chosen.sum()), 32)
            else:
                assert names is not None
                texts = names[chosen]
            type_id = np.full(int(chosen.sum()), types[KINDS[kind]])
            parts.append((ids[chosen], type_id, texts, when[chosen]))
    if parts:
        yield Load(statements.CONTEXT, _lists(_by_id(parts)))
    if parents:
        yield Load(statements.PARENT_CONTEXT, _lists(_by_id(parents)))


def _stamps(when_ms: IntArray) -> Texts:
    """Ends of the names of runs, of a form that orchestrators use: -20240131120000."""
    stamps = np.datetime_as_string(when_ms.astype("datetime64[ms]"), unit="s")
    texts = np.empty(len(stamps), object)
    texts[:] = ["-" + "".join(c for c in stamp if c.isdigit()) for stamp in stamps.tolist()]
    return texts


def _hexadecimal(draw: np.random.Generator, count: int, size: int) -> Texts:
    drawn, step = draw.bytes(count * size).hex(), 2 * size
    texts = np.empty(count, object)
    texts[:] = [drawn[at : at + step] for at in range(0, len(drawn), step)]
    return texts


def _executions(
    world: World, draw: np.random.Generator, groups: Sequence[_Group]
) -> Iterator[Load]:
    types = world.type_ids["execution"]
    parts = []
    for group in groups:
        state = _at(world, world.runs.state, group)
        start = _start_ms(world, group)
        update = np.where(state == ExecutionState.RUNNING, start, _end_ms(world, group))
        type_id = np.full(len(state), types[layout.NODES[group.slot].type_name])
        execution = _at(world, world.schedule.execution, group)
        parts.append((execution, type_id, state, start, update))
    if not parts:
        return
    execution, type_id, state, start, update = _by_id(parts)
    drawn = _hexadecimal(draw, len(execution), 16)
    names = [f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}" for h in drawn]
    ids, types_of, states, starts, updates = _lists((execution, type_id, state, start, update))
    yield Load(statements.EXECUTION, [ids, types_of, states, names, starts, updates])


def _execution_properties(world: World, group: _Group) -> Iterator[Load]:
    found = statements.EXECUTION_PROPERTIES.get(layout.base_slot(group.slot))
    if found:
        statement, names = found
        columns = [_column(world, group, name) for name in names]
        owner = _at(world, world.schedule.execution, group)
        yield Load(statement, _lists([owner, *columns]))


def _column(world: World, group: _Group, name: str) -> np.ndarray:
    """One of statements.COLUMNS."""
    runs, known = world.runs, world.values
    pipeline, lane = _pipeline(world, group), layout.lane_of(group.slot)
    if name in ("root", "custom_config", "train_args", "eval_config"):
        return getattr(known, name)[pipeline]
    if name in ("total_bytes", "checksum"):
        return getattr(known, name)[group.row]
    if name == "span":
        return runs.span[group.row]
    if name == "trainer_code":
        return known.code[runs.code[group.row, 1]]
    if name == "transform_code":
        shared = world.pipelines.shares_code[pipeline].astype(np.int64)
        # Pieces of Transform's own are numbered after the Trainer's.
        return known.code[_transform_code(world, group.row, shared)]
    if name == "anomalies":
        texts = np.array([values.WITHOUT_ANOMALIES, values.WITH_ANOMALIES], object)
        return texts[runs.anomalies[group.row].astype(np.int64)]
    if name in ("blessed", "infra_blessed", "pushed"):
        return getattr(runs, name)[group.row, lane].astype(np.int64)
    if name == "seconds":
        return _end_ms(world, group) // 1000
    made = layout.output(layout.in_lane(layout.TRAINER, lane), "model")
    source = group.row if name.startswith("model") else runs.baseline[group.row, lane]
    if name.endswith("_id"):
        return _artifact_ids(world, made, source)
    slot = layout.OUTPUTS[made].slot
    folder = f"/{layout.NODES[slot].node_id}/model/"
    executions = world.schedule.execution[source, slot]
    return known.root[pipeline] + folder + executions.astype(str).astype(object)


def _transform_code(world: World, row: IntArray, shared: IntArray) -> IntArray:
    code = world.runs.code
    return np.where(shared, code[row, 1], code[row, 0] + world.values.first_transform_code)


def _artifact_ids(world: World, made: int, source: IntArray) -> IntArray:
    output = layout.OUTPUTS[made]
    return world.schedule.first_output[source, output.slot].astype(np.int64) + output.position


def _contexts_of(world: World, group: _Group) -> list[IntArray]:
    pipeline = _pipeline(world, group)
    contexts = world.contexts
    found = [
        contexts.of_pipeline[pipeline],
        contexts.of_run[group.row],
        contexts.of_node[pipeline, group.slot],
    ]
    if layout.base_slot(group.slot) not in layout.RESOLVERS:
        found.append(contexts.of_cache[group.row, group.slot])
    return found


def _associations(world: World, group: _Group) -> Load:
    contexts = _contexts_of(world, group)
    statement = statements.fan_out(statements.ASSOCIATION, len(contexts))
    return Load(statement, _lists([_at(world, world.schedule.execution, group), *contexts]))


def _artifacts(world: World, groups: Sequence[_Group]) -> Load:
    types = world.type_ids["artifact"]
    parts: list[tuple[np.ndarray, ...]] = []
    for group in groups:
        end, execution = _end_ms(world, group), _at(world, world.schedule.execution, group)
        root = world.values.root[_pipeline(world, group)]
        first = _at(world, world.schedule.first_output, group)
        for made in layout.OUTPUTS_OF_SLOT[group.slot]:
            type_id = np.full(len(end), types[made.type_name])
            folder = root + f"/{layout.NODES[group.slot].node_id}/{made.key}/"
            parts.append((first + made.position, type_id, folder, execution, end))
    return Load(statements.ARTIFACT, _lists(_by_id(parts)))


def _of_artifacts(world: World, group: _Group) -> Iterator[Load]:
    """Properties and attributions of what executions made."""
    first = _at(world, world.schedule.first_output, group)
    contexts = _contexts_of(world, group)
    lane = layout.lane_of(group.slot)
    for number, made in enumerate(layout.OUTPUTS):
        if made.slot != group.slot:
            continue
        owner = first + made.position
        statement, names = statements.ARTIFACT_PROPERTIES[number]
        yield Load(statement, _lists([owner, *(_column(world, group, name) for name in names)]))
        more = None
        if made.type_name == "ModelBlessing":
            more, chosen = statements.BASELINE_PROPERTIES, world.runs.baseline[group.row, lane] >= 0
        elif made.type_name == "PushedModel":
            more, chosen = statements.PUSHED_PROPERTIES, world.runs.pushed[group.row, lane]
        if more is not None:
            statement, names = more
            some = group.only(chosen)
            columns = [_column(world, some, name) for name in names]
            yield Load(statement, _lists([owner[chosen], *columns]))
        fan = statements.fan_out(statements.ATTRIBUTION, len(contexts))
        yield Load(fan, _lists([owner, *contexts]))


def _events(
    world: World, started: Sequence[_Group], finished: Sequence[_Group], start: int, stop: int
) -> Iterator[Load]:
    before = world.schedule.event_before
    base, count = int(before[start]), int(before[stop] - before[start])
    artifact, execution, when = (np.zeros(count, np.int64) for _ in range(3))
    kind, key, index = (np.zeros(count, np.int8) for _ in range(3))
    again: list[tuple[IntArray, IntArray, IntArray]] = []

    def put(
        group: _Group, at: IntArray, ids: IntArray, event: EventType, name: str, number: IntArray,
        ms: IntArray,
    ) -> None:  # fmt: skip
        artifact[at], when[at], index[at] = ids, ms, number
        execution[at] = _at(world, world.schedule.execution, group)
        kind[at], key[at] = event, _KEY_NUMBER[name]

    for group in started:
        if layout.base_slot(group.slot) not in layout.RESOLVERS:
            at = before[group.moment].astype(np.int64) - base
            ms = _start_ms(world, group)
            for some, position, ids, name, number, own in _reads(world, group, at):
                one = group.only(some)
                put(one, position, ids, EventType.INPUT, name, number, ms[some])
                again.extend(_read_again(world, one, position, ids, own))
    for group in finished:
        at = before[group.moment].astype(np.int64) - base
        ms = _end_ms(world, group)
        if layout.base_slot(group.slot) in layout.RESOLVERS:
            for some, position, ids, name, number, own in _reads(world, group, at):
                one = group.only(some)
                put(one, position, ids, EventType.INTERNAL_OUTPUT, name, number, ms[some])
                again.extend(_read_again(world, one, position, ids, own))
            continue
        source = _at(world, world.runs.origin, group)
        some = source >= 0
        one, none = group.only(some), np.zeros(int(some.sum()), np.int64)
        for made_number, made in enumerate(layout.OUTPUTS):
            if made.slot == group.slot:
                ids = _artifact_ids(world, made_number, source[some])
                position = at[some] + made.position
                put(one, position, ids, EventType.OUTPUT, made.key, none, ms[some])
                hit = source[some] != one.row
                again.extend(
                    _read_again(world, one.only(hit), position[hit], ids[hit], none[hit] > 0)
                )
    ids = np.arange(base + 1, base + count + 1)
    yield Load(statements.EVENT, _lists([ids, artifact, execution, kind, when]))
    yield Load(statements.EVENT_PATH, _lists([ids, _KEYS[key], index]))
    if again:
        position, context, read = (np.concatenate(part) for part in zip(*again))
        packed = (context.astype(np.int64) << 32) | read
        order = np.argsort(position, kind="stable")
        _, first = np.unique(packed[order], return_index=True)
        kept = order[np.sort(first)]
        yield Load(statements.ATTRIBUTION_AGAIN, _lists([context[kept], read[kept]]))


def _reads(
    world: World, group: _Group, at: IntArray
) -> Iterator[tuple[IntArray, IntArray, IntArray, str, IntArray, np.ndarray]]:
    """What executions read, key by key.

    Yields: positions in the group, positions of the events, artifacts, key, number under the
      key, and whether the artifact was made by the same run.
    """
    at = at.copy()
    for read in layout.INPUTS_OF_SLOT[group.slot]:
        source = sources(world.runs, group.slot, read, group.row)
        found = source >= 0
        number = np.cumsum(found, axis=1) - 1
        some, column = np.nonzero(found)
        ids = _artifact_ids(world, read.output, source[some, column])
        own = source[some, column] == group.row[some]
        yield some, at[some] + number[some, column], ids, read.key, number[some, column], own
        at += found.sum(axis=1)


def _read_again(
    world: World, group: _Group, position: IntArray, ids: IntArray, own: np.ndarray
) -> Iterator[tuple[IntArray, IntArray, IntArray]]:
    """Contexts that artifacts come to stand in because a node reads them: the node's, the run's."""
    yield position, world.contexts.of_node[_pipeline(world, group), group.slot], ids
    yield position[~own], world.contexts.of_run[group.row[~own]], ids[~own]
