"""Operators: how often each group of them ran and failed, and which runs they ended."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfx_graphlets.analysis.account import COST, OPERATORS, operators_of
from tfx_graphlets.analysis.described import Described, joined
from tfx_graphlets.analysis.tables import Cell, Column, Table, made, share
from tfx_graphlets.trace.trace import FloatArray, IntArray
from tfx_graphlets.vocabulary import ExecutionState

_OPERATOR = Column("operator", "Operator", "name", "Group of roles (docs/graphlets.md).")
_COST_SHARE = Column("cost_share", "Share of cost", "share", "Of the cost of all executions.")


def operator_tables(sources: Sequence[Described]) -> tuple[Table, ...]:
    """Operators, and the runs that failed."""
    return operators(sources), failed_runs(sources)


def operators(sources: Sequence[Described]) -> Table:
    """How often each group of operators ran, how it ended, and its share of the cost."""
    operator = joined(sources, lambda one: operators_of(one.graphlets.role[one.counted]))
    state = joined(sources, lambda one: one.graphlets.trace.executions.state[one.counted])
    cost = joined(sources, lambda one: one.graphlets.cost[one.counted])
    rows: list[list[Cell]] = []
    for number, (name, _) in enumerate(OPERATORS):
        states = state[operator == number]
        complete, failed, cached = (
            int((states == wanted).sum())
            for wanted in (ExecutionState.COMPLETE, ExecutionState.FAILED, ExecutionState.CACHED)
        )
        ended = complete + failed + cached
        own = float(cost[operator == number].sum())
        rows.append(
            [
                name,
                len(states),
                complete,
                failed,
                cached,
                len(states) - ended,
                share(complete, complete + failed),
                share(failed, complete + failed),
                share(cached, ended),
                own,
                share(own, float(cost.sum())),
            ]
        )
    return made(
        "operators",
        "Operators",
        "A row is a group of roles; executions of graphlets and others.",
        [
            _OPERATOR,
            Column("executions", "Executions", "count", "All of them."),
            Column("complete", "Complete", "count", "In state COMPLETE."),
            Column("failed", "Failed", "count", "In state FAILED."),
            Column("cached", "Cached", "count", "In state CACHED: nothing ran."),
            Column("other", "Other", "count", "Still running, left RUNNING, or cancelled."),
            Column("success_rate", "Success", "share", "Complete among complete and failed."),
            Column("failure_rate", "Failure", "share", "Failed among complete and failed."),
            Column("cache_rate", "Cache hits", "share", "Cached among those that ended."),
            COST,
            _COST_SHARE,
        ],
        [row for row in rows if row[1]],
    )


def failed_runs(sources: Sequence[Described]) -> Table:
    """Runs in which an execution failed, by what failed first, and what they had cost."""
    operator, cost, spent, runs = [], [], 0.0, 0
    for one in sources:
        first_operator, cost_of_run, of_all = _failures(one)
        operator.append(first_operator)
        cost.append(cost_of_run)
        runs += of_all
        spent += float(one.graphlets.cost[one.counted].sum())
    at, lost = np.concatenate(operator), np.concatenate(cost)
    rows: list[list[Cell]] = []
    for number, (name, _) in enumerate(OPERATORS):
        mine = at == number
        amount = float(lost[mine].sum())
        count = int(mine.sum())
        rows.append([name, count, share(count, runs), amount, share(amount, spent)])
    return made(
        "failed_runs",
        "Failed runs",
        "A row is a group of roles: the runs in which one of its executions was the first to fail.",
        [
            _OPERATOR,
            Column("runs", "Runs", "count", "That failed there first."),
            Column("run_share", "Share of runs", "share", "Of all runs of pipelines."),
            Column("cost_ms", "Cost", "ms", "Of all executions of these runs, pushed or not."),
            _COST_SHARE,
        ],
        [row for row in rows if row[1]],
    )


def _failures(one: Described) -> tuple[IntArray, FloatArray, int]:
    """Operator that failed first and cost of each failed run, and the number of all runs."""
    trace = one.graphlets.trace
    run, cost = trace.run_of_execution, one.graphlets.cost
    counted = one.counted & (run >= 0)
    failed = np.flatnonzero(counted & (trace.executions.state == ExecutionState.FAILED))
    runs, first = np.unique(run[failed], return_index=True)  # executions ascend by id
    of_run: FloatArray = np.zeros(len(trace.contexts))  # milliseconds
    np.add.at(of_run, run[counted], cost[counted])
    operator = operators_of(one.graphlets.role[failed[first]]).astype(np.int64)
    return operator, of_run[runs], len(np.unique(run[counted]))
