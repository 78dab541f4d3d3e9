"""The gated pipeline, compiled for Kubeflow Pipelines v2 and Vertex AI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tfx")
pytest.importorskip("kfp")

from tfx import v1 as tfx
from tfx.types import artifact_utils
from tfx.utils import import_utils

from tests.components import light_nodes
from tests.kubeflow import gated
from tests.kubeflow.emulator import condition_of, needed
from tfx_graphlets.components.conditions import UngatedNodeError, proceed
from tfx_graphlets.components.kubeflow import (
    KFP,
    KFP_COMMAND,
    VERTEX,
    KubeflowError,
    compile_for_kubeflow,
)
from tfx_graphlets.components.kubeflow_executor import RUN_DRIVER_FIRST, with_types
from tfx_graphlets.errors import InvalidArgumentError

pytestmark = pytest.mark.tfx

CONDITION = "(inputs.artifacts['_WasteGate.verdict'].artifacts[0].metadata['proceed'] == 1.0)"
OWN = {"GraphletGen", "WasteGate"}


@pytest.fixture(scope="module", params=[VERTEX, KFP])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is compiled of a pipeline that caches, for either back end."""
    folder = tmp_path_factory.mktemp("kubeflow")
    pipeline = gated.pipeline(folder, "gs://bucket/waste_model", span=1, enable_cache=True)
    target = folder / f"{request.param}.json"
    compile_for_kubeflow(pipeline, target, image="image", backend=request.param)
    return target


@pytest.fixture(scope="module")
def spec(written: Path) -> dict[str, Any]:
    """The compiled pipeline spec."""
    document = json.loads(written.read_text())
    return dict(document.get("pipelineSpec", document))


def tasks_of(spec: dict[str, Any]) -> dict[str, Any]:
    """Tasks by name."""
    return dict(spec["root"]["dag"]["tasks"])


def test_every_gated_task_carries_the_condition(spec: dict[str, Any]) -> None:
    """The Trainer and all tasks that depend on it ask the decision; nothing else does."""
    tasks, descendants = tasks_of(spec), {"Trainer"}
    for _ in tasks:
        descendants |= {name for name, task in tasks.items() if needed(task) & descendants}
    assert descendants == {"Trainer", "Evaluator", "Pusher"}
    assert {name: condition_of(task) for name, task in tasks.items()} == {
        name: CONDITION if name in descendants else "" for name in tasks
    }


def test_every_gated_task_takes_the_decision_in(spec: dict[str, Any]) -> None:
    """What a condition asks is an input of the task, from the gate's output."""
    for name in ("Trainer", "Evaluator", "Pusher"):
        source = tasks_of(spec)[name]["inputs"]["artifacts"]["_WasteGate.verdict"]
        assert source["taskOutputArtifact"] == {
            "producerTask": "WasteGate",
            "outputArtifactKey": "verdict",
        }


@pytest.mark.parametrize(
    ("node", "key", "name"),
    [
        ("GraphletGen", "graphlets", "tfx_graphlets.Graphlets"),
        ("WasteGate", "decision", "tfx_graphlets.GateDecision"),
    ],
)
def test_artifact_types_are_importable_by_the_name_in_the_spec(
    spec: dict[str, Any], node: str, key: str, name: str
) -> None:
    """Kubeflow imports an artifact's class by its title; the class is the one that was wired."""
    output = spec["components"][node]["outputDefinitions"]["artifacts"][key]
    assert output["artifactType"]["instanceSchema"] == f"title: {name}\ntype: object\n"
    artifact_class = import_utils.import_class_by_path(name)
    assert name == artifact_class.TYPE_NAME
    assert artifact_class.PROPERTIES is None
    assert artifact_utils.get_artifact_type_class(artifact_class._get_artifact_type()) is (
        artifact_class
    )


def test_the_gates_nodes_are_never_cached(spec: dict[str, Any]) -> None:
    """Kubeflow runs no drivers: of a pipeline that caches all but the gate's tasks are cached."""
    cached = {name for name, task in tasks_of(spec).items() if "cachingOptions" in task}
    assert cached == tasks_of(spec).keys() - OWN


def test_the_gate_can_be_forced_per_run_and_need_not(written: Path, spec: dict[str, Any]) -> None:
    """force_run is a parameter of the pipeline, and has the default that TFX leaves out."""
    defined = spec["root"]["inputDefinitions"]["parameters"]["force_run"]
    assert tasks_of(spec)["WasteGate"]["inputs"]["parameters"]["force_run"] == {
        "componentInputParameter": "force_run"
    }
    if written.stem == KFP:
        assert (defined["defaultValue"], defined["isOptional"]) == (0, True)
    else:
        job = json.loads(written.read_text())
        assert job["runtimeConfig"]["parameters"] == {"force_run": {"intValue": 0}}


def test_each_back_end_gets_the_spec_and_the_command_that_it_takes(
    written: Path, spec: dict[str, Any]
) -> None:
    """Vertex AI: spec 2.0.0, TFX's command. KFP: spec 2.1.0, the command that mends inputs."""
    executors = spec["deploymentSpec"]["executors"].values()
    commands = {tuple(executor["container"]["command"]) for executor in executors}
    if written.stem == KFP:
        assert spec["schemaVersion"] == "2.1.0"
        assert commands == {KFP_COMMAND}
    else:
        assert spec["schemaVersion"] == "2.0.0"
        [command] = commands
        assert command[2].startswith("tfx.orchestration.")


def test_no_draft_is_left(written: Path) -> None:
    """The file appears whole."""
    assert [path.name for path in written.parent.glob("*.draft")] == []


def pipeline_of(*nodes: tfx.types.BaseNode) -> tfx.dsl.Pipeline:
    """A pipeline of these nodes."""
    return tfx.dsl.Pipeline(pipeline_name="one", pipeline_root="root", components=list(nodes))


def test_a_gate_that_kubeflow_would_leave_without_history_is_refused(tmp_path: Path) -> None:
    """GraphletGen needs a store and the pipeline's name, and the error says both."""
    pipeline = gated.pipeline(tmp_path, "model", span=1, store=None, pipeline_name=None)
    with pytest.raises(KubeflowError, match="GraphletGen needs store and pipeline_name") as caught:
        compile_for_kubeflow(pipeline, tmp_path / "out.json", image="image")
    assert len(caught.value.problems) == 1
    assert not (tmp_path / "out.json").exists()


def test_what_open_source_kfp_does_not_have_is_refused_for_it_alone(tmp_path: Path) -> None:
    """A Resolver, and an Importer inside a condition; for Vertex AI both compile."""
    for backend in (VERTEX, KFP):
        gate = light_nodes.Gate()
        latest = tfx.dsl.Resolver(
            strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
            model=tfx.dsl.Channel(type=tfx.types.standard_artifacts.Model),
        ).with_id("Latest")
        with tfx.dsl.Cond(proceed(gate)):
            imported = tfx.dsl.Importer(
                source_uri="gs://bucket/schema", artifact_type=tfx.types.standard_artifacts.Schema
            ).with_id("Imported")
        pipeline = pipeline_of(gate, latest, imported)
        target = tmp_path / "pipeline.json"
        if backend == VERTEX:
            compile_for_kubeflow(pipeline, target, image="image", backend=backend)
            assert target.exists()
        else:
            with pytest.raises(KubeflowError, match=r"Latest is a Resolver") as caught:
                compile_for_kubeflow(pipeline, target, image="image", backend=backend)
            assert len(caught.value.problems) == 2
            assert "Imported is an Importer inside a condition" in str(caught.value)


def test_a_node_that_escapes_the_gate_is_found_before_it_is_compiled(tmp_path: Path) -> None:
    """compile_for_kubeflow runs check_gated."""
    gate, examples = light_nodes.Gate(), light_nodes.LightExampleGen(span=1)
    with tfx.dsl.Cond(proceed(gate)):
        transform = light_nodes.Transform(examples=examples.outputs["examples"])
    trainer = light_nodes.Trainer(
        examples=examples.outputs["examples"], transform_graph=transform.outputs["transform_graph"]
    )
    with pytest.raises(UngatedNodeError, match="Trainer is outside"):
        compile_for_kubeflow(
            pipeline_of(gate, examples, transform, trainer), tmp_path / "x.json", image="image"
        )


def test_a_back_end_that_is_none_is_refused(tmp_path: Path) -> None:
    """The message names both."""
    with pytest.raises(InvalidArgumentError, match="'vertex' or 'kfp'"):
        compile_for_kubeflow(
            pipeline_of(light_nodes.Gate()), tmp_path / "x", image="image", backend="kubeflow"
        )


def test_the_driver_of_an_example_gen_is_run_by_the_container_on_kfp(tmp_path: Path) -> None:
    """For KFP the hook before the container, which it does not run, becomes an argument."""
    found = {}
    for backend in (VERTEX, KFP):
        example_gen = tfx.components.CsvExampleGen(input_base="gs://bucket/data")
        target = tmp_path / f"{backend}.json"
        compile_for_kubeflow(pipeline_of(example_gen), target, image="image", backend=backend)
        document = json.loads(target.read_text())
        executors = document.get("pipelineSpec", document)["deploymentSpec"]["executors"]
        found[backend] = executors["CsvExampleGen_executor"]["container"]
    assert "preCacheCheck" in found[VERTEX]["lifecycle"]
    assert RUN_DRIVER_FIRST not in found[VERTEX]["args"]
    assert "lifecycle" not in found[KFP]
    assert found[KFP]["args"][-1] == RUN_DRIVER_FIRST


TYPED = {"instanceSchema": "title: tfx.Model\n"}
DEFINED = json.dumps({"artifacts": {"model": {"artifactType": TYPED}, "absent": {}}})


@pytest.mark.parametrize(
    ("given", "mended"),
    [
        ({}, TYPED),
        ({"type": {}}, TYPED),
        ({"type": {"instanceSchema": ""}}, TYPED),
        ({"type": {"schemaTitle": "system.Model"}}, {"schemaTitle": "system.Model"}),
    ],
)
@pytest.mark.parametrize("joined", [False, True])
def test_input_artifacts_without_a_type_are_given_that_of_the_components_inputs(
    given: dict[str, Any], mended: dict[str, Any], joined: bool
) -> None:
    """Missing and empty types are filled in; one that is there stays; other words stay."""
    document = json.dumps({"inputs": {"artifacts": {"model": {"artifacts": [given]}}}})
    pairs = [
        ("--json_serialized_invocation_args", document),
        ("--json_serialized_inputs_spec_args", DEFINED),
    ]
    words = [f"{k}={v}" if joined else word for k, v in pairs for word in ((k, v)[: 2 - joined])]
    result = with_types(["--executor_class_path", "a.B", *words, "--flag"])
    assert (result[:2], result[-1]) == (["--executor_class_path", "a.B"], "--flag")
    [text] = [word for word in result if '"model"' in word and "artifactType" not in word]
    [artifact] = json.loads(text[text.index("{") :])["inputs"]["artifacts"]["model"]["artifacts"]
    assert artifact["type"] == mended


def test_without_the_components_inputs_nothing_is_changed() -> None:
    """Pipeline spec 2.0.0 gives none."""
    words = ["--json_serialized_invocation_args", '{"inputs": {}}']
    assert with_types(words) == words
