"""cut_trace: what a store would have held at a moment."""

from __future__ import annotations

import json

from tests.cut import cut_trace
from tests.features.runs import CODE, Runs
from tfx_graphlets.features import decision_moment
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import ExecutionState, PropertyName, Stage


def _last_cut(runs: Runs, stage: Stage, *, with_trainer: bool = True) -> Trace:
    graphlets = segment(runs.build.trace())
    last = len(graphlets) - 1
    moment = int(decision_moment(graphlets, stage)[last])
    return cut_trace(graphlets, last, stage, moment, with_trainer=with_trainer)


def _classes(trace: Trace) -> list[str]:
    return [trace.executions.type_names[code] for code in trace.executions.type]


BEFORE = ["CsvExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "Transform"]


def test_at_input_only_example_gen_has_run() -> None:
    """The pending Trainer takes in the Examples, from which the rest is going to be made."""
    runs = Runs()
    run = runs.run()
    cut = _last_cut(runs, Stage.INPUT)
    assert _classes(cut) == ["CsvExampleGen", "Trainer"]
    assert cut.artifacts.id.tolist() == [run.examples]
    assert cut.executions.state.tolist() == [ExecutionState.COMPLETE, ExecutionState.RUNNING]
    assert len(cut.events) == 2


def test_before_the_trainer_it_is_pending() -> None:
    """At pre the Trainer has its inputs, no outputs, and only the code's hashes as properties."""
    runs = Runs()
    run = runs.run()
    cut = _last_cut(runs, Stage.PRE)
    assert _classes(cut) == [*BEFORE, "Trainer"]
    position = cut.execution_position(run.trainer)
    properties = cut.executions.properties
    names = [properties.names[code] for code in properties.name[properties.owner == position]]
    assert names == [PropertyName.CODE_KNOWN]
    (text,) = properties.texts(PropertyName.CODE_KNOWN, len(cut.executions))[position:]
    assert json.loads(text or "") == {"trainer": CODE, "transform": CODE}
    assert run.model not in cut.artifacts.id
    (graphlet,) = segment(cut)
    assert graphlet.executions == tuple(range(1, 7))


def test_the_trainer_can_be_left_out() -> None:
    """Without the Trainer the store is what a gate before it reads."""
    runs = Runs()
    runs.run()
    assert _classes(_last_cut(runs, Stage.PRE, with_trainer=False)) == BEFORE


def test_after_the_trainer_its_model_is_there() -> None:
    """At trainer nothing downstream has begun; at validation the Evaluator has ended."""
    runs = Runs()
    run = runs.run()
    assert _classes(_last_cut(runs, Stage.TRAINER)) == [*BEFORE, "Trainer"]
    cut = _last_cut(runs, Stage.VALIDATION)
    assert _classes(cut) == [*BEFORE, "Trainer", "Evaluator"]
    assert run.model in cut.artifacts.id


def test_what_was_under_way_is_running() -> None:
    """A StatisticsGen of another run that had not ended is RUNNING and has put out nothing."""
    build = TraceBuilder()
    data, stats = build.artifact("Examples"), build.artifact("ExampleStatistics")
    build.execution("CsvExampleGen", outputs={"e": [data]}, run="1")
    slow = build.execution(
        "StatisticsGen", inputs={"e": [data]}, outputs={"s": [stats]}, run="1", duration_ms=9000
    )
    build.execution("Trainer", inputs={"e": [data]}, run="2", create_ms=build.clock_ms - 5000)
    graphlets = segment(build.trace())
    moment = int(decision_moment(graphlets, Stage.PRE)[0])
    cut = cut_trace(graphlets, 0, Stage.PRE, moment)
    position = cut.execution_position(slow)
    assert cut.executions.state[position] == ExecutionState.RUNNING
    assert stats not in cut.artifacts.id


def test_the_whole_trace_is_left_at_its_end() -> None:
    """Cut after everything, at the last stage, nothing is missing."""
    runs = Runs()
    runs.run()
    trace = runs.build.trace()
    graphlets = segment(trace)
    assert cut_trace(graphlets, 0, Stage.VALIDATION, runs.build.clock_ms).equals(trace)
