"""The code of a run is known to its gate before anything runs; run for real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx

from tests.components import light_nodes
from tests.components.runs import LightPipeline
from tests.components.test_gated_pipeline import by_directory
from tfx_graphlets import Stage, describe, open_store, segment
from tfx_graphlets.components.executors import GraphletGenExecutor
from tfx_graphlets.components.graphlet_gen import GraphletGen
from tfx_graphlets.components.kubeflow import VERTEX, compile_for_kubeflow
from tfx_graphlets.components.placement import gate_pipeline
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.gate.code import hash_of_place
from tfx_graphlets.graphlets.pending import without_gates

pytestmark = pytest.mark.tfx

RUN_FN = "work_of_taxi.model.run_fn"
COMPARED = ("code.transform_same_1", "code.trainer_same_1", "code.trainer_runs")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module ``work_of_taxi.model`` within reach of imports."""
    folder = tmp_path / "code" / "work_of_taxi"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "model.py").write_text("def run_fn(args): ...\n")
    monkeypatch.syspath_prepend(str(tmp_path / "code"))
    return folder / "model.py"


def _compared(table: FeatureTable, row: int = 0) -> list[float | None]:
    values = [float(table.numbers(name)[row]) for name in COMPARED]
    return [None if np.isnan(value) else value for value in values]


def test_a_gate_knows_the_code_of_its_run_and_of_those_before(tmp_path: Path, module: Path) -> None:
    """Import paths leave no hash at the Trainer; the second run has the code of the first."""
    pipeline = LightPipeline(tmp_path)
    gate = by_directory(str(tmp_path / "no_model"))  # fails open: every run trains
    for _ in range(2):
        pipeline.run(gate, code=RUN_FN)
    module.write_text("def run_fn(args): raise ValueError\n")
    pipeline.run(gate, code=RUN_FN)
    live = [_compared(one.current) for one in pipeline.histories() if one.current]
    assert live == [[None, None, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]
    with open_store(pipeline.store_file) as store:
        graphlets = segment(without_gates(store.read_trace()))
    for stage in (Stage.INPUT, Stage.PRE):
        table = describe(graphlets, stage)
        assert [_compared(table, row) for row in range(3)] == live


def test_a_gate_of_a_whole_pipeline_knows_the_code_at_input(tmp_path: Path, module: Path) -> None:
    """gate_pipeline wires no code: GraphletGen finds the nodes behind its gate."""
    pipeline = gate_pipeline(
        _ungated(tmp_path), model_directory=str(tmp_path / "none"), stage="input"
    )
    nodes = {node.id: node for node in pipeline.components}
    (said,) = json.loads(str(nodes["GraphletGen"].exec_properties["trainers"]))
    code = {role: hash_of_place(RUN_FN) for role in ("trainer", "transform")}
    assert (said["node"], said["code_known"]) == ("Trainer", code)
    module.write_text("def run_fn(args): raise ValueError\n")
    (said,) = json.loads(str(nodes["GraphletGen"].exec_properties["trainers"]))
    assert said["code_known"] != code


def _ungated(folder: Path) -> tfx.dsl.Pipeline:
    examples = light_nodes.LightExampleGen(span=1)
    data = examples.outputs["examples"]
    transform = light_nodes.Transform(examples=data, preprocessing_fn=RUN_FN)
    trainer = light_nodes.Trainer(
        examples=data, transform_graph=transform.outputs["transform_graph"], run_fn=RUN_FN
    )
    evaluator = light_nodes.Evaluator(model=trainer.outputs["model"])
    pusher = light_nodes.Pusher(
        model=trainer.outputs["model"], blessing=evaluator.outputs["blessing"]
    )
    return tfx.dsl.Pipeline(
        pipeline_name="light",
        pipeline_root=str(folder / "root"),
        components=[examples, transform, trainer, evaluator, pusher],
    )


def test_on_kubeflow_the_container_is_told_the_code_and_records_it(
    tmp_path: Path, module: Path
) -> None:
    """The hash stands in the compiled task, and then on the artifact, where later runs find it."""
    assert module.exists()
    pytest.importorskip("kfp")
    pipeline = gate_pipeline(
        _ungated(tmp_path), model_directory="gs://bucket/model", stage="input",
        store="grpc://host:1", pipeline_name="light",
    )  # fmt: skip
    target = tmp_path / "pipeline.json"
    compile_for_kubeflow(pipeline, target, image="image", backend=VERTEX)
    document: dict[str, Any] = json.loads(target.read_text())
    tasks = document["pipelineSpec"]["root"]["dag"]["tasks"]
    value = tasks["GraphletGen"]["inputs"]["parameters"]["trainers"]["runtimeValue"]
    trainers = value["constantValue"]["stringValue"]
    artifact = GraphletGen().outputs["graphlets"].type()
    artifact.uri = str(tmp_path / "graphlets")
    GraphletGenExecutor().Do(
        {}, {"graphlets": [artifact]}, {"stage": "input", "trainers": trainers}
    )
    recorded = json.loads(artifact.get_string_custom_property("code_known"))
    assert recorded == {
        "Trainer": {"trainer": hash_of_place(RUN_FN), "transform": hash_of_place(RUN_FN)}
    }
