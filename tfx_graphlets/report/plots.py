"""The page's charts as Vega-Lite specifications: plain values, drawn in the browser."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tfx_graphlets.vocabulary import HOUR_MS

# Told apart in light and dark, and by people who see no red or green.
COLOURS: Final[Mapping[str, str]] = {
    "pushed": "#3b8eea",
    "useful": "#7b6fd6",
    "unpushed": "#e08214",
    "failed": "#c2304a",
    "retried": "#b07cc6",
    "incomplete": "#8a8f98",
    "not wasted": "#3b8eea",
    "wasted": "#e08214",
}
_CONFIG: Final = {
    "background": None,
    "font": "inherit",
    "view": {"stroke": None},
    "axis": {"grid": False, "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal"},
    "legend": {"orient": "top", "title": None, "labelFontSize": 12},
}


def timeline(row: Mapping[str, Any]) -> dict[str, Any] | None:
    """Graphlets of a pipeline in the order of time, height by cost, colour by outcome."""
    if not row["timeline"] or not row["timeline"]["entries"]:
        return None
    unit, size = _unit(max(entry["cost_ms"] for entry in row["timeline"]["entries"]))
    decisions = row["decisions"]
    values = []
    for place, entry in enumerate(row["timeline"]["entries"], 1):
        needed = entry["needed"] and entry["outcome"] != "pushed"
        decision = entry["decision"]
        values.append(
            {
                "n": place,
                "trainer": entry["trainer"],
                "run": (entry["run"] or "")[:80],
                "t": entry["start_ms"],
                "cost": round(entry["cost_ms"] / size, 4),
                "outcome": "useful" if needed else entry["outcome"],
                "cause": entry["cause"] or "",
                "gate": ""
                if decision is None
                else "run"
                if decisions[decision]["proceed"]
                else "skip",
            }
        )
    tooltip = [
        {"field": "run", "title": "run"},
        {"field": "outcome", "title": "outcome"},
        {"field": "cost", "title": f"cost, {unit}", "type": "quantitative"},
        {"field": "cause", "title": "cause of waste"},
        {"field": "gate", "title": "gate"},
        {"field": "t", "title": "start", "type": "temporal", "format": "%Y-%m-%d %H:%M"},
    ]
    return _spec(
        values,
        {"type": "bar", "cursor": "pointer", "cornerRadiusEnd": 1},
        {
            "x": {
                "field": "n",
                "type": "ordinal",
                "title": "graphlets in the order of time",
                "axis": {"labels": False, "ticks": False},
                "scale": {"paddingInner": 0.15},
            },
            "y": {"field": "cost", "type": "quantitative", "title": f"cost, {unit}"},
            "color": _colour("outcome", sorted({value["outcome"] for value in values})),
            "tooltip": tooltip,
        },
        f"{len(values)} graphlets in the order of time, height by cost, colour by outcome",
        150,
    )


def over_time(view: Mapping[str, Any]) -> dict[str, Any] | None:
    """Cost per month or day, wasted and not; None where there is but one."""
    table = next(
        (
            one
            for one in view["tables"]
            if one["name"].startswith("cost_by_") and one["columns"][0]["name"] in ("time", "month")
        ),
        None,
    )
    if table is None or len(table["rows"]) < 2:
        return None
    at = {column["name"]: number for number, column in enumerate(table["columns"])}
    rows = sorted(table["rows"], key=lambda row: str(row[0]))
    unit, size = _unit(max(float(row[at["cost_ms"]] or 0) for row in rows))
    values = []
    for row in rows:
        cost, wasted = float(row[at["cost_ms"]] or 0), float(row[at["wasted_ms"]] or 0)
        values += [
            {"when": str(row[0]), "what": "wasted", "cost": round(wasted / size, 4)},
            {"when": str(row[0]), "what": "not wasted", "cost": round((cost - wasted) / size, 4)},
        ]
    return _spec(
        values,
        {"type": "bar"},
        {
            "x": {
                "field": "when",
                "type": "ordinal",
                "title": None,
                "axis": {"labelOverlap": True, "labelAngle": 0},
            },
            "y": {"field": "cost", "type": "quantitative", "title": f"cost, {unit}"},
            "color": _colour("what", ["wasted", "not wasted"]),
            "order": {"field": "what", "sort": "descending"},
            "tooltip": [{"field": "when"}, {"field": "what"}, {"field": "cost"}],
        },
        "Cost over time, wasted and not",
        180,
    )


def curve(view: Mapping[str, Any]) -> dict[str, Any] | None:
    """Waste that a gate would remove by the freshness that it keeps."""
    saved = view["first"]["would_save"]
    if not saved or len(saved["curve"]) < 2:
        return None
    values = [
        {
            "freshness": one["freshness"],
            "removed": one["waste_removed"],
            "missed": one["pushes_missed"],
        }
        for one in saved["curve"]
    ]
    return _spec(
        values,
        {"type": "line", "point": {"size": 70}, "color": COLOURS["pushed"]},
        {
            "x": {
                "field": "freshness",
                "type": "ordinal",
                "title": "share of pushes to keep",
                "axis": {"labelAngle": 0},
            },
            "y": {
                "field": "removed",
                "type": "quantitative",
                "title": "waste removed",
                "axis": {"format": "%"},
            },
            "tooltip": [
                {"field": "freshness"},
                {
                    "field": "removed",
                    "type": "quantitative",
                    "format": ".1%",
                    "title": "waste removed",
                },
                {"field": "missed", "title": "pushes missed"},
            ],
        },
        "Waste removed by the share of pushes that the gate is to keep",
        160,
    )


def _spec(
    values: list[dict[str, Any]],
    mark: dict[str, Any],
    encoding: dict[str, Any],
    label: str,
    height: int,
) -> dict[str, Any]:
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "description": label,
        "width": "container",
        "height": height,
        "data": {"values": values},
        "mark": mark,
        "encoding": encoding,
        "config": _CONFIG,
        "autosize": {"type": "fit-x", "contains": "padding"},
    }


def _colour(field: str, names: list[str]) -> dict[str, Any]:
    domain = [name for name in COLOURS if name in names]
    return {
        "field": field,
        "type": "nominal",
        "scale": {"domain": domain, "range": [COLOURS[name] for name in domain]},
    }


def _unit(most_ms: float) -> tuple[str, float]:
    if most_ms >= HOUR_MS:
        return "h", float(HOUR_MS)
    return ("min", 60_000.0) if most_ms >= 60_000 else ("s", 1000.0)
