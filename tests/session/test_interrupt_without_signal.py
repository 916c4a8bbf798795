"""Stop as a kernel on Windows has it: a flag for the interpreter, and no signal that would wake a
loop which waits for a server."""

import _thread
import asyncio
import threading

import pytest

from mm_magic.session.sync import run_to_end


@pytest.mark.timeout(30)
def test_a_loop_that_waits_for_nothing_else_is_interrupted() -> None:
    """The task is cancelled, and the interrupt raised, though nothing else happens."""
    was_cancelled = threading.Event()

    async def main() -> None:
        threading.Timer(0.3, _thread.interrupt_main).start()  # nothing tells when a loop sleeps
        try:
            await asyncio.Event().wait()
        finally:
            was_cancelled.set()

    with pytest.raises(KeyboardInterrupt):
        run_to_end(main())
    assert was_cancelled.is_set()
