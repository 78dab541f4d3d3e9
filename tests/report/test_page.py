"""The page as a file: it shows the document, loads nothing, and escapes what others wrote."""

from __future__ import annotations

import base64
import gzip
import html.parser
import math
import re
from typing import Any

import pytest

pytest.importorskip("vl_convert")
pytest.importorskip("itables")

from tests.conftest import Golden
from tests.import_graph import ROOT
from tests.report.stores import HOSTILE, gated, hostile_source, hostile_view, two_pipelines
from tfx_graphlets.analysis.prices import Prices
from tfx_graphlets.report import words
from tfx_graphlets.report.page import page_of, value_at
from tfx_graphlets.report.source import ReportSource
from tfx_graphlets.report.view import view_of
from tfx_graphlets.version import __version__

GOLDEN = ROOT / "tests/report/golden_page.html"


class _Reader(html.parser.HTMLParser):
    """Elements of a page, its ``<data>`` with their text, and what lies packed in it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.data: list[tuple[dict[str, str | None], str]] = []
        self.packed: list[str] = []
        self._open: tuple[str, dict[str, str | None]] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = (tag, dict(attrs))

    def handle_data(self, data: str) -> None:
        if self._open and self._open[0] == "data":
            self.data.append((self._open[1], data))
        if self._open and str(self._open[1].get("id")).endswith("-packed"):
            self.packed.append(gzip.decompress(base64.b64decode(data)).decode("utf-8"))
        self._open = None


def read(text: str) -> _Reader:
    """A page with all that is packed in it."""
    reader = _Reader()
    reader.feed(text)
    for one in reader.packed:
        reader.feed(one)
    return reader


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, Any], str]:
    """The document of the hostile store, and its page."""
    source = hostile_source()
    view = hostile_view(source)
    return view, page_of(view, [source])


def test_every_number_of_the_page_is_that_of_the_document(made: tuple[dict[str, Any], str]) -> None:
    """A `<data>` names its place in the document, holds that value, and shows it in words."""
    view, text = made
    found = read(text).data
    places = {str(attributes["data-of"]) for attributes, _ in found}
    assert {"first.cost_ms", "first.wasted_ms", "pipelines.0.timeline.entries.0.cost_ms"} <= places
    assert any(place.startswith("tables.") for place in places)
    for attributes, shown in found:
        value = value_at(view, str(attributes["data-of"]))
        assert math.isclose(float(str(attributes["value"])), value), attributes
        assert shown == words.written(value, str(attributes["data-unit"]))


def test_the_page_names_no_address_to_load_from(made: tuple[dict[str, Any], str]) -> None:
    """No element has a source or a link elsewhere, and the policy allows none."""
    reader = read(made[1])
    for tag, attributes in reader.tags:
        assert not attributes.get("src"), (tag, attributes)
        target = attributes.get("href") or "#"
        assert target.startswith("#") or target == "data:,", (tag, attributes)
        assert not [name for name in attributes if name.startswith("on")], attributes
    (policy,) = [a["content"] for t, a in reader.tags if t == "meta" and a.get("http-equiv")]
    assert str(policy).startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in str(policy)
    assert "http" not in str(policy)


def test_names_of_a_store_become_text(made: tuple[dict[str, Any], str]) -> None:
    """Markup in names makes no element; controls and lone surrogates are replaced."""
    _, text = made
    text.encode("utf-8")
    reader = read(text)
    assert not [tag for tag, _ in reader.tags if tag in ("img", "iframe", "object", "template")]
    kinds = {attributes.get("type") for tag, attributes in reader.tags if tag == "script"}
    assert kinds == {"module", "application/json", "text/plain"}
    for one in [re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL), *reader.packed]:
        assert "\x1b" not in one
        assert "<script>window" not in one
    assert len(text) < 6_000_000, "long names are cut"
    assert words.clipped(HOSTILE[4], 60).endswith("\N{HORIZONTAL ELLIPSIS}")
    begin_and_end = words.clean(f"begin{'x' * 5_000_000}end")
    assert len(begin_and_end) == 2_000
    assert (begin_and_end[:5], begin_and_end[-3:]) == ("begin", "end")


def test_a_report_without_money_gate_or_waste_is_a_page() -> None:
    """An empty part of the document leaves a part of the page out, and breaks nothing."""
    source = hostile_source()
    view = hostile_view(source)
    view["first"] |= {"wasted_ms": 0.0, "wasted_share": None, "worst": []}
    view["pipelines"] = []
    assert "No compute was wasted." in page_of(view)


def normalised(text: str) -> str:
    """A page without what others wrote and what lies beside it: libraries, styles, their digests.

    What was packed is unpacked in its place, the release has no number.
    """
    beside = re.compile(r'(<(script|style)(?: type="module")?>).*?(</\2>)', re.DOTALL)
    text = beside.sub(r"\1...\3", text)
    text = re.sub(r"'sha256-[^']+'( 'sha256-[^']+')*", "'sha256-...'", text)
    packed = re.compile(r'(<script type="text/plain"[^>]*>)([^<]*)(</script>)')
    text = packed.sub(lambda found: f"{found[1]}\n{_unpacked(found[2])}\n{found[3]}", text)
    return text.replace(f"tfx_graphlets {__version__}", "tfx_graphlets VERSION")


def _unpacked(text: str) -> str:
    return gzip.decompress(base64.b64decode(text)).decode("utf-8")


def test_the_page_of_a_small_store_is_the_golden_one(golden: Golden) -> None:
    """Every word of it, with what opens in it: two pipelines that waste, a gate, prices."""
    sources = [
        ReportSource.of(name, trace)
        for name, trace in (("waste", two_pipelines()), ("gate", gated()))
    ]
    prices = Prices.parse(["1/h", "trainer=2/h"], "EUR")
    view = view_of(sources, prices=prices, now_ms=1_700_000_000_000, replay=False)
    golden(GOLDEN, normalised(page_of(view, sources)))
