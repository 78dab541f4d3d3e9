"""The declared schedule of operations."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterable, Iterator

import pytest

from pipelines.flights import holds, schedule, variants
from pipelines.flights.schedule import Cause

ALL_VARIANTS = sorted(variants.VARIANTS)


def pairwise(values: Iterable[dt.datetime]) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    """Each value with the next one."""
    listed = list(values)
    return zip(listed, listed[1:])


@pytest.mark.parametrize("name", ALL_VARIANTS)
def test_a_schedule_follows_from_its_seed(name: str) -> None:
    """The same variant gives the same schedule, and a longer one begins with the shorter one."""
    variant = variants.get_variant(name)
    plan = schedule.plan(variant)
    assert plan == schedule.plan(variant)
    assert schedule.plan(variant, len(plan) + 5)[: len(plan)] == plan


@pytest.mark.parametrize("name", ALL_VARIANTS)
def test_runs_are_numbered_and_days_never_go_back(name: str) -> None:
    """Runs count from 0, and no run stands on an earlier day than the one before it."""
    plan = schedule.plan(variants.get_variant(name))
    assert [run.index for run in plan] == list(range(len(plan)))
    days = [run.day for run in plan]
    assert days == sorted(days)


def test_every_cause_happens() -> None:
    """Over all variants each cause that is declared occurs at least three times."""
    causes = [
        cause
        for variant in variants.VARIANTS.values()
        for run in schedule.plan(variant)
        for cause in run.causes
    ]
    assert {cause: causes.count(cause) for cause in Cause if causes.count(cause) < 3} == {}


@pytest.mark.parametrize("name", ALL_VARIANTS)
def test_late_and_partial_days_come_with_a_later_run(name: str) -> None:
    """What was late or partial is delivered in full by the next run that takes deliveries."""
    plan = schedule.plan(variants.get_variant(name), 200)
    owed: list[dt.date] = []
    for run in plan:
        if run.deliveries or Cause.LATE_DATA in run.causes:
            complete = [one.day for one in run.deliveries if one.before_hour == 24]
            assert complete[: len(owed)] == owed
            owed = [one.day for one in run.deliveries if one.before_hour < 24]
            owed += [run.day] if Cause.LATE_DATA in run.causes else []


@pytest.mark.parametrize("name", ALL_VARIANTS)
def test_a_rerun_takes_nothing_new(name: str) -> None:
    """A re-run, and a run whose upstream is missing, has no delivery."""
    for run in schedule.plan(variants.get_variant(name), 200):
        if Cause.RERUN in run.causes or run.upstream_missing:
            assert run.deliveries == ()


@pytest.mark.parametrize("name", ALL_VARIANTS)
def test_a_fix_brings_back_the_settings_before_the_bad_commit(name: str) -> None:
    """Bad code ends with a fix that has the old settings under a commit number of its own."""
    healthy = schedule.plan(variants.get_variant(name), 1)[0].revision
    numbers = []
    for run in schedule.plan(variants.get_variant(name), 200):
        if not {Cause.BAD_COMMIT, Cause.TRAINER_FAILURE} & set(run.causes):
            if Cause.FIX in run.causes:
                assert run.revision.settings == healthy.settings
                assert run.revision.number > max(numbers)
            healthy = run.revision
        numbers.append(run.revision.number)
    assert numbers == sorted(numbers)


@pytest.mark.parametrize("name", ALL_VARIANTS)
def test_the_clock_of_a_schedule_goes_forward(name: str) -> None:
    """Runs start one after the other, and never before the day that they take is over."""
    variant = variants.get_variant(name)
    plan = schedule.plan(variant, 200)
    starts = [run.at for run in plan if run.at is not None]
    assert len(starts) == (len(plan) if variant.trigger_hours else 0)
    assert all(later > earlier for earlier, later in pairwise(starts))
    for run in plan:
        assert run.at is None or run.at.date() > run.day


def test_a_clock_changes_nothing_but_the_clock() -> None:
    """A variant with hours at which runs start has the runs of the same one without."""
    without = variants.get_variant("flights-jfk-linear-w5")
    clocked = dataclasses.replace(without, trigger_hours=(9, 21))
    runs = [dataclasses.replace(run, at=None) for run in schedule.plan(clocked, 60)]
    assert tuple(runs) == schedule.plan(without, 60)


def test_a_broken_deployment_breaks_its_runs_alone() -> None:
    """In the broken runs serving cannot be written; before and after it is as it was."""
    whole = variants.get_variant("flights-jfk-linear-w5")
    broken = schedule.plan(dataclasses.replace(whole, broken_deployment=(10, 14)), 40)
    for before, after in zip(schedule.plan(whole, 40), broken):
        if 10 <= after.index <= 14:
            assert after.serving_fails
            assert after.causes.count(Cause.SERVING_FAILURE) == 1
        else:
            assert after == before


def test_less_trouble_means_more_plain_days() -> None:
    """A factor of 0 leaves new data in every run."""
    calm = dataclasses.replace(variants.get_variant("flights-jfk-linear-w5"), trouble=0.0)
    assert {run.causes for run in schedule.plan(calm, 60)} == {(Cause.NEW_DATA,)}


def test_a_rule_needs_a_clock() -> None:
    """The message names the argument and what to add."""
    with pytest.raises(ValueError, match=r"rule=HoursBetween.*trigger_hours"):
        dataclasses.replace(
            variants.get_variant("flights-jfk-linear-w5"), rule=holds.HoursBetween(10)
        )


def test_a_variant_that_does_not_exist_is_named() -> None:
    """The message holds the value and the choices."""
    with pytest.raises(ValueError, match=r"variant='flights-bos'.*flights-jfk-linear-w5"):
        variants.get_variant("flights-bos")
