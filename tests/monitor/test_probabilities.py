"""Calibration of the probabilities that a gate decided by."""

from __future__ import annotations

import numpy as np
import pytest

from tests.monitor.gated import numbered, seen
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.monitor.probabilities import calibration, calibration_drift


def test_the_figures_of_four_outcomes_are_those_by_hand() -> None:
    """Bias, Brier score, error over bins of one and Z are what the formulas give."""
    figures = calibration(np.array([0.2, 0.4, 0.6, 0.8]), np.array([False, True, False, True]))
    assert (figures.count, figures.predicted, figures.observed) == (4, 0.5, 0.5)
    assert figures.bias == pytest.approx(0)
    assert figures.brier == pytest.approx((0.04 + 0.36 + 0.36 + 0.04) / 4)
    assert figures.expected_error == pytest.approx((0.2 + 0.6 + 0.6 + 0.2) / 4)
    above = -0.2 * 0.6 + 0.6 * 0.2 + -0.6 * -0.2 + 0.2 * -0.6
    below = np.sqrt(2 * 0.36 * 0.16 + 2 * 0.04 * 0.24)
    assert figures.z == pytest.approx(above / below)


def test_bins_hold_equally_many() -> None:
    """Within a bin errors of both signs cancel: ten outcomes make five bins of two."""
    probability = np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], 2)
    pushed = np.array([False, True] * 5)
    assert calibration(probability, pushed).expected_error == pytest.approx(0.24)


def test_z_is_standard_normal_where_the_probabilities_are_right() -> None:
    """Over 2,000 gates |Z| exceeds 2.58 about once in a hundred times, and its variance is 1."""
    draw = np.random.default_rng(0)
    statistics = []
    for _ in range(2000):
        probability = draw.uniform(0.05, 0.95, 100)
        z = calibration(probability, draw.random(100) < probability).z
        assert z is not None
        statistics.append(z)
    assert np.mean(np.abs(statistics) > 2.58) < 0.02
    assert np.std(statistics) == pytest.approx(1, abs=0.05)


def test_z_finds_probabilities_that_are_too_sure() -> None:
    """What is pushed seven times in ten and was given 0.95 stands out."""
    draw = np.random.default_rng(1)
    z = calibration(np.full(100, 0.95), draw.random(100) < 0.7).z
    assert z is not None
    assert z > 2.58


def test_z_is_not_defined_where_nothing_was_uncertain() -> None:
    """With probabilities of 0 and 1 alone there is no variance to compare with."""
    assert calibration(np.array([0.0, 1.0, 0.5]), np.array([False, True, True])).z is None
    with pytest.raises(InvalidArgumentError):
        calibration(np.zeros(0), np.zeros(0, bool))


def test_drift_is_the_recent_half_against_the_earlier() -> None:
    """A model that was right and then predicts pushes that do not come shows it in the drift."""
    then = [seen(letter, probability=0.5) for letter in "PU" * 10]
    now = [seen(letter, probability=0.8) for letter in "PU" * 10]
    figures = calibration_drift(numbered([*then, *now]))
    assert figures is not None
    assert (figures.earlier.bias, figures.recent.bias) == (0.0, pytest.approx(0.3))
    assert figures.drift == pytest.approx(0.3)
    assert figures.z == pytest.approx(0.3 / np.sqrt(0.25 / 20 + 0.16 / 20))


def test_only_decisions_with_a_probability_and_an_outcome_count() -> None:
    """Neither skips, nor failures, nor gates that broke say anything of calibration."""
    observations = [seen("P"), seen("F"), seen("-", proceed=False), seen("P", probability=None)]
    assert calibration_drift(numbered(observations)) is None
    figures = calibration_drift(numbered([*observations, seen("U")]))
    assert figures is not None
    assert figures.all.count == 2
