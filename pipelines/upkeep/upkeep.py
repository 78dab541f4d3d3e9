"""One round: archive what is new in a store, then retrain the waste model from the archives."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path

from absl import logging

from pipelines.upkeep.retraining import Retraining, Settings, retrain
from tfx_graphlets import GraphletsError, open_store
from tfx_graphlets.stores.archive.archive import update_archive


@dataclasses.dataclass(frozen=True)
class Round:
    """What one round did.

    Attributes:
      archived: what was appended to the archive, a sentence; "" where that failed.
      retraining: what came of the retraining; None where there was none.
      problem: why the round was cut short; "" where it was not. What is in service stayed there.
    """

    archived: str
    retraining: Retraining | None = None
    problem: str = ""

    def __str__(self) -> str:
        told = (self.archived, self.retraining, self.problem and f"Failed: {self.problem}")
        return "\n".join(str(one) for one in told if one)

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "archived": self.archived,
            "retraining": self.retraining and self.retraining.to_dict(),
            "problem": self.problem,
        }


def run_round(
    store: str,
    archive: str | os.PathLike[str],
    model_directory: Path,
    settings: Settings,
    *,
    others: Sequence[str | os.PathLike[str]] = (),
    now_ms: int,
) -> Round:
    """Archives, then retrains.

    A store that cannot be read is told and ends the round: what the archive held before has been
    learnt from already. Nothing that goes wrong takes away the model in service.

    Args:
      store: as for ``open_store``; a password comes from the environment alone.
      archive: directory of the store's archive; made if there is none.
      model_directory: where gates read the waste model.
      settings: what is trained, and how it is tried.
      others: archives of other stores to learn from, too.
      now_ms: milliseconds since the epoch, noted in the archive.
    """
    archived = ""
    try:
        with open_store(store) as opened:
            update = update_archive(opened, opened.payloads, archive, created_ms=now_ms)
        archived = f"{os.fspath(archive)}: {update}"
        logging.info("%s", archived)
        return Round(archived, retrain([archive, *others], model_directory, settings))
    except (GraphletsError, OSError) as error:
        logging.warning("upkeep ends: %s", error)
        return Round(archived, problem=str(error))
