"""Drivers: what runs beside the orchestrator, with a handle to the metadata store.

Only LocalDagRunner and BeamDagRunner run them. A driver's class must inherit
from both BaseDrivers, as that of TFX's ExampleGen does. What it returns as
execution properties is written to the store.
"""

from __future__ import annotations

import base64
import copy
import os
import time
from typing import Any, Final

from absl import logging
from tfx.dsl.components.base import base_driver
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable.data_types import ExecutionInfo
from tfx.proto.orchestration import driver_output_pb2

from tfx_graphlets.components.artifacts import write_files
from tfx_graphlets.components.executors import YES, collecting_arguments, limits_of
from tfx_graphlets.errors import fault_of, in_one_line
from tfx_graphlets.gate import keys, snapshot
from tfx_graphlets.gate.request import Request
from tfx_graphlets.stores.mlmd.store import MlmdStore
from tfx_graphlets.supervision.defence import defended, safely
from tfx_graphlets.supervision.parent import Limits, TaskError, in_thread, run_task

_LIVE: Final = 2  # MLMD Artifact.State


class FreshDriver(base_driver.BaseDriver, portable_base_driver.BaseDriver):
    """Keeps TFX from answering with the cached output of an earlier execution."""

    def __init__(self, metadata_handle: metadata.Metadata) -> None:
        base_driver.BaseDriver.__init__(self, metadata_handle)
        portable_base_driver.BaseDriver.__init__(self, metadata_handle)

    def run(self, execution_info: ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Returns one execution property that is another one in every execution.

        TFX's cache key takes in the properties that a driver returns.
        """
        result = driver_output_pb2.DriverOutput()

        def invocation() -> str:
            # The last part of an output's URI is the id of the execution.
            artifact = next(iter(execution_info.output_dict.values()))[0]
            execution = artifact.uri.rstrip("/").rpartition("/")[2]
            return f"{execution_info.pipeline_run_id}/{execution}"

        result.exec_properties[keys.INVOCATION].string_value = defended(
            invocation, lambda _: str(time.time_ns())
        )
        return result


class WasteGateDriver(FreshDriver):
    """Hands the verdict "yes" of an earlier run to the gate, which puts it out again.

    The artifact that a condition asks is part of TFX's cache key.
    """

    def run(self, execution_info: ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """As FreshDriver; also returns the verdict, and whether the pipeline is cached."""
        result = super().run(execution_info)
        limits = limits_of(execution_info.exec_properties)
        verdicts: list[Any] = []
        safely(
            "WasteGate's driver finds no verdict",
            lambda: verdicts.append(self._verdict(execution_info, limits)),
        )
        for verdict in verdicts:
            result.output_artifacts[keys.VERDICT].artifacts.append(verdict)
        options = execution_info.pipeline_node.execution_options.caching_options
        result.exec_properties[keys.CACHING].int_value = int(options.enable_cache)
        result.exec_properties[keys.WAITED].double_value = limits.seconds - limits.left
        return result

    def _verdict(self, execution_info: ExecutionInfo, limits: Limits) -> Any:
        """That of an earlier run if there is one, else a new one."""
        fresh = execution_info.output_dict[keys.VERDICT][0]
        verdict = copy.deepcopy(fresh.mlmd_artifact)
        verdict.uri = f"{fresh.uri.rstrip('/').rpartition('/')[0]}/{YES}"
        before: list[Any] = []

        def look() -> None:
            with self._mlmd_connection as handle:
                before.extend(handle.store.get_artifacts_by_uri(verdict.uri))

        # Without it the cache is lost, and nothing else.
        safely("WasteGate's driver asks the store in vain", lambda: in_thread(look, limits))
        for found in sorted(before, key=lambda one: one.id):
            said = found.custom_properties
            if (
                found.state == _LIVE
                and said[keys.PROCEED].int_value == 1
                and said[keys.PIPELINE].string_value == execution_info.pipeline_info.id
            ):
                return found
        return verdict


class GraphletGenDriver(FreshDriver):
    """Reads the runner's metadata store, and leaves what it found in the output artifact."""

    def run(self, execution_info: ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Writes the artifact's files, unless the node names a store of its own."""
        result = super().run(execution_info)
        limits = limits_of(execution_info.exec_properties)

        def collect() -> None:
            files = self._files(execution_info, limits)
            artifact = execution_info.output_dict[keys.GRAPHLETS][0]
            in_thread(lambda: write_files(artifact.uri, files), limits)

        def leave(error: BaseException) -> None:  # the executor tells it
            result.exec_properties[keys.PROBLEM].string_value = in_one_line(error)
            result.exec_properties[keys.FAULT].string_value = str(fault_of(error))
            if isinstance(error, TaskError) and error.traceback:
                logging.info("%s", error.traceback)

        if not execution_info.exec_properties.get(keys.STORE):
            defended(collect, leave)
            result.exec_properties[keys.WAITED].double_value = limits.seconds - limits.left
        return result

    def _files(self, execution_info: ExecutionInfo, limits: Limits) -> dict[str, bytes]:
        """Files of the Graphlets artifact."""
        options, pipeline = execution_info.exec_properties, execution_info.pipeline_info.id
        run = execution_info.pipeline_run_id
        config = self._mlmd_connection.connection_config
        kind = type(config).__name__
        file = config.sqlite.filename_uri if kind == "ConnectionConfig" else ""
        in_this_process = kind == "ConnectionConfig" and not (
            file or config.HasField("mysql") or config.HasField("postgresql")
        )
        if in_this_process:  # a database in memory, which no other process sees
            return in_thread(lambda: self._files_here(execution_info), limits)
        arguments = collecting_arguments(options, execution_info.input_dict, pipeline, run)
        connection = {
            "kind": kind,
            "config": base64.b64encode(config.SerializeToString()).decode(),
            "file": file,
        }
        return run_task("collect_graphlets", {**arguments, "connection": connection}, limits)

    def _files_here(self, execution_info: ExecutionInfo) -> dict[str, bytes]:
        request = Request.of(
            execution_info.exec_properties,
            execution_info.input_dict,
            pipeline=execution_info.pipeline_info.id,
            run=execution_info.pipeline_run_id,
        )
        with self._mlmd_connection as handle:
            return snapshot.collect_files(
                lambda: MlmdStore.from_store(
                    handle.store, "the runner's metadata store", payload_root=os.curdir
                ),
                request,
                time.time_ns() // 1_000_000,
            )
