"""A gated pipeline for Kubeflow: compiled, and checked for what would not work there.

::

    compile_for_kubeflow(pipeline, "pipeline.json", image="gcr.io/project/image", backend="vertex")
    compile_for_kubeflow(pipeline, "pipeline.yaml", image="registry/image", backend="kfp")
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Final, cast

from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.importer import Importer
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.experimental.conditionals import conditional
from tfx.orchestration.data_types import RuntimeParameter

from tfx_graphlets.components.archiver import Archiver
from tfx_graphlets.components.artifacts import Archive, GateDecision, Graphlets
from tfx_graphlets.components.conditions import check_gated
from tfx_graphlets.components.graphlet_gen import GraphletGen
from tfx_graphlets.components.kubeflow_executor import RUN_DRIVER_FIRST
from tfx_graphlets.errors import GraphletsError, InvalidArgumentError, MissingDependencyError
from tfx_graphlets.files import replaced_file
from tfx_graphlets.gate import keys

VERTEX: Final = "vertex"
KFP: Final = "kfp"
KFP_COMMAND: Final = ("python", "-m", "tfx_graphlets.components.kubeflow_executor")

# Fields of the message Value of pipeline spec 2.0.0, by the type of a runtime parameter.
_VALUE_FIELD: Final = {int: "intValue", float: "doubleValue", str: "stringValue"}

Document = dict[str, object]


class KubeflowError(GraphletsError):
    """A pipeline holds what would not work on Kubeflow.

    Attributes:
      problems: a sentence for each.
    """

    def __init__(self, pipeline_name: str, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__(f"pipeline {pipeline_name!r}: {' '.join(problems)}")


def compile_for_kubeflow(
    pipeline: tfx.dsl.Pipeline,
    target: str | os.PathLike[str],
    *,
    image: str,
    backend: str = VERTEX,
) -> Document:
    """Compiles a gated pipeline with TFX's KubeflowV2DagRunner, and writes the result.

    >>> from tfx import v1 as tfx
    >>> gen = tfx.components.CsvExampleGen(input_base="data")
    >>> from tfx_graphlets import GraphletGen, WasteGate
    >>> graphlet_gen = GraphletGen(examples=gen.outputs["examples"])
    >>> gate = WasteGate(graphlets=graphlet_gen.outputs["graphlets"], model_directory="model")
    >>> pipeline = tfx.dsl.Pipeline("taxi", "root", components=[gen, graphlet_gen, gate])
    >>> compile_for_kubeflow(pipeline, "taxi.json", image="gcr.io/mine/taxi")
    Traceback (most recent call last):
    tfx_graphlets.components.kubeflow.KubeflowError: pipeline 'taxi': GraphletGen needs store and
    pipeline_name: Kubeflow runs no drivers, and does not tell a component the name of its pipeline.

    What it does beyond that:

    - it runs ``check_gated``, and refuses what would not work (see below);
    - GraphletGen, WasteGate and Archiver are never cached, whatever the pipeline
      says (elsewhere their drivers see to that, and Kubeflow runs none);
    - runtime parameters keep their defaults;
    - for open-source KFP it compiles to pipeline spec 2.1, the only one that is
      accepted there, and starts containers through ``kubeflow_executor``.

    Args:
      pipeline: the finished pipeline.
      target: file to write, JSON. For Vertex AI a PipelineJob, to be named
        ``.json``; for KFP a PipelineSpec, to be named ``.yaml`` (JSON is YAML).
      image: of every container; tfx_graphlets is installed in it. Also a gated
        component of TFX's own imports the type of the decision that it asks.
      backend: ``"vertex"`` (Vertex AI Pipelines) or ``"kfp"`` (open-source
        Kubeflow Pipelines, version 2).

    Returns:
      What was written.

    Raises:
      KubeflowError: a GraphletGen names no store or no pipeline, or an Archiver
        no store; for KFP also a Resolver, or an Importer inside a condition.
      UngatedNodeError, NestedGateError: see ``check_gated``.
      InvalidArgumentError: ``backend`` is none of the two.
      MissingDependencyError: kfp is not installed.
    """
    if backend not in (VERTEX, KFP):
        raise InvalidArgumentError("backend", backend, f"must be {VERTEX!r} or {KFP!r}")
    try:
        from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner
    except ImportError as error:
        raise MissingDependencyError("kfp", "kfp", "compiling for Kubeflow") from error
    check_gated(pipeline)
    problems = tuple(_problems(pipeline, backend))
    if problems:
        raise KubeflowError(pipeline.pipeline_name, problems)
    config = kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
        default_image=image,
        default_commands=list(KFP_COMMAND) if backend == KFP else None,
        use_pipeline_spec_2_1=backend == KFP,
    )
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(config=config)
    job = cast("Document", runner.run(pipeline, write_out=False))
    spec = cast("Document", job["pipelineSpec"])
    _never_cache(spec, {node.id for node in pipeline.components if _is_own(node)})
    _give_defaults(pipeline, job, backend)
    if backend == KFP:
        _run_drivers(spec)
    result = spec if backend == KFP else job
    with replaced_file(target) as draft:
        draft.write_text(json.dumps(result, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return result


def _problems(pipeline: tfx.dsl.Pipeline, backend: str) -> Iterator[str]:
    for node in pipeline.components:
        if isinstance(node, GraphletGen):
            needed = (keys.STORE, keys.PIPELINE_NAME)
            missing = [key for key in needed if not node.exec_properties.get(key)]
            if missing:
                yield (
                    f"{node.id} needs {' and '.join(missing)}: Kubeflow runs no drivers, and does "
                    "not tell a component the name of its pipeline."
                )
        if isinstance(node, Archiver) and not node.exec_properties.get(keys.STORE):
            yield f"{node.id} needs {keys.STORE}: Kubeflow runs no drivers."
        if backend == KFP and isinstance(node, Resolver):
            yield (
                f"{node.id} is a Resolver, which open-source KFP does not have: read what it "
                "would find in a component of your own, or give a path (model_directory=...)."
            )
        if backend == KFP and isinstance(node, Importer) and _is_conditional(node, pipeline):
            yield (
                f"{node.id} is an Importer inside a condition, which open-source KFP does not "
                "have: make it outside, where it costs next to nothing."
            )


def _is_conditional(node: BaseNode, pipeline: tfx.dsl.Pipeline) -> bool:
    registry = pipeline.dsl_context_registry
    return node in registry.all_nodes and bool(conditional.get_predicates(node, registry))


def _is_own(node: BaseNode) -> bool:
    return any(
        channel.type in (Archive, GateDecision, Graphlets) for channel in node.outputs.values()
    )


def _never_cache(spec: Document, names: set[str]) -> None:
    tasks = cast("dict[str, Document]", _at(spec, "root", "dag", "tasks"))
    for name in names:
        tasks[name].pop("cachingOptions", None)


def _give_defaults(pipeline: tfx.dsl.Pipeline, job: Document, backend: str) -> None:
    """TFX leaves out the defaults of runtime parameters; a run would have to name them all."""
    parameters = {
        value.name: value
        for node in pipeline.components
        for value in node.exec_properties.values()
        if isinstance(value, RuntimeParameter) and value.default is not None
    }
    spec = cast("Document", job["pipelineSpec"])
    for name, parameter in sorted(parameters.items()):
        if backend == KFP:
            defined = _at(spec, "root", "inputDefinitions", "parameters", name)
            defined |= {"defaultValue": parameter.default, "isOptional": True}
        else:
            config = cast("Document", job.setdefault("runtimeConfig", {}))
            given = cast("Document", config.setdefault("parameters", {}))
            given.setdefault(name, {_VALUE_FIELD[parameter.ptype]: parameter.default})


def _run_drivers(spec: Document) -> None:
    """Moves the hook that KFP does not run into the container's command."""
    for executor in _at(spec, "deploymentSpec", "executors").values():
        container = cast("Document", cast("Document", executor).get("container", {}))
        if container.pop("lifecycle", None):
            cast("list[str]", container["args"]).append(RUN_DRIVER_FIRST)


def _at(document: Document, *path: str) -> Document:
    for name in path:
        document = cast("Document", document[name])
    return document
