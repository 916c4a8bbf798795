"""The copy button of code in answers."""

import json
import threading

import pytest
from playwright.sync_api import Locator, expect
from support.loopback import END, Loopback, captured, chunk, delta, head, sse, streamed, until

from browser.lab import Lab
from browser.test_prose_cells import use

pytestmark = pytest.mark.browser

LOAD = "%load_ext mm_magic"
FIRST = "def f(x):\n\treturn  'it\\'s' # <b> & \u201cü\u201d\n\n\nf( 1 )"
SECOND = "  two\nlines  "
ANSWER = f"Code:\n\n```python\n{FIRST}\n```\n\nMore:\n\n```\n{SECOND}\n```\n\n`inline`"
REFUSES = "Object.defineProperty(navigator, 'clipboard', {value: undefined})"


def buttons(lab: Lab, number: int) -> Locator:
    return lab.cell(number).get_by_role("button", name="Copy code", exact=True)


def copied(lab: Lab) -> str:
    """What is on the clipboard."""
    text: str = lab.page.evaluate("navigator.clipboard.readText()")
    return text


def allow_clipboard(lab: Lab) -> None:
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"])


def test_code_is_copied(page: Lab) -> None:
    """Each block has a button, which copies its text and nothing else, after a reload too."""
    allow_clipboard(page)
    with Loopback(streamed(captured(text=ANSWER))) as model:
        page.open("copy.ipynb", [LOAD, use(model), "%%minimax\nCode?"])
        page.run(0, 1, 2)
        for reads_file in (False, True):
            expect(buttons(page, 2)).to_have_count(2)
            for number, text in enumerate((FIRST, SECOND)):
                buttons(page, 2).nth(number).click(force=True)
                expect(page.page.get_by_role("status").filter(has_text="Copied")).to_be_attached()
                assert copied(page) == text
            if not reads_file:
                saved = json.dumps(page.save())
                assert "mm-copy" not in saved
                assert "<button" not in saved
                page.reload()


@pytest.mark.parametrize("width", [390, 1280])
def test_the_button_stays_while_code_scrolls(lab: Lab, width: int) -> None:
    """Wide code scrolls and is not broken; the button stays at the box's edge. Text is broken."""
    code, prose = "x = f(1) + " * 30, "Why is the sky blue? " * 20
    answer = f"```python\n{code}\n```\n\n```text\n{prose}{'long' * 90}\n```"
    lab.page.set_viewport_size({"width": width, "height": 900})
    with Loopback(streamed(captured(text=answer))) as model:
        lab.open("wide.ipynb", [LOAD, use(model), "%%minimax\nCode?"])
        lab.command("application:toggle-left-area")
        lab.run(0, 1, 2)
        boxes = lab.cell(2).locator("div.highlight")
        button = buttons(lab, 2).first
        place, box = button.bounding_box(), boxes.first.bounding_box()
        assert place is not None
        assert box is not None
        boxes.first.locator("pre").hover()
        lab.page.mouse.wheel(200, 0)
        lab.page.wait_for_function(
            "() => document.querySelector('.mm-answer div.highlight pre').scrollLeft > 100"
        )
        assert button.bounding_box() == place
        assert 0 < box["x"] + box["width"] - place["x"] - place["width"] < 10
        assert box["height"] < 80  # the language's name and one line
        is_wider = "box => [box, box.firstChild].some(each => each.scrollWidth > each.clientWidth)"
        assert not boxes.last.evaluate(is_wider)


def test_the_keyboard_copies(page: Lab) -> None:
    """Tab comes to the button, and Enter and Space press it; JupyterLab's shortcuts don't act."""
    allow_clipboard(page)
    with Loopback(streamed(captured(text=ANSWER))) as model:
        page.open("keys.ipynb", [LOAD, use(model), "%%minimax\nCode?"])
        page.run(0, 1, 2)
        for number, (key, text) in enumerate((("Enter", FIRST), (" ", SECOND))):
            button = buttons(page, 2).nth(number)
            button.focus()
            expect(button).to_have_css("opacity", "1")
            page.page.keyboard.press(key)
            copied_button = page.cell(2).get_by_role("button", name="Copied")
            expect(copied_button).to_be_focused()
            assert copied(page) == text
            expect(copied_button).to_have_count(0)
        page.page.keyboard.press("Shift+Tab")
        expect(buttons(page, 2).first).to_be_focused()


def test_shortcuts_work_after_a_click(page: Lab) -> None:
    """After a click with the mouse the cell has the focus, so JupyterLab's shortcuts act again.

    Nothing else would give it back: a click beside the prompt of an active cell moves no focus.
    """
    allow_clipboard(page)
    with Loopback(streamed(captured(text=ANSWER))) as model:
        page.open("click.ipynb", [LOAD, use(model), "%%minimax\nCode?", "last"])
        page.run(0, 1, 2)
        for number, text in ((4, FIRST), (5, SECOND)):
            page.cell(3).locator(".cm-content").click()
            buttons(page, 2).nth(number - 4).click(force=True)
            expect(page.cell(2).get_by_role("button", name="Copied")).to_be_attached()
            page.page.keyboard.press("b")
            expect(page.cell(number)).to_be_attached()
            assert copied(page) == text


def test_code_is_copied_without_a_clipboard_object(lab: Lab) -> None:
    """Over plain http a page has no clipboard object, and the button works all the same."""
    allow_clipboard(lab)
    with Loopback(streamed(captured(text=ANSWER))) as model:
        lab.open("http.ipynb", [LOAD, use(model), "%%minimax\nCode?"])
        lab.run(0, 1, 2)
        clipboard = lab.page.evaluate_handle("navigator.clipboard")
        lab.page.evaluate(REFUSES)
        buttons(lab, 2).first.click(force=True)
        expect(lab.cell(2).get_by_role("button", name="Copied")).to_be_attached()
        assert clipboard.evaluate("clipboard => clipboard.readText()") == FIRST


def test_code_that_still_grows(page: Lab) -> None:
    """While an answer streams each block has one button, which keeps the focus as it is redrawn."""
    allow_clipboard(page)
    events, gate, end = captured(), threading.Event(), threading.Event()
    events[7] = delta(1, "text_delta", text=f"```\n{SECOND}\n```\n\nand\n\n```\n1\n")
    more = delta(1, "text_delta", text="2\n```\n\nSo.\n\n```\nlast\n```\n")
    answer = [head(), chunk(sse(*events[:8])), until(gate), chunk(sse(more)), until(end)]
    with Loopback([*answer, chunk(sse(*events[8:])), END]) as model:
        page.open("grows.ipynb", [LOAD, use(model), "%%minimax\nCode?"])
        page.run(0, 1)
        page.start(2)
        expect(buttons(page, 2)).to_have_count(2)
        buttons(page, 2).first.focus()
        gate.set()
        expect(buttons(page, 2)).to_have_count(3)
        end.set()
        page.wait()
        expect(buttons(page, 2)).to_have_count(3)
        expect(buttons(page, 2).first).to_be_focused()
        buttons(page, 2).nth(1).click(force=True)
        expect(page.cell(2).get_by_role("button", name="Copied")).to_be_attached()
        assert copied(page) == "1\n2"


def test_what_is_selected_by_hand(lab: Lab) -> None:
    """The button is no part of the text of an answer: what is selected and copied is without it."""
    with Loopback(streamed(captured(text=ANSWER))) as model:
        lab.open("selected.ipynb", [LOAD, use(model), "%%minimax\nCode?"])
        lab.run(0, 1, 2)
        expect(buttons(lab, 2)).to_have_count(2)
        text = lab.answer(2).first.evaluate(
            "answer => { getSelection().selectAllChildren(answer);"
            " return getSelection().toString() }"
        )
        assert "opy" not in text
        assert FIRST in text


def test_a_finger_finds_the_button(lab: Lab) -> None:
    """Where nothing hovers the button is always visible; it is large enough for a finger."""
    with Loopback(streamed(captured(text=ANSWER))) as model:
        lab.open("touch.ipynb", [LOAD, use(model), "%%minimax\nCode?"])
        lab.run(0, 1, 2)
        button = buttons(lab, 2).first
        expect(button).to_have_css("opacity", "0")
        emulation = lab.page.context.new_cdp_session(lab.page)
        touch = [{"name": "hover", "value": "none"}]
        emulation.send("Emulation.setTouchEmulationEnabled", {"enabled": True})
        emulation.send("Emulation.setEmulatedMedia", {"features": touch})
        expect(button).to_have_css("opacity", "0.8")
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24  # WCAG 2.2, success criterion 2.5.8
