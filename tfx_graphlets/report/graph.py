"""One graphlet as a graph: executions and artifacts, what is shared, where a gate stood.

``Graphs`` gives plain values; ``report.dot`` writes them for Graphviz, and
``report.drawing`` draws them as SVG, for a page.

>>> from tfx_graphlets import segment
>>> from tfx_graphlets.testing import TraceBuilder
>>> build = TraceBuilder()
>>> examples, model = build.artifact("Examples"), build.artifact("Model")
>>> gen = build.execution("CsvExampleGen", outputs={"examples": [examples]}, run="r1")
>>> trainer = build.execution(
...     "Trainer", inputs={"examples": [examples]}, outputs={"model": [model]}, run="r1")
>>> graph = Graphs(segment(build.trace())).of(0)
>>> [node.label for node in graph.nodes]
['CsvExampleGen', 'Trainer', 'Examples', 'Model']
>>> [(edge.source, edge.target) for edge in graph.edges]
[('a1', 'e2'), ('e1', 'a1'), ('e2', 'a2')]
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfx_graphlets.graphlets.graphlet import Graphlets, Part
from tfx_graphlets.policy.decision import PastDecision
from tfx_graphlets.trace.trace import FloatArray, IntArray
from tfx_graphlets.vocabulary import (
    ArtifactType,
    ExecutionState,
    PropertyName,
    Role,
    Stage,
    base_name,
)

MAX_ALIKE = 6  # nodes of one type with the same neighbours' types that are drawn one by one

# Roles that run behind a gate at each stage, first of all (docs/graphlets.md, Stages).
_BEFORE_INPUT = (Role.EXAMPLE_GEN, Role.IMPORTER, Role.RESOLVER)
_STAGES = {
    str(Stage.PRE): (Role.TRAINER,),
    str(Stage.TRAINER): (Role.MODEL_VALIDATOR, Role.INFRA_VALIDATOR, Role.BULK_INFERRER),
    str(Stage.VALIDATION): (Role.PUSHER,),
}


@dataclasses.dataclass(frozen=True)
class Node:
    """An execution, an artifact or a gate of a graph.

    Attributes:
      key: its name within the graph: ``e`` or ``a`` and the MLMD id, ``g`` and a
        number for a gate.
      kind: "execution", "artifact" or "gate".
      id: MLMD id; 0 for a gate.
      label: last dotted part of its type's name; what the gate did.
      detail: what else tells it from others of its type; may be "".
      role: "trainer", "pusher" and so on; "" for artifacts and gates.
      state: "complete", "failed", "cached" and so on; "" for artifacts and gates.
      part: "upstream", "analysis", "trainer" or "downstream"; "" for the rest.
      cost_ms: of an execution, milliseconds times its weight; 0 for the rest.
      shared: number of other graphlets that hold it.
      alike: number of further nodes of its kind that it stands for.
    """

    key: str
    kind: str
    id: int
    label: str
    detail: str = ""
    role: str = ""
    state: str = ""
    part: str = ""
    cost_ms: float = 0.0
    shared: int = 0
    alike: int = 0


@dataclasses.dataclass(frozen=True)
class Edge:
    """What an execution took in or put out.

    Attributes:
      source, target: keys of nodes, in the direction of the data.
      label: key of the event (``model``, ``baseline_model``); "" where none.
      kind: "data"; "warm start" for a Model that the Trainer took in;
        "gate" from a gate to what ran only because it let it.
    """

    source: str
    target: str
    label: str = ""
    kind: str = "data"


@dataclasses.dataclass(frozen=True)
class Graph:
    """A graphlet as nodes and edges.

    Attributes:
      trainer: MLMD id of the Trainer execution, the graphlet's key.
      pipeline, run: names; "" where there is none.
      outcome: "pushed", "unpushed" and so on.
      nodes: executions, artifacts, gates, each by id.
      edges: by source and target.
    """

    trainer: int
    pipeline: str
    run: str
    outcome: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(document: Mapping[str, Any]) -> Graph:
        """The graph that ``to_dict`` made plain."""
        values = dict(document)
        values["nodes"] = tuple(Node(**node) for node in values["nodes"])
        values["edges"] = tuple(Edge(**edge) for edge in values["edges"])
        return Graph(**values)

    def __str__(self) -> str:
        return f"Graph of Trainer {self.trainer}: {len(self.nodes)} nodes, {len(self.edges)} edges"


@dataclasses.dataclass(frozen=True, eq=False)
class Graphs:
    """Makes the graphs of graphlets; what all of them need is looked up once.

    Attributes:
      graphlets: of a store.
      decisions: of gates in the same store; those about a graphlet's run are
        drawn in front of what they let run.
    """

    graphlets: Graphlets
    decisions: Sequence[PastDecision] = ()

    def of(self, number: int) -> Graph:
        """The graph of one graphlet, 0..len(graphlets) - 1.

        A Model that only another graphlet put out (a warm start, a baseline)
        has no producer in it.
        """
        graphlet = self.graphlets[number]
        nodes = [*self._execution_nodes(number), *self._artifact_nodes(number)]
        edges = _edges(self.graphlets, number)
        run, pipeline = graphlet.run or "", graphlet.pipeline or ""
        for place, decision in enumerate(self._decisions_of_run.get((pipeline, run), ()), 1):
            gate = _gate(decision, f"g{place}")
            behind = _behind(decision.stage, nodes, edges)
            nodes.append(gate)
            edges += [Edge(gate.key, key, "", "gate") for key in behind]
        return Graph(
            graphlet.trainer, pipeline, run, str(graphlet.outcome), tuple(nodes), tuple(edges)
        )

    @functools.cached_property
    def _decisions_of_run(self) -> dict[tuple[str, str], list[PastDecision]]:
        found: dict[tuple[str, str], list[PastDecision]] = {}
        for decision in sorted(self.decisions, key=lambda one: one.time_ms):
            if decision.run:
                found.setdefault((decision.pipeline, decision.run), []).append(decision)
        return found

    @functools.cached_property
    def _holders_of_execution(self) -> IntArray:
        count = len(self.graphlets.trace.executions)
        return np.bincount(self.graphlets.executions.index, minlength=count)

    @functools.cached_property
    def _holders_of_artifact(self) -> IntArray:
        count = len(self.graphlets.trace.artifacts)
        return np.bincount(self.graphlets.artifacts.index, minlength=count)

    @functools.cached_property
    def _spans(self) -> tuple[Sequence[str | None], FloatArray]:
        artifacts = self.graphlets.trace.artifacts
        properties, count = artifacts.properties, len(artifacts)
        return (
            properties.texts(PropertyName.SPAN, count),
            properties.numbers(PropertyName.SPAN, count),
        )

    def _execution_nodes(self, number: int) -> list[Node]:
        graphlets, trace = self.graphlets, self.graphlets.trace
        executions, members = trace.executions, graphlets.executions
        nodes = []
        for entry in range(int(members.start[number]), int(members.start[number + 1])):
            at = int(members.index[entry])
            label = base_name(executions.type_names[int(executions.type[at])])
            name = trace.context_name(int(trace.node_of_execution[at])) or ""
            name = name.rpartition(".")[2]
            nodes.append(
                Node(
                    key=f"e{int(executions.id[at])}",
                    kind="execution",
                    id=int(executions.id[at]),
                    label=label,
                    detail="" if name == label else name,
                    role=Role(int(graphlets.role[at])).name.lower(),
                    state=_state(int(executions.state[at])),
                    part=Part(int(graphlets.part[entry])).name.lower(),
                    cost_ms=float(graphlets.cost[at]),
                    shared=int(self._holders_of_execution[at]) - 1,
                )
            )
        return nodes

    def _artifact_nodes(self, number: int) -> list[Node]:
        artifacts, nodes = self.graphlets.trace.artifacts, []
        texts, numbers = self._spans
        own = set(self.graphlets.artifacts.of(number).tolist())
        for at in sorted(own | set(self.graphlets.warm_start.of(number).tolist())):
            label = base_name(artifacts.type_names[int(artifacts.type[at])])
            span = texts[at] or ("" if np.isnan(numbers[at]) else f"{numbers[at]:g}")
            detail = f"span {span}" if span and label == ArtifactType.EXAMPLES else ""
            shared = int(self._holders_of_artifact[at]) - (at in own)
            identity = int(artifacts.id[at])
            nodes.append(Node(f"a{identity}", "artifact", identity, label, detail, shared=shared))
        return nodes


def merge_alike(graph: Graph) -> Graph:
    """The graph with many nodes of one type and the same neighbours' types drawn as one.

    A window of 60 spans has 60 ExampleGens; MAX_ALIKE of them stay, and the last
    of these stands for the others (``Node.alike``).
    """
    of_key = {node.key: node for node in graph.nodes}
    into: dict[str, set[str]] = {}
    out_of: dict[str, set[str]] = {}
    for edge in graph.edges:
        out_of.setdefault(edge.source, set()).add(of_key[edge.target].label)
        into.setdefault(edge.target, set()).add(of_key[edge.source].label)
    groups: dict[object, list[Node]] = {}
    for node in graph.nodes:
        around = frozenset(into.get(node.key, ())), frozenset(out_of.get(node.key, ()))
        groups.setdefault((node.kind, node.label, node.part, around), []).append(node)
    stands_for: dict[str, str] = {}
    merged: dict[str, Node] = {}
    for group in groups.values():
        last = group[min(MAX_ALIKE, len(group)) - 1]
        rest = group[MAX_ALIKE:]
        stands_for.update({node.key: last.key for node in rest})
        merged[last.key] = dataclasses.replace(
            last, alike=len(rest), cost_ms=last.cost_ms + sum(node.cost_ms for node in rest)
        )
    nodes = [merged.get(node.key, node) for node in graph.nodes if node.key not in stands_for]
    edges = {
        (edge.source, edge.target, edge.label, edge.kind): edge
        for edge in (
            dataclasses.replace(
                edge,
                source=stands_for.get(edge.source, edge.source),
                target=stands_for.get(edge.target, edge.target),
            )
            for edge in graph.edges
        )
    }
    return dataclasses.replace(graph, nodes=tuple(nodes), edges=tuple(edges.values()))


def _edges(graphlets: Graphlets, number: int) -> list[Edge]:
    trace = graphlets.trace
    members, warm_start = graphlets.executions.of(number), graphlets.warm_start.of(number)
    artifacts = np.union1d(graphlets.artifacts.of(number), warm_start)
    warm = set(warm_start.tolist())
    trainer = int(graphlets.trainer[number])
    found: dict[tuple[str, str], Edge] = {}
    for inputs, adjacency in (
        (True, graphlets.edges.inputs),
        (False, graphlets.edges.outputs),
    ):
        for execution in members.tolist():
            row = adjacency.of(execution)
            node = f"e{int(trace.executions.id[execution])}"
            for artifact in row[np.isin(row, artifacts)].tolist():
                other = f"a{int(trace.artifacts.id[artifact])}"
                source, target = (other, node) if inputs else (node, other)
                warms = inputs and execution == trainer and artifact in warm
                found[source, target] = Edge(
                    source,
                    target,
                    _event_key(graphlets, execution, artifact),
                    "warm start" if warms else "data",
                )
    return [found[ends] for ends in sorted(found)]


def _event_key(graphlets: Graphlets, execution: int, artifact: int) -> str:
    events = graphlets.trace.events
    low, high = np.searchsorted(events.execution, [execution, execution + 1])
    rows = low + np.flatnonzero(events.artifact[low:high] == artifact)
    keys = [int(events.key[row]) for row in rows if events.key[row] >= 0]
    return events.keys[keys[0]] if keys else ""


def _gate(decision: PastDecision, key: str) -> Node:
    """What a gate did about the run, as a node."""
    label = "Gate: run" if decision.proceed else "Gate: skip"
    if decision.explored:
        label = "Gate: run to explore"
    elif decision.shadow and decision.would_skip:
        label = "Gate: would skip"
    probability = "" if decision.probability is None else f"P(push) {decision.probability:.3f}"
    threshold = "" if decision.threshold is None else f"threshold {decision.threshold:.3f}"
    stage = f"stage {decision.stage}" if decision.stage else ""
    return Node(key, "gate", 0, label, ", ".join(filter(None, (stage, probability, threshold))))


def _behind(stage: str, nodes: Sequence[Node], edges: Sequence[Edge]) -> list[str]:
    """Keys of the executions that run first behind a gate at a stage."""
    executions = [node for node in nodes if node.kind == "execution"]
    roles = {role.name.lower() for role in _STAGES.get(stage, (Role.TRAINER,))}
    if stage == Stage.INPUT:
        before = {role.name.lower() for role in _BEFORE_INPUT}
        behind = {node.key for node in executions if node.role not in before}
        made = {edge.target for edge in edges if edge.source in behind}
        late = {edge.target for edge in edges if edge.source in made}
        return sorted(behind - late)
    if stage == Stage.PRE:
        return [node.key for node in executions if node.part == "trainer"]
    return [node.key for node in executions if node.role in roles and node.part == "downstream"]


def _state(value: int) -> str:
    try:
        return ExecutionState(value).name.lower()
    except ValueError:
        return str(value)
