"""TFX's own templates, as `tfx template copy` writes them, gated by one line and run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tfx")

from pipelines.penguin import data
from tests.components import waste_models
from tests.components.runs import LightPipeline
from tests.import_graph import ROOT

# Two runs of all of TFX's components: more than 10 minutes on a busy machine.
pytestmark = [pytest.mark.tfx, pytest.mark.long, pytest.mark.timeout(1800)]

PREPARING = {
    "taxi": {"CsvExampleGen", "StatisticsGen", "SchemaGen", "Transform"},
    "penguin": {"CsvExampleGen", "StatisticsGen", "SchemaGen", "Transform"},
}
GATED = {"Trainer", "Evaluator", "Pusher"}
RESOLVER = "latest_blessed_model_resolver"


def run(folder: Path, *words: str) -> None:
    """A process that sees the repository, and Keras 2 as the templates want it."""
    environment = {
        **os.environ,
        "TF_USE_LEGACY_KERAS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
    }
    done = subprocess.run(
        [sys.executable, *words],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


def copied(model: str, folder: Path) -> Path:
    """The template in a folder, with every step on and few steps of training."""
    command = ["template", "copy", "--model", model, "--pipeline-name", f"my_{model}"]
    tfx = str(Path(sys.executable).with_name("tfx"))
    subprocess.run(
        [tfx, *command, "--destination-path", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    written = folder / "pipeline" / "pipeline.py"
    source = written.read_text(encoding="utf-8")
    source, turned_on = re.subn(r"# (components\.append\()", r"\1", source)
    assert turned_on >= 5
    written.write_text(source, encoding="utf-8")
    configs = folder / "pipeline" / "configs.py"
    fewer = re.sub(r"(\w+_NUM_STEPS) = \d+", r"\1 = 5", configs.read_text(encoding="utf-8"))
    configs.write_text(fewer, encoding="utf-8")
    return folder


def penguins(folder: Path) -> None:
    """The penguin template ships no data: ours, with the names that its features.py wants."""
    target = data.write_penguins(folder / "data", 200, seed=1)
    features = (folder / "models" / "features.py").read_text(encoding="utf-8")
    header = target.read_text(encoding="utf-8").partition("\n")[0].split(",")
    wanted = re.findall(r"'(\w+)'", features)
    assert set(header) & set(wanted), (header, wanted)


@pytest.mark.parametrize("model", ["taxi", "penguin"])
def test_a_template_is_gated_by_one_line(model: str, tmp_path: Path) -> None:
    """It trains and goes on where the gate lets it, and stops before the Trainer where not."""
    folder = copied(model, tmp_path / model)
    if model == "penguin":
        penguins(folder)
    waste_model = waste_models.saved(tmp_path / "waste_model")
    for threshold in ("0.0", "1.0"):
        run(folder, "-m", "tests.pipelines.template_run", str(folder), waste_model, threshold)
    (store,) = (folder / "tfx_metadata").glob("*/metadata.db")
    shutil.copy(store, folder / "metadata.sqlite")
    pipeline = LightPipeline(folder)
    ran, skipped = pipeline.executions()
    before = PREPARING[model] | {"GraphletGen", "WasteGate"}
    assert ran.keys() - {RESOLVER} == before | GATED
    assert skipped.keys() - {RESOLVER} == before
    assert set(ran.values()) == set(skipped.values()) == {"COMPLETE"}
    decisions = pipeline.decisions()
    assert [(one["proceed"], one["failed_open"]) for one in decisions] == [(1, 0), (0, 0)]
