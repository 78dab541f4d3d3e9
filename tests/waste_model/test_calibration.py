"""Platt scaling, and the cut for balanced accuracy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.waste_model import metrics
from tfx_graphlets.waste_model.calibration import (
    LARGEST_SLOPE,
    SMALLEST_SLOPE,
    PlattScaling,
    balanced_cut,
)


def drawn(a: float, b: float, count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    """Scores, and labels drawn with the probabilities of a sigmoid of them."""
    draw = np.random.default_rng(0)
    score = draw.random(count)
    return score, draw.random(count) < PlattScaling(a, b).apply(score)


def test_the_sigmoid_that_labels_were_drawn_from_is_found() -> None:
    """With many labels slope and intercept come out near the true ones."""
    scaling = PlattScaling.fit(*drawn(6.0, -2.0))
    assert scaling.a == pytest.approx(6.0, abs=0.4)
    assert scaling.b == pytest.approx(-2.0, abs=0.2)


def test_calibrated_probabilities_add_up_to_the_pushes() -> None:
    """The mean probability is the mean of Platt's smoothed targets, about the share of pushes."""
    score, pushed = drawn(3.0, -4.0)
    assert PlattScaling.fit(score, pushed).apply(score).mean() == pytest.approx(
        pushed.mean(), abs=0.001
    )


def test_scores_that_tell_nothing_or_lie_never_turn_the_order_around() -> None:
    """The slope stays positive, and the probability near the share of pushes."""
    score, pushed = drawn(6.0, -3.0)
    scaling = PlattScaling.fit(score, ~pushed)
    assert scaling.a == SMALLEST_SLOPE
    assert scaling.apply(np.array([0.0, 1.0])) == pytest.approx((~pushed).mean(), abs=0.01)


def test_scores_that_tell_everything_do_not_make_a_step() -> None:
    """With labels that a score separates the slope stays within its bound."""
    score = np.linspace(0.4, 0.6, 200)
    assert PlattScaling.fit(score, score > 0.5).a == LARGEST_SLOPE


@settings(deadline=None)
@given(
    arrays(np.float64, st.integers(1, 40), elements=st.floats(0, 1)),
    st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_scaling_is_strictly_increasing_whatever_it_was_fitted_on(
    score: np.ndarray, labels: list[bool]
) -> None:
    """A higher score has a higher probability, so that a threshold can be carried along."""
    scaling = PlattScaling.fit(score, np.array(labels[: len(score)]))
    at = scaling.apply(np.linspace(0, 1, 101))
    assert (np.diff(at) > 0).all()
    assert ((at > 0) & (at < 1)).all()


@pytest.mark.parametrize(
    ("score", "pushed"), [([], []), ([0.1, np.nan], [True, False]), ([0.1], [True, False])]
)
def test_what_cannot_be_fitted_is_refused(score: list[float], pushed: list[bool]) -> None:
    """No scores, a missing one, or labels of another length raise an error."""
    with pytest.raises(InvalidArgumentError):
        PlattScaling.fit(np.array(score), np.array(pushed, bool))


@given(
    arrays(np.float64, 20, elements=st.integers(0, 10).map(lambda value: value / 10)),
    arrays(bool, 20),
)
def test_no_other_cut_is_better(score: np.ndarray, pushed: np.ndarray) -> None:
    """The cut reaches the highest balanced accuracy of all cuts between two scores."""
    values = np.unique(score)
    if pushed.all() or not pushed.any() or len(values) < 2:
        assert balanced_cut(pushed, score) == 0.5
        return
    between = (values[:-1] + values[1:]) / 2
    best = max(metrics.balanced_accuracy(pushed, score >= cut) for cut in between)
    cut = balanced_cut(pushed, score)
    assert metrics.balanced_accuracy(pushed, score >= cut) == pytest.approx(best)
