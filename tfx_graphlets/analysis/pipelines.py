"""Pipelines: how long they live, how often they train and push, and when."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from tfx_graphlets.analysis.described import Described, joined
from tfx_graphlets.analysis.tables import (
    PIPELINE,
    PUSH_RATE,
    STORE,
    Cell,
    Column,
    Measure,
    Table,
    made,
    share,
    spread,
    stretches,
)
from tfx_graphlets.trace.trace import IntArray
from tfx_graphlets.vocabulary import DAY_MS, HOUR_MS, Outcome

_SHOWN: Final = (
    Outcome.PUSHED,
    Outcome.UNPUSHED,
    Outcome.FAILED,
    Outcome.RETRIED,
    Outcome.INCOMPLETE,
)


def pipeline_tables(sources: Sequence[Described]) -> tuple[Table, ...]:
    """Pipelines, their pushes, how they differ, and their activity over time."""
    lives = [
        _Life.of(one, name, numbers)
        for one in sources
        for name, numbers in one.by_pipeline().items()
    ]
    return _pipelines(lives), _pushes(lives), _differences(lives), activity(sources)


@dataclasses.dataclass(frozen=True)
class _Life:
    """One pipeline in figures; NaN where not known."""

    store: str
    pipeline: str
    graphlets: int
    lifespan_days: float
    models_per_day: float
    active_days: int
    pushes: int
    push_rate: float
    graphlets_between: float
    hours_between: float
    since: float

    @classmethod
    def of(cls, one: Described, name: str, numbers: IntArray) -> _Life:
        """Of the graphlets with these numbers, int64 [k], ascending."""
        graphlets = one.graphlets
        start = graphlets.trace.executions.create_ms[graphlets.trainer[numbers]]
        start = start[start > 0]
        days = float(start.max() - start.min()) / DAY_MS if len(start) else math.nan
        pushed = np.flatnonzero(graphlets.pushed[numbers])
        labelled = int(graphlets.labelled[numbers].sum())
        between = np.diff(pushed)
        hours = np.diff(one.end_ms[numbers[pushed]]) / HOUR_MS
        return cls(
            store=one.store,
            pipeline=name,
            graphlets=len(numbers),
            lifespan_days=days,
            models_per_day=len(numbers) / days if days >= 1 else math.nan,
            active_days=len(np.unique(start // DAY_MS)),
            pushes=len(pushed),
            push_rate=len(pushed) / labelled if labelled else math.nan,
            graphlets_between=float(np.median(between)) if len(between) else math.nan,
            hours_between=float(np.median(hours)) if len(hours) else math.nan,
            since=len(numbers) - 1 - int(pushed[-1]) if len(pushed) else math.nan,
        )


_OF_EACH: Final = {
    "graphlets": ("Graphlets", "count", "Trainings that were no cache hits."),
    "lifespan_days": ("Lifespan", "days", "From the first training to the last."),
    "models_per_day": (
        "Models per day",
        "per day",
        "Graphlets by lifespan; not known for less than a day.",
    ),
    "active_days": ("Active days", "count", "Days (UTC) with a training."),
    "pushes": ("Pushes", "count", "Pushed graphlets."),
    "push_rate": ("Push rate", "share", "Pushed among pushed and unpushed graphlets."),
    "graphlets_between": (
        "Graphlets between pushes",
        "count",
        "Median number from one push to the next.",
    ),
    "hours_between": ("Hours between pushes", "hours", "Median time from one push to the next."),
    "since": ("Since the last push", "count", "Graphlets after it."),
}


def _pipelines(lives: Sequence[_Life]) -> Table:
    names = "graphlets", "lifespan_days", "models_per_day", "active_days", "push_rate"
    definition = "A row is a pipeline with at least one graphlet."
    return _of_lives("pipelines", "Pipelines", definition, lives, names)


def _pushes(lives: Sequence[_Life]) -> Table:
    names = "pushes", "push_rate", "graphlets_between", "hours_between", "since"
    return _of_lives("pushes", "Pushes", "A row is a pipeline.", lives, names)


def _of_lives(
    name: str, title: str, definition: str, lives: Sequence[_Life], names: Sequence[str]
) -> Table:
    return made(
        name,
        title,
        definition,
        [STORE, PIPELINE, *(Column(one, *_OF_EACH[one]) for one in names)],
        [[one.store, one.pipeline, *(getattr(one, key) for key in names)] for one in lives],
    )


def _differences(lives: Sequence[_Life]) -> Table:
    return spread(
        "over_pipelines",
        "How pipelines differ",
        "pipelines",
        [
            Measure(*words, np.array([getattr(one, key) for one in lives], np.float64))
            for key, words in _OF_EACH.items()
        ],
    )


def activity(sources: Sequence[Described]) -> Table:
    """How many graphlets began in each day or month, and what became of them."""
    start = joined(
        sources, lambda one: one.graphlets.trace.executions.create_ms[one.trainers]
    ).astype(np.int64)
    outcome = joined(sources, lambda one: one.graphlets.outcome[one.numbers])
    offset, parts = 0, []
    for one in sources:
        parts.append(one.graphlets.pipeline[one.numbers] + 1 + offset)
        offset += len(one.graphlets.trace.contexts) + 1
    number, names, unit = stretches(start)
    counts = {
        one: np.bincount(number[outcome == one], minlength=len(names)).tolist() for one in _SHOWN
    }
    pairs = np.unique(np.stack([number, np.concatenate(parts)]), axis=1)
    active = np.bincount(pairs[0], minlength=len(names)).tolist()
    rows: list[list[Cell]] = []
    for at, name in enumerate(names):
        found = [counts[one][at] for one in _SHOWN]
        pushed, unpushed, *_ = found
        rows.append([name, active[at], sum(found), *found, share(pushed, pushed + unpushed)])
    return made(
        "activity",
        "Activity over time",
        f"A row is a {unit.lower()} (UTC).",
        [
            Column("time", unit, "name", "In which the Trainer was created."),
            Column("pipelines", "Pipelines", "count", "That trained."),
            Column("graphlets", "Graphlets", "count", "Trainings that were no cache hits."),
            *(
                Column(str(one), str(one).capitalize(), "count", f"Graphlets that are {one}.")
                for one in _SHOWN
            ),
            PUSH_RATE,
        ],
        rows,
    )
