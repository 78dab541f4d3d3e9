"""The readers on stores that real pipelines of many people wrote."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.corpus import catalog, public_stores, real_runs
from tests.stores.readers import by_archive, by_bulk, by_mlmd, by_sql, needs_bulk, needs_mlmd
from tfx_graphlets.trace.trace import Trace, first_difference
from tfx_graphlets.vocabulary import PIPELINE_CONTEXTS

STORES = [*public_stores(), *real_runs()]
CATALOG = catalog()
pytestmark = pytest.mark.skipif(not STORES, reason="the corpus is not beside this checkout")


def name_of(path: Path) -> str:
    """A store's name in the output of the tests."""
    return path.stem if path.stem != "metadata" else path.parent.name


every_store = pytest.mark.parametrize("path", STORES, ids=name_of)


def first_pipeline(trace: Trace) -> str:
    """Name of the pipeline context with the lowest id."""
    return trace.contexts.name[int(np.flatnonzero(trace.contexts.of_types(PIPELINE_CONTEXTS))[0])]


def upgraded(path: Path, folder: Path) -> Path:
    """The store in the schema that ml-metadata reads: a copy of it where it is an older one."""
    if CATALOG.get(path.name, {}).get("schema_version", 10) == 10:
        return path
    from ml_metadata.metadata_store import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    copy = folder / "copy.sqlite"
    shutil.copyfile(path, copy)
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(copy)
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE
    metadata_store.MetadataStore(config, enable_upgrade_migration=True)
    return copy


@pytest.mark.parametrize("path", public_stores(), ids=name_of)
def test_counts_are_those_of_the_catalog(path: Path) -> None:
    """Executions, artifacts and events are as many as were counted when the store was found."""
    known = CATALOG[path.name]
    with by_sql(path) as store:
        trace = store.read_trace()
    assert len(trace.executions) == known["n_executions"]
    assert len(trace.artifacts) == known["n_artifacts"]
    assert len(trace.events) + trace.events.dropped == known["n_events"]


@needs_mlmd
@every_store
def test_sql_and_api_give_one_trace(path: Path, tmp_path: Path) -> None:
    """Both readers agree, on the whole store and on a pipeline; an upgrade changes nothing."""
    copy = upgraded(path, tmp_path)
    with by_sql(path) as original, by_sql(copy) as sql, by_mlmd(copy) as api:
        trace = api.read_trace()
        assert first_difference(sql.read_trace(), trace) is None
        assert first_difference(original.read_trace(), trace) is None
        pipeline = first_pipeline(trace)
        part = api.read_trace(pipeline=pipeline, properties=["span", "state", "blessed"])
        mine = original.read_trace(pipeline=pipeline, properties=["span", "state", "blessed"])
        assert first_difference(mine, part) is None


@every_store
def test_an_archive_gives_the_same_trace(path: Path, tmp_path: Path) -> None:
    """What is read from an archive is what was read from the store, whole and in part."""
    copy = tmp_path / "store.sqlite"
    copy.symlink_to(path)
    with by_sql(path) as store, by_archive(copy) as archive:
        trace = store.read_trace()
        assert first_difference(archive.read_trace(), trace) is None
        pipeline = first_pipeline(trace)
        mine = archive.read_trace(pipeline=pipeline, properties=["span"])
        theirs = store.read_trace(pipeline=pipeline, properties=["span"])
        assert first_difference(mine, theirs) is None


@needs_bulk
@every_store
def test_in_bulk_the_trace_is_the_same(path: Path) -> None:
    """What is read in columns by ADBC is what is read row by row, whole and in part."""
    with by_sql(path) as store, by_bulk(path) as bulk:
        trace = store.read_trace()
        assert first_difference(bulk.read_trace(), trace) is None
        pipeline = first_pipeline(trace)
        mine = bulk.read_trace(pipeline=pipeline, properties=["span", "state", "blessed"])
        theirs = store.read_trace(pipeline=pipeline, properties=["span", "state", "blessed"])
        assert first_difference(mine, theirs) is None
