"""What of an Evaluator's ``eval_config`` a rehearsal can measure, and what it leaves out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from tfx_graphlets.errors import GraphletsError
from tfx_graphlets.payloads.thresholds import (
    AskedMetric,
    MetricThreshold,
    asked_metrics,
    label_key_of_config,
    model_spec_of_config,
    slice_thresholds_of_config,
)
from tfx_graphlets.rehearsal.metrics import MEASURES, Task, measure_name, unmeasured_option

__all__ = ["Demand", "NotCoveredError", "Task", "demand_of"]


class NotCoveredError(GraphletsError):
    """A rehearsal cannot measure what the Evaluator asks for.

    Attributes:
      problems: a sentence for each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(" ".join(problems))


@dataclasses.dataclass(frozen=True)
class Demand:
    """What is measured in a rehearsal.

    Attributes:
      task: kind of label and prediction.
      label: name of the label's feature.
      signature: name of the model's signature that predicts.
      prediction_key: which of its outputs holds the predictions; "" where it
        has one.
      metrics: those with a threshold on all examples that can be measured.
      left_out: a sentence for each demand that is not measured.
    """

    task: Task
    label: str
    signature: str
    prediction_key: str
    metrics: tuple[AskedMetric, ...]
    left_out: tuple[str, ...] = ()

    @property
    def thresholds(self) -> tuple[MetricThreshold, ...]:
        """Thresholds of the metrics that are measured."""
        return tuple(bound for metric in self.metrics for bound in metric.thresholds)

    @property
    def judged(self) -> AskedMetric:
        """The metric that stands for all: the first with a change threshold, else the first."""
        by_change = (m for m in self.metrics if any(t.has_change for t in m.thresholds))
        return next(by_change, self.metrics[0])


def demand_of(eval_config: str) -> Demand:
    """What a rehearsal measures of an EvalConfig.

    >>> demand = demand_of('''{"model_specs": [{"label_key": "late"}], "metrics_specs": [
    ...   {"metrics": [{"class_name": "AUC", "threshold":
    ...     {"value_threshold": {"lower_bound": 0.7}}}]}]}''')
    >>> demand.task.value, demand.label, [metric.name for metric in demand.metrics]
    ('binary', 'late', ['AUC'])

    Covered are thresholds on all examples of one output: binary and
    multi-class classification with integer labels, and regression, with the
    metrics of ``metrics.MEASURES``. Thresholds of single slices, example
    weights, several outputs, binarized and aggregated metrics and other metrics
    are left out, each with a sentence; what is covered is measured all the same.

    Args:
      eval_config: JSON of a TFMA ``EvalConfig``.

    Raises:
      NotCoveredError: nothing in it can be measured.
    """
    spec = model_spec_of_config(eval_config)
    label = label_key_of_config(eval_config)
    left_out = list(_left_out(eval_config, spec))
    if label is None:
        raise NotCoveredError(
            [*left_out, "eval_config names no single label_key, which a rehearsal needs."]
        )
    if spec.get("example_weight_key") or spec.get("example_weight_keys"):
        raise NotCoveredError([*left_out, "Weighted examples are not covered by a rehearsal."])
    kept: list[AskedMetric] = []
    for metric in asked_metrics(eval_config):
        if not metric.thresholds:
            continue
        name = measure_name(metric.class_name)
        option = unmeasured_option(metric)
        if name not in MEASURES:
            left_out.append(f"The metric {metric.class_name} is not covered by a rehearsal.")
        elif option:
            left_out.append(f"{metric.class_name} with {option} is not covered by a rehearsal.")
        else:
            kept.append(metric)
    tasks = {MEASURES[measure_name(metric.class_name)].task for metric in kept} - {None}
    if not kept or not tasks:
        raise NotCoveredError(
            [*left_out, "eval_config holds no threshold that a rehearsal can measure."]
        )
    if len(tasks) > 1:
        names = ", ".join(sorted(task.value for task in tasks if task))
        raise NotCoveredError([*left_out, f"eval_config mixes metrics of several tasks: {names}."])
    (task,) = tasks
    if task is None:
        raise AssertionError
    return Demand(
        task=task,
        label=label,
        signature=str(spec.get("signature_name") or "serving_default"),
        prediction_key=str(spec.get("prediction_key") or ""),
        metrics=tuple(kept),
        left_out=tuple(left_out),
    )


def _left_out(eval_config: str, spec: object) -> Iterator[str]:
    for name in slice_thresholds_of_config(eval_config):
        yield f"Thresholds of {name} on single slices are not covered by a rehearsal."
    if isinstance(spec, dict) and spec.get("preprocessing_function_names"):
        yield "The model's preprocessing functions are not called in a rehearsal."
