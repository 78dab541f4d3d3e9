"""Group ``code``: whether the user's code changed, and how it fared so far."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfx_graphlets.features.evaluators import evaluators_of, rerun_expected
from tfx_graphlets.features.look_back import Rows, Window, at, ratio
from tfx_graphlets.features.spans import UNSEEN
from tfx_graphlets.features.table import Feature, FeatureGroup, numbers
from tfx_graphlets.features.user_code import GraphletCodes
from tfx_graphlets.features.wording import (
    DATA,
    PUSHED,
    TRAINED,
    Topic,
    Wording,
    below,
    counted,
    equal,
    flag,
    margin,
    percent,
)
from tfx_graphlets.rehearsal.record import RUN
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray
from tfx_graphlets.vocabulary import PropertyName, Role, Stage

_LOOK_BACK = 5  # graphlets with the same code in which an evaluation is looked for
_NO_HASH = "no content hash recorded, or no such earlier graphlet"
_SOURCES = {
    Role.TRANSFORM: "MLMD Transform.module_path, else Graphlets.code_known",
    Role.TRAINER: "MLMD Trainer.module_path and Tuner.module_path, else Graphlets.code_known",
}
_OF_HISTORY = "MLMD Trainer.module_path of the preceding graphlets"
_CODE = Topic("code", "how the code compares with that of earlier runs, and how it fared")
_FIX = "Push a fix of the code: its last model missed the value threshold"
# What each is called, and from which rank on it is named.
_PHRASES = {
    "trainer": ("the Trainer's code", 0),
    "transform": ("the code", 4),
    "previous": (f"the code of {TRAINED}", 8),
}


def _declared(whose: str, stage: Stage, source: str) -> tuple[Feature, ...]:
    code, rank = _PHRASES[whose]
    other = "the trained run before it" if whose == "previous" else TRAINED
    declared = {
        "same_1": (
            "0 or 1, as in the previous graphlet",
            flag(_CODE, f"{code} is that of {other}", f"{code} is not that of {other}"),
        ),
        "same_pushed": (
            "0 or 1, as in the last pushed",
            flag(_CODE, f"{code} is that of {PUSHED}", f"{code} is not that of {PUSHED}"),
        ),
        "runs": (
            "consecutive preceding graphlets with it",
            Wording(
                _CODE,
                f"{code} is that of the {{}} before",
                counted("trained run"),
                {0.0: f"{code} is new"},
            ),
        ),
        "pushes": (
            "pushed graphlets with it",
            Wording(
                _CODE,
                f"{code} has brought {{}} into serving",
                counted("model"),
                {0.0: f"{code} has not brought any model into serving"},
            ),
        ),
        "push_share": (
            "pushed among its labelled, 0..1",
            Wording(
                _CODE,
                f"{{}} of the graphlets with {code} were pushed",
                percent,
                {
                    0.0: f"no graphlet with {code} was pushed",
                    1.0: f"every graphlet with {code} was pushed",
                },
            ),
        ),
        "last_pushed": (
            "0 or 1, its latest labelled",
            flag(
                _CODE,
                f"{code} is that of a graphlet that was pushed",
                f"{code} is that of a graphlet that was not pushed",
            ),
        ),
    }
    named = {
        f"{whose}_{name}": (unit, wording.ranked(rank + (1 if name == "last_pushed" else 3)))
        for name, (unit, wording) in declared.items()
    }
    return numbers("code", stage, _NO_HASH, source, **named)


def _declared_margins(whose: str, stage: Stage, source: str) -> tuple[Feature, ...]:
    rank = _PHRASES[whose][1]
    passed, missed = (
        f"the last model of this code {verb} the value threshold" for verb in ("passed", "missed")
    )
    margins = {
        kind: margin(_CODE, "the last model of this code", kind).ranked(rank + 2)
        for kind in ("value", "change")
    }
    named = {
        f"{whose}_value_margin": (
            "metric, its latest evaluation",
            margins["value"].advising(below(0), _FIX),
        ),
        f"{whose}_value_failed": (
            "0 or 1, its latest evaluation missed a value threshold",
            flag(_CODE, missed, passed).ranked(rank).advising(equal(1), _FIX),
        ),
        f"{whose}_change_margin": ("metric, its latest evaluation", margins["change"]),
        f"{whose}_same_spans": (
            "earlier graphlets with it on exactly these spans",
            Wording(
                DATA,
                "this code has been trained on exactly these data in {}",
                counted("trained run"),
                {0.0: "this code has not been trained on exactly these data before"},
                rank=rank + 1,
            ),
        ),
        f"{whose}_rerun_expected": (
            "0 or 1: 0 if the last was not pushed, else clone_passes",
            flag(
                DATA,
                "a model of this code on these data would be blessed again",
                "a model of this code on these data would not be pushed this time either",
            ).ranked(rank),
        ),
    }
    return numbers("code", stage, "no hash, or nothing of that code evaluated", source, **named)


FEATURES = (
    *_declared("previous", Stage.INPUT, _OF_HISTORY),
    *_declared("transform", Stage.INPUT, _SOURCES[Role.TRANSFORM]),
    *_declared_margins("transform", Stage.INPUT, _SOURCES[Role.TRANSFORM]),
    *_declared("trainer", Stage.INPUT, _SOURCES[Role.TRAINER]),
    *_declared_margins("trainer", Stage.INPUT, _SOURCES[Role.TRAINER]),
)


def columns(rows: Rows) -> dict[str, FloatArray]:
    """Values by the second part of the feature's name, float64 [rows], NaN where missing."""
    window, entries = rows.window, rows.entries
    codes = entries.once("codes", lambda: GraphletCodes.of(entries.graphlets, entries.timeline))
    trainers = codes.trainer[window.graphlet]
    # The previous graphlet's code; it is itself one of the graphlets with that code.
    latest = window.nth(1)
    own = np.where(latest >= 0, trainers[latest], UNSEEN) if len(trainers) else latest
    second = window.nth(2)
    previous = _compared(window, own, trainers, trainers == own[window.row])
    previous["same_1"] = np.where(own >= 0, _equal(own, trainers, second), np.nan)
    values = {f"previous_{name}": value for name, value in previous.items()}
    for whose, code in (("transform", codes.transform), ("trainer", codes.trainer)):
        values.update(_named(whose, rows, code[rows.graphlet], code[window.graphlet]))
    return values


def _named(whose: str, rows: Rows, own: IntArray, hashes: IntArray) -> Mapping[str, FloatArray]:
    window = rows.window
    same = hashes == own[window.row]
    values = _compared(window, own, hashes, same)
    values.update(_margins(rows, same, own >= 0))
    same &= rows.same_spans
    some = (own >= 0) & (rows.own.spans.counts > 0)
    values["same_spans"] = np.where(some, window.count(same), np.nan)
    values["rerun_expected"] = np.where(some, rerun_expected(rows, same), np.nan)
    return {f"{whose}_{name}": value for name, value in values.items()}


def _margins(rows: Rows, same: BoolArray, known: BoolArray) -> Mapping[str, FloatArray]:
    """Margins of the latest evaluated one among the last few graphlets with the same code."""
    window, evaluators = rows.window, evaluators_of(rows.entries)
    number = np.full(len(rows), UNSEEN, np.int64)
    for n in range(1, _LOOK_BACK + 1) if evaluators.can_measure else ():
        place = np.where(known & (number == UNSEEN), window.nth_flagged(same, n), UNSEEN)
        if not (place >= 0).any():
            break
        number = np.where(number == UNSEEN, evaluators.at(window, place), number)
    margin = evaluators.values("value_margin", number)
    return {
        "value_margin": margin,
        "value_failed": np.where(np.isnan(margin), np.nan, margin < 0),
        "change_margin": evaluators.values("change_margin", number),
    }


def _compared(
    window: Window, own: IntArray, hashes: IntArray, same: BoolArray
) -> dict[str, FloatArray]:
    """How a code compares with those of the graphlets in the window.

    Args:
      window: the graphlets.
      own: int64 [rows], number of each row's code, UNSEEN where none is known.
      hashes: int64 [places], of the graphlets'.
      same: bool [places], whether both are the same.
    """
    fates = same & window.labelled
    labelled, pushes = window.count(fates), window.count(fates & window.pushed)
    values = {
        "same_1": _equal(own, hashes, window.nth(1)),
        "same_pushed": _equal(own, hashes, window.last_pushed),
        # Graphlets after the last one with another code.
        "runs": (window.start[1:] - 1 - _at_least(window, window.last(~same))).astype(float),
        "pushes": pushes.astype(float),
        "push_share": ratio(pushes, labelled),
        "last_pushed": at(window.pushed, window.last(fates)),
    }
    return {name: np.where(own >= 0, value, np.nan) for name, value in values.items()}


def _at_least(window: Window, places: IntArray) -> IntArray:
    """Places, or the one before the window's first where there is none."""
    return np.where(places >= 0, places, window.start[:-1] - 1)


def _equal(own: IntArray, hashes: IntArray, places: IntArray) -> FloatArray:
    """1 where the code at a place is the row's own, 0 where not; NaN if not known."""
    other = at(hashes, places)
    return np.where(np.isnan(other) | (other < 0), np.nan, other == own)


GROUP = FeatureGroup(
    "code",
    FEATURES,
    columns,
    {Stage.INPUT: (PropertyName.MODULE_PATH, PropertyName.CODE_KNOWN, RUN)},
)
