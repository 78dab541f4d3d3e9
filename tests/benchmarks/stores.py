"""TFX-shaped metadata stores of any size, in a schema that MLMD itself makes."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import ml_metadata
from ml_metadata.proto import metadata_store_pb2

EXECUTION_TYPES = (
    "tfx.components.example_gen.csv_example_gen.component.CsvExampleGen",
    "tfx.components.statistics_gen.component.StatisticsGen",
    "tfx.components.transform.component.Transform",
    "tfx.components.trainer.component.Trainer",
    "tfx.components.evaluator.component.Evaluator",
    "tfx.components.pusher.component.Pusher",
)
ARTIFACT_TYPES = (
    "Examples", "ExampleStatistics", "TransformGraph", "Model", "ModelBlessing", "PushedModel",
)  # fmt: skip
CONTEXT_TYPES = ("pipeline", "pipeline_run", "node")
INPUT, OUTPUT = 3, 4
HOUR_MS = 3_600_000


def write_store(
    path: Path, *, models: int, pipelines: int = 3, window: int = 5, seed: int = 0
) -> None:
    """Writes a SQLite store of pipelines that take a span a run and train on a window of spans.

    Args:
      path: the file; it must not exist.
      models: number of Trainer executions, spread evenly over the pipelines.
      pipelines: number of pipelines.
      window: spans that a Trainer takes in, the newest included.
      seed: decides which models are blessed and pushed (about three in ten).
    """
    type_ids = _make_schema(path)
    writer = _Writer(type_ids, random.Random(seed))
    for number in range(models):
        writer.run(number % pipelines, number // pipelines, window)
    connection = sqlite3.connect(path)
    with connection:
        for table, rows in writer.rows.items():
            if rows:
                columns = ", ".join(rows[0])
                marks = ", ".join(f":{name}" for name in rows[0])
                connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
    connection.close()


def _make_schema(path: Path) -> Mapping[str, int]:
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    store = ml_metadata.MetadataStore(config)
    ids = {}
    for name in EXECUTION_TYPES:
        ids[name] = store.put_execution_type(metadata_store_pb2.ExecutionType(name=name))
    for name in ARTIFACT_TYPES:
        ids[name] = store.put_artifact_type(metadata_store_pb2.ArtifactType(name=name))
    for name in CONTEXT_TYPES:
        ids[name] = store.put_context_type(metadata_store_pb2.ContextType(name=name))
    return ids


class _Writer:
    """Collects the rows of every table."""

    def __init__(self, type_ids: Mapping[str, int], randomness: random.Random) -> None:
        self.type_ids = type_ids
        self.randomness = randomness
        self.rows: dict[str, list[dict[str, object]]] = {
            name: []
            for name in (
                "Artifact", "ArtifactProperty", "Execution", "Event", "EventPath", "Context",
                "Association", "Attribution",
            )
        }  # fmt: skip
        self.contexts: dict[tuple[str, str], int] = {}
        self.spans: dict[int, list[int]] = {}

    def run(self, pipeline: int, number: int, window: int) -> None:
        """Adds one run of one pipeline, from the ExampleGen to the Pusher."""
        name = f"pipeline-{pipeline}"
        contexts = [
            self._context("pipeline", name),
            self._context("pipeline_run", f"{name}.run-{number}"),
        ]
        start_ms = (number + 1) * 24 * HOUR_MS + pipeline * HOUR_MS
        pushed = int(self.randomness.random() < 0.3)

        def step(index: int, inputs: Mapping[str, Sequence[int]], **properties: int) -> int:
            return self._step(index, contexts, start_ms + index * 60_000, inputs, properties)

        spans = self.spans.setdefault(pipeline, [])
        spans.append(step(0, {}, span=number))
        taken = spans[-window:]
        step(1, {"examples": taken[-1:]})
        graph = step(2, {"examples": taken})
        model = step(3, {"examples": taken, "transform_graph": [graph]})
        blessing = step(4, {"examples": taken[-1:], "model": [model]}, blessed=pushed)
        step(5, {"model": [model], "model_blessing": [blessing]}, pushed=pushed)

    def _step(
        self, index: int, contexts: Sequence[int], when_ms: int,
        inputs: Mapping[str, Sequence[int]], properties: Mapping[str, int],
    ) -> int:  # fmt: skip
        execution = self._add(
            "Execution", type_id=self.type_ids[EXECUTION_TYPES[index]], last_known_state=3,
            create_time_since_epoch=when_ms, last_update_time_since_epoch=when_ms + 50_000,
        )  # fmt: skip
        output = self._add(
            "Artifact", type_id=self.type_ids[ARTIFACT_TYPES[index]], uri=f"out/{execution}",
            state=2, create_time_since_epoch=when_ms, last_update_time_since_epoch=when_ms + 50_000,
        )  # fmt: skip
        for name, value in properties.items():
            self.rows["ArtifactProperty"].append(
                {"artifact_id": output, "name": name, "is_custom_property": 1, "int_value": value}
            )
        for key, artifacts in inputs.items():
            for position, artifact in enumerate(artifacts):
                self._event(execution, artifact, INPUT, key, position, when_ms)
        self._event(execution, output, OUTPUT, "output", 0, when_ms + 50_000)
        for context in contexts:
            self.rows["Association"].append({"context_id": context, "execution_id": execution})
            self.rows["Attribution"].append({"context_id": context, "artifact_id": output})
        return output

    def _event(
        self, execution: int, artifact: int, kind: int, key: str, position: int, when_ms: int
    ) -> None:
        event = self._add(
            "Event", artifact_id=artifact, execution_id=execution, type=kind,
            milliseconds_since_epoch=when_ms,
        )  # fmt: skip
        self.rows["EventPath"] += (
            {"event_id": event, "is_index_step": 0, "step_index": None, "step_key": key},
            {"event_id": event, "is_index_step": 1, "step_index": position, "step_key": None},
        )

    def _context(self, kind: str, name: str) -> int:
        if (kind, name) not in self.contexts:
            self.contexts[kind, name] = self._add("Context", type_id=self.type_ids[kind], name=name)
        return self.contexts[kind, name]

    def _add(self, table: str, **values: object) -> int:
        new_id = len(self.rows[table]) + 1
        self.rows[table].append({"id": new_id, **values})
        return new_id
