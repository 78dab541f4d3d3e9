"""Trace: the bipartite graph of executions and artifacts, as columns.

A Trace holds the nouns of ML Metadata (executions, artifacts, events,
contexts, properties) as numpy arrays, one row each, so that a corpus of five
million executions stays arrays. Rows are in ascending id; other tables refer
to rows by *position*, not by id. Times are milliseconds since the epoch, 0
where MLMD recorded none.

Two readers that read the same store give equal Traces (``Trace.equals``).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.errors import MalformedTraceError, TraceNotFoundError
from tfx_graphlets.trace.properties import (
    NO_STRING,
    BoolArray,
    CodeArray,
    FloatArray,
    IntArray,
    Properties,
    PropertyKind,
    SmallArray,
)

__all__ = (
    "NO_KEY",
    "NO_STRING",
    "Artifacts",
    "BoolArray",
    "CodeArray",
    "Contexts",
    "Events",
    "Executions",
    "FloatArray",
    "IntArray",
    "Properties",
    "PropertyKind",
    "SmallArray",
    "Trace",
    "first_difference",
)

NO_KEY = -1  # Events.key of an event without a key step in its path


@dataclasses.dataclass(frozen=True, eq=False)
class Executions:
    """Executions, ascending id.

    Attributes:
      id: int64 [n], MLMD ``Execution.id``.
      type: int32 [n], code into ``type_names``.
      state: int8 [n], vocabulary.ExecutionState; the property ``state`` of
        schema 4 is already folded in.
      create_ms: int64 [n], MLMD ``create_time_since_epoch``.
      update_ms: int64 [n], MLMD ``last_update_time_since_epoch``.
      type_names: full names of execution types, sorted.
      properties: their properties.
    """

    id: IntArray
    type: CodeArray
    state: SmallArray
    create_ms: IntArray
    update_ms: IntArray
    type_names: tuple[str, ...]
    properties: Properties

    def __len__(self) -> int:
        return len(self.id)


@dataclasses.dataclass(frozen=True, eq=False)
class Artifacts:
    """Artifacts, ascending id.

    Attributes:
      id: int64 [n], MLMD ``Artifact.id``.
      type: int32 [n], code into ``type_names``.
      state: int8 [n], MLMD ``Artifact.State``; 0 where none is recorded.
      create_ms, update_ms: int64 [n].
      uri: str [n], empty where MLMD has none, as written (backslashes stay);
        a tuple, or ``strings.Texts`` where there are many.
      type_names: full names of artifact types, sorted.
      properties: their properties.
    """

    id: IntArray
    type: CodeArray
    state: SmallArray
    create_ms: IntArray
    update_ms: IntArray
    uri: Sequence[str]
    type_names: tuple[str, ...]
    properties: Properties

    def __len__(self) -> int:
        return len(self.id)


@dataclasses.dataclass(frozen=True, eq=False)
class Events:
    """Events whose execution and artifact both exist.

    Sorted by (execution, artifact, type).

    Attributes:
      execution: int64 [n], position in Executions.
      artifact: int64 [n], position in Artifacts.
      type: int8 [n], vocabulary.EventType.
      key: int32 [n], code into ``keys`` of the first key step of the path,
        NO_KEY where there is none.
      time_ms: int64 [n], MLMD ``milliseconds_since_epoch``, 0 where none.
      keys: distinct keys, sorted.
      dropped: number of events left out because they name an execution or an
        artifact that is not in the store.
    """

    execution: IntArray
    artifact: IntArray
    type: SmallArray
    key: CodeArray
    time_ms: IntArray
    keys: tuple[str, ...]
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.execution)


@dataclasses.dataclass(frozen=True, eq=False)
class Contexts:
    """Contexts, ascending id, with the executions and artifacts they hold.

    Attributes:
      id: int64 [n], MLMD ``Context.id``.
      type: int32 [n], code into ``type_names``.
      name: str [n].
      create_ms: int64 [n].
      type_names: names of context types, sorted.
      association_context, association_execution: int64 [m], positions, sorted
        by (execution, context).
      attribution_context, attribution_artifact: int64 [k], positions, sorted
        by (artifact, context).
    """

    id: IntArray
    type: CodeArray
    name: tuple[str, ...]
    create_ms: IntArray
    type_names: tuple[str, ...]
    association_context: IntArray
    association_execution: IntArray
    attribution_context: IntArray
    attribution_artifact: IntArray

    def __len__(self) -> int:
        return len(self.id)

    def of_types(self, type_names: Iterable[str]) -> BoolArray:
        """True for contexts whose type's name is among ``type_names``, bool [n]."""
        wanted = set(type_names)
        known = np.array([name in wanted for name in self.type_names], bool)
        return known[self.type] if len(self.type_names) else np.zeros(len(self), bool)


@dataclasses.dataclass(frozen=True, eq=False)
class Trace:
    """Everything that a metadata store recorded, as columns.

    >>> from tfx_graphlets.testing import TraceBuilder
    >>> build = TraceBuilder()
    >>> _ = build.execution("Trainer", outputs={"model": [build.artifact("Model")]}, run="r")
    >>> trace = build.trace()
    >>> trace.executions.type_names, trace.artifacts.id.tolist()
    (('Trainer',), [1])

    Attributes:
      executions, artifacts, events, contexts: see their classes.
    """

    executions: Executions
    artifacts: Artifacts
    events: Events
    contexts: Contexts

    def __post_init__(self) -> None:
        for name, table in (("executions", self.executions), ("artifacts", self.artifacts)):
            if len(table) > 1 and not bool((np.diff(table.id) > 0).all()):
                wrong = table.id[1:][np.diff(table.id) <= 0]
                raise MalformedTraceError(f"{name} must be in ascending id", wrong.tolist())
        _check_positions("events.execution", self.events.execution, len(self.executions))
        _check_positions("events.artifact", self.events.artifact, len(self.artifacts))

    def __str__(self) -> str:
        return (
            f"Trace of {len(self.executions)} executions, {len(self.artifacts)} artifacts, "
            f"{len(self.events)} events, {len(self.contexts)} contexts"
        )

    def equals(self, other: Trace) -> bool:
        """True if every column of both is the same."""
        return first_difference(self, other) is None

    # -- contexts of executions ------------------------------------------------

    @functools.cached_property
    def run_of_execution(self) -> IntArray:
        """Position of each execution's run context, int64 [E], -1 where none.

        An execution that stands in several is given the first by the order of
        ``vocabulary.RUN_CONTEXTS``, then by id.
        """
        return self._context_of_execution(vocabulary.RUN_CONTEXTS)

    @functools.cached_property
    def pipeline_of_execution(self) -> IntArray:
        """Position of each execution's pipeline context, int64 [E], -1 if none."""
        return self._context_of_execution(vocabulary.PIPELINE_CONTEXTS)

    @functools.cached_property
    def node_of_execution(self) -> IntArray:
        """Position of each execution's node context, int64 [E], -1 where none."""
        return self._context_of_execution(vocabulary.NODE_CONTEXTS)

    def _context_of_execution(self, type_names: Sequence[str]) -> IntArray:
        result = np.full(len(self.executions), -1, np.int64)
        contexts = self.contexts
        for type_name in reversed(type_names):
            chosen = contexts.of_types([type_name])[contexts.association_context]
            # Rows are sorted by (execution, context): reversed, the lowest id wins.
            result[contexts.association_execution[chosen][::-1]] = contexts.association_context[
                chosen
            ][::-1]
        return result

    def members_of_pipeline(self, name: str) -> IntArray:
        """Positions of the executions in the pipeline contexts of a name, int64 [k], ascending.

        Raises:
          TraceNotFoundError: there is no such context.
        """
        contexts = self.contexts
        is_pipeline = np.flatnonzero(contexts.of_types(vocabulary.PIPELINE_CONTEXTS)).tolist()
        named = [at for at in is_pipeline if contexts.name[at] == name]
        if not named:
            names = sorted({contexts.name[at] for at in is_pipeline})
            there = f"it holds {', '.join(map(repr, names))}" if names else "it holds none"
            raise TraceNotFoundError(name, f"pipeline={name!r}: not in this trace; {there}")
        held = np.isin(contexts.association_context, named)
        return np.unique(contexts.association_execution[held]).astype(np.int64)

    def run_memberships(self) -> tuple[IntArray, IntArray]:
        """Pairs (execution, run context) of every run context, each int64 [m]."""
        contexts = self.contexts
        chosen = contexts.of_types(vocabulary.RUN_CONTEXTS)[contexts.association_context]
        return contexts.association_execution[chosen], contexts.association_context[chosen]

    def context_name(self, position: int) -> str | None:
        """Name of the context at ``position``; None for position -1."""
        return None if position < 0 else self.contexts.name[position]

    def node_id(self, execution: int) -> str | None:
        """Id of an execution's node; None where it stands in no node context.

        TFX names the context of a node after its pipeline: of ``pipeline.node`` it is
        ``node``.
        """
        name = self.context_name(int(self.node_of_execution[execution]))
        pipeline = self.context_name(int(self.pipeline_of_execution[execution]))
        return name if name is None or not pipeline else name.removeprefix(f"{pipeline}.")

    # -- types -----------------------------------------------------------------

    @functools.cached_property
    def artifact_base_types(self) -> tuple[str, ...]:
        """Last dotted part of each name in ``artifacts.type_names``."""
        return tuple(vocabulary.base_name(name) for name in self.artifacts.type_names)

    def artifacts_of_types(self, base_names: Iterable[str]) -> BoolArray:
        """True for artifacts whose type's last dotted part is among the names.

        Returns: bool [A].
        """
        wanted = set(base_names)
        known = np.array([name in wanted for name in self.artifact_base_types], bool)
        if not len(self.artifacts):
            return np.zeros(0, bool)
        return known[self.artifacts.type]

    def execution_position(self, execution_id: int) -> int:
        """Position of the execution with this id; -1 where there is none."""
        return _position(self.executions.id, execution_id)

    def artifact_position(self, artifact_id: int) -> int:
        """Position of the artifact with this id; -1 where there is none."""
        return _position(self.artifacts.id, artifact_id)


def first_difference(left: Trace, right: Trace) -> str | None:
    """Name of the first column in which two traces differ; None if equal.

    NaN equals NaN.
    """
    return _first_difference(left, right, "trace")


def _first_difference(left: object, right: object, name: str) -> str | None:
    if dataclasses.is_dataclass(left):
        for field in dataclasses.fields(left):
            found = _first_difference(
                getattr(left, field.name), getattr(right, field.name), f"{name}.{field.name}"
            )
            if found is not None:
                return found
        return None
    if isinstance(left, np.ndarray) and isinstance(right, np.ndarray):
        floating = np.issubdtype(left.dtype, np.floating)
        same = left.dtype == right.dtype and np.array_equal(left, right, equal_nan=floating)
    else:
        same = left == right
    return None if same else name


def _position(ids: IntArray, wanted: int) -> int:
    position = int(np.searchsorted(ids, wanted))
    return position if position < len(ids) and ids[position] == wanted else -1


def _check_positions(name: str, positions: IntArray, length: int) -> None:
    if len(positions) and (positions.min() < 0 or positions.max() >= length):
        wrong = positions[(positions < 0) | (positions >= length)]
        raise MalformedTraceError(
            f"{name} must lie within 0 and {length - 1}", sorted(set(wrong.tolist()))
        )
