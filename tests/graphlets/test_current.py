"""The current graphlet of a run whose Trainer does not exist yet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.corpus import needs_corpus, real_runs
from tests.cut import cut_trace
from tests.features.runs import Runs
from tfx_graphlets.errors import TraceNotFoundError
from tfx_graphlets.features import decision_moment, describe
from tfx_graphlets.features.user_code import GraphletCodes
from tfx_graphlets.graphlets.current import current_graphlet, inputs_from_run, with_pending_trainer
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.graphlets.timeline import Timeline
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.trace import first_difference
from tfx_graphlets.vocabulary import EventType, ExecutionState, Outcome, Stage


def started(build: TraceBuilder, *, transformed: bool = True) -> dict[str, int]:
    """A run ``now`` of the pipeline ``p`` that has not got to its Trainer."""
    names = ("Examples", "ExampleStatistics", "Schema", "TransformGraph")
    ids = {name: build.artifact(name) for name in names[: 4 if transformed else 1]}

    def node(type_name: str, inputs: dict[str, list[int]], outputs: dict[str, list[int]]) -> None:
        build.execution(
            type_name,
            inputs=inputs,
            outputs=outputs,
            run="now",
            pipeline="p",
            node=f"p.{type_name}",
        )

    node("CsvExampleGen", {}, {"examples": [ids["Examples"]]})
    if transformed:
        node(
            "StatisticsGen", {"examples": [ids["Examples"]]},
            {"statistics": [ids["ExampleStatistics"]]},
        )  # fmt: skip
        node(
            "SchemaGen", {"statistics": [ids["ExampleStatistics"]]}, {"schema": [ids["Schema"]]}
        )  # fmt: skip
        node(
            "Transform", {"examples": [ids["Examples"]], "schema": [ids["Schema"]]},
            {"transform_graph": [ids["TransformGraph"]]},
        )  # fmt: skip
    return ids


def test_a_pending_trainer_is_what_a_reader_would_have_read() -> None:
    """Appending it gives the same trace as a store that holds it."""
    build = TraceBuilder()
    data = build.artifact("Examples")
    build.execution("CsvExampleGen", outputs={"examples": [data]}, run="r", node="p.gen")
    trace = build.trace()
    now = build.clock_ms
    extended = with_pending_trainer(
        trace, input_artifacts={"examples": [data], "a_key": [data]}, run_context="r",
        pipeline="pipeline", node="p.Trainer", moment_ms=now, trainer_type="Acme",
    )  # fmt: skip
    build.execution(
        "Acme", inputs={"examples": [data], "a_key": [data]}, run="r", node="p.Trainer",
        state=ExecutionState.RUNNING, duration_ms=0,
    )  # fmt: skip
    assert first_difference(extended, assemble(build.raw().rows())) is None


def test_a_pending_trainer_may_stand_alone() -> None:
    """In an empty trace it is the only execution, in no context."""
    trace = TraceBuilder().trace()
    extended = with_pending_trainer(
        trace, input_artifacts={}, run_context=None, pipeline=None, node=None, moment_ms=7
    )
    assert extended.executions.id.tolist() == [1]
    assert extended.executions.create_ms.tolist() == [7]
    assert len(extended.contexts) == 0


def test_an_unknown_input_is_refused() -> None:
    """An artifact id that the trace does not have is named in the error."""
    with pytest.raises(TraceNotFoundError, match=r"input_artifacts\['examples'\]=99"):
        with_pending_trainer(
            TraceBuilder().trace(), input_artifacts={"examples": [99]}, run_context=None,
            pipeline=None, node=None, moment_ms=1,
        )  # fmt: skip


def test_inputs_follow_the_previous_trainer() -> None:
    """By the same keys, from the same nodes: Examples, TransformGraph and Schema of this run."""
    runs = Runs()
    runs.run()
    ids = started(runs.build)
    assert inputs_from_run(runs.build.trace(), "now") == {
        "examples": (ids["Examples"],),
        "schema": (ids["Schema"],),
        "transform_graph": (ids["TransformGraph"],),
    }


def test_what_is_not_made_yet_is_replaced_by_what_it_is_made_from() -> None:
    """Right after ExampleGen the Examples stand for the TransformGraph and the Schema."""
    runs = Runs()
    runs.run()
    ids = started(runs.build, transformed=False)
    found = inputs_from_run(runs.build.trace(), "now")
    assert set().union(*found.values()) == {ids["Examples"]}


def test_what_a_resolver_found_is_an_input() -> None:
    """A rolling window that a Resolver put together, as TFX records it (internal outputs)."""
    build = TraceBuilder()
    spans = [build.artifact("Examples", span=number) for number in range(4)]

    def run(name: str, window: list[int]) -> None:
        build.execution(
            "CsvExampleGen", outputs={"examples": window[-1:]}, run=name, pipeline="p", node="gen"
        )
        resolver = build.execution("Resolver", run=name, pipeline="p", node="window")
        for span in window:
            build.event(resolver, span, EventType.INTERNAL_OUTPUT, "examples")

    run("1", spans[:3])
    build.execution(
        "Trainer", inputs={"examples": spans[:3]}, outputs={"model": [build.artifact("Model")]},
        run="1", pipeline="p", node="Trainer",
    )  # fmt: skip
    run("2", spans[1:])
    assert inputs_from_run(build.trace(), "2") == {"examples": tuple(spans[1:])}


def test_the_first_run_takes_all_there_is() -> None:
    """Without an earlier Trainer every Examples, Schema and TransformGraph of the run counts."""
    build = TraceBuilder()
    ids = started(build)
    assert inputs_from_run(build.trace(), "now") == {
        "examples": (ids["Examples"],),
        "schema": (ids["Schema"],),
        "transform_graph": (ids["TransformGraph"],),
    }


def test_the_current_graphlet_stands_behind_its_predecessors() -> None:
    """It has the run's executions, the previous Trainer's lane, and no outcome."""
    runs = Runs()
    previous = runs.run()
    ids = started(runs.build)
    graphlet = current_graphlet(runs.build.trace(), run="now", moment_ms=runs.build.clock_ms)
    assert graphlet.run == "now"
    assert graphlet.pipeline == "p"
    assert graphlet.outcome is Outcome.INCOMPLETE
    assert graphlet.trainer > previous.trainer
    assert set(ids.values()) <= set(graphlet.artifacts)
    table = describe(
        graphlet.graphlets, Stage.PRE, rows=np.array([graphlet.number]),
        moment_ms=np.array([runs.build.clock_ms]),
    )  # fmt: skip
    assert table.row(0)["history.pushed_1"] == 1.0


def test_given_inputs_count_before_the_runs() -> None:
    """Artifacts that the caller names are what the Trainer takes in; no run is needed."""
    runs = Runs()
    run = runs.run()
    graphlet = current_graphlet(
        runs.build.trace(), input_artifacts={"examples": [run.examples]}, pipeline="p",
        moment_ms=runs.build.clock_ms,
    )  # fmt: skip
    assert run.examples in graphlet.artifacts
    assert graphlet.run is None


def test_after_training_the_graphlet_is_that_of_the_runs_trainer() -> None:
    """From stage trainer on no Trainer is made up."""
    runs = Runs()
    first = runs.run()
    runs.run()
    trace, now = runs.build.trace(), runs.build.clock_ms
    graphlet = current_graphlet(trace, run="p-run-1", moment_ms=now, stage=Stage.TRAINER)
    assert graphlet.trainer == first.trainer
    with pytest.raises(TraceNotFoundError, match=r"model=99999: no training holds an artifact"):
        current_graphlet(trace, run="p-run-1", moment_ms=now, stage=Stage.TRAINER, model=99999)
    started(runs.build)
    with pytest.raises(TraceNotFoundError, match=r"run='now': this run has trained no model"):
        current_graphlet(runs.build.trace(), run="now", moment_ms=now, stage=Stage.VALIDATION)


def test_an_unknown_run_is_refused() -> None:
    """A run that the trace does not have, or none at all, is one clear error."""
    trace = TraceBuilder().trace()
    with pytest.raises(TraceNotFoundError, match="run='x': the trace has no run of this name"):
        current_graphlet(trace, run="x", moment_ms=1)
    with pytest.raises(TraceNotFoundError, match="name a run"):
        current_graphlet(trace, moment_ms=1)


@needs_corpus
@pytest.mark.parametrize("store", real_runs(), ids=lambda path: path.parent.name)
@pytest.mark.parametrize("stage", Stage)
def test_a_live_gate_sees_what_the_history_says(store: Path, stage: Stage) -> None:
    """Recorded runs, each cut before its gate: the current graphlet has the features of the row.

    The gate is told the code, as GraphletGen is by the compiled pipeline.
    """
    with open_store(store) as opened:
        graphlets, payloads = segment(opened.read_trace()), opened.payloads
        codes = GraphletCodes.of(graphlets, Timeline.of(graphlets, graphlets.edges))
        moments = decision_moment(graphlets, stage)
        for number in range(3, len(graphlets), 13):
            live = stage.order < Stage.TRAINER.order
            cut = cut_trace(
                graphlets, number, stage, int(moments[number]), with_trainer=not live
            )  # fmt: skip
            found = current_graphlet(
                cut, run=graphlets[number].run, moment_ms=int(moments[number]), stage=stage,
                code=codes.known(number),
            )  # fmt: skip
            now = describe(
                found.graphlets, stage, payloads=payloads, rows=np.array([found.number]),
                moment_ms=moments[[number]],
            )  # fmt: skip
            rows = np.array([number])
            then = describe(graphlets, stage, payloads=payloads, rows=rows)
            assert now.row(0) == then.row(0)
