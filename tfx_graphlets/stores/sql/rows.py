"""From the results of the queries to Rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tfx_graphlets import vocabulary
from tfx_graphlets.stores.sql.queries import ODD_KIND, Queries
from tfx_graphlets.trace.odd_rows import ODD, OddRows
from tfx_graphlets.trace.ordering import is_ascending, positions_of
from tfx_graphlets.trace.properties import struct_to_json
from tfx_graphlets.trace.rows import TABLES, Rows, Table, take
from tfx_graphlets.trace.strings import Coded, Texts
from tfx_graphlets.trace.trace import PropertyKind


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
    if isinstance(values, Texts):
        import pyarrow.compute as pc

        found = pc.starts_with(values.to_arrow(), vocabulary.STRUCT_PREFIX)
        rows = np.flatnonzero(found.to_numpy(zero_copy_only=False)).tolist()
    else:
        rows = list(range(len(values)))
    documents: Mapping[int, str | None] = {row: struct_to_json(values[row]) for row in rows}
    if not any(text is not None for text in documents.values()):
        return values, is_struct
    texts = list(values)
    for row, text in documents.items():
        if text is not None:
            texts[row], is_struct[row] = text, True
    return (Texts.of(texts) if isinstance(values, Texts) else tuple(texts)), is_struct


def _as_mlmd(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """With the 15 significant digits that MLMD hands out (SQLite's text form)."""
    distinct, place = np.unique(values, return_inverse=True)
    return np.array([float(f"{value:.15g}") for value in distinct], np.float64)[place]
