"""What an Evaluator's ``eval_config`` asks for: thresholds, baseline, label.

The JSON of TFMA's ``EvalConfig`` (``config.proto`` of TFMA 0.47), as TFX keeps
it in an execution property and TFMA in the file ``eval_config.json``.
"""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Iterable, Iterator, Mapping

from tfx_graphlets.payloads.bounds import parsed_json


@dataclasses.dataclass(frozen=True)
class MetricThreshold:
    """What an Evaluator demands of one metric on all examples (TFMA MetricThreshold).

    Attributes:
      metric: the metric's name as the metrics file writes it, or its class.
      lower_bound, upper_bound: bounds on the candidate's value, None if none.
      change_absolute: bound on candidate minus baseline, None if none.
      change_relative: bound on that difference as a share of the baseline's
        value, None if none.
      higher_is_better: direction of the change threshold, None if unknown.
    """

    metric: str
    lower_bound: float | None = None
    upper_bound: float | None = None
    change_absolute: float | None = None
    change_relative: float | None = None
    higher_is_better: bool | None = None

    @property
    def has_change(self) -> bool:
        """True if it compares the candidate with the baseline."""
        return self.change_absolute is not None or self.change_relative is not None


@dataclasses.dataclass(frozen=True)
class AskedMetric:
    """A metric that an EvalConfig asks for.

    Attributes:
      name: as the metrics file writes it where the config names it, else its class.
      class_name: of Keras or TFMA.
      config: its settings by name.
      thresholds: on all examples.
      scope: what it is computed for other than one output as it is: "several
        outputs", "binarize", "aggregate"; "" for that.
    """

    name: str
    class_name: str
    config: Mapping[str, object]
    thresholds: tuple[MetricThreshold, ...]
    scope: str = ""


@functools.lru_cache(maxsize=256)
def asked_metrics(text: str) -> tuple[AskedMetric, ...]:
    """Metrics that an EvalConfig (JSON) declares, in its order, with their overall thresholds.

    Returns: empty where there is none or the text cannot be read. Thresholds of
      a metrics spec that stand by name alone belong to a metric of that name.
    """
    found = []
    for spec in _items(_config(text), "metrics_specs"):
        scope = _scope(spec)
        for metric in _items(spec, "metrics"):
            class_name = str(metric.get("class_name", ""))
            given = parsed_json(metric.get("config", ""))
            config = given if isinstance(given, dict) else {}
            name = str(config.get("name") or class_name)
            thresholds = [metric.get("threshold"), *_overall_thresholds(metric)]
            found.append(
                AskedMetric(
                    name, class_name, config, _known(_threshold(name, t) for t in thresholds), scope
                )
            )
        by_name = spec.get("thresholds")
        if isinstance(by_name, dict):
            for name, threshold in by_name.items():
                bounds = _known([_threshold(name, threshold)])
                found.append(AskedMetric(name, name, {}, bounds, scope))
    return tuple(found)


def thresholds_of_config(text: str) -> tuple[MetricThreshold, ...]:
    """Thresholds on all examples that an EvalConfig declares.

    Args:
      text: JSON of the execution property ``eval_config`` or of the file
        ``eval_config.json``.

    Returns: in the order of the config; empty where there is none or the text
      cannot be read. Thresholds of single slices are left out.
    """
    return tuple(bound for metric in asked_metrics(text) for bound in metric.thresholds)


@functools.lru_cache(maxsize=256)
def slice_thresholds_of_config(text: str) -> tuple[str, ...]:
    """Names of the metrics that have thresholds on single slices, or across slices."""
    found = []
    for spec in _items(_config(text), "metrics_specs"):
        for metric in _items(spec, "metrics"):
            single = [
                entry
                for entry in _items(metric, "per_slice_thresholds")
                if entry not in _overall_entries(metric)
            ]
            if single or metric.get("cross_slice_thresholds"):
                found.append(str(metric.get("class_name", "")))
        for key in ("per_slice_thresholds", "cross_slice_thresholds"):
            by_name = spec.get(key)
            found += [str(name) for name in by_name] if isinstance(by_name, dict) else []
    return tuple(found)


@functools.lru_cache(maxsize=256)
def model_spec_of_config(text: str) -> Mapping[str, object]:
    """The first model spec that is not the baseline's; empty where there is none."""
    specs = _items(_config(text), "model_specs")
    return next((spec for spec in specs if not spec.get("is_baseline")), {})


@functools.lru_cache(maxsize=256)
def baseline_names_of_config(text: str) -> frozenset[str]:
    """Names of the models that an EvalConfig (JSON) marks as the baseline."""
    specs = _items(_config(text), "model_specs")
    return frozenset(str(spec.get("name", "")) for spec in specs if spec.get("is_baseline"))


@functools.lru_cache(maxsize=256)
def is_config(text: str) -> bool:
    """True if a text is an EvalConfig (JSON) that says how models are evaluated."""
    return bool(_config(text))


@functools.lru_cache(maxsize=256)
def label_key_of_config(text: str) -> str | None:
    """Name of the label that an EvalConfig (JSON) declares for the candidate.

    Returns: ``label_key`` of the first model spec that has one, those of the
      baseline last; None where there is none (several outputs, each with a
      label of its own, count as none).
    """
    specs = sorted(_items(_config(text), "model_specs"), key=lambda s: bool(s.get("is_baseline")))
    keys = [spec.get("label_key") for spec in specs]
    return next((key for key in keys if isinstance(key, str) and key), None)


def _known(thresholds: Iterable[MetricThreshold | None]) -> tuple[MetricThreshold, ...]:
    return tuple(threshold for threshold in thresholds if threshold is not None)


def _scope(spec: Mapping[str, object]) -> str:
    if spec.get("output_names"):
        return "several outputs"
    return next((key for key in ("binarize", "aggregate") if spec.get(key)), "")


def _overall_entries(metric: Mapping[str, object]) -> list[dict[str, object]]:
    """Thresholds per slice whose slicing specs hold the empty one: all examples."""
    entries = _items(metric, "per_slice_thresholds")
    return [e for e in entries if any(not spec for spec in _items(e, "slicing_specs"))]


def _overall_thresholds(metric: Mapping[str, object]) -> Iterator[object]:
    for entry in _overall_entries(metric):
        yield entry.get("threshold")


def _threshold(metric: str, threshold: object) -> MetricThreshold | None:
    if not isinstance(threshold, dict):
        return None
    value, change = threshold.get("value_threshold"), threshold.get("change_threshold")
    value = value if isinstance(value, dict) else {}
    change = change if isinstance(change, dict) else {}
    direction = change.get("direction")
    better = {"HIGHER_IS_BETTER": True, 2: True, "LOWER_IS_BETTER": False, 1: False}
    return MetricThreshold(
        metric,
        lower_bound=_number(value.get("lower_bound")),
        upper_bound=_number(value.get("upper_bound")),
        change_absolute=_number(change.get("absolute")),
        change_relative=_number(change.get("relative")),
        higher_is_better=better.get(direction) if isinstance(direction, (str, int)) else None,
    )


@functools.lru_cache(maxsize=256)
def _config(text: str) -> Mapping[str, object]:
    config = _snake(parsed_json(text))
    if isinstance(config, dict) and isinstance(config.get("eval_config"), dict):
        config = config["eval_config"]
    return config if isinstance(config, dict) else {}


def _snake(value: object) -> object:
    """The same JSON value, camel case keys in snake case."""
    if isinstance(value, dict):
        return {
            re.sub(r"(?<!^)(?=[A-Z])", "_", str(key)).lower(): _snake(item)
            for key, item in value.items()
        }
    return [_snake(item) for item in value] if isinstance(value, list) else value


def _items(holder: Mapping[str, object], key: str) -> list[dict[str, object]]:
    items = holder.get(key)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _number(value: object) -> float | None:
    if isinstance(value, dict):  # some versions write {"value": 0.5}
        value = value.get("value", 0.0)
    if isinstance(value, (int, float, str)):
        try:
            return float(value)
        except ValueError:
            return None
    return None
