"""Stores that grow: the rows of a store, and those that it held at an earlier time."""

from __future__ import annotations

import copy
import dataclasses
import random
from collections.abc import Callable, Collection, Sequence

from tfx_graphlets.trace.assembly import RawProperties, RawTables
from tfx_graphlets.vocabulary import ExecutionState

EARLIER_MS, LATER_MS = 1_000_000, 2_000_000  # update times of what is there, and of what changes


def grown(raw: RawTables, randomness: random.Random) -> tuple[RawTables, RawTables]:
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

    executions, artifacts = some(after.execution_id), some(after.artifact_id)
    contexts = some(after.context_id)
    changed = {
        "execution": {one for one in executions if randomness.random() < 0.3},
        "artifact": {one for one in artifacts if randomness.random() < 0.3},
    }
    for kind, there in (("execution", executions), ("artifact", artifacts)):
        ids = getattr(after, f"{kind}_id")
        setattr(after, f"{kind}_update_ms", [
            EARLIER_MS if one in there and one not in changed[kind] else LATER_MS for one in ids
        ])  # fmt: skip

    # What names nothing that is still to come may have been there.
    to_come = ({*after.execution_id} - executions, {*after.artifact_id} - artifacts)
    event = [
        execution not in to_come[0] and artifact not in to_come[1] and randomness.random() < 0.9
        for execution, artifact in zip(after.event_execution, after.event_artifact)
    ]
    _arrange(after, "event_", sorted(range(len(event)), key=lambda row: not event[row]))
    association = [
        context in contexts and execution in executions and randomness.random() < 0.9
        for context, execution in after.association
    ]
    attribution = [
        context in contexts and artifact in artifacts and randomness.random() < 0.9
        for context, artifact in after.attribution
    ]
    for name, kept in (("association", association), ("attribution", attribution)):
        rows = getattr(after, name)
        order = sorted(range(len(kept)), key=lambda row: not kept[row])
        setattr(after, name, [rows[row] for row in order])

    before = copy.deepcopy(after)
    for kind, there in (("execution", executions), ("artifact", artifacts), ("context", contexts)):
        ids = getattr(after, f"{kind}_id")
        _arrange(before, f"{kind}_", [row for row, one in enumerate(ids) if one in there])
    _arrange(before, "event_", range(sum(event)))
    before.association = before.association[: sum(association)]
    before.attribution = before.attribution[: sum(attribution)]
    for kind, there in (("execution", executions), ("artifact", artifacts)):
        early = [one in changed[kind] for one in getattr(before, f"{kind}_id")]
        setattr(before, f"{kind}_update_ms", [EARLIER_MS] * len(early))
        states = getattr(before, f"{kind}_state")
        setattr(before, f"{kind}_state", [
            int(ExecutionState.RUNNING) if one and state else state
            for one, state in zip(early, states)
        ])  # fmt: skip
        properties = getattr(before, f"{kind}_properties")
        _keep(properties, lambda owner, there=there, early=changed[kind]: (
            owner in there and not (owner in early and randomness.random() < 0.5)
        ))  # fmt: skip
    return before, after


def files_of(raw: RawTables, present: Collection[int]) -> dict[str, dict[str, bytes]]:
    """Files below the URIs of artifacts with these ids; some have the same content."""
    return {
        uri: {
            "Split-train/FeatureStats.pb": b"statistics %d" % (number // 3),
            "metrics": b"metrics %d" % number,
            "schema.pbtxt": b"schema",
        }
        for number, uri in zip(raw.artifact_id, raw.artifact_uri)
        if number in present and uri
    }


def _arrange(raw: RawTables, prefix: str, order: Sequence[int]) -> None:
    for field in dataclasses.fields(raw):
        if field.name.startswith(prefix) and not field.name.endswith("_properties"):
            values = getattr(raw, field.name)
            setattr(raw, field.name, [values[row] for row in order])


def _keep(properties: RawProperties, wanted: Callable[[int], bool]) -> None:
    chosen = [row for row, owner in enumerate(properties.owner) if wanted(owner)]
    for field in dataclasses.fields(properties):
        values = getattr(properties, field.name)
        setattr(properties, field.name, [values[row] for row in chosen])
