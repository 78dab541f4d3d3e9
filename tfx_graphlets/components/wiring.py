"""What a pipeline's wiring says of its Trainers: their inputs, what comes before and after.

Roles follow docs/graphlets.md as far as a pipeline shows them that has not run:
by the class's name, for a custom class by the types of its channels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.experimental.conditionals import conditional
from tfx.dsl.placeholder.placeholder import Placeholder, Predicate
from tfx.orchestration.pipeline import Pipeline
from tfx.types import channel_utils
from tfx.types.channel import BaseChannel

from tfx_graphlets import vocabulary
from tfx_graphlets.graphlets.roles import role_of_custom_class
from tfx_graphlets.vocabulary import Role, Stage

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
    found = chosen.get(node.type, chosen.get(base, vocabulary.ROLE_OF_CLASS.get(base)))
    if found is not None:
        return found
    if base.endswith(vocabulary.EXAMPLE_GEN_SUFFIX):
        return Role.EXAMPLE_GEN
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
