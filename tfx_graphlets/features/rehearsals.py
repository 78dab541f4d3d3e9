"""Rehearsals of a trace, found by the run that they belong to.

A Rehearsal artifact belongs to no graphlet, and no walk reaches it: it is known
by the name of its run (property ``run``, else the run context that it is
attributed to) and, where it says so, by the Trainer node that it stands for.
"""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from tfx_graphlets.features.contents import run_of_artifacts
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.rehearsal import record
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import Stage

_KNOWN_STAGES = frozenset(map(str, Stage))


@dataclasses.dataclass(frozen=True)
class FoundRehearsal:
    """One Rehearsal artifact that measured something.

    Attributes:
      artifact: its position in the trace.
      create_ms: when it was made.
      stage: where it stood.
      trainer: node id of the Trainer that it stands for; "" for all of the run.
      mode: what was tried.
      seconds: what it took; NaN where it does not say.
      margins: by name, those that were measured (``rehearsal.record.MARGINS``).
    """

    artifact: int
    create_ms: int
    stage: Stage
    trainer: str
    mode: str
    seconds: float
    margins: Mapping[str, float]


class Rehearsals:
    """The rehearsals of a trace by run."""

    def __init__(self, graphlets: Graphlets) -> None:
        """Finds them; a trace without any costs next to nothing."""
        self._graphlets = graphlets
        self._by_run = _found(graphlets.trace)

    def __bool__(self) -> bool:
        return bool(self._by_run)

    def of(self, graphlet: int, stage: Stage, moment_ms: int) -> FoundRehearsal | None:
        """The latest that a gate at ``stage`` could read of a graphlet; None if there is none.

        Args:
          graphlet: its number.
          stage: rehearsals of later stages are not looked at.
          moment_ms: nor are those that were made after this moment.
        """
        if not self._by_run:
            return None
        trace, trainer = self._graphlets.trace, int(self._graphlets.trainer[graphlet])
        run = trace.context_name(int(trace.run_of_execution[trainer]))
        if run is None or run not in self._by_run:
            return None
        node = trace.context_name(int(trace.node_of_execution[trainer])) or ""
        known = [
            one
            for one in self._by_run[run]
            if one.stage.order <= stage.order
            and one.create_ms <= moment_ms
            and (not one.trainer or one.trainer == node or node.endswith(f".{one.trainer}"))
        ]
        return known[-1] if known else None


def _found(trace: Trace) -> dict[str, list[FoundRehearsal]]:
    artifacts = trace.artifacts
    rows = np.flatnonzero(trace.artifacts_of_types([record.ARTIFACT_TYPE]))
    if not len(rows):
        return {}
    properties, count = artifacts.properties, len(artifacts)
    done = properties.numbers(record.REHEARSED, count)
    text: dict[str, Sequence[str | None]] = {
        key: properties.texts(key, count) for key in (record.STAGE, record.TRAINER, record.MODE)
    }
    seconds = properties.numbers(record.SECONDS, count)
    margins = {name: properties.numbers(name, count) for name in record.MARGINS}
    runs = run_of_artifacts(trace, rows[done[rows] == 1])
    found: dict[str, list[FoundRehearsal]] = defaultdict(list)
    for row, run in runs.items():
        stage = text[record.STAGE][row]
        if stage not in _KNOWN_STAGES:
            continue
        values = {name: float(column[row]) for name, column in margins.items()}
        found[run].append(
            FoundRehearsal(
                artifact=row,
                create_ms=int(artifacts.create_ms[row]),
                stage=Stage(stage),
                trainer=text[record.TRAINER][row] or "",
                mode=text[record.MODE][row] or "",
                seconds=float(seconds[row]),
                margins={n: value for n, value in values.items() if not math.isnan(value)},
            )
        )
    return {run: sorted(ones, key=lambda one: one.create_ms) for run, ones in found.items()}
