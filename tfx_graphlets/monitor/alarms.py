"""Alarms: what about a live gate a person has to look at, and what to do then."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.monitor.misses import Freshness, MissEstimate
from tfx_graphlets.monitor.observed import Observation
from tfx_graphlets.monitor.probabilities import CalibrationDrift
from tfx_graphlets.trace.trace import IntArray, Trace
from tfx_graphlets.vocabulary import HOUR_MS, ExecutionState

ALARM: Final = "alarm"
INFO: Final = "info"


@dataclasses.dataclass(frozen=True)
class AlarmRules:
    """When something is an alarm.

    Attributes:
      failing_window: of so many last decisions,
      failing_share: such a share that failed open is an alarm, 0..1,
      failing_least: if there are at least so many decisions.
      calibration_z: an absolute Z above it is an alarm (2.58: once in a
        hundred times by chance),
      calibration_least: if there are at least so many outcomes.
      silence_factor: so many times the median gap of pushes without a push is
        an alarm,
      silence_least: if there were at least so many pushes.
      most_skips: so many runs in a row that were all skipped are an alarm.
      explored_least: with fewer explored runs little can be said of misses.
      running_hours: a node that is recorded as RUNNING and has shown no sign of
        life for so long is told, if a later run of its pipeline has begun.

    Raises:
      InvalidArgumentError: a value is not above 0.
    """

    failing_window: int = 20
    failing_share: float = 0.2
    failing_least: int = 5
    calibration_z: float = 2.58
    calibration_least: int = 20
    silence_factor: float = 5.0
    silence_least: int = 3
    most_skips: int = 10
    explored_least: int = 10
    running_hours: float = 24.0

    def __post_init__(self) -> None:
        for name, value in dataclasses.asdict(self).items():
            if not value > 0:
                raise InvalidArgumentError(name, value, "must be above 0")


@dataclasses.dataclass(frozen=True)
class Alarm:
    """One thing to look at.

    Attributes:
      name: freshness, failing_open, calibration, calibration_drift, no_push,
        only_skips, no_exploration, few_explored or left_running.
      severity: ``alarm``, or ``info`` where nothing is wrong yet.
      message: what is the matter and what to do, as a sentence or two.
      pipeline, stage, gate: which gate; "" where it is about all of them.
      node: of which Trainer node behind it; "" where it is about all of them.
    """

    name: str
    severity: str
    message: str
    pipeline: str = ""
    stage: str = ""
    gate: str = ""
    node: str = ""


def freshness_alarm(freshness: Freshness | None, target: float | None) -> list[Alarm]:
    """``freshness``: its whole interval lies below the target."""
    if freshness is None or target is None or freshness.high >= target:
        return []
    what = "were it not in shadow mode it would keep" if freshness.exact else "it keeps"
    advice = (
        "Leave it in shadow mode" if freshness.exact else "Switch it to shadow mode (shadow=True)"
    )
    message = (
        f"The gate misses more pushes than it promised: {what} between {freshness.low:.2f} and "
        f"{freshness.high:.2f} of them, and {target:g} is the target. {advice} and train the waste "
        "model anew on the pipeline's own history."
    )
    return [Alarm("freshness", ALARM, message)]


def calibration_alarms(figures: CalibrationDrift | None, rules: AlarmRules) -> list[Alarm]:
    """``calibration`` and ``calibration_drift``: probabilities that are not those of pushes."""
    alarms: list[Alarm] = []
    if figures is None or figures.all.count < rules.calibration_least:
        return alarms
    whole, limit = figures.all, rules.calibration_z
    if whole.z is not None and abs(whole.z) > limit:
        message = (
            f"The probabilities are not those of pushes: predicted {whole.predicted:.2f}, observed "
            f"{whole.observed:.2f} over {whole.count} outcomes (Z = {whole.z:+.1f}). Train the "
            "waste model anew with the runs of late."
        )
        alarms.append(Alarm("calibration", ALARM, message))
    if figures.z is not None and abs(figures.z) > limit:
        message = (
            f"The probabilities have drifted: predicted minus observed went from "
            f"{figures.earlier.bias:+.2f} to {figures.recent.bias:+.2f} between the earlier and "
            f"the recent half of {whole.count} outcomes. Look for what changed in data, code or "
            "validation, and train the waste model anew with the runs of late."
        )
        alarms.append(Alarm("calibration_drift", ALARM, message))
    return alarms


def behaviour_alarms(
    observations: Sequence[Observation], misses: MissEstimate, rules: AlarmRules
) -> list[Alarm]:
    """``failing_open``, ``only_skips``, ``no_exploration`` and ``few_explored``.

    Args:
      observations: of one gate, in the order of time.
      misses: estimated from them.
      rules: when something is an alarm.
    """
    alarms = []
    own = [one for one in observations if not one.decision.followed]
    last = own[-rules.failing_window :]
    failed = sum(one.decision.failed_open for one in last)
    if len(last) >= rules.failing_least and failed >= rules.failing_share * len(last):
        codes = sorted(
            {one.decision.fault or "unknown" for one in last if one.decision.failed_open}
        )
        message = (
            f"{failed} of the last {len(last)} decisions could not be made, and their runs "
            f"proceeded ({', '.join(codes)}). The property `reason` of the latest GateDecision "
            "with failed_open = 1 says what to mend."
        )
        alarms.append(Alarm("failing_open", ALARM, message))
    tail = own[-rules.most_skips :]
    if len(tail) == rules.most_skips and all(one.skipped for one in tail):
        message = (
            f"The last {len(tail)} runs were all skipped. Force a run (force_run) to see what "
            "becomes of it, and lower max_consecutive_skips."
        )
        alarms.append(Alarm("only_skips", ALARM, message))
    skipped = [one for one in own if one.skipped]
    if skipped and not skipped[-1].decision.exploration:
        message = (
            "The gate skips and explores nothing: nobody would notice missed pushes. Set "
            "exploration to a share of skips that run anyway, for example 0.05."
        )
        alarms.append(Alarm("no_exploration", ALARM, message))
    elif misses.skips and misses.explored < rules.explored_least:
        message = (
            f"{misses.explored} predicted skips have run to explore and come to an end, too few "
            f"to say much of the {misses.skips} that were skipped; {rules.explored_least} are the "
            "least to begin with."
        )
        alarms.append(Alarm("few_explored", INFO, message))
    return alarms


def silence_alarm(push_ms: IntArray, now_ms: int, rules: AlarmRules) -> list[Alarm]:
    """``no_push``: no push for far longer than pushes are usually apart.

    Args:
      push_ms: moments of the pipeline's pushes, int64 [n], milliseconds.
      now_ms: the moment of asking.
      rules: when something is an alarm.
    """
    if len(push_ms) < rules.silence_least:
        return []
    ordered = np.sort(push_ms)
    usual, silent = float(np.median(np.diff(ordered))), float(now_ms - ordered[-1])
    if usual <= 0 or silent <= rules.silence_factor * usual:
        return []
    message = (
        f"The last push was {silent / HOUR_MS:.1f} hours ago, and pushes are usually "
        f"{usual / HOUR_MS:.1f} hours apart. Look whether the pipeline runs at all; if it "
        "does, force a run (force_run) and set max_staleness_hours."
    )
    return [Alarm("no_push", ALARM, message)]


def left_running(trace: Trace, now_ms: int, rules: AlarmRules) -> list[Alarm]:
    """``left_running``, for information: nodes that a crash left RUNNING, by pipeline.

    Args:
      trace: of the whole store.
      now_ms: the moment of asking.
      rules: when something is told.
    """
    executions, pipeline_of = trace.executions, trace.pipeline_of_execution
    run_of = trace.run_of_execution
    known = (run_of >= 0) & (pipeline_of >= 0)
    # By context: when a run began, and the latest run of a pipeline.
    begun = np.full(len(trace.contexts.name), np.iinfo(np.int64).max, np.int64)
    np.minimum.at(begun, run_of[known], executions.create_ms[known])
    latest = np.zeros(len(trace.contexts.name), np.int64)
    np.maximum.at(latest, pipeline_of[known], begun[run_of[known]])
    silent_since = now_ms - int(rules.running_hours * HOUR_MS)
    found = known & (executions.state == ExecutionState.RUNNING)
    found &= executions.update_ms < silent_since
    found[found] = begun[run_of[found]] < latest[pipeline_of[found]]
    by_pipeline: dict[str, list[int]] = {}
    for at in np.flatnonzero(found).tolist():
        name = trace.context_name(int(pipeline_of[at])) or ""
        by_pipeline.setdefault(name, []).append(at)
    alarms = []
    for name, rows in sorted(by_pipeline.items()):
        newest = rows[-1]
        hours = (now_ms - int(executions.update_ms[newest])) / HOUR_MS
        node = trace.node_id(newest) or executions.type_names[int(executions.type[newest])]
        run = trace.context_name(int(trace.run_of_execution[newest]))
        message = (
            f"{len(rows)} of its nodes are recorded as RUNNING and have shown no sign of life for "
            f"{hours:.0f} hours or longer, the latest {node} of run {run or 'without a name'}: a "
            "crash or kill has left them, and their runs count as not ended."
        )
        alarms.append(Alarm("left_running", INFO, message, pipeline=name))
    return alarms
