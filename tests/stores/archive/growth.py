"""Stores that grow: the rows of a store, and those that it held at an earlier time."""

from __future__ import annotations

import copy
import random
from collections.abc import Collection, Sequence

from tests.row_lists import put, rows_of
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.vocabulary import ExecutionState

EARLIER_MS, LATER_MS = 1_000_000, 2_000_000  # update times of what is there, and of what changes


def grown(raw: RowBuilder, randomness: random.Random) -> tuple[RowBuilder, RowBuilder]:
    """The store before and after it grew, as MLMD lets a store grow.

    Before, some executions, artifacts and contexts were not there, in any
    order of ids, and neither was what names one of them; some executions and
    artifacts had another state and lacked properties, and were updated
    earlier. Rows that have no id of their own are appended: those that were
    there come first.
    """
    after = copy.deepcopy(raw)
    share = randomness.choice((0.0, 0.3, 0.7, 0.95, 1.0))

    def some(values: Sequence[int]) -> set[int]:
        return {int(value) for value in values if randomness.random() < share}

    executions, artifacts = some(after["Execution"]["id"]), some(after["Artifact"]["id"])
    contexts = some(after["Context"]["id"])
    changed = {
        "Execution": {one for one in executions if randomness.random() < 0.3},
        "Artifact": {one for one in artifacts if randomness.random() < 0.3},
    }
    for table, ids in (("Execution", executions), ("Artifact", artifacts)):
        after[table]["update_ms"] = [
            EARLIER_MS if one in ids and one not in changed[table] else LATER_MS
            for one in after[table]["id"]
        ]

    # What names nothing that is still to come may have been there.
    to_come = ({*after["Execution"]["id"]} - executions, {*after["Artifact"]["id"]} - artifacts)
    there = {
        "Event": [
            execution not in to_come[0] and artifact not in to_come[1] and randomness.random() < 0.9
            for execution, artifact, *_ in rows_of(after, "Event")
        ],
        "Association": [
            context in contexts and execution in executions and randomness.random() < 0.9
            for context, execution in rows_of(after, "Association")
        ],
        "Attribution": [
            context in contexts and artifact in artifacts and randomness.random() < 0.9
            for context, artifact in rows_of(after, "Attribution")
        ],
    }
    for table, kept in there.items():
        rows = rows_of(after, table)
        put(
            after,
            table,
            [rows[row] for row in sorted(range(len(kept)), key=lambda at: not kept[at])],
        )

    before = copy.deepcopy(after)
    for table, kept in there.items():
        put(before, table, rows_of(before, table)[: sum(kept)])
    for table, ids in (("Execution", executions), ("Artifact", artifacts), ("Context", contexts)):
        put(before, table, [row for row in rows_of(after, table) if row[0] in ids])
    for table, ids in (("Execution", executions), ("Artifact", artifacts)):
        early = [one in changed[table] for one in before[table]["id"]]
        before[table]["update_ms"] = [EARLIER_MS] * len(early)
        before[table]["state"] = [
            int(ExecutionState.RUNNING) if one and state else state
            for one, state in zip(early, before[table]["state"])
        ]
        put(before, f"{table}Property", [
            row
            for row in rows_of(before, f"{table}Property")
            if row[0] in ids and not (row[0] in changed[table] and randomness.random() < 0.5)
        ])  # fmt: skip
    return before, after


def files_of(raw: RowBuilder, present: Collection[int]) -> dict[str, dict[str, bytes]]:
    """Files below the URIs of artifacts with these ids; some have the same content."""
    return {
        uri: {
            "Split-train/FeatureStats.pb": b"statistics %d" % (number // 3),
            "metrics": b"metrics %d" % number,
            "schema.pbtxt": b"schema",
        }
        for number, uri in zip(raw["Artifact"]["id"], raw["Artifact"]["uri"])
        if number in present and uri
    }
