"""Append: one write to an archive that is there."""

from __future__ import annotations

import dataclasses

from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.stores.archive import files as archive_files
from tfx_graphlets.stores.archive.files import PartFiles
from tfx_graphlets.stores.archive.format import Manifest, Part
from tfx_graphlets.stores.archive.growth import Growth, growth_of
from tfx_graphlets.stores.archive.known import Known
from tfx_graphlets.stores.archive.mark import Mark
from tfx_graphlets.stores.archive.payloads import Listing
from tfx_graphlets.stores.archive.source import CLOCK_SLACK_MS, changes_since, mark_of
from tfx_graphlets.stores.archive.store import ArchiveStore
from tfx_graphlets.stores.archive.writing import TableWriter, pipelines_with_digests
from tfx_graphlets.stores.store import Store
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.version import __version__


@dataclasses.dataclass(frozen=True)
class ArchiveUpdate:
    """What a call of ``update_archive`` did.

    Attributes:
      manifest: the archive as it is now.
      written: whether anything was written.
      compacted: whether the parts were merged.
      new_executions, new_artifacts, new_events: how many were added.
      changed: number of archived executions and artifacts that were replaced.
      changed_pipelines: names of the pipelines of which rows were written;
        empty for executions in no pipeline.
    """

    manifest: Manifest
    written: bool
    compacted: bool = False
    new_executions: int = 0
    new_artifacts: int = 0
    new_events: int = 0
    changed: int = 0
    changed_pipelines: frozenset[str] = frozenset()

    def __str__(self) -> str:
        if not self.written:
            return f"{self.manifest}; nothing is new"
        merged = "; its parts were merged" if self.compacted else ""
        return (
            f"{self.manifest}; {self.new_executions} executions, {self.new_artifacts} artifacts "
            f"and {self.new_events} events are new, {self.changed} were changed, in "
            f"{len(self.changed_pipelines)} pipelines{merged}"
        )


class Append:
    """One write to an archive that is there, within its lock."""

    def __init__(
        self,
        archive: ArchiveStore,
        store: Store,
        payloads: Payloads,
        writer: TableWriter,
        created_ms: int,
    ) -> None:
        self.archive, self.store, self.payloads = archive, store, payloads
        self.writer, self.created_ms = writer, created_ms
        self.manifest = archive.manifest
        self.directory = archive.tables.directory

    def run(self, found: bytes) -> ArchiveUpdate:
        """Appends what is new.

        Args:
          found: bytes of the manifest that the archive was opened with.
        """
        manifest = self.manifest
        self.writer.tell("the store")
        trace, growth, mark, dropped = self._changes()
        files = PartFiles(self.directory, manifest.generation + 1)
        try:
            parts: dict[str, Part] = {}
            if growth:
                listing = Listing.of(self.archive.tables)
                parts = self.writer.parts(files, growth, trace, self.payloads, listing, first=False)
            if not parts and mark == manifest.mark and dropped == manifest.dropped_events:
                return ArchiveUpdate(manifest, written=False)
            new = dataclasses.replace(
                manifest,
                library_version=__version__,
                dropped_events=dropped,
                tables={
                    table: (*there, *([parts[table]] if table in parts else ()))
                    for table, there in manifest.tables.items()
                },
                updated_ms=self.created_ms,
                pipelines=pipelines_with_digests(growth, [*parts.values()]),
                by_pipeline=growth.by_pipeline,
                mark=mark,
            )
            archive_files.commit(self.directory, self.archive.name, found, new)
        except BaseException:
            files.take_back()
            raise
        archive_files.remove_strays(self.directory, manifest, new)
        return ArchiveUpdate(
            new,
            written=True,
            new_executions=growth.new["executions"],
            new_artifacts=growth.new["artifacts"],
            new_events=growth.new["events"],
            changed=sum(growth.replaced.values()),
            changed_pipelines=new.changed_pipelines(manifest),
        )

    def _changes(self) -> tuple[Trace, Growth, Mark | None, int]:
        manifest = self.manifest
        known = Known.of(self.archive)
        times = [
            int(nodes.update_ms.max(initial=0)) for nodes in (known.executions, known.artifacts)
        ]
        since_ms = min(max(times), manifest.updated_ms) - CLOCK_SLACK_MS
        mark: Mark | None
        found = changes_since(self.store, known, manifest.mark, since_ms)
        if found is not None:
            trace, mark, highest = found.trace, found.mark, found.highest
            dropped = manifest.dropped_events + found.dropped
        else:
            before = mark_of(self.store) if manifest.selection is None else None
            trace = self.store.read_trace(pipeline=manifest.selection)
            mark = before if before is not None and mark_of(self.store) == before else None
            highest = int(trace.executions.id.max(initial=-1))
            dropped = trace.events.dropped
        known.check_same_store(trace, highest)
        growth = growth_of(
            trace, self.writer.tables(trace), known, manifest, complete=found is None
        )
        return trace, growth, mark, dropped
