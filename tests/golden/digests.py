"""Digests of feature tables whose values must not stand in the repository."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from tfx_graphlets import FeatureTable

Digests = dict[str, dict[str, str]]


def digests(tables: Mapping[str, FeatureTable]) -> Digests:
    """A digest of every column over all tables, and one of every table over all columns.

    Together they say what changed: a column of a table. Numbers are rounded to nine
    significant digits, which is more than another order of summation changes.

    Args:
      tables: by the name of the store, in any order.
    """
    of_columns: dict[str, list[str]] = {}
    of_stores = {}
    for store, table in sorted(tables.items()):
        lines = []
        for name in ["trainer", *(feature.name for feature in table.features)]:
            values = table.trainer if name == "trainer" else table.columns[name]
            line = "\x1f".join(map(_text, values))
            of_columns.setdefault(name, []).append(line)
            lines.append(f"{name}\x1f{line}")
        of_stores[store] = _digest(lines)
    return {
        "columns": {name: _digest(lines) for name, lines in of_columns.items()},
        "stores": of_stores,
    }


def name_of(store: str) -> str:
    """What stands for the name of a store in a golden file."""
    return _digest([store])


def changed(actual: Digests, path: Path) -> list[str]:
    """The columns and stores whose digests differ from those in a file, one line each."""
    expected = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    found = []
    for kind, of_kind in actual.items():
        golden = expected.get(kind, {})
        for name in sorted({*of_kind, *golden}):
            if of_kind.get(name) != golden.get(name):
                what = "is new" if name not in golden else "differs"
                found.append(f"{kind}: {name} {what if name in of_kind else 'is no more'}")
    return found


def _text(value: object) -> str:
    if value is None or value != value:  # noqa: PLR0124 - a NaN
        return ""
    if isinstance(value, str):
        return "'" + value
    return f"{float(value) + 0.0:.9g}"  # type: ignore[arg-type]


def _digest(lines: Iterable[str]) -> str:
    return hashlib.blake2b("\x1e".join(lines).encode(), digest_size=6).hexdigest()
