"""`--confirm`: the user is asked before a function is called, and can stop instead."""

from functools import partial
from typing import Any

import nbformat
import pytest
from support.kernels import Cell
from support.loopback import Loopback
from support.pages import Page
from support.tool_pages import CARD, looks

VIEW = "application/vnd.jupyter.widget-view+json"
AWAITED = "%%minimax --tools look --confirm\nWhy?"
SYNCHRONOUS = f"%%time\n{AWAITED}"
REFUSED = 'Call: look(at="sea") → failed: The user refused this call, so it did not run.'


@pytest.fixture
def server(calling: Loopback) -> Loopback:
    return calling


def asks(cell: Cell) -> bool:
    """Whether the buttons are there."""
    return any(VIEW in bundle for bundle in cell.displays)


@pytest.mark.parametrize(
    ("button", "ran", "shown"),
    [("Run", "1", CARD), ("Refuse", "0", REFUSED)],
)
def test_click(tooled: Page, server: Loopback, button: str, ran: str, shown: str) -> None:
    """A click runs the function or refuses it, and the answer comes in either case."""
    click = partial(tooled.kernel.click, button=button)
    seen: list[Any] = []

    def look_and_click(cell: Cell) -> None:
        seen.extend(cell.displays)
        click(cell)

    number = tooled.kernel.send(AWAITED, cell_id="a")
    cell = tooled.kernel.collect(number, asks, look_and_click)

    assert cell.status == "ok"
    assert looks(tooled) == ran
    assert shown in cell.shown
    assert "It is" in cell.shown
    assert len(server.requests) == 2
    (card,) = [each["text/html"] for each in seen if "mm-call" in str(each)]
    assert '<details class="mm-call mathjax_ignore tex2jax_ignore" open>' in card
    assert "sea" in card
    assert not asks(cell)


def test_saved_while_it_waits(tooled: Page) -> None:
    """A file that is saved meanwhile shows the call, and no words of a widget."""
    saved = []

    def save_and_stop(cell: Cell) -> None:
        saved.append([nbformat.from_dict(bundle) for bundle in cell.displays])  # type: ignore[no-untyped-call]
        tooled.kernel.interrupt()

    number = tooled.kernel.send(AWAITED, cell_id="a")
    cell = tooled.kernel.collect(number, asks, save_and_stop)

    assert cell.ename == "Stopped"
    texts = [bundle["text/plain"] for bundle in saved[0]]
    assert texts == ["Let me look.", 'Call: look(at="sea") …', ""]
    assert not asks(cell)
    assert looks(tooled) == "0"
    assert "→ failed: The user stopped" in cell.shown
    assert "moo" in tooled.ask("b").shown


def test_of_two_calls_one_is_asked_for(tooled: Page) -> None:
    """The question is right below its call: the next call is drawn when its turn has come."""
    drawn: list[str] = []

    def note_and_stop(cell: Cell) -> None:
        drawn.extend(bundle["text/plain"] for bundle in cell.displays)
        tooled.kernel.interrupt()

    number = tooled.kernel.send("%%minimax --tools look --confirm\nboth", cell_id="a")
    cell = tooled.kernel.collect(number, asks, note_and_stop)

    assert drawn == ["Let me look.", 'Call: look(at="sea") …', ""]
    assert 'look(at="lake") → failed: The user stopped' in cell.shown


def test_stop_after_a_reload(tooled: Page) -> None:
    """Of a page that is loaded again the buttons may be gone: a stop ends the cell, too."""
    kernel = tooled.kernel

    def reload_and_stop(_cell: Cell) -> None:
        kernel.page = "another page"
        kernel.interrupt()

    before = kernel.page
    number = kernel.send(AWAITED, cell_id="a")
    try:
        assert kernel.collect(number, asks, reload_and_stop).ename == "Stopped"
        assert "moo" in tooled.ask("b").shown
    finally:
        kernel.page = before


@pytest.mark.parametrize(
    ("typed", "ran", "shown"),
    [("y", "1", CARD), ("", "0", REFUSED), ("n", "0", REFUSED)],
)
def test_line(tooled: Page, typed: str, ran: str, shown: str) -> None:
    """Where no click can arrive a line is asked for; only "y" or "yes" runs the function."""
    cell, request = tooled.kernel.run_and_type(SYNCHRONOUS, typed)

    assert request["prompt"] == 'Run look(at="sea")? [y/N] '
    assert looks(tooled) == ran
    assert shown in cell.shown


def test_stop_at_the_line(tooled: Page) -> None:
    """A stop ends the question, and the cell."""
    number = tooled.kernel.send(SYNCHRONOUS, cell_id="a")
    tooled.kernel.wait_for_question()
    tooled.kernel.interrupt()
    cell = tooled.kernel.collect(number)

    assert cell.ename == "KeyboardInterrupt"
    assert looks(tooled) == "0"
    assert "moo" in tooled.ask("b").shown
