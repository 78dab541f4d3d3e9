"""A graphlet as a graph: what is in it, what Graphviz and a page make of it."""

from __future__ import annotations

import shutil
import subprocess
from xml.etree import ElementTree

import pytest

from tests.report.stores import hostile_source
from tfx_graphlets import segment
from tfx_graphlets.policy.decision import PastDecision
from tfx_graphlets.report.dot import to_dot
from tfx_graphlets.report.drawing import to_svg
from tfx_graphlets.report.graph import Graph, Graphs, merge_alike
from tfx_graphlets.testing import TraceBuilder


def two_trainers_of_one_window(spans: int = 2) -> TraceBuilder:
    """Two runs that train on the same spans; the second from the first one's model."""
    build = TraceBuilder()
    examples = []
    for _ in range(spans):
        examples.append(build.artifact("Examples", span=1))
        build.execution("CsvExampleGen", outputs={"examples": [examples[-1]]}, run="r1")
    model = build.artifact("Model")
    build.execution("Trainer", inputs={"examples": examples}, outputs={"model": [model]}, run="r1")
    build.execution(
        "Trainer",
        inputs={"examples": examples, "base_model": [model]},
        outputs={"model": [build.artifact("Model")]},
        run="r2",
    )
    return build


def test_a_graph_says_what_is_shared_and_where_the_training_started_from() -> None:
    """The data of both trainings are shared, the Trainer is not, a base model is a warm start."""
    graph = Graphs(segment(two_trainers_of_one_window().trace())).of(1)
    shared = {node.label: node.shared for node in graph.nodes}
    assert shared["CsvExampleGen"] == shared["Examples"] == 1
    assert shared["Trainer"] == 0
    assert [(edge.source, edge.target) for edge in graph.edges if edge.kind == "warm start"] == [
        ("a3", "e4")
    ]
    assert Graph.from_dict(graph.to_dict()) == graph


def test_a_gate_stands_before_the_trainer_that_it_let_run() -> None:
    """A decision about the graphlet's run is a node with an edge to the Trainer; others are not."""
    decision = PastDecision(
        time_ms=5,
        stage="pre",
        gate="Gate",
        run="r2",
        proceed=True,
        would_skip=False,
        shadow=False,
        pipeline="pipeline",
        probability=0.25,
        threshold=0.125,
    )
    graphs = Graphs(segment(two_trainers_of_one_window().trace()), [decision])
    assert [edge.target for edge in graphs.of(1).edges if edge.kind == "gate"] == ["e4"]
    assert "P(push) 0.250" in next(n.detail for n in graphs.of(1).nodes if n.kind == "gate")
    assert not [node for node in graphs.of(0).nodes if node.kind == "gate"]


def test_many_nodes_of_a_kind_become_one_that_counts_them() -> None:
    """Of 40 spans six are drawn, and the last stands for 34 more; no cost is lost."""
    graph = Graphs(segment(two_trainers_of_one_window(40).trace())).of(0)
    merged = merge_alike(graph)
    gens = [node for node in merged.nodes if node.label == "CsvExampleGen"]
    assert (len(gens), gens[-1].alike) == (6, 34)
    assert sum(n.cost_ms for n in merged.nodes) == sum(n.cost_ms for n in graph.nodes)
    assert "34 alike" in to_svg(graph)


def test_drawings_of_hostile_names_are_sound() -> None:
    """An SVG of them is XML without elements of theirs, and Graphviz reads the text."""
    graphs = Graphs(hostile_source().graphlets)
    drawn = [graphs.of(number) for number in range(10)]
    for graph in drawn:
        root = ElementTree.fromstring(to_svg(graph))  # noqa: S314 - our own text
        kinds = {element.tag for element in root.iter()}
        assert kinds <= {"svg", "g", "path", "rect", "text", "title"}
    text = to_dot(drawn)
    if shutil.which("dot") is None:
        pytest.skip("Graphviz is not on this machine (Debian: graphviz)")
    process = subprocess.run(
        ["dot", "-Tsvg"], input=text.encode("utf-8"), capture_output=True, check=True
    )
    assert b"<script" not in process.stdout
    assert process.stderr == b""
