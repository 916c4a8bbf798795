"""Chromium and a JupyterLab server, shared by the tests of this folder; a page for each test."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Playwright, sync_playwright

from browser.lab import CHROMIUM, Lab, Server, jupyterlab, new_lab, start_pages

OLDER = "7.3.0"
"""An ipykernel that takes clicks on a thread of its own."""
CACHE = "MM_MAGIC_TEST_CACHE"
"""The environment's variable that names the folder for it; it has a place in the user's cache."""


# Not longer than this folder: while it lives, Playwright's event loop counts as running, and
# asyncio.run in another folder's test would fail.
@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    if not CHROMIUM.exists():
        reason = f"there is no {CHROMIUM}: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="package")
def pages(
    playwright: Playwright, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserContext]:
    """Where pages are opened."""
    with start_pages(playwright, tmp_path_factory.mktemp("chromium")) as pages:
        yield pages


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with jupyterlab(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture
def lab(pages: BrowserContext, server: Server) -> Iterator[Lab]:
    """A page of the test's own."""
    with new_lab(pages, server) as lab:
        yield lab


@pytest.fixture(params=["lab", "notebook"])
def page(request: pytest.FixtureRequest, pages: BrowserContext, server: Server) -> Iterator[Lab]:
    """A page of JupyterLab, and one of Notebook 7."""
    with new_lab(pages, server, app=request.param) as page:
        yield page


@pytest.fixture(scope="package")
def older_kernel(server: Server) -> str:
    """The name of a kernel that is this Python with the older ipykernel; see older_kernel.py."""
    cache = Path(os.environ.get(CACHE) or Path.home() / ".cache" / "mm_magic_tests")
    packages = cache / f"ipykernel-{OLDER}"
    if not (packages / "ipykernel" / "__init__.py").exists():
        pip = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", packages)
        done = subprocess.run(
            [*pip, f"ipykernel=={OLDER}"], capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode:
            reason = f"ipykernel {OLDER} can't be installed: {done.stderr.strip()[-500:]}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
    server.add_kernel("older", Path(__file__).with_name("older_kernel.py"), packages)
    return "older"
