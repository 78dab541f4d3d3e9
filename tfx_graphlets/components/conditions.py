"""The condition that a gate puts on training, and the check that nothing escapes it.

Everything from the Trainer on is made inside the condition (``proceed``), and the finished
pipeline is checked (``check_gated``).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping, Sequence

from absl import logging
from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.placeholder.placeholder import Predicate
from tfx.types import channel_utils
from tfx.types.channel import BaseChannel

from tfx_graphlets.components.artifacts import GateDecision, GateVerdict
from tfx_graphlets.components.graphlet_gen import DescriptionError, GraphletGen, wiring_problems
from tfx_graphlets.components.trainers import (
    Wiring,
    channels_of,
    is_gate,
    parents_of,
    predicates_of,
)
from tfx_graphlets.errors import GraphletsError, InvalidArgumentError
from tfx_graphlets.gate import keys


def proceed(gate: BaseNode) -> Predicate:
    """The predicate for ``tfx.dsl.Cond``: true where the gate decided to train.

    >>> gen = tfx.components.CsvExampleGen(input_base="data")
    >>> proceed(gen)
    Traceback (most recent call last):
    tfx_graphlets.errors.InvalidArgumentError: gate='CsvExampleGen': must be a node with ...

    Args:
      gate: a node with an output ``decision`` of type GateDecision.

    Raises:
      InvalidArgumentError: ``gate`` has no such output.
    """
    channel = gate.outputs.get(keys.DECISION) if isinstance(gate, BaseNode) else None
    if channel is None or channel.type is not GateDecision:
        raise InvalidArgumentError(
            "gate",
            getattr(gate, "id", gate),
            f"must be a node with an output {keys.DECISION!r} of type GateDecision: a WasteGate",
        )
    return _decided(channel)


def _decided(channel: BaseChannel) -> Predicate:
    """Asks the verdict of the gate that puts out a decision, where it has one."""
    gate = getattr(channel, "producer_component", None)
    if isinstance(gate, BaseNode):
        channel = gate.outputs.get(keys.VERDICT, channel)
    return channel.future()[0].custom_property(keys.PROCEED) == 1


@dataclasses.dataclass(frozen=True)
class Ungated:
    """A node that stands outside a condition that it depends on.

    Attributes:
      node: id of the node.
      gate: ids of the gates whose condition it lacks, joined by " and ".
      path: node ids from a node inside the condition to this node.
    """

    node: str
    gate: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.node} is outside the condition of {self.gate} ({' -> '.join(self.path)})"


class UngatedNodeError(GraphletsError):
    """Nodes that depend on a gated node were left outside its condition.

    Attributes:
      ungated: what was found, in the pipeline's order.
    """

    def __init__(self, pipeline_name: str, ungated: Sequence[Ungated]) -> None:
        self.ungated = tuple(ungated)
        found = "; ".join(map(str, ungated))
        super().__init__(
            f"pipeline {pipeline_name!r}: {found}. When the gate says no, TFX leaves such a node "
            "FAILED and goes on without an error. Make it inside that `with tfx.dsl.Cond(...)`. "
            "If it is a gate, give it outer=<the other gate>.outputs['decision']."
        )


class NestedGateError(GraphletsError):
    """Gates stand inside the condition of another gate.

    Attributes:
      nested: pairs of the inner gate's and the outer gate's id.
    """

    def __init__(self, pipeline_name: str, nested: Sequence[tuple[str, str]]) -> None:
        self.nested = tuple(nested)
        found = "; ".join(f"{inner} is inside the condition of {outer}" for inner, outer in nested)
        super().__init__(
            f"pipeline {pipeline_name!r}: {found}. When the outer gate says no there is no inner "
            "decision, and TFX then fails what asks it in place of skipping it. Make the inner "
            "gate outside and give it outer=<the outer gate>.outputs['decision']."
        )


class NestedConditionError(GraphletsError):
    """Nodes stand under a condition of the user's own that asks a gated node.

    Attributes:
      nested: pairs of the node's id and the id of the gated node that it asks.
    """

    def __init__(self, pipeline_name: str, nested: Sequence[tuple[str, str]]) -> None:
        self.nested = tuple(nested)
        found = "; ".join(f"{node} asks {asked}, which a gate may skip" for node, asked in nested)
        super().__init__(
            f"pipeline {pipeline_name!r}: {found}. TFX evaluates conditions in no fixed order: "
            "when the gate says no there is nothing to ask, and the node is FAILED as often as it "
            "is skipped. Wire what it asks as an input instead (a Pusher with model_blessing "
            "pushes nothing that is not blessed)."
        )


class OuterConditionError(GraphletsError):
    """A gate, or the GraphletGen that it reads, stands under a condition of the user's own.

    Attributes:
      outer: pairs of the node's id and of what that condition asks.
    """

    def __init__(self, pipeline_name: str, outer: Sequence[tuple[str, str]]) -> None:
        self.outer = tuple(outer)
        found = "; ".join(f"{node} stands under a condition on {asked}" for node, asked in outer)
        super().__init__(
            f"pipeline {pipeline_name!r}: {found}. When that condition is false the gate decides "
            "nothing, and TFX then marks the nodes behind it FAILED, in no fixed order, and raises "
            "nothing. Make GraphletGen and the gate outside of it (GraphletGen then takes in only "
            "what stands outside too, for instance with stage='input'), and put your condition "
            "inside `with tfx.dsl.Cond(proceed(gate)):`."
        )


def check_gated(pipeline: tfx.dsl.Pipeline, *, allow: Collection[str] = ()) -> None:
    """Checks that every descendant of a gated node is gated as well.

    >>> gen = tfx.components.CsvExampleGen(input_base="data")
    >>> from tfx_graphlets import WasteGate
    >>> graphlet_gen = GraphletGen(examples=gen.outputs["examples"])
    >>> gate = WasteGate(graphlets=graphlet_gen.outputs["graphlets"], model_directory="model")
    >>> with tfx.dsl.Cond(proceed(gate)):
    ...     statistics = tfx.components.StatisticsGen(examples=gen.outputs["examples"])
    >>> schema = tfx.components.SchemaGen(statistics=statistics.outputs["statistics"])
    >>> check_gated(tfx.dsl.Pipeline("taxi", "root", components=[gen, gate, statistics, schema]))
    Traceback (most recent call last):
    tfx_graphlets.components.conditions.UngatedNodeError: ...

    A node is gated if it was created inside a ``tfx.dsl.Cond`` that asks a
    GateDecision. Descendants are the nodes that take, directly or through other
    nodes, an output of it: as an input, in an execution property, or in a
    condition. A descendant must stand under every gate's condition that a node
    above it stands under. Pipelines inside the pipeline are checked too.

    Several gates are not nested: each, and its GraphletGen, stands outside all
    conditions, and takes the decision of the one before it as ``outer``. To
    stand under its condition is then to stand under that of the one before.

    Not looked at: an order that ``add_upstream_node`` alone imposes (such a node
    runs whether or not the gated node did), and channels that name no producer,
    as resolvers have (they find artifacts of earlier runs).

    Args:
      pipeline: the finished pipeline.
      allow: ids of nodes that may stand outside all the same, for instance a
        report whose input from inside is optional.

    Raises:
      UngatedNodeError: naming every such node, with the path that leads to it.
      NestedGateError: a gate stands inside the condition of another.
      NestedConditionError: inside a gate's condition stands another one that
        asks a gated node.
      DescriptionError: a GraphletGen lacks an input that a Trainer behind its
        gate has, or what runs before a gate's stage stands behind the gate.
      OuterConditionError: a gate, or the GraphletGen that it reads, stands
        under a condition that asks no gate.
      InvalidArgumentError: ``pipeline`` is no pipeline, or ``allow`` names a
        node that it does not have.
    """
    if not isinstance(pipeline, tfx.dsl.Pipeline):
        raise InvalidArgumentError("pipeline", pipeline, "must be a tfx.dsl.Pipeline")
    ids = sorted(node.id for node in pipeline.components)
    for unknown in sorted(set(allow) - set(ids)):
        raise InvalidArgumentError("allow", unknown, f"must be among the node ids {ids}")
    conditions = {
        node.id: [c for c in map(_Condition, predicates_of(node, pipeline)) if c.gates]
        for node in pipeline.components
    }
    nested = [
        (node.id, condition.gates)
        for node in pipeline.components
        if is_gate(node)
        for condition in conditions[node.id]
    ]
    if nested:
        raise NestedGateError(pipeline.pipeline_name, nested)
    outer = tuple(_under_own_conditions(pipeline))
    if outer:
        raise OuterConditionError(pipeline.pipeline_name, outer)
    found = tuple(_ungated(pipeline, conditions, frozenset(allow)))
    if found:
        raise UngatedNodeError(pipeline.pipeline_name, found)
    asking = tuple(_asking_gated_nodes(pipeline, conditions))
    if asking:
        raise NestedConditionError(pipeline.pipeline_name, asking)
    described = tuple(_described_otherwise(pipeline, conditions))
    if described:
        raise DescriptionError(pipeline.pipeline_name, described)
    _warn_of_idle_gates(pipeline, conditions)
    for node in pipeline.components:
        if isinstance(node, tfx.dsl.Pipeline):
            check_gated(node)


@dataclasses.dataclass(frozen=True)
class _Condition:
    """A predicate that asks at least one gate; equal if it asks the same of the same channels."""

    predicate: Predicate

    @property
    def gates(self) -> str:
        """Ids of the gates it asks, joined by " and "; empty if it asks none."""
        asked = {
            channel.producer_component_id
            for channel in channel_utils.get_dependent_channels(self.predicate)
            if channel.type in (GateDecision, GateVerdict)
        }
        return " and ".join(sorted(asked))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Condition) and self.predicate.internal_equals(other.predicate)

    def __hash__(self) -> int:
        return 0  # predicates cannot be hashed by value, and a pipeline has few


def _ungated(
    pipeline: tfx.dsl.Pipeline,
    conditions: Mapping[str, Sequence[_Condition]],
    allow: frozenset[str],
) -> Iterator[Ungated]:
    """Walks the nodes in topological order, so that parents come before their children."""
    implied: dict[_Condition, set[_Condition]] = {}
    gated_inside = {node.id: _gated_inside(node) for node in pipeline.components}
    # Per node: the conditions it must stand under, each with the path from a node that does.
    required: dict[str, dict[_Condition, tuple[str, ...]]] = {}
    for node in pipeline.components:
        inside = {condition for c in conditions[node.id] for condition in implied.get(c, {c})}
        paths: dict[_Condition, tuple[str, ...]] = {}
        for parent in sorted(parents_of(node, predicates_of(node, pipeline)) & required.keys()):
            for condition, path in required[parent].items():
                paths.setdefault(condition, (*path, node.id))
        met = set(inside)
        if is_gate(node):
            met |= _implied_by_outer(node, conditions, implied)
            yes = _Condition(proceed(node))
            implied[yes] = {yes} | met
        # A GraphletGen runs without what is missing; the gate behind it is looked at.
        if node.id not in allow and not isinstance(node, GraphletGen):
            for condition, path in paths.items():
                if condition not in met:
                    yield Ungated(node.id, condition.gates, path)
            for inner in dict.fromkeys(_taken_from_inside(node, pipeline, gated_inside)):
                yield Ungated(node.id, inner.gate, (*inner.path, node.id))
        if is_gate(node):
            paths = {}  # it always runs
        required[node.id] = {**paths, **dict.fromkeys(inside, (node.id,))}


def _taken_from_inside(
    node: BaseNode,
    pipeline: tfx.dsl.Pipeline,
    gated_inside: Mapping[str, Mapping[str, Ungated]],
) -> Iterator[Ungated]:
    """What a node takes of the gated outputs of pipelines beside it."""
    for channel in channels_of(node, predicates_of(node, pipeline)):
        for name in channel.get_data_dependent_node_ids():
            key = getattr(channel, "output_key", None)
            if key is not None and key in gated_inside.get(name, {}):
                yield gated_inside[name][key]


def _under_own_conditions(pipeline: tfx.dsl.Pipeline) -> Iterator[tuple[str, str]]:
    """Pairs of a gate, or what it cannot decide without, and what a user's condition on it asks."""
    read = {
        name
        for node in pipeline.components
        if is_gate(node) and keys.GRAPHLETS in node.inputs
        for name in node.inputs[keys.GRAPHLETS].get_data_dependent_node_ids()
    }
    for node in pipeline.components:
        if is_gate(node) or node.id in read:
            for predicate in predicates_of(node, pipeline):
                if not _Condition(predicate).gates:
                    channels = channel_utils.get_dependent_channels(predicate)
                    asked = {n for one in channels for n in one.get_data_dependent_node_ids()}
                    yield node.id, " and ".join(sorted(asked)) or "no node"


def _gated_inside(node: BaseNode) -> dict[str, Ungated]:
    """Outputs of a pipeline that a gate inside of it may leave out, by key.

    Each with the path to it: empty for a node that is no pipeline.
    """
    if not isinstance(node, tfx.dsl.Pipeline):
        return {}
    conditions = {
        inner.id: [c for c in map(_Condition, predicates_of(inner, node)) if c.gates]
        for inner in node.components
    }
    deeper = {inner.id: _gated_inside(inner) for inner in node.components}
    found = {}
    for key, channel in node.outputs.items():
        wrapped = channel.wrapped
        for name in sorted(wrapped.get_data_dependent_node_ids()):
            gates = " and ".join(condition.gates for condition in conditions.get(name, ()))
            through = deeper.get(name, {}).get(getattr(wrapped, "output_key", ""))
            if gates:
                found[key] = Ungated(name, gates, (name, node.id))
            elif through:
                found[key] = Ungated(name, through.gate, (*through.path, node.id))
    return found


def _asking_gated_nodes(
    pipeline: tfx.dsl.Pipeline, conditions: Mapping[str, Sequence[_Condition]]
) -> Iterator[tuple[str, str]]:
    """Pairs of a node with a condition of the user's own, and a gated node that this one asks."""
    for node in pipeline.components:
        for predicate in predicates_of(node, pipeline):
            if not _Condition(predicate).gates:
                for channel in channel_utils.get_dependent_channels(predicate):
                    for asked in sorted(channel.get_data_dependent_node_ids()):
                        if conditions.get(asked):
                            yield node.id, asked


def _implied_by_outer(
    gate: BaseNode,
    conditions: Mapping[str, Sequence[_Condition]],
    implied: Mapping[_Condition, set[_Condition]],
) -> set[_Condition]:
    """The conditions that a gate's own decision implies, because it knows the outer one."""
    if keys.OUTER not in gate.inputs:
        return set()
    outer = _Condition(_decided(gate.inputs[keys.OUTER]))
    # It cannot run without its graphlets, whatever the outer gate says.
    generators = gate.inputs[keys.GRAPHLETS].get_data_dependent_node_ids()
    missing = {c for generator in generators for c in conditions.get(generator, ())}
    return implied.get(outer, {outer}) - missing


def _described_otherwise(
    pipeline: tfx.dsl.Pipeline, conditions: Mapping[str, Sequence[_Condition]]
) -> Iterator[str]:
    """See ``graphlet_gen.wiring_problems``, for every gate."""
    wiring = Wiring(pipeline)
    gates = {node.id: node for node in pipeline.components if is_gate(node)}
    for gate in gates.values():
        asked = {gate.id}
        for later in gates.values():  # parents come first
            if keys.OUTER in later.inputs and wiring.sources(later.inputs[keys.OUTER]) & asked:
                asked.add(later.id)
        behind = frozenset(
            name
            for name, found in conditions.items()
            if any(asked & set(condition.gates.split(" and ")) for condition in found)
        )
        yield from wiring_problems(wiring, gate, behind)


def _warn_of_idle_gates(
    pipeline: tfx.dsl.Pipeline, conditions: Mapping[str, Sequence[_Condition]]
) -> None:
    asked = " and ".join(c.gates for found in conditions.values() for c in found).split(" and ")
    for node in pipeline.components:  # the first gate of a cascade is asked by the second
        if is_gate(node) and keys.OUTER in node.inputs:
            asked += node.inputs[keys.OUTER].get_data_dependent_node_ids()
    for node in pipeline.components:
        if is_gate(node) and node.id not in asked:
            logging.warning("Gate %s gates nothing: no node stands under its condition.", node.id)
