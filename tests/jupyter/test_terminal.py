"""`%%minimax` in terminal IPython, in a real pseudo-terminal."""

import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from support.kernels import clean_environment
from support.loopback import (
    END,
    Loopback,
    captured,
    chunk,
    failure,
    head,
    sse,
    stall,
    streamed,
    until,
)
from support.shells import fresh_shell
from support.timing import within_half_a_second
from support.tool_service import CallsOnce

from mm_magic.session.api import session
from mm_magic.wording import columns

PARTS = [chunk(sse(event)) for event in captured()]
LIMIT = 30.0  # seconds
CTRL_C = "\x03"
# Makes the pseudo-terminal the controlling one, so that Ctrl-C becomes a signal.
START = (
    "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "import IPython; IPython.start_ipython(['--simple-prompt', '--no-banner', '--ext=mm_magic'])"
)


class Terminal:
    """IPython in a pseudo-terminal."""

    def __init__(self, folder: Path) -> None:
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", START],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env=clean_environment(folder) | {"TERM": "xterm", "COLUMNS": "", "LINES": ""},
            start_new_session=True,
        )
        os.close(slave)
        self._seen = ""
        self._cells = 1
        self.read_to("In [1]: ")

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def read_to(self, end: str) -> str:
        """What is printed up to and with `end`."""
        limit = time.monotonic() + LIMIT
        while end not in self._seen:
            ready, _, _ = select.select([self._master], [], [], limit - time.monotonic())
            assert ready, f"{end!r} did not come after {self._seen!r}"
            self._seen += os.read(self._master, 65536).decode()
        before, _, self._seen = self._seen.partition(end)
        return before + end

    def begin(self, cell: str) -> None:
        """Type a cell; what follows is its output."""
        if not cell.startswith("%%"):
            self.type(f"{cell}\n")
            self.read_to("\n")
            return
        self.type(f"{cell}\n\n\n")
        for _ in range(cell.count("\n") + 2):
            self.read_to("...: ")

    def end(self) -> str:
        """The output up to the next prompt."""
        self._cells += 1
        return self.read_to(f"In [{self._cells}]: ")

    def run(self, cell: str) -> str:
        self.begin(cell)
        return self.end()

    def close(self) -> None:
        self.type("\x15exit()\n")
        self._process.wait(LIMIT)
        os.close(self._master)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path_factory.mktemp("terminal"))
    yield terminal
    terminal.close()


def test_text_streams_and_thinking_is_dimmed(terminal: Terminal) -> None:
    """Text comes before the stream has ended, thinking dimmed, and no empty Out line follows."""
    may_end = threading.Event()
    with Loopback([head(), *PARTS[:8], until(may_end), *PARTS[8:], END]) as server:
        terminal.run(f"%env MINIMAX_BASE_URL={server.url}")
        terminal.begin("%%minimax\nWhy?")

        begun = terminal.read_to("Rayleigh scattering.")
        may_end.set()
        rest = terminal.end()

    assert "\x1b[2mThe sky scatters blue light.\x1b[0m" in begun.replace("\x1b[0m\x1b[2m", "")
    assert "39 in / 41 out" in rest
    assert "Out[" not in begun + rest
    assert "complete Rayleigh" in terminal.run("print(_.status, Out[max(Out)].text.strip())")
    assert "Rayleigh scattering." in terminal.run("_")


@pytest.mark.parametrize(
    ("options", "told"),
    [("", 'calling look(at="sea") …'), ("--confirm", 'Run look(at="sea")? [y/N] ')],
)
def test_call_is_told_on_its_own_line(terminal: Terminal, options: str, told: str) -> None:
    """Below the text that came a line tells what is called, or asks whether it may be, once."""
    function = "def look(at: str) -> str:\\n 'Look.'\\n return 'blue'"
    with Loopback(CallsOnce()) as server:
        terminal.run(f"%env MINIMAX_BASE_URL={server.url}")
        terminal.run(f'exec("{function}")')
        terminal.begin(f"%%minimax --alone --tools look {options}\nWhy?")
        asked = terminal.read_to(told)
        if options:
            terminal.type("y\n")
        rest = terminal.end()

    assert "Let me look." in asked.removesuffix(told).splitlines()
    assert asked.endswith(f"\n{told}")
    assert 'Call: look(at="sea") → blue' in rest


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ([stall], None),
        ([head(), stall], None),
        ([head(), *PARTS[:4], stall], " light."),
        ([head(), *PARTS[:8], stall], "Rayleigh scattering."),
        (failure(429, "rate limit (1002)", retry_after="50"), "trying again in"),
    ],
    ids=["no-answer", "no-event", "thinking", "text", "retry"],
)
@within_half_a_second
def test_ctrl_c(terminal: Terminal, answer: list[object], shown: str | None, limit: float) -> None:
    """Ctrl-C closes the connection within 0.5 s, keeps what came, and the next cell works."""
    with Loopback(answer, streamed()) as server:  # type: ignore[arg-type]
        terminal.run(f"%env MINIMAX_BASE_URL={server.url}")
        terminal.begin("%%minimax --alone\nWhy?")
        terminal.read_to(shown) if shown else server.arrived.wait(LIMIT)
        start = time.monotonic()
        terminal.type(CTRL_C)
        output = terminal.end()

        assert server.connections[0].closed.wait(LIMIT)
        assert (server.connections[0].closed_at or 0) - start < limit
        assert output.count("stopped") == 1
        assert "→ For a complete answer, run the cell again." in output
        assert "Traceback" not in output
        assert "complete" in terminal.run("get_ipython().run_cell_magic('minimax', '', 'A').status")


LONG = (
    "Why is the sky blue? **Air molecules** scatter short wavelengths more than long ones.\n\n"
    "- 天空之所以呈现蓝色，是因为太阳光中的短波光比长波光更容易被大气分子散射，这叫瑞利散射。\n\n"
    "```python\nscattering = {'blue': 4.4, 'green': 2.4, 'red': 1.0}  # relative to red light, so"
    " that this line is longer than any of the windows\n```\n"
)
THOUGHT = (
    "The user asks why the sky is blue, so I explain what light does in air, and say it short."
)


@pytest.fixture
def window(request: pytest.FixtureRequest, terminal: Terminal) -> Iterator[int]:
    """A window of so many columns."""
    terminal.resize(request.param)
    yield request.param
    terminal.resize(0)


@pytest.mark.parametrize("window", [60, 100], indirect=True)
def test_output_fits_the_window(terminal: Terminal, window: int) -> None:
    """Lines end between words at the width of the window, but those of code; `history` fits."""
    with Loopback(streamed(captured(text=LONG, thinking=THOUGHT))) as server:
        terminal.run(f"%env MINIMAX_BASE_URL={server.url}")
        told = terminal.run(f"%%minimax\n{'Why is the sky blue? ' * 5}")
        for cell in ("%minimax history", "%minimax show", "%minimax frobnicate", "%%minimax -h"):
            told += "\n" + terminal.run(cell)
    text = re.sub(r"\x1b\[[0-9;]*m|\r(?=\n)|^.*(\.\.\.|In \[\d+\]): ", "", told, flags=re.MULTILINE)
    lines = text.split("\n")

    assert [line for line in lines if columns(line) > window and "{'blue'" not in line] == []
    assert text.count(LONG.split("\n")[5]) == 2
    assert "sent" in text
    for words in (LONG.split("\n")[0], THOUGHT):
        assert words in re.sub(r"\n(?=\S)", " ", text)


@pytest.mark.parametrize("window", [60], indirect=True)
def test_comparison_fits_the_window(terminal: Terminal, window: int) -> None:
    """So do the table and the answers of a cell that asks for several, also when shown again."""
    long = " ".join(["Answer as a kind teacher would"] * 2)
    with Loopback(streamed(captured(text=THOUGHT))) as server:
        terminal.run(f"%env MINIMAX_BASE_URL={server.url}")
        told = terminal.run(f'%%minimax -s "{long}" -s "{long}!" -t 0.1,0.5 -o four\nWhy?')
        told += "\n" + terminal.run("%minimax show") + "\n" + terminal.run("four")
    marks = r"\x1b\[[0-9;]*m|.*\r\x1b\[2K|\r(?=\n)|^.*(\.\.\.|In \[\d+\]): "
    text = re.sub(marks, "", told, flags=re.MULTILINE)

    assert [line for line in text.split("\n") if columns(line) > window] == []
    assert text.count("All 4 answers are the same") == 3


def test_typed_prompt_that_looks_like_python(terminal: Terminal) -> None:
    """A typed cell ends at a blank line, also behind a backslash, and is sent as it stands."""
    with Loopback(streamed()) as server:
        terminal.run(f"%env MINIMAX_BASE_URL={server.url}")
        terminal.run("%%minimax --alone\n>>> def f(:\nIn [4]: x\nGo on: \\")

        (message,) = server.requests[-1].json["messages"]
    assert message["content"] == ">>> def f(:\nIn [4]: x\nGo on: \\"


def test_file_that_holds_few_characters(tmp_path: Path) -> None:
    """Where the output can't hold a character, as on Windows, a "?" stands for it."""
    with Loopback(streamed(captured(text="\u00e9 \U0001f600 end"))) as server:
        done = subprocess.run(
            [sys.executable, "-m", "IPython", "--simple-prompt", "--ext=mm_magic", "-c",
             "get_ipython().run_cell_magic('minimax', '', 'Why?');"],
            env=clean_environment(tmp_path)
            | {"MINIMAX_BASE_URL": server.url, "PYTHONIOENCODING": "cp1252"},
            capture_output=True,
            encoding="cp1252",
            check=True,
            timeout=LIMIT,
        )  # fmt: skip

    assert "\u00e9 ? end\nMiniMax-M2.7 \u00b7 turn 1" in done.stdout


def test_not_a_terminal(tmp_path: Path) -> None:
    """Through a pipe the text has no escapes and no line that is wiped."""
    with Loopback(streamed()) as server:
        done = subprocess.run(
            [sys.executable, "-m", "IPython", "--simple-prompt", "--ext=mm_magic", "-c",
             "get_ipython().run_cell_magic('minimax', '', 'Why?');"],
            env=clean_environment(tmp_path) | {"MINIMAX_BASE_URL": server.url},
            capture_output=True,
            text=True,
            check=True,
            timeout=LIMIT,
        )  # fmt: skip

    assert "Rayleigh scattering.\nMiniMax-M2.7 · turn 1 · 39 in / 41 out" in done.stdout
    assert "\x1b" not in done.stdout


class _Output(io.StringIO):
    """A terminal, or a file."""

    def __init__(self, *, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize("is_terminal", [True, False])
def test_demo_waits_for_readers_alone(*, is_terminal: bool) -> None:
    """Only a terminal shows the demo's words as they come; a file gets them without a wait."""
    with fresh_shell() as shell, redirect_stdout(_Output(is_terminal=is_terminal)):
        shell.run("%%minimax --max-tokens 5\nWhy?")
        assert session().cells.here.is_watched is is_terminal
