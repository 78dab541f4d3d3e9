"""gate_pipeline: one line gates a pipeline that was written without a gate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx

from tests.components import light_nodes, waste_models
from tests.components.light_trainers import BaseTrainer, FineTuner, Fit, TunedTrainer, Tuner
from tests.components.runs import PIPELINE, LightPipeline
from tests.components.waste_models import PUSHED_SPAN, WASTED_SPAN
from tfx_graphlets.components.conditions import check_gated, proceed
from tfx_graphlets.components.placement import PlacementError, gate_pipeline
from tfx_graphlets.components.trainers import predicates_of
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.vocabulary import Role, Stage

pytestmark = pytest.mark.tfx

standard = tfx.types.standard_artifacts


def pipeline_of(
    nodes: Sequence[tfx.types.BaseNode], folder: Path | None = None
) -> tfx.dsl.Pipeline:
    """A pipeline of these nodes; below a folder it can run."""
    connect = tfx.orchestration.metadata.sqlite_metadata_connection_config
    return tfx.dsl.Pipeline(
        pipeline_name=PIPELINE,
        pipeline_root=f"{folder}/root",
        components=list(nodes),
        metadata_connection_config=folder and connect(f"{folder}/metadata.sqlite"),
    )


class Light:
    """The nodes of a pipeline with one Trainer."""

    def __init__(self, span: int = 1, trainer: str = "Trainer") -> None:
        self.example_gen = light_nodes.LightExampleGen(span=span)
        self.examples = self.example_gen.outputs["examples"]
        self.transform = light_nodes.Transform(examples=self.examples)
        self.graph = self.transform.outputs["transform_graph"]
        self.trainer = self.train(trainer)
        self.model = self.trainer.outputs["model"]
        self.evaluator = light_nodes.Evaluator(model=self.model)
        self.pusher = light_nodes.Pusher(
            model=self.model, blessing=self.evaluator.outputs["blessing"]
        )

    def train(self, name: str) -> tfx.types.BaseComponent:
        return light_nodes.Trainer(examples=self.examples, transform_graph=self.graph).with_id(name)

    @property
    def nodes(self) -> list[tfx.types.BaseNode]:
        found = vars(self).values()
        return [node for node in found if isinstance(node, tfx.types.BaseNode)]


def gated_nodes(pipeline: tfx.dsl.Pipeline) -> dict[str, list[str]]:
    """Ids of the nodes under the condition of each gate, sorted."""
    gates = [node for node in pipeline.components if "decision" in node.outputs]
    return {
        gate.id: sorted(
            node.id
            for node in pipeline.components
            if any(p.internal_equals(proceed(gate)) for p in predicates_of(node, pipeline))
        )
        for gate in gates
    }


def wired(pipeline: tfx.dsl.Pipeline, node: str) -> dict[str, list[str]]:
    """Ids of the nodes that a node's inputs come from, by key."""
    (found,) = [one for one in pipeline.components if one.id == node]
    return {
        key: sorted(channel.get_data_dependent_node_ids()) for key, channel in found.inputs.items()
    }


def test_one_line_gates_a_live_pipeline(tmp_path: Path) -> None:
    """The gate lets small data run and stops large ones, as the waste model learnt it."""
    model = waste_models.saved(tmp_path / "model")
    for span in (PUSHED_SPAN, WASTED_SPAN):
        gated = gate_pipeline(
            pipeline_of(Light(span).nodes, tmp_path), model_directory=model, threshold=0.5,
            exploration=0.0, min_labelled=0, min_pushes=0,
        )  # fmt: skip
        tfx.orchestration.LocalDagRunner().run(gated)
    ran, skipped = LightPipeline(tmp_path).executions()
    before = {"LightExampleGen", "Transform", "GraphletGen", "WasteGate"}
    assert ran == dict.fromkeys(before | {"Trainer", "Evaluator", "Pusher"}, "COMPLETE")
    assert skipped == dict.fromkeys(before, "COMPLETE")


@pytest.mark.parametrize(
    ("stage", "behind", "taken"),
    [
        (
            Stage.INPUT,
            ["Evaluator", "Pusher", "Trainer", "Transform"],
            {"examples": ["LightExampleGen"]},
        ),
        (
            Stage.PRE,
            ["Evaluator", "Pusher", "Trainer"],
            {"examples": ["LightExampleGen"], "transform_graph": ["Transform"]},
        ),
        (
            Stage.TRAINER,
            ["Evaluator", "Pusher"],
            {
                "examples": ["LightExampleGen"],
                "transform_graph": ["Transform"],
                "model": ["Trainer"],
            },
        ),
        (
            Stage.VALIDATION,
            ["Pusher"],
            {
                "examples": ["LightExampleGen"],
                "transform_graph": ["Transform"],
                "model": ["Trainer"],
                "blessing": ["Evaluator"],
            },
        ),
    ],
)
def test_each_stage_gates_what_runs_after_it(
    stage: Stage, behind: list[str], taken: dict[str, list[str]]
) -> None:
    """And GraphletGen takes in what is there by then."""
    gated = gate_pipeline(pipeline_of(Light().nodes), model_directory="model", stage=stage)
    assert gated_nodes(gated) == {"WasteGate": behind}
    assert wired(gated, "GraphletGen") == taken


def test_trainers_that_share_nothing_get_a_gate_each() -> None:
    """Named after their Trainers, each before its own."""
    first = Light()
    second = first.train("Trainer.right")
    judged = light_nodes.Evaluator(model=second.outputs["model"]).with_id("Evaluator.right")
    gated = gate_pipeline(pipeline_of([*first.nodes, second, judged]), model_directory="model")
    assert gated_nodes(gated) == {
        "WasteGate.Trainer": ["Evaluator", "Pusher", "Trainer"],
        "WasteGate.Trainer.right": ["Evaluator.right", "Trainer.right"],
    }
    both = gate_pipeline(
        pipeline_of([*(light := Light()).nodes, light.train("Trainer.right")]),
        model_directory="model", stage="input",
    )  # fmt: skip
    assert list(gated_nodes(both)) == ["WasteGate"], "Transform is behind it, and belongs to both"


def test_a_base_model_and_its_fine_tuning_share_a_gate() -> None:
    """What cannot run without the other is stopped, or let run, with it."""
    light = Light()
    base = BaseTrainer(examples=light.examples)
    tuned = FineTuner(examples=light.examples, base_model=base.outputs["model"])
    model = tuned.outputs["model"]
    judge = light_nodes.Evaluator(model=model).with_id("Judge")
    pusher = light_nodes.Pusher(model=model, blessing=judge.outputs["blessing"]).with_id("Push")
    gated = gate_pipeline(
        pipeline_of([light.example_gen, base, tuned, judge, pusher]), model_directory="model"
    )
    assert gated_nodes(gated) == {"WasteGate": ["BaseTrainer", "FineTuner", "Judge", "Push"]}
    assert wired(gated, "GraphletGen") == {"examples": ["LightExampleGen"]}


def test_a_chain_of_three_shares_a_gate() -> None:
    """At every stage: what follows from a base model is what its gate stops."""
    for stage, behind in (
        ("pre", ["BaseTrainer", "adapt", "tune"]),
        ("trainer", ["adapt", "tune"]),
    ):
        example_gen = light_nodes.LightExampleGen(span=1)
        examples = example_gen.outputs["examples"]
        base = BaseTrainer(examples=examples)
        adapt = FineTuner(examples=examples, base_model=base.outputs["model"]).with_id("adapt")
        tune = FineTuner(examples=examples, base_model=adapt.outputs["model"]).with_id("tune")
        pipeline = pipeline_of([example_gen, base, adapt, tune])
        gated = gate_pipeline(pipeline, model_directory="model", stage=stage)
        assert gated_nodes(gated) == {"WasteGate": behind}


def test_a_trainer_that_nothing_follows_has_no_gate_behind_it() -> None:
    """Its deployment may stand in another pipeline: another Trainer is gated all the same."""
    light = Light()
    lone = light.train("Trainer.lone")
    gated = gate_pipeline(
        pipeline_of([*light.nodes, lone]), model_directory="model", stage="trainer"
    )
    assert gated_nodes(gated) == {"WasteGate": ["Evaluator", "Pusher"]}
    for stage in ("trainer", "validation"):
        example_gen = light_nodes.LightExampleGen(span=1)
        base = BaseTrainer(examples=example_gen.outputs["examples"])
        with pytest.raises(PlacementError, match=r"Nothing follows from BaseTrainer.*'pre'"):
            gate_pipeline(pipeline_of([example_gen, base]), model_directory="m", stage=stage)


def test_a_base_model_that_a_resolver_finds_is_known_to_the_gate() -> None:
    """The Resolver stays before it, and is what GraphletGen takes the base model from."""
    example_gen = light_nodes.LightExampleGen(span=1)
    latest = tfx.dsl.Resolver(
        strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
        model=tfx.dsl.Channel(type=standard.Model),
    ).with_id("latest")
    tuned = FineTuner(examples=example_gen.outputs["examples"], base_model=latest.outputs["model"])
    gated = gate_pipeline(pipeline_of([example_gen, latest, tuned]), model_directory="model")
    assert gated_nodes(gated) == {"WasteGate": ["FineTuner"]}
    assert wired(gated, "GraphletGen") == {
        "base_model": ["latest"],
        "examples": ["LightExampleGen"],
    }


def test_the_tuner_stays_before_the_gate() -> None:
    """At stage pre its hyperparameters are known; at input it is among what is saved."""
    for stage, behind in (
        ("pre", ["TunedTrainer"]),
        ("input", ["TunedTrainer", "Tuner"]),
    ):
        example_gen = light_nodes.LightExampleGen(span=1)
        examples = example_gen.outputs["examples"]
        tuner = Tuner(examples=examples)
        trainer = TunedTrainer(
            examples=examples, hyperparameters=tuner.outputs["best_hyperparameters"]
        )
        gated = gate_pipeline(
            pipeline_of([example_gen, tuner, trainer]), model_directory="model", stage=stage
        )
        assert gated_nodes(gated) == {"WasteGate": behind}
        expected = {"examples": ["LightExampleGen"]}
        if stage == "pre":
            expected["hyperparameters"] = ["Tuner"]
        assert wired(gated, "GraphletGen") == expected


def test_anomalies_of_the_trainers_data_are_awaited() -> None:
    """ExampleValidator is no input of the Trainer, and has to be done all the same."""
    example_gen = tfx.components.CsvExampleGen(input_base="data")
    statistics_gen = tfx.components.StatisticsGen(examples=example_gen.outputs["examples"])
    schema_gen = tfx.components.SchemaGen(statistics=statistics_gen.outputs["statistics"])
    validator = tfx.components.ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    trainer = tfx.components.Trainer(
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        run_fn="models.run_fn",
        train_args=tfx.proto.TrainArgs(num_steps=1),
        eval_args=tfx.proto.EvalArgs(num_steps=1),
    )
    nodes = [example_gen, statistics_gen, schema_gen, validator, trainer]
    gated = gate_pipeline(pipeline_of(nodes), model_directory="model")
    assert wired(gated, "GraphletGen") == {
        "anomalies": ["ExampleValidator"],
        "examples": ["CsvExampleGen"],
        "schema": ["SchemaGen"],
    }
    assert gated_nodes(gated) == {"WasteGate": ["Trainer"]}


def test_a_custom_trainer_is_found_by_its_channels_or_by_its_role() -> None:
    """One that takes Examples and puts out a Model is a Trainer; others are named by the user."""
    example_gen = light_nodes.LightExampleGen(span=1)
    fit = Fit(dataset=example_gen.outputs["examples"])
    gated = gate_pipeline(pipeline_of([example_gen, fit]), model_directory="model")
    assert gated_nodes(gated) == {"WasteGate": ["Fit"]}
    assert wired(gated, "GraphletGen") == {"examples": ["LightExampleGen"]}
    lone = light_nodes.LightExampleGen(span=1)
    with pytest.raises(PlacementError, match=r"no Trainer among LightExampleGen.*role_of_type"):
        gate_pipeline(pipeline_of([lone]), model_directory="model")
    again = light_nodes.LightExampleGen(span=1)
    named = gate_pipeline(
        pipeline_of([again]),
        model_directory="model",
        role_of_type={"LightExampleGen": Role.TRAINER},
        pushers=["Production"],
    )
    assert gated_nodes(named) == {"WasteGate": ["LightExampleGen"]}
    given = {node.id: node.exec_properties for node in named.components}
    assert json.loads(given["GraphletGen"]["role_of_type"]) == {"LightExampleGen": "trainer"}
    assert json.loads(given["GraphletGen"]["pushers"]) == ["Production"]


def test_what_cannot_be_gated_is_named_and_nothing_has_changed() -> None:
    """A second gate, a condition that asks a gated node, a pipeline with a Trainer inside."""
    once = gate_pipeline(pipeline_of(Light().nodes), model_directory="model")
    with pytest.raises(PlacementError, match="WasteGate is a gate already"):
        gate_pipeline(once, model_directory="model")

    light = Light()
    blessed = light.evaluator.outputs["blessing"].future()[0].custom_property("blessed") == 1
    with tfx.dsl.Cond(blessed):
        report = light_nodes.Report(pushed_model=light.pusher.outputs["pushed_model"])
    pipeline = pipeline_of([*light.nodes, report])
    before = [node.id for node in pipeline.components]
    with pytest.raises(PlacementError, match="Report asks Evaluator in a condition of its own"):
        gate_pipeline(pipeline, model_directory="model")
    assert [node.id for node in pipeline.components] == before
    assert not any(gated_nodes(pipeline).values())
    check_gated(pipeline)

    inner = tfx.dsl.Pipeline(pipeline_name="inner", components=Light().nodes)
    with pytest.raises(PlacementError, match="inner is a pipeline with a Trainer"):
        gate_pipeline(pipeline_of([inner]), model_directory="model")


def test_the_users_own_condition_around_the_trainer_stays() -> None:
    """The gate stands outside of it, and decides also where that condition is false."""
    example_gen = light_nodes.LightExampleGen(span=1)
    transform = light_nodes.Transform(examples=example_gen.outputs["examples"])
    with tfx.dsl.Cond(example_gen.outputs["examples"].future()[0].property("span") > 5):
        trainer = light_nodes.Trainer(
            examples=example_gen.outputs["examples"],
            transform_graph=transform.outputs["transform_graph"],
        )
    pipeline = pipeline_of([example_gen, transform, trainer])
    gated = gate_pipeline(pipeline, model_directory="model")
    assert gated_nodes(gated) == {"WasteGate": ["Trainer"]}
    assert len(predicates_of(trainer, gated)) == 2


def test_arguments_are_checked_as_by_the_nodes() -> None:
    """Nothing is a pipeline but a pipeline; further arguments are WasteGate's."""
    with pytest.raises(InvalidArgumentError, match=r"tfx\.dsl\.Pipeline"):
        gate_pipeline([], model_directory="model")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgumentError, match="freshness"):
        gate_pipeline(pipeline_of(Light().nodes), model_directory="model", freshness=2.0)
    with pytest.raises(InvalidArgumentError, match="stage"):
        gate_pipeline(pipeline_of(Light().nodes), model_directory="model", stage="before")
