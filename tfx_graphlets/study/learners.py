"""Learners by name: one interface over trees and, for comparison, logistic regression."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING, Final, Union

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError, MissingDependencyError
from tfx_graphlets.features.table import Feature, FeatureKind, FeatureTable
from tfx_graphlets.trace.trace import BoolArray, FloatArray
from tfx_graphlets.waste_model.learner import (
    GRADIENT_TREES,
    RANDOM_FOREST,
    Forest,
    GradientTreesSettings,
    LearnerSettings,
    library_versions,
    train_forest,
)

if TYPE_CHECKING:
    from sklearn.linear_model import LogisticRegression

INVERSE_PENALTY: Final = 0.05  # more features than pushes: a strong L2 penalty
# A stranger's cost or age may lie far outside of what was seen; trees take that
# for the largest seen, and this keeps a line from running away with it.
_FARTHEST = 4.0  # standard deviations
_MIN_CATEGORY_COUNT = 2  # as the trees have it
_MOST_ITERATIONS = 2000


@dataclasses.dataclass(frozen=True, eq=False)
class _Encoding:
    """How one feature becomes columns.

    Attributes:
      feature: the feature.
      middle, scale: median, and standard deviation after filling it in.
      may_miss: whether an indicator of missing is one of the columns.
      categories: those that get a column.
    """

    feature: Feature
    middle: float
    scale: float
    may_miss: bool
    categories: tuple[str, ...]

    @classmethod
    def of(cls, feature: Feature, table: FeatureTable) -> _Encoding:
        if feature.kind is FeatureKind.CATEGORY:
            counts = Counter(value for value in table.columns[feature.name] if value)
            kept = sorted(
                str(name) for name, count in counts.items() if count >= _MIN_CATEGORY_COUNT
            )
            return cls(feature, 0.0, 1.0, may_miss=False, categories=tuple(kept))
        column = table.numbers(feature.name)
        known = np.isfinite(column)
        middle = float(np.median(column[known])) if known.any() else 0.0
        scale = float(np.where(known, column, middle).std())
        return cls(
            feature, middle, scale, may_miss=bool(known.any() and not known.all()), categories=()
        )

    def columns(self, table: FeatureTable) -> list[FloatArray]:
        if self.feature.kind is FeatureKind.CATEGORY:
            values = table.columns[self.feature.name]
            return [np.array([v == name for v in values], np.float64) for name in self.categories]
        column = table.numbers(self.feature.name)
        known = np.isfinite(column)
        result = []
        if self.scale > 0:
            filled = np.where(known, column, self.middle)
            result.append(np.clip((filled - self.middle) / self.scale, -_FARTHEST, _FARTHEST))
        if self.may_miss:
            result.append((~known).astype(np.float64))
        return result


class LogisticModel:
    """A trained logistic regression; see ``train_logistic``."""

    def __init__(self, encodings: tuple[_Encoding, ...], model: LogisticRegression) -> None:
        self._encodings = encodings
        self._model = model

    def predict(self, table: FeatureTable) -> FloatArray:
        """Probability of a push, float64 [n], 0..1."""
        if not len(table):
            return np.zeros(0)
        matrix = _matrix(self._encodings, table)
        return np.asarray(self._model.predict_proba(matrix)[:, 1], np.float64)


def train_logistic(
    table: FeatureTable, pushed: BoolArray, inverse_penalty: float = INVERSE_PENALTY
) -> LogisticModel:
    """Fits a logistic regression with an L2 penalty; no randomness.

    Numbers are filled in with the training data's median, with an indicator
    of missing beside them, and standardised; a category that occurs twice or
    more has a column.

    Args:
      table: features [n].
      pushed: labels, bool [n]; both must occur.
      inverse_penalty: the smaller, the closer to the share of pushes.

    Raises:
      InvalidArgumentError: only one label occurs.
      MissingDependencyError: scikit-learn is not installed.
    """
    if len(np.unique(pushed)) < 2:
        raise InvalidArgumentError("pushed", len(pushed), "both labels must occur")
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise MissingDependencyError("scikit-learn", "study", "logistic regression") from error
    encodings = tuple(_Encoding.of(feature, table) for feature in table.features)
    model = LogisticRegression(C=inverse_penalty, max_iter=_MOST_ITERATIONS)
    model.fit(_matrix(encodings, table), np.asarray(pushed, np.int64))
    return LogisticModel(encodings, model)


def _matrix(encodings: tuple[_Encoding, ...], table: FeatureTable) -> FloatArray:
    # The constant keeps the matrix from being empty where no feature varies.
    columns = [np.zeros(len(table))]
    for encoding in encodings:
        columns.extend(encoding.columns(table))
    return np.stack(columns, axis=1)


LOGISTIC: Final = "logistic"
LEARNERS: Final = (RANDOM_FOREST, GRADIENT_TREES, LOGISTIC)


def versions(learners: Sequence[str]) -> dict[str, str]:
    """Versions of the libraries that learners depend on, by package."""
    found = library_versions()
    if LOGISTIC in learners:
        found["scikit-learn"] = metadata.version("scikit-learn")
    return found


Trained = Union[LogisticModel, Forest]


@dataclasses.dataclass(frozen=True)
class Learner:
    """A way to learn.

    Attributes:
      name: ``random_forest`` (the paper's), ``gradient_trees`` or ``logistic``.
      trees: of a random forest; the others take no notice of it.
    """

    name: str = RANDOM_FOREST
    trees: int = 100

    def __post_init__(self) -> None:
        if self.name not in LEARNERS:
            raise InvalidArgumentError("name", self.name, f"must be one of {', '.join(LEARNERS)}")

    def train(self, table: FeatureTable, pushed: BoolArray, seed: int) -> Trained:
        """Learns; the same arguments give the same predictions.

        Args:
          table: features [n].
          pushed: labels, bool [n]; both must occur.
          seed: of all randomness.

        Raises:
          InvalidArgumentError: only one label occurs.
          MissingDependencyError: the learner's library is not installed.
        """
        if self.name == LOGISTIC:
            return train_logistic(table, pushed)
        if self.name == GRADIENT_TREES:
            return train_forest(table, pushed, GradientTreesSettings(), seed)
        return train_forest(table, pushed, LearnerSettings(trees=self.trees), seed)
