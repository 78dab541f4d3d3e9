"""Metrics, verdicts, thresholds and margins of an Evaluator."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.corpus import needs_corpus, real_runs
from tests.features.memory_payloads import MemoryPayloads, metrics, tfrecord
from tfx_graphlets.features.executions import Entries
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.payloads.decoded import DecodedPayloads
from tfx_graphlets.payloads.evaluation import (
    EvaluationMetrics,
    change_margin,
    clone_margin,
    evaluation_metrics,
    metric_value,
    value_margin,
)
from tfx_graphlets.payloads.thresholds import (
    MetricThreshold,
    baseline_names_of_config,
    is_config,
    label_key_of_config,
    thresholds_of_config,
)
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.vocabulary import ArtifactType, ExecutionState, PropertyName, Role

METRICS = "metrics-00000-of-00001.tfrecord"


def evaluated(candidate: float, baseline: float, **threshold: object) -> tuple[float, float]:
    """Value margin and change margin of one metric with one threshold."""
    found = evaluation_metrics(MemoryPayloads({("u", METRICS): metrics(candidate, baseline)}), "u")
    assert found is not None
    limit = MetricThreshold("AUC", **threshold)  # type: ignore[arg-type]
    return value_margin(found, [limit]), change_margin(found, [limit])


def test_candidate_baseline_and_change_are_told_apart() -> None:
    """The three values of one metric on all examples."""
    payloads = MemoryPayloads({("u", METRICS): metrics(0.8, 0.7)})
    found = evaluation_metrics(payloads, "u")
    assert found is not None
    assert (found.candidate, found.baseline) == ({"auc": 0.8}, {"auc": 0.7})
    assert found.change["auc"] == pytest.approx(0.1)
    assert found.validation_ok is None


def test_slices_do_not_count() -> None:
    """Metrics of a slice alone are no metrics of the model."""
    payloads = MemoryPayloads({("u", METRICS): metrics(0.8, is_slice=True)})
    assert evaluation_metrics(payloads, "u") is None
    both = metrics(0.1, is_slice=True) + metrics(0.9)
    found = evaluation_metrics(MemoryPayloads({("u", METRICS): both}), "u")
    assert found is not None
    assert found.candidate == {"auc": 0.9}


def test_every_shard_is_read() -> None:
    """Metrics that lie in two files of one evaluation are put together."""
    payloads = MemoryPayloads(
        {
            ("u", "metrics-00000-of-00002.tfrecord"): metrics(0.8),
            ("u", "metrics-00001-of-00002.tfrecord"): metrics(0.2, name="loss"),
            ("u", "plots-00000-of-00001.tfrecord"): b"not asked for",
        }
    )
    found = evaluation_metrics(payloads, "u")
    assert found is not None
    assert found.candidate == {"auc": 0.8, "loss": 0.2}


@pytest.mark.parametrize("content", [b"garbage", tfrecord(b"\xff\xff\xff"), b""])
def test_what_cannot_be_decoded_is_missing(content: bytes) -> None:
    """A broken metrics file gives None and no error."""
    assert evaluation_metrics(MemoryPayloads({("u", METRICS): content}), "u") is None


CONFIG = {
    "model_specs": [{"name": "new"}, {"name": "old", "is_baseline": True}],
    "metrics_specs": [
        {
            "metrics": [
                {"class_name": "ExampleCount"},
                {
                    "class_name": "AUC",
                    "threshold": {
                        "value_threshold": {"lower_bound": 0.6},
                        "change_threshold": {"absolute": 0.0, "direction": "HIGHER_IS_BETTER"},
                    },
                },
                {
                    "class_name": "MeanLabel",
                    "config": '{"name": "rate"}',
                    "per_slice_thresholds": [
                        {
                            "slicing_specs": [{}],
                            "threshold": {"value_threshold": {"upper_bound": {"value": 0.9}}},
                        },
                        {
                            "slicing_specs": [{"feature_keys": ["a"]}],
                            "threshold": {"value_threshold": {"upper_bound": 0.1}},
                        },
                    ],
                },
            ],
            "thresholds": {"loss": {"change_threshold": {"relative": -0.1, "direction": 1}}},
        }
    ],
}
THRESHOLDS = (
    MetricThreshold("AUC", lower_bound=0.6, change_absolute=0.0, higher_is_better=True),
    MetricThreshold("rate", upper_bound=0.9),
    MetricThreshold("loss", change_relative=-0.1, higher_is_better=False),
)


def camel(value: object) -> object:
    """The same JSON value with keys in camel case, as ``eval_config.json`` has them."""
    if isinstance(value, dict):
        parts = {key: key.split("_") for key in value}
        return {
            words[0] + "".join(word.title() for word in words[1:]): camel(value[key])
            for key, words in parts.items()
        }
    return [camel(item) for item in value] if isinstance(value, list) else value


def test_thresholds_are_read_in_both_spellings() -> None:
    """Of the execution property and of the file; those of single slices are left out."""
    assert thresholds_of_config(json.dumps(CONFIG)) == THRESHOLDS
    assert thresholds_of_config(json.dumps({"evalConfig": camel(CONFIG)})) == THRESHOLDS
    assert baseline_names_of_config(json.dumps(CONFIG)) == {"old"}


def test_the_label_is_that_of_the_candidate() -> None:
    """``label_key`` of the model that is evaluated, in both spellings."""
    specs = [{"is_baseline": True, "label_key": "old"}, {"name": "c", "label_key": "delayed"}]
    text = json.dumps({"model_specs": specs})
    assert label_key_of_config(text) == "delayed"
    assert label_key_of_config(json.dumps(camel({"model_specs": specs}))) == "delayed"
    assert label_key_of_config(json.dumps({"model_specs": [{"label_keys": {"a": "b"}}]})) is None
    assert label_key_of_config("no json") is None


def test_only_a_config_is_a_config() -> None:
    """A text that says something of evaluations, thresholds or not."""
    assert is_config(json.dumps({"model_specs": [{}]}))
    assert not is_config("{}")
    assert not is_config("no json")


@pytest.mark.parametrize(
    ("threshold", "margin"),
    [
        ({"change_absolute": 0.0, "higher_is_better": True}, 0.0),
        ({"change_absolute": 0.02, "higher_is_better": True}, -0.02),
        ({"change_absolute": -0.02, "higher_is_better": False}, -0.02),
        ({"change_absolute": 0.01, "higher_is_better": False}, 0.01),
        ({"change_relative": 0.1, "higher_is_better": True}, -0.07),
        ({"lower_bound": 0.6}, math.nan),
    ],
)
def test_a_clone_gains_nothing(threshold: dict[str, float], margin: float) -> None:
    """Its margin is that of a change of zero: 0 where a tie is enough, less if a gain is asked."""
    limits = [MetricThreshold("auc", **threshold)]  # type: ignore[arg-type]
    assert clone_margin({"auc": 0.7}, limits) == pytest.approx(margin, nan_ok=True)
    clone = EvaluationMetrics({"auc": 0.7}, {"auc": 0.7}, {}, None, (), ())
    assert change_margin(clone, limits) == pytest.approx(margin, nan_ok=True)


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"metrics_specs": [1]}'])
def test_a_config_without_thresholds_has_none(text: str) -> None:
    """Nothing to read is an empty answer."""
    assert thresholds_of_config(text) == ()


def test_margins_follow_the_direction() -> None:
    """Positive where the threshold was met, whichever way is better."""
    assert evaluated(0.8, 0.7, lower_bound=0.75) == (
        pytest.approx(0.05),
        pytest.approx(math.nan, nan_ok=True),
    )
    assert evaluated(0.8, 0.7, upper_bound=0.75)[0] == pytest.approx(-0.05)
    better = {"change_absolute": 0.02, "higher_is_better": True}
    assert evaluated(0.8, 0.7, **better)[1] == pytest.approx(0.08)
    lower = {"change_absolute": -0.02, "higher_is_better": False}
    assert evaluated(0.7, 0.8, **lower)[1] == pytest.approx(0.08)
    relative = {"change_relative": 0.5, "higher_is_better": True}
    assert evaluated(0.8, 0.7, **relative)[1] == pytest.approx(0.1 - 0.35)


def test_the_smallest_margin_counts() -> None:
    """Of several thresholds the one that was met by the least, or missed by the most."""
    found = EvaluationMetrics({"a": 1.0, "b": 2.0}, {}, {}, None, (), ())
    limits = [MetricThreshold("a", lower_bound=0.9), MetricThreshold("b", upper_bound=1.5)]
    assert value_margin(found, limits) == pytest.approx(-0.5)
    assert math.isnan(change_margin(found, limits))


def test_a_metric_is_found_by_its_class() -> None:
    """Keras and TFMA write a class's name in their own snake case."""
    values = {"auc": 0.5, "binary_crossentropy": 0.3}
    assert metric_value(values, "AUC") == 0.5
    assert metric_value(values, "BinaryCrossEntropy") == 0.3
    assert math.isnan(metric_value(values, "Recall"))


@needs_corpus
@pytest.mark.parametrize("store", real_runs(), ids=lambda path: path.parent.name)
def test_margins_agree_with_the_blessing(store: Path) -> None:
    """In recorded evaluations all margins are 0 or more exactly where TFX blessed the model."""
    with open_store(store) as opened:
        entries = Entries(segment(opened.read_trace()), DecodedPayloads(opened.payloads))
        executions, artifacts = entries.trace.executions, entries.trace.artifacts
        evaluations = entries.outputs_of_type(ArtifactType.MODEL_EVALUATION)
        blessings = entries.outputs_of_type(ArtifactType.MODEL_BLESSING)
        said = artifacts.properties.numbers(PropertyName.BLESSED, len(artifacts))
        config = executions.properties.texts(PropertyName.EVAL_CONFIG, len(executions))
        validators = entries.graphlets.role == Role.MODEL_VALIDATOR
        done = np.flatnonzero(validators & (executions.state == ExecutionState.COMPLETE))
        checked = 0
        for execution in done.tolist():
            (artifact,) = evaluations.expand(np.array([execution]))[1].tolist()
            (blessing,) = blessings.expand(np.array([execution]))[1].tolist()
            found = entries.decoded.metrics(entries.uri(artifact))
            assert found is not None
            limits = thresholds_of_config(config[execution] or "")
            margins = (value_margin(found, limits), change_margin(found, limits))
            met = all(math.isnan(margin) or margin >= 0 for margin in margins)
            blessed = said[blessing] == 1
            assert met == blessed == found.validation_ok == (not found.failed)
            checked += 1
    assert checked > 30


@pytest.mark.tfx
def test_what_tfma_writes_is_read() -> None:
    """The messages of TFMA itself, in a process of their own, decode to what was put in."""
    program = """
import sys
from tensorflow_model_analysis.proto import metrics_for_slice_pb2 as m, validation_result_pb2 as v
from tests.features.memory_payloads import MemoryPayloads, tfrecord
from tfx_graphlets.payloads.evaluation import evaluation_metrics
record = m.MetricsForSlice()
record.slice_key.SetInParent()
def add(name, model, value, **key):
    pair = record.metric_keys_and_values.add()
    pair.key.name, pair.key.model_name = name, model
    for field, content in key.items():
        setattr(pair.key, field, content)
    pair.value.double_value.value = value
add("auc", "candidate", 0.1, output_name="other")
add("auc", "candidate", 0.8)
add("auc", "baseline", 0.75)
add("auc", "candidate", 0.05, is_diff=True)
bounded = record.metric_keys_and_values.add()
bounded.key.name = "recall"
bounded.value.bounded_value.value.value = 0.25
result = v.ValidationResult(validation_ok=False)
failed = result.metric_validations_per_slice.add()
failed.slice_key.SetInParent()
failed.failures.add().metric_key.name = "auc"
cross = result.metric_validations_per_slice.add()
cross.cross_slice_key.SetInParent()
cross.failures.add().metric_key.name = "recall"
found = evaluation_metrics(MemoryPayloads({
    ("u", "metrics-00000-of-00001.tfrecord"): tfrecord(record.SerializeToString()),
    ("u", "validations.tfrecord"): tfrecord(result.SerializeToString()),
}), "u")
assert found.candidate == {"auc": 0.8, "recall": 0.25}, found
assert found.baseline == {"auc": 0.75} and found.change == {"auc": 0.05}, found
assert found.validation_ok is False and found.failed == ("auc",), found
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
