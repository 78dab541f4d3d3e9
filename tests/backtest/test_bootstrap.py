"""Attribution of cost and bootstrap intervals: sums, coverage, and what they refuse."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.corpus import needs_corpus, real_runs
from tests.strategies import deterministic, rows, seeds
from tests.waste_model.synthetic import coin_flips, history, table_of
from tfx_graphlets.backtest.bootstrap import Intervals, attribute, bootstrap, paired_bootstrap
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import BoolArray
from tfx_graphlets.vocabulary import Outcome, Stage
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.metrics import WasteMeter

ARCHIVES = sorted(
    (Path(__file__).resolve().parents[2] / "pipelines/flights/history").glob("*/archive")
)


def dataset_of(graphlets: Graphlets, stage: Stage, store: str = "store") -> Dataset:
    """The graphlets with made-up features, which nothing here reads."""
    pushed = (graphlets.outcome == Outcome.PUSHED).tolist()
    table = table_of(graphlets.trainer_id, pushed, 0.0, 0, stage)
    return Dataset.from_graphlets(graphlets, table, store)


def opened(path: Path, stage: Stage) -> Dataset:
    """The dataset of a store."""
    with open_store(str(path)) as store:
        return dataset_of(segment(store.read_trace()), stage, str(path))


def some(count: int, seed: int, share: float = 0.5) -> BoolArray:
    """A random set of rows, bool [count]."""
    return np.random.default_rng(seed).random(count) < share


def meter_of(dataset: Dataset) -> WasteMeter:
    """The meter of all its stores."""
    return WasteMeter(dataset.sources, dataset.stage)


def assert_sums_up(dataset: Dataset, skipped: BoolArray) -> None:
    """Fails unless the rows' parts add up to what the meter counts, none of them negative."""
    meter = meter_of(dataset)
    parts, skips = attribute(dataset, skipped, meter), dataset.skips_by_store(skipped)
    assert parts.elsewhere_ms == 0.0
    assert parts.wasted.sum() == pytest.approx(meter.waste_ms)
    assert parts.saved.sum() == pytest.approx(meter.saved_ms(skips))
    if meter.waste_ms > 0:
        assert parts.removed.sum() / meter.waste_ms == pytest.approx(meter.removed(skips))
        assert parts.removable.sum() / meter.waste_ms == pytest.approx(meter.removable)
    assert (parts.removed <= parts.removable + 1e-9).all()
    assert (parts.removable <= parts.wasted + 1e-9).all()
    assert (parts.removed >= 0).all()


# -- attribution -----------------------------------------------------------------------


@deterministic
@given(rows(), seeds, st.sampled_from(list(Stage)))
def test_parts_sum_to_what_the_meter_counts(raw: RowBuilder, seed: int, stage: Stage) -> None:
    """On any trace, with shared executions, at every stage."""
    dataset = dataset_of(segment(assemble(raw.rows())), stage)
    assert_sums_up(dataset, some(len(dataset), seed))


@pytest.mark.parametrize("stage", list(Stage))
def test_parts_sum_on_the_recorded_archives(stage: Stage) -> None:
    """Rolling windows, warm starts and caches included, for all archives as one dataset."""
    dataset = Dataset.concatenate([opened(path, stage) for path in ARCHIVES])
    assert len(dataset) > 100
    assert meter_of(dataset).waste_ms > 0
    assert_sums_up(dataset, some(len(dataset), 1))
    assert_sums_up(dataset, dataset.unpushed)


@needs_corpus
def test_parts_sum_on_the_real_runs() -> None:
    """The stores of recorded continuous training."""
    dataset = Dataset.concatenate([opened(path, Stage.INPUT) for path in real_runs()])
    assert_sums_up(dataset, some(len(dataset), 2))


def test_waste_of_graphlets_without_a_row_is_elsewhere() -> None:
    """The parts of a pipeline and what lies elsewhere add up to all waste."""
    dataset = Dataset.concatenate([history("PUU", store="a"), history("UPU", store="b")])
    meter = meter_of(dataset)
    first = dataset.take(np.arange(3))
    parts = attribute(first, np.array([False, True, True]), meter)
    assert parts.elsewhere_ms == pytest.approx(meter.waste_ms / 2)
    assert parts.wasted.sum() + parts.elsewhere_ms == pytest.approx(meter.waste_ms)
    assert parts.removed.sum() == pytest.approx(meter.removable * meter.waste_ms / 2)


# -- intervals -------------------------------------------------------------------------


def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    """Of 300 histories skipped by coin flips, freshness and removed lie within in 90 to 99 %."""
    dataset = history(coin_flips(150, seed=3))
    meter = meter_of(dataset)
    held = np.zeros(2)
    for seed in range(300):
        skipped = some(150, 10_000 + seed, 0.3)
        intervals = bootstrap(dataset, skipped, meter, seed=seed)
        for at, (interval, truth) in enumerate(
            [(intervals.freshness, 0.7), (intervals.of_removable, 0.3)]
        ):
            assert interval is not None
            held[at] += interval[0] <= truth <= interval[1]
    assert (held / 300 >= 0.9).all()
    assert (held / 300 <= 0.99).all()


def test_pipelines_that_differ_widen_the_interval() -> None:
    """All skips in two of four pipelines say less than the same number spread over all."""
    dataset = Dataset.concatenate(
        [history("PU" * 20, store=store, pipeline=store) for store in "abcd"]
    )
    meter = meter_of(dataset)
    spread = np.tile([True, True, False, False], 40)
    lumped = np.repeat([True, False], 80)
    widths = []
    for skipped in (spread, lumped):
        interval = bootstrap(dataset, skipped, meter, draws=400).waste_removed
        assert interval is not None
        widths.append(interval[1] - interval[0])
    assert widths[1] > 3 * widths[0]


def test_one_seed_one_result() -> None:
    """The same seed gives the same intervals, another gives others."""
    dataset = history(coin_flips(60, seed=1))
    skipped, meter = some(60, 1), meter_of(dataset)
    one, same, other = (bootstrap(dataset, skipped, meter, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_the_order_of_rows_does_not_change_the_intervals() -> None:
    """Blocks are cut in the order of decisions, not of rows."""
    dataset = history(coin_flips(60, seed=1))
    skipped, meter, order = some(60, 1), meter_of(dataset), np.random.default_rng(0).permutation(60)
    one = bootstrap(dataset, skipped, meter)
    other = bootstrap(dataset.take(order), skipped[order], meter)
    for mine, its in ((one.freshness, other.freshness), (one.waste_removed, other.waste_removed)):
        assert mine == pytest.approx(its)


def test_a_pipeline_is_counted_against_its_own_waste_and_against_all() -> None:
    """Of two pipelines of one kind the share of all waste is below half, of its own it is not."""
    dataset = Dataset.concatenate([history("PU" * 20, store="a"), history("PU" * 20, store="b")])
    mine = dataset.take(np.arange(40))
    intervals = bootstrap(mine, mine.unpushed, meter_of(dataset))
    assert intervals.waste_removed is not None
    assert intervals.waste_removed_of_own is not None
    assert intervals.waste_removed[1] < 0.5
    assert intervals.waste_removed_of_own[0] > 0.5
    assert (intervals.pipelines, intervals.blocks) == (1, 6)


@pytest.mark.parametrize(
    ("outcomes", "fresh", "waste"),
    [("UUUU", False, True), ("PPPP", True, False), ("FF", False, False), ("P", False, False)],
)
def test_what_has_no_denominator_has_no_interval(outcomes: str, fresh: bool, waste: bool) -> None:
    """No freshness without pushes, no waste without waste, nothing from a single graphlet."""
    dataset = history(outcomes)
    intervals = bootstrap(dataset, some(len(dataset), 0), meter_of(dataset), draws=50)
    assert (intervals.freshness is not None) == fresh
    assert (intervals.waste_removed is not None) == waste
    json.dumps(intervals.to_dict(), allow_nan=False)


def test_rows_without_sources_keep_the_freshness() -> None:
    """Where executions are not at hand, waste has no interval."""
    dataset = history("PU" * 10)
    bare = Dataset(
        dataset.table, dataset.outcome, dataset.decision_ms, dataset.known_ms, dataset.start_ms,
        dataset.pipeline, dataset.store,
    )  # fmt: skip
    intervals = bootstrap(bare, some(20, 1), meter_of(bare), draws=100)
    assert intervals.freshness is not None
    assert intervals.waste_removed is intervals.of_removable is None


def test_no_graphlets_no_interval() -> None:
    """An empty dataset has none, and none fails."""
    dataset = history("PU").take(np.zeros(0, np.int64))
    result = bootstrap(dataset, np.zeros(0, bool), meter_of(dataset), draws=10)
    assert result == Intervals(None, None, None, None, None, 0, 0, 10)


def test_arguments_out_of_range_are_refused() -> None:
    """One block, no draw, a negative seed, skips of another length."""
    dataset = history("PUPU")
    meter, skipped = meter_of(dataset), np.zeros(4, bool)
    for wrong in ({"blocks": 1}, {"draws": 0}, {"seed": -1}):
        with pytest.raises(InvalidArgumentError, match=next(iter(wrong))):
            bootstrap(dataset, skipped, meter, **wrong)
    with pytest.raises(InvalidArgumentError, match="skipped"):
        bootstrap(dataset, skipped[:3], meter)
    with pytest.raises(InvalidArgumentError, match="other"):
        paired_bootstrap(dataset, skipped, skipped[:3], meter)


def test_thousand_draws_are_quick() -> None:
    """300 graphlets of three pipelines take well under a second."""
    dataset = Dataset.concatenate(
        [history(coin_flips(100, seed=at), store=str(at)) for at in range(3)]
    )
    skipped, meter = some(300, 0), meter_of(dataset)
    start = time.process_time()
    bootstrap(dataset, skipped, meter)
    assert time.process_time() - start < 0.6


# -- paired ----------------------------------------------------------------------------


def test_a_clear_difference_is_seen_and_none_is_not() -> None:
    """The oracle beats coin flips; skips do not beat themselves."""
    dataset = history(coin_flips(120, seed=5))
    meter, coins = meter_of(dataset), some(120, 5)
    clear = paired_bootstrap(dataset, dataset.unpushed, coins, meter)
    assert clear.better
    assert clear.share_better == 1.0
    skips = [dataset.skips_by_store(rows) for rows in (dataset.unpushed, coins)]
    expected = meter.removed(skips[0]) - meter.removed(skips[1])
    assert clear.waste_removed == pytest.approx(expected)
    kept = 1 - (coins & dataset.pushed).sum() / dataset.pushed.sum()
    assert clear.freshness == pytest.approx(1 - kept)
    none = paired_bootstrap(dataset, coins, coins, meter)
    assert (none.better, none.waste_removed, none.share_better) == (False, 0.0, 0.5)
    assert none.waste_removed_interval == (0.0, 0.0)


def test_turning_the_pair_around_turns_the_difference_around() -> None:
    """Over the same draws each bound is the negative of the other's other bound."""
    dataset = history(coin_flips(80, seed=6))
    meter, one, two = meter_of(dataset), some(80, 1), some(80, 2)
    there = paired_bootstrap(dataset, one, two, meter).waste_removed_interval
    back = paired_bootstrap(dataset, two, one, meter).waste_removed_interval
    assert there is not None
    assert back is not None
    assert there == pytest.approx((-back[1], -back[0]))


def test_pairing_is_sharper_than_two_intervals() -> None:
    """Where one skips what the other skips and a little more, the difference is well known."""
    dataset = history(coin_flips(200, seed=7))
    meter, less = meter_of(dataset), some(200, 1, 0.4)
    more = less | some(200, 2, 0.15)
    paired = paired_bootstrap(dataset, more, less, meter).waste_removed_interval
    alone = bootstrap(dataset, more, meter).waste_removed
    assert paired is not None
    assert alone is not None
    assert paired[1] - paired[0] < alone[1] - alone[0]
    assert paired[0] > 0


def test_a_pair_without_waste_has_no_difference() -> None:
    """All None, and the document is JSON."""
    dataset = history("PPPP")
    result = paired_bootstrap(dataset, some(4, 0), some(4, 1), meter_of(dataset), draws=20)
    assert math.isnan(result.waste_removed)
    document = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert (document["waste_removed"], document["better"]) == (None, False)
