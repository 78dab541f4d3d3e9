"""Executors of the components: each calls plain functions and writes what they return.

None of them raises: a gate that breaks must not stop a pipeline. What went
wrong is logged and stands on the output artifact. What may hang or abort is
done in a process of its own (``supervision``).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from absl import logging
from tfx.dsl.components.base import base_executor
from tfx.types.artifact import Artifact

from tfx_graphlets.components.artifacts import (
    GateVerdict,
    is_local,
    local_place,
    read_files,
    within_reach,
    write_files,
)
from tfx_graphlets.errors import Fault, GraphletsError, fault_of, in_one_line
from tfx_graphlets.gate import graphlets_file, keys, snapshot
from tfx_graphlets.gate.request import Request
from tfx_graphlets.gate.run import decision_properties, failed_closed, failed_open, skipped_before
from tfx_graphlets.policy.decide import GateDecision
from tfx_graphlets.rehearsal.record import MARGINS, REHEARSED
from tfx_graphlets.supervision.defence import Value, defended, safely, set_properties, warn
from tfx_graphlets.supervision.parent import Limits, in_thread, run_task
from tfx_graphlets.vocabulary import PropertyName

DECISION_FILE = "decision.json"
YES = "proceed"  # last part of the URI of a verdict to proceed; the driver of a gate sets it
RUN, SKIP, FAIL = "run", "skip", "fail"  # what on_error makes of a gate that cannot decide
# Reads what the present run has written, where that is not on this machine.
_REMOTE_PAYLOADS: Final = "tfx_graphlets.components.artifacts:FileioPayloads"

Artifacts = Mapping[str, Sequence[Artifact]]
ExecProperties = Mapping[str, object]
Fields = dict[str, Value]


class GateError(GraphletsError):
    """A gate could not decide, and its author prefers to stop then (``on_error="fail"``)."""


class _LoggedError(GraphletsError):
    """What GraphletGen has logged already, in one WARNING of its own."""


class GraphletGenExecutor(base_executor.BaseExecutor):
    """Finishes what the driver began, or reads the store that the node names."""

    def Do(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties
    ) -> None:
        """Writes the Graphlets artifact."""
        defended(
            lambda: self._do(input_dict, output_dict, exec_properties),
            lambda error: last_resort(output_dict, keys.GRAPHLETS, {keys.USABLE: 0}, error),
        )

    def _do(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties
    ) -> None:
        artifact = output_dict[keys.GRAPHLETS][0]
        limits = limits_of(exec_properties)

        def find() -> Fields:
            if exec_properties.get(keys.STORE):
                pipeline, run = _pipeline(self._context), _run(self._context)
                files = _collected(input_dict, exec_properties, pipeline, run, limits)
                in_thread(lambda: write_files(artifact.uri, files), limits)
                return snapshot.graphlets_properties(files[graphlets_file.SUMMARY_FILE])
            return _left_by_driver(artifact.uri, exec_properties, limits)

        properties = defended(
            find, lambda error: unusable("GraphletGen has nothing for the gate", error)
        )
        properties[keys.STAGE] = str(exec_properties.get(keys.STAGE) or "")
        properties.setdefault(keys.NUM_GRAPHLETS, 0)
        code = defended(lambda: _code(exec_properties, _run(self._context)), lambda _: {})
        set_properties(artifact, {**properties, **code})
        safely("GraphletGen cannot log", lambda: logging.info("GraphletGen: %s", properties))


class WasteGateExecutor(base_executor.BaseExecutor):
    """Decides."""

    def Do(
        self, input_dict: Artifacts, output_dict: Artifacts, exec_properties: ExecProperties
    ) -> None:
        """Writes the GateDecision artifact.

        Raises:
          GateError: it could not decide, and ``on_error`` is "fail".
        """
        failure: list[BaseException] = []

        def least(error: BaseException) -> None:
            last_resort(output_dict, keys.DECISION, _bare(error), error)
            last_resort(output_dict, keys.VERDICT, {keys.PROCEED: 1}, None)

        defended(lambda: self._do(input_dict, output_dict, exec_properties, failure), least)
        if failure and on_error_of(exec_properties) == FAIL:
            raise GateError(in_one_line(failure[0])).with_fault(fault_of(failure[0]))

    def _do(
        self,
        input_dict: Artifacts,
        output_dict: Artifacts,
        exec_properties: ExecProperties,
        failure: list[BaseException],
    ) -> None:
        """Decides and writes; what kept it from deciding is appended to ``failure``."""
        limits, gate = limits_of(exec_properties), _node(self._context)

        def failed(error: BaseException) -> Fields:
            failure.append(error)
            return defended(
                lambda: _undecided(error, exec_properties, gate), lambda _: _bare(error)
            )

        properties = defended(lambda: _decide(input_dict, exec_properties, gate, limits), failed)
        properties[keys.SECONDS] = round(limits.seconds - limits.left, 3)
        proceed = properties[keys.PROCEED] != 0
        if failure and not isinstance(failure[0], _LoggedError):
            goes_on = "the run proceeds" if proceed else "the run is skipped"
            warn(f"{gate or 'WasteGate'} could not decide, {goes_on}", failure[0])
        artifact = output_dict[keys.DECISION][0]
        set_properties(artifact, properties)
        pipeline = _pipeline(self._context)
        if not safely("no old verdict", lambda: _put_verdict(output_dict, proceed, pipeline)):
            last_resort(output_dict, keys.VERDICT, {keys.PROCEED: int(proceed)}, None)
        safely("WasteGate cannot write its file", lambda: _write(artifact.uri, properties, limits))
        safely("WasteGate cannot log", lambda: logging.info("%s", properties[keys.REASON]))


def _code(exec_properties: ExecProperties, run: str) -> Fields:
    """What is known of the code of the Trainers behind the gate, for later runs."""
    record = Request.of(exec_properties, {}, pipeline="", run=run).code_record
    if not record:
        return {}
    return {PropertyName.CODE_KNOWN: record, **({keys.RUN: run} if run else {})}


def unusable(what: str, error: BaseException) -> Fields:
    """Logs what went wrong; returns it as properties of an artifact."""
    warn(what, error)
    return {keys.USABLE: 0, keys.PROBLEM: in_one_line(error), keys.FAULT: str(fault_of(error))}


def last_resort(
    output_dict: Artifacts, key: str, fields: Fields, error: BaseException | None
) -> None:
    """Sets what has to be there, where even setting it the usual way failed. Raises nothing."""

    def put() -> None:
        if error is not None:
            warn("the last resort", error)
        for artifact in output_dict.get(key) or ():
            written = artifact.mlmd_artifact.custom_properties
            for name, value in fields.items():
                if isinstance(value, str):
                    written[name].string_value = value
                else:
                    written[name].int_value = int(value)

    defended(put, lambda _: None)


def limits_of(exec_properties: ExecProperties) -> Limits:
    """Limits of a node that begin now, less what its driver has used; the default's if damaged."""
    limits = defended(
        lambda: Limits.of(
            exec_properties.get(keys.TIME_LIMIT), exec_properties.get(keys.MEMORY_LIMIT)
        ),
        lambda _: Limits(),
    )
    waited = defended(lambda: float(str(exec_properties.get(keys.WAITED) or 0)), lambda _: 0.0)
    return Limits(limits.seconds, limits.memory_mb, limits.start - waited)


def on_error_of(exec_properties: ExecProperties) -> str:
    """What a gate that cannot decide does: run, skip or fail.

    One that never skips (in shadow mode, or forced) lets the run go on.
    """
    if exec_properties.get(keys.SHADOW) or exec_properties.get(keys.FORCE_RUN):
        return RUN
    return str(exec_properties.get(keys.ON_ERROR) or RUN)


def _undecided(error: BaseException, exec_properties: ExecProperties, gate: str) -> Fields:
    skip = on_error_of(exec_properties) == SKIP
    stage = str(exec_properties.get(keys.STAGE) or "")
    decision = (failed_closed if skip else failed_open)(stage, error)
    return _fields(decision, exec_properties, gate, str(fault_of(error)))


def _bare(error: BaseException) -> Fields:
    """The least that a decision says, where even the words for it fail."""
    return {
        keys.PROCEED: 1,
        keys.WOULD_SKIP: 0,
        keys.FAILED_OPEN: 1,
        keys.FAULT: str(Fault.BUG),
        keys.REASON: f"Runs because the gate could not decide: {type(error).__name__}.",
    }


def _fields(
    decision: GateDecision, exec_properties: ExecProperties, gate: str, fault: str = ""
) -> Fields:
    return decision_properties(
        decision,
        gate=gate,
        shadow=bool(exec_properties.get(keys.SHADOW)),
        failed_open=bool(fault) and decision.proceed,
        fault=fault,
        seconds=0.0,
    )


def _write(uri: str, properties: Fields, limits: Limits) -> None:
    document = json.dumps(properties, indent=1, sort_keys=True) + "\n"
    # What cannot be written in time is left: the custom properties say the same.
    last = Limits(max(limits.left, 1.0))
    in_thread(lambda: write_files(uri, {DECISION_FILE: document.encode()}), last)


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
    set_properties(verdicts[0], {keys.PROCEED: int(proceed), keys.PIPELINE: pipeline})


def _left_by_driver(uri: str, exec_properties: ExecProperties, limits: Limits) -> Fields:
    """Properties of the Graphlets artifact by what the driver wrote there.

    Raises:
      GraphletsError: it wrote nothing.
    """
    problem = exec_properties.get(keys.PROBLEM)
    if problem:
        fault = Fault(str(exec_properties.get(keys.FAULT) or Fault.BUG))
        raise GraphletsError(str(problem)).with_fault(fault)
    files = in_thread(lambda: read_files(uri, [graphlets_file.SUMMARY_FILE]), limits)
    if not files:
        raise GraphletsError(
            "there is no metadata store to read: this runner runs no drivers, so give GraphletGen "
            "a store, for example store='grpc://host:port'"
        )
    return snapshot.graphlets_properties(files[graphlets_file.SUMMARY_FILE])


def _collected(
    input_dict: Artifacts,
    exec_properties: ExecProperties,
    pipeline: str,
    run: str,
    limits: Limits,
) -> dict[str, bytes]:
    """Files of the Graphlets artifact, by the store that the node names."""
    if not run and not any(input_dict.values()):
        raise GraphletsError(
            "this runner does not tell the run's name: wire GraphletGen's inputs to what the "
            "Trainer will take in"
        )
    with within_reach(str(exec_properties[keys.STORE]), limits) as place:
        arguments = collecting_arguments(exec_properties, input_dict, pipeline, run)
        uris = [wired.uri for found in input_dict.values() for wired in found]
        live = "" if all(map(is_local, uris)) else _REMOTE_PAYLOADS
        return run_task("collect_graphlets", {**arguments, "store": place, "live": live}, limits)


def collecting_arguments(
    exec_properties: ExecProperties, input_dict: Artifacts, pipeline: str, run: str
) -> dict[str, Any]:
    """Arguments of the task ``collect_graphlets`` but for the store: plain values."""
    from tfx_graphlets.gate.unrecorded import properties_of

    return {
        "exec_properties": plain(exec_properties),
        "inputs": {
            key: [(one.id, one.uri, one.type_name, properties_of(one)) for one in found]
            for key, found in input_dict.items()
        },
        "pipeline": pipeline,
        "run": run,
        "now_ms": time.time_ns() // 1_000_000,
    }


def plain(exec_properties: ExecProperties) -> dict[str, Value]:
    """The execution properties that are numbers or texts."""
    return {
        key: value for key, value in exec_properties.items() if isinstance(value, (int, float, str))
    }


def _decide(
    input_dict: Artifacts, exec_properties: ExecProperties, gate: str, limits: Limits
) -> Fields:
    """Custom properties of the decision.

    Raises:
      GraphletsError: there is none.
    """
    for outer in input_dict.get(keys.OUTER) or ():
        if outer.get_int_custom_property(keys.PROCEED) == 0 and outer.has_custom_property(
            keys.PROCEED
        ):
            name = outer.get_string_custom_property(keys.GATE)
            skipped = skipped_before(str(exec_properties.get(keys.STAGE) or ""), name)
            return _fields(skipped, exec_properties, gate)
    [graphlets] = input_dict[keys.GRAPHLETS]
    problem = graphlets.get_string_custom_property(keys.PROBLEM)
    if problem:
        fault = graphlets.get_string_custom_property(keys.FAULT) or Fault.BUG
        raise _LoggedError(problem).with_fault(Fault(fault))
    model = str(exec_properties.get(keys.MODEL_DIRECTORY) or "") or _wired_model(input_dict)
    with local_place(graphlets.uri, limits) as folder, local_place(model, limits) as place:
        arguments = {
            "exec_properties": plain(exec_properties),
            "gate": gate,
            "graphlets": folder,
            "model": place,
            "margins": _margins(input_dict),
        }
        contents = run_task("decide", arguments, limits)
    found: Fields = json.loads(contents[DECISION_FILE])
    return found


def _wired_model(input_dict: Artifacts) -> str:
    models = input_dict.get(keys.MODEL) or ()
    if not models:
        raise GraphletsError("there is no waste model yet").with_fault(Fault.MODEL_MISSING)
    problem = models[0].get_string_custom_property(keys.PROBLEM)
    if problem:
        unusable = GraphletsError(f"the waste model is not usable: {problem}")
        raise unusable.with_fault(Fault.MODEL_MISSING)
    return str(models[0].uri)


def _margins(input_dict: Artifacts) -> dict[str, float] | None:
    """What a rehearsal has measured, by name; None where there was none."""
    for artifact in input_dict.get(keys.REHEARSAL) or ():
        if artifact.get_int_custom_property(REHEARSED) == 1:
            return {
                name: artifact.get_float_custom_property(name)
                for name in MARGINS
                if artifact.has_custom_property(name)
            }
    return None


def _node(context: base_executor.BaseExecutor.Context | None) -> str:
    """Node id; "" where the runner does not tell (Kubeflow)."""
    node = context.pipeline_node if context else None
    return str(node.node_info.id) if node else ""


def _pipeline(context: base_executor.BaseExecutor.Context | None) -> str:
    info = context.pipeline_info if context else None
    return str(info.id) if info else ""


def _run(context: base_executor.BaseExecutor.Context | None) -> str:
    return str(context.pipeline_run_id or "") if context else ""
