"""Writes a synthetic store to a file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from tests.benchmarks.synthetic import layout
from tests.benchmarks.synthetic.contexts import KINDS, number_contexts
from tests.benchmarks.synthetic.new_store import NewType, new_store
from tests.benchmarks.synthetic.parameters import StoreParameters
from tests.benchmarks.synthetic.pipelines import draw_pipelines
from tests.benchmarks.synthetic.rows import stretches
from tests.benchmarks.synthetic.runs import Runs, draw_runs
from tests.benchmarks.synthetic.schedule import Schedule, draw_schedule
from tests.benchmarks.synthetic.values import draw_values
from tests.benchmarks.synthetic.world import World
from tfx_graphlets.trace.trace import IntArray, SmallArray

# Starts and ends of executions that are turned into rows at a time.
_MOMENTS: Final = 100_000
_BASE_OF_ARTIFACT: Final = {
    "Examples": "DATASET", "ExampleStatistics": "STATISTICS", "Model": "MODEL",
    "PushedModel": "MODEL",
}  # fmt: skip
_BASE_OF_EXECUTION: Final = {
    "StatisticsGen": "PROCESS", "SchemaGen": "PROCESS", "Transform": "TRANSFORM",
    "Trainer": "TRAIN", "Evaluator": "EVALUATE", "Pusher": "DEPLOY",
}  # fmt: skip
_PROPERTIES_OF_ARTIFACT: Final = {
    "Examples": {"span": "INT", "version": "INT", "split_names": "STRING"},
    "ExampleStatistics": {"span": "INT", "split_names": "STRING"},
    "ExampleAnomalies": {"span": "INT", "split_names": "STRING"},
}


@dataclasses.dataclass(frozen=True, eq=False)
class WrittenStore:
    """What was written.

    Attributes:
      path: the file.
      parameters: what it was drawn from.
      executions, artifacts, events, contexts: numbers of rows.
      trainer_id: int64 [models], MLMD ids of the Trainer executions, ascending.
      outcome: int8 [models], vocabulary.Outcome of each, as it was planned.
      megabytes: size of the file.
    """

    path: Path
    parameters: StoreParameters
    executions: int
    artifacts: int
    events: int
    contexts: int
    trainer_id: IntArray
    outcome: SmallArray
    megabytes: float


def write_store(
    path: str | Path, parameters: StoreParameters,
    progress: Callable[[int], object] | None = None,
) -> WrittenStore:  # fmt: skip
    """Writes a SQLite store that MLMD opens.

    It is written beside ``path`` under another name first. Equal parameters give equal rows.
    Memory grows by about two kilobytes per model, beside SQLite's cache of 1 GB: the plan is held
    as columns, rows are made for one stretch of time at a time.

    Args:
      path: the file; it must not exist, its folder must.
      parameters: what the store is like.
      progress: called with the number of models that were written since it was called last.

    Raises:
      InvalidArgumentError: there is a file at ``path`` already, or no such folder.
      MissingDependencyError: ml-metadata is not installed.
    """
    path = Path(path)
    with new_store(
        path,
        artifact_types={
            name: NewType(_PROPERTIES_OF_ARTIFACT.get(name, {}), _BASE_OF_ARTIFACT.get(name))
            for name in layout.ARTIFACT_TYPES
        },
        execution_types={
            name: NewType(base_type=_BASE_OF_EXECUTION.get(name.rpartition(".")[2]))
            for name in layout.EXECUTION_TYPES
        },
        context_types={name: NewType() for name in KINDS},
    ) as store:
        pipelines = draw_pipelines(parameters)
        runs = draw_runs(parameters, pipelines)
        schedule = draw_schedule(parameters, pipelines, runs)
        contexts = number_contexts(pipelines, runs, schedule)
        known = draw_values(parameters, pipelines, runs, schedule.run_start_ms)
        world = World(parameters, pipelines, runs, schedule, contexts, known, store.type_ids)
        for models, loads in stretches(world, _MOMENTS):
            for load in loads:
                store.load(load.insert, load.columns)
            if progress is not None:
                progress(models)
        trainer_id, outcome = _outcomes(runs, schedule)
    made = runs.origin == np.arange(len(runs))[:, np.newaxis]
    per_slot = np.array([len(outputs) for outputs in layout.OUTPUTS_OF_SLOT])
    return WrittenStore(
        path=path,
        parameters=parameters,
        executions=int(schedule.execution.max()),
        artifacts=int((made.sum(axis=0) * per_slot).sum()),
        events=int(schedule.event_before[-1]),
        contexts=int(contexts.before[-1] + contexts.new[-1].sum()),
        trainer_id=trainer_id,
        outcome=outcome,
        megabytes=path.stat().st_size / 1e6,
    )


def _outcomes(runs: Runs, schedule: Schedule) -> tuple[IntArray, SmallArray]:
    slots = [layout.in_lane(layout.TRAINER, lane) for lane in range(layout.LANES)]
    trained = runs.outcome >= 0
    trainer_id, outcome = schedule.execution[:, slots][trained], runs.outcome[trained]
    order = np.argsort(trainer_id)
    return trainer_id[order].astype(np.int64), outcome[order]
