"""The account: every execution once, and five cuts of one sum."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from tests.import_graph import ROOT
from tests.strategies import deterministic, rows
from tfx_graphlets.analysis.account import Account, cuts
from tfx_graphlets.analysis.causes import NOT_WASTED, Cause
from tfx_graphlets.analysis.prices import Prices
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.graphlets.outcome import total_waste
from tfx_graphlets.graphlets.segmentation import segment
from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.report.view import view_of
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import Trace
from tfx_graphlets.vocabulary import Role

HISTORIES = sorted((ROOT / "pipelines/flights/history").glob("*/archive"))


def two_runs() -> Trace:
    """Both train on the same data; the second run is pushed; two Trainers, an ExampleGen."""
    build = TraceBuilder()
    examples = build.artifact("Examples")
    build.execution("CsvExampleGen", outputs={"examples": [examples]}, run="r0", duration_ms=1000)
    for number in (0, 1):
        model, pushed = build.artifact("Model"), build.artifact("PushedModel", pushed=number)
        build.execution(
            "Trainer",
            inputs={"examples": [examples]},
            outputs={"model": [model]},
            run=f"r{number}",
            duration_ms=3_600_000,
        )
        build.execution(
            "Pusher",
            inputs={"model": [model]},
            outputs={"pushed_model": [pushed]},
            run=f"r{number}",
            duration_ms=100,
        )
    return build.trace()


def account_of(trace: Trace, prices: Prices | None = None) -> Account:
    """The account of a trace; every wasted graphlet has the same cause."""
    graphlets = segment(trace)
    causes = np.where(
        (graphlets.outcome == 2) & ~graphlets.useful, np.int8(Cause.NO_GAIN), np.int8(NOT_WASTED)
    )
    counted = np.ones(len(trace.executions), bool)
    return Account.of("store", graphlets, causes.astype(np.int8), prices or Prices(), counted)


def test_what_a_pushed_graphlet_shares_is_not_wasted() -> None:
    """The ExampleGen serves both runs; only the first run's Trainer and Pusher are wasted."""
    account = account_of(two_runs(), Prices.parse(["trainer=2/h"]))
    assert account.total() == 2 * 3_600_000 + 2 * 100 + 1000
    assert account.waste() == 3_600_000 + 100
    assert account.amount() == pytest.approx(4.0)
    assert account.amount(wasted=True) == pytest.approx(2.0)


@deterministic
@given(rows())
def test_every_cut_adds_up(raw: RowBuilder) -> None:
    """Operator, pipeline, outcome, cause and time each sum to the whole, cost and waste."""
    trace = assemble(raw.rows())
    account = account_of(trace)
    assert account.waste() == pytest.approx(total_waste(segment(trace)))
    for table in cuts(account):
        cost = sum(float(value or 0) for value in table.column("cost_ms"))
        waste = sum(float(value or 0) for value in table.column("wasted_ms"))
        count = sum(int(value or 0) for value in table.column("executions"))
        assert cost == pytest.approx(account.total()), table.name
        assert waste == pytest.approx(account.waste()), table.name
        assert count == len(trace.executions), table.name


@pytest.mark.parametrize("archive", HISTORIES[:3], ids=lambda path: path.parent.name)
def test_a_recorded_history_adds_up(archive: Path) -> None:
    """The rows of pipelines and their causes, too, sum to the first screen."""
    with open_store(str(archive)) as store:
        view = view_of([ReportSource.read(store)], now_ms=1, replay=False)
    first = view["first"]
    assert first["wasted_ms"] > 0
    for key in ("cost_ms", "wasted_ms"):
        assert sum(row[key] for row in view["pipelines"]) == pytest.approx(first[key])
    for row in view["pipelines"]:
        assert sum(one["wasted_ms"] for one in row["causes"]) == pytest.approx(row["wasted_ms"])
        assert sum(one["cost_ms"] for one in row["operators"]) == pytest.approx(row["cost_ms"])
        assert sum(row["outcomes"].values()) == row["graphlets"] == row["timeline"]["of"]


@pytest.mark.parametrize(
    "text",
    ["", "0.35", "-1/h", "nan/h", "trainer=/h", "=2/h", "trainer=2/m", "1e999/h", "a=b=1/h/h"],
)
def test_a_price_of_another_form_is_refused(text: str) -> None:
    """The error shows the text and the form."""
    with pytest.raises(InvalidArgumentError, match=r"price.*AMOUNT/h"):
        Prices.parse([text])


def test_the_price_of_a_type_counts_before_that_of_its_role() -> None:
    """And a role's before the one for everything."""
    prices = Prices.parse(["1/h", "trainer=2/h", "Pusher=3/h"], "EUR")
    assert prices.to_dict() == {"": 1.0, "trainer": 2.0, "Pusher": 3.0}
    graphlets = segment(two_runs())
    money = prices.of_executions(graphlets) * 3_600_000 / np.maximum(graphlets.cost, 1)
    of_role = {Role(int(role)): price for role, price in zip(graphlets.role, money.tolist())}
    assert of_role[Role.TRAINER] == pytest.approx(2.0)
    assert of_role[Role.PUSHER] == pytest.approx(3.0)
    assert of_role[Role.EXAMPLE_GEN] == pytest.approx(1.0)


def test_without_a_price_nothing_costs_money() -> None:
    """Amounts are not known, rather than 0."""
    assert account_of(two_runs()).amount() is None
