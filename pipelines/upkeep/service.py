"""The waste model in service: a directory that gates read, replaced in one step."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from tfx_graphlets import GraphletsError, Stage, load_waste_model
from tfx_graphlets.errors import ModelFormatError
from tfx_graphlets.files import exchange
from tfx_graphlets.waste_model import WasteModel
from tfx_graphlets.waste_model.model import MANIFEST_FILE

# The directory of the model that was replaced is so called. Not an ending: file systems of buckets
# that list by prefix would count it to the model's own.
PREVIOUS = "previous-"


class ReplacedMeanwhileError(GraphletsError):
    """Another program has put a model in service since this one began.

    Attributes:
      directory: the model's directory.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        super().__init__(f"{directory}: another model was put in service meanwhile, and stays")


def model_in_service(directory: Path, stage: Stage) -> tuple[WasteModel | None, str]:
    """The model that gates read, and what is wrong with it.

    Args:
      directory: where it is.
      stage: the stage of the gates that read it.

    Returns:
      The model and ""; None and "" where there is none; None and the problem where it is damaged,
      so that a gate that reads it lets every run through.

    Raises:
      ModelFormatError: what is there is no waste model, or one for another stage: it is not ours
        to replace.
    """
    if _is_nothing(directory):
        return None, ""
    if not (directory / MANIFEST_FILE).is_file():
        raise ModelFormatError(
            str(directory), "holds something that is no waste model; name another directory"
        )
    try:
        model = load_waste_model(directory)
    except ModelFormatError as error:
        return None, str(error)
    if model.stage is not stage:
        raise ModelFormatError(
            str(directory),
            f"the waste model in service is for stage {model.stage}, and one for stage {stage} was "
            "to be trained; name another directory, or that stage",
        )
    return model, ""


def put_in_service(model: WasteModel, directory: Path, *, expected: str) -> None:
    """Puts a model where gates read it; the one that was there stays beside it.

    The new model is written under another name, read back, and then exchanged with the directory
    in one step, so that a gate finds the old or the new one. (Where the file system cannot
    exchange two directories, there is a moment without; a gate then lets its run through.)

    Args:
      model: the new one.
      directory: where gates read it.
      expected: fingerprint of the model that is there; "" where there is none, or a damaged one.

    Raises:
      ReplacedMeanwhileError: another one is there.
      ModelFormatError: what was written cannot be read back; nothing was replaced.
      OSError: it cannot be written; nothing was replaced.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    draft = directory.with_name(f".{directory.name}.{model.fingerprint[:12]}.{os.getpid()}.new")
    previous = directory.with_name(PREVIOUS + directory.name)
    try:
        model.save(draft)
        load_waste_model(draft, stage=model.stage)
        if _fingerprint(directory) != expected:
            raise ReplacedMeanwhileError(directory)
        if _is_nothing(directory):
            draft.rename(directory)
            return
        shutil.rmtree(previous, ignore_errors=True)
        if exchange(draft, directory):
            draft.rename(previous)
        else:
            directory.rename(previous)
            draft.rename(directory)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _is_nothing(directory: Path) -> bool:
    return not directory.exists() or (directory.is_dir() and not any(directory.iterdir()))


def _fingerprint(directory: Path) -> str:
    with contextlib.suppress(ModelFormatError):
        return load_waste_model(directory).fingerprint
    return ""
