"""WasteModelKeeper: retrains the waste model in service from what an Archiver has archived."""

# No postponed annotations here: TFX's component decorator reads the annotation objects.

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from absl import logging
from tfx import v1 as tfx

from pipelines.upkeep.retraining import Retraining, Settings, retrain
from pipelines.upkeep.service import PREVIOUS
from tfx_graphlets import Archive, GraphletsError, Stage, WasteModel
from tfx_graphlets.components.artifacts import is_local, local_copy, write_files
from tfx_graphlets.gate import keys

REPLACED = "replaced"  # int: 1 if the model in service is a new one
REASON = keys.REASON  # a sentence: why, or why not
REPORT_FILE = "upkeep.json"


@tfx.dsl.components.component
def WasteModelKeeper(
    archive: tfx.dsl.components.InputArtifact[Archive],
    model: tfx.dsl.components.OutputArtifact[WasteModel],
    model_directory: tfx.dsl.components.Parameter[str],
    others: tfx.dsl.components.Parameter[str] = "[]",
    stage: tfx.dsl.components.Parameter[str] = "pre",
    freshness: tfx.dsl.components.Parameter[float] = 0.95,
    seed: tfx.dsl.components.Parameter[int] = 0,
):
    """Retrains, and puts the new model in service if it is not worse (``judgement.judge``).

    It fails, unlike a gate, if the archive could not be brought up to date or cannot be read, or
    the model cannot be written: nothing depends on it, and somebody should see it. The model in
    service then stays. Too little history, and a model that is worse, are no failures.

    Output ``model``: a copy of what is in service after it, with upkeep.json; custom properties
    ``replaced``, ``reason``, ``usable``, ``problem``, ``stage``, ``model_fingerprint``.

    Args:
      archive: of an Archiver.
      model: a copy of the model in service.
      model_directory: where gates read it: a path, or a URI that TFX's fileio opens.
      others: JSON list of archives of other stores to learn from.
      stage, freshness, seed: see ``retraining.Settings``.
    """
    problem = archive.get_string_custom_property(keys.PROBLEM)
    if problem:
        raise GraphletsError(f"the store was not archived: {problem}")
    archives = [archive.get_string_custom_property(keys.DIRECTORY), *json.loads(others)]
    with contextlib.ExitStack() as copies:
        places = [copies.enter_context(local_copy(one)) for one in archives]
        place = copies.enter_context(_model_place(model_directory))
        done = retrain(places, place, Settings(Stage(stage), freshness, seed))
        logging.info("WasteModelKeeper: %s", done)
        if done.replaced and not is_local(model_directory):
            _copy_back(place, model_directory)
        _tell(model, place, done)
    model.set_string_custom_property(keys.STAGE, stage)


@contextlib.contextmanager
def _model_place(directory: str) -> Iterator[Path]:
    """The model's directory, or a copy of it where it is remote, with room beside it."""
    if is_local(directory):
        yield Path(directory)
        return
    with local_copy(directory) as copied, tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "waste_model")
        shutil.copytree(copied, place)
        yield place


def _copy_back(place: Path, directory: str) -> None:
    """The manifest comes last: a gate that reads in between finds it does not fit, and proceeds."""
    above, _, name = directory.rstrip("/").rpartition("/")
    for source, target in (
        (place.with_name(PREVIOUS + place.name), f"{above}/{PREVIOUS}{name}"),
        (place, directory),
    ):
        if source.is_dir():
            write_files(target, _files(source))


def _tell(model: tfx.dsl.Artifact, place: Path, done: Retraining) -> None:
    files = _files(place) if done.fingerprint else {}
    report = json.dumps(done.to_dict(), indent=1, sort_keys=True, allow_nan=False) + "\n"
    write_files(model.uri, {REPORT_FILE: report.encode(), **files})
    model.set_int_custom_property(REPLACED, int(done.replaced))
    model.set_string_custom_property(REASON, done.reason)
    model.set_int_custom_property(keys.USABLE, int(bool(done.fingerprint)))
    if done.fingerprint:
        model.set_string_custom_property(keys.MODEL_FINGERPRINT, done.fingerprint)
    else:
        model.set_string_custom_property(keys.PROBLEM, done.reason)


def _files(place: Path) -> dict[str, bytes]:
    paths = sorted(path for path in place.rglob("*") if path.is_file())
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in paths}
