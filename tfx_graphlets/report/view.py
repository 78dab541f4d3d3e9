"""The report as plain values: one document, which is also what `report --format json` prints.

The page shows these values and computes none of its own. ``GLOSSARY`` and the
definitions of the tables' columns say what each of them means.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from tfx_graphlets.analysis import what_if
from tfx_graphlets.analysis.account import Account, cuts
from tfx_graphlets.analysis.causes import causes_of
from tfx_graphlets.analysis.gates import gates_table
from tfx_graphlets.analysis.graphlets import graphlet_tables
from tfx_graphlets.analysis.operators import operator_tables
from tfx_graphlets.analysis.pipelines import pipeline_tables
from tfx_graphlets.analysis.prices import Prices
from tfx_graphlets.analysis.tables import share
from tfx_graphlets.errors import InvalidArgumentError, TraceNotFoundError
from tfx_graphlets.monitor import MonitorReport, monitor
from tfx_graphlets.report.rows import rows_of
from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.vocabulary import HOUR_MS, Outcome, Stage
from tfx_graphlets.waste_model.dataset import Dataset

VERSION: Final = 1
WORST: Final = 3

GLOSSARY: Final[Mapping[str, str]] = {
    "graphlet": "The executions and artifacts that belong to one training of one model: what it "
    "was made from, the Trainer, and what was made of its model.",
    "cost": "Last update time less create time of an execution; 0 for a cache hit. An execution "
    "that several graphlets share is counted once.",
    "pushed": "A Pusher behind the Trainer brought the model to serving.",
    "useful": "Unpushed, but its model was the warm start of one that was pushed, directly or "
    "through others.",
    "wasted": "Cost of executions all of whose graphlets are unpushed and not useful.",
    "failed": "The Trainer failed.",
    "retried": "The same node trained again in the same run from the same inputs.",
    "incomplete": "Still running, left running by a crash, or without a model.",
    "push rate": "Pushed among pushed and unpushed graphlets.",
    "cause": "Why a wasted graphlet was not pushed: the first that holds of a fixed list.",
    "overhead": "Cost of this project's own nodes (gates, rehearsals); in no other sum.",
    "analyzer": "A step of preprocessing that works something out over all of the data: a "
    "vocabulary, a mean, quantiles.",
    "gate": "A node that decides before the Trainer whether the run is worth its cost.",
    "freshness": "Share of pushes that a gate keeps.",
    "waste removed": "Cost of wasted executions that a gate saves, by all wasted cost; of a replay "
    "by the wasted cost of the replayed graphlets.",
    "waste removable": "The same for an oracle that skips exactly what is not needed.",
    "interval": "95 % bootstrap interval over pipelines and blocks of time.",
}


def view_of(
    sources: Sequence[ReportSource],
    *,
    prices: Prices | None = None,
    freshness: float = 0.95,
    stage: Stage = what_if.STAGE,
    pipeline: str | None = None,
    node: str | None = None,
    now_ms: int,
    replay: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """The document of a report.

    Args:
      sources: of stores that are still open, at least one; payloads are read from them.
      prices: of an hour of compute; none by default.
      freshness: share of pushes that the gate of ``would_save`` promises, 0..1.
      stage: where that gate stands.
      pipeline, node: only graphlets whose Trainer is of these, whatever pipelines what belongs
        to them stands in; sums are then theirs, and those of what else the pipeline ran.
      now_ms: the moment of asking, milliseconds since the epoch.
      replay: whether to ask what a gate would have saved, which takes minutes.
      seed: of that replay.
      progress: of the replay, see ``what_if.would_save``.

    Returns:
      Plain values for JSON; None where something is not known. Keys: version,
      generated_ms, stores, notes, settings, first, tables, pipelines, glossary.

    Raises:
      InvalidArgumentError: there is no source, or two have one name.
      TraceNotFoundError: none holds the pipeline or the node.
    """
    names = [one.described.store for one in sources]
    if not sources or len(set(names)) < len(names):
        raise InvalidArgumentError("stores", names, "must be at least one, each named once")
    prices = prices or Prices()
    sources = _asked(sources, pipeline, node)
    causes = [causes_of(one.graphlets, one.described.table) for one in sources]
    account = Account.concatenate(
        [
            Account.of(
                one.described.store,
                one.graphlets,
                found,
                prices,
                one.described.counted,
                one.described.numbers if one.described.selects else None,
            )
            for one, found in zip(sources, causes)
        ]
    )
    rows, notes = rows_of(sources, causes, account, prices)
    notes = [note for one in sources for note in one.notes] + notes
    saved = None
    if replay:
        saved, limits = _would_save(sources, rows, stage, freshness, seed, progress)
        if saved is None:
            needed = f"{what_if.FEWEST_LABELLED} labelled graphlets, pushed and unpushed ones"
            limits = [f"What a gate would have saved is not said: that takes at least {needed}."]
        notes += limits
    reports = [
        (one, monitor(one.decisions, one.graphlets, now_ms=now_ms, node=node))
        for one in sources
        if one.decisions
    ]
    gates = [_with_cost(one, gate, account) for one, report in reports for gate in _gates(report)]
    described = [one.described for one in sources]
    return {
        "version": VERSION,
        "generated_ms": now_ms,
        "stores": names,
        "notes": notes,
        "settings": {
            "currency": prices.currency if prices.known else None,
            "prices": prices.to_dict(),
            "stage": stage.value,
            "freshness": freshness,
        },
        "first": {
            **_sums(rows, account),
            **_overhead(sources, prices),
            "worst": [_worst(row, account) for row in rows[:WORST] if row["wasted_ms"] > 0],
            "would_save": None if saved is None else _saved(saved, account),
            "did_save": _did_save([report for _, report in reports], account),
        },
        "tables": [
            table.to_dict()
            for table in (
                *cuts(account),
                *operator_tables(described),
                *pipeline_tables(described),
                *graphlet_tables(described),
                gates_table(gates),
            )
        ],
        "gates": gates,
        "pipelines": rows,
        "glossary": [
            {"term": term, "definition": definition} for term, definition in GLOSSARY.items()
        ],
    }


def _asked(
    sources: Sequence[ReportSource], pipeline: str | None, node: str | None
) -> list[ReportSource]:
    """The sources with what is asked about; one of several may lack it."""
    if pipeline is None and node is None:
        return list(sources)
    lacking = [_lacking(one, pipeline, node) for one in sources]
    if None not in lacking and lacking[0] is not None:
        raise lacking[0]
    return [one.asked(pipeline, node) for one in sources]


def _lacking(
    one: ReportSource, pipeline: str | None, node: str | None
) -> TraceNotFoundError | None:
    try:
        one.graphlets.of(pipeline=pipeline, node=node)
    except TraceNotFoundError as error:
        return error
    return None


def _sums(rows: Sequence[dict[str, Any]], account: Account) -> dict[str, Any]:
    outcomes = {str(one): sum(row["outcomes"][str(one)] for row in rows) for one in Outcome}
    starts = [row["from_ms"] for row in rows if row["from_ms"] is not None]
    ends = [row["to_ms"] for row in rows if row["to_ms"] is not None]
    return {
        "pipelines": len(rows),
        "graphlets": sum(row["graphlets"] for row in rows),
        "outcomes": outcomes,
        "useful": sum(row["useful"] for row in rows),
        "from_ms": min(starts, default=None),
        "to_ms": max(ends, default=None),
        "cost_ms": account.total(),
        "money": account.amount(),
        "wasted_ms": account.waste(),
        "wasted_share": share(account.waste(), account.total()),
        "wasted_money": account.amount(wasted=True),
    }


def _overhead(sources: Sequence[ReportSource], prices: Prices) -> dict[str, Any]:
    """What this project's own nodes cost, in time and in money."""
    cost_ms, money = 0.0, 0.0
    for one in sources:
        own = one.described.overhead
        cost_ms += float(one.graphlets.cost[own].sum())
        money += float(prices.of_executions(one.graphlets)[own].sum())
    return {"overhead_ms": cost_ms, "overhead_money": money if prices.known else None}


def _worst(row: Mapping[str, Any], account: Account) -> dict[str, Any]:
    operator = max(row["operators"], key=lambda one: one["wasted_ms"])
    cause = row["causes"][0] if row["causes"] else None
    return {
        "store": row["store"],
        "pipeline": row["pipeline"],
        "wasted_ms": row["wasted_ms"],
        "wasted_share_of_all": share(row["wasted_ms"], account.waste()),
        "wasted_money": row["wasted_money"],
        "operator": operator["operator"],
        "operator_share": share(operator["wasted_ms"], row["wasted_ms"]),
        "cause": None if cause is None else cause["title"],
        "cause_share": None if cause is None else cause["share"],
        "advice": None if cause is None else cause["advice"],
    }


def _would_save(
    sources: Sequence[ReportSource],
    rows: Sequence[Mapping[str, Any]],
    stage: Stage,
    freshness: float,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> tuple[what_if.WouldSave | None, list[str]]:
    chosen = what_if.most_wasteful(
        [row["wasted_ms"] for row in rows], [row["graphlets"] for row in rows]
    )
    wanted = {(rows[at]["store"], rows[at]["pipeline"]): count for at, count in chosen.items()}
    datasets = []
    for one in sources:
        of = one.described
        mine = [
            numbers[-wanted[of.store, name] :]
            for name, numbers in of.by_pipeline().items()
            if (of.store, name) in wanted
        ]
        if mine:
            numbers = np.sort(np.concatenate(mine))
            datasets.append(what_if.replayable(of.graphlets, numbers, stage, of.payloads, of.store))
    if not datasets:
        return None, []
    dataset = Dataset.concatenate(datasets)
    notes = []
    there = sum(row["graphlets"] for row in rows)
    if len(dataset) < there:
        notes.append(
            f"What a gate would have saved was replayed for {len(dataset):,} of {there:,} "
            f"graphlets, the latest of {len(wanted):,} of {len(rows):,} pipelines, of those "
            "that waste most; its shares are of the waste of these."
        )
    return what_if.would_save(dataset, freshness, seed=seed, progress=progress), notes


def _saved(saved: what_if.WouldSave, account: Account) -> dict[str, Any]:
    document = dataclasses.asdict(saved)
    document["money"] = _priced(saved.saved_ms, account)
    document["curve"] = [
        {"freshness": freshness, "waste_removed": removed, "pushes_missed": missed}
        for freshness, removed, missed in saved.curve
    ]
    return document


def _priced(cost_ms: float, account: Account) -> float | None:
    """Money of some cost at the mean price of what the stores spent."""
    money, total = account.amount(), account.total()
    if not isinstance(money, float) or total <= 0:
        return None
    return cost_ms / HOUR_MS * (money / (total / HOUR_MS))


def _gates(report: MonitorReport) -> list[dict[str, Any]]:
    """What each gate of a store did, as `monitor` tells it."""
    return [
        {
            **gate.to_dict(),
            "alarms": [
                alarm.message
                for alarm in report.alarms
                if (alarm.pipeline, alarm.stage, alarm.gate, alarm.node)
                == (gate.pipeline, gate.stage, gate.gate, gate.node)
            ],
        }
        for gate in report.pipelines
    ]


def _with_cost(one: ReportSource, gate: Mapping[str, Any], account: Account) -> dict[str, Any]:
    of_its_own = dataclasses.replace(one.described, pipeline=gate["pipeline"], node=None)
    return {
        "store": one.described.store,
        "cost_ms": float(one.graphlets.cost[of_its_own.overhead].sum()),
        "saved_money": _priced(gate["savings"]["saved_ms"], account),
        **gate,
    }


def _did_save(reports: Sequence[MonitorReport], account: Account) -> Any:
    """What all gates did; a decision counts once, however many Trainer nodes it is about."""
    if not reports:
        return None
    every = [report.overall for report in reports]
    saved_ms = sum(one.savings.saved_ms for one in every)
    gates = sum(len({(g.pipeline, g.stage, g.gate) for g in one.pipelines}) for one in reports)
    alone = every[0] if gates == 1 else None
    kept = None if alone is None else alone.freshness
    return {
        "gates": gates,
        "decisions": sum(one.decisions for one in every),
        "skips": sum(one.skips for one in every),
        "failed_open": sum(one.failed_open for one in every),
        "saved_ms": saved_ms,
        "money": _priced(saved_ms, account),
        "waste_removed": None if alone is None else alone.savings.waste_removed,
        "freshness": None if kept is None else kept.value,
        "low": None if kept is None else kept.low,
        "high": None if kept is None else kept.high,
        "missed": None if kept is None else kept.missed,
    }
