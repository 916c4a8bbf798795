"""Cells that hold a prompt look like prose, and what is typed into them is what is sent."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Route, expect
from support.corpora import own_payloads
from support.inserts import CASES
from support.loopback import Loopback, captured, streamed

from browser.lab import Lab, Server, new_lab
from browser.test_safety import ACTIVE, HANDLERS

pytestmark = pytest.mark.browser

LOAD = "%load_ext mm_magic"
PROSE = "And for whom is it, if it's not you? Don't say 'in' or \"and\"."
PROMPT = f"%%minimax -t 0.3\n{PROSE}"
PYTHON = "for word in 'it':\n    print(word)"
# CodeMirror's own picture stands where a line begins or ends with something that is drawn.
ELEMENTS = """(editors, active) => editors.flatMap(each => [...each.querySelectorAll(active)])
    .filter(element => !element.matches('img.cm-widgetBuffer:not([src])'))
    .map(element => element.outerHTML.slice(0, 200))"""
# Those whose text is on more than one line.
BROKEN = """parts => parts.filter(part => {
    const range = document.createRange();
    range.selectNodeContents(part);
    return new Set([...range.getClientRects()].map(({top}) => Math.round(top))).size > 1;
}).map(part => part.textContent)"""
TYPED = (
    "- if\n- else:\n1. def f(x):\nreturn `it`\nelse:\n  last",
    'say "it", \'so\' (or [not] {this}) isn\'t `it`: (\n{\n"""',
    "```python\ndef f():\nreturn {1: [2]}\nelse:\n```\nfor x in y:\nok",
)


def editor(lab: Lab, number: int) -> Locator:
    return lab.cell(number).locator(".cm-content")


def coloured(lab: Lab, number: int, text: str) -> Locator:
    """What the language of a cell colours as a word of its own."""
    spans = lab.cell(number).locator(".cm-line span:not([class*='mm-'])")
    return spans.filter(has_text=re.compile(f"^{re.escape(text)}$"))


def expect_prose(lab: Lab, number: int) -> None:
    """The magic's name is marked, and no word is one of Python's."""
    expect(lab.cell(number).locator(".mm-magic-name").last).to_have_text("%%minimax")
    expect(coloured(lab, number, "for")).to_have_count(0)
    expect(lab.cell(number).locator(".cm-lineWrapping")).to_be_visible()


def expect_python(lab: Lab, number: int) -> None:
    expect(coloured(lab, number, "for").first).to_be_visible()
    expect(lab.cell(number).locator("[class*='mm-'], .cm-lineWrapping")).to_have_count(0)


def use(server: Loopback) -> str:
    """The source of a cell after which that server is asked."""
    return f"%env MINIMAX_BASE_URL={server.url}"


def sent(server: Loopback) -> str:
    """The prompt of the last request."""
    message: dict[str, Any] = server.requests[-1].json["messages"][-1]
    content = message["content"]
    return content if isinstance(content, str) else content[0]["text"]


def write(lab: Lab, number: int, text: str) -> None:
    """Type at the end of a cell."""
    editor(lab, number).click()
    lab.page.keyboard.press("Control+End")
    lab.page.keyboard.type(text)


@pytest.fixture(params=["opened", "untold"])
def opened(request: pytest.FixtureRequest, lab: Lab) -> Lab:
    """A notebook with Python (0) and a prompt (1); the file may not tell the language."""
    lab.server.write("opened.ipynb", [PYTHON, PROMPT])
    if request.param == "untold":
        notebook = lab.server.read("opened.ipynb")
        del notebook["metadata"]["language_info"]
        (lab.server.notebooks / "opened.ipynb").write_text(json.dumps(notebook), "utf-8")
    lab.open("opened.ipynb")
    return lab


@pytest.fixture(scope="module")
def notebook(pages: BrowserContext, server: Server) -> Iterator[Lab]:
    """A page for tests that make their own cells."""
    with new_lab(pages, server) as lab:
        lab.open("prose.ipynb", [PYTHON])
        yield lab


@pytest.fixture
def fresh(notebook: Lab) -> Lab:
    """A page with one empty cell (0) and a cell of Python (1) below it."""
    notebook.command("notebook:select-all")
    notebook.command("notebook:delete-cell")
    notebook.edit(0, "")
    notebook.command("notebook:insert-cell-below")
    notebook.edit(1, PYTHON)
    notebook.select(0)
    return notebook


def test_a_prompt_looks_like_prose(page: Lab) -> None:
    """Apostrophes and words such as "for" have no colour, Markdown has; Python stays Python."""
    text = f"{PROSE}\n\n## Heading\n\n- **strong** and $5 or $6"
    page.open("prose.ipynb", [PYTHON, f'%%minimax -t 0.3 -s "*it*"\n---\n{text}', PYTHON])
    expect(coloured(page, 1, "strong")).to_have_css("font-weight", "700")
    expect(coloured(page, 1, " Heading")).to_have_css("font-weight", "700")
    expect_prose(page, 1)
    line = editor(page, 1).locator(".cm-line")
    expect(line.nth(2).locator("span")).to_have_count(0)
    expect(line.nth(6).locator("span").last).to_have_text("**")
    magic = line.nth(0).locator("span")
    expect(magic).to_have_text(["%%minimax", "-t", "-s", '"*it*"'])
    for python in (0, 2):
        expect_python(page, python)


def test_a_file_that_does_not_tell_its_language(opened: Lab) -> None:
    """A prompt is prose also where the kernel tells the language after the cells are drawn."""
    expect_python(opened, 0)
    expect_prose(opened, 1)
    opened.restart_kernel()
    expect_python(opened, 0)
    expect_prose(opened, 1)


@pytest.mark.parametrize("closes", [False, True], ids=["plain", "closing"])
def test_what_is_typed_is_sent(page: Lab, closes: bool) -> None:
    """Enter and quotes add nothing, also where the user has brackets closed in code."""
    with Loopback(streamed()) as model:
        page.open("typed.ipynb", [LOAD, use(model), *["%%minimax\n"] * len(TYPED)])
        page.run(0, 1)
        for number, text in enumerate(TYPED, start=2):
            page.page.evaluate(
                "([n, closes]) => jupyterapp.shell.currentWidget.content.widgets[n]"
                ".editor.setOption('autoClosingBrackets', closes)",
                [number, closes],
            )
            write(page, number, text)
            page.run(number)
            assert sent(model) == text


def test_enter_keeps_the_indentation(page: Lab) -> None:
    """A line begins where the one above begins, whatever that says."""
    page.open("indent.ipynb", ["%%minimax\n  - if this:"])
    write(page, 0, "\n- else:\nreturn")
    expect(editor(page, 0).locator(".cm-line")).to_have_text(
        ["%%minimax", "  - if this:", "  - else:", "  return"]
    )


def test_python_comes_back(page: Lab) -> None:
    """A cell whose first line goes is Python again, and undo makes it prose."""
    page.open("back.ipynb", [f"%%minimax\n{PYTHON}"])
    expect_prose(page, 0)
    editor(page, 0).click()
    for key in ("Control+Home", "Shift+End", "Delete"):
        page.page.keyboard.press(key)
    expect_python(page, 0)
    page.page.keyboard.press("Control+z")
    expect_prose(page, 0)
    page.page.keyboard.press("Control+Shift+z")
    expect_python(page, 0)
    write(page, 0, "\nif word:\n")
    expect(editor(page, 0).locator(".cm-line").last).to_have_text(" " * 8)


@pytest.mark.parametrize(
    "head",
    [
        "%%minimax",
        "\n%%minimax -t 1",
        " %%minimax  ",
        "%%time\n%%minimax",
        "%%capture out\n\n%%minimax",
    ],
)
def test_the_beginnings_of_a_prompt(fresh: Lab, head: str) -> None:
    """Blank lines, spaces and other magics may stand around the name."""
    fresh.edit(0, f"{head}\n{PROSE}")
    expect_prose(fresh, 0)


@pytest.mark.parametrize(
    "head",
    ["%%minimaxed", "%%minimax?", "%minimaxed", "# %minimax", "x = 1\n%%minimax", "2 %minimax"],
)
def test_what_is_no_prompt(fresh: Lab, head: str) -> None:
    """Another magic, help, or a magic in the middle of a cell leaves Python alone."""
    fresh.edit(0, f"{head}\n{PYTHON}")
    expect_python(fresh, 0)


def colours(line: Locator) -> list[list[str]]:
    """Each character in a line of the editor, with its colour and weight."""
    found: list[list[str]] = line.evaluate(
        """line => {
            const found = [], texts = document.createTreeWalker(line, NodeFilter.SHOW_TEXT);
            while (texts.nextNode()) {
                const { color, fontWeight } = getComputedStyle(texts.currentNode.parentElement);
                for (const character of texts.currentNode.data) {
                    found.push([character, color, fontWeight]);
                }
            }
            return found;
        }"""
    )
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_command_has_no_colours_of_python(fresh: Lab, theme: str) -> None:
    """A line of `%minimax` looks like a prompt's first line; the lines around it stay Python."""
    command = '%minimax replay for-a.in 2 --speed=10 -s "if it\'s" # or'
    fresh.set_theme(theme)
    fresh.edit(0, f"{PYTHON}\n    {command}\n{PYTHON}")
    fresh.edit(1, f"%{command}\nWhy?")
    expect_prose(fresh, 1)
    of_prompt = colours(editor(fresh, 1).locator(".cm-line").first)
    line = editor(fresh, 0).locator(".cm-line")

    assert colours(line.nth(2))[4:] == of_prompt[1:]
    assert len({colour for _, colour, _ in of_prompt}) == 4
    assert colours(line.nth(0)) == colours(line.nth(3))
    assert len({colour for _, colour, _ in colours(line.nth(3))}) > 1
    expect(fresh.cell(0).locator(".cm-lineWrapping")).to_have_count(0)
    fresh.set_theme("light")


def test_what_a_command_prints_is_broken_at_words(lab: Lab) -> None:
    """On a narrow page as well; what other cells print is left to JupyterLab."""
    lab.open("printed.ipynb", [LOAD, "%minimax", "%%minimax --dry-run\nWhy?", "print('why ' * 99)"])
    lab.run(0, 1, 2, 3)
    for number, expected in enumerate(["normal"] * 3 + ["break-all"]):
        printed = lab.output(number).locator("pre").first
        expect(printed).to_have_css("word-break", expected)


def test_options_are_not_broken(lab: Lab) -> None:
    """Whatever the page's width, no option is broken behind a hyphen, in a cell or in an answer."""
    options = "--top-p 0.9 --max-tokens 200 --thinking adaptive --effort high"
    words = " ".join(f"{'of ' * n}`--max-tokens` `-t 0.1`" for n in range(12))
    with Loopback(streamed(captured(text=f"{words} `{options} {options}`"))) as model:
        lab.open("options.ipynb", [LOAD, use(model), f"%%minimax {options}\nWhy?"])
        lab.command("application:toggle-left-area")
        lab.run(0, 1, 2)
        for width in range(390, 700, 22):
            lab.page.set_viewport_size({"width": width, "height": 800})
            assert lab.cell(2).locator(".mm-magic-option").evaluate_all(BROKEN) == []
            short = lab.answer(2).locator("code").filter(has_not_text="--effort")
            assert short.evaluate_all(BROKEN) == []
            assert lab.answer(2).evaluate("it => it.scrollWidth <= it.clientWidth")
        assert lab.answer(2).locator("code").count() == 25


def test_typed_by_hand(fresh: Lab) -> None:
    """A cell becomes prose with the last letter of the name."""
    write(fresh, 0, "%%minima")
    expect(fresh.cell(0).locator(".cm-lineWrapping")).to_have_count(0)
    fresh.page.keyboard.type(f"x\n{PROSE}\nfor it")
    expect_prose(fresh, 0)


def test_names_that_are_filled_in_are_marked(fresh: Lab) -> None:
    """What the kernel fills in is marked, and no other braces; with --literal none are."""
    text = "\n".join(text for text, _ in CASES)
    fresh.edit(0, f"%%minimax\n{text}")
    marked = fresh.cell(0).locator(".mm-insert")
    expect(marked).to_have_text([each for _, filled in CASES for each in filled])
    fresh.edit(0, f"%%minimax --literal\n{text}")
    expect(marked).to_have_count(0)


def test_tab_completes_options(page: Lab) -> None:
    """Tab offers the options on the magic's line, as before."""
    page.open("tab.ipynb", [LOAD, "%%minimax --te\nIt's"])
    page.run(0)
    editor(page, 1).locator(".cm-line").first.click()
    page.page.keyboard.press("End")
    page.page.keyboard.press("Tab")
    expect(page.page.locator(".jp-Completer:visible")).to_contain_text("--temperature")


def test_other_cells(fresh: Lab) -> None:
    """A copy is prose; so is a cell that was Markdown meanwhile."""
    fresh.edit(0, PROMPT)
    fresh.command("notebook:copy-cell")
    fresh.command("notebook:paste-cell-below")
    expect_prose(fresh, 1)
    for kind in ("markdown", "raw"):
        fresh.command(f"notebook:change-cell-to-{kind}")
        expect(fresh.cell(1).locator("[class*='mm-magic']")).to_have_count(0)
        fresh.command("notebook:change-cell-to-code")
        expect_prose(fresh, 1)
    fresh.command("notebook:cut-cell")
    expect_python(fresh, 1)
    fresh.command("notebook:paste-cell-above")
    expect_prose(fresh, 1)
    expect_python(fresh, 2)


def test_two_views_and_two_notebooks(lab: Lab) -> None:
    """A notebook shown twice is prose in both; so is a cell that is pasted into another one."""
    lab.open("one.ipynb", [PROMPT])
    lab.command("notebook:copy-cell")
    lab.command("docmanager:clone")
    shown = lab.page.locator(".mm-magic-name")
    expect(shown).to_have_count(2)
    lab.server.write("two.ipynb", [PYTHON])
    lab.command("docmanager:open", {"path": "two.ipynb"})
    expect(lab.page.locator(".cm-line:visible").filter(has_text="for word in")).to_be_visible()
    lab.command("notebook:paste-cell-below")
    expect(shown).to_have_count(3)


def test_a_prompt_that_is_dragged_to_another_notebook(lab: Lab) -> None:
    """It looks like prose there, is typed as prose, and is a turn of that notebook's kernel."""
    with Loopback(streamed(), streamed()) as model:
        lab.server.write("from.ipynb", [LOAD, PROMPT])
        lab.open("to.ipynb", [LOAD, use(model), PYTHON])
        lab.run(0, 1)
        command = {"path": "from.ipynb", "options": {"mode": "split-left"}}
        lab.command("docmanager:open", command)
        pages = lab.page.locator(".jp-NotebookPanel")
        source = pages.filter(has_text="for whom").locator(".jp-Cell").nth(1)
        expect(source.locator(".mm-magic-name")).to_have_text("%%minimax")
        target = pages.filter(has_text="print").locator(".jp-Cell").nth(2)
        source.locator(".jp-InputPrompt").click()
        source.locator(".jp-InputPrompt").drag_to(target, target_position={"x": 100, "y": 5})

        lab.page.evaluate(
            """() => { for (const one of jupyterapp.shell.widgets('main')) {
                if (one.title.label === 'to.ipynb') jupyterapp.shell.activateById(one.id); } }"""
        )
        there = pages.filter(has_text="print").locator(".jp-Cell").filter(has_text="for whom")
        expect(there).to_have_count(1)
        expect(there.locator(".mm-magic-name")).to_have_text("%%minimax")
        expect(there.locator(".cm-lineWrapping")).to_be_visible()
        there.locator(".cm-content").click()
        lab.page.keyboard.press("Control+End")
        lab.page.keyboard.type("\n- if\nelse: (it's")
        lab.page.keyboard.press("Control+Enter")
        expect(there.locator(".mm-status")).to_contain_text("turn")
        assert sent(model) == f"{PROSE}\n- if\nelse: (it's"


def test_the_file_is_not_touched(lab: Lab) -> None:
    """A prompt is saved as the code cell that it is, without anything of ours."""
    lab.open("saved.ipynb", [PROMPT])
    expect_prose(lab, 0)
    before = lab.server.read("saved.ipynb")["cells"][0]
    after = lab.save()["cells"][0]
    assert (after["cell_type"], "".join(after["source"])) == ("code", before["source"])
    assert set(after["metadata"]) <= {"trusted"}


def test_hostile_text_in_cells_does_nothing(lab: Lab) -> None:
    """In a prompt, on its line, in a command or among Python, text stays text: no element, handler
    or request comes of it, and none when it is copied or typed."""
    texts = [*own_payloads().values()]
    line = " ".join(" ".join(text.split()) for text in texts)
    whole = "\n\n".join(texts)
    commands = "\n".join(f"%minimax {' '.join(text.split())}" for text in texts)
    inserts = " ".join(f"{{{{x[{json.dumps(text)}]}}}}" for text in texts)
    sources = [
        f"%%minimax -s {line}\n{whole}\n{inserts}",
        *(f"%%minimax -c {json.dumps(' '.join(text.split()))}\n{text}" for text in texts[:10]),
        commands,
        whole,
    ]
    lab.open("hostile_cells.ipynb", sources)
    expect_prose(lab, 0)
    write(lab, 1, texts[0])
    for number in range(len(sources)):
        lab.cell(number).scroll_into_view_if_needed()
        found = editor(lab, number)
        assert found.evaluate_all(ELEMENTS, ACTIVE) == []
        assert found.evaluate_all(HANDLERS) == []
    assert lab.dialogs == []
    assert lab.outside == []


def test_many_magics_hold_no_page_up(lab: Lab) -> None:
    """However many lines of a cell could be magics above a prompt, it is drawn and typed into."""
    lines = "%%aaaaaaaaaaaaaaaaaaaa\n" * 90
    lab.open("many.ipynb", [lines, f"{lines}%%minimaxi"])
    for number in (0, 1):
        write(lab, number, "it is here")
        expect(editor(lab, number)).to_contain_text("it is here")


@pytest.mark.parametrize("broken", ["entry.js", "prose.js", "copy.js"])
def test_a_fault_breaks_no_page(page: Lab, broken: str) -> None:
    """Where a file of ours is damaged, the notebook works as it does without it."""

    def spoil(route: Route) -> None:
        route.fulfill(body="this is no script", content_type="application/javascript")

    page.page.route(f"**/labextensions/mm_magic/static/{broken}*", spoil)
    page.page.route(f"**/mm_magic/static/{broken}*", spoil)
    page.open("broken.ipynb", [LOAD, PROMPT, PYTHON])
    page.run(0, 1, 2)
    expect(page.answer(1)).to_be_visible()
    expect_python(page, 2)
    if broken == "copy.js":
        expect_prose(page, 1)
    else:
        expect(coloured(page, 1, "for")).to_have_count(1)
