"""Operators and failed runs: each is counted by hand on a trace of a few lines."""

from __future__ import annotations

import pytest

from tfx_graphlets.analysis.operators import failed_runs, operators
from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import ExecutionState


def three_runs() -> Trace:
    """One trains, one fails in Transform and goes on to fail in the Trainer, one has no run."""
    build = TraceBuilder()
    failed = ExecutionState.FAILED
    build.execution("CsvExampleGen", run="r0", duration_ms=10)
    build.execution("Trainer", run="r0", duration_ms=100)
    build.execution("CsvExampleGen", run="r1", duration_ms=20)
    build.execution("Transform", run="r1", duration_ms=30, state=failed)
    build.execution("Trainer", run="r1", duration_ms=40, state=failed)
    build.execution("Trainer", run=None, duration_ms=50, state=failed)
    return build.trace()


def test_operators_are_counted_by_how_they_ended() -> None:
    """Rates are among those that came to an end; shares are of the cost of all."""
    described = ReportSource.of("s", three_runs()).described
    table = operators([described, described])
    assert table.column("operator") == ["ingestion", "preprocessing", "training"]
    assert table.column("executions") == [4, 2, 6]
    assert table.column("success_rate") == [1.0, 0.0, pytest.approx(1 / 3)]
    assert table.column("failure_rate") == [0.0, 1.0, pytest.approx(2 / 3)]
    assert table.column("cost_ms") == [60, 60, 380]
    assert sum(map(float, table.column("cost_share"))) == pytest.approx(1)  # type: ignore[arg-type]


def test_a_failed_run_stands_where_it_failed_first() -> None:
    """With the cost of all its executions; an execution without a run is in no row."""
    described = ReportSource.of("s", three_runs()).described
    table = failed_runs([described])
    assert table.rows == (("preprocessing", 1, 0.5, 90.0, pytest.approx(90 / 250)),)
    assert failed_runs([described, described]).column("runs") == [2]


def test_where_nothing_failed_no_row_says_so() -> None:
    """The table is empty."""
    build = TraceBuilder()
    build.execution("Trainer", run="r0")
    assert failed_runs([ReportSource.of("s", build.trace()).described]).rows == ()
