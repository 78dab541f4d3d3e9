"""Measures the library on synthetic stores, against the MLMD API and a bare scan.

    python -m tests.benchmarks.bench [--models N ...] [--repeats N] [--record]

Every step runs in a fresh process, once to warm the page cache and then as often
as is asked for; medians count. Seconds are wall time of the whole process where
it says *whole process*, else of the step alone. What counts on a busy machine
are the ratios: all steps on one store run right after one another.

Prints a table; writes it, the same as JSON, and a plot of cost against size to
bench_output/. ``--record`` also renews the results that docs/scale.md quotes.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks import process, results
from tests.import_graph import ROOT

RECORDED = ROOT / "tests" / "benchmarks" / "results.json"
SIZES = (1_500, 45_000)
# Up to which size what takes minutes is measured: the MLMD API needs more than half an
# hour at 450,000 models.
_LARGEST = {"read_by_mlmd": 45_000, "beam_one_process": 45_000, "beam_two_processes": 45_000}
_STEPS = (
    "nothing", "import_library", "scan_events", "scan_columns", "features", "features_pre",
    "features_one_process", "features_in_parts", "segmentation", "current_graphlet",
    "gate_decision",
)  # fmt: skip


def store_of(folder: Path, models: int) -> Path:
    """The synthetic store of so many models; it is made if it is not there."""
    from tests.benchmarks.synthetic.parameters import StoreParameters
    from tests.benchmarks.synthetic.writing import write_store

    path = folder / f"{models}.sqlite"
    if not path.exists():
        print(f"writing a store of {models:,} models", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        write_store(path, StoreParameters(models=models, seed=1))
    return path


def measure(step: str, store: Path, repeats: int) -> dict[str, float]:
    """Medians of a step over fresh processes, after one that warms the page cache."""
    print(f"  {step}", flush=True)
    if repeats > 1:
        process.run(step, str(store))
    runs = [process.run(step, str(store)) for _ in range(repeats)]
    figures = {
        name: statistics.median(run.figures[name] for run in runs) for name in runs[0].figures
    }
    return {
        **figures,
        "whole_process": statistics.median(run.seconds for run in runs),
        "peak_megabytes": max(run.peak_megabytes for run in runs),
    }


def measure_store(
    store: Path, models: int, repeats: int, without: Collection[str] = ()
) -> dict[str, Any]:
    """All steps on one store, but for some."""
    print(f"{models:,} models", flush=True)
    steps = {step: measure(step, store, repeats) for step in _STEPS if step not in without}
    for step, largest in _LARGEST.items():
        if models <= largest and step not in without:
            steps[step] = measure(step, store, 1)
    return {"models": models, "megabytes": store.stat().st_size / 1e6, "steps": steps}


def machine() -> Mapping[str, object]:
    """What it was measured on."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load_before": os.getloadavg()[0],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description="Measure the library on synthetic stores.")
    parser.add_argument("--models", type=int, nargs="+", default=list(SIZES), metavar="N")
    parser.add_argument("--repeats", type=int, default=3, help="fresh processes per step")
    parser.add_argument("--output", type=Path, default=Path("bench_output"))
    parser.add_argument("--stores", type=Path, help="where the stores are kept (default: OUTPUT)")
    parser.add_argument(
        "--without", nargs="+", default=[], metavar="MODELS:STEP", help="steps to leave out"
    )
    parser.add_argument(
        "--record", action="store_true", help="renew the results that docs/scale.md quotes"
    )
    options = parser.parse_args(arguments)
    document: dict[str, Any] = {"machine": machine(), "stores": []}
    options.output.mkdir(parents=True, exist_ok=True)
    for models in options.models:
        store = store_of(options.stores or options.output, models)
        without = [step for size, _, step in (one.partition(":") for one in options.without)
                   if size == str(models)]  # fmt: skip
        document["stores"].append(measure_store(store, models, options.repeats, without))
        results.write(document, options.output / "bench.json")
    text = results.table(document)
    (options.output / "bench.md").write_text(text + "\n", encoding="utf-8")
    results.plot(document, options.output / "bench.png")
    print(text)
    if options.record:
        results.write(document, RECORDED)
    print(f"written to {options.output}: bench.json, bench.md, bench.png")


def recorded() -> dict[str, Any]:
    """The results that docs/scale.md quotes."""
    document: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))
    return document


if __name__ == "__main__":
    main()
