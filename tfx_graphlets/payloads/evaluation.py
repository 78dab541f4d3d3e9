"""Metrics and validation results of an Evaluator, and their margins, as plain values.

TensorFlow Model Analysis writes them as TFRecord files of protocol buffers.
Importing it takes seconds, so the few messages that are needed are declared
here, with the field numbers of ``metrics_for_slice.proto`` and
``validation_result.proto`` of TFMA 0.47; fields that are
not declared are skipped.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from tfx_graphlets.payloads.bounds import as_message, as_text, left_out, tfrecords
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.payloads.thresholds import (
    MetricThreshold,
    baseline_names_of_config,
    thresholds_of_config,
)
from tfx_graphlets.trace.properties import message_classes

if TYPE_CHECKING:
    from google.protobuf.message import Message

_T = TypeVar("_T")
_CONFIG_FILE = "eval_config.json"
_PACKAGE = "tfx_graphlets_tfma"
_BASELINE_NAME = "baseline"


@dataclasses.dataclass(frozen=True)
class EvaluationMetrics:
    """What an Evaluator measured on all examples (the overall slice).

    Attributes:
      candidate, baseline: value by metric name, of the new model and of the
        model it is compared with; the latter empty where there is none.
      change: candidate minus baseline by metric name.
      validation_ok: whether the candidate met all thresholds; None where no
        validation was written.
      failed: names of the metrics that missed a threshold.
      thresholds: the thresholds that stand beside the metrics.
    """

    candidate: Mapping[str, float]
    baseline: Mapping[str, float]
    change: Mapping[str, float]
    validation_ok: bool | None
    failed: tuple[str, ...]
    thresholds: tuple[MetricThreshold, ...]


def evaluation_metrics(payloads: Payloads, uri: str) -> EvaluationMetrics | None:
    """Metrics, validation and thresholds of a ModelEvaluation artifact.

    Args:
      payloads: where the files are.
      uri: the artifact's URI.

    Returns: None where no metric of the overall slice can be read.
    """
    names = payloads.files(uri)
    baseline_names = {_BASELINE_NAME}
    thresholds: tuple[MetricThreshold, ...] = ()
    config = payloads.read(uri, _CONFIG_FILE) if _CONFIG_FILE in names else None
    if config is not None:
        text = config.decode("utf-8", "replace")
        baseline_names |= baseline_names_of_config(text)
        thresholds = thresholds_of_config(text)
    values: dict[str, dict[str, float]] = {"candidate": {}, "baseline": {}, "change": {}}
    metrics = functools.partial(_metrics, baseline_names=baseline_names)
    for found in _records(payloads, uri, names, "metrics", "MetricsForSlice", metrics):
        for kind, name, value in found:
            values[kind].setdefault(name, value)
    if not values["candidate"]:
        return None
    said = _records(payloads, uri, names, "validations", "ValidationResult", _validation)
    validation_ok, failed = [(None, ()), *said][-1]
    return EvaluationMetrics(
        candidate=values["candidate"],
        baseline=values["baseline"],
        change=values["change"],
        validation_ok=validation_ok,
        failed=failed,
        thresholds=thresholds,
    )


def value_margin(metrics: EvaluationMetrics, thresholds: Sequence[MetricThreshold]) -> float:
    """Smallest distance by which the candidate met its value thresholds.

    Negative where one was missed, in the unit of that metric; NaN where there
    is no value threshold or no value.
    """
    margins = []
    for threshold in thresholds:
        value = metric_value(metrics.candidate, threshold.metric)
        if threshold.lower_bound is not None:
            margins.append(value - threshold.lower_bound)
        if threshold.upper_bound is not None:
            margins.append(threshold.upper_bound - value)
    return _smallest(margins)


def change_margin(metrics: EvaluationMetrics, thresholds: Sequence[MetricThreshold]) -> float:
    """Smallest distance by which the candidate met its change thresholds.

    Negative where the candidate was not enough better than the baseline; NaN
    where there is no change threshold or no baseline. A relative threshold
    counts as that share of the baseline's value.
    """
    margins = []
    for threshold in thresholds:
        sign = -1.0 if threshold.higher_is_better is False else 1.0
        change = metric_value(metrics.change, threshold.metric)
        if math.isnan(change):
            candidate = metric_value(metrics.candidate, threshold.metric)
            change = candidate - metric_value(metrics.baseline, threshold.metric)
        if threshold.change_absolute is not None:
            margins.append(sign * (change - threshold.change_absolute))
        if threshold.change_relative is not None:
            base = metric_value(metrics.baseline, threshold.metric)
            margins.append(sign * (change - threshold.change_relative * base))
    return _smallest(margins)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """One evaluation's thresholded metric, NaN where not measured.

    The metric is the first with a change threshold, else the first with a threshold.

    Attributes:
      candidate, baseline: its value of the new model and of the one it is
        compared with.
      value_margin, change_margin: smallest margin over all value thresholds
        and over all change thresholds, in the unit of the metric it is of.
      sign: 1 where a higher value of the metric is better, else -1.
    """

    candidate: float
    baseline: float
    value_margin: float
    change_margin: float
    sign: float

    @classmethod
    def of(cls, metrics: EvaluationMetrics, thresholds: Sequence[MetricThreshold]) -> Evaluation:
        """The evaluation by some thresholds, at least one."""
        chosen = next((t for t in thresholds if t.has_change), thresholds[0])
        better = chosen.higher_is_better
        if better is None:
            better = chosen.lower_bound is not None
        return cls(
            candidate=metric_value(metrics.candidate, chosen.metric),
            baseline=metric_value(metrics.baseline, chosen.metric),
            value_margin=value_margin(metrics, thresholds),
            change_margin=change_margin(metrics, thresholds),
            sign=1.0 if better else -1.0,
        )


def clone_margin(baseline: Mapping[str, float], thresholds: Sequence[MetricThreshold]) -> float:
    """Change margin of a model that does exactly as well as its baseline.

    0 minus the gain that is demanded; 0 where a tie is enough (TFMA compares
    with ``<=`` and ``>=``). In the unit of the metric whose threshold it misses
    by most.

    Args:
      baseline: value of the baseline by metric name, for relative thresholds.
      thresholds: of an EvalConfig.

    Returns: NaN where there is no change threshold.
    """
    margins = []
    for threshold in thresholds:
        sign = -1.0 if threshold.higher_is_better is False else 1.0
        if threshold.change_absolute is not None:
            margins.append(0.0 - sign * threshold.change_absolute)
        if threshold.change_relative is not None:
            base = metric_value(baseline, threshold.metric)
            margins.append(0.0 - sign * threshold.change_relative * base)
    return _smallest(margins)


def metric_value(values: Mapping[str, float], metric: str) -> float:
    """Value of a metric by its name or class (``AUC`` is ``auc``); NaN if absent."""
    if metric in values:
        return values[metric]
    wanted = _bare(metric)
    return next((value for name, value in values.items() if _bare(name) == wanted), math.nan)


def _bare(name: str) -> str:
    return name.replace("_", "").lower()


def _smallest(margins: Sequence[float]) -> float:
    known = [margin for margin in margins if not math.isnan(margin)]
    return min(known) if known else math.nan


# -- protocol buffers --------------------------------------------------------------


def _records(
    payloads: Payloads,
    uri: str,
    names: Sequence[str],
    stem: str,
    message_name: str,
    said_by: Callable[[Message], _T],
) -> Iterator[_T]:
    """What messages of every shard of the file ``stem`` say; unreadable ones are left out."""
    from google.protobuf import message

    shard = re.compile(rf"{stem}(-\d+-of-\d+)?(\.tfrecord)?(\.gz)?")
    for name in names:
        content = payloads.read(uri, name) if shard.fullmatch(name) else None
        if content is None:
            continue
        try:
            for record in tfrecords(content):
                yield said_by(as_message(_message_classes()[message_name], record))
        except (message.DecodeError, ValueError) as error:
            left_out(name, uri, error)


def _is_overall(record: Any) -> bool:
    """True for the slice of all examples, of no cross slice."""
    return not record.HasField("cross_slice_key") and not record.slice_key.single_slice_keys


def _metrics(record: Any, baseline_names: set[str]) -> list[tuple[str, str, float]]:
    """Kind, name and value of the metrics of the overall slice, plain keys first; else none."""
    if not _is_overall(record):
        return []
    pairs = [
        (bool(pair.key.output_name) or pair.key.HasField("sub_key"), index, pair)
        for index, pair in enumerate(record.metric_keys_and_values)
    ]
    found = []
    for _, _, pair in sorted(pairs, key=lambda item: item[:2]):
        value = pair.value
        if value.HasField("double_value"):
            number = value.double_value.value
        elif value.HasField("bounded_value"):
            number = value.bounded_value.value.value
        else:
            continue
        kind = "baseline" if as_text(pair.key.model_name) in baseline_names else "candidate"
        kind = "change" if pair.key.is_diff else kind
        found.append((kind, as_text(pair.key.name), float(number)))
    return found


def _validation(record: Any) -> tuple[bool, tuple[str, ...]]:
    """Whether all thresholds were met, and the metrics of the overall slice that missed one."""
    failed = {
        as_text(failure.metric_key.name)
        for validation in record.metric_validations_per_slice
        if _is_overall(validation)
        for failure in validation.failures
    }
    return bool(record.validation_ok), tuple(sorted(failed))


# Message: field name -> (number, type); types in capitals are scalars, ``*`` repeats.
_MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "Double": {"value": (1, "DOUBLE")},
    "Bounded": {"value": (3, "Double")},
    "Empty": {},
    "SliceKey": {"single_slice_keys": (1, "*Empty")},
    "MetricKey": {
        "name": (1, "STRING"),
        "output_name": (2, "STRING"),
        "sub_key": (3, "Empty"),
        "model_name": (4, "STRING"),
        "is_diff": (5, "BOOL"),
    },
    "MetricValue": {"double_value": (1, "Double"), "bounded_value": (2, "Bounded")},
    "MetricKeyAndValue": {"key": (1, "MetricKey"), "value": (2, "MetricValue")},
    "MetricsForSlice": {
        "slice_key": (1, "SliceKey"),
        "cross_slice_key": (3, "Empty"),
        "metric_keys_and_values": (51, "*MetricKeyAndValue"),
    },
    "Failure": {"metric_key": (1, "MetricKey")},
    "MetricsValidationForSlice": {
        "slice_key": (2, "SliceKey"),
        "failures": (3, "*Failure"),
        "cross_slice_key": (4, "Empty"),
    },
    "ValidationResult": {
        "validation_ok": (1, "BOOL"),
        "metric_validations_per_slice": (2, "*MetricsValidationForSlice"),
    },
}


@functools.lru_cache(maxsize=1)
def _message_classes() -> Mapping[str, type[Message]]:
    """Classes of the messages above, in a descriptor pool of their own."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    file = descriptor_pb2.FileDescriptorProto(
        name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3"
    )
    field_type = descriptor_pb2.FieldDescriptorProto
    for message_name, fields in _MESSAGES.items():
        message = file.message_type.add(name=message_name)
        for name, (number, declared) in fields.items():
            kind = declared.lstrip("*")
            field = message.field.add(name=name, number=number)
            field.label = field_type.LABEL_OPTIONAL
            if declared != kind:
                field.label = field_type.LABEL_REPEATED
            if kind.isupper():
                field.type = field_type.Type.Value(f"TYPE_{kind}")
            else:
                field.type = field_type.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = message_classes(pool, [f"{_PACKAGE}.{name}" for name in _MESSAGES])
    return {name: found[f"{_PACKAGE}.{name}"] for name in _MESSAGES}
