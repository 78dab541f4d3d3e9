"""Small stores for reports: pipelines that waste, a gate, and one whose every name is hostile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfx_graphlets.gate import keys
from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.report.view import view_of
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.trace import Trace

# What a store may hold by another's hand: markup, quotes, ends of script and comment, lines,
# escape sequences, a lone surrogate, right-to-left marks, and length.
HOSTILE = (
    "<script>window.broken=1</script><img src=x onerror=window.broken=2>",
    "\"' onmouseover=window.broken=3 x='</script><script>window.broken=4</script>",
    "line\nbreak\r\x00\x1b[31mred</template></style><style>*{display:none}</style>",
    "\ud800lone \u202e{{ 7*7 }} {% raw %} ${7*7} --><svg onload=window.broken=5>",
    "long" * 3000 + "<script>window.broken=6</script>",
)


def add_run(
    build: TraceBuilder, pipeline: str, run: str, *, pushed: int, trainer_ms: int = 1000
) -> None:
    """A run of ExampleGen, Trainer and Pusher."""
    examples, model = build.artifact("Examples"), build.artifact("Model")
    put = build.artifact("PushedModel", pushed=pushed)
    of: Mapping[str, Any] = {"pipeline": pipeline, "run": run}
    build.execution("CsvExampleGen", outputs={"examples": [examples]}, duration_ms=50, **of)
    build.execution(
        "Trainer",
        inputs={"examples": [examples]},
        outputs={"model": [model]},
        duration_ms=trainer_ms,
        **of,
    )
    build.execution(
        "Pusher", inputs={"model": [model]}, outputs={"pushed_model": [put]}, duration_ms=10, **of
    )


def two_pipelines() -> Trace:
    """``small`` pushes one of two, ``large`` none of three, each of which takes longer."""
    build = TraceBuilder()
    for number in (0, 1):
        add_run(build, "small", f"s{number}", pushed=number)
    for number in range(3):
        add_run(build, "large", f"l{number}", pushed=0, trainer_ms=10_000)
    return build.trace()


def gated(**decided: str) -> Trace:
    """A run that a gate let train, and one that it skipped; each gate takes 7 ms.

    Args:
      decided: further properties of both decisions.
    """
    build = TraceBuilder()
    for run, proceed in (("r0", 1), ("r1", 0)):
        decision = build.artifact(
            keys.GATE_DECISION_TYPE,
            stage="pre",
            proceed=proceed,
            would_skip=1 - proceed,
            probability=0.01,
            threshold=0.3,
            reason=f"Because of {run}.",
            **decided,
        )
        build.execution(
            "tfx_graphlets.components.waste_gate.WasteGate",
            outputs={"decision": [decision]},
            pipeline="gated",
            run=run,
            duration_ms=7,
        )
        if proceed:
            add_run(build, "gated", run, pushed=1)
    add_run(build, "other", "o", pushed=1)
    return build.trace()


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
            "Trainer",
            inputs={"examples": [data], name: [own]},
            outputs={"model": [model]},
            node=f"{name}.Trainer",
            duration_ms=60_000 * (number + 1),
            module_path=name,
            **place,
        )
        if number % 3 == 0:
            pushed = build.artifact("PushedModel", pushed=1, pushed_destination=name)
            build.execution(
                "Pusher",
                inputs={"model": [model]},
                outputs={"pushed_model": [pushed]},
                node=f"{name}.Pusher",
                **place,
            )
    return ReportSource.of(HOSTILE[0], build.trace())


def hostile_view(source: ReportSource) -> dict[str, Any]:
    """Its document, with decisions of a gate that say something hostile too."""
    view = view_of([source], now_ms=1_800_000_000_000, replay=False)
    for row in view["pipelines"]:
        texts = dict.fromkeys(("run", "stage", "gate", "reason"), row["pipeline"])
        flags = {"proceed": False, "would_skip": True, "explored": False, "failed_open": False}
        shares = {"probability": 0.125, "threshold": 0.25}
        row["decisions"] = [{"time_ms": 1_700_000_000_000, **texts, **flags, **shares}]
        row["decisions_of"] = 1
        row["timeline"]["entries"][0]["decision"] = 0
    view["notes"].append(HOSTILE[1])
    return view
