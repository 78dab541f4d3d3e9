"""What holds a good model back: rules of operations, asked with the schedule's clock."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from typing import Union


@dataclass(frozen=True)
class Moment:
    """What a rule may know when a run starts.

    at: the schedule's clock. index: number of the run. seed: of the variant, for what a rule draws.
    last_push: start of the run that pushed last, by the same clock; None if none did.
    """

    at: dt.datetime
    index: int
    seed: int
    last_push: dt.datetime | None = None

    @property
    def hours_since_push(self) -> float:
        """Hours since the last push; infinite if there was none."""
        if self.last_push is None:
            return float("inf")
        return (self.at - self.last_push).total_seconds() / 3600


@dataclass(frozen=True)
class HoursBetween:
    """At most one push in so many hours."""

    hours: float

    def holds(self, moment: Moment) -> bool:
        """Whether a push of the run at this moment is withheld."""
        return moment.hours_since_push < self.hours


@dataclass(frozen=True)
class WorkingTime:
    """Pushes on some days of the week (ISO, 1 is Monday) and between two hours of the day alone."""

    weekdays: tuple[int, ...] = (1, 2, 3, 4, 5)
    from_hour: int = 0
    to_hour: int = 24

    def holds(self, moment: Moment) -> bool:
        """Whether a push of the run at this moment is withheld."""
        return (
            moment.at.isoweekday() not in self.weekdays
            or not self.from_hour <= moment.at.hour < self.to_hour
        )


@dataclass(frozen=True)
class Approval:
    """A person releases what is blessed: in working time, and with this chance in each run."""

    chance: float
    working_time: WorkingTime

    def holds(self, moment: Moment) -> bool:
        """Whether a push of the run at this moment is withheld."""
        drawn = random.Random(f"approval-{moment.seed}-{moment.index}").random()
        return self.working_time.holds(moment) or drawn >= self.chance


@dataclass(frozen=True)
class Canary:
    """The model pushed last serves a part of the traffic first; until that is over, no next one.

    shortest, longest: hours that a canary takes, drawn for each push.
    failing: chance that one fails; it then takes `recovery` hours more until pushes are free again.
    """

    shortest: float
    longest: float
    failing: float
    recovery: float

    def holds(self, moment: Moment) -> bool:
        """Whether a push of the run at this moment is withheld."""
        if moment.last_push is None:
            return False
        draw = random.Random(f"canary-{moment.seed}-{moment.last_push.isoformat()}")
        hours = draw.uniform(self.shortest, self.longest)
        hours += self.recovery if draw.random() < self.failing else 0.0
        return moment.hours_since_push < hours


@dataclass(frozen=True)
class Experiment:
    """Nobody serves what is trained; in a few runs, by number, someone promotes a model."""

    promoted: tuple[int, ...]

    def holds(self, moment: Moment) -> bool:
        """Whether a push of the run at this moment is withheld."""
        return moment.index not in self.promoted


Rule = Union[HoursBetween, WorkingTime, Approval, Canary, Experiment]
