"""Rows of many integer columns in order, in linear time where they nearly are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
_BITS = 63  # of a number that may not be negative
_AT_ONCE = 2**20  # rows
_SPREAD = 4  # a table over all numbers between two ids may be so much larger than the ids


def positions_of(
    ids: IntArray, wanted: NDArray[Any], dtype: type[np.integer[Any]] = np.int64
) -> NDArray[Any]:
    """Position of each wanted id in ascending ``ids``, -1 where absent.

    Args:
      ids: int64 [n], none twice.
      wanted: integers [k].
      dtype: of the result; int32 holds every position of fewer than 2**31 ids.

    Returns: integers [k].
    """
    if not len(ids) or not len(wanted):
        return np.full(len(wanted), -1, dtype)
    first, last = int(ids[0]), int(ids[-1])
    span = last - first + 1
    if span > _SPREAD * len(ids) + 1_024:
        position = np.searchsorted(ids, wanted)
        np.minimum(position, len(ids) - 1, out=position)
        position[ids[position] != wanted] = -1
        return position.astype(dtype, copy=False)
    outside = (wanted < first) | (wanted > last)
    some_outside = bool(outside.any())
    # Where the ids are without gaps, a subtraction finds the position.
    fits = first >= 0 and last <= np.iinfo(wanted.dtype).max
    place = wanted - np.asarray(first, wanted.dtype) if fits else wanted.astype(np.int64) - first
    if some_outside:
        place[outside] = 0
    if span > len(ids):
        table = np.full(span, -1, dtype)
        table[ids - first] = np.arange(len(ids), dtype=dtype)
        place = table[place]
    place = place.astype(dtype, copy=False)
    if some_outside:
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


def sort_rows(
    columns: list[NDArray[Any]], dtypes: Sequence[type[np.integer[Any]]]
) -> list[NDArray[Any]]:
    """The rows in order, the first column counting most; ``columns`` is emptied.

    Emptying it lets go of each column when it is packed away, so that in the
    end nothing but the result is held.

    Args:
      columns: integers [n] each.
      dtypes: types of the result's columns; the first is int64.
    """
    packed = pack(columns)
    if packed is None or is_ascending(packed):
        order = None if packed is not None else np.lexsort(tuple(reversed(columns)))
        del packed
        result: list[NDArray[Any]] = []
        while columns:
            column = columns.pop(0)
            column = column if order is None else column[order]
            result.append(column.astype(dtypes[len(result)], copy=False))
        return result
    lowest = [int(column.min()) for column in columns]
    widths = [_width(int(column.max()) - low) for column, low in zip(columns, lowest)]
    columns.clear()
    packed.sort(kind="stable")  # faster than the default one on rows that are nearly in order
    result = []
    for low, width, dtype in list(zip(lowest, widths, dtypes))[:0:-1]:
        column = np.empty(len(packed), dtype)
        for start in range(0, len(packed), _AT_ONCE):
            part = packed[start : start + _AT_ONCE]
            column[start : start + _AT_ONCE] = (part & ((1 << width) - 1)) + low
        packed >>= width
        result.insert(0, column)
    packed += lowest[0]
    return [packed, *result]


def is_ascending(values: NDArray[Any]) -> bool:
    """True if no value is lower than the one before it."""
    return bool((values[1:] >= values[:-1]).all())


def _width(largest: int) -> int:
    return max(1, largest.bit_length())
