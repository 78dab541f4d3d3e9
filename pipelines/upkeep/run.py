"""Archives a store's history and retrains the waste model: python -m pipelines.upkeep.run --help.

Needs neither TFX nor an orchestrator. Exit code 0: done, whether or not the model was replaced;
1: something failed, and what was in service still is.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import logging

from pipelines.upkeep.retraining import Settings
from pipelines.upkeep.upkeep import Round, run_round
from tfx_graphlets import GraphletsError, Stage

_HOUR_SECONDS = 3600.0


def main(
    arguments: Sequence[str] | None = None,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Entry point; returns the exit code, that of the last round."""
    parser = argparse.ArgumentParser(
        prog="pipelines.upkeep.run", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "store", help="a SQLite file, mysql://, postgresql://, grpc:// or kfp+http://"
    )
    parser.add_argument("--archive", required=True, help="directory of the store's archive")
    parser.add_argument("--model", required=True, type=Path, help="directory that gates read")
    parser.add_argument(
        "--also", action="append", default=[], help="archive of another store; may be repeated"
    )
    parser.add_argument("--stage", type=Stage, choices=list(Stage), default=Stage.PRE)
    parser.add_argument("--freshness", type=float, default=Settings.freshness)
    parser.add_argument("--seed", type=int, default=Settings.seed)
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.add_argument("--once", action="store_true", help="one round, for cron and the like")
    parser.add_argument(
        "--every-hours", type=float, default=24.0, help="without --once: from start to start"
    )
    options = parser.parse_args(arguments)
    try:
        settings = Settings(options.stage, options.freshness, options.seed)
    except GraphletsError as error:
        parser.error(str(error))
    if not options.every_hours > 0:
        parser.error(f"--every-hours {options.every_hours!r}: must be above 0")
    logging.set_verbosity(logging.WARNING)
    while True:
        started = clock()
        done = run_round(
            options.store, options.archive, options.model, settings,
            others=options.also, now_ms=int(started * 1000),
        )  # fmt: skip
        show(done, as_json=options.format == "json")
        if options.once:
            return 1 if done.problem else 0
        sleep(max(started + options.every_hours * _HOUR_SECONDS - clock(), 0.0))


def show(done: Round, *, as_json: bool) -> None:
    """Writes one round to standard output: text, or one line of JSON."""
    text = json.dumps(done.to_dict(), allow_nan=False) if as_json else str(done)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
