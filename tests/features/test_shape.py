"""Group shape: executions and artifacts per role, each at its stage."""

from __future__ import annotations

from tests.features.runs import Runs, some
from tfx_graphlets.vocabulary import Stage


def test_roles_are_counted_before_at_and_after_the_trainer() -> None:
    """A window of two spans: two ExampleGens, statistics and validations, one of all else."""
    runs = Runs()
    first = runs.run(span=1)
    runs.run(span=2, window=(first.examples,))
    assert some(
        runs.last(), "shape", "example_gen_executions", "statistics_gen_executions",
        "data_validator_executions", "data_validator_in", "data_validator_out",
        "transform_executions", "transform_in", "transform_out", "tuner_executions", "tuner_in",
        "trainer_in", "trainer_out", "after_model_validator_executions",
        "after_model_validator_in", "after_model_validator_out", "after_infra_validator_executions",
    ) == {
        "example_gen_executions": 2.0, "statistics_gen_executions": 2.0,
        "data_validator_executions": 2.0, "data_validator_in": 2.0, "data_validator_out": 1.0,
        "transform_executions": 1.0, "transform_in": 3.0, "transform_out": 1.0,
        "tuner_executions": 0.0, "tuner_in": None, "trainer_in": 4.0, "trainer_out": 1.0,
        "after_model_validator_executions": 1.0, "after_model_validator_in": 2.0,
        "after_model_validator_out": 2.0, "after_infra_validator_executions": 0.0,
    }  # fmt: skip


def test_pushing_is_never_a_shape() -> None:
    """No stage counts Pushers: they run after the last gate, and they are the label."""
    runs = Runs()
    runs.run()
    assert not [f.name for f in runs.table().features if "push" in f.name and f.group == "shape"]


def test_analysis_under_way_is_not_counted() -> None:
    """An ExampleValidator that is still at work when the Trainer starts is not seen at pre."""
    runs = Runs()
    build = runs.build
    names = ("Examples", "ExampleStatistics", "Model")
    data, stats, model = (build.artifact(name) for name in names)
    build.execution("CsvExampleGen", outputs={"examples": [data]}, run="r")
    build.execution("StatisticsGen", inputs={"e": [data]}, outputs={"s": [stats]}, run="r")
    build.execution("ExampleValidator", inputs={"s": [stats]}, run="r", duration_ms=5000)
    build.execution(
        "Trainer", inputs={"examples": [data]}, outputs={"m": [model]}, run="r",
        create_ms=build.clock_ms - 4000, duration_ms=8000,
    )  # fmt: skip
    assert runs.last(Stage.PRE)["shape.data_validator_executions"] == 0.0
    assert runs.last(Stage.TRAINER)["shape.data_validator_executions"] == 1.0
