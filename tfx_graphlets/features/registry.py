"""What a group of features is: declarations, and a function that fills one row."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Union

from tfx_graphlets.features.table import Feature, FeatureKind
from tfx_graphlets.features.view import View
from tfx_graphlets.vocabulary import Stage

Value = Union[float, str, None]


@dataclasses.dataclass(frozen=True)
class FeatureGroup:
    """Features that are computed together.

    Attributes:
      features: declarations; all names start with the group's name.
      describe: values by feature name of one row. It may return values of
        later stages than the view's, which are dropped, and may leave out
        names, which are missing.
    """

    features: tuple[Feature, ...]
    describe: Callable[[View], Mapping[str, Value]]


def numbers(
    group: str, stage: Stage, missing: str, source: str, **unit_of_name: str
) -> tuple[Feature, ...]:
    """Declares numbers that share stage, meaning of missing and source.

    Args:
      group: first part of their names.
      stage: earliest stage at which they are known.
      missing: what a missing value means.
      source: where they come from.
      unit_of_name: unit by the second part of each name.
    """
    return tuple(
        Feature(f"{group}.{name}", stage, FeatureKind.NUMBER, unit, missing, source)
        for name, unit in unit_of_name.items()
    )


def category(name: str, stage: Stage, missing: str, source: str, unit: str) -> Feature:
    """Declares a feature that is one of few names; see ``Feature``."""
    return Feature(name, stage, FeatureKind.CATEGORY, unit, missing, source)
