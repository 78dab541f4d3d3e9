"""Tables of the recorded history: lines of stages and targets, and bands of push rate."""

from __future__ import annotations

import dataclasses
import types

import numpy as np
import pytest

from pipelines.flights import ablation, backtest, replays
from tests.waste_model.synthetic import number
from tfx_graphlets import Stage
from tfx_graphlets.features.table import FeatureTable


def figures(name: str, missed: int, removed: float) -> types.SimpleNamespace:
    """A method that skipped 2 graphlets; the pushes that it missed came two runs later."""
    delay = types.SimpleNamespace(runs=np.full(missed, 2.0), never=0)
    return types.SimpleNamespace(
        name=name,
        kind="rule",
        skipped=2,
        pushes_missed=missed,
        waste_removed=removed,
        push_delay=delay,
    )


def result(pushed: int, removed: float, missed: int = 1) -> types.SimpleNamespace:
    """A replay of 100 graphlets and 100 seconds of waste, half of which is removable."""
    return types.SimpleNamespace(
        gate=figures("gate", missed, removed),
        baselines=(figures("keeps", 0, 0.01), figures("misses", 50, 0.4)),
        pushed=pushed,
        unpushed=100 - pushed,
        waste_ms=100_000.0,
        waste_removable=0.5,
    )


def line(**results: types.SimpleNamespace) -> backtest.Line:
    """A line at `input` and 0.95, with ten rehearsals of each variant."""
    return backtest.Line(
        Stage.INPUT, 0.95, backtest.ALL, results, {name.replace("_", "-"): 10 for name in results}
    )


def cells(text: str) -> list[str]:
    """Of the last row."""
    return [cell.strip() for cell in text.splitlines()[-1].strip("|").split("|")]


@pytest.mark.parametrize(("pushed", "band"), [(1, 0), (10, 1), (59, 2), (89, 3), (99, 4)])
def test_a_variant_stands_in_the_band_of_its_rate(pushed: int, band: int) -> None:
    """Of 100 graphlets, by how many are pushed; the lower bound belongs to the band."""
    found = cells(backtest.bands([line(one=result(pushed, 0.25))]))[2:7]
    assert [bool(cell) for cell in found] == [at == band for at in range(5)]
    assert found[band].startswith(f"1 of {pushed}")


def test_a_band_says_where_the_promise_is_broken() -> None:
    """Misses are added, what is removed is weighted by waste; a star where too many are missed."""
    found = cells(
        backtest.bands(
            [line(a=result(20, 0.1), b=result(25, 0.3), c=result(80, 0.4), d=result(50, 0.1, 9))]
        )
    )
    assert found[3:6] == ["2 of 45, 20%", "9 of 50*, 10%", "1 of 80, 40%"]


def test_a_line_counts_what_rehearsals_cost_and_names_the_best_baseline_that_keeps_the_target() -> (
    None
):
    """Of 100 s of waste ten rehearsals cost 12 %; a baseline that misses 50 keeps nothing."""
    found = cells(backtest.table([line(one=result(100, 0.25, 2))]))
    assert found[:4] == ["`input`, 0.95", "all", "2", "2 of 100"]
    assert found[4].startswith("0.980 [")
    assert found[5].startswith("25.0% [")
    assert found[6:] == ["13.0%", "50%", "0.04 runs", "keeps 1.0%", "50.0%"]


def test_the_chart_shows_what_the_table_says() -> None:
    """Bars are what is removed, the line what is left of it net of rehearsals, never below 0."""
    found = backtest.chart([line(one=result(100, 0.25)), line(one=result(100, 0.05))])
    assert "bar [25.0, 5.0]" in found
    assert "line [13.0, 0.0]" in found


def test_rehearsals_take_place_where_they_pay() -> None:
    """A training of minutes is worth a rehearsal, one of seconds is not."""
    none, every = result(50, 0.1), result(50, 0.2)
    found = list(
        backtest.lines_of(
            Stage.PRE,
            (0.95,),
            {False: {0.95: {"a": none, "b": none}}, True: {0.95: {"a": every, "b": every}}},
            {"a": (2.0, 3.0, 2.0), "b": (200.0, 300.0)},
        )
    )
    assert [one.rehearsal for one in found] == ["no", "all", "auto"]
    assert found[2].results == {"a": none, "b": every}
    assert found[2].rehearsals == {"a": 0, "b": 2}


def test_no_variant_is_judged_by_what_knew_it_and_other_tasks_can_be_kept_apart() -> None:
    """Each is held out once, by itself, with two others, or with all of its task."""
    names = sorted(replays.variants.VARIANTS)
    for by in ("one", "three", "task"):
        groups = list(replays.held_out(names, by))
        assert sorted(name for group in groups for name in group) == names
    assert ("rain-all-wide-w4-experiment",) in groups
    assert max(map(len, replays.held_out(names, "three"))) == 3


def test_what_an_ablation_leaves_out_is_missing() -> None:
    """By the beginning of a feature's name."""
    table = FeatureTable(
        Stage.INPUT,
        np.arange(2),
        (number("code.a"), number("spans.b")),
        {"code.a": np.ones(2), "spans.b": np.ones(2)},
    )
    found = replays.blind(table, replays.ABLATIONS["code"])
    assert np.isnan(found.numbers("code.a")).all()
    assert found.numbers("spans.b").tolist() == [1.0, 1.0]


def test_every_line_of_the_ablation_changes_one_thing() -> None:
    """By an option of the command that prints the table; only rehearsals can miss their parts."""
    (every, none) = ablation.jobs_of("", Stage.INPUT, (0.95, 0.99))
    assert (every.rehearsed, none.rehearsed, every.targets) == (True, False, (0.95, 0.99))
    for option in ablation.CHANGES:
        jobs = ablation.jobs_of(option, Stage.INPUT, (0.95, 0.99))
        changed = [
            field.name
            for field in dataclasses.fields(replays.Job)
            if getattr(jobs[0], field.name) != getattr(every, field.name)
        ]
        assert len(changed) == bool(option)
        assert len(jobs) == (1 if option in ("--without pair", "--without scout") else 2)


def test_the_ablation_sums_waste_and_leaves_empty_what_was_not_replayed() -> None:
    """One row a change, two columns a target."""
    found = {0.95: {"a": result(20, 0.1), "b": result(30, 0.3)}}
    done = {("", False): found, ("", True): found, ("--without pair", True): found}
    rows = ablation.table(done, (0.95,)).splitlines()
    assert rows[2] == "| nothing |  | 20.0%, 2 of 50 | 20.0%, 2 of 50 |"
    assert rows[3].endswith("| `--without pair` |  | 20.0%, 2 of 50 |")
