"""Activity over time, how pipelines differ, and what gates did, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from tfx_graphlets.analysis.statistics import DAY_MS, HOUR_MS, Described
from tfx_graphlets.analysis.tables import Cell, Column, Table, made, share, stretches
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.vocabulary import Outcome

_SHOWN: Final = (
    Outcome.PUSHED,
    Outcome.UNPUSHED,
    Outcome.FAILED,
    Outcome.RETRIED,
    Outcome.INCOMPLETE,
)


def activity(sources: Sequence[Described]) -> Table:
    """How many graphlets began in each day or month, and what became of them."""
    start = np.concatenate(
        [
            one.graphlets.trace.executions.create_ms[one.graphlets.trainer[one.numbers]]
            for one in sources
        ]
    )
    outcome = np.concatenate([one.graphlets.outcome[one.numbers] for one in sources])
    offset, parts = 0, []
    for one in sources:
        parts.append(one.graphlets.pipeline[one.numbers] + 1 + offset)
        offset += len(one.graphlets.trace.contexts) + 1
    pipeline = np.concatenate(parts)
    number, names, unit = stretches(start)
    counts = {
        one: np.bincount(number[outcome == one], minlength=len(names)).tolist() for one in _SHOWN
    }
    pairs = np.unique(np.stack([number, pipeline]), axis=1)
    active = np.bincount(pairs[0], minlength=len(names)).tolist()
    rows: list[list[Cell]] = []
    for at, name in enumerate(names):
        pushed, unpushed = counts[Outcome.PUSHED][at], counts[Outcome.UNPUSHED][at]
        rows.append(
            [
                name,
                active[at],
                sum(found[at] for found in counts.values()),
                *(counts[one][at] for one in _SHOWN),
                share(pushed, pushed + unpushed),
            ]
        )
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
            Column("push_rate", "Push rate", "share", "Pushed among pushed and unpushed."),
        ],
        rows,
    )


def over_pipelines(sources: Sequence[Described]) -> Table:
    """How lifespans, rates of training and of pushes differ between pipelines, as quantiles."""
    found: dict[str, list[float]] = {title: [] for title, _, _ in _OF_PIPELINES}
    for one in sources:
        graphlets = one.graphlets
        start = graphlets.trace.executions.create_ms[graphlets.trainer]
        end = graphlets.end_ms
        for numbers in one.by_pipeline().values():
            times = start[numbers][start[numbers] > 0]
            days = float(times.max() - times.min()) / DAY_MS if len(times) else float("nan")
            pushed = np.flatnonzero(graphlets.pushed[numbers])
            labelled = int(graphlets.labelled[numbers].sum())
            values = (
                float(len(numbers)),
                days,
                len(numbers) / days if days >= 1 else float("nan"),
                len(pushed) / labelled if labelled else float("nan"),
                _median(np.diff(pushed)),
                _median(np.diff(end[numbers][pushed]) / HOUR_MS),
            )
            for (title, _, _), value in zip(_OF_PIPELINES, values):
                found[title].append(value)
    rows: list[list[Cell]] = []
    for title, unit, definition in _OF_PIPELINES:
        there = np.array([value for value in found[title] if value == value])  # noqa: PLR0124
        quantiles: list[Cell] = [None] * (len(_QUANTILES) + 1)
        if len(there):
            at = [share for share, _ in _QUANTILES]
            quantiles = [float(there.mean()), *np.quantile(there, at).tolist()]
        rows.append([title, unit, definition, len(there), *quantiles])
    return made(
        "over_pipelines",
        "How pipelines differ",
        "A row is a measure over all pipelines.",
        [
            Column("measure", "Measure", "name", "What is measured of each pipeline."),
            Column("unit", "Unit", "name", "Of the row's values."),
            Column("definition", "Definition", "name", "What the measure is."),
            Column("known", "Known", "count", "Pipelines of which it is known."),
            Column("mean", "Mean", "as the row", "Over these pipelines."),
            *(
                Column(
                    f"q{round(share * 100)}",
                    title,
                    "as the row",
                    f"{share:.0%} of these pipelines are at most this.",
                )
                for share, title in _QUANTILES
            ),
        ],
        rows,
    )


_OF_PIPELINES: Final = (
    ("Graphlets", "count", "Trainings that were no cache hits."),
    ("Lifespan", "days", "From the first training to the last."),
    ("Models per day", "per day", "Graphlets by lifespan; not known for less than a day."),
    ("Push rate", "share", "Pushed among pushed and unpushed graphlets."),
    ("Graphlets between pushes", "count", "Median number from one push to the next."),
    ("Hours between pushes", "hours", "Median time from one push to the next."),
)
_QUANTILES: Final = (
    (0.0, "Least"),
    (0.1, "10 %"),
    (0.25, "25 %"),
    (0.5, "Median"),
    (0.75, "75 %"),
    (0.9, "90 %"),
    (1.0, "Most"),
)


def _median(values: FloatArray) -> float:
    return float(np.median(values)) if len(values) else float("nan")


def gates_table(gates: Sequence[Mapping[str, Any]]) -> Table:
    """What each gate saved, what it cost, what it promised and what it kept.

    Args:
      gates: of each the values of ``monitor.report.GateReport.to_dict``, with
        its ``store`` and ``cost_ms``, the cost of its pipeline's own nodes.
    """
    rows: list[list[Cell]] = []
    for gate in gates:
        kept = gate["freshness"] or {"value": None, "low": None, "high": None}
        savings = gate["savings"]
        rows.append(
            [
                gate["store"],
                gate["pipeline"],
                gate["stage"],
                gate["gate"],
                gate["decisions"],
                gate["skips"],
                gate["explored"],
                gate["failed_open"],
                savings["saved_ms"],
                savings["waste_removed"],
                gate["cost_ms"],
                gate["target"],
                kept["value"],
                kept["low"],
                kept["high"],
            ]
        )
    return made(
        "gates",
        "Gates",
        "A row is a gate: a node of a pipeline at a stage.",
        [
            Column("store", "Store", "name", "Where it is recorded."),
            Column("pipeline", "Pipeline", "name", "Pipeline context of the gate."),
            Column("stage", "Stage", "name", "Where the gate stands."),
            Column("gate", "Gate", "name", "Id of its node."),
            Column("decisions", "Decisions", "count", "That it took."),
            Column("skips", "Skips", "count", "Runs that it did not let train."),
            Column("explored", "Explored", "count", "Runs that it let train only to explore."),
            Column("failed_open", "Failed open", "count", "Runs that it let train as it broke."),
            Column(
                "saved_ms",
                "Saved",
                "ms",
                "What the skipped runs would have cost behind it, by the mean of earlier ones.",
            ),
            Column(
                "waste_removed", "Waste removed", "share", "Saved waste, of wasted and saved waste."
            ),
            Column(
                "cost_ms",
                "Cost of gates",
                "ms",
                "Of the pipeline's nodes that belong to this project: gates, rehearsals.",
            ),
            Column("promised", "Promised", "share", "Share of pushes that it promised to keep."),
            Column("kept", "Kept", "share", "Share of pushes that it kept, an estimate."),
            Column("kept_low", "Kept, low", "share", "Lower end of its interval."),
            Column("kept_high", "Kept, high", "share", "Upper end of its interval."),
        ],
        rows,
    )
