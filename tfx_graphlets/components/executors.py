"""Executors of the components: each calls plain functions and writes what they return.

None of them raises: a gate that breaks must not stop a pipeline. What went
wrong is logged and stands on the output artifact.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Union, cast

from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.types.artifact import Artifact

from tfx_graphlets.components.artifact_files import (
    FileioPayloads,
    is_local,
    local_copy,
    local_target,
    read_files,
    write_files,
)
from tfx_graphlets.components.artifacts import GateVerdict
from tfx_graphlets.errors import Fault, GraphletsError, fault_of, in_one_line
from tfx_graphlets.gate import (
    graphlets_file as history,
)
from tfx_graphlets.gate import (
    keys,
)
from tfx_graphlets.gate import (
    run as gate_run,
)
from tfx_graphlets.gate import (
    snapshot as collecting,
)
from tfx_graphlets.gate.checks import check_stage
from tfx_graphlets.gate.rehearsals import with_rehearsal
from tfx_graphlets.gate.request import Request
from tfx_graphlets.policy.decide import GateDecision
from tfx_graphlets.rehearsal import record
from tfx_graphlets.stores.kubeflow.address import SCHEMES as KFP_SCHEMES
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.stores.uris import SERVER_SCHEMES
from tfx_graphlets.vocabulary import PropertyName
from tfx_graphlets.waste_model import WasteModel, load_waste_model, train_waste_model

DECISION_FILE = "decision.json"
YES = "proceed"  # last part of the URI of a verdict to proceed; the driver of a gate sets it
# What open_store opens itself; any other scheme is a file system.
_STORE_SCHEMES = ("sqlite", "file", *SERVER_SCHEMES, *KFP_SCHEMES)

Artifacts = Mapping[str, Sequence[Artifact]]
ExecProperties = Mapping[str, object]


class GraphletGenExecutor(base_executor.BaseExecutor):
    """Finishes what the driver began, or reads the store that the node names."""

    def Do(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties
    ) -> None:
        """Writes the Graphlets artifact."""
        artifact = output_dict[keys.GRAPHLETS][0]
        request = Request.of(
            exec_properties, input_dict, pipeline=_pipeline(self._context), run=_run(self._context)
        )
        try:
            found = _finish(artifact.uri, str(exec_properties.get(keys.STORE) or ""), request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the pipeline goes on
            _log("GraphletGen has nothing for the gate", error)
            found = collecting.broken(request, error, _now_ms())
            _try_to_write(artifact.uri, history.to_files(found))  # so that the gate says it, too
        _set(artifact, collecting.custom_properties(found))
        if request.code_record:
            _set(artifact, {PropertyName.CODE_KNOWN: request.code_record})
            if request.run:
                _set(artifact, {keys.RUN: request.run})
        logging.log(logging.WARNING if found.problem else logging.INFO, "GraphletGen: %s", found)


class WasteGateExecutor(base_executor.BaseExecutor):
    """Decides."""

    def Do(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties
    ) -> None:
        """Writes the GateDecision artifact."""
        start, fault, gate = time.monotonic(), "", _node(self._context)
        try:
            decision = _decide(
                input_dict,
                gate_run.GateSettings.of(exec_properties, gate),
                str(exec_properties.get(keys.MODEL_DIRECTORY) or ""),
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the pipeline goes on
            _log("WasteGate could not decide, the run proceeds", error)
            fault = str(fault_of(error))
            decision = gate_run.failed_open(str(exec_properties.get(keys.STAGE) or ""), error)
        artifact = output_dict[keys.DECISION][0]
        properties = gate_run.custom_properties(
            decision,
            gate=gate,
            shadow=bool(exec_properties.get(keys.SHADOW)),
            failed_open=bool(fault),
            fault=fault,
            seconds=time.monotonic() - start,
        )
        _set(artifact, properties)
        document = json.dumps(properties, indent=1, sort_keys=True) + "\n"
        _try_to_write(artifact.uri, {DECISION_FILE: document.encode()})
        _put_verdict(output_dict, decision.proceed, _pipeline(self._context))
        logging.info("WasteGate: %s", decision)


def _put_verdict(output_dict: Artifacts, proceed: bool, pipeline: str) -> None:
    """Puts out the verdict: that of an earlier run which its driver has found, or a new one."""
    if keys.VERDICT not in output_dict:
        return
    verdicts = cast("list[Artifact]", output_dict[keys.VERDICT])
    place, _, last = verdicts[0].uri.rpartition("/")
    if last == YES and not proceed:
        verdicts[0] = GateVerdict()
        verdicts[0].uri = f"{place}/skip"
    elif verdicts[0].has_custom_property(keys.PROCEED):
        return  # changed in nothing, it is the same to TFX's cache
    _set(verdicts[0], {keys.PROCEED: int(proceed), keys.PIPELINE: pipeline})


class WasteModelTrainerExecutor(base_executor.BaseExecutor):
    """Trains a waste model."""

    def Do(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties
    ) -> None:
        """Writes the WasteModel artifact; one without a model says why."""
        artifact = output_dict[keys.MODEL][0]
        properties: dict[str, Union[int, float, str]] = {
            keys.STAGE: str(exec_properties[keys.STAGE])
        }
        try:
            with local_target(artifact.uri) as place:
                model = _train(input_dict, exec_properties)
                model.save(place)
            properties |= {keys.USABLE: 1, keys.MODEL_FINGERPRINT: model.fingerprint}
            logging.info("WasteModelTrainer: %s", model)
        except Exception as error:  # noqa: BLE001 - whatever it is, the pipeline goes on
            _log("WasteModelTrainer made no model", error)
            properties |= {keys.USABLE: 0, keys.PROBLEM: in_one_line(error)}
            properties[keys.FAULT] = str(fault_of(error))
        _set(artifact, properties)


def _finish(uri: str, store: str, request: Request) -> history.PipelineHistory:
    """Reads what the driver wrote, or reads the named store and writes."""
    if store:
        if not request.run and not request.inputs:
            raise GraphletsError(
                "this runner does not tell the run's name: wire GraphletGen's inputs to what the "
                "Trainer will take in"
            )
        with _within_reach(store) as place:
            files = collecting.collect_files(
                lambda: open_store(place), request, _now_ms(), FileioPayloads()
            )
        write_files(uri, files)
    else:
        files = read_files(uri, history.FILES)
    if not files:
        raise GraphletsError(
            "there is no metadata store to read: this runner runs no drivers, so give GraphletGen "
            "a store, for example store='grpc://host:port'"
        )
    return history.from_files(files)


@contextlib.contextmanager
def _within_reach(store: str) -> Iterator[str]:
    """The store, or a local copy of an archive that lies where only TFX's fileio reads."""
    scheme = store.partition("://")[0].lower().removesuffix("+mlmd")
    if is_local(store) or scheme in _STORE_SCHEMES:
        yield store
        return
    with local_copy(store) as place:
        yield place


def _decide(
    input_dict: Artifacts, settings: gate_run.GateSettings, model_directory: str
) -> GateDecision:
    for outer in input_dict.get(keys.OUTER) or ():
        if outer.get_int_custom_property(keys.PROCEED) == 0 and outer.has_custom_property(
            keys.PROCEED
        ):
            name = outer.get_string_custom_property(keys.GATE)
            return gate_run.skipped_before(str(settings.stage), name)
    found = _with_rehearsal(_history(input_dict), input_dict)
    if not model_directory:
        models = input_dict.get(keys.MODEL) or ()
        if not models:
            raise GraphletsError("there is no waste model yet").with_fault(Fault.MODEL_MISSING)
        problem = models[0].get_string_custom_property(keys.PROBLEM)
        if problem:
            unusable = GraphletsError(f"the waste model is not usable: {problem}")
            raise unusable.with_fault(Fault.MODEL_MISSING)
        model_directory = models[0].uri
    with local_copy(model_directory) as place:
        return gate_run.run_gate(found, lambda: load_waste_model(place), settings)


def _train(input_dict: Artifacts, exec_properties: ExecProperties) -> WasteModel:
    found = _history(input_dict)
    if found.past is None:
        raise GraphletsError(found.problem)
    return train_waste_model(
        found.past,
        check_stage(str(exec_properties[keys.STAGE])),
        float(str(exec_properties[keys.FRESHNESS])),
        int(str(exec_properties[keys.SEED])),
    )


def _history(input_dict: Artifacts) -> history.PipelineHistory:
    return history.from_files(read_files(input_dict[keys.GRAPHLETS][0].uri, history.FILES))


def _with_rehearsal(
    found: history.PipelineHistory, input_dict: Artifacts
) -> history.PipelineHistory:
    """The history, the current graphlet with what its rehearsal says."""
    for artifact in input_dict.get(keys.REHEARSAL) or ():
        if found.current is None or artifact.get_int_custom_property(record.REHEARSED) != 1:
            continue
        margins = {
            name: artifact.get_float_custom_property(name)
            for name in record.MARGINS
            if artifact.has_custom_property(name)
        }
        current = with_rehearsal(found.current, margins, found.rehearsals)
        found = dataclasses.replace(found, current=current)
    return found


def _set(artifact: Artifact, properties: Mapping[str, Union[int, float, str]]) -> None:
    for key, value in properties.items():
        if isinstance(value, str):
            artifact.set_string_custom_property(key, value)
        elif isinstance(value, int):
            artifact.set_int_custom_property(key, value)
        else:
            artifact.set_float_custom_property(key, value)


def _try_to_write(uri: str, files: Mapping[str, bytes]) -> None:
    try:
        write_files(uri, files)
    except OSError:  # what matters stands in the custom properties
        logging.exception("cannot write %s to %s", ", ".join(files), uri)


def _log(what: str, error: Exception) -> None:
    """A warning for what the user can mend, a traceback for what we did not foresee."""
    if isinstance(error, GraphletsError):
        logging.warning("%s: %s", what, error)
    else:
        logging.exception(what)


def _node(context: base_executor.BaseExecutor.Context | None) -> str:
    """Node id; "" where the runner does not tell (Kubeflow)."""
    node = context.pipeline_node if context else None
    return str(node.node_info.id) if node else ""


def _pipeline(context: base_executor.BaseExecutor.Context | None) -> str:
    info = context.pipeline_info if context else None
    return str(info.id) if info else ""


def _run(context: base_executor.BaseExecutor.Context | None) -> str:
    return str(context.pipeline_run_id or "") if context else ""


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
