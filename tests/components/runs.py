"""Runs a small gated TFX pipeline, and says what its store holds afterwards."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode

from tests.components import light_nodes
from tfx_graphlets.components.artifacts import read_files
from tfx_graphlets.components.conditions import check_gated, proceed
from tfx_graphlets.components.graphlet_gen import GraphletGen
from tfx_graphlets.gate import graphlets_file

PIPELINE = "light"


@dataclasses.dataclass
class LightPipeline:
    """A pipeline of nodes that do nothing, below ``folder``."""

    folder: Path
    enable_cache: bool = False
    name: str = PIPELINE
    connection: metadata_store_pb2.ConnectionConfig | None = None  # else a file in the folder
    root: Path | None = None  # else in the folder
    runner: Callable[[], tfx.orchestration.LocalDagRunner] = tfx.orchestration.LocalDagRunner

    @property
    def store_file(self) -> Path:
        return self.folder / "metadata.sqlite"

    def build(
        self,
        gate: Callable[[GraphletGen], list[BaseNode]] | None,
        *,
        span: int = 1,
        blessed: int = 1,
        code: str = "",
        **graphlet_gen: object,
    ) -> tfx.dsl.Pipeline:
        """The pipeline; ``gate`` makes the gate behind GraphletGen, its last node the WasteGate.

        Without one nothing is ours. ``code`` is the import path of a function of Transform and
        Trainer.
        """
        examples = light_nodes.LightExampleGen(span=span)
        transform = light_nodes.Transform(
            examples=examples.outputs["examples"], preprocessing_fn=code
        )
        ours: list[BaseNode] = []
        if gate is not None:
            graphlets = GraphletGen(
                examples=examples.outputs["examples"],
                transform_graph=transform.outputs["transform_graph"],
                **graphlet_gen,  # type: ignore[arg-type]
            )
            ours = [graphlets, *gate(graphlets)]
        with tfx.dsl.Cond(proceed(ours[-1])) if ours else contextlib.nullcontext():
            trainer = light_nodes.Trainer(
                examples=examples.outputs["examples"],
                transform_graph=transform.outputs["transform_graph"],
                run_fn=code,
            )
            evaluator = light_nodes.Evaluator(model=trainer.outputs["model"], blessed=blessed)
            pusher = light_nodes.Pusher(
                model=trainer.outputs["model"], blessing=evaluator.outputs["blessing"]
            )
        pipeline = tfx.dsl.Pipeline(
            pipeline_name=self.name,
            pipeline_root=str(self.root or self.folder / "root"),
            components=[examples, transform, *ours, trainer, evaluator, pusher],
            enable_cache=self.enable_cache,
            metadata_connection_config=self.connection
            or tfx.orchestration.metadata.sqlite_metadata_connection_config(str(self.store_file)),
        )
        if ours:
            check_gated(pipeline)
        return pipeline

    def run(self, gate: Callable[[GraphletGen], list[BaseNode]] | None, **build: object) -> None:
        """Builds and runs it."""
        self.runner().run(self.build(gate, **build))  # type: ignore[arg-type]

    def store(self) -> metadata_store.MetadataStore:
        config = metadata_store_pb2.ConnectionConfig()
        config.sqlite.filename_uri = str(self.store_file)
        config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
        return metadata_store.MetadataStore(config)

    def decisions(self) -> list[dict[str, object]]:
        """Custom properties of the GateDecision artifacts, oldest first."""
        artifacts = self.store().get_artifacts_by_type("tfx_graphlets.GateDecision")
        return [_values(artifact) for artifact in sorted(artifacts, key=lambda a: a.id)]

    def histories(self) -> list[graphlets_file.PipelineHistory]:
        """What the Graphlets artifacts hold, oldest first."""
        artifacts = self.store().get_artifacts_by_type("tfx_graphlets.Graphlets")
        return [
            graphlets_file.from_files(read_files(artifact.uri, graphlets_file.FILES))
            for artifact in sorted(artifacts, key=lambda artifact: artifact.id)
        ]

    def executions(self) -> list[dict[str, str]]:
        """State by node id, per run in the order of the runs."""
        store = self.store()
        states = metadata_store_pb2.Execution.State
        node_of = {
            execution.id: context.name.rpartition(".")[2]
            for context in store.get_contexts_by_type("node")
            for execution in store.get_executions_by_context(context.id)
        }
        return [
            {
                node_of[execution.id]: states.Name(execution.last_known_state)
                for execution in store.get_executions_by_context(run.id)
            }
            for run in sorted(store.get_contexts_by_type("pipeline_run"), key=lambda run: run.id)
        ]


def _values(artifact: metadata_store_pb2.Artifact) -> dict[str, object]:
    return {
        key: getattr(value, value.WhichOneof("value"))
        for key, value in artifact.custom_properties.items()
    }
