"""Packs recorded folders into the repository's history: python -m pipelines.flights.pack."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.flights import history
from tfx_graphlets import open_store
from tfx_graphlets.stores.archive.archive import write_archive


def pack(folder: Path, target: Path) -> str:
    """Writes the archive of a recorded folder, and its log beside it; returns one line about it."""
    with open_store(folder / "metadata.sqlite") as store:
        trace = store.read_trace()
        target.mkdir(parents=True, exist_ok=True)
        write_archive(
            trace, store.payloads, target / "archive", source=folder.name,
            created_ms=int(trace.executions.update_ms.max()),
            relativize_root=(str(folder.absolute()),),
        )  # fmt: skip
    shutil.copyfile(folder / history.LOG_NAME, target / history.LOG_NAME)
    size = sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    return f"{target.name}: {trace}, {size / 1e6:.2f} MB"


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="pipelines.flights.pack", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--output", type=Path, default=history.DIRECTORY)
    options = parser.parse_args(arguments)
    for folder in options.folders:
        sys.stdout.write(pack(folder, options.output / folder.absolute().name) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
