"""write_archive, update_archive, compact_archive: history that outlives its store."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tfx_graphlets.errors import ArchiveError
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.stores import uris as connection
from tfx_graphlets.stores.archive import files as archive_files
from tfx_graphlets.stores.archive.append import Append, ArchiveUpdate
from tfx_graphlets.stores.archive.columns import Rewriter
from tfx_graphlets.stores.archive.compaction import compacted
from tfx_graphlets.stores.archive.format import KEPT_PAYLOADS, MANIFEST, Manifest
from tfx_graphlets.stores.archive.growth import growth_of
from tfx_graphlets.stores.archive.mark import Mark
from tfx_graphlets.stores.archive.payloads import Listing
from tfx_graphlets.stores.archive.source import mark_of
from tfx_graphlets.stores.archive.store import ArchiveStore
from tfx_graphlets.stores.archive.writing import Progress, TableWriter, pipelines_with_digests
from tfx_graphlets.stores.store import Store
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.version import __version__

MOST_PARTS = 32  # of a table; more are merged into one


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
    selection: str | None = None,
    mark: Mark | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Writes a trace and the payloads of its artifacts as a new archive.

    ``open_store(directory)`` reads it back: the same trace, and the same bytes
    of every kept file, unless ``relativize_root`` or ``scrub`` changed a text.
    The same arguments give the same bytes.

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
      selection: the pipeline that the trace is of; None for a whole store.
      mark: up to where the store was read, so that ``update_archive`` need
        not read all of it again; None where that is not known.
      progress: is told steps done, steps in all, and what comes next.

    Returns:
      The manifest that was written.

    Raises:
      ArchiveError: the directory exists and is no archive, or cannot be
        written, or another program writes to it.
    """
    target, shown = Path(directory), os.fspath(directory)
    _check_target(target, shown)
    writer = TableWriter(Rewriter(relativize_root, scrub=scrub), keep, progress)
    with _told(shown), contextlib.ExitStack() as stack:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            stack.enter_context(archive_files.locked(target, shown))
        work = stack.enter_context(
            tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent)
        )
        # A directory of its own inside, so that it gets the usual rights.
        new = Path(work) / target.name
        new.mkdir()
        growth = growth_of(trace, writer.tables(trace), None, None, complete=True)
        parts = writer.parts(
            archive_files.PartFiles(new, 0), growth, trace, payloads, Listing(), first=True
        )
        manifest = Manifest(
            library_version=__version__,
            created_ms=created_ms,
            source=_plain_source(source),
            dropped_events=trace.events.dropped,
            tables={table: (part,) for table, part in parts.items()},
            updated_ms=created_ms,
            selection=selection,
            scrubbed=scrub,
            pipelines=pipelines_with_digests(growth, [*parts.values()]),
            by_pipeline=growth.by_pipeline,
            mark=mark,
        )
        (new / MANIFEST).write_text(manifest.to_json(), encoding="utf-8")
        archive_files.put_in_place(new, target)
    return manifest


def update_archive(
    store: Store,
    payloads: Payloads,
    directory: str | os.PathLike[str],
    *,
    created_ms: int,
    pipeline: str | None = None,
    keep: Mapping[str, Sequence[str]] = KEPT_PAYLOADS,
    relativize_root: Sequence[str] = (),
    scrub: bool = True,
    replace: bool = False,
    progress: Progress | None = None,
) -> ArchiveUpdate:
    """Appends to an archive what is new or changed in its store; or makes the archive.

    An archive that was updated holds what one made anew would hold, and what
    has been deleted in the store meanwhile. Where nothing is new, nothing is
    written. A SQLite store is read from where it was read last; of others all
    is read, and the difference is written.

    Files are looked for below new and changed artifacts. What is written below
    the URI of an artifact that has not changed is not noticed.

    Args:
      store: the store that was archived.
      payloads: where the files of its artifacts are read, usually its own.
      directory: the archive; it is made if there is nothing.
      created_ms: time of writing, milliseconds since the epoch.
      pipeline: only this pipeline; the same for every write.
      replace: write the archive anew, in one step; what the store no longer
        holds is lost.
      keep, relativize_root, scrub, progress: as for ``write_archive``; the
        same for every write.

    Returns:
      What was done.

    Raises:
      ArchiveError: the archive was made from another store or of another
        pipeline, or with ``scrub`` otherwise; or as ``write_archive``.
      StoreError: the store cannot be read.
    """
    target, shown = Path(directory), os.fspath(directory)
    _check_target(target, shown)
    rewrite = Rewriter(relativize_root, scrub=scrub)
    writer = TableWriter(rewrite, keep, progress)
    if replace or not (target / MANIFEST).is_file():
        before = mark_of(store) if pipeline is None else None
        writer.tell("the store")
        trace = store.read_trace(pipeline=pipeline)
        # Only what was not written to while it was read is read up to a mark.
        mark = before if before is not None and mark_of(store) == before else None
        manifest = write_archive(
            trace,
            payloads,
            directory,
            created_ms=created_ms,
            source=store.name,
            keep=keep,
            relativize_root=relativize_root,
            scrub=scrub,
            selection=pipeline,
            mark=mark,
            progress=progress,
        )
        return ArchiveUpdate(
            manifest,
            written=True,
            new_executions=len(trace.executions),
            new_artifacts=len(trace.artifacts),
            new_events=len(trace.events),
            changed_pipelines=frozenset(one.name for one in manifest.pipelines),
        )
    with _told(shown), archive_files.locked(target, shown):
        found = (target / MANIFEST).read_bytes()
        with ArchiveStore(target, name=shown) as archive:
            _check_options(archive.manifest, shown, pipeline, scrub=scrub)
            update = Append(archive, store, payloads, writer, created_ms).run(found)
        if max(map(len, update.manifest.tables.values())) > MOST_PARTS:
            manifest = compacted(target, shown, progress)
            update = dataclasses.replace(update, manifest=manifest, compacted=True)
    return update


def compact_archive(
    directory: str | os.PathLike[str], *, progress: Progress | None = None
) -> Manifest:
    """Merges the parts of an archive into one per table, sorted by pipeline.

    What it holds stays the same. An archive that is merged already stays as it
    is; one of an earlier format becomes one of this format.

    Returns:
      The manifest of the archive.

    Raises:
      ArchiveError: there is no archive, it is damaged, or cannot be written.
    """
    target, shown = Path(directory), os.fspath(directory)
    with _told(shown):
        Manifest.read(target, shown)
        with archive_files.locked(target, shown):
            manifest = compacted(target, shown, progress)
    return manifest


def _check_target(target: Path, shown: str) -> None:
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    if not (target / MANIFEST).is_file():
        raise ArchiveError(
            shown, "exists and is no archive; name another directory, or remove it first"
        )
    Manifest.read(target, shown)


def _check_options(manifest: Manifest, shown: str, pipeline: str | None, *, scrub: bool) -> None:
    if manifest.selection != pipeline:
        kept = "all pipelines" if manifest.selection is None else repr(manifest.selection)
        raise ArchiveError(
            shown,
            f"is an archive of {kept}, and pipeline={pipeline!r} is asked for; ask for the "
            "same, name another directory, or replace the archive (--replace)",
        )
    if manifest.scrubbed != scrub:
        raise ArchiveError(
            shown,
            f"was written with scrub={manifest.scrubbed!r}, and scrub={scrub!r} is asked "
            "for; ask for the same, or replace the archive",
        )


@contextlib.contextmanager
def _told(shown: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ArchiveError(
            shown, f"cannot be written ({error}); see to rights and space, then write it again"
        ) from error


def _plain_source(source: str) -> str:
    return connection.redacted(source).replace("\\", "/").rstrip("/").rpartition("/")[2]
