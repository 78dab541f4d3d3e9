"""Metrics of a rehearsal against what Keras computes, and against what they mean."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.payloads.thresholds import AskedMetric
from tfx_graphlets.rehearsal.metrics import MEASURES, Task, measure

BINARY = ("BinaryCrossentropy", "AUC", "BinaryAccuracy", "Precision", "Recall")
MULTI = (
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
)
NUMBERS = (
    "MeanSquaredError",
    "RootMeanSquaredError",
    "MeanAbsoluteError",
    "MeanSquaredLogarithmicError",
)


def asked(name: str, **config: object) -> AskedMetric:
    """A metric without thresholds."""
    return AskedMetric(name, name, config, ())


def drawn(task: Task, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and predictions that know a little of them."""
    random = np.random.default_rng(seed)
    if task is Task.BINARY:
        label = (random.random(500) < 0.3).astype(float)
        return label, np.clip(0.25 * label + random.random(500) * 0.7, 0, 1)
    if task is Task.MULTI_CLASS:
        label = random.integers(0, 7, 500).astype(float)
        odds = random.random((500, 7)) + 0.5 * np.eye(7)[label.astype(int)]
        return label, odds / odds.sum(axis=1, keepdims=True)
    label = random.gamma(2.0, 10.0, 500)
    return label, label + random.normal(0, 3, 500)


@pytest.mark.tfx
@pytest.mark.parametrize(
    ("task", "name"),
    [
        *((Task.BINARY, name) for name in BINARY),
        *((Task.MULTI_CLASS, name) for name in MULTI),
        *((Task.REGRESSION, name) for name in NUMBERS),
    ],
)
def test_keras_computes_the_same(task: Task, name: str) -> None:
    """A metric has the value that Keras's class of that name gives."""
    keras = pytest.importorskip("tf_keras", reason="needs Keras")
    label, prediction = drawn(task, 7)
    theirs = getattr(keras.metrics, name)()
    theirs.update_state(label, prediction)
    ours = measure([asked(name)], label, prediction, task)[name]
    # AUC: Keras sums over 200 thresholds.
    assert ours == pytest.approx(float(theirs.result()), abs=3e-3 if name == "AUC" else 2e-4)


def test_a_column_of_one_is_a_prediction() -> None:
    """A model that answers [n, 1], or the odds of 0 and of 1, is measured as one that says [n]."""
    label, p = drawn(Task.BINARY, 3)
    values = [
        measure([asked("AUC")], label, prediction, Task.BINARY)["AUC"]
        for prediction in (p, p[:, None], np.stack([1 - p, p], axis=1))
    ]
    assert values[0] == values[1] == values[2]


@pytest.mark.parametrize("name", sorted(MEASURES))
def test_nothing_is_measured_of_no_examples(name: str) -> None:
    """A split without examples has no value of any metric, and breaks none."""
    task = MEASURES[name].task or Task.REGRESSION
    empty = np.zeros((0, 3)) if task is Task.MULTI_CLASS else np.zeros(0)
    assert math.isnan(measure([asked(name)], np.zeros(0), empty, task)[name])


def test_auc_of_one_class_is_not_defined() -> None:
    """Where all labels are the same the area is missing, and no error."""
    assert math.isnan(measure([asked("AUC")], np.ones(9), np.linspace(0, 1, 9), Task.BINARY)["AUC"])


@pytest.mark.parametrize(
    ("task", "label", "prediction", "said"),
    [
        (Task.BINARY, [0.0, 2.0], [0.1, 0.2], "must be 0 or 1"),
        (Task.BINARY, [0.0], [0.1, 0.2], "one row for each of 1"),
        (Task.MULTI_CLASS, [0.0, 3.0], [[0.5, 0.5], [0.5, 0.5]], "integers from 0 to 1"),
        (Task.MULTI_CLASS, [0.0, 1.0], [0.5, 0.5], r"must be \[n, classes\]"),
        (Task.REGRESSION, [0.0], [[0.5, 0.5]], r"must be \[n\]"),
    ],
)
def test_labels_of_another_task_are_refused(
    task: Task, label: list[float], prediction: list[object], said: str
) -> None:
    """The error names what is wrong with labels or predictions."""
    with pytest.raises(InvalidArgumentError, match=said):
        measure([asked("AUC")], np.array(label), np.array(prediction), task)
