"""The Rehearsal component on real examples and models: what it measures, and when it does not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tfx")

from tfx.types.artifact import Artifact

from tests.components import rehearsed as penguins
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.gate import keys
from tfx_graphlets.gate.rehearsals import RehearsalPast
from tfx_graphlets.rehearsal import Scout

pytestmark = pytest.mark.tfx


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Artifact]:
    """600 penguins, and a model of other ones in service."""
    folder = tmp_path_factory.mktemp("window")
    before = penguins.penguins(folder / "before", 600, seed=1)
    return {
        "examples": penguins.penguins(folder / "now", 600, seed=2),
        "model": penguins.trained(folder / "serving", before),
    }


def test_scout_and_serving_model_are_measured(tmp_path: Path, window: dict[str, Artifact]) -> None:
    """Both classify the penguins of the split eval; margins follow from their accuracies."""
    found, artifact = penguins.rehearsed(tmp_path, window, mode="scout")
    assert (found["rehearsed"], found["mode"], found["stage"]) == (1, "scout", "pre")
    assert found["metric"] == "SparseCategoricalAccuracy"
    assert found["scout"] > 0.8
    assert found["serving"] > 0.8
    assert found["scout_value_margin"] == pytest.approx(found["scout"] - 0.6)
    assert found["scout_change_margin"] == pytest.approx(found["scout"] - found["serving"] + 0.01)
    assert 0 < found["seconds"] < 60
    assert "left_out" not in found
    assert "probe" not in found
    assert Scout.from_bytes(Path(artifact.uri, "scout.json").read_bytes()).task.value == (
        "multi_class"
    )
    assert json.loads(Path(artifact.uri, "rehearsal.json").read_text()) == found


def test_the_same_inputs_give_the_same_margins(tmp_path: Path, window: dict[str, Artifact]) -> None:
    """A rehearsal is deterministic but for its seconds."""
    first, _ = penguins.rehearsed(tmp_path / "a", window)
    again, _ = penguins.rehearsed(tmp_path / "b", window)
    assert {**first, "seconds": 0} == {**again, "seconds": 0}


def test_broken_labels_show_before_the_trainer(tmp_path: Path, window: dict[str, Artifact]) -> None:
    """Species that were shuffled: scout and last scout miss the accuracy, by margins below 0."""
    _, good = penguins.rehearsed(tmp_path / "good", window)
    broken = penguins.penguins(tmp_path / "broken", 600, seed=3, shuffled=True)
    found, _ = penguins.rehearsed(
        tmp_path / "now", {**window, "examples": broken}, RehearsalPast(scout=good.uri)
    )
    assert found["scout_value_margin"] < 0
    assert found["serving_value_margin"] < 0
    assert "previous_scout" in found


def test_the_users_code_is_tried_in_short(tmp_path: Path, window: dict[str, Artifact]) -> None:
    """With mode full the user's run_fn trains a tenth of its steps, and is judged like it."""
    found, _ = penguins.rehearsed(tmp_path, window, mode="full", code=json.dumps(penguins.CODE))
    assert found["mode"] == "full"
    assert found["probe_value_margin"] == pytest.approx(found["probe"] - 0.6)
    assert found["probe_change_margin"] == pytest.approx(found["probe"] - found["serving"] + 0.01)


def test_code_that_breaks_is_left_out_and_said(tmp_path: Path, window: dict[str, Artifact]) -> None:
    """A run_fn that cannot be found costs the probe and nothing else."""
    code = json.dumps({**penguins.CODE, "module_file": str(tmp_path / "gone.py")})
    found, _ = penguins.rehearsed(tmp_path, window, mode="full", code=code)
    assert found["rehearsed"] == 1
    assert "probe" not in found
    assert "Left out is the user's code" in found["left_out"]
    assert found["scout"] > 0.8


def test_a_serving_model_that_is_gone_is_left_out(
    tmp_path: Path, window: dict[str, Artifact]
) -> None:
    """Its files were deleted: nothing is compared with it, the scout has its value margin."""
    gone = type(window["model"])()
    gone.uri = str(tmp_path / "gone")
    found, _ = penguins.rehearsed(tmp_path, {**window, "model": gone})
    assert found["rehearsed"] == 1
    assert "scout_change_margin" not in found
    assert "Left out is the serving model" in found["left_out"]


@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({keys.PROCEED: 0}, "The first gate skipped this run"),
        ({keys.FAILED_OPEN: 1}, "could not decide"),
        ({keys.EXPLORED: 1}, "explore"),
    ],
)
def test_where_there_is_nothing_to_try_nothing_is_done(
    tmp_path: Path, window: dict[str, Artifact], properties: dict[str, Any], said: str
) -> None:
    """The first gate's answer does not depend on a rehearsal: none takes place, no file is read."""
    inputs = {**window, keys.DECISION: penguins.decision(**properties)}
    found, _ = penguins.rehearsed(tmp_path, inputs)
    assert (found["rehearsed"], found["mode"]) == (0, "off")
    assert said in found["reason"]


@pytest.mark.parametrize(
    ("seconds", "probability", "done"), [(7.0, 0.6, 0), (7000.0, 0.6, 1), (7000.0, 1.0, 0)]
)
def test_auto_rehearses_where_it_pays(
    tmp_path: Path, window: dict[str, Artifact], seconds: float, probability: float, done: int
) -> None:
    """A training of seven seconds is not rehearsed, of two hours it is, a sure push never."""
    inputs = {**window, keys.DECISION: penguins.decision(probability=probability)}
    past = RehearsalPast(behind_s=(seconds,) * 3, trainer_s=(seconds / 2,) * 3)
    found, _ = penguins.rehearsed(tmp_path, inputs, past, mode="auto")
    assert found["rehearsed"] == done, found["reason"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"eval_config": "{}"}, "names no single label_key"),
        ({"eval_config": penguins.accuracy_config(0.6).replace("species", "genus")}, "'genus'"),
        ({"example_splits": '["test"]'}, "test"),
        ({"mode": "often"}, "often"),
    ],
)
def test_what_cannot_be_rehearsed_is_said(
    tmp_path: Path, window: dict[str, Artifact], given: dict[str, Any], said: str
) -> None:
    """Nothing is raised; reason or left_out say what was wrong."""
    found, _ = penguins.rehearsed(tmp_path, window, **given)
    assert found["rehearsed"] == 0
    assert said in found["reason"] + found.get("left_out", "")


def test_damaged_examples_stop_no_pipeline(tmp_path: Path, window: dict[str, Artifact]) -> None:
    """A shard that is no TFRecord ends in a reason, not in an error."""
    examples = penguins.penguins(tmp_path / "now", 40)
    [shard] = Path(examples.uri, "Split-eval").iterdir()
    shard.write_bytes(b"not a record")
    found, _ = penguins.rehearsed(tmp_path, {**window, "examples": examples})
    assert (found["rehearsed"], found["mode"]) == (0, "off")
    assert "Could not rehearse" in found["reason"]


def test_bad_arguments_are_refused_when_the_pipeline_is_written(
    window: dict[str, Artifact],
) -> None:
    """Stage, mode, share and missing code each have an error that says what to do."""
    import tensorflow_model_analysis as tfma
    from tfx import v1 as tfx

    from tfx_graphlets.components.artifacts import Graphlets
    from tfx_graphlets.components.rehearsal.component import Rehearsal

    channels = {
        "graphlets": tfx.dsl.Channel(type=Graphlets),
        "examples": tfx.dsl.Channel(type=tfx.types.standard_artifacts.Examples),
        "eval_config": tfma.EvalConfig(),
    }
    for given, said in (
        ({"stage": "trainer"}, "before the Trainer"),
        ({"mode": "often"}, "off, scout, full, auto"),
        ({"mode": "full"}, "module_file or run_fn"),
        ({"steps_share": 0.0}, "above 0"),
        ({"module_file": "a.py", "run_fn": "b.run_fn"}, "not both"),
    ):
        with pytest.raises(InvalidArgumentError, match=said):
            Rehearsal(**channels, **given)  # type: ignore[arg-type]
