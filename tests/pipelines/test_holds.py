"""What holds a push back."""

from __future__ import annotations

import datetime as dt

import pytest

from pipelines.flights import holds, schedule, variants
from pipelines.flights.holds import Moment

MONDAY = dt.datetime(2013, 6, 3, 10, 0)  # noqa: DTZ001 - the schedule's clock has no zone


def moment(
    hours: float = 0.0, *, since_push: float | None = None, index: int = 0, seed: int = 1
) -> Moment:
    """Some hours after Monday at ten, the last push some hours before that."""
    at = MONDAY + dt.timedelta(hours=hours)
    push = None if since_push is None else at - dt.timedelta(hours=since_push)
    return Moment(at, index, seed, push)


@pytest.mark.parametrize(
    ("since_push", "held"), [(None, False), (0.5, True), (59.9, True), (60, False)]
)
def test_a_push_waits_for_its_hours(since_push: float | None, held: bool) -> None:
    """Fewer hours than demanded since the last push hold the next one; without one nothing does."""
    assert holds.HoursBetween(60).holds(moment(since_push=since_push)) is held


@pytest.mark.parametrize(
    ("hours", "held"),
    [(0, False), (6.9, False), (7, True), (-1.1, True), (24, False), (5 * 24, True)],
)
def test_working_time_is_hours_on_days(hours: float, held: bool) -> None:
    """Nine to five from Monday to Friday: the end is no working time, Saturday neither."""
    assert holds.WorkingTime(from_hour=9, to_hour=17).holds(moment(hours)) is held


def test_a_person_releases_only_in_working_time() -> None:
    """With chance 1 every run in working time, with chance 0 none, with 0.7 about seven of ten."""
    present = holds.WorkingTime(from_hour=9, to_hour=17)
    runs = [moment(index=index) for index in range(400)]
    assert not any(holds.Approval(1.0, present).holds(run) for run in runs)
    assert all(holds.Approval(0.0, present).holds(run) for run in runs)
    assert all(holds.Approval(1.0, present).holds(moment(12, index=n)) for n in range(5))
    released = sum(not holds.Approval(0.7, present).holds(run) for run in runs)
    assert 250 <= released <= 310


def test_a_canary_ends_between_its_bounds() -> None:
    """Nothing is pushed before the shortest, and nothing held after the longest and a recovery."""
    canary = holds.Canary(20.0, 70.0, 0.5, 72.0)
    assert not canary.holds(moment())
    ends = set()
    for number in range(50):
        last = MONDAY + dt.timedelta(hours=number)
        held = [
            hours
            for hours in range(200)
            if canary.holds(Moment(last + dt.timedelta(hours=hours), number, 1, last))
        ]
        assert held == list(range(len(held)))
        ends.add(len(held))
    assert min(ends) >= 20
    assert max(ends) <= 143
    assert max(ends) > 92  # some canary failed


def test_an_experiment_is_promoted_by_number() -> None:
    """The runs that are named, and no others."""
    rule = holds.Experiment((2, 22))
    assert [n for n in range(40) if not rule.holds(moment(index=n))] == [2, 22]


def test_every_kind_of_rule_has_a_variant() -> None:
    """Each rule is in the schedule of a variant, and holds some of its runs but not all."""
    ruled = [variant for variant in variants.VARIANTS.values() if variant.rule is not None]
    assert {type(variant.rule) for variant in ruled} == set(holds.Rule.__args__)
    for variant in ruled:
        last, held = None, []
        for run in schedule.plan(variant):
            assert run.at is not None
            assert variant.rule is not None
            held.append(variant.rule.holds(Moment(run.at, run.index, variant.seed, last)))
            last = last if held[-1] else run.at
        assert True in held, variant.name
        assert False in held, variant.name
