"""A small store whose every name is hostile, and its report."""

from __future__ import annotations

from typing import Any

from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.report.view import view_of
from tfx_graphlets.testing import TraceBuilder

# What a store may hold by another's hand: markup, quotes, ends of script and comment, lines,
# escape sequences, a lone surrogate, right-to-left marks, and length.
HOSTILE = (
    "<script>window.broken=1</script><img src=x onerror=window.broken=2>",
    "\"' onmouseover=window.broken=3 x='</script><script>window.broken=4</script>",
    "line\nbreak\r\x00\x1b[31mred</template></style><style>*{display:none}</style>",
    "\ud800lone \u202e{{ 7*7 }} {% raw %} ${7*7} --><svg onload=window.broken=5>",
    "long" * 3000 + "<script>window.broken=6</script>",
)


def hostile_source() -> ReportSource:
    """Ten trainings of five pipelines; types, nodes, runs, URIs and properties are hostile."""
    build = TraceBuilder(clock_ms=1_700_000_000_000)
    for number in range(10):
        name = HOSTILE[number % len(HOSTILE)]
        place = {"run": f"{name}{number}", "pipeline": name}
        data = build.artifact("Examples", uri=name, span=name)
        model = build.artifact("Model", uri=name, note=name)
        own = build.artifact(f"Odd{name}", uri=name)
        build.execution("CsvExampleGen", outputs={"examples": [data]}, node=f"gen{name}", **place)
        build.execution(
            f"Odd{name}", inputs={"examples": [data]}, outputs={name: [own]}, node=name, **place
        )
        build.execution(
            "Trainer", inputs={"examples": [data], name: [own]}, outputs={"model": [model]},
            node=f"{name}.Trainer", duration_ms=60_000 * (number + 1), module_path=name, **place,
        )  # fmt: skip
        if number % 3 == 0:
            pushed = build.artifact("PushedModel", pushed=1, pushed_destination=name)
            build.execution(
                "Pusher", inputs={"model": [model]}, outputs={"pushed_model": [pushed]},
                node=f"{name}.Pusher", **place,
            )  # fmt: skip
    return ReportSource.of(HOSTILE[0], build.trace())


def hostile_view(source: ReportSource) -> dict[str, Any]:
    """Its document, with decisions of a gate that say something hostile too."""
    view = view_of([source], now_ms=1_800_000_000_000, replay=False)
    for row in view["pipelines"]:
        row["decisions"] = [{
            "run": row["pipeline"], "time_ms": 1_700_000_000_000, "stage": row["pipeline"],
            "gate": row["pipeline"], "proceed": False, "would_skip": True, "explored": False,
            "failed_open": False, "probability": 0.125, "threshold": 0.25,
            "reason": row["pipeline"],
        }]  # fmt: skip
        row["decisions_of"] = 1
        row["timeline"]["entries"][0]["decision"] = 0
    view["notes"].append(HOSTILE[1])
    return view
