"""Functions that a model calls, in a page: the question before a call, and Stop."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect
from support.loopback import Loopback
from support.tool_service import CallsOnce

from browser.lab import Lab

pytestmark = pytest.mark.browser

SLEEPS = 'import time\ndef look(at: str) -> str:\n    "Look."\n    time.sleep(600)'
LOOKS = 'def look(at: str) -> str:\n    "Look."\n    return "blue"'
CALL = 'Call: look(at="sea")'


@pytest.fixture
def model() -> Iterator[Loopback]:
    with Loopback(CallsOnce()) as model:
        yield model


def open_page(
    lab: Lab,
    name: str,
    model: Loopback,
    function: str,
    options: str = "",
    *,
    kernel: str = "python3",
) -> None:
    """Open a notebook with a function, and with a cell that lets the model call it."""
    environment = f"%env MINIMAX_BASE_URL={model.url}"
    ask = f"%%minimax --tools look {options}\nWhy?"
    cells = ["%load_ext mm_magic", environment, function, ask, "%%minimax\nAnd now?"]
    lab.open(name, cells, kernel)
    lab.run(0, 1, 2)


def button(lab: Lab, name: str) -> Locator:
    return lab.cell(3).get_by_role("button", name=name, exact=True)


def test_stop_of_a_function(lab: Lab, model: Loopback) -> None:
    """Stop ends a function that sleeps; the page shows the call, and the next cell works."""
    open_page(lab, "sleeps.ipynb", model, SLEEPS)
    lab.start(3)
    expect(lab.cell(3)).to_contain_text(f"{CALL} …")
    lab.stop_button().click()
    lab.wait()
    expect(lab.cell(3)).to_contain_text("stopped")
    expect(lab.cell(3)).to_contain_text(f"{CALL} → failed: The user stopped")

    lab.run(4)
    expect(lab.answer(4)).to_have_text("moo")


@pytest.mark.parametrize(
    ("name", "answer"), [("Run", "It is blue."), ("Refuse", "It is The user refused")]
)
def test_click(lab: Lab, model: Loopback, name: str, answer: str) -> None:
    """The arguments are seen beside the buttons; a click goes on, and the buttons are gone."""
    open_page(lab, "confirm.ipynb", model, LOOKS, "--confirm")
    lab.start(3)
    expect(button(lab, name)).to_be_visible()
    expect(lab.cell(3).locator("details.mm-call pre")).to_be_visible()
    saved = str(lab.save()["cells"][3]["outputs"])
    assert CALL in saved
    assert "HBox" not in saved
    button(lab, name).click()
    lab.wait()

    expect(lab.answer(3).last).to_contain_text(answer)
    expect(button(lab, name)).to_have_count(0)
    expect(lab.cell(3).locator("details.mm-call pre").first).to_be_hidden()
    assert "widget-view" not in str(lab.save()["cells"][3]["outputs"])


@pytest.mark.parametrize(
    ("typed", "answer"), [("y", "It is blue."), ("n", "It is The user refused")]
)
def test_line_with_an_older_ipykernel(
    lab: Lab, model: Loopback, older_kernel: str, typed: str, answer: str
) -> None:
    """Where no click arrives a line is typed, below the arguments; the next cell works."""
    open_page(lab, f"line-{typed}.ipynb", model, LOOKS, "--confirm", kernel=older_kernel)
    lab.start(3)
    line = lab.cell(3).locator(".jp-Stdin-input")
    expect(line).to_be_visible()
    expect(lab.cell(3)).to_contain_text('Run look(at="sea")? [y/N]')
    expect(lab.cell(3).locator("details.mm-call pre")).to_be_visible()
    line.fill(typed)
    line.press("Enter")
    lab.wait()
    lab.run(4)

    expect(lab.answer(3).last).to_contain_text(answer)
    expect(lab.answer(4)).to_have_text("moo")


def test_stop_at_the_question_after_a_reload(lab: Lab, model: Loopback) -> None:
    """A page that is loaded again while a question waits can stop it, and goes on."""
    open_page(lab, "reloaded.ipynb", model, LOOKS, "--confirm")
    lab.start(3)
    expect(button(lab, "Run")).to_be_visible()
    lab.save()
    lab.reload_and_stop()
    lab.run(4)

    expect(lab.answer(4)).to_have_text("moo")
    assert len(model.requests) == 2
