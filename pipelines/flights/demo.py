"""Trains a waste model from the recorded history, then lets it gate a live pipeline: make demo.

Ungated, the pipeline would train in every run. What a first gate lets go on is rehearsed by a small
model before the Trainer, and a second gate decides with what that found. The days are fixed, what
upstream does on them is declared here, and every decision is the gates' own.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import os
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The graphs are small: starting threads costs more than they bring.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import numpy as np
from absl import logging
from tqdm import tqdm

from pipelines.flights import data, history, live, shortcuts
from pipelines.flights.gate import FIRST_GATE, waste_gate
from pipelines.flights.schedule import Cause, CodeRevision, Delivery, PlannedRun
from pipelines.flights.variants import VariantConfig, get_variant
from tfx_graphlets import Stage, open_store, segment
from tfx_graphlets.gate.record import past_decisions
from tfx_graphlets.report.report import Report
from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.report.view import view_of
from tfx_graphlets.waste_model import Dataset, WasteModel, train_waste_model
from tfx_graphlets.waste_model.learner import LearnerSettings

FRESHNESS = 0.9
EACH_GATE = 0.95  # two gates share the pushes that the freshness lets miss
TREES = 100
COLD_START = 3  # labelled runs of its own before the gate may skip
GATED_NODES = ("Trainer", "Evaluator", "Pusher")

VARIANT = VariantConfig("flights-demo", ("LGA",), "linear", 5, dt.date(2013, 11, 4), seed=0)


def planned_runs() -> tuple[PlannedRun, ...]:
    """The days of the demo, and what upstream does on them."""
    code = CodeRevision(0)
    bad, mended = code.changed(1, LABEL_SIGN=-1), code.changed(2)
    days = [VARIANT.first_day + dt.timedelta(days=number) for number in range(12)]
    new = (Cause.NEW_DATA,)
    events: tuple[tuple[dt.date, tuple[Cause, ...], tuple[Delivery, ...]], ...] = (
        *((day, new, (Delivery(day),)) for day in days[:4]),
        (days[3], (Cause.RERUN,), ()),
        (days[4], new, (Delivery(days[4]),)),
        (days[4], (Cause.RERUN,), ()),
        (days[5], (Cause.LATE_DATA,), ()),
        (days[6], (Cause.COMPLETED_DATA, Cause.NEW_DATA), (Delivery(days[5]), Delivery(days[6]))),
        (days[7], (Cause.NEW_DATA, Cause.OUTAGE), (Delivery(days[7], 24, data.WEATHER_COLUMNS),)),
        (days[8], new, (Delivery(days[8]),)),
        (days[8], (Cause.RERUN,), ()),
        (days[9], (Cause.NEW_DATA, Cause.BAD_COMMIT), (Delivery(days[9]),)),
        (days[9], (Cause.RERUN, Cause.BAD_COMMIT), ()),
        (days[10], (Cause.NEW_DATA, Cause.BAD_COMMIT), (Delivery(days[10]),)),
        (days[11], (Cause.NEW_DATA, Cause.FIX), (Delivery(days[11]),)),
    )
    revisions = [code] * (len(events) - 4) + [bad, bad, bad, mended]
    return tuple(
        PlannedRun(index, day, causes, revision, deliveries)
        for index, ((day, causes, deliveries), revision) in enumerate(zip(events, revisions))
    )


@dataclasses.dataclass(frozen=True)
class Row:
    """One run of the demo, as the store records it.

    Attributes:
      seconds: wall time of the run; saved_seconds: mean cost of the gated nodes in this pipeline's
        runs so far, where they were skipped, else 0.
      probability: of a push, by the first gate; None where it had none.
      rehearsed: the same after the rehearsal; None where the first gate skipped the run.
      changed: the first gate let the run go on, and the one after the rehearsal did not.
    """

    day: str
    cause: str
    probability: float | None
    rehearsed: float | None
    changed: bool
    proceed: bool
    reason: str
    pushed: bool
    seconds: float
    saved_seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="pipelines.flights.demo", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo_output"), help="made anew")
    parser.add_argument("--runs", type=int, help="only the first runs")
    options = parser.parse_args(arguments)
    logging.set_verbosity(logging.ERROR)
    shortcuts.install()
    started = time.monotonic()
    output: Path = options.output.absolute()
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)

    show = _take_over_output(output / "tfx.log")
    show.write("Training the waste model ...\n")
    show.flush()
    model = train(output / "waste_model", show)
    rows = run_live(model, output, planned_runs()[: options.runs], show)
    write_report(output)
    summarise(rows, output, time.monotonic() - started, show)
    return 0


def train(directory: Path, show: TextIO) -> Path:
    """Trains the waste model on the recorded pipelines of the same task, and saves it."""
    parts = history.datasets(Stage.PRE, rehearsed=True)
    alike = [part for name, part in parts.items() if get_variant(name).task is VARIANT.task]
    dataset = Dataset.concatenate(alike)
    settings = LearnerSettings(trees=TREES)
    model: WasteModel = train_waste_model(dataset, Stage.PRE, EACH_GATE, settings=settings)
    model.save(directory)
    show.write(f"Recorded history: {dataset}.\n{model}\n\n")
    return directory


def run_live(model: Path, output: Path, planned: Sequence[PlannedRun], show: TextIO) -> list[Row]:
    """Runs the gated pipeline day by day with LocalDagRunner; shows each decision as it falls."""
    gate = waste_gate(str(model), min_labelled=COLD_START, rehearsed=VARIANT)
    pipeline = live.LivePipeline(VARIANT, output / "pipeline", gate=gate)
    show.write(
        f"Live pipeline {VARIANT.name}, two gates at stage pre and a rehearsal between them, "
        f"freshness {FRESHNESS:g}:\n"
    )
    show.write(
        f"{'day':10}  {'what happened':24}  {'P(push)':>7}  {'rehearsed':>9}  {'decision':8}  "
        f"{'pushed':6}  {'spent s':>7}  {'saved s':>7}\n"
    )
    rows: list[Row] = []
    for one in tqdm(planned, desc="runs", disable=not show.isatty(), file=show, leave=False):
        record = pipeline.run(one)
        live.append_log(pipeline.folder, record)
        if record.state == "failed":
            raise SystemExit(
                f"{record.pipeline_run_id} failed in {record.failed_node}: {record.error}"
            )
        rows.append(_row(pipeline.metadata_file, record))
        show.write(_line(rows[-1]))
        show.flush()
    return rows


def write_report(output: Path) -> None:
    """The page of what the pipeline cost, what was wasted, and what the gate saved."""
    with open_store(output / "pipeline" / "metadata.sqlite") as store:
        source = ReportSource.read(store, name=VARIANT.name)
        view = view_of([source], now_ms=time.time_ns() // 1_000_000, replay=False)
        Report(view, [source]).save(output / "report.html")


def summarise(rows: Sequence[Row], output: Path, seconds: float, show: TextIO) -> None:
    """Totals, and where everything lies."""
    skipped = [row for row in rows if not row.proceed]
    wasted = sum(row.proceed and not row.pushed for row in rows)
    changed = sum(row.changed for row in rows)
    spent, saved = (sum(of) for of in zip(*((row.seconds, row.saved_seconds) for row in rows)))
    store = Path(os.path.relpath(output / "pipeline" / "metadata.sqlite"))
    show.write(
        f"\n{len(rows)} runs: {len(skipped)} skipped ({changed} because of the rehearsal), "
        f"{sum(row.pushed for row in rows)} pushed, {wasted} trained and not pushed. "
        f"{spent:.0f} s spent, {saved:.0f} s saved.\n"
        "(saved: what Trainer, Evaluator and Pusher cost on average in the runs before)\n"
        f"All of this took {seconds:.0f} s.\n\n"
        f"report         {store.parent.parent / 'report.html'}  (open it in a browser)\n"
        f"store          {store}\nserving model  {store.parent / 'serving'}\n"
        f"waste model    {store.parent.parent / 'waste_model'}\n"
        f"log of TFX     {store.parent.parent / 'tfx.log'}\n\n"
        f"Look around:\n  .venv/bin/tfx-graphlets segment {store}\n"
        f"  .venv/bin/tfx-graphlets gate {store} --pipeline {VARIANT.name} "
        f"--model {store.parent.parent / 'waste_model'}\n"
    )
    show.flush()


def _take_over_output(log: Path) -> TextIO:
    """Sends what TFX, pip and setuptools print to a log; returns what standard output was."""
    show = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    with log.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        os.dup2(file.fileno(), sys.stderr.fileno())
    return show


def _row(metadata_file: Path, record: live.RunRecord) -> Row:
    with open_store(metadata_file) as store:
        trace = store.read_trace()
    decisions = {
        one.gate: one for one in past_decisions(trace) if one.run == record.pipeline_run_id
    }
    first, last = decisions[FIRST_GATE], decisions["WasteGate"]
    graphlets = segment(trace)
    names = np.array([name.rpartition(".")[2] for name in trace.executions.type_names])
    gated = np.isin(names[trace.executions.type], GATED_NODES)
    mean_cost = float(graphlets.cost[gated].sum()) / max(len(graphlets), 1) / 1000
    return Row(
        day=record.day,
        cause=", ".join(cause.replace("_", " ") for cause in record.causes),
        probability=first.probability,
        rehearsed=last.probability,
        changed=first.proceed and not last.proceed,
        proceed=last.proceed,
        reason=(last if first.proceed else first).reason,
        pushed=record.pushed,
        seconds=record.seconds,
        saved_seconds=0.0 if last.proceed else mean_cost,
    )


def _line(row: Row) -> str:
    before, after = (
        "-" if one is None else f"{one:.3f}" for one in (row.probability, row.rehearsed)
    )
    pushed = "yes" if row.pushed else "no" if row.proceed else "-"
    saved = f"{row.saved_seconds:.1f}" if row.saved_seconds else "-"
    line = (
        f"{row.day:10}  {row.cause[:24]:24}  {before:>7}  {after:>9}  "
        f"{'run' if row.proceed else 'SKIP':8}  {pushed:6}  {row.seconds:7.1f}  {saved:>7}"
    )
    said = "The rehearsal changes the decision. " * row.changed + row.reason
    reason = textwrap.fill(said, 88, initial_indent=" " * 12, subsequent_indent=" " * 12)
    return f"{line}\n{reason}\n"


if __name__ == "__main__":
    sys.exit(main())
