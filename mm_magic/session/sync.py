"""The synchronous way in: drive one coroutine to its end from a cell, a function or a script.

Nothing may go on after an interrupt: the task is cancelled and waited for, else its request would
stream and bill on in the background.
"""

import asyncio
import functools
import signal
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from mm_magic.errors import UsageError
from mm_magic.web_page import in_page

T = TypeVar("T")


def run_to_end(main: Coroutine[Any, Any, T]) -> T:
    """The result of `main`, whether or not an event loop runs in this thread.

    An interrupt (Ctrl-C, the notebook's ■) cancels it and raises KeyboardInterrupt; so does a
    cancel from another thread, which is the panel's Stop.
    """
    try:
        return _driven(main)
    finally:
        main.close()  # it may not have begun


def _driven(main: Coroutine[Any, Any, T]) -> T:
    loop = _running_loop()
    if loop is None:
        try:
            with asyncio.Runner() as runner:  # not asyncio.run: nesting replaces that one
                return runner.run(_awake(main))
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise KeyboardInterrupt from None  # how the loop was stopped is not the user's matter
    if not _can_nest(loop):
        raise UsageError(
            "this call can't wait for an answer in this event loop",
            next_steps=(
                "Write `await mm.ask_async(…)` instead of `mm.ask(…)`; likewise for `mm.compare` "
                "and `mm.map`.",
            ),
        )
    if in_page():
        return _settled(loop, main)
    with _interrupts_cancel(loop) as interrupts:
        task = interrupts.cancel_also(loop.create_task(_awake(main)))
        try:
            result = loop.run_until_complete(task)
            if interrupts.came:  # as the last thing ended: a loop around this must stop, too
                raise KeyboardInterrupt
            return result
        except asyncio.CancelledError:
            raise KeyboardInterrupt from None
        except BaseException:
            task.cancel()
            with suppress(BaseException):
                loop.run_until_complete(task)
            raise


async def _awake(main: Coroutine[Any, Any, T]) -> T:
    """Await it on a loop that never sleeps long.

    A kernel on Windows is interrupted without a signal: what sleeps until a server answers would
    not notice before that.
    """
    with heartbeat():
        return await main


def _settled(loop: asyncio.AbstractEventLoop, main: Coroutine[Any, Any, T]) -> T:
    """Run it on a page's loop. No error passes through that: it would be raised once more when the
    cell ends, though the cell has caught it."""
    result: asyncio.Future[T] = loop.create_future()

    async def settle() -> None:
        try:
            result.set_result(await main)
        except BaseException as error:
            result.set_exception(error)

    loop.run_until_complete(loop.create_task(settle()))
    return result.result()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _can_nest(loop: asyncio.AbstractEventLoop) -> bool:
    """Let a running loop be run again, where that can be. It can't be taken back."""
    if in_page():
        from pyodide.ffi import can_run_sync

        return bool(can_run_sync())  # its loop nests by itself where the browser switches stacks
    import nest_asyncio2

    try:
        nest_asyncio2.apply(loop)
    except ValueError:  # uvloop
        return False
    return True


class _Interrupts:
    """Cancels a task when an interrupt comes, or came before there was one."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.came = False
        self._loop = loop
        self._task: asyncio.Task[Any] | None = None

    def cancel_also(self, task: "asyncio.Task[T]") -> "asyncio.Task[T]":
        self._task = task
        if self.came:
            task.cancel()
        return task

    def handle(self, *_: object) -> None:
        self.came = True
        if self._task is not None:
            self._loop.call_soon_threadsafe(self._task.cancel)


@contextmanager
def _interrupts_cancel(loop: asyncio.AbstractEventLoop) -> Iterator[_Interrupts]:
    """While the body runs, an interrupt cancels its task instead of striking any line of code."""
    interrupts = _Interrupts(loop)
    before = signal.getsignal(signal.SIGINT)
    is_ours = threading.current_thread() is threading.main_thread() and _is_usual(before)
    if is_ours:
        signal.signal(signal.SIGINT, interrupts.handle)
    try:
        yield interrupts
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, before)


def _is_usual(handler: object) -> bool:
    """Whether it is Python's own handler, or that of `asyncio.run`.

    The latter cancels the outer task, which is busy driving this one and would never notice.
    Somebody's own handler stays in charge.
    """
    if isinstance(handler, functools.partial):
        return isinstance(getattr(handler.func, "__self__", None), asyncio.Runner)
    return handler is signal.default_int_handler


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
