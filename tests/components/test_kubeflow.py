"""The gated pipeline, compiled for Kubeflow Pipelines v2 and Vertex AI."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("tfx")
pytest.importorskip("kfp")

from tfx import v1 as tfx
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner
from tfx.types import artifact_utils
from tfx.utils import import_utils

from tests.components.runs import LightPipeline
from tfx_graphlets.components.waste_gate import WasteGate

pytestmark = pytest.mark.tfx

CONDITION = "(inputs.artifacts['_WasteGate.decision'].artifacts[0].metadata['proceed'] == 1.0)"


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The compiled pipeline spec."""
    folder = tmp_path_factory.mktemp("kubeflow")
    force_run = tfx.dsl.experimental.RuntimeParameter(name="force_run", ptype=int, default=0)
    pipeline = LightPipeline(folder).build(
        lambda graphlet_gen: [
            WasteGate(
                graphlets=graphlet_gen.outputs["graphlets"],
                model_directory="gs://bucket/waste_model",
                force_run=force_run,
            )
        ],
        store="grpc://metadata-grpc-service:8080",
        pipeline_name="light",
    )
    target = folder / "pipeline.json"
    kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(default_image="image"),
        output_filename=str(target),
    ).run(pipeline)
    return dict(json.loads(target.read_text())["pipelineSpec"])


def test_every_gated_task_carries_the_condition(spec: dict[str, Any]) -> None:
    """Trainer, Evaluator and Pusher ask the decision; nothing before the gate does."""
    conditions = {
        name: task.get("triggerPolicy", {}).get("condition")
        for name, task in spec["root"]["dag"]["tasks"].items()
    }
    gated = {name for name, condition in conditions.items() if condition}
    assert gated == {"Trainer", "Evaluator", "Pusher"}
    assert {conditions[name] for name in gated} == {CONDITION}


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


def test_the_gate_can_be_forced_per_run(spec: dict[str, Any]) -> None:
    """force_run becomes a parameter of the pipeline."""
    assert "force_run" in spec["root"]["inputDefinitions"]["parameters"]
    parameters = spec["root"]["dag"]["tasks"]["WasteGate"]["inputs"]["parameters"]
    assert parameters["force_run"] == {"componentInputParameter": "force_run"}
