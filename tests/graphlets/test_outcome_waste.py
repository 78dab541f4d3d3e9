"""Cost, waste and savings on small traces with round numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.agreement import both, train
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.graphlets import outcome
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.trace import BoolArray
from tfx_graphlets.vocabulary import ExecutionState, Role, Stage

CACHED, FAILED, RUNNING = ExecutionState.CACHED, ExecutionState.FAILED, ExecutionState.RUNNING


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


def test_downstream_of_validation_is_what_validation_leads_to() -> None:
    """Neither what hangs on another check, nor what compares itself with the result."""
    build = TraceBuilder()
    model, blessing = train(build), build.artifact("ModelBlessing")
    infra, signed = build.artifact("InfraBlessing"), build.artifact("Model")
    build.execution("Evaluator", inputs={"model": [model]}, outputs={"b": [blessing]})
    build.execution("InfraValidator", inputs={"model": [model]}, outputs={"b": [infra]})
    build.execution("BulkInferrer", inputs={"model": [model], "b": [infra]})
    build.execution("Signer", inputs={"b": [blessing]}, outputs={"model": [signed]})
    build.execution("ModelValidator", inputs={"model": [model], "baseline_model": [signed]})
    build.execution("ModelValidator", inputs={"model": [signed]})
    graphlets, reference = both(build.raw())
    saved = outcome.saved_executions(graphlets, np.array([True]), Stage.VALIDATION)
    assert ids(graphlets, saved) == [5, 7]
    assert reference.saved({1}, "validation") == {5, 7}


def test_what_another_skipped_graphlet_took_in_is_saved_with_its_maker() -> None:
    """Predictions of one skipped model that another skipped model was to train on."""
    build = TraceBuilder()
    model, predictions = train(build), build.artifact("Examples")
    build.execution("BulkInferrer", inputs={"model": [model]}, outputs={"e": [predictions]})
    train(build, predictions)
    graphlets, _ = both(build.raw())
    for skipped, expected in (
        ([True, True], [1, 2, 3]),
        ([True, False], [1]),
        ([False, True], [3]),
    ):
        saved = outcome.saved_executions(graphlets, np.array(skipped), Stage.PRE)
        assert ids(graphlets, saved) == expected


def test_the_share_of_a_millisecond_of_waste_is_a_share() -> None:
    """However little is wasted, skipping it saves all; where nothing is, there is no share."""
    build = TraceBuilder()
    build.execution("Trainer", outputs={"model": [build.artifact("Model")]}, run="r", duration_ms=1)
    graphlets = segment(build.trace())
    assert outcome.total_waste(graphlets) == 1.0
    assert outcome.waste_removed(graphlets, np.array([True]), Stage.INPUT) == 1.0
    build = TraceBuilder()
    assert np.isnan(outcome.waste_removed(segment(build.trace()), np.zeros(0, bool), Stage.INPUT))
