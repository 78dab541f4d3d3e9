"""Pipelines in a report: one document each, with its causes and graphlet by graphlet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from tfx_graphlets.analysis.account import OPERATORS, Account
from tfx_graphlets.analysis.causes import NOT_WASTED, Cause
from tfx_graphlets.analysis.prices import Prices
from tfx_graphlets.analysis.tables import known, share
from tfx_graphlets.policy.decision import PastDecision
from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.trace.trace import IntArray, SmallArray
from tfx_graphlets.vocabulary import Outcome

MOST_ENTRIES: Final = 20_000  # graphlets shown one by one, over all pipelines
MOST_DECISIONS: Final = 200  # shown of one pipeline, the latest
# Of a decision.
_SHOWN: Final = (
    *("run", "time_ms", "stage", "gate", "proceed", "would_skip", "explored", "failed_open"),
    *("probability", "threshold", "reason"),
)
MOST_GRAPHS: Final = 12  # graphlets of one pipeline that may be drawn


def rows_of(
    sources: Sequence[ReportSource],
    causes: Sequence[SmallArray],
    account: Account,
    prices: Prices,
) -> tuple[list[dict[str, Any]], list[str]]:
    """A document for every pipeline that has graphlets or cost among what is asked for.

    Args:
      sources: the stores.
      causes: of the graphlets of each store.
      account: of all stores.
      prices: of an hour.

    Returns:
      The documents, what wastes most first, and sentences about what was left
      out: graphlets are shown one by one for the first pipelines, MOST_ENTRIES at most.
    """
    rows = []
    by_pipeline = _positions(account)
    graphlets_of = {
        (one.described.store, name): (one, found, numbers)
        for one, found in zip(sources, causes)
        for name, numbers in one.described.by_pipeline().items()
    }
    money_of = {
        one.described.store: prices.of_executions(one.graphlets) if prices.known else None
        for one in sources
    }
    for at, key in enumerate(account.pipelines):
        mine = by_pipeline[at]
        row = _costs(account, mine)
        row["store"], row["pipeline"] = key
        if key in graphlets_of:
            one, found, numbers = graphlets_of[key]
            row |= _of_graphlets(one, numbers)
        else:
            found, numbers = np.zeros(0, np.int8), np.zeros(0, np.int64)
            row |= {
                "graphlets": 0,
                "outcomes": {str(outcome): 0 for outcome in Outcome},
                "useful": 0,
                "push_rate": None,
                "from_ms": None,
                "to_ms": None,
            }
        row["causes"] = _causes(found[numbers], account, mine)
        row |= {"timeline": None, "decisions": [], "decisions_of": 0, "graphs": []}
        rows.append(row)
    rows.sort(key=lambda row: (-row["wasted_ms"], row["store"], row["pipeline"]))
    budget, left_out = MOST_ENTRIES, 0
    for row in filter(lambda row: row["graphlets"], rows):
        if row["graphlets"] > budget:
            left_out += 1
            continue
        budget -= row["graphlets"]
        one, found, numbers = graphlets_of[row["store"], row["pipeline"]]
        row.update(_details(one, found, numbers, row["pipeline"], money_of[row["store"]]))
    if not left_out:
        return rows, []
    note = f"Graphlets are shown one by one for the pipelines that waste most, {MOST_ENTRIES:,} "
    return rows, [f"{note}at most; {left_out:,} pipelines show their sums alone."]


def _positions(account: Account) -> list[IntArray]:
    """Executions of each pipeline, int64 [k] each."""
    order = np.argsort(account.pipeline, kind="stable")
    counts = np.bincount(account.pipeline, minlength=len(account.pipelines))
    return list(np.split(order, np.cumsum(counts)[:-1]))


def _costs(account: Account, mine: IntArray) -> dict[str, Any]:
    cost, wasted = account.cost_ms[mine], account.wasted[mine]
    operator = account.operator[mine]
    whole = np.bincount(operator, weights=cost, minlength=len(OPERATORS)).tolist()
    lost = np.bincount(operator, weights=cost * wasted, minlength=len(OPERATORS)).tolist()
    money = account.money[mine]
    paid = np.bincount(operator, weights=money, minlength=len(OPERATORS)).tolist()
    thrown = np.bincount(operator, weights=money * wasted, minlength=len(OPERATORS)).tolist()
    total, waste = float(cost.sum()), float(cost[wasted].sum())
    return {
        "cost_ms": total,
        "money": known(float(money.sum())),
        "wasted_ms": waste,
        "wasted_share": share(waste, total),
        "wasted_money": known(float((money * wasted).sum())),
        "operators": [
            {
                "operator": name,
                "cost_ms": whole[at],
                "money": known(paid[at]),
                "wasted_ms": lost[at],
                "wasted_money": known(thrown[at]),
            }
            for at, (name, _) in enumerate(OPERATORS)
            if whole[at] or lost[at]
        ],
    }


def _causes(of_graphlets: SmallArray, account: Account, mine: IntArray) -> list[dict[str, Any]]:
    """Why what was wasted of some executions was, the dearest first.

    Args:
      of_graphlets: causes of the pipeline's graphlets, int8 [k].
      account: of all stores.
      mine: the executions, positions in the account, int64 [n].
    """
    cost, cause, money = account.cost_ms[mine], account.cause[mine], account.money[mine]
    waste = float(cost[cause != NOT_WASTED].sum())
    found = []
    for which in Cause:
        lost = float(cost[cause == which].sum())
        count = int((of_graphlets == which).sum())
        if lost or count:
            found.append(
                {
                    "cause": which.name.lower(),
                    "title": which.title,
                    "graphlets": count,
                    "wasted_ms": lost,
                    "wasted_money": known(float((money * (cause == which)).sum())),
                    "share": share(lost, waste),
                    "advice": which.advice,
                }
            )
    found.sort(key=lambda each: -float(each["wasted_ms"]))  # type: ignore[arg-type]
    return found


def _of_graphlets(one: ReportSource, numbers: IntArray) -> dict[str, Any]:
    outcome = one.graphlets.outcome[numbers]
    pushed = int((outcome == Outcome.PUSHED).sum())
    labelled = pushed + int((outcome == Outcome.UNPUSHED).sum())
    start, end = one.graphlets.start_ms[numbers], one.graphlets.end_ms[numbers]
    return {
        "graphlets": len(numbers),
        "outcomes": _outcomes(outcome),
        "useful": int((one.graphlets.needed[numbers] & (outcome != Outcome.PUSHED)).sum()),
        "push_rate": share(pushed, labelled),
        "from_ms": _moment(start[start > 0].min() if (start > 0).any() else 0),
        "to_ms": _moment(end.max() if len(end) else 0),
    }


def _moment(value: int) -> int | None:
    return int(value) if value > 0 else None


def _details(
    one: ReportSource, causes: SmallArray, numbers: IntArray, name: str, money: Any
) -> dict[str, Any]:
    """What a pipeline's own section shows: graphlet by graphlet, and its gates' decisions."""
    decisions = [found for found in one.decisions if found.pipeline == name]
    shown = decisions[-MOST_DECISIONS:]
    at_run: dict[str, int] = {}
    for at, found in enumerate(shown):
        at_run.setdefault(found.run, at)
    entries = [_entry(one, causes, number, at_run, money) for number in numbers.tolist()]
    wasted = [entry for entry in entries if entry["cause"] is not None]
    pushed = [entry for entry in entries if entry["outcome"] == str(Outcome.PUSHED)]
    drawn = sorted(
        {entry["trainer"] for entry in [*wasted[-MOST_GRAPHS // 2 :], *pushed[-2:], *entries[-2:]]}
    )
    return {
        "timeline": {"of": len(entries), "entries": entries},
        "decisions": [_decision(found) for found in shown],
        "decisions_of": len(decisions),
        "graphs": drawn[-MOST_GRAPHS:],
    }


def _entry(
    one: ReportSource, causes: SmallArray, number: int, at_run: Mapping[str, int], money: Any
) -> dict[str, Any]:
    graphlet = one.graphlets[number]
    members = one.graphlets.executions.of(number)
    run = graphlet.run
    cause = int(causes[number])
    return {
        "trainer": graphlet.trainer,
        "node": one.graphlets.trace.context_name(
            int(one.graphlets.trace.node_of_execution[one.graphlets.trainer[number]])
        ),
        "run": run,
        "start_ms": _moment(graphlet.start_ms),
        "end_ms": _moment(graphlet.end_ms),
        "outcome": str(graphlet.outcome),
        "needed": bool(one.graphlets.needed[number]),
        "cost_ms": float(one.graphlets.cost[members].sum()),
        "wasted_ms": float(one.graphlets.cost[members[one.wasted[members]]].sum()),
        "money": None if money is None else known(float(money[members].sum())),
        "cause": None if cause == NOT_WASTED else Cause(cause).name.lower(),
        "decision": at_run.get(run or "") if run else None,
    }


def _decision(found: PastDecision) -> dict[str, Any]:
    return {name: getattr(found, name) for name in _SHOWN}


def _outcomes(outcome: SmallArray) -> dict[str, int]:
    return {str(one): int((outcome == one).sum()) for one in Outcome}
