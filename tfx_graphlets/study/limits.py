"""What limits the model: too few pipelines, too few graphlets, or no signal at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from tfx_graphlets.study.harness import LEFT_OUT, MIN_ROWS, OWN, Harness, Scored
from tfx_graphlets.study.learners import Learner
from tfx_graphlets.study.measures import measure
from tfx_graphlets.study.staged import best_point, meter_of
from tfx_graphlets.trace.trace import FloatArray, IntArray
from tfx_graphlets.waste_model import metrics
from tfx_graphlets.waste_model.metrics import NAN, WasteMeter

FRESHNESS = 0.95
_SIZES = 4


@dataclasses.dataclass(frozen=True)
class LearningPoint:
    """What is learnt from so much.

    Attributes:
      stage: the stage.
      of: ``pipelines`` or ``graphlets``: what the size counts.
      size: how many were learnt from, at random among the other pipelines.
      repeats: number of random choices; 1 where all are taken.
      auc, auc_spread: over all graphlets: mean and standard deviation over
        repeats; the spread is NaN with one.
      waste_removed, waste_removed_spread: at freshness 0.95, seen afterwards.
    """

    stage: str
    of: str
    size: int
    repeats: int
    auc: float
    auc_spread: float
    waste_removed: float
    waste_removed_spread: float


@dataclasses.dataclass(frozen=True)
class ShuffledLabels:
    """The harness with labels that mean nothing.

    Attributes:
      stage, way: what was scored.
      permutations: number of them; labels are permuted within each pipeline.
      balanced_accuracy, balanced_accuracy_spread: mean and standard deviation
        over permutations of the mean over pipelines; 0.5 is guessing.
      auc, auc_spread: the same of AUC.
    """

    stage: str
    way: str
    permutations: int
    balanced_accuracy: float
    balanced_accuracy_spread: float
    auc: float
    auc_spread: float


def learning_curve(
    harness: Harness, learner: Learner, repeats: int, seed: int = 0
) -> tuple[LearningPoint, ...]:
    """AUC and waste removed against the number of pipelines and of graphlets learnt from.

    Each pipeline is scored by what was learnt from a random choice of the
    others'. Empty where no pipeline can be left out.

    Args:
      harness: scores of one stage.
      learner: what learns.
      repeats: random choices per size.
      seed: of the choices.
    """
    if harness.folds < 2:
        return ()
    dataset = harness.dataset
    group, meter = dataset.group, meter_of(dataset)
    outside = [np.flatnonzero(harness.fold != fold) for fold in range(harness.folds)]
    pipelines = min(len(np.unique(group[rows])) for rows in outside)
    graphlets = min(len(rows) for rows in outside)
    points = []
    for of, most, least in (("pipelines", pipelines, 1), ("graphlets", graphlets, 2 * MIN_ROWS)):
        for size in _sizes(least, most):
            times = 1 if size == most else repeats
            draw = np.random.default_rng([seed, size])
            figures = [
                _learnt_from(harness, learner, meter, of, size, draw if size < most else None)
                for _ in range(times)
            ]
            auc, removed = np.array(figures).T
            points.append(
                LearningPoint(
                    str(dataset.stage),
                    of,
                    size,
                    times,
                    *_mean_and_spread(auc),
                    *_mean_and_spread(removed),
                )
            )
    return tuple(points)


def _learnt_from(
    harness: Harness,
    learner: Learner,
    meter: WasteMeter | None,
    of: str,
    size: int,
    draw: np.random.Generator | None,
) -> tuple[float, float]:
    """AUC and waste removed; without ``draw`` from all there is."""
    dataset, table = harness.dataset, harness.dataset.table
    scored = Scored.empty(len(dataset))
    for fold in np.unique(harness.fold):
        known = np.flatnonzero(harness.fold != fold).astype(np.int64)
        rows = np.flatnonzero(harness.fold == fold).astype(np.int64)
        if draw is not None:
            known = _choice(known, dataset.group[known], of, size, draw)
        scored.score[rows] = harness.score_rows(learner, table, known, rows)
    at = scored.known
    auc = metrics.area_under_curve(dataset.needed[at], scored.score[at])
    return auc, best_point(dataset, scored, meter, FRESHNESS).waste_removed


def _choice(
    known: IntArray, group: IntArray, of: str, size: int, draw: np.random.Generator
) -> IntArray:
    if of == "pipelines":
        return known[np.isin(group, draw.choice(np.unique(group), size, replace=False))]
    return np.sort(draw.choice(known, size, replace=False))


def _sizes(least: int, most: int) -> Iterator[int]:
    """At most _SIZES sizes between two, about equally far apart in ratio."""
    if most < least:
        return
    spaced = np.geomspace(least, most, _SIZES).round().astype(int)
    yield from np.unique([*spaced, most]).tolist()


def shuffled_labels(
    harness: Harness, learner: Learner, permutations: int, way: str = LEFT_OUT, seed: int = 0
) -> ShuffledLabels | None:
    """The same harness on labels permuted within each pipeline.

    It shows whether the harness lets labels through: a cut chosen on the test
    side, a row on both sides. The features stay what they were; that these
    know nothing of their own graphlet's outcome is another test's business.

    In the way ``own`` a little less than 0.5 is to be expected: of labels that
    are permuted, those that came early are missing later.

    Args:
      harness: scores of one stage.
      learner: what learns.
      permutations: how many.
      way: ``left_out`` or ``own``.
      seed: of the permutations.

    Returns:
      None where no row can be scored.
    """
    if way not in (LEFT_OUT, OWN):
        raise ValueError(way)
    dataset = harness.dataset
    draw = np.random.default_rng([seed, 1])
    accuracy, auc = [], []
    for _ in range(permutations):
        outcome, needed_ms = dataset.outcome.copy(), dataset.since_needed_ms.copy()
        for number in np.unique(dataset.group):
            mine = np.flatnonzero(dataset.group == number)
            mixed = draw.permutation(mine)
            outcome[mine], needed_ms[mine] = outcome[mixed], needed_ms[mixed]
        shuffled = Harness(dataclasses.replace(dataset, outcome=outcome, needed_ms=needed_ms), seed)
        scored = shuffled.scores(way, learner)
        if not len(scored.known):
            return None
        measures = measure(shuffled.dataset, scored, scored.known, seed)
        accuracy.append(measures.balanced_accuracy_within)
        auc.append(measures.auc_within)
    return ShuffledLabels(
        str(dataset.stage),
        way,
        permutations,
        *_mean_and_spread(np.array(accuracy)),
        *_mean_and_spread(np.array(auc)),
    )


def _mean_and_spread(values: FloatArray) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    if not len(known):
        return NAN, NAN
    return float(known.mean()), float(known.std(ddof=1)) if len(known) > 1 else NAN
