"""One turn as a value: a prompt, its reply, and its place."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mm_magic.protocol.messages import JsonObject, join_surrogates
from mm_magic.reply import Reply

if TYPE_CHECKING:
    from mm_magic.chain import Link


class TurnKey(NamedTuple):
    """What makes a turn: the cell, and the how-manieth turn of one run of that cell, from 0."""

    cell_id: str
    nth: int


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """A prompt and its reply, in their place.

    One that stood alone has no `conversation`, and the number 0. `asked` is the request's body but
    for its messages. `sent` counts the earlier turns that it carried; `link` ends their chain, and
    is None where a file told of the turn. `context` is the fingerprint of all that the model was
    given, `knew` that of the turns in it. `replaces` are the ids of the turns that stood in its
    place before. `label` names its cell for the reader, as "[3]". `id` is a fingerprint of
    conversation, number, prompt and content.
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
    id: str = field(init=False)

    def __post_init__(self) -> None:
        place = [self.conversation, self.number, self.prompt, self.reply.content]
        object.__setattr__(self, "id", fingerprint(place))

    @property
    def is_demo(self) -> bool:
        return self.reply.backend == "offline"

    def is_of(self, cell_id: str | None) -> bool:
        """Whether this cell made it; none is of the cell None."""
        return self.key is not None and self.key.cell_id == cell_id

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
