"""GraphletGen: reads the metadata store at the start of a run, for the gate behind it.

``wiring_problems`` says whether a gate describes the graphlet that it stops, as far as the
wiring shows. A waste model learns from graphlets as they were when gates at its stage had to
decide. What has not run by then, or is not wired to GraphletGen, makes the
current graphlet one of a kind that the model has never seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import ClassVar, Final

from tfx import v1 as tfx
from tfx.dsl.components.base import executor_spec
from tfx.dsl.components.base.base_node import BaseNode
from tfx.types import component_spec, standard_artifacts
from tfx.types.channel import BaseChannel, union

from tfx_graphlets.components import artifacts, executors
from tfx_graphlets.components.drivers import GraphletGenDriver
from tfx_graphlets.components.trainers import (
    DATA_ANALYSIS,
    INGESTION,
    VALIDATION,
    Wiring,
    gates_behind,
    to_property,
    trainers_behind,
)
from tfx_graphlets.errors import GraphletsError, InvalidArgumentError
from tfx_graphlets.gate import keys
from tfx_graphlets.gate.request import (
    check_stage,
    check_store,
    given,
    pushers_to_text,
    roles_of_text,
    roles_to_text,
)
from tfx_graphlets.supervision.parent import limits_given
from tfx_graphlets.vocabulary import Role, Stage

_standard = tfx.types.standard_artifacts
# What the pending Trainer will take in, by the Trainer's own keys.
TRAINER_INPUTS = {
    "examples": _standard.Examples,
    "transform_graph": _standard.TransformGraph,
    "schema": _standard.Schema,
    "hyperparameters": _standard.HyperParameters,
    "base_model": _standard.Model,
}
# What has to be there before the gate decides, and is no input of the Trainer.
AWAITED = {
    "statistics": _standard.ExampleStatistics,
    "anomalies": _standard.ExampleAnomalies,
    "model": _standard.Model,
    "blessing": _standard.ModelBlessing,
    "infra_blessing": _standard.InfraBlessing,
    "evaluation": _standard.ModelEvaluation,
}


class GraphletGenSpec(component_spec.ComponentSpec):
    """Interface of GraphletGen."""

    PARAMETERS: ClassVar[Mapping[str, component_spec.ExecutionParameter]] = {
        keys.STAGE: component_spec.ExecutionParameter(type=str),
        keys.STORE: component_spec.ExecutionParameter(type=str, optional=True),
        keys.PIPELINE_NAME: component_spec.ExecutionParameter(type=str, optional=True),
        keys.RUNS: component_spec.ExecutionParameter(type=int, optional=True),
        keys.ROLE_OF_TYPE: component_spec.ExecutionParameter(type=str, optional=True),
        keys.PUSHERS: component_spec.ExecutionParameter(type=str, optional=True),
        keys.TRAINERS: component_spec.ExecutionParameter(type=str, optional=True),
        keys.TIME_LIMIT: component_spec.ExecutionParameter(type=float, optional=True),
        keys.MEMORY_LIMIT: component_spec.ExecutionParameter(type=int, optional=True),
    }
    INPUTS: ClassVar[Mapping[str, component_spec.ChannelParameter]] = {
        key: component_spec.ChannelParameter(type=artifact_type, optional=True)
        for key, artifact_type in {**TRAINER_INPUTS, **AWAITED}.items()
    }
    OUTPUTS: ClassVar[Mapping[str, component_spec.ChannelParameter]] = {
        keys.GRAPHLETS: component_spec.ChannelParameter(type=artifacts.Graphlets)
    }


class GraphletGen(tfx.types.BaseComponent):
    """Writes the features of the current graphlet, and this pipeline's labelled history.

    It stands before the gate and takes in what the Trainer will::

        graphlet_gen = GraphletGen(
            examples=example_gen.outputs["examples"],
            transform_graph=transform.outputs["transform_graph"],
            anomalies=example_validator.outputs["anomalies"],
        )

    >>> from tfx import v1 as tfx
    >>> gen = tfx.components.CsvExampleGen(input_base="data")
    >>> graphlet_gen = GraphletGen(examples=gen.outputs["examples"], stage="input")
    >>> list(graphlet_gen.outputs)
    ['graphlets']

    With LocalDagRunner and BeamDagRunner it asks the runner for its metadata
    store. Elsewhere (KubeflowV2DagRunner runs no drivers) name the store, or an
    archive of it. It never fails and is never cached: if the store cannot be
    read, or not within its limits, the artifact says so (custom properties
    ``usable``, ``problem`` and ``fault``), and the gate proceeds.

    Output ``graphlets``: see ``gate.graphlets_file`` for its files; custom
    properties ``usable`` (1 or 0), ``problem``, ``stage``, ``num_graphlets``
    (labelled ones).
    """

    SPEC_CLASS = GraphletGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executors.GraphletGenExecutor)
    DRIVER_CLASS = GraphletGenDriver

    def __init__(
        self,
        examples: tfx.types.BaseChannel | None = None,
        transform_graph: tfx.types.BaseChannel | None = None,
        schema: tfx.types.BaseChannel | None = None,
        hyperparameters: tfx.types.BaseChannel | None = None,
        base_model: tfx.types.BaseChannel | None = None,
        *,
        statistics: tfx.types.BaseChannel | None = None,
        anomalies: tfx.types.BaseChannel | None = None,
        model: tfx.types.BaseChannel | None = None,
        blessing: tfx.types.BaseChannel | None = None,
        infra_blessing: tfx.types.BaseChannel | None = None,
        evaluation: tfx.types.BaseChannel | None = None,
        stage: Stage | str = Stage.PRE,
        store: str | None = None,
        pipeline_name: str | None = None,
        runs: int | None = None,
        role_of_type: Mapping[str, Role | str] | None = None,
        pushers: Collection[str] | None = None,
        time_limit_s: float | None = None,
        memory_limit_mb: int | None = None,
    ) -> None:
        """Makes the node.

        Args:
          examples, transform_graph, schema, hyperparameters, base_model: what
            the Trainer behind the gate will take in. Without any of them, the
            current graphlet is what the run has done so far; then order the
            node with ``add_upstream_node``.
          statistics, anomalies: wired so that data analysis and validation are
            done when the store is read; ``stage="pre"``.
          model: of the Trainer before the gate; for stages ``trainer`` and
            ``validation``.
          blessing, infra_blessing, evaluation: of the model validation before
            the gate; for stage ``validation``.
          stage: where the gate stands; decides which features are computed.
          store: a metadata store or an archive in place of the runner's own
            store, as for ``tfx_graphlets.open_store``. No password: that goes
            into the environment variable TFX_GRAPHLETS_DB_PASSWORD.
          pipeline_name: where the runner does not tell a component the name of
            its pipeline (Kubeflow).
          runs: how many runs of the pipeline before this one are read, at least
            0; ``latest_runs.DEFAULT_RUNS`` by default, 0 for all of them. What it
            costs grows with it, and not with the store. See
            ``gate.latest_runs`` for what older runs would add.

          role_of_type: roles of custom components by full type name or class
            name, as for ``segment``; ``{"MyFit": "trainer"}``.
          pushers: node ids or type names of the pushers that count, as for
            ``segment``; all by default.
          time_limit_s: seconds, above 0; 60 by default. Past it the artifact
            holds the fault ``timeout``, and the gate proceeds.
          memory_limit_mb: the most that what reads the store may hold, in MB of
            2**20 bytes; 4096 by default. Past it: ``out_of_memory``.

        Raises:
          InvalidArgumentError: ``stage`` is none, ``store`` holds a password,
            ``runs`` is negative, a role is none, or a limit is not above 0.
        """
        channels = {
            "examples": examples,
            "transform_graph": transform_graph,
            "schema": schema,
            "hyperparameters": hyperparameters,
            "base_model": base_model,
            "statistics": statistics,
            "anomalies": anomalies,
            "model": model,
            "blessing": blessing,
            "infra_blessing": infra_blessing,
            "evaluation": evaluation,
        }
        if runs is not None and runs < 0:
            raise InvalidArgumentError("runs", runs, "must be at least 0; 0 stands for all runs")
        spec = GraphletGenSpec(
            graphlets=tfx.dsl.Channel(type=artifacts.Graphlets),
            stage=str(check_stage(stage)),
            **given(
                store=check_store(store),
                pipeline_name=pipeline_name or None,
                runs=runs,
                role_of_type=roles_to_text(role_of_type),
                pushers=pushers_to_text(pushers),
                **limits_given(time_limit_s, memory_limit_mb),
                **channels,
            ),
        )
        super().__init__(spec=spec)

    @property
    def exec_properties(self) -> dict[str, object]:
        """The node's own, and the Trainers behind its gates as soon as its pipeline is made."""
        found: dict[str, object] = dict(super().exec_properties)
        if Stage(str(found[keys.STAGE])).order < Stage.TRAINER.order:
            roles = roles_of_text(found.get(keys.ROLE_OF_TYPE))
            behind = {
                one.node: one for gate in gates_behind(self) for one in trainers_behind(gate, roles)
            }
            if behind:
                found[keys.TRAINERS] = to_property(
                    [behind[name] for name in sorted(behind)], self.inputs
                )
        return found


# What has run when a gate before the Trainer decides, and not yet when one after ExampleGen does.
_PREPARING: Final = DATA_ANALYSIS | {Role.TRANSFORM, Role.TUNER}


class DescriptionError(GraphletsError):
    """A gate would describe another graphlet than the one that it stops.

    Attributes:
      problems: a sentence for each, with the way out.
    """

    def __init__(self, pipeline_name: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"pipeline {pipeline_name!r}: {' '.join(problems)}")


def wiring_problems(wiring: Wiring, gate: BaseNode, behind: frozenset[str]) -> Iterator[str]:
    """What a gate's GraphletGen lacks, and what should have run before it.

    Args:
      wiring: of the gate's pipeline.
      gate: a WasteGate whose graphlets come from a GraphletGen; of any other
        gate nothing is known.
      behind: ids of the nodes that stand under its condition, or that of a gate
        which takes its decision as ``outer``.
    """
    if keys.GRAPHLETS not in gate.inputs or keys.STAGE not in gate.exec_properties:
        return
    stage = Stage(str(gate.exec_properties[keys.STAGE]))
    names = sorted(wiring.sources(gate.inputs[keys.GRAPHLETS]))
    generators = [wiring.nodes[name] for name in names]
    if not generators or not all(isinstance(node, GraphletGen) for node in generators):
        return
    if stage.order < Stage.TRAINER.order:
        trainers = [name for name in wiring.of_role(Role.TRAINER) if name in behind]
        for trainer in trainers:
            yield from _lacking(wiring, generators, trainer, stage, behind)
    else:
        trainers = _of_wired_model(wiring, generators)
        if not trainers:
            yield (
                f"{' and '.join(names)} stands at stage {stage.value!r} and has no model: give it "
                "model=<the Trainer>.outputs['model']."
            )
    late = {
        name
        for trainer in trainers
        for name in wiring.precedes(trainer, stage) & behind
        if name == trainer or wiring.role[name] not in (Role.CUSTOM, Role.TRAINER)
    }
    for name in sorted(late):
        yield (
            f"{name} stands behind {gate.id}, which at stage {stage.value!r} takes it to have run "
            "when it decides: make it outside of that condition, or put the gate at an earlier "
            "stage, for instance stage='input'."
        )


def _of_wired_model(wiring: Wiring, generators: Sequence[BaseNode]) -> list[str]:
    return sorted(
        name
        for generator in generators
        if keys.MODEL in generator.inputs
        for name in wiring.sources(generator.inputs[keys.MODEL])
    )


def _lacking(
    wiring: Wiring,
    generators: Sequence[BaseNode],
    trainer: str,
    stage: Stage,
    behind: frozenset[str],
) -> Iterator[str]:
    """Sentences about what a Trainer behind the gate takes in and no GraphletGen does."""
    taken = {
        name
        for generator in generators
        for key in TRAINER_INPUTS
        if key in generator.inputs
        for name in wiring.sources(generator.inputs[key])
    }
    if not taken:  # described by what the run has done: that has to be done before
        taken = {name for node in generators for name in wiring.follows(node.id)}
    names = " and ".join(node.id for node in generators)
    for key, source in needed_of(wiring, trainer, stage):
        if source not in taken and source not in behind:
            yield (
                f"{names} lacks what {trainer}, which stands behind its gate, is made from: give "
                f"it {key}=<{source}>.outputs[...]."
            )


def needed_of(wiring: Wiring, trainer: str, stage: Stage) -> Iterator[tuple[str, str]]:
    """What a GraphletGen at a stage before a Trainer has to take in.

    Yields: pairs of a key of GraphletGen's inputs and the id of the node that
      puts it out. Inputs of types that GraphletGen does not take are left out.
    """
    key_of_type = {artifact_type: key for key, artifact_type in TRAINER_INPUTS.items()}
    for key, channel in wiring.nodes[trainer].inputs.items():
        wanted = key if key in TRAINER_INPUTS else key_of_type.get(channel.type)
        for source in sorted(wiring.sources(channel)):
            early = stage is not Stage.INPUT or wiring.role[source] not in _PREPARING
            if wanted is not None and early:
                yield wanted, source
    if stage is Stage.INPUT:
        for source in sorted(wiring.ancestors(trainer)):
            outputs = wiring.nodes[source].outputs.values()
            if wiring.role[source] in INGESTION and any(
                channel.type is standard_artifacts.Examples for channel in outputs
            ):
                yield "examples", source


def channels_before(
    wiring: Wiring, group: Sequence[str], stage: Stage, gated: Collection[str]
) -> dict[str, BaseChannel]:
    """Inputs of the GraphletGen of one gate, by its keys.

    Args:
      wiring: of the pipeline.
      group: ids of the Trainers behind the gate.
      stage: where it stands.
      gated: ids of the nodes that it leaves out.
    """
    found: dict[str, list[BaseChannel]] = {}

    def add(key: str, channel: BaseChannel) -> None:
        if wiring.sources(channel) and wiring.sources(channel).isdisjoint(gated):
            kept = found.setdefault(key, [])
            if channel not in kept:
                kept.append(channel)

    for trainer in group:
        for key, channel in wiring.nodes[trainer].inputs.items():
            for wanted, source in needed_of(wiring, trainer, stage):
                if source in wiring.sources(channel) and channel.type is TRAINER_INPUTS[wanted]:
                    add(key if key in TRAINER_INPUTS else wanted, channel)
        if stage is Stage.INPUT:
            for _, source in needed_of(wiring, trainer, stage):
                for channel in wiring.nodes[source].outputs.values():
                    if channel.type is TRAINER_INPUTS["examples"]:
                        add("examples", channel)
            continue
        for name in wiring.data_analysis_of(trainer):
            for channel in wiring.nodes[name].outputs.values():
                if channel.type is AWAITED["anomalies"]:
                    add("anomalies", channel)
        if stage.order >= Stage.TRAINER.order:
            for channel in wiring.nodes[trainer].outputs.values():
                if channel.type is AWAITED[keys.MODEL]:
                    add(keys.MODEL, channel)
        if stage is Stage.VALIDATION:
            after = wiring.descendants([trainer]).difference(gated)
            for name in wiring.of_role(*VALIDATION):
                for channel in wiring.nodes[name].outputs.values() if name in after else ():
                    for key in ("blessing", "infra_blessing", "evaluation"):
                        if channel.type is AWAITED[key]:
                            add(key, channel)
    return {
        key: channels[0] if len(channels) == 1 else union(channels)
        for key, channels in found.items()
    }
