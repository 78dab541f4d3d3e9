"""Golden tables: compared cell by cell, so that a failure names a column and a graphlet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from pipelines.flights import history
from pipelines.flights.variants import VARIANTS

RELATIVE, ABSOLUTE = 1e-9, 1e-12  # a sum may be taken in another order
_SHOWN = 10  # columns


def first_recorded() -> tuple[Path, ...]:
    """The archives that the golden tables were made of: those without a clock of the schedule's.

    Histories that are recorded later do not change what is golden of these.
    """
    return tuple(
        archive for archive in history.archives() if not VARIANTS[archive.parent.name].trigger_hours
    )


def write_table(path: Path, table: pa.Table) -> None:
    """Writes a golden table: Parquet, or CSV for one that is short enough to be read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    else:
        pyarrow.parquet.write_table(table, path, compression="zstd", compression_level=19)


def read_table(path: Path, schema: pa.Schema) -> pa.Table:
    """A golden table; CSV has no types of its own and takes those of the schema."""
    if path.suffix != ".csv":
        return pyarrow.parquet.read_table(path)
    types = {field.name: field.type for field in schema}
    options = pyarrow.csv.ConvertOptions(column_types=types, strings_can_be_null=False)
    return pyarrow.csv.read_csv(path, convert_options=options)


def differences(
    actual: pa.Table,
    expected: pa.Table,
    keys: Sequence[str],
    *,
    relative: float = RELATIVE,
    absolute: float = ABSOLUTE,
) -> list[str]:
    """What differs, one line a column; nothing where the tables are equal.

    Args:
      actual: what is computed now.
      expected: what the golden file holds.
      keys: columns that name a row; they must be equal, in the same order.
      relative, absolute: numbers closer than this are equal, as in ``numpy.isclose``.
    """
    names, golden = actual.column_names, expected.column_names
    found = [f"{name}: a column that the golden lacks" for name in names if name not in golden]
    found += [f"{name}: no column any more" for name in golden if name not in names]
    rows = list(zip(*(actual[key].to_pylist() for key in keys)))
    of_golden = list(zip(*(expected[key].to_pylist() for key in keys)))
    if rows != of_golden:
        at = next((i for i, pair in enumerate(zip(rows, of_golden)) if pair[0] != pair[1]), None)
        where = "" if at is None else f"; the first is {rows[at]}, was {of_golden[at]}"
        return [*found, f"rows: {len(rows)} and {len(of_golden)} of other graphlets{where}"]
    for name in (name for name in names if name in golden and name not in keys):
        unequal = _unequal(actual[name], expected[name], relative, absolute)
        if len(unequal):
            first = int(unequal[0])
            row = ", ".join(f"{key} {value}" for key, value in zip(keys, rows[first]))
            found.append(
                f"{name}: {len(unequal)} of {len(rows)} rows; the first is {row}: "
                f"{actual[name][first].as_py()!r}, was {expected[name][first].as_py()!r}"
            )
    return found


def _unequal(
    one: pa.ChunkedArray, other: pa.ChunkedArray, relative: float, absolute: float
) -> np.ndarray:
    """Positions at which two columns differ, int64 [k]; null equals null, not zero."""
    if not (pa.types.is_floating(one.type) and pa.types.is_floating(other.type)):
        pairs = zip(one.to_pylist(), other.to_pylist())
        return np.array([at for at, (a, b) in enumerate(pairs) if a != b], np.int64)
    a, b = (column.to_numpy().astype(np.float64) for column in (one, other))
    return np.flatnonzero(~np.isclose(a, b, relative, absolute, equal_nan=True))


def message(path: Path, found: Sequence[str], test: str) -> str:
    """Text of the failure: the file, the columns that differ, what to do."""
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    todo = (
        f"{path.name} differs. If that is meant, say why in the commit and run "
        f"`.venv/bin/python -m pytest {test} --update-golden`."
    )
    return "\n  ".join([todo, *found[:_SHOWN], *more])
