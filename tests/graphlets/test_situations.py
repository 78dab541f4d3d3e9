"""Situations of stores beside the public cases: one more of each kind, unlike the given one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import pytest

from tests.graphlets.test_outcome_needed import outcomes as outcomes_of
from tests.stores.kubeflow.retelling import as_system_rows
from tfx_graphlets.backtest.gates import behind_one_gate
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.outcome import missed_pushes, wasted_executions
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.belonging import belonging_to
from tfx_graphlets.stores.system_types import in_words_of_tfx
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.vocabulary import EventType, ExecutionState, Stage
from tfx_graphlets.waste_model.dataset import Dataset

State = ExecutionState


@dataclasses.dataclass
class Pipeline:
    """Nodes of one pipeline, in one run at a time.

    Attributes:
      build: takes them.
      name: of the pipeline.
      run: name of the run.
    """

    build: TraceBuilder
    name: str = "p"
    run: str = "r0"

    def node(
        self,
        kind: str,
        inputs: Mapping[str, int] | None = None,
        output: tuple[str, int] | None = None,
        node: str = "",
        **more: object,
    ) -> int:
        """An execution with at most one output; returns its id."""
        return self.build.execution(
            kind,
            inputs={key: [one] for key, one in (inputs or {}).items()},
            outputs={} if output is None else {output[0]: [output[1]]},
            run=self.run, pipeline=self.name, node=f"{self.name}.{node or kind}",
            **more,  # type: ignore[arg-type]
        )  # fmt: skip

    def examples(self, again: int | None = None) -> int:
        """Data of the run; those of an earlier one where they come from TFX's cache."""
        made = self.build.artifact("Examples", span=1) if again is None else again
        state = State.COMPLETE if again is None else State.CACHED
        self.node("CsvExampleGen", output=("examples", made), state=state)
        return made

    def train(
        self,
        examples: int,
        node: str = "Trainer",
        *,
        state: State = State.COMPLETE,
        again: int | None = None,
        **inputs: int,
    ) -> int:
        """A Model, of an earlier run where it comes from TFX's cache."""
        model = self.build.artifact("Model") if again is None else again
        output = None if state is State.FAILED else ("model", model)
        self.node("Trainer", {"examples": examples, **inputs}, output, node, state=state)
        return model

    def serve(
        self, model: int, pushed: int, node: str = "", *, kind: str = "Pusher", **inputs: int
    ) -> None:
        """An Evaluator and a Pusher."""
        blessing = self.build.artifact("ModelBlessing", blessed=pushed)
        of_evaluator = {"model": model, **inputs}
        self.node("Evaluator", of_evaluator, ("blessing", blessing), f"Evaluator{node}")
        there = self.build.artifact("PushedModel", pushed=pushed)
        of_pusher = {"model": model, "model_blessing": blessing}
        self.node(kind, of_pusher, ("pushed_model", there), f"{kind}{node}")


def outcomes(build: TraceBuilder) -> list[str]:
    """Outcome of every graphlet; the same where Kubeflow Pipelines has recorded it."""
    found = outcomes_of(build)
    told = segment(assemble(in_words_of_tfx(as_system_rows(build.raw()).rows())))
    assert [str(graphlet.outcome) for graphlet in told] == found
    return found


def classes_of(graphlets: Graphlets, number: int) -> list[str]:
    """Types of a graphlet's executions, in their order."""
    executions = graphlets.trace.executions
    return [
        executions.type_names[executions.type[at]]
        for at in graphlets.executions.of(number).tolist()
    ]


def gates_of(graphlets: Graphlets, stage: Stage = Stage.PRE) -> list[set[str]]:
    """Nodes that share a gate, by the first run and in the order of their decisions."""
    dataset, gate = behind_one_gate(Dataset.describe(graphlets, stage, None, "s"))
    first = [at for at, run in enumerate(dataset.run) if run.endswith("0")]
    found: dict[int, set[str]] = {}
    for at in first:
        found.setdefault(int(gate[at]), set()).add(f"{dataset.pipeline[at]}.{dataset.node[at]}")
    return list(found.values())


def test_two_trainers_are_judged_by_an_evaluator_each() -> None:
    """The right model is held against the left one: no part of its graphlet, and no verdict on it.

    One gate stands before both where one Evaluator takes in both models.
    """
    build = TraceBuilder()
    for number in range(2):
        of = Pipeline(build, run=f"r{number}")
        data = of.examples()
        left, right = of.train(data, "left"), of.train(data, "right")
        of.serve(left, 1, ".left")
        of.serve(right, number, ".right", baseline_model=left)
    assert outcomes(build) == ["pushed", "unpushed", "pushed", "pushed"]
    graphlets = segment(build.trace())
    parts = ["CsvExampleGen", "Trainer", "Evaluator", "Pusher"]
    assert [classes_of(graphlets, number) for number in range(4)] == [parts] * 4
    table = describe(graphlets, Stage.VALIDATION)
    assert table.numbers("evaluation.blessed").tolist() == [1.0, 0.0, 1.0, 1.0]
    assert gates_of(graphlets) == [{"p.left", "p.right"}]


def test_pipelines_that_share_a_schema_have_nothing_else_in_common() -> None:
    """The curated Schema is of every graphlet, and ties no ExampleValidator of another to it."""
    build = TraceBuilder()
    curated = Pipeline(build, "schemas", "s0")
    schema = build.artifact("Schema")
    curated.node("Importer", output=("result", schema))
    for name in "abc":
        for number in range(2):
            of = Pipeline(build, name, f"{name}{number}")
            data, found = of.examples(), build.artifact("ExampleStatistics")
            of.node("StatisticsGen", {"examples": data}, ("statistics", found))
            anomalies = build.artifact("ExampleAnomalies")
            held = {"statistics": found, "schema": schema}
            of.node("ExampleValidator", held, ("anomalies", anomalies))
            of.serve(of.train(data, schema=schema), number)
    assert outcomes(build) == ["unpushed", "pushed"] * 3
    graphlets = segment(build.trace())
    assert {len(graphlets.executions.of(number)) for number in range(6)} == {7}
    part = belonging_to(build.trace(), "b", "the store")
    assert len(part.executions) == 2 * 6 + 1
    assert [str(one.outcome) for one in segment(part)] == ["unpushed", "pushed"]
    # Only what the runs of an unpushed model cost is wasted: the Schema serves others too.
    assert int(wasted_executions(graphlets).sum()) == 3 * 6
    assert [len(gate) for gate in gates_of(graphlets)] == [1, 1, 1]


def chain(runs: int) -> Graphlets:
    """A base model, its adaptation and its fine-tuning in each run; every second is pushed."""
    build = TraceBuilder()
    for number in range(runs):
        of = Pipeline(build, run=f"r{number}")
        data = of.examples()
        model = of.train(data, "pretrain")
        model = of.train(data, "adapt", base_model=model)
        model = of.train(data, "finetune", base_model=model)
        of.serve(model, number % 2)
    last = ["unpushed", "pushed"] * (runs // 2)
    assert outcomes(build) == [one for each in last for one in ("unpushed", "unpushed", each)]
    return segment(build.trace())


def test_a_chain_of_three_is_one_decision() -> None:
    """Its base models are needed with the push; whichever is skipped, that one push is missed."""
    graphlets = chain(2)
    assert graphlets.needed.tolist() == [False] * 3 + [True] * 3
    for number in (3, 4, 5):
        missed = missed_pushes(graphlets, np.arange(6) == number)
        assert np.flatnonzero(missed).tolist() == [5]
    nodes = {"p.pretrain", "p.adapt", "p.finetune"}
    for stage in Stage:
        assert gates_of(graphlets, stage) == [nodes], stage
    dataset, gate = behind_one_gate(Dataset.describe(graphlets, Stage.PRE, None, "s"))
    moments = graphlets.trace.executions.create_ms[graphlets.trainer]
    assert dataset.decision_ms.tolist() == [*[moments[0]] * 3, *[moments[3]] * 3]
    assert gate.tolist() == [0, 0, 0, 3, 3, 3]
    # An earlier replay, which skipped the first run, leaves nothing behind.
    again = Dataset.describe(graphlets, Stage.PRE, None, "s")
    again.describers["s"].skip(1, graphlets.executions.of(1))
    for name in dataset.table.columns:
        left, right = dataset.table.columns[name], behind_one_gate(again)[0].table.columns[name]
        np.testing.assert_array_equal(left, right, name)


def test_a_base_model_of_another_pipeline_is_taken_by_a_resolver() -> None:
    """Trained every other day, fine-tuned daily: needed from the push on, and a gate of its own."""
    build = TraceBuilder()
    base = 0
    for number in range(4):
        if number % 2 == 0:
            weekly = Pipeline(build, "weekly", f"w{number}")
            base = weekly.train(weekly.examples())
        daily = Pipeline(build, "daily", f"d{number}")
        data = daily.examples()
        found = daily.node("Resolver", node="latest")
        for kind in (EventType.INPUT, EventType.OUTPUT):
            build.event(found, base, kind, "model")
        daily.serve(daily.train(data, base_model=base), int(number == 3))
    assert outcomes(build) == ["unpushed", "unpushed", "unpushed", "unpushed", "unpushed", "pushed"]
    graphlets = segment(build.trace())
    assert np.flatnonzero(graphlets.needed).tolist() == [3, 5]
    pushed_ms = int(graphlets.end_ms[5])
    assert graphlets.needed_ms[[3, 5]].tolist() == [pushed_ms, pushed_ms]
    # The older model would have served as a start: no push is missed with the base of another run.
    assert not missed_pushes(graphlets, np.arange(6) == 3).any()
    assert gates_of(graphlets) == [{"weekly.Trainer"}, {"daily.Trainer"}]
    part = belonging_to(build.trace(), "weekly", "the store")
    kept = segment(part)
    assert kept.needed[kept.of(pipeline="weekly")].tolist() == [False, True]


def test_a_training_that_failed_is_tried_again_by_the_next_run() -> None:
    """Its data come from TFX's cache: two graphlets, and nothing that they share is wasted."""
    build = TraceBuilder()
    first = Pipeline(build)
    data = first.examples()
    first.train(data, state=State.FAILED)
    second = Pipeline(build, run="r1")
    second.examples(data)
    second.serve(second.train(data), 1)
    assert outcomes(build) == ["failed", "pushed"]
    graphlets = segment(build.trace())
    assert not wasted_executions(graphlets).any()
    assert float(graphlets.cost[graphlets.trace.executions.state == State.CACHED].sum()) == 0


def test_a_model_from_the_cache_is_pushed_by_a_later_run() -> None:
    """The cached Trainer is no graphlet: that of the run that trained it is pushed from then on."""
    build = TraceBuilder()
    first = Pipeline(build)
    data = first.examples()
    model = first.train(data)
    trained_ms = build.clock_ms
    second = Pipeline(build, run="r1")
    second.examples(data)
    second.train(data, state=State.CACHED, again=model)
    second.serve(model, 1)
    assert outcomes(build) == ["pushed"]
    graphlets = segment(build.trace())
    assert int(graphlets.needed_ms[0]) > trained_ms
    assert int(graphlets.end_ms[0]) == build.clock_ms


def test_a_partial_run_from_the_evaluator_belongs_to_what_it_goes_on_from() -> None:
    """TFX puts what is reused into the new run as well: one training, judged twice."""
    build = TraceBuilder()
    first = Pipeline(build)
    model = first.train(first.examples())
    first.serve(model, 0)
    for execution in (1, 2):
        build.associate(execution, "pipeline_run", "r1")
    Pipeline(build, run="r1").serve(model, 1)
    assert outcomes(build) == ["pushed"]
    graphlets = segment(build.trace())
    assert classes_of(graphlets, 0)[2:] == ["Evaluator", "Pusher"] * 2


@pytest.mark.parametrize("kind", ["Pusher", "ServingPusher", "PushToEdge"])
def test_a_pusher_by_another_name_pushes(kind: str) -> None:
    """What puts out PushedModel is a pusher; what it put out says whether it pushed."""
    build = TraceBuilder()
    for number in range(2):
        of = Pipeline(build, run=f"r{number}")
        of.serve(of.train(of.examples()), number, kind=kind)
    assert outcomes(build) == ["unpushed", "pushed"]


def test_what_chooses_between_two_models_puts_one_gate_before_both() -> None:
    """A node that takes in both models and puts out the better one, which is pushed."""
    build = TraceBuilder()
    for number in range(2):
        of = Pipeline(build, run=f"r{number}")
        data, best = of.examples(), build.artifact("Model")
        taken = {node: of.train(data, node) for node in ("champion", "challenger")}
        of.node("Choose", taken, ("best", best))
        of.serve(best, number)
    assert outcomes(build) == ["unpushed", "unpushed", "pushed", "pushed"]
    assert gates_of(segment(build.trace())) == [{"p.champion", "p.challenger"}]


def test_trainers_that_share_a_transform_share_a_gate_at_input_alone() -> None:
    """At pre each has its own; at input the gate leaves out what both are trained on."""
    build = TraceBuilder()
    of = Pipeline(build)
    data, graph = of.examples(), build.artifact("TransformGraph")
    of.node("Transform", {"examples": data}, ("transform_graph", graph))
    for number, node in enumerate(("left", "right")):
        of.serve(of.train(data, node, transform_graph=graph), number, f".{node}")
    graphlets = segment(build.trace())
    assert gates_of(graphlets) == [{"p.left"}, {"p.right"}]
    assert gates_of(graphlets, Stage.INPUT) == [{"p.left", "p.right"}]
