"""The upkeep: history is archived, and the waste model in service is replaced if no worse."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.flights import history
from pipelines.upkeep import retraining, run, service
from pipelines.upkeep.judgement import Trial, judge
from pipelines.upkeep.retraining import Settings
from pipelines.upkeep.upkeep import Round, run_round
from tests.components import waste_models
from tests.import_graph import ROOT
from tests.pipelines.upkeep_stores import store_of
from tfx_graphlets import Stage, load_waste_model, open_store, train_waste_model
from tfx_graphlets.errors import ModelFormatError
from tfx_graphlets.trace.trace import first_difference
from tfx_graphlets.waste_model import Dataset, WasteModel

SETTINGS = Settings(freshness=0.8)
NOW_MS = 5_000_000
FLIGHTS = "flights-lga-linear-w1-value"  # its history alone is enough to promise 0.8


def trial(**figures: float | None) -> Trial:
    """A sound trial but for what is given."""
    usual = {
        "graphlets": 40, "pushes": 20, "missed": 1, "threshold": 0.2, "brier": 0.15, "auc": 0.8,
        "waste_removed": 0.3,
    }  # fmt: skip
    return Trial(**{**usual, **figures})  # type: ignore[arg-type]


# -- not worse ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("new", "serving", "replace", "reason"),
    [
        (trial(), None, True, "the first model"),
        (trial(missed=6), None, False, "breaks its promise"),
        (trial(missed=6), trial(missed=6), True, "not worse"),
        (trial(missed=6), trial(missed=5), False, "breaks its promise"),
        (trial(missed=2), trial(missed=0), True, "not worse"),
        (trial(brier=0.16), trial(), True, "not worse"),
        (trial(brier=0.161), trial(), False, "is worse"),
        (trial(brier=0.4), None, True, "the first model"),
        (trial(waste_removed=0.0), trial(waste_removed=0.9), True, "not worse"),
        (trial(threshold=None, why_no_threshold="n more are needed"), None, False, "n more"),
        (trial(threshold=None, why_no_threshold="n more are needed"), trial(), False, "n more"),
        (trial(graphlets=9), trial(graphlets=9), False, "9 new graphlets"),
        (trial(pushes=1), None, False, "with 1 pushes"),
        (trial(graphlets=10, pushes=2, missed=0), None, True, "the first model"),
    ],
)
def test_not_worse_is_what_the_page_says(
    new: Trial, serving: Trial | None, replace: bool, reason: str
) -> None:
    """Enough to judge by, a threshold, the promise, the error: each alone can refuse a model."""
    verdict = judge(new, serving, freshness=0.9)
    assert verdict.replace is replace
    assert reason in verdict.reason


def test_trials_on_other_graphlets_are_not_compared() -> None:
    """Both models are tried on the same graphlets, or there is no verdict."""
    with pytest.raises(ValueError, match="tried on the graphlets of the new model"):
        judge(trial(), trial(graphlets=41), freshness=0.9)


# -- in service ---------------------------------------------------------------------------


def other_model(freshness: float = 0.8) -> WasteModel:
    """A model that differs from ``waste_models.by_size()`` in what it promises."""
    return train_waste_model(waste_models.training_data(Stage.PRE), Stage.PRE, freshness)


def test_the_model_that_was_replaced_stays_beside(tmp_path: Path) -> None:
    """The directory holds the new model, previous-DIRECTORY the old one, and no draft is left."""
    place, first = tmp_path / "model", waste_models.by_size()
    service.put_in_service(first, place, expected="")
    second = other_model()
    service.put_in_service(second, place, expected=first.fingerprint)
    assert load_waste_model(place).fingerprint == second.fingerprint
    assert load_waste_model(tmp_path / "previous-model").fingerprint == first.fingerprint
    assert {path.name for path in tmp_path.iterdir()} == {"model", "previous-model"}


def test_where_directories_cannot_be_exchanged_they_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On such a file system the result is the same."""
    monkeypatch.setattr(service, "exchange", lambda *_: False)
    test_the_model_that_was_replaced_stays_beside(tmp_path)


def test_a_model_that_another_program_put_there_stays(tmp_path: Path) -> None:
    """What was tried against is no longer in service: nothing is replaced, nothing is left over."""
    place = tmp_path / "model"
    fingerprint = waste_models.by_size().fingerprint
    waste_models.saved(place)
    with pytest.raises(service.ReplacedMeanwhileError):
        service.put_in_service(other_model(), place, expected="another")
    assert load_waste_model(place).fingerprint == fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_model_that_cannot_be_read_back_is_not_put_in_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that loses a file of the forest costs the new model, not the one in service."""
    place = tmp_path / "model"
    waste_models.saved(place)
    save = WasteModel.save

    def lossy(model: WasteModel, directory: Path) -> None:
        save(model, directory)
        next(Path(directory, "forest").iterdir()).unlink()

    monkeypatch.setattr(WasteModel, "save", lossy)
    fingerprint = waste_models.by_size().fingerprint
    with pytest.raises(ModelFormatError, match="is missing"):
        service.put_in_service(other_model(), place, expected=fingerprint)
    assert load_waste_model(place).fingerprint == fingerprint
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


# -- rounds -------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Upkeep:
    """An archive and a model in a folder, and rounds of upkeep for them."""

    folder: Path

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def fingerprint(self) -> str:
        """Of the model in service."""
        return load_waste_model(self.model).fingerprint

    def round(self, store: Path | str, **options: object) -> Round:
        return run_round(
            str(store), self.archive, self.model, SETTINGS, now_ms=NOW_MS,
            **options,  # type: ignore[arg-type]
        )  # fmt: skip


@pytest.fixture(scope="module")
def first_round(tmp_path_factory: pytest.TempPathFactory) -> tuple[Upkeep, Round]:
    """A first round on a store of 60 runs; not to be changed."""
    upkeep = Upkeep(tmp_path_factory.mktemp("upkeep"))
    return upkeep, upkeep.round(store_of(upkeep.folder, 60))


@pytest.fixture
def upkeep(first_round: tuple[Upkeep, Round], tmp_path: Path) -> Upkeep:
    """The same, to be changed."""
    shutil.copytree(first_round[0].folder, tmp_path / "upkeep")
    return Upkeep(tmp_path / "upkeep")


def test_a_first_model_is_put_in_place_when_it_keeps_its_promise(
    first_round: tuple[Upkeep, Round],
) -> None:
    """The archive holds the store, and the directory a model of all its graphlets."""
    upkeep, done = first_round
    assert done.problem == ""
    assert done.retraining is not None
    assert done.retraining.replaced
    assert "the first model: it misses 0 of" in done.retraining.reason
    model = load_waste_model(upkeep.model, stage=Stage.PRE)
    assert model.fingerprint == done.retraining.fingerprint
    assert model.manifest.training.pushed + model.manifest.training.unpushed == 60
    with (
        open_store(upkeep.archive) as archived,
        open_store(upkeep.folder / "metadata.sqlite") as store,
    ):
        assert first_difference(archived.read_trace(), store.read_trace()) is None


def test_it_was_tried_on_graphlets_that_it_had_not_learnt_from(
    first_round: tuple[Upkeep, Round],
) -> None:
    """The newest 30 % come after everything that the tried model knew of."""
    dataset = retraining.read_archives([first_round[0].archive], Stage.PRE)
    known, tried = retraining.newest(dataset, None, 0.3)
    assert len(tried) == 18
    assert dataset.known_ms[known].max() < dataset.decision_ms[tried].min()
    assert first_round[1].retraining is not None
    new = first_round[1].retraining.new
    assert new is not None
    assert (new.graphlets, new.pushes) == (18, int(dataset.pushed[tried].sum()))


def test_a_second_round_on_the_same_store_does_nothing(upkeep: Upkeep) -> None:
    """Neither the archive nor the model is written again."""
    before = contents(upkeep.folder)
    done = upkeep.round(upkeep.folder / "metadata.sqlite")
    assert done.archived.endswith("nothing is new")
    assert done.retraining is not None
    assert (done.retraining.replaced, done.retraining.reason) == (
        False, "nothing new to learn from",
    )  # fmt: skip
    assert contents(upkeep.folder) == before


def test_a_model_of_a_longer_history_replaces_the_one_in_service(upkeep: Upkeep) -> None:
    """Both are tried on the same new graphlets; the old one stays beside the new one."""
    before = upkeep.fingerprint
    done = upkeep.round(store_of(upkeep.folder, 90))
    assert done.retraining is not None
    assert done.retraining.replaced
    assert "the new model is not worse" in done.retraining.reason
    new, serving = done.retraining.new, done.retraining.serving
    assert new is not None
    assert serving is not None
    assert new.graphlets == serving.graphlets == 20
    assert upkeep.fingerprint == done.retraining.fingerprint != before
    assert load_waste_model(upkeep.folder / "previous-model").fingerprint == before


def test_few_new_graphlets_are_waited_for(upkeep: Upkeep) -> None:
    """With nine new ones the archive grows and the model stays."""
    before = upkeep.fingerprint
    done = upkeep.round(store_of(upkeep.folder, 69))
    assert done.retraining is not None
    assert not done.retraining.replaced
    assert done.retraining.reason.startswith("9 new graphlets")
    assert done.retraining.graphlets == 69
    assert upkeep.fingerprint == before


def with_hindsight(dataset: Dataset, last_ms: int) -> WasteModel:
    """A model that knows all outcomes, and says that it knows those until a moment only."""
    model = train_waste_model(dataset, dataset.stage, SETTINGS.freshness)
    training = dataclasses.replace(
        model.manifest.training, last_ms=last_ms, corpus_fingerprint="of what came before"
    )
    return WasteModel(model.forest, dataclasses.replace(model.manifest, training=training))


def test_a_model_that_is_worse_is_not_put_in_service(tmp_path: Path) -> None:
    """Nobody can tell these pushes in advance, but the model in service has seen them happen."""
    upkeep = Upkeep(tmp_path)
    store = store_of(tmp_path, 90, told_by_size=False)
    upkeep.round(store)
    dataset = retraining.read_archives([upkeep.archive], Stage.PRE).only_labelled()
    serving = with_hindsight(dataset, int(dataset.decision_ms[59]))
    serving.save(upkeep.model)
    done = upkeep.round(store)
    assert done.problem == ""
    assert done.retraining is not None
    assert not done.retraining.replaced
    assert done.retraining.reason.startswith("the new model")
    assert done.retraining.new is not None
    assert done.retraining.serving is not None
    assert done.retraining.new.brier > done.retraining.serving.brier + 0.01
    assert upkeep.fingerprint == serving.fingerprint
    assert not (tmp_path / "previous-model").exists()


def test_other_archives_are_learnt_from(tmp_path: Path) -> None:
    """A store of its own with too little history borrows from another's archive."""
    other = Upkeep(tmp_path / "other")
    other.folder.mkdir()
    other.round(store_of(other.folder, 60))
    mine = Upkeep(tmp_path / "mine")
    mine.folder.mkdir()
    store = store_of(mine.folder, 5, seed=1)
    alone = mine.round(store)
    assert alone.retraining is not None
    assert "not enough to train" in alone.retraining.reason
    assert not mine.model.exists()
    together = mine.round(store, others=[other.archive])
    assert together.retraining is not None
    assert together.retraining.graphlets == 65
    assert together.retraining.replaced


# -- what goes wrong ----------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        ("nowhere.sqlite", "nowhere.sqlite"),
        ("grpc://127.0.0.1:1", "127.0.0.1:1"),
        ("gopher://x", "gopher"),
    ],
)
def test_a_store_that_cannot_be_read_changes_nothing(
    upkeep: Upkeep, store: str, problem: str
) -> None:
    """The round says so; archive and model stay as they are."""
    before = contents(upkeep.folder)
    done = upkeep.round(store)
    assert problem in done.problem
    assert done.retraining is None
    assert contents(upkeep.folder) == before


def damaged(archive: Path) -> None:
    """A file of the archive was cut off."""
    (part,) = archive.glob("events-*.parquet")
    part.write_bytes(part.read_bytes()[:-100])


def without_manifest(archive: Path) -> None:
    """A copy of the archive broke off before its manifest."""
    (archive / "manifest.json").unlink()


def of_another_store(archive: Path) -> None:
    """The archive is that of a store with other runs."""
    shutil.rmtree(archive)
    shutil.copytree(history.DIRECTORY / FLIGHTS / "archive", archive)


@pytest.mark.parametrize("damage", [damaged, without_manifest, of_another_store])
def test_an_archive_that_cannot_be_used_changes_nothing(upkeep: Upkeep, damage) -> None:  # type: ignore[no-untyped-def]
    """The round says so, names the archive, and leaves it and the model in service alone."""
    damage(upkeep.archive)
    store = store_of(upkeep.folder, 90)
    before = contents(upkeep.folder)
    done = upkeep.round(store)
    assert "archive" in done.problem
    assert done.retraining is None
    assert contents(upkeep.folder) == before


def test_a_damaged_model_in_service_is_replaced(upkeep: Upkeep) -> None:
    """A gate that reads it lets every run through: a sound one is better, and it stays beside."""
    (upkeep.model / "manifest.json").write_text("{")
    done = upkeep.round(upkeep.folder / "metadata.sqlite")
    assert done.retraining is not None
    assert done.retraining.replaced
    assert upkeep.fingerprint == done.retraining.fingerprint
    assert (upkeep.folder / "previous-model" / "manifest.json").read_text() == "{"


def test_a_model_of_another_stage_is_not_ours_to_replace(upkeep: Upkeep) -> None:
    """The directory belongs to another gate: the round fails, the archive has grown."""
    waste_models.saved(upkeep.model, Stage.INPUT)
    before = upkeep.fingerprint
    done = upkeep.round(store_of(upkeep.folder, 90))
    assert "for stage input" in done.problem
    assert "executions" in done.archived
    assert upkeep.fingerprint == before


def test_what_is_no_model_is_not_overwritten(upkeep: Upkeep) -> None:
    """A directory of other things stays as it is."""
    shutil.rmtree(upkeep.model)
    upkeep.model.mkdir()
    (upkeep.model / "diary.txt").write_text("mine")
    done = upkeep.round(upkeep.folder / "metadata.sqlite")
    assert "holds something that is no waste model" in done.problem
    assert contents(upkeep.model) == {"diary.txt": b"mine"}


# -- the command --------------------------------------------------------------------------


def test_one_round_on_a_recorded_history(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command archives a recorded pipeline and puts a first model in place; then it waits."""
    recorded = tmp_path / "recorded"
    shutil.copytree(history.DIRECTORY / FLIGHTS / "archive", recorded)
    command = [
        str(recorded), "--archive", str(tmp_path / "archive"), "--model", str(tmp_path / "model"),
        "--freshness", "0.8", "--once", "--format", "json",
    ]  # fmt: skip
    told = []
    for _ in range(2):
        assert run.main(command) == 0
        told.append(json.loads(capsys.readouterr().out))
    first, second = (one["retraining"] for one in told)
    assert (first["replaced"], second["replaced"]) == (True, False)
    assert first["graphlets"] == second["graphlets"] > 40
    assert first["fingerprint"] == load_waste_model(tmp_path / "model").fingerprint
    assert second["reason"] == "nothing new to learn from"


def test_the_command_needs_no_tfx() -> None:
    """Neither TFX nor TensorFlow nor Beam is imported, so that cron's environment can be small."""
    code = f"import sys, {run.__name__}; print(*sys.modules)"
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"tfx", "tensorflow", "apache_beam"} & set(process.stdout.split())


def test_a_round_that_fails_has_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Cron and Airflow see it: 1, and the reason on standard output."""
    command = ["nowhere.sqlite", "--archive", str(tmp_path / "a"), "--model", str(tmp_path / "m")]
    assert run.main([*command, "--once"]) == 1
    assert capsys.readouterr().out.startswith("Failed: nowhere.sqlite")
    assert list(tmp_path.iterdir()) == []


def test_without_once_it_goes_on_from_start_to_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A round that took an hour is followed by a pause that is an hour shorter; failures too."""
    pauses: list[float] = []
    moments = iter([0.0, 3600.0, 7200.0, 7200.0 + 5 * 3600.0])

    class Enough(Exception):  # noqa: N818 - it is none
        pass

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise Enough

    command = ["nowhere.sqlite", "--archive", str(tmp_path / "a"), "--model", str(tmp_path / "m")]
    with pytest.raises(Enough):
        run.main([*command, "--every-hours", "2"], clock=lambda: next(moments), sleep=sleep)
    assert pauses == [3600.0, 0.0]
    assert capsys.readouterr().out.count("Failed:") == 2


@pytest.mark.parametrize(
    ("option", "value"), [("--freshness", "1.5"), ("--every-hours", "0"), ("--stage", "late")]
)
def test_wrong_options_are_usage_errors(
    option: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, with the option's name and value."""
    with pytest.raises(SystemExit) as exited:
        run.main(["store", "--archive", "a", "--model", "m", option, value])
    assert exited.value.code == 2
    assert value in capsys.readouterr().err
