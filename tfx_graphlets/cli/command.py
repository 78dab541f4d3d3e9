"""Commands: each opens what it is given, calls the library, returns a Result."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from tfx_graphlets.analysis.corpus import describe_store
from tfx_graphlets.cli import selection
from tfx_graphlets.cli.render import Result, table, write_table
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.files import replaced_file
from tfx_graphlets.graphlets import outcome, roles
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.pending import without_gates
from tfx_graphlets.policy.decide import GatePolicy
from tfx_graphlets.stores.belonging import belonging_to
from tfx_graphlets.stores.store import declared_by, open_store
from tfx_graphlets.trace.trace import IntArray
from tfx_graphlets.vocabulary import Stage

_TABLE_SUFFIXES = (".csv", ".parquet")
_MOST_DRAWN = 20  # graphlets in one drawing


def segment_store(options: argparse.Namespace) -> Result:
    """``segment STORE``: the graphlets, one row each."""
    with open_store(options.store) as store:
        options.progress.step(f"reading {store.name}")
        graphlets = selection.cut(store.read_trace(), store, options)
        options.progress.step("telling the graphlets")
        numbers = selection.selected(graphlets, store, options)
    selection.hint(graphlets)
    if options.trainer:
        numbers = np.array([graphlets.of_trainer(one).number for one in options.trainer], np.int64)
    counted = options.progress.over(numbers.tolist(), len(numbers))
    chosen = [graphlets[number] for number in counted]
    rows = [graphlet.to_dict() for graphlet in chosen]
    if options.format == "dot":
        return Result(rows, _drawn(graphlets, numbers.tolist()))
    shown = [
        {
            **row,
            "executions": len(graphlet.executions),
            "artifacts": len(graphlet.artifacts),
            "cost_s": graphlet.cost_ms / 1000,
        }
        for row, graphlet in zip(rows, chosen)
    ]
    columns = (
        "trainer",
        "pipeline",
        "node",
        "run",
        "executions",
        "artifacts",
        "outcome",
        "needed",
        "cost_s",
    )
    return Result(rows, f"{table(shown, columns)}\n\n{_summary(graphlets, numbers)}")


def _drawn(graphlets: Graphlets, numbers: Sequence[int]) -> str:
    """The graphlets in Graphviz's language."""
    from tfx_graphlets.gate.record import past_decisions
    from tfx_graphlets.report.dot import to_dot
    from tfx_graphlets.report.graph import Graphs

    if len(numbers) > _MOST_DRAWN:
        raise InvalidArgumentError(
            "format",
            "dot",
            f"draws {_MOST_DRAWN} graphlets at most, and these are "
            f"{len(numbers)}: name some by --trainer ID",
        )
    graphs = Graphs(graphlets, past_decisions(graphlets.trace))
    return to_dot([graphs.of(number) for number in numbers]).rstrip()


def write_features(options: argparse.Namespace) -> Result:
    """``features STORE``: one row per graphlet, written to a file."""
    target = Path(options.output)
    if target.suffix not in _TABLE_SUFFIXES:
        raise InvalidArgumentError(
            "output", options.output, f"its ending must be one of {', '.join(_TABLE_SUFFIXES)}"
        )

    def shards(numbers: Iterable[int], count: int) -> Iterable[int]:
        options.progress.step("describing shards of pipelines,")
        return options.progress.over(numbers, count)

    with open_store(options.store) as store:
        options.progress.step(f"reading {store.name}")
        chosen = selection.features_of_selected(store, options)
        features = (
            chosen
            if chosen is not None
            else describe_store(
                store,
                options.stage,
                processes=options.processes or len(os.sched_getaffinity(0)),
                executions_in_memory=options.executions_in_memory,
                role_of_type=declared_by(store, selection.declared(options)).role_of_type,
                progress=shards,
            )
        )
        if not len(features):
            selection.hint(selection.cut(without_gates(store.read_trace()), store, options))
    options.progress.step(f"writing {options.output}")
    with replaced_file(target) as draft:
        write_table(features, draft, target.suffix)
    document = {
        "output": options.output,
        "stage": str(options.stage),
        "graphlets": len(features),
        "features": [feature.name for feature in features.features],
    }
    text = f"{options.output}: {len(features)} graphlets, {len(features.features)} features"
    return Result(document, text)


def train(options: argparse.Namespace) -> Result:
    """``train STORE...``: a waste model in a directory."""
    from tfx_graphlets.waste_model import train_waste_model
    from tfx_graphlets.waste_model.model import check_replaceable

    check_replaceable(options.output)  # before the time is spent
    dataset = selection.dataset(options.stores, options.stage, options)
    options.progress.step(f"growing forests from {len(dataset):,} graphlets,")
    model = train_waste_model(
        dataset,
        options.stage,
        options.freshness,
        options.seed,
        progress=options.progress.report,
    )
    options.progress.step(f"writing {options.output}")
    model.save(options.output)
    document = {
        "output": options.output,
        "stage": str(model.stage),
        "graphlets": int(dataset.labelled.sum()),
        "pushed": int(dataset.pushed.sum()),
        "unpushed": int(dataset.unpushed.sum()),
        "features": len(model.features),
        "freshness": options.freshness,
        "threshold": model.threshold.threshold,
        "pushes_needed": model.threshold.pushes_needed,
        "fingerprint": model.fingerprint,
    }
    return Result(document, f"{options.output}: {model}")


def evaluate(options: argparse.Namespace) -> Result:
    """``evaluate DIR STORE...``: a model on stores it may or may not have seen."""
    from tfx_graphlets.waste_model import evaluate_model, load_waste_model

    model = load_waste_model(options.model)
    dataset = selection.dataset(options.stores, model.stage, options, model=model.declared)
    options.progress.step(f"judging {len(dataset):,} graphlets")
    evaluation = evaluate_model(model, dataset)
    return Result(evaluation.to_dict(), str(evaluation))


def backtest_stores(options: argparse.Namespace) -> Result:
    """``backtest STORE...``: what a gate would have done, and what it had saved."""
    from tfx_graphlets.backtest.backtest import backtest

    policy = dataclasses.replace(GatePolicy(freshness=options.freshness), **_limits(options))
    with contextlib.ExitStack() as stores:  # a censored replay reads on
        dataset = selection.dataset(options.stores, options.stage, options, stores)
        history = None
        if options.history:
            # Of other pipelines than those that are replayed: what selects these does not hold.
            whole = argparse.Namespace(**{**vars(options), "pipeline": None, "node": None})
            history = selection.dataset(options.history, options.stage, whole, stores)
        options.progress.step("replaying decisions,")
        result = backtest(
            dataset,
            policy,
            history=history,
            censored=not options.uncensored,
            seed=options.seed,
            progress=options.progress.report,
        )
    return Result(result.to_dict(), str(result))


def study(options: argparse.Namespace) -> Result:
    """``study STORE...``: how well pushes can be told in advance, and what limits it."""
    from tfx_graphlets.study import StudySettings, run_study
    from tfx_graphlets.study.document import check_target, summary, write_study

    check_target(options.output)
    stages = [stage for stage in Stage if stage in (options.stage or Stage)]
    datasets = {stage: selection.dataset(options.stores, stage, options) for stage in stages}
    result = run_study(datasets, StudySettings(seed=options.seed), options.progress.report)
    files = write_study(result, options.output)
    return Result(result.to_dict(), f"{summary(result)}\n{options.output}: {', '.join(files)}")


def archive(options: argparse.Namespace) -> Result:
    """``archive STORE``: its history as a directory of Parquet files, or what is new in it."""
    from tfx_graphlets.payloads.statistics import NoPayloads
    from tfx_graphlets.stores.archive.archive import compact_archive, update_archive
    from tfx_graphlets.stores.archive.texts import redaction_key

    with open_store(options.store) as store:
        options.progress.step(f"reading {store.name}")
        update = update_archive(
            store,
            NoPayloads() if options.no_payloads else store.payloads,
            options.output,
            created_ms=_now_ms(),
            pipeline=options.pipeline,
            node=options.node,
            redact=redaction_key() if options.redact else None,
            declared=selection.declared(options),
            replace=options.replace,
            progress=options.progress.report,
        )
        manifest = update.manifest
        if options.compact:
            manifest = compact_archive(options.output, progress=options.progress.report)
    counts = manifest.counts
    document = {
        "output": options.output,
        **{table: counts[table] for table in ("executions", "artifacts", "events", "contexts")},
        "bytes": manifest.size,
        "written": update.written,
        "new_executions": update.new_executions,
        "new_artifacts": update.new_artifacts,
        "new_events": update.new_events,
        "changed": update.changed,
        "changed_pipelines": sorted(update.changed_pipelines),
    }
    return Result(document, f"{options.output}: {update}, {manifest.size / 1e6:.2f} MB")


def gate(options: argparse.Namespace) -> Result:
    """``gate STORE``: whether to launch a run of a pipeline."""
    from tfx_graphlets.supervision.parent import Limits, run_task

    settings = {"freshness": options.freshness, "threshold": options.threshold, **_limits(options)}
    arguments = {
        "store": options.store,
        "model": options.model,
        "pipeline": options.pipeline,
        "run": options.run or "",
        "nodes": options.node,
        "role_of_type": {name: int(role) for name, role in options.role},
        "pushers": list(getattr(options, "pusher", ())) or None,
        "code_known": dict(options.module_file),
        "settings": settings,
        "now_ms": _now_ms(),
    }
    limits = Limits.of(options.time_limit, options.memory_limit)
    options.progress.step(f"deciding about a run of {options.pipeline}")
    [content] = run_task("decide_before_launch", arguments, limits).values()
    found = json.loads(content)
    text = found.pop("text")
    document = {"pipeline": options.pipeline, **found}
    document["decision"] = "run" if found["proceed"] else "skip"
    for one in document["nodes"]:
        one["decision"] = "run" if one["proceed"] else "skip"
    lines = [text]
    if len(document["nodes"]) > 1:
        shown = [{**one, "P": one["probability"]} for one in document["nodes"]]
        lines.append(table(shown, ("node", "decision", "P", "threshold", "reason")))
    return Result(document, "\n".join(lines), skip=not found["proceed"])


def report(options: argparse.Namespace) -> Result:
    """``report STORE...``: what the pipelines cost, what was wasted, why, and what a gate saves."""
    from tfx_graphlets.analysis.prices import Prices
    from tfx_graphlets.report.report import Report
    from tfx_graphlets.report.source import ReportSource
    from tfx_graphlets.report.view import view_of

    prices = Prices.parse(options.price, options.currency)
    target = None if options.output is None else Path(options.output)
    if target is not None and target.suffix not in (".html", ".htm"):
        raise InvalidArgumentError("output", options.output, "its ending must be .html")
    with contextlib.ExitStack() as stores:  # the replay reads on
        sources = []
        for uri in options.stores:
            store = stores.enter_context(open_store(uri))
            options.progress.step(f"reading {store.name}")
            sources.append(ReportSource.read(store, selection.declared(options)))
            selection.hint(sources[-1].graphlets)
        options.progress.step("adding up" if options.no_replay else "replaying decisions,")
        view = view_of(
            sources,
            prices=prices,
            freshness=options.freshness,
            stage=options.stage,
            pipeline=options.pipeline,
            node=options.node,
            now_ms=_now_ms(),
            replay=not options.no_replay,
            seed=options.seed,
            progress=options.progress.report,
        )
        made = Report(view, sources)
        if target is None:
            return Result(view, str(made))
        options.progress.step(f"writing {options.output}")
        made.save(target)
    return Result(view, f"{made}\n{options.output}: the report")


def monitor_store(options: argparse.Namespace) -> Result:
    """``monitor STORE``: how live gates are doing."""
    from tfx_graphlets.gate.record import past_decisions
    from tfx_graphlets.monitor import monitor
    from tfx_graphlets.monitor.prometheus import exposition

    now_ms = _now_ms()
    hours = options.since_hours
    # Longer ago than the epoch is since ever; infinity is no number of milliseconds.
    since_ms = 0 if hours is None else int(max(now_ms - hours * 3_600_000, 0))
    with open_store(options.store) as store:
        options.progress.step(f"reading {store.name}")
        trace = store.read_trace()
        if options.pipeline is not None:
            kinds = declared_by(store, selection.declared(options)).role_of_type
            trace = belonging_to(trace, options.pipeline, store.name, kinds)
        graphlets = selection.cut(without_gates(trace), store, options)
    selection.hint(graphlets)
    options.progress.step("looking at decisions")
    report = monitor(
        past_decisions(trace),
        graphlets,
        now_ms=now_ms,
        since_ms=since_ms,
        stage=options.stage,
        gate=options.gate,
        node=options.node,
        freshness=options.freshness,
    )
    if options.format == "prometheus":
        text = exposition(report, now_ms=now_ms).rstrip("\n")
        return Result(report.to_dict(), text, alarm=not report.healthy)
    return Result(report.to_dict(), str(report), alarm=not report.healthy)


COMMANDS: Final[Mapping[str, Callable[[argparse.Namespace], Result]]] = {
    "segment": segment_store,
    "features": write_features,
    "train": train,
    "evaluate": evaluate,
    "backtest": backtest_stores,
    "study": study,
    "archive": archive,
    "gate": gate,
    "monitor": monitor_store,
    "report": report,
}


def _summary(graphlets: Graphlets, numbers: IntArray) -> str:
    """Outcomes, compute and waste; what a graphlet of another pipeline needs is no waste."""
    held = np.zeros(len(graphlets.trace.executions), bool)
    held[graphlets.executions.index[np.isin(graphlets.executions.rows(), numbers)]] = True
    cost = outcome.cost_of(graphlets, held)
    waste = outcome.cost_of(graphlets, held & outcome.wasted_executions(graphlets))
    share = f" ({waste / cost:.0%})" if cost else ""
    text = f"{cost / 1000:.1f} s of compute, {waste / 1000:.1f} s wasted{share}"
    text = f"{graphlets.counted(numbers)}; {text}"
    overhead = outcome.cost_of(graphlets, roles.own_executions(graphlets.trace))
    return f"{text}; gates and rehearsals {overhead / 1000:.1f} s" if overhead else text


def _limits(options: argparse.Namespace) -> dict[str, Any]:
    names = (
        "delay",
        "max_consecutive_skips",
        "max_staleness_hours",
        "max_hours_without_attempt",
        "exploration",
    )
    found = {name: value for name in names if (value := getattr(options, name, None)) is not None}
    return {**found, "promise": "delay"} if "delay" in found else found


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
