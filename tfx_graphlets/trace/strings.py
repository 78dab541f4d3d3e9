"""Many strings without a Python object each: end to end in one buffer, or as codes."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, overload

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

# Python's strings may hold halves of surrogate pairs, which UTF-8 has not.
_ERRORS = "surrogatepass"
_AT_ONCE = 4_096  # strings that are made at once while iterating


def places_in(wanted: Sequence[str], known: Sequence[str]) -> NDArray[np.int64]:
    """Place of each string in ``known``, int64 [n]; -1 where it is not there.

    >>> places_in(["b", "c"], ["a", "b"]).tolist()
    [1, -1]
    """
    import pyarrow.compute as pc

    both = [one if isinstance(one, Texts) else Texts.of(one) for one in (wanted, known)]
    found = pc.index_in(both[0].to_arrow(), value_set=both[1].to_arrow())
    result: NDArray[np.int64] = found.fill_null(-1).to_numpy().astype(np.int64)
    return result


class Texts(Sequence[str]):
    """A sequence of strings, kept as UTF-8 end to end.

    Equal to any other sequence of the same strings in the same order; of no
    hash. A string is made when it is asked for.

    >>> Texts.of(["a", "bc"])[1]
    'bc'
    >>> Texts.of(["a", "bc"]) == ("a", "bc")
    True
    """

    __slots__ = ("_data", "_offsets")
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, data: NDArray[np.uint8], offsets: NDArray[np.int64]) -> None:
        """Takes the buffers as they are.

        Args:
          data: uint8 [bytes], UTF-8.
          offsets: int64 [n + 1], where each string begins, and where the last
            one ends.
        """
        self._data = data
        self._offsets = offsets

    @classmethod
    def of(cls, values: Iterable[str]) -> Texts:
        """The strings of ``values``."""
        encoded = [value.encode("utf-8", _ERRORS) for value in values]
        offsets = np.zeros(len(encoded) + 1, np.int64)
        np.cumsum([len(one) for one in encoded], out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), np.uint8), offsets)

    @classmethod
    def blank(cls, length: int) -> Texts:
        """``length`` empty strings, in next to no memory."""
        return cls(np.zeros(0, np.uint8), np.broadcast_to(np.int64(0), length + 1))

    @classmethod
    def from_arrow(cls, array: pa.Array | pa.ChunkedArray) -> Texts:
        """The strings of an Array or ChunkedArray of strings; null is empty.

        Raises:
          pyarrow.ArrowException: they are no strings.
        """
        import pyarrow as pa

        array = array.cast(pa.large_string()).fill_null("")
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays([pa.array([], pa.large_string()), *array.chunks])
        _, offsets, data = array.buffers()
        if not len(array) or offsets is None:
            return cls.blank(len(array))
        begin = array.offset
        return cls(
            np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8),
            np.frombuffer(offsets, np.int64)[begin : begin + len(array) + 1],
        )

    @classmethod
    def joined(cls, parts: Sequence[Texts]) -> Texts:
        """The strings of all parts, one part after the other."""
        starts = np.cumsum([0, *(len(part._content()) for part in parts)])  # noqa: SLF001
        offsets = [
            part._offsets[:-1] - part._offsets[0] + start  # noqa: SLF001 - of this class
            for part, start in zip(parts, starts)
        ]
        data = [part._content() for part in parts]  # noqa: SLF001
        return cls(
            np.concatenate(data) if data else np.zeros(0, np.uint8),
            np.concatenate([*offsets, starts[-1:]]).astype(np.int64, copy=False),
        )

    def to_arrow(self) -> pa.Array:
        """The same as an Arrow array of large strings, without a copy where possible."""
        import pyarrow as pa

        return pa.LargeStringArray.from_buffers(
            len(self),
            pa.py_buffer(np.ascontiguousarray(self._offsets)),
            pa.py_buffer(np.ascontiguousarray(self._data)),
        )

    def take(self, rows: NDArray[np.int64]) -> Texts:
        """The strings in these rows: an integer array [k]."""
        if not len(self._data):
            return Texts.blank(len(rows))
        return Texts.from_arrow(self.to_arrow().take(rows))

    def where(self, kept: NDArray[np.bool_]) -> Texts:
        """The same, empty where ``kept`` (bool [n]) is false."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if bool(kept.all()) or not len(self._data):
            return self
        empty = pa.scalar("", pa.large_string())
        return Texts.from_arrow(pc.if_else(pa.array(kept), self.to_arrow(), empty))

    def __len__(self) -> int:
        return len(self._offsets) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> Texts: ...

    def __getitem__(self, index: int | slice) -> str | Texts:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            if step == 1:
                offsets = self._offsets[start : max(start, stop) + 1]
                return Texts(self._data[offsets[0] : offsets[-1]], offsets - offsets[0])
            return self.take(np.arange(start, stop, step))
        row = range(len(self))[index]  # also what counts from the end, or is out of range
        content = self._data[self._offsets[row] : self._offsets[row + 1]]
        return content.tobytes().decode("utf-8", _ERRORS)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _AT_ONCE):
            offsets = self._offsets[start : start + _AT_ONCE + 1]
            content = self._data[offsets[0] : offsets[-1]].tobytes()
            places = (offsets - offsets[0]).tolist()
            for begin, end in zip(places, places[1:]):
                yield content[begin:end].decode("utf-8", _ERRORS)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Texts):
            return len(self) == len(other) and bool(
                np.array_equal(np.diff(self._offsets), np.diff(other._offsets))
                and np.array_equal(self._content(), other._content())
            )
        if isinstance(other, Sequence) and not isinstance(other, (str, bytes)):
            return len(self) == len(other) and all(map(str.__eq__, self, other))
        return NotImplemented

    def __repr__(self) -> str:
        shown = ", ".join(repr(self[row]) for row in range(min(3, len(self))))
        return f"Texts([{shown}{', ...' if len(self) > 3 else ''}], length {len(self)})"

    def _content(self) -> NDArray[np.uint8]:
        return self._data[self._offsets[0] : self._offsets[-1]]


@dataclasses.dataclass(frozen=True, eq=False)
class Coded:
    """A column of strings of which many are the same.

    Attributes:
      code: int32 [n], code into ``values``, -1 where the row has none.
      values: the strings, in any order; some may be of no row, and the same
        one may stand twice.
    """

    code: NDArray[np.int32]
    values: Sequence[str]

    @classmethod
    def of(cls, rows: Sequence[str | None]) -> Coded:
        """The column of the rows: None where there is no string."""
        code_of: dict[str | None, int] = {None: -1}
        codes = (code_of.setdefault(value, len(code_of) - 1) for value in rows)
        code = np.fromiter(codes, np.int32, len(rows))
        return cls(code, tuple(code_of)[1:])  # type: ignore[arg-type]  # None is the first

    @classmethod
    def none(cls, length: int) -> Coded:
        """A column without any string."""
        return cls(np.full(length, -1, np.int32), ())

    @classmethod
    def joined(cls, parts: Sequence[Coded]) -> Coded:
        """The rows of all parts, one part after the other."""
        starts = np.cumsum([0, *(len(part.values) for part in parts)], dtype=np.int32)
        codes = [
            np.where(part.code < 0, -1, part.code + start) for part, start in zip(parts, starts)
        ]
        pools = [part.values for part in parts]
        if any(isinstance(pool, Texts) for pool in pools):
            packed = [pool if isinstance(pool, Texts) else Texts.of(pool) for pool in pools]
            return cls(np.concatenate(codes).astype(np.int32), Texts.joined(packed))
        values = tuple(itertools.chain.from_iterable(pools))
        return cls(np.concatenate(codes).astype(np.int32), values)

    def __len__(self) -> int:
        return len(self.code)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Coded:
        """The rows of these numbers, or those that are true."""
        return Coded(self.code[rows], self.values)

    def among(self, wanted: Collection[str]) -> NDArray[np.bool_]:
        """True for rows whose string is one of these, bool [n]."""
        known = np.fromiter((value in wanted for value in self.values), bool, len(self.values))
        return np.append(known, False)[self.code]  # code -1 is the last one

    def sorted(self) -> Coded:
        """The same column with the distinct strings of its rows, sorted, as values."""
        used = np.zeros(len(self.values) + 1, bool)
        used[self.code] = True
        kept = np.flatnonzero(used[:-1])
        if isinstance(self.values, Texts):
            rank, values = _ranked(self.values.take(kept))
        else:
            texts = [self.values[row] for row in kept.tolist()]
            values = tuple(sorted(set(texts)))
            place = {text: number for number, text in enumerate(values)}
            rank = np.fromiter((place[text] for text in texts), np.int32, len(texts))
        new_code = np.full(len(used), -1, np.int32)
        new_code[kept] = rank
        return Coded(new_code[self.code], values)

    def rows(self) -> list[str | None]:
        """The string of each row; None where there is none."""
        pool = [*self.values, None]
        return [pool[code] for code in self.code.tolist()]


def _ranked(values: Texts) -> tuple[NDArray[np.int32], Sequence[str]]:
    """Rank of each string among the distinct ones, and those, sorted.

    Bytes of UTF-8 have the order of code points, which is Python's.
    """
    import pyarrow.compute as pc

    distinct = values.to_arrow().dictionary_encode()
    order = pc.sort_indices(distinct.dictionary).to_numpy()
    rank = np.empty(len(order), np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[distinct.indices.to_numpy()], Texts.from_arrow(distinct.dictionary.take(order))
