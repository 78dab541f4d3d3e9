"""One rehearsal: metrics and margins of scouts and probes on the split that counts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Mapping
from typing import Final

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.payloads.evaluation import (
    EvaluationMetrics,
    change_margin,
    metric_value,
    value_margin,
)
from tfx_graphlets.rehearsal.demand import Demand, NotCoveredError
from tfx_graphlets.rehearsal.encoding import Array, ExampleColumns
from tfx_graphlets.rehearsal.metrics import Task, measure
from tfx_graphlets.rehearsal.scouts import Scout, train_scout
from tfx_graphlets.trace.trace import FloatArray

_LEAST_EXAMPLES: Final = 10  # fewer may agree by chance
_THE_SAME: Final = 1.0 - 1e-6  # absolute correlation


@dataclasses.dataclass(frozen=True)
class Split:
    """Examples with their label.

    Attributes:
      columns: values by name, without the label; see ``encoding.Array``.
      label: float64 [n], NaN where missing.
    """

    columns: ExampleColumns
    label: FloatArray

    def __len__(self) -> int:
        return len(self.label)

    def labelled(self) -> tuple[Split, FloatArray]:
        """The examples that have a label, and which these are, bool [n]."""
        known = np.isfinite(self.label)
        columns = {name: values[known] for name, values in self.columns.items()}
        return Split(columns, self.label[known]), known

    def without(self, names: Collection[str]) -> Split:
        """The examples without some columns."""
        columns = {name: values for name, values in self.columns.items() if name not in names}
        return Split(columns, self.label)


def without_label(split: Split, label: str) -> tuple[Split, frozenset[str]]:
    """The examples without columns that are the label in other words.

    Transform puts the label out under a name of its own. Dropped is a column of
    the label's name, one that is a linear function of it, and text that tells
    its values apart one to one.

    Returns: the examples, and the names that were dropped.
    """
    known, _ = split.labelled()
    dropped = frozenset(
        name
        for name, values in known.columns.items()
        if name == label or _gives_away(values, known.label)
    )
    return split.without(dropped), dropped


def _gives_away(values: Array, label: FloatArray) -> bool:
    if len(label) < _LEAST_EXAMPLES or len(np.unique(label)) < 2:
        return False
    if values.dtype == object:
        pairs = set(zip(values.tolist(), label.tolist()))
        return len(pairs) == len(set(values.tolist())) == len(np.unique(label))
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or not np.isfinite(numbers).all() or np.ptp(numbers) == 0:
        return False
    return abs(float(np.corrcoef(numbers, label)[0, 1])) > _THE_SAME


@dataclasses.dataclass(frozen=True)
class Rehearsed:
    """What a rehearsal measured; every number is NaN where it was not.

    Attributes:
      metric: name of the metric that ``serving`` to ``probe`` are of.
      serving, scout, previous_scout, probe: its value of the serving model, of
        a scout that was trained on this window, of the scout that was trained
        for the last blessed model, and of the user's code in short.
      serving_value_margin, scout_value_margin, probe_value_margin: smallest
        margin to the value thresholds, unit of the metric; negative where one
        is missed.
      scout_change_margin, probe_change_margin: smallest margin to the change
        thresholds, against the serving model.
      pair_change_margin: the same of the scout against the previous scout: what
        this window changes for one and the same learner.
      num_examples: of the split that was judged on.
      new_scout: the scout of this window; None where none was trained.
    """

    metric: str
    serving: float
    scout: float
    previous_scout: float
    probe: float
    serving_value_margin: float
    scout_value_margin: float
    scout_change_margin: float
    pair_change_margin: float
    probe_value_margin: float
    probe_change_margin: float
    num_examples: int
    new_scout: Scout | None = dataclasses.field(default=None, repr=False)

    def numbers(self) -> dict[str, float]:
        """The numbers that are known, by name."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            name: value
            for name, value in values.items()
            if isinstance(value, float) and math.isfinite(value)
        }


def rehearse(
    demand: Demand,
    train: Split,
    judged: Split,
    *,
    serving: FloatArray | None = None,
    serving_metrics: Mapping[str, float] | None = None,
    previous: Scout | None = None,
    probe: FloatArray | None = None,
    seed: int = 0,
) -> Rehearsed:
    """Trains a scout, and measures it and others by what the Evaluator will ask.

    Args:
      demand: what is measured.
      train: the examples that the model would be trained on.
      judged: the examples that it would be judged on.
      serving: what the serving model predicts of ``judged``, see Task.
      serving_metrics: in its place, its metrics by name, where they are known.
      previous: the scout of the last blessed model; one that does not fit the
        columns any more is left out.
      probe: what the user's code, trained in short, predicts of ``judged``.
      seed: of a draw of rows, where there are more than ``scouts.MOST_ROWS``.

    Raises:
      NotCoveredError: no example has a label, or labels are not of the task.
    """
    known_train, _ = train.labelled()
    known, mask = judged.labelled()
    if not len(known_train) or not len(known):
        raise NotCoveredError([f"No example of a split has the label {demand.label!r}."])
    try:
        scout = train_scout(
            demand.task,
            known_train.columns,
            known_train.label,
            classes=_classes(demand.task, known.label, serving),
            seed=seed,
        )
        values = _values(demand, known, scout.predict(known.columns))
        serves = dict(serving_metrics or {})
        if serving is not None:
            serves = _values(demand, known, serving[mask])
        probed = {} if probe is None else _values(demand, known, probe[mask])
    except InvalidArgumentError as error:
        raise NotCoveredError([f"The examples are not covered: {error}."]) from error
    before = _previous_values(demand, known, previous)
    name = demand.judged.name
    return Rehearsed(
        metric=name,
        serving=metric_value(serves, name),
        scout=metric_value(values, name),
        previous_scout=metric_value(before, name),
        probe=metric_value(probed, name),
        serving_value_margin=_by_value(demand, serves),
        scout_value_margin=_by_value(demand, values),
        scout_change_margin=_by_change(demand, values, serves),
        pair_change_margin=_by_change(demand, values, before),
        probe_value_margin=_by_value(demand, probed),
        probe_change_margin=_by_change(demand, probed, serves),
        num_examples=len(known),
        new_scout=scout,
    )


def _values(demand: Demand, split: Split, prediction: FloatArray) -> dict[str, float]:
    return measure(demand.metrics, split.label, prediction, demand.task)


def _previous_values(demand: Demand, split: Split, previous: Scout | None) -> dict[str, float]:
    if previous is None or previous.task is not demand.task:
        return {}
    try:
        return _values(demand, split, previous.predict(split.columns))
    except InvalidArgumentError:  # trained on other columns, or on fewer classes
        return {}


def _classes(task: Task, label: FloatArray, serving: FloatArray | None) -> int:
    if task is not Task.MULTI_CLASS:
        return 0
    served = serving.shape[1] if serving is not None and serving.ndim == 2 else 0
    return max(served, int(label.max()) + 1)


def _by_value(demand: Demand, values: Mapping[str, float]) -> float:
    return value_margin(_metrics(values, {}), demand.thresholds)


def _by_change(demand: Demand, values: Mapping[str, float], base: Mapping[str, float]) -> float:
    return change_margin(_metrics(values, base), demand.thresholds)


def _metrics(values: Mapping[str, float], base: Mapping[str, float]) -> EvaluationMetrics:
    return EvaluationMetrics(
        candidate=values, baseline=base, change={}, validation_ok=None, failed=(), thresholds=()
    )
