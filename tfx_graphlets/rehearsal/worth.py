"""Whether a rehearsal pays."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from typing import Final

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.rehearsal.record import Mode

# A rehearsal must be expected to save so many times what it costs.
MARGIN: Final = 3.0
# Share of the models that will not be pushed of which a rehearsal says so.
FOUND: Final = 0.5
# Share of a pipeline's runs that are pushed where nothing is known of it.
UNKNOWN_PROBABILITY: Final = 0.5
# Seconds until a pipeline has measured its own.
SCOUT_SECONDS: Final = 2.0
PROBE_SECONDS: Final = 4.0


@dataclasses.dataclass(frozen=True)
class Worth:
    """Whether, and how, to rehearse.

    Attributes:
      mode: OFF, SCOUT or FULL.
      reason: a sentence.
      saving_s: expected saving, seconds.
      cost_s: expected cost of what was chosen or refused, seconds.
    """

    mode: Mode
    reason: str
    saving_s: float
    cost_s: float


def worth_of(
    mode: Mode,
    *,
    probability: float | None,
    behind_s: Sequence[float],
    trainer_s: Sequence[float] = (),
    scout_s: Sequence[float] = (),
    full_s: Sequence[float] = (),
    steps_share: float = 0.1,
    can_probe: bool = False,
) -> Worth:
    """Whether to rehearse this run.

    The expected saving is the usual cost of what stands behind the gate, times
    the chance that the model will not be pushed, times FOUND. It has to exceed
    MARGIN times the rehearsal's own usual cost.

    >>> worth_of(Mode.AUTO, probability=0.6, behind_s=[7.0, 8.0, 7.5]).mode.value
    'off'
    >>> worth_of(Mode.AUTO, probability=0.6, behind_s=[70.0, 80.0, 75.0]).mode.value
    'scout'

    Args:
      mode: what is asked for; any but AUTO is obeyed, FULL as SCOUT where there
        is no code to probe.
      probability: of a push by the first gate, 0..1; None where it has none.
      behind_s: what the runs before cost behind the gate, seconds.
      trainer_s: what their Trainers cost, seconds.
      scout_s, full_s: what earlier rehearsals of either mode cost, seconds.
      steps_share: share of the Trainer's steps that a probe takes, 0..1.
      can_probe: whether the user's code is wired.

    Raises:
      InvalidArgumentError: ``probability`` or ``steps_share`` is outside 0..1.
    """
    for name, value in (("probability", probability), ("steps_share", steps_share)):
        if value is not None and not 0.0 <= value <= 1.0:
            raise InvalidArgumentError(name, value, "must be between 0 and 1")
    chance = (1.0 - (UNKNOWN_PROBABILITY if probability is None else probability)) * FOUND
    saving = chance * (statistics.median(behind_s) if behind_s else 0.0)
    scout = statistics.median(scout_s) if scout_s else SCOUT_SECONDS
    probe = PROBE_SECONDS + steps_share * (statistics.median(trainer_s) if trainer_s else 0.0)
    full = statistics.median(full_s) if full_s else scout + probe
    costs = {Mode.FULL: full, Mode.SCOUT: scout}
    if mode is Mode.OFF:
        return Worth(Mode.OFF, "Rehearsals are switched off.", saving, 0.0)
    if mode is not Mode.AUTO:
        chosen = mode if can_probe else Mode.SCOUT
        return Worth(chosen, f"Asked for: {chosen.value}.", saving, costs[chosen])
    if not behind_s:
        return Worth(Mode.OFF, "Nothing is known of what a training costs here.", saving, scout)
    for option in (Mode.FULL, Mode.SCOUT) if can_probe else (Mode.SCOUT,):
        if saving >= MARGIN * costs[option]:
            return Worth(option, _compared("Pays", saving, costs[option]), saving, costs[option])
    return Worth(Mode.OFF, _compared("Does not pay", saving, scout), saving, scout)


def _compared(verdict: str, saving: float, cost: float) -> str:
    return (
        f"{verdict}: {saving:.1f} s expected to be saved, {cost:.1f} s its own cost, "
        f"at least {MARGIN:g} times as much is asked for."
    )
