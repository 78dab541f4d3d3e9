"""The recorded history: six variants in operation, each an archive of its store.

Recorded by pipelines.flights.record and packed by pipelines.flights.pack; `runs.jsonl` beside each
archive says what happened in every run and why.
"""

from __future__ import annotations

from pathlib import Path

from tfx_graphlets import Stage, describe, open_store, segment
from tfx_graphlets.waste_model import Dataset

DIRECTORY = Path(__file__).parent / "history"
LOG_NAME = "runs.jsonl"


def archives() -> tuple[Path, ...]:
    """The archive of every recorded variant, by name.

    Raises:
      FileNotFoundError: there is none beside this module.
    """
    found = tuple(sorted(manifest.parent for manifest in DIRECTORY.glob("*/archive/manifest.json")))
    if not found:
        raise FileNotFoundError(f"{DIRECTORY} holds no archive: record and pack one, see README.md")
    return found


def dataset(stage: Stage) -> Dataset:
    """All recorded graphlets with their features at a stage."""
    parts = []
    for archive in archives():
        with open_store(archive) as store:
            graphlets = segment(store.read_trace())
            table = describe(graphlets, stage, payloads=store.payloads)
        parts.append(Dataset.from_graphlets(graphlets, table, archive.parent.name))
    return Dataset.concatenate(parts)
