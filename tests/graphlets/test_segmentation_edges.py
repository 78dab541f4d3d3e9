"""Which events are edges, and which executions have a graphlet of their own."""

from __future__ import annotations

import pytest

from tests.agreement import Cut, both, cut
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.trace import PropertyKind
from tfx_graphlets.vocabulary import EventType, ExecutionState


def test_a_store_without_trainers_has_no_graphlets() -> None:
    """Graphlets are of Trainers: data alone makes none, nor does an empty store."""
    build = TraceBuilder()
    assert cut(build) == []
    build.execution("CsvExampleGen", outputs={"examples": [build.artifact()]})
    assert cut(build) == []


def test_a_trainer_without_events_is_a_graphlet_of_itself() -> None:
    """A Trainer that neither took in nor put out anything has a graphlet, incomplete."""
    build = TraceBuilder()
    build.execution("Trainer")
    assert cut(build) == [Cut(1, [1], [], outcome="incomplete")]


@pytest.mark.parametrize("state", [state for state in ExecutionState if state.name != "CACHED"])
def test_every_trainer_that_is_not_cached_has_a_graphlet(state: ExecutionState) -> None:
    """Any state but CACHED makes a graphlet; the cached one belongs to none."""
    build = TraceBuilder()
    data, model = build.artifact("Examples"), build.artifact("Model")
    build.execution("Trainer", inputs={"examples": [data]}, outputs={"model": [model]}, state=state)
    build.execution(
        "Trainer", inputs={"examples": [data]}, outputs={"model": [model]},
        state=ExecutionState.CACHED,
    )  # fmt: skip
    outcome = {ExecutionState.COMPLETE: "unpushed", ExecutionState.FAILED: "failed"}
    assert cut(build) == [Cut(1, [1], [1, 2], outcome=outcome.get(state, "incomplete"))]


def test_declared_events_are_edges() -> None:
    """DECLARED_INPUT and DECLARED_OUTPUT join as INPUT and OUTPUT do."""
    build = TraceBuilder()
    data, model = build.artifact("Examples"), build.artifact("Model")
    gen, trainer = build.execution("CsvExampleGen"), build.execution("Trainer")
    build.event(gen, data, EventType.DECLARED_OUTPUT, "examples")
    build.event(trainer, data, EventType.DECLARED_INPUT, "examples")
    build.event(trainer, model, EventType.DECLARED_OUTPUT, "model")
    assert cut(build) == [Cut(2, [1, 2], [1, 2])]


@pytest.mark.parametrize(
    ("put", "taken"),
    [
        (EventType.INTERNAL_OUTPUT, EventType.INPUT),
        (EventType.PENDING_OUTPUT, EventType.INPUT),
        (EventType.UNKNOWN, EventType.INPUT),
        (EventType.OUTPUT, EventType.INTERNAL_INPUT),
        (EventType.OUTPUT, EventType.UNKNOWN),
    ],
)
def test_internal_and_pending_events_are_no_edges(put: EventType, taken: EventType) -> None:
    """An event of another type than the four joins nothing."""
    build = TraceBuilder()
    data = build.artifact("Examples")
    gen, trainer = build.execution("CsvExampleGen"), build.execution("Trainer")
    build.event(gen, data, put, "examples")
    build.event(trainer, data, taken, "examples")
    held = [data] if taken == EventType.INPUT else []
    assert cut(build) == [Cut(trainer, [trainer], held, outcome="incomplete")]


def test_pending_output_of_a_model_is_no_model() -> None:
    """A Trainer whose Model is only pending has put out nothing: incomplete."""
    build = TraceBuilder()
    trainer = build.execution("Trainer")
    build.event(trainer, build.artifact("Model"), EventType.PENDING_OUTPUT, "model")
    assert cut(build) == [Cut(1, [1], [], outcome="incomplete")]


@pytest.mark.parametrize(
    "resolver", ["tfx.dsl.components.common.resolver.Resolver", "ResolverNode"]
)
def test_events_of_a_resolver_are_no_edges(resolver: str) -> None:
    """A Resolver that names what it found as outputs produced nothing and consumed nothing."""
    build = TraceBuilder()
    data, model = build.artifact("Examples"), build.artifact("Model")
    build.execution("CsvExampleGen", outputs={"examples": [data]})
    build.execution(resolver, inputs={"in": [data]}, outputs={"out": [data]})
    build.execution("Trainer", inputs={"examples": [data]}, outputs={"model": [model]})
    build.execution(resolver, inputs={"in": [model]}, outputs={"out": [model]})
    build.execution("Evaluator", inputs={"model": [model]})
    assert cut(build) == [Cut(3, [1, 3, 5], [1, 2])]


def test_events_that_name_nothing_in_the_store_are_dropped_and_counted() -> None:
    """An event of a missing execution or artifact changes no graphlet."""
    build = TraceBuilder()
    data = build.artifact("Examples")
    build.execution("Trainer", inputs={"examples": [data, 77]}, outputs={"model": [78]})
    build.event(55, data, EventType.OUTPUT, "examples")
    build.event(55, 77, EventType.INPUT)
    assert cut(build) == [Cut(1, [1], [1], outcome="incomplete")]
    assert build.trace().events.dropped == 4


def test_an_event_written_twice_counts_once() -> None:
    """Parallel events of the same two nodes, under any key, are one edge."""
    build = TraceBuilder()
    data, model = build.artifact("Examples"), build.artifact("Model")
    gen = build.execution("CsvExampleGen", outputs={"examples": [data, data], "again": [data]})
    trainer = build.execution(
        "Trainer", inputs={"examples": [data], "base": [model, model], "more": [model]}
    )
    build.event(trainer, data, EventType.DECLARED_INPUT, "examples")
    expected = Cut(trainer, [gen, trainer], [data], warm_start=(model,), outcome="incomplete")
    assert cut(build) == [expected]


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("complete", "unpushed"), ("published", "unpushed"), ("failed", "failed"),
        ("new", "incomplete"), ("running", "incomplete"), ("other", "incomplete"),
    ],
)  # fmt: skip
def test_state_property_counts_where_the_column_has_none(word: str, outcome: str) -> None:
    """Schema 4 has no state column: the property ``state`` is the state."""
    build = TraceBuilder()
    trainer = build.execution(
        "Trainer", outputs={"model": [build.artifact("Model")]}, state=ExecutionState.UNKNOWN
    )
    build.raw().add_property("Execution", trainer, "state", False, PropertyKind.STRING, word)
    assert cut(build) == [Cut(1, [1], [1], outcome=outcome)]


def test_state_property_cached_makes_a_cache_hit() -> None:
    """A Trainer that only its property calls cached has no graphlet."""
    build = TraceBuilder()
    trainer = build.execution("Trainer", state=ExecutionState.UNKNOWN)
    build.raw().add_property("Execution", trainer, "state", False, PropertyKind.STRING, "cached")
    assert cut(build) == []


def test_state_column_counts_before_the_property() -> None:
    """Where both are recorded the column is the state."""
    build = TraceBuilder()
    trainer = build.execution("Trainer", outputs={"model": [build.artifact("Model")]})
    build.raw().add_property("Execution", trainer, "state", False, PropertyKind.STRING, "cached")
    assert cut(build) == [Cut(1, [1], [1])]


def test_names_and_times_of_a_graphlet() -> None:
    """Pipeline and run are the Trainer's contexts; start, end and cost span the executions."""
    build = TraceBuilder(clock_ms=5_000)
    data, model = build.artifact("Examples"), build.artifact("Model")
    build.execution(
        "CsvExampleGen", outputs={"examples": [data]}, run="run-1", pipeline="taxi", duration_ms=300
    )
    build.execution(
        "Trainer", inputs={"examples": [data]}, outputs={"model": [model]}, run="run-2",
        pipeline="taxi", node="taxi.Trainer.a", duration_ms=4_000,
    )  # fmt: skip
    build.execution("Evaluator", inputs={"model": [model]}, create_ms=9_400, duration_ms=100)
    (graphlet,) = cut_to_dicts(build)
    assert graphlet == {
        "trainer": 2,
        "node": "Trainer.a",
        "pipeline": "taxi",
        "run": "run-2",
        "executions": [1, 2, 3],
        "artifacts": [1, 2],
        "warm_start": [],
        "outcome": "unpushed",
        "needed": False,
        "start_ms": 5_000,
        "end_ms": 9_500,
        "cost_ms": 4_400,
    }


def test_names_are_none_without_contexts() -> None:
    """A Trainer in no context has neither a pipeline nor a run."""
    build = TraceBuilder()
    build.execution("Trainer")
    (graphlet,) = cut_to_dicts(build)
    assert graphlet["pipeline"] is None
    assert graphlet["run"] is None


def cut_to_dicts(build: TraceBuilder) -> list[dict[str, object]]:
    """The graphlets of the trace, whole, on which both implementations agree."""
    return [graphlet.to_dict() for graphlet in both(build.raw())[0]]
