"""Trainers of a pipeline under construction: what the wiring says of them.

Which stand behind a gate, which before a GraphletGen, their inputs, what comes before and after.

TFX notes on every node which nodes follow it when the ``tfx.dsl.Pipeline`` is
made, conditions included. So a gate can tell what it stops as soon as the
pipeline is compiled, and nobody has to name it. A node that is in no pipeline
yet (a notebook) has no followers: nothing is known of its Trainers.

Roles follow docs/graphlets.md as far as a pipeline shows them that has not run:
by the class's name, for a custom class by the types of its channels.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.experimental.conditionals import conditional
from tfx.dsl.placeholder.placeholder import Placeholder, Predicate
from tfx.orchestration.pipeline import Pipeline
from tfx.types import channel_utils
from tfx.types.channel import BaseChannel

from tfx_graphlets import vocabulary
from tfx_graphlets.components.artifacts import GateDecision
from tfx_graphlets.features.user_code import CODE_ROLES, joined_hash
from tfx_graphlets.gate import keys
from tfx_graphlets.gate.code import hash_of_properties
from tfx_graphlets.graphlets.roles import role_of_custom_class
from tfx_graphlets.vocabulary import PropertyName, Role, Stage


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


INGESTION = frozenset({Role.EXAMPLE_GEN, Role.IMPORTER, Role.RESOLVER})
DATA_ANALYSIS = frozenset({Role.STATISTICS_GEN, Role.SCHEMA_GEN, Role.DATA_VALIDATOR})
VALIDATION = frozenset({Role.MODEL_VALIDATOR, Role.INFRA_VALIDATOR})


def role_of_node(node: BaseNode, role_of_type: Mapping[str, Role] | None = None) -> Role:
    """Role that a node's executions will have.

    Args:
      node: of a pipeline.
      role_of_type: as for ``segment``.
    """
    chosen = role_of_type or {}
    base = vocabulary.base_name(node.type)
    found = chosen.get(node.type, chosen.get(base, vocabulary.role_of_class(base)))
    if found is not None:
        return found
    return role_of_custom_class(
        frozenset(_type_name(channel) for channel in node.outputs.values()),
        frozenset(_type_name(channel) for channel in node.inputs.values()),
    )


def _type_name(channel: BaseChannel) -> str:
    return vocabulary.base_name(channel.type.TYPE_NAME or "")


def predicates_of(node: BaseNode, pipeline: Pipeline) -> tuple[Predicate, ...]:
    """All conditions that a node was created in, outermost first."""
    registry = pipeline.dsl_context_registry
    return conditional.get_predicates(node, registry) if node in registry.all_nodes else ()


def channels_of(node: BaseNode, predicates: Sequence[Predicate]) -> list[BaseChannel]:
    """The channels that the node takes: inputs, execution properties, conditions on it."""
    channels: list[BaseChannel] = list(node.inputs.values())
    for placeholder in (*node.exec_properties.values(), *predicates):
        if isinstance(placeholder, Placeholder):
            channels.extend(channel_utils.get_dependent_channels(placeholder))
    return channels


def parents_of(node: BaseNode, predicates: Sequence[Predicate]) -> set[str]:
    """Ids of the nodes whose outputs the node, or one of the conditions on it, takes."""
    return {
        parent
        for channel in channels_of(node, predicates)
        for parent in channel.get_data_dependent_node_ids()
    }


class Wiring:
    """The nodes of a pipeline, and who takes what of whom.

    Attributes:
      pipeline: the pipeline.
      nodes: its nodes by id, parents before their children.
      role: of each node, by id.
    """

    def __init__(self, pipeline: Pipeline, role_of_type: Mapping[str, Role] | None = None) -> None:
        self.pipeline = pipeline
        self.nodes: dict[str, BaseNode] = {node.id: node for node in pipeline.components}
        self.role = {name: role_of_node(node, role_of_type) for name, node in self.nodes.items()}
        self._parents = {
            name: parents_of(node, predicates_of(node, pipeline)) & self.nodes.keys()
            for name, node in self.nodes.items()
        }

    def of_role(self, *roles: Role) -> tuple[str, ...]:
        """Ids of the nodes of these roles, parents first."""
        return tuple(name for name in self.nodes if self.role[name] in roles)

    def ancestors(self, name: str) -> frozenset[str]:
        """Ids of the nodes that a node depends on, itself left out."""
        found: set[str] = set()
        pending = [name]
        while pending:
            new = self._parents[pending.pop()] - found
            found |= new
            pending.extend(new)
        return frozenset(found - {name})

    def descendants(self, names: Iterable[str]) -> frozenset[str]:
        """Ids of nodes and of all that depends on them."""
        found = set(names)
        for name in self.nodes:  # parents come first
            if self._parents[name] & found:
                found.add(name)
        return frozenset(found)

    def follows(self, name: str) -> frozenset[str]:
        """Ids of the nodes that have run before a node does, also by order alone."""
        found: set[str] = set()
        pending = [self.nodes[name]]
        while pending:
            new = {node.id for node in pending.pop().upstream_nodes} & self.nodes.keys() - found
            found |= new
            pending.extend(self.nodes[one] for one in new)
        return frozenset(found)

    def sources(self, channel: BaseChannel) -> frozenset[str]:
        """Ids of the nodes that a channel comes from."""
        return frozenset(channel.get_data_dependent_node_ids()) & self.nodes.keys()

    def data_analysis_of(self, trainer: str) -> tuple[str, ...]:
        """Ids of the nodes of data analysis that look at what a Trainer is trained on."""
        before = self.ancestors(trainer)
        data = {name for name in before if self.role[name] not in DATA_ANALYSIS}
        after = self.descendants([trainer])
        return tuple(
            name
            for name in self.of_role(*DATA_ANALYSIS)
            if name in before or (self.ancestors(name) & data and name not in after)
        )

    def precedes(self, trainer: str, stage: Stage) -> frozenset[str]:
        """Ids of the nodes that a gate at a stage takes to have run before it decides."""
        if stage is Stage.INPUT:
            return frozenset(
                name for name in self.ancestors(trainer) if self.role[name] in INGESTION
            )
        found = self.ancestors(trainer) | set(self.data_analysis_of(trainer))
        if stage is not Stage.PRE:
            found |= {trainer}
        if stage is Stage.VALIDATION:
            after = self.descendants([trainer])
            found |= {name for name in self.of_role(*VALIDATION) if name in after}
        return frozenset(found)

    def gated_at(self, trainer: str, stage: Stage) -> frozenset[str]:
        """Ids of the nodes that a gate at a stage can leave out: what runs after it."""
        after = self.descendants([trainer])
        if stage is Stage.INPUT:
            before = self.ancestors(trainer) | set(self.data_analysis_of(trainer))
            first = [name for name in before if self.role[name] not in INGESTION]
            return self.descendants([*first, trainer])
        if stage is Stage.PRE:
            return after
        if stage is Stage.TRAINER:
            return after - {trainer}
        validators = [name for name in self.of_role(*VALIDATION) if name in after]
        pushers = [name for name in self.of_role(Role.PUSHER) if name in after]
        return self.descendants([*validators, *pushers]) - set(validators)


def unions(sets: Mapping[str, Collection[str]]) -> Iterator[tuple[str, ...]]:
    """Keys in groups whose sets touch, directly or through others; in their order."""
    groups: list[tuple[list[str], set[str]]] = []
    for key, members in sets.items():
        names, whole = [key], set(members)
        for touching in [group for group in groups if group[1] & whole]:
            groups.remove(touching)
            names = [*touching[0], *names]
            whole |= touching[1]
        groups.append((names, whole))
    for names, _ in groups:
        yield tuple(name for name in sets if name in names)
