"""Exact intervals, against SciPy and by counting."""

from __future__ import annotations

import numpy as np
import pytest

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.monitor.misses import binomial_interval, finite_interval

stats = pytest.importorskip("scipy.stats")


@pytest.mark.parametrize("trials", [1, 2, 7, 40, 1000])
@pytest.mark.parametrize("level", [0.5, 0.95, 0.99])
def test_the_interval_of_a_share_is_that_of_clopper_and_pearson(trials: int, level: float) -> None:
    """For every count it is what SciPy computes from the beta distribution."""
    for successes in sorted({0, 1, trials // 3, trials - 1, trials}):
        expected = stats.binomtest(successes, trials).proportion_ci(level, method="exact")
        assert binomial_interval(successes, trials, level) == pytest.approx(
            (expected.low, expected.high), abs=1e-9
        )


def test_without_trials_nothing_is_known_of_a_share() -> None:
    """The interval is all of 0 to 1."""
    assert binomial_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(("seen", "population"), [(0, 9), (1, 9), (4, 9), (9, 9), (12, 240)])
def test_the_interval_of_a_count_holds_what_the_hypergeometric_tails_allow(
    seen: int, population: int
) -> None:
    """Exactly those totals are inside that SciPy gives neither tail less than 0.025."""
    for successes in range(seen + 1):
        totals = np.arange(successes, population - (seen - successes) + 1)
        at_least = stats.hypergeom.sf(successes - 1, population, totals, seen)
        at_most = stats.hypergeom.cdf(successes, population, totals, seen)
        inside = totals[(at_least > 0.025) & (at_most > 0.025)]
        assert finite_interval(successes, seen, population) == (inside[0], inside[-1])


def test_where_all_are_seen_the_count_is_known() -> None:
    """The interval of a population that was seen as a whole is one number."""
    assert finite_interval(3, 8, 8) == (3, 3)


def test_in_a_large_population_the_count_follows_the_share() -> None:
    """Where little is seen of much, both intervals say the same."""
    low, high = binomial_interval(3, 50)
    fewest, most = finite_interval(3, 50, 50_000)
    assert np.array([fewest, most]) / 50_000 == pytest.approx([low, high], rel=0.02)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: binomial_interval(3, 2), "successes"),
        (lambda: binomial_interval(1, 2, 95), "level"),
        (lambda: finite_interval(1, 5, 4), "seen"),
    ],
)
def test_what_makes_no_sense_is_refused(call: object, argument: str) -> None:
    """The error names the argument."""
    assert callable(call)
    with pytest.raises(InvalidArgumentError, match=argument):
        call()
