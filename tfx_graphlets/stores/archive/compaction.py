"""Compaction: the parts of an archive merged into one per table."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from tfx_graphlets.stores.archive import files as archive_files
from tfx_graphlets.stores.archive.columns import Rewriter, arrow_table
from tfx_graphlets.stores.archive.files import PartFiles
from tfx_graphlets.stores.archive.format import MANIFEST, TABLES, Manifest
from tfx_graphlets.stores.archive.growth import growth_of
from tfx_graphlets.stores.archive.payloads import Listing, all_contents
from tfx_graphlets.stores.archive.store import ArchiveStore
from tfx_graphlets.stores.archive.writing import Progress, TableWriter, pipelines_with_digests
from tfx_graphlets.version import __version__


def compacted(target: Path, shown: str, progress: Progress | None) -> Manifest:
    """Merges the parts, within the archive's lock."""
    found = (target / MANIFEST).read_bytes()
    with ArchiveStore(target, name=shown) as archive:
        manifest = archive.manifest
        if manifest.by_pipeline and all(len(parts) == 1 for parts in manifest.tables.values()):
            return manifest
        writer = TableWriter(Rewriter(scrub=False), {}, progress)
        writer.tell("the archive")
        trace = archive.read_whole()
        # Without what is known, pipelines keep their places and are counted anew.
        empty = tuple(dataclasses.replace(one, executions=0) for one in manifest.pipelines)
        growth = growth_of(
            trace,
            writer.tables(trace),
            None,
            dataclasses.replace(manifest, pipelines=empty, by_pipeline=True),
            complete=True,
        )
        files = PartFiles(target, manifest.generation + 1)
        listing = Listing.of(archive.tables)
        kept = {one.name: one.digest for one in manifest.pipelines}
        try:
            parts = {}
            for table, rows in growth.tables.items():
                writer.tell(table)
                parts[table] = files.write(table, rows)
            writer.tell("payloads")
            contents = all_contents(archive.tables)
            parts["payload_contents"] = files.write_contents(contents)
            keys = sorted(listing.row_of_file)
            listed: dict[str, list[Any]] = {
                "uri": [uri for uri, _ in keys],
                "name": [name for _, name in keys],
                "content": [listing.row_of_file[key] for key in keys],
            }
            parts["payloads"] = files.write("payloads", arrow_table("payloads", listed))
            new = dataclasses.replace(
                manifest,
                library_version=__version__,
                tables={table: (parts[table],) for table in TABLES},
                pipelines=pipelines_with_digests(growth, [*parts.values()], kept),
                by_pipeline=growth.by_pipeline,
            )
            archive_files.commit(target, shown, found, new)
        except BaseException:
            files.take_back()
            raise
        # Who opened the archive before still reads the parts that were merged:
        # they go with the next write.
        archive_files.remove_strays(target, manifest, new)
    return new
