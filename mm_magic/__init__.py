"""Prompt MiniMax models from a notebook.

    %load_ext mm_magic

    %%minimax
    Why is the sky blue?

From Python: `import mm_magic as mm; reply = mm.ask("Why is the sky blue?"); print(reply)`.
"""

from typing import TYPE_CHECKING

from mm_magic.conversation.replies import Replies
from mm_magic.conversation.reply import Reply
from mm_magic.errors import (
    AnswerError,
    MiniMaxError,
    NetworkError,
    ProtocolError,
    ServiceError,
    Stopped,
    UsageError,
)
from mm_magic.session.api import (
    ask,
    ask_async,
    compare,
    compare_async,
    map,  # noqa: A004 - it is `mm.map`
    map_async,
    read_notebook,
)

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = [
    "AnswerError",
    "MiniMaxError",
    "NetworkError",
    "ProtocolError",
    "Replies",
    "Reply",
    "ServiceError",
    "Stopped",
    "UsageError",
    "ask",
    "ask_async",
    "compare",
    "compare_async",
    "map",
    "map_async",
    "read_notebook",
]
__version__ = "0.2.0.dev0"


def load_ipython_extension(shell: "InteractiveShell") -> None:
    """`%load_ext mm_magic`."""
    from mm_magic.jupyter.extension import load

    load(shell)


def unload_ipython_extension(shell: "InteractiveShell") -> None:
    """`%unload_ext mm_magic`."""
    from mm_magic.jupyter.extension import unload

    unload(shell)
