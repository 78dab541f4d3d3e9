"""The third step of the segmentation: what was made of the model.

Ids count from 1 in the order of the lines, executions and artifacts apart.
"""

from __future__ import annotations

import pytest

from tests.agreement import Cut, cut
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import ExecutionState

CACHED, FAILED = ExecutionState.CACHED, ExecutionState.FAILED


def test_downstream_holds_what_it_put_out_and_not_what_it_took_in() -> None:
    """The baseline and the test data of an Evaluator stay outside."""
    build = TraceBuilder()
    model, blessing = build.artifact("Model"), build.artifact("ModelBlessing")
    build.execution("Trainer", outputs={"model": [model]})
    build.execution(
        "Evaluator",
        inputs={
            "model": [model], "examples": [build.artifact("Examples")],
            "baseline_model": [build.artifact("Model")],
        },
        outputs={"blessing": [blessing]},
    )  # fmt: skip
    assert cut(build) == [Cut(1, [1, 2], [1, 2])]


@pytest.mark.parametrize(
    "class_name",
    [
        "Trainer", "Tuner", "Transform", "CsvExampleGen", "StatisticsGen", "SchemaGen",
        "ImportSchemaGen", "ExampleValidator", "DistributionValidator", "ExampleDiff",
    ],
)  # fmt: skip
def test_downstream_does_not_enter_the_making_of_other_models(class_name: str) -> None:
    """These roles begin something new, even where they take in the model."""
    build = TraceBuilder()
    model, made = build.artifact("Model"), build.artifact("Examples")
    build.execution("GenericTrainer", outputs={"model": [model]})
    build.execution(class_name, inputs={"model": [model]}, outputs={"made": [made]})
    build.execution("Evaluator", inputs={"examples": [made]})
    assert cut(build)[0] == Cut(1, [1], [1])


@pytest.mark.parametrize(
    "class_name", ["Evaluator", "InfraValidator", "BulkInferrer", "Pusher", "Importer", "Pruner"]
)
@pytest.mark.parametrize("state", [ExecutionState.COMPLETE, FAILED, CACHED])
def test_downstream_enters_every_other_role(class_name: str, state: ExecutionState) -> None:
    """In whatever run and state: a cache hit downstream needs no shared run."""
    build = TraceBuilder()
    model, made = build.artifact("Model"), build.artifact("acme.Report")
    build.execution("Trainer", outputs={"model": [model]}, run="a")
    build.execution(
        class_name, inputs={"model": [model]}, outputs={"made": [made]}, state=state, run="b"
    )
    build.execution("Notifier", inputs={"report": [made]}, run="c")
    assert cut(build) == [Cut(1, [1, 2, 3], [1, 2])]


def test_being_compared_with_is_not_being_part_of() -> None:
    """The blessed model does not claim the evaluation and push of its successor."""
    build = TraceBuilder()
    old, new = build.artifact("Model"), build.artifact("Model")
    blessing, pushed = build.artifact("ModelBlessing"), build.artifact("PushedModel", pushed=1)
    build.execution("Trainer", outputs={"model": [old]})
    build.execution("Trainer", outputs={"model": [new]})
    build.execution(
        "Evaluator", inputs={"model": [new], "baseline_model": [old]}, outputs={"b": [blessing]}
    )
    build.execution(
        "Pusher", inputs={"model": [new], "blessing": [blessing]}, outputs={"p": [pushed]}
    )
    assert cut(build) == [Cut(1, [1], [1]), Cut(2, [2, 3, 4], [2, 3, 4], outcome="pushed")]


def test_a_model_compared_with_itself_is_followed_by_its_own_key() -> None:
    """The edge under ``model`` counts though the same two are joined by ``baseline_model``."""
    build = TraceBuilder()
    model = build.artifact("Model")
    build.execution("Trainer", outputs={"model": [model]})
    build.execution("Evaluator", inputs={"baseline_model": [model], "model": [model]})
    assert cut(build) == [Cut(1, [1, 2], [1])]


def test_baseline_model_is_only_special_downstream() -> None:
    """Upstream, an input under that key is an input like any other."""
    build = TraceBuilder()
    data, graph = build.artifact("Examples"), build.artifact("TransformGraph")
    build.execution("CsvExampleGen", outputs={"examples": [data]})
    build.execution("Transform", inputs={"baseline_model": [data]}, outputs={"graph": [graph]})
    build.execution("Trainer", inputs={"baseline_model": [graph]})
    assert cut(build) == [Cut(3, [1, 2, 3], [1, 2], outcome="incomplete")]


def test_a_cached_trainer_leaves_its_downstream_to_the_one_that_trained() -> None:
    """The Evaluator of a run whose Trainer was a cache hit judges the earlier model."""
    build = TraceBuilder()
    data, model, blessing = (
        build.artifact(),
        build.artifact("Model"),
        build.artifact("ModelBlessing"),
    )
    build.execution("Trainer", inputs={"e": [data]}, outputs={"model": [model]}, run="a")
    build.execution(
        "Trainer", inputs={"e": [data]}, outputs={"model": [model]}, run="b", state=CACHED
    )
    build.execution("Evaluator", inputs={"model": [model]}, outputs={"b": [blessing]}, run="b")
    assert cut(build) == [Cut(1, [1, 3], [1, 2, 3])]


def test_two_trainers_of_one_run_share_their_data_alone() -> None:
    """Each has its own evaluation; neither holds the other."""
    build = TraceBuilder()
    data, models = build.artifact(), [build.artifact("Model"), build.artifact("Model")]
    build.execution("CsvExampleGen", outputs={"examples": [data]}, run="a")
    for node, model in zip(("left", "right"), models):
        build.execution(
            "Trainer", inputs={"e": [data]}, outputs={"model": [model]}, run="a", node=node
        )
        build.execution("Evaluator", inputs={"e": [data], "model": [model]}, run="a")
    assert cut(build) == [Cut(2, [1, 2, 3], [1, 2]), Cut(4, [1, 4, 5], [1, 3])]


def test_a_pusher_in_a_cycle_still_counts_as_downstream() -> None:
    """An execution that the first and the third step reach pushes the model."""
    build = TraceBuilder()
    model, data = build.artifact("Model"), build.artifact("Examples", pushed=1)
    build.execution("Trainer", inputs={"examples": [data]}, outputs={"model": [model]})
    build.execution("Pusher", inputs={"model": [model]}, outputs={"examples": [data]})
    assert cut(build) == [Cut(1, [1, 2], [1, 2], outcome="pushed")]
