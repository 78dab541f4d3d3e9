"""`tfx-graphlets report`: sums, causes and what a gate would have saved, as JSON and as text."""

from __future__ import annotations

import json

import pytest

from tests.import_graph import ROOT
from tfx_graphlets.cli import main

pytest.importorskip("ydf")

ARCHIVE = str(ROOT / "pipelines/flights/history/flights-jfk-linear-w5/archive")


def test_a_report_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """With prices every sum has its money, and the replay an interval."""
    assert (
        main(["report", ARCHIVE, "--price", "3600/h", "--currency", "EUR", "--format", "json"]) == 0
    )
    view = json.loads(capsys.readouterr().out)
    first = view["first"]
    assert view["settings"]["currency"] == "EUR"
    assert first["outcomes"]["pushed"] == 15
    assert first["money"] == pytest.approx(first["cost_ms"] / 1000)
    assert first["would_save"]["graphlets"] == first["graphlets"] == 48
    assert [one["freshness"] for one in first["would_save"]["curve"]] == [0.9, 0.95, 0.99]
    assert {table["name"] for table in view["tables"]} >= {"cost_by_cause", "pushes", "models"}


def test_in_a_terminal_it_is_a_few_lines(capsys: pytest.CaptureFixture[str]) -> None:
    """Cost, waste, and the pipeline that wastes most with its cause and what to do."""
    assert main(["report", ARCHIVE, "--no-replay"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("48 graphlets of 1 pipelines (15 pushed, 33 unpushed)")
    assert "wasted 0.23 h (64%)" in lines[1]
    assert lines[2].lstrip().startswith("flights-jfk-linear-w5: 0.23 h wasted, most on ")


def test_a_pipeline_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """And the error lists those that are."""
    assert main(["report", ARCHIVE, "--no-replay", "--pipeline", "other"]) == 1
    err = capsys.readouterr().err
    assert "pipeline='other': not in this trace; it holds 'flights-jfk-linear-w5'" in err
    assert main(["report", ARCHIVE, "--no-replay", "--node", "other"]) == 1
    assert "node='other': no Trainer is this node; there are 'Trainer'" in capsys.readouterr().err
