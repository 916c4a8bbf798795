"""`mm.ask`, `mm.ask_async` and `mm.read_notebook`: what programs use."""

import os
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, TypedDict, Unpack

from mm_magic.conversation.reply import Reply
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.protocol.request import Effort, Thinking
from mm_magic.session.session import Session
from mm_magic.session.sync import run_to_end

if TYPE_CHECKING:
    from mm_magic.conversation.conversation import Conversation

_first_use = Lock()


def session() -> Session:
    """The only session of this process, which the magics and `ask` share."""
    with _first_use:  # two threads may ask first at the same moment
        return _session()


def forget_session() -> None:
    """Drop the session: its key, settings and conversations. The next use makes a new one."""
    with _first_use:
        _session.cache_clear()


@cache
def _session() -> Session:
    return Session()


class AskOptions(TypedDict, total=False):
    """The options of `ask`. `%config MiniMax` gives those that are left out; None unsets one."""

    model: str
    temperature: float | None
    max_tokens: int | None
    top_p: float | None
    system: str
    thinking: Thinking
    effort: Effort | None
    stream: bool
    conversation: str
    retries: int


def ask(prompt: str, *, show: bool = False, **options: Unpack[AskOptions]) -> Reply:
    """Ask, and wait for the complete reply.

        reply = mm.ask("Name three noble gases.", temperature=0.2)
        print(reply)

    Options: model, temperature (0, 1], max_tokens, top_p (0, 1], system, thinking ("auto",
    "adaptive" or "disabled"), effort ("low" to "max", if the model supports it), stream,
    conversation, retries. The request stands alone and is not remembered, unless you name a
    `conversation` ("main" is the notebook's). With `show`, the answer is drawn as in a
    `%%minimax` cell; `%load_ext mm_magic` must have run.

    Works in scripts, cells, functions, loops and threads. Raises MiniMaxError; an interrupt
    raises KeyboardInterrupt.
    """
    try:
        return run_to_end(ask_async(prompt, show=show, **options))
    except (MiniMaxError, KeyboardInterrupt) as error:
        raise error.with_traceback(None) from None  # our own frames say nothing


async def ask_async(prompt: str, *, show: bool = False, **options: Unpack[AskOptions]) -> Reply:
    """The same as `ask`, but awaited: `await asyncio.gather(*map(mm.ask_async, prompts))`."""
    if unknown := options.keys() - AskOptions.__annotations__.keys():
        raise UsageError(
            f"ask has no option {min(unknown)!r}",
            next_steps=(f"Its options: {', '.join([*AskOptions.__annotations__, 'show'])}.",),
        )
    current = session()
    try:
        chosen = current.options.overridden(options)
        ask_it = current.ask_drawn if show else current.ask
        return await ask_it(prompt, chosen, alone="conversation" not in options)
    except MiniMaxError as error:
        raise error.with_traceback(None) from None


def read_notebook(path: str | os.PathLike[str]) -> dict[str, "Conversation"]:
    """The conversations in a notebook file, by name, as the last kernel had them.

        for turn in mm.read_notebook("lesson.ipynb")["main"].turns:
            print(turn.number, turn.prompt, turn.reply.text)

    It needs no Jupyter. Raises UsageError if the file can't be read.
    """
    from mm_magic.conversation.stored import conversations  # only who reads files needs it

    return conversations(path)
