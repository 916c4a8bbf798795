"""What the model answered, as a value."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mm_magic.protocol.json_values import JsonObject
from mm_magic.protocol.messages import BaseResp, Message, Usage
from mm_magic.transport.endpoint import Backend

_REPR_CHARACTERS = 60
Status: TypeAlias = Literal["complete", "stopped", "incomplete"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a recorded answer came from: its backend, and the day in UTC, "" if unknown.

    `is_loose`: it answered the same prompt with the same options, but different earlier turns.
    `seconds` is how long it took then, None if that was not recorded.
    """

    backend: Backend
    day: str = ""
    is_loose: bool = False
    seconds: float | None = None


@dataclass(frozen=True, repr=False)  # with slots, `reply.text = …` would raise a TypeError
class Reply:
    """What the model answered. `str(reply)` is the text.

    `thinking_seconds` is how long the model thought before its text, None if it did not. `origin`
    says where a recorded answer came from. `seconds` is how long the complete answer took, from
    the request to its end, None if unknown; for a recorded answer, how long it took when it was
    recorded.
    """

    message: Message
    status: Status = "complete"
    backend: Backend = "minimax"
    thinking_seconds: float | None = None
    origin: Origin | None = None
    seconds: float | None = None

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        text = self.text
        shown = text if len(text) <= _REPR_CHARACTERS else f"{text[:_REPR_CHARACTERS]}…"
        return f"Reply({shown!r}, status={self.status!r}, backend={self.backend!r})"

    @property
    def text(self) -> str:
        """The answer, usually in Markdown."""
        return self.message.text

    @property
    def thinking(self) -> str:
        """What the model thought; "" if it did not."""
        return self.message.thinking

    @property
    def content(self) -> list[JsonObject]:
        """The content blocks in the form the API uses."""
        return [block.to_wire() for block in self.message.content]

    @property
    def usage(self) -> Usage:
        """Token counts; each is None if the server did not give it."""
        return self.message.usage

    @property
    def stop_reason(self) -> str | None:
        """`end_turn`, `max_tokens`, `stop_sequence`, `tool_use`, or the server's own word."""
        return self.message.stop_reason

    @property
    def model(self) -> str | None:
        """The model that answered, which can differ from the one that was asked."""
        return self.message.model

    @property
    def id(self) -> str | None:
        """The server's id of the answer."""
        return self.message.id

    @property
    def base_resp(self) -> BaseResp | None:
        """MiniMax's own status, if it sent one."""
        return self.message.base_resp

    @property
    def is_demo(self) -> bool:
        """Whether the offline demo gave this answer, now or when it was recorded."""
        return "offline" in (self.backend, self.origin and self.origin.backend)

    def may_enter(self) -> bool:
        """Whether it becomes part of its conversation: it is not incomplete, and it has text."""
        return self.status != "incomplete" and bool(self.text.strip())


def counted(reply: Reply) -> Usage:
    """The tokens of a complete answer. Servers count at the end; earlier counts are guesses."""
    return reply.usage if reply.status == "complete" else Usage()
