"""The estimate of missed pushes, against gates whose misses are known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.monitor.gated import numbered, seen, simulated
from tfx_graphlets.monitor.misses import estimate_misses, live_freshness, shadow_freshness
from tfx_graphlets.monitor.observed import Observation

DRAWS = 600


def skip(**more: object) -> Observation:
    """A skip of a live gate."""
    return seen("-", proceed=False, **more)


def explored(outcome: str, **more: object) -> Observation:
    """A predicted skip that ran to explore."""
    return seen(outcome, would_skip=True, explored=True, **more)


@pytest.mark.parametrize(
    ("runs", "exploration", "miss_rate"), [(300, 0.05, 0.05), (200, 0.3, 0.2), (60, 0.5, 0.5)]
)
def test_the_interval_covers_the_true_misses_as_often_as_it_says(
    runs: int, exploration: float, miss_rate: float
) -> None:
    """Over 600 gates with a known number of misses, at least 95 % are covered, less noise.

    0.932 is two standard deviations of the share below 0.95. Being exact for
    whole numbers, the interval covers somewhat more.
    """
    covered = 0
    for seed in range(DRAWS):
        observations, missed = simulated(runs, exploration, miss_rate, seed)
        estimate = estimate_misses(observations)
        covered += estimate.low <= missed <= estimate.high
    assert covered / DRAWS >= 0.932


def test_the_interval_is_not_wider_than_it_has_to_be() -> None:
    """Where half of many is seen, it covers 95 to 98 % and not simply everything."""
    hits, widths = [], []
    for seed in range(DRAWS):
        observations, missed = simulated(400, 0.5, 0.3, seed)
        estimate = estimate_misses(observations)
        hits.append(estimate.low <= missed <= estimate.high)
        widths.append((estimate.high - estimate.low) / estimate.skips)
    assert 0.932 <= np.mean(hits) <= 0.985
    assert np.mean(widths) < 0.35


def test_the_weighted_estimate_is_right_on_average() -> None:
    """Over many gates the mean error of both estimates is within three standard errors of 0."""
    errors = []
    for seed in range(DRAWS):
        observations, missed = simulated(200, 0.2, 0.3, seed)
        estimate = estimate_misses(observations)
        assert estimate.self_normalised is not None
        errors.append((estimate.weighted - missed, estimate.self_normalised - missed))
    mean, error = np.mean(errors, axis=0), np.std(errors, axis=0) / np.sqrt(DRAWS)
    assert (np.abs(mean) < 3 * error).all()


def test_an_explored_push_stands_for_those_that_were_not() -> None:
    """Two of four explored at a share of 0.1 were pushed: 18 were missed, of 30 skips 15."""
    observations = numbered([*(explored(one) for one in "PPUF"), *[skip()] * 30])
    estimate = estimate_misses(observations)
    assert (estimate.skips, estimate.explored, estimate.explored_pushed) == (30, 4, 2)
    assert estimate.weighted == pytest.approx(18)
    assert estimate.self_normalised == pytest.approx(15)
    assert 0 < estimate.low < 15 < estimate.high < 30


def test_each_share_of_exploration_is_weighed_by_itself() -> None:
    """Where the share was changed, an explored run stands for 1 over its own share."""
    observations = numbered(
        [
            explored("P", exploration=0.5), explored("U", exploration=0.1),
            *[skip(exploration=0.5)] * 2, *[skip(exploration=0.1)] * 9,
        ]
    )  # fmt: skip
    estimate = estimate_misses(observations)
    assert estimate.weighted == pytest.approx(1)
    assert estimate.self_normalised == pytest.approx(11 * 2 / 12)


def test_an_explored_run_that_is_not_over_says_nothing() -> None:
    """Its outcome is not known, and it was not skipped."""
    estimate = estimate_misses(numbered([explored("-"), skip()]))
    assert (estimate.skips, estimate.explored, estimate.low, estimate.high) == (1, 0, 0, 1)


def test_without_exploration_every_skip_may_have_been_a_push() -> None:
    """The number is not known, and freshness lies between the worst and 1."""
    observations = numbered([*[seen("P")] * 6, *[skip(exploration=0.0)] * 2])
    estimate = estimate_misses(observations)
    assert (estimate.weighted, estimate.self_normalised) == (0.0, None)
    assert (estimate.low, estimate.high) == (0, 2)
    freshness = live_freshness(observations, estimate)
    assert freshness is not None
    assert (freshness.kept, freshness.value) == (6, None)
    assert (freshness.low, freshness.high) == (0.75, 1.0)


def test_a_gate_that_never_skipped_missed_nothing() -> None:
    """Freshness is 1, and its interval nothing but that."""
    observations = numbered([seen("P"), seen("U"), explored("P")])
    freshness = live_freshness(observations, estimate_misses(observations))
    assert freshness is not None
    assert (freshness.kept, freshness.missed, freshness.value) == (2, 0.0, 1.0)
    assert (freshness.low, freshness.high) == (1.0, 1.0)


def test_in_shadow_mode_misses_are_counted() -> None:
    """Three of eight pushes would have been skipped; the rate behind it has an interval."""
    would = [seen("P", would_skip=True, shadow=True)] * 3
    observations = numbered([*would, *[seen("P", shadow=True)] * 5, seen("U", shadow=True)])
    freshness = shadow_freshness(observations)
    assert freshness is not None
    assert (freshness.kept, freshness.missed, freshness.value) == (5, 3, 0.625)
    assert freshness.exact
    assert freshness.low == pytest.approx(0.2449, abs=1e-4)  # Clopper and Pearson, 5 of 8
    assert freshness.high == pytest.approx(0.9148, abs=1e-4)
    assert live_freshness(observations, estimate_misses(observations)) is None
    assert shadow_freshness(numbered([seen("P")])) is None


def test_a_skip_that_followed_another_gate_is_not_this_gates() -> None:
    """A run that an earlier gate has skipped is no skip of the later one."""
    followed = skip(probability=None, threshold=None)
    assert estimate_misses(numbered([followed])).skips == 0
