"""Runs the pipeline once, live, on one day: python -m pipelines.flights.run --help."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import logging

from pipelines.flights import data, live, schedule, shortcuts, variants


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns 0 if the run completed and 1 if it failed."""
    parser = argparse.ArgumentParser(prog="pipelines.flights.run", description=__doc__)
    parser.add_argument("--variant", required=True, choices=sorted(variants.VARIANTS))
    parser.add_argument(
        "--day", required=True, type=dt.date.fromisoformat, help="a day of 2013, YYYY-MM-DD"
    )
    parser.add_argument(
        "--output", type=Path, help="folder of the pipeline; flights_runs/<variant> by default"
    )
    parser.add_argument("--runner", choices=("local", "beam"), default="local")
    parser.add_argument(
        "--rerun", action="store_true", help="deliver nothing: the trigger fired again"
    )
    parser.add_argument(
        "--before-hour", type=int, default=24, help="deliver only flights before this hour"
    )
    parser.add_argument(
        "--no-weather", action="store_true", help="deliver the weather columns empty"
    )
    parser.add_argument("--plain", action="store_true", help="without the shortcuts that save time")
    options = parser.parse_args(arguments)
    logging.set_verbosity(logging.WARNING)
    if not options.plain:
        shortcuts.install()
    variant = variants.get_variant(options.variant)
    folder = options.output or Path("flights_runs") / variant.name
    planned = planned_day(
        len(live.read_log(folder)),
        options.day,
        rerun=options.rerun,
        before_hour=options.before_hour,
        without=data.WEATHER_COLUMNS if options.no_weather else (),
    )
    pipeline = live.LivePipeline(variant, folder, runner=options.runner)
    record = pipeline.run(planned)
    live.append_log(folder, record)
    failure = f", {record.failed_node}: {record.error}" if record.state == "failed" else ""
    sys.stdout.write(
        f"{record.pipeline_run_id}: {record.state}{failure}, "
        f"{'pushed' if record.pushed else 'not pushed'}, {record.seconds:.0f} s\n"
        f"store {pipeline.metadata_file}\nserving {pipeline.folder / pipeline.paths.serving_root}\n"
    )
    return 0 if record.state == "complete" else 1


def planned_day(
    index: int,
    day: dt.date,
    *,
    rerun: bool = False,
    before_hour: int = 24,
    without: tuple[str, ...] = (),
    revision: schedule.CodeRevision = schedule.FIRST_REVISION,
) -> schedule.PlannedRun:
    """A run outside a schedule; its causes follow from what is delivered.

    Args:
      index: number of the run, 0 for the first in its folder.
      day: the day to deliver, or with `rerun` merely the day of the run.
      before_hour, without: see data.FlightDays.day.
      revision: the code that is deployed.
    """
    if rerun:
        return schedule.PlannedRun(index, day, (schedule.Cause.RERUN,), revision)
    complete = schedule.Cause.NEW_DATA if before_hour >= 24 else schedule.Cause.PARTIAL_DATA
    causes = (complete, schedule.Cause.OUTAGE) if without else (complete,)
    return schedule.PlannedRun(
        index, day, causes, revision, (schedule.Delivery(day, before_hour, without),)
    )


if __name__ == "__main__":
    sys.exit(main())
