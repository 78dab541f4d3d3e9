"""What is known of re-runs, of holds and of the pipeline's push rate changes the odds."""

from __future__ import annotations

import numpy as np
import pytest

from tests.waste_model.synthetic import number
from tfx_graphlets.features import all_features
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model.prior import EXPECTATIONS, HOLDS, ODDS, RATE, with_prior

NAN = float("nan")


def table_of(columns: dict[str, list[float]]) -> FeatureTable:
    """A table of these columns alone."""
    return FeatureTable(
        Stage.PRE,
        np.arange(len(next(iter(columns.values())))),
        tuple(number(name) for name in columns),
        {name: np.array(values) for name, values in columns.items()},
    )


def lowered(
    expected: list[float], with_code: list[float] | None = None, score: float = 0.5
) -> list[float]:
    """Scores of rows with these expectations, all ``score`` before."""
    columns = {EXPECTATIONS[0]: expected}
    if with_code is not None:
        columns[EXPECTATIONS[1]] = with_code
    return with_prior(np.full(len(expected), score), table_of(columns)).tolist()


def test_a_rerun_that_is_expected_to_fail_has_lower_odds() -> None:
    """Where a re-run is expected to be pushed, or nothing is expected, nothing changes."""
    odds = ODDS * 0.5 / 0.5
    assert lowered([0.0, 1.0, NAN]) == pytest.approx([odds / (1 + odds), 0.5, 0.5])
    assert lowered([0.0, 0.0], score=0.0) == [0.0, 0.0]
    assert lowered([0.0], score=1.0) == [1.0]


def test_what_knows_the_code_too_counts_in_place_of_what_does_not() -> None:
    """A re-run of the data with other code is no re-run."""
    changed, same = lowered([0.0, 1.0], with_code=[1.0, 0.0])
    assert changed == 0.5
    assert same == pytest.approx(1 / 9)
    assert lowered([0.0], with_code=[NAN]) == lowered([0.0])


def test_other_code_on_the_same_data_is_no_rerun() -> None:
    """A fix of code that had failed on these data is not expected to fail again."""
    known = {"history.rerun_expected": [0.0, 0.0, 0.0, 0.0]}
    known["code.transform_same_spans"] = [NAN, 0.0, 1.0, 1.0]
    known["code.transform_rerun_expected"] = [NAN, NAN, 0.0, 0.0]
    known["code.trainer_same_spans"] = [NAN, 1.0, 1.0, 0.0]
    known["code.trainer_rerun_expected"] = [NAN, 0.0, 0.0, NAN]
    assert with_prior(np.full(4, 0.5), table_of(known)).tolist() == pytest.approx(
        [1 / 9, 0.5, 1 / 9, 0.5]
    )


@pytest.mark.parametrize("name", HOLDS)
def test_a_push_that_is_expected_to_be_held_has_lower_odds(name: str) -> None:
    """Whatever the hold depends on; a re-run that would be held besides is lowered twice."""
    columns = {name: [1.0, 0.0, NAN, 1.0], "history.rerun_expected": [NAN, NAN, NAN, 0.0]}
    assert with_prior(np.full(4, 0.5), table_of(columns)).tolist() == pytest.approx(
        [round(1 / 9, 6), 0.5, 0.5, round(1 / 65, 6)]
    )


def test_two_holds_are_no_more_than_one() -> None:
    """At night on a Sunday no less is known than at night."""
    columns = {name: [1.0] for name in HOLDS}
    assert with_prior(np.full(1, 0.5), table_of(columns)).tolist() == pytest.approx([1 / 9])


def test_what_the_prior_asks_for_are_features() -> None:
    """They are registered, so that the prior is not about nothing."""
    asked = {*EXPECTATIONS, *HOLDS, "code.transform_same_spans", "code.trainer_same_spans"}
    assert asked <= {feature.name for feature in all_features(Stage.INPUT)}


def test_half_of_what_the_push_rate_says_is_taken_back() -> None:
    """In log odds; six outcomes at one half are supposed besides the pipeline's own."""
    columns = {RATE[0]: [0.1, 0.9, 0.5, NAN], RATE[1]: [94.0, 94.0, 94.0, 0.0]}
    scores = with_prior(np.full(4, 0.5), table_of(columns))
    odds = scores / (1 - scores)
    seldom = (94 * 0.1 + 3) / 100
    assert odds == pytest.approx(
        [((1 - seldom) / seldom) ** 0.5, (seldom / (1 - seldom)) ** 0.5, 1.0, 1.0], rel=1e-5
    )
    young = with_prior(np.full(1, 0.5), table_of({RATE[0]: [0.1], RATE[1]: [10.0]}))
    assert 0.5 < young[0] < scores[0]
