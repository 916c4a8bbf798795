"""How large a site is and how soon a reader can use it: `python -m bench.site`, run in tests/.

The site has Pyodide in it, which npm and PyPI bring (13 MB). Each visit is that of a new reader,
with nothing in the browser's cache. It needs Chromium and npm, and takes about two minutes.
"""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from browser.lab import start_chromium
from playwright.sync_api import Browser, sync_playwright
from support.site import build_site, served

from bench.table import where_and_when

VISITS = 5
ANSWERED = 3
"""The cell with the first answer."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Seconds from opening the link."""

    readable: float
    first_cell: float
    first_answer: float


def visit(browser: Browser, address: str) -> Visit:
    """Open the quickstart, and run its cells as soon as they can be read."""
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    context.set_default_timeout(120_000)
    page = context.new_page()
    begun = time.perf_counter()
    page.goto(f"{address}/notebooks/index.html?path=notebooks/01-quickstart.ipynb")
    page.locator(".jp-CodeCell .cm-content").first.click()
    readable = time.perf_counter() - begun
    page.locator(".lm-MenuBar-item", has_text="Run").click()
    page.locator(".lm-Menu-item:has-text('Run All Cells')").first.click(no_wait_after=True)
    seconds = []
    for number in (1, ANSWERED):
        page.locator(".jp-CodeCell .jp-InputPrompt", has_text=f"[{number}]:").wait_for()
        seconds.append(time.perf_counter() - begun)
    context.close()
    return Visit(readable, *seconds)


def size_of(made: Path) -> tuple[int, int]:
    """Files and bytes."""
    files = [each for each in made.rglob("*") if each.is_file()]
    return len(files), sum(each.stat().st_size for each in files)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        made = build_site(Path(folder))
        print(f"built in {time.perf_counter() - begun:.0f} s, Pyodide's download included")
        files, size = size_of(made)
        print(f"{files} files, {size / 1e6:.0f} MB with Pyodide")
        with served(made) as address, sync_playwright() as playwright:
            browser = start_chromium(playwright)
            visits = [visit(browser, address) for _ in range(VISITS)]
            browser.close()
    for each in visits:
        print(each)
    print(f"Measured {where_and_when()}.")


if __name__ == "__main__":
    main()
