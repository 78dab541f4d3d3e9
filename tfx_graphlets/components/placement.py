"""Puts a gate before nodes that have been made already.

Nodes made inside ``with tfx.dsl.Cond(proceed(gate))`` stand under the gate's
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

from collections.abc import Iterator, Sequence

from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.context_managers import dsl_context_registry
from tfx.dsl.experimental.conditionals import conditional
from tfx.dsl.placeholder.placeholder import Predicate
from tfx.types import channel_utils

from tfx_graphlets.components.artifacts import GateDecision
from tfx_graphlets.components.conditions import is_gate, parents_of, proceed
from tfx_graphlets.components.graphlet_gen import GraphletGen
from tfx_graphlets.errors import GraphletsError, InvalidArgumentError


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
            "of", of.id if isinstance(of, BaseNode) else of,
            f"must be one of the components {[node.id for node in components]}",
        )  # fmt: skip
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
                if channel.type is not GateDecision and channel.producer_component_id in ids:
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
