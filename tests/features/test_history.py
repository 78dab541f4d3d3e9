"""Group history: outcomes of the preceding graphlets, as they were known."""

from __future__ import annotations

import numpy as np
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


@pytest.mark.parametrize(
    ("hours_before", "hour", "weekday"),
    [
        pytest.param([], None, None, id="the first"),
        pytest.param([n / 100 for n in range(1, 600)], None, None, id="many in one night"),
        pytest.param([1, 2, 25], None, None, id="two days"),
        pytest.param([1, 25, 49], 6.5, None, id="three days"),
        pytest.param([1, 2, 168], None, None, id="one night, and a week before"),
        pytest.param([1, 49, 167], 6.5, None, id="not quite a week"),
        pytest.param([1, 49, 168], 6.5, 4.0, id="a week"),
    ],
)
def test_the_clock_is_told_where_runs_lie_on_days(
    hours_before: list[float], hour: float | None, weekday: float | None
) -> None:
    """Three days tell the hour of a moment, over a week also its week day: Friday, 6:30 UTC."""
    build, moment_ms = TraceBuilder(), (15 * 24 + 6) * HOUR * 1000 + 30 * 60_000
    for number, before in enumerate([*sorted(hours_before, reverse=True), 0]):
        build.execution(
            "Trainer", outputs={"model": [build.artifact("Model")]}, run=f"run-{number}",
            create_ms=moment_ms - round(before * HOUR * 1000),
        )  # fmt: skip
    table = describe(segment(build.trace()), Stage.PRE)
    assert some(table.row(len(table) - 1), "history", "hour_of_day", "day_of_week") == {
        "hour_of_day": hour, "day_of_week": weekday,
    }  # fmt: skip


def test_days_are_those_of_the_pipeline_itself() -> None:
    """One that ran on four days, one that ran in one night, and one of which no time is known."""
    build, day_ms = TraceBuilder(), 24 * HOUR * 1000
    times = {"daily": (8, 9, 10, 11), "nightly": (11, 11, 11, 11), "timeless": (0, 0, 0, 11)}
    for number in range(4):
        for pipeline, days in times.items():
            build.execution(
                "Trainer", outputs={"model": [build.artifact("Model")]}, pipeline=pipeline,
                run=f"{pipeline}-{number}", create_ms=days[number] * day_ms,
                duration_ms=1000 if days[number] else 0,
            )  # fmt: skip
    graphlets = segment(build.trace())
    hours = describe(graphlets, Stage.PRE).numbers("history.hour_of_day")
    assert [graphlets[row].run for row in np.flatnonzero(~np.isnan(hours))] == ["daily-3"]


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
    for run in ("x", "y"):
        model = build.artifact("Model")
        build.execution("Trainer", outputs={"m": [model]}, run=run, pipeline="p", node="second")
    table = runs.table()
    assert table.numbers("history.labelled").tolist() == [0.0, 0.0, 1.0]


def test_an_attempt_that_was_retried_is_no_example() -> None:
    """Its outcome is not known to the attempt that counts, nor to later runs."""
    build = Runs().build
    for run, attempts in (("x", 2), ("y", 1)):
        data = build.artifact("Examples", span=1)
        for _ in range(attempts):
            build.execution(
                "Trainer", inputs={"examples": [data]}, run=run, node="t",
                outputs={"model": [build.artifact("Model")]},
            )  # fmt: skip
    graphlets = segment(build.trace())
    table = describe(graphlets, Stage.PRE)
    assert table.numbers("history.labelled").tolist() == [0.0, 0.0, 1.0]
    assert table.numbers("history.unpushed_streak").tolist() == [0.0, 0.0, 1.0]


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


# -- the least that a figure needs --------------------------------------------------------


def history_after(*pushed: bool, waits_h: tuple[float, ...] = ()) -> dict[str, object]:
    """What the next graphlet knows after these, each so many hours after the one before."""
    runs = Runs()
    for at, was_pushed in enumerate(pushed):
        wait_s = waits_h[at] * HOUR - SECONDS_PER_RUN if at < len(waits_h) else 0
        runs.run(pushed=was_pushed, wait_ms=int(wait_s * 1000))
    runs.run(wait_ms=(HOUR - SECONDS_PER_RUN) * 1000)
    row = runs.last(Stage.PRE)
    return {name.partition(".")[2]: row[name] for name in row if name.startswith("history.")}


@pytest.mark.parametrize(
    ("pushed", "since", "ratio"),
    [
        ((False, False), None, None),
        ((True,), 0.0, None),
        ((True, False), 1.0, None),
        ((True, True), 0.0, 1.0),
        ((True, False, True), 0.0, 0.5),
        ((True, False, True, True, False, False), 2.0, 2.0),
    ],
)
def test_a_gap_between_pushes_needs_two_of_them(
    pushed: tuple[bool, ...], since: float | None, ratio: float | None
) -> None:
    """One push has a distance and no gap; two are enough."""
    row = history_after(*pushed)
    assert row["runs_since_push"] == since
    assert row["push_gap_ratio"] == (None if ratio is None else pytest.approx(ratio))


def test_a_rhythm_needs_two_earlier_graphlets() -> None:
    """With one there is a gap and nothing to compare it with."""
    one = history_after(True)
    assert one["hours_since_previous"] == pytest.approx(1.0)
    assert one["rhythm_ratio"] is None
    two = history_after(True, True, waits_h=(1, 4))
    assert two["rhythm_ratio"] == pytest.approx(1 / 4)


def test_the_rhythm_is_that_of_the_last_ten_gaps() -> None:
    """Five gaps of two hours and five of four: three; an eleventh before them does not count."""
    waits = (1, 99, *[2] * 5, *[4] * 5)
    row = history_after(*[True] * len(waits), waits_h=waits)
    assert row["rhythm_ratio"] == pytest.approx(1 / 3)
    row = history_after(*[True] * (len(waits) + 1), waits_h=(*waits, 4))
    assert row["rhythm_ratio"] == pytest.approx(1 / 4)


def test_windows_of_5_10_and_20_end_at_the_last() -> None:
    """Of 25 labelled: the last one was pushed, and those that are 5, 10, 20 and 21 back."""
    pushed = [back in (1, 5, 6, 10, 11, 20, 21) for back in range(25, 0, -1)]
    row = history_after(*pushed)
    assert (row["labelled"], row["push_rate"]) == (25.0, 7 / 25)
    rates = [row[f"push_rate_{window}"] for window in (5, 10, 20)]
    assert rates == [2 / 5, 4 / 10, 6 / 20]
    assert (row["pushes_3"], row["pushed_1"], row["pushed_2"], row["pushed_3"]) == (1, 1, 0, 0)
    assert (row["unpushed_streak"], row["failures_5"], row["failed_1"]) == (0, 0, 0)


def test_a_streak_ends_at_a_push_and_goes_back_to_the_first() -> None:
    """Without any push every labelled graphlet counts."""
    assert history_after(True, False, False)["unpushed_streak"] == 2
    assert history_after(False, False, False)["unpushed_streak"] == 3


def test_failures_among_the_last_five_are_counted() -> None:
    """The sixth before does not count, the fifth does."""
    runs = Runs()
    for failed in (True, True, False, False, False, True):
        runs.run(trainer_state=FAILED if failed else ExecutionState.COMPLETE)
    runs.run()
    names = ("failures_5", "failed_1", "labelled", "pushed_1", "pushed_2")
    assert some(runs.last(Stage.PRE), "history", *names) == {
        "failures_5": 2.0, "failed_1": 1.0, "labelled": 3.0, "pushed_1": 0.0, "pushed_2": 1.0,
    }  # fmt: skip


def test_the_previous_cost_is_the_mean_of_five() -> None:
    """A short run counts while it is the fifth before, and not when it is the sixth."""
    runs = Runs()
    runs.run(trainer_state=FAILED)
    for _ in range(4):
        runs.run()
    runs.run()
    short = runs.last()["history.previous_cost_ms"]
    assert isinstance(short, float)
    assert short < 8000.0
    runs.run()
    assert runs.last()["history.previous_cost_ms"] == 8000.0
