"""What a gate would have saved: a backtest that is bounded in time."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from tfx_graphlets.analysis.tables import known
from tfx_graphlets.backtest.backtest import backtest
from tfx_graphlets.features import Describer
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.policy.decide import GatePolicy
from tfx_graphlets.trace.trace import IntArray
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.learner import LearnerSettings

MOST_GRAPHLETS: Final = 800  # of the pipelines that waste most
FEWEST_OF_ONE: Final = 200  # of a pipeline that is replayed, where it has as many
FEWEST_LABELLED: Final = 20  # with fewer nothing is asked: no gate would have begun to skip
CURVE: Final = (0.9, 0.95, 0.99)
_TRAININGS: Final = 12
_FOREST: Final = LearnerSettings(trees=60)


@dataclasses.dataclass(frozen=True)
class WouldSave:
    """What a gate would have saved in the replayed graphlets.

    Attributes:
      stage: where it would have stood.
      freshness: share of pushes that it would have promised to keep, 0..1.
      graphlets, pushes: replayed.
      skipped, pushes_missed: of these.
      waste_removed: share of the waste of the replayed graphlets, 0..1; None
        where nothing is wasted. An execution that graphlets share is split
        evenly among them.
      low, high: its 95 % interval (bootstrap over pipelines and blocks of
        time); None where none was drawn.
      waste_removable: the same for an oracle.
      saved_ms: cost saved, milliseconds.
      curve: freshness, waste removed and pushes missed at each of CURVE and at
        ``freshness``, ascending.
    """

    stage: str
    freshness: float
    graphlets: int
    pushes: int
    skipped: int
    pushes_missed: int
    waste_removed: float | None
    low: float | None
    high: float | None
    waste_removable: float | None
    saved_ms: float
    curve: tuple[tuple[float, float | None, int], ...]


def would_save(
    dataset: Dataset,
    freshness: float,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> WouldSave | None:
    """Replays a gate over graphlets that know of nothing but each other, censored.

    The forest is smaller and trained anew less often than that of a live gate
    (``_TRAININGS`` times), so that the answer comes within minutes; `backtest`
    gives the full one.

    Args:
      dataset: described graphlets of one stage, at most MOST_GRAPHLETS of them.
      freshness: to promise, 0..1.
      seed: of all randomness.
      progress: called with the number of decisions taken and to take.

    Returns:
      None where too few graphlets are labelled, or none was pushed or unpushed.
    """
    labelled = int(dataset.labelled.sum())
    pushed = int(dataset.pushed.sum())
    if labelled < FEWEST_LABELLED or not 0 < pushed < labelled:
        return None
    asked = sorted({*CURVE, freshness})
    done = 0
    found = {}
    for target in asked:

        def report(count: int, total: int, before: int = done) -> None:
            if progress is not None:
                progress(before + count, total * len(asked))

        found[target] = backtest(
            dataset,
            GatePolicy(freshness=target),
            settings=_FOREST,
            seed=seed,
            retrain_every=max(1, math.ceil(labelled / _TRAININGS)),
            draws=500 if target == freshness else 0,
            progress=report,
        )
        done += len(dataset)
    chosen = found[freshness]
    interval = None if chosen.gate.intervals is None else chosen.gate.intervals.waste_removed_of_own
    return WouldSave(
        stage=str(dataset.stage),
        freshness=freshness,
        graphlets=len(dataset),
        pushes=pushed,
        skipped=chosen.gate.skipped,
        pushes_missed=chosen.gate.pushes_missed,
        waste_removed=_number(chosen.gate.waste_removed_of_own),
        low=None if interval is None else _number(interval[0]),
        high=None if interval is None else _number(interval[1]),
        waste_removable=_number(chosen.gate.waste_removable_of_own),
        saved_ms=chosen.gate.cost_saved_ms,
        curve=tuple(
            (target, _number(one.gate.waste_removed_of_own), one.gate.pushes_missed)
            for target, one in found.items()
        ),
    )


def replayable(
    graphlets: Graphlets, numbers: IntArray, stage: Stage, payloads: Payloads, store: str
) -> Dataset:
    """Some graphlets of a store as a dataset that can be replayed; no others are described.

    Args:
      graphlets: of the store.
      numbers: int64 [k], ascending, those that are wanted.
      stage: where the gate would have stood.
      payloads: files of the store.
      store: its name.
    """
    describer = Describer(graphlets, stage, payloads=payloads)
    table = describer.describe(rows=numbers)
    dataset = Dataset.from_graphlets(graphlets, table, store, rows=numbers)
    return dataclasses.replace(dataset, describers={store: describer})


def _number(value: float) -> float | None:
    plain = known(value)
    return None if plain is None else float(plain)


def most_wasteful(waste: Sequence[float], graphlets: Sequence[int]) -> dict[int, int]:
    """Which pipelines are replayed: those that waste most, MOST_GRAPHLETS graphlets together.

    Of one pipeline at most its share of MOST_GRAPHLETS counts, or FEWEST_OF_ONE where that
    is more: a corpus is not judged by a single pipeline.

    >>> most_wasteful([1.0, 3.0], [500, 20])
    {0: 400, 1: 20}

    Args:
      waste, graphlets: of each pipeline.

    Returns: number of each chosen pipeline, ascending, and how many of its latest graphlets.
    """
    most = max(FEWEST_OF_ONE, MOST_GRAPHLETS // max(len(waste), 1))
    left = MOST_GRAPHLETS
    chosen: dict[int, int] = {}
    for at in np.argsort(-np.asarray(waste, np.float64), kind="stable").tolist():
        count = min(graphlets[at], most)
        if waste[at] > 0 and count <= left:
            chosen[at] = count
            left -= count
    return dict(sorted(chosen.items()))


STAGE: Final = Stage.PRE  # asked by default
