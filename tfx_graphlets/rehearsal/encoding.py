"""From columns of examples to the matrix that a scout is trained on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.trace.trace import FloatArray

# Values of a column by example: float64 [n] or [n, k], NaN where missing; or text, dtype
# object [n], None where missing.
Array = npt.NDArray[Union[np.float64, np.object_]]
ExampleColumns = Mapping[str, Array]

MOST_CATEGORIES = 128


@dataclasses.dataclass(frozen=True)
class Encoding:
    """How columns become a matrix; made from a window, applied to any other.

    Attributes:
      numbers: mean and deviation of each number of a column.
      categories: the values of a column that have a place of their own; a whole
        number is compared as text.
    """

    numbers: Mapping[str, tuple[tuple[float, float], ...]]
    categories: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, columns: ExampleColumns) -> Encoding:
        """The encoding of a window.

        Numbers are scaled. Text, and whole numbers of at most MOST_CATEGORIES
        values, get a place for each of their most frequent values.
        """
        numbers: dict[str, tuple[tuple[float, float], ...]] = {}
        categories: dict[str, tuple[str, ...]] = {}
        for name, values in sorted(columns.items()):
            if values.dtype == object:
                categories[name] = _most_frequent(values)
                continue
            matrix = _two_dimensional(values)
            numbers[name] = tuple(_scale(matrix[:, place]) for place in range(matrix.shape[1]))
            if matrix.shape[1] == 1 and _is_category(matrix[:, 0]):
                categories[name] = _most_frequent(_as_text(matrix[:, 0]))
        return cls(numbers, categories)

    def matrix(self, columns: ExampleColumns) -> FloatArray:
        """The matrix of some examples, float64 [n, width]; a missing value is all zeros.

        Raises:
          InvalidArgumentError: a column of the encoding is missing or has another shape.
        """
        for name in {**self.numbers, **self.categories}:
            if name not in columns:
                raise InvalidArgumentError(
                    "columns", sorted(columns), f"must hold {name!r}, which the scout has seen"
                )
        parts = [np.zeros((len(next(iter(columns.values()), ())), 0))]
        for name, scales in self.numbers.items():
            values = columns[name]
            if values.dtype == object or _two_dimensional(values).shape[1] != len(scales):
                raise InvalidArgumentError(
                    "columns", name, f"must hold {len(scales)} numbers for each example"
                )
            mean, deviation = np.array(scales).T
            parts.append(np.nan_to_num((_two_dimensional(values) - mean) / deviation))
        for name, known in self.categories.items():
            values = columns[name]
            text = values if values.dtype == object else _as_text(_two_dimensional(values)[:, 0])
            place = {value: at for at, value in enumerate(known)}
            at = np.array([place.get(value, -1) for value in text.tolist()], np.int64)
            parts.append((at[:, None] == np.arange(len(known))).astype(np.float64))
        return np.concatenate(parts, axis=1)

    def to_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "numbers": {name: [list(s) for s in scales] for name, scales in self.numbers.items()},
            "categories": {name: list(values) for name, values in self.categories.items()},
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Encoding:
        """The encoding that ``to_dict`` gave."""
        numbers = {
            str(name): tuple((float(mean), float(scale)) for mean, scale in scales)
            for name, scales in document["numbers"].items()
        }
        categories = {n: tuple(map(str, values)) for n, values in document["categories"].items()}
        return cls(numbers, categories)


def _two_dimensional(values: Array) -> FloatArray:
    matrix = np.asarray(values, np.float64)
    return matrix.reshape(len(matrix), -1) if len(matrix) else matrix.reshape(0, 1)


def _scale(values: FloatArray) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 1.0
    return float(known.mean()), float(known.std()) or 1.0


def _is_category(values: FloatArray) -> bool:
    known = values[np.isfinite(values)]
    return bool((known == np.floor(known)).all()) and 2 < len(np.unique(known)) <= MOST_CATEGORIES


def _as_text(values: FloatArray) -> Array:
    known = np.isfinite(values)
    text = [str(int(value)) if ok else None for value, ok in zip(values.tolist(), known.tolist())]
    return np.array(text, object)


def _most_frequent(values: Array) -> tuple[str, ...]:
    found, counts = np.unique(
        [value for value in values.tolist() if value is not None], return_counts=True
    )
    order = np.lexsort((found, -counts))[:MOST_CATEGORIES]
    return tuple(sorted(str(found[at]) for at in order))
