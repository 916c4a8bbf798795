"""What is left of what has ended: threads, open files, memory, and complaints that nobody hears."""

import gc
import logging
import sys
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PAGE = 4096  # bytes
LOAD = """
import gc, json, os, sys, threading
from contextlib import suppress
def _open_files():
    for number in os.listdir("/proc/self/fd"):
        with suppress(OSError):
            yield os.readlink(f"/proc/self/fd/{number}")
"""
LOOK_AT_IT = f"""
gc.collect()
print(json.dumps({{
    "threads": threading.active_count(),
    # IPython has a thread that opens and closes what belongs to its history at any moment.
    "files": sum("/profile_default" not in each for each in _open_files()),
    "size": {PAGE} * int(open("/proc/self/statm").read().split()[1]),
    "blocks": sys.getallocatedblocks(),
}}))
"""
"""A kernel that has run the first looks at itself with the second."""


@dataclass(frozen=True, slots=True)
class Left:
    """What a process has after so many requests, or so many cells: that is `after`.

    `size` is its memory in bytes, `blocks` are the pieces of it that Python has handed out.
    """

    after: int
    threads: int
    files: int
    size: int
    blocks: int

    @classmethod
    def now(cls, after: int) -> "Left":
        """What this process has, but for what caches hold that never hold more than so much."""
        clear_caches()
        gc.collect()
        return cls(
            after=after,
            threads=threading.active_count(),
            files=sum(1 for _ in Path("/proc/self/fd").iterdir()),
            size=PAGE * int(Path("/proc/self/statm").read_text("ascii").split()[1]),
            blocks=sys.getallocatedblocks(),
        )


def clear_caches() -> None:
    """Empty the caches that fill up in the first thousands of requests, and then stay as large.

    Each of 4,096 places of CPython's cache of attributes holds the name that was looked up last.
    In 3.11 that is a new string of 64 bytes wherever `match` looks into a class: 6 kB in each round
    of faults, until nearly all places are taken.
    """
    getattr(sys, "_clear_internal_caches", sys._clear_type_cache)()
    urllib.parse.clear_cache()  # type: ignore[attr-defined]  # up to 128 addresses of servers


def grown(life: Sequence[Left], what: str) -> int:
    """By how much a number is higher at the end of a process's life than it was at first."""
    return int(getattr(life[-1], what)) - int(getattr(life[0], what))


def slope(lives: Sequence[Sequence[Left]], what: str = "size") -> float:
    """By how much each request or cell makes a number higher: the line that fits all lives best."""
    over = under = 0.0
    for life in lives:
        middle = sum(each.after for each in life) / len(life)
        over += sum((each.after - middle) * getattr(each, what) for each in life)
        under += sum((each.after - middle) ** 2 for each in life)
    return over / under if under else 0.0


@contextmanager
def complaints() -> Iterator[list[str]]:
    """What asyncio logs while the body runs, and the errors of finalizers and of threads."""
    heard: list[str] = []

    class Hearing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    hearing, logger = Hearing(logging.WARNING), logging.getLogger("asyncio")
    before = sys.unraisablehook, threading.excepthook
    logger.addHandler(hearing)
    sys.unraisablehook = lambda raised: heard.append(f"{raised.exc_value!r} in {raised.object!r}")
    threading.excepthook = lambda raised: heard.append(f"{raised.exc_value!r} in a thread")
    try:
        yield heard
    finally:
        sys.unraisablehook, threading.excepthook = before
        logger.removeHandler(hearing)
