"""The browser of the tests: it works, and it reaches nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("selenium")

from tests.report.browser import Browser, require_chromium


def test_the_browser_runs_scripts_and_sees_what_a_page_asks_for(
    browser: Browser, tmp_path: Path
) -> None:
    """A page that loads an image from a network is found out, and gets nothing."""
    page = tmp_path / "page.html"
    page.write_text('<p id="a">x</p><img src="http://example.invalid/a.png">', encoding="utf-8")
    browser.open_file(page)
    assert browser.execute_script("return document.getElementById('a').textContent") == "x"
    assert browser.requested() == ["http://example.invalid/a.png"]
    assert any("example.invalid" in complaint for complaint in browser.complaints())


def test_without_chromium_a_test_skips_and_in_ci_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the programs does not turn CI green."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="chromium"):
        require_chromium()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="programs"):
        require_chromium()
