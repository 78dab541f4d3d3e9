"""What the gate costs in a pipeline, each figure from a process of its own.

    python -m tests.benchmarks.latency [--step STEP ...] STORE ...

Prints one JSON line for each step and store: medians in milliseconds, imports
and connection left out, of what a driver or an executor does once per run.

- ``current``: the graphlet of a run that has not trained, out of the store by
  SQL: ``read`` the neighbourhood, ``cut`` it; the latest runs of the store, one
  after the other, so that none is in SQLite's cache. ``api``: the same by the
  MLMD API.
- ``recent``: what GraphletGen collects, past graphlets included, of a pipeline
  that was not described before; ``read`` is the reading alone.
- ``decision``: ``features`` of the current graphlet, ``files`` and ``model`` that
  WasteGate reads, and ``decide``: forest, explanation, similar graphlets, policy.
- ``imports``: ``package`` is ``import tfx_graphlets`` after ``import numpy``.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

FAR_AHEAD_MS: Final = 10**14  # after everything that a store holds
_RUNS: Final = 25


class Clock:
    """Collects times by name."""

    now = staticmethod(time.perf_counter)

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}

    def of(self, name: str, act: Callable[[], object]) -> object:
        """What ``act`` returns; remembers what it took."""
        start = self.now()
        result = act()
        self.seconds.setdefault(name, []).append(self.now() - start)
        return result

    def milliseconds(self) -> dict[str, float]:
        """The medians."""
        return {name: 1000 * statistics.median(found) for name, found in self.seconds.items()}


def latest_runs(path: str, count: int) -> list[tuple[str, str]]:
    """Names of pipeline and latest run, of some pipelines of a store, evenly spread."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    pipelines = connection.execute(
        "SELECT Context.id, Context.name FROM Context JOIN Type ON Type.id = type_id "
        "WHERE Type.name = 'pipeline' ORDER BY Context.id"
    ).fetchall()
    step = max(len(pipelines) // count, 1)
    found = []
    for number, name in pipelines[::step][:count]:
        [run] = connection.execute(
            "SELECT name FROM Context WHERE id = "
            "(SELECT max(context_id) FROM ParentContext WHERE parent_context_id = ?)",
            (number,),
        ).fetchone()
        found.append((name, run))
    connection.close()
    return found


def current(path: str) -> Mapping[str, float]:
    """Step ``current``."""
    from tfx_graphlets.stores.sql.sqlite_file import SqliteStore

    with SqliteStore(path) as store, store.lookups() as lookups:
        return _current(path, lookups)


def api(path: str) -> Mapping[str, float]:
    """Step ``api``."""
    from tfx_graphlets.stores.mlmd.store import MlmdStore

    with MlmdStore.from_sqlite(path) as store:
        store._beside = lambda: None  # type: ignore[method-assign]
        with store.lookups() as lookups:
            return _current(path, lookups)


def _current(path: str, lookups: object) -> Mapping[str, float]:
    from tfx_graphlets.graphlets.current import current_graphlet
    from tfx_graphlets.stores.neighbourhood import read_neighbourhood

    clock, names = Clock(), latest_runs(path, _RUNS)
    for pipeline, run in [*names[:2], *names]:  # the first two to begin with
        found = clock.of(
            "read",
            lambda: read_neighbourhood(lookups, run=run, pipeline=pipeline, properties=()),  # type: ignore[arg-type]  # noqa: B023
        )
        clock.of(
            "cut",
            lambda: current_graphlet(found.trace, run=run, moment_ms=FAR_AHEAD_MS),  # type: ignore[attr-defined]  # noqa: B023
        )
    for times in clock.seconds.values():
        del times[:2]
    both = [sum(pair) for pair in zip(*clock.seconds.values())]
    clock.seconds["both"] = both
    return clock.milliseconds()


def recent(path: str) -> Mapping[str, float]:
    """Step ``recent``."""
    from tfx_graphlets import Stage, open_store
    from tfx_graphlets.gate.latest_runs import read_recent
    from tfx_graphlets.gate.snapshot import Request, collect

    clock = Clock()
    with open_store(path) as store:
        for pipeline, run in latest_runs(path, 5):
            clock.of("read", lambda: read_recent(store, pipeline=pipeline, run=run))  # noqa: B023
            request = Request(Stage.PRE, pipeline, run, {})
            clock.of("collect", lambda: collect(store, request, FAR_AHEAD_MS))  # noqa: B023
    return clock.milliseconds()


def decision(path: str) -> Mapping[str, float]:
    """Step ``decision``; the model is trained on the pipeline's own past."""
    import numpy as np

    from tfx_graphlets import Stage, describe, load_waste_model, open_store, train_waste_model
    from tfx_graphlets.gate.graphlets_file import from_files, to_files
    from tfx_graphlets.gate.latest_runs import read_recent
    from tfx_graphlets.gate.request import GateSettings
    from tfx_graphlets.gate.run import run_gate
    from tfx_graphlets.gate.snapshot import Request, collect
    from tfx_graphlets.graphlets.current import current_graphlet

    clock, settings = Clock(), GateSettings(Stage.PRE)
    with open_store(path) as store, tempfile.TemporaryDirectory() as folder:
        pipeline, run = latest_runs(path, 1)[0]
        trace = read_recent(store, pipeline=pipeline, run=run).trace
        files = to_files(collect(store, Request(Stage.PRE, pipeline, run, {}), FAR_AHEAD_MS))
        past = from_files(files).past
        assert past is not None
        train_waste_model(past, Stage.PRE).save(f"{folder}/model")
        moment = np.array([FAR_AHEAD_MS], np.int64)

        def features() -> object:
            graphlet = current_graphlet(trace, run=run, moment_ms=FAR_AHEAD_MS)
            rows = np.array([graphlet.number], np.int64)
            return describe(graphlet.graphlets, Stage.PRE, rows=rows, moment_ms=moment)

        for _ in range(15):
            clock.of("features", features)
            history = clock.of("files", lambda: from_files(files))
            model = clock.of("model", lambda: load_waste_model(f"{folder}/model"))
            clock.of("decide", lambda: run_gate(history, lambda: model, settings))  # type: ignore[arg-type, return-value]  # noqa: B023
    return clock.milliseconds()


def imports(path: str) -> Mapping[str, float]:
    """Step ``imports``."""
    del path
    code = (
        "import time; a = time.perf_counter(); import numpy; b = time.perf_counter(); "
        "import tfx_graphlets; c = time.perf_counter(); print(b - a, c - b)"
    )
    found = []
    for _ in range(7):
        process = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, text=True
        )
        found.append([float(word) for word in process.stdout.split()])
    numpy_seconds, package = (1000 * statistics.median(column) for column in zip(*found))
    return {"numpy": numpy_seconds, "package": package}


STEPS: Final[Mapping[str, Callable[[str], Mapping[str, float]]]] = {
    "current": current, "api": api, "recent": recent, "decision": decision, "imports": imports,
}  # fmt: skip


def measured(step: str, path: str, *, cpu: bool = False) -> dict[str, object]:
    """One step in a fresh process: its name, the store and the medians, milliseconds.

    Raises:
      subprocess.CalledProcessError: it failed.
    """
    command = [sys.executable, "-W", "ignore", "-m", __spec__.name, "--here", "--step", step, path]
    command += ["--cpu"] if cpu else []
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return {"step": step, "store": path, **json.loads(process.stdout.splitlines()[-1])}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, and prints JSON lines."""
    parser = argparse.ArgumentParser(description="Measure what the gate costs in a pipeline.")
    parser.add_argument("stores", nargs="+", help="SQLite stores")
    parser.add_argument("--step", action="append", choices=list(STEPS), help="all by default")
    parser.add_argument("--cpu", action="store_true", help="processor time, for a busy machine")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.cpu:
        Clock.now = staticmethod(time.process_time)
    for store in chosen.stores:
        for step in chosen.step or STEPS:
            if chosen.here:
                found: Mapping[str, object] = STEPS[step](store)
            else:
                found = measured(step, store, cpu=chosen.cpu)
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
