"""What TFX does under a condition that is false: the ground that check_gated stands on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("tfx")

from tfx import v1 as tfx
from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner

from tests.components import light_nodes
from tests.components.runs import LightPipeline
from tfx_graphlets.components.conditions import UngatedNodeError, check_gated, proceed

pytestmark = pytest.mark.tfx

standard = tfx.types.standard_artifacts


def pipeline(folder: Path, *, yes: bool) -> tfx.dsl.Pipeline:
    """A resolver inside the condition; a consumer and a follower outside of it."""
    examples = light_nodes.LightExampleGen(span=1)
    transform = light_nodes.Transform(examples=examples.outputs["examples"])
    gate = light_nodes.Gate(proceed=int(yes))
    with tfx.dsl.Cond(proceed(gate)):
        trainer = light_nodes.Trainer(
            examples=examples.outputs["examples"],
            transform_graph=transform.outputs["transform_graph"],
        )
        latest = tfx.dsl.Resolver(
            strategy_class=tfx.dsl.experimental.LatestArtifactStrategy,
            model=tfx.dsl.Channel(type=standard.Model),
        ).with_id("LatestModel")
        latest.add_upstream_node(trainer)
        evaluator = light_nodes.Evaluator(model=latest.outputs["model"])
    consumer = light_nodes.Evaluator(model=trainer.outputs["model"]).with_id("Consumer")
    follower = light_nodes.LightExampleGen(span=2).with_id("Follower")
    follower.add_upstream_node(trainer)
    store = tfx.orchestration.metadata.sqlite_metadata_connection_config(
        str(folder / "metadata.sqlite")
    )
    return tfx.dsl.Pipeline(
        pipeline_name="condition",
        pipeline_root=str(folder / "root"),
        components=[examples, transform, gate, trainer, latest, evaluator, consumer, follower],
        metadata_connection_config=store,
    )


@pytest.mark.parametrize("runner", [tfx.orchestration.LocalDagRunner, BeamDagRunner])
def test_a_false_condition_skips_resolvers_and_fails_consumers_outside(
    tmp_path: Path, runner: Callable[[], tfx.orchestration.LocalDagRunner]
) -> None:
    """Inside nothing is recorded, a consumer outside is FAILED, one that only follows runs."""
    runner().run(pipeline(tmp_path, yes=True))
    runner().run(pipeline(tmp_path, yes=False))
    ran, skipped = LightPipeline(tmp_path).executions()
    before = {"LightExampleGen", "Transform", "Gate", "Follower"}
    assert skipped == {**dict.fromkeys(before, "COMPLETE"), "Consumer": "FAILED"}
    inside = {"Trainer", "LatestModel", "Evaluator", "Consumer"}
    assert ran == dict.fromkeys(before | inside, "COMPLETE")


def test_a_resolver_inside_fails_while_there_is_nothing_to_find(tmp_path: Path) -> None:
    """TFX resolves before it looks at the condition: resolvers are better left outside."""
    tfx.orchestration.LocalDagRunner().run(pipeline(tmp_path, yes=False))
    [skipped] = LightPipeline(tmp_path).executions()
    assert skipped["LatestModel"] == "FAILED"


def test_check_gated_names_the_consumer_and_not_the_follower(tmp_path: Path) -> None:
    """Exactly the node that TFX would fail is an error."""
    with pytest.raises(UngatedNodeError) as caught:
        check_gated(pipeline(tmp_path, yes=False))
    assert [found.node for found in caught.value.ungated] == ["Consumer"]
