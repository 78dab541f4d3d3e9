"""The document of a report: its sums, its parts, and what it leaves out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from tests.conftest import Golden
from tests.import_graph import ROOT
from tests.report.stores import add_run, gated, two_pipelines
from tests.strategies import deterministic, rows
from tfx_graphlets.analysis import what_if
from tfx_graphlets.analysis.prices import Prices
from tfx_graphlets.errors import InvalidArgumentError
from tfx_graphlets.gate.record import nodes_to_text
from tfx_graphlets.policy.decision import NodeDecision
from tfx_graphlets.report import rows as report_rows
from tfx_graphlets.report import source as report_source
from tfx_graphlets.report.graph import Graphs
from tfx_graphlets.report.report import Report, summary
from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.report.view import view_of
from tfx_graphlets.stores.store import open_store
from tfx_graphlets.testing import TraceBuilder
from tfx_graphlets.trace.assembly import assemble
from tfx_graphlets.trace.rows import RowBuilder
from tfx_graphlets.trace.trace import Trace

HISTORIES = sorted((ROOT / "pipelines/flights/history").glob("*/archive"))
PUBLIC = sorted((ROOT.parent / "shared/corpus/public").glob("*.sqlite"))
GOLDEN = ROOT / "tests/report/golden_view.json"


def table(view: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """One of the document's tables."""
    (found,) = (one for one in view["tables"] if one["name"] == name)
    return found  # type: ignore[no-any-return]


def column(view: Mapping[str, Any], name: str, key: str) -> list[Any]:
    """Cells of one column of a table."""
    found = table(view, name)
    at = [one["name"] for one in found["columns"]].index(key)
    return [row[at] for row in found["rows"]]


def check_sums(view: Mapping[str, Any]) -> None:
    """Every way to cut the cost and the waste gives the sum of the first screen."""
    first = view["first"]
    for key in ("cost_ms", "wasted_ms"):
        whole = pytest.approx(first[key], rel=1e-9, abs=1e-6)
        for name in ("operator", "pipeline", "outcome", "cause", "time"):
            assert sum(column(view, f"cost_by_{name}", key)) == whole, (key, name)
        assert sum(row[key] for row in view["pipelines"]) == whole
        assert sum(one[key] for row in view["pipelines"] for one in row["operators"]) == whole
    causes = [one for row in view["pipelines"] for one in row["causes"]]
    assert sum(one["wasted_ms"] for one in causes) == pytest.approx(first["wasted_ms"])
    assert sum(first["outcomes"].values()) == first["graphlets"]
    assert sum(row["graphlets"] for row in view["pipelines"]) == first["graphlets"]
    assert sum(column(view, "activity", "graphlets")) == first["graphlets"]
    assert sum(column(view, "models", "graphlets")) == first["graphlets"]
    for row in view["pipelines"]:
        entries = row["timeline"]["entries"] if row["timeline"] else []
        assert len(entries) in (0, row["graphlets"])
        assert sum(one["outcome"] == "pushed" for one in entries) in (0, row["outcomes"]["pushed"])


def of_trace(*traces: Trace, **arguments: Any) -> dict[str, Any]:
    """The document of traces, without a replay unless asked."""
    sources = [ReportSource.of(f"store{at}", trace) for at, trace in enumerate(traces)]
    return view_of(sources, **{"now_ms": 1, "replay": False, **arguments})


@deterministic
@given(rows(), rows())
def test_whatever_two_stores_hold_the_sums_agree(left: RowBuilder, right: RowBuilder) -> None:
    """By operator, pipeline, outcome, cause and time; and the document is plain JSON."""
    view = of_trace(assemble(left.rows()), assemble(right.rows()), prices=Prices.parse(["2/h"]))
    check_sums(view)
    json.dumps(view, allow_nan=False)
    assert view["first"]["money"] == pytest.approx(view["first"]["cost_ms"] / 1_800_000)


@pytest.mark.skipif(not PUBLIC, reason="the public stores are not here")
@pytest.mark.parametrize("path", PUBLIC, ids=lambda path: path.stem)
def test_a_public_store_has_a_report(path: Path) -> None:
    """Without an error, in plain JSON, with sums that agree."""
    with open_store(str(path)) as store:
        view = view_of([ReportSource.read(store)], now_ms=1, replay=False)
    check_sums(view)
    json.dumps(view, allow_nan=False)


@pytest.mark.parametrize("archive", HISTORIES, ids=lambda path: path.parent.name)
def test_a_recorded_history_has_a_report(archive: Path) -> None:
    """Its waste has causes; hardly any of it is unexplained."""
    with open_store(str(archive)) as store:
        view = view_of([ReportSource.read(store)], now_ms=1, replay=False)
    check_sums(view)
    assert view["first"]["wasted_ms"] > 0
    causes = {one["cause"]: one["share"] for one in view["pipelines"][0]["causes"]}
    assert causes.get("unexplained", 0) < 0.2


def test_the_report_of_a_small_store_is_the_golden_one(golden: Golden) -> None:
    """Every value of the document."""
    view = of_trace(two_pipelines(), prices=Prices.parse(["1/h", "trainer=2/h"], "EUR"))
    golden(GOLDEN, json.dumps(view, indent=1) + "\n")


def test_the_pipeline_that_wastes_most_comes_first() -> None:
    """With the operator that costs it most; shares are of the waste of all."""
    first = of_trace(two_pipelines())["first"]
    assert [one["pipeline"] for one in first["worst"]] == ["large", "small"]
    worst = first["worst"][0]
    assert worst["operator"] == "training"
    assert worst["wasted_ms"] == 3 * (50 + 10_000 + 10)
    entry = of_trace(two_pipelines())["pipelines"][0]["timeline"]["entries"][0]
    assert (entry["wasted_ms"], entry["needed"], entry["outcome"]) == (10_060, False, "unpushed")
    assert worst["wasted_share_of_all"] == pytest.approx(30_180 / (30_180 + 1060))


def test_a_pipeline_given_by_name_is_the_only_one_in_every_table() -> None:
    """Sums, statistics and activity are those of its graphlets."""
    view = of_trace(two_pipelines(), pipeline="large")
    check_sums(view)
    assert view["first"]["graphlets"] == 3
    assert view["first"]["cost_ms"] == 30_180
    for one in view["tables"]:
        names = [found["name"] for found in one["columns"]]
        if "pipeline" in names:
            assert {row[names.index("pipeline")] for row in one["rows"]} <= {"large"}, one["name"]
    assert column(view, "operators", "executions") == [3, 3, 3]
    assert column(view, "graphlets", "known")[0] == 3


def test_what_gates_cost_is_apart() -> None:
    """It is the overhead, in no other sum, and stands beside what the gate saved."""
    view = of_trace(gated())
    check_sums(view)
    assert view["first"]["overhead_ms"] == 14
    assert view["first"]["cost_ms"] == 2 * (50 + 1000 + 10)
    assert column(view, "gates", "cost_ms") == [14]
    assert column(view, "gates", "saved_ms") == [1010]
    savings = view["gates"][0]["savings"]
    assert (savings["spent_ms"], savings["overhead_ms"]) == (1060, 14)
    assert view["first"]["did_save"]["skips"] == 1
    other = of_trace(gated(), pipeline="other")
    assert other["first"]["overhead_ms"] == 0
    assert other["first"]["did_save"] is None


def test_a_decision_about_several_trainers_is_one() -> None:
    """The table has a row of each node; the sums count decisions, skips and gates once."""
    both = [NodeDecision(node, False, True, 0.01, 0.3) for node in ("left", "right")]
    view = of_trace(gated(nodes=nodes_to_text(both)))
    assert column(view, "gates", "node") == ["left", "right"]
    did = view["first"]["did_save"]
    assert (did["gates"], did["decisions"], did["skips"]) == (1, 2, 1)
    assert "by 1 skips in 2 decisions" in summary(view)


def test_a_decision_stands_with_its_reason() -> None:
    """As the artifact states it; the run's graphlet points at it."""
    (row,) = (one for one in of_trace(gated())["pipelines"] if one["pipeline"] == "gated")
    assert [one["reason"] for one in row["decisions"]] == ["Because of r0.", "Because of r1."]
    assert [one["proceed"] for one in row["decisions"]] == [True, False]
    assert row["timeline"]["entries"][0]["decision"] == 0


def test_too_many_graphlets_are_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pipelines that waste most keep their timelines, a note says how many do not."""
    monkeypatch.setattr(report_rows, "MOST_ENTRIES", 3)
    view = of_trace(two_pipelines())
    check_sums(view)
    assert [row["timeline"] is None for row in view["pipelines"]] == [False, True]
    (note,) = view["notes"]
    assert note.endswith("waste most, 3 at most; 1 pipelines show their sums alone.")


@pytest.mark.parametrize(
    ("waste", "graphlets", "chosen"),
    [
        ([1, 3, 2], [10, 20, 30], {0: 10, 1: 20, 2: 30}),
        ([5], [9000], {0: 800}),
        ([1, 3], [9000, 9000], {0: 400, 1: 400}),
        ([1, 3, 2, 4, 5], [9000, 150, 9000, 9000, 9000], {1: 150, 2: 200, 3: 200, 4: 200}),
        ([0, 0], [5, 5], {}),
    ],
)
def test_a_replay_is_bounded(
    waste: Sequence[float], graphlets: Sequence[int], chosen: Mapping[int, int]
) -> None:
    """What wastes most is replayed, and none of several pipelines takes all the room."""
    assert what_if.most_wasteful(waste, graphlets) == chosen


def test_a_larger_pipeline_is_replayed_by_its_latest(monkeypatch: pytest.MonkeyPatch) -> None:
    """And a note says how many of how many."""
    pytest.importorskip("ydf")
    monkeypatch.setattr(what_if, "MOST_GRAPHLETS", 30)
    monkeypatch.setattr(what_if, "FEWEST_OF_ONE", 1)
    build = TraceBuilder()
    for number in range(40):
        add_run(build, "p", f"r{number:02}", pushed=number % 2)
    view = of_trace(build.trace(), replay=True)
    assert view["first"]["would_save"]["graphlets"] == 30
    assert view["first"]["would_save"]["pushes"] == 15
    assert "replayed for 30 of 40 graphlets" in view["notes"][0]
    assert "of the waste replayed" in summary(view)
    assert "of the waste of 30 trainings" in Report(view)._repr_html_()


def test_a_large_store_is_described_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """The document is the same but for its note, where there are no files to read anyway."""
    whole = of_trace(two_pipelines())
    monkeypatch.setattr(report_source, "MOST_WITH_PAYLOADS", 4)
    parts = of_trace(two_pipelines())
    assert parts.pop("notes")[0].startswith("store0 holds 5 graphlets")
    assert whole.pop("notes") == []
    assert parts == whole


def test_too_little_for_a_replay_is_said() -> None:
    """With what it takes."""
    view = of_trace(two_pipelines(), replay=True)
    assert view["first"]["would_save"] is None
    assert "takes at least 20 labelled graphlets" in view["notes"][-1]


def test_two_stores_of_one_name_are_refused() -> None:
    """And so are none at all."""
    source = ReportSource.of("s", two_pipelines())
    with pytest.raises(InvalidArgumentError, match=r"stores=\['s', 's'\]"):
        view_of([source, source], now_ms=1)
    with pytest.raises(InvalidArgumentError, match="stores"):
        view_of([], now_ms=1)


def test_every_term_that_is_a_column_of_money_or_time_has_a_definition() -> None:
    """No column and no term is without words."""
    view = of_trace(two_pipelines())
    assert all(one["definition"] for one in view["glossary"])
    for one in view["tables"]:
        assert one["definition"]
        assert all(found["definition"] and found["unit"] for found in one["columns"])
        assert all(len(row) == len(one["columns"]) for row in one["rows"])


def test_without_a_price_no_amount_is_said() -> None:
    """Not even of what was not wasted: null, in every table and every pipeline."""
    view = of_trace(two_pipelines(), gated())
    amounts = [view["first"][key] for key in ("money", "wasted_money", "overhead_money")]
    for one in view["tables"]:
        for found in one["columns"]:
            if found["unit"] == "money":
                amounts += column(view, one["name"], found["name"])
    for row in view["pipelines"]:
        parts = [row, *row["operators"], *row["causes"]]
        amounts += [part[key] for part in parts for key in part if key.endswith("money")]
    assert len(amounts) > 20
    assert set(amounts) == {None}


def test_with_a_price_every_cost_has_an_amount() -> None:
    """An hour costs what was said, of pipelines, operators, causes, gates and overhead alike."""
    view = of_trace(two_pipelines(), gated(), prices=Prices.parse(["3600/h"]))
    assert view["first"]["overhead_money"] == pytest.approx(0.014)
    for row in view["pipelines"]:
        for part in (row, *row["operators"]):
            assert part["money"] == pytest.approx(part["cost_ms"] / 1000)
        for part in (row, *row["operators"], *row["causes"]):
            assert part["wasted_money"] == pytest.approx(part["wasted_ms"] / 1000)
    assert column(view, "gates", "saved_money") == [pytest.approx(1.010)]


@pytest.mark.parametrize("path", [HISTORIES[0], *PUBLIC[:3]], ids=lambda path: path.stem)
def test_what_a_report_does_not_read_it_does_not_show(path: Path) -> None:
    """The whole store gives the same document, and the same graphs."""
    with open_store(str(path)) as store:
        read = ReportSource.read(store)
        whole = ReportSource.of(store.name, store.read_trace(), store.payloads)
        documents = [view_of([one], now_ms=1, replay=False) for one in (read, whole)]
        assert documents[0] == documents[1]
    for number in range(min(len(whole.graphlets), 5)):
        assert Graphs(read.graphlets).of(number) == Graphs(whole.graphlets).of(number)
