"""Outcome, usefulness, cost and waste on small traces with round numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.agreement import both, cut
from tfx_graphlets import outcome
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.graphlet import Graphlets
from tfx_graphlets.testing import TraceBuilder, Value
from tfx_graphlets.trace import BoolArray, PropertyKind
from tfx_graphlets.vocabulary import ExecutionState, Role, Stage

COMPLETE, CACHED = ExecutionState.COMPLETE, ExecutionState.CACHED
FAILED, RUNNING = ExecutionState.FAILED, ExecutionState.RUNNING


def outcomes(build: TraceBuilder) -> list[str]:
    """Outcome of every graphlet, on which both implementations agree."""
    return [graphlet.outcome for graphlet in cut(build)]


def train(
    build: TraceBuilder, *data: int, warm_start: int | None = None, pushed: Value | None = None,
    state: ExecutionState = COMPLETE, duration_ms: int = 100,
) -> int:  # fmt: skip
    """A Trainer and, if ``pushed`` is given, a Pusher; returns the Model."""
    model = build.artifact("Model")
    inputs = {"examples": list(data), "base_model": [] if warm_start is None else [warm_start]}
    build.execution(
        "Trainer", inputs=inputs, outputs={"model": [model]}, state=state, duration_ms=duration_ms
    )
    if pushed is not None:
        build.execution(
            "Pusher", inputs={"model": [model]}, duration_ms=1,
            outputs={"pushed_model": [build.artifact("PushedModel", pushed=pushed)]},
        )  # fmt: skip
    return model


# -- outcome -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1, True, 1.0, "1"])
def test_pushed_is_1(value: Value) -> None:
    """The property ``pushed`` is 1 in whatever column the writer put it."""
    build = TraceBuilder()
    train(build, pushed=value)
    assert outcomes(build) == ["pushed"]


@pytest.mark.parametrize("value", [0, False, 2, "yes", ""])
def test_a_pushed_model_with_another_value_proves_nothing(value: Value) -> None:
    """An unblessed Pusher writes a PushedModel too, with ``pushed`` 0."""
    build = TraceBuilder()
    train(build, pushed=value)
    assert outcomes(build) == ["unpushed"]


def test_a_pushed_model_without_the_property_proves_nothing() -> None:
    """No property, no push."""
    build = TraceBuilder()
    model = train(build)
    pushed = build.artifact("PushedModel")
    build.execution("Pusher", inputs={"m": [model]}, outputs={"p": [pushed]})
    assert outcomes(build) == ["unpushed"]


def test_pushed_counts_as_a_declared_property() -> None:
    """Older TFX declared the property that newer TFX writes as a custom one."""
    build = TraceBuilder()
    model = train(build)
    pushed = build.artifact("PushedModel")
    build.execution("Pusher", inputs={"m": [model]}, outputs={"p": [pushed]})
    build.raw().artifact_properties.add(pushed, "pushed", False, PropertyKind.INT, 1)
    assert outcomes(build) == ["pushed"]


@pytest.mark.parametrize("state", list(ExecutionState))
def test_the_pusher_must_be_complete_or_cached(state: ExecutionState) -> None:
    """A Pusher that failed or never ended has not brought the model to serving."""
    build = TraceBuilder()
    model = train(build)
    pushed = build.artifact("PushedModel", pushed=1)
    build.execution("Pusher", inputs={"m": [model]}, outputs={"p": [pushed]}, state=state)
    assert outcomes(build) == ["pushed" if state in (COMPLETE, CACHED) else "unpushed"]


@pytest.mark.parametrize("state", [state for state in ExecutionState if state != CACHED])
def test_pushed_comes_before_the_state_of_the_trainer(state: ExecutionState) -> None:
    """A model that serves is pushed, whatever became of its Trainer's record."""
    build = TraceBuilder()
    train(build, pushed=1, state=state)
    assert outcomes(build) == ["pushed"]


def test_only_a_pusher_pushes() -> None:
    """``pushed`` = 1 on what another role put out, or took in, is no push."""
    build = TraceBuilder()
    model = train(build)
    pushed = build.artifact("PushedModel", pushed=1)
    build.execution("Evaluator", inputs={"m": [model]}, outputs={"p": [pushed]})
    build.execution("Pusher", inputs={"m": [model], "p": [pushed]})
    assert outcomes(build) == ["unpushed"]


def test_a_custom_uploader_pushes_any_artifact_that_says_so() -> None:
    """A class that puts out PushedModel is a PUSHER; the property may stand on its report."""
    build = TraceBuilder()
    model = train(build)
    outputs = {"p": [build.artifact("PushedModel")], "r": [build.artifact("Report", pushed=1)]}
    build.execution("Uploader", inputs={"model": [model]}, outputs=outputs)
    assert outcomes(build) == ["pushed"]


def test_a_push_of_another_model_does_not_count() -> None:
    """A Pusher beside the graphlet, or upstream of it, is not in its downstream part."""
    build = TraceBuilder()
    data, ready = build.artifact("Examples"), build.artifact("Examples", pushed=1)
    pushed = build.artifact("PushedModel", pushed=1)
    build.execution("Pusher", inputs={"in": [data]}, outputs={"p": [pushed], "out": [ready]})
    train(build, data, ready)
    assert outcomes(build) == ["unpushed"]


def test_one_push_of_several_is_enough() -> None:
    """Two Pushers of one model, one of which pushed."""
    build = TraceBuilder()
    model = train(build, pushed=0)
    pushed = build.artifact("PushedModel", pushed=1)
    build.execution("Pusher", inputs={"m": [model]}, outputs={"p": [pushed]})
    assert outcomes(build) == ["pushed"]


def test_a_failed_trainer_that_put_out_a_model_has_failed() -> None:
    """FAILED comes before unpushed."""
    build = TraceBuilder()
    train(build, state=FAILED)
    assert outcomes(build) == ["failed"]


@pytest.mark.parametrize("type_name", ["ModelRun", "PushedModel", "HyperParameters"])
def test_complete_without_a_model_is_incomplete(type_name: str) -> None:
    """A Trainer that put out something else has not trained a model."""
    build = TraceBuilder()
    build.execution("Trainer", outputs={"out": [build.artifact(type_name)]})
    assert outcomes(build) == ["incomplete"]


# -- useful ------------------------------------------------------------------------------


def useful(build: TraceBuilder) -> list[bool]:
    """Which graphlets are useful, on which both implementations agree."""
    return both(build.raw())[0].useful.tolist()


def test_a_warm_start_of_a_pushed_graphlet_is_useful_transitively() -> None:
    """A chain of warm starts that ends in a push is no waste; the end itself is pushed."""
    build = TraceBuilder()
    first = train(build)
    second = train(build, warm_start=first)
    third = train(build, warm_start=second, pushed=0)
    train(build, warm_start=third, pushed=1)
    train(build, warm_start=first)
    assert useful(build) == [True, True, True, False, False]


def test_a_warm_start_of_what_is_never_pushed_is_waste() -> None:
    """A chain that ends unpushed is not useful."""
    build = TraceBuilder()
    train(build, warm_start=train(build, warm_start=train(build)))
    assert useful(build) == [False, False, False]


def test_usefulness_passes_through_a_trainer_that_failed() -> None:
    """A failed Trainer's Model carries it on; only the unpushed ones are called useful."""
    build = TraceBuilder()
    second = train(build, warm_start=train(build), state=FAILED)
    train(build, warm_start=second, pushed=1)
    assert useful(build) == [True, False, False]


def test_a_baseline_is_no_warm_start() -> None:
    """A model that a pushed one was only compared with is not useful for that."""
    build = TraceBuilder()
    old = train(build)
    new = train(build, pushed=1)
    build.execution("Evaluator", inputs={"model": [new], "baseline_model": [old]})
    assert useful(build) == [False, False]


# -- cost --------------------------------------------------------------------------------


def cost(build: TraceBuilder, **options: object) -> list[float]:
    """Cost of every execution, on which both implementations agree."""
    return both(build.raw(), **options)[0].cost.tolist()  # type: ignore[arg-type]


def test_cost_is_the_time_from_creation_to_last_update() -> None:
    """Nothing for a cache hit, and never negative."""
    build = TraceBuilder()
    build.execution("Trainer", duration_ms=250)
    build.execution("Trainer", duration_ms=250, state=CACHED)
    build.execution("Trainer", duration_ms=-250, create_ms=1_000)
    build.execution("Trainer", duration_ms=0, state=FAILED)
    build.execution("Trainer", duration_ms=40, state=RUNNING)
    assert cost(build) == [250.0, 0.0, 0.0, 0.0, 40.0]


def test_cost_weights_multiply() -> None:
    """By role and by type; the full name of a type counts before its last part."""
    build = TraceBuilder()
    for name in ("a.Trainer", "b.Trainer", "Evaluator"):
        build.execution(name, duration_ms=100)
    assert cost(build, cost_weight_of_role={Role.TRAINER: 3.0}) == [300.0, 300.0, 100.0]
    by_type = {"Trainer": 2.0, "b.Trainer": 0.5, "Absent": 9.0}
    assert cost(build, cost_weight_of_type=by_type) == [200.0, 50.0, 100.0]
    weights = {"cost_weight_of_role": {Role.TRAINER: 3.0}, "cost_weight_of_type": by_type}
    assert cost(build, **weights) == [600.0, 150.0, 100.0]


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
def test_a_weight_that_is_no_price_is_refused(weight: float) -> None:
    """A weight is a finite number, 0 or more."""
    trace = TraceBuilder().trace()
    role = np.zeros(0, np.int8)
    with pytest.raises(InvalidArgumentError, match="cost_weight_of_role"):
        outcome.execution_cost(trace, role, {Role.TRAINER: weight})
    with pytest.raises(InvalidArgumentError, match="cost_weight_of_type"):
        outcome.execution_cost(trace, role, None, {"Trainer": weight})


# -- waste -------------------------------------------------------------------------------


def two_runs(*, pushed: int) -> Graphlets:
    """Two runs over one span; the second is unpushed, the first as given.

    ExampleGen 1, StatisticsGen 2, then each a Trainer, an Evaluator, an
    InfraValidator and a Pusher: 3 to 6 and 7 to 10. Costs are powers of two.
    """
    build = TraceBuilder()
    data = build.artifact("Examples")
    build.execution("CsvExampleGen", outputs={"examples": [data]}, duration_ms=1)
    build.execution("StatisticsGen", inputs={"examples": [data]}, duration_ms=2)
    for number, value in enumerate((pushed, 0)):
        model, blessing = build.artifact("Model"), build.artifact("ModelBlessing")
        scale = 16**number
        build.execution(
            "Trainer", inputs={"e": [data]}, outputs={"model": [model]}, duration_ms=4 * scale
        )
        build.execution(
            "Evaluator", inputs={"e": [data], "model": [model]}, outputs={"b": [blessing]},
            duration_ms=8 * scale,
        )  # fmt: skip
        build.execution("InfraValidator", inputs={"model": [model]}, duration_ms=16 * scale)
        build.execution(
            "Pusher", inputs={"model": [model], "model_blessing": [blessing]},
            outputs={"p": [build.artifact("PushedModel", pushed=value)]}, duration_ms=32 * scale,
        )  # fmt: skip
    return both(build.raw())[0]


def ids(graphlets: Graphlets, executions: BoolArray) -> list[int]:
    """MLMD ids of a set of executions."""
    return graphlets.trace.executions.id[executions].tolist()


def test_what_a_pushed_graphlet_holds_is_not_wasted() -> None:
    """The data that the pushed and the unpushed graphlet share was not in vain."""
    graphlets = two_runs(pushed=1)
    assert ids(graphlets, outcome.wasted_executions(graphlets)) == [7, 8, 9, 10]
    assert outcome.total_waste(graphlets) == 16 * (4 + 8 + 16 + 32)


def test_what_unpushed_graphlets_share_is_wasted_once() -> None:
    """Shared executions count once, not once for every graphlet."""
    graphlets = two_runs(pushed=0)
    assert ids(graphlets, outcome.wasted_executions(graphlets)) == list(range(1, 11))
    assert outcome.total_waste(graphlets) == 1 + 2 + 17 * (4 + 8 + 16 + 32)
    assert outcome.total_waste(graphlets) < graphlets.cost_ms.sum()


@pytest.mark.parametrize("state", [FAILED, RUNNING])
def test_what_a_failed_or_incomplete_graphlet_holds_is_not_wasted(state: ExecutionState) -> None:
    """Waste is what *unpushed* graphlets cost; what nobody holds is none either."""
    build = TraceBuilder()
    data = build.artifact("Examples")
    build.execution("CsvExampleGen", outputs={"examples": [data]})
    train(build, data)
    train(build, data, state=state)
    build.execution("CsvExampleGen", outputs={"examples": [build.artifact("Examples")]})
    graphlets, reference = both(build.raw())
    assert ids(graphlets, outcome.wasted_executions(graphlets)) == [2]
    assert reference.wasted == {2}


def test_what_a_useful_graphlet_holds_is_not_wasted() -> None:
    """A warm start that served in the end was not in vain, nor was its data."""
    build = TraceBuilder()
    data = build.artifact("Examples")
    build.execution("CsvExampleGen", outputs={"examples": [data]})
    model = train(build, data)
    train(build, data)
    train(build, warm_start=model, pushed=1)
    graphlets, _ = both(build.raw())
    assert ids(graphlets, outcome.wasted_executions(graphlets)) == [3]


@pytest.mark.parametrize(
    ("stage", "second", "both_skipped"),
    [
        (Stage.INPUT, [7, 8, 9, 10], list(range(2, 11))),
        (Stage.PRE, [7, 8, 9, 10], list(range(3, 11))),
        (Stage.TRAINER, [8, 9, 10], [4, 5, 6, 8, 9, 10]),
        (Stage.VALIDATION, [10], [6, 10]),
    ],
)
def test_a_gate_saves_what_runs_after_it(
    stage: Stage, second: list[int], both_skipped: list[int]
) -> None:
    """And what no graphlet that still runs holds."""
    graphlets = two_runs(pushed=0)
    skip_second, skip_both = np.array([False, True]), np.array([True, True])
    assert ids(graphlets, outcome.saved_executions(graphlets, skip_second, stage)) == second
    assert ids(graphlets, outcome.saved_executions(graphlets, skip_both, stage)) == both_skipped
    assert not outcome.saved_executions(graphlets, ~skip_both, stage).any()
    by_id = dict(zip(graphlets.trace.executions.id.tolist(), graphlets.cost.tolist()))
    assert outcome.saved_cost(graphlets, skip_both, stage) == sum(by_id[i] for i in both_skipped)


@pytest.mark.parametrize(
    ("stage", "share"),
    [(Stage.INPUT, 1.0), (Stage.PRE, 1.0), (Stage.TRAINER, 56 / 60), (Stage.VALIDATION, 32 / 60)],
)
def test_waste_removed_counts_wasted_executions_alone(stage: Stage, share: float) -> None:
    """Skipping the pushed graphlet too saves more cost and removes no more waste."""
    graphlets = two_runs(pushed=1)
    unpushed, everything = np.array([False, True]), np.array([True, True])
    assert outcome.waste_removable(graphlets, stage) == pytest.approx(share)
    assert outcome.waste_removed(graphlets, unpushed, stage) == pytest.approx(share)
    assert outcome.waste_removed(graphlets, everything, stage) == pytest.approx(share)
    assert outcome.waste_removed(graphlets, ~everything, stage) == 0.0
    assert outcome.waste_removed(graphlets, ~unpushed, stage) == 0.0
    more = outcome.saved_cost(graphlets, everything, stage)
    assert more > outcome.saved_cost(graphlets, unpushed, stage)


def test_waste_removed_of_no_waste_is_not_a_number() -> None:
    """Where nothing is wasted there is no share of it."""
    build = TraceBuilder()
    train(build, pushed=1)
    graphlets, _ = both(build.raw())
    assert outcome.total_waste(graphlets) == 0.0
    for stage in Stage:
        assert math.isnan(outcome.waste_removed(graphlets, np.array([True]), stage))
        assert math.isnan(outcome.waste_removable(graphlets, stage))


def test_the_input_gate_stands_after_the_data_came_in() -> None:
    """ExampleGen and Importer have run by then; a custom step after them has not."""
    build = TraceBuilder()
    data, schema, more = (build.artifact(name) for name in ("Examples", "Schema", "Examples"))
    build.execution("CsvExampleGen", outputs={"examples": [data]})
    build.execution("Importer", outputs={"result": [schema]})
    build.execution("Augmenter", inputs={"e": [data], "s": [schema]}, outputs={"e": [more]})
    train(build, more)
    graphlets, _ = both(build.raw())
    saved = outcome.saved_executions(graphlets, np.array([True]), Stage.INPUT)
    assert ids(graphlets, saved) == [3, 4]


def test_without_model_validation_a_gate_before_the_pusher_saves_nothing() -> None:
    """There is nothing downstream of a model validation that did not take place."""
    build = TraceBuilder()
    train(build, pushed=0)
    graphlets, _ = both(build.raw())
    assert not outcome.saved_executions(graphlets, np.array([True]), Stage.VALIDATION).any()


def test_skipped_must_have_one_entry_per_graphlet() -> None:
    """A mask of another length is refused with both lengths."""
    graphlets = two_runs(pushed=1)
    with pytest.raises(InvalidArgumentError, match="skipped=3: its length must be 2"):
        outcome.saved_executions(graphlets, np.zeros(3, bool), Stage.PRE)
