"""Group ``rehearsal``: what was tried before the Trainer, and what it lets expect.

Present where a Rehearsal is wired to the gate, at ``input`` or ``pre``; missing
elsewhere. Margins are those of the artifact. Chances hold them against the
pipeline's own past pairs of rehearsed and real margin (``expected_margin``), so
that they mean the same in every pipeline.

A Rehearsal artifact belongs to no graphlet, and no walk reaches it: it is known
by the name of its run (property ``run``, else the run context that it is
attributed to) and, where it says so, by the Trainer node that it stands for.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from tfx_graphlets.features.evaluators import evaluators_of
from tfx_graphlets.features.executions import Entries, run_of_artifacts
from tfx_graphlets.features.look_back import Rows
from tfx_graphlets.features.spans import UNSEEN
from tfx_graphlets.features.table import FeatureGroup, numbers
from tfx_graphlets.features.wording import Topic, Wording, margin, percent
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.rehearsal import record
from tfx_graphlets.rehearsal.record import (
    CHANGE_MARGINS,
    MARGINS,
    MOST_PAIRS,
    VALUE_MARGINS,
    expected_margin,
)
from tfx_graphlets.trace.trace import FloatArray, Trace
from tfx_graphlets.vocabulary import Stage

Pairs = Mapping[str, Sequence[tuple[float, float]]]

_KNOWN_STAGES = frozenset(map(str, Stage))
_MARGIN = "margin, unit of the metric"
_CHANCE = "probability 0..1"
_SOURCE = "MLMD Rehearsal"
_NOT_MEASURED = "not rehearsed, or not measured"
_NO_PAIRS = "not rehearsed, or fewer than two past pairs"
_CALIBRATED = (*VALUE_MARGINS, *CHANGE_MARGINS)
# Graphlets in which pairs are looked for.
_LOOK_BACK = 4 * MOST_PAIRS


def chance_name(margin: str) -> str:
    """Name of the feature that a margin's chance is: ``scout_change_chance``."""
    return margin.replace("_margin", "_chance")


_TOPIC = Topic("rehearsal", "what a rehearsal finds")
_PAIR = "the small model of this run {} that of the last blessed one by {{}}"
_AFTER = "after its rehearsal the model should {} the change threshold by {{}}"
_WHO = {"scout": "a small model that was rehearsed", "probe": "the code, rehearsed with few steps,"}
# Of what was found the first is named.
_RANKED = (
    "chance", "expected_change", "pair_change_margin", "serving_value_margin",
    "scout_change_margin", "scout_value_margin", "probe_change_margin", "probe_value_margin",
    "scout_change_chance", "probe_change_chance", "scout_value_chance", "probe_value_chance",
    "pair_change_chance",
)  # fmt: skip


def _of_margin(name: str) -> Wording:
    who, kind, _ = name.split("_")
    if who == "pair":
        wording = Wording(_TOPIC, _PAIR.format("passes"), negative=_PAIR.format("misses"))
    else:
        wording = margin(_TOPIC, _WHO.get(who, "the serving model, rehearsed,"), kind)
    return wording.ranked(_RANKED.index(name))


def _of_chance(name: str) -> Wording:
    who, kind, _ = name.split("_")
    text = f"the rehearsal's {who} gives a chance of {{}} to meet the {kind} threshold"
    return Wording(_TOPIC, text, percent, rank=_RANKED.index(name))


_at_input = functools.partial(numbers, "rehearsal", Stage.INPUT)

FEATURES = (
    *_at_input(
        _NOT_MEASURED,
        _SOURCE,
        **{name: (_MARGIN, _of_margin(name)) for name in MARGINS},
    ),
    *_at_input(
        _NO_PAIRS,
        f"{_SOURCE}, metrics of earlier ModelEvaluations",
        **{name: (_CHANCE, _of_chance(name)) for name in map(chance_name, _CALIBRATED)},
        expected_change=(
            "margin, unit of the metric, scout against the serving model",
            Wording(_TOPIC, _AFTER.format("pass"), negative=_AFTER.format("miss"), rank=1),
        ),
        chance=(
            "probability 0..1 that every threshold is met, by the best of what was tried",
            Wording(_TOPIC, "the rehearsal gives this model a chance of {} to be blessed", percent),
        ),
    ),
)


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


def values_of(margins: Mapping[str, float], pairs: Pairs) -> dict[str, float]:
    """Values of one row by the second part of the feature's name.

    Args:
      margins: of the rehearsal, by name; those that are missing were not measured.
      pairs: rehearsed and real margins of earlier graphlets by the margin's
        name, oldest first.
    """
    values = dict(margins)
    chance: dict[str, float] = {}
    for name in _CALIBRATED:
        expected = expected_margin(margins.get(name, float("nan")), pairs.get(name, ()))
        if expected is None:
            continue
        chance[name] = expected.chance
        values[chance_name(name)] = expected.chance
        if name == "scout_change_margin":
            values["expected_change"] = expected.margin
    # The user's own code tells more than a scout, where it was tried.
    by_value = next((chance[name] for name in VALUE_MARGINS[::-1] if name in chance), None)
    by_change = next((chance[name] for name in CHANGE_MARGINS[::-1] if name in chance), None)
    both = [one for one in (by_value, by_change) if one is not None]
    if both:
        values["chance"] = min(both)
    return values


def past_pairs(rows: Rows, row: int) -> dict[str, list[tuple[float, float]]]:
    """Rehearsed and real margins of the graphlets before one that ran, oldest first, by margin."""
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in _CALIBRATED}
    rehearsals, window = rehearsals_of(rows.entries), rows.window
    if not rehearsals:
        return pairs
    end = int(window.start[row + 1])
    places = np.arange(max(int(window.start[row]), end - _LOOK_BACK), end)
    moment_ms = int(rows.moment_ms[row])
    found = [
        rehearsals.of(graphlet, rows.stage, moment_ms)
        for graphlet in window.graphlet[places].tolist()
    ]
    evaluators = evaluators_of(rows.entries)
    number = evaluators.at(window, np.where([one is not None for one in found], places, UNSEEN))
    by_value, by_change = (
        evaluators.values(name, number).tolist() for name in ("value_margin", "change_margin")
    )
    for at, rehearsal in enumerate(found):
        if rehearsal is None or number[at] == UNSEEN:
            continue
        for name, rehearsed in rehearsal.margins.items():
            if name in pairs:
                real = by_value[at] if name in VALUE_MARGINS else by_change[at]
                pairs[name].append((rehearsed, real))
    return pairs


def columns(rows: Rows) -> dict[str, FloatArray]:
    """Values by the second part of the feature's name, float64 [rows], NaN where missing."""
    rehearsals = rehearsals_of(rows.entries)
    names = [feature.name.partition(".")[2] for feature in FEATURES]
    values = {name: np.full(len(rows), np.nan) for name in names}
    pairs = zip(rows.graphlet.tolist(), rows.moment_ms.tolist()) if rehearsals else ()
    for row, (graphlet, moment_ms) in enumerate(pairs):
        found = rehearsals.of(graphlet, rows.stage, moment_ms)
        if found is not None:
            for name, value in values_of(found.margins, past_pairs(rows, row)).items():
                values[name][row] = value
    return values


def rehearsals_of(entries: Entries) -> Rehearsals:
    """The rehearsals of graphlets, found once."""
    return entries.once("rehearsals", lambda: Rehearsals(entries.graphlets))


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


GROUP = FeatureGroup(
    "rehearsal",
    FEATURES,
    columns,
    {Stage.INPUT: (record.REHEARSED, record.STAGE, record.RUN, record.TRAINER, *record.MARGINS)},
)
