"""Replays a variant's schedule and leaves a store behind: python -m pipelines.flights.record."""

from __future__ import annotations

import argparse
import os
import resource
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

# TensorFlow reads these on import; the graphs are small, and another recorder may run beside.
for _name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from absl import logging  # noqa: E402

from pipelines.flights import live, schedule, shortcuts, variants  # noqa: E402

_BEGUN_NAME = "begun.txt"


def record(variant: variants.VariantConfig, folder: Path, number_of_runs: int) -> None:
    """Replays what is left of the schedule: an interrupted recording goes on where it stopped."""
    folder.mkdir(parents=True, exist_ok=True)
    done = live.read_log(folder)
    planned_runs = schedule.plan(variant, number_of_runs)[len(done) :]
    if not planned_runs:
        return
    pipeline = live.LivePipeline(variant, folder)
    begun = folder / _BEGUN_NAME
    for planned in planned_runs:
        # An interrupted run has its deliveries already: delivering again would make new versions.
        delivered = begun.exists() and begun.read_text(encoding="utf-8") == str(planned.index)
        if not delivered:
            pipeline.deliver(planned)
            begun.write_text(str(planned.index), encoding="utf-8")
        done.append(pipeline.run(planned, deliver=False))
        live.append_log(folder, done[-1])
        begun.unlink()
        sys.stdout.write(_progress(variant, done, number_of_runs) + "\n")
        sys.stdout.flush()


def _progress(
    variant: variants.VariantConfig, done: Sequence[live.RunRecord], number_of_runs: int
) -> str:
    last = done[-1]
    verdict = _verdict(last)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    trained = [one for one in done if one.trained]
    rate = sum(one.pushed for one in trained) / max(len(trained), 1)
    loss = last.metrics.get(variant.task.loss_key, float("nan"))
    auc = last.metrics.get("auc", float("nan"))
    return (
        f"{variant.name} {len(done)}/{number_of_runs} {last.at or last.day} "
        f"{'+'.join(last.causes):<28} {verdict:<16} loss {loss:.4f} auc {auc:.3f} "
        f"{last.seconds:5.1f} s  pushed {rate:.0%} of {len(trained)}  {memory} MB"
    )


def _verdict(run: live.RunRecord) -> str:
    if run.pushed:
        return "pushed"
    if run.failed_node:
        return f"{run.failed_node} failed"
    return "held" if run.blessed and run.held else "-"


def push_rates(records: Sequence[live.RunRecord]) -> dict[str, tuple[int, int]]:
    """For each cause the models trained and pushed; a run with two causes counts for both."""
    rates: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for one in records:
        if one.trained:
            for cause in one.causes:
                rates[cause][0] += 1
                rates[cause][1] += one.pushed
    return {cause: (trained, pushed) for cause, (trained, pushed) in sorted(rates.items())}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="pipelines.flights.record", description=__doc__)
    parser.add_argument("--variant", required=True, choices=sorted(variants.VARIANTS))
    parser.add_argument(
        "--output", required=True, type=Path, help="folder for the store and all it names"
    )
    parser.add_argument(
        "--runs", type=int, help="runs to replay in all; the variant's own number by default"
    )
    parser.add_argument(
        "--plain", action="store_true", help="without the shortcuts that make recording fast"
    )
    options = parser.parse_args(arguments)
    logging.set_verbosity(logging.ERROR)
    if not options.plain:
        shortcuts.install()
    variant = variants.get_variant(options.variant)
    record(variant, options.output, options.runs or variant.number_of_runs)
    for cause, (trained, pushed) in push_rates(live.read_log(options.output)).items():
        sys.stdout.write(f"  {cause:<18} {pushed:3d} of {trained:3d} pushed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
