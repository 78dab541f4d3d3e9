"""What is known of re-runs lowers their odds, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from tests.waste_model.synthetic import number
from tfx_graphlets.features import all_features
from tfx_graphlets.features.table import FeatureTable
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model.prior import EXPECTATIONS, ODDS, with_prior

NAN = float("nan")


def lowered(
    expected: list[float], with_code: list[float] | None = None, score: float = 0.5
) -> list[float]:
    """Scores of rows with these expectations, all ``score`` before."""
    columns = {EXPECTATIONS[0]: expected}
    if with_code is not None:
        columns[EXPECTATIONS[1]] = with_code
    table = FeatureTable(
        Stage.PRE,
        np.arange(len(expected)),
        tuple(number(name) for name in columns),
        {name: np.array(values) for name, values in columns.items()},
    )
    return with_prior(np.full(len(expected), score), table).tolist()


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


def test_the_expectations_are_features() -> None:
    """They are registered, so that the prior is not about nothing."""
    assert set(EXPECTATIONS) <= {feature.name for feature in all_features(Stage.PRE)}
