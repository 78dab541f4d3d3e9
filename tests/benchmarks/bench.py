"""Measures reading and segmentation, each step in a process of its own.

    python -m tests.benchmarks.bench [--models N | --store FILE] [--repeats N] [--output DIR]

Prints a table, and writes the same as bench.json. Seconds are those of the step
alone, imports and process start left out; medians over the repeats. What counts
on a busy machine is the ratio to the bare scan of the same store in the same run.
"""

from __future__ import annotations

import argparse
import importlib
import json
import resource
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tfx_graphlets import open_store, segment

SCAN = "bare scan of the event table"
SQL = "store to Trace, SQL"
MLMD = "store to Trace, MLMD API"
SEGMENT = "Trace to graphlets"


def scan(path: str) -> Callable[[], object]:
    """SQLite reads three columns of every event and adds them up."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    query = "SELECT sum(artifact_id), sum(execution_id), sum(type) FROM Event"
    return lambda: connection.execute(query).fetchone()


def read_by_sql(path: str) -> Callable[[], object]:
    """The SQL reader, every property kept."""
    return open_store(path).read_trace


def read_by_mlmd(path: str) -> Callable[[], object]:
    """The MLMD API in bulk calls, its import left out."""
    importlib.import_module("ml_metadata")
    return open_store(f"sqlite+mlmd://{path}").read_trace


def cut(path: str) -> Callable[[], object]:
    """Segmentation of a Trace that is there already."""
    trace = open_store(path).read_trace()
    return lambda: segment(trace)


STEPS = {SCAN: scan, SQL: read_by_sql, MLMD: read_by_mlmd, SEGMENT: cut}


def measure(step: str, path: str) -> dict[str, float]:
    """Runs one step in this process.

    Returns:
      seconds: wall time of the step, after everything that it needs was imported
        and opened; peak_megabytes: of the whole process, imports included.
    """
    act = STEPS[step](path)
    start = time.perf_counter()
    act()
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_megabytes": peak}


def measure_apart(step: str, path: str, repeats: int) -> dict[str, float]:
    """Medians of a step over fresh processes."""
    command = [sys.executable, "-m", __spec__.name, "--step", step, "--store", path]
    runs = []
    for _ in range(repeats):
        process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        runs.append(json.loads(process.stdout.splitlines()[-1]))
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def compare(path: str, repeats: int) -> dict[str, Any]:
    """Measures every step on one store."""
    trace = open_store(path).read_trace()
    graphlets = len(segment(trace))
    steps = {step: measure_apart(step, path, repeats) for step in STEPS}
    return {
        "store": {
            "megabytes": Path(path).stat().st_size / 2**20,
            "executions": len(trace.executions),
            "events": len(trace.events),
            "graphlets": graphlets,
        },
        "steps": steps,
        "ratios": {
            "MLMD API to SQL": steps[MLMD]["seconds"] / steps[SQL]["seconds"],
            "SQL to bare scan": steps[SQL]["seconds"] / steps[SCAN]["seconds"],
        },
        "graphlets_per_second": graphlets / steps[SEGMENT]["seconds"],
    }


def table(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    store = result["store"]
    sizes = [f"{store[name]:,} {name}" for name in ("graphlets", "executions", "events")]
    lines = [
        f"{', '.join(sizes)}, {store['megabytes']:.1f} MB",
        f"{'step':<32}{'seconds':>10}{'x bare scan':>13}{'peak MB':>9}",
    ]
    base = result["steps"][SCAN]["seconds"]
    for step, run in result["steps"].items():
        seconds, peak = run["seconds"], run["peak_megabytes"]
        lines.append(f"{step:<32}{seconds:>10.4f}{seconds / base:>13.1f}{peak:>9.0f}")
    lines.append(f"segmentation: {result['graphlets_per_second']:,.0f} graphlets a second")
    lines.append(f"SQL is {result['ratios']['MLMD API to SQL']:.1f} times as fast as the MLMD API")
    return "\n".join(lines)


def main() -> None:
    """Runs the benchmark, or one step of it for the process that does."""
    parser = argparse.ArgumentParser(description="Measure reading and segmentation.")
    parser.add_argument("--models", type=int, default=1500, help="size of the store made for it")
    parser.add_argument("--store", help="a SQLite store to measure instead of a made one")
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes per step")
    parser.add_argument("--output", type=Path, default=Path("bench_output"))
    parser.add_argument("--step", choices=list(STEPS), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.step:
        print(json.dumps(measure(arguments.step, arguments.store)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = arguments.store
        if path is None:
            from tests.benchmarks.stores import write_store

            path = str(Path(folder) / "metadata.sqlite")
            print(f"writing a store of {arguments.models} models", flush=True)
            write_store(Path(path), models=arguments.models)
        result = compare(path, arguments.repeats)
    arguments.output.mkdir(parents=True, exist_ok=True)
    written = arguments.output / "bench.json"
    partial = written.with_suffix(".partial")
    partial.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    partial.replace(written)
    print(table(result))
    print(f"written to {written}")


if __name__ == "__main__":
    main()
