"""Describing as if a gate had skipped: the same as a store in which those runs never trained."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipelines.flights import history
from tfx_graphlets.features import Describer, describe
from tfx_graphlets.graphlets import outcome
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.trace.trace import BoolArray, IntArray
from tfx_graphlets.vocabulary import ExecutionState, Stage

ARCHIVES = sorted(history.DIRECTORY.glob("*/archive"))


def never_ran(graphlets: Graphlets, executions: IntArray) -> Graphlets:
    """Graphlets of the trace in which these executions took and gave nothing, and no Trainer is."""
    trace = graphlets.trace
    state = trace.executions.state.copy()
    state[executions] = ExecutionState.CACHED  # no graphlet begins at a cache hit
    events = trace.events
    kept: BoolArray = ~np.isin(events.execution, executions)
    columns = {
        name: getattr(events, name)[kept]
        for name in ("execution", "artifact", "type", "key", "time_ms")
    }
    return segment(
        dataclasses.replace(
            trace,
            executions=dataclasses.replace(trace.executions, state=state),
            events=dataclasses.replace(events, **columns),
        )
    )


@pytest.mark.parametrize("archive", ARCHIVES[::6], ids=lambda path: path.parent.name)
def test_a_skipped_run_is_seen_by_no_later_one(archive: Path) -> None:
    """At stage pre, hiding Trainer and what follows equals a trace in which they never ran."""
    with open_store(str(archive)) as store:
        graphlets = segment(without_gates(store.read_trace()))
        describer = Describer(graphlets, Stage.PRE, payloads=store.payloads)
        after = outcome.after_the_gate(graphlets, Stage.PRE)
        rows = graphlets.executions.rows()
        skipped = np.arange(len(graphlets))[8::3]
        for number in skipped.tolist():
            describer.skip(number, graphlets.executions.index[(rows == number) & after])
        hidden = graphlets.executions.index[np.isin(rows, skipped) & after]
        without = never_ran(graphlets, hidden)
        assert len(without) == len(graphlets) - len(skipped)
        left = np.flatnonzero(~np.isin(np.arange(len(graphlets)), skipped))
        expected = describe(without, Stage.PRE, payloads=store.payloads)
        seen = describer.describe(rows=left)
        plain = describe(graphlets, Stage.PRE, payloads=store.payloads, rows=left)
    assert expected.trainer.tolist() == seen.trainer.tolist()
    differs = set()
    for at in range(len(left)):
        one, other = seen.row(at), expected.row(at)
        assert one == pytest.approx(other, nan_ok=True), int(seen.trainer[at])
        differs |= {name for name, value in plain.row(at).items() if value != one[name]}
    assert {"history.pushed_1", "input_data.jaccard_1"} & differs  # it did change something


def test_what_another_graphlet_needed_is_shown_again() -> None:
    """After run() of a graphlet that shares the hidden executions, they are seen again."""
    with open_store(str(ARCHIVES[0])) as store:
        graphlets = segment(without_gates(store.read_trace()))
        describer = Describer(graphlets, Stage.INPUT, payloads=store.payloads)
        before = describer.describe()
        members = graphlets.executions.of(10)
        describer.skip(10, members)
        assert describer.describe().row(11) != before.row(11)
        describer.reset()
        assert describer.describe(rows=np.array([11])).row(0) == before.row(11)
