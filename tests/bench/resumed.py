"""The rows of a notebook's file: what a kernel takes to resume it, and to reuse its answers."""

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nbformat
from support.kernels import Cell, Kernel
from support.pages import Page

from bench.page import commit, session
from bench.peers import model, server
from bench.table import Row
from mm_magic.jupyter.views.finished import status_of
from mm_magic.rendering.values import reply_bundles

MODEL = "MiniMax-M3"
TURNS, ANSWERS = 1_000, 100
PROMPT, ANSWER = f"Question {{}}: {'why? ' * 36}", "Blue light is scattered more. " * 27
"""1 kB in all."""
DELTAS = 20  # of an answer that is reused
LOAD = "%load_ext mm_magic"
NOTE = "This answer was reused; "
_BEGIN = "import time; begin = time.process_time()"
_END = "print('CPU', time.process_time() - begin)"


def rows(*, is_short: bool) -> list[Row]:
    """Measure both, in new kernels. They take about 60 s, or half of it where it is short."""
    rounds = 2 if is_short else 4
    with tempfile.TemporaryDirectory() as folder:
        return [_resume(Path(folder), rounds), _reuse(Path(folder), rounds)]


def _resume(folder: Path, rounds: int) -> Row:
    cost: dict[int, list[float]] = {TURNS: [], 0: []}
    for turns in cost:
        write(folder, turns)
    for _ in range(rounds):
        for turns, seconds in cost.items():
            seconds.append(resume(folder, turns))
    ours, empty = map(min, cost.values())
    text = TURNS * len(PROMPT.format(TURNS) + ANSWER)
    size = _path(folder, TURNS).stat().st_size
    return Row(
        f"`{LOAD}`, {TURNS:,} turns of {MODEL} in the file, {text / 1e6:.1f} MB of text, CPU",
        f"{ours:.3f} s",
        f"an empty notebook {empty:.3f} s; the file has {size / 1e6:.1f} MB",
        ours,
        0.3,
        "s",
    )


def _path(folder: Path, turns: int) -> Path:
    return folder / f"{turns}.ipynb"


def _environment(folder: Path) -> Mapping[str, str]:
    return {
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "MINIMAX_BASE_URL": "http://127.0.0.1:9",  # to which nothing is sent
        "MINIMAX_MODEL": MODEL,
    }


def write(folder: Path, turns: int) -> None:
    """A notebook with so many turns, which Jupyter trusts."""
    here = session()
    made = [commit(here, PROMPT.format(number), ANSWER, MODEL) for number in range(turns)]
    state = here.conversations.named("main").state
    v4 = nbformat.v4
    cells = {"load": v4.new_code_cell(LOAD, id="load")}  # type: ignore[no-untyped-call]
    for number, turn in enumerate(made):
        bundles = [*reply_bundles(turn.reply, "", hide_thinking=False), status_of(turn, state, [])]
        cells[f"c{number}"] = v4.new_code_cell(  # type: ignore[no-untyped-call]
            f"%%minimax\n{turn.prompt}",
            id=f"c{number}",
            outputs=[v4.new_output("display_data", each) for each in bundles],  # type: ignore[no-untyped-call]
        )
    with Kernel(folder) as kernel:
        Page(_path(folder, turns), folder / "data", kernel, cells).save()


def resume(folder: Path, turns: int) -> float:
    """Seconds of CPU that a new kernel takes to load the extension, and the turns with it."""
    with Kernel(folder, _environment(folder)) as kernel:
        path = str(_path(folder, turns))
        kernel.run(f"import os; os.environ['JPY_SESSION_NAME'] = {path!r}\n{_BEGIN}")
        told = kernel.run(LOAD, cell_id="load").stdout
        seconds = _seconds(kernel.run(_END))
    assert (f"{turns:,} earlier turns" in " ".join(told.split())) == (turns > 0), told
    return seconds


def _reuse(folder: Path, rounds: int) -> Row:
    with server() as url, Kernel(folder, _environment(folder)) as kernel:
        page = Page(folder / "reuse.ipynb", folder / "data", kernel)
        fill(page, url, ANSWERS)
        cost = [reuse(page, url, ANSWERS) for _ in range(rounds)]
    ours, plain = (min(each) * 1e3 / ANSWERS for each in zip(*cost, strict=True))
    return Row(
        f"Run All with `--reuse`, {ANSWERS} saved answers: CPU of the kernel for each",
        f"{ours:.1f} ms",
        f"an empty cell {plain:.1f} ms",
        ours - plain,
        5,
        "ms more",
    )


def _code(number: int) -> str:
    return f"%%minimax -m {model(deltas=DELTAS, formula=250)}\nQuestion {number}"


def fill(page: Page, url: str, answers: int) -> None:
    """A notebook with so many answers, which Jupyter trusts."""
    page.load(url)
    for number in range(answers):
        assert page.run(f"c{number}", _code(number)).status == "ok"
    page.save()


def reuse(page: Page, url: str, answers: int) -> tuple[float, float]:
    """Seconds of CPU that the kernel takes for Run All of a page, and for as many empty cells."""
    page.load(url)
    page.run("reuse", "%minimax --reuse")
    codes = [_code(number) for number in range(answers)]
    ours, cells = _run_all(page, codes)
    assert all(NOTE in cell.shown for cell in cells)
    return ours, _run_all(page, ["pass"] * answers)[0]


def _run_all(page: Page, codes: list[str]) -> tuple[float, list[Cell]]:
    """Seconds of CPU, and the cells that ran."""
    page.kernel.run(_BEGIN)
    cells = [page.kernel.run(code, cell_id=f"c{number}") for number, code in enumerate(codes)]
    return _seconds(page.kernel.run(_END)), cells


def _seconds(cell: Cell) -> float:
    found = re.search(r"CPU (\d+\.\d+)", cell.stdout)
    assert found is not None, cell.shown
    return float(found[1])
