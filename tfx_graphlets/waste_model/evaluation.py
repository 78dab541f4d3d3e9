"""Evaluation of a waste model on labelled graphlets that it has not seen."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_graphlets.errors import NotEnoughHistoryError
from tfx_graphlets.trace.trace import BoolArray, FloatArray
from tfx_graphlets.waste_model import metrics
from tfx_graphlets.waste_model.calibration import balanced_cut
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.manifest import short_digests
from tfx_graphlets.waste_model.metrics import NAN, WasteMeter
from tfx_graphlets.waste_model.model import WasteModel

_CURVE_POINTS = 51
_RELIABILITY_BINS = 10


@dataclasses.dataclass(frozen=True)
class CurvePoint:
    """What a threshold does.

    Attributes:
      threshold: skip where the probability is below it.
      skipped: share of labelled graphlets that are skipped, 0..1.
      freshness: share of pushes that are kept, 0..1; NaN without pushes.
      waste_removed: share of all wasted cost that is saved; NaN where it is
        not known or nothing is wasted.
    """

    threshold: float
    skipped: float
    freshness: float
    waste_removed: float


@dataclasses.dataclass(frozen=True)
class ReliabilityBin:
    """How often graphlets of about one probability are pushed.

    Attributes:
      low, high: bounds of the probability, ``low`` included.
      graphlets: how many fall in.
      mean_probability, push_rate: of these, 0..1.
    """

    low: float
    high: float
    graphlets: int
    mean_probability: float
    push_rate: float


@dataclasses.dataclass(frozen=True)
class WasteModelEvaluation:
    """How well a model tells pushed graphlets from unpushed ones.

    Attributes:
      stage: the model's stage.
      graphlets, pushed, unpushed: numbers of labelled graphlets.
      cut: probability from which a push is predicted for balanced accuracy.
      balanced_accuracy: at that cut, 0..1; 0.5 is guessing.
      auc: probability that a push scores above a non-push, 0..1.
      brier: mean squared error of the probability, 0..1.
      at_threshold: what the model's own threshold does; None: it has none.
      waste_removable: the most that any gate at this stage can remove, 0..1.
      curve: freshness against waste, by ascending threshold.
      reliability: non-empty bins of equal width.
      notes: what to keep in mind when reading the figures.
    """

    stage: str
    graphlets: int
    pushed: int
    unpushed: int
    cut: float
    balanced_accuracy: float
    auc: float
    brier: float
    at_threshold: CurvePoint | None
    waste_removable: float
    curve: tuple[CurvePoint, ...]
    reliability: tuple[ReliabilityBin, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        """Plain values; NaN as None."""
        return metrics.plain(dataclasses.asdict(self))

    def __str__(self) -> str:
        headline = (
            f"Stage {self.stage}: {self.graphlets} graphlets, {self.pushed} pushed, "
            f"{self.unpushed} unpushed"
        )
        measures = (
            f"  balanced accuracy {self.balanced_accuracy:.3f} (a push from {self.cut:.3f} on), "
            f"AUC {self.auc:.3f}, Brier {self.brier:.3f}"
        )
        lines = [headline, measures]
        if self.at_threshold is None:
            lines.append("  no threshold: the gate would never skip")
        else:
            point = self.at_threshold
            lines.append(
                f"  below {point.threshold:.3f}: skips {point.skipped:.0%}, freshness "
                f"{point.freshness:.3f}, waste removed {point.waste_removed:.3f} of "
                f"{self.waste_removable:.3f} removable"
            )
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def evaluate_model(model: WasteModel, dataset: Dataset) -> WasteModelEvaluation:
    """Tests a model on graphlets.

    Args:
      model: the model.
      dataset: graphlets described for the model's stage; those neither pushed
        nor unpushed are left out, and count as run.

    Returns:
      The evaluation. It is only as honest as the choice of the graphlets: for
      decisions in the order of time use ``backtest``.

    Raises:
      NotEnoughHistoryError: no graphlet is labelled.
      InvalidArgumentError: the dataset is of another stage.
    """
    labelled = dataset.only_labelled()
    if not len(labelled):
        raise NotEnoughHistoryError(
            f"none of the {len(dataset)} graphlets is labelled; nothing can be evaluated", 0, 0
        )
    score = model.predict(labelled.table)
    notes = []
    trained_on = set(model.manifest.training.rows)
    seen = sum(digest in trained_on for digest in short_digests(labelled.row_digests()))
    if seen:
        notes.append(
            f"the model was trained on {seen} of these {len(labelled)} graphlets: the figures "
            "flatter it"
        )
    if not labelled.sources:
        notes.append("the graphlets' executions are not at hand: waste is not counted")
    kept, lost = model.manifest.pushed_scores, model.manifest.unpushed_scores
    # From the model's own out-of-sample scores: these graphlets have no say in it.
    cut = balanced_cut(np.arange(len(kept) + len(lost)) < len(kept), np.array([*kept, *lost]))
    threshold = model.threshold.threshold
    return evaluate_scores(labelled, score, threshold, notes=tuple(notes), cut=cut)


def evaluate_scores(
    labelled: Dataset,
    score: FloatArray,
    threshold: float | None,
    notes: tuple[str, ...] = (),
    cut: float = 0.5,
) -> WasteModelEvaluation:
    """The evaluation of given probabilities.

    Args:
      labelled: graphlets that are pushed or unpushed [n].
      score: their probabilities of a push, float64 [n].
      threshold: below which the gate skips; None: it never does.
      notes: go into the evaluation.
      cut: probability from which a push is predicted for balanced accuracy;
        not to be chosen on these graphlets.
    """
    needed = labelled.needed
    meter = WasteMeter(labelled.sources, labelled.stage) if labelled.sources else None
    points = np.quantile(score, np.linspace(0, 1, _CURVE_POINTS)) if len(score) else np.zeros(0)
    thresholds = [*np.unique(points).tolist(), 1.0 + 1e-9]
    return WasteModelEvaluation(
        stage=str(labelled.stage),
        graphlets=len(labelled),
        pushed=int(labelled.pushed.sum()),
        unpushed=int(labelled.unpushed.sum()),
        cut=cut,
        balanced_accuracy=metrics.balanced_accuracy(needed, score >= cut),
        auc=metrics.area_under_curve(needed, score),
        brier=metrics.brier_score(needed, score),
        at_threshold=None if threshold is None else _point(labelled, score, threshold, meter),
        waste_removable=NAN if meter is None else meter.removable,
        curve=tuple(_point(labelled, score, at, meter) for at in thresholds),
        reliability=_reliability(needed, score),
        notes=notes,
    )


def _point(
    labelled: Dataset, score: FloatArray, threshold: float, meter: WasteMeter | None
) -> CurvePoint:
    skipped = score < threshold
    pushes = int(labelled.pushed.sum())
    kept = pushes - int(labelled.missed_pushes(skipped).sum())
    return CurvePoint(
        threshold=min(threshold, 1.0),
        skipped=float(skipped.mean()) if len(skipped) else 0.0,
        freshness=kept / pushes if pushes else NAN,
        waste_removed=NAN if meter is None else meter.removed(labelled.skips_by_store(skipped)),
    )


def _reliability(pushed: BoolArray, score: FloatArray) -> tuple[ReliabilityBin, ...]:
    number = np.minimum((score * _RELIABILITY_BINS).astype(int), _RELIABILITY_BINS - 1)
    bins = []
    for at in np.unique(number):
        inside = number == at
        bins.append(
            ReliabilityBin(
                low=float(at / _RELIABILITY_BINS),
                high=float((at + 1) / _RELIABILITY_BINS),
                graphlets=int(inside.sum()),
                mean_probability=float(score[inside].mean()),
                push_rate=float(pushed[inside].mean()),
            )
        )
    return tuple(bins)
