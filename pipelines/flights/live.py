"""One pipeline in operation: its folder, its code, its deliveries and its runs."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import datetime as dt
import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import tensorflow_model_analysis as tfma
from absl import logging
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import v1 as tfx
from tfx.dsl.compiler import constants
from tfx.orchestration.portable import runtime_parameter_utils, tfx_runner
from tfx.proto.orchestration import pipeline_pb2

from pipelines.flights import data, holds, operations
from pipelines.flights.pipeline import HOLD_PARAMETER, Gate, PipelinePaths, create_pipeline
from pipelines.flights.schedule import CodeRevision, PlannedRun
from pipelines.flights.tasks import ARRIVAL, Task
from pipelines.flights.variants import VariantConfig

_SOURCES = Path(__file__).parent
LOG_NAME = "runs.jsonl"
_KEPT_EXECUTIONS = 12  # newest executions of a node whose large outputs stay on disk


@dataclasses.dataclass(frozen=True)
class RunRecord:
    """One line of the log beside the store.

    day: the calendar day of the run, ISO 8601. causes: names of schedule.Cause.
    at: its start by the schedule's clock, ISO 8601; empty if the schedule has none.
    revision: commit number. seconds: wall time.
    state: "complete" or "failed". error: first line of what was raised, or empty.
    held: the throttle withheld its blessing.
    metrics: of the candidate, empty if it was not evaluated.
    The other fields: see operations.RunOutcome.
    """

    run: int
    pipeline_run_id: str
    day: str
    causes: tuple[str, ...]
    revision: int
    seconds: float
    state: str
    error: str
    trained: bool
    blessed: bool | None
    pushed: bool
    held: bool
    failed_node: str
    cached_nodes: tuple[str, ...]
    metrics: dict[str, float]
    node_seconds: dict[str, float]
    at: str = ""


class LivePipeline:
    """A variant of the pipeline in a folder of its own.

    Everything lies in the folder and is named relative to it, in the store too: metadata.sqlite,
    root/ (artifacts), data/ (spans), code/ (the user's module), schema/, serving/.
    """

    def __init__(
        self,
        variant: VariantConfig,
        folder: Path,
        *,
        runner: str = "local",
        gate: Gate | None = None,
        days: data.FlightDays | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepares the folder; a folder that was used before is continued.

        Args:
          variant: what to run.
          folder: created if it is not there.
          runner: "local" (LocalDagRunner) or "beam" (BeamDagRunner).
          gate: see pipeline.create_pipeline.
          days: the flights of the variant's airports; read from the package by default.
          clock: seconds since the epoch.

        Raises:
          ValueError: another runner.
        """
        if runner not in ("local", "beam"):
            raise ValueError(f"runner={runner!r}: must be 'local' or 'beam'")
        self.variant = variant
        self.folder = folder.absolute()
        self.paths = PipelinePaths()
        self._gate = gate
        self._clock = clock
        self._runner = tfx.orchestration.LocalDagRunner() if runner == "local" else _beam_runner()
        self._days = (
            data.FlightDays(variant.airports, task=variant.task, carriers=variant.carriers)
            if days is None
            else days
        )
        self._compiled: dict[CodeRevision, pipeline_pb2.Pipeline] = {}
        for name in ("code", "schema", "data", "serving"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / self.paths.schema_file).write_text(
            schema_source(variant.task), encoding="utf-8"
        )

    @property
    def metadata_file(self) -> Path:
        """The store."""
        return self.folder / self.paths.metadata_file

    def deliver(self, planned: PlannedRun) -> None:
        """Puts what arrives before a run into the input folder."""
        for delivery in planned.deliveries:
            rows = self._days.day(
                delivery.day, before_hour=delivery.before_hour, without=delivery.without
            )
            data.write_span(rows, self.folder / self.paths.data_root)

    def run(self, planned: PlannedRun, *, deliver: bool = True) -> RunRecord:
        """Delivers and runs once; a run that fails is recorded, not raised."""
        if deliver:
            self.deliver(planned)
        started = self._clock()
        run_id = f"{planned.day.isoformat()}-run-{planned.index:03d}"
        error = ""
        with _working_directory(self.folder):
            hold = self._hold_push(planned)
            pipeline = self._compile(planned.revision)
            runtime_parameter_utils.substitute_runtime_parameter(
                pipeline,
                {constants.PIPELINE_RUN_ID_PARAMETER_NAME: run_id, HOLD_PARAMETER: int(hold)},
            )
            with contextlib.ExitStack() as trouble:
                if planned.upstream_missing:
                    trouble.enter_context(_away(Path(self.paths.data_root)))
                if planned.serving_fails:
                    trouble.enter_context(_away(Path(self.paths.serving_root), leave_file=True))
                try:
                    self._runner.run_with_ir(pipeline)
                except Exception as raised:  # noqa: BLE001 - a component may raise anything
                    error = (str(raised).strip() or type(raised).__name__).splitlines()[0][:200]
                    logging.warning("run %s failed: %s", run_id, error)
            if planned.at is not None:
                operations.move_to_clock(self.paths.metadata_file, started, planned.at)
            store = operations.connect(self.paths.metadata_file)
            outcome = operations.run_outcome(store, run_id)
            metrics = _metrics(outcome.evaluation_uri)
            self._remove_old_outputs(operations.latest_blessed_model(store))
        return RunRecord(
            run=planned.index,
            pipeline_run_id=run_id,
            day=planned.day.isoformat(),
            causes=tuple(cause.value for cause in planned.causes),
            revision=planned.revision.number,
            seconds=round(self._clock() - started, 2),
            state="failed" if error or outcome.failed_node else "complete",
            error=error,
            trained=outcome.trained,
            blessed=outcome.blessed,
            pushed=outcome.pushed,
            held=hold,
            failed_node=outcome.failed_node,
            cached_nodes=outcome.cached_nodes,
            metrics=metrics,
            node_seconds=dict(outcome.node_seconds),
            at="" if planned.at is None else planned.at.isoformat(),
        )

    def _hold_push(self, planned: PlannedRun) -> bool:
        rule, interval = self.variant.rule, self.variant.push_interval
        if rule is not None and planned.at is not None:
            pushes = [one.at for one in read_log(self.folder) if one.pushed and one.at]
            last = dt.datetime.fromisoformat(pushes[-1]) if pushes else None
            if rule.holds(holds.Moment(planned.at, planned.index, self.variant.seed, last)):
                return True
        if not interval or not Path(self.paths.metadata_file).exists():
            return False
        return operations.hold_push(operations.connect(self.paths.metadata_file), interval)

    def _compile(self, revision: CodeRevision) -> pipeline_pb2.Pipeline:
        """The pipeline with the code of a revision; packed into wheels once for each."""
        if revision not in self._compiled:
            Path(self.paths.module_file).write_text(
                module_source(revision, self.variant.task), encoding="utf-8"
            )
            compiled = tfx_runner._make_pipeline_proto(  # noqa: SLF001 - run() packs every time
                create_pipeline(self.variant, self.paths, gate=self._gate)
            )
            if self.variant.cache:
                _never_cache(compiled, {"Trainer", "Evaluator", "Pusher"})
            self._compiled[revision] = compiled
        return copy.deepcopy(self._compiled[revision])

    def _remove_old_outputs(self, baseline: str) -> None:
        """Frees the disk: of large outputs keeps the newest, and the next run's baseline."""
        for node in ("Trainer", "Transform", "Pusher", "CsvExampleGen"):
            for output in (Path(self.paths.pipeline_root) / node).glob("*"):
                numbered = sorted(
                    (one for one in output.iterdir() if one.name.isdigit()),
                    key=lambda one: int(one.name),
                )
                for old in numbered[: -max(_KEPT_EXECUTIONS, 2 * self.variant.window)]:
                    if str(old) != baseline:
                        shutil.rmtree(old)


def read_log(folder: Path) -> list[RunRecord]:
    """The runs that a folder's log holds, oldest first; empty without a log."""
    log = folder / LOG_NAME
    if not log.exists():
        return []
    return [_from_json(line) for line in log.read_text(encoding="utf-8").splitlines()]


def append_log(folder: Path, record: RunRecord) -> None:
    """Adds a run to a folder's log."""
    with (folder / LOG_NAME).open("a", encoding="utf-8") as log:
        log.write(json.dumps(dataclasses.asdict(record)) + "\n")


def _from_json(line: str) -> RunRecord:
    fields = json.loads(line)
    return RunRecord(
        **{
            **fields,
            "causes": tuple(fields["causes"]),
            "cached_nodes": tuple(fields["cached_nodes"]),
        }
    )


def module_source(revision: CodeRevision, task: Task = ARRIVAL) -> str:
    """The user's module of a task as of a revision.

    Raises:
      ValueError: the revision sets what the module's settings block does not have.
    """
    source = (_SOURCES / "user_code" / "flights_model.py").read_text(encoding="utf-8")
    fixed = (("REVISION", revision.number), ("LABEL", task.label))
    for name, value in (*fixed, *revision.settings):
        source, count = re.subn(
            rf"^{name} = .*$", f"{name} = {value!r}", source, flags=re.MULTILINE
        )
        if count != 1:
            raise ValueError(
                f"revision sets {name!r}: the settings block of flights_model.py has no such name"
            )
    return source


def schema_source(task: Task) -> str:
    """The curated schema of a task as text: the columns of the flights' that it has, and its label.

    The label's presence and shape are those of the arrival's label.
    """
    schema = text_format.Parse(
        (_SOURCES / "schema.pbtxt").read_text(encoding="utf-8"), schema_pb2.Schema()
    )
    if task == ARRIVAL:
        return (_SOURCES / "schema.pbtxt").read_text(encoding="utf-8")
    by_name = {feature.name: feature for feature in schema.feature}
    label = by_name[ARRIVAL.label]
    label.name = task.label
    if not task.binary:
        label.type = schema_pb2.FLOAT
        label.ClearField("int_domain")
    kept = [*(by_name[name] for name in task.features), label]
    domains = {feature.domain for feature in kept}
    result = schema_pb2.Schema(
        feature=kept, string_domain=[one for one in schema.string_domain if one.name in domains]
    )
    return text_format.MessageToString(result)


def _metrics(evaluation_uri: str) -> dict[str, float]:
    """The candidate's metrics on all evaluation examples; empty without an evaluation."""
    if not evaluation_uri or not os.path.exists(os.path.join(evaluation_uri, "eval_config.json")):
        return {}
    result = tfma.load_eval_result(evaluation_uri)
    (values,) = [values for key, values in result.slicing_metrics if not key]
    numbers = {
        name: float(value["doubleValue"])
        for name, value in values[""][""].items()
        if "doubleValue" in value
    }
    return {name: round(value, 6) for name, value in numbers.items() if math.isfinite(value)}


def _never_cache(pipeline: pipeline_pb2.Pipeline, node_ids: set[str]) -> None:
    for node in pipeline.nodes:
        if node.pipeline_node.node_info.id in node_ids:
            node.pipeline_node.execution_options.caching_options.enable_cache = False


def _beam_runner() -> tfx_runner.IrBasedRunner:
    from tfx.orchestration.beam.beam_dag_runner import BeamDagRunner

    return BeamDagRunner()


@contextlib.contextmanager
def _working_directory(folder: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def _away(folder: Path, *, leave_file: bool = False) -> Iterator[None]:
    """Makes a folder unreachable for a while; a file in its place makes writing to it fail too."""
    hidden = folder.with_name(f"{folder.name}.away")
    folder.rename(hidden)
    try:
        if leave_file:
            folder.touch()
        yield
    finally:
        if leave_file:
            folder.unlink()
        hidden.rename(folder)
