"""Puts a gate before nodes that have been made already.

One line gates a whole pipeline::

    pipeline = gate_pipeline(create_pipeline(...), model_directory="waste_model")

For more control: nodes made inside ``with tfx.dsl.Cond(proceed(gate))`` stand under the gate's
condition. Where they come ready made (a template's list of components),
``gate_downstream`` puts a node and all that depends on it there afterwards::

    components = template.components()  # a list, before it is a pipeline
    graphlet_gen = GraphletGen(examples=transform.outputs["transformed_examples"])
    gate = WasteGate(graphlets=graphlet_gen.outputs["graphlets"], model_directory="waste_model")
    gate_downstream(components, gate, of=trainer)
    pipeline = tfx.dsl.Pipeline(components=[*components, graphlet_gen, gate], ...)
    check_gated(pipeline)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from absl import logging
from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.context_managers import dsl_context_registry
from tfx.dsl.experimental.conditionals import conditional
from tfx.dsl.placeholder.placeholder import Predicate
from tfx.orchestration.data_types import RuntimeParameter
from tfx.types import channel_utils
from tfx.types.channel import BaseChannel

from tfx_graphlets.components.artifacts import GateDecision, GateVerdict
from tfx_graphlets.components.conditions import check_gated, proceed
from tfx_graphlets.components.graphlet_gen import GraphletGen, channels_before
from tfx_graphlets.components.rehearsal.component import check_mode
from tfx_graphlets.components.rehearsal.wiring import halved, rehearsal_nodes, rehearsal_problems
from tfx_graphlets.components.trainers import Wiring, is_gate, parents_of, unions
from tfx_graphlets.components.waste_gate import WasteGate
from tfx_graphlets.errors import GraphletsError, InvalidArgumentError
from tfx_graphlets.gate import keys
from tfx_graphlets.gate.request import check_stage
from tfx_graphlets.rehearsal import Mode
from tfx_graphlets.vocabulary import Role, Stage


class PlacementError(GraphletsError):
    """Nodes cannot be put under a gate's condition.

    Attributes:
      problems: a sentence for each.
    """

    def __init__(self, gate: str, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__(f"{gate} cannot gate these nodes: {' '.join(problems)}")


def gate_downstream(
    components: Sequence[BaseNode], gate: BaseNode, *, of: BaseNode
) -> tuple[BaseNode, ...]:
    """Puts a node and everything that depends on it under a gate's condition.

    >>> from tfx import v1 as tfx
    >>> gen = tfx.components.CsvExampleGen(input_base="data")
    >>> trainer = tfx.components.Trainer(
    ...     examples=gen.outputs["examples"], run_fn="taxi.run_fn",
    ...     train_args=tfx.proto.TrainArgs(num_steps=1), eval_args=tfx.proto.EvalArgs(num_steps=1))
    >>> from tfx_graphlets import GraphletGen, WasteGate
    >>> graphlet_gen = GraphletGen(examples=gen.outputs["examples"])
    >>> gate = WasteGate(graphlets=graphlet_gen.outputs["graphlets"], model_directory="model")
    >>> gated = gate_downstream([gen, graphlet_gen, gate, trainer], gate, of=trainer)
    >>> [node.id for node in gated]
    ['Trainer']

    A node depends on another if it takes, directly or through other nodes, an
    output of it: as an input, in an execution property, or in a condition.
    Gates and GraphletGens stay outside (see ``check_gated``), and so do nodes
    that only follow by ``add_upstream_node``.

    TFX has no such call; this one uses the registry in which TFX's ``Cond``
    keeps who was made inside of it, as TFX 1.16 has it. Where a node could not
    be put there nothing was changed.

    Args:
      components: all nodes of the pipeline to be, before it is one.
      gate: a WasteGate; it may be among the components, and need not.
      of: the first node to be gated, usually the Trainer.

    Returns:
      The nodes that now stand under the condition, in the order of
      ``components``. None is changed in any other way.

    Raises:
      PlacementError: a node is a Resolver or a pipeline, asks in a condition of
        its own what the gate may skip, belongs to a pipeline already, or is
        what the gate itself needs.
      InvalidArgumentError: ``gate`` is no gate, ``of`` is not among the
        components, or stands under this gate's condition already.
    """
    predicate = proceed(gate)
    if of not in components:
        raise InvalidArgumentError(
            "of",
            of.id if isinstance(of, BaseNode) else of,
            f"must be one of the components {[node.id for node in components]}",
        )
    registry = dsl_context_registry.get()
    if of in registry.all_nodes and any(
        found.internal_equals(predicate) for found in conditional.get_predicates(of, registry)
    ):
        raise InvalidArgumentError("of", of.id, f"stands under the condition of {gate.id} already")
    chosen = _descendants(components, of, registry)
    problems = tuple(_problems(gate, chosen, registry))
    if problems:
        raise PlacementError(gate.id, problems)
    with tfx.dsl.Cond(predicate):
        for node in chosen:
            registry.put_node(node)  # as a node does that is made here
    return chosen


def _descendants(
    components: Sequence[BaseNode],
    of: BaseNode,
    registry: dsl_context_registry.DslContextRegistry,
) -> tuple[BaseNode, ...]:
    """The node and all that depends on it, but for gates and what they read."""
    found, size = {of.id}, 0
    while size != len(found):  # components need not be in topological order
        size = len(found)
        for node in components:
            stays = is_gate(node) or isinstance(node, GraphletGen)
            if not stays and parents_of(node, _predicates(node, registry)) & found:
                found.add(node.id)
    return tuple(node for node in components if node.id in found)


def _predicates(
    node: BaseNode, registry: dsl_context_registry.DslContextRegistry
) -> Sequence[Predicate]:
    return conditional.get_predicates(node, registry) if node in registry.all_nodes else ()


def _problems(
    gate: BaseNode,
    chosen: Sequence[BaseNode],
    registry: dsl_context_registry.DslContextRegistry,
) -> Iterator[str]:
    ids = {node.id for node in chosen}
    if registry.peek_context() is not None:
        yield "This call stands inside a `with` of TFX's: move it out."
    for needed in sorted(_needed_by(gate, registry) & ids):
        yield f"{gate.id} itself depends on {needed}: gate a later node."
    yield from _problems_of_nodes(chosen, registry)


def _problems_of_nodes(
    chosen: Sequence[BaseNode], registry: dsl_context_registry.DslContextRegistry
) -> Iterator[str]:
    ids = {node.id for node in chosen}
    for node in chosen:
        if node not in registry.all_nodes:
            yield f"{node.id} belongs to a pipeline already: call this before it is made."
            continue
        if isinstance(node, Resolver):
            yield (
                f"{node.id} is a Resolver, which TFX lets resolve before it asks the condition, "
                "and fails while there is nothing to find: take it out of what depends on the gate."
            )
        if isinstance(node, tfx.dsl.Pipeline):
            yield f"{node.id} is a pipeline: make it inside `with tfx.dsl.Cond(proceed(gate))`."
        for predicate in _predicates(node, registry):
            for channel in channel_utils.get_dependent_channels(predicate):
                if (
                    channel.type not in (GateDecision, GateVerdict)
                    and channel.producer_component_id in ids
                ):
                    yield (
                        f"{node.id} asks {channel.producer_component_id} in a condition of its "
                        "own, and TFX evaluates conditions in no fixed order: wire what it asks "
                        "as an input instead."
                    )


def _needed_by(gate: BaseNode, registry: dsl_context_registry.DslContextRegistry) -> set[str]:
    """Ids of the nodes that the gate depends on."""
    by_id = {node.id: node for node in registry.all_nodes}
    found: set[str] = set()
    pending = sorted(parents_of(gate, ()))
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            if name in by_id:
                pending.extend(parents_of(by_id[name], ()))
    return found


def gate_pipeline(
    pipeline: tfx.dsl.Pipeline,
    *,
    model_directory: str | RuntimeParameter | None = None,
    model: tfx.types.BaseChannel | None = None,
    stage: Stage | str = Stage.PRE,
    store: str | None = None,
    pipeline_name: str | None = None,
    runs: int | None = None,
    role_of_type: Mapping[str, Role] | None = None,
    pushers: Collection[str] | None = None,
    rehearsal: Mode | str = Mode.OFF,
    time_limit_s: float | None = None,
    memory_limit_mb: int | None = None,
    **gate: Any,
) -> tfx.dsl.Pipeline:
    """Puts a gate before every Trainer of a finished pipeline.

    For each Trainer it wires a GraphletGen with what that Trainer takes in, and
    with the anomalies of its data, makes a WasteGate behind it, and puts what
    the stage lets a gate leave out under its condition: at ``input`` all that
    follows the ExampleGens, at ``pre`` the Trainer and what depends on it, at
    ``trainer`` what depends on the Trainer, at ``validation`` what follows the
    Evaluator. Trainers that share something of this (a base model and its
    fine-tuning, champion and challenger before one Pusher, at ``input`` a
    Transform) share one gate, which proceeds if it would for any of them.
    Nodes are named GraphletGen and WasteGate, with a dot and the Trainer's id
    behind it where there are several gates. It ends with ``check_gated``.

    >>> from tfx import v1 as tfx
    >>> gen = tfx.components.CsvExampleGen(input_base="data")
    >>> trainer = tfx.components.Trainer(
    ...     examples=gen.outputs["examples"], run_fn="taxi.run_fn",
    ...     train_args=tfx.proto.TrainArgs(num_steps=1), eval_args=tfx.proto.EvalArgs(num_steps=1))
    >>> pipeline = tfx.dsl.Pipeline("taxi", "root", components=[gen, trainer])
    >>> pipeline = gate_pipeline(pipeline, model_directory="waste_model", shadow=True)
    >>> [node.id for node in pipeline.components]
    ['CsvExampleGen', 'GraphletGen', 'WasteGate', 'Trainer']

    Args:
      pipeline: not compiled or run yet; its nodes may stand under conditions.
      model_directory, model: of the waste model, as for WasteGate.
      stage: where the gates stand, and the waste model's stage.
      store, pipeline_name, runs: as for GraphletGen.
      role_of_type, pushers: roles of custom components and the pushers that count, as for
        ``segment``; the waste model has to be trained with the same.
      rehearsal: "off", or "auto", "scout" or "full": a first gate
        (FirstWasteGate) and a Rehearsal stand before each gate, at ``input`` or
        ``pre``, with what the Evaluator and the Trainer are given. The two gates
        share the pushes that ``freshness`` lets miss.
      time_limit_s, memory_limit_mb: of each GraphletGen and of each WasteGate.
      gate: further arguments of WasteGate, for instance ``freshness``.

    Returns:
      The same pipeline, with the new nodes. Where it raises PlacementError, it
      is as it was.

    Raises:
      PlacementError: there is no Trainer, or one that cannot be gated; every
        reason is named.
      InvalidArgumentError: ``pipeline`` is none, or see WasteGate, GraphletGen.
      UngatedNodeError, NestedConditionError, DescriptionError: see
        ``check_gated``.
    """
    if not isinstance(pipeline, tfx.dsl.Pipeline):
        raise InvalidArgumentError("pipeline", pipeline, "must be a tfx.dsl.Pipeline")
    stage, mode = check_stage(stage), check_mode(rehearsal)
    if mode is not Mode.OFF:
        gate = halved(gate)
    gate = {**gate, "time_limit_s": time_limit_s, "memory_limit_mb": memory_limit_mb}
    wiring = Wiring(pipeline, role_of_type)
    trainers = wiring.of_role(Role.TRAINER)
    # A Trainer that another one's gate stops shares it, whatever follows from itself.
    every = tuple(unions({name: {name, *wiring.gated_at(name, stage)} for name in trainers}))
    groups = tuple(group for group in every if _chosen(wiring, group, stage))
    registry = pipeline.dsl_context_registry
    problems = [
        *_problems_of_pipeline(wiring, trainers),
        *(_nothing_behind(group, stage) for group in every if not groups),
        *(
            problem
            for group in groups
            for problem in _problems_of_nodes(_chosen(wiring, group, stage), registry)
        ),
        *(
            problem
            for group in (groups if mode is not Mode.OFF else ())
            for problem in rehearsal_problems(wiring, group, stage)
        ),
    ]
    if problems:
        raise PlacementError(f"A gate at stage {stage.value!r}", problems)
    for group in set(every) - set(groups):
        logging.warning("No gate: %s", _nothing_behind(group, stage))
    new: list[BaseNode] = []
    with dsl_context_registry.use_registry(registry):
        for group in groups:
            of = f".{group[0]}" if len(groups) > 1 else ""
            chosen = _chosen(wiring, group, stage)
            generator = GraphletGen(
                stage=stage,
                store=store,
                pipeline_name=pipeline_name,
                runs=runs,
                role_of_type=role_of_type,
                pushers=pushers,
                time_limit_s=time_limit_s,
                memory_limit_mb=memory_limit_mb,
                **channels_before(wiring, group, stage, frozenset(node.id for node in chosen)),
            ).with_id(f"GraphletGen{of}")
            before = {one for name in group for one in wiring.precedes(name, stage)}
            for name in sorted(before - {node.id for node in chosen}):
                generator.add_upstream_node(wiring.nodes[name])
            asked = {"model": model, "model_directory": model_directory, **gate}
            asked["role_of_type"] = role_of_type
            tried: tuple[BaseNode, ...] = ()
            cascade: dict[str, BaseChannel] = {}
            if mode is not Mode.OFF:
                tried = first, rehearsed = rehearsal_nodes(
                    wiring, group[0], stage, generator, mode, asked, of
                )
                cascade = {
                    "outer": first.outputs[keys.DECISION],
                    "rehearsal": rehearsed.outputs[keys.REHEARSAL],
                }
            waste_gate = WasteGate(
                graphlets=generator.outputs[keys.GRAPHLETS], stage=stage, **asked, **cascade
            ).with_id(f"WasteGate{of}")
            with tfx.dsl.Cond(proceed(waste_gate)):
                for node in chosen:
                    registry.put_node(node)  # as a node does that is made here
            new += [generator, *tried, waste_gate]
    pipeline.components = [*pipeline.components, *new]
    check_gated(pipeline)
    return pipeline


def _nothing_behind(group: Sequence[str], stage: Stage) -> str:
    return (
        f"Nothing follows from {' and '.join(group)} that a gate at stage {stage.value!r} could "
        "leave out: gate it at stage 'pre'."
    )


def _chosen(wiring: Wiring, group: Sequence[str], stage: Stage) -> tuple[BaseNode, ...]:
    """The nodes that one gate leaves out, parents first."""
    names = frozenset().union(*(wiring.gated_at(name, stage) for name in group))
    return tuple(node for name, node in wiring.nodes.items() if name in names)


def _problems_of_pipeline(wiring: Wiring, trainers: Sequence[str]) -> Iterator[str]:
    """Sentences about what keeps a pipeline from being gated in one line."""
    for name, node in wiring.nodes.items():
        if isinstance(node, tfx.dsl.Pipeline) and Wiring(node).of_role(Role.TRAINER):
            yield f"{name} is a pipeline with a Trainer: gate that one before it is put in here."
        if is_gate(node):
            yield f"{name} is a gate already: a pipeline is gated once."
    if not trainers and not any(
        isinstance(node, tfx.dsl.Pipeline) for node in wiring.nodes.values()
    ):
        yield (
            f"There is no Trainer among {', '.join(wiring.nodes)}: name its class in "
            "role_of_type={'MyFit': Role.TRAINER}."
        )
    if wiring.pipeline._finalized:  # noqa: SLF001 - TFX raises a bare RuntimeError later on
        yield "The pipeline has been compiled: gate it before."
