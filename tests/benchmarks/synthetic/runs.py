"""The runs of all pipelines: what each does, what fails, and whose artifacts it reads."""

from __future__ import annotations

import dataclasses

import numpy as np

from tests.benchmarks.synthetic import layout
from tests.benchmarks.synthetic.arrays import Int32Array
from tests.benchmarks.synthetic.parameters import StoreParameters
from tests.benchmarks.synthetic.pipelines import Pipelines, stream
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray, SmallArray
from tfx_graphlets.vocabulary import ExecutionState, Outcome

# Of the runs in which something fails, those that do not get as far as the Trainer, and where.
_BEFORE_THE_TRAINER = 0.4
_EARLY = (layout.EXAMPLE_GEN, layout.STATISTICS_GEN, layout.TRANSFORM)
_LATE = (layout.TRAINER, layout.EVALUATOR, layout.PUSHER)
_LATE_SHARES = (0.6, 0.3, 0.1)
# Where there is an InfraValidator, it is what stops this share of the models that are not pushed.
_STOPPED_BY_INFRA = 0.1
# Runs of a pipeline that changes Transform's code beside that of the Trainer in another file.
_TRANSFORM_CHANGES_TOO = 0.3


@dataclasses.dataclass(frozen=True, eq=False)
class Runs:
    """Columns over the runs, ordered by pipeline and then by time; R runs, S slots, L lanes.

    A row number of a run that is not there is -1.

    Attributes:
      pipeline: int32 [R].
      first: bool [R], the first run of its pipeline.
      span: int32 [R], number of the span that it takes in, from 0.
      state: int8 [R, S], MLMD state, 0 where the run has no such execution.
      origin: int32 [R, S], run whose execution made what this one's put out: itself, or for a
        cache hit an earlier one. -1 where nothing was put out.
      window: int32 [R, longest window], runs that made the Examples that it trains on.
      overlaps: bool [R], it begins before the run before has finished.
      baseline, warm: int32 [R, L], runs of the latest blessed and of the latest model.
      code: int32 [R, 2], number of the code of Transform and of Trainer, over all pipelines.
      blessed, infra_blessed, pushed: bool [R, L], what a validator or Pusher wrote, if it ran.
      anomalies: bool [R], the ExampleValidator found some.
      outcome: int8 [R, L], vocabulary.Outcome, -1 where the run has no Trainer.
    """

    pipeline: Int32Array
    first: BoolArray
    span: Int32Array
    state: SmallArray
    origin: Int32Array
    window: Int32Array
    overlaps: BoolArray
    baseline: Int32Array
    warm: Int32Array
    code: Int32Array
    blessed: BoolArray
    infra_blessed: BoolArray
    pushed: BoolArray
    anomalies: BoolArray
    outcome: SmallArray

    def __len__(self) -> int:
        return len(self.pipeline)


def draw_runs(parameters: StoreParameters, pipelines: Pipelines) -> Runs:
    """The runs of the pipelines, as many as it takes to train their models."""
    draw = stream(parameters, 2)
    pipeline, lanes, early = _sequence(draw, parameters, pipelines)
    count = len(pipeline)
    first = np.diff(pipeline, prepend=-1) != 0
    broken, broken_state = _breaks(draw, parameters, lanes, early)

    rerun = (draw.random(count) < parameters.reruns) & ~first
    after_no_data = _before(broken == layout.EXAMPLE_GEN, first)
    new_span = (~rerun & ~after_no_data) | first
    span = _counted(new_span, first)
    changes = (draw.random(count) < parameters.code_changes) | rerun
    changes_transform = changes & (draw.random(count) < _TRANSFORM_CHANGES_TOO)
    shares_code = pipelines.shares_code[pipeline]
    changes_transform = np.where(shares_code, changes, changes_transform) | first
    changes |= first

    reached = _reached(pipelines.has[pipeline], lanes, broken)
    wants_cache = (draw.random(count) < parameters.cached) & pipelines.caches[pipeline] & ~new_span
    state, origin = _states(reached, first, broken, broken_state, wants_cache, changes_transform)
    window = _windows(parameters, pipeline, span, origin[:, layout.EXAMPLE_GEN], pipelines.window)

    overlaps = (draw.random(count) < parameters.overlapping) & new_span & ~first
    overlaps &= ~_before(overlaps | early, first) & ~early
    good = _stretches(draw, parameters, pipelines.push_rate[pipeline], first)
    by_infra = (draw.random((count, layout.LANES)) < _STOPPED_BY_INFRA) & (
        pipelines.has[pipeline][:, [layout.INFRA_VALIDATOR]]
    )
    blessed = good | by_infra
    return Runs(
        pipeline=pipeline,
        first=first,
        span=span,
        state=state,
        origin=origin,
        window=window,
        overlaps=overlaps,
        baseline=_latest(blessed & _complete(state, layout.EVALUATOR), pipeline, overlaps),
        warm=_latest(_complete(state, layout.TRAINER), pipeline, overlaps),
        code=_code(changes_transform, changes),
        blessed=blessed,
        infra_blessed=good | ~by_infra,
        pushed=good,
        anomalies=draw.random(count) < parameters.anomalies,
        outcome=_outcomes(state, good),
    )


def _sequence(
    draw: np.random.Generator, parameters: StoreParameters, pipelines: Pipelines
) -> tuple[Int32Array, Int32Array, BoolArray]:
    """Pipeline, number of Trainers, and whether it breaks before them, of every run."""
    training = -(-pipelines.models // pipelines.lanes)
    pipeline = np.repeat(np.arange(len(pipelines), dtype=np.int32), training)
    share = (parameters.failures + parameters.left_running) * _BEFORE_THE_TRAINER
    extra = draw.geometric(1 - share, len(pipeline)) - 1
    trains = np.cumsum(1 + extra) - 1
    pipeline = np.repeat(pipeline, 1 + extra)
    early = np.ones(len(pipeline), bool)
    early[trains] = False
    lanes = pipelines.lanes[pipeline].astype(np.int32)
    # An odd number of models of a pipeline with two a run: the last run trains the first alone.
    lanes[trains[np.cumsum(training) - 1]] -= pipelines.models % pipelines.lanes != 0
    return pipeline, lanes, early


def _breaks(
    draw: np.random.Generator, parameters: StoreParameters, lanes: Int32Array, early: BoolArray
) -> tuple[Int32Array, SmallArray]:
    """Slot where each run breaks, -1 for none, and the state of the execution there."""
    count = len(lanes)
    share = parameters.failures + parameters.left_running
    late_share = share * (1 - _BEFORE_THE_TRAINER) / (1 - share * _BEFORE_THE_TRAINER)
    late = ~early & (draw.random(count) < late_share)
    lane = draw.integers(0, lanes)
    broken = np.full(count, -1, np.int32)
    broken[early] = draw.choice(_EARLY, int(early.sum()))
    slots = draw.choice(_LATE, int(late.sum()), p=_LATE_SHARES)
    broken[late] = slots + lane[late] * layout.SLOTS_PER_LANE
    crashed = draw.random(count) < parameters.left_running / share if share else np.zeros(count)
    state = np.where(crashed, ExecutionState.RUNNING, ExecutionState.FAILED).astype(np.int8)
    return broken, state


def _before(values: BoolArray, first: BoolArray) -> BoolArray:
    """The value of the run before in the same pipeline, False for the first."""
    return np.concatenate([[False], values[:-1]]) & ~first


def _counted(flags: BoolArray, first: BoolArray) -> Int32Array:
    """How many flags were set up to each run of its pipeline, minus one."""
    total = np.cumsum(flags)
    start = np.maximum.accumulate(np.where(first, np.arange(len(flags)), 0))
    return (total - total[start]).astype(np.int32)


def _reached(has: BoolArray, lanes: Int32Array, broken: Int32Array) -> BoolArray:
    """The executions that a run has, the broken one included."""
    reached = has.copy()
    second = layout.in_lane(layout.FIRST_OF_LANE, 1)
    reached[lanes < layout.LANES, second:] = False
    for slot in range(layout.SLOTS):
        lane = layout.lane_of(slot)
        # A lane goes on when the other breaks; what the lanes share stops both.
        upstream = [
            other
            for other in range(slot)
            if other < layout.FIRST_OF_LANE or layout.lane_of(other) == lane
        ]
        if layout.resolves(slot):
            upstream = [layout.EXAMPLE_GEN]  # they run before the data is analysed
        reached[:, slot] &= ~np.isin(broken, upstream)
    return reached


def _states(
    reached: BoolArray, first: BoolArray, broken: Int32Array, broken_state: SmallArray,
    wants_cache: BoolArray, changes_transform: BoolArray,
) -> tuple[SmallArray, Int32Array]:  # fmt: skip
    """State of every execution, and the run that made its outputs."""
    count = len(reached)
    state = np.where(reached, ExecutionState.COMPLETE, 0).astype(np.int8)
    at = np.flatnonzero(broken >= 0)
    state[at, broken[at]] = broken_state[at]
    number = np.arange(count, dtype=np.int32)
    origin = np.where(state == ExecutionState.COMPLETE, number[:, np.newaxis], -1).astype(np.int32)
    for slot in layout.CACHEABLE:
        complete = state[:, slot] == ExecutionState.COMPLETE
        hit = complete & wants_cache & _before(complete, first)
        if slot == layout.TRANSFORM:
            hit &= ~changes_transform
        state[hit, slot] = ExecutionState.CACHED
        made = np.maximum.accumulate(np.where(complete & ~hit, number, -1))
        origin[:, slot] = np.where(complete, made, -1)
    return state, origin


def _windows(
    parameters: StoreParameters,
    pipeline: Int32Array,
    span: Int32Array,
    origin: Int32Array,
    size: IntArray,
) -> Int32Array:
    """Runs that made the Examples of the window, newest first, -1 for no more."""
    base = np.concatenate([[0], np.cumsum(np.bincount(pipeline, minlength=len(size)))])[pipeline]
    number = base + span  # every span its own number: a pipeline has no more spans than runs
    made = np.full(len(pipeline), -1, np.int32)
    known = origin >= 0
    made[number[known]] = origin[known]  # of several the last counts
    window = np.full((len(pipeline), parameters.longest_window), -1, np.int32)
    window[:, 0] = origin
    for back in range(1, parameters.longest_window):
        rows = np.flatnonzero((back < size[pipeline]) & (span >= back) & known)
        window[rows, back] = made[number[rows] - back]
    return window


def _complete(state: SmallArray, slot: int) -> BoolArray:
    slots = [layout.in_lane(slot, lane) for lane in range(layout.LANES)]
    return state[:, slots] == ExecutionState.COMPLETE


def _latest(chosen: BoolArray, pipeline: Int32Array, overlaps: BoolArray) -> Int32Array:
    """The latest earlier run of the pipeline with the flag, bool [R, L], that has finished."""
    number = np.arange(len(chosen), dtype=np.int32)
    latest = np.maximum.accumulate(np.where(chosen, number[:, np.newaxis], -1), axis=0)
    shown = np.full(chosen.shape, -1, np.int32)
    shown[1:] = latest[:-1]
    # What the run before makes is not there yet for one that begins before it ends.
    shown[2:][overlaps[2:]] = latest[:-2][overlaps[2:]]
    shown[overlaps & (number < 2)] = -1
    foreign = pipeline[np.maximum(shown, 0)] != pipeline[:, np.newaxis]
    return np.where(foreign, -1, shown).astype(np.int32)


def _code(changes_transform: BoolArray, changes: BoolArray) -> Int32Array:
    return np.stack([np.cumsum(changes_transform), np.cumsum(changes)], axis=1).astype(np.int32)


def _stretches(
    draw: np.random.Generator, parameters: StoreParameters, rate: FloatArray, first: BoolArray
) -> BoolArray:
    """Whether each model is good enough, bool [R, L]; some take the fate of the one before."""
    shape = (len(rate), layout.LANES)
    good = draw.random(shape) < rate[:, np.newaxis]
    anew = (draw.random(shape) >= parameters.push_stretch) | first[:, np.newaxis]
    rows = np.where(anew, np.arange(len(rate))[:, np.newaxis], 0)
    return np.take_along_axis(good, np.maximum.accumulate(rows, axis=0), axis=0)


def _outcomes(state: SmallArray, good: BoolArray) -> SmallArray:
    """What docs/graphlets.md makes of each model, int8 [R, L]."""
    slots = [layout.in_lane(layout.TRAINER, lane) for lane in range(layout.LANES)]
    trained = state[:, slots]
    outcome = np.full(good.shape, Outcome.INCOMPLETE, np.int8)
    outcome[trained == ExecutionState.FAILED] = Outcome.FAILED
    outcome[trained == ExecutionState.COMPLETE] = Outcome.UNPUSHED
    outcome[good & _complete(state, layout.PUSHER)] = Outcome.PUSHED
    outcome[trained == 0] = -1
    return outcome
