"""Group ``code``: whether the user's code changed, and how it fared so far.

TFX names the wheel that it packs user code into by a hash of its content
(property ``module_path``). The compiled pipeline holds it before anything runs,
so that the code of the run is known at ``input`` already. Where the code is
given by an import path, GraphletGen records a hash of the package (``gate.code``).
"""

from __future__ import annotations

import math

from tfx_graphlets.features.evaluations import evaluation_of, rerun_expected
from tfx_graphlets.features.registry import FeatureGroup, Value, numbers
from tfx_graphlets.features.table import Feature
from tfx_graphlets.features.view import View
from tfx_graphlets.vocabulary import Outcome, Role, Stage

_NO_HASH = "no content hash recorded, or no such earlier graphlet"
_SOURCES = {
    Role.TRANSFORM: "MLMD Transform.module_path, else Graphlets.code_known",
    Role.TRAINER: "MLMD Trainer.module_path and Tuner.module_path, else Graphlets.code_known",
}
_OF_HISTORY = "MLMD Trainer.module_path of the preceding graphlets"
_LABELLED = (Outcome.PUSHED, Outcome.UNPUSHED)


def _declared(whose: str, stage: Stage, source: str) -> tuple[Feature, ...]:
    units = {
        "same_1": "0 or 1, as in the previous graphlet",
        "same_pushed": "0 or 1, as in the last pushed",
        "runs": "consecutive preceding graphlets with it",
        "pushes": "pushed graphlets with it",
        "push_share": "pushed among its labelled, 0..1",
        "last_pushed": "0 or 1, its latest labelled",
    }
    named = {f"{whose}_{name}": unit for name, unit in units.items()}
    return numbers("code", stage, _NO_HASH, source, **named)


def _declared_margins(whose: str, stage: Stage, source: str) -> tuple[Feature, ...]:
    units = {
        f"{whose}_value_margin": "metric, its latest evaluation",
        f"{whose}_value_failed": "0 or 1, its latest evaluation missed a value threshold",
        f"{whose}_change_margin": "metric, its latest evaluation",
        f"{whose}_same_spans": "earlier graphlets with it on exactly these spans",
        f"{whose}_rerun_expected": "0 or 1: 0 if the last was not pushed, else clone_passes",
    }
    return numbers("code", stage, "no hash, or nothing of that code evaluated", source, **units)


FEATURES = (
    *_declared("previous", Stage.INPUT, _OF_HISTORY),
    *_declared("transform", Stage.INPUT, _SOURCES[Role.TRANSFORM]),
    *_declared_margins("transform", Stage.INPUT, _SOURCES[Role.TRANSFORM]),
    *_declared("trainer", Stage.INPUT, _SOURCES[Role.TRAINER]),
    *_declared_margins("trainer", Stage.INPUT, _SOURCES[Role.TRAINER]),
)


def describe(view: View) -> dict[str, Value]:
    """Values of one row. ``code.previous_*`` is about the previous graphlet's code."""
    codes = view.facts.codes
    values: dict[str, Value] = {}
    for whose, code in (("trainer", codes.trainer), ("transform", codes.transform)):
        hashes: list[int] = code[view.previous].tolist()
        if whose == "trainer" and hashes:
            pushed = _at(view, hashes, view.last_pushed)
            earlier = _compare(hashes[-1], hashes[:-1], view.outcomes[:-1], pushed)
            # The previous graphlet itself is one of the graphlets with that code.
            values.update(_named("code.previous", _with_one_more(earlier, view.outcomes[-1])))
        own = int(code[view.graphlet])
        if own >= 0:
            pushed = _at(view, hashes, view.last_pushed)
            values.update(_named(f"code.{whose}", _compare(own, hashes, view.outcomes, pushed)))
            values.update(_named(f"code.{whose}", _with_code(view, own, hashes)))
    return values


GROUP = FeatureGroup(FEATURES, describe)


def _at(view: View, hashes: list[int], graphlet: int | None) -> int:
    return -1 if graphlet is None else hashes[view.previous.index(graphlet)]


def _compare(own: int, hashes: list[int], outcomes: list[Outcome], pushed: int) -> dict[str, float]:
    """How a code compares with those of earlier graphlets, oldest first; -1 is not known."""
    if own < 0:
        return {}
    values: dict[str, float] = {}
    if hashes and hashes[-1] >= 0:
        values["same_1"] = float(hashes[-1] == own)
    if pushed >= 0:
        values["same_pushed"] = float(pushed == own)
    runs = 0
    for earlier in reversed(hashes):
        if earlier != own:
            break
        runs += 1
    values["runs"] = float(runs)
    fates = [
        outcome is Outcome.PUSHED
        for earlier, outcome in zip(hashes, outcomes)
        if earlier == own and outcome in _LABELLED
    ]
    values["pushes"] = float(sum(fates))
    values["labelled"] = float(len(fates))
    if fates:
        values["push_share"] = sum(fates) / len(fates)
        values["last_pushed"] = float(fates[-1])
    return values


def _with_one_more(values: dict[str, float], outcome: Outcome) -> dict[str, float]:
    """The same with one more, latest graphlet of that code."""
    if not values:
        return values
    result = {**values, "runs": values["runs"] + 1}
    if outcome in _LABELLED:
        pushed = float(outcome is Outcome.PUSHED)
        result["pushes"] += pushed
        result["labelled"] += 1
        result["push_share"] = result["pushes"] / result["labelled"]
        result["last_pushed"] = pushed
    return result


def _with_code(view: View, own: int, hashes: list[int]) -> dict[str, float]:
    """How the latest evaluated graphlet of that code did, and re-runs of this very one."""
    of_code = [graphlet for graphlet, earlier in zip(view.previous, hashes) if earlier == own]
    values = _margins(view, of_code)
    spans = frozenset(view.spans)
    if spans:
        same = [seen for seen in map(view.seen, of_code) if seen.span_set == spans]
        values["same_spans"] = float(len(same))
        expected = rerun_expected(view, [seen.outcome for seen in same])
        if expected is not None:
            values["rerun_expected"] = expected
    return values


def _margins(view: View, of_code: list[int]) -> dict[str, float]:
    """Margins of the latest evaluated one of some graphlets."""
    for graphlet in reversed(of_code[-5:]):
        evaluation = evaluation_of(view.facts, view.seen(graphlet).members)
        if evaluation is not None:
            margin = evaluation.value_margin
            values = {"value_margin": margin, "change_margin": evaluation.change_margin}
            return values if math.isnan(margin) else {**values, "value_failed": float(margin < 0)}
    return {}


def _named(prefix: str, values: dict[str, float]) -> dict[str, Value]:
    return {f"{prefix}_{name}": value for name, value in values.items() if name != "labelled"}
