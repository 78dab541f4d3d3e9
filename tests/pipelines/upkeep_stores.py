"""Stores that grow, for the upkeep's tests: what is pushed is told by the size of the input."""

from __future__ import annotations

import random
from pathlib import Path

from tests.stores.mlmd_files import write_store
from tfx_graphlets.testing import TraceBuilder


def store_of(folder: Path, runs: int, *, told_by_size: bool = True, seed: int = 0) -> Path:
    """A SQLite store of so many runs; one of more runs begins with those of one of fewer.

    Args:
      folder: where ``metadata.sqlite`` is written, in place of the last one.
      runs: how many; about half of them are pushed.
      told_by_size: runs on large input are not pushed; else size and push have nothing in common.
      seed: of both.
    """
    draw = random.Random(seed)
    build = TraceBuilder()
    for number in range(runs):
        pushed, other = draw.randrange(2), draw.randrange(2)
        small = pushed if told_by_size else other
        size = draw.randrange(1_000, 2_000) + (0 if small else 90_000)
        run = f"r{number}"
        examples = build.artifact(
            span=number, input_fingerprint=f"split:s,num_files:1,total_bytes:{size},xor_checksum:1"
        )
        model = build.artifact("Model")
        blessing = build.artifact("ModelBlessing", blessed=pushed)
        done = build.artifact("PushedModel", pushed=pushed)
        build.execution("CsvExampleGen", outputs={"examples": [examples]}, run=run)
        build.execution(
            "Trainer", inputs={"examples": [examples]}, outputs={"model": [model]}, run=run
        )
        build.execution(
            "Evaluator", inputs={"model": [model]}, outputs={"blessing": [blessing]}, run=run
        )
        build.execution(
            "Pusher", inputs={"model": [model], "blessing": [blessing]},
            outputs={"pushed_model": [done]}, run=run,
        )  # fmt: skip
    path = folder / "metadata.sqlite"
    path.unlink(missing_ok=True)
    return write_store(path, build.raw())
