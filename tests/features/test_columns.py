"""Features in columns against the same features row by row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from tests.corpus import needs_corpus, public_stores, real_runs
from tests.features.memory_payloads import MemoryPayloads
from tests.features.runs import FAILED, OTHER_CODE, Runs
from tests.strategies import arbitrary_rows, deterministic, pipeline_rows
from tfx_graphlets.features import Describer, FeatureKind
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.trace.assembly import RawTables, assemble
from tfx_graphlets.trace.trace import IntArray
from tfx_graphlets.vocabulary import Stage


def differences(
    graphlets: Graphlets, stage: Stage, moment_ms: IntArray | None = None
) -> dict[str, list[tuple[int, object, object]]]:
    """Features that differ, with row and both values of the first few."""
    # These payloads cannot tell that they are empty: rows are described one by one.
    by_columns = Describer(graphlets, stage).describe(moment_ms=moment_ms)
    by_rows = Describer(graphlets, stage, payloads=MemoryPayloads()).describe(moment_ms=moment_ms)
    result = {}
    for feature in by_rows.features:
        expected, found = by_rows.columns[feature.name], by_columns.columns[feature.name]
        if feature.kind is FeatureKind.CATEGORY:
            same = np.array([one == other for one, other in zip(expected, found)], bool)
        else:
            same = np.isclose(expected, found, rtol=1e-9, atol=1e-9, equal_nan=True)
        wrong = np.flatnonzero(~same).tolist()
        if wrong:
            result[feature.name] = [(row, expected[row], found[row]) for row in wrong[:3]]
    return result


@pytest.mark.parametrize("stage", Stage)
@deterministic
@given(rows=pipeline_rows())
def test_pipelines_are_described_alike(stage: Stage, rows: RawTables) -> None:
    """Pipelines that interleave, fail, crash and hit their caches: every feature, every row."""
    assert differences(segment(assemble(rows)), stage) == {}


@pytest.mark.parametrize("stage", Stage)
@deterministic
@given(rows=arbitrary_rows())
def test_nonsense_is_described_alike(stage: Stage, rows: RawTables) -> None:
    """Traces that no pipeline would write: any times, any wiring."""
    assert differences(segment(assemble(rows)), stage) == {}


@pytest.mark.parametrize("stage", Stage)
def test_moments_before_all_had_settled_are_described_alike(stage: Stage) -> None:
    """At any moment, also while earlier graphlets were under way."""
    runs, windows = Runs(), [()]
    for number in range(12):
        made = runs.run(
            span=number // 2, window=windows[-1], pushed=number % 3 == 0,
            code=OTHER_CODE if number in (4, 5, 9) else "a" * 64, steps=10 + number,
            blessed=number % 2 == 0,
            trainer_state=FAILED if number == 7 else 3,
        )  # fmt: skip
        windows.append((made.examples,))
    graphlets = segment(runs.build.trace())
    start, end = int(graphlets.start_ms.min()), int(graphlets.end_ms.max())
    for moment in np.linspace(start, end, 23).astype(np.int64).tolist():
        assert differences(graphlets, stage, np.full(len(graphlets), moment)) == {}


@needs_corpus
@pytest.mark.parametrize("store", [*public_stores(), *real_runs()], ids=lambda path: path.stem)
def test_real_stores_are_described_alike(store: Path) -> None:
    """Stores that real pipelines wrote: every feature, every row, every stage."""
    with open_store(store) as opened:
        graphlets = segment(opened.read_trace())
    for stage in Stage:
        assert differences(graphlets, stage) == {}
