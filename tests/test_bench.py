"""The benchmark compares like with like. What it measures is not checked here: that takes quiet."""

import asyncio
from pathlib import Path

import pytest
from bench import browser, kernel, resumed
from bench.peers import Bare, Floor, Ours, model, server
from bench.server import prose
from bench.table import Row, markdown
from markdown_it import MarkdownIt
from support.kernels import Kernel
from support.pages import Page

from mm_magic.rendering.formulas import find_formulas

SHAPES = [
    {"deltas": 50},
    {"deltas": 50, "chunk": 16},
    {"deltas": 5, "rate": 500},
    {"size": 1000},
    {"deltas": 200, "formula": 250},
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_floor_and_the_session_read_the_same(shape: dict[str, int]) -> None:
    """Whatever the server is asked for, the floor and a session get all of the same text."""

    async def main(url: str) -> tuple[int, int]:
        ours = Ours(url)
        try:
            return floor.drain(name), await ours.drain(name)
        finally:
            await ours.close()

    name = model(**shape)
    with server() as url:
        floor = Floor(url)
        try:
            expected, found = asyncio.run(main(url))
        finally:
            floor.close()
    assert expected == found
    assert expected >= 42 + shape.get("size", 0)


def test_the_time_to_the_first_delta_leaves_the_server_out() -> None:
    """Both peers find the server's times in their first delta, and what is left is their own."""

    async def main(url: str) -> list[int]:
        bare, ours = Bare(url), Ours(url)
        try:
            return [await bare.first(name), await ours.first(name)]
        finally:
            await bare.close()
            await ours.close()

    name = model(deltas=2)
    with server() as url:
        assert all(nanoseconds > 0 for nanoseconds in asyncio.run(main(url)))


def test_an_answer_has_its_formulas() -> None:
    """Text of 20,000 characters with a formula in every 250 has that length and 80 formulas."""
    text = prose(20_000, 250)
    places = [start // 250 for start, _ in find_formulas(text, MarkdownIt().parse)]
    assert (len(text), places) == (20_000, list(range(80)))


def test_a_kernel_shows_when_its_first_text_was_sent(tmp_path: Path) -> None:
    """A cell of ours and one of the floor both show the server's times, before they come here."""
    with server() as url:
        found = kernel.measure(url, tmp_path, rounds=1)
    assert {name: [value > 0 for value in values] for name, values in found.items()} == {
        "ours": [True],
        "floor": [True],
    }


def test_a_kernel_resumes_the_turns_that_were_written(tmp_path: Path) -> None:
    """The notebook is trusted, and its turns are there when the extension is loaded."""
    resumed.write(tmp_path, 3)
    assert resumed.resume(tmp_path, 3) > 0


def test_run_all_reuses_each_answer(tmp_path: Path) -> None:
    """A cell that would ask again is noticed: it has no line on reuse."""
    with server() as url, Kernel(tmp_path, {"JUPYTER_DATA_DIR": str(tmp_path / "data")}) as process:
        page = Page(tmp_path / "a.ipynb", tmp_path / "data", process)
        resumed.fill(page, url, 2)
        assert all(seconds > 0 for seconds in resumed.reuse(page, url, 2))
        with pytest.raises(AssertionError):
            resumed.reuse(page, url, 3)


def test_rows_of_a_page_need_a_browser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where Chromium is not installed there are no rows of JupyterLab, and one line says so."""
    monkeypatch.setattr("browser.lab.CHROMIUM", tmp_path / "chromium")
    assert browser.rows(is_short=True) == []
    assert capsys.readouterr().err.splitlines() == [
        f"The rows of JupyterLab are left out: there is no {tmp_path / 'chromium'}."
    ]


def test_a_row_is_met_up_to_its_goal() -> None:
    """A value at the goal is met and one above it is not, and the table says so."""
    met, missed = Row("a", "1 s", "–", 2.0, 2.0), Row("b", "3 s", "–", 2.1, 2.0)
    assert (met.is_met, missed.is_met) == (True, False)
    assert [line.split(" | ")[-1] for line in markdown([met, missed]).splitlines()[2:]] == [
        "yes |",
        "**no** |",
    ]
