"""Words of the command line to plain options; nothing here reads a store."""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any

from tfx_graphlets.cli import values
from tfx_graphlets.version import __version__
from tfx_graphlets.vocabulary import Stage

STORE_HELP = (
    "a SQLite file, sqlite://PATH, mysql://USER@HOST:PORT/DB, "
    "postgresql://USER@HOST:PORT/DB, grpc://HOST:PORT, or an archive's directory"
)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    top = values.Parser(
        prog="tfx-graphlets",
        description="Model graphlets of TFX pipelines: where the compute goes, and which "
        "training will not be pushed.",
        epilog="Exit codes: 0 done (gate: run), 3 gate: skip, 4 monitor: alarm, "
        "2 usage, 1 failure, 130 interrupted.",
    )
    top.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    segment = _command(commands, "segment", "print the graphlets of a store", "table", "dot")
    segment.add_argument("store", metavar="STORE", help=STORE_HELP)
    _add_repeated(
        segment,
        "--trainer ID",
        type=values.whole(1),
        help="only the graphlet of this Trainer execution; with --format dot it "
        "is drawn by Graphviz: ... --format dot | dot -Tsvg",
    )
    _add_cost_weights(segment)
    _add_roles(segment)
    _add_selection(segment)

    features = _command(commands, "features", "write the features of all graphlets to a file")
    features.add_argument("store", metavar="STORE", help=STORE_HELP)
    _add_stage(features)
    features.add_argument("--output", required=True, metavar="FILE", help="a .csv or .parquet file")
    features.add_argument(
        "--processes",
        type=values.whole(1),
        metavar="N",
        help="processes that work at the same time (default: one per core)",
    )
    features.add_argument(
        "--executions-in-memory",
        type=values.whole(1),
        metavar="N",
        help="read a store that holds more some pipelines at a time (default: all at once)",
    )
    _add_roles(features)
    _add_selection(features)

    train = _command(commands, "train", "train a waste model")
    train.add_argument("stores", metavar="STORE", nargs="+", help=STORE_HELP)
    _add_stage(train)
    _add_freshness(train)
    _add_seed(train)
    train.add_argument("--output", required=True, metavar="DIR", help="the model's directory")
    _add_roles(train)
    _add_selection(train)

    evaluate = _command(commands, "evaluate", "test a waste model on stores")
    evaluate.add_argument("model", metavar="DIR", help="a waste model's directory")
    evaluate.add_argument("stores", metavar="STORE", nargs="+", help=STORE_HELP)
    _add_roles(evaluate)
    _add_selection(evaluate)

    backtest = _command(
        commands, "backtest", "replay a gate over the past, knowing only what was known then"
    )
    backtest.add_argument("stores", metavar="STORE", nargs="+", help=STORE_HELP)
    _add_stage(backtest)
    _add_freshness(backtest)
    backtest.add_argument(
        "--history",
        metavar="STORE",
        nargs="+",
        default=[],
        action="extend",
        help="stores of other pipelines, labelled and known from the start",
    )
    backtest.add_argument(
        "--uncensored",
        action="store_true",
        help="show the outcomes of skipped runs to later decisions, as in shadow mode",
    )
    _add_policy(backtest)
    _add_seed(backtest)
    _add_cost_weights(backtest)
    _add_roles(backtest)
    _add_selection(backtest)

    study = _command(
        commands, "study", "compare learners, features, stages and amounts of data, offline"
    )
    study.add_argument("stores", metavar="STORE", nargs="+", help=STORE_HELP)
    _add_stage(study, "stages to study (default: all)", nargs="+", action="extend")
    _add_seed(study)
    study.add_argument(
        "--output",
        required=True,
        metavar="DIR",
        help="directory for study.json, study.md and plots; one that holds a study is replaced",
    )
    _add_cost_weights(study)
    _add_roles(study)
    _add_selection(study)

    archive = _command(
        commands, "archive", "keep a store's history in a directory of Parquet; again: what is new"
    )
    archive.add_argument("store", metavar="STORE", help=STORE_HELP)
    archive.add_argument("--output", required=True, metavar="DIR", help="the archive's directory")
    for flag, help_text in (
        ("--no-payloads", "leave out statistics, anomalies, schemas and metrics"),
        ("--replace", "write the archive anew; what the store no longer holds is lost"),
        ("--compact", "merge the files of earlier writes afterwards"),
        ("--redact", "fingerprints for URIs and texts; key: TFX_GRAPHLETS_REDACT_KEY; no files"),
    ):
        archive.add_argument(flag, action="store_true", help=help_text)
    _add_roles(archive)
    _add_selection(archive)

    gate = _command(
        commands,
        "gate",
        "decide before a run is launched; exit code 0 run, 3 skip",
        default_format="json",
    )
    gate.add_argument("store", metavar="STORE", help=STORE_HELP)
    gate.add_argument("--pipeline", required=True, help="name of the pipeline to be launched")
    gate.add_argument("--model", required=True, metavar="DIR", help="a waste model's directory")
    gate.add_argument("--run", help="a run that has begun: its outputs so far are the inputs")
    _add_freshness(
        gate, "share of pushes to keep, 0 to 1 (default: what the model was trained for)"
    )
    gate.add_argument(
        "--threshold",
        type=values.number(0, 1),
        metavar="P",
        help="skip below this probability of a push, in place of what the freshness gives",
    )
    _add_repeated(
        gate,
        "--node ID",
        help="only this Trainer node (default: each of the latest runs; all must be skipped)",
    )
    _add_repeated(
        gate,
        "--module-file [ROLE=]PLACE",
        type=values.code,
        help="code that the run will have: a module file or the import path of a function, of "
        "Trainer, Transform and Tuner alike, or of one ROLE (trainer, transform, tuner)",
    )
    gate.add_argument(
        "--time-limit",
        type=values.number(0.1, 1e6),
        metavar="SECONDS",
        help="after so long there is no decision: exit code 1 (default: 60)",
    )
    gate.add_argument(
        "--memory-limit",
        type=values.whole(1),
        metavar="MB",
        help="the most that it may hold, in MB of 2**20 bytes (default: 4096)",
    )
    _add_policy(gate)
    _add_roles(gate)

    report = _command(commands, "report", "what stores cost, what was wasted and why")
    report.add_argument("stores", metavar="STORE", nargs="+", help=STORE_HELP)
    report.add_argument(
        "--output", metavar="FILE", help="write the report as one HTML page, which loads nothing"
    )
    _add_repeated(
        report,
        "--price [ROLE|TYPE=]AMOUNT/h",
        help="what an hour of compute costs, for example 0.35/h or trainer=2.48/h",
    )
    report.add_argument("--currency", default="USD", help="of the prices (default: USD)")
    _add_freshness(
        report, "share of pushes that the gate would keep, 0 to 1 (default: 0.95)", default=0.95
    )
    _add_stage(report, "where the gate would stand (default: pre)", default=Stage.PRE)
    report.add_argument(
        "--no-replay",
        action="store_true",
        help="do not ask what a gate would have saved, which takes minutes",
    )
    _add_seed(report)
    _add_roles(report)
    _add_selection(report)

    monitor = _command(
        commands,
        "monitor",
        "how live gates are doing; exit code 0 healthy, 4 alarm",
        "table",
        "prometheus",
    )
    monitor.add_argument("store", metavar="STORE", help=STORE_HELP)
    monitor.add_argument("--pipeline", help="only the gates of this pipeline")
    _add_stage(monitor, "only gates at this stage")
    monitor.add_argument("--gate", metavar="ID", help="only gates of this node id")
    monitor.add_argument("--node", metavar="ID", help="only what is about this Trainer node")
    monitor.add_argument(
        "--since-hours",
        type=values.number(0, math.inf),
        metavar="H",
        help="only decisions of the last so many hours (default: all)",
    )
    _add_freshness(monitor, "share of pushes that must be kept (default: what the gate promised)")
    _add_cost_weights(monitor)
    _add_roles(monitor)
    return top


def set_up_logging(verbose: bool) -> None:
    """Sends log lines to standard error, warnings and worse unless verbose."""
    from absl import logging

    logging.use_absl_handler()
    # The handler keeps the stream of its first use; a program may have given another since.
    logging.get_absl_handler().python_handler.stream = sys.stderr
    logging.set_stderrthreshold("info" if verbose else "warning")
    logging.set_verbosity(logging.INFO if verbose else logging.WARNING)


def _command(
    commands: argparse._SubParsersAction[Any],
    name: str,
    help_text: str,
    default_format: str = "table",
    *further_formats: str,
) -> argparse.ArgumentParser:
    one = commands.add_parser(name, help=help_text, description=help_text.capitalize() + ".")
    one.add_argument(
        "--format",
        choices=("table", "json", *further_formats),
        default=default_format,
        help=f"json: one document on standard output, nothing else (default: {default_format})",
    )
    one.add_argument("--verbose", action="store_true", help="log what is done to standard error")
    return one


def _add_stage(one: argparse.ArgumentParser, said: str = "", **more: Any) -> None:
    one.add_argument(
        "--stage",
        required=not said,
        type=Stage,
        choices=list(Stage),
        metavar="input|pre|trainer|validation",
        help=said or "where the gate stands, and so what it may know",
        **more,
    )


def _add_freshness(one: argparse.ArgumentParser, said: str = "", **more: Any) -> None:
    one.add_argument(
        "--freshness",
        required=not said,
        type=values.number(0, 1),
        metavar="F",
        help=said or "share of pushes that must be kept, 0 to 1, for example 0.95",
        **more,
    )


def _add_seed(one: argparse.ArgumentParser) -> None:
    one.add_argument("--seed", type=int, default=0, help="seed of all randomness (default: 0)")


def _add_policy(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--delay",
        type=values.number(0, math.inf),
        metavar="RUNS",
        help="promise that pushes wait so many runs on average, in place of the freshness",
    )
    one.add_argument(
        "--max-consecutive-skips",
        type=values.whole(1),
        metavar="N",
        help="run after so many skips in a row, whatever the prediction",
    )
    one.add_argument(
        "--max-staleness-hours",
        type=values.number(0, math.inf),
        metavar="H",
        help="run when the last push is longer ago, whatever the prediction",
    )
    one.add_argument(
        "--max-hours-without-attempt",
        type=values.number(0, math.inf),
        metavar="H",
        help="run when the last run that went on to train is longer ago, whatever the prediction",
    )
    one.add_argument(
        "--exploration",
        type=values.number(0, 1),
        metavar="SHARE",
        help="share of predicted skips that run anyway (default: 0.05)",
    )


def _add_repeated(one: argparse.ArgumentParser, words: str, *, help: str, **more: Any) -> None:  # noqa: A002
    """Adds an option (``--name METAVAR``) that may be given several times; its value is a list."""
    name, more["metavar"] = words.split()
    one.add_argument(name, action="append", default=[], help=f"{help}; may be repeated", **more)


def _add_cost_weights(one: argparse.ArgumentParser) -> None:
    _add_repeated(
        one,
        "--cost-weight ROLE|TYPE=W",
        type=values.weight,
        help="factor on the cost of a role (trainer) or execution type",
    )


def _add_selection(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--pipeline",
        help="only graphlets whose Trainer is of this pipeline; nothing is cut off them",
    )
    one.add_argument(
        "--node", metavar="ID", help="only graphlets whose Trainer is this node, by its id"
    )


def _add_roles(one: argparse.ArgumentParser) -> None:
    _add_repeated(
        one,
        "--role TYPE=ROLE",
        type=values.role_of_type,
        help="role of a custom execution type, for example MyFit=trainer",
    )
    _add_repeated(
        one,
        "--pusher NODE|TYPE",
        help="a pusher that counts, by its node's id or its type (default: all)",
    )
