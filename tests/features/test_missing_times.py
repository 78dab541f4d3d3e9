"""A time of 0 is a missing time: nothing is measured from the epoch."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
from hypothesis import given

from tests.features.runs import Runs, some
from tests.row_lists import rows_of
from tests.strategies import deterministic, pipeline_rows, seeds
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.graphlets.timeline import decision_moment
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.vocabulary import Stage

TODAY_MS = 50 * 365 * 24 * 3_600_000  # about as long after the epoch as today
_TIMES = (
    ("Execution", "create_ms"), ("Execution", "update_ms"), ("Artifact", "create_ms"),
    ("Artifact", "update_ms"), ("Event", "time_ms"), ("Context", "create_ms"),
)  # fmt: skip
# Features that are the distance of two times, and what one of their unit is.
DISTANCES = {
    "history.hours_since_push": 3_600_000,
    "history.hours_since_previous": 3_600_000,
    "history.cost_so_far_ms": 1,
    "history.previous_cost_ms": 1,
    "model.duration_ms": 1,
}


def today(raw: RowBuilder) -> RowBuilder:
    """The rows, recorded in our time."""
    raw = copy.deepcopy(raw)
    for table, name in _TIMES:
        raw[table][name] = [one + TODAY_MS if one else 0 for one in raw[table][name]]
    return raw


def without_times(raw: RowBuilder, share: float, seed: int) -> RowBuilder:
    """Some of the times of executions are gone."""
    raw, randomness = copy.deepcopy(raw), random.Random(seed)
    for table, name in _TIMES[:2]:
        kept = [0 if randomness.random() < share else one for one in raw[table][name]]
        raw[table][name] = kept
    return raw


@pytest.mark.parametrize("share", [0.2, 1.0])
@pytest.mark.parametrize("stage", Stage)
@deterministic
@given(rows=pipeline_rows(), seed=seeds)
def test_nothing_is_measured_from_the_epoch(
    stage: Stage, share: float, rows: RowBuilder, seed: int
) -> None:
    """A distance is one of two times that are there; without any there is none."""
    raw = without_times(today(rows), share, seed)
    graphlets = segment(assemble(raw.rows()))
    there = [one for one in (*raw["Execution"]["create_ms"], *raw["Execution"]["update_ms"]) if one]
    most_ms = max(there, default=0) - min(there, default=0)
    table = describe(graphlets, stage)
    for name, unit_ms in DISTANCES.items():
        if name not in table.columns:
            continue
        found = table.numbers(name)
        found = np.abs(found[~np.isnan(found)]) * unit_ms
        # A cost is the sum over executions.
        assert (found <= most_ms * len(raw["Execution"]["id"])).all(), name
    if not there:
        for name in ("history.hour_of_day", "history.day_of_week", "history.hours_since_push"):
            assert np.isnan(table.numbers(name)).all(), name


def test_what_is_there_is_described_as_before() -> None:
    """The rows around a Trainer without times keep theirs; of its own only distances are gone."""
    runs = Runs()
    runs.build.clock_ms = TODAY_MS
    made = [runs.run(wait_ms=3_600_000) for _ in range(4)]
    whole = runs.table(Stage.TRAINER)
    raw = runs.build.raw()
    at = raw["Execution"]["id"].index(made[1].trainer)
    raw["Execution"]["create_ms"][at] = raw["Execution"]["update_ms"][at] = 0
    table = runs.table(Stage.TRAINER)
    names = ("duration_ms", "duration_ratio")
    assert some(table.row(1), "model", *names) == dict.fromkeys(names)
    assert table.row(1)["history.hours_since_previous"] is None
    for row in (2, 3):
        assert table.row(row)["model.duration_ms"] == whole.row(row)["model.duration_ms"] == 1000.0
        assert table.row(row)["model.duration_ratio"] == 1.0
    assert table.row(3)["history.hours_since_previous"] == pytest.approx(
        whole.row(3)["history.hours_since_previous"]
    )
    assert table.row(3)["history.rhythm_ratio"] is not None


@pytest.mark.parametrize("stage", [Stage.INPUT, Stage.PRE])
def test_a_trainer_without_a_create_time_is_decided_about_by_its_end(stage: Stage) -> None:
    """The nearest that is known; where nothing is, the moment is missing too."""
    runs = Runs()
    runs.build.clock_ms = TODAY_MS
    run = runs.run()
    raw = runs.build.raw()
    at = raw["Execution"]["id"].index(run.trainer)
    moments = [int(decision_moment(segment(runs.build.trace()), stage)[0])]
    for column in (raw["Execution"]["create_ms"], raw["Execution"]["update_ms"]):
        column[at] = 0
        moments.append(int(decision_moment(segment(runs.build.trace()), stage)[0]))
    before, without_create, without_any = moments
    assert TODAY_MS < before <= without_create
    # At input the run's other executions tell when it was.
    assert without_any == (before if stage is Stage.INPUT else 0)


def without_times_of(runs: Runs, *executions: int) -> Graphlets:
    """The graphlets, where these executions have neither time."""
    raw = runs.build.raw()
    for at in map(raw["Execution"]["id"].index, executions):
        raw["Execution"]["create_ms"][at] = raw["Execution"]["update_ms"][at] = 0
    return segment(assemble(raw.rows()))


def test_a_push_without_a_time_is_no_time_ago() -> None:
    """The run before has no times at all: it was pushed, nobody knows when."""
    runs = Runs()
    runs.build.clock_ms = TODAY_MS
    runs.run()
    before = list(runs.build.raw()["Execution"]["id"])
    runs.run()
    row = describe(without_times_of(runs, *before), Stage.PRE).row(1)
    assert row["history.runs_since_push"] == 0.0
    assert row["history.hours_since_push"] is None


def test_what_has_no_time_is_not_what_came_first() -> None:
    """At input another execution of the run tells when it was; before a Pusher the Evaluator."""
    runs = Runs()
    runs.build.clock_ms = TODAY_MS
    run = runs.run()
    raw = runs.build.raw()
    by_id = {row[0]: row[3:] for row in rows_of(raw, "Execution")}
    example_gen, statistics_gen, schema_gen = raw["Execution"]["id"][:3]
    graphlets = without_times_of(runs, example_gen, statistics_gen)
    assert decision_moment(graphlets, Stage.INPUT).tolist() == [by_id[schema_gen][0]]
    graphlets = without_times_of(runs, run.pusher)
    assert decision_moment(graphlets, Stage.VALIDATION).tolist() == [by_id[run.evaluator][1]]
