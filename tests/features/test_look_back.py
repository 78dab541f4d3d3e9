"""Rows and the graphlets before them: the same however many are looked at together."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.features.memory_payloads import metrics, statistics
from tests.features.runs import FAILED, OTHER_CODE, Runs
from tests.strategies import arbitrary_rows, deterministic, pipeline_rows
from tfx_graphlets.features import Describer, FeatureTable, look_back
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import IntArray
from tfx_graphlets.vocabulary import Stage

few = settings(deterministic, max_examples=15)


def some_runs(count: int = 12) -> Runs:
    """Runs with rolling windows, other code, a failure, and metrics of some."""
    runs, windows = Runs(), [()]
    for number in range(count):
        made = runs.run(
            span=number // 2, window=windows[-1], pushed=number % 3 == 0,
            code=OTHER_CODE if number in (4, 5, 9) else "a" * 64, steps=10 + number,
            blessed=number % 2 == 0, trainer_state=FAILED if number == 7 else 3,
            metrics=metrics(0.5 + number / 50, 0.6) if number % 4 else None,
            statistics=statistics(examples=90 + number, numbers={"x": (0.0, 1.0 + number, 2.0)}),
        )  # fmt: skip
        windows.append((made.examples,))
    return runs


def same(one: FeatureTable, other: FeatureTable) -> bool:
    """Whether two tables hold the same values, but for rounding."""
    pairs = [(one.columns[f.name], other.columns[f.name]) for f in one.features]
    return all(
        a == b if isinstance(a, tuple) else np.allclose(a, b, 1e-9, 1e-9, equal_nan=True)
        for a, b in pairs
    )


def one_by_one(describer: Describer, rows: IntArray) -> FeatureTable:
    """Each row described alone."""
    return FeatureTable.concatenate(
        [describer.describe(rows=rows[at : at + 1]) for at in range(len(rows))]
    )


def alone_as_together(graphlets: Graphlets, stage: Stage, choice: random.Random) -> None:
    """Rows alone are what they are together, before and after a gate skipped some."""
    describer = Describer(graphlets, stage)
    rows = np.arange(len(graphlets))
    if not len(rows):
        return
    assert same(describer.describe(), one_by_one(describer, rows))
    for number in choice.sample(range(len(graphlets)), len(graphlets) // 3):
        spared = graphlets.executions.of(number)
        describer.skip(number, spared[[choice.random() < 0.5 for _ in spared]])
    assert same(describer.describe(), one_by_one(describer, rows))
    describer.reset()
    assert same(describer.describe(), Describer(graphlets, stage).describe())


@pytest.mark.parametrize("stage", Stage)
@few
@given(rows=pipeline_rows(), seed=st.integers(0, 1_000))
def test_pipelines_are_described_alone_as_together(
    stage: Stage, rows: RowBuilder, seed: int
) -> None:
    """Pipelines that interleave, fail, crash and hit their caches: every feature, every row."""
    alone_as_together(segment(assemble(rows.rows())), stage, random.Random(seed))


@pytest.mark.parametrize("stage", Stage)
@few
@given(rows=arbitrary_rows(), seed=st.integers(0, 1_000))
def test_nonsense_is_described_alone_as_together(stage: Stage, rows: RowBuilder, seed: int) -> None:
    """Traces that no pipeline would write: any times, any wiring."""
    alone_as_together(segment(assemble(rows.rows())), stage, random.Random(seed))


@pytest.mark.parametrize("places", [1, 7, 20])
def test_pieces_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch, places: int) -> None:
    """Rows are worked on in pieces; where one ends changes nothing."""
    runs = some_runs()
    whole = runs.table()
    monkeypatch.setattr(look_back, "_PLACES_AT_ONCE", places)
    assert same(runs.table(), whole)


def test_a_row_looks_no_further_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a look back of 3 the outcomes of 3 graphlets are known, hidden ones left out."""
    monkeypatch.setattr(look_back, "LOOK_BACK", 3)
    graphlets = segment(some_runs(8).build.trace())
    describer = Describer(graphlets, Stage.PRE)
    last = np.array([len(graphlets) - 1])
    names = ("history.labelled", "history.pushed_1", "history.runs_since_push")
    assert [describer.describe(rows=last).row(0)[name] for name in names] == [3.0, 1.0, 0.0]
    describer.skip(6, np.zeros(0, np.int64))
    assert [describer.describe(rows=last).row(0)[name] for name in names] == [3.0, 0.0, 2.0]
