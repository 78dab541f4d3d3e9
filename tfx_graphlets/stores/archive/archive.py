"""write_archive, update_archive, compact_archive: history that outlives its store."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.stores import uris
from tfx_graphlets.stores.archive import files as archive_files
from tfx_graphlets.stores.archive.format import (
    KEPT_PAYLOADS,
    TABLES,
    ArchiveFile,
    Manifest,
)
from tfx_graphlets.stores.archive.merging import Merge, check_same_store, merge
from tfx_graphlets.stores.archive.payloads import Listing, all_contents, kept_files
from tfx_graphlets.stores.archive.store import ArchiveStore
from tfx_graphlets.stores.archive.tables import tables_of
from tfx_graphlets.stores.archive.texts import Rewriter
from tfx_graphlets.stores.belonging import belonging_to, roles_lost
from tfx_graphlets.stores.store import Store, check_names, declared_by
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.version import __version__

_LOGGER = logging.getLogger(__name__)
MOST_PARTS: Final = 32  # files of payload_contents; more are merged into one
NOTHING_DECLARED: Final = Declared()
Progress = Callable[[int, int, str], None]


@dataclasses.dataclass(frozen=True)
class ArchiveUpdate:
    """What a call of ``update_archive`` did.

    Attributes:
      manifest: the archive as it is now.
      written: whether anything was written.
      new_executions, new_artifacts, new_events: how many were added.
      changed: number of archived executions and artifacts that were replaced.
      changed_pipelines: names of the pipelines of which rows were written;
        empty for executions in no pipeline.
    """

    manifest: Manifest
    written: bool
    new_executions: int = 0
    new_artifacts: int = 0
    new_events: int = 0
    changed: int = 0
    changed_pipelines: frozenset[str] = frozenset()

    def __str__(self) -> str:
        if not self.written:
            return f"{self.manifest}; nothing is new"
        return (
            f"{self.manifest}; {self.new_executions} executions, {self.new_artifacts} artifacts "
            f"and {self.new_events} events are new, {self.changed} were changed, in "
            f"{len(self.changed_pipelines)} pipelines"
        )


def write_archive(
    trace: Trace,
    payloads: Payloads,
    directory: str | os.PathLike[str],
    *,
    created_ms: int,
    source: str = "",
    keep: Mapping[str, Sequence[str]] = KEPT_PAYLOADS,
    relativize_root: Sequence[str] = (),
    scrub: bool = True,
    redact: bytes | None = None,
    selection: str | None = None,
    node: str | None = None,
    declared: Declared = NOTHING_DECLARED,
    progress: Progress | None = None,
) -> Manifest:
    """Writes a trace and the payloads of its artifacts as a new archive.

    ``open_store(directory)`` reads it back: the same trace, and the same bytes
    of every kept file, unless ``relativize_root``, ``scrub`` or ``redact``
    changed a text. The same arguments give the same bytes.

    Args:
      trace: what to keep, usually all of a store.
      payloads: where the files of its artifacts are read.
      directory: the archive; one that is there is replaced in one step.
      created_ms: time of writing, milliseconds since the epoch.
      source: name of the store; only its last part is kept.
      keep: patterns (``fnmatch``) of the names of files that are kept, by the
        last part of the artifact type's name.
      relativize_root: folders of this machine whose paths are made relative,
        in URIs, in text properties and in kept JSON and text files.
      scrub: put ``[scrubbed]`` for properties and JSON values whose name says
        that they are secret, and take user and password out of URIs.
      redact: key of the fingerprints that stand for URIs and texts of
        properties; no files are kept then. None to keep them.
      selection, node: the pipeline and the Trainer node that the trace is of; None for all.
      declared: roles and pushers, for every reader of the archive.
      progress: is told steps done, steps in all, and what comes next.

    Returns:
      The manifest that was written.

    Raises:
      ArchiveError: the directory exists and is no archive, or cannot be
        written, or another program writes to it.
    """
    rewrite = Rewriter(relativize_root, scrub=scrub, key=redact)
    write = _Write(directory, rewrite, keep, progress)
    with write.begun():
        manifest = write.new_manifest(source, created_ms, selection, node, declared)
        return write.run(None, trace, payloads, manifest).manifest


def update_archive(
    store: Store,
    payloads: Payloads,
    directory: str | os.PathLike[str],
    *,
    created_ms: int,
    pipeline: str | None = None,
    node: str | None = None,
    keep: Mapping[str, Sequence[str]] = KEPT_PAYLOADS,
    relativize_root: Sequence[str] = (),
    scrub: bool = True,
    redact: bytes | None = None,
    declared: Declared = NOTHING_DECLARED,
    replace: bool = False,
    progress: Progress | None = None,
) -> ArchiveUpdate:
    """Adds to an archive what is new or changed in its store; or makes the archive.

    An archive that was updated holds what one made anew would hold, and what
    has been deleted in the store meanwhile. Where nothing is new, nothing is
    written. All of the store and of the archive's tables is read, and a table
    in which something is new is written anew.

    Files are looked for below new and changed artifacts. What is written below
    the URI of an artifact that has not changed is not noticed.

    Args:
      store: the store that was archived.
      payloads: where the files of its artifacts are read, usually its own.
      directory: the archive; it is made if there is nothing.
      created_ms: time of writing, milliseconds since the epoch.
      pipeline, node: only what the graphlets are made of whose Trainer is of these; the same
        for every write.
      declared: as for ``write_archive``, besides what the archive, or a store
        that is one, declares already.
      replace: write the archive anew, in one step; what the store no longer
        holds is lost.
      keep, relativize_root, scrub, redact, progress: as for ``write_archive``;
        the same for every write.

    Returns:
      What was done.

    Raises:
      ArchiveError: the archive was made from another store, of another
        pipeline, or with ``scrub`` or ``redact`` otherwise; or as
        ``write_archive``.
      InvalidArgumentError: ``declared`` contradicts what the archive declares,
        or a new archive's names what the store does not hold.
      StoreError: the store cannot be read.
    """
    rewrite = Rewriter(relativize_root, scrub=scrub, key=redact)
    write = _Write(directory, rewrite, keep, progress)
    with write.begun(), contextlib.ExitStack() as stack:
        archive = None
        if replace or write.found is None:
            given = declared_by(store, declared)
            manifest = write.new_manifest(store.name, created_ms, pipeline, node, given)
        else:
            archive = stack.enter_context(ArchiveStore(write.target, name=write.shown))
            archive.manifest.check_options(
                write.shown, pipeline, node, scrubbed=scrub, redaction=rewrite.redaction
            )
            given = declared_by(archive, declared)
            manifest = dataclasses.replace(archive.manifest, updated_ms=created_ms, declared=given)
        write.step(f"reading {store.name}")
        trace = store.read_trace()
        if archive is None:
            check_names(trace, declared)
        if pipeline is not None or node is not None:
            whole = trace
            trace = belonging_to(whole, pipeline, store.name, given.role_of_type, node)
            for name, role in roles_lost(whole, trace, given.role_of_type).items():
                _LOGGER.warning(
                    "%s: what is kept of %s does not show its role; declare it: --role %s",
                    write.shown,
                    name,
                    f"{name}={role.name.lower()}",
                )
        return write.run(archive, trace, payloads, manifest)


def compact_archive(
    directory: str | os.PathLike[str], *, progress: Progress | None = None
) -> Manifest:
    """Merges the contents of kept files into one file; all else is one file a table already.

    What the archive holds stays the same; one that is merged stays as it is.

    Returns:
      The manifest of the archive.

    Raises:
      ArchiveError: there is no archive, it is damaged, or cannot be written.
    """
    write = _Write(directory, Rewriter(scrub=False), {}, progress)
    Manifest.read(write.target, write.shown)
    with write.begun(), ArchiveStore(write.target, name=write.shown) as archive:
        manifest = archive.manifest
        if len(manifest.tables["payload_contents"]) > 1:
            write.step("payloads")
            file = archive_files.write_contents(write.target, all_contents(archive.tables))
            tables = {**manifest.tables, "payload_contents": (file,)}
            manifest = dataclasses.replace(manifest, tables=tables)
            archive_files.commit(write.target, write.shown, write.found, manifest)
    return manifest


class _Write:
    """One write to an archive.

    Attributes:
      target: the archive.
      folder: where files are written: the archive, or a draft of a new one.
      shown: how messages name it.
      rewrite: how texts are kept.
      found: bytes of the manifest that was there when it began; None where there was none.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        rewrite: Rewriter,
        keep: Mapping[str, Sequence[str]],
        progress: Progress | None,
    ) -> None:
        self.target = self.folder = Path(directory)
        self.shown = os.fspath(directory)
        self.rewrite = rewrite
        self.found: bytes | None = None
        self._keep = {} if rewrite.key is not None else keep
        self._progress = progress or _no_progress
        self._steps = 0

    @contextlib.contextmanager
    def begun(self) -> Iterator[None]:
        """Keeps other writers out of the archive; a new one appears whole or not at all."""
        with archive_files.writing(self.target, self.shown) as self.folder:
            self.found = archive_files.manifest_bytes(self.folder)
            yield

    def step(self, what: str) -> None:
        """One more step is begun."""
        self._progress(self._steps, len(TABLES) + 2, what)
        self._steps += 1

    def new_manifest(
        self,
        source: str,
        created_ms: int,
        selection: str | None,
        node: str | None,
        declared: Declared,
    ) -> Manifest:
        """The manifest of an archive without tables."""
        return Manifest(
            library_version=__version__,
            created_ms=created_ms,
            updated_ms=created_ms,
            source=_plain_source(source) if self.rewrite.key is None else "",
            dropped_events=0,
            tables={},
            selection=selection,
            node=node,
            declared=declared,
            scrubbed=self.rewrite.scrub,
            redaction=self.rewrite.redaction,
        )

    def run(
        self, archive: ArchiveStore | None, trace: Trace, payloads: Payloads, manifest: Manifest
    ) -> ArchiveUpdate:
        """Writes what is new, and exchanges the manifest.

        Args:
          archive: what is there and goes on; None for a new archive.
          trace: what the store holds.
          payloads: where the files of its artifacts are read.
          manifest: the new one, but for its tables, pipelines and dropped events.
        """
        self.step("texts")
        tables = tables_of(trace, self.rewrite)
        there = None
        if archive is not None:
            there = {name: archive.tables.read(name) for name in tables}
            check_same_store(there["executions"], tables["executions"], self.shown)
        merged = merge(there, tables)
        files = dict(manifest.tables)
        if merged.is_new or archive is None:
            for name, rows in merged.tables.items():
                self.step(name)
                files[name] = (archive_files.write_table(self.folder, name, rows),)
            self._write_payloads(archive, trace, payloads, merged, files)
        new = dataclasses.replace(
            manifest,
            library_version=__version__,
            dropped_events=trace.events.dropped,
            tables=files,
            pipelines=merged.pipelines,
        )
        if archive is not None and _same(archive.manifest, new):
            return ArchiveUpdate(archive.manifest, written=False)
        archive_files.commit(self.folder, self.shown, self.found, new)
        archive_files.remove_strays(self.folder)
        return ArchiveUpdate(
            new,
            written=True,
            new_executions=merged.new["executions"],
            new_artifacts=merged.new["artifacts"],
            new_events=merged.new["events"],
            changed=merged.changed,
            changed_pipelines=merged.changed_pipelines,
        )

    def _write_payloads(
        self,
        archive: ArchiveStore | None,
        trace: Trace,
        payloads: Payloads,
        merged: Merge,
        files: dict[str, tuple[ArchiveFile, ...]],
    ) -> None:
        """Writes the files of new and changed artifacts; ``files`` is brought up to date."""
        self.step("payloads")
        listing = Listing() if archive is None else Listing.of(archive.tables)
        chosen = np.isin(trace.artifacts.id, merged.artifacts)
        kept = kept_files(trace, chosen, payloads, self._keep, self.rewrite)
        contents = listing.new_contents(kept, payloads, self.rewrite, self._progress)
        first = next(contents, None)
        parts = files.get("payload_contents", ())
        if first is not None or not parts:
            contents = itertools.chain([first] if first is not None else [], contents)
            if archive is not None and len(parts) >= MOST_PARTS:
                contents, parts = itertools.chain(all_contents(archive.tables), contents), ()
            part = archive_files.write_contents(self.folder, contents)
            files["payload_contents"] = (*parts, part)
        if listing.is_new or archive is None:
            file = archive_files.write_table(self.folder, "payloads", listing.table())
            files["payloads"] = (file,)


def _same(one: Manifest, other: Manifest) -> bool:
    """Whether two manifests say the same but for when, and by what, they were written."""
    return one == dataclasses.replace(
        other, updated_ms=one.updated_ms, library_version=one.library_version
    )


def _plain_source(source: str) -> str:
    return uris.redacted(source).replace("\\", "/").rstrip("/").rpartition("/")[2]


def _no_progress(done: int, total: int, part: str) -> None:
    del done, total, part
