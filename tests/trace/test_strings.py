"""Texts and Coded: many strings without an object each."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.strategies import deterministic
from tfx_graphlets.trace.strings import Coded, Texts

STRINGS = st.lists(st.text(max_size=5), max_size=20)


@deterministic
@given(values=STRINGS)
def test_texts_are_a_sequence_of_their_strings(values: list[str]) -> None:
    """Every string comes back: by place, in order, in a slice, and through Arrow."""
    texts = Texts.of(values)
    assert len(texts) == len(values)
    assert list(texts) == values
    assert [texts[row] for row in range(-len(values), len(values))] == [*values, *values]
    assert texts[1:4] == values[1:4]
    assert texts[::-2] == values[::-2]
    assert Texts.from_arrow(texts.to_arrow()) == texts
    assert texts.to_arrow().to_pylist() == values
    assert pickle.loads(pickle.dumps(texts)) == texts  # noqa: S301 - our own bytes


@deterministic
@given(values=STRINGS, other=STRINGS)
def test_texts_are_equal_by_value(values: list[str], other: list[str]) -> None:
    """To tuples, lists and other Texts of the same strings, and to nothing else."""
    texts = Texts.of(values)
    assert (texts == tuple(other)) == (values == other)
    assert (tuple(other) == texts) == (values == other)
    assert (texts == Texts.of(other)) == (values == other)
    assert texts != "".join(values)


@deterministic
@given(values=STRINGS, data=st.data())
def test_texts_are_taken_by_row(values: list[str], data: st.DataObject) -> None:
    """Rows are taken in any order and any number."""
    rows = data.draw(st.lists(st.integers(0, len(values) - 1))) if values else []
    assert Texts.of(values).take(np.array(rows, np.int64)) == [values[row] for row in rows]


def test_blank_texts_are_empty_strings() -> None:
    """They behave as a list of empty strings."""
    assert Texts.blank(3) == ["", "", ""]
    assert Texts.blank(3).take(np.array([2, 0])) == ["", ""]
    assert Texts.blank(0) == ()
    assert repr(Texts.blank(4)) == "Texts(['', '', '', ...], length 4)"


def test_null_and_sliced_arrow_arrays_are_read() -> None:
    """A null is empty; a slice and several chunks are read as what they show."""
    array = pa.array(["a", None, "bc", "d"])
    assert Texts.from_arrow(array) == ("a", "", "bc", "d")
    assert Texts.from_arrow(array.slice(2)) == ("bc", "d")
    assert Texts.from_arrow(pa.chunked_array([array, array.slice(3)])) == (
        "a", "", "bc", "d", "d",
    )  # fmt: skip
    assert Texts.from_arrow(pa.chunked_array([], pa.string())) == ()


def test_texts_out_of_range_are_an_index_error() -> None:
    """As with a tuple."""
    with pytest.raises(IndexError):
        Texts.of(["a"])[1]
    with pytest.raises(IndexError):
        Texts.of(["a"])[-2]


@deterministic
@given(rows=st.lists(st.none() | st.sampled_from("aäzZ\U0001f600\uffff") | st.text(max_size=2)))
def test_coded_rows_are_sorted(rows: list[str | None]) -> None:
    """The sorted column has the same rows, and the distinct strings in Python's order."""
    coded = Coded.of(rows)
    distinct = tuple(sorted({row for row in rows if row is not None}))
    twice = Coded(coded.code, Texts.of([*coded.values, *coded.values, "unused"]))
    for column in (coded.sorted(), twice.sorted()):
        assert column.rows() == rows
        assert column.values == distinct
        assert column.code.dtype == np.int32


def test_coded_rows_are_found_by_string() -> None:
    """Rows among wanted strings; a row without a string is never among them."""
    coded = Coded.of(["a", None, "b", "a"])
    assert coded.among({"a", "c"}).tolist() == [True, False, False, True]
    assert Coded.none(2).among({"a"}).tolist() == [False, False]
    assert coded.take(np.array([2, 1])).rows() == ["b", None]
