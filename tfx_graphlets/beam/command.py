"""From a store to a table of features, on any runner of Beam."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Final

import apache_beam
from apache_beam.options.pipeline_options import PipelineOptions

from tfx_graphlets.beam import files
from tfx_graphlets.beam.failures import reason_of
from tfx_graphlets.beam.files import TableOfFiles
from tfx_graphlets.beam.transforms import StoreToParquet
from tfx_graphlets.vocabulary import Role, Stage

FAILURE: Final = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a job until it has ended, and prints what was written.

    Args:
      arguments: of the command line, Beam's options among them; those of the
        process by default.

    Returns:
      Exit code: 0, or 1 if the job failed; argparse ends with 2 for wrong usage.
    """
    options, rest = _parser().parse_known_args(arguments)
    try:
        written = run(options, rest)
    except Exception as error:  # noqa: BLE001 - a runner raises what it likes
        reason = reason_of(error)
        if options.format == "json":
            _say(json.dumps({"error": type(error).__name__, "message": reason}))
        else:
            _say(f"nothing was written: {reason}", to_error=True)
        return FAILURE
    if options.format == "json":
        _say(json.dumps(dataclasses.asdict(written), indent=2))
    else:
        _say(
            f"{written.directory}: {written.rows} graphlets, {len(written.columns)} columns, "
            f"{len(written.files)} files"
        )
    return 0


def run(options: argparse.Namespace, beam_options: Sequence[str]) -> TableOfFiles:
    """Runs the job.

    Raises:
      GraphletsError: store, model or directory cannot be used.
      Exception: what the runner raises when a part of the job failed.
    """
    write = StoreToParquet(
        options.store,
        options.stage,
        options.output,
        model=options.model,
        max_executions=options.max_executions,
        role_of_type=dict(options.role),
        pushers=options.pusher or None,
        pipeline=options.pipeline,
    )
    pipeline = apache_beam.Pipeline(options=PipelineOptions(list(beam_options)))
    _ = pipeline | write
    try:
        pipeline.run().wait_until_finish()
        return files.read_summary(options.output)
    except Exception:
        files.discard(options.output)
        raise


def _say(text: str, *, to_error: bool = False) -> None:
    print(text, file=sys.stderr if to_error else sys.stdout)


def _role_of_type(text: str) -> tuple[str, Role]:
    name, _, role = text.rpartition("=")
    if not name or role.upper() not in Role.__members__:
        known = ", ".join(one.name.lower() for one in Role)
        raise argparse.ArgumentTypeError(f"{text!r} is not TYPE=ROLE; roles are {known}")
    return name, Role[role.upper()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tfx_graphlets.beam",
        description="Write the features of all graphlets of a store to a directory of Parquet "
        "files. Options that are not listed here are Beam's, for example --runner.",
        allow_abbrev=False,
    )
    parser.add_argument("store", metavar="STORE", help="the store, which every worker can reach")
    parser.add_argument(
        "--stage",
        required=True,
        type=Stage,
        choices=list(Stage),
        metavar="input|pre|trainer|validation",
        help="where the gate stands, and so what it may know",
    )
    parser.add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help="the directory, of the machine or of a bucket; an earlier table in it is replaced",
    )
    parser.add_argument(
        "--model", metavar="DIR", help="a waste model: adds a column with its probability of a push"
    )
    parser.add_argument(
        "--max-executions",
        type=int,
        metavar="N",
        help="about how many executions are one element (default: by the size of the store)",
    )
    parser.add_argument(
        "--pipeline",
        help="only graphlets whose Trainer is of this pipeline; nothing is cut off them",
    )
    parser.add_argument(
        "--role",
        action="append",
        default=[],
        type=_role_of_type,
        metavar="TYPE=ROLE",
        help="role of a custom execution type, for example MyFit=trainer; may be repeated",
    )
    parser.add_argument(
        "--pusher",
        action="append",
        default=[],
        metavar="NODE|TYPE",
        help="a pusher that counts, by its node's id or its type (default: all); may be repeated",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the summary")
    return parser
