"""Chromium as it is installed on this machine, and pages that are watched for what they must never do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic", "--no-first-run",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
DEADLINE_MS = 20_000
SETTLED = """() => {
  const main = document.getElementById("main");
  const follows = ["live", "changes", "poll"].some((name) => name in main.dataset);
  const state = document.getElementById("live")?.dataset.state;
  return !document.querySelector("[aria-busy=true], #picture[hidden]") && !(follows && state === "still");
}"""
"""Whether all of a page is there, what its scripts fetch and draw included."""
expect.set_options(timeout=DEADLINE_MS)


@dataclass
class Watch:
    """What a page did that it must not do.

    Attributes:
        errors: Errors and warnings on the console, and exceptions.
        foreign: Requests to other hosts.
        expected: Pieces of messages that a test brings about on purpose.
    """

    origin: str
    errors: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Fail if there was anything that the test does not expect."""
        assert [error for error in self.errors if not any(piece in error for piece in self.expected)] == []
        assert self.foreign == []

    def follow(self, page: Page) -> None:
        """Watch a page from now on."""
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._on_request)

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(f"{message.type}: {message.text}")

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self.origin, "data:")):
            self.foreign.append(request.url)


@contextmanager
def running(playwright: Playwright) -> Iterator[Browser]:
    """A Chromium that ends with the block."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    assert found, f"the browser tests need one of {', '.join(NAMES)} on the PATH; on Debian: apt-get install chromium"
    browser = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
    try:
        yield browser
    finally:
        browser.close()


@contextmanager
def page_of(browser: Browser, origin: str, token: str | None, **context: Any) -> Iterator[tuple[Page, Watch]]:
    """A page in a context of its own.

    Args:
        browser: Where it is opened.
        origin: Address of the service.
        token: With it the page is signed in before it is handed over.
        context: Options of the context, such as `color_scheme`.
    """
    opened = browser.new_context(base_url=origin, **context)
    opened.set_default_timeout(DEADLINE_MS)
    watch = Watch(origin)
    try:
        page = opened.new_page()
        watch.follow(page)
        if token is not None:
            page.goto(f"/login?token={token}")
        yield page, watch
    finally:
        opened.close()


__all__ = ["SETTLED", "Page", "Watch", "page_of", "running", "sync_playwright"]
