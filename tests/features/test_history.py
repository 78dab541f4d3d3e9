"""Group history: outcomes of the preceding graphlets, as they were known."""

from __future__ import annotations

import pytest

from tests.features.runs import EVAL_CONFIG, FAILED, Runs, some
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import ExecutionState, Stage

SECONDS_PER_RUN = 8  # of eight executions
HOUR = 3_600


def test_outcomes_of_the_preceding_graphlets() -> None:
    """Pushed, unpushed, failed, unpushed: flags, rates and streaks of the fifth."""
    runs = Runs()
    runs.run(pushed=True)
    runs.run(pushed=False)
    runs.run(trainer_state=FAILED)
    runs.run(pushed=False)
    runs.run()
    assert some(
        runs.last(Stage.INPUT), "history", "pushed_1", "pushed_2", "pushed_3", "failed_1",
        "failures_5", "labelled", "push_rate", "push_rate_5", "pushes_3", "unpushed_streak",
        "runs_since_push", "push_gap_ratio",
    ) == {
        "pushed_1": 0.0, "pushed_2": 0.0, "pushed_3": 0.0, "failed_1": 0.0, "failures_5": 1.0,
        "labelled": 3.0, "push_rate": pytest.approx(1 / 3), "push_rate_5": pytest.approx(1 / 3),
        "pushes_3": 0.0, "unpushed_streak": 2.0, "runs_since_push": 3.0, "push_gap_ratio": None,
    }  # fmt: skip


def test_the_first_graphlet_has_no_history() -> None:
    """Counts are zero and everything else is missing."""
    runs = Runs()
    runs.run()
    assert some(
        runs.last(Stage.INPUT), "history", "pushed_1", "labelled", "push_rate", "runs_since_push",
        "hours_since_push", "hours_since_previous", "same_spans_runs", "previous_cost_ms",
    ) == {
        "pushed_1": None, "labelled": 0.0, "push_rate": None, "runs_since_push": None,
        "hours_since_push": None, "hours_since_previous": None, "same_spans_runs": 0.0,
        "previous_cost_ms": None,
    }  # fmt: skip


def test_rhythm_is_told_in_hours() -> None:
    """Runs an hour apart, and a gap of two hours before the last."""
    runs = Runs()
    for wait_s in (0, HOUR - SECONDS_PER_RUN, HOUR - SECONDS_PER_RUN, 2 * HOUR - SECONDS_PER_RUN):
        runs.run(wait_ms=wait_s * 1000)
    row = runs.last(Stage.PRE)
    assert some(row, "history", "hours_since_previous", "rhythm_ratio") == {
        "hours_since_previous": pytest.approx(2.0), "rhythm_ratio": pytest.approx(2.0),
    }  # fmt: skip
    # The last push ended two executions after its Trainer: three seconds after that had begun.
    assert row["history.hours_since_push"] == pytest.approx(2.0 - 3 / HOUR)


def test_calendar_is_utc() -> None:
    """The moment 1970-01-02 06:30 UTC is a Friday, half past six."""
    build = TraceBuilder(clock_ms=(24 + 6) * HOUR * 1000 + 30 * 60_000)
    build.execution("Trainer", outputs={"model": [build.artifact("Model")]}, run="r")
    row = describe(segment(build.trace()), Stage.PRE).row(0)
    assert some(row, "history", "hour_of_day", "day_of_week") == {
        "hour_of_day": 6.5, "day_of_week": 4.0,
    }  # fmt: skip


def test_retraining_on_pushed_data_shows() -> None:
    """Of three graphlets on the same spans one was pushed; one on other spans does not count."""
    runs = Runs()
    runs.run(span=1, pushed=True)
    runs.run(span=1, pushed=False)
    runs.run(span=2, pushed=True)
    runs.run(span=1)
    names = ("same_spans_runs", "same_spans_unpushed", "same_spans_pushed")
    assert some(runs.last(Stage.INPUT), "history", *names) == {
        "same_spans_runs": 2.0, "same_spans_unpushed": 1.0, "same_spans_pushed": 1.0,
    }  # fmt: skip


def test_cost_so_far_grows_with_the_stages() -> None:
    """One second per execution of the run that had ended by the stage's moment."""
    runs = Runs()
    first = runs.run(span=1)
    runs.run(span=2, window=(first.examples,))
    costs = [runs.last(stage)["history.cost_so_far_ms"] for stage in Stage]
    assert costs == [1000.0, 5000.0, 6000.0, 7000.0]
    assert runs.last()["history.previous_cost_ms"] == 8000.0


def test_lanes_do_not_mix() -> None:
    """Graphlets of another pipeline, or of another Trainer node, are no history."""
    runs = Runs()
    runs.run(pushed=True)
    build = runs.build
    for node in ("second", "second"):
        model = build.artifact("Model")
        build.execution("Trainer", outputs={"m": [model]}, run="x", pipeline="p", node=node)
    table = runs.table()
    assert table.numbers("history.labelled").tolist() == [0.0, 0.0, 1.0]


def _overlapping(pusher_state: ExecutionState) -> dict[str, float | str | None]:
    """The second Trainer starts while the first one's Pusher is at work."""
    build = TraceBuilder()
    first, second, served = (
        build.artifact("Model"),
        build.artifact("Model"),
        build.artifact("PushedModel", pushed=1),
    )
    build.execution("Trainer", outputs={"model": [first]}, run="1")
    build.execution(
        "Pusher", inputs={"model": [first]}, outputs={"pushed_model": [served]}, run="1",
        duration_ms=10_000, state=pusher_state,
    )  # fmt: skip
    build.execution(
        "Trainer", outputs={"model": [second]}, run="2", create_ms=build.clock_ms - 5_000
    )
    return describe(segment(build.trace()), Stage.PRE).row(1)


@pytest.mark.parametrize("state", [ExecutionState.COMPLETE, ExecutionState.RUNNING])
def test_an_outcome_under_way_is_unknown(state: ExecutionState) -> None:
    """While the Pusher is at work nobody knows, whatever it did afterwards."""
    assert some(_overlapping(state), "history", "pushed_1", "labelled") == {
        "pushed_1": None, "labelled": 0.0,
    }  # fmt: skip


def test_an_abandoned_execution_is_not_waited_for() -> None:
    """A Pusher left RUNNING by a crash two days ago makes its graphlet unpushed."""
    build = TraceBuilder()
    first, second = build.artifact("Model"), build.artifact("Model")
    build.execution("Trainer", outputs={"model": [first]}, run="1")
    build.execution("Pusher", inputs={"model": [first]}, run="1", state=ExecutionState.RUNNING)
    build.clock_ms += 48 * HOUR * 1000
    build.execution("Trainer", outputs={"model": [second]}, run="2")
    row = describe(segment(build.trace()), Stage.PRE).row(1)
    assert row["history.pushed_1"] == 0.0


def test_a_rerun_of_what_was_not_pushed_is_not_pushed() -> None:
    """On the same spans as an unpushed graphlet; on others nothing is expected."""
    runs = Runs()
    runs.run(span=1)
    runs.run(span=2, pushed=False)
    runs.run(span=2)
    assert runs.last(Stage.INPUT)["history.rerun_expected"] == 0.0
    runs.run(span=3)
    assert runs.last(Stage.INPUT)["history.rerun_expected"] is None


@pytest.mark.parametrize(("demand", "expected"), [("0.0", 1.0), ("0.01", 0.0)])
def test_a_rerun_of_what_was_pushed_is_pushed_if_a_tie_is_enough(
    demand: str, expected: float
) -> None:
    """The change threshold of the last evaluation decides: 0 lets a tie pass, a gain does not."""
    runs = Runs()
    runs.run(span=1, eval_config=EVAL_CONFIG.replace("0.01", demand))
    runs.run(span=1)
    assert runs.last(Stage.INPUT)["history.rerun_expected"] == expected


def test_a_rerun_of_what_was_pushed_is_open_without_thresholds() -> None:
    """Where no threshold is known, nothing is expected of the re-run of a pushed graphlet."""
    runs = Runs()
    runs.run(span=1, eval_config="")
    runs.run(span=1)
    assert runs.last(Stage.INPUT)["history.rerun_expected"] is None
