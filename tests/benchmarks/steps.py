"""What is measured, each step in a process of its own: ``python -m tests.benchmarks.steps``.

A step prints one JSON line: figures by name, seconds unless the name says otherwise.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.benchmarks import beam, latency

Figures = Mapping[str, float]

# The bare scan adds up every column that features are made from, and nothing else.
_SCANS = (
    "SELECT total(artifact_id), total(execution_id), total(type) FROM Event",
    "SELECT count(*) FROM EventPath WHERE step_key = 'baseline_model'",
    (
        "SELECT total(id), total(type_id), total(last_known_state), "
        "total(create_time_since_epoch), total(last_update_time_since_epoch) FROM Execution"
    ),
    (
        "SELECT total(id), total(type_id), total(state), total(create_time_since_epoch), "
        "total(last_update_time_since_epoch), total(length(uri)) FROM Artifact"
    ),
    (
        "SELECT total(id), total(type_id), total(create_time_since_epoch), total(length(name)) "
        "FROM Context"
    ),
    "SELECT total(context_id), total(execution_id) FROM Association",
    (
        "SELECT total(execution_id), total(int_value), total(length(string_value)) "
        "FROM ExecutionProperty WHERE name IN "
        "('state', 'module_path', 'eval_config', 'input_fingerprint')"
    ),
    (
        "SELECT total(artifact_id), total(int_value), total(length(string_value)) "
        "FROM ArtifactProperty WHERE name IN "
        "('span', 'version', 'input_fingerprint', 'blessed', 'pushed')"
    ),
)


def timed(act: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def nothing(store: str) -> Figures:
    """A process that imports numpy: what every other one costs before it begins."""
    del store
    return {"numpy": timed(lambda: importlib.import_module("numpy"))}


def import_library(store: str) -> Figures:
    """The library's import, after numpy's."""
    del store
    importlib.import_module("numpy")
    return {"import": timed(lambda: importlib.import_module("tfx_graphlets"))}


def scan_events(store: str) -> Figures:
    """SQLite adds up three columns of the event table."""
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    return {"scan": timed(lambda: connection.execute(_SCANS[0]).fetchone())}


def scan_columns(store: str) -> Figures:
    """SQLite adds up every column that features are made from."""
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    return {"scan": timed(lambda: [connection.execute(one).fetchone() for one in _SCANS])}


def segmentation(store: str) -> Figures:
    """From a Trace in memory to graphlets, and to features, on one core."""
    from tfx_graphlets import Stage, open_store, segment
    from tfx_graphlets.analysis.corpus import read_for_features
    from tfx_graphlets.features import Describer

    with open_store(store) as opened:
        start = time.perf_counter()
        trace = read_for_features(opened, Stage.INPUT)
        read = time.perf_counter() - start
    runs = [timed(lambda: segment(trace)) for _ in range(3)]
    graphlets = segment(trace)
    figures = {"read": read, "segment": statistics.median(runs), "graphlets": float(len(graphlets))}
    if len(graphlets) <= 100_000:  # at once, without shards: the memory grows with the trace
        figures["describe"] = timed(lambda: Describer(graphlets, Stage.INPUT).describe())
    return figures


def features(store: str, stage: str = "input", *options: str) -> Figures:
    """The command ``features``, as a user runs it: from the store to a Parquet file."""
    from tfx_graphlets import cli

    with tempfile.TemporaryDirectory() as folder:
        output = str(Path(folder) / "features.parquet")
        arguments = ["features", store, "--stage", stage, "--output", output, *options]
        start = time.perf_counter()
        code = cli.main(arguments)
        seconds = time.perf_counter() - start
    if code:
        sys.exit(code)
    return {"features": seconds}


def features_pre(store: str) -> Figures:
    """The same at stage ``pre``."""
    return features(store, "pre")


def features_one_process(store: str) -> Figures:
    """The same with one process."""
    return features(store, "input", "--processes", "1")


def features_in_parts(store: str) -> Figures:
    """The same with no more than 500,000 executions in memory."""
    return features(store, "input", "--executions-in-memory", "500000")


def recorded_features(history: str) -> Figures:
    """Features at `pre` of every store of a folder, payloads too; pipelines/flights/history."""
    from tfx_graphlets import Stage, open_store, segment
    from tfx_graphlets.waste_model.dataset import Dataset

    def describe() -> None:
        for path in sorted(Path(history).glob("*/archive")):
            with open_store(str(path)) as opened:
                graphlets = segment(opened.read_trace())
                counts.append(len(Dataset.describe(graphlets, Stage.PRE, opened.payloads).outcome))

    counts: list[int] = []
    seconds = timed(describe)
    return {"features": seconds, "graphlets": float(sum(counts))}


def read_by_mlmd(store: str) -> Figures:
    """The MLMD API in batches: what features need into a Trace, its import left out."""
    from tfx_graphlets import Stage, open_store
    from tfx_graphlets.analysis.corpus import read_for_features

    importlib.import_module("ml_metadata")
    with open_store(f"sqlite+mlmd://{store}") as opened:
        return {"read": timed(lambda: read_for_features(opened, Stage.INPUT))}


def current_graphlet(store: str) -> Figures:
    """The graphlet of a run that has not trained yet, out of the store."""
    return _in_seconds(latency.current(store))


def gate_decision(store: str) -> Figures:
    """What a gate does once its model and its history are loaded, and loading them."""
    return _in_seconds(latency.decision(store))


def beam_one_process(store: str) -> Figures:
    """The Beam pipeline, one process."""
    return {"beam": beam.run(store, 1)}


def beam_two_processes(store: str) -> Figures:
    """The Beam pipeline, two processes."""
    return {"beam": beam.run(store, 2)}


def _in_seconds(milliseconds: Figures) -> Figures:
    return {name: value / 1000 for name, value in milliseconds.items()}


STEPS: Mapping[str, Callable[[str], Figures]] = {
    step.__name__: step
    for step in (
        nothing, import_library, scan_events, scan_columns, segmentation, features, features_pre,
        features_one_process, features_in_parts, recorded_features, read_by_mlmd,
        current_graphlet, gate_decision, beam_one_process, beam_two_processes,
    )
}  # fmt: skip


def main() -> None:
    """Runs one step in this process."""
    parser = argparse.ArgumentParser(description="Run one step of the benchmark.")
    parser.add_argument("step", choices=list(STEPS))
    parser.add_argument("store")
    arguments = parser.parse_args()
    print(json.dumps(STEPS[arguments.step](arguments.store)))


if __name__ == "__main__":
    main()
