"""Explanations: told once for what is meant, and the most similar past graphlets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.waste_model.synthetic import coin_flips, history
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.features import all_features
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.policy.decision import Contribution
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.vocabulary import Outcome, Stage
from tfx_graphlets.waste_model import explanation
from tfx_graphlets.waste_model.dataset import Dataset
from tfx_graphlets.waste_model.explanation import most_similar
from tfx_graphlets.waste_model.learner import LearnerSettings
from tfx_graphlets.waste_model.model import WasteModel
from tfx_graphlets.waste_model.training import train_waste_model

REGISTERED = {feature.name: feature for feature in all_features(Stage.PRE)}
SAME = ("input_data.jaccard_1", "input_data.similarity_1")
CODE = "code.transform_value_margin"


def table_of(**values: float) -> FeatureTable:
    """One row; names with ``__`` in place of the dot."""
    named = {name.replace("__", "."): value for name, value in values.items()}
    features = tuple(REGISTERED[name] for name in named)
    columns = {name: np.array([value]) for name, value in named.items()}
    return FeatureTable(Stage.PRE, np.array([9], np.int64), features, columns)


def unless_new(table: FeatureTable) -> FloatArray:
    """0.5, but 0.1 as long as either feature says that the data are the same."""
    same = (table.numbers(SAME[0]) == 1) | (table.numbers(SAME[1]) == 1)
    bad = table.numbers(CODE) < 0
    return np.asarray(np.where(same, 0.1, 0.5) - np.where(bad, 0.02, 0.0), np.float64)


ROW = table_of(
    input_data__jaccard_1=1.0, input_data__similarity_1=1.0, code__transform_value_margin=-0.7
)
USUAL = {SAME[0]: 0.5, SAME[1]: 0.5, CODE: 0.1}


def told(table: FeatureTable = ROW) -> tuple[Contribution, ...]:
    """What moved the made-up model."""
    return explanation.contributions(unless_new, table.features, USUAL, table, 0, 5)


def test_features_that_stand_in_for_each_other_are_measured_together() -> None:
    """Neither alone moves the model, both together do: the effect is told, and once."""
    first, second = told()
    assert (first.feature, first.value) == (SAME[0], "1")
    assert first.effect == pytest.approx(-0.4)
    assert first.phrase == "the data are exactly those of the last trained run"
    assert (second.feature, second.effect) == (CODE, pytest.approx(-0.02))


def test_what_has_its_usual_value_is_not_told() -> None:
    """A feature at its usual value moved nothing, and no variant of it is scored."""
    usual = table_of(
        input_data__jaccard_1=0.5, input_data__similarity_1=0.5, code__transform_value_margin=-0.7
    )
    assert [one.feature for one in told(usual)] == [CODE]


def test_a_contribution_brings_the_advice_of_its_topic() -> None:
    """Bad code asks for a fix; the same data ask for new data."""
    first, second = told()
    assert "new data" in first.advice
    assert "fix" in second.advice


def test_all_variants_are_scored_in_one_call() -> None:
    """An explanation asks the model once."""
    calls: list[int] = []

    def counting(table: FeatureTable) -> FloatArray:
        calls.append(len(table))
        return unless_new(table)

    explanation.contributions(counting, ROW.features, USUAL, ROW, 0, 5)
    assert len(calls) == 1
    assert calls[0] <= 1 + 2 + 2 * len(SAME)


# -- the most similar ------------------------------------------------------------------


def closeness(table: FeatureTable, other: FeatureTable) -> FloatArray:
    """1 for the same signal, less the farther apart."""
    difference = table.numbers("made.signal")[:, None] - other.numbers("made.signal")[None, :]
    return np.asarray(np.exp(-np.abs(difference)), np.float64)


def past(outcomes: str = "PUFPU") -> Dataset:
    """Graphlets whose signal is 0, 1, 2, ..."""
    dataset = history(outcomes)
    columns = {**dataset.table.columns, "made.signal": np.arange(len(outcomes), dtype=float)}
    return dataclasses.replace(dataset, table=dataclasses.replace(dataset.table, columns=columns))


def asked(dataset: Dataset, signal: float) -> FeatureTable:
    """One row that is none of the dataset."""
    row = dataset.table.take(np.array([0], np.int64))
    return dataclasses.replace(
        row,
        trainer=np.array([0], np.int64),
        columns={**row.columns, "made.signal": np.array([signal])},
    )


def test_the_most_similar_come_first_with_their_fate() -> None:
    """Only pushed and unpushed ones are compared: the failed one, though nearest, is left out."""
    dataset = past()
    found = most_similar(closeness, asked(dataset, 2.2), 0, dataset, 2)
    assert [one.trainer for one in found] == dataset.table.trainer[[3, 1]].tolist()
    assert [one.pushed for one in found] == [True, False]
    assert found[0].similarity == pytest.approx(np.exp(-0.8))
    assert found[0].decision_ms == dataset.decision_ms[3]
    assert dataset.outcome[2] == Outcome.FAILED


def test_an_outcome_that_was_not_known_yet_is_not_told() -> None:
    """What became known after the moment of the decision does not count."""
    dataset = past()
    moment = int(dataset.known_ms[1])
    found = most_similar(closeness, asked(dataset, 3.0), 0, dataset, 5, moment_ms=moment)
    assert [one.trainer for one in found] == dataset.table.trainer[[1, 0]].tolist()


def test_a_graphlet_is_not_compared_with_itself() -> None:
    """The row's own graphlet is left out."""
    dataset = past()
    found = most_similar(closeness, dataset.table, 3, dataset, 9)
    assert dataset.table.trainer[3] not in [one.trainer for one in found]


def test_runs_are_those_given_else_those_of_the_sources() -> None:
    """Without sources and names the run is empty, and the Trainer names the graphlet."""
    dataset = past()
    table = asked(dataset, 0.0)
    from_source = most_similar(closeness, table, 0, dataset, 1)[0]
    assert from_source.run
    given = most_similar(closeness, table, 0, dataset, 1, runs=list("abcde"))[0]
    assert (given.run, given.name) == ("a", "a")
    bare = most_similar(closeness, table, 0, dataclasses.replace(dataset, sources={}), 1)[0]
    assert (bare.run, bare.name) == ("", str(bare.trainer))


def test_of_equally_similar_ones_the_latest_comes_first() -> None:
    """Ties are broken by time."""
    dataset = past("PUPU")
    columns = {**dataset.table.columns, "made.signal": np.zeros(4)}
    dataset = dataclasses.replace(
        dataset, table=dataclasses.replace(dataset.table, columns=columns)
    )
    found = most_similar(closeness, asked(dataset, 0.0), 0, dataset, 4)
    assert [one.trainer for one in found] == dataset.table.trainer[::-1].tolist()


def test_without_candidates_nothing_is_similar() -> None:
    """A history in which nothing is labelled gives none."""
    dataset = past("FF")
    assert most_similar(closeness, asked(dataset, 0.0), 0, dataset, 3) == ()


def test_misuse_is_refused() -> None:
    """Names for other graphlets, or graphlets of another stage, are an error."""
    dataset = past()
    with pytest.raises(InvalidArgumentError, match="runs"):
        most_similar(closeness, asked(dataset, 0.0), 0, dataset, 3, runs=["a"])
    with pytest.raises(InvalidArgumentError, match="past"):
        most_similar(closeness, asked(dataset, 0.0), 0, history("PU", stage=Stage.INPUT), 3)


# -- a trained model -------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> WasteModel:
    """A small forest in which the signal tells of the outcome."""
    pytest.importorskip("ydf")
    return train_waste_model(
        history(coin_flips(80, seed=1)), Stage.PRE, 0.9, seed=3, settings=LearnerSettings(trees=40)
    )


def test_proximity_is_the_share_of_trees_with_one_leaf(model: WasteModel) -> None:
    """A row is entirely like itself, the measure is symmetric and in steps of one tree."""
    table = history("PUPUPU", seed=4).table
    proximity = model.forest.proximity(table, table)
    assert proximity.shape == (6, 6)
    assert np.array_equal(np.diag(proximity), np.ones(6))
    assert np.array_equal(proximity, proximity.T)
    assert np.allclose(proximity * 40, np.round(proximity * 40))
    assert model.forest.proximity(table, table.take(np.zeros(0, np.int64))).shape == (6, 0)


def test_similar_graphlets_of_a_forest_share_the_fate_that_it_predicts(model: WasteModel) -> None:
    """Where the forest is sure of a push, most of the nearest were pushed, and the other way."""
    unseen, before = history(coin_flips(60, seed=9), seed=5), history(coin_flips(80, seed=1))
    score = model.predict(unseen.table)
    fate = {
        row: np.mean([one.pushed for one in model.similar(unseen.table, row, before, top=5)])
        for row in (int(score.argmin()), int(score.argmax()))
    }
    assert fate[int(score.argmax())] > 0.5 > fate[int(score.argmin())]


@pytest.mark.parametrize("known", [80, 0])
def test_judged_at_once_the_answers_are_the_same(model: WasteModel, known: int) -> None:
    """Probability, contributions and similar graphlets are those of the three single calls."""
    unseen, before = history(coin_flips(6, seed=9), seed=5), history(coin_flips(80, seed=1))
    before = before.take(np.arange(known))
    for row in range(len(unseen)):
        judged = model.judge(unseen.table, row, before)
        assert judged.probability == model.predict(unseen.table)[row]
        assert judged.contributions == model.explain(unseen.table, row)
        assert judged.similar == model.similar(unseen.table, row, before)


def test_a_table_of_another_stage_is_not_judged(model: WasteModel) -> None:
    """As it is neither predicted nor compared."""
    other = history("PU", stage=Stage.INPUT)
    with pytest.raises(InvalidArgumentError, match="stage must be that of the model"):
        model.judge(other.table, 0, other)
