"""Growth: the rows of a trace that an archive does not hold yet, or holds otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfx_graphlets import vocabulary
from tfx_graphlets.stores.archive.columns import event_hashes, pair_hashes
from tfx_graphlets.stores.archive.format import ALWAYS_READ, ArchivedPipeline, Manifest
from tfx_graphlets.stores.archive.known import Known, KnownNodes, common_pipeline
from tfx_graphlets.stores.selection import WHERE_CONTEXTS
from tfx_graphlets.trace.ordering import positions_of
from tfx_graphlets.trace.trace import BoolArray, IntArray, Trace

_NO_PIPELINE = ""  # name under which executions in no pipeline are counted


@dataclasses.dataclass(frozen=True, eq=False)
class Growth:
    """What is to be appended to an archive.

    Attributes:
      tables: pyarrow.Table by name, with the column ``pipeline``; rows of all
        tables but the payloads'.
      artifacts: bool [num_artifacts], those of the trace that are new or
        changed: their files are looked at.
      new: number of new executions, artifacts and events, by table.
      replaced: number of executions and artifacts that are archived already.
      pipelines: all pipelines with their sizes; digests as they were.
      touched: names of those of which rows are appended.
      by_pipeline: see ``Manifest``.
    """

    tables: Mapping[str, Any]
    artifacts: BoolArray
    new: Mapping[str, int]
    replaced: Mapping[str, int]
    pipelines: tuple[ArchivedPipeline, ...]
    touched: frozenset[str]
    by_pipeline: bool

    def __bool__(self) -> bool:
        return any(len(table) for table in self.tables.values())


def growth_of(
    trace: Trace,
    tables: Mapping[str, Any],
    known: Known | None,
    manifest: Manifest | None,
    *,
    complete: bool,
) -> Growth:
    """What an archive lacks of a trace.

    Args:
      trace: all of a store, or what may be new in it: then all its events,
        associations and attributions are new, and a node of any of them is there.
      tables: the tables of the trace, see ``tables_of``.
      known: what is archived; None for a new archive.
      manifest: of the archive; None for a new one.
      complete: whether the trace is all of the store.
    """
    return _Comparison(trace, tables, known, manifest, complete=complete).growth()


class _Comparison:
    def __init__(
        self,
        trace: Trace,
        tables: Mapping[str, Any],
        known: Known | None,
        manifest: Manifest | None,
        *,
        complete: bool,
    ) -> None:
        self.trace, self.tables, self.known, self.complete = trace, tables, known, complete
        self.pipelines = () if manifest is None else manifest.pipelines
        self.trusted = manifest is None or manifest.by_pipeline
        contexts = trace.contexts
        is_pipeline = contexts.of_types(vocabulary.PIPELINE_CONTEXTS)
        place = {one.name: number for number, one in enumerate(self.pipelines)}
        self.names = list(place)
        named = [contexts.name[row] for row in np.flatnonzero(is_pipeline)]
        for name in sorted({*named} - place.keys()):
            place[name] = len(self.names)
            self.names.append(name)
        self.of_context = np.full(len(contexts), ALWAYS_READ, np.int32)
        self.of_context[is_pipeline] = [place[name] for name in named]
        inside = self.of_context[contexts.association_context] >= 0
        # Pairs of an execution and a pipeline that it stands in.
        self.member = contexts.association_execution[inside]
        self.member_of = self.of_context[contexts.association_context[inside]]

    def growth(self) -> Growth:
        trace, events, contexts = self.trace, self.trace.events, self.trace.contexts
        known = self.known
        new_event = self._lacking("events", event_hashes)
        new_association = self._lacking("associations", pair_hashes)
        new_attribution = self._lacking("attributions", pair_hashes)

        execution, moved = self._placed(
            trace.executions.id,
            None if known is None else known.executions.id,
            None if known is None else known.executions.pipeline,
            self.member,
            self.member_of,
        )
        of_execution = contexts.association_execution
        context, context_moved = self._placed(
            contexts.id,
            None if known is None else known.context_id,
            None if known is None else known.context_pipeline,
            contexts.association_context,
            execution[of_execution],
        )
        artifact, shared = self._placed(
            trace.artifacts.id,
            None if known is None else known.artifacts.id,
            None if known is None else known.artifacts.pipeline,
            events.artifact,
            execution[events.execution],
        )
        artifact[shared] = ALWAYS_READ

        executions_new, executions_changed = self._compared("executions")
        artifacts_new, artifacts_changed = self._compared("artifacts")
        write_execution = executions_new | executions_changed
        write_artifact = artifacts_new | artifacts_changed | shared
        write_context = (
            np.ones(len(contexts), bool)
            if known is None
            else positions_of(known.context_id, contexts.id) < 0
        )
        execution_owner = trace.executions.properties.owner
        artifact_owner = trace.artifacts.properties.owner
        chosen = {
            "executions": (write_execution, execution),
            "artifacts": (write_artifact, artifact),
            "events": (new_event, execution[events.execution]),
            "contexts": (write_context, context),
            "associations": (new_association, execution[of_execution]),
            "attributions": (new_attribution, context[contexts.attribution_context]),
            "execution_properties": (write_execution[execution_owner], execution[execution_owner]),
            "artifact_properties": (write_artifact[artifact_owner], artifact[artifact_owner]),
        }
        touched = np.concatenate(
            (
                np.flatnonzero(write_execution),
                events.execution[new_event],
                of_execution[new_association],
            )
        )
        names = self._names_of(np.unique(touched), execution)
        names |= self._names_of_artifacts(artifacts_changed, artifact, execution)
        names |= self._names_of_contexts(contexts.attribution_context[new_attribution], context)
        return Growth(
            tables={name: self._rows(name, *rows) for name, rows in chosen.items()},
            artifacts=artifacts_new | artifacts_changed,
            new={
                "executions": int(executions_new.sum()),
                "artifacts": int(artifacts_new.sum()),
                "events": int(new_event.sum()),
            },
            replaced={
                "executions": int(executions_changed.sum()),
                "artifacts": int((write_artifact & ~artifacts_new).sum()),
            },
            pipelines=self._counted(executions_new),
            touched=names,
            by_pipeline=self.trusted and not moved.any() and not context_moved.any(),
        )

    def _rows(self, name: str, chosen: BoolArray, pipeline: Any) -> Any:
        import pyarrow as pa

        table = self.tables[name].append_column("pipeline", pa.array(pipeline, pa.int32()))
        return table if chosen.all() else table.filter(pa.array(chosen))

    def _lacking(self, table: str, hashes: Any) -> BoolArray:
        """True for rows that the archive does not hold, as often as they are there."""
        rows = self.tables[table]
        if self.known is None or not self.complete:
            return np.ones(len(rows), bool)
        columns = [name for name in rows.column_names if name != "pipeline"]
        there = np.sort(hashes(self.known.store.tables.read(table, columns)))
        here = hashes(rows)
        order = np.argsort(here, kind="stable")
        ordered = here[order]
        first = np.searchsorted(ordered, ordered, "left")
        times = np.searchsorted(there, ordered, "right") - np.searchsorted(there, ordered, "left")
        lacking = np.zeros(len(here), bool)
        lacking[order] = np.arange(len(here)) - first >= times
        return lacking

    def _placed(
        self,
        ids: IntArray,
        known_ids: IntArray | None,
        known_pipeline: Any,
        member: IntArray,
        pipeline: Any,
    ) -> tuple[Any, BoolArray]:
        """The pipeline of each row, and whether it was archived with another one."""
        found, has_any = common_pipeline(len(ids), member, pipeline)
        if known_ids is None:
            return found, np.zeros(len(ids), bool)
        place = positions_of(known_ids, ids)
        archived = np.append(known_pipeline, np.int32(ALWAYS_READ))[place]
        moved = (place >= 0) & (archived >= 0) & has_any & (found != archived)
        return np.where(place >= 0, archived, found), moved

    def _compared(self, table: str) -> tuple[BoolArray, BoolArray]:
        """Which nodes are new, and which are archived with another digest."""
        digest = self.tables[table].column("digest").to_numpy()
        if self.known is None:
            return np.ones(len(digest), bool), np.zeros(len(digest), bool)
        nodes: KnownNodes = getattr(self.known, table)
        place = positions_of(nodes.id, self.tables[table].column("id").to_numpy())
        is_new = place < 0
        archived = np.append(nodes.digest, 0)[place]
        return is_new, ~is_new & (archived != digest)

    # -- which pipelines are touched -----------------------------------------

    def _names_of(self, executions: IntArray, pipeline: Any) -> frozenset[str]:
        """Names of all pipelines of some executions, given by position."""
        of_one = pipeline[executions]
        names = {self.names[number] for number in np.unique(of_one[of_one >= 0])}
        others = executions[of_one < 0]
        if not len(others):
            return frozenset(names)
        named = np.isin(self.member, others)
        names |= {self.names[number] for number in np.unique(self.member_of[named])}
        nameless = others[~np.isin(others, self.member[named])]
        known = self.known
        if known is not None and not self.complete:
            archived = positions_of(known.executions.id, self.trace.executions.id[others]) >= 0
            if archived.any():  # in which it stood before is not told
                return frozenset({*self.names, _NO_PIPELINE})
        return frozenset(names | ({_NO_PIPELINE} if len(nameless) else set()))

    def _names_of_artifacts(
        self, changed: BoolArray, artifact: Any, execution: Any
    ) -> frozenset[str]:
        events = self.trace.events
        names = {self.names[number] for number in np.unique(artifact[changed & (artifact >= 0)])}
        several = changed & (artifact < 0)
        if not several.any():
            return frozenset(names)
        if not self.complete:
            return frozenset({*self.names, _NO_PIPELINE})
        return frozenset(names) | self._names_of(
            np.unique(events.execution[several[events.artifact]]), execution
        )

    def _names_of_contexts(self, contexts: IntArray, pipeline: Any) -> frozenset[str]:
        """Names of the pipelines whose executions stand in contexts that hold new artifacts."""
        of_one = pipeline[contexts]
        names = {self.names[number] for number in np.unique(of_one[of_one >= 0])}
        told = self.trace.contexts.of_types(WHERE_CONTEXTS)[contexts]
        if self.known is not None and bool((told & (of_one < 0)).any()):
            return frozenset({*self.names, _NO_PIPELINE})
        return frozenset(names)

    def _counted(self, is_new: BoolArray) -> tuple[ArchivedPipeline, ...]:
        """The pipelines with the new executions counted in."""
        archived = {one.name: one for one in self.pipelines}
        chosen = is_new[self.member]
        pairs = np.unique(np.stack((self.member[chosen], self.member_of[chosen])), axis=1)
        counts = np.bincount(pairs[1], minlength=len(self.names))
        outside = is_new.copy()
        outside[self.member] = False
        if outside.any() and _NO_PIPELINE not in self.names:
            self.names.append(_NO_PIPELINE)
            counts = np.append(counts, 0)
        result = []
        for number, name in enumerate(self.names):
            more = int(outside.sum()) if name == _NO_PIPELINE else int(counts[number])
            before = archived.get(name, ArchivedPipeline(name, 0, ""))
            result.append(dataclasses.replace(before, executions=before.executions + more))
        return tuple(result)
