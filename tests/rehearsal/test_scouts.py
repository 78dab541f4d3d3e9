"""Scouts learn what is there, survive what is missing, and come back from their file."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.rehearsal import Scout, Task, train_scout
from tfx_graphlets.rehearsal.scouts import ScoutFormatError


def window(seed: int = 0, n: int = 400) -> tuple[dict[str, np.ndarray], dict[Task, np.ndarray]]:
    """Columns of every kind, with holes, and a label of each task that follows from them."""
    random = np.random.default_rng(seed)
    number = random.normal(50.0, 20.0, n)
    city = np.array(["ewr", "jfk", "lga", None], object)[random.integers(0, 4, n)]
    hour = random.integers(0, 24, n).astype(float)
    signal = (number - 50) / 20 + 2.0 * (city == "jfk") + 0.1 * hour
    columns = {
        "number": np.where(random.random(n) < 0.1, np.nan, number),
        "city": city,
        "hour": hour,
        "vector": random.normal(size=(n, 3)),
        "empty": np.full(n, np.nan),
    }
    labels = {
        Task.BINARY: (signal > np.median(signal)).astype(float),
        Task.MULTI_CLASS: np.digitize(signal, np.quantile(signal, [0.3, 0.7])).astype(float),
        Task.REGRESSION: 10.0 * signal + random.normal(size=n),
    }
    return columns, labels


@pytest.mark.parametrize("task", list(Task))
def test_a_scout_learns_its_task(task: Task) -> None:
    """On a new window it predicts far better than the mean label."""
    columns, labels = window(1)
    new, truth = window(2)
    prediction = train_scout(task, columns, labels[task]).predict(new)
    if task is Task.REGRESSION:
        assert np.corrcoef(prediction, truth[task])[0, 1] > 0.9
    elif task is Task.BINARY:
        assert np.mean((prediction > 0.5) == truth[task]) > 0.8
    else:
        assert np.allclose(prediction.sum(axis=1), 1.0)
        assert np.mean(prediction.argmax(axis=1) == truth[task]) > 0.7


@pytest.mark.parametrize("task", list(Task))
def test_a_scout_comes_back_from_its_file(task: Task) -> None:
    """What was written predicts the same to the last bit."""
    columns, labels = window(3)
    scout = train_scout(task, columns, labels[task])
    again = Scout.from_bytes(scout.to_bytes())
    assert np.array_equal(again.predict(columns), scout.predict(columns))


@pytest.mark.parametrize("content", [b"", b"[]", b'{"kind": "scout"}', b"\xff\xfe"])
def test_a_damaged_scout_is_refused(content: bytes) -> None:
    """The file of something else is an error of ours, never one of the parser's."""
    with pytest.raises(ScoutFormatError):
        Scout.from_bytes(content)


def test_a_scout_of_a_later_format_is_refused() -> None:
    """The error names both formats."""
    columns, labels = window(3)
    document = json.loads(train_scout(Task.BINARY, columns, labels[Task.BINARY]).to_bytes())
    with pytest.raises(ScoutFormatError, match=r"format is tfx_graphlets\.scout 99"):
        Scout.from_bytes(json.dumps({**document, "format_version": 99}).encode())


@pytest.mark.parametrize("task", [Task.BINARY, Task.MULTI_CLASS])
def test_a_window_of_one_class_makes_a_constant_scout(task: Task) -> None:
    """It says that class of every example, and says it with certainty below 1."""
    columns, labels = window(4)
    prediction = train_scout(task, columns, np.ones(len(labels[task])), classes=3).predict(columns)
    own = prediction if task is Task.BINARY else prediction[:, 1]
    assert np.ptp(own) < 1e-12
    assert 0.9 < own[0] < 1.0


def test_a_class_that_the_window_lacks_is_unlikely() -> None:
    """Serving knows three classes, today's examples hold two of them."""
    columns, labels = window(5)
    label = np.where(labels[Task.MULTI_CLASS] == 1, 0.0, labels[Task.MULTI_CLASS])
    prediction = train_scout(Task.MULTI_CLASS, columns, label, classes=3).predict(columns)
    assert prediction.shape[1] == 3
    assert prediction[:, 1].max() < 0.05


def test_new_values_and_missing_ones_are_predicted() -> None:
    """A city that was never seen, or none at all, is no error."""
    columns, labels = window(6)
    scout = train_scout(Task.BINARY, columns, labels[Task.BINARY])
    new = {**columns, "city": np.array(["oslo", None] * 200, object)}
    assert np.isfinite(scout.predict(new)).all()


def test_a_missing_column_is_named() -> None:
    """A scout of other columns says which one it lacks."""
    columns, labels = window(7)
    scout = train_scout(Task.BINARY, columns, labels[Task.BINARY])
    del columns["hour"]
    with pytest.raises(InvalidArgumentError, match="'hour'"):
        scout.predict(columns)


def test_many_rows_are_drawn_with_a_seed() -> None:
    """The same seed gives the same scout, another one another."""
    columns, labels = window(8)
    first, same, other = (
        train_scout(Task.BINARY, columns, labels[Task.BINARY], seed=seed, most_rows=100)
        for seed in (1, 1, 2)
    )
    assert first.to_bytes() == same.to_bytes() != other.to_bytes()


@pytest.mark.parametrize(
    ("label", "said"),
    [([], "at least one example"), ([0.5, 1.0], "0 or 1"), ([np.nan, 1.0], "finite")],
)
def test_labels_that_cannot_be_learnt_are_refused(label: list[float], said: str) -> None:
    """The error names the label and shows it."""
    with pytest.raises(InvalidArgumentError, match=said):
        train_scout(Task.BINARY, {"x": np.arange(len(label)) * 1.0}, np.array(label))
