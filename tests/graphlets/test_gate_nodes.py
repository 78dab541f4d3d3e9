"""A trace without what the gate left in it."""

from __future__ import annotations

from tfx_graphlets.graphlets.gate_nodes import without_gates
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


def test_without_the_gates_events_a_gated_graphlet_holds_what_an_ungated_one_does() -> None:
    """The gate's nodes, and through the waste model an earlier run's data, drop out."""
    build = TraceBuilder()
    gated_run(build, "r2", gated=True, model=gated_run(build, "r1", gated=True))
    trace = build.trace()
    as_recorded = segment(trace)[1]
    assert as_recorded.executions == (1, 2, 3, 6, 7, 9, 10)  # 1, 2 and 3 are of the earlier run
    cleaned = [graphlet.executions for graphlet in segment(without_gates(trace))]
    assert cleaned == [(1, 5), (6, 10)]


def test_a_trace_without_gates_stays_as_it_is() -> None:
    """Nothing is copied where there is nothing to drop."""
    build = TraceBuilder()
    gated_run(build, "r1", gated=False)
    trace = build.trace()
    assert without_gates(trace) is trace
