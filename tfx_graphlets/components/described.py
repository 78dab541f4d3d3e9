"""Whether a gate describes the graphlet that it stops, as far as the wiring shows.

A waste model learns from graphlets as they were when gates at its stage had to
decide. What has not run by then, or is not wired to GraphletGen, makes the
current graphlet one of a kind that the model has never seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from tfx.dsl.components.base.base_node import BaseNode
from tfx.types import standard_artifacts

from tfx_graphlets.components.graphlet_gen import TRAINER_INPUTS, GraphletGen
from tfx_graphlets.components.wiring import DATA_ANALYSIS, INGESTION, Wiring
from tfx_graphlets.errors import GraphletsError
from tfx_graphlets.gate import keys
from tfx_graphlets.vocabulary import Role, Stage

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


def problems_of(wiring: Wiring, gate: BaseNode, behind: frozenset[str]) -> Iterator[str]:
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
