"""The study as a directory: study.json, study.md and the plots, whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Final

from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.files import replaced_directory
from tfx_graphlets.study.document import markdown
from tfx_graphlets.study.plots import write_plots
from tfx_graphlets.study.run import KIND, Study

JSON_FILE: Final = "study.json"
MARKDOWN_FILE: Final = "study.md"


def check_target(directory: str | os.PathLike[str]) -> Path:
    """The directory, if a study may be written there.

    Raises:
      InvalidArgumentError: it exists, is not empty, and holds no study.
    """
    target = Path(directory)
    if target.exists() and not _may_be_replaced(target):
        raise InvalidArgumentError(
            "output", str(target), "holds something that is no study; name another directory"
        )
    return target


def write_study(study: Study, directory: str | os.PathLike[str]) -> tuple[str, ...]:
    """Writes a study.

    Args:
      study: what was found.
      directory: does not exist, is empty, or holds a study, which is replaced.

    Returns:
      Names of the files.

    Raises:
      InvalidArgumentError: the directory holds something else.
      MissingDependencyError: matplotlib is not installed.
      OSError: it cannot be written.
    """
    target = check_target(directory)
    with replaced_directory(target) as draft:
        text = json.dumps(study.to_dict(), indent=1, allow_nan=False)
        (draft / JSON_FILE).write_text(text + "\n", encoding="utf-8")
        (draft / MARKDOWN_FILE).write_text(markdown(study), encoding="utf-8")
        plots = write_plots(study, draft)
    return (JSON_FILE, MARKDOWN_FILE, *plots)


def _may_be_replaced(target: Path) -> bool:
    if not target.is_dir():
        return False
    if not any(target.iterdir()):
        return True
    try:
        document = json.loads((target / JSON_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get("kind") == KIND
