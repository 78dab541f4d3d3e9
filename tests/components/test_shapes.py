"""Shapes of pipelines that people build, each gated by one line and run for real."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx
from tfx.orchestration.local import local_dag_runner
from tfx.orchestration.pipeline import RunOptions

from tests.components import light_nodes, light_trainers, waste_models
from tests.components.runs import PIPELINE, LightPipeline
from tests.components.waste_models import PUSHED_SPAN, WASTED_SPAN
from tfx_graphlets.components.placement import gate_pipeline
from tfx_graphlets.gate.record import past_decisions
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.monitor import monitor
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.vocabulary import Outcome

pytestmark = [pytest.mark.tfx, pytest.mark.long]

types = tfx.types.standard_artifacts
Nodes = Sequence[tfx.types.BaseNode]


def pipeline_of(
    folder: Path, nodes: Nodes, name: str = PIPELINE, *, enable_cache: bool = False
) -> tfx.dsl.Pipeline:
    """A pipeline of these nodes; all pipelines below a folder share one store."""
    connect = tfx.orchestration.metadata.sqlite_metadata_connection_config
    return tfx.dsl.Pipeline(
        pipeline_name=name,
        pipeline_root=str(folder / "root"),
        components=list(nodes),
        enable_cache=enable_cache,
        metadata_connection_config=connect(str(folder / "metadata.sqlite")),
    )


def launch(
    folder: Path,
    nodes: Nodes,
    options: RunOptions | None = None,
    *,
    enable_cache: bool = False,
    **gate: object,
) -> tfx.dsl.Pipeline:
    """One run of these nodes, gated by one line; the gate skips what the model knows as waste."""
    pipeline = pipeline_of(folder, nodes, enable_cache=enable_cache)
    chosen = {"threshold": 0.5, "exploration": 0.0, "min_labelled": 0, "min_pushes": 0, **gate}
    gated = gate_pipeline(pipeline, model_directory=str(folder / "model"), **chosen)  # type: ignore[arg-type]
    tfx.orchestration.LocalDagRunner().run(gated, options)
    return gated


def served(model: tfx.types.BaseChannel, name: str = "") -> list[tfx.types.BaseNode]:
    """An Evaluator and a Pusher behind a Model."""
    evaluator = light_nodes.Evaluator(model=model).with_id(f"Evaluator{name}")
    pusher = light_nodes.Pusher(model=model, blessing=evaluator.outputs["blessing"])
    return [evaluator, pusher.with_id(f"Pusher{name}")]


def base_and_fine_tuning(span: int) -> Nodes:
    """A model that is trained to start another from."""
    examples = light_nodes.LightExampleGen(span=span)
    base = light_trainers.BaseTrainer(examples=examples.outputs["examples"])
    tuned = light_trainers.FineTuner(
        examples=examples.outputs["examples"], base_model=base.outputs["model"]
    )
    return [examples, base, tuned, *served(tuned.outputs["model"])]


def tuned(span: int) -> Nodes:
    """A Tuner before the Trainer."""
    examples = light_nodes.LightExampleGen(span=span)
    tuner = light_trainers.Tuner(examples=examples.outputs["examples"])
    trainer = light_trainers.TunedTrainer(
        examples=examples.outputs["examples"],
        hyperparameters=tuner.outputs["best_hyperparameters"],
    )
    return [examples, tuner, trainer, *served(trainer.outputs["model"])]


def two_pushers(span: int, production: int = 1) -> Nodes:
    """A push to staging that always happens, and one to production."""
    examples = light_nodes.LightExampleGen(span=span)
    transform = light_nodes.Transform(examples=examples.outputs["examples"])
    trainer = light_nodes.Trainer(
        examples=examples.outputs["examples"],
        transform_graph=transform.outputs["transform_graph"],
    )
    judged = light_nodes.Evaluator(model=trainer.outputs["model"], blessed=production)
    pusher = light_nodes.Pusher(
        model=trainer.outputs["model"], blessing=judged.outputs["blessing"]
    ).with_id("Pusher_production")
    staging = served(trainer.outputs["model"], "_staging")
    return [examples, transform, trainer, judged, pusher, *staging]


@pytest.mark.parametrize(
    ("shape", "behind", "before"),
    [
        (base_and_fine_tuning, {"BaseTrainer", "FineTuner", "Evaluator", "Pusher"}, set()),
        (tuned, {"TunedTrainer", "Evaluator", "Pusher"}, {"Tuner"}),
        (
            two_pushers,
            {"Trainer", "Evaluator", "Pusher_production", "Evaluator_staging", "Pusher_staging"},
            {"Transform"},
        ),
    ],
)
def test_all_of_a_run_goes_on_or_none(
    shape: Callable[[int], Nodes], behind: set[str], before: set[str], tmp_path: Path
) -> None:
    """One gate stands before what only the Trainers need; what comes before runs all the same."""
    waste_models.saved(tmp_path / "model")
    for span in (PUSHED_SPAN, WASTED_SPAN):
        launch(tmp_path, shape(span))
    pipeline = LightPipeline(tmp_path)
    ran, skipped = pipeline.executions()
    free = {"LightExampleGen", "GraphletGen", "WasteGate", *before}
    assert ran == dict.fromkeys(free | behind, "COMPLETE")
    assert skipped == dict.fromkeys(free, "COMPLETE")
    assert [one["failed_open"] for one in pipeline.decisions()] == [0, 0]


def test_the_pushers_that_count_make_the_history(tmp_path: Path) -> None:
    """Staging takes every model; without production none of them was pushed."""
    waste_models.saved(tmp_path / "model")
    for production in (1, 0, 1):
        launch(
            tmp_path, two_pushers(PUSHED_SPAN, production), threshold=0.0,
            pushers=["Pusher_production"],
        )  # fmt: skip
    past = LightPipeline(tmp_path).histories()[-1].past
    assert past is not None
    assert past.outcome.tolist() == [Outcome.PUSHED, Outcome.UNPUSHED]


def test_a_partial_run_behind_the_gate_takes_its_last_decision(tmp_path: Path) -> None:
    """What begins behind the gate asks the decision of the run that it goes on from."""
    waste_models.saved(tmp_path / "model")
    trained = []
    for span in (PUSHED_SPAN, WASTED_SPAN):
        launch(tmp_path, two_pushers(span))
        partial = RunOptions(from_nodes=["Trainer"])
        launch(tmp_path, two_pushers(span), partial)
        trained += [run.get("Trainer") for run in LightPipeline(tmp_path).executions()[-2:]]
    assert trained == ["COMPLETE", "COMPLETE", None, None]
    assert [one["proceed"] for one in LightPipeline(tmp_path).decisions()] == [1, 0]


def test_a_partial_run_up_to_the_gate_decides_and_trains_nothing(tmp_path: Path) -> None:
    """A way to ask before the money is spent; the run that it asked about was not skipped."""
    waste_models.saved(tmp_path / "model")
    asked = RunOptions(to_nodes=["WasteGate"])
    launch(tmp_path, two_pushers(PUSHED_SPAN), asked)
    launch(tmp_path, two_pushers(PUSHED_SPAN))
    pipeline = LightPipeline(tmp_path)
    first, second = pipeline.executions()
    assert ("WasteGate" in first, "Trainer" in first, second["Trainer"]) == (
        True, False, "COMPLETE",
    )  # fmt: skip
    assert [one["proceed"] for one in pipeline.decisions()] == [1, 1]


def imported(folder: Path, type_: type[tfx.dsl.Artifact]) -> tfx.types.BaseNode:
    """What another pipeline of the store has put out last."""
    artifacts = LightPipeline(folder).store().get_artifacts_by_type(type_.TYPE_NAME)
    latest = max(artifacts, key=lambda artifact: int(artifact.id))
    importer = tfx.dsl.Importer(source_uri=latest.uri, artifact_type=type_)
    return importer.with_id(f"Import{type_.TYPE_NAME}")


def test_ingestion_training_and_deployment_may_be_three_pipelines(tmp_path: Path) -> None:
    """The gate of the one that trains knows the spans of the first and the pushes of the last."""
    waste_models.saved(tmp_path / "model")
    runner = tfx.orchestration.LocalDagRunner()
    for span, pushed in ((PUSHED_SPAN, 0), (PUSHED_SPAN + 1, 1), (WASTED_SPAN, 1)):
        ingestion = pipeline_of(tmp_path, [light_nodes.LightExampleGen(span=span)], "ingest")
        runner.run(ingestion)
        examples = imported(tmp_path, types.Examples)
        transform = light_nodes.Transform(examples=examples.outputs["result"])
        trainer = light_nodes.Trainer(
            examples=examples.outputs["result"],
            transform_graph=transform.outputs["transform_graph"],
        )
        launch(tmp_path, [examples, transform, trainer])
        if span != WASTED_SPAN:
            model = imported(tmp_path, types.Model)
            evaluator, pusher = served(model.outputs["result"])
            evaluator.exec_properties["blessed"] = pushed
            runner.run(pipeline_of(tmp_path, [model, evaluator, pusher], "deploy"))
    pipeline = LightPipeline(tmp_path)
    trained = [run for run in pipeline.executions() if "WasteGate" in run]
    assert ["Trainer" in run for run in trained] == [True, True, False]
    *_, history = pipeline.histories()
    assert history.past is not None
    assert history.past.outcome.tolist() == [Outcome.UNPUSHED, Outcome.PUSHED]
    with open_store(pipeline.store_file) as store:
        graphlets = segment(store.read_trace())
    assert graphlets.outcome.tolist() == [Outcome.UNPUSHED, Outcome.PUSHED]
    executions = graphlets.trace.executions
    held = executions.type[graphlets.executions.of(0)].tolist()
    names = {executions.type_names[one].rpartition(".")[2] for one in held}
    assert names >= {"LightExampleGen", "Transform", "Trainer", "Evaluator", "Pusher"}


def flaky(folder: Path) -> Nodes:
    """A Trainer that fails while a file is there."""
    examples = light_nodes.LightExampleGen(span=PUSHED_SPAN)
    trainer = light_trainers.FlakyTrainer(
        examples=examples.outputs["examples"], broken=str(folder / "broken")
    )
    return [examples, trainer, *served(trainer.outputs["model"])]


@pytest.mark.parametrize(
    ("same_run", "outcomes"),
    [(True, [Outcome.PUSHED]), (False, [Outcome.FAILED, Outcome.PUSHED])],
)
def test_a_failed_trainer_is_run_again(
    same_run: bool,
    outcomes: list[Outcome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the same run TFX goes on with its executions, and the gate has decided once.

    A new run, which finds its data in the cache, is another graphlet and another decision.
    """
    if same_run:
        moment = SimpleNamespace(isoformat=lambda: "the-run")
        clock = SimpleNamespace(now=lambda: moment)
        monkeypatch.setattr(local_dag_runner, "datetime", SimpleNamespace(datetime=clock))
    waste_models.saved(tmp_path / "model")
    (tmp_path / "broken").touch()
    with pytest.raises(RuntimeError, match="broken is there"):
        launch(tmp_path, flaky(tmp_path), enable_cache=True)
    (tmp_path / "broken").unlink()
    launch(tmp_path, flaky(tmp_path), enable_cache=True)
    with open_store(LightPipeline(tmp_path).store_file) as store:
        trace = store.read_trace()
    graphlets = segment(without_gates(trace))
    assert graphlets.outcome.tolist() == outcomes
    report = monitor(past_decisions(trace), graphlets, now_ms=int(trace.executions.update_ms.max()))
    assert (report.overall.decisions, report.overall.pushes) == (len(outcomes), 1)
