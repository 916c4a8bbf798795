"""Stop, and what else ends a cell before its time."""

import statistics
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import expect
from support.loopback import Loopback, Step, captured, chunk, head, sse, stall, streamed, whole
from support.timing import HALF_A_SECOND, within_half_a_second

from browser.lab import Lab

pytestmark = pytest.mark.browser

RUNS = 4

STOPS: dict[str, Callable[[Lab], None]] = {
    "button": lambda lab: lab.stop_button().click(),
    "menu": lambda lab: lab.interrupt_item().click(),
}
SILENT: list[Step] = [head(), chunk(sse(*captured(text="The beginning")[:8])), stall]
MODELS = whole(200, {"data": [{"id": "Own-Model"}]})
SETTINGS = "@jupyterlab/apputils-extension:kernels-settings"


@pytest.mark.parametrize("way", [pytest.param("button", marks=pytest.mark.smoke), "menu"])
@within_half_a_second
def test_stop(lab: Lab, way: str, limit: float) -> None:
    """Stop closes the connection at once; what arrived stays, Run All halts, the next run works."""
    with Loopback(SILENT, streamed()) as model:
        cells = [f"%env MINIMAX_BASE_URL={model.url}", "%%minimax\nWhy?", "print('later')"]
        lab.open("stop.ipynb", ["%load_ext mm_magic", *cells])
        lab.start_all()
        expect(lab.answer(2)).to_contain_text("waiting, 1 s")
        if way == "menu":
            lab.open_kernel_menu()
        clicked = time.monotonic()
        STOPS[way](lab)
        (connection,) = {request.connection for request in model.requests}
        assert connection.closed.wait(limit)
        assert connection.closed_at is not None
        assert connection.closed_at - clicked < limit
        lab.wait()
        expect(lab.answer(2)).to_have_text("The beginning", use_inner_text=True)
        expect(lab.status(2)).to_contain_text("stopped")
        expect(lab.cell(2)).to_contain_text("For a complete answer, run the cell again.")
        expect(lab.prompt(3)).to_have_text("[ ]:")

        lab.run(2, 3)
        expect(lab.answer(2)).to_have_text("Rayleigh scattering.")
        expect(lab.cell(3)).to_contain_text("later")


def open_panel(page: Lab, kernel: str, model: Loopback, *cells: str) -> None:
    """Show a panel whose list of models has come, in cell 2, above these cells."""
    environment = f"%env MINIMAX_BASE_URL={model.url}"
    page.open("panel.ipynb", ["%load_ext mm_magic", environment, "%minimax panel", *cells], kernel)
    page.run(0, 1, 2)
    expect(page.panel().locator("option[value='Own-Model']")).to_be_attached()


def click_stop(page: Lab, model: Loopback) -> float:
    """Click the panel's Stop while an answer streams: the seconds until its connection closed."""
    button = page.panel().get_by_role("button", name="Stop")
    expect(button).to_be_enabled()
    connection = model.requests[-1].connection  # the browser may open one for a link
    clicked = time.monotonic()
    button.click()
    assert connection.closed.wait(30)
    assert connection.closed_at is not None
    return connection.closed_at - clicked


@pytest.mark.parametrize("kernel", ["usual", "without subshells", "older"])
@pytest.mark.timed
def test_stop_of_the_panel(page: Lab, kernel: str, request: pytest.FixtureRequest) -> None:
    """The panel's Stop ends an awaited cell at once: socket closed, what came kept and marked,
    Run All halted, and the next request has a clean history."""
    name = request.getfixturevalue("older_kernel") if kernel == "older" else "python3"
    comms = "disabled" if kernel == "without subshells" else "perCommTarget"
    page.server.set(SETTINGS, {"commsOverSubshells": comms})
    with Loopback(MODELS, *[SILENT] * RUNS, streamed()) as model:
        open_panel(page, name, model, "%%minimax\nWhy?", "print('later')", "%%minimax\nAnd?")
        seconds = []
        for _ in range(RUNS):
            page.start_from(3)
            expect(page.answer(3)).to_contain_text("The beginning")
            seconds.append(click_stop(page, model))
            page.wait()
            expect(page.status(3)).to_contain_text("stopped")
            expect(page.cell(3)).to_contain_text("For a complete answer, run the cell again.")
            expect(page.prompt(4)).to_have_text("[ ]:")
        page.run(5)
        first, answer, last = model.requests[-1].json["messages"]
    assert statistics.median(seconds) < HALF_A_SECOND
    assert (first["content"], last["content"]) == ("Why?", "And?")
    assert answer["content"][-1] == {"type": "text", "text": "The beginning"}


@pytest.mark.timed
def test_stop_of_the_panel_in_a_synchronous_cell(lab: Lab, older_kernel: str) -> None:
    """Where clicks come on a thread of their own, Stop ends a synchronous cell, too."""
    with Loopback(MODELS, SILENT) as model:
        open_panel(lab, older_kernel, model, "%%time\n%%minimax\nWhy?", "print('later')")
        lab.start_from(3)
        expect(lab.answer(3)).to_contain_text("The beginning")
        assert click_stop(lab, model) < 4 * HALF_A_SECOND
        lab.wait()
        expect(lab.status(3)).to_contain_text("stopped")
        expect(lab.cell(3)).to_contain_text("For a complete answer, run the cell again.")
        expect(lab.prompt(4)).to_have_text("[ ]:")


def test_panel_where_no_click_arrives(lab: Lab) -> None:
    """In a synchronous cell of the usual kernel the panel's button names ■, which stops it."""
    with Loopback(MODELS, SILENT) as model:
        open_panel(lab, "python3", model, "%%time\n%%minimax\nWhy?")
        lab.start(3)
        expect(lab.panel().get_by_role("button", name="use ■")).to_be_enabled()
        lab.stop_button().click()
        assert model.requests[-1].connection.closed.wait(30)
        lab.wait()
        expect(lab.panel().get_by_role("button", name="Stop")).to_be_disabled()


def test_error_card(lab: Lab) -> None:
    """An error is a short card that says what to do, without a traceback; Run All halts."""
    cells = ["%load_ext mm_magic", "%%minimax\ndemo error 1008", "print('later')"]
    lab.open("error.ipynb", cells)
    lab.start_all()
    lab.wait()
    card = lab.cell(1).locator("[data-mime-type='application/vnd.jupyter.stderr']")
    expect(card).to_contain_text("MiniMax (billing): the account has no balance")
    expect(card).to_contain_text("→ Top up")
    assert len(card.inner_text().strip().split("\n")) <= 8  # of 80 columns
    expect(lab.prompt(2)).to_have_text("[ ]:")
