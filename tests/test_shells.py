"""The shells that tests run in their own process: none outlives its test."""

import gc
import weakref

from IPython.core.interactiveshell import InteractiveShell
from support.shells import fresh_shell


def ended_shell(cell: str) -> weakref.ref[InteractiveShell]:
    """A shell that ran a cell, if something still keeps it."""
    with fresh_shell() as shell:
        shell.run(cell)
        return weakref.ref(shell.ip)


def test_ended_shell_is_gone() -> None:
    """Nothing keeps a shell that ended, not even one that loaded all of IPython's magics."""
    ended_shell("")  # IPython keeps the first of a process
    shells = [ended_shell("1 + 1"), ended_shell("%config InteractiveShell"), ended_shell("")]
    with fresh_shell():
        gc.collect()
        assert [shell() for shell in shells] == [None, None, None]
