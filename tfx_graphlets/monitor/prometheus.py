"""The monitor's report in Prometheus' text exposition format (version 0.0.4).

For node exporter's textfile collector or a push gateway. Every family has its
HELP and TYPE lines, also where it has no sample.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from tfx_graphlets.errors import shown
from tfx_graphlets.monitor.report import GateReport, MonitorReport

PREFIX: Final = "tfx_graphlets_"
_ESCAPES: Final = {"\\": r"\\", '"': r"\"", "\n": r"\n"}
_LABEL_LENGTH: Final = 200

Labels = Mapping[str, str]


@dataclasses.dataclass(frozen=True)
class _Family:
    """One metric: name without prefix, type, what it says, and its samples.

    A sample is what follows the name (``_sum`` of a summary), labels and value.
    """

    name: str
    type: str
    help: str
    samples: tuple[tuple[str, Labels, float], ...]


def exposition(report: MonitorReport, *, now_ms: int) -> str:
    """The report as metrics, one sample a gate and Trainer node.

    Args:
      report: of decisions of all times, so that the counters only grow.
      now_ms: the moment of asking, milliseconds since the epoch.

    Returns:
      Lines, each with its end. What is not known has no sample.
    """
    lines = []
    for family in (*_of_gates(report.pipelines), *_of_all(report, now_ms)):
        lines.append(f"# HELP {PREFIX}{family.name} {family.help}")
        lines.append(f"# TYPE {PREFIX}{family.name} {family.type}")
        lines += [
            f"{PREFIX}{family.name}{part}{_labels(labels)} {float(value)!r}"
            for part, labels, value in family.samples
        ]
    return "".join(f"{line}\n" for line in lines)


def _of_gates(gates: tuple[GateReport, ...]) -> Iterator[_Family]:
    counters = {
        "decisions": ("decisions", "Decisions of a gate."),
        "skips": ("skips", "Runs that a gate has skipped."),
        "explored": ("explored", "Predicted skips that ran all the same, to learn of misses."),
        "failed_open": ("failed_open", "Runs that went on because the gate could not decide."),
        "pushes": ("pushes", "Runs that the gate let through and that were pushed."),
    }
    for name, (field, text) in counters.items():
        samples = tuple(("", _gate(one), getattr(one, field)) for one in gates)
        yield _Family(f"{name}_total", "counter", text, samples)
    faults = tuple(
        ("", {**_gate(one), "fault": fault}, number)
        for one in gates
        for fault, number in one.faults.items()
    )
    yield _Family(
        "faults_total", "counter", "Decisions that something kept a gate from, by its code.", faults
    )
    timed = tuple(
        (part, _gate(one), value)
        for one in gates
        for part, value in (("_sum", one.seconds), ("_count", one.timed))
    )
    yield _Family("decision_seconds", "summary", "Time that decisions took.", timed)
    gauges: Mapping[str, tuple[str, Callable[[GateReport], float | None]]] = {
        "missed_pushes": (
            "Pushes that skips are estimated to have missed.",
            lambda one: None if one.freshness is None else one.freshness.missed,
        ),
        "freshness_ratio": (
            "Estimated share of pushes kept.",
            lambda one: None if one.freshness is None else one.freshness.value,
        ),
        "freshness_target_ratio": ("Share of pushes that was promised.", lambda one: one.target),
        "waste_removed_ratio": (
            "Estimated share of wasted compute that was saved.",
            lambda one: one.savings.waste_removed,
        ),
        "saved_seconds": ("Estimated compute saved.", lambda one: one.savings.saved_ms / 1000),
        "spent_seconds": ("Compute spent.", lambda one: one.savings.spent_ms / 1000),
        "overhead_seconds": (
            "Compute of gates and rehearsals of the pipeline.",
            lambda one: one.savings.overhead_ms / 1000,
        ),
    }
    for name, (text, value_of) in gauges.items():
        values = [(one, value_of(one)) for one in gates]
        known = tuple(("", _gate(one), value) for one, value in values if value is not None)
        yield _Family(name, "gauge", text, known)


def _of_all(report: MonitorReport, now_ms: int) -> Iterator[_Family]:
    names = ("severity", "pipeline", "stage", "gate", "node")
    alarms = {
        (alarm.name, *(getattr(alarm, name) for name in names)): 1.0 for alarm in report.alarms
    }
    yield _Family(
        "alarm",
        "gauge",
        "What a person has to look at.",
        tuple(("", dict(zip(("alarm", *names), key)), value) for key, value in alarms.items()),
    )
    yield _Family(
        "monitored_timestamp_seconds",
        "gauge",
        "When these figures were read.",
        (("", {}, now_ms / 1000),),
    )


def _gate(one: GateReport) -> dict[str, str]:
    return {name: getattr(one, name) for name in ("pipeline", "stage", "gate", "node")}


def _labels(labels: Labels) -> str:
    """``{name="value",...}``; nothing for no labels."""
    said = (
        f'{name}="{"".join(_ESCAPES.get(one, one) for one in shown(value, _LABEL_LENGTH))}"'
        for name, value in labels.items()
    )
    return f"{{{','.join(said)}}}" if labels else ""
