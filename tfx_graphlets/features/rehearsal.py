"""Group ``rehearsal``: what was tried before the Trainer, and what it lets expect.

Present where a Rehearsal is wired to the gate, at ``input`` or ``pre``; missing
elsewhere. Margins are those of the artifact. Chances hold them against the
pipeline's own past pairs of rehearsed and real margin (``expected_margin``), so
that they mean the same in every pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tfx_graphlets.features.evaluations import evaluation_of
from tfx_graphlets.features.registry import FeatureGroup, Value, numbers
from tfx_graphlets.features.view import View
from tfx_graphlets.rehearsal.calibration import MOST_PAIRS, expected_margin
from tfx_graphlets.rehearsal.record import CHANGE_MARGINS, MARGINS, VALUE_MARGINS
from tfx_graphlets.vocabulary import Stage

Pairs = Mapping[str, Sequence[tuple[float, float]]]

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


FEATURES = (
    *numbers("rehearsal", Stage.INPUT, _NOT_MEASURED, _SOURCE, **dict.fromkeys(MARGINS, _MARGIN)),
    *numbers(
        "rehearsal",
        Stage.INPUT,
        _NO_PAIRS,
        f"{_SOURCE}, metrics of earlier ModelEvaluations",
        **{chance_name(name): _CHANCE for name in _CALIBRATED},
        expected_change="margin, unit of the metric, scout against the serving model",
        chance="probability 0..1 that every threshold is met, by the best of what was tried",
    ),
)


def values_of(margins: Mapping[str, float], pairs: Pairs) -> dict[str, Value]:
    """Values of one row by feature name.

    Args:
      margins: of the rehearsal, by name; those that are missing were not measured.
      pairs: rehearsed and real margins of earlier graphlets by the margin's
        name, oldest first.
    """
    values: dict[str, Value] = {f"rehearsal.{name}": margin for name, margin in margins.items()}
    chance: dict[str, float] = {}
    for name in _CALIBRATED:
        expected = expected_margin(margins.get(name, float("nan")), pairs.get(name, ()))
        if expected is None:
            continue
        chance[name] = expected.chance
        values[f"rehearsal.{chance_name(name)}"] = expected.chance
        if name == "scout_change_margin":
            values["rehearsal.expected_change"] = expected.margin
    # The user's own code tells more than a scout, where it was tried.
    by_value = next((chance[name] for name in VALUE_MARGINS[::-1] if name in chance), None)
    by_change = next((chance[name] for name in CHANGE_MARGINS[::-1] if name in chance), None)
    both = [one for one in (by_value, by_change) if one is not None]
    if both:
        values["rehearsal.chance"] = min(both)
    return values


def past_pairs(view: View) -> dict[str, list[tuple[float, float]]]:
    """Rehearsed and real margins of the earlier graphlets that ran, oldest first, by margin."""
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in _CALIBRATED}
    rehearsals = view.facts.rehearsals
    if not rehearsals:
        return pairs
    for graphlet in view.previous[-_LOOK_BACK:]:
        found = rehearsals.of(graphlet, view.stage, view.moment_ms)
        if found is None:
            continue
        real = evaluation_of(view.facts, view.seen(graphlet).members)
        if real is None:
            continue
        for name, rehearsed in found.margins.items():
            if name in pairs:
                margin = real.value_margin if name in VALUE_MARGINS else real.change_margin
                pairs[name].append((rehearsed, margin))
    return pairs


def describe(view: View) -> dict[str, Value]:
    """Values of one row."""
    found = view.facts.rehearsals.of(view.graphlet, view.stage, view.moment_ms)
    return values_of(found.margins, past_pairs(view)) if found is not None else {}


GROUP = FeatureGroup(FEATURES, describe)
