"""Trace, its tables, and how rows in any order become one."""

from __future__ import annotations

import base64
import dataclasses
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given

from tests.row_lists import lists_of, rows_of
from tests.strategies import deterministic, permuted, rows, seeds
from tfx_graphlets.errors import MalformedTraceError
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.ordering import positions_of
from tfx_graphlets.trace.properties import struct_to_json
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.strings import Texts
from tfx_graphlets.trace.trace import NO_KEY, PropertyKind, Trace, first_difference
from tfx_graphlets.vocabulary import EventType, ExecutionState


def small() -> TraceBuilder:
    """Two executions of one run around one artifact."""
    build = TraceBuilder()
    data = build.artifact("Examples", uri="data/1", span=7, note="x")
    build.execution("CsvExampleGen", outputs={"examples": [data]}, run="r", node="gen", rows=3)
    build.execution("Trainer", inputs={"examples": [data]}, run="r")
    return build


def test_tables_are_in_ascending_id() -> None:
    """Rows that come in any order stand in ascending id, every column with them."""
    build = TraceBuilder()
    build.execution("Trainer", execution_id=9, create_ms=90, duration_ms=1)
    build.execution(
        "Tuner", execution_id=4, create_ms=40, duration_ms=2, state=ExecutionState.FAILED
    )
    build.artifact("Model", artifact_id=8, uri="eight")
    build.artifact("Examples", artifact_id=3, uri="three")
    trace = build.trace()
    executions, artifacts = trace.executions, trace.artifacts
    assert executions.id.tolist() == [4, 9]
    assert [executions.type_names[code] for code in executions.type] == ["Tuner", "Trainer"]
    assert executions.state.tolist() == [ExecutionState.FAILED, ExecutionState.COMPLETE]
    assert executions.create_ms.tolist() == [40, 90]
    assert executions.update_ms.tolist() == [42, 91]
    assert artifacts.id.tolist() == [3, 8]
    assert artifacts.uri == ("three", "eight")
    assert [artifacts.type_names[code] for code in artifacts.type] == ["Examples", "Model"]


def test_events_refer_to_positions() -> None:
    """Ids far apart become positions; keys become codes, none becomes NO_KEY."""
    build = TraceBuilder()
    build.artifact("Examples", artifact_id=500)
    build.execution("Trainer", execution_id=70)
    build.event(70, 500, EventType.INPUT, "examples", 12)
    build.event(70, 500, EventType.OUTPUT, None, 13)
    events = build.trace().events
    assert events.execution.tolist() == [0, 0]
    assert events.artifact.tolist() == [0, 0]
    assert events.type.tolist() == [EventType.INPUT, EventType.OUTPUT]
    assert events.key.tolist() == [0, NO_KEY]
    assert events.keys == ("examples",)
    assert events.time_ms.tolist() == [12, 13]
    assert events.dropped == 0


def test_dangling_events_are_dropped_with_their_keys() -> None:
    """They are counted, and leave no key of theirs behind."""
    build = small()
    before = build.trace()
    build.event(99, 1, EventType.INPUT, "lost")
    build.event(1, 99, EventType.OUTPUT, "gone")
    after = build.trace()
    assert after.events.dropped == 2
    assert after.events.keys == before.events.keys
    assert first_difference(before, after) == "trace.events.dropped"


def test_properties_of_owners_that_do_not_exist_are_dropped() -> None:
    """With their names and strings."""
    build = small()
    build.raw().add_property("Artifact", 99, "lost", True, PropertyKind.STRING, "gone")
    build.raw().add_property("Execution", 99, "lost", True, PropertyKind.INT, 1)
    assert build.trace().equals(small().trace())


def test_members_of_contexts_that_do_not_exist_are_dropped() -> None:
    """An association counts if both of its ends are in the store."""
    raw = small().raw()
    raw.extend("Association", [(1, 99), (99, 1)])
    raw.extend("Attribution", [(1, 1), (1, 99), (99, 1)])
    contexts = assemble(raw.rows()).contexts
    assert len(contexts.association_execution) == len(small().raw()["Association"]["execution"])
    assert contexts.attribution_artifact.tolist() == [0]
    assert contexts.attribution_context.tolist() == [0]


@pytest.mark.parametrize("table", ["execution", "artifact"])
def test_an_id_that_occurs_twice_is_refused(table: str) -> None:
    """Two rows of one id contradict each other: the error names the id."""
    build = TraceBuilder()
    for _ in range(2):
        if table == "execution":
            build.execution("Trainer", execution_id=5)
        else:
            build.artifact("Model", artifact_id=5)
    with pytest.raises(MalformedTraceError, match=f"{table}s must be in ascending id") as caught:
        build.trace()
    assert caught.value.ids == (5,)


def test_events_outside_the_tables_are_refused() -> None:
    """A Trace put together by hand is checked."""
    trace = small().trace()
    wrong = dataclasses.replace(trace.events, artifact=trace.events.artifact + 1)
    with pytest.raises(MalformedTraceError, match=r"events\.artifact"):
        dataclasses.replace(trace, events=wrong)


def test_numbers_come_from_every_kind_that_is_one() -> None:
    """INT, DOUBLE, BOOL and a string that reads as a number; NaN where there is none."""
    build = TraceBuilder()
    for value in (4, 2.5, True, "17", "many"):
        build.artifact("Examples", span=value)
    build.artifact("Examples")
    properties = build.trace().artifacts.properties
    expected = [4.0, 2.5, 1.0, 17.0, np.nan, np.nan]
    np.testing.assert_array_equal(properties.numbers("span", 6), expected)
    assert properties.texts("span", 6) == [None, None, None, "17", "many", None]
    assert np.isnan(properties.numbers("absent", 6)).all()
    assert properties.texts("absent", 6) == [None] * 6
    assert len(properties.rows("absent")) == 0


def test_a_custom_property_counts_before_a_declared_one() -> None:
    """Where both kinds of one name are set, in whatever order they are read."""
    for first, second in (((True, 1), (False, 2)), ((False, 2), (True, 1))):
        build = TraceBuilder()
        build.artifact("Examples")
        for is_custom, value in (first, second):
            build.raw().add_property("Artifact", 1, "span", is_custom, PropertyKind.INT, value)
        assert build.trace().artifacts.properties.numbers("span", 1).tolist() == [1.0]


def test_state_property_fills_the_state_column_where_it_is_empty() -> None:
    """Schema 4; the words are read in any case, and an unknown word is UNKNOWN."""
    build = TraceBuilder()
    words = ("complete", "CACHED", "published", "odd", "failed")
    for word in words:
        execution = build.execution("Trainer", state=ExecutionState.UNKNOWN)
        build.raw().add_property("Execution", execution, "state", False, PropertyKind.STRING, word)
    execution = build.execution("Trainer", state=ExecutionState.RUNNING)
    build.raw().add_property("Execution", execution, "state", False, PropertyKind.STRING, "failed")
    assert build.trace().executions.state.tolist() == [3, 5, 3, 0, 4, ExecutionState.RUNNING]


@pytest.mark.parametrize(
    ("types", "expected"),
    [
        (["KfpRun", "run"], "run"),
        (["run", "system.PipelineRun"], "system.PipelineRun"),
        (["run", "KfpRun", "system.PipelineRun", "pipeline_run"], "pipeline_run"),
        (["KfpRun", "pipeline", "node"], "KfpRun"),
    ],
)
def test_the_run_of_an_execution_by_preference_of_context_type(
    types: list[str], expected: str
) -> None:
    """Among several run contexts the type decides, whatever order they came in."""
    build = TraceBuilder()
    build.execution("Trainer")
    for name in types:
        build.associate(1, name, f"a {name}")
    trace = build.trace()
    assert trace.context_name(int(trace.run_of_execution[0])) == f"a {expected}"


def test_the_lowest_context_counts_among_several_of_one_type() -> None:
    """Two pipeline contexts of one execution: the one with the lower id."""
    build = TraceBuilder()
    build.execution("Tuner")
    build.execution("Trainer")
    build.associate(1, "pipeline", "first")
    build.associate(2, "pipeline", "second")
    build.associate(2, "pipeline", "first")
    trace = build.trace()
    names = [trace.context_name(int(position)) for position in trace.pipeline_of_execution]
    assert names == ["first", "first"]


def test_an_execution_in_no_context_has_no_run_pipeline_or_node() -> None:
    """Position -1, name None."""
    build = TraceBuilder()
    build.execution("Trainer")
    trace = build.trace()
    for position in (trace.run_of_execution, trace.pipeline_of_execution, trace.node_of_execution):
        assert position.tolist() == [-1]
    assert trace.context_name(-1) is None


def test_run_memberships_are_those_of_every_run_context() -> None:
    """An execution in two run contexts is listed with both, other contexts with none."""
    build = small()
    build.associate(2, "KfpRun", "kfp")
    trace = build.trace()
    execution, context = trace.run_memberships()
    pairs = {(int(e), trace.context_name(int(c))) for e, c in zip(execution, context)}
    assert pairs == {(0, "r"), (1, "r"), (1, "kfp")}


def test_artifacts_of_types_go_by_the_last_dotted_part() -> None:
    """``acme.Model`` is a Model; ``ModelRun`` is not."""
    build = TraceBuilder()
    for name in ("Model", "acme.Model", "ModelRun", "Model.acme"):
        build.artifact(name)
    trace = build.trace()
    assert trace.artifacts_of_types(["Model"]).tolist() == [True, True, False, False]
    assert not trace.artifacts_of_types([]).any()
    assert TraceBuilder().trace().artifacts_of_types(["Model"]).tolist() == []


def test_positions_by_id() -> None:
    """The row of an id, -1 where there is none."""
    build = TraceBuilder()
    for number in (3, 5):
        build.execution("Trainer", execution_id=number)
        build.artifact("Model", artifact_id=10 * number)
    trace = build.trace()
    assert [trace.execution_position(number) for number in (3, 5, 4, 99)] == [0, 1, -1, -1]
    assert [trace.artifact_position(number) for number in (30, 50, 5)] == [0, 1, -1]
    assert positions_of(np.zeros(0, np.int64), np.array([1])).tolist() == [-1]


def change_of(trace: Trace, other: Trace) -> str | None:
    """First difference, both ways round."""
    assert trace.equals(other) == (first_difference(trace, other) is None)
    assert first_difference(trace, other) == first_difference(other, trace)
    return first_difference(trace, other)


def test_first_difference_names_the_column() -> None:
    """Equal traces differ nowhere; otherwise the column is named."""
    trace = small().trace()
    assert change_of(trace, small().trace()) is None
    later = small()
    later.raw()["Execution"]["update_ms"][0] += 1  # type: ignore[index]
    assert change_of(trace, later.trace()) == "trace.executions.update_ms"
    renamed = small()
    renamed.raw()["ArtifactProperty"]["string_value"][1] = "y"
    assert change_of(trace, renamed.trace()) == "trace.artifacts.properties.strings"
    more = small()
    more.associate(1, "KfpRun", "k")
    assert change_of(trace, more.trace()) == "trace.contexts.id"


def test_a_property_that_is_not_a_number_equals_itself() -> None:
    """NaN equals NaN in a comparison of traces."""
    traces = []
    for _ in range(2):
        build = TraceBuilder()
        build.artifact("Examples", loss=float("nan"))
        traces.append(build.trace())
    assert traces[0].equals(traces[1])


def test_an_empty_store_is_a_trace() -> None:
    """No rows, no error."""
    trace = assemble(RowBuilder().rows())
    assert str(trace) == "Trace of 0 executions, 0 artifacts, 0 events, 0 contexts"
    assert trace.equals(TraceBuilder().trace())


def test_struct_properties_become_json_with_sorted_keys() -> None:
    """MLMD keeps a Struct as base64 behind a prefix; anything else is no Struct."""
    from google.protobuf import struct_pb2

    struct = struct_pb2.Struct()
    struct.update({"train": 1.5, "eval": 0})
    text = "mlmd-struct::" + base64.b64encode(struct.SerializeToString()).decode()
    assert struct_to_json(text) == '{"eval": 0, "train": 1.5}'
    assert struct_to_json("plain") is None
    assert struct_to_json("mlmd-struct::###") is None
    assert struct_to_json("mlmd-struct::" + base64.b64encode(b"\xff").decode()) is None


@deterministic
@given(rows(), seeds)
def test_rows_in_another_order_give_an_equal_trace(raw: RowBuilder, seed: int) -> None:
    """The canonical Trace depends on what is stored, not on how it came."""
    trace = assemble(raw.rows())
    shuffled, _ = permuted(raw, random.Random(seed))
    assert change_of(trace, assemble(shuffled.rows())) is None


@deterministic
@given(rows())
def test_a_trace_keeps_what_the_rows_say(raw: RowBuilder) -> None:
    """Every row is found again, by id, with its values."""
    trace = assemble(raw.rows())
    executions, events = trace.executions, trace.events
    assert dict(zip(raw["Execution"]["id"], raw["Execution"]["type"])) == {
        identifier: executions.type_names[code]
        for identifier, code in zip(executions.id.tolist(), executions.type)
    }
    known = set(raw["Execution"]["id"]), set(raw["Artifact"]["id"])
    stored = list(rows_of(raw, "Event"))
    kept = [event for event in stored if event[0] in known[0] and event[1] in known[1]]
    found = [
        (int(e), int(a), int(kind), None if key == NO_KEY else events.keys[key], int(when))
        for e, a, kind, key, when in zip(
            executions.id[events.execution], trace.artifacts.id[events.artifact],
            events.type, events.key, events.time_ms,
        )
    ]  # fmt: skip
    assert sorted(found, key=repr) == sorted(kept, key=repr)
    assert events.dropped == len(stored) - len(kept)


@deterministic
@given(rows())
def test_assembling_leaves_the_rows_alone(raw: RowBuilder) -> None:
    """The rows are input, not scratch space."""
    rows, kept = raw.rows(), raw.rows()
    assemble(rows)
    assert vars(lists_of(rows)) == vars(lists_of(kept))


@pytest.mark.parametrize("kept", [tuple, Texts.of])
@pytest.mark.parametrize("text", ["a", "ab", "b", "c"])
def test_a_property_can_be_added_behind_all_others(
    kept: Callable[[Sequence[str]], Sequence[str]], text: str
) -> None:
    """Names and strings stay sorted, and what was there says what it said."""
    build = TraceBuilder()
    build.execution("Trainer", module="b", other="ab")
    build.execution("Trainer", module="ab", steps=5)
    before = build.trace().executions.properties
    before = dataclasses.replace(before, strings=kept(before.strings))
    after = before.with_last(2, "note", text)
    assert list(after.names) == ["module", "note", "other", "steps"]
    assert list(after.strings) == sorted({"ab", "b", text})
    assert after.texts("note", 3) == [None, None, text]
    assert after.texts("module", 3) == ["b", "ab", None]
    assert after.texts("other", 3) == ["ab", None, None]
    assert after.numbers("steps", 3).tolist()[1] == 5
