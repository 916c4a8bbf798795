"""Turns and the order in which they are sent: one turn a cell, in order of first run.

Pure values and one list. It sends nothing and draws nothing.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

from mm_magic.protocol.messages import (
    BaseResp,
    Block,
    JsonObject,
    Message,
    TextBlock,
    ThinkingBlock,
    Usage,
)
from mm_magic.protocol.request import user_message
from mm_magic.transport.endpoint import Backend

_REPR_CHARACTERS = 60
Status: TypeAlias = Literal["complete", "stopped", "incomplete"]


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """What the model answered. `str(reply)` is the text.

    `thinking_seconds` is how long it thought before its text, None if it did not.
    """

    message: Message
    status: Status = "complete"
    backend: Backend = "minimax"
    thinking_seconds: float | None = None

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        text = self.text
        shown = text if len(text) <= _REPR_CHARACTERS else f"{text[:_REPR_CHARACTERS]}…"
        return f"Reply({shown!r}, status={self.status!r}, backend={self.backend!r})"

    @property
    def text(self) -> str:
        """The answer, in Markdown as a rule."""
        return self.message.text

    @property
    def thinking(self) -> str:
        """What the model thought; "" if it did not."""
        return self.message.thinking

    @property
    def content(self) -> list[JsonObject]:
        """The content blocks as they stand on the wire."""
        return [block.to_wire() for block in self.message.content]

    @property
    def usage(self) -> Usage:
        """Tokens; each count is None where the server did not say."""
        return self.message.usage

    @property
    def stop_reason(self) -> str | None:
        """`end_turn`, `max_tokens`, `stop_sequence`, `tool_use`, or the server's own word."""
        return self.message.stop_reason

    @property
    def model(self) -> str | None:
        """The model that answered; it can differ from the one asked."""
        return self.message.model

    @property
    def id(self) -> str | None:
        """The server's id of the answer."""
        return self.message.id

    @property
    def base_resp(self) -> BaseResp | None:
        """MiniMax's own status, where it sent one."""
        return self.message.base_resp


class TurnKey(NamedTuple):
    """What makes a turn: the cell, and the how-manieth turn of one run of that cell, from 0."""

    cell_id: str
    nth: int


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt and its reply, in their place.

    `request` is the body as it was sent. `context` is the fingerprint of all that the model knew:
    while it is the same, thinking goes back as it came.
    """

    number: int
    key: TurnKey | None
    prompt: str
    reply: Reply
    request: JsonObject
    context: str


@dataclass(frozen=True, slots=True)
class History:
    """The earlier turns as they will be sent: `messages`, how many turns, and their `context`."""

    messages: Sequence[JsonObject]
    sent: int
    demo_left_out: int
    context: str


class Conversation:
    """The turns of one conversation, oldest first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.turns: list[Turn] = []
        self._last_number = 0

    def number_of(self, key: TurnKey | None) -> int:
        """The number that a turn with this key has, or will get."""
        place = self._place(key)
        return self._last_number + 1 if place is None else self.turns[place].number

    def before(self, key: TurnKey | None) -> list[Turn]:
        """The turns before the one with this key; all of them if there is none."""
        return self.turns[: self._place(key)]

    def commit(self, turn: Turn) -> None:
        """Put a turn in the place of the one with its key, or at the end.

        Where two ran at the same time, both expected the same number: the later gets the next.
        """
        place = self._place(turn.key)
        if place is None:
            self._last_number = max(self._last_number + 1, turn.number)
            self.turns.append(replace(turn, number=self._last_number))
        else:
            self.turns[place] = turn

    def remove(self, key: TurnKey | None) -> None:
        """Take the turn with this key out, if there is one. Its number is not used again."""
        place = self._place(key)
        if place is not None:
            del self.turns[place]

    def _place(self, key: TurnKey | None) -> int | None:
        if key is None:
            return None
        return next((i for i, turn in enumerate(self.turns) if turn.key == key), None)


def history(turns: Iterable[Turn], *, model: str, server: str, system: str) -> History:
    """The messages that stand before a new prompt.

    `server` names who will read them: a base URL, or "offline". Thinking goes back verbatim while
    model, server, system and everything before it are unchanged, and is left out otherwise:
    signed blocks are rejected in another context. A demo turn goes to nobody but the demo.
    """
    messages: list[JsonObject] = []
    sent = demo_left_out = 0
    context = _fingerprint("", [model, server, system])
    for turn in turns:
        if turn.reply.backend == "offline" and server != "offline":
            demo_left_out += 1
            continue
        content = sendable_content(turn.reply.message.content, thinking=turn.context == context)
        pair: list[JsonObject] = [
            user_message(turn.prompt),
            {"role": "assistant", "content": content},
        ]
        messages += pair
        sent += 1
        context = _fingerprint(context, pair)
    return History(messages, sent, demo_left_out, context)


def sendable_content(content: Iterable[Block], *, thinking: bool) -> list[JsonObject]:
    """The blocks that a server accepts back; an empty list if the turn can't be sent.

    The service refuses white-space-only text and a message that ends in thinking, which also
    leaves out thinking that was cut off.
    """
    blocks = [
        block
        for block in content
        if not (isinstance(block, TextBlock) and not block.text.strip())
        and (thinking or not isinstance(block, ThinkingBlock))
    ]
    while blocks and isinstance(blocks[-1], ThinkingBlock):
        blocks.pop()
    return [block.to_wire() for block in blocks]


def may_enter(reply: Reply) -> bool:
    """Whether a reply becomes part of its conversation: it is not broken, and it has text."""
    return reply.status != "incomplete" and bool(reply.text.strip())


def _fingerprint(before: str, value: object) -> str:
    text = json.dumps([before, value], ensure_ascii=True, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
