"""A gated TFX pipeline, run for real, and what its metadata store holds afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner

from tests.components import waste_models
from tests.components.runs import PIPELINE, LightPipeline
from tests.components.waste_models import PUSHED_SPAN, WASTED_SPAN
from tests.supervision.injection import inject
from tfx_graphlets.cli import main
from tfx_graphlets.components import artifacts, executors
from tfx_graphlets.components.graphlet_gen import GraphletGen
from tfx_graphlets.components.waste_gate import WasteGate
from tfx_graphlets.components.waste_model_trainer import WasteModelTrainer
from tfx_graphlets.gate import graphlets_file
from tfx_graphlets.report.dot import to_dot
from tfx_graphlets.report.drawing import to_svg
from tfx_graphlets.report.graph import Graphs
from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.vocabulary import Stage

pytestmark = pytest.mark.tfx

GATED = {"Trainer", "Evaluator", "Pusher"}
BEFORE = {"LightExampleGen", "Transform", "GraphletGen", "WasteGate"}
# The waste model alone decides: no cold start, and no chance.
PERMISSIVE: Mapping[str, object] = {
    "threshold": 0.5, "min_labelled": 0, "min_pushes": 0, "exploration": 0.0,
}  # fmt: skip


def by_directory(directory: str, **options: object) -> Callable[[GraphletGen], list[BaseNode]]:
    """Makes a gate whose waste model is in a directory."""

    def gate(graphlet_gen: GraphletGen) -> list[BaseNode]:
        chosen = {**PERMISSIVE, **options}
        return [
            WasteGate(
                graphlets=graphlet_gen.outputs["graphlets"],
                model_directory=directory,
                **chosen,  # type: ignore[arg-type]
            )
        ]

    return gate


@pytest.fixture
def pipeline(tmp_path: Path) -> LightPipeline:
    """A pipeline that never ran."""
    return LightPipeline(tmp_path)


@pytest.fixture
def model(tmp_path: Path) -> str:
    """Directory of a waste model that finds large input wasteful."""
    return waste_models.saved(tmp_path / "waste_model")


def test_a_skipped_run_holds_a_decision_and_no_training(
    pipeline: LightPipeline, model: str
) -> None:
    """Both decisions occur by the model's own probability; the store shows each."""
    pipeline.run(by_directory(model), span=WASTED_SPAN)
    pipeline.run(by_directory(model), span=PUSHED_SPAN)
    skipped, ran = pipeline.executions()
    assert set(skipped) == BEFORE
    assert set(ran) == BEFORE | GATED
    assert set(skipped.values()) | set(ran.values()) == {"COMPLETE"}
    no, yes = pipeline.decisions()
    assert (no["proceed"], no["would_skip"], no["failed_open"]) == (0, 1, 0)
    assert (yes["proceed"], yes["would_skip"], yes["failed_open"]) == (1, 0, 0)
    assert no["probability"] < no["threshold"] == 0.5 <= yes["probability"]  # type: ignore[operator]
    for decision in (no, yes):
        assert decision["stage"] == "pre"
        assert decision["gate"] == "WasteGate"
        assert decision["model_fingerprint"] == waste_models.by_size().fingerprint
    assert str(no["reason"]).startswith("Skipped because")
    top = json.loads(str(no["top_features"]))
    assert top[0][0].startswith("input_data.bytes")
    assert isinstance(top[0][2], float)


def test_the_graphlet_of_a_gated_run_shows_where_the_gate_stands(
    pipeline: LightPipeline, model: str
) -> None:
    """Of a real store: before the Trainer, with its stage; a skipped run has no graphlet."""
    pipeline.run(by_directory(model), span=WASTED_SPAN)
    pipeline.run(by_directory(model), span=PUSHED_SPAN)
    with open_store(str(pipeline.store_file)) as store:
        source = ReportSource.read(store)
    assert len(source.graphlets) == 1
    graph = Graphs(source.graphlets, source.decisions).of(0)
    [gate] = [node for node in graph.nodes if node.kind == "gate"]
    [trainer] = [node for node in graph.nodes if node.part == "trainer"]
    assert gate.label == "Gate: run"
    assert gate.detail.startswith("stage pre, P(push) ")
    assert [edge.target for edge in graph.edges if edge.source == gate.key] == [trainer.key]
    assert ">Gate: run<" in to_svg(graph)
    assert gate.key in to_dot([graph])


def test_the_decision_also_stands_in_a_file(pipeline: LightPipeline, model: str) -> None:
    """decision.json below the artifact's URI holds what the custom properties hold."""
    pipeline.run(by_directory(model), span=WASTED_SPAN)
    [artifact] = pipeline.store().get_artifacts_by_type("tfx_graphlets.GateDecision")
    document = json.loads(Path(artifact.uri, executors.DECISION_FILE).read_text())
    [properties] = pipeline.decisions()
    assert document.items() <= properties.items()
    assert {"proceed", "reason", "probability", "top_features"} <= document.keys()


def test_skips_in_a_row_are_counted_from_the_decisions(pipeline: LightPipeline, model: str) -> None:
    """A skipped run leaves no Trainer, and counts all the same: the third run goes through."""
    gate = by_directory(model, max_consecutive_skips=2)
    for _ in range(4):
        pipeline.run(gate, span=WASTED_SPAN)
    decisions = pipeline.decisions()
    assert [decision["proceed"] for decision in decisions] == [0, 0, 1, 0]
    assert "2 runs in a row" in str(decisions[2]["reason"])


def test_the_gate_decides_anew_where_the_pipeline_is_cached(tmp_path: Path, model: str) -> None:
    """With enable_cache=True the same input again makes a new decision, not a cache hit."""
    pipeline = LightPipeline(tmp_path, enable_cache=True)
    gate = by_directory(model, max_consecutive_skips=1)
    for _ in range(3):
        pipeline.run(gate, span=WASTED_SPAN)
    assert [decision["proceed"] for decision in pipeline.decisions()] == [0, 1, 0]
    second = pipeline.executions()[1]
    assert second["LightExampleGen"] == second["Transform"] == "CACHED"
    assert second["GraphletGen"] == second["WasteGate"] == "COMPLETE"


def test_shadow_mode_records_and_lets_through(pipeline: LightPipeline, model: str) -> None:
    """In shadow mode a run that would be skipped trains, and the artifact says so."""
    pipeline.run(by_directory(model, shadow=True), span=WASTED_SPAN)
    [decision] = pipeline.decisions()
    assert (decision["proceed"], decision["would_skip"], decision["shadow"]) == (1, 1, 1)
    assert set(pipeline.executions()[0]) == BEFORE | GATED


def test_a_predicted_skip_that_is_explored_trains(pipeline: LightPipeline, model: str) -> None:
    """With exploration 1 a run that would be skipped trains; the next run reads both of it."""
    for blessed in (1, 0):
        pipeline.run(by_directory(model, exploration=1.0), span=WASTED_SPAN, blessed=blessed)
    for decision, executions in zip(pipeline.decisions(), pipeline.executions()):
        assert (decision["proceed"], decision["would_skip"], decision["explored"]) == (1, 1, 1)
        assert (decision["exploration"], decision["failed_open"]) == (1.0, 0)
        assert "to explore" in str(decision["reason"])
        assert set(executions) == BEFORE | GATED
    last = pipeline.histories()[-1]
    [remembered] = last.decisions
    assert (remembered.explored, remembered.exploration) == (True, 1.0)
    assert last.past is not None
    assert last.past is not None
    assert last.past.run == (remembered.run,)
    assert [int(outcome) for outcome in last.past.outcome] == [3]


def test_a_live_gate_is_monitored_from_its_store(
    pipeline: LightPipeline, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One run that was explored and pushed, one that was explored and was not, one skip."""
    for exploration, blessed in ((1.0, 1), (1.0, 0), (0.0, 1)):
        gate = by_directory(model, exploration=exploration)
        pipeline.run(gate, span=WASTED_SPAN, blessed=blessed)
    capsys.readouterr()
    assert main(["monitor", str(pipeline.store_file), "--format", "json"]) == 4
    report = json.loads(capsys.readouterr().out)
    [one] = report["pipelines"]
    assert (one["pipeline"], one["stage"], one["gate"]) == (PIPELINE, "pre", "WasteGate")
    assert (one["decisions"], one["explored"], one["skips"], one["pushes"]) == (3, 2, 1, 1)
    assert one["savings"]["saved_ms"] > 0
    assert [alarm["name"] for alarm in report["alarms"]] == ["no_exploration"]


def test_a_run_can_be_forced_by_a_runtime_parameter(pipeline: LightPipeline, model: str) -> None:
    """force_run as a RuntimeParameter whose value is 1 lets the run through."""
    force = tfx.dsl.experimental.RuntimeParameter(name="force_run", ptype=int, default=1)
    pipeline.run(by_directory(model, force_run=force), span=WASTED_SPAN)
    [decision] = pipeline.decisions()
    assert (decision["proceed"], decision["would_skip"]) == (1, 1)


def no_model(folder: Path) -> str:
    """Where nothing is."""
    return str(folder / "nowhere")


def model_of_another_stage(folder: Path) -> str:
    """A sound model, for another gate."""
    return waste_models.saved(folder / "other", Stage.INPUT)


def damaged_model(folder: Path) -> str:
    """A model whose manifest was cut off."""
    directory = waste_models.saved(folder / "damaged")
    Path(directory, "manifest.json").write_text("{")
    return directory


@pytest.mark.parametrize(
    ("make_model", "reason"),
    [
        (no_model, "no waste model"),
        (model_of_another_stage, "stage input"),
        (damaged_model, "manifest.json cannot be read"),
    ],
)
def test_a_model_that_cannot_be_used_lets_the_run_through(
    pipeline: LightPipeline, make_model: Callable[[Path], str], reason: str
) -> None:
    """Without a usable model everything trains, and the reason says what is wrong."""
    pipeline.run(by_directory(make_model(pipeline.folder)), span=WASTED_SPAN)
    [decision] = pipeline.decisions()
    assert (decision["proceed"], decision["failed_open"]) == (1, 1)
    assert "probability" not in decision
    assert reason in str(decision["reason"])
    assert set(pipeline.executions()[0]) == BEFORE | GATED


def test_damaged_graphlets_let_the_run_through(
    pipeline: LightPipeline, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Graphlets artifact whose files were damaged in between is told and not fatal."""
    write_files = artifacts.write_files

    def damaged(uri: str, files: dict[str, bytes]) -> None:
        write_files(uri, {**files, graphlets_file.HISTORY_FILE: b"no parquet"})

    monkeypatch.setattr("tfx_graphlets.components.drivers.write_files", damaged)
    pipeline.run(by_directory(model), span=WASTED_SPAN)
    [decision] = pipeline.decisions()
    assert (decision["proceed"], decision["failed_open"]) == (1, 1)
    assert "Graphlets artifact cannot be used" in str(decision["reason"])
    assert set(pipeline.executions()[0]) == BEFORE | GATED


@pytest.mark.parametrize(
    "place",
    [
        "tfx_graphlets.gate.snapshot:collect",
        "tfx_graphlets.gate.graphlets_file:from_files",
        "tfx_graphlets.gate.run:run_gate",
    ],
)
def test_any_error_inside_lets_the_run_through(
    pipeline: LightPipeline, model: str, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """An error that nobody foresaw, in reading or in deciding, stands in the reason."""
    inject(monkeypatch, pipeline.folder / "fault", place, "zero")
    pipeline.run(by_directory(model), span=WASTED_SPAN)
    [decision] = pipeline.decisions()
    assert (decision["proceed"], decision["failed_open"]) == (1, 1)
    assert "ZeroDivisionError: unforeseen" in str(decision["reason"])
    assert set(pipeline.executions()[0]) == BEFORE | GATED


def test_no_password_reaches_the_store(
    pipeline: LightPipeline, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A password in the environment is in no byte of what the run leaves behind."""
    monkeypatch.setenv("TFX_GRAPHLETS_DB_PASSWORD", "open-sesame-4711")
    pipeline.run(by_directory(model), span=WASTED_SPAN, store="mysql://reader@127.0.0.1:1/metadata")
    [decision] = pipeline.decisions()
    assert (decision["proceed"], decision["failed_open"]) == (1, 1)
    left = [path for path in pipeline.folder.rglob("*") if path.is_file()]
    assert pipeline.store_file in left
    for path in left:
        assert b"open-sesame-4711" not in path.read_bytes(), path


def test_the_store_can_be_named(pipeline: LightPipeline, model: str) -> None:
    """GraphletGen reads the SQLite file that it is given as it reads the runner's store."""
    gate = by_directory(model, min_labelled=1)
    pipeline.run(gate, span=PUSHED_SPAN)
    for store in (None, str(pipeline.store_file)):
        pipeline.run(gate, span=WASTED_SPAN, store=store)
    own, named = pipeline.histories()[1:]
    assert own.current is not None
    assert named.current is not None
    own_row, named_row = own.current.row(0), named.current.row(0)
    assert own_row["input_data.bytes"] == named_row["input_data.bytes"] == 1000 + WASTED_SPAN
    assert [decision["proceed"] for decision in pipeline.decisions()] == [1, 0, 0]


def test_the_history_holds_what_became_of_earlier_runs(pipeline: LightPipeline, model: str) -> None:
    """Pushed and unpushed runs are labelled rows; a skipped run is a decision and no row."""
    gate = by_directory(model)
    pipeline.run(gate, span=PUSHED_SPAN, blessed=1)
    pipeline.run(gate, span=PUSHED_SPAN, blessed=0)
    pipeline.run(gate, span=WASTED_SPAN)
    pipeline.run(gate, span=PUSHED_SPAN)
    last = pipeline.histories()[-1]
    assert last.pipeline == PIPELINE
    assert last.past is not None
    assert [int(outcome) for outcome in last.past.outcome] == [3, 2]
    assert [decision.proceed for decision in last.decisions] == [True, True, False]
    assert len({decision.run for decision in last.decisions}) == 3


def test_the_pending_graphlet_is_described_as_it_will_be_once_it_has_trained(
    pipeline: LightPipeline, model: str
) -> None:
    """What the gate sees before the Trainer is what the history shows of it afterwards."""
    gate = by_directory(model)
    for span in (1, 2, 3):
        pipeline.run(gate, span=span)
    *_, before, after = pipeline.histories()
    assert before.current is not None
    assert after.past is not None
    seen, recorded = before.current.row(0), after.past.table.row(len(after.past) - 1)
    # The clock went on between the decision and the Trainer.
    moving = {name for name in seen if "hour" in name or "cost" in name or "rhythm" in name}
    assert {name: seen[name] for name in seen.keys() - moving} == {
        name: recorded[name] for name in recorded.keys() - moving
    }


def test_a_waste_model_can_be_trained_in_the_same_pipeline(pipeline: LightPipeline) -> None:
    """With little history WasteModelTrainer makes no model, says so, and the gate proceeds."""

    def gate(graphlet_gen: GraphletGen) -> list[BaseNode]:
        graphlets = graphlet_gen.outputs["graphlets"]
        trainer = WasteModelTrainer(graphlets=graphlets)
        return [trainer, WasteGate(graphlets=graphlets, model=trainer.outputs["model"])]

    pipeline.run(gate)
    [decision] = pipeline.decisions()
    assert (decision["proceed"], decision["failed_open"]) == (1, 1)
    assert "not enough to train" in str(decision["reason"])
    [artifact] = pipeline.store().get_artifacts_by_type("tfx_graphlets.WasteModel")
    assert artifact.custom_properties["usable"].int_value == 0


def test_a_waste_model_from_a_resolver_may_be_missing(pipeline: LightPipeline, model: str) -> None:
    """Before the first waste model a resolver finds none; the gate proceeds and says so."""

    def gate(graphlet_gen: GraphletGen) -> list[BaseNode]:
        resolver = tfx.dsl.Resolver(
            strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
            model=tfx.dsl.Channel(type=WasteModelArtifact),
        ).with_id("LatestWasteModel")
        return [
            resolver,
            WasteGate(graphlets=graphlet_gen.outputs["graphlets"], model=resolver.outputs["model"]),
        ]

    from tfx_graphlets.components.artifacts import WasteModel as WasteModelArtifact

    pipeline.run(gate)
    [decision] = pipeline.decisions()
    assert (decision["proceed"], decision["failed_open"]) == (1, 1)
    assert "no waste model yet" in str(decision["reason"])
    assert set(pipeline.executions()[0]) >= GATED


def test_with_the_beam_runner_both_decisions_occur(tmp_path: Path, model: str) -> None:
    """BeamDagRunner runs the drivers too, skips and trains alike."""
    pipeline = LightPipeline(tmp_path, runner=BeamDagRunner)
    pipeline.run(by_directory(model), span=WASTED_SPAN)
    pipeline.run(by_directory(model), span=PUSHED_SPAN)
    skipped, ran = pipeline.executions()
    assert set(skipped) == BEFORE
    assert set(ran) == BEFORE | GATED
    assert [decision["proceed"] for decision in pipeline.decisions()] == [0, 1]
