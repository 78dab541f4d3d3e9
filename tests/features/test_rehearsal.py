"""Features of what was tried before the Trainer."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.features.leaks import leaks
from tests.features.memory_payloads import metrics
from tests.features.runs import Runs
from tfx_graphlets.features import FeatureTable, all_features, describe
from tfx_graphlets.features.groups.rehearsal import GROUP, Rehearsals
from tfx_graphlets.gate.rehearsals import RehearsalPast, rehearsal_past, with_rehearsal
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.vocabulary import Stage

# Rehearsed gain over the serving model, and what training brought: always 0.02 more.
GAINS = (0.01, 0.03, -0.02, 0.0, 0.02, 0.01)


class RehearsedRuns(Runs):
    """Runs with a Rehearsal artifact each, made before anything else of its run."""

    def rehearse(self, **properties: object) -> int:
        """Adds the artifact of the next run; by default of stage pre, with the run's name."""
        name = f"{self.pipeline}-run-{self.count + 1}"
        values = {"rehearsed": 1, "stage": "pre", "run": name, "mode": "scout", "seconds": 0.5}
        found = {key: value for key, value in {**values, **properties}.items() if value is not None}
        return self.build.artifact(
            "tfx_graphlets.Rehearsal",
            uri=f"{name}/Rehearsal",
            **found,  # type: ignore[arg-type]
        )

    def rehearsed_run(self, gain: float, **run: object) -> None:
        """A run whose scout gained so much, and whose model 0.02 more."""
        self.rehearse(scout_change_margin=gain, scout_value_margin=0.1 + gain)
        content = metrics(0.72 + gain, baseline=0.7)
        self.run(metrics=content, pushed=gain + 0.01 > 0, **run)  # type: ignore[arg-type]


@pytest.fixture
def history() -> RehearsedRuns:
    """Six rehearsed runs."""
    runs = RehearsedRuns()
    for gain in GAINS:
        runs.rehearsed_run(gain)
    return runs


def test_margins_are_those_of_the_own_run(history: RehearsedRuns) -> None:
    """Each graphlet has the margins of its run's artifact, and of no other."""
    table = history.table(Stage.PRE)
    assert np.allclose(table.numbers("rehearsal.scout_change_margin"), GAINS)
    assert np.isnan(table.numbers("rehearsal.probe_change_margin")).all()


def test_a_steady_difference_is_learnt_from_past_pairs(history: RehearsedRuns) -> None:
    """The expected margin nears the real one (0.01 more) as pairs come; none before two."""
    table = history.table(Stage.PRE)
    expected = table.numbers("rehearsal.expected_change") - np.array(GAINS)
    assert np.isnan(expected[:2]).all()
    assert (np.diff(expected[2:]) > 0).all()
    assert 0.005 < expected[-1] < 0.011
    chance = table.numbers("rehearsal.scout_change_chance")
    assert chance[4] > 0.5
    assert chance[5] == pytest.approx(table.numbers("rehearsal.chance")[5])


def test_where_none_is_wired_all_is_missing() -> None:
    """A pipeline without rehearsals has the columns, and nothing in them."""
    runs = Runs()
    runs.run()
    row = runs.last(Stage.VALIDATION)
    names = [name for name in row if name.startswith("rehearsal.")]
    assert len(names) == len(GROUP.features)
    assert all(row[name] is None for name in names)


@pytest.mark.parametrize(
    "properties",
    [
        {"rehearsed": 0, "scout_change_margin": 0.5},
        {"scout_change_margin": 0.5, "run": "another run"},
        {"scout_change_margin": 0.5, "run": None},
        {"scout_change_margin": 0.5, "trainer": "OtherTrainer"},
        {"scout_change_margin": 0.5, "stage": "nonsense"},
        {"scout_change_margin": 0.5, "stage": None},
    ],
)
def test_what_is_not_of_this_graphlet_is_not_seen(properties: dict[str, object]) -> None:
    """Artifacts without a result, of another run or Trainer, or that say no stage."""
    runs = RehearsedRuns()
    runs.rehearse(**properties)
    runs.run()
    assert runs.last(Stage.PRE)["rehearsal.scout_change_margin"] is None


def test_the_trainer_that_it_stands_for_is_its_node() -> None:
    """The node id with and without the pipeline's name, as TFX writes it into contexts."""
    for trainer in ("Trainer", "p.Trainer"):
        runs = RehearsedRuns()
        runs.rehearse(scout_change_margin=0.5, trainer=trainer)
        runs.run()
        assert runs.last(Stage.PRE)["rehearsal.scout_change_margin"] == 0.5


def test_a_rehearsal_before_the_trainer_is_not_known_at_input() -> None:
    """One of stage pre is seen from pre on, one of stage input from the start."""
    for stage, at_input in (("pre", None), ("input", 0.5)):
        runs = RehearsedRuns()
        runs.rehearse(scout_change_margin=0.5, stage=stage)
        runs.run()
        assert runs.last(Stage.INPUT)["rehearsal.scout_change_margin"] == at_input
        assert runs.last(Stage.PRE)["rehearsal.scout_change_margin"] == 0.5


@pytest.mark.parametrize("stage", Stage)
def test_no_rehearsal_leaks(history: RehearsedRuns, stage: Stage) -> None:
    """Cut at its moment, a graphlet shows the same; later runs' rehearsals change nothing."""
    graphlets = segment(history.build.trace())
    for number in range(len(graphlets)):
        assert leaks(graphlets, stage, number, history.payloads) == {}


def test_margins_need_no_payloads(history: RehearsedRuns) -> None:
    """They stand on the artifact; without metrics of earlier models there is no chance."""
    graphlets = segment(history.build.trace())
    table = describe(graphlets, Stage.PRE)
    assert np.allclose(table.numbers("rehearsal.scout_change_margin"), GAINS)
    assert np.isnan(table.numbers("rehearsal.chance")).all()


def test_the_second_gate_sees_what_a_later_snapshot_would(history: RehearsedRuns) -> None:
    """Margins put onto the snapshot's row give the row of a snapshot after the rehearsal."""
    history.rehearsed_run(0.015)
    graphlets = segment(history.build.trace())
    number = len(graphlets) - 1
    later = history.table(Stage.PRE).take(np.array([number]))
    moment = int(graphlets.trace.executions.create_ms[graphlets.trainer[number]])
    past = rehearsal_past(graphlets, number, Stage.PRE, history.payloads, moment)
    empty = dataclasses.replace(
        later,
        columns={
            name: np.array([np.nan]) if name.startswith("rehearsal.") else column
            for name, column in later.columns.items()
        },
    )
    found = Rehearsals(graphlets).of(number, Stage.PRE, moment)
    assert found is not None
    again = RehearsalPast.from_dict(past.to_dict())
    mine = with_rehearsal(empty, found.margins, again)
    for feature in all_features(Stage.PRE, [GROUP]):
        assert np.array_equal(
            mine.numbers(feature.name), later.numbers(feature.name), equal_nan=True
        ), feature.name


def test_the_snapshot_names_scout_costs_and_pairs(history: RehearsedRuns) -> None:
    """Scout of the last blessed graphlet, seconds behind the gate and of rehearsals, pairs."""
    history.run(pushed=False)
    graphlets = segment(history.build.trace())
    moment = int(graphlets.trace.executions.create_ms[graphlets.trainer[-1]])
    past = rehearsal_past(graphlets, len(graphlets) - 1, Stage.PRE, history.payloads, moment)
    assert past.scout == "p-run-6/Rehearsal"
    assert past.behind_s == (3.0,) * 6  # Trainer, Evaluator, Pusher: a second each
    assert past.trainer_s == (1.0,) * 6
    assert past.scout_s == (0.5,) * 6
    rehearsed, real = zip(*past.pairs["scout_change_margin"])
    assert np.allclose(rehearsed, GAINS)
    assert np.allclose(real, np.array(GAINS) + 0.01)


def test_tables_of_both_kinds_of_runs_join(history: RehearsedRuns) -> None:
    """Rehearsed pipelines and others have the same columns, so that one forest learns from both."""
    plain = Runs("plain")
    plain.run()
    table = FeatureTable.concatenate([history.table(Stage.PRE), plain.table(Stage.PRE)])
    assert np.isfinite(table.numbers("rehearsal.scout_change_margin")).sum() == len(GAINS)
