"""What many rows cost and survive: for the tests, and at full length for `python -m bench.rows`."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pandas as pd

import mm_magic as mm
from mm_magic.session.api import session
from support.loopback import Connection, Loopback
from support.rows import echo

ROOT = Path(__file__).parents[2]


def took(function: Callable[[], object]) -> tuple[float, float]:
    """Seconds of wall, and of CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - wall, time.process_time() - cpu


async def bare(url: str, rows: int, in_flight: int) -> int:
    """Ask "Say 0", "Say 1" and so on by httpx alone behind a semaphore: the bytes received."""
    gate = asyncio.Semaphore(in_flight)
    body = {"model": "MiniMax-M2.7", "max_tokens": 2048, "stream": True}
    async with httpx.AsyncClient(timeout=60) as client:

        async def one(number: int) -> int:
            messages = [{"role": "user", "content": f"Say {number}"}]
            async with gate:
                data = json.dumps({**body, "messages": messages}).encode()
                response = await client.post(f"{url}/v1/messages", content=data)
                return len(response.content)

        return sum(await asyncio.gather(*map(one, range(rows))))


@dataclass(frozen=True, slots=True)
class Killed:
    """How a table ended whose process was killed again and again.

    `requests` is what the server got in all. `same_without_network` says that the answers file
    alone gives the same table.
    """

    requests: int
    same_without_network: bool


def kill_again_and_again(folder: Path, rows: int, parallel: int, kills: int, seed: int) -> Killed:
    """Ask the rows in a process that gets SIGKILL after 1 to 12 more requests, then in one that
    ends."""
    script = (
        "import pandas as pd, mm_magic as mm\n"
        f'mm.map("Say {{{{n}}}}", pd.DataFrame({{"n": range({rows})}}), parallel={parallel}, '
        'file="answers.jsonl").to_csv("table.csv")'
    )
    when, due, arrived = random.Random(seed), 0, threading.Event()

    def answer(connection: Connection) -> None:
        if len(connection.server.requests) >= due:
            arrived.set()
        echo(connection)

    def begin(**environ: str) -> "subprocess.Popen[bytes]":
        own = {"MINIMAX_BASE_URL", "MINIMAX_API_KEY"}
        kept = {name: value for name, value in os.environ.items() if name not in own}
        environ = {**kept, "PYTHONPATH": str(ROOT), **environ}
        return subprocess.Popen([sys.executable, "-c", script], cwd=folder, env=environ)

    def finish(**environ: str) -> bytes:
        with begin(**environ) as run:
            assert run.wait() == 0
        return (folder / "table.csv").read_bytes()

    with Loopback(answer) as server:
        for _ in range(kills):
            due = len(server.requests) + when.randint(1, 12)
            arrived.clear()
            with begin(MINIMAX_BASE_URL=server.url) as run:
                assert arrived.wait(60)
                run.send_signal(signal.SIGKILL)
        table = finish(MINIMAX_BASE_URL=server.url)
        requests = len(server.requests)
    return Killed(requests, finish() == table)


async def stop_at(server: Loopback, rows: pd.DataFrame, number: int, parallel: int) -> float:
    """Stop when so many requests have arrived in all, or let it end before: seconds until the last
    connection was closed."""
    task = asyncio.create_task(mm.map_async("Say {{n}}", rows, parallel=parallel))
    while len(server.requests) < number and not task.done():
        await asyncio.sleep(0)
    open_ones = [each for each in server.connections if each.closed_at is None]
    task.cancel()
    begin = time.monotonic()
    with suppress(asyncio.CancelledError):
        await task
    for connection in server.connections:
        assert await asyncio.to_thread(connection.closed.wait, 30)
    return max((each.closed_at or begin for each in open_ones), default=begin) - begin


def check_at_rest() -> None:
    """Nothing is in flight, and nothing runs."""
    current = session()
    assert current.running.runs == []
    assert {each.in_flight for each in current.client._limiters.values()} == {0}
