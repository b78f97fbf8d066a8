"""The page in a real Chromium, against a scripted server of its contract or, by OPENLAMDA_WEB_URL, a running one."""

import importlib
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or ""
FLAGS = ["--no-sandbox", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
PATIENCE = 30_000 if os.environ.get("OPENLAMDA_WEB_URL") else 8_000  # ms; a real model compiles at its first reply
DESK = {"width": 1280, "height": 800}
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  violations.push(event.violatedDirective + " " + event.blockedURI);
});
"""


def _serve(app: Any) -> Iterator[str]:
    """The address of `app` while it is served in a thread."""
    uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed: no browser tests")
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    server.should_exit = True
    thread.join(10)


@pytest.fixture(scope="session")
def fake() -> Any:
    """The module of the scripted server."""
    pytest.importorskip("starlette", reason="starlette is not installed: no browser tests")
    sys.path.append(str(Path(__file__).parent))
    return importlib.import_module("web_fake")


@pytest.fixture(scope="session")
def base_url(fake) -> Iterator[str]:
    """Where the page is served."""
    running = os.environ.get("OPENLAMDA_WEB_URL")
    if running:
        yield running
    else:
        yield from _serve(fake.create_app())


@pytest.fixture(scope="session")
def locked_url(fake) -> Iterator[str]:
    """Where the page is served to those who have the key olk_right."""
    yield from _serve(fake.create_app(require_key=True))


@pytest.fixture
def scripted() -> None:
    """For tests of replies that only the scripted server gives."""
    if os.environ.get("OPENLAMDA_WEB_URL"):
        pytest.skip("the running server has no script")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for all tests."""
    playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser tests")
    if not CHROMIUM:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium): no browser tests")
    playwright_api.expect.set_options(timeout=PATIENCE)
    with playwright_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


def _context(browser: Any, **options: Any) -> Any:
    context = browser.new_context(**({"viewport": DESK, "reduced_motion": "reduce"} | options))
    context.set_default_timeout(PATIENCE)
    context.add_init_script(WATCH)
    return context


@pytest.fixture(scope="session")
def desk(browser) -> Any:
    """What most tests open the page in: the page's files are in its cache."""
    return _context(browser)


@pytest.fixture
def visit(browser, desk, base_url) -> Iterator[Callable[..., Any]]:
    """Opens the page as a new visitor. At the end no page has thrown, and none has met the Content-Security-Policy."""
    opened, thrown = [], []

    def open_page(url: str = base_url, **options: Any) -> Any:
        context = _context(browser, **options) if options else desk
        page = context.new_page()
        page.on("pageerror", lambda error: thrown.append(str(error)))
        page.on("console", lambda said: thrown.append(said.text) if "Content Security Policy" in said.text else None)
        page.goto(url)
        opened.append((context, page))
        return page

    yield open_page
    for context, page in opened:
        context.set_offline(False)
        thrown += page.evaluate("localStorage.clear() ?? window.violations ?? []")
        page.close()
        if context is desk:
            context.clear_cookies()
        else:
            context.close()
    assert thrown == []


@pytest.fixture(scope="session")
def blank(browser, base_url) -> Iterator[Any]:
    """One page for all that only calls the page's modules."""
    page = browser.new_page()
    page.goto(f"{base_url}static/css/base.css")
    yield page
    page.close()


@pytest.fixture
def page(visit) -> Any:
    """The page as a new visitor meets it."""
    page = visit()
    page.get_by_role("heading", name="Ask, and see why").wait_for()
    return page


@pytest.fixture
def ask() -> Callable[[Any, str], Any]:
    """Says something and waits for the reply, which is given as a locator."""

    def say(page: Any, text: str) -> Any:
        before = page.locator(".message.agent[data-reply]").count()
        page.get_by_label("Message", exact=True).fill(text)
        page.keyboard.press("Enter")
        reply = page.locator(".message.agent[data-reply]").nth(before)
        reply.wait_for()
        return reply

    return say
