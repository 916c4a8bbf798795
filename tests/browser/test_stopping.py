"""Stop, and what else ends a cell before its time."""

import time
from collections.abc import Callable

import pytest
from loopback import Loopback, captured, chunk, head, sse, stall, streamed
from playwright.sync_api import expect

from browser.lab import Lab

LIMIT = 0.5
"""Seconds from the click to the end of the connection."""

STOPS: dict[str, Callable[[Lab], None]] = {
    "button": lambda lab: lab.stop_button().click(),
    "menu": lambda lab: lab.interrupt_item().click(),
}


@pytest.mark.parametrize("way", STOPS)
def test_stop(lab: Lab, way: str) -> None:
    """Stop closes the connection at once; what came stays, Run All halts, the next run works."""
    silent = [head(), chunk(sse(*captured(text="The beginning")[:8])), stall]
    with Loopback(silent, streamed()) as model:
        cells = [f"%env MINIMAX_BASE_URL={model.url}", "%%minimax\nWhy?", "print('later')"]
        lab.open("stop.ipynb", ["%load_ext mm_magic", *cells])
        lab.start_all()
        expect(lab.answer(2)).to_contain_text("waiting, 1 s")
        if way == "menu":
            lab.open_kernel_menu()
        clicked = time.monotonic()
        STOPS[way](lab)
        (connection,) = model.connections
        assert connection.closed.wait(5)
        assert connection.closed_at is not None
        assert connection.closed_at - clicked < LIMIT
        lab.wait()
        expect(lab.answer(2)).to_have_text("The beginning")
        expect(lab.status(2)).to_contain_text("stopped")
        expect(lab.cell(2)).to_contain_text("Stopped.")
        expect(lab.prompt(3)).to_have_text("[ ]:")

        lab.run(2, 3)
        expect(lab.answer(2)).to_have_text("Rayleigh scattering.")
        expect(lab.cell(3)).to_contain_text("later")


def test_error_card(lab: Lab) -> None:
    """An error is a short card that says what to do, without a traceback; Run All halts."""
    cells = ["%load_ext mm_magic", "%%minimax\ndemo error 1008", "print('later')"]
    lab.open("error.ipynb", cells)
    lab.start_all()
    lab.wait()
    card = lab.cell(1).locator("[data-mime-type='application/vnd.jupyter.stderr']")
    expect(card).to_contain_text("MiniMax (billing): the account has no balance")
    expect(card).to_contain_text("→ Top up")
    assert len(card.inner_text().strip().split("\n")) <= 5
    expect(lab.prompt(2)).to_have_text("[ ]:")
