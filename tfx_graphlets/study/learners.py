"""Learners by name: one interface over trees and logistic regression."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from importlib import metadata
from typing import Final, Protocol

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.study.logistic import train_logistic
from tfx_graphlets.trace.trace import BoolArray, FloatArray
from tfx_graphlets.waste_model.learner import (
    GRADIENT_TREES,
    RANDOM_FOREST,
    GradientTreesSettings,
    LearnerSettings,
    library_versions,
    train_forest,
)

LOGISTIC: Final = "logistic"
LEARNERS: Final = (RANDOM_FOREST, GRADIENT_TREES, LOGISTIC)


def versions(learners: Sequence[str]) -> dict[str, str]:
    """Versions of the libraries that learners depend on, by package."""
    found = library_versions()
    if LOGISTIC in learners:
        found["scikit-learn"] = metadata.version("scikit-learn")
    return found


class Trained(Protocol):
    """What a learner makes."""

    def predict(self, table: FeatureTable) -> FloatArray:
        """Probability of a push, float64 [n], 0..1."""
        ...


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
