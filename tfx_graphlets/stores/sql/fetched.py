"""Columns of a query's result, gathered portion by portion."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, Union

import numpy as np
from numpy.typing import NDArray

from tfx_graphlets.stores.sql.queries import Kind, Query
from tfx_graphlets.trace.strings import Coded, Texts

if TYPE_CHECKING:
    import pyarrow as pa

Fetched = Union[NDArray[Any], Coded, Texts]
_WIDTHS: Final = (np.int8, np.int32, np.int64)


class Gatherer(Protocol):
    """Takes in the portions of one column."""

    def add(self, portion: pa.Array) -> None:
        """Takes in an Arrow array."""
        ...

    def add_rows(self, portion: Sequence[Any]) -> None:
        """Takes in values as sqlite3 returns them."""
        ...

    def done(self) -> Fetched:
        """The whole column; the gatherer is empty afterwards."""
        ...


class QueryColumns:
    """The columns of one query.

    Integers take the fewest of 1, 4 and 8 bytes that hold them.
    """

    def __init__(self, query: Query) -> None:
        self._gatherers = [_GATHERERS[kind]() for kind in query.kinds]

    def add(self, portion: Iterable[pa.Array]) -> None:
        """Takes in a portion of rows as Arrow arrays, a column each."""
        for gatherer, array in zip(self._gatherers, portion):
            if len(array):  # the type of an empty one says nothing
                gatherer.add(array)

    def map_texts(self, change: Callable[[str], str]) -> None:
        """Has every string of the portions to come that is not ASCII changed."""
        for gatherer in self._gatherers:
            if isinstance(gatherer, (_Texts, _Codes)):
                gatherer.change = change

    def add_rows(self, rows: Sequence[Sequence[Any]]) -> None:
        """Takes in rows as sqlite3 returns them."""
        for gatherer, values in zip(self._gatherers, zip(*rows)):
            gatherer.add_rows(values)

    def add_arrays(self, rows: Sequence[Sequence[Any]]) -> None:
        """Takes in rows as a driver of a server returns them: texts of several calls together."""
        import pyarrow as pa

        for gatherer, values in zip(self._gatherers, zip(*rows)):
            if isinstance(gatherer, (_Integers, _Reals)):
                gatherer.add_rows(values)
            else:
                gatherer.add(pa.array(values, pa.large_string()))

    def done(self) -> list[Fetched]:
        """All columns; nothing is held here afterwards."""
        return [gatherer.done() for gatherer in self._gatherers]


class _Growing:
    """An array that grows where it stands, so that no second copy of it is made."""

    def __init__(self, dtype: type[np.integer[Any]]) -> None:
        self.length = 0
        self._array: NDArray[Any] = np.zeros(0, dtype)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of its numbers."""
        return self._array.dtype

    def add(self, values: NDArray[Any]) -> None:
        """Appends the values."""
        end = self.length + len(values)
        if end > len(self._array):
            self._array.resize(max(end, end + end // 4), refcheck=False)
        self._array[self.length : end] = values
        self.length = end

    def widen(self, dtype: type[np.integer[Any]]) -> None:
        """Changes the type of its numbers."""
        self._array = self._array[: self.length].astype(dtype)

    def done(self) -> NDArray[Any]:
        """The array."""
        result, self._array = self._array, np.zeros(0, self.dtype)
        result.resize(self.length, refcheck=False)
        return result


class _Integers:
    def __init__(self) -> None:
        self.values = _Growing(_WIDTHS[0])

    def add(self, portion: pa.Array) -> None:
        self._add(portion.to_numpy(zero_copy_only=False))

    def add_rows(self, portion: Sequence[Any]) -> None:
        self._add(np.fromiter(portion, np.int64, len(portion)))

    def _add(self, values: NDArray[Any]) -> None:
        if values.dtype.kind not in "iu":
            values = values.astype(np.int64)
        lowest, highest = int(values.min()), int(values.max())
        for width in _WIDTHS:
            held = np.iinfo(width)
            if held.bits < 8 * self.values.dtype.itemsize:
                continue
            if held.min <= lowest and highest <= held.max:
                if width != self.values.dtype:
                    self.values.widen(width)
                break
        self.values.add(values)

    def done(self) -> Fetched:
        return self.values.done()


class _Reals:
    def __init__(self) -> None:
        self.length = 0
        self.parts: list[tuple[int, NDArray[np.float64]]] = []

    def add(self, portion: pa.Array) -> None:
        self._add(portion.to_numpy(zero_copy_only=False).astype(np.float64, copy=False))

    def add_rows(self, portion: Sequence[Any]) -> None:
        self._add(np.fromiter(portion, np.float64, len(portion)))

    def _add(self, values: NDArray[np.float64]) -> None:
        if bool((values != 0).any()):  # few are not: a column of zeros takes no memory
            self.parts.append((self.length, values.copy()))
        self.length += len(values)

    def done(self) -> Fetched:
        result = np.zeros(self.length)
        for start, values in self.parts:
            result[start : start + len(values)] = values
        self.parts = []
        return result


class _Texts:
    change: Callable[[str], str] | None = None

    def __init__(self) -> None:
        self.parts: list[Texts] = []

    def add(self, portion: pa.Array) -> None:
        self.parts.append(Texts.from_arrow(_in_utf8(portion, self.change)))

    def add_rows(self, portion: Sequence[Any]) -> None:
        self.parts.append(Texts.of(portion))

    def done(self) -> Fetched:
        parts, self.parts = self.parts, []
        return Texts.joined(parts)


class _Codes:
    """Codes of each portion into strings of its own, or into those of all rows so far."""

    change: Callable[[str], str] | None = None

    def __init__(self) -> None:
        self.codes = _Growing(np.int32)
        self.ends: list[int] = []
        self.strings: list[pa.Array] = []
        self.code_of: dict[Any, int] = {}

    def add(self, portion: pa.Array) -> None:
        encoded = portion.dictionary_encode()
        self.codes.add(encoded.indices.to_numpy())
        self.ends.append(self.codes.length)
        self.strings.append(_in_utf8(encoded.dictionary, self.change))

    def add_rows(self, portion: Sequence[Any]) -> None:
        code_of = self.code_of
        codes = (code_of.setdefault(value, len(code_of)) for value in portion)
        self.codes.add(np.fromiter(codes, np.int32, len(portion)))

    def done(self) -> Fetched:
        codes, strings = self.codes.done(), self.strings
        self.strings = []
        if not strings:
            return Coded(codes, tuple(self.code_of))
        import pyarrow as pa

        together = pa.concat_arrays(strings).dictionary_encode()
        new_code = together.indices.to_numpy()
        begin = first = 0
        for end, of_portion in zip(self.ends, strings):
            codes[begin:end] = new_code[first : first + len(of_portion)][codes[begin:end]]
            begin, first = end, first + len(of_portion)
        return Coded(codes, Texts.from_arrow(together.dictionary))


_GATHERERS: Final[Mapping[Kind, Callable[[], Gatherer]]] = {
    Kind.INTEGER: _Integers,
    Kind.REAL: _Reals,
    Kind.TEXT: _Texts,
    Kind.CODE: _Codes,
}


def _in_utf8(array: pa.Array, change: Callable[[str], str] | None) -> pa.Array:
    """Large strings; what is no UTF-8 is replaced, as Python's ``decode`` does."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        wide = pa.binary() if pa.types.is_string(array.type) else pa.large_binary()
        texts = [value.decode("utf-8", "replace") for value in array.cast(wide).to_pylist()]
        array = pa.array(texts, pa.large_string())
    if change is not None and not pc.all(pc.string_is_ascii(array)).as_py():
        array = pa.array(map(change, array.to_pylist()), pa.large_string())
    return array.cast(pa.large_string())
