"""Four gated pipelines and two readers on one store: python -m tests.soak [--minutes 15].

On a SQLite file, with `--server` on a MariaDB that is started for it. Every pipeline runs in a
process of its own, over and over; every reader calls `segment` and `monitor` in turn. Exit code 0:
nothing of ours raised, every run that came to its gate left a decision that was made, no reading
failed. What TFX raises where it records nodes is counted apart, by node; with `--plain` the same
pipelines run without gates, and with `--readers 0` nobody reads: they show what of that is left.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import io
import logging
import multiprocessing
import os
import queue
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any, Final

from ml_metadata.metadata_store import metadata_store
from ml_metadata.proto import metadata_store_pb2

from tests.components import waste_models
from tests.stores.servers import PASSWORD, mariadb

PIPELINES: Final = 4
_DATABASE: Final = "soak"
_LATE_SECONDS: Final = 1_800  # that a run may take on a busy machine
_BEFORE_GATE: Final = frozenset({"LightExampleGen", "Transform", "GraphletGen", "WasteGate"})
_SPANS: Final = (waste_models.PUSHED_SPAN, waste_models.WASTED_SPAN)


@dataclasses.dataclass(frozen=True)
class Place:
    """The store, and where the pipelines write.

    Attributes:
      folder: for files.
      config: serialized ConnectionConfig of the runners.
      uri: of the readers.
      model: directory of a waste model; empty for pipelines without a gate.
    """

    folder: str
    config: bytes
    uri: str
    model: str


def _connection(config: bytes) -> metadata_store_pb2.ConnectionConfig:
    return metadata_store_pb2.ConnectionConfig.FromString(config)


def node_of(error: BaseException) -> str:
    """The node that a runner was at when it raised; "ours, at ..." where our code stands between.

    TFX records what a node of ours does as it records that of others.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    nodes = [str(one.f_locals["node_id"]) for one in frames if "node_id" in one.f_locals]
    ours = any("/tfx_graphlets/" in frame.f_code.co_filename for frame in frames)
    return f"{'ours, at ' if ours else ''}{nodes[0] if nodes else 'no node'}"


def run_pipeline(place: Place, number: int, minutes: float, begin: Any, told: Any) -> None:
    """Runs a pipeline at least once, until the time is over; tells runs and errors."""
    from tests.components.runs import LightPipeline
    from tests.components.test_gated_pipeline import by_directory

    logging.disable(logging.CRITICAL)
    folder = Path(place.folder) / str(number)
    folder.mkdir()
    pipeline = LightPipeline(
        folder, name=f"pipeline-{number}", connection=_connection(place.config)
    )
    gate = by_directory(place.model) if place.model else None
    runs, errors = 0, []
    begin.wait()
    until = time.monotonic() + 60 * minutes
    while not runs or time.monotonic() < until:
        try:
            pipeline.run(gate, span=_SPANS[runs % 2])
        except Exception as error:  # noqa: BLE001 - whatever it is, it is counted and shown
            errors.append((node_of(error), traceback.format_exc(limit=-3)))
        runs += 1
    told.put(("runs", f"pipeline-{number}", runs, errors))


def read(place: Place, number: int, minutes: float, begin: Any, told: Any) -> None:
    """Reads until the time is over; tells readings and errors."""
    from tfx_graphlets.cli import main

    readings, errors = 0, []
    begin.wait()
    until = time.monotonic() + 60 * minutes
    while time.monotonic() < until:
        words = ("monitor" if readings % 2 else "segment", place.uri)
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(words)
        if code not in (0, 4) or err.getvalue():  # 4: monitor has an alarm
            errors.append(("reader", f"{words[0]}: exit code {code}: {err.getvalue()}"))
        readings += 1
    told.put(("readings", f"reader-{number}", readings, errors))


def soak(place: Place, minutes: float, readers: int) -> bool:
    """Runs all; prints figures and whether all went well."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    # One run before, so that the schema is there and the readers find a pipeline.
    run_pipeline(place, 0, 0, context.Barrier(1), told)
    begin = context.Barrier(PIPELINES + readers)
    work = [(run_pipeline, number) for number in range(1, PIPELINES + 1)]
    work += [(read, number) for number in range(1, readers + 1)]
    processes = [
        context.Process(target=do, args=(place, number, minutes, begin, told))
        for do, number in work
    ]
    for process in processes:
        process.start()
    found = [told.get(timeout=60)]
    with contextlib.suppress(queue.Empty):  # one that hangs tells nothing
        while len(found) <= len(processes):
            found.append(told.get(timeout=60 * minutes + _LATE_SECONDS))
    for process in processes:
        process.join(60)
        process.kill()
    silent = len(processes) + 1 - len(found)
    if silent:
        print(f"{silent} processes had not ended {_LATE_SECONDS} s after the end")  # noqa: T201
    runs = {name: count for kind, name, count, _ in found if kind == "runs"}
    readings = sum(count for kind, _, count, _ in found if kind == "readings")
    errors = [error for *_, many in found for error in many]
    others = [error for error in errors if not error[0].startswith(("ours", "reader"))]
    ours = [error for error in errors if error not in others]
    print(  # noqa: T201 - that is what it is for
        f"{minutes:g} minutes: {sum(runs.values())} runs ({', '.join(map(str, runs.values()))}), "
        f"{readings} readings, {len(ours)} errors of ours, {len(others)} of TFX "
        f"{dict(collections.Counter(node for node, _ in others))}"
    )
    for error, count in collections.Counter(errors).most_common(5):
        print(f"{count} times: {': '.join(error)}")  # noqa: T201
    early = sum(node in _BEFORE_GATE for node, _ in others)  # these runs came to no decision
    return (
        not ours and not silent and (not place.model or decided(place, sum(runs.values()) - early))
    )


def decided(place: Place, runs: int) -> bool:
    """Prints figures of the decisions, and whether there is a good one of every run."""
    store = metadata_store.MetadataStore(_connection(place.config))
    artifacts = store.get_artifacts_by_type("tfx_graphlets.GateDecision")
    decisions = [artifact.custom_properties for artifact in artifacts]
    open_ = collections.Counter(
        one["fault"].string_value for one in decisions if one["failed_open"].int_value
    )
    proceeded = sum(one["proceed"].int_value for one in decisions)
    print(  # noqa: T201
        f"{len(decisions)} decisions ({proceeded} to run), {runs - len(decisions)} lost, "
        f"{sum(open_.values())} failed open {dict(open_)}"
    )
    return len(decisions) == runs and not open_


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--server", action="store_true", help="on a MariaDB, else on SQLite")
    parser.add_argument("--plain", action="store_true", help="without gates")
    parser.add_argument("--readers", type=int, default=2)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    config = metadata_store_pb2.ConnectionConfig()
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        if options.server:
            port = stack.enter_context(mariadb())
            config.mysql.host, config.mysql.port = "127.0.0.1", port
            config.mysql.user, config.mysql.password = "mlmd", PASSWORD
            config.mysql.database = _DATABASE
            os.environ["TFX_GRAPHLETS_DB_PASSWORD"] = PASSWORD
            uri = f"mysql://mlmd@127.0.0.1:{port}/{_DATABASE}"
        else:
            uri = str(Path(folder) / "metadata.sqlite")
            config.sqlite.filename_uri = uri
            config.sqlite.connection_mode = (
                metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
            )
        model = "" if options.plain else waste_models.saved(Path(folder) / "model")
        place = Place(folder, config.SerializeToString(), uri, model)
        return 0 if soak(place, options.minutes, options.readers) else 1


if __name__ == "__main__":
    sys.exit(main())
