"""Similarity of spans, features and datasets."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from tests.features.memory_payloads import MemoryPayloads, statistics
from tests.strategies import deterministic
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.payloads.similarity import (
    dataset_similarity,
    earth_movers_distance,
    spans_similarity,
)
from tfx_graphlets.payloads.statistics import (
    DatasetStatistics,
    FeatureStatistics,
    training_statistics,
)

EDGES = (0.0, 1.0, 2.0, 3.0, 4.0)


def dataset(**content: object) -> DatasetStatistics:
    """Statistics of one split, as they are read from a payload."""
    name = "Split-train/FeatureStats.pb"
    payloads = MemoryPayloads({("u", name): statistics(**content)})  # type: ignore[arg-type]
    found = training_statistics(payloads, "u")
    assert found is not None
    return found[1]


def of(name: str, **content: object) -> FeatureStatistics:
    """Statistics of one feature."""
    return dataset(**content).features[name]


def alike(left: FeatureStatistics, right: FeatureStatistics) -> float:
    """Similarity of two datasets of one feature each."""
    return dataset_similarity(
        DatasetStatistics(100, {left.name: left}), DatasetStatistics(100, {right.name: right})
    )


def by_scipy(left: Sequence[float], right: Sequence[float]) -> float:
    """1 minus the Jensen-Shannon distance of shares in common cells."""
    return 1 - float(jensenshannon(left, right, base=2))


def test_equal_features_are_alike_and_renamed_or_retyped_ones_are_not() -> None:
    """1 for the same numbers and words, 0 for another name or another type."""
    first = dataset(numbers={"x": EDGES}, words={"w": {"a": 70, "b": 30}})
    for feature in first.features.values():
        assert alike(feature, feature) == 1.0
    assert alike(first.features["x"], of("y", numbers={"y": EDGES})) == 0.0
    assert alike(first.features["x"], of("x", words={"x": {"a": 1}})) == 0.0


def test_shifted_numbers_are_less_alike_the_further_they_shift() -> None:
    """A shift by half a range, a range, and far away."""
    here = of("x", numbers={"x": EDGES})
    shifts = [of("x", numbers={"x": tuple(e + s for e in EDGES)}) for s in (0, 2, 4, 400)]
    found = [alike(here, there) for there in shifts]
    assert found[0] == 1.0
    assert 0.2 < found[1] < 0.8
    assert found[2:] == [pytest.approx(0.0, abs=1e-6), pytest.approx(0.0, abs=1e-6)]


def test_a_point_of_mass_is_kept_apart() -> None:
    """Half of the values at 0 against none there: the halves above are alike."""
    point = of("x", numbers={"x": (0.0, 0.0, 0.0, 1.0, 2.0)})
    spread = of("x", numbers={"x": (0.0, 0.5, 1.0, 1.5, 2.0)})
    # Cells (.., 0], (0, 0.5], (0.5, 1], (1, 1.5], (1.5, 2].
    expected = by_scipy([0.5, 0.125, 0.125, 0.125, 0.125], [0, 0.25, 0.25, 0.25, 0.25])
    assert alike(point, spread) == pytest.approx(expected)


def test_missing_is_a_value_like_any_other() -> None:
    """All values missing is nothing like none missing; half missing lies between."""
    none, half, every = (
        of("x", numbers={"x": EDGES} if count < 100 else {"x": (0.0, 0.0)}, missing={"x": count})
        for count in (0, 50, 100)
    )
    assert alike(none, every) == pytest.approx(0.0)
    expected = by_scipy([1.0, 0.0], [0.5, 0.5])
    assert alike(none, half) == pytest.approx(expected)


def test_rare_words_count_as_one() -> None:
    """What lies beyond the listed values is compared as a rest."""
    listed = of("w", words={"w": {"a": 50}})
    assert alike(listed, listed) == 1.0
    other = of("w", words={"w": {"b": 50}})
    expected = by_scipy([0.5, 0, 0.5], [0, 0.5, 0.5])
    assert alike(listed, other) == pytest.approx(expected)


def test_a_word_that_is_listed_twice_counts_with_both_shares() -> None:
    """Damaged statistics may list a value twice: the order of the shares decides nothing."""
    whole = of("w", words={"w": {"a": 60, "b": 40}})
    parts = tuple((value, share / 2) for value, share in whole.top_values for _ in "12")
    for twice in (parts, parts[::-1]):
        assert alike(dataclasses.replace(whole, top_values=twice), whole) == pytest.approx(1.0)


def test_a_feature_that_one_dataset_lacks_counts_zero() -> None:
    """One of two features shared and equal: half alike."""
    both = dataset(numbers={"x": EDGES, "y": EDGES})
    one = dataset(numbers={"x": EDGES})
    assert dataset_similarity(both, one) == 0.5
    assert math.isnan(dataset_similarity(DatasetStatistics(0, {}), DatasetStatistics(0, {})))


def test_windows_that_share_spans_differ_by_the_others() -> None:
    """Of three spans two are shared: only the third pair is asked for and weighs a third."""
    asked = []

    def similarity(left: str, right: str) -> float:
        asked.append((left, right))
        return 0.4

    assert spans_similarity("abc", "bcd", similarity) == pytest.approx(1 - 0.6 / 3)
    assert asked == [("a", "d")]
    assert spans_similarity("ab", "ba", similarity) == 1.0
    assert math.isnan(spans_similarity("", "a", similarity))


def test_windows_of_different_length_are_compared() -> None:
    """One span against two: half of it stays, half moves."""
    assert spans_similarity("a", "ab", lambda *_: 0.0) == 0.5


def test_an_unknown_similarity_makes_the_whole_unknown() -> None:
    """A NaN between two spans is not taken for a distance."""
    assert math.isnan(spans_similarity("a", "b", lambda *_: math.nan))


def test_a_window_without_a_place_is_refused() -> None:
    """An earth mover's distance needs a place on either side."""
    with pytest.raises(InvalidArgumentError, match="cost"):
        earth_movers_distance(np.zeros((0, 3)))


@deterministic
@given(
    size=st.integers(1, 4),
    copies=st.integers(1, 2),
    values=st.lists(st.integers(0, 3), min_size=16, max_size=16),
)
def test_earth_movers_distance_is_that_of_the_best_matching(
    size: int, copies: int, values: list[int]
) -> None:
    """Equal weights: the best of all one-to-one matchings, each place as often as it takes.

    Costs are small integers, so that ties abound.
    """
    cost = np.array(values[: size * size], float).reshape(size, size) / 3
    # Every place on the right stands there ``copies`` times: the weights stay equal.
    wide = np.repeat(cost, copies, axis=1)
    best = min(
        sum(cost[row, column] for row, column in enumerate(order)) / size
        for order in itertools.permutations(range(size))
    )
    assert earth_movers_distance(wide) == pytest.approx(best)
    assert earth_movers_distance(wide.T) == pytest.approx(best)
