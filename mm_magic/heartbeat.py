"""A timer that wakes the event loop.

A signal that arrives while the loop waits in `select` is handled only when the loop wakes: without
this, a Stop in a silent stream took 27 s to be seen.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PERIOD = 0.05  # seconds


def _nothing() -> None:
    pass


@contextmanager
def heartbeat(beat: Callable[[], None] = _nothing) -> Iterator[None]:
    """Call `beat` every 50 ms while the body runs; the first time after 50 ms."""
    loop = asyncio.get_running_loop()

    timer: asyncio.TimerHandle | None = None

    def again() -> None:
        nonlocal timer
        timer = loop.call_later(PERIOD, again)
        beat()

    timer = loop.call_later(PERIOD, again)
    try:
        yield
    finally:
        timer.cancel()
