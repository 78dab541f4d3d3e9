"""Statistics of pipelines: lifespans, rates and the gaps between pushes."""

from __future__ import annotations

import numpy as np
import pytest

from tfx_graphlets.analysis.pipelines import pipeline_tables
from tfx_graphlets.analysis.tables import Measure, spread
from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.testing import TraceBuilder

DAY_MS = 86_400_000


def test_a_pipeline_lives_from_its_first_training_to_its_last() -> None:
    """Five trainings in two days, of which the first and the fourth are pushed."""
    build = TraceBuilder()
    for number in range(5):
        model = build.artifact("Model")
        pushed = build.artifact("PushedModel", pushed=number in (0, 3))
        start = DAY_MS * (1 + number // 2)
        build.execution(
            "Trainer", outputs={"model": [model]}, run=f"r{number}", create_ms=start, pipeline="p"
        )
        build.execution(
            "Pusher",
            inputs={"model": [model]},
            outputs={"pushed_model": [pushed]},
            run=f"r{number}",
            create_ms=start + 1000 * number,
            duration_ms=0,
            pipeline="p",
        )
    pipelines, pushes, differences, activity = pipeline_tables(
        [ReportSource.of("s", build.trace()).described]
    )
    assert pipelines.rows == (("s", "p", 5, 2.0, 2.5, 3, 0.4),)
    assert pushes.rows == (("s", "p", 2, 0.4, 3.0, pytest.approx(24 + 2 / 3600), 1),)
    known = dict(zip(differences.column("measure"), differences.column("q50")))
    assert known["Models per day"] == 2.5
    assert known["Since the last push"] == 1
    assert activity.column("graphlets") == [2, 2, 1]
    assert activity.column("pushed") == [1, 1, 0]


def test_what_nothing_is_known_of_has_no_quantiles() -> None:
    """The row stays, with a count of 0."""
    table = spread("t", "T", "pipelines", [Measure("A", "count", "Of it.", np.array([np.nan]))])
    assert table.rows[0][3:] == (0, *[None] * 8)
