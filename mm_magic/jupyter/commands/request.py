"""`%minimax request` and `code`: what was sent, what came, and the code in an answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import dedent

from mm_magic.conversation.history import links_of
from mm_magic.conversation.steps import messages_so_far
from mm_magic.conversation.turn import Link, Turn
from mm_magic.errors import UsageError
from mm_magic.jupyter.arguments import read_command
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.commands.history import no_turns, turn_numbered
from mm_magic.jupyter.views.finished import show
from mm_magic.jupyter.views.printed import print_lines
from mm_magic.protocol.json_values import JsonObject, encode_json
from mm_magic.protocol.request import Request
from mm_magic.session.options import SWITCH, option
from mm_magic.session.session import Session
from mm_magic.session.turn_request import TurnRequest
from mm_magic.wording import json_text, shortened

# Behind a fence stands `python`, `Python 3`, `ipython3`, `{python}`, `{.python #id}`, `py:a.py`,
# `python title="x"`, `{code-cell} ipython3`, a file's name, or nothing. `pycon` is no program.
_ATTRIBUTE = re.compile(r"""[\w-]+\s*=\s*("[^"]*"|'[^']*'|[^\s,}]+)""")
_WORD = re.compile(r"""[^\s{}()\[\],:;"'`]+""")
_CELL = ("code", "code-block", "code-cell", "cell")
_PYTHON = re.compile(r"(jupyter|pyodide|(jupyter-|pyodide-|i)?python|py)[-.\d]*|.*\.pyi?")


@dataclass(frozen=True, slots=True)
class RequestOptions:
    """The options of `%minimax request`."""

    events: bool = option(
        False, SWITCH, "--events", help="also show the events that arrived, with their times"
    )


def request(here: Here, words: Sequence[str]) -> None:
    """`%minimax request [N] [--events]`: the exact JSON that was sent last, or for turn N."""
    number, given = read_command("request", RequestOptions, words)
    session = here.session
    turn = None if number is None else turn_numbered(here.session, number)
    if given.events:
        _show_events(here, turn)
        return
    if turn is None:
        print(_last(session).in_words())
        return
    now = session.requests.history_now(turn)
    sent = now.link if turn.link is None and turn.context_hash == now.context_hash else turn.link
    if sent is None:
        print_lines("What was sent is no longer known: earlier turns have changed since.")
    else:
        print(json_text(_body(turn, sent)))
    if sent is None or sent.context_hash != now.context_hash:
        print_lines("\nIf the cell ran again now, it would send:")
        print(json_text(_body(turn, now.link)))


def code(here: Here, words: Sequence[str]) -> None:
    """`%minimax code [N]`: this cell becomes the Python code of the answer. It is not run."""
    turn = turn_numbered(here.session, words[0]) if words else here.session.latest.turn
    if turn is None:
        raise no_turns("there is no answer yet")
    from mm_magic.rendering.markdown import code_blocks

    # It is made plain there: what reorders or hides code is seen in it.
    found = code_blocks(turn.reply.text)
    named = [(_language(info), dedent(code)) for info, code in found if code.strip()]
    blocks = [code for language, code in named if _is_python(language)]
    if not blocks:
        others = f", only {shortened(', '.join(dict(named)), 60)}" if named else ""
        raise UsageError(
            f"the answer contains no Python code{others}",
            next_steps=("For the code of another turn: `%minimax code N`",),
        )
    here.shell.set_next_input("\n".join(blocks).rstrip("\n"), replace=True)


def _language(info: str) -> str:
    """The name of the language behind a fence, in lower case; "" where there is none."""
    words = [word.lower() for word in _WORD.findall(_ATTRIBUTE.sub(" ", info))]
    classes = [word for word in words if word.startswith(".")] if "{" in info else []
    named = classes or [word for word in words if word not in _CELL and not word.startswith("#")]
    return named[0].lstrip(".") if named else ""


def _is_python(language: str) -> bool:
    return not language or _PYTHON.fullmatch(language) is not None


def _show_events(here: Here, turn: Turn | None) -> None:
    """The requests of a turn, or of the last one, each beside what came for it."""
    from mm_magic.rendering.exchange_view import wire_bundle

    exchanges = here.session.latest.exchanges
    last = exchanges.to(_last(here.session)) if turn is None else exchanges.of_turn(turn.id)
    if last is None:
        raise UsageError(
            "no answer has arrived"
            if turn is None
            else f"what arrived for turn {turn.number} is no longer kept",
            next_steps=("Run the cell again: only the last few answers are kept as they arrived.",),
        )
    endpoint = last.of.endpoint
    key = endpoint.key.reveal() if endpoint and endpoint.key else ""
    kept = exchanges.all_of_turn(last.of)
    show(here.shell, *(wire_bundle(each.of.in_words(), each, key) for each in kept), is_code=True)


def _last(session: Session) -> TurnRequest:
    if session.latest.request is None:
        raise UsageError(
            "nothing has been sent yet",
            next_steps=("`%%minimax --dry-run` shows what a cell would send.",),
        )
    return session.latest.request


def _body(turn: Turn, link: Link) -> JsonObject:
    """The request of a turn behind these earlier ones, for a reader."""
    earlier = turn.reply.earlier_steps
    steps = messages_so_far(turn.sent_prompt, earlier, in_context=link.with_thinking)[1:]
    own = [turn.sent_prompt.encode(), *map(encode_json, steps)]
    messages = [*(each.messages for each in links_of(link)), *own]
    return Request(messages, turn.parameters).to_shown()
