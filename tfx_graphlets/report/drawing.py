"""A graphlet's graph as SVG, for a page: no script, colours from the page's style sheet.

Layers run from top to bottom in the direction of the data. Graphviz is not asked:
it may not be there, and a page of a thousand graphs would start it a thousand
times. The method is the usual one (Sugiyama, Tagawa, Toda, 1981): layers by the
longest path, order within a layer by the mean of the neighbours, long edges
through a point in every layer between.

>>> from tfx_graphlets.report.graph import Edge, Graph, Node
>>> graph = Graph(2, "p", "r", "pushed", (
...     Node("a1", "artifact", 1, "Examples"), Node("e2", "execution", 2, "Trainer")),
...     (Edge("a1", "e2"),))
>>> print(to_svg(graph)[:4])
<svg
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Mapping, Sequence
from typing import cast

from tfx_graphlets.report.graph import Edge, Graph, Node, merge_alike
from tfx_graphlets.report.words import clipped, hours

# Pixels.
_WIDTH, _HEIGHT = {"execution": 136, "artifact": 116, "gate": 150, "": 0}, 34
_GAP_ACROSS, _GAP_DOWN, _MARGIN = 14, 26, 8
_SWEEPS = 8


@dataclasses.dataclass
class _Place:
    """A node, or a point of a long edge, in the drawing; x is of its middle."""

    key: str
    node: Node | None
    layer: int
    x: float = 0.0

    @property
    def width(self) -> int:
        return _WIDTH[self.node.kind if self.node else ""]

    @property
    def y(self) -> float:
        return _MARGIN + self.layer * (_HEIGHT + _GAP_DOWN)


def to_svg(graph: Graph) -> str:
    """The drawing of a graph as an ``<svg>`` element.

    Args:
      graph: many nodes of one kind are drawn as one (``merge_alike``).

    Returns:
      Text of an element that can stand in HTML; every name in it is escaped.
      Its classes (``execution``, ``artifact``, ``gate``, ``failed``, ``cached``,
      ``shared``, ``warm``) are those that the page's style sheet colours.
    """
    graph = merge_alike(graph)
    places, chains = _layers(graph)
    rows = _ordered(places, chains)
    _spread(rows, chains)
    left = min((place.x - place.width / 2 for place in places.values()), default=0.0)
    for place in places.values():
        place.x += _MARGIN - left
    width = max((place.x + place.width / 2 for place in places.values()), default=0.0) + _MARGIN
    height = max((place.y for place in places.values()), default=0.0) + _HEIGHT + _MARGIN
    title = f"Graph of the graphlet of Trainer {graph.trainer}, {graph.outcome}"
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
    lines = [f'<svg class="graph" {size} role="img" aria-label="{html.escape(title)}">']
    lines += [_path(chain, edge) for edge, chain in chains]
    lines += [_box(place) for place in places.values() if place.node]
    return "\n".join([*lines, "</svg>"])


def _layers(graph: Graph) -> tuple[dict[str, _Place], list[tuple[Edge, list[_Place]]]]:
    """Places by the longest path that leads to them, and the places on every edge's way."""
    layer = {node.key: 0 for node in graph.nodes}
    for _ in graph.nodes:  # a path has at most as many steps; a circle ends here too
        moved = False
        for edge in graph.edges:
            if layer[edge.target] <= layer[edge.source] < len(layer):
                layer[edge.target], moved = layer[edge.source] + 1, True
        if not moved:
            break
    out_of: dict[str, list[str]] = {}
    into: set[str] = set()
    for edge in graph.edges:
        out_of.setdefault(edge.source, []).append(edge.target)
        into.add(edge.target)
    for node in graph.nodes:  # what nothing leads to stands right above what it leads to
        if node.key not in into and node.key in out_of:
            layer[node.key] = max(min(layer[key] for key in out_of[node.key]) - 1, 0)
    used = {number: row for row, number in enumerate(sorted(set(layer.values())))}
    places = {node.key: _Place(node.key, node, used[layer[node.key]]) for node in graph.nodes}
    chains = []
    for number, edge in enumerate(graph.edges):
        source, target = places[edge.source], places[edge.target]
        between = [
            _Place(f"{number}/{row}", None, row) for row in range(source.layer + 1, target.layer)
        ]
        places.update({place.key: place for place in between})
        chains.append((edge, [source, *between, target]))
    return places, chains


def _ordered(
    places: Mapping[str, _Place], chains: Sequence[tuple[Edge, list[_Place]]]
) -> list[list[_Place]]:
    """Rows of places, each in an order with few crossings."""
    count = max((place.layer for place in places.values()), default=-1) + 1
    rows: list[list[_Place]] = [[] for _ in range(count)]
    for place in places.values():
        rows[place.layer].append(place)
    above, below = _neighbours(chains)
    rank = {place.key: number for row in rows for number, place in enumerate(row)}
    for sweep in range(_SWEEPS):
        around = below if sweep % 2 else above
        for row in reversed(rows) if sweep % 2 else rows:
            middle = {
                place.key: _mean([rank[key] for key in around.get(place.key, ())], rank[place.key])
                for place in row
            }
            row.sort(key=lambda place: middle[place.key])
            rank.update({place.key: number for number, place in enumerate(row)})
    return rows


def _spread(rows: Sequence[Sequence[_Place]], chains: Sequence[tuple[Edge, list[_Place]]]) -> None:
    """Sets every x near its neighbours' mean, nothing upon another."""
    of_key = {place.key: place for row in rows for place in row}
    above, below = _neighbours(chains)
    for row in rows:
        _without_overlap(row, [0.0] * len(row))
    for sweep in range(_SWEEPS):
        around = above if sweep % 2 else below
        for row in rows if sweep % 2 else reversed(rows):
            wished = [
                _mean([of_key[key].x for key in around.get(place.key, ())], place.x)
                for place in row
            ]
            _without_overlap(row, wished)


def _without_overlap(row: Sequence[_Place], wished: Sequence[float]) -> None:
    """The nearest x to the wished ones that keep order and distance (pool adjacent violators)."""
    offset, blocks = 0.0, []  # block: sum of wishes, count
    offsets = []
    for number, place in enumerate(row):
        if number:
            offset += (row[number - 1].width + place.width) / 2 + _GAP_ACROSS
        offsets.append(offset)
        blocks.append([wished[number] - offset, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] > blocks[-1][0] / blocks[-1][1]:
            last = blocks.pop()
            blocks[-1] = [blocks[-1][0] + last[0], blocks[-1][1] + last[1]]
    number = 0
    for total, count in blocks:
        for _ in range(int(count)):
            row[number].x = total / count + offsets[number]
            number += 1


def _neighbours(
    chains: Sequence[tuple[Edge, list[_Place]]],
) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    above: dict[str, list[str]] = {}
    below: dict[str, list[str]] = {}
    for _, chain in chains:
        for upper, lower in zip(chain, chain[1:]):
            below.setdefault(upper.key, []).append(lower.key)
            above.setdefault(lower.key, []).append(upper.key)
    return above, below


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _path(chain: Sequence[_Place], edge: Edge) -> str:
    """A curve through the places of an edge."""
    first = chain[0]
    steps = [f"M{first.x:.0f} {first.y + _HEIGHT:.0f}"]
    for upper, lower in zip(chain, chain[1:]):
        top = upper.y + _HEIGHT
        bottom = lower.y if lower.node else lower.y + _HEIGHT
        middle = (top + lower.y) / 2
        steps.append(
            f"C{upper.x:.0f} {middle:.0f} {lower.x:.0f} {middle:.0f} {lower.x:.0f} {lower.y:.0f}"
        )
        if bottom != lower.y:
            steps.append(f"V{bottom:.0f}")
    kind = {"gate": " gate", "warm start": " warm"}.get(edge.kind, "")
    title = f"<title>{_text(edge.label)}</title>" if edge.label else ""
    return f'<path class="edge{kind}" d="{"".join(steps)}">{title}</path>'


def _box(place: _Place) -> str:
    node = cast("Node", place.node)  # a place without one is not drawn
    classes = [node.kind, node.state, node.role if node.role == "trainer" else ""]
    classes.append("shared" if node.shared > 0 else "")
    x, y = place.x - place.width / 2, place.y
    radius = {"execution": 5, "artifact": _HEIGHT // 2, "gate": 0}[node.kind]
    cost = hours(node.cost_ms) if node.kind == "execution" else ""
    below = [
        node.detail,
        node.state if node.state in ("failed", "cached", "running", "canceled") else cost,
        f"+ {node.alike} alike" if node.alike else "",
    ]
    if node.kind == "artifact" and not node.detail:
        below[0] = f"#{node.id}"
    title = [f"{node.label} {node.id}" if node.id else node.label, node.detail, node.state, cost]
    title.append(f"also in {node.shared} other graphlets" if node.shared > 0 else "")
    title.append(f"stands for {node.alike} more of its kind" if node.alike else "")
    characters = place.width // 7
    return (
        f'<g class="node {" ".join(filter(None, classes))}">'
        f"<title>{_text(', '.join(filter(None, title)))}</title>"
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{place.width}" height="{_HEIGHT}" rx="{radius}"/>'
        f'<text x="{place.x:.0f}" y="{y + 14:.0f}">{_text(clipped(node.label, characters))}</text>'
        f'<text class="small" x="{place.x:.0f}" y="{y + 27:.0f}">'
        f"{_text(clipped(' · '.join(filter(None, below)), characters + 4))}</text></g>"
    )


def _text(text: str) -> str:
    return html.escape(clipped(text, 300), quote=False)
