"""Asks the user whether a function may be called: with `input()`, where there are no buttons."""

import sys
from functools import partial
from typing import Protocol

from mm_magic.conversation.steps import call_in_words
from mm_magic.errors import UsageError
from mm_magic.protocol.messages import ToolUseBlock
from mm_magic.session.tools.interrupts import interruptibly
from mm_magic.wording import plain, shortened

_SHOWN = 500
"""Characters of a call in a question where the page shows it whole."""


class Confirm(Protocol):
    """Whoever asks the user."""

    def check(self) -> None:
        """Raise UsageError where nobody can be asked."""

    async def allows(self, use: ToolUseBlock, *, is_awaited: bool) -> bool:
        """Whether the user allows this call; `is_awaited`: the kernel's loop is free meanwhile."""


class InTerminal:
    """Asks with `input()`."""

    def check(self) -> None:
        if sys.stdin is None or not sys.stdin.isatty():
            raise nobody()

    async def allows(self, use: ToolUseBlock, *, is_awaited: bool) -> bool:  # noqa: ARG002 - it waits anyway
        return await ask_in_line(use)


async def ask_in_line(use: ToolUseBlock, *, is_shown: bool = False) -> bool:
    """Ask with `input()`; an interrupt ends it.

    The question has the whole call, as nobody can decide on what is cut off; but where the call
    `is_shown` above it, a long one would leave no room to type.
    """
    call = plain(call_in_words(use))
    call = shortened(call, _SHOWN if is_shown else len(call))
    answer = await interruptibly(partial(input, f"Run {call}? [y/N] "))
    return answer.strip().lower() in ("y", "yes")


def nobody() -> UsageError:
    """The error where nobody watches."""
    return UsageError(
        "there is no way to ask here whether a function may be called",
        next_steps=(
            "To call functions without asking: leave out `--confirm` (in Python, `confirm=True`).",
        ),
    )
