"""An archive that is updated holds what one made anew would hold."""

from __future__ import annotations

import copy
import json
import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings

from pipelines.flights import history
from tests import strategies
from tests.provenance.growth import grown
from tests.provenance.mlmd_files import write_store
from tests.provenance.readers import Reader, by_mlmd, by_sql, needs_mlmd
from tests.provenance.test_archive import InMemory
from tfx_graphlets.assembly import RawTables, assemble
from tfx_graphlets.errors import ArchiveError, EmptyStoreError
from tfx_graphlets.payload import NoPayloads, Payloads
from tfx_graphlets.provenance import archive_append, archive_source
from tfx_graphlets.provenance.archive import ArchiveUpdate, compact_archive, update_archive
from tfx_graphlets.provenance.archive_store import ArchiveStore
from tfx_graphlets.provenance.store import open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace import Trace, first_difference
from tfx_graphlets.vocabulary import PIPELINE_CONTEXTS, ExecutionState

NOW_MS = 3_000_000

by_each = pytest.mark.parametrize(
    "reader", [pytest.param(by_sql, id="sql"), pytest.param(by_mlmd, id="mlmd", marks=needs_mlmd)]
)


@pytest.fixture(autouse=True, scope="module")
def exact_clocks() -> Iterator[None]:
    """What was not updated since is not read again, as in a store that is years old."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(archive_append, "CLOCK_SLACK_MS", 0)
        yield


def update(
    store: Path, directory: Path, reader: Reader = by_sql, payloads: Payloads | None = None,
    **options: object,
) -> ArchiveUpdate:  # fmt: skip
    """The archive of a SQLite file, brought up to date."""
    with reader(store) as opened:
        return update_archive(
            opened, payloads or NoPayloads(), directory, created_ms=NOW_MS,
            **{"scrub": False, **options},
        )  # fmt: skip


def trace_of(directory: Path, **options: object) -> Trace:
    """The trace that an archive holds."""
    with open_store(directory) as store:
        return store.read_trace(**options)


def bytes_of(directory: Path) -> dict[str, bytes]:
    """Every file of an archive."""
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def _names(raw: RawTables) -> list[str]:
    return sorted({
        name for name, kind in zip(raw.context_name, raw.context_type) if kind in PIPELINE_CONTEXTS
    })  # fmt: skip


def _in_pipeline(store: Path, name: str) -> Trace | None:
    with by_sql(store) as opened:
        try:
            return opened.read_trace(pipeline=name)
        except EmptyStoreError:
            return None


def check_growth(raw: RawTables, reader: Reader, folder: Path) -> None:
    """Holds an updated archive against the store, whole and of each pipeline."""
    before, after = grown(raw, random.Random(len(raw.event_execution)))
    first = write_store(folder / "first.sqlite", before)
    second = write_store(folder / "second.sqlite", after)
    directory = folder / "archive"
    try:
        since = update(first, directory, reader).manifest
    except EmptyStoreError:
        return
    with by_sql(second) as store:
        wanted = store.read_trace()
    result = update(second, directory, reader)
    assert first_difference(trace_of(directory), wanted) is None
    assert not update(second, directory, reader).written

    changed = result.changed_pipelines
    assert changed == result.manifest.changed_pipelines(since)
    for compacted in (False, True):
        if compacted:
            manifest = compact_archive(directory)
            assert manifest.by_pipeline
            assert not manifest.changed_pipelines(result.manifest)
            assert first_difference(trace_of(directory), wanted) is None
        for name in _names(after):
            mine = _in_pipeline(second, name)
            if mine is not None:
                assert first_difference(trace_of(directory, pipelines=[name]), mine) is None
            earlier = _in_pipeline(first, name) if name in _names(before) else None
            if mine is not None and (earlier is None or not earlier.equals(mine)):
                assert name in changed


@by_each
@settings(strategies.deterministic, max_examples=25)
@given(raw=strategies.rows())
def test_an_updated_archive_is_one_made_anew(reader: Reader, raw: RawTables) -> None:
    """Whatever a store had before, its archive holds what the store holds now, by pipeline too."""
    with tempfile.TemporaryDirectory() as folder:
        check_growth(raw, reader, Path(folder))
