"""TableWriter: the rows of a trace as parts of an archive."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.stores.archive.columns import Rewriter, arrow_table, tables_of
from tfx_graphlets.stores.archive.files import PartFiles
from tfx_graphlets.stores.archive.format import TABLES, ArchivedPipeline, Part
from tfx_graphlets.stores.archive.growth import Growth
from tfx_graphlets.stores.archive.payloads import Listing, kept_files
from tfx_graphlets.trace.trace import Trace

Progress = Callable[[int, int, str], None]


class TableWriter:
    """Writes the tables of a trace as parts, and tells how far it is."""

    def __init__(
        self, rewrite: Rewriter, keep: Mapping[str, Sequence[str]], progress: Progress | None
    ) -> None:
        self.rewrite = rewrite
        self.keep = keep
        self._progress = progress
        self._steps = 0

    def tell(self, what: str) -> None:
        """One more step is begun."""
        if self._progress is not None:
            self._progress(self._steps, len(TABLES) + 2, what)
        self._steps += 1

    def tables(self, trace: Trace) -> dict[str, Any]:
        """The rows of a trace as they may be kept."""
        self.tell("texts")
        return tables_of(trace, self.rewrite)

    def parts(
        self,
        files: PartFiles,
        growth: Growth,
        trace: Trace,
        payloads: Payloads,
        listing: Listing,
        *,
        first: bool,
    ) -> dict[str, Part]:
        """Writes what is new; the first write also writes tables without rows."""
        parts: dict[str, Part] = {}
        for table, rows in growth.tables.items():
            self.tell(table)
            if len(rows) or first:
                parts[table] = files.write(table, rows, replaced=growth.replaced.get(table, 0))
        self.tell("payloads")
        kept = kept_files(trace, growth.artifacts, payloads, self.keep, self.rewrite)
        listed: dict[str, list[Any]] = {"uri": [], "name": [], "content": []}
        contents = listing.new_contents(
            kept, payloads, self.rewrite, listed, self._progress or _no_progress
        )
        content = next(contents, None)
        if content is not None or first:
            parts["payload_contents"] = files.write_contents(_chained(content, contents))
        if listed["uri"] or first:
            parts["payloads"] = files.write("payloads", arrow_table("payloads", listed))
        return parts


def pipelines_with_digests(
    growth: Growth, parts: Collection[Part], keep: Mapping[str, str] | None = None
) -> tuple[ArchivedPipeline, ...]:
    """The pipelines; digests of those that were touched tell of the new parts.

    Args:
      growth: what the parts hold.
      parts: the new parts.
      keep: digests by name of pipelines of which nothing was changed.
    """
    kept = keep or {}
    content = "".join(part.sha256 for part in parts)
    result = []
    for one in growth.pipelines:
        digest = kept.get(one.name) or one.digest
        if one.name not in kept and (one.name in growth.touched or not digest):
            text = f"{digest} {one.name} {content}"
            digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        result.append(dataclasses.replace(one, digest=digest))
    return tuple(result)


def _chained(first: Any, others: Iterator[Any]) -> Iterator[Any]:
    if first is not None:
        yield first
    yield from others


def _no_progress(done: int, total: int, part: str) -> None:
    del done, total, part
