"""The declared schedule of operations."""

from __future__ import annotations

import datetime as dt

import pytest

from pipelines.flights import schedule, variants
from pipelines.flights.schedule import Cause

ALL_VARIANTS = sorted(variants.VARIANTS)


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
    healthy = schedule.FIRST_REVISION
    numbers = []
    for run in schedule.plan(variants.get_variant(name), 200):
        if not {Cause.BAD_COMMIT, Cause.TRAINER_FAILURE} & set(run.causes):
            if Cause.FIX in run.causes:
                assert run.revision.settings == healthy.settings
                assert run.revision.number > max(numbers)
            healthy = run.revision
        numbers.append(run.revision.number)
    assert numbers == sorted(numbers)


def test_a_variant_that_does_not_exist_is_named() -> None:
    """The message holds the value and the choices."""
    with pytest.raises(ValueError, match=r"variant='flights-bos'.*flights-jfk-linear-w5"):
        variants.get_variant("flights-bos")
