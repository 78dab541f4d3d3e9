"""Runs a compiled Kubeflow pipeline on this machine: what drivers do, and the containers.

What is emulated is what stands between two containers. In the order of the DAG a task's inputs are
resolved from the outputs of its producers, its condition is evaluated with CEL over that
ExecutorInput, the container's own command is run with the ExecutorInput in place of ``{{$}}``, and
what it leaves in ``executor_output.json`` is handed on. A task whose condition is false does not
run; one that depends on such a task is left out. Two back ends are known:

- VERTEX hands every input artifact on with its type, runs the hook ``preCacheCheck`` before the
  container (TFX puts the driver of file-based ExampleGens there) and takes over what it leaves.
- OPEN_SOURCE (backend/src/v2 of kubeflow/pipelines: ``driver/container.go``, ``driver/resolve.go``,
  ``compiler/argocompiler/dag.go``, ``metadata/converter.go``) accepts schema 2.1.0 alone, refuses
  resolvers and importers with a condition, hands input artifacts on *without* their type, and
  knows no hooks.

Not emulated: resolvers on VERTEX, importers that are conditional, loops, exit handlers, caching.
"""

from __future__ import annotations

import dataclasses
import enum
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import celpy
from celpy import celtypes

from tests.import_graph import ROOT

EXECUTOR_INPUT = "{{$}}"
Document = dict[str, Any]
# Takes a command line and the file for what it prints; raises if it fails.
Launch = Callable[[Sequence[str], Path], None]


class Backend(enum.Enum):
    """Whose driver is emulated."""

    VERTEX = "Vertex AI"
    OPEN_SOURCE = "open-source KFP"


class State(enum.Enum):
    """What became of a task."""

    SUCCEEDED = "succeeded"
    NOT_TRIGGERED = "its condition was false"
    OMITTED = "a task that it depends on did not succeed"


class UnsupportedError(Exception):
    """The back end refuses the pipeline, in its own words."""


class TaskFailedError(Exception):
    """A container's command ended with an error."""


@dataclasses.dataclass
class TaskRun:
    """One task of a run.

    Attributes:
      state: what became of it.
      executor_input: what its container was given; without ``outputs`` if it did not run.
      artifacts: runtime artifacts that it put out, by key; empty if it did not run.
    """

    state: State
    executor_input: Document
    artifacts: dict[str, list[Document]] = dataclasses.field(default_factory=dict)

    def metadata(self, key: str) -> Document:
        """Metadata of its only artifact under a key."""
        [artifact] = self.artifacts[key]
        return dict(artifact["metadata"])


def run_process(command: Sequence[str], log: Path) -> None:
    """Runs the command as a process of its own, in the directory of its log."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    with log.open("wb") as sink:
        ended = subprocess.run(
            [sys.executable if command[0] == "python" else command[0], *command[1:]],
            cwd=log.parent,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdout=sink,
            stderr=subprocess.STDOUT,
            check=False,
        )
    if ended.returncode:
        raise TaskFailedError(f"exit code {ended.returncode}:\n{log.read_text()[-4000:]}")


@dataclasses.dataclass
class Emulator:
    """One run of a compiled pipeline.

    Attributes:
      job: the PipelineJob that KubeflowV2DagRunner has written (as JSON).
      folder: where artifacts and logs go.
      backend: whose driver is emulated.
      parameters: values of the pipeline's runtime parameters, by name.
      launch: runs a container's command.
    """

    job: Mapping[str, Any]
    folder: Path
    backend: Backend = Backend.VERTEX
    parameters: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    launch: Launch = run_process

    @property
    def spec(self) -> Document:
        """The PipelineSpec."""
        return dict(self.job["pipelineSpec"])

    def run(self) -> dict[str, TaskRun]:
        """Runs every task; returns them by name, in the order in which they were looked at."""
        self.check()
        runs: dict[str, TaskRun] = {}
        for name in order(self.spec):
            runs[name] = self._run_task(name, runs)
        return runs

    def check(self) -> None:
        """Refuses what the back end would refuse before it starts anything."""
        if self.backend is not Backend.OPEN_SOURCE:
            return
        version = self.spec["schemaVersion"]
        if version != "2.1.0":
            raise UnsupportedError(f"KFP only supports schema version 2.1.0, this is {version}")
        for task, executor in self._executors():
            if "resolver" in executor:
                raise UnsupportedError("resolver executors not implemented")
            if "importer" in executor and condition_of(task):
                raise UnsupportedError("triggerPolicy.condition on importer task is not supported")

    def _executors(self) -> Iterator[tuple[Document, Document]]:
        for task in self.spec["root"]["dag"]["tasks"].values():
            yield task, self._executor(task)

    def _component(self, task: Mapping[str, Any]) -> Document:
        return dict(self.spec["components"][task["componentRef"]["name"]])

    def _executor(self, task: Mapping[str, Any]) -> Document:
        label = self._component(task)["executorLabel"]
        return dict(self.spec["deploymentSpec"]["executors"][label])

    def _run_task(self, name: str, runs: Mapping[str, TaskRun]) -> TaskRun:
        task = self.spec["root"]["dag"]["tasks"][name]
        if any(runs[other].state is not State.SUCCEEDED for other in needed(task)):
            return TaskRun(State.OMITTED, {})
        executor_input: Document = {"inputs": self._inputs(task, runs)}
        condition = condition_of(task)
        if condition and not evaluate(condition, executor_input):
            return TaskRun(State.NOT_TRIGGERED, executor_input)
        executor = self._executor(task)
        place = self.folder / f"{name}_{len(runs)}"
        place.mkdir(parents=True)
        outputs = self._outputs(task, place)
        if "importer" in executor:
            [artifact] = next(iter(outputs.values()))
            uri = executor["importer"]["artifactUri"]
            artifact["uri"] = uri.get("constant") or uri["constantValue"]["stringValue"]
            return TaskRun(State.SUCCEEDED, executor_input, outputs)
        executor_input["outputs"] = {
            "artifacts": {key: {"artifacts": found} for key, found in outputs.items()},
            "outputFile": str(place / "executor_output.json"),
        }
        container = executor["container"]
        hook = container.get("lifecycle", {}).get("preCacheCheck")
        if hook and self.backend is Backend.VERTEX:
            self.launch(_command(hook, executor_input), place / "driver.log")
            _take_over(outputs, place)
            _take_over_parameters(executor_input["inputs"], place)
        self.launch(_command(container, executor_input), place / "container.log")
        _take_over(outputs, place)
        return TaskRun(State.SUCCEEDED, executor_input, outputs)

    def _inputs(self, task: Mapping[str, Any], runs: Mapping[str, TaskRun]) -> Document:
        """The part ``inputs`` of the ExecutorInput."""
        inputs = task.get("inputs", {})
        artifacts = {}
        for key, source in inputs.get("artifacts", {}).items():
            output = source["taskOutputArtifact"]
            found = runs[output["producerTask"]].artifacts[output["outputArtifactKey"]]
            artifacts[key] = {"artifacts": [self._handed_on(artifact) for artifact in found]}
        typed = self.spec["schemaVersion"] == "2.0.0"
        values = {key: self._value(s) for key, s in inputs.get("parameters", {}).items()}
        return {"artifacts": artifacts, "parameters" if typed else "parameterValues": values}

    def _handed_on(self, artifact: Document) -> Document:
        copy: Document = json.loads(json.dumps(artifact))
        if self.backend is Backend.OPEN_SOURCE:
            del copy["type"]
        return copy

    def _value(self, source: Mapping[str, Any]) -> object:
        """A parameter: a typed Value in schema 2.0.0, a plain one in 2.1.0."""
        if "runtimeValue" in source:
            value = source["runtimeValue"]
            return value["constantValue"] if "constantValue" in value else value["constant"]
        name = source["componentInputParameter"]
        defined = self.spec["root"]["inputDefinitions"]["parameters"][name]
        typed = "type" in defined  # schema 2.0.0
        if name in self.parameters:
            kind = {"INT": "intValue", "DOUBLE": "doubleValue", "STRING": "stringValue"}
            value = self.parameters[name]
            return {kind[defined["type"]]: value} if typed else value
        defaults = self.job["runtimeConfig"].get("parameters", {}) if typed else defined
        if (name if typed else "defaultValue") not in defaults:
            raise UnsupportedError(
                f"neither value nor default value provided for non-optional parameter {name!r}"
            )
        return defaults[name if typed else "defaultValue"]

    def _outputs(self, task: Mapping[str, Any], place: Path) -> dict[str, list[Document]]:
        """The artifacts that the driver provides for the container to fill."""
        defined = self._component(task).get("outputDefinitions", {}).get("artifacts", {})
        return {
            key: [
                {
                    "name": f"projects/1/artifacts/{place.name}-{key}",
                    "uri": str(place / key),
                    "type": definition["artifactType"],
                    "metadata": dict(definition.get("metadata", {})),
                }
            ]
            for key, definition in defined.items()
        }


def _take_over(outputs: Mapping[str, list[Document]], place: Path) -> None:
    """Merges what a process has left in its output file into the output artifacts."""
    left = json.loads((place / "executor_output.json").read_text())
    for key, found in left.get("artifacts", {}).items():
        for artifact, written in zip(outputs[key], found["artifacts"]):
            artifact["uri"] = written.get("uri", artifact["uri"])
            artifact["metadata"] |= written.get("metadata", {})


def _take_over_parameters(inputs: Document, place: Path) -> None:
    """Merges the parameters that a driver has left into those of the container."""
    left = json.loads((place / "executor_output.json").read_text()).get("parameterValues", {})
    for key, value in left.items():
        if "parameterValues" in inputs:
            inputs["parameterValues"][key] = value
        else:  # schema 2.0.0; the numbers of an ExampleGen's driver are span and version
            typed = {"stringValue": value} if isinstance(value, str) else {"intValue": int(value)}
            inputs["parameters"][key] = typed


def order(spec: Mapping[str, Any]) -> list[str]:
    """Names of the tasks, each after those that it depends on."""
    tasks = spec["root"]["dag"]["tasks"]
    graph = TopologicalSorter({name: needed(tasks[name]) for name in sorted(tasks)})
    return list(graph.static_order())


def needed(task: Mapping[str, Any]) -> set[str]:
    """Names of the tasks that a task names as upstream or takes an artifact from."""
    artifacts = task.get("inputs", {}).get("artifacts", {}).values()
    producers = {source["taskOutputArtifact"]["producerTask"] for source in artifacts}
    return producers | set(task.get("dependentTasks", ()))


def condition_of(task: Mapping[str, Any]) -> str:
    """The CEL expression that a task asks; "" for none."""
    return str(task.get("triggerPolicy", {}).get("condition", ""))


def evaluate(condition: str, executor_input: Mapping[str, Any]) -> bool:
    """What CEL says of a condition over an ExecutorInput.

    Raises:
      celpy.CELEvalError: it asks for what is not there, which fails the task on a cluster.
    """
    environment = celpy.Environment()
    program = environment.program(environment.compile(condition))
    # An ExecutorInput is protocol buffers: every number in a Struct is a double.
    inputs = celpy.json_to_cel(_with_doubles(executor_input["inputs"]))
    result = program.evaluate({"inputs": inputs})
    assert isinstance(result, celtypes.BoolType), result
    return bool(result)


def _with_doubles(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_doubles(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _command(container: Mapping[str, Any], executor_input: Mapping[str, Any]) -> list[str]:
    """The command line, with the ExecutorInput in its place."""
    document = json.dumps(executor_input)
    words = [*container.get("command", ()), *container.get("args", ())]
    return [document if word == EXECUTOR_INPUT else word for word in words]
