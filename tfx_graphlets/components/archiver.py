"""Archiver: keeps an archive of a metadata store up to date, from within a pipeline."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Final

from absl import logging
from tfx import v1 as tfx
from tfx.dsl.components.base import base_executor, executor_spec
from tfx.orchestration.portable.data_types import ExecutionInfo
from tfx.proto.orchestration import driver_output_pb2
from tfx.types import component_spec
from tfx.types.artifact import Artifact
from tfx.v1.dsl.io import fileio

from tfx_graphlets.components import artifacts
from tfx_graphlets.components.artifacts import (
    is_local,
    local_copy,
    read_files,
    write_files,
)
from tfx_graphlets.components.drivers import FreshDriver
from tfx_graphlets.components.executors import Fields, unusable
from tfx_graphlets.errors import (
    ArchiveError,
    InvalidArgumentError,
)
from tfx_graphlets.files import scratch_directory
from tfx_graphlets.gate import keys
from tfx_graphlets.gate.request import check_store, given
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.stores.archive.archive import ArchiveUpdate, update_archive
from tfx_graphlets.stores.archive.format import MANIFEST
from tfx_graphlets.stores.mlmd.store import MlmdStore
from tfx_graphlets.stores.store import Store, open_store
from tfx_graphlets.supervision.defence import defended, safely, set_properties

SUMMARY_FILE: Final = "summary.json"


class ArchiverSpec(component_spec.ComponentSpec):
    """Interface of Archiver."""

    PARAMETERS: ClassVar[Mapping[str, component_spec.ExecutionParameter]] = {
        keys.DIRECTORY: component_spec.ExecutionParameter(type=str),
        keys.STORE: component_spec.ExecutionParameter(type=str, optional=True),
    }
    INPUTS: ClassVar[Mapping[str, component_spec.ChannelParameter]] = {}
    OUTPUTS: ClassVar[Mapping[str, component_spec.ChannelParameter]] = {
        keys.ARCHIVE: component_spec.ChannelParameter(type=artifacts.Archive)
    }


class ArchiverExecutor(base_executor.BaseExecutor):
    """Archives the store that the node names, or tells what the driver did."""

    def Do(
        self,
        input_dict: Mapping[str, Sequence[Artifact]],  # noqa: ARG002 - it has none
        output_dict: Mapping[str, Sequence[Artifact]],
        exec_properties: Mapping[str, object],
    ) -> None:
        """Writes the Archive artifact; one without an archive says why."""
        artifact = output_dict[keys.ARCHIVE][0]
        store, directory = exec_properties.get(keys.STORE), str(exec_properties[keys.DIRECTORY])

        def archive() -> Fields:
            if not store:
                return _report_in(artifact.uri, directory)
            summary = archive_and_report(lambda: open_store(str(store)), directory, _now_ms())
            _try_to_write(artifact.uri, summary)
            return summary

        set_properties(artifact, defended(archive, lambda error: _failed(directory, error)))


class ArchiverDriver(FreshDriver):
    """Archives the runner's metadata store."""

    def run(self, execution_info: ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Writes the archive, unless the node names a store of its own."""
        if not execution_info.exec_properties.get(keys.STORE):
            safely("Archiver's driver could not archive", lambda: self._archive(execution_info))
        return super().run(execution_info)

    def _archive(self, execution_info: ExecutionInfo) -> None:
        directory = str(execution_info.exec_properties[keys.DIRECTORY])
        with self._mlmd_connection as handle:
            summary = archive_and_report(
                lambda: MlmdStore.from_store(
                    handle.store, "the runner's metadata store", payload_root=os.curdir
                ),
                directory,
                _now_ms(),
            )
        _try_to_write(execution_info.output_dict[keys.ARCHIVE][0].uri, summary)


class Archiver(tfx.types.BaseComponent):
    """Appends to an archive what is new in a metadata store; makes the archive if there is none.

    >>> archiver = Archiver("/data/history")
    >>> list(archiver.outputs)
    ['archive']

    In a pipeline of its own that runs on a schedule::

        archiver = Archiver("/data/history", store="grpc://metadata-grpc-service:8080")

    or in a training pipeline, with LocalDagRunner and BeamDagRunner also
    without a ``store``: then it asks the runner for its own. What the present
    run records after it, the next run archives.

    It never fails and is never cached: what went wrong stands on the artifact,
    and the archive stays as it was.

    Output ``archive``: custom properties ``directory`` (the archive, which
    outlives this run; below the artifact's own URI is only ``summary.json``),
    ``usable`` (1, or 0 if the store was not archived), ``problem``,
    ``num_executions`` (in the archive), ``new_executions``, ``changed``
    (executions and artifacts that were replaced).
    """

    SPEC_CLASS = ArchiverSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(ArchiverExecutor)
    DRIVER_CLASS = ArchiverDriver

    def __init__(self, directory: str, *, store: str | None = None) -> None:
        """Makes the node.

        Args:
          directory: of the archive: a path, or a URI that TFX's fileio opens
            (a bucket; it is then copied here, updated and copied back, and
            only one pipeline may write to it at a time).
          store: a metadata store in place of the runner's own, as for
            ``tfx_graphlets.open_store``. No password: that goes into the
            environment variable TFX_GRAPHLETS_DB_PASSWORD.

        Raises:
          InvalidArgumentError: ``directory`` is empty, or ``store`` holds a
            password.
        """
        if not directory:
            raise InvalidArgumentError("directory", directory, "must be a path or a URI")
        spec = ArchiverSpec(
            archive=tfx.dsl.Channel(type=artifacts.Archive),
            directory=directory,
            **given(store=check_store(store)),
        )
        super().__init__(spec=spec)


def archive_and_report(open_it: Callable[[], Store], directory: str, now_ms: int) -> Fields:
    """Archives a store; says what was done, or what went wrong. Never raises.

    Args:
      open_it: opens the store.
      directory: of the archive.
      now_ms: milliseconds since the epoch, noted in the archive.

    Returns:
      Custom properties of an Archive artifact, by key.
    """

    def archive() -> Fields:
        with open_it() as store:
            update = update_anywhere(store, store.payloads, directory, now_ms)
        logging.info("Archiver: %s: %s", directory, update)
        return {
            keys.DIRECTORY: directory,
            keys.USABLE: 1,
            keys.NUM_EXECUTIONS: update.manifest.counts["executions"],
            keys.NEW_EXECUTIONS: update.new_executions,
            keys.CHANGED: update.changed,
        }

    return defended(archive, lambda error: _failed(directory, error))


def _failed(directory: str, error: BaseException) -> Fields:
    return {keys.DIRECTORY: directory, **unusable("Archiver could not archive", error)}


def update_anywhere(store: Store, payloads: Payloads, directory: str, now_ms: int) -> ArchiveUpdate:
    """``update_archive`` on an archive that may be in a bucket.

    A remote archive is copied, updated, and copied back: new files first, the
    manifest last, then files that it no longer names are removed. So a reader
    finds the old archive or the new one.

    Raises:
      ArchiveError: as ``update_archive``, or the remote archive was changed
        meanwhile.
      StoreError: the store cannot be read.
    """
    if is_local(directory):
        return update_archive(store, payloads, directory, created_ms=now_ms)
    found = read_files(directory, [MANIFEST])
    with _local_archive(directory, there=bool(found)) as place:
        before = _names(place)
        update = update_archive(store, payloads, place, created_ms=now_ms)
        if update.written:
            if read_files(directory, [MANIFEST]) != found:
                raise ArchiveError(
                    directory, "was changed by another program meanwhile; write to it again"
                )
            after = _names(place)
            # Files are named by their content: of what has a name that was there, nothing is new.
            for name in (*sorted(after - before - {MANIFEST}), MANIFEST):
                write_files(directory, {name: (place / name).read_bytes()})
            for name in sorted(before - after):
                fileio.remove(f"{directory.rstrip('/')}/{name}")
    return update


@contextlib.contextmanager
def _local_archive(directory: str, *, there: bool) -> Iterator[Path]:
    """A local copy of a remote archive; where it is not there yet, a path with nothing."""
    if there:
        with local_copy(directory) as copied:
            yield Path(copied)
        return
    with scratch_directory() as folder:
        yield Path(folder, "archive")


def _report_in(uri: str, directory: str) -> Fields:
    found = read_files(uri, [SUMMARY_FILE])
    if found:
        summary: Fields = json.loads(found[SUMMARY_FILE])
        return summary
    problem = (
        "there is no metadata store to archive: this runner runs no drivers, so give Archiver a "
        "store, for example store='grpc://host:port'"
    )
    logging.warning("Archiver: %s", problem)
    return {keys.DIRECTORY: directory, keys.USABLE: 0, keys.PROBLEM: problem}


def _try_to_write(uri: str, summary: Fields) -> None:
    document = json.dumps(summary, indent=1, sort_keys=True) + "\n"
    # What was archived is archived.
    safely(
        f"Archiver cannot write to {uri}",
        lambda: write_files(uri, {SUMMARY_FILE: document.encode()}),
    )


def _names(place: Path) -> set[str]:
    return {path.name for path in place.iterdir()} if place.is_dir() else set()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
