"""A headless Chromium for tests: Debian's package, driven by selenium, with no way out."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service

DESKTOP = (1280, 900)
PHONE = (390, 844)


def require_chromium() -> tuple[str, str]:
    """Paths of Chromium and its driver; without them the test fails in CI, skips elsewhere."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if chromium and driver:
        return chromium, driver
    reason = "chromium or chromedriver is not on this machine (Debian: chromium, chromium-driver)"
    if os.environ.get("CI"):
        pytest.fail(f"{reason}; .ci/programs.sh installs them")
    pytest.skip(reason)


class Browser(webdriver.Chrome):
    """Chromium with what the report's tests ask of it beyond WebDriver's own commands."""

    def open_file(self, path: Path) -> None:
        """Opens a file of this machine."""
        self.get(path.resolve().as_uri())

    def show(self, size: tuple[int, int] = DESKTOP, *, dark: bool = False, media: str = "") -> None:
        """Sets the size of the view in pixels, the colour scheme, and the medium (`print`)."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {
                "media": media,
                "features": [scheme, {"name": "prefers-reduced-motion", "value": "reduce"}],
            },
        )

    def requested(self) -> list[str]:
        """Addresses asked for since the last call, but for files and data in place."""
        found = []
        for entry in self.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = str(message["params"]["request"]["url"])
                if not url.startswith(("file:", "data:", "about:", "blob:")):
                    found.append(url)
        return found

    def complaints(self) -> list[str]:
        """What the page wrote to the console as errors or warnings since the last call."""
        levels = ("SEVERE", "WARNING")
        return [one["message"] for one in self.get_log("browser") if one["level"] in levels]


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A Chromium of its own, whose profile lies in the given folder; it resolves no name."""
    program, driver = require_chromium()
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for argument in (
        "--headless=new",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--hide-scrollbars",
        "--disable-background-networking",
        "--disable-component-update",
        "--no-first-run",
        "--force-device-scale-factor=1",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={profile}",
    ):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium refuses to run as root with one
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    browser = Browser(options=options, service=Service(driver))
    try:
        browser.set_page_load_timeout(60)
        browser.show()
        yield browser
    finally:
        browser.quit()
