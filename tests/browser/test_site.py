"""A site as its reader sees it: Chromium alone, no kernel, and no network once the page is there.

Pyodide comes from npm and its packages from PyPI, in place of the CDN.
"""

import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Playwright, expect
from support.site import build_site, served, show_all_cells

from browser.lab import start_chromium
from mm_magic.cli.demo import packaged_files
from mm_magic.web_page import ELSEWHERE, NO_SERVER

pytestmark = [pytest.mark.slow, pytest.mark.browser]

SECONDS = 90
LESSON = (
    "%load_ext mm_magic\nimport mm_magic as mm",
    "%minimax replay dragons.jsonl --fill --speed 50\n%minimax --max-tokens 60",
    "%%minimax --alone -t 0.1,0.6,1\nWrite the first sentence of a story about a dragon.",
    "%%minimax -t 0.1\nName one animal that lives in the sea.",
    "%%minimax -t 0.1\nWhat does it eat?",
    "%minimax replay --list",
    "%minimax panel",
    "%minimax offline",
    "%%minimax\ndemo code",
    "replies = mm.compare('Name a tree.', temperature=[0.1, 1])\nprint(len(replies))",
    "try:\n    mm.ask('How many?', type=int)\nexcept mm.MiniMaxError as error:\n    print(error)",
    "try:\n    mm.map('Is it good? {{row}}', ['A joy.'])\nexcept mm.MiniMaxError as error:\n"
    "    print(error.next_steps)",
    "from mm_magic.protocol.image_file import png_file\nicon = png_file((1, 1), b'abc')\n"
    "try:\n    mm.ask(['What is this?', icon], model='MiniMax-M3')\n"
    "except mm.MiniMaxError as error:\n    print(error.next_steps)",
    "%minimax fork other 1\n%minimax history",
    "%minimax key",
)
LINKS = "[More](notes.md), [First](01-quickstart.ipynb)"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a site with the quickstart and a lesson."""
    if shutil.which("npm") is None:
        if os.environ.get("CI"):
            pytest.fail("there is no npm: apt-get install npm")
        pytest.skip("there is no npm, which brings Pyodide")
    folder = tmp_path_factory.mktemp("site")
    files = {place.name: file for place, file in packaged_files().items()}
    lesson = folder / "lesson.ipynb"
    lesson.write_text(json.dumps(notebook(LESSON)), "utf-8")
    notes = folder / "notes.md"
    notes.write_text("# What dragons eat\n", "utf-8")
    names = ("01-quickstart.ipynb", "api-example.jsonl", "dragons.jsonl")
    chosen = [*(files[name] for name in names), lesson, notes]
    made = build_site(folder, chosen)
    show_all_cells(made)
    with served(made) as address:
        yield address


def notebook(sources: tuple[str, ...]) -> dict[str, Any]:
    """A notebook that has not been run, with links at its end."""
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "execution_count": None, "id": f"c{n}", "metadata": {},
         "outputs": [], "source": source}
        for n, source in enumerate(sources)
    ]  # fmt: skip
    link = {"cell_type": "markdown", "id": "link", "metadata": {}, "source": LINKS}
    return {"cells": [*cells, link], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


@pytest.fixture
def page(playwright: Playwright, site: str) -> Iterator[Page]:
    """A page that reaches this site alone, in a browser of its own."""
    with start_chromium(playwright) as browser:
        context = browser.new_context(viewport={"width": 1300, "height": 4000})
        context.set_default_timeout(SECONDS * 1000)
        context.route(lambda address: not address.startswith(site), lambda route: route.abort())
        yield context.new_page()


def outputs_of(page: Page, address: str) -> list[str]:
    """Run all cells of a notebook; return what stands under each."""
    page.goto(address)
    page.locator(".jp-CodeCell .cm-content").first.click()
    page.locator(".lm-MenuBar-item", has_text="Run").click()
    page.locator(".lm-Menu-item:has-text('Run All Cells')").first.click(no_wait_after=True)
    prompts = page.locator(".jp-CodeCell .jp-InputPrompt")
    expect(prompts.first).to_have_text("[1]:", timeout=SECONDS * 1000)
    expect(prompts.filter(has_text="*")).to_have_count(0, timeout=SECONDS * 1000)
    texts = page.locator(".jp-CodeCell .jp-Cell-outputWrapper").all_inner_texts()
    return [" ".join(text.split()) for text in texts]


def test_quickstart_runs(page: Page, site: str) -> None:
    """The first notebook runs to its end: a recording, the demo, and `mm.ask` answer."""
    outputs = outputs_of(page, f"{site}/notebooks/index.html?path=01-quickstart.ipynb")

    assert "asks the offline demo" in outputs[0]
    assert "answers come from the recording" in outputs[1]
    assert "How can I help you today?" in outputs[2]
    assert "Prompt, as it arrived" in outputs[4]
    assert outputs[9].split()[:1] == ["helium"]
    assert "conversation main: 3 turns" in outputs[-1]
    expect(page.locator(".jp-OutputArea-output .mm-copy").first).to_be_attached()


def test_links_in_lab(page: Page, site: str) -> None:
    """A notebook opens, and a page of text is drawn."""
    page.goto(f"{site}/lab/index.html?path=lesson.ipynb")
    page.get_by_role("link", name="More", exact=True).click()
    expect(page.get_by_role("heading", name="What dragons eat")).to_be_visible()
    page.get_by_role("tab", name="lesson.ipynb").click()
    page.get_by_role("link", name="First", exact=True).click()
    expect(page.get_by_role("heading", name="Ask a model from a notebook")).to_be_visible()


@pytest.mark.parametrize(
    ("link", "there"),
    [("More", ".cm-content >> text=What dragons eat"),
     ("First", ".jp-Notebook h1 >> text=Ask a model from a notebook")],
)  # fmt: skip
def test_links_in_notebook(page: Page, site: str, link: str, there: str) -> None:
    """What a notebook links to opens in a tab of its own."""
    page.goto(f"{site}/notebooks/index.html?path=lesson.ipynb")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name=link, exact=True).click()
    expect(opened.value.locator(there)).to_be_visible()


def test_lesson_runs(page: Page, site: str) -> None:
    """A teacher's lesson replays, and what can't be had in a page says so."""
    outputs = outputs_of(page, f"{site}/notebooks/index.html?path=lesson.ipynb")

    assert outputs[2].count("recorded 2026") == 1
    assert "Blue Whale" in outputs[3]
    assert "krill" in outputs[4]
    assert "6 answers" in outputs[5]
    assert "Stop" in outputs[6]
    assert ELSEWHERE in outputs[7]
    assert outputs[9].endswith("2")
    assert "a type needs the package pydantic" in outputs[10]
    assert "(usage)" not in outputs[10]  # the cell has caught it, and it is not raised again
    assert "run `import pandas` in a cell" in outputs[11]
    assert "run `import PIL` in a cell" in outputs[12]
    assert "other" in outputs[13]
    assert NO_SERVER in outputs[14]
