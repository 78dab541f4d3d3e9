"""One Chromium for all tests of the report; each test opens its own file in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.report.browser import Browser


@pytest.fixture(scope="session")
def _chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    pytest.importorskip("selenium")
    from tests.report.browser import chromium

    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def browser(_chromium: Browser) -> Iterator[Browser]:
    """A Chromium with an empty page, at the size of a desktop, in light colours."""
    _chromium.get("about:blank")
    _chromium.show()
    _chromium.requested()
    _chromium.complaints()
    yield _chromium
    _chromium.get("about:blank")
