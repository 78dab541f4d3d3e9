"""Outcome and usefulness on small traces."""

from __future__ import annotations

import pytest

from tests.agreement import both, cut, train
from tfx_graphlets.graphlets.graphlet import NEVER
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.testing import TraceBuilder, Value
from tfx_graphlets.trace.trace import PropertyKind
from tfx_graphlets.vocabulary import ExecutionState

COMPLETE, CACHED = ExecutionState.COMPLETE, ExecutionState.CACHED
FAILED = ExecutionState.FAILED


def outcomes(build: TraceBuilder) -> list[str]:
    """Outcome of every graphlet, on which both implementations agree."""
    return [graphlet.outcome for graphlet in cut(build)]


# -- outcome -----------------------------------------------------------------------------


@pytest.mark.parametrize("value", [1, True, 1.0, "1"])
def test_pushed_is_1(value: Value) -> None:
    """The property ``pushed`` is 1 in whatever column the writer put it."""
    build = TraceBuilder()
    train(build, pushed=value)
    assert outcomes(build) == ["pushed"]


@pytest.mark.parametrize("declared", [0, 1])
def test_pushed_may_be_declared_or_custom(declared: int) -> None:
    """Where both kinds of ``pushed`` are set, one of them being 1 is enough."""
    build = TraceBuilder()
    model = train(build)
    served = build.artifact("PushedModel", pushed=1 - declared)
    raw = build.raw()
    raw.add_property("Artifact", served, "pushed", False, PropertyKind.INT, declared)
    build.execution("Pusher", inputs={"model": [model]}, outputs={"pushed_model": [served]})
    assert outcomes(build) == ["pushed"]


@pytest.mark.parametrize("value", [0, False, 2, "yes", ""])
def test_a_pushed_model_with_another_value_proves_nothing(value: Value) -> None:
    """An unblessed Pusher writes a PushedModel too, with ``pushed`` 0."""
    build = TraceBuilder()
    train(build, pushed=value)
    assert outcomes(build) == ["unpushed"]


def test_a_pushed_model_without_the_property_proves_nothing() -> None:
    """No property, no push."""
    build = TraceBuilder()
    model = train(build)
    pushed = build.artifact("PushedModel")
    build.execution("Pusher", inputs={"m": [model]}, outputs={"p": [pushed]})
    assert outcomes(build) == ["unpushed"]


def test_pushed_counts_as_a_declared_property() -> None:
    """Older TFX declared the property that newer TFX writes as a custom one."""
    build = TraceBuilder()
    model = train(build)
    pushed = build.artifact("PushedModel")
    build.execution("Pusher", inputs={"m": [model]}, outputs={"p": [pushed]})
    build.raw().add_property("Artifact", pushed, "pushed", False, PropertyKind.INT, 1)
    assert outcomes(build) == ["pushed"]


@pytest.mark.parametrize("state", list(ExecutionState))
def test_the_pusher_must_be_complete_or_cached(state: ExecutionState) -> None:
    """A Pusher that failed or never ended has not brought the model to serving."""
    build = TraceBuilder()
    model = train(build)
    pushed = build.artifact("PushedModel", pushed=1)
    build.execution("Pusher", inputs={"m": [model]}, outputs={"p": [pushed]}, state=state)
    assert outcomes(build) == ["pushed" if state in (COMPLETE, CACHED) else "unpushed"]


@pytest.mark.parametrize("state", [state for state in ExecutionState if state != CACHED])
def test_pushed_comes_before_the_state_of_the_trainer(state: ExecutionState) -> None:
    """A model that serves is pushed, whatever became of its Trainer's record."""
    build = TraceBuilder()
    train(build, pushed=1, state=state)
    assert outcomes(build) == ["pushed"]


def test_only_a_pusher_pushes() -> None:
    """``pushed`` = 1 on what another role put out, or took in, is no push."""
    build = TraceBuilder()
    model = train(build)
    pushed = build.artifact("PushedModel", pushed=1)
    build.execution("Evaluator", inputs={"m": [model]}, outputs={"p": [pushed]})
    build.execution("Pusher", inputs={"m": [model], "p": [pushed]})
    assert outcomes(build) == ["unpushed"]


def test_a_custom_uploader_pushes_any_artifact_that_says_so() -> None:
    """A class that puts out PushedModel is a PUSHER; the property may stand on its report."""
    build = TraceBuilder()
    model = train(build)
    outputs = {"p": [build.artifact("PushedModel")], "r": [build.artifact("Report", pushed=1)]}
    build.execution("Uploader", inputs={"model": [model]}, outputs=outputs)
    assert outcomes(build) == ["pushed"]


def test_a_push_of_another_model_does_not_count() -> None:
    """A Pusher beside the graphlet, or upstream of it, is not in its downstream part."""
    build = TraceBuilder()
    data, ready = build.artifact("Examples"), build.artifact("Examples", pushed=1)
    pushed = build.artifact("PushedModel", pushed=1)
    build.execution("Pusher", inputs={"in": [data]}, outputs={"p": [pushed], "out": [ready]})
    train(build, data, ready)
    assert outcomes(build) == ["unpushed"]


def test_one_push_of_several_is_enough() -> None:
    """Two Pushers of one model, one of which pushed."""
    build = TraceBuilder()
    model = train(build, pushed=0)
    pushed = build.artifact("PushedModel", pushed=1)
    build.execution("Pusher", inputs={"m": [model]}, outputs={"p": [pushed]})
    assert outcomes(build) == ["pushed"]


def test_a_failed_trainer_that_put_out_a_model_has_failed() -> None:
    """FAILED comes before unpushed."""
    build = TraceBuilder()
    train(build, state=FAILED)
    assert outcomes(build) == ["failed"]


@pytest.mark.parametrize("type_name", ["ModelRun", "PushedModel", "HyperParameters"])
def test_complete_without_a_model_is_incomplete(type_name: str) -> None:
    """A Trainer that put out something else has not trained a model."""
    build = TraceBuilder()
    build.execution("Trainer", outputs={"out": [build.artifact(type_name)]})
    assert outcomes(build) == ["incomplete"]


# -- useful ------------------------------------------------------------------------------


def useful(build: TraceBuilder) -> list[bool]:
    """Which graphlets are useful, on which both implementations agree."""
    return both(build.raw())[0].useful.tolist()


def test_a_warm_start_of_a_pushed_graphlet_is_useful_transitively() -> None:
    """A chain of warm starts that ends in a push is no waste; the end itself is pushed."""
    build = TraceBuilder()
    first = train(build)
    second = train(build, warm_start=first)
    third = train(build, warm_start=second, pushed=0)
    train(build, warm_start=third, pushed=1)
    train(build, warm_start=first)
    assert useful(build) == [True, True, True, False, False]


def test_a_warm_start_of_what_is_never_pushed_is_waste() -> None:
    """A chain that ends unpushed is not useful."""
    build = TraceBuilder()
    train(build, warm_start=train(build, warm_start=train(build)))
    assert useful(build) == [False, False, False]


def test_usefulness_passes_through_a_trainer_that_failed() -> None:
    """A failed Trainer's Model carries it on; only the unpushed ones are called useful."""
    build = TraceBuilder()
    second = train(build, warm_start=train(build), state=FAILED)
    train(build, warm_start=second, pushed=1)
    assert useful(build) == [True, False, False]


def test_a_baseline_is_no_warm_start() -> None:
    """A model that a pushed one was only compared with is not useful for that."""
    build = TraceBuilder()
    old = train(build)
    new = train(build, pushed=1)
    build.execution("Evaluator", inputs={"model": [new], "baseline_model": [old]})
    assert useful(build) == [False, False]


def test_models_that_start_from_each_other_are_needed_from_the_first_push_on() -> None:
    """No pipeline writes such a circle; a store that holds one is read all the same."""
    build = TraceBuilder()
    one, other = build.artifact("Model"), build.artifact("Model")
    for taken, made in ((other, one), (one, other)):
        build.execution("Trainer", inputs={"base_model": [taken]}, outputs={"model": [made]})
    served = build.artifact("PushedModel", pushed=1)
    build.execution("Pusher", inputs={"model": [other]}, outputs={"pushed_model": [served]})
    graphlets = segment(build.trace())
    assert len(set(graphlets.needed_ms.tolist())) == 1
    assert graphlets.needed_ms[0] != NEVER
