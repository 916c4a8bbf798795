"""One turn as a value: a prompt, its reply, and its place."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from mm_magic.conversation.reply import Reply
from mm_magic.protocol.json_values import JsonObject, join_surrogates

TURN_MIME = "application/vnd.minimax.turn+json"
"""The MIME type under which a cell's outputs hold turns."""
_NOTEBOOK_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # as nbformat 4.5 has it


class TurnKey(NamedTuple):
    """What makes a turn: the cell, and the how-manieth turn of one run of that cell, from 0."""

    cell_id: str
    nth: int


def is_notebook_id(cell_id: str) -> bool:
    """Whether a notebook file can hold this id; VS Code names a cell by an address instead."""
    return _NOTEBOOK_ID.fullmatch(cell_id) is not None


@dataclass(frozen=True, eq=False)  # with slots, `turn.model = …` would raise a TypeError
class Turn:
    """A prompt and its reply, in their place.

    One that stood alone has no `conversation`, and the number 0. `asked` is the request's body but
    for its messages. `sent` counts the earlier turns that it carried; `link` ends their chain, and
    is None where a file told of the turn. `context` is the fingerprint of all that the model was
    given, `knew` that of the turns in it. `replaces` are the ids of the turns that stood in its
    place before. `label` names its cell for the reader, as "[3]". `hides_thinking` says that it was
    asked to be drawn without; no file tells it, as one must be able to look at what is sent. `id`
    is a fingerprint of conversation, number, prompt and content. `encoded` keeps its JSON, as it
    was sent with its thinking (True) and without.
    """

    conversation: str | None
    number: int
    key: TurnKey | None
    prompt: str
    reply: Reply
    asked: JsonObject
    context: str
    knew: str
    sent: int = 0
    link: "Link | None" = None
    replaces: tuple[str, ...] = ()
    label: str = ""
    is_hidden: bool = False
    hides_thinking: bool = False
    id: str = field(init=False)
    encoded: dict[bool, bytes] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        place = [self.conversation, self.number, self.prompt, self.reply.content]
        object.__setattr__(self, "id", fingerprint(place))

    @property
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
        return str(self.asked.get("model", ""))


def fingerprint(value: object) -> str:
    """16 hex digits that tell one JSON value from another, whatever a file did to it."""
    text = join_surrogates(json.dumps(settled(value), ensure_ascii=False, sort_keys=True))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def settled(value: object) -> object:
    """A JSON value as it comes back from a notebook file.

    Jupyter sorts the names of an object, and a browser writes 1.0 as 1. An object's type comes
    first, as on the wire.
    """
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: (name != "type", name))
        return {name: settled(value[name]) for name in names}
    if isinstance(value, list | tuple):
        return [settled(each) for each in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


NOTHING = ""
"""What the first turn knew."""


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """One earlier turn as it is sent, and all before it.

    `messages` is the JSON of prompt and answer, joined by a comma. The first link has no turn: it
    stands for model, server and system. `context` is the fingerprint of all up to here, `knew`
    that of the turns alone. `size` counts the bytes up to here.
    """

    before: "Link | None"
    turn: Turn | None
    messages: bytes
    context: str
    knew: str
    size: int
