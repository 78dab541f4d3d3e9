"""A history of runs, and how it is read from a Kubeflow Pipelines API server."""

from __future__ import annotations

from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.stores.kubeflow.client import parse_address
from tfx_graphlets.stores.kubeflow.store import KfpStore
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.vocabulary import ExecutionState


def history(num_runs: int = 4) -> RowBuilder:
    """Runs of two pipelines: trained, cached, failed, validated, pushed."""
    build = TraceBuilder(clock_ms=1_700_000_000_000)
    for number in range(num_runs):
        for pipeline in ("penguin", "taxi"):
            one_run(build, pipeline, number)
            build.clock_ms += 60_000
    return build.raw()


def one_run(build: TraceBuilder, pipeline: str, number: int) -> None:
    """One run, from data to what became of the model."""
    where = {"run": f"{pipeline}-{number}", "pipeline": pipeline}
    data = build.artifact("Examples", span=number, split_names='["train"]', uri="s3://b/examples")
    model, blessing = build.artifact("Model"), build.artifact("ModelBlessing", blessed=number % 2)
    pushed = build.artifact("PushedModel", pushed=number % 2)
    cached = {"state": ExecutionState.CACHED} if number == 3 else {}
    schema = build.artifact("Schema")
    build.execution("Importer", outputs={"result": [schema]}, node=f"{pipeline}.schema", **where)
    build.execution(
        "tfx.CsvExampleGen", outputs={"examples": [data]}, node=f"{pipeline}.CsvExampleGen",
        input_base="data", **where, **cached,
    )  # fmt: skip
    state = ExecutionState.FAILED if number == 2 else ExecutionState.COMPLETE
    build.execution(
        "tfx.Trainer", inputs={"examples": [data], "schema": [schema]},
        outputs={"model": [] if number == 2 else [model]}, node=f"{pipeline}.Trainer.wide",
        state=state, module_path=f"m@{number}", train_args='{"num_steps": 5}', rate=0.5, **where,
    )  # fmt: skip
    if number == 2:
        return
    build.execution(
        "tfx.Evaluator", inputs={"model": [model], "baseline_model": []},
        outputs={"blessing": [blessing]}, node=f"{pipeline}.Evaluator", **where,
    )  # fmt: skip
    build.execution(
        "tfx.Pusher", inputs={"model": [model], "model_blessing": [blessing]},
        outputs={"pushed_model": [pushed]}, node=f"{pipeline}.pusher-2", **where,
    )  # fmt: skip


class Naps:
    """A sleep that does not sleep; remembers how long it should have."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def opened(
    uri: str, *, token: str = "", timeout: float = 20.0, naps: Naps | None = None
) -> KfpStore:
    """The store of a URI, which waits for nothing."""
    address = parse_address(uri, {"TFX_GRAPHLETS_KFP_TOKEN": token})
    return KfpStore(address, sleep=naps or Naps(), timeout_seconds=timeout)


def outline(graphlets: Graphlets, *, nodes: bool = True) -> list[dict[str, object]]:
    """The graphlets by what they are, without ids, which the API has others of.

    Args:
      graphlets: the graphlets.
      nodes: whether the Trainers' nodes are told, too.
    """
    trace = graphlets.trace
    executions = dict(zip(trace.executions.id.tolist(), range(len(trace.executions))))
    result = []
    for graphlet in graphlets:
        content = graphlet.to_dict()
        members = [executions[number] for number in graphlet.executions]
        kinds = dict(zip(trace.artifacts.id.tolist(), trace.artifacts.type.tolist()))
        content["executions"] = sorted(
            (int(trace.executions.create_ms[row]), int(graphlets.role[row])) for row in members
        )
        content["artifacts"] = sorted(
            trace.artifact_base_types[kinds[number]] for number in graphlet.artifacts
        )
        content["warm_start"] = len(graphlet.warm_start)
        del content["trainer"], content["run"]
        if not nodes:
            del content["node"]
        result.append(content)
    return sorted(result, key=lambda one: (one["start_ms"], one["pipeline"]))
