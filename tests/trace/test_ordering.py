"""Orders of rows of integer columns."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import deterministic
from tfx_graphlets.trace.ordering import order_of, pack, positions_of, sort_rows

SMALL = st.integers(-3, 3)
ANY = st.integers(-(2**62), 2**62)


def columns_of(rows: list[tuple[int, ...]], dtype: type) -> list[np.ndarray]:  # type: ignore[type-arg]
    """The rows' columns."""
    return [np.array([row[column] for row in rows], dtype) for column in range(3)]


@deterministic
@given(
    rows=st.lists(st.tuples(SMALL, SMALL, SMALL)) | st.lists(st.tuples(ANY, SMALL, ANY)),
    in_order=st.booleans(),
)
def test_rows_are_ordered_as_python_does(rows: list[tuple[int, ...]], in_order: bool) -> None:
    """Stable, the first column first, whether or not the columns fit into one number."""
    rows = sorted(rows) if in_order else rows
    columns = columns_of(rows, np.int64)
    order = order_of(columns)
    wanted = sorted(range(len(rows)), key=rows.__getitem__)
    assert (list(range(len(rows))) if order is None else order.tolist()) == wanted
    assert [
        list(row)
        for row in zip(*(column.tolist() for column in sort_rows(columns, [np.int64] * 3)))
    ] == [list(row) for row in sorted(rows)]


def test_columns_come_back_in_the_types_asked_for() -> None:
    """Narrow columns, the lowest number among them, in order already or not."""
    types = [np.int64, np.int8, np.int32]
    for first in ([5, 4], [4, 5]):
        columns = [np.array(first, np.int32), np.array([127, -128], np.int8), np.array([1, 0])]
        rows = sorted(zip(*(column.tolist() for column in columns)))
        result = sort_rows(columns, types)
        assert [column.dtype for column in result] == types
        assert list(zip(*(column.tolist() for column in result))) == rows
        assert columns == []


def test_what_does_not_fit_is_not_packed() -> None:
    """Sixty-four bits of two columns are too many for one number."""
    wide = np.array([0, 2**40])
    assert pack([wide, wide]) is None
    assert pack([wide]) is not None


@deterministic
@given(
    ids=st.sets(st.integers(0, 30)) | st.sets(st.integers(-99, 400)) | st.sets(ANY),
    wanted=st.lists(st.integers(-2, 33)) | st.lists(ANY),
)
def test_positions_are_found(ids: set[int], wanted: list[int]) -> None:
    """Each wanted id's position, -1 where it is absent, dense ids or not."""
    ascending = sorted(ids)
    found = positions_of(np.array(ascending, np.int64), np.array(wanted, np.int64))
    assert found.tolist() == [ascending.index(one) if one in ids else -1 for one in wanted]
    assert found.dtype == np.int64
    small = np.array([one for one in wanted if -128 <= one < 128], np.int8)
    narrow = positions_of(np.array(ascending, np.int64), small, np.int32)
    assert narrow.dtype == np.int32
    assert narrow.tolist() == [ascending.index(one) if one in ids else -1 for one in small.tolist()]
