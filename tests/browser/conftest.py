"""Chromium and a JupyterLab server, shared by the tests of this folder; a page for each test."""

import os
import socket
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from browser.lab import CHROMIUM, Lab, Server, jupyterlab, new_lab, start_chromium


# Not longer than this folder: while it lives, Playwright's event loop counts as running, and
# asyncio.run in another folder's test would fail.
@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        reason = f"there is no {CHROMIUM}: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = start_chromium(playwright)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with jupyterlab(tmp_path_factory.mktemp("lab"), port) as server:
        yield server


@pytest.fixture
def lab(chromium: Browser, server: Server) -> Iterator[Lab]:
    """A page of the test's own."""
    with new_lab(chromium, server) as lab:
        yield lab
