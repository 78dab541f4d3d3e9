"""What became of a graphlet, what was needed and which pushes a skip would miss."""

from __future__ import annotations

import numpy as np
import pytest

from tests.agreement import both, train
from tfx_graphlets.errors import InvalidArgumentError, TraceNotFoundError
from tfx_graphlets.graphlets import outcome, verdicts
from tfx_graphlets.graphlets.graphlet import NEVER, Graphlets
from tfx_graphlets.graphlets.roles import no_trainer_hint, roles_of_executions
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder, Value
from tfx_graphlets.vocabulary import ExecutionState, Role

CACHED, FAILED, RUNNING = ExecutionState.CACHED, ExecutionState.FAILED, ExecutionState.RUNNING


def attempt(
    build: TraceBuilder, data: int, *, run: str | None = "r", node: str | None = "p.Trainer",
    state: ExecutionState = ExecutionState.COMPLETE, pushed: Value | None = None,
) -> None:  # fmt: skip
    """A Trainer and, if ``pushed`` is given, a Pusher of its Model."""
    model = build.artifact("Model")
    build.execution(
        "Trainer", inputs={"examples": [data]}, outputs={"model": [model]}, state=state,
        run=run, pipeline="p", node=node,
    )  # fmt: skip
    if pushed is not None:
        push(build, model, pushed=pushed)


def push(build: TraceBuilder, model: int, type_name: str = "Pusher", **properties: Value) -> None:
    """A pusher whose PushedModel has these properties."""
    build.execution(
        type_name, inputs={"model": [model]}, duration_ms=10, run="r", pipeline="p",
        node=f"p.{type_name.rpartition('.')[2]}",
        outputs={"pushed_model": [build.artifact("PushedModel", **properties)]},
    )  # fmt: skip


def outcomes(build: TraceBuilder, **options: object) -> list[str]:
    """Outcome of every graphlet, on which both implementations agree."""
    graphlets, _ = both(build.raw(), **options)  # type: ignore[arg-type]
    return [str(graphlet.outcome) for graphlet in graphlets]


# -- retried -----------------------------------------------------------------------------


def test_only_the_last_of_several_attempts_counts() -> None:
    """Three attempts in one run: the first two are retried, no waste, and no example."""
    build = TraceBuilder()
    data = build.artifact()
    attempt(build, data)
    attempt(build, data, state=RUNNING)
    attempt(build, data, pushed=0)
    assert outcomes(build) == ["retried", "retried", "unpushed"]
    graphlets = segment(build.trace())
    assert graphlets.labelled.tolist() == [False, False, True]
    assert graphlets.retry.tolist() == [1, 2, -1]
    assert outcome.total_waste(graphlets) == 1_010.0  # the last Trainer and its Pusher


def test_an_attempt_that_pushed_or_failed_stays_what_it_is() -> None:
    """Pushed and failed come before retried."""
    build = TraceBuilder()
    data = build.artifact()
    attempt(build, data, pushed=1)
    attempt(build, data, state=FAILED)
    attempt(build, data)
    assert outcomes(build) == ["pushed", "failed", "unpushed"]


@pytest.mark.parametrize("other", ["run", "node", "data", "no run", "cached"])
def test_another_training_is_no_attempt_at_the_same_one(other: str) -> None:
    """Another run, node or data; executions without a run; a cache hit."""
    build = TraceBuilder()
    data, more = build.artifact(), build.artifact()
    run = None if other == "no run" else "r"
    attempt(build, data, run=run)
    attempt(
        build, more if other == "data" else data, run="r2" if other == "run" else run,
        node="p.Other" if other == "node" else "p.Trainer",
        state=CACHED if other == "cached" else ExecutionState.COMPLETE,
    )  # fmt: skip
    assert "retried" not in outcomes(build)


def test_an_attempt_under_another_decision_of_a_gate_is_one_at_the_same_training() -> None:
    """What gates decide is no artifact that a Trainer took in."""
    build = TraceBuilder()
    data = build.artifact()
    for _ in range(2):
        decision = build.artifact("tfx_graphlets.GateDecision")
        inputs = {"examples": [data], "_WasteGate.decision": [decision]}
        model = build.artifact("Model")
        build.execution("Trainer", inputs=inputs, outputs={"model": [model]}, run="r", node="t")
    assert outcomes(build) == ["retried", "unpushed"]


# -- needed ------------------------------------------------------------------------------


def fine_tuned(build: TraceBuilder, *, run: str | None, pushed: int, base_run: str | None) -> None:
    """A base model and one that is fine-tuned on it and offered to serving."""
    base, model = build.artifact("Model"), build.artifact("Model")
    build.execution("Trainer", outputs={"model": [base]}, run=base_run, node="pretrain")
    build.execution(
        "Trainer", inputs={"base_model": [base]}, outputs={"model": [model]}, run=run,
        node="finetune",
    )  # fmt: skip
    push(build, model, pushed=pushed)


def test_a_base_model_is_needed_from_the_push_on_that_it_led_to() -> None:
    """Through two warm starts; the label changes at that push, not before."""
    build = TraceBuilder(clock_ms=0)
    first = train(build)
    second = train(build, warm_start=first)
    train(build, warm_start=second, pushed=1, duration_ms=100)
    train(build, warm_start=second, pushed=0)
    graphlets, _ = both(build.raw())
    assert graphlets.needed.tolist() == [True, True, True, False]
    assert graphlets.needed_ms.tolist() == [301, 301, 301, NEVER]


def test_a_push_is_missed_with_the_base_model_of_its_run() -> None:
    """Of a base model of another run it is not: the older model would have served as well."""
    build = TraceBuilder()
    fine_tuned(build, run="r", base_run="r", pushed=1)
    fine_tuned(build, run="r2", base_run="r1", pushed=1)
    fine_tuned(build, run="r3", base_run="r3", pushed=0)
    graphlets, _ = both(build.raw())
    for skipped, missed in ((0, [1]), (1, [1]), (2, []), (3, [3]), (4, []), (5, [])):
        chosen = np.arange(6) == skipped
        assert np.flatnonzero(outcome.missed_pushes(graphlets, chosen)).tolist() == missed
    with pytest.raises(InvalidArgumentError, match="skipped"):
        outcome.missed_pushes(graphlets, np.zeros(1, bool))


# -- which pushers count -----------------------------------------------------------------


def staged(build: TraceBuilder) -> None:
    """A model that is pushed to staging and not to production."""
    model = build.artifact("Model")
    build.execution("Trainer", outputs={"model": [model]}, run="r", node="p.Trainer")
    push(build, model, "acme.StagingPusher", pushed=1)
    push(build, model, "Pusher", pushed=0)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (None, "pushed"), (["Pusher"], "unpushed"), (["p.Pusher"], "unpushed"),
        (["StagingPusher"], "pushed"), (["acme.StagingPusher"], "pushed"),
        (["Pusher", "StagingPusher"], "pushed"), ([], "unpushed"),
    ],
)  # fmt: skip
def test_the_user_says_which_pushers_count(names: list[str] | None, expected: str) -> None:
    """By the node's id, its context's name, or the type's name, full or its last part."""
    build = TraceBuilder()
    staged(build)
    assert outcomes(build, pushers=names) == [expected]


def test_a_pusher_that_is_not_there_is_refused_with_those_that_are() -> None:
    """``verdicts.present`` leaves it out, for a store before the first push."""
    build = TraceBuilder()
    staged(build)
    trace = build.trace()
    with pytest.raises(InvalidArgumentError, match=r"'Prod'.*StagingPusher"):
        segment(trace, pushers=["Prod"])
    role = roles_of_executions(trace)
    assert verdicts.present(trace, role, ["Prod", "Pusher"]) == ("Pusher",)
    assert verdicts.present(trace, role, ["Prod"]) == ()
    assert verdicts.present(trace, role, None) is None


def test_a_class_that_is_declared_to_push_has_pushed_when_it_is_complete() -> None:
    """Where nothing that its class put out says ``pushed``; a cache hit pushed nothing."""
    build = TraceBuilder()
    for state in (ExecutionState.COMPLETE, FAILED, CACHED):
        model = build.artifact("Model")
        build.execution("Trainer", outputs={"model": [model]})
        build.execution("acme.deploy", inputs={"model": [model]}, state=state)
    assert outcomes(build) == ["unpushed"] * 3
    declared = {"deploy": Role.PUSHER}
    assert outcomes(build, role_of_type=declared) == ["pushed", "unpushed", "unpushed"]
    model = build.artifact("Model")
    build.execution("Trainer", outputs={"model": [model]})
    said = build.artifact("String", pushed="no")
    build.execution("acme.deploy", inputs={"model": [model]}, outputs={"endpoint": [said]})
    assert outcomes(build, role_of_type=declared) == ["unpushed"] * 4


# -- selection ---------------------------------------------------------------------------


def two_pipelines() -> Graphlets:
    """Two nodes of one pipeline, one of another; names with dots."""
    build = TraceBuilder()
    for pipeline, node in (
        ("a.b", "T.left"),
        ("a.b", "T.right"),
        ("c", "T.left"),
        ("a.b", "T.left"),
    ):
        build.execution("Trainer", run="r", pipeline=pipeline, node=f"{pipeline}.{node}")
    return segment(build.trace())


def test_a_pipeline_and_a_node_select_graphlets() -> None:
    """By the node's id, or the full name of its context."""
    graphlets = two_pipelines()
    assert graphlets.of().tolist() == [0, 1, 2, 3]
    assert graphlets.of(pipeline="a.b").tolist() == [0, 1, 3]
    assert graphlets.of(pipeline="a.b", node="T.left").tolist() == [0, 3]
    assert graphlets.of(node="T.left").tolist() == [0, 2, 3]
    assert graphlets.of(node="c.T.left").tolist() == [2]
    assert graphlets[1].node == "T.right"


@pytest.mark.parametrize(
    ("names", "message"),
    [({"pipeline": "x"}, "'a.b', 'c'"), ({"pipeline": "c", "node": "T.right"}, "'T.left'")],
)
def test_a_name_that_selects_nothing_is_refused_with_those_that_there_are(
    names: dict[str, str], message: str
) -> None:
    """The error lists the pipelines, or the pipeline's nodes."""
    with pytest.raises(TraceNotFoundError, match=message):
        two_pipelines().of(**names)


# -- missing times, missing Trainers -----------------------------------------------------


def test_a_time_of_0_is_a_missing_time() -> None:
    """It makes no cost, is no start, and shuts no data analysis out."""
    build = TraceBuilder()
    data, model = build.artifact(), build.artifact("Model")
    build.execution("CsvExampleGen", outputs={"examples": [data]}, create_ms=0, duration_ms=9_000)
    build.execution(
        "Trainer", inputs={"examples": [data]}, outputs={"model": [model]}, create_ms=5_000,
        duration_ms=-5_000,
    )  # fmt: skip
    build.execution("StatisticsGen", inputs={"examples": [data]}, create_ms=7_000, duration_ms=10)
    graphlets, _ = both(build.raw())
    assert graphlets.cost.tolist() == [0.0, 0.0, 10.0]
    assert (graphlets.start_ms[0], graphlets[0].start_ms) == (5_000, 5_000)
    assert graphlets[0].executions == (1, 2, 3)


def test_a_store_with_models_and_no_trainer_names_the_classes_that_make_them() -> None:
    """And the option that makes one a Trainer; an Importer trains nothing."""
    build = TraceBuilder()
    data = build.artifact("Dataset")
    for name in ("steps.fit", "other.fit", "steps.refit"):
        build.execution(
            name, inputs={"dataset": [data]}, outputs={"model": [build.artifact("Model")]}
        )
    build.execution("Importer", outputs={"result": [build.artifact("Model")]})
    build.execution("", outputs={"model": [build.artifact("Model")]})  # its type is gone
    trace = build.trace()
    hint = no_trainer_hint(trace, roles_of_executions(trace))
    assert hint is not None
    for part in ("steps.fit", "--role refit=trainer", "--role other.fit=trainer"):
        assert part in hint
    assert "Importer" not in hint
    assert "--role =" not in hint
    declared = roles_of_executions(trace, {"refit": Role.TRAINER})
    assert no_trainer_hint(trace, declared) is None
