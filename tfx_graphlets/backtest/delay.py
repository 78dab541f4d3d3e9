"""Push delay: how much later a pipeline gets a push where one was skipped."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray
from tfx_graphlets.vocabulary import HOUR_MS
from tfx_graphlets.waste_model.dataset import Dataset


@dataclasses.dataclass(frozen=True, eq=False)
class PushDelays:
    """Delay of every missed push, until the next push of its pipeline that is kept.

    A missed push after which none was kept has no delay: it is counted by
    ``never`` and in neither median nor worst, which are too small by that.

    Attributes:
      row: int64 [n], row of the dataset of each missed push, by pipeline and
        then in the order of decisions.
      runs: float64 [n], graphlets of the pipeline from the missed push to the
        kept one, in the order of decisions, 1 for the very next; NaN: never.
      hours: float64 [n], from the moment that the missed push was made to that
        of the kept one, 0 where the kept one was made before; NaN: never.
    """

    row: IntArray
    runs: FloatArray
    hours: FloatArray

    def __len__(self) -> int:
        return len(self.row)

    @property
    def never(self) -> int:
        """Missed pushes after which their pipeline got no push that was kept."""
        return int(np.isnan(self.runs).sum())

    @property
    def median_runs(self) -> float | None:
        """Median of ``runs`` of those that came at all; None where none did."""
        return _median(self.runs)

    @property
    def worst_runs(self) -> float | None:
        """Most ``runs`` of those that came at all; None where none did."""
        return _worst(self.runs)

    @property
    def median_hours(self) -> float | None:
        """Median of ``hours`` of those that came at all; None where none did."""
        return _median(self.hours)

    @property
    def worst_hours(self) -> float | None:
        """Most ``hours`` of those that came at all; None where none did."""
        return _worst(self.hours)

    def to_dict(self) -> dict[str, float | int | None]:
        """Plain values; None where no missed push was followed by a kept one."""
        return {
            "missed": len(self),
            "never": self.never,
            "median_runs": self.median_runs,
            "worst_runs": self.worst_runs,
            "median_hours": self.median_hours,
            "worst_hours": self.worst_hours,
        }


def push_delays(dataset: Dataset, skipped: BoolArray) -> PushDelays:
    """How much later every missed push came.

    Args:
      dataset: the graphlets.
      skipped: which of its rows are skipped, bool [n].

    Raises:
      InvalidArgumentError: ``skipped`` has another length.
    """
    if len(skipped) != len(dataset):
        raise InvalidArgumentError(
            "skipped", len(skipped), f"its length must be {len(dataset)}, one per row"
        )
    order, group = dataset.time_order, dataset.lane
    order = order[np.argsort(group[order], kind="stable")]
    lost = dataset.missed_pushes(skipped)[order]
    kept = np.flatnonzero(dataset.pushed[order] & ~lost)
    missed = np.flatnonzero(lost)
    runs, hours = np.full(len(missed), np.nan), np.full(len(missed), np.nan)
    following = np.searchsorted(kept, missed)
    came = np.flatnonzero(following < len(kept))
    later = kept[following[came]]
    same = group[order[later]] == group[order[missed[came]]]
    came, later = came[same], later[same]
    runs[came] = later - missed[came]
    apart = dataset.known_ms[order[later]] - dataset.known_ms[order[missed[came]]]
    hours[came] = np.maximum(apart, 0) / HOUR_MS
    return PushDelays(order[missed], runs, hours)


def _median(values: FloatArray) -> float | None:
    came = values[~np.isnan(values)]
    return float(np.median(came)) if len(came) else None


def _worst(values: FloatArray) -> float | None:
    came = values[~np.isnan(values)]
    return float(came.max()) if len(came) else None
