"""Hashes of rows, column by column, to tell what changed without reading it all.

Not for adversaries: 64 bits of multiplications and shifts, the same on every
machine and in every process.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tfx_graphlets.trace.trace import IntArray

HashArray = NDArray[np.uint64]

_SEED: Final = np.uint64(0x9E3779B97F4A7C15)
_FIRST: Final = np.uint64(0xBF58476D1CE4E5B9)
_SECOND: Final = np.uint64(0x94D049BB133111EB)
_BASE: Final = 0xD6E8FEB86659FD93  # odd: of polynomials of a text's bytes
_BYTES_AT_ONCE: Final = 1 << 20


def row_hashes(*columns: NDArray[Any]) -> HashArray:
    """One hash per row of equally long columns of numbers, uint64 [n]; order counts."""
    result = np.full(len(columns[0]), _SEED)
    for column in columns:
        if column.dtype == np.float64:
            column = column.view(np.uint64)  # noqa: PLW2901 - NaN by its bits
        result ^= column.astype(np.uint64, copy=False)
        result = _mixed(result)
    return result


def sums_by(position: IntArray, hashes: HashArray, length: int) -> HashArray:
    """Sum of the hashes at each position, modulo 2**64: uint64 [length]; 0 where none."""
    result = np.zeros(length, np.uint64)
    np.add.at(result, position, hashes)
    return result


def text_hashes(texts: Any) -> HashArray:
    """One hash per row of a pyarrow string array or chunked array; 0 for null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks() if texts.num_chunks != 1 else texts.chunk(0)
        if isinstance(texts, pa.ChunkedArray):  # pyarrow < 12 keeps one of no chunks
            return np.zeros(0, np.uint64)
    if not pa.types.is_dictionary(texts.type):
        result = _value_hashes(texts.cast(pa.large_string()))
        if texts.null_count:
            result[texts.is_null().to_numpy(zero_copy_only=False)] = 0
        return result
    of_value = np.append(_value_hashes(texts.dictionary.cast(pa.large_string())), np.uint64(0))
    codes = pc.fill_null(texts.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    return of_value[codes]


def _value_hashes(texts: Any) -> HashArray:
    """Of each text the value of a polynomial with its bytes, plus one, as coefficients."""
    _, offset_buffer, byte_buffer = texts.buffers()
    result = np.zeros(len(texts), np.uint64)
    if not len(texts) or byte_buffer is None:
        return row_hashes(result, result)
    offsets = np.frombuffer(offset_buffer, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    content = np.frombuffer(byte_buffer, np.uint8)
    lengths = np.diff(offsets)
    longest = max(_BYTES_AT_ONCE, int(lengths.max()))
    most = min(longest, int(offsets[-1] - offsets[0])) + 1
    # Within a portion the powers go on from text to text; each sum is divided
    # by the power that its text begins with.
    powers, inverses = _powers(_BASE, most), _powers(pow(_BASE, -1, 2**64), most)
    start = 0
    while start < len(texts):
        # As many texts as fit, but at least one.
        fitting = int(np.searchsorted(offsets, offsets[start] + _BYTES_AT_ONCE, "right")) - 1
        end = max(fitting, start + 1)
        begin = offsets[start:end] - offsets[start]
        terms = content[offsets[start] : offsets[end]].astype(np.uint64)
        terms += np.uint64(1)
        terms *= powers[: len(terms)]
        filled = lengths[start:end] > 0
        if filled.any():
            sums = np.add.reduceat(terms, begin[filled]) * inverses[begin[filled]]
            result[start:end][filled] = sums
        start = end
    return row_hashes(result, lengths)


def _powers(base: int, length: int) -> HashArray:
    factors = np.full(length, np.uint64(base))
    factors[0] = 1
    return np.multiply.accumulate(factors)


def _mixed(values: HashArray) -> HashArray:
    # The finalizer of splitmix64.
    values = (values ^ (values >> np.uint64(30))) * _FIRST
    values = (values ^ (values >> np.uint64(27))) * _SECOND
    mixed: HashArray = values ^ (values >> np.uint64(31))
    return mixed
