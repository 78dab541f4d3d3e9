"""Figures: what a gate or a baseline achieved over a history."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from tfx_graphlets.backtest.bootstrap import Interval, Intervals, attribute, bootstrap
from tfx_graphlets.backtest.delay import PushDelays, push_delays
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.trace.trace import BoolArray, FloatArray
from tfx_graphlets.vocabulary import Role
from tfx_graphlets.waste_model import metrics
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.metrics import NAN, WasteMeter

# What a document holds of them as it is.
_FIGURES: Final = (
    *("name", "kind", "skipped", "pushes_missed", "freshness", "freshness_interval"),
    *("freshness_interval_method", "freshness_wilson", "waste_removed", "waste_removed_net"),
    *("waste_removed_of_own", "waste_removable_of_own", "of_removable", "cost_saved_ms"),
    "total_saved_share",
)
_TRAINER_WEIGHTS: Final = (1.0, 5.0, 20.0, 100.0)


@dataclasses.dataclass(frozen=True)
class Figures:
    """What a gate or a baseline achieved.

    Attributes:
      name: ``gate`` or the baseline's name.
      kind: ``gate``, ``scored`` (threshold for the same freshness), ``rule``
        (no threshold: it keeps what it keeps) or ``oracle``.
      skipped: graphlets that were skipped, those without a label included.
      pushes_missed: pushed graphlets among them, and those that were warm-started in the same
        run from one of them.
      freshness: share of pushes kept, 0..1; NaN without pushes.
      freshness_wilson: 95 % Wilson interval of it, as if each push were missed
        or kept on its own.
      waste_removed: share of all wasted cost of the stores that is saved,
        0..1; NaN where nothing is wasted or executions are not at hand. Of one
        pipeline: the share that its own skips save of the waste of all.
      waste_removed_net: the same less the recorded overhead of gates and rehearsals, as a
        share of all wasted cost.
      waste_removed_of_own: ``waste_removed`` as a share of the waste of these rows,
        where executions that graphlets share are split evenly among them.
      waste_removable_of_own: what the oracle saves of the waste of these rows.
      of_removable: share of what the oracle saves; NaN where that is nothing.
      cost_saved_ms: cost saved, wasted or not, weighted milliseconds.
      total_saved_share: the same as a share of the cost of all executions of
        the stores, 0..1.
      push_delay: how much later the missed pushes came.
      intervals: bootstrap intervals; None where none were drawn.
    """

    name: str
    kind: str
    skipped: int
    pushes_missed: int
    freshness: float
    freshness_wilson: Interval
    waste_removed: float
    waste_removed_net: float
    waste_removed_of_own: float
    waste_removable_of_own: float
    of_removable: float
    cost_saved_ms: float
    total_saved_share: float
    push_delay: PushDelays
    intervals: Intervals | None = None

    @property
    def freshness_interval(self) -> Interval:
        """95 % interval of the freshness, by ``freshness_interval_method``."""
        if self._bootstrapped is not None:
            return self._bootstrapped
        return self.freshness_wilson

    @property
    def freshness_interval_method(self) -> str:
        """``bootstrap``, which counts misses that come in clusters, or ``wilson``.

        Where nothing was drawn, and where no push or every push was missed,
        which leaves the bootstrap without any spread, it is ``wilson``.
        """
        return "wilson" if self._bootstrapped is None else "bootstrap"

    @property
    def _bootstrapped(self) -> Interval | None:
        """The bootstrap interval of the freshness, where it says something."""
        if self.intervals is None or not 0 < self.freshness < 1:
            return None
        return self.intervals.freshness

    @property
    def delay_runs(self) -> tuple[float, ...]:
        """Of every missed push, runs until the next that was kept; NaN: never."""
        return tuple(self.push_delay.runs.tolist())

    @property
    def delay_hours(self) -> tuple[float, ...]:
        """The same in hours, see ``PushDelays``."""
        return tuple(self.push_delay.hours.tolist())

    def to_dict(self) -> dict[str, object]:
        """Plain values; NaN as None, an interval that was not drawn as None."""
        drawn = {} if self.intervals is None else self.intervals.to_dict()
        removable = drawn.get("waste_removable")
        shares = ("waste_removed", "waste_removed_of_own", "of_removable")
        return metrics.plain(
            {
                **{name: getattr(self, name) for name in _FIGURES},
                **{f"{name}_interval": drawn.get(name) for name in shares},
                "waste_removable_of_own_interval": removable,
                "delay_runs": _median_and_worst(self.delay_runs),
                "delay_hours": _median_and_worst(self.delay_hours),
                "push_delay": self.push_delay.to_dict(),
                "delay": self.push_delay.to_dict(),
            }
        )


def figures_of(
    name: str,
    kind: str,
    dataset: Dataset,
    skipped: BoolArray,
    meter: WasteMeter,
    *,
    draws: int = 0,
    seed: int = 0,
) -> Figures:
    """The figures of one choice of skips.

    Args:
      name, kind: see Figures.
      dataset: the graphlets; those of one pipeline, ``dataset.take(rows)``,
        count the graphlets of all others as not skipped.
      skipped: which of its rows are skipped, bool [n].
      meter: counts waste over all stores of the replay.
      draws: resamples for bootstrap intervals, 1000 for a report; 0: none.
      seed: of the draws.

    Raises:
      InvalidArgumentError: an argument is out of range.
    """
    if draws < 0:
        raise InvalidArgumentError("draws", draws, "must be 0 (no intervals) or more")
    pushes = int(dataset.pushed.sum())
    missed = int(dataset.missed_pushes(skipped).sum())
    skips = dataset.skips_by_store(skipped)
    parts = attribute(dataset, skipped, meter)
    at_hand = bool(dataset.sources)
    saved = meter.saved_ms(skips) if at_hand else NAN
    removed = meter.removed(skips) if at_hand else NAN
    return Figures(
        name=name,
        kind=kind,
        skipped=int(skipped.sum()),
        pushes_missed=missed,
        freshness=1 - missed / pushes if pushes else NAN,
        freshness_wilson=metrics.wilson_interval(pushes - missed, pushes),
        waste_removed=removed,
        waste_removed_net=meter.net(removed),
        waste_removed_of_own=_share(parts.removed, parts.wasted),
        waste_removable_of_own=_share(parts.removable, parts.wasted),
        of_removable=_share(parts.removed, parts.removable),
        cost_saved_ms=saved,
        total_saved_share=saved / meter.total_ms if at_hand and meter.total_ms > 0 else NAN,
        push_delay=push_delays(dataset, skipped),
        intervals=bootstrap(dataset, skipped, meter, draws=draws, seed=seed) if draws else None,
    )


@dataclasses.dataclass(frozen=True)
class WeightedWaste:
    """What the same skips remove where a role's machines cost more.

    Attributes:
      weight: factor on the cost of the role, on top of the sources' weights.
      waste_removed: share of all wasted cost that is saved, NaN without waste.
      waste_removable: the same for the oracle.
      of_removable: share of what the oracle saves; NaN where that is nothing.
    """

    weight: float
    waste_removed: float
    waste_removable: float
    of_removable: float

    def to_dict(self) -> dict[str, float | None]:
        """Plain values; NaN as None."""
        return metrics.plain(dataclasses.asdict(self))


def cost_sensitivity(
    dataset: Dataset,
    skipped: BoolArray,
    *,
    role: Role = Role.TRAINER,
    weights: Sequence[float] = _TRAINER_WEIGHTS,
) -> tuple[WeightedWaste, ...]:
    """How the waste removed depends on the price of a role's machines.

    The skips stay as they are: a policy that knew the weights might choose others.

    Args:
      dataset: the graphlets, with their sources.
      skipped: which of its rows are skipped, bool [n].
      role: whose cost is weighted, on top of the weights that the sources have.
      weights: factors, finite numbers, 0 or more.

    Returns: what is removed at each weight, in their order.

    Raises:
      InvalidArgumentError: a weight is no price.
    """
    result = []
    skips = dataset.skips_by_store(skipped)
    for weight in weights:
        if not (math.isfinite(weight) and weight >= 0):
            raise InvalidArgumentError("weights", weight, "must be a finite number, 0 or more")
        sources = {
            name: dataclasses.replace(g, cost=np.where(g.role == role, g.cost * weight, g.cost))
            for name, g in dataset.sources.items()
        }
        meter = WasteMeter(sources, dataset.stage)
        removed = meter.removed(skips)
        share = removed / meter.removable if meter.removable > 0 else NAN
        result.append(WeightedWaste(weight, removed, meter.removable, share))
    return tuple(result)


def _share(part: FloatArray, whole: FloatArray) -> float:
    """Sum over sum, NaN where that is 0."""
    total = float(whole.sum())
    return float(part.sum()) / total if total > 0 else NAN


def _median_and_worst(delays: Sequence[float]) -> dict[str, float | int | None]:
    """Median and worst of those that came at all, and how many never did."""
    came = [delay for delay in delays if not math.isnan(delay)]
    return {
        "median": float(np.median(came)) if came else None,
        "worst": max(came) if came else None,
        "never": len(delays) - len(came),
    }
