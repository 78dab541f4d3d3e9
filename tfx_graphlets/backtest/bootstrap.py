"""Bootstrap intervals of what a gate achieved, over pipelines and blocks of time.

Compute is counted on sets of executions, which cannot be resampled: an
execution that rolling windows share would be counted again with every copy.
So the cost of each execution is first split evenly among the graphlets that
hold it. These parts add up to the totals exactly, and they are resampled:
pipelines with replacement, and in each the contiguous blocks of its graphlets
in the order of decisions, with replacement.

The percentiles are widened for the small number of blocks, after the expanded
percentile interval of Hesterberg, "What teachers should know about the
bootstrap", The American Statistician 2015. In simulations of one pipeline with
six blocks the plain percentiles hold the truth in 87 of 100 cases, these in 93;
of four alike pipelines they hold it in 98, and of two that differ much
in 80: so few pipelines cannot tell how others will be.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.metrics import NAN, WasteMeter, plain

Interval = tuple[float, float]

BLOCKS = 6
DRAWS = 1000


@dataclasses.dataclass(frozen=True, eq=False)
class CostParts:
    """What each row of a dataset contributes to the totals, weighted milliseconds.

    Attributes:
      wasted: float64 [n], its part of wasted executions.
      removed: float64 [n], its part of those that the skips save.
      removable: float64 [n], its part of those that the oracle saves.
      saved: float64 [n], its part of what the skips save, wasted or not.
      elsewhere_ms: wasted cost that graphlets without a row hold.
    """

    wasted: FloatArray
    removed: FloatArray
    removable: FloatArray
    saved: FloatArray
    elsewhere_ms: float


@dataclasses.dataclass(frozen=True)
class Intervals:
    """95 % bootstrap intervals; None where there is nothing to draw from.

    Attributes:
      freshness: of the share of pushes kept; None without pushes, (1, 1) where
        none was missed: then only the Wilson interval says something.
      waste_removed: of the share of all waste in the stores.
      waste_removed_of_own: of the share of the waste of these rows.
      waste_removable: what the oracle removes, of the waste of these rows.
      of_removable: of removed to removable.
      pipelines, blocks: how many were drawn from, blocks over all pipelines.
      draws: number of draws.
    """

    freshness: Interval | None
    waste_removed: Interval | None
    waste_removed_of_own: Interval | None
    waste_removable: Interval | None
    of_removable: Interval | None
    pipelines: int
    blocks: int
    draws: int

    def to_dict(self) -> dict[str, Any]:
        """Plain values, an interval as a list of two."""
        return plain(dataclasses.asdict(self))


@dataclasses.dataclass(frozen=True)
class PairedDifference:
    """How much more one choice of skips removes than another, draw by draw alike.

    Attributes:
      waste_removed: difference of the shares of all waste; NaN without waste.
      waste_removed_interval: 95 % bootstrap interval of it.
      freshness: difference of the shares of pushes kept; NaN without pushes.
      freshness_interval: 95 % bootstrap interval of it.
      share_better: share of draws in which the first removes more, a draw
        without a difference counted half; NaN without waste.
    """

    waste_removed: float
    waste_removed_interval: Interval | None
    freshness: float
    freshness_interval: Interval | None
    share_better: float

    @property
    def better(self) -> bool:
        """True where the interval of the difference in waste lies above 0."""
        return self.waste_removed_interval is not None and self.waste_removed_interval[0] > 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values; None where a share has no denominator."""
        return plain({**dataclasses.asdict(self), "better": self.better})


def attribute(dataset: Dataset, skipped: BoolArray, meter: WasteMeter) -> CostParts:
    """What each row contributes to waste, and to what these skips save of it.

    Over all rows ``wasted`` plus ``elsewhere_ms``, ``removed`` and ``saved``
    are what the meter counts. A row whose store has no graphlets at hand
    contributes nothing.

    Args:
      dataset: the graphlets.
      skipped: which of its rows are skipped, bool [n].
      meter: counts waste over all stores of the replay.

    Raises:
      InvalidArgumentError: ``skipped`` has another length.
    """
    _check_skipped("skipped", skipped, dataset)
    result = np.zeros((4, len(dataset)))
    store = np.array(dataset.store, object)
    for name, flags in dataset.skips_by_store(skipped).items():
        rows = np.flatnonzero(store == name)
        at = np.searchsorted(dataset.sources[name].trainer_id, dataset.table.trainer[rows])
        result[:, rows] = np.stack(meter.parts(name, flags))[:, at]
    wasted, removed, removable, saved = result
    elsewhere = max(meter.waste_ms - float(wasted.sum()), 0.0)
    if elsewhere <= 1e-9 * meter.waste_ms:
        elsewhere = 0.0  # rounding
    return CostParts(wasted, removed, removable, saved, elsewhere)


def bootstrap(
    dataset: Dataset,
    skipped: BoolArray,
    meter: WasteMeter,
    *,
    blocks: int = BLOCKS,
    draws: int = DRAWS,
    seed: int = 0,
) -> Intervals:
    """95 % intervals of freshness and waste removed.

    Args:
      dataset: the graphlets.
      skipped: which of its rows are skipped, bool [n].
      meter: counts waste over all stores of the replay.
      blocks: contiguous blocks that each pipeline is cut into, at least 2.
      draws: resamples, at least 1; 1000 for a report.
      seed: of the draws.

    Returns:
      The intervals, None where fewer than two blocks are there to draw from.

    Raises:
      InvalidArgumentError: an argument is out of range.
    """
    parts = attribute(dataset, skipped, meter)
    pushed, missed = dataset.pushed, dataset.missed_pushes(skipped)
    values = np.stack(
        [pushed, pushed & ~missed, parts.wasted, parts.removed, parts.removable], axis=1
    ).astype(np.float64)
    sums, pipelines, cells = _resampled(dataset, values, blocks, draws, seed)
    pushes, kept, wasted, removed, removable = sums.T
    return Intervals(
        freshness=_interval(_ratio(kept, pushes), cells),
        waste_removed=_interval(_ratio(removed, wasted + parts.elsewhere_ms), cells),
        waste_removed_of_own=_interval(_ratio(removed, wasted), cells),
        waste_removable=_interval(_ratio(removable, wasted), cells),
        of_removable=_interval(_ratio(removed, removable), cells),
        pipelines=pipelines,
        blocks=cells,
        draws=draws,
    )


def paired_bootstrap(
    dataset: Dataset,
    skipped: BoolArray,
    other: BoolArray,
    meter: WasteMeter,
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> PairedDifference:
    """How much more one choice of skips removes than another, with its interval.

    Both are counted over the same draws, so what is hard in a draw is hard for
    both. An ``other`` that was picked as the best of several baselines by
    these same graphlets looks better than it is: the comparison errs on its side.

    Args:
      dataset: the graphlets.
      skipped: rows that the first skips, bool [n], for example the gate.
      other: rows that the second skips, bool [n], for example a baseline.
      meter: counts waste over all stores of the replay.
      draws, seed: see ``bootstrap``.

    Raises:
      InvalidArgumentError: an argument is out of range.
    """
    _check_skipped("other", other, dataset)
    parts, others = attribute(dataset, skipped, meter), attribute(dataset, other, meter)
    pushed = dataset.pushed
    values = np.stack(
        [
            pushed,
            dataset.missed_pushes(other).astype(float) - dataset.missed_pushes(skipped),
            parts.wasted,
            parts.removed - others.removed,
        ],
        axis=1,
    ).astype(np.float64)
    sums, _, cells = _resampled(dataset, values, BLOCKS, draws, seed)
    more_removed = _ratio(sums[:, 3], sums[:, 2] + parts.elsewhere_ms)
    more_kept = _ratio(sums[:, 1], sums[:, 0])
    known = more_removed[~np.isnan(more_removed)]
    whole = values.sum(axis=0, keepdims=True)
    return PairedDifference(
        waste_removed=float(_ratio(whole[:, 3], whole[:, 2] + parts.elsewhere_ms)[0]),
        waste_removed_interval=_interval(more_removed, cells),
        freshness=float(_ratio(whole[:, 1], whole[:, 0])[0]),
        freshness_interval=_interval(more_kept, cells),
        share_better=float((known > 0).mean() + (known == 0).mean() / 2) if len(known) else NAN,
    )


def _check_skipped(argument: str, skipped: BoolArray, dataset: Dataset) -> None:
    if len(skipped) != len(dataset):
        raise InvalidArgumentError(
            argument, len(skipped), f"its length must be {len(dataset)}, one per row"
        )


def _resampled(
    dataset: Dataset, values: FloatArray, blocks: int, draws: int, seed: int
) -> tuple[FloatArray, int, int]:
    """Sums of the values [n, m] in every draw [draws, m], number of pipelines and of blocks."""
    for argument, value, least in (("blocks", blocks, 2), ("draws", draws, 1), ("seed", seed, 0)):
        if value < least:
            raise InvalidArgumentError(argument, value, f"must be {least} or more")
    draw = np.random.default_rng(seed)
    pipelines = _rows_by_pipeline(dataset)
    sums = np.zeros((draws, values.shape[1]))
    cells = 0
    if not pipelines:
        return sums, 0, 0
    # How often each is drawn, which is all that its order could tell.
    times = draw.multinomial(
        len(pipelines), np.full(len(pipelines), 1 / len(pipelines)), size=draws
    )
    for number, rows in enumerate(pipelines):
        count = min(blocks, len(rows))
        first = np.arange(count) * len(rows) // count
        block_sums = np.add.reduceat(values[rows], first, axis=0)
        chosen = draw.multinomial(times[:, number] * count, np.full(count, 1 / count))
        sums += chosen @ block_sums
        cells += count
    return sums, len(pipelines), cells


def _rows_by_pipeline(dataset: Dataset) -> list[IntArray]:
    """Rows of each pipeline in the order of decisions."""
    if not len(dataset):
        return []
    order, group = dataset.time_order, dataset.group
    order = order[np.argsort(group[order], kind="stable")]
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def _ratio(above: FloatArray, below: FloatArray) -> FloatArray:
    """Above over below, NaN where below is 0."""
    return np.divide(above, below, out=np.full(len(above), np.nan), where=below > 0)


def _interval(values: FloatArray, cells: int) -> Interval | None:
    """Expanded percentiles of the draws that are known; None where there are none."""
    known = values[~np.isnan(values)]
    if cells < 2 or not len(known):
        return None
    level = _level(cells)
    low, high = np.quantile(known, [level, 1 - level])
    return float(low), float(high)


def _level(cells: int) -> float:
    """Percentile, as a share, of the lower bound: 0.025 for many blocks, less for few."""
    from scipy.special import ndtr, stdtrit

    student = stdtrit(cells - 1, 0.975)
    return float(ndtr(-math.sqrt(cells / (cells - 1)) * student))
