"""Rows from the results of queries: columns gathered portion by portion, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol, Union

import numpy as np
from numpy.typing import NDArray

from tfx_graphlets import vocabulary
from tfx_graphlets.stores.sql.queries import ODD_KIND, Kind, Queries, Query
from tfx_graphlets.trace.odd_rows import ODD, OddRows
from tfx_graphlets.trace.ordering import is_ascending, positions_of
from tfx_graphlets.trace.properties import struct_to_json
from tfx_graphlets.trace.rows import TABLES, Rows, Table, take
from tfx_graphlets.trace.strings import Coded, Texts
from tfx_graphlets.trace.trace import PropertyKind

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


def rows_of(fetched: dict[str, list[Any]], queries: Queries, odd: OddRows) -> Rows:
    """The rows of a store; ``fetched`` is emptied.

    Args:
      fetched: the columns of each query of ``queries.all()``, by its name.
      queries: which they were.
      odd: counts rows of the tables that Rows do not have, which are left out.
    """
    for name, named in (("Type", "id"), ("EventPath", "event")):
        if name in fetched:
            of_table = fetched[name][0]
            odd.add_columns(name, of_table == ODD, {named: of_table})
            del of_table
    type_names = _Types(*fetched.pop("Type"))
    event_keys = fetched.pop("EventPath", None)
    event_ids = fetched["Event"].pop(0) if queries.with_event_ids else None
    tables: dict[str, Table] = {}
    for name, kinds in TABLES.items():
        if name not in fetched:
            continue
        # A query has the columns in this order; of events the key is none of them.
        columns = [column for column in kinds if column != "key"]
        table = dict(zip(columns, fetched.pop(name)))
        if kinds.get("type") is Coded:
            table["type"] = type_names.of(table["type"])
        tables[name] = property_rows(table) if "kind" in kinds else table
    if event_ids is not None and event_keys is not None:
        tables["Event"]["key"] = _first_keys(event_ids, *event_keys)
    return Rows(tables)


class _Types:
    """Names of types by id; no name for an id that is not there."""

    def __init__(self, ids: NDArray[Any], names: Texts) -> None:
        order = np.unique(ids, return_index=True)[1]
        self._ids = ids[order].astype(np.int64)
        self._names = ["", *(names[int(row)] for row in order)]

    def of(self, type_id: NDArray[Any]) -> Coded:
        """Name of the type of each row."""
        return Coded((positions_of(self._ids, type_id) + 1).astype(np.int32), self._names)


def _first_keys(event_ids: NDArray[Any], owner: NDArray[Any], keys: Coded) -> Coded:
    """The first key of each event."""
    order = None if is_ascending(event_ids) else np.argsort(event_ids, kind="stable")
    ids = event_ids if order is None else event_ids[order]
    place = positions_of(ids, owner)
    known = place >= 0
    if not bool(known.all()):
        place, keys = place[known], keys.take(known)
    code = np.full(len(event_ids), -1, np.int32)
    # The last assignment stays: backward, that is the first step.
    code[(place if order is None else order[place])[::-1]] = keys.code[::-1]
    return Coded(code, keys.values)


def property_rows(table: Table) -> Table:
    """From the columns of ``Queries.properties``."""
    held = table["kind"] != 0
    if not bool(held.all()):
        table = take(table, held)
    is_custom, text, integer = table["is_custom"], table["string_value"], table["int_value"]
    kind, real = table["kind"].astype(np.int8, copy=False), table["double_value"]
    if len(is_custom) and is_custom.min() == ODD:
        kind = np.where(is_custom == ODD, np.int8(ODD_KIND), kind)
    is_text = kind == PropertyKind.STRING
    texts, is_struct = _with_structs(text.values)
    code = np.where(is_text, text.code, np.int32(-1))
    if bool(is_struct.any()):
        kind = kind.copy()
        kind[is_text & np.append(is_struct, False)[code]] = PropertyKind.STRUCT
    if bool(real.any()):
        real = np.where(kind == PropertyKind.DOUBLE, _as_mlmd(real), 0.0)
    has_integer = (kind == PropertyKind.INT) | (kind == PropertyKind.BOOL)
    if bool(integer[~has_integer].any()):
        integer = np.where(has_integer, integer, 0)
    return {
        **table,
        "is_custom": is_custom.astype(bool),
        "kind": kind,
        "int_value": integer,
        "double_value": real,
        "string_value": Coded(code, texts),
    }


def _with_structs(values: Any) -> tuple[Any, NDArray[np.bool_]]:
    """The strings, those of Structs as their JSON text, and which these are."""
    is_struct = np.zeros(len(values), bool)
    rows: Sequence[int] = range(len(values))
    if isinstance(values, Texts):
        import pyarrow as pa
        import pyarrow.compute as pc

        found = pc.starts_with(values.to_arrow(), vocabulary.STRUCT_PREFIX)
        rows = np.flatnonzero(found.to_numpy(zero_copy_only=False)).tolist()
    read = ((row, struct_to_json(values[row])) for row in rows)
    documents = {row: text for row, text in read if text is not None}
    is_struct[list(documents)] = True
    if not documents:
        return values, is_struct
    if isinstance(values, Texts):
        texts = Texts.of(documents.values()).to_arrow()
        changed = pc.replace_with_mask(values.to_arrow(), pa.array(is_struct), texts)
        return Texts.from_arrow(changed), is_struct
    return tuple(documents.get(row, text) for row, text in enumerate(values)), is_struct


def _as_mlmd(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """With the 15 significant digits that MLMD hands out (SQLite's text form)."""
    distinct, place = np.unique(values, return_inverse=True)
    return np.array([float(f"{value:.15g}") for value in distinct], np.float64)[place]
