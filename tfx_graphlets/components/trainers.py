"""Trainers of a pipeline under construction: those behind a gate, those before a GraphletGen.

TFX notes on every node which nodes follow it when the ``tfx.dsl.Pipeline`` is
made, conditions included. So a gate can tell what it stops as soon as the
pipeline is compiled, and nobody has to name it. A node that is in no pipeline
yet (a notebook) has no followers: nothing is known of its Trainers.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterator, Mapping

from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode
from tfx.types.channel import BaseChannel

from tfx_graphlets.components.artifacts import GateDecision
from tfx_graphlets.components.wiring import role_of_node
from tfx_graphlets.features.code import CODE_ROLES, joined_hash
from tfx_graphlets.gate import keys
from tfx_graphlets.gate.code import hash_of_properties
from tfx_graphlets.vocabulary import PropertyName, Role


@dataclasses.dataclass(frozen=True)
class TrainerNode:
    """A Trainer of the pipeline under construction.

    Attributes:
      node: node id; of a node in an inner pipeline with that one's id and a dot
        before it.
      type: full name of its execution type.
      code: place of the user's code, with a hash of it; "" where it has none.
      code_known: hash of its own code, and of that of the Transforms and Tuners
        that it depends on, by role; what is not known is left out.
      inputs: its input channels by its keys.
    """

    node: str
    type: str
    code: str
    code_known: Mapping[str, str] = dataclasses.field(compare=False)
    inputs: Mapping[str, BaseChannel] = dataclasses.field(compare=False)


def is_gate(node: BaseNode) -> bool:
    """True for a node that puts out a GateDecision."""
    return any(channel.type is GateDecision for channel in node.outputs.values())


def trainers_behind(
    gate: BaseNode, role_of_type: Mapping[str, Role] | None = None
) -> tuple[TrainerNode, ...]:
    """Trainers that cannot run when a gate says no, by their node ids.

    They stand under its condition, or under that of a gate that takes its
    decision as ``outer``, or take in what such a node puts out; those of inner
    pipelines, too. An order that ``add_upstream_node`` alone imposes is none.

    Args:
      gate: a node with an output of type GateDecision; its pipeline is made.
      role_of_type: as for ``role_of_node``.
    """
    stopped: dict[str, BaseNode] = {}
    pending = list(_gated_by(gate))
    while pending:
        node = pending.pop()
        if node.id not in stopped:
            stopped[node.id] = node
            pending.extend(after for after in node.downstream_nodes if _takes_from(after, node.id))
            if is_gate(node):
                pending.extend(_gated_by(node))
    found = [one for node in stopped.values() for one in _trainers_in(node, role_of_type)]
    return tuple(sorted(found, key=lambda one: one.node))


def trainers_before(
    node: BaseNode, role_of_type: Mapping[str, Role] | None = None
) -> tuple[TrainerNode, ...]:
    """Trainers whose outputs a node takes in, directly or through other nodes, by node ids.

    The nearest alone: what such a Trainer took in is not looked at.
    """
    found: dict[str, TrainerNode] = {}
    seen: set[str] = set()
    pending = [before for before in node.upstream_nodes if _takes_from(node, before.id)]
    while pending:
        before = pending.pop()
        if before.id in seen:
            continue
        seen.add(before.id)
        trainers = tuple(_trainers_in(before, role_of_type))
        found.update((one.node, one) for one in trainers)
        if not trainers:
            pending.extend(
                other for other in before.upstream_nodes if _takes_from(before, other.id)
            )
    return tuple(found[name] for name in sorted(found))


def gates_behind(node: BaseNode) -> tuple[BaseNode, ...]:
    """Gates that take in what a node (a GraphletGen) puts out."""
    return tuple(
        sorted(
            (
                after
                for after in node.downstream_nodes
                if is_gate(after) and _takes_from(after, node.id)
            ),
            key=lambda after: after.id,
        )
    )


def node_ids(trainers: Collection[TrainerNode]) -> str:
    """The execution property that tells a gate its Trainers: a JSON list of node ids."""
    return json.dumps([one.node for one in trainers])


def to_property(trainers: Collection[TrainerNode], own: Mapping[str, BaseChannel]) -> str:
    """The execution property that tells a GraphletGen its Trainers: a JSON list.

    Args:
      trainers: they.
      own: the GraphletGen's input channels by key.

    Returns:
      For each Trainer its ``node``, ``type``, ``code`` and ``code_known``, and ``inputs``: by the
      Trainer's key the key of the GraphletGen's input that is wired to the same
      output, else of its input of the same name. Keys without one are left out.
    """
    return json.dumps(
        [
            {
                "node": one.node,
                "type": one.type,
                "code": one.code,
                "code_known": dict(one.code_known),
                "inputs": _mapped(one.inputs, own),
            }
            for one in trainers
        ]
    )


def _mapped(inputs: Mapping[str, BaseChannel], own: Mapping[str, BaseChannel]) -> dict[str, str]:
    by_source = {source: key for key, channel in own.items() if (source := _source(channel))}
    found = {
        key: by_source.get(_source(channel) or ("", ""), key) for key, channel in inputs.items()
    }
    return {key: wired for key, wired in sorted(found.items()) if wired in own}


def _source(channel: BaseChannel) -> tuple[str, str] | None:
    """Node id and output key that a channel comes from; None where it names no node."""
    producer, key = (
        getattr(channel, "producer_component_id", None),
        getattr(channel, "output_key", None),
    )
    return (str(producer), str(key)) if producer and key else None


def _gated_by(gate: BaseNode) -> Iterator[BaseNode]:
    """Nodes under the gate's condition, and gates that know its decision as ``outer``.

    TFX's condition makes a node follow the gate without taking in its output.
    """
    for after in gate.downstream_nodes:
        if not _takes_from(after, gate.id) or (is_gate(after) and keys.OUTER in after.inputs):
            yield after


def _trainers_in(node: BaseNode, role_of_type: Mapping[str, Role] | None) -> Iterator[TrainerNode]:
    if isinstance(node, tfx.dsl.Pipeline):
        for inner in node.components:
            for one in _trainers_in(inner, role_of_type):
                yield dataclasses.replace(one, node=f"{node.id}.{one.node}")
    elif role_of_node(node, role_of_type) == Role.TRAINER:
        known = _code_known(node, role_of_type)
        yield TrainerNode(node.id, node.type, _code(node), known, dict(node.inputs))


def _code(node: BaseNode) -> str:
    place = node.exec_properties.get(PropertyName.MODULE_PATH)
    return place if isinstance(place, str) else ""


def _code_known(trainer: BaseNode, role_of_type: Mapping[str, Role] | None) -> dict[str, str]:
    """Hash of the code by role: of a Trainer, and of what it depends on up to other Trainers."""
    hashes: dict[Role, set[str]] = {}
    seen, pending = {trainer.id}, [trainer]
    while pending:
        node = pending.pop()
        role = role_of_node(node, role_of_type)
        if role is Role.TRAINER and node is not trainer:
            continue
        hashes.setdefault(role, set()).add(hash_of_properties(node.exec_properties))
        for before in node.upstream_nodes:
            if before.id not in seen and _takes_from(node, before.id):
                seen.add(before.id)
                pending.append(before)
    joined = {
        name: joined_hash(hashes.get(role, set()) - {""}) for name, role in CODE_ROLES.items()
    }
    return {name: text for name, text in joined.items() if text}


def _takes_from(node: BaseNode, producer: str) -> bool:
    return any(
        producer in channel.get_data_dependent_node_ids() for channel in node.inputs.values()
    )
