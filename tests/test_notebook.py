"""Values in a notebook: tables that hold what they say, and no markup of others."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.report.stores import hostile_source, hostile_view
from tfx_graphlets import notebook, segment
from tfx_graphlets.report.report import Report
from tfx_graphlets.testing import TraceBuilder


def texts(html: str) -> list[str]:
    """All text of a piece of HTML, which has to be sound and of these elements alone."""
    root = ElementTree.fromstring(f"<div>{html}</div>")  # noqa: S314 - our own text
    kinds = {element.tag for element in root.iter()}
    assert kinds <= {"div", "p", "table", "thead", "tbody", "tr", "th", "td"}
    return [text for text in root.itertext() if text.strip()]


def test_graphlets_show_the_latest_first() -> None:
    """Twenty of them, each with its Trainer, pipeline, run and outcome; and how many are left."""
    build = TraceBuilder()
    for number in range(22):
        build.execution("Trainer", outputs={"model": [build.artifact("Model")]}, run=f"r{number}")
    graphlets = segment(build.trace())
    shown = texts(graphlets._repr_html_())
    assert shown[0] == str(graphlets)
    assert shown[1:5] == ["trainer", "pipeline", "run", "outcome"]
    assert shown[5:9] == ["22", "pipeline", "r21", "unpushed"]
    assert shown[-1] == "2 earlier are not shown."
    assert len(shown) == 1 + 4 + 20 * 4 + 1


def test_no_graphlets_are_a_table_without_rows() -> None:
    """And no note."""
    assert texts(segment(TraceBuilder().trace())._repr_html_())[-1] == "outcome"


def test_names_of_others_stay_text() -> None:
    """In graphlets and in a report; the result can be sent as UTF-8."""
    source = hostile_source()
    for html in (
        source.graphlets._repr_html_(),
        Report(hostile_view(source), [source])._repr_html_(),
        notebook.table("\ud800<b>", ["\x1b[31m"], [["x" * 100_000, None]]),
    ):
        texts(html)
        html.encode("utf-8")
        assert "<script" not in html
        assert len(html) < 100_000


def test_a_report_shows_its_first_screen() -> None:
    """What was spent and wasted, by whom, why, and what to do; in the words of the page."""
    source = hostile_source()
    view = hostile_view(source)
    shown = texts(Report(view)._repr_html_())
    first = view["first"]
    assert f"{first['graphlets']} of {first['pipelines']} pipelines" in " ".join(shown)
    for one in first["worst"]:
        assert one["operator"] in shown
        assert one["advice"] in shown


def test_a_report_without_waste_has_no_worst() -> None:
    """The table is there, without a row."""
    view = hostile_view(hostile_source())
    view["first"] |= {"worst": [], "would_save": None, "did_save": None}
    view["notes"] = []
    assert texts(Report(view)._repr_html_())[-1] == "What to do"


def test_a_report_is_saved_as_a_page(tmp_path: Path) -> None:
    """The page is that of the command line."""
    pytest.importorskip("vl_convert")
    from tfx_graphlets.report.page import page_of

    source = hostile_source()
    view = hostile_view(source)
    Report(view, [source]).save(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == page_of(view, [source])
