"""What the benchmark found, as JSON, as a table and as a plot."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

_Store = Mapping[str, Any]
_Row = Callable[[_Store], "str | None"]


def seconds(step: str, figure: str = "whole_process") -> _Row:
    """A figure of a step in seconds."""
    return _shown(step, figure, lambda value: f"{value:.3g} s")


def milliseconds(step: str, figure: str) -> _Row:
    """A figure of a step in milliseconds."""
    return _shown(step, figure, lambda value: f"{value * 1000:.3g} ms")


def memory(step: str) -> _Row:
    """The peak of a step and its processes."""
    return _shown(step, "peak_megabytes", lambda value: f"{value / 1000:.2f} GB")


def ratio(one: tuple[str, str], other: tuple[str, str]) -> _Row:
    """How often the first figure holds the second."""

    def row(store: _Store) -> str | None:
        steps = store["steps"]
        if one[0] not in steps or other[0] not in steps:
            return None
        return f"{steps[one[0]][one[1]] / steps[other[0]][other[1]]:.3g}"

    return row


def _shown(step: str, figure: str, show: Callable[[float], str]) -> _Row:
    def row(store: _Store) -> str | None:
        found = store["steps"].get(step, {})
        return show(found[figure]) if figure in found else None

    return row


def per_second(store: _Store) -> str:
    """Graphlets that segmentation alone cuts in a second."""
    step = store["steps"]["segmentation"]
    return f"{step['graphlets'] / step['segment']:,.0f}"


def _sum_of(step: str, *figures: str) -> _Row:
    def row(store: _Store) -> str | None:
        found = store["steps"].get(step)
        return None if found is None else f"{1000 * sum(found[name] for name in figures):.3g} ms"

    return row


ROWS: Mapping[str, _Row] = {
    "store to feature table, stage `input`, whole process": seconds("features"),
    "... peak memory, all processes": memory("features"),
    "... one process": seconds("features_one_process"),
    "... stage `pre`": seconds("features_pre"),
    "... no more than 500,000 executions in memory": seconds("features_in_parts"),
    "... peak memory of that": memory("features_in_parts"),
    "reading alone, into arrays": seconds("segmentation", "read"),
    "segmentation alone, graphlets a second": per_second,
    "bare scan of the event table": seconds("scan_events", "scan"),
    "bare scan of every column that is read": seconds("scan_columns", "scan"),
    "feature table to bare scan of its columns": ratio(
        ("features", "whole_process"), ("scan_columns", "scan")
    ),
    "the MLMD API, reading alone": seconds("read_by_mlmd", "read"),
    "MLMD API to feature table": ratio(("read_by_mlmd", "read"), ("features", "whole_process")),
    "current graphlet of a run, after connecting": _sum_of("current_graphlet", "read", "cut"),
    "decision of the gate, history and model loaded": milliseconds("gate_decision", "decide"),
    "... features of the current graphlet": milliseconds("gate_decision", "features"),
    "Beam, one process": seconds("beam_one_process", "beam"),
    "Beam, two processes": seconds("beam_two_processes", "beam"),
    "`import tfx_graphlets` after numpy": milliseconds("import_library", "import"),
}


def table(document: Mapping[str, Any]) -> str:
    """A Markdown table: a row per figure, a column per store."""
    stores = document["stores"]
    head = " | ".join(f"{store['models']:,} models" for store in stores)
    lines = [f"| | {head} |", "|---" * (len(stores) + 1) + "|"]
    for name, row in ROWS.items():
        cells = [row(store) or "" for store in stores]
        if any(cells):
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def plot(document: Mapping[str, Any], path: Path) -> None:
    """Cost against size, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = {
        "feature table, whole process": ("features", "whole_process"),
        "bare scan of its columns": ("scan_columns", "scan"),
        "segmentation alone": ("segmentation", "segment"),
        "MLMD API, reading alone": ("read_by_mlmd", "read"),
    }
    figure, axes = pyplot.subplots(figsize=(6, 4))
    for name, (step, value) in lines.items():
        points = [
            (store["models"], store["steps"][step][value])
            for store in document["stores"]
            if step in store["steps"]
        ]
        if points:
            axes.plot(*zip(*points), marker="o", label=name)
    axes.set(xscale="log", yscale="log", xlabel="models in the store", ylabel="seconds")
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def write(document: Mapping[str, Any], path: Path) -> None:
    """Writes the results as JSON, in one step."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)
