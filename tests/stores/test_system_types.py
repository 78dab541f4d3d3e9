"""Stores of Kubeflow Pipelines v2: types ``system.*`` told in TFX's words."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from tests import strategies
from tests.corpus import real_runs
from tests.row_lists import lists_of
from tests.stores.kubeflow.retelling import as_system_rows, retold
from tests.stores.mlmd_files import write_store
from tests.stores.readers import READERS, Reader, by_sql
from tfx_graphlets.features import describe
from tfx_graphlets.graphlets.pending import EXECUTION_PREFIX
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.stores.neighbourhood import read_neighbourhood
from tfx_graphlets.stores.sql.sqlite_lookups import SqliteLookups
from tfx_graphlets.stores.system_types import class_of_task, in_words_of_tfx
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import PropertyKind, Trace, first_difference
from tfx_graphlets.vocabulary import EventType, ExecutionState, Role, Stage

CONTAINER = "system.ContainerExecution"


class Kubeflow(TraceBuilder):
    """Builds rows as Kubeflow Pipelines v2 leaves them in ML Metadata."""

    def task(
        self, name: str, *, run: str = "run-1", kind: str = CONTAINER,
        state: ExecutionState = ExecutionState.COMPLETE, **more: object,
    ) -> int:  # fmt: skip
        """A task of the pipeline ``penguin``."""
        number = self.execution(kind, state=state, **more)  # type: ignore[arg-type]
        self.associate(number, "system.Pipeline", "penguin")
        self.associate(number, "system.PipelineRun", run)
        self.raw().add_property("Execution", number, "task_name", True, PropertyKind.STRING, name)
        return number

    def told(self) -> Trace:
        """The trace of the rows."""
        return assemble(in_words_of_tfx(self.raw().rows()))


def types_of(trace: Trace) -> list[str]:
    """Type of every execution."""
    return [trace.executions.type_names[code] for code in trace.executions.type]


def pipeline_of_one_run() -> Kubeflow:
    """Data, a Trainer, an Evaluator and a Pusher, with the boxes around them."""
    build = Kubeflow()
    data, model = build.artifact("tfx.Examples"), build.artifact("tfx.Model")
    blessing = build.artifact("tfx.ModelBlessing", blessed=1.0)
    pushed = build.artifact("tfx.PushedModel", pushed=1.0)
    build.task("", kind="system.DAGExecution")
    build.task("CsvExampleGen", outputs={"examples": [data]})
    build.task("Trainer.wide", inputs={"examples": [data]}, outputs={"model": [model]})
    build.task("my-evaluation", inputs={"model": [model]}, outputs={"blessing": [blessing]})
    build.task("condition-1", kind="system.DAGExecution", inputs={"model": [model]})
    build.task("pusher-2", inputs={"model": [model]}, outputs={"pushed_model": [pushed]})
    build.task("Pusher.other", inputs={"model": [model]}, state=ExecutionState.CANCELED)
    return build


def test_the_iterations_of_a_loop_are_trainings_of_their_own() -> None:
    """On the same data in one run, by one task: told apart by the boxes that they stand in.

    What is tried again within an iteration is an attempt at one training.
    """
    build = Kubeflow()
    data, chosen = build.artifact("tfx.Examples"), build.artifact("tfx.PushedModel", pushed=1.0)
    build.task("CsvExampleGen", outputs={"examples": [data]})
    models = []
    for box, index in ((101, None), (101, None), (102, None), (103, 0), (103, 1)):
        models.append(build.artifact("tfx.Model"))
        number = build.task("trainer", inputs={"examples": [data]}, outputs={"model": models[-1:]})
        build.raw().add_property("Execution", number, "parent_dag_id", True, PropertyKind.INT, box)
        if index is not None:
            build.raw().add_property(
                "Execution", number, "iteration_index", True, PropertyKind.INT, index
            )
    build.task("pusher", inputs={"model": models[-1:]}, outputs={"pushed_model": [chosen]})
    graphlets = segment(build.told())
    assert [str(one.outcome) for one in graphlets] == [
        "retried", "unpushed", "unpushed", "unpushed", "pushed",
    ]  # fmt: skip
    assert {graphlet.to_dict()["node"] for graphlet in graphlets} == {"trainer"}


@pytest.mark.parametrize(
    ("name", "class_name"),
    [
        ("Trainer", "Trainer"), ("trainer", "Trainer"), ("trainer-2", "Trainer"),
        ("trainer_3", "Trainer"), ("Trainer2", "Trainer"), ("Trainer.my_trainer", "Trainer"),
        ("infra-validator", "InfraValidator"), ("InfraValidator", "InfraValidator"),
        ("bulk inferrer", "BulkInferrer"), ("generic_trainer", "GenericTrainer"),
        ("CsvExampleGen", "CsvExampleGen"), ("csv-example-gen", "CsvExampleGen"),
        ("csvexamplegen-2", "CsvExampleGen"), ("BigQueryExampleGen", "BigQueryExampleGen"),
        ("big-query-example-gen", "BigQueryExampleGen"), ("my-example-gen", "MyExampleGen"),
        ("ParquetExampleGen.labels", "ParquetExampleGen"), ("example-gen", "ExampleGen"),
        ("waste-gate", "WasteGate"), ("archiver", "Archiver"), ("WasteGate.pre", "WasteGate"),
        ("latest_blessed_model_resolver", "Resolver"), ("Resolver.latest-model", "Resolver"),
        ("my_trainer", "my_trainer"), ("step-2", "step-2"), ("Labeller.night", "Labeller"),
        ("pusher2go", "pusher2go"), ("", ""),
    ],
)  # fmt: skip
def test_the_class_of_a_task(name: str, class_name: str) -> None:
    """A name that spells a known class is that class; any other is one of its own."""
    assert class_of_task(name) == class_name


def test_a_run_of_kubeflow_is_one_graphlet() -> None:
    """Roles come from names, then from artifacts; boxes and skipped tasks are left out."""
    graphlets = segment(pipeline_of_one_run().told())
    assert types_of(graphlets.trace) == [
        f"{CONTAINER}.CsvExampleGen", f"{CONTAINER}.Trainer", f"{CONTAINER}.my-evaluation",
        f"{CONTAINER}.Pusher",
    ]  # fmt: skip
    assert [Role(role).name for role in graphlets.role] == [
        "EXAMPLE_GEN", "TRAINER", "MODEL_VALIDATOR", "PUSHER"
    ]  # fmt: skip
    assert [
        (one.trainer, one.executions, str(one.outcome), one.pipeline, one.run) for one in graphlets
    ] == [(3, (2, 3, 4, 6), "pushed", "penguin", "run-1")]
    assert graphlets.trace.events.dropped == 0


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_tells_the_same(reader: Reader, tmp_path: Path) -> None:
    """Whatever reads the store, whole, in part, with few properties, the trace is the same."""
    raw = pipeline_of_one_run().raw()
    text = '{"run_fn": "m.run", "train_steps": 100}'
    raw.add_property("Execution", 3, "inputs", True, PropertyKind.STRUCT, text)
    expected = assemble(in_words_of_tfx(raw.rows()))
    with reader(write_store(tmp_path / "store.sqlite", raw)) as store:
        assert first_difference(store.read_trace(), expected) is None
        part = store.read_trace(pipeline="penguin", properties=["run_fn"])
    assert first_difference(part.contexts, expected.contexts) is None
    assert types_of(part) == types_of(expected)
    assert part.executions.properties.names == ("run_fn",)


def test_an_importer_is_one_by_its_type() -> None:
    """Whatever its task is called."""
    build = Kubeflow()
    for kind in ("system.ImporterExecution", "system.ImporterWorkspaceExecution"):
        build.task("trainer", kind=kind)
    assert types_of(build.told()) == ["system.ImporterExecution.Importer"] * 2


def test_a_task_without_a_name_stays_what_it_is() -> None:
    """Its display name counts where there is one; without any the type is kept."""
    build = Kubeflow()
    build.execution(CONTAINER, display_name="pusher")
    build.execution(CONTAINER)
    assert types_of(build.told()) == [f"{CONTAINER}.Pusher", CONTAINER]


def test_parameters_are_properties() -> None:
    """Each entry of ``inputs`` is a property of its kind; one that is there already counts."""
    build = Kubeflow()
    build.task("Trainer", module_path="m@1")
    content = {
        "module_path": "other", "steps": 5, "rate": 0.5, "text": "a", "flag": True,
        "nothing": None, "splits": ["train"], "config": {"a": 1},
    }  # fmt: skip
    build.raw().add_property(
        "Execution", 1, "inputs", True, PropertyKind.STRUCT, json.dumps(content)
    )
    properties = build.told().executions.properties
    assert properties.numbers("steps", 1).tolist() == [5.0]
    assert properties.numbers("rate", 1).tolist() == [0.5]
    assert properties.numbers("flag", 1).tolist() == [1.0]
    assert [properties.texts(name, 1) for name in ("module_path", "text", "splits", "config")] == [
        ["m@1"], ["a"], ['["train"]'], ['{"a": 1}']
    ]  # fmt: skip
    assert not len(properties.rows("nothing"))


def test_a_cache_hit_has_the_outputs_that_it_reuses() -> None:
    """Also through a chain of hits; a hit with outputs, or without a source, keeps what it has."""
    build = Kubeflow()
    data, other = build.artifact("tfx.Examples"), build.artifact("tfx.Examples")
    build.task("CsvExampleGen", outputs={"examples": [data]})
    cached = ExecutionState.CACHED
    build.task("CsvExampleGen", state=cached, cached_execution_id="1")
    build.task("CsvExampleGen", state=cached, cached_execution_id="2")
    build.task(
        "CsvExampleGen", state=cached, cached_execution_id="1", outputs={"examples": [other]}
    )
    build.task("CsvExampleGen", state=cached, cached_execution_id="6")
    build.task("CsvExampleGen", state=cached, cached_execution_id="5")
    build.task("CsvExampleGen", state=ExecutionState.COMPLETE, cached_execution_id="1")
    trace = build.told()
    pairs = zip(
        trace.executions.id[trace.events.execution].tolist(),
        trace.artifacts.id[trace.events.artifact].tolist(),
    )
    assert sorted(pairs) == [(1, data), (2, data), (3, data), (4, other)]
    assert trace.events.keys == ("examples",)
    assert set(trace.events.type.tolist()) == {EventType.OUTPUT}


def test_own_nodes_are_told_apart() -> None:
    """A gate is known by its name, or by putting out one of this project's artifacts."""
    build = Kubeflow()
    decision = build.artifact("tfx_graphlets.GateDecision")
    build.task("WasteGate.pre")
    build.task("my-gate", outputs={"decision": [decision]})
    build.task("Trainer", inputs={"_WasteGate.decision": [decision]})
    build.task("Archiver")
    assert types_of(build.told()) == [
        f"{EXECUTION_PREFIX}WasteGate", f"{EXECUTION_PREFIX}my-gate", f"{CONTAINER}.Trainer",
        f"{EXECUTION_PREFIX}Archiver",
    ]  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("properties", [None, ("span", "version")])
def test_the_span_that_a_driver_found_counts(
    reader: Reader, properties: tuple[str, ...] | None, tmp_path: Path
) -> None:
    """An ExampleGen's span is recorded under a prefix, beside the declared property's default."""
    build = Kubeflow()
    data, other = build.artifact("tfx.Examples"), build.artifact("tfx.Examples")
    build.raw().add_property("Artifact", data, "span", True, PropertyKind.INT, 0)
    build.raw().add_property("Artifact", data, "custom:span", True, PropertyKind.INT, 7)
    build.raw().add_property("Artifact", data, "custom:version", True, PropertyKind.STRING, "2")
    build.raw().add_property("Artifact", data, "custom:other", True, PropertyKind.STRING, "x")
    build.raw().add_property("Artifact", other, "span", True, PropertyKind.INT, 5)
    build.task("CsvExampleGen", outputs={"examples": [data]})
    path = write_store(tmp_path / "store.sqlite", build.raw())
    with reader(path) as store:
        found = store.read_trace(properties=properties).artifacts.properties
    assert found.numbers("span", 2).tolist() == [7.0, 5.0]
    assert found.numbers("version", 2)[0] == 2.0
    rest = {"custom:other"} if properties is None else set()
    assert set(found.names) == {"span", "version"} | rest
    rows = found.rows("span")
    kinds = sorted(zip(found.owner[rows].tolist(), found.is_custom[rows].tolist()))
    assert kinds == [(0, False), (0, True), (1, True)]


def test_every_task_has_a_node() -> None:
    """Nodes are named as TFX names them, with ids that do not depend on what else is read."""
    build = pipeline_of_one_run()
    whole = build.told()
    build.task("Trainer.wide", run="run-2")
    longer = build.told()
    nodes = [longer.context_name(int(node)) for node in longer.node_of_execution]
    assert nodes == [
        "penguin.CsvExampleGen", "penguin.Trainer.wide", "penguin.my-evaluation",
        "penguin.pusher-2", "penguin.Trainer.wide",
    ]  # fmt: skip
    node = whole.contexts.of_types(["node"])
    assert set(whole.contexts.id[node]) <= set(longer.contexts.id)
    assert (whole.contexts.id[node] >= 2**62).all()


def test_a_neighbourhood_is_not_read_of_it(tmp_path: Path) -> None:
    """What is looked up row by row cannot be told so: the whole store has to be read."""
    path = write_store(tmp_path / "store.sqlite", pipeline_of_one_run().raw())
    with contextlib.closing(sqlite3.connect(path)) as connection:
        lookups = SqliteLookups(connection)
        assert read_neighbourhood(lookups, run="run-1", pipeline="penguin") is None


def test_other_stores_are_left_alone() -> None:
    """Rows without ``system.*`` executions come back as they are, and told rows too."""
    build = TraceBuilder()
    build.execution("Trainer", run="r", task_name="Pusher", state=ExecutionState.CANCELED)
    rows = build.raw().rows()
    assert in_words_of_tfx(rows) is rows
    told = in_words_of_tfx(pipeline_of_one_run().raw().rows())
    assert first_difference(assemble(in_words_of_tfx(told)), assemble(told)) is None


@settings(strategies.deterministic, max_examples=60)
@given(raw=strategies.pipeline_rows())
def test_what_tfx_ran_on_kubeflow_is_cut_the_same(raw: RowBuilder) -> None:
    """Any pipelines, recorded by TFX or by Kubeflow Pipelines v2, give the same graphlets."""
    tfx = segment(assemble(raw.rows()))
    kubeflow = segment(assemble(in_words_of_tfx(as_system_rows(raw).rows())))
    # Kubeflow tells the node of every task; these rows of TFX tell none.
    unnamed = [{**one.to_dict(), "node": None} for one in kubeflow]
    assert unnamed == [one.to_dict() for one in tfx]
    assert kubeflow.role.tolist() == tfx.role.tolist()
    assert kubeflow.trace.events.dropped == tfx.trace.events.dropped


@pytest.mark.parametrize("path", real_runs()[:3], ids=lambda path: path.parent.name)
def test_recorded_runs_told_by_kubeflow(path: Path, tmp_path: Path) -> None:
    """A recorded TFX store as Kubeflow would have kept it: same graphlets, same features."""
    with by_sql(path) as store:
        tfx = segment(store.read_trace())
    recorded = as_system_rows(retold(tfx.trace))
    with by_sql(write_store(tmp_path / "store.sqlite", recorded)) as store:
        kubeflow = segment(store.read_trace())
    assert [one.to_dict() for one in kubeflow] == [one.to_dict() for one in tfx]
    for stage in Stage:
        left, right = describe(tfx, stage), describe(kubeflow, stage)
        for feature in left.features:
            np.testing.assert_array_equal(
                left.columns[feature.name], right.columns[feature.name], f"{stage}: {feature.name}"
            )


def test_the_rows_that_are_told_are_not_changed() -> None:
    """What the reader read is left as it is."""
    rows, kept = (pipeline_of_one_run().raw().rows() for _ in range(2))
    in_words_of_tfx(rows)
    assert vars(lists_of(rows)) == vars(lists_of(kept))
