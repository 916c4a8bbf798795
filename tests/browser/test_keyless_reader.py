"""A student without a key runs a teacher's notebook in JupyterLab: the lesson stays whole."""

import json

import pytest
from playwright.sync_api import expect
from support.loopback import Loopback, numbered

from browser.lab import Lab

pytestmark = pytest.mark.browser

CELLS = [
    "%load_ext mm_magic",
    "%%minimax\nWhy is the sky blue?",
    "%%minimax -t 0.1,1\nName a colour.",
    "%%minimax\nAnd at night?",
]
REUSED = "reused; asking again needs a key."
CHANGED = "This prompt has changed; the answer below is to the old one. A new answer needs a key."


def answers(lab: Lab) -> list[list[str]]:
    return [lab.answer(number).all_inner_texts() for number in (1, 2, 3)]


def test_run_all_of_a_reader(lab: Lab) -> None:
    """Run All, an edited prompt, a new cell, and the same after a restart of the saved file: each
    cell has a model's answers, and only the new one the demo's."""
    with Loopback(*numbered(4)) as model:
        lab.open("teacher.ipynb", [f"%env MINIMAX_BASE_URL={model.url}", *CELLS])
        lab.start_all()
        lab.wait()
        saved = lab.save()
    saved["cells"] = saved["cells"][1:]
    (lab.server.notebooks / "student.ipynb").write_text(json.dumps(saved), "utf-8")

    lab.open("student.ipynb")
    before = answers(lab)
    assert before[0] == ["answer 1"]
    lab.start_all()
    lab.wait()
    expect(lab.cell(0)).to_contain_text("Jupyter does not trust it, so they are not sent")
    for number in (1, 2, 3):
        expect(lab.status(number)).to_contain_text(REUSED)
    assert answers(lab) == before

    lab.edit(1, "%%minimax\nWhy is the sky red?")
    lab.edit(2, "%%minimax -t 0.1,0.5,1\nName a tone.")
    lab.select(3)
    lab.command("notebook:insert-cell-below")
    lab.edit(4, "%%minimax\nAnd in space?")
    for is_restarted in (False, True):
        if is_restarted:
            lab.save()
            lab.restart_kernel()
        lab.start_all()
        lab.wait()
        assert answers(lab) == before
        for number in (1, 2):
            expect(lab.output(number).first).to_contain_text(CHANGED)
        expect(lab.status(3)).to_contain_text(REUSED)
        expect(lab.status(4)).to_contain_text("Offline demo, not a language model")
