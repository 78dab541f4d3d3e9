"""Scouts: small linear models that are trained in a fraction of a second."""

from __future__ import annotations

import dataclasses
import json
import warnings
from typing import Final

import numpy as np

from tfx_graphlets.errors import GraphletsError, InvalidArgumentError, MissingDependencyError
from tfx_graphlets.rehearsal.encoding import Encoding, ExampleColumns
from tfx_graphlets.rehearsal.metrics import Task
from tfx_graphlets.trace.trace import FloatArray

KIND: Final = "tfx_graphlets.scout"
FORMAT_VERSION: Final = 1
MOST_ROWS: Final = 20_000
# Pseudo-examples of each class in a window that holds one class alone.
_SMOOTHING: Final = 0.5
_MOST_STEPS: Final = 200


class ScoutFormatError(GraphletsError):
    """The file of a scout cannot be used."""


@dataclasses.dataclass(frozen=True)
class Scout:
    """A linear model over encoded columns.

    Attributes:
      task: what it predicts.
      encoding: how it reads columns.
      weights: float64 [width, outputs]; one output for BINARY and REGRESSION.
      bias: float64 [outputs], log-odds, or the label's unit.
    """

    task: Task
    encoding: Encoding
    weights: FloatArray
    bias: FloatArray

    def predict(self, columns: ExampleColumns) -> FloatArray:
        """What it predicts of examples; see Task for shape and unit.

        Raises:
          InvalidArgumentError: a column that it was trained on is missing.
        """
        values = self.encoding.matrix(columns) @ self.weights + self.bias
        if self.task is Task.REGRESSION:
            return values[:, 0]
        if self.task is Task.BINARY:
            return 1.0 / (1.0 + np.exp(-np.clip(values[:, 0], -30.0, 30.0)))
        odds = np.exp(values - values.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def to_bytes(self) -> bytes:
        """As a JSON document."""
        document = {
            "kind": KIND,
            "format_version": FORMAT_VERSION,
            "task": self.task.value,
            "encoding": self.encoding.to_dict(),
            "weights": self.weights.tolist(),
            "bias": self.bias.tolist(),
        }
        return json.dumps(document, allow_nan=False).encode() + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes) -> Scout:
        """The scout that ``to_bytes`` wrote.

        Raises:
          ScoutFormatError: it is damaged, or of a format that this release does not know.
        """
        try:
            document = json.loads(content)
            if (document["kind"], document["format_version"]) != (KIND, FORMAT_VERSION):
                raise ScoutFormatError(
                    f"the scout's format is {document['kind']} {document['format_version']}, this "
                    f"release reads {KIND} {FORMAT_VERSION}"
                )
            bias = np.array(document["bias"], np.float64)
            weights = np.array(document["weights"], np.float64).reshape(-1, len(bias))
            return cls(
                Task(document["task"]), Encoding.from_dict(document["encoding"]), weights, bias
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ScoutFormatError(f"the scout cannot be read: {error}") from error


def train_scout(
    task: Task,
    columns: ExampleColumns,
    label: FloatArray,
    *,
    classes: int = 0,
    seed: int = 0,
    most_rows: int = MOST_ROWS,
) -> Scout:
    """Trains a scout: logistic regression, or ridge regression.

    >>> import numpy as np
    >>> x = np.arange(100.0)
    >>> scout = train_scout(Task.BINARY, {"x": x}, (x > 49).astype(float))
    >>> scout.predict({"x": np.array([0.0, 99.0])}).round(2).tolist()
    [0.0, 1.0]

    Args:
      task: what is predicted.
      columns: values by name, without the label.
      label: float64 [n], see Task.
      classes: how many classes there are, for MULTI_CLASS; by default those of
        the labels.
      seed: of the draw, where there are more than ``most_rows`` examples.
      most_rows: at least 1.

    Raises:
      InvalidArgumentError: there are no examples or columns, or labels that do
        not belong to the task.
      MissingDependencyError: scikit-learn is not installed.
    """
    if not len(label):
        raise InvalidArgumentError("label", [], "must hold at least one example")
    if not columns:
        raise InvalidArgumentError("columns", [], "must hold at least one column")
    if not np.isfinite(label).all():
        raise InvalidArgumentError("label", label.tolist()[:5], "must be finite numbers")
    if len(label) > most_rows:
        chosen = np.sort(np.random.default_rng(seed).choice(len(label), most_rows, replace=False))
        label = label[chosen]
        columns = {name: values[chosen] for name, values in columns.items()}
    encoding = Encoding.of(columns)
    matrix = encoding.matrix(columns)
    if task is Task.REGRESSION:
        return Scout(task, encoding, *_ridge(matrix, label))
    if task is Task.BINARY and not np.isin(label, (0.0, 1.0)).all():
        raise InvalidArgumentError("label", label.tolist()[:5], "must be 0 or 1")
    if (label != np.floor(label)).any() or (label < 0).any():
        raise InvalidArgumentError("label", label.tolist()[:5], "must be whole numbers from 0")
    count = 2 if task is Task.BINARY else max(classes, int(label.max()) + 1, 2)
    weights, bias = _logistic(matrix, label.astype(np.int64), count)
    if task is Task.BINARY:  # the log-odds of 1 against 0
        weights, bias = weights[:, 1:] - weights[:, :1], bias[1:] - bias[:1]
    return Scout(task, encoding, weights, bias)


def _logistic(matrix: FloatArray, label: FloatArray, classes: int) -> tuple[FloatArray, FloatArray]:
    """Weights [width, classes] and bias [classes]; a class that is not there is unlikely."""
    counts = np.bincount(label, minlength=classes) + _SMOOTHING
    bias = np.log(counts / counts.sum())
    weights = np.zeros((matrix.shape[1], classes))
    present = np.unique(label)
    if len(present) < 2:
        return weights, bias
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingDependencyError("scikit-learn", "rehearsal", "a rehearsal") from error

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=_MOST_STEPS).fit(matrix, label)
    if len(present) == 2:  # one row, of the second against the first
        weights[:, present[1]] = model.coef_[0]
        bias[present] = 0.0, model.intercept_[0]
    else:
        weights[:, present] = model.coef_.T
        bias[present] = model.intercept_
    absent = np.setdiff1d(np.arange(classes), present)
    if len(absent):
        bias[absent] = bias[present].min() + np.log(_SMOOTHING / len(label))
    return weights, bias


def _ridge(matrix: FloatArray, label: FloatArray) -> tuple[FloatArray, FloatArray]:
    try:
        from sklearn.linear_model import Ridge
    except ImportError as error:
        raise MissingDependencyError("scikit-learn", "rehearsal", "a rehearsal") from error

    model = Ridge(alpha=1.0).fit(matrix, label)
    return model.coef_.reshape(-1, 1), np.atleast_1d(model.intercept_).astype(np.float64)
