"""The unit of a decision: gates over one Trainer, over several, and TFX's cache; run for real."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode

from tests.components import light_nodes, waste_models
from tests.components.runs import LightPipeline
from tfx_graphlets.cli import main
from tfx_graphlets.components.conditions import check_gated, proceed
from tfx_graphlets.components.graphlet_gen import GraphletGen
from tfx_graphlets.components.waste_gate import WasteGate

pytestmark = pytest.mark.tfx


@dataclasses.dataclass
class Sides(LightPipeline):
    """A pipeline with several Trainers of the same data, each with an Evaluator and a Pusher."""

    model: str = ""

    def side(
        self, name: str, blessed: int, inputs: dict[str, tfx.types.BaseChannel]
    ) -> list[BaseNode]:
        trainer = light_nodes.Trainer(**inputs).with_id(f"Trainer_{name}")
        evaluator = light_nodes.Evaluator(model=trainer.outputs["model"], blessed=blessed)
        evaluator = evaluator.with_id(f"Evaluator_{name}")
        pusher = light_nodes.Pusher(
            model=trainer.outputs["model"], blessing=evaluator.outputs["blessing"]
        ).with_id(f"Pusher_{name}")
        return [trainer, evaluator, pusher]

    def launch(
        self,
        span: int,
        sides: Sequence[tuple[str, int]],
        gate: str | None = None,
        shared_generator: bool = False,
        **options: object,
    ) -> None:
        """One run; ``gate`` is None (no gate), "each" or "one" gate over all sides."""
        examples = light_nodes.LightExampleGen(span=span)
        transform = light_nodes.Transform(examples=examples.outputs["examples"])
        inputs = {
            "examples": examples.outputs["examples"],
            "transform_graph": transform.outputs["transform_graph"],
        }
        nodes: list[BaseNode] = [examples, transform]
        generators: dict[str, GraphletGen] = {}

        def gated(name: str) -> WasteGate:
            key = "" if shared_generator else f"_{name}"
            if key not in generators:
                generators[key] = GraphletGen(**inputs).with_id(f"GraphletGen{key}")
                nodes.append(generators[key])
            chosen = {"exploration": 0.0, **options}
            made = WasteGate(
                graphlets=generators[key].outputs["graphlets"], model_directory=self.model,
                **chosen,  # type: ignore[arg-type]
            ).with_id(f"Gate_{name}")  # fmt: skip
            nodes.append(made)
            return made

        if gate == "one":
            with tfx.dsl.Cond(proceed(gated("all"))):
                nodes += [n for name, blessed in sides for n in self.side(name, blessed, inputs)]
        else:
            for name, blessed in sides:
                if gate is None:
                    nodes += self.side(name, blessed, inputs)
                else:
                    with tfx.dsl.Cond(proceed(gated(name))):
                        nodes += self.side(name, blessed, inputs)
        pipeline = tfx.dsl.Pipeline(
            pipeline_name="light",
            pipeline_root=str(self.folder / "root"),
            components=nodes,
            enable_cache=self.enable_cache,
            metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(
                str(self.store_file)
            ),
        )
        check_gated(pipeline)
        self.runner().run(pipeline)

    def train(self, freshness: str = "0.5") -> None:
        self.model = str(self.folder / "model")
        words = ["train", str(self.store_file), "--stage", "pre", "--freshness", freshness]
        assert main([*words, "--output", self.model]) == 0


@pytest.mark.parametrize("shared_generator", [False, True])
def test_each_of_two_gates_describes_its_own_trainer(
    tmp_path: Path, shared_generator: bool
) -> None:
    """Left is pushed in every run and runs, right in none and is skipped, whatever came last.

    So it is where one GraphletGen serves both gates.
    """
    pipeline = Sides(tmp_path)
    sides = [("left", 1), ("right", 0)]
    for span in range(8):
        pipeline.launch(span, sides)
    pipeline.train()
    for span in (8, 9):
        pipeline.launch(span, sides, "each", shared_generator, threshold=0.5)
    found = {(d["gate"], d["proceed"]) for d in pipeline.decisions()}
    assert found == {("Gate_left", 1), ("Gate_right", 0)}
    for decision in pipeline.decisions():
        [node] = json.loads(str(decision["nodes"]))
        assert node["node"] == str(decision["gate"]).replace("Gate", "Trainer")
    assert {"Trainer_left", "Pusher_left"} <= pipeline.executions()[-1].keys()
    assert "Trainer_right" not in pipeline.executions()[-1]


@pytest.mark.parametrize("order", [1, -1])
def test_one_gate_over_two_trainers_asks_for_the_likelier(tmp_path: Path, order: int) -> None:
    """Champion and challenger: the run goes on for the champion's sake, and the gate says so."""
    pipeline = Sides(tmp_path)
    sides = [("champion", 1), ("challenger", 0)][::order]
    for span in range(8):
        pipeline.launch(span, sides[::order][:1] if span < 3 else sides)
    pipeline.train()
    for span in (8, 9):
        pipeline.launch(span, sides, "one", threshold=0.5, min_labelled=3)
    for decision in pipeline.decisions():
        assert (decision["proceed"], decision["failed_open"]) == (1, 0)
        of = {one["node"]: one for one in json.loads(str(decision["nodes"]))}
        assert (of["Trainer_champion"]["proceed"], of["Trainer_challenger"]["proceed"]) == (1, 0)
        assert of["Trainer_challenger"]["risk"] == 0
        assert "Because of Trainer_champion" in str(decision["reason"])


def test_with_the_cache_a_gate_that_says_yes_costs_no_hit(tmp_path: Path) -> None:
    """A re-run that is let through is all CACHED behind the gate, also after a skip in between."""
    pipeline = LightPipeline(tmp_path, enable_cache=True)
    model = waste_models.saved(tmp_path / "model")

    def gate(**options: object) -> Callable[[GraphletGen], list[BaseNode]]:
        chosen = {"exploration": 0.0, "min_labelled": 0, "min_pushes": 0, **options}
        return lambda generator: [
            WasteGate(
                graphlets=generator.outputs["graphlets"], model_directory=model,
                **chosen,  # type: ignore[arg-type]
            )
        ]  # fmt: skip

    for threshold in (0.0, 0.0, 1.0, 0.0):
        pipeline.run(gate(threshold=threshold))
    first, again, skipped, last = pipeline.executions()
    behind = ("Trainer", "Evaluator", "Pusher")
    assert {first[node] for node in behind} == {"COMPLETE"}
    assert not skipped.keys() & set(behind)
    for run in (again, last):
        assert {run[node] for node in behind} == {"CACHED"}
    assert [d["proceed"] for d in pipeline.decisions()] == [1, 1, 0, 1]
    hits = [json.loads(str(d["nodes"]))[0]["cache_hit"] for d in pipeline.decisions()]
    assert hits == [False, True, True, True]


def test_new_data_are_no_hit_and_old_data_are_one_again(tmp_path: Path) -> None:
    """The verdict is the same artifact, and what is behind the gate depends on its data alone."""
    pipeline = LightPipeline(tmp_path, enable_cache=True)
    model = waste_models.saved(tmp_path / "model")

    def gate(generator: GraphletGen) -> list[BaseNode]:
        return [
            WasteGate(
                graphlets=generator.outputs["graphlets"], model_directory=model, threshold=0.0
            )
        ]

    for span in (1, 2, 1):
        pipeline.run(gate, span=span)
    assert [run["Trainer"] for run in pipeline.executions()] == ["COMPLETE", "COMPLETE", "CACHED"]
    [verdict] = pipeline.store().get_artifacts_by_type("tfx_graphlets.GateVerdict")
    assert verdict.custom_properties["proceed"].int_value == 1


def test_a_skip_of_what_the_cache_holds_saves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The monitor puts a skipped re-run at 0, and one on new data at what a run costs."""
    pipeline = LightPipeline(tmp_path, enable_cache=True)
    model = waste_models.saved(tmp_path / "model")

    def gate(threshold: float) -> Callable[[GraphletGen], list[BaseNode]]:
        return lambda generator: [
            WasteGate(
                graphlets=generator.outputs["graphlets"], model_directory=model, exploration=0.0,
                threshold=threshold, min_labelled=0, min_pushes=0,
            )
        ]  # fmt: skip

    pipeline.run(gate(0.0), span=1)
    saved = []
    for span in (1, 2):
        pipeline.run(gate(1.0), span=span)
        capsys.readouterr()
        main(["monitor", str(pipeline.store_file), "--format", "json"])
        [one] = json.loads(capsys.readouterr().out)["pipelines"]
        saved.append(one["savings"]["saved_ms"])
    assert saved[0] == 0 < saved[1]
    assert one["node"] == "Trainer"


def test_in_a_notebook_the_decision_says_what_graphlet_gen_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """InteractiveContext runs no drivers: without a store the reason names the way out."""
    import builtins

    from tfx.orchestration.experimental.interactive.interactive_context import InteractiveContext

    monkeypatch.setattr(builtins, "__IPYTHON__", True, raising=False)
    context = InteractiveContext(pipeline_name="nb", pipeline_root=str(tmp_path))
    examples = light_nodes.LightExampleGen(span=1)
    transform = light_nodes.Transform(examples=examples.outputs["examples"])
    generator = GraphletGen(
        examples=examples.outputs["examples"],
        transform_graph=transform.outputs["transform_graph"],
    )
    gate = WasteGate(
        graphlets=generator.outputs["graphlets"],
        model_directory=waste_models.saved(tmp_path / "model"),
    )
    for node in (examples, transform, generator, gate):
        context.run(node, enable_cache=False)
    [decision] = gate.outputs["decision"].get()
    reason = decision.get_string_custom_property("reason")
    assert "give GraphletGen a store" in reason
    assert decision.get_int_custom_property("proceed") == 1
