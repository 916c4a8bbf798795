"""A tool that asks a model itself, with `mm.ask` or `mm.ask_async`, while a turn is under way."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kernels import Kernel
from support.loopback import Loopback, head, stall, streamed

ROOT = Path(__file__).parents[3]
TOOLS = """
import asyncio, logging
import mm_magic as mm
# asyncio's debug mode reports steps over 0.1 s, which a tool is that waits for an answer
logging.getLogger("asyncio").addFilter(lambda record: "took %.3f seconds" not in record.msg)
from mm_magic.session.sync import run_to_end
from mm_magic.session.tools.calling import call
from mm_magic.session.tools.tool import tools_of

def asks(question: str) -> str:
    return mm.ask(question).text.split()[0]

async def asks_async(question: str) -> str:
    return (await mm.ask_async(question)).text.split()[0]

def asks_both(question: str) -> list[str]:
    return [mm.ask(question).text.split()[0] for _ in range(2)]

def fails(question: str) -> str:
    return mm.ask(question, temperature=7)

tools = {tool.name: tool for tool in tools_of([asks, asks_async, asks_both, fails])}
given = {"question": "Why?"}
"""
NAMES = ["asks", "asks_async", "asks_both"]
TEXTS = ["Offline", "Offline", '["Offline", "Offline"]']


@pytest.mark.parametrize("run", ["asyncio.run", "run_to_end"])
def test_in_a_script(run: str) -> None:
    """The model's answer is the result, and nothing is left open."""
    code = f"{TOOLS}\nfor name in {NAMES}: print({run}(call(tools[name], given)).text)\n"
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "MINIMAX_BACKEND": "offline"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.stdout.splitlines(), done.stderr) == (TEXTS, "")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


def test_in_a_kernel(kernel: Kernel) -> None:
    """The same in an awaited cell and in one that is not."""
    texts = [text.replace("Offline", "Rayleigh") for text in TEXTS]
    with Loopback(*[streamed()] * 8) as server:
        kernel.fresh(server.url)
        assert kernel.run(TOOLS).status == "ok"
        for name, text in zip(NAMES, texts, strict=True):
            awaited = kernel.run(f"print((await call(tools[{name!r}], given)).text)")
            synchronous = kernel.run(f"print(run_to_end(call(tools[{name!r}], given)).text)")
            assert (awaited.stdout, synchronous.stdout) == (f"{text}\n", f"{text}\n")


def test_an_ask_that_fails(kernel: Kernel) -> None:
    """Its error is the result, with the step that helps."""
    kernel.fresh()
    kernel.run(TOOLS)
    text = kernel.run("print((await call(tools['fails'], given)).text)").stdout
    assert text.startswith("mm_magic.errors.UsageError: temperature must be")


@pytest.mark.parametrize("name", ["asks", "asks_async"])
@pytest.mark.parametrize("run", ["await ", "run_to_end"])
def test_stop(kernel: Kernel, name: str, run: str) -> None:
    """■ closes the connection of a tool's own question, ends the cell, and all works again."""
    with Loopback([head(), stall], streamed()) as server:
        kernel.fresh(server.url)
        kernel.run(TOOLS)
        cell = kernel.run(
            f"{run}(call(tools[{name!r}], given))", when=lambda _: server.arrived.wait(30)
        )
        assert server.connections[0].closed.wait(30)
        assert cell.ename == ("CancelledError" if run == "await " else "KeyboardInterrupt")
        assert kernel.run("mm.ask('Why?').text").status == "ok"
        assert len(server.requests) == 2
