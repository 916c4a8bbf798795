"""An interrupt (Ctrl-C, the notebook's ■) that reaches code which blocks: a tool or `input()`."""

import asyncio
import signal
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_PATIENCE = 0.5
"""Seconds that a handler has to cancel this task. The kernel's needs three turns of the loop."""


async def interruptibly(run: Callable[[], T]) -> T:
    """What `run` returns, or raises; an interrupt ends it.

    In an awaited cell the kernel's handler only cancels the cell's task, and code that blocks
    does not notice: `time.sleep(8)` ended 6.6 s later. Python's own handler, which is there while
    `run` runs, raises KeyboardInterrupt in it (0.1 to 0.4 s). The interrupt then goes to the
    handler that was there before, and this raises what it makes of it: KeyboardInterrupt, or
    CancelledError where it cancels a task. A KeyboardInterrupt that left a task would end the
    kernel's event loop.
    """
    try:
        return _with_pythons_handler(run)
    except KeyboardInterrupt:
        if not _has_other_handler():
            raise
    signal.raise_signal(signal.SIGINT)
    await asyncio.sleep(_PATIENCE)  # ends at once with the cancel
    raise asyncio.CancelledError


def _has_other_handler() -> bool:
    """Whether an interrupt of this thread does something else than raise KeyboardInterrupt."""
    return _is_main_thread() and signal.getsignal(signal.SIGINT) is not signal.default_int_handler


def _is_main_thread() -> bool:
    """Whether interrupts come to this thread, the only one that can set a handler."""
    return threading.current_thread() is threading.main_thread()


def _with_pythons_handler(run: Callable[[], T]) -> T:
    before = signal.getsignal(signal.SIGINT)
    if not _is_main_thread() or before is None:  # None: not set from Python, so not put back either
        return run()
    try:
        try:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            return run()
        finally:
            signal.signal(signal.SIGINT, before)
    finally:  # once more, as an interrupt may strike the line above
        signal.signal(signal.SIGINT, before)
