"""What of an eval_config is measured in a rehearsal, and what is said to be left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.corpus import needs_corpus, real_runs
from tfx_graphlets.rehearsal import NotCoveredError, Task, demand_of
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.vocabulary import PropertyName

BOUND = {"value_threshold": {"lower_bound": {"value": 0.6}}}


def config(*metrics: dict[str, Any], spec: dict[str, Any] | None = None, **more: Any) -> str:
    """An EvalConfig (JSON) with one metrics spec."""
    model = {"label_key": "label"} if spec is None else spec
    return json.dumps({"model_specs": [model], "metrics_specs": [{"metrics": metrics, **more}]})


@pytest.mark.parametrize(
    ("metric", "task"),
    [
        ("AUC", Task.BINARY),
        ("BinaryCrossentropy", Task.BINARY),
        ("SparseCategoricalAccuracy", Task.MULTI_CLASS),
        ("SparseTopKCategoricalAccuracy", Task.MULTI_CLASS),
        ("MeanAbsoluteError", Task.REGRESSION),
        ("RootMeanSquaredError", Task.REGRESSION),
    ],
)
def test_the_thresholded_metric_tells_the_task(metric: str, task: Task) -> None:
    """A metric of Keras or TFMA belongs to one kind of label and prediction."""
    demand = demand_of(config({"class_name": metric, "threshold": BOUND}))
    assert (demand.task, demand.label, demand.signature) == (task, "label", "serving_default")
    assert demand.left_out == ()


def test_metrics_without_a_threshold_are_not_measured() -> None:
    """A rehearsal has margins of what the Evaluator judges by, and of nothing else."""
    demand = demand_of(config({"class_name": "Recall"}, {"class_name": "AUC", "threshold": BOUND}))
    assert [metric.name for metric in demand.metrics] == ["AUC"]


def test_a_metric_that_is_not_covered_is_said_and_left_out() -> None:
    """What can be measured is measured beside a metric that cannot."""
    demand = demand_of(
        config(
            {"class_name": "AUC", "threshold": BOUND},
            {"class_name": "FairnessIndicators", "threshold": BOUND},
        )
    )
    assert [metric.name for metric in demand.metrics] == ["AUC"]
    assert demand.left_out == ("The metric FairnessIndicators is not covered by a rehearsal.",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "names no single label_key"),
        ("no JSON at all", "names no single label_key"),
        (config({"class_name": "AUC"}), "no threshold that a rehearsal can measure"),
        (config({"class_name": "ExampleCount", "threshold": BOUND}), "no threshold"),
        (
            config(
                {"class_name": "AUC", "threshold": BOUND},
                spec={"label_key": "label", "example_weight_key": "weight"},
            ),
            "Weighted examples",
        ),
        (
            config({"class_name": "AUC", "threshold": BOUND}, spec={"label_keys": {"a": "x"}}),
            "names no single label_key",
        ),
        (
            config({"class_name": "AUC", "threshold": BOUND}, output_names=["first"]),
            "several outputs",
        ),
        (
            config(
                {"class_name": "AUC", "threshold": BOUND},
                {"class_name": "MeanSquaredError", "threshold": BOUND},
            ),
            "several tasks: binary, regression",
        ),
        (
            config(
                {"class_name": "Recall", "config": '{"top_k": 3}', "threshold": BOUND},
            ),
            "Recall with top_k",
        ),
    ],
)
def test_what_cannot_be_measured_is_said(text: str, said: str) -> None:
    """An eval_config of which nothing can be measured gives an error that names the reason."""
    with pytest.raises(NotCoveredError, match=said):
        demand_of(text)


def test_thresholds_of_single_slices_are_said_and_left_out() -> None:
    """A bound on one slice is not measured; the one on all examples is."""
    sliced = [{"slicing_specs": [{"feature_keys": ["origin"]}], "threshold": BOUND}]
    demand = demand_of(
        config({"class_name": "AUC", "threshold": BOUND, "per_slice_thresholds": sliced})
    )
    assert len(demand.thresholds) == 1
    assert "AUC on single slices" in demand.left_out[0]


def test_the_metric_with_a_change_threshold_stands_for_all() -> None:
    """Which metric a rehearsal names follows the rule of the evaluation features."""
    change = {"change_threshold": {"absolute": {"value": -0.01}, "direction": "LOWER_IS_BETTER"}}
    demand = demand_of(
        config(
            {"class_name": "AUC", "threshold": BOUND},
            {
                "class_name": "BinaryCrossEntropy",
                "config": json.dumps({"name": "loss"}),
                "threshold": change,
            },
        )
    )
    assert demand.judged.name == "loss"


@needs_corpus
def test_real_evaluators_are_covered_in_full() -> None:
    """Nothing is left out of what the Evaluators of recorded pipelines ask for."""
    for path in real_runs():
        with open_store(str(path)) as store:
            executions = store.read_trace().executions
        texts = executions.properties.texts(PropertyName.EVAL_CONFIG, len(executions))
        configs = {text for text in texts if text}
        assert configs
        for text in configs:
            demand = demand_of(text)
            assert (demand.task, demand.left_out) == (Task.BINARY, ())
