"""The study as a whole: what is in it, and how it is written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.study.histories import several
from tests.waste_model.synthetic import (
    EVALUATOR_MS,
    GEN_MS,
    PUSHER_MS,
    STATISTICS_MS,
    TRAINER_MS,
    coin_flips,
    history,
)
from tfx_graphlets.errors import InvalidArgumentError, NotEnoughHistoryError
from tfx_graphlets.study import Study, StudySettings, run_study
from tfx_graphlets.study.document import markdown, summary, write_study
from tfx_graphlets.study.harness import LEFT_OUT, Harness, Scored
from tfx_graphlets.study.learners import Learner
from tfx_graphlets.study.limits import learning_curve
from tfx_graphlets.study.reliability import calibration_error, equal_count_bins
from tfx_graphlets.study.staged import best_point, meter_of, relative_feature_cost, waste_curve
from tfx_graphlets.vocabulary import Stage

pytest.importorskip("ydf")
pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")
QUICK = StudySettings(learners=("logistic", "random_forest"), trees=5, repeats=2, permutations=2)
PLOTS = {"ablation.png", "learners.png", "learning_curve.png", "reliability.png", "staged.png"}


@pytest.fixture(scope="module")
def study() -> Study:
    """One study for the tests that read it."""
    return run_study({stage: several(stage=stage) for stage in (Stage.PRE, Stage.INPUT)}, QUICK)


def test_the_study_has_every_part_at_every_stage(study: Study) -> None:
    """Stages come in the order of time, and each part is there for each."""
    assert study.stages == ("input", "pre")
    assert [one.stage for one in study.staged] == ["input", "pre"]
    assert len(study.comparison) == 2 * 2 * 3
    assert len(study.reliability) == 2 * 2 * 2 * 2
    assert {(one.stage, one.way) for one in study.ablation} == {
        (stage, way) for stage in study.stages for way in ("left_out", "own")
    }
    assert {(one.stage, one.of) for one in study.learning_curve} == {
        (stage, of) for stage in study.stages for of in ("pipelines", "graphlets")
    }
    assert len(study.shuffled_labels) == 4


def test_the_same_seed_gives_the_same_study(study: Study) -> None:
    """Every figure comes out again, whatever other stages are studied with it."""
    again = run_study({Stage.PRE: several()}, QUICK).to_dict()
    for part in ("staged", "comparison", "reliability", "ablation", "shuffled_labels"):
        first = [one for one in study.to_dict()[part] if one["stage"] == "pre"]
        assert again[part] == first


def test_another_seed_makes_other_random_choices() -> None:
    """The learning curve's choices depend on the seed, and on nothing else."""
    harness = Harness(several())
    one, two, other = (learning_curve(harness, Learner("logistic"), 2, seed) for seed in (0, 0, 1))
    assert one == two
    assert one != other


def test_progress_is_told_of_every_part() -> None:
    """It counts from none to all."""
    told: list[tuple[int, int, str]] = []
    run_study({Stage.PRE: several(count=12)}, QUICK, lambda *values: told.append(values))
    assert [done for done, _, _ in told] == list(range(7))
    assert {total for _, total, _ in told} == {6}
    assert told[0][2] == "learners, stage pre"


def test_a_study_is_written_whole_and_replaces_one_of_its_kind(
    study: Study, tmp_path: Path
) -> None:
    """JSON, Markdown and plots are in the directory, and nothing beside it."""
    target = tmp_path / "deep" / "study"
    target.mkdir(parents=True)
    (target / "study.json").write_text('{"kind": "tfx_graphlets.study"}', encoding="utf-8")
    (target / "left_over.png").write_bytes(b"")
    names = write_study(study, target)
    assert {path.name for path in target.iterdir()} == set(names)
    assert set(names) == {"study.json", "study.md", *PLOTS}
    assert [path.name for path in target.parent.iterdir()] == ["study"]
    document = json.loads((target / "study.json").read_text(encoding="utf-8"))
    assert document == study.to_dict()
    for name in PLOTS:
        assert (target / name).read_bytes().startswith(b"\x89PNG")


def test_a_directory_that_holds_something_else_is_refused(study: Study, tmp_path: Path) -> None:
    """Neither a file nor a foreign directory is overwritten."""
    (tmp_path / "precious.txt").write_text("mine", encoding="utf-8")
    for target in (tmp_path, tmp_path / "precious.txt"):
        with pytest.raises(InvalidArgumentError, match="no study"):
            write_study(study, target)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_the_document_has_a_table_for_each_part(study: Study) -> None:
    """Every table's rows have as many cells as its head."""
    text = markdown(study)
    headings = [line for line in text.splitlines() if line.startswith("## ")]
    assert len(headings) == 3 + 4 + 3
    for block in text.split("\n\n"):
        if block.startswith("|"):
            assert len({line.count("|") for line in block.splitlines()}) == 1
    assert "stage pre: AUC" in summary(study)


def test_one_pipeline_is_studied_by_its_own_past(tmp_path: Path) -> None:
    """What needs other pipelines is left out, and a note says so."""
    dataset = history(coin_flips(40, seed=3))
    study = run_study({Stage.PRE: dataset}, QUICK)
    assert {one.way for one in study.comparison} == {"own"}
    assert {one.way for one in study.ablation} == {"own"}
    assert study.staged[0].way == "own"
    assert study.learning_curve == ()
    assert any("one pipeline" in note for note in study.notes)
    assert set(write_study(study, tmp_path / "study")) == {
        "study.json", "study.md", *(PLOTS - {"learning_curve.png"}),
    }  # fmt: skip
    json.dumps(study.to_dict(), allow_nan=False)


def test_too_little_history_or_another_stage_is_refused() -> None:
    """A study of nothing, of few graphlets, or of a dataset under a wrong stage is an error."""
    with pytest.raises(InvalidArgumentError, match="at least one stage"):
        run_study({})
    with pytest.raises(NotEnoughHistoryError, match="4 pushed and 4 unpushed"):
        run_study({Stage.PRE: history("PUPUPUPU")})
    with pytest.raises(InvalidArgumentError, match="are of stage pre"):
        run_study({Stage.INPUT: history("PUPUPUPU")})


@pytest.mark.parametrize(
    ("stage", "spent"),
    [
        (Stage.INPUT, GEN_MS),
        (Stage.PRE, GEN_MS + STATISTICS_MS),
        (Stage.TRAINER, GEN_MS + STATISTICS_MS + TRAINER_MS),
        (Stage.VALIDATION, GEN_MS + STATISTICS_MS + TRAINER_MS + EVALUATOR_MS),
    ],
)
def test_the_feature_cost_is_what_runs_before_the_gate(stage: Stage, spent: int) -> None:
    """Of a run's whole cost the executions before the gate's point count as spent."""
    whole = GEN_MS + STATISTICS_MS + TRAINER_MS + EVALUATOR_MS + PUSHER_MS
    dataset = history("PUPF", stage=stage)
    assert relative_feature_cost(dataset.only_labelled()) == pytest.approx(spent / whole)


def test_a_perfect_score_removes_what_an_oracle_removes() -> None:
    """The curve passes freshness 1 with all that is removable, and ends with all skipped."""
    dataset = history("PUPUUP")
    score = dataset.pushed.astype(float)
    meter = meter_of(dataset)
    assert meter is not None
    curve = waste_curve(dataset, Scored(score, score, score), meter)
    best = best_point(dataset, Scored(score, score, score), meter, 1.0)
    assert best in curve
    assert best.waste_removed == pytest.approx(meter.removable)
    assert (curve[0].skipped, curve[0].freshness, curve[0].waste_removed) == (0.0, 1.0, 0.0)
    assert (curve[-1].skipped, curve[-1].freshness) == (1.0, 0.0)


def test_bins_hold_equally_many_and_a_calibrated_score_has_a_small_error() -> None:
    """Labels that are drawn with the probabilities give an error near 0, others do not."""
    draw = np.random.default_rng(0)
    probability = draw.random(5000)
    pushed = draw.random(5000) < probability
    bins = equal_count_bins(probability, pushed)
    assert {one.graphlets for one in bins} == {500}
    assert calibration_error(bins) < 0.03
    assert calibration_error(equal_count_bins(probability, ~pushed)) > 0.4


def test_more_graphlets_to_learn_from_bring_a_higher_auc() -> None:
    """The learning curve rises where there is a signal, and ends with all that there is."""
    harness = Harness(several(pipelines=4, count=40, strength=1.5))
    points = learning_curve(harness, Learner("logistic"), repeats=4)
    graphlets = [point for point in points if point.of == "graphlets"]
    assert graphlets[-1].auc > graphlets[0].auc
    assert graphlets[-1].repeats == 1
    scored = harness.scores(LEFT_OUT, Learner("logistic"))
    assert len(scored.known) == graphlets[-1].size + len(scored.known) // 4
