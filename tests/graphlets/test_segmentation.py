"""The first two steps of the segmentation, a small trace for every rule.

Ids count from 1 in the order of the lines, executions and artifacts apart.
"""

from __future__ import annotations

import pytest

from tests.agreement import Cut, both, cut
from tfx_graphlets.graphlets.graphlet import Part
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import ExecutionState

CACHED, FAILED, RUNNING = ExecutionState.CACHED, ExecutionState.FAILED, ExecutionState.RUNNING
NOT_ENTERED = (
    "Model", "ModelRun", "ModelBlessing", "InfraBlessing", "ModelEvaluation", "PushedModel",
    "TransformCache",
)  # fmt: skip
RUN_CONTEXTS = ("pipeline_run", "run", "KfpRun", "system.PipelineRun")


def test_a_whole_run() -> None:
    """A run of the usual pipeline is one graphlet, with all that it put out."""
    build = TraceBuilder()
    data, statistics = build.artifact("Examples"), build.artifact("ExampleStatistics")
    schema, anomalies = build.artifact("Schema"), build.artifact("ExampleAnomalies")
    graph, transformed = build.artifact("TransformGraph"), build.artifact("Examples")
    model, model_run = build.artifact("Model"), build.artifact("ModelRun")
    blessing, evaluation = build.artifact("ModelBlessing"), build.artifact("ModelEvaluation")
    pushed = build.artifact("PushedModel", pushed=1)
    run = "run-1"
    build.execution("CsvExampleGen", outputs={"examples": [data]}, run=run)
    build.execution(
        "StatisticsGen", inputs={"examples": [data]}, outputs={"statistics": [statistics]}, run=run
    )
    build.execution(
        "SchemaGen", inputs={"statistics": [statistics]}, outputs={"schema": [schema]}, run=run
    )
    build.execution(
        "ExampleValidator", inputs={"statistics": [statistics], "schema": [schema]},
        outputs={"anomalies": [anomalies]}, run=run,
    )  # fmt: skip
    build.execution(
        "Transform", inputs={"examples": [data], "schema": [schema]},
        outputs={"transform_graph": [graph], "transformed_examples": [transformed]}, run=run,
    )  # fmt: skip
    build.execution(
        "Trainer", inputs={"examples": [transformed], "transform_graph": [graph]},
        outputs={"model": [model], "model_run": [model_run]}, run=run,
    )  # fmt: skip
    build.execution(
        "Evaluator", inputs={"examples": [data], "model": [model]},
        outputs={"blessing": [blessing], "evaluation": [evaluation]}, run=run,
    )  # fmt: skip
    build.execution(
        "Pusher", inputs={"model": [model], "model_blessing": [blessing]},
        outputs={"pushed_model": [pushed]}, run=run,
    )  # fmt: skip
    assert cut(build) == [Cut(6, list(range(1, 9)), list(range(1, 12)), outcome="pushed")]
    (graphlet,) = both(build.raw())[0]
    assert graphlet.in_part(Part.UPSTREAM) == (1, 2, 3, 5)
    assert graphlet.in_part(Part.ANALYSIS) == (4,)
    assert graphlet.in_part(Part.TRAINER) == (6,)
    assert graphlet.in_part(Part.DOWNSTREAM) == (7, 8)


# -- step 1: upstream ------------------------------------------------------------------


def test_upstream_holds_all_that_the_reached_executions_put_out() -> None:
    """What a reached execution put out is held though nobody took it in."""
    build = TraceBuilder()
    data, graph = build.artifact("Examples"), build.artifact("TransformGraph")
    others = [build.artifact("TransformCache"), build.artifact("Schema"), build.artifact("Model")]
    build.execution("CsvExampleGen", outputs={"examples": [data, build.artifact("Examples")]})
    build.execution(
        "Transform", inputs={"examples": [data]},
        outputs={"transform_graph": [graph], "others": others},
    )  # fmt: skip
    build.execution("Trainer", inputs={"transform_graph": [graph]})
    assert cut(build) == [Cut(3, [1, 2, 3], [1, 2, 3, 4, 5, 6], outcome="incomplete")]


@pytest.mark.parametrize("type_name", [*NOT_ENTERED, "acme.Model"])
def test_upstream_does_not_enter_what_models_leave_behind(type_name: str) -> None:
    """An artifact of these types is not held, and its producer is not reached."""
    build = TraceBuilder()
    closed, data = build.artifact(type_name), build.artifact("Examples")
    build.execution("Reporter", outputs={"closed": [closed]})
    build.execution("Augmenter", inputs={"closed": [closed]}, outputs={"examples": [data]})
    build.execution("Trainer", inputs={"examples": [data], "closed": [closed]})
    warm_start = (closed,) if type_name.endswith("Model") and "Pushed" not in type_name else ()
    assert cut(build) == [Cut(3, [2, 3], [2], warm_start=warm_start, outcome="incomplete")]


@pytest.mark.parametrize("state", [ExecutionState.COMPLETE, FAILED, CACHED])
def test_upstream_does_not_enter_another_trainer(state: ExecutionState) -> None:
    """Examples that another Trainer put out are held, that Trainer is not."""
    build = TraceBuilder()
    data, distilled = build.artifact("Examples"), build.artifact("Examples")
    build.execution("CsvExampleGen", outputs={"examples": [data]}, run="run")
    build.execution(
        "Trainer", inputs={"in": [data]}, outputs={"out": [distilled]}, run="run", state=state
    )
    build.execution("Trainer", inputs={"in": [distilled]}, run="run")
    assert cut(build)[-1] == Cut(3, [3], [2], outcome="incomplete")


@pytest.mark.parametrize("state", [FAILED, RUNNING, ExecutionState.CANCELED])
def test_upstream_enters_producers_in_any_state_but_cached(state: ExecutionState) -> None:
    """What a failed or abandoned execution put out was used nevertheless."""
    build = TraceBuilder()
    data = build.artifact("Examples")
    build.execution("CsvExampleGen", outputs={"examples": [data]}, state=state, run="other")
    build.execution("Trainer", inputs={"examples": [data]}, run="run")
    assert cut(build) == [Cut(2, [1, 2], [1], outcome="incomplete")]


def test_warm_start_is_recorded_and_not_held() -> None:
    """The Models that a Trainer takes in are its warm start, not part of it."""
    build = TraceBuilder()
    first, second = build.artifact("Model"), build.artifact("Model")
    build.execution("Trainer", outputs={"model": [first]})
    build.execution("Trainer", inputs={"base_model": [first]}, outputs={"model": [second]})
    assert cut(build) == [Cut(1, [1], [1]), Cut(2, [2], [2], warm_start=(1,))]


def test_a_model_that_only_the_tuner_takes_in_is_no_warm_start() -> None:
    """Warm start is what the Trainer itself takes in."""
    build = TraceBuilder()
    model, best = build.artifact("Model"), build.artifact("HyperParameters")
    build.execution("Tuner", inputs={"base_model": [model]}, outputs={"best": [best]})
    build.execution("Trainer", inputs={"hyperparameters": [best]})
    assert cut(build) == [Cut(2, [1, 2], [2], outcome="incomplete")]


@pytest.mark.parametrize("context_type", RUN_CONTEXTS)
def test_upstream_enters_a_cache_hit_of_its_own_run_alone(context_type: str) -> None:
    """Of the producers of one artifact, a cache hit counts in its own run only."""
    build = TraceBuilder()
    data = build.artifact("Examples")
    for run, state in (("a", ExecutionState.COMPLETE), ("b", CACHED), ("c", CACHED)):
        execution = build.execution("CsvExampleGen", outputs={"examples": [data]}, state=state)
        build.associate(execution, context_type, run)
    trainer = build.execution("Trainer", inputs={"examples": [data]})
    build.associate(trainer, context_type, "b")
    assert cut(build) == [Cut(4, [1, 2, 4], [1], outcome="incomplete")]


@pytest.mark.parametrize("context_type", ["pipeline", "node", "system.Pipeline", "Run"])
def test_a_shared_context_of_another_type_is_no_shared_run(context_type: str) -> None:
    """Only a run's context lets a cache hit in."""
    build = TraceBuilder()
    data = build.artifact("Examples")
    hit = build.execution("CsvExampleGen", outputs={"examples": [data]}, state=CACHED)
    trainer = build.execution("Trainer", inputs={"examples": [data]})
    for execution in (hit, trainer):
        build.associate(execution, context_type, "shared")
    assert cut(build) == [Cut(2, [2], [1], outcome="incomplete")]


def test_one_shared_run_context_among_several_is_enough() -> None:
    """Executions that stand in several run contexts share a run by any of them."""
    build = TraceBuilder()
    data = build.artifact("Examples")
    hit = build.execution("CsvExampleGen", outputs={"examples": [data]}, state=CACHED, run="a")
    trainer = build.execution("Trainer", inputs={"examples": [data]}, run="b")
    assert cut(build) == [Cut(2, [2], [1], outcome="incomplete")]
    for execution in (hit, trainer):
        build.associate(execution, "KfpRun", "shared")
    assert cut(build) == [Cut(2, [1, 2], [1], outcome="incomplete")]


def test_run_contexts_of_the_same_name_and_another_type_differ() -> None:
    """A context is the same by its identity, not by its name."""
    build = TraceBuilder()
    data = build.artifact("Examples")
    hit = build.execution("CsvExampleGen", outputs={"examples": [data]}, state=CACHED)
    trainer = build.execution("Trainer", inputs={"examples": [data]})
    build.associate(hit, "run", "a")
    build.associate(trainer, "pipeline_run", "a")
    assert cut(build) == [Cut(2, [2], [1], outcome="incomplete")]


def test_the_walk_goes_on_behind_a_cache_hit() -> None:
    """What a cache hit of the run took in belongs to the graphlet too."""
    build = TraceBuilder()
    data, graph = build.artifact("Examples"), build.artifact("TransformGraph")
    build.execution("CsvExampleGen", outputs={"examples": [data]}, run="a")
    build.execution(
        "Transform", inputs={"in": [data]}, outputs={"out": [graph]}, state=CACHED, run="b"
    )
    build.execution("Trainer", inputs={"transform_graph": [graph]}, run="b")
    assert cut(build) == [Cut(3, [1, 2, 3], [1, 2], outcome="incomplete")]


def test_rolling_windows_overlap() -> None:
    """A span that two windows share is held by both graphlets."""
    build = TraceBuilder()
    spans = [build.artifact("Examples", span=number) for number in range(3)]
    for span in spans:
        build.execution("CsvExampleGen", outputs={"examples": [span]})
    build.execution("Trainer", inputs={"examples": spans[:2]})
    build.execution("Trainer", inputs={"examples": spans[1:]})
    assert cut(build) == [
        Cut(4, [1, 2, 4], [1, 2], outcome="incomplete"),
        Cut(5, [2, 3, 5], [2, 3], outcome="incomplete"),
    ]


# -- step 2: data analysis beside the data ---------------------------------------------------


def test_data_analysis_joins_transitively() -> None:
    """StatisticsGen, SchemaGen behind it and ExampleValidator behind both join."""
    build = TraceBuilder()
    data, statistics = build.artifact("Examples"), build.artifact("ExampleStatistics")
    schema, anomalies = build.artifact("Schema"), build.artifact("ExampleAnomalies")
    build.execution("CsvExampleGen", outputs={"examples": [data]})
    build.execution("StatisticsGen", inputs={"in": [data]}, outputs={"out": [statistics]})
    build.execution("SchemaGen", inputs={"in": [statistics]}, outputs={"out": [schema]})
    build.execution(
        "ExampleValidator", inputs={"in": [statistics, schema]}, outputs={"out": [anomalies]}
    )
    build.execution("Trainer", inputs={"examples": [data]})
    assert cut(build) == [Cut(5, [1, 2, 3, 4, 5], [1, 2, 3, 4], outcome="incomplete")]


def test_what_data_analysis_takes_in_is_held_and_not_walked_on_from() -> None:
    """An imported schema joins; neither its Importer nor its other consumers do."""
    build = TraceBuilder()
    data, schema = build.artifact("Examples"), build.artifact("Schema")
    elsewhere, model = build.artifact("ExampleStatistics"), build.artifact("Model")
    build.execution("Importer", outputs={"result": [schema]})
    build.execution("StatisticsGen", inputs={"in": [data, schema, model]}, outputs={})
    build.execution("ExampleValidator", inputs={"in": [schema, elsewhere]})
    build.execution("Trainer", inputs={"examples": [data]})
    assert cut(build) == [Cut(4, [2, 4], [1, 2], outcome="incomplete")]


def test_data_analysis_of_what_upstream_put_out_joins() -> None:
    """Statistics of transformed examples that the Trainer did not take in join."""
    build = TraceBuilder()
    graph, transformed = build.artifact("TransformGraph"), build.artifact("Examples")
    statistics = build.artifact("ExampleStatistics")
    build.execution("Transform", outputs={"graph": [graph], "examples": [transformed]})
    build.execution("StatisticsGen", inputs={"in": [transformed]}, outputs={"out": [statistics]})
    build.execution("Trainer", inputs={"transform_graph": [graph]})
    assert cut(build) == [Cut(3, [1, 2, 3], [1, 2, 3], outcome="incomplete")]


def test_data_analysis_of_what_the_trainer_put_out_does_not_join() -> None:
    """Neither step 2 nor step 3 brings in statistics of the Trainer's own output."""
    build = TraceBuilder()
    predictions = build.artifact("Examples")
    build.execution("Trainer", outputs={"predictions": [predictions]})
    build.execution("StatisticsGen", inputs={"in": [predictions]}, create_ms=0)
    assert cut(build) == [Cut(1, [1], [1], outcome="incomplete")]


@pytest.mark.parametrize(
    "class_name", ["Transform", "Tuner", "Evaluator", "BulkInferrer", "Custom"]
)
def test_other_consumers_of_the_data_do_not_join(class_name: str) -> None:
    """Only data analysis stands beside the data."""
    build = TraceBuilder()
    data = build.artifact("Examples")
    build.execution("CsvExampleGen", outputs={"examples": [data]})
    build.execution(class_name, inputs={"in": [data]}, outputs={"out": [build.artifact("Schema")]})
    build.execution("Trainer", inputs={"examples": [data]})
    expected = Cut(3, [1, 3], [1], outcome="incomplete")
    # A custom class that puts out a Schema is a SchemaGen.
    joined = Cut(3, [1, 2, 3], [1, 2], outcome="incomplete")
    assert cut(build) == [joined if class_name == "Custom" else expected]


def test_data_analysis_joins_from_its_own_run_if_it_is_a_cache_hit() -> None:
    """A cache hit of another run stays out, and so does what only follows from it."""
    build = TraceBuilder()
    data, statistics = build.artifact("Examples"), build.artifact("ExampleStatistics")
    build.execution(
        "StatisticsGen", inputs={"in": [data]}, outputs={"out": [statistics]}, run="a", state=CACHED
    )
    build.execution("SchemaGen", inputs={"in": [statistics]}, run="b")
    build.execution("Trainer", inputs={"examples": [data]}, run="b")
    build.execution("Trainer", inputs={"examples": [data]}, run="a")
    assert cut(build) == [
        Cut(3, [3], [1], outcome="incomplete"),
        Cut(4, [1, 2, 4], [1, 2], outcome="incomplete"),
    ]


def test_data_analysis_that_began_after_the_trainer_ended_does_not_join() -> None:
    """Causality: created at the Trainer's last update joins, a millisecond later does not."""
    build = TraceBuilder()
    data, statistics = build.artifact("Examples"), build.artifact("ExampleStatistics")
    build.execution("Trainer", inputs={"examples": [data]}, create_ms=1_000, duration_ms=500)
    build.execution("StatisticsGen", inputs={"in": [data]}, create_ms=1_500)
    build.execution(
        "StatisticsGen", inputs={"in": [data]}, outputs={"out": [statistics]}, create_ms=1_501
    )
    build.execution("SchemaGen", inputs={"in": [statistics]}, create_ms=0)
    assert cut(build) == [Cut(1, [1, 2], [1], outcome="incomplete")]


@pytest.mark.parametrize("state", [FAILED, RUNNING])
def test_data_analysis_joins_in_any_state_but_cached(state: ExecutionState) -> None:
    """A failed ExampleValidator of the data is part of the story."""
    build = TraceBuilder()
    data = build.artifact("Examples")
    build.execution("ExampleValidator", inputs={"in": [data]}, state=state, run="other")
    build.execution("Trainer", inputs={"examples": [data]}, run="run")
    assert cut(build) == [Cut(2, [1, 2], [1], outcome="incomplete")]
