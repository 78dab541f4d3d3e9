"""Drivers: what runs beside the orchestrator, with a handle to the metadata store.

Only LocalDagRunner and BeamDagRunner run them. A driver's class must inherit
from both BaseDrivers, as that of TFX's ExampleGen does. What it returns as
execution properties is written to the store.
"""

from __future__ import annotations

import copy
import os
import time
from typing import Final

from absl import logging
from tfx.dsl.components.base import base_driver
from tfx.orchestration import metadata
from tfx.orchestration.portable import base_driver as portable_base_driver
from tfx.orchestration.portable.data_types import ExecutionInfo
from tfx.proto.orchestration import driver_output_pb2

from tfx_graphlets.components.artifact_files import write_files
from tfx_graphlets.components.executors import YES
from tfx_graphlets.gate import keys
from tfx_graphlets.gate import snapshot as collecting
from tfx_graphlets.gate.request import Request
from tfx_graphlets.stores.mlmd.store import MlmdStore

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
        # The last part of an output's URI is the id of the execution.
        artifact = next(iter(execution_info.output_dict.values()))[0]
        execution = artifact.uri.rstrip("/").rpartition("/")[2]
        invocation = f"{execution_info.pipeline_run_id}/{execution}"
        result.exec_properties[keys.INVOCATION].string_value = invocation
        return result


class WasteGateDriver(FreshDriver):
    """Hands the verdict "yes" of an earlier run to the gate, which puts it out again.

    The artifact that a condition asks is part of TFX's cache key.
    """

    def run(self, execution_info: ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """As FreshDriver; also returns the verdict, and whether the pipeline is cached."""
        result = super().run(execution_info)
        options = execution_info.pipeline_node.execution_options.caching_options
        result.exec_properties[keys.CACHING].int_value = int(options.enable_cache)
        fresh = execution_info.output_dict[keys.VERDICT][0]
        verdict = copy.deepcopy(fresh.mlmd_artifact)
        verdict.uri = f"{fresh.uri.rstrip('/').rpartition('/')[0]}/{YES}"
        try:
            with self._mlmd_connection as handle:
                before = handle.store.get_artifacts_by_uri(verdict.uri)
        except Exception:  # noqa: BLE001 - without it the cache is lost, and nothing else
            logging.exception(
                "%s finds no earlier verdict", execution_info.pipeline_node.node_info.id
            )
            before = []
        for found in sorted(before, key=lambda one: one.id):
            said = found.custom_properties
            if (
                found.state == _LIVE
                and said[keys.PROCEED].int_value == 1
                and said[keys.PIPELINE].string_value == execution_info.pipeline_info.id
            ):
                verdict = found
                break
        result.output_artifacts[keys.VERDICT].artifacts.append(verdict)
        return result


class GraphletGenDriver(FreshDriver):
    """Reads the runner's metadata store, and leaves what it found in the output artifact."""

    def run(self, execution_info: ExecutionInfo) -> driver_output_pb2.DriverOutput:
        """Writes the artifact's files, unless the node names a store of its own."""
        if not execution_info.exec_properties.get(keys.STORE):
            artifact = execution_info.output_dict[keys.GRAPHLETS][0]
            request = Request.of(
                execution_info.exec_properties,
                execution_info.input_dict,
                pipeline=execution_info.pipeline_info.id,
                run=execution_info.pipeline_run_id,
            )
            with self._mlmd_connection as handle:
                files = collecting.collect_files(
                    lambda: MlmdStore.from_store(
                        handle.store, "the runner's metadata store", payload_root=os.curdir
                    ),
                    request,
                    time.time_ns() // 1_000_000,
                )
            try:
                write_files(artifact.uri, files)
            except Exception:  # noqa: BLE001 - the executor says that there is nothing
                logging.exception("GraphletGen cannot write to %s", artifact.uri)
        return super().run(execution_info)
