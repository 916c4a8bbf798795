"""Turns that meet faults of all kinds: on a loop, one after another, and in threads."""

import asyncio
import random
import threading
from collections import Counter
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING

from mm_magic.errors import MiniMaxError
from mm_magic.session.options import Options
from mm_magic.session.session import Session
from mm_magic.session.sync import run_to_end
from mm_magic.transport.body import Clocks
from mm_magic.transport.client import Client
from support.loopback import (
    END,
    Answer,
    Connection,
    Loopback,
    Step,
    captured,
    chunk,
    close,
    every,
    failure,
    head,
    pause,
    reset,
    send,
    sse,
    stall,
    streamed,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BEGUN = [head(), chunk(sse(*captured()[:8]))]
FAULTS: dict[str, Answer] = {
    "none": streamed(),
    "slow": [head(), *(s for e in captured() for s in (pause(0.002), chunk(sse(e)))), END],
    "JSON": whole(200, {"content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"}),
    "refused": failure(401, "invalid api key (2049)"),
    "busy": failure(529, "busy (2064)", retry_after="0.01"),
    "reset at once": reset,
    "closed at once": close,
    "reset in the answer": [*BEGUN, reset],
    "closed in the answer": [*BEGUN, close],
    "broken chunks": [*BEGUN, send(b"zz\r\n"), close],
    "error in the answer": [*BEGUN, chunk(sse({"type": "error", "error": {"message": "no"}})), END],
    "silence": [head(), stall],
    "silence in the answer": [*BEGUN, stall],
    "pings without end": [*BEGUN, every(0.02, sse({"type": "ping"}))],
    "open after its end": [head(), chunk(sse(*captured())), stall],
    "a page": whole(200, b"<html>Log in</html>", "text/html"),
    "a redirect": whole(302, b"", location="http://127.0.0.1:1/"),
    "no HTTP": [send(b"hello\r\n\r\n"), close],
}
CLOCKS = Clocks(silence=0.15, progress=0.2)


def impatient(url: str) -> Session:
    """A session whose clocks are short."""
    session = Session({"MINIMAX_BASE_URL": url})
    session.client = Client(clocks=CLOCKS, jitter=lambda: 0.0)
    return session


def choosing(chance: random.Random, met: Counter[str]) -> Step:
    """An answer that is another fault each time, until all had their turn."""
    names, place = chance.sample([*FAULTS], len(FAULTS)), count()

    def answer(connection: Connection) -> None:
        name = names[next(place) % len(names)]
        met[name] += 1
        met["requests"] += 1
        chosen = FAULTS[name]
        for step in [chosen] if callable(chosen) else chosen:
            step(connection)

    return answer


async def turn(session: Session, number: int, chance: random.Random) -> None:
    """One turn, that may fail or be cancelled at any moment."""
    options = Options(retries=1, conversation=f"c{number % 5}", stream=number % 3 > 0)
    asking = asyncio.create_task(session.turns.ask(f"Q{number}", options, alone=number % 4 == 0))
    if chance.random() < 0.3:
        asyncio.get_running_loop().call_later(chance.random() * 0.05, asking.cancel)
    with suppress(MiniMaxError, asyncio.CancelledError):
        await asking


async def at_once(session: Session, chance: random.Random) -> None:
    await asyncio.gather(*(turn(session, n, chance) for n in range(12)))
    for _ in range(20):  # the HTTP library's generators close themselves in the next steps
        await asyncio.sleep(0)
    assert not asyncio.all_tasks() - {asyncio.current_task()}


def one_by_one(session: Session, chance: random.Random) -> None:
    for number in range(3):
        with suppress(MiniMaxError, KeyboardInterrupt):
            run_to_end(turn(session, number, chance))


def in_threads(session: Session, chance: random.Random) -> None:
    threads = [threading.Thread(target=one_by_one, args=(session, chance)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def round_of_faults(seed: int, met: Counter[str]) -> None:
    """A server, and a session that asks it in all ways."""
    chance = random.Random(seed)
    ways: Sequence[Callable[[Session, random.Random], object]] = (
        lambda session, chance: asyncio.run(at_once(session, chance)),
        one_by_one,
        in_threads,
    )
    with Loopback(choosing(chance, met)) as server:
        session = impatient(server.url)
        for way in ways:
            way(session, chance)
        assert not session.running.runs
