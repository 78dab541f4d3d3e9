"""A rehearsal's margins, expectations and economics."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rehearsal.test_scouts import window
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.rehearsal import (
    Demand,
    Mode,
    NotCoveredError,
    Split,
    Task,
    demand_of,
    expected_margin,
    rehearse,
    train_scout,
    worth_of,
)

METRIC = {
    Task.BINARY: "BinaryCrossEntropy",
    Task.MULTI_CLASS: "SparseCategoricalCrossentropy",
    Task.REGRESSION: "MeanAbsoluteError",
}


def demand(task: Task, *, upper: float = 1.0, gain: float = 0.01) -> Demand:
    """A loss that must stay below a bound and beat the serving model by a gain."""
    threshold = {
        "value_threshold": {"upper_bound": {"value": upper}},
        "change_threshold": {"absolute": {"value": -gain}, "direction": "LOWER_IS_BETTER"},
    }
    metrics = [{"class_name": METRIC[task], "threshold": threshold}]
    spec = {"label_key": "label"}
    return demand_of(json.dumps({"model_specs": [spec], "metrics_specs": [{"metrics": metrics}]}))


def split(task: Task, seed: int) -> Split:
    """Examples of a task."""
    columns, labels = window(seed)
    return Split(columns, labels[task])


@pytest.mark.parametrize("task", list(Task))
def test_margins_are_those_of_the_thresholds(task: Task) -> None:
    """Value and change margins follow from the metrics of scout, serving and previous scout."""
    train, judged = split(task, 1), split(task, 2)
    previous = train_scout(task, split(task, 3).columns, split(task, 3).label)
    other = train_scout(task, split(task, 4).columns, split(task, 4).label)
    found = rehearse(
        demand(task, upper=2.0, gain=0.05), train, judged,
        serving=other.predict(judged.columns), previous=previous,
        probe=previous.predict(judged.columns),
    )  # fmt: skip
    assert found.scout_value_margin == pytest.approx(2.0 - found.scout)
    assert found.serving_value_margin == pytest.approx(2.0 - found.serving)
    assert found.scout_change_margin == pytest.approx(found.serving - found.scout - 0.05)
    assert found.pair_change_margin == pytest.approx(found.previous_scout - found.scout - 0.05)
    assert found.probe == pytest.approx(found.previous_scout)
    assert found.probe_change_margin == pytest.approx(found.serving - found.probe - 0.05)
    assert found.num_examples == len(judged)


def test_without_a_serving_model_nothing_is_compared() -> None:
    """The first run of a pipeline has value margins alone, and no number for the rest."""
    task = Task.BINARY
    found = rehearse(demand(task), split(task, 1), split(task, 2))
    assert math.isnan(found.scout_change_margin)
    assert set(found.numbers()) == {"scout", "scout_value_margin"}


def test_broken_data_shows_in_the_margins() -> None:
    """Labels turned round make a scout that misses what the one before it met."""
    task = Task.BINARY
    train, judged = split(task, 1), split(task, 2)
    good = rehearse(demand(task, upper=0.69), train, judged)
    bad = rehearse(
        demand(task, upper=0.69), Split(train.columns, 1 - train.label), judged,
        previous=good.new_scout,
    )  # fmt: skip
    assert good.scout_value_margin > 0 > bad.scout_value_margin
    assert bad.pair_change_margin < -0.1


def test_examples_without_a_label_are_left_out() -> None:
    """Late labels (NaN) neither train nor judge."""
    task = Task.REGRESSION
    train, judged = split(task, 1), split(task, 2)
    label = judged.label.copy()
    label[::2] = np.nan
    assert rehearse(demand(task), train, Split(judged.columns, label)).num_examples == 200


def test_a_scout_of_other_columns_is_left_out() -> None:
    """A schema that changed leaves the pair without a margin, and the rest as it is."""
    task = Task.BINARY
    train, judged = split(task, 1), split(task, 2)
    old = train_scout(task, {"gone": np.arange(400.0)}, train.label)
    found = rehearse(demand(task), train, judged, previous=old)
    assert math.isnan(found.pair_change_margin)
    assert math.isfinite(found.scout_value_margin)


@pytest.mark.parametrize(
    ("label", "said"),
    [(np.full(400, np.nan), "No example of a split has the label 'label'"),
     (np.arange(400.0), "must be 0 or 1")],
)  # fmt: skip
def test_labels_that_are_not_covered_are_said(label: np.ndarray, said: str) -> None:
    """Labels of another kind are NotCovered, which a component turns into a sentence."""
    train = split(Task.BINARY, 1)
    with pytest.raises(NotCoveredError, match=said):
        rehearse(demand(Task.BINARY), Split(train.columns, label), split(Task.BINARY, 2))


margins = st.floats(-1.0, 1.0)


@given(margins, margins, st.lists(st.tuples(margins, margins), max_size=30))
def test_a_larger_margin_lets_expect_a_larger_one(
    first: float, second: float, pairs: list[tuple[float, float]]
) -> None:
    """Expectation and chance are monotone in the rehearsed margin, whatever the past."""
    low, high = sorted((first, second))
    before, after = expected_margin(low, pairs), expected_margin(high, pairs)
    assert (before is None) == (len(pairs) < 2) == (after is None)
    if before is not None and after is not None:
        assert before.margin <= after.margin
        assert before.chance <= after.chance


def test_a_steady_offset_is_learnt() -> None:
    """A scout that is always worse by 0.03 than the real model is not held against it."""
    random = np.random.default_rng(0)
    real = random.normal(0.0, 0.02, 20)
    pairs = [(value - 0.03, value) for value in real.tolist()]
    found = expected_margin(-0.02, pairs)
    assert found is not None
    assert found.margin == pytest.approx(0.01, abs=0.006)
    assert found.chance > 0.6


def test_what_is_not_known_is_no_pair() -> None:
    """A run that failed has no real margin, and teaches nothing."""
    assert expected_margin(0.1, [(0.1, math.nan), (math.nan, 0.2), (0.1, 0.1)]) is None
    assert expected_margin(math.nan, [(0.1, 0.2)] * 5) is None


@given(st.floats(0, 1), st.lists(st.floats(0, 1e5), min_size=1, max_size=9), st.floats(0.1, 1e3))
def test_a_rehearsal_is_chosen_only_where_it_pays_several_times(
    probability: float, behind: list[float], own: float
) -> None:
    """AUTO never rehearses where three times its cost is not expected to be saved."""
    worth = worth_of(
        Mode.AUTO, probability=probability, behind_s=behind, scout_s=[own], full_s=[2 * own],
        can_probe=True,
    )  # fmt: skip
    assert (worth.mode is not Mode.OFF) == (worth.saving_s >= 3 * own)
    assert worth.mode is Mode.OFF or worth.saving_s >= 3 * worth.cost_s


@pytest.mark.parametrize(
    ("behind", "mode"), [(7.0, Mode.OFF), (60.0, Mode.SCOUT), (600.0, Mode.FULL)]
)
def test_dear_trainings_are_rehearsed_and_cheap_ones_are_not(behind: float, mode: Mode) -> None:
    """Two-second trainings are left alone, half a minute pays a scout, more the user's code."""
    worth = worth_of(
        Mode.AUTO, probability=0.6, behind_s=[behind], trainer_s=[behind / 2], can_probe=True
    )
    assert worth.mode is mode


def test_what_is_asked_for_is_done() -> None:
    """SCOUT and FULL rehearse without asking whether it pays; OFF never does."""
    cheap = {"probability": 1.0, "behind_s": [1.0]}
    assert worth_of(Mode.SCOUT, **cheap).mode is Mode.SCOUT  # type: ignore[arg-type]
    assert worth_of(Mode.FULL, can_probe=True, **cheap).mode is Mode.FULL  # type: ignore[arg-type]
    assert worth_of(Mode.FULL, **cheap).mode is Mode.SCOUT  # type: ignore[arg-type]
    assert worth_of(Mode.OFF, probability=0.1, behind_s=[9999.0]).mode is Mode.OFF


def test_a_probability_outside_its_range_is_refused() -> None:
    """The error names the argument and shows the value."""
    with pytest.raises(InvalidArgumentError, match=r"probability.*1\.5"):
        worth_of(Mode.AUTO, probability=1.5, behind_s=[1.0])
