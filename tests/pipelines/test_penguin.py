"""The smallest example: its page is true, and both of its decisions occur, with both runners."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner

from pipelines.penguin import data, gated, pipeline
from tests.components import waste_models
from tests.components.runs import LightPipeline
from tests.import_graph import ROOT

BEFORE = {
    "CsvExampleGen", "StatisticsGen", "SchemaGen", "ExampleValidator", "GraphletGen", "WasteGate",
}  # fmt: skip
GATED = {"Trainer", "Evaluator", "Pusher"}
FEW, MANY = 40, 3_000  # penguins: 1 kB, and 90 kB, which the tests' waste model finds wasteful
# The waste model alone decides: no cold start, and no chance.
SETTINGS = {"threshold": 0.5, "min_labelled": 0, "min_pushes": 0, "exploration": 0.0}


def test_the_page_shows_the_line_that_gates() -> None:
    """README.md shows the two lines of gated.py that make the gated pipeline."""
    page = (ROOT / "pipelines" / "penguin" / "README.md").read_text(encoding="utf-8")
    source = Path(str(gated.__file__)).read_text(encoding="utf-8")
    [shown] = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert shown.count("\n") == 2
    assert "".join(f"    {line}\n" for line in shown.splitlines()) in source


def test_penguins_are_those_of_the_seed(tmp_path: Path) -> None:
    """The same seed gives the same file, another one another; every row has a species."""
    first = data.write_penguins(tmp_path / "a", 50, seed=1).read_bytes()
    assert data.write_penguins(tmp_path / "b", 50, seed=1).read_bytes() == first
    assert data.write_penguins(tmp_path / "b", 50, seed=2).read_bytes() != first
    rows = list(csv.DictReader(first.decode().splitlines()))
    assert len(rows) == 50
    assert {row[data.LABEL] for row in rows} == {"0", "1", "2"}


@pytest.mark.tfx
def test_the_gate_is_all_that_was_added(tmp_path: Path) -> None:
    """The gated pipeline has the plain one's nodes, wired alike, and GraphletGen and WasteGate."""
    plain = {node.id: node for node in pipeline.create_pipeline(str(tmp_path)).components}
    with_gate = {node.id: node for node in gated.create_pipeline(str(tmp_path)).components}
    assert with_gate.keys() - plain.keys() == {"GraphletGen", "WasteGate"}
    assert plain.keys() == (BEFORE | GATED) - {"GraphletGen", "WasteGate"}
    for name, node in plain.items():
        assert node.inputs.keys() == with_gate[name].inputs.keys()
        assert node.exec_properties == with_gate[name].exec_properties


@pytest.mark.tfx
@pytest.mark.parametrize(
    ("runner", "penguins"),
    [
        (tfx.orchestration.LocalDagRunner, FEW),
        (tfx.orchestration.LocalDagRunner, MANY),
        (BeamDagRunner, MANY),
    ],
)
def test_the_gated_pipeline_decides(
    tmp_path: Path, runner: Callable[[], tfx.orchestration.LocalDagRunner], penguins: int
) -> None:
    """Few penguins are trained on and the model is pushed; with many the run stops at the gate."""
    model = waste_models.saved(tmp_path / "waste_model")
    data.write_penguins(tmp_path / "data", penguins, seed=1)
    runner().run(gated.create_pipeline(str(tmp_path), waste_model=model, **SETTINGS))
    run = LightPipeline(tmp_path)
    proceed = int(penguins == FEW)
    [executions] = run.executions()
    assert executions == dict.fromkeys(BEFORE | GATED if proceed else BEFORE, "COMPLETE")
    [decision] = run.decisions()
    assert (decision["proceed"], decision["failed_open"]) == (proceed, 0)
    assert (tmp_path / "serving").exists() == bool(proceed)
