"""Account: what every execution cost, and what became of it; each counted exactly once.

So the cost by operator, by pipeline, by outcome, by cause and by time are five
cuts of the same sum, and so is the waste.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from tfx_graphlets.analysis.causes import NOT_WASTED, Cause
from tfx_graphlets.analysis.prices import Prices
from tfx_graphlets.analysis.tables import Cell, Column, Table, known, made, share, stretches
from tfx_graphlets.graphlets.graphlet import Graphlets
from tfx_graphlets.graphlets.outcome import wasted_executions
from tfx_graphlets.trace.trace import BoolArray, FloatArray, IntArray, SmallArray
from tfx_graphlets.vocabulary import Outcome, Role

OPERATORS: Final = (
    ("ingestion", (Role.EXAMPLE_GEN, Role.IMPORTER, Role.RESOLVER)),
    (
        "data analysis and validation",
        (Role.STATISTICS_GEN, Role.SCHEMA_GEN, Role.DATA_VALIDATOR),
    ),
    ("preprocessing", (Role.TRANSFORM,)),
    ("training", (Role.TRAINER, Role.TUNER)),
    ("model validation", (Role.MODEL_VALIDATOR, Role.INFRA_VALIDATOR)),
    ("deployment", (Role.PUSHER, Role.BULK_INFERRER)),
    ("custom", (Role.CUSTOM,)),
)


def operators_of(role: SmallArray) -> SmallArray:
    """Number in OPERATORS of every role; what is in none of them is custom."""
    number = np.full(max(map(int, Role)) + 1, len(OPERATORS) - 1, np.int8)
    for at, (_, roles) in enumerate(OPERATORS):
        number[list(map(int, roles))] = at
    return number[role]


class Fate(enum.IntEnum):
    """What became of an execution: the best that became of a graphlet that holds it."""

    PUSHED = 0
    USEFUL = 1
    INCOMPLETE = 2
    FAILED = 3
    RETRIED = 4
    UNPUSHED = 5  # wasted: every graphlet that holds it is unpushed and not useful
    OUTSIDE = 6  # no graphlet holds it


_FATE_WORDS: Final = {
    Fate.PUSHED: "a graphlet that holds it was pushed",
    Fate.USEFUL: "the Model of a graphlet that holds it was the warm start of a pushed one",
    Fate.INCOMPLETE: "a graphlet that holds it has not ended, or put out no Model",
    Fate.FAILED: "the Trainer of a graphlet that holds it failed",
    Fate.RETRIED: "a graphlet that holds it was tried again in the same run",
    Fate.UNPUSHED: "every graphlet that holds it is unpushed and not useful: wasted",
    Fate.OUTSIDE: "it belongs to no graphlet",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Account:
    """Executions of one store or several, each once; arrays of one length.

    Attributes:
      cost_ms: float64 [n], milliseconds, weights of ``segment`` included.
      money: float64 [n], NaN where no price is known.
      wasted: bool [n].
      operator: int8 [n], number in OPERATORS.
      fate: int8 [n], Fate.
      cause: int8 [n], Cause of the latest graphlet that holds it where it is
        wasted, else NOT_WASTED.
      pipeline: int64 [n], number in ``pipelines``.
      pipelines: store and name of each; the name is "" where there is none.
      start_ms: int64 [n], create time; 0 where missing.
    """

    cost_ms: FloatArray
    money: FloatArray
    wasted: BoolArray
    operator: SmallArray
    fate: SmallArray
    cause: SmallArray
    pipeline: IntArray
    pipelines: tuple[tuple[str, str], ...]
    start_ms: IntArray

    @classmethod
    def of(
        cls,
        store: str,
        graphlets: Graphlets,
        causes: SmallArray,
        prices: Prices,
        counted: BoolArray,
        numbers: IntArray | None = None,
    ) -> Account:
        """The account of one store.

        Args:
          store: its name.
          graphlets: the graphlets.
          causes: int8 [num_graphlets], see ``causes_of``.
          prices: of an hour.
          counted: bool [num_executions], see ``Described``; gates and other nodes of this
            project are not among them: what they cost is overhead.
          numbers: of the graphlets that are asked about, int64 [k]; None: all. What became of
            an execution is what became of it in the whole store.
        """
        trace = graphlets.trace
        fate = np.full(len(trace.executions), Fate.OUTSIDE, np.int8)
        cause = np.full(len(trace.executions), NOT_WASTED, np.int8)
        rows, index = graphlets.executions.rows(), graphlets.executions.index
        np.minimum.at(fate, index, _fates(graphlets)[rows])
        cause[index] = causes[rows]  # rows ascend: the latest graphlet is assigned last
        if numbers is not None:  # before those that are not asked about
            mine = np.isin(rows, numbers)
            cause[index[mine]] = causes[rows[mine]]
        wasted = wasted_executions(graphlets)
        cause[~wasted] = NOT_WASTED
        of = trace.pipeline_of_execution
        used, number = np.unique(of[counted], return_inverse=True)
        return cls(
            cost_ms=graphlets.cost[counted],
            money=prices.of_executions(graphlets)[counted],
            wasted=wasted[counted],
            operator=operators_of(graphlets.role[counted]),
            fate=fate[counted],
            cause=cause[counted],
            pipeline=number.reshape(-1).astype(np.int64),
            pipelines=tuple(
                (store, trace.context_name(int(at)) or "") if at >= 0 else (store, "")
                for at in used.tolist()
            ),
            start_ms=trace.executions.create_ms[counted],
        )

    @classmethod
    def concatenate(cls, accounts: Sequence[Account]) -> Account:
        """The accounts of several stores as one."""
        offsets = np.cumsum([0, *(len(one.pipelines) for one in accounts)])
        columns = {
            field.name: np.concatenate([getattr(one, field.name) for one in accounts])
            for field in dataclasses.fields(cls)
            if field.name not in ("pipeline", "pipelines")
        }
        return cls(
            **columns,
            pipeline=np.concatenate(
                [one.pipeline + offset for one, offset in zip(accounts, offsets.tolist())]
            ),
            pipelines=tuple(name for one in accounts for name in one.pipelines),
        )

    def total(self) -> float:
        """Cost of all executions, milliseconds."""
        return float(self.cost_ms.sum())

    def waste(self) -> float:
        """Cost of the wasted ones, milliseconds."""
        return float(self.cost_ms[self.wasted].sum())

    def amount(self, *, wasted: bool = False) -> Cell:
        """Money of all executions, or of the wasted; None without a price, or an execution."""
        money = self.money * self.wasted if wasted else self.money
        return known(float(money.sum())) if len(money) else None


def _fates(graphlets: Graphlets) -> SmallArray:
    of_outcome = {
        Outcome.PUSHED: Fate.PUSHED,
        Outcome.UNPUSHED: Fate.UNPUSHED,
        Outcome.FAILED: Fate.FAILED,
        Outcome.INCOMPLETE: Fate.INCOMPLETE,
    }
    result = np.full(len(graphlets), Fate.RETRIED, np.int8)
    for outcome, fate in of_outcome.items():
        result[graphlets.outcome == outcome] = fate
    result[graphlets.useful] = Fate.USEFUL
    return result


def cuts(account: Account) -> tuple[Table, ...]:
    """The account by operator, pipeline, outcome, cause and time."""
    stretch, stretch_names, unit = stretches(account.start_ms)
    return (
        _cut(
            account,
            "cost_by_operator",
            "Cost by operator",
            account.operator,
            [name for name, _ in OPERATORS],
            "operator",
            "Group of roles (docs/graphlets.md).",
        ),
        _cut(
            account,
            "cost_by_pipeline",
            "Cost by pipeline",
            account.pipeline,
            [name or "(no pipeline)" for _, name in account.pipelines],
            "pipeline",
            "Pipeline context of the execution.",
            [store for store, _ in account.pipelines],
        ),
        _cut(
            account,
            "cost_by_outcome",
            "Cost by outcome",
            account.fate,
            [fate.name.lower() for fate in Fate],
            "outcome",
            "The best that became of a graphlet that holds the execution: "
            + "; ".join(f"{fate.name.lower()}: {_FATE_WORDS[fate]}" for fate in Fate)
            + ".",
        ),
        _cut(
            account,
            "cost_by_cause",
            "Cost by cause of waste",
            np.where(account.cause == NOT_WASTED, len(Cause), account.cause),
            [*(cause.title for cause in Cause), "not wasted"],
            "cause",
            "; ".join(f"{cause.title}: {cause.definition}" for cause in Cause),
        ),
        _cut(
            account,
            "cost_by_time",
            "Cost over time",
            stretch,
            stretch_names,
            "time",
            f"{unit} (UTC) in which the execution was created.",
        ),
    )


def _cut(
    account: Account,
    name: str,
    title: str,
    code: IntArray | SmallArray,
    names: Sequence[str],
    key: str,
    definition: str,
    stores: Sequence[str] | None = None,
) -> Table:
    count = len(names)

    def total(weights: FloatArray) -> list[float]:
        return np.bincount(code, weights=weights, minlength=count).tolist()

    number = np.bincount(code, minlength=count).tolist()
    cost, waste = total(account.cost_ms), total(account.cost_ms * account.wasted)
    money, lost = total(account.money), total(account.money * account.wasted)
    whole = account.total()
    rows: list[list[Cell]] = [
        [
            *([stores[at]] if stores is not None else []),
            names[at],
            number[at],
            cost[at],
            share(cost[at], whole),
            waste[at],
            share(waste[at], cost[at]),
            money[at],
            lost[at],
        ]
        for at in range(count)
        if number[at]
    ]
    columns = [
        *(
            [Column("store", "Store", "name", "Where it is recorded.")]
            if stores is not None
            else []
        ),
        Column(key, title.rpartition(" ")[2].capitalize(), "name", definition),
        Column("executions", "Executions", "count", "Executions, each counted once."),
        COST,
        Column("share", "Share", "share", "Share of the cost of all rows."),
        WASTED,
        WASTED_SHARE,
        MONEY,
        LOST,
    ]
    if key != "time":
        rows.sort(key=_by_waste(len(columns) - 4), reverse=True)
    return made(name, title, "A row sums up executions; each is in exactly one row.", columns, rows)


def _by_waste(at: int) -> Callable[[list[Cell]], float]:
    return lambda row: float(row[at] or 0.0)


COST: Final = Column(
    "cost_ms", "Cost", "ms", "Last update less create time of the executions; 0 for cache hits."
)
WASTED: Final = Column(
    "wasted_ms",
    "Wasted",
    "ms",
    "Cost of executions all of whose graphlets are unpushed and not useful.",
)
WASTED_SHARE: Final = Column("wasted_share", "Wasted", "share", "Wasted of the row's cost.")
MONEY: Final = Column("money", "Money", "money", "Cost at the given prices.")
LOST: Final = Column("wasted_money", "Money wasted", "money", "Wasted cost at the given prices.")
