"""The user's module as commits change it."""

from __future__ import annotations

import ast
import datetime as dt

import pytest

pytest.importorskip("tfx")

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from pipelines.flights import live, pipeline, schedule, tasks, variants


def _settings(source: str) -> dict[str, object]:
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, (ast.Constant, ast.UnaryOp))
    }


@pytest.mark.tfx
@pytest.mark.parametrize("name", sorted(variants.VARIANTS))
def test_every_commit_changes_the_module(name: str) -> None:
    """Each revision of a schedule has a source of its own, with exactly its settings set."""
    variant = variants.get_variant(name)
    revisions = {run.revision for run in schedule.plan(variant, 200)}
    sources = {live.module_source(revision, variant.task) for revision in revisions}
    assert len(sources) == len(revisions)
    base = _settings(live.module_source(schedule.FIRST_REVISION))
    for revision in revisions:
        expected = {
            **base,
            **dict(revision.settings),
            "REVISION": revision.number,
            "LABEL": variant.task.label,
        }
        assert _settings(live.module_source(revision, variant.task)) == expected


@pytest.mark.tfx
@pytest.mark.parametrize("task", tasks.TASKS, ids=lambda task: task.name)
def test_the_schema_of_a_task_has_its_columns_alone(task: tasks.Task) -> None:
    """Features of the schema are the columns of a span, and a number as a label has no bounds."""
    schema = text_format.Parse(live.schema_source(task), schema_pb2.Schema())
    features = {feature.name: feature for feature in schema.feature}
    assert set(features) == set(task.columns)
    kind = schema_pb2.INT if task.binary else schema_pb2.FLOAT
    assert features[task.label].type == kind
    assert features[task.label].HasField("int_domain") == task.binary
    named = {feature.domain for feature in schema.feature if feature.domain}
    assert {domain.name for domain in schema.string_domain} == named


@pytest.mark.tfx
@pytest.mark.parametrize("task", tasks.TASKS, ids=lambda task: task.name)
def test_the_evaluator_compares_the_loss_of_the_task(task: tasks.Task) -> None:
    """A regression is judged by its error in minutes alone, all others by AUC too."""
    variant = variants.VariantConfig(
        "any", ("JFK",), "linear", 1, dt.date(2013, 2, 1), 0, task=task, maximum_loss=7.0
    )
    config = pipeline.evaluation_config(variant)
    assert [one.label_key for one in config.model_specs] == [task.label]
    thresholds = {
        one.class_name: one.threshold for one in config.metrics_specs[0].metrics if one.threshold
    }
    assert thresholds[task.loss].value_threshold.upper_bound.value == 7.0
    assert ("AUC" in thresholds) == task.binary


@pytest.mark.tfx
def test_a_setting_that_the_module_has_not_is_refused() -> None:
    """The message names the setting."""
    with pytest.raises(ValueError, match="'DROPOUT'"):
        live.module_source(schedule.FIRST_REVISION.changed(1, DROPOUT=0.5))
