"""A trace without what the gate left in it."""

from __future__ import annotations

from tests.agreement import both
from tfx_graphlets.graphlets import outcome, roles
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder

COMPONENTS = "tfx_graphlets.components"


def gated_run(build: TraceBuilder, run: str, *, gated: bool, model: int | None = None) -> int:
    """One run, as TFX records it under Cond: the decision is an input of the Trainer."""
    examples = build.artifact("Examples")
    build.execution("CsvExampleGen", outputs={"examples": [examples]}, run=run)
    inputs = {"examples": [examples]}
    if gated:
        graphlets = build.artifact("tfx_graphlets.Graphlets")
        decision = build.artifact("tfx_graphlets.GateDecision", proceed=1)
        build.execution(
            f"{COMPONENTS}.graphlet_gen.GraphletGen",
            inputs={"examples": [examples]}, outputs={"graphlets": [graphlets]}, run=run,
        )  # fmt: skip
        waste_model = build.artifact("tfx_graphlets.WasteModel")
        build.execution(
            f"{COMPONENTS}.waste_model_trainer.WasteModelTrainer",
            inputs={"graphlets": [graphlets]}, outputs={"model": [waste_model]}, run=run,
        )  # fmt: skip
        build.execution(
            f"{COMPONENTS}.waste_gate.WasteGate",
            inputs={"graphlets": [graphlets], "model": [model or waste_model]},
            outputs={"decision": [decision]}, run=run,
        )  # fmt: skip
        inputs["_WasteGate.decision"] = [decision]
    else:
        waste_model = 0
    build.execution("Trainer", inputs=inputs, outputs={"model": [build.artifact("Model")]}, run=run)
    return waste_model


def test_a_gated_graphlet_holds_what_an_ungated_one_does() -> None:
    """No walk passes through the gate's nodes, nor through the waste model to earlier runs."""
    build = TraceBuilder()
    gated_run(build, "r2", gated=True, model=gated_run(build, "r1", gated=True))
    trace = build.trace()
    as_recorded = [graphlet.executions for graphlet in both(build.raw())[0]]
    assert as_recorded == [(1, 5), (6, 10)]
    assert [graphlet.executions for graphlet in segment(without_gates(trace))] == as_recorded


def test_what_gates_cost_is_reported_apart() -> None:
    """Three nodes of a second each, and the Importer of a class that is not ours is none."""
    build = TraceBuilder()
    gated_run(build, "r1", gated=True)
    build.execution("acme.tfx_graphlets.Reporter", run="r1")
    graphlets = segment(build.trace())
    overhead = roles.own_executions(graphlets.trace)
    assert graphlets.trace.executions.id[overhead].tolist() == [2, 3, 4]
    assert outcome.cost_of(graphlets, overhead) == 3_000.0


def test_a_trainer_of_this_project_makes_no_graphlet() -> None:
    """Whatever its class is called, and whatever it puts out."""
    build = TraceBuilder()
    data, model = build.artifact("Examples"), build.artifact("Model")
    build.execution(
        "tfx_graphlets.probes.Trainer", inputs={"examples": [data]}, outputs={"model": [model]}
    )
    assert len(both(build.raw())[0]) == 0


def test_a_trace_without_gates_stays_as_it_is() -> None:
    """Nothing is copied where there is nothing to drop."""
    build = TraceBuilder()
    gated_run(build, "r1", gated=False)
    trace = build.trace()
    assert without_gates(trace) is trace
