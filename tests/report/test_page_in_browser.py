"""The page as a person meets it: in Chromium, by pointer and by keyboard, small, dark, printed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium")
pytest.importorskip("vl_convert")
pytest.importorskip("itables")

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from tests.report.browser import PHONE, Browser
from tests.report.stores import hostile_source, hostile_view
from tfx_graphlets.report.page import page_of


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the hostile store."""
    source = hostile_source()
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page_of(hostile_view(source), [source]), encoding="utf-8")
    return path


def until(browser: Browser, script: str) -> Any:
    """What a script returns as soon as that is true."""
    run: Callable[[Any], Any] = lambda driver: driver.execute_script(f"return {script}")  # noqa: E731
    return WebDriverWait(browser, 15, poll_frequency=0.05).until(run)


def opened(browser: Browser, page: Path, fragment: str = "") -> Browser:
    """The browser with the page ready in it."""
    browser.get(page.resolve().as_uri() + fragment)
    until(browser, "document.documentElement.dataset.ready")
    return browser


def test_nothing_that_a_store_holds_is_run_and_nothing_is_loaded(
    browser: Browser, page: Path
) -> None:
    """With markup in every name no script of it runs, in no pipeline and no graph."""
    opened(browser, page)
    for number in range(5):
        browser.execute_script(f"location.hash = '#p{number}'")
        until(browser, f"document.getElementById('p{number}-title')")
        browser.execute_script(
            "document.querySelectorAll('#detail details').forEach((one) => { one.open = true; })"
        )
        until(browser, "document.querySelector('#detail .chart svg')")
    assert browser.execute_script("return window.broken") is None
    assert [url for url in browser.requested() if url.startswith("http")] == []
    assert browser.complaints() == []


def test_the_table_sorts_and_filters(browser: Browser, page: Path) -> None:
    """A click on a heading sorts by value, a word in the filter keeps the rows that hold it."""
    opened(browser, page)
    values = (
        "[...document.querySelectorAll('#all tbody tr')]"
        ".map((row) => Number(row.cells[1].dataset.order))"
    )
    assert browser.execute_script(f"return {values}") == sorted(
        browser.execute_script(f"return {values}"), reverse=True
    )
    # The table sorts once its script has run, and draws after the click has been handled.
    assert until(browser, "document.querySelector('#pipelines input[type=search]') !== null")
    browser.find_element(By.CSS_SELECTOR, "#all thead th:nth-child(2)").click()
    ascends = f"((v) => v.every((x, at) => !at || v[at - 1] <= x))({values})"
    assert until(browser, ascends)
    assert len(set(browser.execute_script(f"return {values}"))) > 1
    assert until(browser, "document.querySelector('#all th[aria-sort]') !== null")
    browser.find_element(By.CSS_SELECTOR, "#pipelines input[type=search]").send_keys("longlong")
    assert until(browser, "document.querySelectorAll('#all tbody tr').length === 1")


def test_a_pipeline_and_a_graphlet_open_by_keyboard_alone(browser: Browser, page: Path) -> None:
    """Enter on a name opens the pipeline and moves the focus there; Enter opens a graph."""
    opened(browser, page)
    link = browser.find_element(By.CSS_SELECTOR, "#all tbody a")
    browser.execute_script("arguments[0].focus()", link)
    link.send_keys(Keys.ENTER)
    assert until(browser, "document.activeElement.id.endsWith('-title')")
    summary = browser.find_element(By.CSS_SELECTOR, "#detail details.drawn summary")
    browser.execute_script("arguments[0].focus()", summary)
    summary.send_keys(Keys.ENTER)
    assert until(browser, "document.querySelector('#detail details[open] svg.graph .trainer')")


def test_a_bar_of_the_timeline_leads_to_its_graph(browser: Browser, page: Path) -> None:
    """An address with a graphlet in it opens its graph."""
    opened(browser, page, "#p0")
    graph = until(browser, "document.querySelector('#detail details.drawn')?.id")
    browser.execute_script(f"location.hash = '#{graph}'")
    assert until(browser, f"document.getElementById('{graph}').open")


@pytest.mark.parametrize("fragment", ["", "#p0"])
def test_on_a_phone_the_page_is_as_wide_as_the_phone(
    browser: Browser, page: Path, fragment: str
) -> None:
    """Wide tables and graphs scroll in their own place; the page does not."""
    browser.show(PHONE)
    opened(browser, page, fragment)
    if fragment:
        until(browser, "document.querySelector('#detail .chart svg')")
    assert until(browser, f"document.documentElement.scrollWidth <= {PHONE[0]}")


def test_text_stands_out_in_light_and_dark(browser: Browser, page: Path) -> None:
    """Contrast of every visible text with what is behind it is at least 4.5 (WCAG 2, AA)."""
    measure = """
      const light = (text) => { const c = text.match(/[\\d.]+/g).slice(0, 3).map((v) => {
        v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
        return 0.2126 * c[0] + 0.7152 * c[1] + 0.0722 * c[2]; };
      const behind = (one) => { for (; one; one = one.parentElement) {
        const color = getComputedStyle(one).backgroundColor;
        if (!/, 0\\)$/.test(color) && color !== 'transparent') return color; } return null; };
      const says = (one) => [...one.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
      const bad = [];
      for (const one of document.querySelectorAll('main *, header *')) {
        if (one.closest('svg') || !says(one) || !one.checkVisibility()) continue;
        const a = light(getComputedStyle(one).color), b = light(behind(one));
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) bad.push([one.tagName, one.className, one.textContent, ratio]);
      }
      return bad;"""
    for dark in (False, True):
        browser.show(dark=dark)
        opened(browser, page, "#p0")
        until(browser, "document.querySelector('#detail .dt-container')")
        assert browser.execute_script(measure) == [], f"dark: {dark}"


def test_headings_go_down_by_steps_and_pictures_have_names(browser: Browser, page: Path) -> None:
    """One h1, no level left out, every drawing named, every input labelled."""
    opened(browser, page, "#p0")
    until(browser, "document.querySelector('#detail .chart svg')")
    levels = browser.execute_script(
        "return [...document.querySelectorAll('h1,h2,h3,h4')].map((one) => Number(one.tagName[1]))"
    )
    assert levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in zip(levels, levels[1:]))
    unnamed = browser.execute_script(
        "return [...document.querySelectorAll('svg.graph, [role=img], .chart svg')]"
        ".filter((one) => !one.closest('[aria-hidden]') && !one.getAttribute('aria-label')"
        " && !one.closest('[aria-label]')).map((one) => one.outerHTML.slice(0, 120))"
    )
    assert unnamed == []
    unlabelled = browser.execute_script(
        "return [...document.querySelectorAll('input, select')]"
        ".filter((one) => !one.labels.length && !one.getAttribute('aria-label')).length"
    )
    assert unlabelled == 0


def test_printed_the_page_has_no_buttons(browser: Browser, page: Path) -> None:
    """What can only be clicked is left out on paper."""
    opened(browser, page)
    browser.show(media="print")
    hidden = (
        "['nav', '.dt-search', '.dt-paging']"
        ".every((name) => !document.querySelector(name)?.checkVisibility())"
    )
    assert until(browser, hidden)
