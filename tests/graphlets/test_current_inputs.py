"""What the Trainer to come takes in and is, told from those before it, where types tell too little.

Without an example every Examples of the run counts, so in each pipeline here that would be wrong.
"""

from __future__ import annotations

import pytest

from tfx_graphlets.errors import TraceNotFoundError
from tfx_graphlets.graphlets.current import current_graphlet, inputs_from_run, latest_trainer
from tfx_graphlets.graphlets.roles import roles_of_executions
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import ContextType, EventType, ExecutionState, Role, Stage


def prepared(build: TraceBuilder, run: str) -> tuple[int, int]:
    """A run that has transformed its data; returns the raw and the transformed Examples."""
    raw, transformed = build.artifact("Examples"), build.artifact("Examples")
    where = {"run": run, "pipeline": "p"}
    build.execution("CsvExampleGen", outputs={"examples": [raw]}, node="p.gen", **where)
    build.execution(
        "Transform", inputs={"examples": [raw]}, outputs={"transformed_examples": [transformed]},
        node="p.Transform", **where,
    )  # fmt: skip
    return raw, transformed


def trained(
    build: TraceBuilder, inputs: dict[str, list[int]], run: str, node: str = "Trainer",
    type_name: str = "Trainer", pipeline: str = "p",
) -> int:  # fmt: skip
    """A Trainer; returns its model."""
    model = build.artifact("Model")
    build.execution(
        type_name, inputs=inputs, outputs={"model": [model]}, run=run, pipeline=pipeline,
        node=f"p.{node}",
    )  # fmt: skip
    return model


def test_inputs_are_those_of_the_same_node_and_key_as_before() -> None:
    """The Trainer took transformed Examples alone; what its Evaluator took in is not its own."""
    build = TraceBuilder()
    raw, transformed = prepared(build, "1")
    model = trained(build, {"examples": [transformed]}, "1")
    build.execution(
        "Evaluator", inputs={"model": [model], "examples": [raw]}, run="1", pipeline="p",
        node="p.Evaluator",
    )  # fmt: skip
    _, now = prepared(build, "2")
    assert inputs_from_run(build.trace(), "2") == {"examples": (now,)}


def test_what_no_node_of_the_examples_run_had_made_is_not_told() -> None:
    """A base model from elsewhere is nobody's output in this run either."""
    build = TraceBuilder()
    elsewhere = build.artifact("Model")
    _, transformed = prepared(build, "1")
    trained(build, {"examples": [transformed], "base_model": [elsewhere]}, "1")
    _, now = prepared(build, "2")
    assert inputs_from_run(build.trace(), "2") == {"examples": (now,)}


def test_resolvers_without_a_node_are_told_apart_by_their_keys() -> None:
    """As the MLMD API records them; the Resolver of the data comes before that of the model."""
    build = TraceBuilder()

    def resolved(run: str) -> dict[str, list[int]]:
        found = {"window": build.artifact("Examples"), "model": build.artifact("Model")}
        for key, artifact in found.items():
            resolver = build.execution("Resolver", run=run, pipeline="p")
            build.event(resolver, artifact, EventType.INTERNAL_OUTPUT, key)
        return {"examples": [found["window"]], "base_model": [found["model"]]}

    trained(build, resolved("1"), "1")
    now = resolved("2")
    assert inputs_from_run(build.trace(), "2") == {key: tuple(ids) for key, ids in now.items()}


@pytest.mark.parametrize("node_first", [False, True])
def test_of_a_node_that_runs_again_the_first_output_does_not_count(node_first: bool) -> None:
    """What it is made from stands for the new one, wherever the node's context stands."""
    build = TraceBuilder()
    if node_first:
        stray = build.execution("Transform", run=None)
        build.associate(stray, ContextType.NODE, "p.Transform")
    _, transformed = prepared(build, "1")
    trained(build, {"examples": [transformed]}, "1")
    raw, _ = prepared(build, "2")
    build.execution(
        "Transform", inputs={"examples": [raw]}, state=ExecutionState.RUNNING, run="2",
        pipeline="p", node="p.Transform",
    )  # fmt: skip
    assert inputs_from_run(build.trace(), "2") == {"examples": (raw,)}


def test_a_run_without_a_pipeline_follows_nobody() -> None:
    """All that it put out counts, whatever Trainers of pipelines took in, and none is its own."""
    build = TraceBuilder()
    _, transformed = prepared(build, "1")
    trained(build, {"examples": [transformed]}, "1")
    data = [build.artifact("Examples"), build.artifact("Examples")]
    build.execution("CsvExampleGen", outputs={"examples": data}, run="2", pipeline=None)
    assert inputs_from_run(build.trace(), "2") == {"examples": tuple(data)}
    graphlet = current_graphlet(build.trace(), run="2", moment_ms=build.clock_ms)
    assert (graphlet.run, graphlet.pipeline) == ("2", None)
    assert set(data) <= set(graphlet.artifacts)


def test_the_latest_trainer_is_that_of_the_pipeline_and_the_node() -> None:
    """Later ones of another pipeline, another node or no pipeline are not."""
    build = TraceBuilder()
    trained(build, {}, "1", node="A")
    trained(build, {}, "1", node="B")
    trained(build, {}, "q1", node="A", pipeline="q")
    build.associate(1, "experiment", "p")  # a context of the user's own, the last of all
    build.execution("Trainer", run=None)
    trace = build.trace()
    role = roles_of_executions(trace)

    def found(pipeline: str | None = None, node: str | None = None) -> int | None:
        at = latest_trainer(trace, role, pipeline, node)
        return None if at is None else int(trace.executions.id[at])

    assert found() == 4
    assert (found("p"), found("q"), found("r")) == (2, 3, None)
    assert (found("p", "A"), found("p", "p.A"), found("p", "C")) == (1, 1, None)
    assert found(node="p.A") == 3


def test_the_trainer_to_come_is_of_the_class_of_the_latest() -> None:
    """A class of the user's own, unless another is named."""
    build = TraceBuilder()
    _, transformed = prepared(build, "1")
    trained(build, {"examples": [transformed]}, "1", type_name="acme.Fit")
    prepared(build, "2")
    trace, roles = build.trace(), {"Fit": Role.TRAINER}
    for given, expected in ((None, "acme.Fit"), ("acme.Other", "acme.Other")):
        graphlet = current_graphlet(
            trace, run="2", moment_ms=build.clock_ms, role_of_type=roles, trainer_type=given
        )
        executions = graphlet.graphlets.trace.executions
        assert executions.type_names[executions.type[-1]] == expected
        assert graphlet.node == "Trainer"


def test_after_training_the_model_says_which_graphlet_is_meant() -> None:
    """Of two Trainers of a run; of the run that made it, not of one that started from it."""
    build = TraceBuilder()
    _, data = prepared(build, "1")
    models = [trained(build, {"examples": [data]}, "1", node=node) for node in "AB"]
    _, data = prepared(build, "2")
    trained(build, {"examples": [data], "base_model": [models[0]]}, "2")
    trace, now = build.trace(), build.clock_ms

    def trainer(run: str, model: int) -> int:
        found = current_graphlet(trace, run=run, model=model, moment_ms=now, stage=Stage.TRAINER)
        assert model in found.artifacts
        return found.trainer

    assert [trainer("1", model) for model in models] == [3, 4]
    assert trainer("2", models[0]) == 3
    with pytest.raises(TraceNotFoundError):
        trainer("1", 99)


def test_a_model_that_the_cache_held_is_of_the_run_that_trained_it() -> None:
    """Its own run has no graphlet."""
    build = TraceBuilder()
    _, data = prepared(build, "1")
    model = trained(build, {"examples": [data]}, "1")
    build.execution(
        "Trainer", inputs={"examples": [data]}, outputs={"model": [model]}, run="2", pipeline="p",
        node="p.Trainer", state=ExecutionState.CACHED,
    )  # fmt: skip
    found = current_graphlet(
        build.trace(), run="2", model=model, moment_ms=build.clock_ms, stage=Stage.VALIDATION
    )
    assert (found.run, found.trainer) == ("1", 3)
