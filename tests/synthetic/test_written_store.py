"""A store that is written is one that TFX could have written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.benchmarks.synthetic import StoreParameters, WrittenStore, write_store
from tests.corpus import needs_corpus, real_runs
from tests.synthetic.stores import content, query, schema
from tfx_graphlets import open_store, segment
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.trace.trace import Trace, first_difference
from tfx_graphlets.vocabulary import ExecutionState, Outcome, Role

ml_metadata = pytest.importorskip("ml_metadata", reason="the store's schema is made by MLMD")
metadata_store_pb2 = pytest.importorskip("ml_metadata.proto.metadata_store_pb2")

# Everything that can happen happens often.
LIVELY = StoreParameters(
    models=200, pipelines=4, seed=2, two_trainers=0.5, warm_starts=0.5, infra_validators=0.5,
    bulk_inferrers=0.25, tuners=0.25, reruns=0.3, caching_pipelines=0.75, failures=0.15,
    left_running=0.05, overlapping=0.2, anomalies=0.2, push_rate=0.5, push_concentration=8.0,
)  # fmt: skip


class Made(NamedTuple):
    """A store, what the generator says of it, and what a reader does."""

    path: Path
    written: WrittenStore
    trace: Trace


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A lively store."""
    path = tmp_path_factory.mktemp("store") / "metadata.sqlite"
    written = write_store(path, LIVELY)
    return Made(path, written, open_store(path).read_trace())


def test_mlmd_and_sql_read_the_same(made: Made) -> None:
    """ml_metadata opens the store, and its API tells of the same trace as the SQL reader."""
    by_api = open_store(f"sqlite+mlmd://{made.path}").read_trace()
    assert first_difference(by_api, made.trace) is None


def test_the_generator_knows_the_outcome_of_every_model(made: Made) -> None:
    """Segmentation finds as many graphlets as models, with the outcomes that were planned."""
    graphlets = segment(made.trace)
    assert len(graphlets) == LIVELY.models
    assert graphlets.trainer_id.tolist() == made.written.trainer_id.tolist()
    assert graphlets.outcome.tolist() == made.written.outcome.tolist()
    # TFX's runners do not try a Trainer again within a run, so neither does the generator.
    assert set(graphlets.outcome.tolist()) == set(Outcome) - {Outcome.RETRIED}
    assert graphlets.useful.any()


@pytest.mark.parametrize(
    "parameters",
    [
        StoreParameters(models=1),
        StoreParameters(models=7, pipelines=7),
        StoreParameters(models=31, pipelines=3, two_trainers=1.0),  # odd: a Trainer alone
        StoreParameters(models=40, pipelines=2, longest_window=1, warm_starts=1.0),
        StoreParameters(models=40, pipelines=2, failures=0.6, left_running=0.3),
        StoreParameters(models=40, pipelines=2, overlapping=1.0, warm_starts=1.0),
        StoreParameters(models=40, pipelines=2, reruns=1.0, cached=1.0, caching_pipelines=1.0),
        StoreParameters(models=40, pipelines=2, infra_validators=1.0, tuners=1.0, push_stretch=1.0),
    ],
    ids=lambda parameters: repr(parameters)[:60],
)
def test_extremes_are_planned_as_they_are_cut(parameters: StoreParameters, tmp_path: Path) -> None:
    """At the ends of the parameters' ranges the outcomes are the planned ones, too."""
    written = write_store(tmp_path / "metadata.sqlite", parameters)
    graphlets = segment(open_store(tmp_path / "metadata.sqlite").read_trace())
    assert graphlets.trainer_id.tolist() == written.trainer_id.tolist()
    assert graphlets.outcome.tolist() == written.outcome.tolist()
    assert len(graphlets) == parameters.models


def test_numbers_of_rows_are_those_reported(made: Made) -> None:
    """What the generator says it wrote is what is there."""
    trace, written = made.trace, made.written
    assert (written.executions, written.artifacts) == (len(trace.executions), len(trace.artifacts))
    assert (written.events, written.contexts) == (len(trace.events), len(trace.contexts))


def test_the_file_is_sound_and_indexed_as_mlmd_indexes(made: Made, tmp_path: Path) -> None:
    """SQLite finds no fault, and tables and indexes are those of a store that MLMD made."""
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(tmp_path / "other.sqlite")
    ml_metadata.MetadataStore(config)
    assert query(made.path, "PRAGMA integrity_check") == [("ok",)]
    assert schema(made.path) == schema(tmp_path / "other.sqlite")


def test_ids_ascend_in_time_over_all_pipelines(made: Made) -> None:
    """Executions, artifacts, events and contexts are numbered in the order of their times."""
    for table, column in (
        ("Execution", "create_time_since_epoch"),
        ("Artifact", "create_time_since_epoch"),
        ("Event", "milliseconds_since_epoch"),
        ("Context", "create_time_since_epoch"),
    ):
        times = [when for (when,) in query(made.path, f"SELECT {column} FROM {table} ORDER BY id")]
        assert times == sorted(times)
    changes = query(
        made.path,
        "SELECT a.context_id FROM Association a JOIN Context c ON c.id = a.context_id"
        " JOIN Type t ON t.id = c.type_id WHERE t.name = 'pipeline' ORDER BY a.execution_id",
    )
    # Four pipelines take turns: far more often than one after the other would.
    assert sum(one != other for one, other in zip(changes, changes[1:])) > 100


def test_nothing_is_read_before_it_exists(made: Made) -> None:
    """No event is older than its artifact or its execution."""
    assert not query(
        made.path,
        "SELECT e.id FROM Event e JOIN Artifact a ON a.id = e.artifact_id"
        " JOIN Execution x ON x.id = e.execution_id"
        " WHERE e.milliseconds_since_epoch < a.create_time_since_epoch"
        " OR e.milliseconds_since_epoch < x.create_time_since_epoch",
    )


def test_what_did_not_finish_put_nothing_out(made: Made) -> None:
    """Executions that failed or were left RUNNING have no output; all others of a node have."""
    put_out = {
        execution
        for (execution,) in query(made.path, "SELECT execution_id FROM Event WHERE type=4")
    }
    states = query(
        made.path,
        "SELECT x.id, x.last_known_state, x.last_update_time_since_epoch -"
        " x.create_time_since_epoch FROM Execution x JOIN Type t ON t.id = x.type_id"
        " WHERE t.name NOT LIKE '%.Resolver'",
    )
    for execution, state, took_ms in states:
        finished = state in (ExecutionState.COMPLETE, ExecutionState.CACHED)
        assert (execution in put_out) == finished
        assert (took_ms == 0) == (state == ExecutionState.RUNNING)
    assert {state for _, state, _ in states} == {2, 3, 4, 5}


def test_every_artifact_is_made_once(made: Made) -> None:
    """One execution in state COMPLETE put it out; cache hits name it again."""
    producers = query(
        made.path,
        "SELECT e.artifact_id, x.last_known_state FROM Event e JOIN Execution x"
        " ON x.id = e.execution_id WHERE e.type = 4",
    )
    complete = Counter(artifact for artifact, state in producers if state == 3)
    assert set(complete.values()) == {1}
    assert sorted(complete) == [row for (row,) in query(made.path, "SELECT id FROM Artifact")]
    assert any(state == ExecutionState.CACHED for _, state in producers)


def test_resolvers_are_recorded_by_internal_events(made: Made) -> None:
    """A Resolver's events are INTERNAL_OUTPUT, and no other execution has such."""
    types = query(
        made.path,
        "SELECT DISTINCT t.name LIKE '%.Resolver', e.type FROM Event e JOIN Execution x"
        " ON x.id = e.execution_id JOIN Type t ON t.id = x.type_id",
    )
    assert sorted(types) == [(0, 3), (0, 4), (1, 6)]


def test_artifacts_stand_in_the_contexts_of_all_that_touch_them(made: Made) -> None:
    """An artifact's pipeline, run and node contexts are those of the executions of its events."""
    kinds = "('pipeline', 'pipeline_run', 'node')"
    by_events = query(
        made.path,
        "SELECT DISTINCT e.artifact_id, s.context_id FROM Event e JOIN Association s"
        " ON s.execution_id = e.execution_id JOIN Context c ON c.id = s.context_id"
        f" JOIN Type t ON t.id = c.type_id WHERE t.name IN {kinds} ORDER BY 1, 2",
    )
    attributed = query(
        made.path,
        "SELECT a.artifact_id, a.context_id FROM Attribution a JOIN Context c"
        " ON c.id = a.context_id JOIN Type t ON t.id = c.type_id"
        f" WHERE t.name IN {kinds} ORDER BY 1, 2",
    )
    assert attributed == by_events


def test_blessings_name_the_models_that_were_compared(made: Made) -> None:
    """baseline_model_id is the artifact that the Evaluator took in under baseline_model."""
    of_property, of_event = (
        query(
            made.path,
            "SELECT p.artifact_id, p.int_value FROM ArtifactProperty p"
            " WHERE p.name = 'baseline_model_id' ORDER BY 1",
        ),
        query(
            made.path,
            "SELECT b.artifact_id, m.artifact_id FROM Event b JOIN EventPath k"
            " ON k.event_id = b.id AND k.step_key = 'blessing' AND b.type = 4"
            " JOIN Event m ON m.execution_id = b.execution_id AND m.type = 3"
            " JOIN EventPath n ON n.event_id = m.id AND n.step_key = 'baseline_model' ORDER BY 1",
        ),
    )
    assert of_property == of_event
    assert of_property


@needs_corpus
def test_nodes_are_recorded_as_tfx_recorded_them(made: Made) -> None:
    """Properties, event keys and contexts of each node type are those of recorded pipelines."""
    for recorded in real_runs():
        theirs, ours = shapes(recorded), shapes(made.path)
        assert set(theirs) <= set(ours)
        for name, shape in theirs.items():
            more = {field: ours[name][field] - shape[field] for field in shape}
            assert {field: shape[field] - ours[name][field] for field in shape} == NOTHING
            assert more == MORE.get(name.rpartition(".")[2], NOTHING)


NOTHING: dict[str, set[object]] = {"properties": set(), "keys": set(), "contexts": set()}
# Parts of TFX that the recorded pipelines did not use: patterns with a version, statistics of
# Transform, a Tuner, warm starts, a schema for the Evaluator, an InfraValidator.
MORE = {
    "CsvExampleGen": {**NOTHING, "properties": {("version", 1, "int")}},
    "Resolver": {**NOTHING, "keys": {("examples", 6)}},
    "Transform": {
        **NOTHING,
        "keys": {
            ("pre_transform_schema", 4), ("pre_transform_stats", 4), ("post_transform_schema", 4),
            ("post_transform_stats", 4), ("post_transform_anomalies", 4),
        },
    },
    "Trainer": {**NOTHING, "keys": {("base_model", 3), ("hyperparameters", 3)}},
    "Evaluator": {**NOTHING, "keys": {("schema", 3)}},
    "Pusher": {**NOTHING, "keys": {("infra_blessing", 3)}},
    "Examples": {**NOTHING, "properties": {("version", 1, "int")}},
}  # fmt: skip


def shapes(path: Path) -> dict[str, dict[str, set[object]]]:
    """Per type of execution or artifact: properties, event keys, kinds of contexts."""
    found: dict[str, dict[str, set[object]]] = {}
    for table, owner, link in (
        ("Execution", "execution_id", "Association"),
        ("Artifact", "artifact_id", "Attribution"),
    ):
        for name, *one in query(
            path,
            "SELECT DISTINCT t.name, p.name, p.is_custom_property, CASE WHEN p.int_value IS NULL"
            f" THEN 'text' ELSE 'int' END FROM {table}Property p JOIN {table} x"
            f" ON x.id = p.{owner} JOIN Type t ON t.id = x.type_id",
        ):
            found.setdefault(name, empty())["properties"].add(tuple(one))
        for name, *one in query(
            path,
            "SELECT DISTINCT t.name, k.step_key, e.type FROM Event e JOIN EventPath k"
            f" ON k.event_id = e.id AND k.is_index_step = 0 JOIN {table} x ON x.id = e.{owner}"
            f" JOIN Type t ON t.id = x.type_id WHERE '{table}' = 'Execution'",
        ):
            found.setdefault(name, empty())["keys"].add(tuple(one))
        for name, one in query(
            path,
            f"SELECT DISTINCT t.name, k.name FROM {link} s JOIN {table} x ON x.id = s.{owner}"
            " JOIN Type t ON t.id = x.type_id JOIN Context c ON c.id = s.context_id"
            " JOIN Type k ON k.id = c.type_id",
        ):
            found.setdefault(name, empty())["contexts"].add(one)
    return found


def empty() -> dict[str, set[object]]:
    """The shape of a type of which nothing is known yet."""
    return {"properties": set(), "keys": set(), "contexts": set()}


def test_roles_and_code_are_found(made: Made) -> None:
    """Every role of a TFX pipeline is there, and code hashes are read from module_path."""
    graphlets = segment(made.trace)
    missing = set(Role) - {Role(role) for role in graphlets.role.tolist()}
    assert missing == {Role.CUSTOM, Role.IMPORTER}
    texts = made.trace.executions.properties.texts("module_path", len(made.trace.executions))
    hashes = {text.partition("-0.0+")[2].partition("-")[0] for text in texts if text}
    assert all(len(one) == 64 for one in hashes)
    assert len(hashes) > 10


def test_equal_parameters_give_equal_rows(made: Made, tmp_path: Path) -> None:
    """The same seed gives the same content of every table, another seed another."""
    write_store(tmp_path / "again.sqlite", LIVELY)
    assert content(tmp_path / "again.sqlite") == content(made.path)
    write_store(tmp_path / "other.sqlite", StoreParameters(models=40, seed=3))
    write_store(tmp_path / "third.sqlite", StoreParameters(models=40, seed=4))
    one, other = content(tmp_path / "other.sqlite"), content(tmp_path / "third.sqlite")
    assert one["Execution"] != other["Execution"]
    assert one["Type"] == other["Type"]


def test_rows_do_not_depend_on_the_stretches_of_time(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made in hundreds of stretches, a store says the same: only names, drawn in turn, differ."""
    monkeypatch.setattr("tests.benchmarks.synthetic.writing._MOMENTS", 97)
    write_store(tmp_path / "metadata.sqlite", LIVELY)
    trace = open_store(tmp_path / "metadata.sqlite").read_trace()
    one, other = segment(trace), segment(made.trace)
    assert [graphlet.to_dict() for graphlet in one] == [graphlet.to_dict() for graphlet in other]
    attributions = "SELECT artifact_id, context_id FROM Attribution ORDER BY 1, 2"
    assert query(tmp_path / "metadata.sqlite", attributions) == query(made.path, attributions)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_write_leaves_nothing(error: type[BaseException], tmp_path: Path) -> None:
    """Neither the store nor a part of it stays behind."""

    def stop(models: int) -> None:
        assert list(tmp_path.iterdir())  # something is there already
        raise error

    with pytest.raises(error):
        write_store(tmp_path / "metadata.sqlite", StoreParameters(models=20), stop)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_overwritten(tmp_path: Path) -> None:
    """A path that is taken is refused, and what is there stays."""
    path = tmp_path / "metadata.sqlite"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(InvalidArgumentError, match="there is a file already"):
        write_store(path, StoreParameters(models=20))
    assert path.read_text(encoding="utf-8") == "mine"
