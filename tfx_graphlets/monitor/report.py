"""The monitor's report: every gate of a store, and all of them together."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.monitor.alarms import (
    ALARM,
    Alarm,
    AlarmRules,
    behaviour_alarms,
    calibration_alarms,
    freshness_alarm,
    left_running,
    silence_alarm,
)
from tfx_graphlets.monitor.misses import (
    Freshness,
    MissEstimate,
    estimate_misses,
    live_freshness,
    shadow_freshness,
)
from tfx_graphlets.monitor.observed import Observation, observe, pushed_runs, runs_decided
from tfx_graphlets.monitor.probabilities import CalibrationDrift, calibration_drift
from tfx_graphlets.monitor.savings import CostBook, Savings
from tfx_graphlets.policy.decision import PastDecision
from tfx_graphlets.policy.freshness import check_freshness
from tfx_graphlets.trace.trace import IntArray
from tfx_graphlets.vocabulary import Stage


@dataclasses.dataclass(frozen=True)
class GateReport:
    """How one gate is doing, or all of them.

    Attributes:
      pipeline, stage, gate, node: which gate, and for which of the Trainer nodes
        behind it (its account is its own); all "" where it is about all of them.
      decisions: number of decisions; those that only followed the skip of a
        gate at an earlier stage are not among them.
      followed: number of those.
      runs, skips: decisions to proceed, and not to.
      explored: ran only to explore; forced: ran only by an order; shadow: in
        shadow mode; guarded: predicted to be skipped and let run by a guard
        rail or in a cold start; failed_open: ran because the gate broke.
      faults: number of decisions that something kept the gate from, by its code
        (``errors.Fault``), whatever ``on_error`` made of them.
      seconds, timed: what decisions took together, and how many say it.
      pushes: runs that are known to have been pushed.
      misses: what is known of pushes that were skipped.
      freshness: share of pushes kept outside shadow mode; None where nothing
        was decided there.
      shadow_freshness: what it would have been in shadow mode; likewise.
      target: freshness that was promised; None where it is not known.
      savings: compute spent and saved.
      calibration: of the probabilities; None where hardly any outcome is known.
    """

    pipeline: str
    stage: str
    gate: str
    node: str
    decisions: int
    followed: int
    runs: int
    skips: int
    explored: int
    forced: int
    shadow: int
    guarded: int
    failed_open: int
    faults: Mapping[str, int]
    seconds: float
    timed: int
    pushes: int
    misses: MissEstimate
    freshness: Freshness | None
    shadow_freshness: Freshness | None
    target: float | None
    savings: Savings
    calibration: CalibrationDrift | None

    def to_dict(self) -> dict[str, object]:
        """Plain values; None where something is not known."""
        document = dataclasses.asdict(self)
        document["savings"] |= {
            "saved_share": self.savings.saved_share,
            "waste_removed": self.savings.waste_removed,
        }
        return document

    def __str__(self) -> str:
        gate = (
            ", ".join(filter(None, (self.pipeline, self.stage, self.gate, self.node)))
            or "all gates"
        )
        counts = ", ".join(
            f"{getattr(self, name)} {name.replace('_', ' ')}"
            for name in ("explored", "forced", "guarded", "failed_open", "shadow")
            if getattr(self, name)
        )
        lines = [
            f"{gate}: {self.decisions} decisions, {self.runs} runs, {self.skips} skips"
            + (f" ({counts})" if counts else "")
        ]
        if self.faults:
            named = ", ".join(f"{number} {code}" for code, number in self.faults.items())
            lines.append(f"  could not decide: {named}")
        lines += [f"  {line}" for line in (*self._on_freshness(), *self._on_the_rest())]
        return "\n".join(lines)

    def _on_freshness(self) -> list[str]:
        target = "no target known" if self.target is None else f"target {self.target:g}"
        lines = []
        for name, one in (("", self.freshness), ("in shadow mode ", self.shadow_freshness)):
            if one is None:
                continue
            value = "unknown" if one.value is None else f"{one.value:.3f}"
            if one.exact:
                missed = f"{one.missed} would have been missed"
            else:
                some = "an unknown number" if one.missed is None else f"about {one.missed:.1f}"
                missed = f"{some} missed ({self.misses.low} to {self.misses.high})"
            lines.append(
                f"freshness {name}{value} ({one.low:.3f} to {one.high:.3f}), {target}: "
                f"{one.kept} pushes kept, {missed}"
            )
        return lines

    def _on_the_rest(self) -> list[str]:
        savings, lines = self.savings, []
        lines.append(
            f"saved about {savings.saved_ms / 1000:.1f} s beside {savings.spent_ms / 1000:.1f} s "
            f"spent ({_percent(savings.saved_share)}); waste removed "
            f"{_percent(savings.waste_removed)}; gates and rehearsals took "
            f"{savings.overhead_ms / 1000:.1f} s"
        )
        if self.calibration is not None:
            one = self.calibration.all
            z = "-" if one.z is None else f"{one.z:+.2f}"
            lines.append(
                f"calibration over {one.count} outcomes: predicted {one.predicted:.3f}, observed "
                f"{one.observed:.3f}, Brier {one.brier:.3f}, expected error "
                f"{one.expected_error:.3f}, Z {z}, drift {self.calibration.drift:+.3f}"
            )
        return lines


@dataclasses.dataclass(frozen=True)
class MonitorReport:
    """How the gates of a store are doing.

    Attributes:
      pipelines: one report per pipeline and gate, by their names.
      overall: all decisions together.
      alarms: what to look at, those about a single gate first.
      notes: what the figures do not say.
    """

    pipelines: tuple[GateReport, ...]
    overall: GateReport
    alarms: tuple[Alarm, ...]
    notes: tuple[str, ...]

    @property
    def healthy(self) -> bool:
        """Whether nothing is an alarm."""
        return all(alarm.severity != ALARM for alarm in self.alarms)

    def to_dict(self) -> dict[str, object]:
        """Plain values: pipelines, overall, alarms, notes."""
        return {
            "pipelines": [one.to_dict() for one in self.pipelines],
            "overall": self.overall.to_dict(),
            "alarms": [dataclasses.asdict(alarm) for alarm in self.alarms],
            "notes": list(self.notes),
        }

    def __str__(self) -> str:
        blocks = [str(one) for one in self.pipelines]
        if len(self.pipelines) > 1:
            blocks.append(str(self.overall))
        for alarm in self.alarms:
            of = (alarm.pipeline, alarm.stage, alarm.gate, alarm.node)
            gate = ", ".join(filter(None, of))
            about = f" ({gate})" if gate else ""
            blocks.append(f"{alarm.severity.upper()} {alarm.name}{about}: {alarm.message}")
        return "\n".join([*blocks, *self.notes])


def monitor(
    decisions: Sequence[PastDecision],
    graphlets: Graphlets,
    *,
    now_ms: int,
    since_ms: int = 0,
    stage: Stage | None = None,
    gate: str | None = None,
    node: str | None = None,
    freshness: float | None = None,
    rules: AlarmRules | None = None,
) -> MonitorReport:
    """How gates are doing.

    Args:
      decisions: of any pipelines and gates, any order; all of the store's, for
        what another gate cut short tells nothing of this one.
      graphlets: of the same store, cut from a trace without the gates' own
        nodes (``pending.without_gates``).
      now_ms: the moment of asking, milliseconds since the epoch.
      since_ms: decisions and executions before it are left out; the usual
        gaps of pushes, and what runs cost, are those of all times.
      stage, gate: only gates that stand there, or have this node id; None: all.
      node: only what they found about this Trainer node, by its id; None: all.
      freshness: share of pushes to keep, 0..1; what the last decision of each
        gate promised by default.
      rules: when something is an alarm.

    Returns:
      The report; without any decision, one that says so.

    Raises:
      InvalidArgumentError: ``freshness`` is out of range.
    """
    if freshness is not None:
        check_freshness(freshness)
    rules = rules or AlarmRules()
    everything = observe(decisions, graphlets)
    book = CostBook(graphlets, everything)
    recent = [
        one
        for one in everything
        if one.decision.time_ms >= since_ms
        and (stage is None or one.decision.stage == str(stage))
        and gate in (None, one.decision.gate)
        and (node is None or one.decision.node in ("", node))  # "": it is about each
    ]
    reports: list[GateReport] = []
    alarms: list[Alarm] = []
    notes: list[str] = []
    for names in sorted({_gate_of(one) for one in recent}):
        own = [one for one in recent if _gate_of(one) == names]
        pipeline = names[0]
        target = freshness if freshness is not None else _promised(own)
        savings = book.savings(own, [pipeline], since_ms)
        report = _report(names, own, target, savings)
        reports.append(report)
        found = _judged(report, rules)
        found += behaviour_alarms(own, report.misses, rules)
        found += silence_alarm(_pushes(graphlets, pipeline, names[3]), now_ms, rules)
        alarms += [
            dataclasses.replace(
                alarm, pipeline=pipeline, stage=names[1], gate=names[2], node=names[3]
            )
            for alarm in found
        ]
        if target is None:
            notes.append(
                f"{pipeline}: the gate's decisions name no promised freshness (its threshold was "
                "set by hand, or no decision was made); state one to be told when it is missed."
            )
    targets = {report.target for report in reports}
    overall = _report(
        ("", "", "", ""),
        recent,
        freshness if freshness is not None else targets.pop() if len(targets) == 1 else None,
        book.savings(recent, sorted({report.pipeline for report in reports}), since_ms),
    )
    if len(reports) > 1:
        alarms += _judged(overall, rules)
    alarms += left_running(graphlets.trace, now_ms, rules)
    if not recent:
        notes.append("There is no decision of such a gate in this time.")
    return MonitorReport(tuple(reports), overall, tuple(alarms), tuple(notes))


def _gate_of(one: Observation) -> tuple[str, str, str, str]:
    decision = one.decision
    return decision.pipeline, decision.stage, decision.gate, decision.node


def _promised(observations: Sequence[Observation]) -> float | None:
    promised = [one.decision.freshness for one in observations]
    return next((one for one in reversed(promised) if one is not None), None)


def _pushes(graphlets: Graphlets, pipeline: str, node: str) -> IntArray:
    names = [graphlets.trace.context_name(int(at)) or "" for at in graphlets.pipeline]
    mine = np.array([name == pipeline for name in names], bool)
    if node:
        of = [graphlets.trace.node_id(int(at)) for at in graphlets.trainer]
        mine &= np.array([name == node for name in of], bool)
    return graphlets.end_ms[mine & graphlets.pushed]


def _judged(report: GateReport, rules: AlarmRules) -> list[Alarm]:
    live = report.freshness
    judged = report.shadow_freshness if live is None else live
    return [
        *freshness_alarm(judged, report.target),
        *calibration_alarms(report.calibration, rules),
    ]


def _report(
    gate: tuple[str, str, str, str],
    observations: Sequence[Observation],
    target: float | None,
    savings: Savings,
) -> GateReport:
    decided = runs_decided(observations)
    made = [one for one in decided if not one.followed]
    misses = estimate_misses(observations)
    return GateReport(
        *gate,
        decisions=len(made),
        followed=len(decided) - len(made),
        runs=sum(one.proceed for one in made),
        skips=sum(not one.proceed for one in made),
        explored=sum(one.explored for one in made),
        forced=sum(
            one.proceed and one.would_skip and not one.explored and not one.shadow for one in made
        ),
        shadow=sum(one.shadow for one in made),
        guarded=sum(_guarded(one) for one in made),
        failed_open=sum(one.failed_open for one in made),
        faults=_faults(made),
        seconds=sum(one.seconds or 0.0 for one in made),
        timed=sum(one.seconds is not None for one in made),
        pushes=len(pushed_runs(observations)),
        misses=misses,
        freshness=live_freshness(observations, misses),
        shadow_freshness=shadow_freshness(observations),
        target=target,
        savings=savings,
        calibration=calibration_drift(observations),
    )


def _faults(decisions: Sequence[PastDecision]) -> dict[str, int]:
    """Number of decisions by what kept the gate from them, sorted by it; "unknown" without."""
    found = Counter(one.fault or "unknown" for one in decisions if one.fault or one.failed_open)
    return dict(sorted(found.items()))


def _guarded(one: PastDecision) -> bool:
    """Whether it ran although its probability is below the threshold."""
    if one.probability is None or one.threshold is None or one.would_skip:
        return False
    return one.probability < one.threshold


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
