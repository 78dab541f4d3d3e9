"""A trained model: the same for the same seed, explained, saved, and refused where it must be."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.waste_model.synthetic import FEATURES, coin_flips, history
from tfx_graphlets.errors import InvalidArgumentError, ModelFormatError
from tfx_graphlets.graphlets.roles import Declared
from tfx_graphlets.vocabulary import Role, Stage
from tfx_graphlets.waste_model.learner import LearnerSettings
from tfx_graphlets.waste_model.model import WasteModel, load_waste_model
from tfx_graphlets.waste_model.training import train_waste_model

ydf = pytest.importorskip("ydf")

KNOWN = {feature.name: feature for feature in FEATURES}
SMALL = LearnerSettings(trees=40)
DATASET = history(coin_flips(80, seed=1))


@pytest.fixture(scope="module")
def model() -> WasteModel:
    """A small model of stage `pre`."""
    return train_waste_model(DATASET, Stage.PRE, 0.9, seed=3, settings=SMALL)


@pytest.fixture
def saved(model: WasteModel, tmp_path: Path) -> Path:
    """The model's directory."""
    model.save(tmp_path / "model")
    return tmp_path / "model"


def change(directory: Path, edit: Callable[[dict[str, object]], None]) -> None:
    """Edits the manifest in place."""
    path = directory / "manifest.json"
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))


def test_a_seed_decides_everything(model: WasteModel) -> None:
    """Trained twice it has one fingerprint and predicts alike; another seed gives another."""
    again = train_waste_model(DATASET, Stage.PRE, 0.9, seed=3, settings=SMALL)
    other = train_waste_model(DATASET, Stage.PRE, 0.9, seed=4, settings=SMALL)
    assert again.fingerprint == model.fingerprint
    assert np.array_equal(again.predict(DATASET.table), model.predict(DATASET.table))
    assert other.fingerprint != model.fingerprint


def test_predictions_are_probabilities_of_a_push(model: WasteModel) -> None:
    """Pushed graphlets of unseen runs score higher, all within 0 and 1."""
    unseen = history(coin_flips(60, seed=9), seed=5)
    score = model.predict(unseen.table)
    assert score.dtype == np.float64
    assert ((score >= 0) & (score <= 1)).all()
    assert score[unseen.pushed].mean() > score[~unseen.pushed].mean() + 0.3
    assert len(model.predict(unseen.table.take(np.zeros(0, np.int64)))) == 0


def test_save_and_load_give_the_same_model(model: WasteModel, saved: Path) -> None:
    """The loaded model predicts alike and has the same fingerprint and threshold."""
    loaded = load_waste_model(saved, stage=Stage.PRE, known_features=KNOWN)
    assert np.array_equal(loaded.predict(DATASET.table), model.predict(DATASET.table))
    assert loaded.fingerprint == model.fingerprint
    assert loaded.threshold == model.threshold
    assert loaded.manifest == model.manifest
    assert sorted(path.name for path in saved.parent.iterdir()) == ["model"]


def test_roles_and_pushers_are_kept_and_named_by_the_fingerprint(
    model: WasteModel, tmp_path: Path
) -> None:
    """Those that the rows were cut with; a role that there is not damages the manifest."""
    declared = Declared.of({"Fit": Role.TRAINER}, ["b", "a"])
    rows = dataclasses.replace(DATASET, declared=declared)
    own = train_waste_model(rows, Stage.PRE, 0.9, seed=3, settings=SMALL)
    assert own.fingerprint != model.fingerprint
    own.save(tmp_path / "own")
    loaded = load_waste_model(tmp_path / "own", known_features=KNOWN)
    assert loaded.declared == Declared({"Fit": Role.TRAINER}, ("a", "b"))
    assert loaded.fingerprint == own.fingerprint

    def teacher(document: dict[str, Any]) -> None:
        document["declared"]["role_of_type"]["Fit"] = "teacher"

    change(tmp_path / "own", teacher)
    with pytest.raises(ModelFormatError, match="'TEACHER' is no role"):
        load_waste_model(tmp_path / "own", known_features=KNOWN)


def test_loading_prints_nothing(saved: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Whatever level ydf's messages have, none of loading comes out, and the level stays.

    From 0.16 on ydf prints where it loads from, on standard output.
    """
    usual = ydf.verbose(2)
    load_waste_model(saved, known_features=KNOWN)
    assert ydf.verbose(usual) == 2
    assert capfd.readouterr().out == ""


def test_the_manifest_says_what_the_model_rests_on(model: WasteModel, saved: Path) -> None:
    """Stage, counts, window, corpus, seed, threshold and versions stand in manifest.json."""
    document = json.loads((saved / "manifest.json").read_text())
    assert document["stage"] == "pre"
    assert document["training"]["pushed"] == int(DATASET.pushed.sum())
    assert document["training"]["unpushed"] == int(DATASET.unpushed.sum())
    assert document["training"]["first_ms"] == int(DATASET.decision_ms[0])
    assert document["training"]["corpus_fingerprint"] == DATASET.fingerprint()
    assert document["threshold"]["threshold"] == model.threshold.threshold
    assert document["fingerprint"] == model.fingerprint
    assert [feature["name"] for feature in document["features"]] == [f.name for f in FEATURES]
    assert set(document["libraries"]) == {"ydf", "numpy"}


def test_saving_replaces_a_model_and_nothing_else(model: WasteModel, tmp_path: Path) -> None:
    """An empty directory and an older model are replaced; a directory of something else is not."""
    target = tmp_path / "model"
    target.mkdir()
    model.save(target)
    model.save(target)
    load_waste_model(target, known_features=KNOWN)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("dear")
    with pytest.raises(InvalidArgumentError, match="no waste model"):
        model.save(foreign)
    assert (foreign / "letter.txt").read_text() == "dear"


def test_the_threshold_can_be_had_for_another_freshness(model: WasteModel) -> None:
    """More freshness never gives a higher threshold; too much gives none."""
    low, high = model.threshold_for(0.5).threshold, model.threshold.threshold
    assert low is not None
    assert high is not None
    assert high <= low
    assert model.threshold_for(0.999).threshold is None


def test_an_explanation_names_what_moved_the_probability(model: WasteModel) -> None:
    """The feature that tells of the outcome comes first, with the sign of its effect."""
    score = model.predict(DATASET.table)
    lowest, highest = int(score.argmin()), int(score.argmax())
    against = model.explain(DATASET.table, lowest)
    assert against[0].feature == "made.signal"
    assert against[0].effect < 0
    assert model.explain(DATASET.table, highest)[0].effect > 0
    value = DATASET.table.numbers("made.signal")[lowest]
    assert against[0].value == f"{value:.4g}"
    assert all(c.feature != "made.empty" for c in model.explain(DATASET.table, lowest, top=9))


def test_a_table_of_another_stage_is_refused(model: WasteModel) -> None:
    """A model of `pre` does not score features of `input`."""
    with pytest.raises(InvalidArgumentError, match="stage"):
        model.predict(history("PU", stage=Stage.INPUT).table)


# -- refusals of a directory --------------------------------------------------------


def refused(directory: Path, told: str, stage: Stage | None = None) -> None:
    """Loading fails with one line that holds ``told`` and names the directory."""
    with pytest.raises(ModelFormatError, match=told) as caught:
        load_waste_model(directory, stage=stage, known_features=KNOWN)
    assert caught.value.directory == str(directory)
    assert "\n" not in str(caught.value)


def test_another_stage_is_refused(saved: Path) -> None:
    """A model of `pre` is not loaded for a gate at `input`."""
    refused(saved, "for stage pre, and one for stage input", Stage.INPUT)


def test_no_model_is_refused(tmp_path: Path) -> None:
    """A missing directory, an empty one and a file are no waste models."""
    (tmp_path / "file").write_text("x")
    for name in ("missing", "", "file"):
        refused(tmp_path / name if name else tmp_path, "there is no manifest.json")


def test_another_format_version_is_refused(saved: Path) -> None:
    """A format that this release does not know is not guessed at."""
    change(saved, lambda document: document.update(format_version=2))
    refused(saved, "format_version=2")


def test_an_unknown_feature_is_refused(saved: Path) -> None:
    """A feature that this release cannot compute is named."""

    def rename(document: dict[str, object]) -> None:
        features, usual = document["features"], document["usual_values"]
        assert isinstance(features, list)
        assert isinstance(usual, dict)
        features[1]["name"] = "made.of_tomorrow"
        usual["made.of_tomorrow"] = usual.pop("made.noise")

    change(saved, rename)
    refused(saved, "made.of_tomorrow")


def test_a_missing_file_is_refused(saved: Path) -> None:
    """Every file that the manifest names must be there."""
    (saved / "forest" / "data_spec.pb").unlink()
    refused(saved, "data_spec.pb is missing")


def test_a_damaged_file_is_refused(saved: Path) -> None:
    """One changed byte is found by its checksum."""
    path = next((saved / "forest").glob("nodes*"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    refused(saved, "not the file that the manifest names")


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda d: d.update(kind="x"), "not that of a waste model"),
        (lambda d: d.update(freshness=0.5), "was changed"),
        (lambda d: d["calibration"]["pushed_scores"].pop(), "was changed"),
        (lambda d: d.update(surprise=1), "surprise"),
        (lambda d: d.pop("seed"), "seed"),
        (lambda d: d["training"].update(rows=[[1]]), "training.rows"),
        (lambda d: d.update(stage="lunch"), "damaged"),
        (lambda d: d["learner"].update(name="oracle"), "damaged"),
        (lambda d: d["learner"].update(trees="many"), "damaged"),
        (lambda d: d["usual_values"].pop("made.kind"), "damaged"),
        (lambda d: d.update(files={}), "damaged"),
        (lambda d: d["files"].update({"../escape": "00"}), "outside"),
    ],
)
def test_a_changed_manifest_is_refused(
    saved: Path, edit: Callable[[dict[str, object]], None], told: str
) -> None:
    """Whatever is edited by hand, the model is not loaded."""
    change(saved, edit)
    refused(saved, told)


def test_a_manifest_that_is_no_json_is_refused(saved: Path) -> None:
    """Cut off, or of another shape."""
    (saved / "manifest.json").write_text('{"kind":')
    refused(saved, "cannot be read")
    (saved / "manifest.json").write_text("[]")
    refused(saved, "no JSON object")


def test_a_copied_directory_is_the_same_model(model: WasteModel, saved: Path) -> None:
    """A model does not know where it lies."""
    shutil.copytree(saved, saved.parent / "elsewhere")
    copy = load_waste_model(saved.parent / "elsewhere", known_features=KNOWN)
    assert copy.fingerprint == model.fingerprint


@pytest.mark.parametrize("text", ['{"kind": "archive"}', "{}", "not json", "[]"])
def test_a_folder_with_another_manifest_is_never_removed(
    text: str, model: WasteModel, tmp_path: Path
) -> None:
    """An archive has a manifest.json, too; the error comes before anything is touched."""
    place = tmp_path / "archive"
    place.mkdir()
    (place / "manifest.json").write_text(text)
    (place / "events.parquet").write_text("years of history")
    with pytest.raises(InvalidArgumentError, match="no waste model"):
        model.save(place)
    assert sorted(path.name for path in place.iterdir()) == ["events.parquet", "manifest.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


@pytest.mark.parametrize(
    "scores", [[float("nan")], [float("inf")], [-0.1, 0.5], [0.5, 0.2], [None]]
)
def test_scores_that_are_no_probabilities_are_refused(
    scores: list[float], saved: Path, tmp_path: Path
) -> None:
    """A threshold follows from them: NaN would let every comparison fail."""
    place = tmp_path / "copy"
    shutil.copytree(saved, place)
    document = json.loads((place / "manifest.json").read_text())
    document["calibration"]["pushed_scores"] = scores
    (place / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(ModelFormatError, match="damaged"):
        load_waste_model(place, known_features=KNOWN)
