"""View: one graphlet as a gate at a stage could see it at a moment.

Everything that a group of features asks of a graphlet, of its predecessors and
of their fate goes through a View, which leaves out what was not known yet.
"""

from __future__ import annotations

import dataclasses
import functools
import math

from tfx_graphlets.features.facts import Facts, Member, Span
from tfx_graphlets.graphlet import Part
from tfx_graphlets.vocabulary import Outcome, Role, Stage

_DATA_PARTS = (Part.UPSTREAM, Part.ANALYSIS)

# A row looks no further back than this, so that its cost does not grow with the history.
LOOK_BACK = 256

# An execution that was left RUNNING by a crash is waited for no longer than this.
ABANDONED_AFTER_MS = 24 * 3_600_000


@dataclasses.dataclass(frozen=True)
class View:
    """One graphlet at one moment.

    Attributes:
      facts: look-ups over the trace.
      graphlet: number of the graphlet.
      stage: what of the graphlet itself may be seen.
      moment_ms: what of everything else may be seen: what was known by then.
    """

    facts: Facts
    graphlet: int
    stage: Stage
    moment_ms: int

    def reaches(self, stage: Stage) -> bool:
        """True if the view's stage is ``stage`` or later."""
        return self.stage.order >= stage.order

    # -- the graphlet itself -------------------------------------------------------

    @functools.cached_property
    def own(self) -> tuple[Member, ...]:
        """Executions of the graphlet that the stage may see and that had finished."""
        result = []
        for member in self.facts.members(self.graphlet):
            known = member.own_known_ms if self.stage is Stage.INPUT else member.known_ms
            if known <= self.moment_ms and self._may_see(member):
                result.append(member)
        return tuple(result)

    def _may_see(self, member: Member) -> bool:
        if member.part in _DATA_PARTS:
            return self.reaches(Stage.PRE) or member.is_source
        if member.part is Part.TRAINER:
            return self.reaches(Stage.TRAINER)
        return self.reaches(Stage.VALIDATION) and member.role is not Role.PUSHER

    @property
    def trainer(self) -> int:
        """Position of the graphlet's Trainer."""
        return int(self.facts.graphlets.trainer[self.graphlet])

    # -- earlier graphlets ---------------------------------------------------------

    @functools.cached_property
    def previous(self) -> list[int]:
        """Earlier graphlets of the lane, oldest first, the latest LOOK_BACK of them."""
        before = self.facts.lanes.before(self.graphlet, self.moment_ms)
        found: list[int] = before[-LOOK_BACK:].tolist()
        return found

    def nth_previous(self, n: int) -> int | None:
        """The n-th graphlet before this one, 1 the nearest; None if there is none."""
        return self.previous[-n] if n <= len(self.previous) else None

    def members(self, graphlet: int) -> list[Member]:
        """Executions of an earlier graphlet that were known."""
        return [
            member for member in self.facts.members(graphlet) if member.known_ms <= self.moment_ms
        ]

    @functools.cached_property
    def outcomes(self) -> list[Outcome]:
        """What had become of each of ``previous`` by the moment.

        INCOMPLETE where it was not known: not finished, or still on its way.
        """
        return [self.outcome(graphlet) for graphlet in self.previous]

    def outcome(self, graphlet: int) -> Outcome:
        """What had become of an earlier graphlet by the moment.

        Decided from what was recorded by then only: an unpushed graphlet is one
        that has a Model, no push, and nothing under way.
        """
        fate = self.facts.fate(graphlet)
        moment = self.moment_ms
        if fate.pushed_ms <= moment:
            return Outcome.PUSHED
        if fate.trainer_finished_ms > moment:
            return Outcome.INCOMPLETE
        if fate.failed:
            return Outcome.FAILED
        under_way = any(
            joined < moment < finished and moment - created <= ABANDONED_AFTER_MS
            for joined, created, finished in fate.downstream
        )
        return Outcome.UNPUSHED if fate.has_model and not under_way else Outcome.INCOMPLETE

    @functools.cached_property
    def last_pushed(self) -> int | None:
        """The latest earlier graphlet that had been pushed."""
        pairs = zip(reversed(self.previous), reversed(self.outcomes))
        return next((g for g, outcome in pairs if outcome is Outcome.PUSHED), None)

    @functools.cached_property
    def last_blessed(self) -> int | None:
        """The latest earlier graphlet whose model had been blessed."""
        return next((g for g in reversed(self.previous) if self.blessed(g) == 1.0), None)

    def blessed(self, graphlet: int, role: Role = Role.MODEL_VALIDATOR) -> float:
        """What the validators of one role had said of a graphlet's model.

        Returns: 1 if all that had spoken blessed it, 0 if one did not, NaN if
          none had spoken.
        """
        verdicts = self.facts.fate(graphlet).verdicts.get(role, ())
        known = [value for known_ms, value in verdicts if known_ms <= self.moment_ms]
        return min(known) if known else math.nan

    # -- spans -----------------------------------------------------------------------

    @functools.cached_property
    def spans(self) -> dict[int, Span]:
        """Spans that the graphlet is trained on, by identity."""
        return self.facts.spans(self.own)

    def spans_of(self, graphlet: int) -> dict[int, Span]:
        """Spans that an earlier graphlet was trained on, by identity."""
        if self.facts.fate(graphlet).data_known_ms <= self.moment_ms:
            return self.facts.all_spans(graphlet)
        return self.facts.spans(self.members(graphlet))
