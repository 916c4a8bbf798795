"""The earlier turns as a request carries them: JSON that is written once, and a fingerprint.

Each turn is encoded when it is sent first; later requests join the same bytes, also those of
another chain.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mm_magic.conversation.turn import NOTHING, Link, Turn, fingerprint, settled
from mm_magic.protocol.json_values import JsonObject
from mm_magic.protocol.messages import Block, TextBlock, ThinkingBlock
from mm_magic.protocol.request import encode_message, user_message


@dataclass(frozen=True, slots=True)
class History:
    """The earlier turns as they will be sent.

    `sent` counts them; `knew` is the fingerprint of the turns above. `demo_left_out` and
    `too_long` count what stays out: turns of the demo, and the oldest where there is no room.
    """

    link: Link
    sent: int = 0
    knew: str = NOTHING
    demo_left_out: int = 0
    too_long: int = 0

    @property
    def context(self) -> str:
        return self.link.context

    @property
    def messages(self) -> list[bytes]:
        """JSON, oldest first; each part is a prompt and its answer."""
        return messages(self.link)


def first_link(model: str, server: str, system: str) -> Link:
    """The beginning of a chain for this model, this server and this system prompt."""
    context = fingerprint([model, server, system])
    return Link(None, None, b"", context, NOTHING, 0)


def chained(turns: Sequence[Turn], first: Link, known: Sequence[Link] = ()) -> list[Link]:
    """A link for each turn, behind `first`; those of `known` that still hold are used again.

    Thinking goes back verbatim while model, server, system and everything before it are unchanged,
    and is left out otherwise: signed blocks are rejected in another context.
    """
    if known and known[0].context == first.context:
        first = known[0]
    links = [first]
    last = first
    for place, turn in enumerate(turns, start=1):
        if place < len(known) and known[place].turn is turn and known[place].before is last:
            last = known[place]
        else:
            last = _link(last, turn)
        links.append(last)
    return links


def messages(link: Link | None) -> list[bytes]:
    """The JSON of a chain up to this link, oldest first; each part is a prompt and its answer."""
    parts = []
    while link is not None and link.before is not None:
        parts.append(link.messages)
        link = link.before
    return parts[::-1]


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


def _link(before: Link, turn: Turn) -> Link:
    both = _encoded(turn, with_thinking=turn.context == before.context)
    return Link(
        before=before,
        turn=turn,
        messages=both,
        context=hashlib.sha256(before.context.encode() + both).hexdigest()[:16],
        knew=fingerprint([before.knew, turn.id]),
        size=before.size + len(both) + 1,
    )


def _encoded(turn: Turn, *, with_thinking: bool) -> bytes:
    """The JSON of prompt and answer."""
    found = turn.encoded.get(with_thinking)
    if found is None:
        content = sendable_content(turn.reply.message.content, thinking=with_thinking)
        answer = encode_message("assistant", settled(content))
        found = b"%b,%b" % (user_message(turn.prompt), answer)
        if found == turn.encoded.get(not with_thinking):
            found = turn.encoded[not with_thinking]
        turn.encoded[with_thinking] = found
    return found
