"""A run that the archive does not hold yet, held against what the archive shows of it later."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest
from ml_metadata.proto import metadata_store_pb2

from tests.gate.test_snapshot import FixedPayloads, FixedStore, Runs, Wired
from tests.import_graph import ROOT
from tfx_graphlets.features import describe
from tfx_graphlets.features.user_code import GraphletCodes
from tfx_graphlets.gate import keys
from tfx_graphlets.gate.snapshot import Request, collect
from tfx_graphlets.gate.unrecorded import UNRECORDED_RUN, LivePayloads, with_unrecorded_run
from tfx_graphlets.graphlets.current import current_graphlet
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.graphlets.timeline import Timeline
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import Rows
from tfx_graphlets.trace.trace import PropertyKind, Trace, first_difference
from tfx_graphlets.vocabulary import EventType, Stage

HISTORY = ROOT / "pipelines" / "flights" / "history"
AWAITED = ("statistics", "anomalies")


@dataclasses.dataclass(frozen=True)
class WiredWithProperties(Wired):
    """What TFX hands to a component, with the message that it wraps."""

    mlmd_artifact: metadata_store_pb2.Artifact | None = None


@dataclasses.dataclass(frozen=True)
class Recorded:
    """One archive of a real pipeline."""

    trace: Trace
    payloads: Payloads

    def before(self, trainer: int) -> Trace:
        """What the archive held before the run of a Trainer."""
        trace = self.trace
        created = trace.executions.create_ms
        earlier = (trace.run_of_execution != trace.run_of_execution[trainer]) & (
            created < created[trainer]
        )
        rows, ids = Rows.of(trace), trace.executions.id[earlier]
        for table, column in (
            ("Execution", "id"), ("Event", "execution"), ("Association", "execution"),
            ("ExecutionProperty", "owner"),
        ):  # fmt: skip
            rows.keep(table, np.isin(rows[table][column], ids))
        artifacts = rows["Event"]["artifact"]
        for table, column in (
            ("Artifact", "id"), ("Attribution", "artifact"), ("ArtifactProperty", "owner"),
        ):  # fmt: skip
            rows.keep(table, np.isin(rows[table][column], artifacts))
        return assemble(rows)

    def wired(self, trainer: int) -> dict[str, tuple[Wired, ...]]:
        """What GraphletGen takes in before a Trainer: its inputs, statistics and anomalies."""
        trace, events = self.trace, self.trace.events
        same_run = trace.run_of_execution == trace.run_of_execution[trainer]
        found: dict[str, list[Wired]] = {}
        for row in range(len(events)):
            execution, kind = int(events.execution[row]), events.type[row]
            key = events.keys[events.key[row]] if events.key[row] >= 0 else ""
            taken = execution == trainer and kind == EventType.INPUT and key in keys.TRAINER_INPUTS
            made = same_run[execution] and kind == EventType.OUTPUT and key in AWAITED
            if taken or made:
                found.setdefault(key, []).append(self._artifact(int(events.artifact[row])))
        return {key: tuple(artifacts) for key, artifacts in found.items()}

    def _artifact(self, position: int) -> WiredWithProperties:
        artifacts, message = self.trace.artifacts, metadata_store_pb2.Artifact()
        table = artifacts.properties
        for row in np.flatnonzero(table.owner == position).tolist():
            values = message.custom_properties if table.is_custom[row] else message.properties
            value = values[table.names[table.name[row]]]
            if table.kind[row] == PropertyKind.INT:
                value.int_value = int(table.int_value[row])
            elif table.kind[row] == PropertyKind.STRUCT:
                value.struct_value.Clear()
                _read_struct(table.strings[table.string_code[row]], value)
            else:
                value.string_value = table.strings[table.string_code[row]]
        name = artifacts.type_names[artifacts.type[position]]
        return WiredWithProperties(4711, artifacts.uri[position], name, message)


def _read_struct(text: str, value: metadata_store_pb2.Value) -> None:
    from google.protobuf import json_format

    json_format.Parse(text, value.struct_value)


@pytest.fixture(scope="module")
def recorded() -> Iterator[Recorded]:
    """The archive of a pipeline with new data, re-runs, outages and commits."""
    with open_store(HISTORY / "flights-lga-linear-w1-value" / "archive") as store:
        yield Recorded(store.read_trace(), store.payloads)


def test_the_rows_of_a_trace_make_the_trace(recorded: Recorded) -> None:
    """Rows.of and assemble are each other's inverse."""
    assert first_difference(recorded.trace, assemble(Rows.of(recorded.trace))) is None


def is_assumed(name: str) -> bool:
    """What cannot be known of an unrecorded run: what it cost. Its code is told."""
    return "cost" in name


def same(one: object, other: object) -> bool:
    """Equal, or both missing."""
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=1e-9, atol=0.0, equal_nan=True))
    return one == other


def test_an_unrecorded_run_is_described_as_it_will_be_once_it_is_recorded(
    recorded: Recorded,
) -> None:
    """For 20 real runs, of the archive before each: every feature but those that are assumed."""
    graphlets = segment(recorded.trace)
    table = describe(graphlets, Stage.PRE, payloads=recorded.payloads)
    codes = GraphletCodes.of(graphlets, Timeline.of(graphlets, graphlets.edges))
    compared = set()
    for number in range(len(graphlets) - 20, len(graphlets)):
        trainer = int(graphlets.trainer[number])
        moment = int(recorded.trace.executions.create_ms[trainer])
        trace, inputs = with_unrecorded_run(
            recorded.before(trainer), recorded.wired(trainer), pipeline=None, moment_ms=moment
        )
        current = current_graphlet(
            trace,
            moment_ms=moment,
            run=UNRECORDED_RUN,
            input_artifacts=inputs,
            code=codes.known(number),
        )
        seen = describe(
            current.graphlets,
            Stage.PRE,
            payloads=recorded.payloads,
            moment_ms=np.array([moment]),
            rows=np.array([current.number]),
        ).row(0)
        for name, later in table.row(number).items():
            if not is_assumed(name):
                compared.add(name)
                assert same(seen[name], later), (number, name, seen[name], later)
    assert len(compared) > 100


def test_what_is_assumed_is_taken_from_the_run_before() -> None:
    """The present run is told to have cost what the one before it cost up to its Trainer."""
    runs = Runs()
    runs.train("r0", runs.prepare("r0"), pushed=True)
    wired = {"examples": (Wired(99, "now/examples"),)}
    trace, inputs = with_unrecorded_run(
        runs.build.trace(), wired, pipeline="pipeline", moment_ms=1_000_000_000
    )
    [examples] = inputs["examples"]
    executions = trace.executions
    assert executions.type_names[executions.type[-1]] == "CsvExampleGen"
    assert trace.context_name(int(trace.run_of_execution[-1])) == UNRECORDED_RUN
    assert int(executions.update_ms[-1] - executions.create_ms[-1]) == 1000
    last = trace.events.execution == len(executions) - 1
    assert trace.artifacts.id[trace.events.artifact[last]].tolist() == [examples]
    assert trace.artifacts.uri[trace.artifact_position(examples)] == "now/examples"


def test_an_artifact_that_the_archive_holds_stays_the_one_that_it_is() -> None:
    """A re-run on recorded data is told as a cache hit, with the ids of the data."""
    runs = Runs()
    before = runs.prepare("r0")
    runs.train("r0", before, pushed=True)
    wired = {"examples": (Wired(99, before.uri),), "schema": (Wired(98, "schema", "Schema"),)}
    trace, inputs = with_unrecorded_run(
        runs.build.trace(), wired, pipeline=None, moment_ms=1_000_000_000
    )
    assert inputs["examples"] == (before.id,)
    assert trace.executions.state[-1] == 5  # CACHED
    assert len(trace.artifacts) == len(runs.build.trace().artifacts) + 1  # the schema


def test_properties_are_read_as_tfx_hands_them_on_kubeflow() -> None:
    """There a custom property is a Struct, wrapped if it is no object; a number is a double.

    An object is the text that readers give of it.
    """
    runs = Runs()
    message = metadata_store_pb2.Artifact()
    message.properties["span"].int_value = 7
    for name, value in (("fingerprint", "bytes:1"), ("files", 3.0), ("share", 0.5)):
        message.custom_properties[name].struct_value["__value__"] = value
    message.custom_properties["splits"].struct_value["train"] = 0.0
    runs.prepare("r0")
    wired = {"examples": (WiredWithProperties(99, "now/examples", "Examples", message),)}
    trace, _ = with_unrecorded_run(runs.build.trace(), wired, pipeline=None, moment_ms=10**9)
    table, number = trace.artifacts.properties, len(trace.artifacts)
    assert table.numbers("span", number)[-1] == 7.0
    assert table.numbers("files", number)[-1] == 3.0
    assert table.numbers("share", number)[-1] == 0.5
    assert table.texts("fingerprint", number)[-1] == "bytes:1"
    assert table.texts("splits", number)[-1] == '{"train": 0}'


def test_a_pipeline_that_has_not_trained_yet_can_be_asked_about() -> None:
    """Without a Trainer there is no shape to assume: the artifacts alone are told."""
    runs = Runs()
    runs.prepare("r0")
    wired = {"examples": (Wired(99, "now/examples"),)}
    trace, inputs = with_unrecorded_run(runs.build.trace(), wired, pipeline=None, moment_ms=10**9)
    assert len(trace.executions) == len(runs.build.trace().executions)
    assert trace.artifacts.id[-1] == inputs["examples"][0]


def test_collecting_tells_an_archive_of_the_run_where_the_runner_names_none() -> None:
    """Without a run's name artifacts that the store does not hold are the present run's."""
    runs = Runs()
    for number, pushed in enumerate((True, False)):
        runs.train(f"r{number}", runs.prepare(f"r{number}"), pushed=pushed)
    request = Request(Stage.PRE, "pipeline", "", {"examples": (Wired(99, "now/examples"),)})
    history = collect(FixedStore(runs.build.trace()), request, runs.build.clock_ms + 1000)
    assert history.past is not None
    assert history.current is not None
    assert history.past is not None
    assert history.past.run == ("r0", "r1")
    assert len(history.current) == 1


def test_files_of_the_present_run_are_read_where_the_archive_has_none() -> None:
    """What the archive has kept comes first, then what is live."""
    kept = FixedPayloads({"both": {"name": b"kept"}})
    live = FixedPayloads({"both": {"name": b"live"}, "new": {"name": b"live"}})
    payloads = LivePayloads(kept, live)
    assert payloads.read("both", "name") == b"kept"
    assert payloads.read("new", "name") == b"live"
    assert payloads.read("gone", "name") is None
    assert (payloads.files("both"), payloads.files("new")) == (("name",), ("name",))
