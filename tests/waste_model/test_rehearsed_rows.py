"""Forests that learn from rehearsed graphlets and others."""

from __future__ import annotations

import numpy as np
import pytest

from tfx_graphlets.features.table import Feature, FeatureKind, FeatureTable
from tfx_graphlets.trace.trace import FloatArray
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model.learner import LearnerSettings, train_forest

pytest.importorskip("ydf")

SETTINGS = LearnerSettings(trees=60)


def table(size: FloatArray, margin: FloatArray) -> FeatureTable:
    """Graphlets with their size and the margin of their rehearsal."""
    features = tuple(
        Feature(name, Stage.INPUT, FeatureKind.NUMBER, "unit", "missing", "source")
        for name in ("input_data.size", "rehearsal.scout_change_margin")
    )
    columns = {"input_data.size": size, "rehearsal.scout_change_margin": margin}
    return FeatureTable(Stage.INPUT, np.arange(len(size), dtype=np.int64), features, columns)


def test_a_first_gate_is_answered_by_what_it_knows() -> None:
    """Without a margin the size decides; a margin tells more than the size."""
    random = np.random.default_rng(0)
    size, noise = random.normal(size=300), random.normal(size=300)
    margin = size + noise
    forest = train_forest(table(size, margin), margin > 0, SETTINGS, 0)
    nothing = np.full(2, np.nan)
    first = forest.predict(table(np.array([-1.5, 1.5]), nothing))
    assert first[0] < 0.35
    assert first[1] > 0.55
    second = forest.predict(table(np.array([-1.5, -1.5]), np.array([-1.0, 1.0])))
    assert second[0] < 0.2
    assert second[1] > 0.7


def test_a_history_without_rehearsals_is_learnt_as_if_the_group_did_not_exist() -> None:
    """Columns that are missing everywhere change no tree."""
    size = np.random.default_rng(1).normal(size=100)
    with_group = table(size, np.full(100, np.nan))
    without = FeatureTable(
        with_group.stage, with_group.trainer, with_group.features[:1], {"input_data.size": size}
    )
    forests = [train_forest(one, size > 0, SETTINGS, 0) for one in (with_group, without)]
    assert forests[0].files == forests[1].files


@pytest.mark.parametrize(("share", "learnt"), [(0.5, False), (0.6, True)])
def test_hours_that_few_pipelines_have_are_not_learnt(share: float, learnt: bool) -> None:
    """Known in half of the graphlets or fewer, their presence would tell pipelines apart."""
    known = np.arange(100) < 100 * share
    hours = np.where(known, 3.0, np.nan)
    features = tuple(
        Feature(name, Stage.INPUT, FeatureKind.NUMBER, "unit", "missing", "source")
        for name in ("input_data.size", "history.hour_of_day")
    )
    columns = {"input_data.size": np.ones(100), "history.hour_of_day": hours}
    one = FeatureTable(Stage.INPUT, np.arange(100, dtype=np.int64), features, columns)
    forest = train_forest(one, known, SETTINGS, 0)
    assert ("history.hour_of_day" in [feature.name for feature in forest.features]) is learnt
    assert bool(np.ptp(forest.predict(one)) > 0.5) is learnt
