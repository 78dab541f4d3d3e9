"""What a gate's snapshot names for a rehearsal, and what the second gate makes of one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from tfx_graphlets.features.executions import Entries
from tfx_graphlets.features.groups import rehearsal
from tfx_graphlets.features.look_back import Rows
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.outcome import after_the_gate
from tfx_graphlets.payloads.decoded import DecodedPayloads
from tfx_graphlets.payloads.statistics import Payloads
from tfx_graphlets.rehearsal.record import Mode
from tfx_graphlets.trace.trace import IntArray
from tfx_graphlets.vocabulary import Role, Stage

# What a training costs here: by so many of the latest graphlets that went to their end.
_MOST_GRAPHLETS: Final = 20
_MS: Final = 1000.0


@dataclasses.dataclass(frozen=True)
class RehearsalPast:
    """What a rehearsal needs of the runs before it.

    Attributes:
      scout: URI of the Rehearsal artifact of the last blessed graphlet; "" where
        it has none.
      behind_s: what runs before cost behind the gate, seconds.
      trainer_s: what their Trainers cost, seconds.
      scout_s, full_s: what rehearsals before cost, by what was tried, seconds.
      pairs: rehearsed and real margins of runs before, by the margin's name,
        oldest first.
    """

    scout: str = ""
    behind_s: tuple[float, ...] = ()
    trainer_s: tuple[float, ...] = ()
    scout_s: tuple[float, ...] = ()
    full_s: tuple[float, ...] = ()
    pairs: Mapping[str, tuple[tuple[float, float], ...]] = dataclasses.field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As JSON values; an unknown margin is None."""
        document = {
            name: list(getattr(self, name))
            for name in ("behind_s", "trainer_s", "scout_s", "full_s")
        }
        pairs = {
            name: [[_or_none(value) for value in pair] for pair in found]
            for name, found in self.pairs.items()
        }
        return {"scout": self.scout, **document, "pairs": pairs}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> RehearsalPast:
        """The value that ``to_dict`` gave; an empty document gives one that knows nothing."""
        numbers = {
            name: tuple(map(float, document.get(name, ())))
            for name in ("behind_s", "trainer_s", "scout_s", "full_s")
        }
        pairs = {
            str(name): tuple((_number(rehearsed), _number(real)) for rehearsed, real in found)
            for name, found in document.get("pairs", {}).items()
        }
        return cls(scout=str(document.get("scout", "")), pairs=pairs, **numbers)


def rehearsal_past(
    graphlets: Graphlets,
    number: int,
    stage: Stage,
    payloads: Payloads,
    moment_ms: int,
) -> RehearsalPast:
    """What the runs before a graphlet tell a rehearsal at ``stage``.

    Args:
      graphlets: of the pipeline, the current one too.
      number: of the current graphlet.
      stage: where the gate stands.
      payloads: where metrics of evaluations are read.
      moment_ms: the moment of the decision.
    """
    entries = Entries(graphlets, DecodedPayloads.of(payloads))
    row = Rows(entries, stage, np.array([number]), np.array([moment_ms]))
    window, rehearsals, scout = row.window, rehearsal.rehearsals_of(entries), ""
    blessed = int(window.last_blessed[0])
    if rehearsals and blessed >= 0:
        found = rehearsals.of(int(window.graphlet[blessed]), stage, moment_ms)
        if found is not None and found.stage is stage:
            scout = graphlets.trace.artifacts.uri[found.artifact]
    seconds: dict[str, list[float]] = {mode.value: [] for mode in Mode}
    for graphlet in window.graphlet[-_MOST_GRAPHLETS:].tolist() if rehearsals else ():
        found = rehearsals.of(graphlet, stage, moment_ms)
        if found is not None and found.mode in seconds and not np.isnan(found.seconds):
            seconds[found.mode].append(found.seconds)
    behind, trainer = _costs(graphlets, window.graphlet[window.labelled], stage)
    return RehearsalPast(
        scout=scout,
        behind_s=behind,
        trainer_s=trainer,
        scout_s=tuple(seconds[Mode.SCOUT.value]),
        full_s=tuple(seconds[Mode.FULL.value]),
        pairs={name: tuple(pairs) for name, pairs in rehearsal.past_pairs(row, 0).items() if pairs},
    )


def _costs(
    graphlets: Graphlets, done: IntArray, stage: Stage
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Seconds behind the gate, and of the Trainer, of the latest of the graphlets that ended."""
    after, index = after_the_gate(graphlets, stage), graphlets.executions.index
    behind, trainer = [], []
    for graphlet in done[-_MOST_GRAPHLETS:].tolist():
        rows = slice(*graphlets.executions.start[graphlet : graphlet + 2].tolist())
        chosen = index[rows][after[rows]]
        behind.append(float(graphlets.cost[chosen].sum()) / _MS)
        trains = chosen[graphlets.role[chosen] == Role.TRAINER]
        trainer.append(float(graphlets.cost[trains].sum()) / _MS)
    return tuple(behind), tuple(trainer)


def with_rehearsal(
    current: FeatureTable, margins: Mapping[str, float], past: RehearsalPast
) -> FeatureTable:
    """The current graphlet's features with those of its rehearsal.

    The same values as a snapshot would hold that was taken after the rehearsal.

    Args:
      current: one row.
      margins: of the rehearsal by name; those that are missing were not measured.
      past: of the snapshot.
    """
    columns = dict(current.columns)
    for name, value in rehearsal.values_of(margins, past.pairs).items():
        if f"rehearsal.{name}" in columns:
            columns[f"rehearsal.{name}"] = np.array([value], np.float64)
    return dataclasses.replace(current, columns=columns)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _number(value: object) -> float:
    return float("nan") if value is None else float(str(value))
