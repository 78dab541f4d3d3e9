"""Small stores of several pipelines."""

from __future__ import annotations

import random
from pathlib import Path

from tests.stores.mlmd_files import write_store
from tests.strategies import Pipeline
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.vocabulary import ExecutionState


def many_pipelines(path: Path, *, pipelines: int = 7, runs: int = 40, seed: int = 1) -> Path:
    """Pipelines in operation whose runs interleave, in one store."""
    randomness = random.Random(seed)
    build = TraceBuilder()
    each = [Pipeline(build, randomness, f"pipeline-{number}") for number in range(pipelines)]
    for _ in range(runs):
        randomness.choice(each).run()
    return write_store(path, build.raw())


def train(build: TraceBuilder, pipeline: str | None, *inputs: int, run: str = "1") -> int:
    """One run that trains on its own span and what it is given; the Trainer's id."""
    data, model = build.artifact("Examples", span=1), build.artifact("Model")
    where = {"pipeline": pipeline, "run": f"{pipeline}-{run}"}
    build.execution("CsvExampleGen", outputs={"examples": [data]}, **where)
    return build.execution(
        "Trainer", inputs={"examples": [data, *inputs]}, outputs={"model": [model]}, **where
    )


def with_own_pushers(path: Path) -> Path:
    """Two pipelines of six runs: ``acme.Ship`` deploys, a mirror copies, a Pusher pushes half.

    What ``acme.Ship`` puts out says ``pushed`` in the first run of ``p`` alone; ``acme.Mirror``
    puts out a PushedModel that never does.
    """
    build = TraceBuilder()
    for pipeline in ("p", "q"):
        for number in range(6):
            where = {"pipeline": pipeline, "run": f"{pipeline}-{number}"}
            data, model = build.artifact("Examples"), build.artifact("Model")
            build.execution("CsvExampleGen", outputs={"examples": [data]}, **where)
            build.execution(
                "Trainer", inputs={"examples": [data]}, outputs={"model": [model]}, **where
            )
            said = {"pushed": 0} if (pipeline, number) == ("p", 0) else {}
            for kind, node, put_out in (
                ("acme.Ship", "ship", build.artifact("String", **said)),
                ("acme.Mirror", "mirror", build.artifact("PushedModel")),
                ("Pusher", "canary", build.artifact("PushedModel", pushed=number % 2)),
            ):
                if (pipeline, kind) != ("q", "Pusher"):
                    build.execution(
                        kind, inputs={"model": [model]}, outputs={"out": [put_out]},
                        node=f"{pipeline}.{node}", **where,
                    )  # fmt: skip
    return write_store(path, build.raw())


def with_a_custom_trainer(path: Path) -> Path:
    """Two pipelines of one custom class, which shows in one of them alone that it trains."""
    build = TraceBuilder()
    for pipeline, outputs in (("p", {"model": [build.artifact("Model")]}), ("q", {})):
        where = {"pipeline": pipeline, "run": pipeline}
        data = build.artifact("Examples")
        build.execution("CsvExampleGen", outputs={"examples": [data]}, **where)
        build.execution(
            "acme.Fit", inputs={"examples": [data]}, outputs=outputs,
            state=ExecutionState.COMPLETE if outputs else ExecutionState.FAILED, **where,
        )  # fmt: skip
    return write_store(path, build.raw())
