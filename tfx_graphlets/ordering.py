"""Rows of many integer columns in order, in linear time where they nearly are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
_BITS = 63  # of a number that may not be negative
_SPREAD = 4  # a table over all numbers between two ids may be so much larger than the ids


def positions_of(ids: IntArray, wanted: NDArray[Any]) -> IntArray:
    """Position of each wanted id in ascending ``ids``, int64, -1 where absent."""
    if not len(ids) or not len(wanted):
        return np.full(len(wanted), -1, np.int64)
    first, last = int(ids[0]), int(ids[-1])
    span = last - first + 1
    if span > _SPREAD * len(ids) + 1_024:
        position = np.searchsorted(ids, wanted)
        np.minimum(position, len(ids) - 1, out=position)
        position[ids[position] != wanted] = -1
        return position.astype(np.int64, copy=False)
    outside = (wanted < first) | (wanted > last)
    place = wanted.astype(np.int64)
    place -= first
    place[outside] = 0
    if span > len(ids):
        table = np.full(span, -1, np.int64)
        table[ids - first] = np.arange(len(ids))
        place = table[place]
    place[outside] = -1
    return place


def order_of(columns: Sequence[NDArray[Any]]) -> IntArray | None:
    """The order that sorts the rows, the first column counting most.

    Args:
      columns: integers [n] each.

    Returns:
      int64 [n], equal rows in the order in which they stand; None where the
      rows are in order already.
    """
    packed = pack(columns)
    if packed is None:
        order = np.lexsort(tuple(reversed(columns)))
        return None if bool((np.diff(order) == 1).all()) else order.astype(np.int64, copy=False)
    if is_ascending(packed):
        return None
    return np.argsort(packed, kind="stable").astype(np.int64, copy=False)


def pack(columns: Sequence[NDArray[Any]]) -> IntArray | None:
    """One number per row that orders the rows as the columns do, the first counting most.

    Returns: int64 [n], none negative; None where 63 bits do not hold the columns.
    """
    if not len(columns[0]):
        return np.zeros(0, np.int64)
    lowest = [int(column.min()) for column in columns]
    widths = [_width(int(column.max()) - low) for column, low in zip(columns, lowest)]
    if sum(widths) > _BITS:
        return None
    packed = np.zeros(len(columns[0]), np.int64)
    for column, low, width in zip(columns, lowest, widths):
        packed <<= width
        packed += column
        if low:
            packed -= low
    return packed


def sort_rows(columns: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """The rows in order, the first column counting most; ``columns`` is emptied.

    Emptying it lets go of each column as soon as it is packed away, so that
    no more than one number per row is held beside the result.

    Returns: the columns, each of its dtype.
    """
    packed = pack(columns)
    if packed is None:
        order = np.lexsort(tuple(reversed(columns)))
        return [column[order] for column in columns]
    if is_ascending(packed):
        return columns
    described = [
        (column.dtype, int(column.min()), _width(int(column.max()) - int(column.min())))
        for column in columns
    ]
    columns.clear()
    packed.sort(kind="stable")  # faster than the default one on rows that are nearly in order
    result: list[NDArray[Any]] = []
    for number, (dtype, low, width) in enumerate(reversed(described), start=1):
        column = (packed & ((1 << width) - 1)).astype(dtype)
        if low:
            column += dtype.type(low)
        result.insert(0, column)
        if number < len(described):
            packed >>= width
    return result


def is_ascending(values: NDArray[Any]) -> bool:
    """True if no value is lower than the one before it."""
    return bool((values[1:] >= values[:-1]).all())


def _width(largest: int) -> int:
    return max(1, largest.bit_length())
