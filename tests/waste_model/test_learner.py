"""Gradient boosted trees beside the random forest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.waste_model.synthetic import FEATURES, coin_flips, history
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.vocabulary import Stage
from tfx_graphlets.waste_model import load_waste_model, train_waste_model
from tfx_graphlets.waste_model.learner import (
    Forest,
    GradientTreesSettings,
    LearnerSettings,
    settings_of,
    train_forest,
)
from tfx_graphlets.waste_model.metrics import area_under_curve

pytest.importorskip("ydf")
KINDS = [LearnerSettings(trees=20), GradientTreesSettings(trees=20)]


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: settings.learner)
def test_the_same_arguments_give_the_same_files(
    settings: LearnerSettings | GradientTreesSettings,
) -> None:
    """Growing twice with one seed gives identical files, and with another seed different ones."""
    dataset = history(coin_flips(60, seed=1))
    one, two, other = (
        train_forest(dataset.table, dataset.pushed, settings, seed).files for seed in (7, 7, 8)
    )
    assert one == two
    assert one != other


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: settings.learner)
def test_trees_predict_the_same_after_their_files_were_read(
    settings: LearnerSettings | GradientTreesSettings,
) -> None:
    """A forest that was just grown and one of its files give the same probabilities."""
    dataset = history(coin_flips(60, seed=1))
    grown = train_forest(dataset.table, dataset.pushed, settings, 0)
    read = Forest(grown.features, grown.files)
    assert np.array_equal(grown.predict(dataset.table), read.predict(dataset.table))
    assert read.files == grown.files


def test_gradient_trees_tell_pushes_they_have_not_seen() -> None:
    """Gradient boosted trees find a signal that is there."""
    dataset, other = history(coin_flips(120, seed=1)), history(coin_flips(80, seed=2), seed=2)
    trees = train_forest(dataset.table, dataset.pushed, GradientTreesSettings(), 0)
    assert area_under_curve(other.pushed, trees.predict(other.table)) > 0.85


def test_a_model_of_gradient_trees_is_saved_and_read_like_any(tmp_path: Path) -> None:
    """Its directory says which learner it is from, and reading gives the same fingerprint."""
    dataset = history(coin_flips(60, seed=1))
    settings = GradientTreesSettings(trees=20)
    model = train_waste_model(dataset, Stage.PRE, 0.9, settings=settings)  # type: ignore[arg-type]
    model.save(tmp_path / "model")
    read = load_waste_model(
        tmp_path / "model", known_features={feature.name: feature for feature in FEATURES}
    )
    assert read.manifest.settings == settings
    assert read.fingerprint == model.fingerprint
    assert np.array_equal(read.predict(dataset.table), model.predict(dataset.table))


def test_settings_out_of_range_and_unknown_learners_are_refused() -> None:
    """A share of 0, no trees, or a learner that does not exist raise an error."""
    with pytest.raises(InvalidArgumentError, match="shrinkage=0"):
        GradientTreesSettings(shrinkage=0)
    with pytest.raises(InvalidArgumentError, match="trees=0"):
        GradientTreesSettings(trees=0)
    with pytest.raises(InvalidArgumentError, match="oracle"):
        settings_of("oracle", {})
