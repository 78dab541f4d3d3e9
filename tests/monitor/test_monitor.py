"""The report on the gates of a store, and its alarms."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import pytest

from tests.monitor.gated import HOUR_MS, PUSHER_MS, TRAINER_MS, LivePipeline
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.gate.record import nodes_to_text, past_decisions
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.monitor import AlarmRules, MonitorReport, monitor
from tfx_graphlets.policy.decision import NodeDecision
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import ExecutionState, Stage

AFTER_THE_GATE_MS = TRAINER_MS + PUSHER_MS
HEALTHY = "PUSPXUPYSPPU" * 3


def report_on(build: TraceBuilder, **more: object) -> MonitorReport:
    """The report at the end of what was built."""
    trace = build.trace()
    options: dict[str, object] = {"now_ms": build.clock_ms, **more}
    return monitor(past_decisions(trace), segment(without_gates(trace)), **options)  # type: ignore[arg-type]


def names(report: MonitorReport) -> list[str]:
    """Names of the alarms, those that are for information marked."""
    return [alarm.name + "?" * (alarm.severity == "info") for alarm in report.alarms]


def live(letters: str, **decision: object) -> MonitorReport:
    """The report on one pipeline."""
    return report_on(LivePipeline().runs(letters, **decision).build)


def test_decisions_are_counted_by_what_came_of_them() -> None:
    """Runs, skips, explorations and pushes of a live gate add up."""
    [one] = live(HEALTHY).pipelines
    assert (one.pipeline, one.stage, one.gate) == ("taxi", "pre", "WasteGate")
    assert (one.decisions, one.runs, one.skips, one.explored) == (36, 30, 6, 6)
    assert (one.pushes, one.misses.explored_pushed) == (18, 3)
    assert (one.forced, one.shadow, one.guarded, one.failed_open, one.followed) == (0,) * 5
    assert one.target == 0.9
    assert one.freshness is not None
    assert one.freshness.missed == pytest.approx(3)  # half of the explored were pushed


def test_what_kept_gates_from_deciding_is_counted_by_its_code() -> None:
    """Failed open, or skipped by on_error; an earlier release did not say what it was."""
    pipeline = LivePipeline()
    pipeline.run("P", failed_open=1, fault="timeout")
    pipeline.run("P", failed_open=1, fault="timeout")
    pipeline.run("P", failed_open=1)
    pipeline.run("S", fault="store_busy")
    report = report_on(pipeline.build)
    [one] = report.pipelines
    assert one.faults == {"store_busy": 1, "timeout": 2, "unknown": 1}
    assert (one.failed_open, one.skips, one.followed) == (3, 1, 0)
    assert "could not decide: 1 store_busy, 2 timeout, 1 unknown" in str(report)


@pytest.mark.parametrize(("hours", "later", "told"), [(30, True, 1), (5, True, 0), (30, False, 0)])
def test_nodes_that_a_crash_left_running_are_told(hours: int, later: bool, told: int) -> None:
    """RUNNING, silent for a day, and a later run of the pipeline has begun."""
    build = TraceBuilder()
    build.execution("Trainer", run="r1", node="pipeline.Fit", state=ExecutionState.RUNNING)
    if later:
        build.execution("Trainer", run="r2", node="pipeline.Fit")
    report = report_on(build, now_ms=build.clock_ms + hours * HOUR_MS)
    found = [alarm for alarm in report.alarms if alarm.name == "left_running"]
    assert len(found) == told
    for alarm in found:
        assert (alarm.severity, alarm.pipeline) == ("info", "pipeline")
        assert "Fit of run r1" in alarm.message
        assert f"{hours} hours" in alarm.message


def test_forced_guarded_and_broken_decisions_are_told_apart() -> None:
    """Would-skips let run by an order, low probabilities let run by a guard rail, broken gates."""
    pipeline = LivePipeline()
    pipeline.run("P", would_skip=1, probability=0.1)
    pipeline.run("P", probability=0.1)
    pipeline.run("P", failed_open=1)
    [one] = report_on(pipeline.build).pipelines
    assert (one.forced, one.guarded, one.failed_open, one.skips) == (1, 1, 1, 0)


def test_a_skip_saves_what_the_runs_before_it_cost_after_the_gate() -> None:
    """Trainer and Pusher of the runs so far, on average, stand for those of the skipped run."""
    pipeline = LivePipeline().runs("PU")
    pipeline.run("S", probability=0.25)
    pipeline.run("P")
    savings = report_on(pipeline.build).overall.savings
    assert savings.saved_ms == AFTER_THE_GATE_MS
    assert savings.spent_ms == 3 * AFTER_THE_GATE_MS + 4 * 100
    assert savings.saved_share == pytest.approx(1050 / (1050 + 3550))
    wasted, saved_waste = AFTER_THE_GATE_MS + 100, 0.75 * AFTER_THE_GATE_MS
    assert savings.waste_removed == pytest.approx(saved_waste / (wasted + saved_waste))


def test_a_skip_behind_the_trainer_saves_the_pusher_alone() -> None:
    """At stage trainer the skipped run has a Trainer, whose outcome says nothing: not asked."""
    one = report_on(LivePipeline().runs("PUSSP", stage="trainer").build).overall
    assert one.savings.saved_ms == 2 * PUSHER_MS
    assert one.calibration is not None
    assert one.calibration.all.count == 3


def test_what_another_gate_cut_short_is_no_outcome_of_this_one() -> None:
    """What the gate at the input let go on and the next one skipped, the first knows nothing of."""
    trace_of = LivePipeline()
    trace_of.runs("PUPU")
    began = trace_of.build.clock_ms
    artifact = trace_of.build.artifact(
        "tfx_graphlets.GateDecision", proceed=1, would_skip=0, stage="input", gate="First",
        probability=0.5, threshold=0.2, freshness=0.9,
    )  # fmt: skip
    trace_of.build.execution(
        "tfx_graphlets.components.waste_gate.WasteGate", outputs={"decision": [artifact]},
        run=f"taxi-{began // HOUR_MS}", pipeline="taxi", duration_ms=0,
    )  # fmt: skip
    trace_of.run("S", stage="trainer")
    first, *_ = report_on(trace_of.build).pipelines
    assert (first.stage, first.decisions, first.pushes, first.calibration) == ("input", 1, 0, None)


def test_a_store_without_decisions_says_so() -> None:
    """Nothing is alarming about a pipeline without a gate; a note says that there is none."""
    build = TraceBuilder()
    build.execution("Trainer", outputs={"model": [build.artifact("Model")]}, run="r")
    report = report_on(build)
    assert (report.pipelines, report.alarms, report.healthy) == ((), (), True)
    assert report.overall.decisions == 0
    assert report.overall.savings.spent_ms == 0
    assert "no decision" in report.notes[0]
    assert report.to_dict().keys() == {"pipelines", "overall", "alarms", "notes"}


def test_gates_of_several_pipelines_are_reported_apart_and_together() -> None:
    """A run per letter and pipeline; stage, gate and time choose among them."""
    build = LivePipeline().runs("PUS").build
    LivePipeline(build, "flights").runs("PP", stage="input", gate="Early")
    report = report_on(build)
    assert [(one.pipeline, one.decisions) for one in report.pipelines] == [
        ("flights", 2), ("taxi", 3),
    ]  # fmt: skip
    assert (report.overall.decisions, report.overall.pushes) == (5, 3)
    assert report.overall.target == 0.9
    assert report_on(build, stage=Stage.INPUT).overall.decisions == 2
    assert report_on(build, gate="WasteGate").overall.decisions == 3
    recent = report_on(build, since_ms=build.clock_ms - HOUR_MS)
    assert (recent.overall.decisions, recent.overall.savings.spent_ms) == (1, 1150)


def test_two_gates_of_one_pipeline_share_its_pushes() -> None:
    """Overall a push is one push, whichever gates decided about it."""
    build = LivePipeline().runs("PU").build
    trace = build.trace()
    decisions = past_decisions(trace)
    early = [dataclasses.replace(one, stage="input", gate="Early") for one in decisions]
    report = monitor([*decisions, *early], segment(without_gates(trace)), now_ms=build.clock_ms)
    assert [one.pushes for one in report.pipelines] == [1, 1]
    assert (report.overall.decisions, report.overall.pushes) == (4, 1)
    assert report.overall.savings.spent_ms == report.pipelines[0].savings.spent_ms


def test_a_healthy_gate_has_no_alarm() -> None:
    """Little exploration is for information, which is not alarming."""
    report = live(HEALTHY, probability=0.5, freshness=0.5)
    assert names(report) == ["few_explored?"]
    assert report.healthy


def test_freshness_below_the_target_is_an_alarm() -> None:
    """Nine of twelve explored were pushed, so most of the skips would have been."""
    letters = "PXSS" * 9 + "PYSS" * 3
    report = live(letters, exploration=0.3, probability=0.5)
    assert "freshness" in names(report)
    [alarm] = [one for one in report.alarms if one.name == "freshness"]
    assert "shadow" in alarm.message
    assert (alarm.pipeline, alarm.stage, alarm.gate) == ("taxi", "pre", "WasteGate")
    assert not report.healthy
    tolerant = report_on(LivePipeline().runs(letters, exploration=0.3).build, freshness=0.2)
    assert "freshness" not in names(tolerant)


def test_in_shadow_mode_freshness_is_counted_and_can_alarm_too() -> None:
    """Six of nine pushes would have been skipped where one in ten may be."""
    report = live("XXXXXXPPPUUU", shadow=1, explored=0, probability=0.5)
    [one] = report.pipelines
    assert one.freshness is None
    assert one.shadow_freshness is not None
    assert (one.shadow_freshness.kept, one.shadow_freshness.missed) == (3, 6)
    assert (one.shadow, one.forced, one.explored) == (12, 0, 0)
    assert names(report) == ["freshness"]


@pytest.mark.parametrize(("broken", "alarming"), [("PPPPP", True), ("P", False)])
def test_a_gate_that_fails_open_often_is_an_alarm(broken: str, alarming: bool) -> None:
    """Five of the last twenty decisions are, one is not."""
    pipeline = LivePipeline().runs("PU" * 10, probability=0.5)
    pipeline.runs(broken, failed_open=1)
    assert ("failing_open" in names(report_on(pipeline.build))) is alarming


def test_probabilities_that_are_wrong_are_an_alarm() -> None:
    """0.9 where half is pushed; and 0.5, which is right, is none."""
    assert "calibration" in names(live("PU" * 20, probability=0.9))
    assert names(live("PU" * 20, probability=0.5)) == []
    assert names(live("PU" * 9, probability=0.9)) == []  # too few to tell


def test_probabilities_that_became_wrong_are_an_alarm() -> None:
    """Right on the whole, too low then and too high now."""
    pipeline = LivePipeline().runs("PPPPU" * 4, probability=0.6)
    pipeline.runs("PPUUU" * 4, probability=0.6)
    assert names(report_on(pipeline.build)) == ["calibration_drift"]


def test_a_long_time_without_a_push_is_an_alarm() -> None:
    """Pushes two hours apart, and then none for eleven."""
    build = LivePipeline().runs("PUPUPU", probability=0.5).build
    assert names(report_on(build, now_ms=build.clock_ms + 8 * HOUR_MS)) == []
    assert names(report_on(build, now_ms=build.clock_ms + 9 * HOUR_MS)) == ["no_push"]


def test_nothing_but_skips_is_an_alarm() -> None:
    """The last ten runs skipped, the last nine not."""
    assert "only_skips" in names(live("PUPU" + "S" * 10))
    assert "only_skips" not in names(live("PUPU" + "S" * 9))


def test_skips_without_exploration_are_an_alarm() -> None:
    """Nobody would notice missed pushes; with a share they are only few so far."""
    assert names(live("PUSPU", exploration=0.0)) == ["no_exploration"]
    assert names(live("PUSPU", exploration=0.05)) == ["few_explored?"]


def test_an_alarm_names_the_trainer_that_it_is_about() -> None:
    """One gate over two: what is wrong with one of them is not told of the other."""
    badly = NodeDecision("Trainer", True, False, probability=0.99)
    unseen = dataclasses.replace(badly, node="Challenger")
    report = live("PU" * 20, nodes=nodes_to_text([unseen, badly]))
    found = [alarm for alarm in report.alarms if alarm.gate and alarm.name == "calibration"]
    assert [alarm.node for alarm in found] == ["Trainer"]
    assert "ALARM calibration (taxi, pre, WasteGate, Trainer): " in str(report)


def test_one_trainer_of_a_gate_may_be_asked_about() -> None:
    """By its node; a decision that names no node is about each."""
    badly = NodeDecision("Trainer", True, False, probability=0.99)
    both = nodes_to_text([badly, dataclasses.replace(badly, node="Challenger")])
    build = LivePipeline().runs("PU", nodes=both).build
    for node, count in (("Trainer", 2), ("Challenger", 2), ("Other", 0)):
        report = report_on(build, node=node)
        assert [one.node for one in report.pipelines] == [node] * bool(count)
        assert report.overall.decisions == count
    assert report_on(LivePipeline().runs("PU").build, node="Trainer").overall.decisions == 2


def test_a_gate_without_a_promise_is_noted() -> None:
    """A threshold set by hand names no freshness: the note says how to be told all the same."""
    pipeline = LivePipeline()
    pipeline.runs("PU")
    trace = pipeline.build.trace()
    decisions = [dataclasses.replace(one, freshness=None) for one in past_decisions(trace)]
    report = monitor(decisions, segment(without_gates(trace)), now_ms=pipeline.build.clock_ms)
    assert report.overall.target is None
    assert "no promised freshness" in report.notes[0]


def test_people_read_a_block_per_gate_and_a_line_per_alarm() -> None:
    """The text names gate, counts, freshness with interval and target, and every alarm."""
    text = str(live("PXSS" * 9 + "PYSS" * 3, exploration=0.3, probability=0.5))
    assert text.startswith(
        "taxi, pre, WasteGate: 48 decisions, 24 runs, 24 skips (12 explored)\n  freshness 0."
    )
    assert "target 0.9: 21 pushes kept, about 18.0 missed" in text
    assert "\nALARM freshness (taxi, pre, WasteGate): The gate misses more" in text


def test_rules_and_freshness_are_checked() -> None:
    """A rule that can never be right, or a freshness of 95, is refused by name."""
    with pytest.raises(InvalidArgumentError, match="silence_factor"):
        AlarmRules(silence_factor=0)
    with pytest.raises(InvalidArgumentError, match="freshness"):
        report_on(TraceBuilder(), freshness=95.0)


def every_value(document: object) -> Iterable[object]:
    """The leaves of a JSON document."""
    if isinstance(document, dict):
        for value in document.values():
            yield from every_value(value)
    elif isinstance(document, (list, tuple)):
        for value in document:
            yield from every_value(value)
    else:
        yield document


def test_the_document_holds_plain_values() -> None:
    """What JSON knows, and nothing else."""
    values = set(map(type, every_value(live(HEALTHY).to_dict())))
    assert values <= {int, float, str, bool, type(None)}
