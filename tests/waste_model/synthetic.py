"""Made-up histories: runs whose outcomes are declared, and features that tell of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from tfx_graphlets.features.table import Feature, FeatureColumn, FeatureKind, FeatureTable
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.trace import IntArray
from tfx_graphlets.vocabulary import ExecutionState, Stage
from tfx_graphlets.waste_model.dataset import Dataset

HOUR_MS = 3_600_000
GEN_MS, STATISTICS_MS, TRAINER_MS, EVALUATOR_MS, PUSHER_MS = 100, 200, 1000, 300, 50


def number(name: str, stage: Stage = Stage.PRE) -> Feature:
    """Declaration of a numeric feature."""
    return Feature(name, stage, FeatureKind.NUMBER, "1", "unknown", "made up")


def category(name: str, stage: Stage = Stage.PRE) -> Feature:
    """Declaration of a categorical feature."""
    return Feature(name, stage, FeatureKind.CATEGORY, "name", "unknown", "made up")


FEATURES = (
    number("made.signal"),
    number("made.noise"),
    number("made.rare"),
    category("made.kind"),
    category("made.empty"),
)


def graphlets_of(outcomes: str, pipeline: str = "taxi", start_ms: int = HOUR_MS) -> Graphlets:
    """One graphlet per letter, an hour apart: P pushed, U unpushed, F failed."""
    build = TraceBuilder(clock_ms=start_ms)
    for at, letter in enumerate(outcomes):
        build.clock_ms = start_ms + at * HOUR_MS
        run = f"run-{at}"
        examples = build.artifact("Examples", span=at)
        build.execution(
            "CsvExampleGen", outputs={"examples": [examples]}, run=run, pipeline=pipeline,
            duration_ms=GEN_MS,
        )  # fmt: skip
        statistics = build.artifact("ExampleStatistics")
        build.execution(
            "StatisticsGen", inputs={"examples": [examples]}, outputs={"statistics": [statistics]},
            run=run, pipeline=pipeline, duration_ms=STATISTICS_MS,
        )  # fmt: skip
        if letter == "F":
            build.execution(
                "Trainer", inputs={"examples": [examples]}, run=run, pipeline=pipeline,
                duration_ms=TRAINER_MS, state=ExecutionState.FAILED,
            )  # fmt: skip
            continue
        model = build.artifact("Model")
        build.execution(
            "Trainer", inputs={"examples": [examples]}, outputs={"model": [model]}, run=run,
            pipeline=pipeline, duration_ms=TRAINER_MS,
        )  # fmt: skip
        blessing = build.artifact("ModelBlessing", blessed=int(letter == "P"))
        build.execution(
            "Evaluator", inputs={"examples": [examples], "model": [model]},
            outputs={"blessing": [blessing]}, run=run, pipeline=pipeline, duration_ms=EVALUATOR_MS,
        )  # fmt: skip
        pushed = build.artifact("PushedModel", pushed=int(letter == "P"))
        build.execution(
            "Pusher", inputs={"model": [model], "model_blessing": [blessing]},
            outputs={"pushed_model": [pushed]}, run=run, pipeline=pipeline, duration_ms=PUSHER_MS,
        )  # fmt: skip
    return segment(build.trace())


def table_of(
    trainer: IntArray, pushed: Sequence[bool], strength: float, seed: int, stage: Stage = Stage.PRE
) -> FeatureTable:
    """Features of which ``made.signal`` tells of the outcome, with noise of variance 1."""
    draw = np.random.default_rng(seed)
    count = len(trainer)
    rare = draw.normal(size=count)
    rare[draw.random(count) < 0.7] = np.nan
    kinds = ("dnn", "linear", None)
    columns: dict[str, FeatureColumn] = {
        "made.signal": strength * np.asarray(pushed, float) + draw.normal(size=count),
        "made.noise": draw.normal(size=count),
        "made.rare": rare,
        "made.kind": tuple(kinds[at] for at in draw.integers(0, 3, count)),
        "made.empty": (None,) * count,
    }
    return FeatureTable(stage, trainer, FEATURES, columns)


def history(
    outcomes: str, *, strength: float = 3.0, seed: int = 0, store: str = "store",
    pipeline: str = "taxi", start_ms: int = HOUR_MS, stage: Stage = Stage.PRE,
) -> Dataset:  # fmt: skip
    """A dataset of one pipeline, a letter of ``outcomes`` for each run."""
    graphlets = graphlets_of(outcomes, pipeline, start_ms)
    pushed = [letter == "P" for letter in outcomes]
    table = table_of(graphlets.trainer_id, pushed, strength, seed, stage)
    dataset = Dataset.from_graphlets(graphlets, table, store)
    return dataclasses.replace(dataset, describers={store: Unmoved(table)})


class Unmoved:
    """Describes graphlets alike whatever was skipped, and remembers what that was."""

    def __init__(self, table: FeatureTable) -> None:
        self.table = table
        self.skipped: list[int] = []

    def describe(
        self, *, rows: IntArray | None = None, moment_ms: IntArray | None = None
    ) -> FeatureTable:
        """See Redescribes."""
        del moment_ms
        return self.table if rows is None else self.table.take(rows)

    def skip(self, graphlet: int, spared: IntArray) -> None:
        """See Redescribes."""
        del spared
        self.skipped.append(graphlet)

    def run(self, graphlet: int) -> None:
        """See Redescribes."""

    def reset(self) -> None:
        """See Redescribes."""
        self.skipped = []


def coin_flips(count: int, seed: int, push_rate: float = 0.6) -> str:
    """Outcomes drawn at random, P or U."""
    draw = np.random.default_rng(seed).random(count)
    return "".join("P" if value < push_rate else "U" for value in draw)
