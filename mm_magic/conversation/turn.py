"""One turn as a value: a prompt, the messages that followed, and its place."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from mm_magic.conversation.reply import Reply
from mm_magic.conversation.sent_messages import Sending, sent_messages
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.json_values import (
    JsonObject,
    encode_json,
    fingerprint,
    settled,
)
from mm_magic.protocol.messages import Message
from mm_magic.protocol.request_key import prompt_print

TURN_MIME = "application/vnd.minimax.turn+json"
"""The MIME type under which a cell's outputs hold turns."""
NOTHING = ""
"""The hash of no turns."""
_NOTEBOOK_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # as nbformat 4.5 has it


class TurnKey(NamedTuple):
    """What makes a turn: a cell, and the place among the turns of one run of it, from 0."""

    cell_id: str
    index_in_cell: int


def is_notebook_id(cell_id: str) -> bool:
    """Whether a notebook file can hold this id; VS Code names a cell by an address instead."""
    return _NOTEBOOK_ID.fullmatch(cell_id) is not None


@dataclass(frozen=True, eq=False)  # with slots, `turn.model = …` would raise a TypeError
class Turn:
    """A prompt and what followed, in their place.

    One that stood alone has no `conversation`, and the number 0. `reply` is the last of the
    messages that followed, `earlier_steps` are those before it. `parameters` is the request's body
    but for its messages, and `said` names those of them that the notebook set. `request_key` is
    the hash of the request's `RequestKey`, `sample` counts the answers to that same request, from
    0. `context_hash` is the fingerprint of all that the model was given, `turns_hash` that of the
    turns in it. `sent` counts the earlier turns that the request carried; `link` ends their chain,
    and is None for a turn that was read from a file. `replaces` are the ids of the turns that
    stood in its place before. `label` names its cell for the reader, as "[3]". `hides_thinking`
    says that its cell was asked not to draw it; no file says so, as a reader must be able to look
    at what is sent. `is_version_1`: it was read from a file of version 0.1, where an option that is
    not set can't be told from its default. `extra` are fields of its saved form that this release
    does not know.
    """

    conversation: str | None
    number: int
    key: TurnKey | None
    prompt: Prompt
    reply: Reply
    parameters: JsonObject
    context_hash: str
    turns_hash: str
    earlier_steps: tuple[Message, ...] = ()
    said: frozenset[str] = frozenset()
    request_key: str = ""
    sample: int = 0
    sent: int = 0
    link: "Link | None" = None
    replaces: tuple[str, ...] = ()
    label: str = ""
    is_hidden: bool = False
    hides_thinking: bool = False
    is_version_1: bool = False
    extra: Mapping[str, object] = field(default_factory=dict)
    _encoded: dict[bool, bytes] = field(init=False, repr=False, default_factory=dict)

    @cached_property
    def id(self) -> str:
        """A fingerprint of conversation, number, prompt and content."""
        content = self.reply.content
        if self.earlier_steps:
            content = [*(step.to_wire() for step in self.earlier_steps), *content]
        return fingerprint([self.conversation, self.number, self.prompt.to_wire(), content])

    @property
    def steps(self) -> tuple[Message, ...]:
        """The messages that followed the prompt: one, the answer, in the ordinary case."""
        return (*self.earlier_steps, self.reply.message)

    @cached_property
    def prints(self) -> tuple[str, ...]:
        """The fingerprints of its prompt and of what followed without thinking.

        Later requests know it by them.

        There are none where no server would take its answer: then it is not sent.
        """
        messages = self.messages(in_context=False)
        return (*map(prompt_print, messages[:1]), *map(fingerprint, messages[1:]))

    def messages(self, *, in_context: bool) -> list[JsonObject]:
        """Its messages as a server accepts them back; see `sent_messages`."""
        is_cut = self.reply.status != "complete" or self.reply.stop_reason == "max_tokens"
        messages = (Message(role="user", content=self.prompt.content), *self.steps)
        sent = sent_messages(messages, Sending(in_context, is_whole=not is_cut))
        return [self._wire(message) for message in sent]

    def _wire(self, message: Message) -> JsonObject:
        if message.content == self.prompt.content and message.role == "user":
            return self.prompt.message()
        content = [block.to_wire() for block in message.content]
        return {"role": message.role, "content": settled(content)}

    def encoded(self, *, in_context: bool) -> bytes:
        """The JSON of its messages; kept, as later requests join the same bytes."""
        known = self._encoded
        if in_context not in known:
            encoded = b",".join(map(encode_json, self.messages(in_context=in_context)))
            known[in_context] = (
                known[not in_context] if encoded == known.get(not in_context) else encoded
            )
        return known[in_context]

    @property
    def asked(self) -> JsonObject:
        """What of `parameters` the notebook set."""
        return {name: self.parameters[name] for name in self.said if name in self.parameters}

    @property
    def system(self) -> str:
        """The system prompt, "" if none was sent."""
        return str(self.parameters.get("system") or "")

    @cached_property
    def is_demo(self) -> bool:
        return self.reply.is_demo

    def is_of(self, cell_id: str | None) -> bool:
        """Whether this cell made it; none is of the cell None."""
        return self.key is not None and self.key.cell_id == cell_id

    def is_strange_to(self, key: TurnKey) -> bool:
        """Whether its cell bears another sort of name than the cell of this key.

        A front end then does not tell which cell of the file is running.
        """
        mine = self.key
        return mine is not None and is_notebook_id(mine.cell_id) != is_notebook_id(key.cell_id)

    @property
    def model(self) -> str:
        """The model that was asked."""
        return str(self.parameters.get("model", ""))


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """One earlier turn as it is sent, and all before it.

    `messages` is the JSON of its messages, joined by commas. The first link has no turn: it stands
    for model, server and system prompt. In a chain that is not `with_thinking` no turn is sent with
    its thinking. `context_hash` is the fingerprint of all up to here,
    `turns_hash` that of the turns alone. `size` counts the bytes up to here.
    """

    before: "Link | None"
    turn: Turn | None
    messages: bytes
    context_hash: str
    turns_hash: str
    size: int
    with_thinking: bool = True
