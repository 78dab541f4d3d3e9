"""Four gated pipelines and two readers on one store: python -m tests.soak [--minutes 15].

On a SQLite file, with `--server` on a MariaDB that is started for it. Every pipeline runs in a
process of its own, over and over; every reader calls `segment` and `monitor` in turn. Exit code 0:
no run raised, every run left a decision that was made, no reading failed.
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
READERS: Final = 2
_DATABASE: Final = "soak"
_SPANS: Final = (waste_models.PUSHED_SPAN, waste_models.WASTED_SPAN)


@dataclasses.dataclass(frozen=True)
class Place:
    """The store, and where the pipelines write.

    Attributes:
      folder: for files.
      config: serialized ConnectionConfig of the runners.
      uri: of the readers.
      model: directory of a waste model.
    """

    folder: str
    config: bytes
    uri: str
    model: str


def _connection(config: bytes) -> metadata_store_pb2.ConnectionConfig:
    return metadata_store_pb2.ConnectionConfig.FromString(config)


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
    runs, errors = 0, []
    begin.wait()
    until = time.monotonic() + 60 * minutes
    while not runs or time.monotonic() < until:
        try:
            pipeline.run(by_directory(place.model), span=_SPANS[runs % 2])
        except Exception:  # noqa: BLE001 - whatever it is, it is counted and shown
            errors.append(traceback.format_exc(limit=-3))
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
            errors.append(f"{words[0]}: exit code {code}: {err.getvalue()}")
        readings += 1
    told.put(("readings", f"reader-{number}", readings, errors))


def soak(place: Place, minutes: float) -> bool:
    """Runs all; prints figures and whether all went well."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    # One run before, so that the schema is there and the readers find a pipeline.
    run_pipeline(place, 0, 0, context.Barrier(1), told)
    begin = context.Barrier(PIPELINES + READERS)
    work = [(run_pipeline, number) for number in range(1, PIPELINES + 1)]
    work += [(read, number) for number in range(1, READERS + 1)]
    processes = [
        context.Process(target=do, args=(place, number, minutes, begin, told))
        for do, number in work
    ]
    for process in processes:
        process.start()
    found = [told.get(timeout=60 * minutes + 600) for _ in range(len(processes) + 1)]
    for process in processes:
        process.join()
    artifacts = metadata_store.MetadataStore(_connection(place.config)).get_artifacts_by_type(
        "tfx_graphlets.GateDecision"
    )
    decisions = [artifact.custom_properties for artifact in artifacts]
    runs = {name: count for kind, name, count, _ in found if kind == "runs"}
    readings = sum(count for kind, _, count, _ in found if kind == "readings")
    errors = [error for *_, many in found for error in many]
    lost = sum(runs.values()) - len(decisions)
    open_ = collections.Counter(
        one["fault"].string_value for one in decisions if one["failed_open"].int_value
    )
    proceeded = sum(one["proceed"].int_value for one in decisions)
    print(  # noqa: T201 - that is what it is for
        f"{minutes:g} minutes: {sum(runs.values())} runs ({', '.join(map(str, runs.values()))}), "
        f"{len(decisions)} decisions ({proceeded} to run), {lost} lost, {sum(open_.values())} "
        f"failed open {dict(open_)}, {readings} readings, {len(errors)} errors"
    )
    for error, count in collections.Counter(errors).most_common(5):
        print(f"{count} times: {error}")  # noqa: T201
    return not errors and not lost and not open_


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--server", action="store_true")
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
        model = waste_models.saved(Path(folder) / "model")
        place = Place(folder, config.SerializeToString(), uri, model)
        return 0 if soak(place, options.minutes) else 1


if __name__ == "__main__":
    sys.exit(main())
