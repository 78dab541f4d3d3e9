"""Push delay, against values worked out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.waste_model.synthetic import HOUR_MS, coin_flips, history
from tfx_graphlets.backtest.delay import push_delays
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.waste_model.dataset import Dataset

MISSED = {"median_runs": 2.0, "worst_runs": 3.0, "median_hours": 2.0, "worst_hours": 3.0}


def test_every_missed_push_waits_for_the_next_that_is_kept() -> None:
    """Of P P U P P, skipping the first two and the last: three and two runs, and one never."""
    skipped = np.array([True, True, False, False, True])
    delays = push_delays(history("PPUPP"), skipped)
    assert delays.row.tolist() == [0, 1, 4]
    assert delays.runs.tolist()[:2] == [3.0, 2.0]
    assert delays.hours.tolist()[:2] == [3.0, 2.0]
    assert delays.never == 1
    assert delays.to_dict() == {"missed": 3, "never": 1, **MISSED, "median_runs": 2.5,
                                "median_hours": 2.5}  # fmt: skip


def test_runs_without_a_label_count_as_runs() -> None:
    """A failed run between two pushes makes the second come one run later."""
    delays = push_delays(history("PFP"), np.array([True, False, False]))
    assert delays.runs.tolist() == [2.0]


def test_nothing_missed_has_no_delay() -> None:
    """A skipped run that was not pushed leaves every figure None and every count 0."""
    delays = push_delays(history("PU"), np.array([False, True]))
    assert len(delays) == delays.never == 0
    assert delays.median_runs is delays.worst_runs is None
    assert delays.median_hours is delays.worst_hours is None


def test_a_push_of_another_pipeline_ends_no_delay() -> None:
    """Where the pipeline's last push is missed it never came, whatever others pushed later."""
    both = Dataset.concatenate(
        [history("PP", store="a"), history("PPPP", store="b", start_ms=2 * HOUR_MS)]
    )
    delays = push_delays(both, np.array([False, True, False, True, False, False]))
    runs = dict(zip(delays.row.tolist(), delays.runs.tolist()))
    assert np.isnan(runs[1])
    assert runs[3] == 1.0


def test_hours_lie_between_the_moments_that_the_pushes_were_made() -> None:
    """known_ms counts, and a push that was made before the missed one makes no negative delay."""
    dataset = history("PPP")
    known = np.array(dataset.known_ms)
    known[1] += HOUR_MS // 2
    late = dataclasses.replace(dataset, known_ms=known)
    assert push_delays(late, np.array([True, False, False])).hours.tolist() == [1.5]
    assert push_delays(late, np.array([False, True, False])).hours.tolist() == [0.5]
    known[0] += 5 * HOUR_MS
    assert push_delays(late, np.array([True, False, False])).hours.tolist() == [0.0]


def test_the_order_of_rows_does_not_matter() -> None:
    """Delays of permuted rows are those of the rows, as a set."""
    dataset = Dataset.concatenate(
        [history(coin_flips(40, seed=1), store="a"), history(coin_flips(30, seed=2), store="b")]
    )
    draw = np.random.default_rng(0)
    skipped, order = draw.random(70) < 0.5, draw.permutation(70)
    one, other = push_delays(dataset, skipped), push_delays(dataset.take(order), skipped[order])
    assert one.never + len(one) > 10
    assert one.to_dict() == other.to_dict()
    assert one.row.tolist() == order[other.row].tolist()


def test_skips_of_another_length_are_refused() -> None:
    """One flag for each row."""
    with pytest.raises(InvalidArgumentError, match="skipped"):
        push_delays(history("PU"), np.array([True]))
