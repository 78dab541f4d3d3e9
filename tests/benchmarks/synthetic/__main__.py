"""The command line: python -m tests.benchmarks.synthetic."""

from __future__ import annotations

import argparse
import dataclasses
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence

from tqdm import tqdm

from tests.benchmarks.synthetic.parameters import StoreParameters
from tests.benchmarks.synthetic.writing import WrittenStore, write_store
from tfx_graphlets.errors import GraphletsError
from tfx_graphlets.vocabulary import Outcome

FAILURE, USAGE = 1, 2

_HELP = {
    "models": "Trainer executions, one graphlet each",
    "pipelines": "number of pipelines; one per 150 models unless given",
    "seed": "of all randomness",
    "longest_window": "spans that a model is trained on, at most: each pipeline has its own",
    "reruns": "share of runs that take no new span",
    "caching_pipelines": "share of pipelines with TFX's cache switched on",
    "cached": "share of their re-runs that are cache hits up to Transform",
    "failures": "share of runs in which an execution failed",
    "left_running": "share of runs in which a crash left an execution RUNNING",
    "warm_starts": "share of pipelines that train on from the model before",
    "two_trainers": "share of pipelines that train two models in each run",
    "push_rate": "mean over pipelines of the share of models good enough to be pushed",
    "push_concentration": "how alike the pipelines are in it (of a beta distribution)",
    "push_stretch": "share of models whose fate is that of the model before",
    "overlapping": "share of runs that begin before the one before has finished",
    "code_changes": "share of runs on new spans that also bring new code",
    "infra_validators": "share of pipelines with an InfraValidator",
    "bulk_inferrers": "share of pipelines with a BulkInferrer",
    "tuners": "share of pipelines with a Tuner",
    "anomalies": "share of runs whose data have anomalies",
    "start_ms": "when the first pipeline begins, milliseconds since the epoch",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes a store, and prints what was written.

    Args:
      arguments: of the command line; those of the process by default.

    Returns:
      Exit code: 0, 1 if the store could not be written, 2 for a parameter out of range.
    """
    given = vars(_parser().parse_args(arguments))
    path, as_json = given.pop("output"), given.pop("format") == "json"
    try:
        parameters = StoreParameters(**given)
    except GraphletsError as error:
        return _fail(error, USAGE, as_json=as_json)
    started = time.monotonic()
    # A job that is told to stop cleans up like one that is interrupted.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        # On a terminal only: `disable=None` looks at standard error.
        with tqdm(total=parameters.models, unit="models", disable=None, leave=False) as bar:
            written = write_store(path, parameters, bar.update)
    except (GraphletsError, OSError) as error:
        return _fail(error, FAILURE, as_json=as_json)
    except KeyboardInterrupt:
        sys.stderr.write("tests.benchmarks.synthetic: interrupted\n")
        return FAILURE
    summary = _summary(written, time.monotonic() - started)
    sys.stdout.write((json.dumps(summary, indent=2) if as_json else _lines(summary)) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.synthetic",
        description="Write a SQLite metadata store of the shape that TFX 1.16 writes.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--output",
        required=True,
        help="the file; there must be none yet",
        default=argparse.SUPPRESS,
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the summary")
    for field in dataclasses.fields(StoreParameters):
        kind = float if isinstance(field.default, float) else int
        parser.add_argument(
            f"--{field.name.replace('_', '-')}", type=kind, default=field.default,
            help=_HELP[field.name],
        )  # fmt: skip
    return parser


def _fail(error: Exception, code: int, *, as_json: bool) -> int:
    if as_json:
        reason = {"error": type(error).__name__, "message": str(error)}
        sys.stdout.write(json.dumps(reason) + "\n")
    sys.stderr.write(f"tests.benchmarks.synthetic: {error}\n")
    return code


def _summary(written: WrittenStore, seconds: float) -> dict[str, object]:
    outcomes = Counter(written.outcome.tolist())
    return {
        "store": str(written.path),
        "models": len(written.trainer_id),
        "pipelines": written.parameters.number_of_pipelines,
        "executions": written.executions,
        "artifacts": written.artifacts,
        "events": written.events,
        "contexts": written.contexts,
        "outcomes": {str(outcome.name).lower(): outcomes[outcome] for outcome in Outcome},
        "megabytes": round(written.megabytes, 1),
        "seconds": round(seconds, 1),
        "parameters": dataclasses.asdict(written.parameters),
    }


def _lines(summary: dict[str, object]) -> str:
    shown = {key: value for key, value in summary.items() if key != "parameters"}
    return "\n".join(
        f"{key:<11}{value:,}" if isinstance(value, int) else f"{key:<11}{value}"
        for key, value in shown.items()
    )


if __name__ == "__main__":
    sys.exit(main())
