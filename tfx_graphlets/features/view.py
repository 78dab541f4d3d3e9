"""View: one graphlet as a gate at a stage could see it at a moment.

Everything that a group of features asks of a graphlet, of its predecessors and
of their fate goes through a View, which leaves out what was not known yet.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

from tfx_graphlets.features.facts import Facts, Member, Span
from tfx_graphlets.features.past import Past, Seen
from tfx_graphlets.graphlets.graphlet import Part
from tfx_graphlets.vocabulary import Outcome, Role, Stage

# A row looks no further back than this, so that its cost does not grow with the history.
LOOK_BACK = 256

_ORDER = {stage: stage.order for stage in Stage}
_DATA_PARTS = (Part.UPSTREAM, Part.ANALYSIS)


@dataclasses.dataclass(frozen=True)
class View:
    """One graphlet at one moment.

    Attributes:
      past: looks at other graphlets as they were.
      graphlet: number of the graphlet.
      stage: what of the graphlet itself may be seen.
      moment_ms: what of everything else may be seen: what was known by then.
    """

    past: Past
    graphlet: int
    stage: Stage
    moment_ms: int

    @property
    def facts(self) -> Facts:
        """Look-ups over the trace; they know no moment."""
        return self.past.facts

    def reaches(self, stage: Stage) -> bool:
        """True if the view's stage is ``stage`` or later."""
        return _ORDER[self.stage] >= _ORDER[stage]

    # -- the graphlet itself -------------------------------------------------------

    @functools.cached_property
    def own(self) -> tuple[Member, ...]:
        """Executions of the graphlet that the stage may see and that had finished."""
        result = []
        for member in self.facts.members(self.graphlet):
            known = member.own_known_ms if self.stage is Stage.INPUT else member.known_ms
            ran = self.past.ran(member.execution)
            if known <= self.moment_ms and ran and self._may_see(member):
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

    @functools.cached_property
    def spans(self) -> Mapping[int, Span]:
        """Spans that the graphlet is trained on, by identity."""
        return self.facts.spans(self.own)

    # -- earlier graphlets ---------------------------------------------------------

    @functools.cached_property
    def previous(self) -> list[int]:
        """Earlier graphlets of the lane, oldest first, the latest LOOK_BACK of them."""
        before: list[int] = self.facts.lanes.before(self.graphlet, self.moment_ms).tolist()
        if self.past.hidden:
            before = [graphlet for graphlet in before if graphlet not in self.past.hidden]
        return before[-LOOK_BACK:]

    def nth_previous(self, n: int) -> int | None:
        """The n-th graphlet before this one, 1 the nearest; None if there is none."""
        return self.previous[-n] if n <= len(self.previous) else None

    def seen(self, graphlet: int) -> Seen:
        """What was known of an earlier graphlet at the moment."""
        return self.past.seen(graphlet, self.moment_ms)

    @functools.cached_property
    def seen_previous(self) -> list[Seen]:
        """What was known of each of ``previous``."""
        return self.past.seen_each(self.previous, self.moment_ms)

    @functools.cached_property
    def outcomes(self) -> list[Outcome]:
        """What had become of each of ``previous``."""
        return [seen.outcome for seen in self.seen_previous]

    @functools.cached_property
    def last_pushed(self) -> int | None:
        """The latest earlier graphlet that had been pushed."""
        pairs = zip(reversed(self.previous), reversed(self.outcomes))
        return next((g for g, outcome in pairs if outcome is Outcome.PUSHED), None)

    @functools.cached_property
    def last_blessed(self) -> int | None:
        """The latest earlier graphlet whose model had been blessed."""
        pairs = zip(reversed(self.previous), reversed(self.seen_previous))
        return next((g for g, seen in pairs if seen.blessed == 1.0), None)
