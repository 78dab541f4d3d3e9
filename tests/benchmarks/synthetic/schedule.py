"""When everything happens, and the ids that follow from it.

A production store grows by what its pipelines do at the same time: ids ascend with time over all
of them, and those of one pipeline are scattered.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tests.benchmarks.synthetic import layout
from tests.benchmarks.synthetic.arrays import Int32Array
from tests.benchmarks.synthetic.layout import Input, Source
from tests.benchmarks.synthetic.parameters import StoreParameters
from tests.benchmarks.synthetic.pipelines import Pipelines, stream
from tests.benchmarks.synthetic.runs import Runs
from tfx_graphlets.trace.trace import BoolArray, IntArray, SmallArray
from tfx_graphlets.vocabulary import ExecutionState

_MINUTE_MS = 60_000
_RESOLVER_MS = 15
_CACHE_HIT_MS = 40
# What the orchestrator takes from one node to the next, and at least between two runs.
_SHORTEST_GAP_MS, _LONGEST_GAP_MS = 20, 4_000
_BETWEEN_RUNS_MS = 60_000
_SPREAD_OF_DURATIONS = 0.3
# A window of k spans takes Transform and Trainer k to this power longer.
_GROWTH_WITH_WINDOW = 0.7


@dataclasses.dataclass(frozen=True, eq=False)
class Schedule:
    """Times and ids; R runs, S slots. An id is 0 where there is nothing.

    A *moment* is the start or the end of an execution: at its start its inputs are recorded, at
    its end (if it got so far) its outputs.

    Attributes:
      run_start_ms: int64 [R], milliseconds since the epoch.
      start_ms, end_ms: int32 [R, S], after the start of the run.
      execution: int32 [R, S], ids of the executions.
      first_output: int32 [R, S], id of the first artifact that each put out.
      moment: int32 [M], row * S + slot of each moment, in the order of time.
      is_end: bool [M], the moment is an end.
      event_before: int32 [M + 1], events that happened before each moment.
    """

    run_start_ms: IntArray
    start_ms: Int32Array
    end_ms: Int32Array
    execution: Int32Array
    first_output: Int32Array
    moment: Int32Array
    is_end: BoolArray
    event_before: Int32Array


def sources(runs: Runs, slot: int, read: Input, rows: IntArray) -> Int32Array:
    """Runs that made what an execution reads under a key.

    Args:
      runs: all runs.
      slot: of the execution.
      read: one of its inputs.
      rows: int [n], the runs whose execution it is.

    Returns: int32 [n, 1], or [n, longest window] for a window; -1 for no such artifact.
    """
    lane = layout.lane_of(slot)
    if read.source is Source.WINDOW:
        return runs.window[rows]
    if read.source is Source.BASELINE:
        found = runs.baseline[rows, lane]
    elif read.source is Source.WARM:
        found = runs.warm[rows, lane]
    else:
        found = runs.origin[rows, layout.OUTPUTS[read.output].slot]
    if read.needs is not None:
        found = np.where(runs.state[rows, read.needs] > 0, found, -1)
    return found[:, np.newaxis]


def draw_schedule(parameters: StoreParameters, pipelines: Pipelines, runs: Runs) -> Schedule:
    """Durations, starts, and ids in the order of time."""
    draw = stream(parameters, 3)
    start_ms, end_ms = _within_runs(draw, pipelines, runs)
    run_start_ms = _starts_of_runs(draw, pipelines, runs, start_ms, end_ms)

    exists = runs.state.reshape(-1) > 0
    ends = exists & (runs.state.reshape(-1) != ExecutionState.RUNNING)
    begins_at, ends_at = np.flatnonzero(exists), np.flatnonzero(ends)
    # Of what happens in the same millisecond, ends come first: what they made can be read.
    moment = np.concatenate([ends_at, begins_at]).astype(np.int32)
    is_end = np.arange(len(moment)) < len(ends_at)
    offset = np.concatenate([end_ms.reshape(-1)[ends_at], start_ms.reshape(-1)[begins_at]])
    order = np.argsort(run_start_ms[moment // layout.SLOTS] + offset, kind="stable")
    moment, is_end = moment[order], is_end[order]
    del order, offset, begins_at, ends_at

    execution = np.zeros(runs.state.size, np.int32)
    begins = moment[~is_end]
    execution[begins] = np.arange(1, len(begins) + 1, dtype=np.int32)
    made, inputs, outputs = _counts(runs)
    first_output = np.zeros(runs.state.size, np.int32)
    finishing = moment[is_end]
    made_before = np.cumsum(made.reshape(-1)[finishing], dtype=np.int64)
    some = made.reshape(-1)[finishing] > 0
    first_output[finishing[some]] = (made_before - made.reshape(-1)[finishing] + 1)[some]
    count = np.where(is_end, outputs.reshape(-1)[moment], inputs.reshape(-1)[moment])
    event_before = np.concatenate([[0], np.cumsum(count, dtype=np.int64)]).astype(np.int32)
    shape = runs.state.shape
    return Schedule(
        run_start_ms, start_ms, end_ms, execution.reshape(shape), first_output.reshape(shape),
        moment, is_end, event_before,
    )  # fmt: skip


def _counts(runs: Runs) -> tuple[SmallArray, SmallArray, SmallArray]:
    """Artifacts made, events at the start and events at the end of executions, int8 [R, S]."""
    shape = runs.state.shape
    made, inputs, outputs = (np.zeros(shape, np.int8) for _ in range(3))
    everything = np.arange(shape[0])
    for slot in range(layout.SLOTS):
        own = runs.origin[:, slot]
        number = len(layout.OUTPUTS_OF_SLOT[slot])
        made[:, slot] = np.where(own == everything, number, 0)
        outputs[:, slot] = np.where(own >= 0, number, 0)
        found = np.zeros(shape[0], np.int8)
        for read in layout.INPUTS_OF_SLOT[slot]:
            found += (sources(runs, slot, read, everything) >= 0).sum(axis=1, dtype=np.int8)
        found[runs.state[:, slot] == 0] = 0
        # A Resolver takes nothing in: what it found is recorded at its end.
        (outputs if layout.resolves(slot) else inputs)[:, slot] += found
    return made, inputs, outputs


def _within_runs(
    draw: np.random.Generator, pipelines: Pipelines, runs: Runs
) -> tuple[Int32Array, Int32Array]:
    """Start and end of every execution after the start of its run, int32 [R, S]."""
    shape = runs.state.shape
    start, end = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    scale = pipelines.scale[runs.pipeline]
    growth = pipelines.window[runs.pipeline] ** _GROWTH_WITH_WINDOW
    begins_with = np.zeros(shape[0], np.int32)
    shared, lanes = _order()
    for slots in (shared, *lanes):
        now = begins_with.copy()
        for slot in slots:
            present = runs.state[:, slot] > 0
            gap = draw.integers(_SHORTEST_GAP_MS, _LONGEST_GAP_MS, shape[0], np.int32)
            spread = draw.standard_normal(shape[0], np.float32) * _SPREAD_OF_DURATIONS
            length = layout.NODES[slot].minutes * _MINUTE_MS * scale * np.exp(spread)
            if layout.base_slot(slot) in (layout.TRANSFORM, layout.TRAINER, layout.TUNER):
                length *= growth
            if layout.resolves(slot):
                length = _RESOLVER_MS * np.exp(spread)
            length[runs.state[:, slot] == ExecutionState.CACHED] = _CACHE_HIT_MS
            # What fails does so at any time, a crash leaves the first of its times.
            failed = runs.state[:, slot] == ExecutionState.FAILED
            length[failed] *= draw.random(int(failed.sum()))
            begin = now + gap
            finish = begin + np.maximum(length, 1).astype(np.int32)
            start[:, slot] = np.where(present, begin, 0)
            end[:, slot] = np.where(present, finish, 0)
            now = np.where(present, finish, now).astype(np.int32)
        if slots is shared:
            begins_with = now
    return start, end


def _order() -> tuple[list[int], list[list[int]]]:
    """Slots that run one after the other: of all lanes, and of each lane from its Trainer on."""
    first = [layout.EXAMPLE_GEN, layout.WINDOW]
    resolvers = [
        slot for slot in range(layout.FIRST_OF_LANE, layout.SLOTS) if layout.resolves(slot)
    ]
    shared = [slot for slot in range(layout.FIRST_OF_LANE) if slot not in first]
    lanes = [
        [
            slot
            for slot in range(layout.FIRST_OF_LANE, layout.SLOTS)
            if layout.lane_of(slot) == lane and slot not in resolvers
        ]
        for lane in range(layout.LANES)
    ]
    return [*first, *resolvers, *shared], lanes


def _starts_of_runs(
    draw: np.random.Generator, pipelines: Pipelines, runs: Runs, start_ms: Int32Array,
    end_ms: Int32Array,
) -> IntArray:  # fmt: skip
    """Start of every run, milliseconds since the epoch, int64 [R]."""
    lasts = end_ms.max(axis=1).astype(np.float64)
    period = pipelines.period_ms[runs.pipeline] * draw.lognormal(0.0, 0.2, len(runs))
    between = np.maximum(period, lasts + _BETWEEN_RUNS_MS)  # to the start of the next run
    # One that overlaps begins while all Trainers of the run before are at work.
    slots = [layout.in_lane(layout.TRAINER, lane) for lane in range(layout.LANES)]
    trains = runs.state[:, slots] > 0
    from_ms = np.where(trains, start_ms[:, slots], 0).max(axis=1)
    to_ms = np.where(trains, end_ms[:, slots], np.iinfo(np.int32).max).min(axis=1)
    while_training = from_ms + draw.random(len(runs)) * np.maximum(to_ms - from_ms, 0)
    before_overlap = np.append(runs.overlaps[1:], False)
    between = np.where(before_overlap, while_training, between)
    # The run after the one that overlaps waits for both to end.
    left = np.concatenate([[0.0], (lasts - between)[:-1]]) + _BETWEEN_RUNS_MS
    between = np.where(runs.overlaps, np.maximum(between, left), between)
    total = np.concatenate([[0], np.cumsum(between.astype(np.int64))[:-1]])
    at_first = np.maximum.accumulate(np.where(runs.first, np.arange(len(runs)), 0))
    return pipelines.start_ms[runs.pipeline] + total - total[at_first]
