"""The four staged models: what a gate knows at each stage, and what it can save there."""

from __future__ import annotations

import dataclasses

import numpy as np

from tfx_graphlets.graphlets import outcome
from tfx_graphlets.study.harness import Harness, Scored
from tfx_graphlets.study.learners import Learner
from tfx_graphlets.study.measures import Measures, measure
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.evaluation import CurvePoint
from tfx_graphlets.waste_model.metrics import NAN, WasteMeter

_ROUNDING = 1e-9


@dataclasses.dataclass(frozen=True)
class StagedModel:
    """One stage's model.

    Source: section 5 of Xin et al.

    Attributes:
      stage: the stage.
      way: how it learnt, ``left_out`` where there are other pipelines.
      features: number of its features.
      measures: of its scores.
      relative_feature_cost: share of a graphlet's cost that has been spent
        when the gate decides, mean over graphlets that cost anything, 0..1;
        NaN where executions are not at hand.
      waste_removable: the most that any gate at the stage can remove, 0..1.
      removed_at_95, removed_at_99: waste removed with the threshold that,
        seen afterwards, keeps that share of the pushes, 0..1. No gate knows
        it beforehand: for what one achieves see ``backtest``.
      curve: freshness against waste, by ascending threshold.
    """

    stage: str
    way: str
    features: int
    measures: Measures
    relative_feature_cost: float
    waste_removable: float
    removed_at_95: float
    removed_at_99: float
    curve: tuple[CurvePoint, ...]


def staged_model(harness: Harness, learner: Learner, way: str, seed: int = 0) -> StagedModel | None:
    """The model of the harness's stage; None where no row is scored."""
    dataset, scored = harness.dataset, harness.scores(way, learner)
    rows = scored.known
    if not len(rows):
        return None
    meter = meter_of(dataset)
    curve = waste_curve(dataset, scored, meter)
    return StagedModel(
        stage=str(dataset.stage),
        way=way,
        features=len(dataset.table.features),
        measures=measure(dataset, scored, rows, seed),
        relative_feature_cost=relative_feature_cost(dataset),
        waste_removable=meter.removable if meter else NAN,
        removed_at_95=best_point(dataset, scored, meter, 0.95).waste_removed,
        removed_at_99=best_point(dataset, scored, meter, 0.99).waste_removed,
        curve=curve,
    )


def meter_of(dataset: Dataset) -> WasteMeter | None:
    """Counts waste over the dataset's stores; None where executions are not at hand."""
    return WasteMeter(dataset.sources, dataset.stage) if dataset.sources else None


def waste_curve(
    dataset: Dataset, scored: Scored, meter: WasteMeter | None
) -> tuple[CurvePoint, ...]:
    """What every threshold that matters does.

    Between two scores of pushed graphlets the highest threshold skips most at
    the same freshness: these are the points, and one that skips everything.
    A graphlet that is not scored runs.
    """
    rows = scored.known
    pushed_scores = scored.score[rows][dataset.needed[rows]]
    thresholds = [0.0, *np.unique(pushed_scores).tolist(), float("inf")]
    return tuple(_point(dataset, scored, meter, threshold) for threshold in thresholds)


def best_point(
    dataset: Dataset, scored: Scored, meter: WasteMeter | None, freshness: float
) -> CurvePoint:
    """The point of ``waste_curve`` that skips most and keeps at least a freshness."""
    rows = scored.known
    pushed_scores = np.sort(scored.score[rows][dataset.needed[rows]])
    may_miss = int(np.floor((1 - freshness) * len(pushed_scores) + _ROUNDING))
    threshold = pushed_scores[may_miss] if may_miss < len(pushed_scores) else float("inf")
    return _point(dataset, scored, meter, float(threshold))


def _point(
    dataset: Dataset, scored: Scored, meter: WasteMeter | None, threshold: float
) -> CurvePoint:
    skipped = scored.score < threshold  # false where there is no score
    known = ~np.isnan(scored.score)
    pushes = int((dataset.pushed & known).sum())
    missed = int(dataset.missed_pushes(skipped).sum())
    return CurvePoint(
        threshold=min(threshold, 1.0),
        skipped=float(skipped[known].mean()) if known.any() else 0.0,
        freshness=1 - missed / pushes if pushes else NAN,
        waste_removed=meter.removed(dataset.skips_by_store(skipped)) if meter else NAN,
    )


def relative_feature_cost(dataset: Dataset) -> float:
    """Share of a labelled graphlet's cost that runs before the gate, mean over graphlets."""
    shares = []
    for name, graphlets in dataset.sources.items():
        mine = np.array([store == name for store in dataset.store], bool)
        chosen = np.isin(graphlets.trainer_id, dataset.table.trainer[mine & dataset.labelled])
        members, index = graphlets.executions.rows(), graphlets.executions.index
        cost = graphlets.cost[index]
        before = ~outcome.after_the_gate(graphlets, dataset.stage)
        whole = np.bincount(members, weights=cost, minlength=len(graphlets))
        spent = np.bincount(members, weights=cost * before, minlength=len(graphlets))
        counted = chosen & (whole > 0)
        shares.append(spent[counted] / whole[counted])
    together = np.concatenate(shares) if shares else np.zeros(0)
    return float(together.mean()) if len(together) else NAN
