"""The run that is going on, added to what a store has recorded.

On Vertex AI, and wherever GraphletGen reads an archive, the store ends with an
earlier run. What is known of the present one is what is wired to GraphletGen:
artifacts with their URIs and properties. They are appended to the trace, put
out by copies of the executions that put out their like in the run of the
pipeline's latest Trainer: it is assumed that this run has the shape of that
one, costs as much, and runs the same code before its Trainer, unless GraphletGen
is told the code (``current_graphlet``, argument ``code``).
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.gate import keys
from tfx_graphlets.gate.request import InputArtifact
from tfx_graphlets.graphlets.current import latest_trainer
from tfx_graphlets.graphlets.pending import EXECUTION_PREFIX
from tfx_graphlets.graphlets.roles import roles_of_executions
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.properties import property_of_message, property_value
from tfx_graphlets.trace.rows import TABLES, RowBuilder, Rows, take
from tfx_graphlets.trace.trace import NO_KEY, IntArray, PropertyKind, Trace
from tfx_graphlets.vocabulary import ExecutionState, PropertyName

UNRECORDED_RUN: Final = "(the run that is going on)"
_LIVE: Final = 2  # MLMD Artifact.State
# What an ExampleGen's execution says of its own data, and a copy of it must not.
_OF_THE_DATA: Final = (
    PropertyName.SPAN,
    PropertyName.VERSION,
    PropertyName.INPUT_FINGERPRINT,
)
_WRAPPED: Final = "__value__"  # how TFX on Kubeflow wraps a custom property that is no object


@dataclasses.dataclass(frozen=True)
class LivePayloads:
    """Files that an archive has kept, and those that the present run has just written.

    Attributes:
      kept: payloads of the store.
      live: what reads the rest.
    """

    kept: Payloads
    live: Payloads

    def files(self, uri: str) -> tuple[str, ...]:
        """Names of the files below ``uri``; see ``Payloads.files``."""
        return self.kept.files(uri) or self.live.files(uri)

    def read(self, uri: str, name: str) -> bytes | None:
        """Content of a file; see ``Payloads.read``."""
        found = self.kept.read(uri, name)
        return self.live.read(uri, name) if found is None else found


def with_unrecorded_run(
    trace: Trace,
    inputs: Mapping[str, Sequence[InputArtifact]],
    *,
    pipeline: str | None,
    moment_ms: int,
) -> tuple[Trace, dict[str, tuple[int, ...]]]:
    """The trace with the present run in it.

    Args:
      trace: what the store holds.
      inputs: what is wired to GraphletGen, by key: what the pending Trainer
        will take in, and what was awaited.
      pipeline: name of the pipeline; None for that of the latest Trainer.
      moment_ms: now, milliseconds since the epoch.

    Returns:
      A trace whose last executions are those of the run ``UNRECORDED_RUN``: COMPLETE, or
      CACHED where all that they put out is recorded already, each as long
      before the moment as its original was before the latest Trainer. And the
      ids of what the Trainer will take in, by its keys. An artifact that the
      trace holds (by its URI) stays the one that it is. Where the pipeline has
      no Trainer yet, nothing puts the new artifacts out.
    """
    build = RowBuilder()
    wired = _Wiring(trace, build, moment_ms)
    ids = {key: tuple(map(wired.id_of, found)) for key, found in inputs.items() if found}
    rows = Rows.of(trace)
    example = latest_trainer(trace, roles_of_executions(trace), pipeline)
    if example is not None:
        copies = _copy_run(trace, build, example, wired, ids, moment_ms)
        _copy_properties(rows, copies)
    new = build.rows()
    for table in TABLES:
        rows.append(table, new[table])
    return assemble(rows), {key: ids[key] for key in keys.TRAINER_INPUTS if key in ids}


@dataclasses.dataclass
class _Wiring:
    """Ids of the wired artifacts; makes those that the trace does not hold."""

    trace: Trace
    build: RowBuilder
    moment_ms: int
    new: set[int] = dataclasses.field(default_factory=set)
    of_type: dict[str, list[int]] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        artifacts = self.trace.artifacts
        self._of_uri = dict(zip(artifacts.uri, artifacts.id.tolist()))
        self._last_id = int(artifacts.id.max(initial=0))

    def id_of(self, artifact: InputArtifact) -> int:
        found = self._of_uri.get(artifact.uri)
        if found is None:
            found = self.make(artifact.type_name, artifact.uri)
            self._of_uri[artifact.uri] = found
            self.new.add(found)
            for name, is_custom, kind, value in properties_of(artifact):
                self.build.add_property("Artifact", found, name, is_custom, kind, value)
        self.of_type.setdefault(vocabulary.base_name(artifact.type_name), []).append(found)
        return found

    def make(self, type_name: str, uri: str = "") -> int:
        """A new artifact; the type has the full name that the trace knows it by."""
        known = dict(zip(self.trace.artifact_base_types, self.trace.artifacts.type_names))
        name, when = known.get(vocabulary.base_name(type_name), type_name), self.moment_ms
        self._last_id += 1
        self.build.extend("Artifact", [(self._last_id, name, _LIVE, when, when, uri)])
        return self._last_id

    def stands_for(self, type_name: str) -> int | None:
        """The wired artifact of a type that this run put out: a new one before a recorded one."""
        found = self.of_type.get(vocabulary.base_name(type_name), [])
        fresh = [artifact for artifact in found if artifact in self.new]
        return fresh[-1] if fresh else max(found, default=None)


def _copy_run(
    trace: Trace,
    build: RowBuilder,
    example: int,
    wired: _Wiring,
    ids: Mapping[str, tuple[int, ...]],
    moment_ms: int,
) -> dict[int, int]:
    """Appends what the example's run had done before it, with the wired artifacts for its own.

    Returns the ids of the copies by those of the originals.
    """
    executions, events, types = trace.executions, trace.events, trace.artifacts.type
    members = _before(trace, example)
    rows = {int(at): np.flatnonzero(events.execution == at).tolist() for at in (*members, example)}
    stands_for: dict[int, int] = {}
    for execution in members.tolist():
        for row in rows[execution]:
            artifact = int(events.artifact[row])
            if events.type[row] in vocabulary.OUTPUT_EVENTS and artifact not in stands_for:
                name = trace.artifacts.type_names[types[artifact]]
                found = wired.stands_for(name)
                stands_for[artifact] = wired.make(name) if found is None else found
    # Where an execution took in just what the example did, its copy takes in what is wired.
    whole = {
        frozenset(int(events.artifact[row]) for row in taken): ids[key]
        for key, taken in _by_key(trace, rows[example]).items()
        if key in ids
    }
    new_id = int(executions.id[-1])
    context_of_run = _new_context(trace, build, example, moment_ms)
    shift = moment_ms - int(executions.create_ms[example])
    copies: dict[int, int] = {}
    for execution in members.tolist():
        new_id += 1
        copies[int(executions.id[execution])] = new_id
        made: list[int] = []
        for key, taken in _by_key(trace, rows[execution]).items():
            artifacts = [int(events.artifact[row]) for row in taken]
            chosen = whole.get(frozenset(artifacts))
            if chosen is None:
                original = trace.artifacts.id[artifacts].tolist()
                chosen = tuple(stands_for.get(a, i) for a, i in zip(artifacts, original))
            kind = int(events.type[taken[0]])
            if kind in vocabulary.OUTPUT_EVENTS:
                made.extend(chosen)
            when = int(events.time_ms[taken[0]]) + shift
            for artifact in dict.fromkeys(chosen):
                build.extend("Event", [(new_id, artifact, kind, key or None, when)])
        cached = bool(made) and all(a not in wired.new for a in made) and _recorded(trace, made)
        build.add(
            "Execution",
            id=new_id,
            type=executions.type_names[executions.type[execution]],
            state=int(ExecutionState.CACHED if cached else ExecutionState.COMPLETE),
            create_ms=int(executions.create_ms[execution]) + shift,
            update_ms=int(executions.update_ms[execution]) + shift,
        )
        contexts = trace.contexts
        for context in contexts.association_context[contexts.association_execution == execution]:
            if contexts.type_names[contexts.type[context]] not in vocabulary.RUN_CONTEXTS:
                build.add("Association", context=int(contexts.id[context]), execution=new_id)
        build.add("Association", context=context_of_run, execution=new_id)
    return copies


def _before(trace: Trace, example: int) -> IntArray:
    """Finished executions of the example's run that were created before it, but for the gate's."""
    executions, run = trace.executions, trace.run_of_execution
    if run[example] < 0:
        return np.zeros(0, np.int64)
    own = np.array([name.startswith(EXECUTION_PREFIX) for name in executions.type_names], bool)
    finished = np.isin(executions.state, (ExecutionState.COMPLETE, ExecutionState.CACHED))
    earlier = executions.create_ms <= executions.create_ms[example]
    chosen = (run == run[example]) & finished & earlier & ~own[executions.type]
    chosen[example] = False
    return np.flatnonzero(chosen).astype(np.int64)


def _by_key(trace: Trace, rows: Sequence[int]) -> dict[str, list[int]]:
    """Event rows by key; inputs and outputs of one key do not mix, as TFX names them apart."""
    found: dict[str, list[int]] = {}
    for row in rows:
        key = int(trace.events.key[row])
        found.setdefault("" if key == NO_KEY else trace.events.keys[key], []).append(row)
    return found


def _recorded(trace: Trace, artifacts: Sequence[int]) -> bool:
    return all(trace.artifact_position(artifact) >= 0 for artifact in artifacts)


def _new_context(trace: Trace, build: RowBuilder, example: int, moment_ms: int) -> int:
    """A run context like the example's; returns its id."""
    contexts = trace.contexts
    new_id = int(contexts.id.max(initial=0)) + 1
    position = int(trace.run_of_execution[example])
    like = contexts.type_names[contexts.type[position]] if position >= 0 else None
    kind = like or vocabulary.ContextType.PIPELINE_RUN
    build.extend("Context", [(new_id, kind, UNRECORDED_RUN, moment_ms)])
    return new_id


def _copy_properties(rows: Rows, copies: Mapping[int, int]) -> None:
    """Gives the copies of executions, by id, the properties of their originals."""
    table = rows["ExecutionProperty"]
    chosen = np.isin(table["owner"], [*copies]) & ~table["name"].among(_OF_THE_DATA)
    copied = take(table, chosen)
    owner = np.array([copies[one] for one in copied["owner"].tolist()], np.int64)
    rows.append("ExecutionProperty", {**copied, "owner": owner})


def properties_of(artifact: InputArtifact) -> list[tuple[str, bool, int, int | float | str]]:
    """Name, whether it is custom, PropertyKind and value of what an artifact brings along."""
    known = getattr(artifact, "known_properties", None)
    if known is not None:
        return list(known)
    message = getattr(artifact, "mlmd_artifact", None)
    if message is None:
        return []
    return [
        (name, is_custom, *found)
        for is_custom, values in ((False, message.properties), (True, message.custom_properties))
        for name in sorted(values)
        if (found := _unwrapped(values[name])) is not None
    ]


def _unwrapped(message: Any) -> tuple[int, float | str] | None:
    """Kind and value of an MLMD Value as a trace has them; None for what it leaves out."""
    found = property_of_message(message)
    if found is None or found[0] != PropertyKind.STRUCT:
        return found
    document = json.loads(str(found[1]))
    value = document.get(_WRAPPED) if document.keys() == {_WRAPPED} else None
    # Every number is one on Kubeflow: a whole one has come as an integer.
    return property_value(value) if isinstance(value, (str, int, float)) else found
