"""Graphs of graphlets in Graphviz's language.

``tfx-graphlets segment STORE --trainer ID --format dot | dot -Tsvg`` draws one.

>>> from tfx_graphlets.report.graph import Graph
>>> to_dot([Graph(2, "p", "r", "pushed", (), ())]).splitlines()[0]
'digraph graphlets {'
"""

from __future__ import annotations

from collections.abc import Sequence

from tfx_graphlets.errors import shown
from tfx_graphlets.report.graph import Graph, Node


def to_dot(graphs: Sequence[Graph]) -> str:
    """Graphviz's language: one cluster a graphlet, in one digraph.

    What several graphlets hold is drawn once, outside of their clusters.
    """
    lines = [
        "digraph graphlets {",
        "  rankdir=LR;",
        '  node [fontname="Helvetica", fontsize=10, style=filled, color="#8a8f98"];',
        '  edge [color="#8a8f98", fontname="Helvetica", fontsize=8];',
    ]
    held = [node.key for graph in graphs for node in graph.nodes if node.kind != "gate"]
    several = {key for key in held if held.count(key) > 1} if len(graphs) > 1 else set()
    drawn: set[str] = set()
    edges: dict[str, None] = {}
    for graph in graphs:
        title = ", ".join(filter(None, (graph.pipeline, graph.run, f"Trainer {graph.trainer}")))
        lines.append(f"  subgraph {_quoted(f'cluster_{graph.trainer}')} {{")
        lines.append(f"    label={_quoted(f'{title}: {graph.outcome}')};")
        own = {
            node.key: node.key if node.kind != "gate" else f"{node.key} of {graph.trainer}"
            for node in graph.nodes
        }
        outside = []
        for node in graph.nodes:
            line = f"{_quoted(own[node.key])} [{_attributes(node)}];"
            if node.key not in several:
                lines.append(f"    {line}")
            elif node.key not in drawn:
                outside.append(f"  {line}")
            drawn.add(node.key)
        lines += ["  }", *outside]
        for edge in graph.edges:
            style = {"gate": ", style=dashed", "warm start": ", style=bold"}.get(edge.kind, "")
            ends = f"{_quoted(own[edge.source])} -> {_quoted(own[edge.target])}"
            edges[f"  {ends} [tooltip={_quoted(edge.label or edge.kind)}{style}];"] = None
    return "\n".join([*lines, *edges, "}", ""])


_LONGEST = 200  # characters of a line
_MOST = 2_000  # of a label
_SHAPES = {"execution": "box", "artifact": "ellipse", "gate": "diamond"}
_FILLS = {"failed": "#f4c7c3", "cached": "#e8eaed", "complete": "#d2e3fc"}


def _attributes(node: Node) -> str:
    fill = {"artifact": "#ffffff", "gate": "#fde293"}.get(node.kind)
    fill = fill or ("#aecbfa" if node.role == "trainer" else _FILLS.get(node.state, "#fce8b2"))
    if node.kind == "execution" and node.state == "failed":
        fill = _FILLS["failed"]
    title = f"{node.label} {node.id}" if node.id else node.label
    cost = f"{node.cost_ms / 1000:.1f} s" if node.kind == "execution" else ""
    more = f"and {node.alike} alike" if node.alike else ""
    shared = f"also in {node.shared} other{'s' if node.shared > 1 else ''}" if node.shared else ""
    text = "\n".join(
        filter(None, (title, node.detail, ", ".join(filter(None, (cost, shared, more)))))
    )
    style = '"filled,dashed"' if node.shared else "filled"
    return (
        f"label={_quoted(text)}, shape={_SHAPES[node.kind]}, style={style}, "
        f"fillcolor={_quoted(fill)}"
    )


def _quoted(text: str) -> str:
    """A string of Graphviz's language, of lines that are cut where they are long."""
    text = "\n".join(shown(line, _LONGEST) for line in text[:_MOST].split("\n"))
    # Graphviz reads HTML entities inside of strings: an ampersand has to be one.
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")
    return '"' + escaped.replace("\n", "\\n") + '"'
