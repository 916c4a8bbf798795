"""An interrupt during a tool: it reaches code that blocks, and then whatever it reached before."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.kernels import Cell, Kernel

from mm_magic.session.tools import interrupts
from mm_magic.session.tools.calling import ToolResult, call
from mm_magic.session.tools.interrupts import interruptibly
from mm_magic.session.tools.tool import tools_of

ROOT = Path(__file__).parents[3]

TOOLS = """
import asyncio, signal, time
import mm_magic as mm
from mm_magic.session.sync import run_to_end
from mm_magic.session.tools.calling import call
from mm_magic.session.tools.tool import tools_of

def sleeps() -> str:
    print("asleep", flush=True)
    time.sleep(300)

def returns() -> str:
    return "awake"

sleeping, returning = tools_of([sleeps, returns])
"""

HANDLERS = """
def of_this_process():
    return run_to_end(call(sleeping, {}))

async def nested():
    run_to_end(call(sleeping, {}))

def of_a_runner():
    asyncio.run(call(sleeping, {}))

def of_a_loop_in_a_loop():
    asyncio.run(nested())
"""


@pytest.mark.parametrize("way", ["of_this_process", "of_a_runner", "of_a_loop_in_a_loop"])
def test_in_a_script(way: str) -> None:
    """Ctrl-C ends a tool that sleeps, raises KeyboardInterrupt, and puts back the handler."""
    code = (
        f"{TOOLS}{HANDLERS}\n"
        "before = signal.getsignal(signal.SIGINT)\n"
        f"try: {way}()\n"
        "except KeyboardInterrupt: print('interrupted')\n"
        "print(signal.getsignal(signal.SIGINT) is before)\n"
        "print(asyncio.run(call(returning, {})).text)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as script:  # fmt: skip
        assert script.stdout is not None
        assert script.stdout.readline() == "asleep\n"
        script.send_signal(signal.SIGINT)
        out, err = script.communicate(timeout=60)

    assert (out.splitlines(), err) == (["interrupted", "True", "awake"], "")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel"), {"MINIMAX_BACKEND": "offline"}) as kernel:
        assert kernel.run(TOOLS).status == "ok"
        yield kernel


def is_asleep(cell: Cell) -> bool:
    return "asleep" in cell.stdout


@pytest.mark.parametrize(
    ("code", "ename"),
    [
        ("await call(sleeping, {})", "CancelledError"),
        ("await asyncio.gather(call(sleeping, {}))", "CancelledError"),
        ("run_to_end(call(sleeping, {}))", "KeyboardInterrupt"),
    ],
    ids=["awaited", "in a task of its own", "synchronous"],
)
def test_in_a_kernel(kernel: Kernel, code: str, ename: str) -> None:
    """■ ends a tool that sleeps and its cell, and the kernel works on with the handler it had."""
    before = kernel.run("print(signal.getsignal(signal.SIGINT))").stdout
    cell = kernel.run(code, when=is_asleep)
    after = kernel.run("print(signal.getsignal(signal.SIGINT))").stdout

    assert (cell.status, cell.ename) == ("error", ename)
    assert (before, after) == (after, before)
    assert kernel.run("print((await call(returning, {})).text)").stdout == "awake\n"


def test_a_cancelled_cell_is_cancelled_once(kernel: Kernel) -> None:
    """Who catches the cancel of an interrupted tool can await again, to save what there is."""
    cell = kernel.run(
        "try:\n"
        "    await call(sleeping, {})\n"
        "except asyncio.CancelledError:\n"
        "    await asyncio.sleep(0.1)\n"  # a second cancel would come in that time
        "    print('saved')\n"
        "    raise\n",
        when=is_asleep,
    )

    assert cell.stdout == "asleep\nsaved\n"
    assert cell.ename == "CancelledError"


Handler = Callable[[int, FrameType | None], object]
Set = Callable[[Handler], None]


@pytest.fixture
def handler() -> Iterator[Set]:
    """Sets the handler of interrupts, until the test ends."""
    before = signal.getsignal(signal.SIGINT)

    def set_to(wanted: Handler) -> None:
        signal.signal(signal.SIGINT, wanted)

    yield set_to
    signal.signal(signal.SIGINT, before)


def struck_at(number: int, run: Callable[[], object]) -> bool:
    """Run it with an interrupt before its nth step there; False if it has fewer steps."""
    steps = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal steps
        if frame.f_code.co_filename not in (interrupts.__file__, signal.__file__):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            steps += 1
            if steps == number:
                signal.raise_signal(signal.SIGINT)
        return trace

    sys._getframe().f_trace_opcodes = True  # Python 3.12 wants it of a frame before the next line
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(None)
    return steps >= number


def test_the_handler_comes_back_wherever_an_interrupt_strikes(handler: Set) -> None:
    """Between any two steps an interrupt gets to the former handler once, which is back then."""
    came: list[int] = []
    tasks: list[asyncio.Task[None]] = []

    def former(number: int, _: FrameType | None) -> None:
        came.append(number)
        tasks[-1].cancel()

    async def main() -> None:
        await interruptibly(lambda: None)
        await asyncio.sleep(0)

    def run() -> None:
        tasks.append(loop.create_task(main()))
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(tasks[-1])

    handler(former)
    loop = asyncio.new_event_loop()
    number = 1
    try:
        while struck_at(number, run):
            assert signal.getsignal(signal.SIGINT) is former
            assert came == [signal.SIGINT] * number
            assert tasks[-1].cancelled()
            number += 1
    finally:
        loop.close()
    assert number > 100


def test_a_handler_that_cancels_nothing(handler: Set) -> None:
    """An interrupted tool has no result, whatever the former handler does: its task ends."""

    def strikes() -> None:
        signal.raise_signal(signal.SIGINT)

    came: list[int] = []
    handler(lambda number, _: came.append(number))
    with pytest.raises(asyncio.CancelledError), asyncio.Runner() as runner:
        runner.run(call(tools_of([strikes])[0], {}))
    assert came == [signal.SIGINT]


def test_pythons_own_handler(handler: Set) -> None:
    """Where an interrupt raises KeyboardInterrupt anyway, the tool's own is raised."""

    def strikes() -> None:
        signal.raise_signal(signal.SIGINT)

    handler(signal.default_int_handler)
    loop = asyncio.new_event_loop()
    with pytest.raises(KeyboardInterrupt) as raised:
        loop.run_until_complete(call(tools_of([strikes])[0], {}))
    loop.close()
    assert raised.traceback[-1].name == "strikes"
    assert raised.value.__context__ is None


def test_in_another_thread(handler: Set) -> None:
    """Only the main thread can set a handler: elsewhere a tool runs as it is."""

    def former(*_: object) -> None: ...

    def sees() -> bool:
        return signal.getsignal(signal.SIGINT) is former

    handler(former)
    results: list[ToolResult] = []
    thread = threading.Thread(
        target=lambda: results.append(asyncio.run(call(tools_of([sees])[0], {})))
    )
    thread.start()
    thread.join()
    assert [result.value for result in results] == [True]
