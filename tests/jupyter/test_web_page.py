"""What can't work in a web page says so. `tests/browser/test_site.py` has a real page."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.images import file_of, plain_image
from support.shells import Shell, fresh_shell

from mm_magic.errors import MiniMaxError
from mm_magic.jupyter.running_cell import running_cell
from mm_magic.web_page import ELSEWHERE, NO_SERVER

ROOT = Path(__file__).parents[2]


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A shell whose Python takes itself for one in a web page."""
    for name in ("MINIMAX_API_KEY", "MINIMAX_BASE_URL", "MINIMAX_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "emscripten")
    with fresh_shell() as shell:
        yield shell


@pytest.mark.parametrize("line", ["%minimax key", "%minimax live"])
def test_no_model_can_be_asked(shell: Shell, line: str) -> None:
    """`key` says so before it asks for one, and `live` leaves the demo in charge."""
    error = shell.error(line)

    assert isinstance(error, MiniMaxError)
    assert error.message == NO_SERVER
    assert ELSEWHERE in error.next_steps
    assert shell.run("%%minimax -o reply\nWhy?") is None or shell["reply"].backend == "offline"


@pytest.mark.parametrize(
    ("name", "value"),
    [("MINIMAX_API_KEY", "k" * 20), ("MINIMAX_BASE_URL", "http://localhost:1"),
     ("MINIMAX_BACKEND", "live")],
)  # fmt: skip
def test_settings_for_a_server(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """A key or an address that is set does not pass for the demo in silence."""
    monkeypatch.setenv(name, value)

    for cell in ("%%minimax\nWhy?", "import mm_magic as mm\nmm.ask('Why?')", "%minimax models"):
        error = shell.error(cell)
        assert isinstance(error, MiniMaxError)
        assert error.message == NO_SERVER


def test_demo_names_the_way_that_works(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing that the demo or `offline` says sends the reader to `%minimax key`."""
    shell.run("%minimax offline\n")
    shell.run("%%minimax -o reply\nWhy?")
    shell.run("%minimax")

    assert "%minimax key`" not in shell["reply"].text
    assert shell["reply"].text.endswith(ELSEWHERE)
    assert ELSEWHERE in " ".join(capsys.readouterr().out.split())


NESTED = """
import asyncio, os, sys
from types import ModuleType
import nest_asyncio2
import mm_magic as mm

sys.modules["pyodide"], sys.modules["pyodide.ffi"] = ModuleType("pyodide"), ModuleType("ffi")
sys.modules["pyodide.ffi"].can_run_sync = lambda: can
sys.platform = "emscripten"

async def cell():
    for prompt in ("Why?", "demo error 1008"):
        try:
            print(mm.ask(prompt).backend)
        except mm.MiniMaxError as error:
            print(error.kind, *error.next_steps[:1])

can = True
loop = asyncio.new_event_loop()
nest_asyncio2.apply(loop)  # as a page's loop is
loop.run_until_complete(cell())
can = False
loop.run_until_complete(cell())
"""


def test_synchronous_call() -> None:
    """`mm.ask` answers and raises; a browser that can't switch stacks is told to `await`."""
    environ = {**os.environ, "MINIMAX_BACKEND": "offline", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", NESTED]
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stderr == ""
    answered, failed, *told = done.stdout.splitlines()
    assert answered == "offline"
    assert failed.startswith("billing")
    step = (
        "Write `await mm.ask_async(…)` instead of `mm.ask(…)`; likewise for `mm.compare` and "
        "`mm.map`."
    )
    assert told == [f"usage {step}"] * 2


def test_running_cell_of_its_kernel(shell: Shell) -> None:
    """Its kernel's `get_parent` takes no channel."""

    class Kernel:
        def get_parent(self) -> dict[str, object]:
            return {"content": {"allow_stdin": True}, "metadata": {"cellId": "a"}}

    shell.ip.kernel = Kernel()
    try:
        cell = running_cell(shell.ip)
    finally:
        del shell.ip.kernel

    assert (cell.id, cell.audience) == ("a", "page")


def test_type_without_pydantic(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that loads pydantic there is an import."""
    monkeypatch.setitem(sys.modules, "pydantic", None)

    error = shell.error("%%minimax --type int\nHow many?")

    assert isinstance(error, MiniMaxError)
    assert "`import pydantic`" in error.next_steps[0]


@pytest.mark.parametrize(
    "cell",
    [
        "%%minimax -m MiniMax-M3\nWhat is {{icon}}?",
        "import mm_magic as mm\nmm.ask(['What is this?', icon], model='MiniMax-M3')",
    ],
)
def test_picture_without_pillow(shell: Shell, monkeypatch: pytest.MonkeyPatch, cell: str) -> None:
    """The line that loads Pillow there is an import."""
    shell["icon"] = file_of(plain_image())
    monkeypatch.setitem(sys.modules, "PIL", None)

    error = shell.error(cell)

    assert isinstance(error, MiniMaxError)
    assert "pictures need Pillow" in error.message
    assert "`import PIL`" in error.next_steps[0]


def test_picture_with_pillow(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """The demo takes a picture there as anywhere, shows it and tells what arrived."""
    shell["icon"] = plain_image()

    shell.run("%%minimax -m MiniMax-M3 -o reply\nWhat is {{icon}}?")

    assert "[image/png, 8×5, " in capsys.readouterr().out
    assert "mean colour `#c81e28`" in shell["reply"].text


def test_functions_in_a_page(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo calls a function; who is to confirm it can't be asked, and pydantic is an import."""
    shell.run("looks = []\ndef look(at: str) -> None:\n    looks.append(at)\n")
    shell.run("%%minimax --tools look\nWhy?")
    assert len(shell["looks"]) == 1

    error = shell.error("%%minimax --tools look --confirm\nWhy?")
    assert isinstance(error, MiniMaxError)
    assert error.message == "there is no way to ask here whether a function may be called"
    monkeypatch.setitem(sys.modules, "pydantic", None)
    error = shell.error("%%minimax --tools look\nWhy?")
    assert isinstance(error, MiniMaxError)
    assert "`import pydantic`" in error.next_steps[0]
    assert len(shell["looks"]) == 1
