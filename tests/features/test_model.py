"""Group model: type, steps, configuration, warm start, duration."""

from __future__ import annotations

import math

import pytest

from tests.features.runs import FAILED, Runs, some
from tfx_graphlets.features.groups.model import num_steps
from tfx_graphlets.vocabulary import Stage


def test_configuration_is_compared_not_shown() -> None:
    """Whether custom_config equals the previous and the pushed one, and how the steps changed."""
    runs = Runs()
    runs.run(config='{"rate": 1}', steps=100, pushed=True)
    runs.run(config='{"rate": 2}', steps=100, pushed=False)
    runs.run(config='{"rate": 2}', steps=50)
    assert some(
        runs.last(Stage.TRAINER), "model", "trainer_type", "train_steps", "train_steps_ratio_1",
        "config_same_1", "config_same_pushed", "failed", "models", "duration_ms", "duration_ratio",
    ) == {
        "trainer_type": "Trainer", "train_steps": 50.0, "train_steps_ratio_1": 0.5,
        "config_same_1": 1.0, "config_same_pushed": 0.0, "failed": 0.0, "models": 1.0,
        "duration_ms": 1000.0, "duration_ratio": 1.0,
    }  # fmt: skip


def test_a_trainer_that_takes_in_a_model_starts_warm() -> None:
    """warm_start is 1 for a Trainer with a base_model."""
    runs = Runs()
    first = runs.run()
    runs.run(base_model=first.model)
    table = runs.table(Stage.TRAINER)
    assert table.numbers("model.warm_start").tolist() == [0.0, 1.0]


def test_a_failed_trainer_shows() -> None:
    """A failed Trainer put out no model."""
    runs = Runs()
    runs.run(trainer_state=FAILED)
    assert some(runs.last(Stage.TRAINER), "model", "failed", "models") == {
        "failed": 1.0, "models": 0.0,
    }  # fmt: skip


def test_hyperparameters_of_a_tuner_are_known_before_the_trainer() -> None:
    """A Tuner upstream gives the graphlet hyperparameters at stage pre."""
    runs = Runs()
    build = runs.build
    data, best, model = (build.artifact(t) for t in ("Examples", "HyperParameters", "Model"))
    build.execution("CsvExampleGen", outputs={"examples": [data]}, run="r")
    build.execution("Tuner", inputs={"examples": [data]}, outputs={"best": [best]}, run="r")
    build.execution(
        "Trainer", inputs={"examples": [data], "hyperparameters": [best]},
        outputs={"model": [model]}, run="r",
    )  # fmt: skip
    assert runs.last(Stage.PRE)["model.hyperparameters"] == 1.0


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ('{"num_steps": 7}', 7), ('{"numSteps": "7"}', 7), ("{}", None), ("[]", None),
        ("no json", None), (None, None),
    ],
)  # fmt: skip
def test_steps_are_read_from_the_train_args(text: str | None, steps: float | None) -> None:
    """TrainArgs as TFX writes them, in either spelling; anything else is missing."""
    found = num_steps(text)
    assert found == steps if steps is not None else math.isnan(found)
