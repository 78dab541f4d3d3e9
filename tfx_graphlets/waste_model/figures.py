"""Figures: what a gate or a baseline achieved over a history."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from tfx_graphlets.trace import BoolArray, IntArray
from tfx_graphlets.waste_model import metrics
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.metrics import NAN, WasteMeter

_MS_PER_HOUR = 3_600_000.0


@dataclasses.dataclass(frozen=True)
class Figures:
    """What a gate or a baseline achieved.

    Attributes:
      name: ``gate`` or the baseline's name.
      kind: ``gate``, ``scored`` (threshold for the same freshness), ``rule``
        (no threshold: it keeps what it keeps) or ``oracle``.
      skipped: graphlets that were skipped, those without a label included.
      pushes_missed: pushed graphlets among them.
      freshness: share of pushes kept, 0..1; NaN without pushes.
      freshness_interval: 95 % Wilson interval of it.
      waste_removed: share of all wasted cost that is saved, 0..1; NaN where
        nothing is wasted or executions are not at hand.
      cost_saved_ms: cost saved, wasted or not, weighted milliseconds.
      delay_runs: of every missed push, runs of its pipeline until the next
        push that was kept; NaN where none came.
      delay_hours: the same in hours between the starts of these runs.
    """

    name: str
    kind: str
    skipped: int
    pushes_missed: int
    freshness: float
    freshness_interval: tuple[float, float]
    waste_removed: float
    cost_saved_ms: float
    delay_runs: tuple[float, ...]
    delay_hours: tuple[float, ...]

    def to_dict(self) -> dict[str, object]:
        """Plain values; NaN as None, delays as median and worst."""
        return {
            "name": self.name,
            "kind": self.kind,
            "skipped": self.skipped,
            "pushes_missed": self.pushes_missed,
            "freshness": or_none(self.freshness),
            "freshness_interval": [or_none(bound) for bound in self.freshness_interval],
            "waste_removed": or_none(self.waste_removed),
            "cost_saved_ms": or_none(self.cost_saved_ms),
            "delay_runs": _median_and_worst(self.delay_runs),
            "delay_hours": _median_and_worst(self.delay_hours),
        }


def figures_of(
    name: str, kind: str, dataset: Dataset, skipped: BoolArray, meter: WasteMeter
) -> Figures:
    """The figures of one choice of skips.

    Args:
      name, kind: see Figures.
      dataset: the graphlets.
      skipped: which of its rows are skipped, bool [n].
      meter: counts waste over all stores of the replay.
    """
    pushes = int(dataset.pushed.sum())
    missed = int((dataset.pushed & skipped).sum())
    skips = dataset.skips_by_store(skipped)
    runs, hours = _delays(dataset, skipped)
    return Figures(
        name=name,
        kind=kind,
        skipped=int(skipped.sum()),
        pushes_missed=missed,
        freshness=1 - missed / pushes if pushes else NAN,
        freshness_interval=metrics.wilson_interval(pushes - missed, pushes),
        waste_removed=meter.removed(skips) if dataset.sources else NAN,
        cost_saved_ms=meter.saved_ms(skips) if dataset.sources else NAN,
        delay_runs=runs,
        delay_hours=hours,
    )


def _delays(dataset: Dataset, skipped: BoolArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """How much later every missed push came: (runs, hours), NaN if never."""
    order, group = dataset.time_order, dataset.group
    runs: list[float] = []
    hours: list[float] = []
    for number in np.unique(group):
        mine: IntArray = order[group[order] == number]
        kept = np.flatnonzero(dataset.pushed[mine] & ~skipped[mine])
        for at in np.flatnonzero(dataset.pushed[mine] & skipped[mine]):
            later = kept[kept > at]
            if not len(later):
                runs.append(NAN)
                hours.append(NAN)
                continue
            runs.append(float(later[0] - at))
            apart = dataset.start_ms[mine[later[0]]] - dataset.start_ms[mine[at]]
            hours.append(float(apart) / _MS_PER_HOUR)
    return tuple(runs), tuple(hours)


def _median_and_worst(delays: Sequence[float]) -> dict[str, float | int | None]:
    """Median and worst of those that came at all, and how many never did."""
    came = [delay for delay in delays if not math.isnan(delay)]
    return {
        "median": float(np.median(came)) if came else None,
        "worst": max(came) if came else None,
        "never": len(delays) - len(came),
    }


def or_none(value: float) -> float | None:
    """The value; None for NaN and infinity, which JSON lacks."""
    return value if math.isfinite(value) else None
