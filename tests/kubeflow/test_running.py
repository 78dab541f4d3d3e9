"""The gated pipeline on Kubeflow, container by container, without a cluster."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from pathlib import Path

import pytest

pytest.importorskip("tfx")
pytest.importorskip("kfp")
pytest.importorskip("celpy")

from tfx import v1 as tfx

from pipelines.penguin import data
from pipelines.penguin import gated as penguin
from tests.components import waste_models
from tests.components.waste_models import PUSHED_SPAN, WASTED_SPAN
from tests.kubeflow import gated
from tests.kubeflow.emulator import (
    Backend,
    Emulator,
    Launch,
    State,
    TaskFailedError,
    TaskRun,
    UnsupportedError,
    run_process,
)
from tfx_graphlets.components import kubeflow_executor
from tfx_graphlets.components.artifacts import write_files
from tfx_graphlets.components.kubeflow import KFP, VERTEX, compile_for_kubeflow
from tfx_graphlets.vocabulary import Stage

pytestmark = [pytest.mark.tfx, pytest.mark.long]

GENERATOR, GATE, TRAINER = "GraphletGenExecutor", "WasteGateExecutor", "GenericExecutor"
BEFORE = {"LightExampleGen", "Transform", "GraphletGen", "WasteGate"}
GATED = {"Trainer", "Evaluator", "Pusher"}


def run_here(command: Sequence[str], log: Path) -> None:
    """Runs the command's module in this process: importing TFX anew takes ten seconds."""
    assert command[:2] == ["python", "-m"]
    printed = io.StringIO()
    try:
        with redirect_stderr(printed):
            kubeflow_executor._run(command[2], command[3:])
    except Exception as error:
        raise TaskFailedError(str(error)) from error
    finally:
        log.write_text(printed.getvalue())


def as_process(*executors: str) -> Launch:
    """Runs the containers of these executors as processes of their own, the others here."""

    def launch(command: Sequence[str], log: Path) -> None:
        own = any(word.endswith(executors) for word in command)
        (run_process if own else run_here)(command, log)

    return launch


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Directory of a waste model that finds large input wasteful."""
    return waste_models.saved(tmp_path_factory.mktemp("model") / "waste_model")


def compiled(folder: Path, model: str, backend: str, **options: object) -> dict[str, object]:
    """The gated pipeline as the job that the back end is given."""
    pipeline = gated.pipeline(folder, model, **options)  # type: ignore[arg-type]
    written = folder / "pipeline.json"
    compile_for_kubeflow(pipeline, written, image="image", backend=backend)
    document: dict[str, object] = json.loads(written.read_text())
    return document if backend == VERTEX else {"pipelineSpec": document, "runtimeConfig": {}}


def states(runs: Mapping[str, TaskRun]) -> dict[str, State]:
    """State by task."""
    return {name: run.state for name, run in runs.items()}


def test_on_vertex_a_run_that_is_worth_it_trains_and_pushes(tmp_path: Path, model: str) -> None:
    """proceed is 1: CEL says yes, the Trainer's own command trains, the Pusher pushes."""
    job = compiled(tmp_path, model, VERTEX, span=PUSHED_SPAN)
    launch = as_process(GENERATOR, GATE, TRAINER)
    runs = Emulator(job, tmp_path / "run", launch=launch).run()
    assert states(runs) == dict.fromkeys(BEFORE | GATED, State.SUCCEEDED)
    graphlets = runs["GraphletGen"].metadata("graphlets")
    assert (graphlets["usable"], graphlets["stage"]) == (1.0, "pre")
    assert graphlets["num_graphlets"] == 42.0  # labelled graphlets of the archive
    decision = runs["WasteGate"].metadata("decision")
    assert (decision["proceed"], decision["failed_open"]) == (1.0, 0.0)
    assert decision["probability"] >= decision["threshold"] == 0.5
    asked = runs["Trainer"].executor_input["inputs"]["artifacts"]["_WasteGate.verdict"]
    assert asked["artifacts"][0]["metadata"]["proceed"] == 1.0
    assert [path.read_text() for path in (tmp_path / "serving").rglob("steps.txt")] == ["7"]
    assert runs["Pusher"].metadata("pushed_model")["pushed"] == 1.0


def test_on_vertex_a_run_that_is_not_worth_it_stops_at_the_gate(tmp_path: Path, model: str) -> None:
    """proceed is 0: CEL says no, the Trainer does not start, nor does anything behind it."""
    job = compiled(tmp_path, model, VERTEX, span=WASTED_SPAN)
    runs = Emulator(job, tmp_path / "run", launch=as_process(GATE)).run()
    assert states(runs) == {
        **dict.fromkeys(BEFORE, State.SUCCEEDED),
        "Trainer": State.NOT_TRIGGERED,
        "Evaluator": State.OMITTED,
        "Pusher": State.OMITTED,
    }
    decision = runs["WasteGate"].metadata("decision")
    assert (decision["proceed"], decision["would_skip"], decision["failed_open"]) == (0.0, 1.0, 0.0)
    assert decision["probability"] < 0.5
    assert decision["reason"].startswith("Skipped because")
    assert not (tmp_path / "serving").exists()


def test_a_run_can_be_forced_by_the_pipelines_parameter(tmp_path: Path, model: str) -> None:
    """force_run=1 at submission: the same run trains."""
    job = compiled(tmp_path, model, VERTEX, span=WASTED_SPAN)
    emulator = Emulator(job, tmp_path / "run", parameters={"force_run": 1}, launch=run_here)
    runs = emulator.run()
    assert states(runs) == dict.fromkeys(BEFORE | GATED, State.SUCCEEDED)
    decision = runs["WasteGate"].metadata("decision")
    assert (decision["proceed"], decision["would_skip"]) == (1.0, 1.0)


@pytest.mark.parametrize(("span", "proceed"), [(PUSHED_SPAN, 1.0), (WASTED_SPAN, 0.0)])
def test_on_open_source_kfp_both_decisions_occur(
    tmp_path: Path, model: str, span: int, proceed: float
) -> None:
    """Spec 2.1, input artifacts without types: the same two runs."""
    job = compiled(tmp_path, model, KFP, span=span)
    runs = Emulator(job, tmp_path / "run", Backend.OPEN_SOURCE, launch=run_here).run()
    decision = runs["WasteGate"].metadata("decision")
    assert (decision["proceed"], decision["failed_open"]) == (proceed, 0.0)
    succeeded = {name for name, run in runs.items() if run.state is State.SUCCEEDED}
    assert succeeded == (BEFORE | GATED if proceed else BEFORE)


def test_tfxs_own_command_fails_on_open_source_kfp(tmp_path: Path, model: str) -> None:
    """It cannot know the type of an input artifact: why the command is another one there."""
    job = compiled(tmp_path, model, KFP, span=PUSHED_SPAN)
    for executor in job["pipelineSpec"]["deploymentSpec"]["executors"].values():  # type: ignore[index]
        executor["container"]["command"][2] = kubeflow_executor._EXECUTOR
    with pytest.raises(TaskFailedError, match="title"):
        Emulator(job, tmp_path / "run", Backend.OPEN_SOURCE, launch=run_here).run()


def test_open_source_kfp_refuses_what_is_compiled_for_vertex(tmp_path: Path, model: str) -> None:
    """Spec 2.0.0 is Vertex AI's alone."""
    job = compiled(tmp_path, model, VERTEX, span=PUSHED_SPAN)
    with pytest.raises(UnsupportedError, match=r"schema version 2\.1\.0"):
        Emulator(job, tmp_path / "run", Backend.OPEN_SOURCE, launch=run_here).run()


def test_a_store_that_cannot_be_read_lets_the_run_through(tmp_path: Path, model: str) -> None:
    """The gate fails open in a container too, and says why."""
    job = compiled(tmp_path, model, VERTEX, span=WASTED_SPAN, store="grpc://127.0.0.1:1")
    runs = Emulator(job, tmp_path / "run", launch=run_here).run()
    assert states(runs) == dict.fromkeys(BEFORE | GATED, State.SUCCEEDED)
    decision = runs["WasteGate"].metadata("decision")
    assert (decision["proceed"], decision["failed_open"]) == (1.0, 1.0)


def test_the_history_may_lie_in_a_bucket(tmp_path: Path, model: str) -> None:
    """An archive where only TFX's fileio reads (here: in memory) is read all the same."""
    bucket = f"ram://{tmp_path.name}/history"
    write_files(bucket, {path.name: path.read_bytes() for path in gated.ARCHIVE.iterdir()})
    job = compiled(tmp_path, model, VERTEX, span=WASTED_SPAN, store=bucket)
    runs = Emulator(job, tmp_path / "run", launch=run_here).run()
    assert runs["GraphletGen"].metadata("graphlets")["usable"] == 1.0
    assert runs["WasteGate"].metadata("decision")["failed_open"] == 0.0
    assert runs["Trainer"].state is State.NOT_TRIGGERED


def test_two_gates_agree_on_kubeflow(tmp_path: Path, model: str) -> None:
    """The gate before preprocessing skips: the gate before the Trainer is left out, not failed."""
    model_input = waste_models.saved(tmp_path / "input_model", Stage.INPUT)
    found = {}
    for span in (PUSHED_SPAN, WASTED_SPAN):
        pipeline = gated.two_gates(tmp_path, model_input, model, span=span)
        target = tmp_path / f"{span}.json"
        compile_for_kubeflow(pipeline, target, image="image")
        job = json.loads(target.read_text())
        runs = Emulator(job, tmp_path / f"run_{span}", launch=run_here).run()
        found[span] = {name for name, run in runs.items() if run.state is State.SUCCEEDED}
    first = {"LightExampleGen", "GraphletGen_input", "WasteGate_input"}
    assert found[WASTED_SPAN] == first
    assert found[PUSHED_SPAN] == first | {
        "Transform",
        "GraphletGen_pre",
        "WasteGate_pre",
        "Trainer",
    }


def test_an_example_gen_finds_its_span_on_both_back_ends(tmp_path: Path) -> None:
    """Its driver runs as a hook on Vertex AI, and in the container on open-source KFP."""
    data.write_penguins(tmp_path / "data" / "day-7", 20, seed=1)
    found = []
    for backend, emulated in ((VERTEX, Backend.VERTEX), (KFP, Backend.OPEN_SOURCE)):
        pattern = [tfx.proto.Input.Split(name="all", pattern="day-{SPAN}/*")]
        example_gen = tfx.components.CsvExampleGen(
            input_base=str(tmp_path / "data"), input_config=tfx.proto.Input(splits=pattern)
        )
        pipeline = tfx.dsl.Pipeline("spans", str(tmp_path), components=[example_gen])
        target = tmp_path / f"{backend}.json"
        document = compile_for_kubeflow(pipeline, target, image="image", backend=backend)
        job = document if backend == VERTEX else {"pipelineSpec": document, "runtimeConfig": {}}
        runs = Emulator(job, tmp_path / backend, emulated, launch=run_here).run()
        metadata = runs["CsvExampleGen"].metadata("examples")
        # TFX hands a custom property on under a prefix where a declared one has its name.
        found.append((metadata["custom:span"], metadata["input_fingerprint"]))
    assert found[0] == found[1]
    assert found[0][0] == 7
    assert "num_files:1" in found[0][1]


def test_the_penguin_pipeline_runs_on_open_source_kfp(tmp_path: Path, model: str) -> None:
    """TFX's own components up to the gate, on data that are not worth a training."""
    data.write_penguins(tmp_path / "data", 3_000, seed=1)
    pipeline = penguin.create_pipeline(
        str(tmp_path), waste_model=model, threshold=0.5, min_labelled=0, min_pushes=0,
        exploration=0.0, store=str(gated.ARCHIVE), pipeline_name=gated.PIPELINE,
    )  # fmt: skip
    spec = compile_for_kubeflow(pipeline, tmp_path / "p.yaml", image="image", backend=KFP)
    job = {"pipelineSpec": spec, "runtimeConfig": {}}
    runs = Emulator(job, tmp_path / "run", Backend.OPEN_SOURCE, launch=run_here).run()
    assert states(runs) == {
        "CsvExampleGen": State.SUCCEEDED,
        "StatisticsGen": State.SUCCEEDED,
        "SchemaGen": State.SUCCEEDED,
        "ExampleValidator": State.SUCCEEDED,
        "GraphletGen": State.SUCCEEDED,
        "WasteGate": State.SUCCEEDED,
        "Trainer": State.NOT_TRIGGERED,
        "Evaluator": State.OMITTED,
        "Pusher": State.OMITTED,
    }
    assert runs["WasteGate"].metadata("decision")["failed_open"] == 0.0


@pytest.mark.parametrize("backend", [VERTEX, KFP])
def test_a_rehearsal_runs_as_a_container(tmp_path: Path, model: str, backend: str) -> None:
    """Between two gates, as a process of its own: it measures, and the second gate reads it."""
    data.write_penguins(tmp_path / "data", 40, seed=1)
    pipeline = penguin.create_pipeline(
        str(tmp_path), waste_model=model, threshold=0.5, min_labelled=0, min_pushes=0,
        exploration=0.0, store=str(gated.ARCHIVE), pipeline_name=gated.PIPELINE,
        rehearsal="scout",
    )  # fmt: skip
    spec = compile_for_kubeflow(pipeline, tmp_path / "p.json", image="image", backend=backend)
    job = {"pipelineSpec": spec, "runtimeConfig": {}} if backend == KFP else spec
    kind = [Backend.OPEN_SOURCE] if backend == KFP else []
    launch = as_process("RehearsalExecutor")
    runs = Emulator(job, tmp_path / "run", *kind, launch=launch).run()
    assert states(runs)["Rehearsal"] is State.SUCCEEDED
    found = runs["Rehearsal"].metadata("rehearsal")
    assert (found["rehearsed"], found["mode"], found["stage"]) == (1.0, "scout", "pre")
    assert found["scout_value_margin"] == pytest.approx(found["scout"] - 0.6)
    decision = runs["WasteGate"].metadata("decision")
    assert (decision["failed_open"], decision["proceed"]) == (0.0, 1.0)
