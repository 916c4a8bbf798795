"""Hostile text in every field does nothing: live, reopened, untrusted, restored, exported."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbconvert import HTMLExporter
from playwright.sync_api import BrowserContext, Dialog, Route, expect
from support.corpora import payloads
from support.hostile import answering
from support.loopback import Loopback

from browser.lab import MILLISECONDS, Lab
from browser.test_safety import ACTIVE, HANDLERS
from mm_magic.jupyter.panel.text import _STYLE

pytestmark = pytest.mark.browser

TEXTS = payloads()
TEXT = "\n\n".join(TEXTS)
NAME = " ".join(" ".join(text.split()) for text in TEXTS)

LOAD, ASK, FAIL, BREAK, HISTORY, SHOW, PANEL, UNKNOWN, TABLE = range(9)
SOURCES = [
    "%load_ext mm_magic\n"
    "import json, mm_magic as mm\n"
    "with open('names.json') as file:\n"
    "    name, texts = json.load(file)\n"
    "%config MiniMax.model = name\n"
    "%config MiniMax.system = name\n"
    "%config MiniMax.conversation = name",
    "%%minimax\nwhy",
    "%%minimax\nfail",
    "%%minimax\nbreak",
    "%minimax history",
    "%minimax show 1",
    "%minimax panel",
    "%%minimax\nunknown",
    "from mm_magic.rendering.tables import table_bundle\n"
    "rows = [[text] for text in texts]\n"
    "get_ipython().display_pub.publish(table_bundle(['text'], rows, texts))",
    "%minimax",
    "%minimax request",
    "mm.ask('why')",
    "%minimax models",
]
OURS = _STYLE.removeprefix("<style>").removesuffix("</style>")
"""The style sheet of the panel that stays in the file."""
RAISING = (FAIL, BREAK, UNKNOWN)

# An overlay: what is drawn over the page, outside its own place. Widgets and formulas are not ours,
# and no answer brings the copy button of its code.
OVERLAYS = """outputs => outputs.flatMap(output => [...output.querySelectorAll('*')])
    .filter(element => !element.closest('mjx-container, .jupyter-widgets, button.mm-copy'))
    .filter(element => ['fixed', 'absolute', 'sticky'].includes(getComputedStyle(element).position))
    .map(element => element.outerHTML.slice(0, 200))"""
ACTING = """([outputs, active, ours]) => [...document.querySelectorAll(outputs)]
    .flatMap(output => [...output.querySelectorAll(active)])
    .filter(element => !element.closest('.jupyter-widgets, .mm-panel'))
    .filter(element => !element.matches('style') || !element.textContent.startsWith(ours))
    .map(element => element.outerHTML.slice(0, 200))"""
# In plain text JupyterLab itself makes links of what looks like a path or an address (data:, file:
# and more), which a browser opens in no page of its own. None of them may be a script.
SCRIPTED = re.compile(r"(?!A href=)|A href=\s*(javascript|vbscript)", re.IGNORECASE)
OUTPUT = ".jp-OutputArea-output"


@pytest.fixture
def model(lab: Lab) -> Iterator[Loopback]:
    with Loopback(answering(TEXT, NAME)) as server:
        names = lab.server.notebooks / "names.json"
        names.write_text(json.dumps([NAME, TEXTS]), "utf-8")
        yield server


def check_harmless(lab: Lab) -> None:
    """Nothing on the page acts, and nothing did."""
    assert lab.page.evaluate(ACTING, [OUTPUT, ACTIVE, OURS]) == []
    outputs = lab.page.locator(f"{OUTPUT}:not(:has(.jupyter-widgets))")
    drawn = lab.page.locator(f"{OUTPUT}:not(:has(.jupyter-widgets)):not(.jp-RenderedText)")
    assert drawn.evaluate_all(HANDLERS) == []
    assert not list(filter(SCRIPTED.match, outputs.evaluate_all(HANDLERS)))
    assert outputs.evaluate_all(OVERLAYS) == []
    assert lab.dialogs == []
    assert lab.outside == []


def run_all(lab: Lab, url: str) -> None:
    lab.open("fields.ipynb", [f"%env MINIMAX_BASE_URL={url}\n{SOURCES[LOAD]}", *SOURCES[1:]])
    for number in range(len(SOURCES)):
        lab.run(number)
    expect(lab.status(ASK)).to_contain_text("<script>")
    expect(lab.cell(HISTORY).locator(".mm-table")).to_contain_text("<script>")
    expect(lab.panel().locator("textarea").first).to_have_value(NAME)
    for number in RAISING:
        expect(lab.output(number).last).to_contain_text(re.compile(r"(MiniMax|mm_magic) \("))


def test_hostile_fields_do_nothing(lab: Lab, model: Loopback) -> None:
    """The whole corpus as answer, thinking, error, model, conversation, system prompt and tool: no
    script, command, form, overlay or request; the same after save and reopen, in a copy that
    Jupyter does not trust, and where a new kernel shows the turns of the file."""
    run_all(lab, model.url)
    check_harmless(lab)
    saved = lab.save()
    lab.reload()
    expect(lab.cell(TABLE).locator(".mm-table")).to_be_visible()
    check_harmless(lab)

    lab.restart_kernel()
    lab.run(LOAD, HISTORY, SHOW, PANEL)
    expect(lab.cell(HISTORY).locator(".mm-table")).to_contain_text("<script>")
    expect(lab.answer(SHOW).first).to_be_visible()
    check_harmless(lab)
    lab.save()

    saved["cells"][LOAD]["source"] = "# not as it was signed"
    (lab.server.notebooks / "untrusted.ipynb").write_text(json.dumps(saved), "utf-8")
    lab.open("untrusted.ipynb")
    expect(lab.cell(TABLE).locator("table")).to_be_visible()
    check_harmless(lab)


def exported(notebook: Any) -> str:
    exporter = HTMLExporter()  # type: ignore[no-untyped-call]
    page: str = exporter.from_notebook_node(notebook)[0]
    return page


def asked_by(
    pages: BrowserContext, page_text: str, folder: Path
) -> tuple[set[str], list[str], int]:
    """The addresses that a page asks for, what its dialogs say, and its handlers of our outputs."""
    path = folder / "page.html"
    path.write_text(page_text, "utf-8")

    def dismiss(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    def only_the_file(route: Route) -> None:
        if route.request.url == path.as_uri():
            route.continue_()
        else:
            asked.add(route.request.url)
            route.abort()

    asked: set[str] = set()
    said: list[str] = []
    page = pages.new_page()
    try:
        page.set_default_timeout(MILLISECONDS)
        page.on("dialog", dismiss)
        page.route("**/*", only_the_file)
        page.goto(path.as_uri())
        found = page.locator(".mm-answer, .mm-thinking, .mm-status, .mm-table, .mm-panel-still")
        handlers = found.evaluate_all(HANDLERS)
        assert handlers == []
        assert page.evaluate(ACTING, [".jp-Cell-outputWrapper", ACTIVE, OURS]) == []
        return asked, said, found.count()
    finally:
        page.close()


def test_exported_page_does_nothing(
    pages: BrowserContext, lab: Lab, model: Loopback, tmp_path: Path
) -> None:
    """nbconvert's HTML asks for nothing but what that of an empty notebook asks for, too."""
    run_all(lab, model.url)
    lab.save()
    notebook: Any = nbformat.read(lab.server.notebooks / "fields.ipynb", 4)  # type: ignore[no-untyped-call]
    empty: Any = nbformat.v4.new_notebook()  # type: ignore[no-untyped-call]
    usual, _, _ = asked_by(pages, exported(empty), tmp_path)
    asked, said, count = asked_by(pages, exported(notebook), tmp_path)
    assert count > 10
    assert said == []
    assert asked <= usual
