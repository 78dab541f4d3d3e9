"""Metrics of Keras and TFMA on labels and predictions, as an Evaluator computes them.

Only what a rehearsal covers. AUC is exact where Keras sums over
``num_thresholds`` trapezoids; the difference is below 0.005 with its default of
200 and shared by all models that are compared.
"""

from __future__ import annotations

import dataclasses
import enum
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.payloads.thresholds import AskedMetric
from tfx_graphlets.trace.trace import FloatArray

# What Keras clips a probability to before it takes a logarithm.
_EPSILON: Final = 1e-7
Config = Mapping[str, object]
MetricFunction = Callable[[FloatArray, FloatArray, Config], float]


class Task(enum.Enum):
    """What is predicted.

    BINARY: label 0 or 1, prediction the probability of 1, [n]. MULTI_CLASS: label
    an integer from 0, predictions a probability for each class, [n, classes].
    REGRESSION: label and prediction numbers, [n].
    """

    BINARY = "binary"
    MULTI_CLASS = "multi_class"
    REGRESSION = "regression"


@dataclasses.dataclass(frozen=True)
class Measured:
    """How a metric is measured.

    Attributes:
      task: the task that it belongs to; None for any.
      value: of labels float64 [n], predictions (see Task) and the metric's
        configuration; NaN where it is not defined.
      options: names of the configuration that ``value`` obeys or that change
        nothing.
    """

    task: Task | None
    value: MetricFunction
    options: frozenset[str] = frozenset()


def measure_name(class_name: str) -> str:
    """Key of MEASURES of a metric's class: ``SparseCategoricalAccuracy``, ``auc``."""
    return class_name.replace("_", "").lower()


def unmeasured_option(metric: AskedMetric) -> str:
    """Name of a setting of the metric that is not obeyed; "" where all are."""
    if metric.scope:
        return metric.scope
    measured = MEASURES.get(measure_name(metric.class_name))
    known = {"name", "dtype"} | (measured.options if measured else set())
    for name, value in metric.config.items():
        if name not in known and value not in (None, False, "", 0, [], {}):
            return name
    if len(_cuts(metric.config)) > 1:
        return "several thresholds"
    return ""


def measure(
    metrics: Sequence[AskedMetric], label: FloatArray, prediction: FloatArray, task: Task
) -> dict[str, float]:
    """Values of metrics by name, NaN where one is not defined for these labels.

    Args:
      metrics: which, all in MEASURES.
      label: float64 [n].
      prediction: float64 [n] or [n, k], what a model answered.
      task: what is predicted.

    Raises:
      InvalidArgumentError: labels or predictions are not of this task.
    """
    prediction = as_prediction(task, label, prediction)
    return {
        metric.name: float(
            MEASURES[measure_name(metric.class_name)].value(label, prediction, metric.config)
        )
        if len(label)
        else math.nan
        for metric in metrics
    }


def as_prediction(task: Task, label: FloatArray, prediction: FloatArray) -> FloatArray:
    """Predictions in the shape of their task.

    Raises:
      InvalidArgumentError: labels or predictions are not of this task.
    """
    prediction = np.asarray(prediction, np.float64)
    if prediction.ndim > 1 and prediction.shape[1] == 1:
        prediction = prediction[:, 0]
    if len(prediction) != len(label):
        raise InvalidArgumentError(
            "prediction", len(prediction), f"must have one row for each of {len(label)} labels"
        )
    if task is Task.BINARY:
        if not np.isin(label, (0.0, 1.0)).all():
            raise InvalidArgumentError("label", label[:5].tolist(), "must be 0 or 1")
        if prediction.ndim == 2 and prediction.shape[1] == 2:
            prediction = prediction[:, 1]
    if task is Task.MULTI_CLASS:
        if prediction.ndim == 1:
            raise InvalidArgumentError("prediction", prediction.shape, "must be [n, classes]")
        classes = prediction.shape[1]
        if not ((label == np.floor(label)) & (label >= 0) & (label < classes)).all():
            raise InvalidArgumentError(
                "label", label[:5].tolist(), f"must be integers from 0 to {classes - 1}"
            )
    elif prediction.ndim != 1:
        raise InvalidArgumentError("prediction", prediction.shape, "must be [n]")
    return prediction


def _cross_entropy(label: FloatArray, prediction: FloatArray, _config: Config) -> float:
    p = np.clip(prediction, _EPSILON, 1 - _EPSILON)
    return float(-np.mean(label * np.log(p) + (1 - label) * np.log(1 - p)))


def _auc(label: FloatArray, prediction: FloatArray, config: Config) -> float:
    if len(np.unique(label)) < 2 or np.isnan(prediction).any():
        return math.nan
    from sklearn.metrics import average_precision_score, roc_auc_score

    by_curve = average_precision_score if str(config.get("curve", "")).upper() == "PR" else None
    return float((by_curve or roc_auc_score)(label, prediction))


def _auc_of_precision(label: FloatArray, prediction: FloatArray, _config: Config) -> float:
    return _auc(label, prediction, {"curve": "PR"})


def _cuts(config: Config) -> list[float]:
    given = config.get("thresholds", config.get("threshold"))
    values: Sequence[object] = given if isinstance(given, (list, tuple)) else [given]
    return [float(str(value)) for value in values if value is not None]


def _above(prediction: FloatArray, config: Config) -> FloatArray:
    return (prediction > next(iter(_cuts(config)), 0.5)).astype(np.float64)


def _binary_accuracy(label: FloatArray, prediction: FloatArray, config: Config) -> float:
    return float(np.mean(_above(prediction, config) == label))


def _precision(label: FloatArray, prediction: FloatArray, config: Config) -> float:
    chosen = _above(prediction, config)
    return float((chosen * label).sum() / chosen.sum()) if chosen.any() else 0.0


def _recall(label: FloatArray, prediction: FloatArray, config: Config) -> float:
    return float((_above(prediction, config) * label).sum() / label.sum()) if label.any() else 0.0


def _calibration(label: FloatArray, prediction: FloatArray, _config: Config) -> float:
    return float(prediction.sum() / label.sum()) if label.any() else math.nan


def _sparse_accuracy(label: FloatArray, prediction: FloatArray, _config: Config) -> float:
    return float(np.mean(np.argmax(prediction, axis=1) == label))


def _sparse_top(label: FloatArray, prediction: FloatArray, config: Config) -> float:
    count = int(str(config.get("k") or 5))
    own = prediction[np.arange(len(label)), label.astype(np.int64)]
    return float(np.mean((prediction > own[:, None]).sum(axis=1) < count))


def _sparse_cross_entropy(label: FloatArray, prediction: FloatArray, _config: Config) -> float:
    total = prediction.sum(axis=1, keepdims=True)
    p = prediction / np.where(total > 0, total, 1.0)
    own = p[np.arange(len(label)), label.astype(np.int64)]
    return float(-np.mean(np.log(np.clip(own, _EPSILON, 1 - _EPSILON))))


def _squared(label: FloatArray, prediction: FloatArray, _config: Config) -> float:
    return float(np.mean((label - prediction) ** 2))


def _root_squared(label: FloatArray, prediction: FloatArray, config: Config) -> float:
    return math.sqrt(_squared(label, prediction, config))


def _absolute(label: FloatArray, prediction: FloatArray, _config: Config) -> float:
    return float(np.mean(np.abs(label - prediction)))


def _logarithmic(label: FloatArray, prediction: FloatArray, _config: Config) -> float:
    logs = [np.log1p(np.maximum(values, _EPSILON)) for values in (label, prediction)]
    return float(np.mean((logs[0] - logs[1]) ** 2))


def _mean_label(label: FloatArray, _prediction: FloatArray, _config: Config) -> float:
    return float(np.mean(label))


def _mean_prediction(_label: FloatArray, prediction: FloatArray, _config: Config) -> float:
    return float(np.mean(prediction))


def _count(label: FloatArray, _prediction: FloatArray, _config: Config) -> float:
    return float(len(label))


_CUT: Final = frozenset({"threshold", "thresholds"})
_SUMS: Final = frozenset({"num_thresholds", "curve", "summation_method"})

# By ``measure_name`` of the class: Keras's and TFMA's names.
MEASURES: Final[Mapping[str, Measured]] = {
    "binarycrossentropy": Measured(Task.BINARY, _cross_entropy),
    "auc": Measured(Task.BINARY, _auc, _SUMS),
    "aucprecisionrecall": Measured(Task.BINARY, _auc_of_precision, _SUMS),
    "binaryaccuracy": Measured(Task.BINARY, _binary_accuracy, _CUT),
    "precision": Measured(Task.BINARY, _precision, _CUT),
    "recall": Measured(Task.BINARY, _recall, _CUT),
    "calibration": Measured(Task.BINARY, _calibration),
    "sparsecategoricalaccuracy": Measured(Task.MULTI_CLASS, _sparse_accuracy),
    "sparsetopkcategoricalaccuracy": Measured(Task.MULTI_CLASS, _sparse_top, frozenset({"k"})),
    "sparsecategoricalcrossentropy": Measured(Task.MULTI_CLASS, _sparse_cross_entropy),
    "meansquarederror": Measured(Task.REGRESSION, _squared),
    "rootmeansquarederror": Measured(Task.REGRESSION, _root_squared),
    "meanabsoluteerror": Measured(Task.REGRESSION, _absolute),
    "meansquaredlogarithmicerror": Measured(Task.REGRESSION, _logarithmic),
    "examplecount": Measured(None, _count),
    "meanlabel": Measured(None, _mean_label),
    "meanprediction": Measured(None, _mean_prediction),
}
