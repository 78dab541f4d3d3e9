"""What was known of an earlier graphlet at some moment.

From some time on nothing more becomes known of a graphlet; what is seen of it
then is worked out once, and serves every later row. A replay can hide what
would not have run, had a gate skipped it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from tfx_graphlets.features.facts import Facts, Member, Span
from tfx_graphlets.graphlets.graphlet import Part
from tfx_graphlets.graphlets.timeline import NEVER
from tfx_graphlets.vocabulary import ArtifactType, ExecutionState, Outcome, Role

# An execution that was left RUNNING by a crash is waited for no longer than this.
ABANDONED_AFTER_MS = 24 * 3_600_000


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was known of a graphlet at some moment.

    Attributes:
      members: its executions that had finished, and were seen to be its.
      outcome: what had become of it; INCOMPLETE where that was not known: not
        finished, or still on its way.
      pushed_ms: end of the Pusher that had first pushed; NEVER if none had.
      blessed: the verdict of the model validators that counts, 1 or 0, see
        ``graphlets.verdicts``; NaN if none had spoken.
      spans: what it was trained on, by identity.
      span_set: the identities.
    """

    members: tuple[Member, ...]
    outcome: Outcome
    pushed_ms: int
    blessed: float
    spans: Mapping[int, Span]
    span_set: frozenset[int]


class Past:
    """Looks at graphlets as they were.

    Attributes:
      facts: look-ups over the trace.
      hidden: graphlets that were skipped: no later row sees them.
    """

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.hidden: set[int] = set()
        self._not_run: set[int] = set()
        self._settled_ms: dict[int, int] = {}
        self._settled: dict[int, Seen] = {}

    def hide(self, graphlet: int, executions: Iterable[int]) -> None:
        """From now on a graphlet was skipped, and these executions did not run."""
        self.hidden.add(graphlet)
        self._not_run.update(executions)
        self._settled.clear()

    def show(self, executions: Iterable[int]) -> None:
        """These executions did run after all: for another graphlet."""
        shown = self._not_run.intersection(executions)
        if shown:
            self._not_run -= shown
            self._settled.clear()

    def ran(self, execution: int) -> bool:
        """False for an execution that is hidden."""
        return execution not in self._not_run

    def seen(self, graphlet: int, moment_ms: int) -> Seen:
        """What was known of a graphlet at a moment."""
        if graphlet not in self._settled_ms:
            self._settled_ms[graphlet] = self._settles(graphlet)
        if self._settled_ms[graphlet] > moment_ms:
            return self._look(graphlet, moment_ms)
        if graphlet not in self._settled:
            self._settled[graphlet] = self._look(graphlet, moment_ms)
        return self._settled[graphlet]

    def seen_each(self, graphlets: Sequence[int], moment_ms: int) -> list[Seen]:
        """``seen`` of several, in their order."""
        settled, settled_ms = self._settled, self._settled_ms
        return [
            settled[graphlet]
            if graphlet in settled and settled_ms[graphlet] <= moment_ms
            else self.seen(graphlet, moment_ms)
            for graphlet in graphlets
        ]

    def _settles(self, graphlet: int) -> int:
        """From when on all there is to know of a graphlet is known."""
        create_ms = self.facts.trace.executions.create_ms
        retried = self.facts.retried_ms(graphlet)
        latest = 0 if retried == NEVER else retried
        for member in self.facts.members(graphlet):
            if member.known_ms != NEVER:
                latest = max(latest, member.known_ms)
            elif member.part is Part.DOWNSTREAM and member.joined_ms != NEVER:
                abandoned = int(create_ms[member.execution]) + ABANDONED_AFTER_MS + 1
                latest = max(latest, member.joined_ms, abandoned)
        return latest

    def _look(self, graphlet: int, moment_ms: int) -> Seen:
        facts = self.facts
        members = tuple(
            m for m in facts.members(graphlet) if m.known_ms <= moment_ms and self.ran(m.execution)
        )
        spans = facts.spans(members)
        pushed_ms = self._pushed_ms(members)
        return Seen(
            members=members,
            outcome=self._outcome(graphlet, members, pushed_ms, moment_ms),
            pushed_ms=pushed_ms,
            blessed=facts.verdict(members, Role.MODEL_VALIDATOR),
            spans=spans,
            span_set=frozenset(spans),
        )

    def _pushed_ms(self, members: tuple[Member, ...]) -> int:
        return min(
            (
                member.known_ms
                for member in members
                if member.part is Part.DOWNSTREAM and self.facts.graphlets.pushes[member.execution]
            ),
            default=NEVER,
        )

    def _outcome(
        self, graphlet: int, members: tuple[Member, ...], pushed_ms: int, moment_ms: int
    ) -> Outcome:
        """Decided from what was recorded by then only.

        An unpushed graphlet is one that has a Model, no push, and nothing under way.
        """
        if pushed_ms != NEVER:
            return Outcome.PUSHED
        executions = self.facts.trace.executions
        trainer = int(self.facts.graphlets.trainer[graphlet])
        if not any(member.part is Part.TRAINER for member in members):
            return Outcome.INCOMPLETE
        if executions.state[trainer] == ExecutionState.FAILED:
            return Outcome.FAILED
        if self.facts.retried_ms(graphlet) <= moment_ms:
            return Outcome.INCOMPLETE  # the attempt that counts is a later one
        finished = self.facts.timeline.finished_ms
        for member in self.facts.members(graphlet):
            # What is not downstream joined never.
            under_way = member.joined_ms < moment_ms < finished[member.execution]
            under_way = under_way and self.ran(member.execution)
            waited_ms = moment_ms - executions.create_ms[member.execution]
            if under_way and waited_ms <= ABANDONED_AFTER_MS:
                return Outcome.INCOMPLETE
        complete = executions.state[trainer] == ExecutionState.COMPLETE
        has_model = complete and self.facts.outputs(trainer, ArtifactType.MODEL)
        return Outcome.UNPUSHED if has_model else Outcome.INCOMPLETE
