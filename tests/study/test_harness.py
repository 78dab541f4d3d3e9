"""The harness scores nothing by what it could not have known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.study.histories import rows_of, several
from tests.waste_model.synthetic import coin_flips, history
from tests.waste_model.synthetic import number as declared
from tfx_graphlets.study.harness import JOINED, LEFT_OUT, OWN, WAYS, Harness
from tfx_graphlets.study.learners import LEARNERS, Learner
from tfx_graphlets.study.limits import learning_curve, shuffled_labels
from tfx_graphlets.study.measures import measure
from tfx_graphlets.waste_model.dataset import Dataset

pytest.importorskip("ydf")
pytest.importorskip("sklearn")
LOGISTIC = Learner("logistic")
FOREST = Learner("random_forest", trees=10)


def with_outcomes(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """The dataset with the outcomes of some rows in the opposite order."""
    outcome = dataset.outcome.copy()
    outcome[rows] = outcome[rows][::-1]
    assert (outcome != dataset.outcome).any()
    return dataclasses.replace(dataset, outcome=outcome, needed_ms=None)


@pytest.mark.parametrize("learner", LEARNERS)
@pytest.mark.parametrize("way", WAYS)
def test_every_learner_finds_the_signal_in_every_way(learner: str, way: str) -> None:
    """With features that tell of the outcome AUC and balanced accuracy are far above guessing."""
    harness = Harness(several())
    scored = harness.scores(way, Learner(learner, trees=20))
    measures = measure(harness.dataset, scored, scored.known)
    assert measures.graphlets >= 45
    assert measures.auc_within > 0.85
    assert measures.balanced_accuracy > 0.7
    assert measures.auc_interval[0] <= measures.auc <= measures.auc_interval[1]


def test_a_group_of_which_nothing_is_known_says_the_same_of_every_row() -> None:
    """A forest of no feature knows the share of pushes alone."""
    dataset = several()
    blank = declared("rehearsal.margin")
    columns = {blank.name: np.full(len(dataset), np.nan)}
    table = dataclasses.replace(dataset.table, features=(blank,), columns=columns)
    harness = Harness(dataclasses.replace(dataset, table=table))
    known, rows = np.arange(60), np.arange(60, len(harness.dataset))
    score = harness.score_rows(FOREST, harness.table(), known, rows)
    assert score.tolist() == [harness.dataset.needed[known].mean()] * len(rows)


def test_a_left_out_pipeline_has_no_say_in_its_own_scores() -> None:
    """Other outcomes of a pipeline change neither its scores nor its cut or calibration."""
    dataset = several()
    before = Harness(dataset)
    mine = rows_of(before.dataset, 1)
    after = Harness(with_outcomes(before.dataset, mine))
    one, two = (harness.scores(LEFT_OUT, LOGISTIC) for harness in (before, after))
    for name in ("score", "cut", "calibrated"):
        assert np.array_equal(getattr(one, name)[mine], getattr(two, name)[mine])
    others = rows_of(before.dataset, 0)
    assert not np.array_equal(one.score[others], two.score[others])


@pytest.mark.parametrize("way", [OWN, JOINED])
def test_later_outcomes_of_a_pipeline_change_nothing_before_them(way: str) -> None:
    """Forward-chained scores, cuts and calibrations rest on earlier graphlets alone."""
    before = Harness(several())
    mine = rows_of(before.dataset, 1)
    late, early = mine[20:], mine[:20]
    after = Harness(with_outcomes(before.dataset, late))
    one, two = (harness.scores(way, LOGISTIC) for harness in (before, after))
    for name in ("score", "cut", "calibrated"):
        assert np.array_equal(getattr(one, name)[early], getattr(two, name)[early], equal_nan=True)


@pytest.mark.parametrize("way", [OWN, JOINED])
def test_an_outcome_that_was_not_known_yet_is_not_learnt_from(way: str) -> None:
    """Where outcomes become known only at the end, a pipeline's own are of no use to it."""
    dataset = several()
    never = np.full(len(dataset), dataset.known_ms.max() + 1)
    harness = Harness(dataclasses.replace(dataset, known_ms=never))
    scored = harness.scores(way, LOGISTIC)
    if way == OWN:
        assert len(scored.known) == 0
    else:
        left_out = harness.scores(LEFT_OUT, LOGISTIC)
        assert np.array_equal(scored.score, left_out.score)


def test_with_one_pipeline_only_its_own_past_is_learnt_from() -> None:
    """Nothing can be left out: these scores are missing, those of its own are not."""
    harness = Harness(history(coin_flips(40, seed=3)))
    assert len(harness.scores(LEFT_OUT, LOGISTIC).known) == 0
    assert len(harness.scores(JOINED, LOGISTIC).known) == 0
    assert len(harness.scores(OWN, LOGISTIC).known) == 30
    assert learning_curve(harness, LOGISTIC, 1) == ()


def test_more_pipelines_than_folds_are_left_out_together() -> None:
    """No pipeline is in two folds, and every row is scored."""
    harness = Harness(several(pipelines=5, count=14), max_folds=2)
    assert harness.folds == 2
    for number in range(5):
        assert len(set(harness.fold[rows_of(harness.dataset, number)])) == 1
    assert len(harness.scores(LEFT_OUT, LOGISTIC).known) == 70


def test_scores_are_made_once_and_again_alike() -> None:
    """The same question gets the same object, and another harness the same values."""
    one, two = Harness(several(), seed=4), Harness(several(), seed=4)
    assert one.scores(LEFT_OUT, FOREST) is one.scores(LEFT_OUT, FOREST)
    assert np.array_equal(one.scores(LEFT_OUT, FOREST).score, two.scores(LEFT_OUT, FOREST).score)


@pytest.mark.parametrize("way", [LEFT_OUT, OWN])
def test_shuffled_labels_give_the_accuracy_of_guessing(way: str) -> None:
    """On labels that mean nothing balanced accuracy is 0.5 within noise, signal or not."""
    harness = Harness(several(pipelines=4, count=40))
    found = shuffled_labels(harness, LOGISTIC, 6, way)
    assert found is not None
    assert found.balanced_accuracy_spread > 0
    assert found.balanced_accuracy == pytest.approx(0.5, abs=0.05)
    assert found.auc == pytest.approx(0.5, abs=0.07)
    scored = harness.scores(way, LOGISTIC)
    told = measure(harness.dataset, scored, scored.known).balanced_accuracy_within
    assert told > found.balanced_accuracy + 4 * found.balanced_accuracy_spread
