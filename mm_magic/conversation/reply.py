"""What the model answered, as a value."""

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, cast

from mm_magic.protocol.json_values import JsonObject, parse_json
from mm_magic.protocol.messages import BaseResp, Message, ToolUseBlock, Usage
from mm_magic.transport.endpoint import Backend

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:  # Python has such defaults from 3.13 on; they are for type checkers alone
    from typing import TypeVar

    T = TypeVar("T")

_REPR_CHARACTERS = 60
Status: TypeAlias = Literal["complete", "stopped", "incomplete"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a recorded answer came from: its backend, and the day in UTC, "" if unknown.

    `is_loose`: it answered the same prompt with the same options, but different earlier turns.
    `seconds` is how long it took then, None if that was not recorded. `is_of_other_picture`: it
    answered the same request with another picture, in its prompt or in an earlier turn.
    """

    backend: Backend
    day: str = ""
    is_loose: bool = False
    seconds: float | None = None
    is_of_other_picture: bool = False


class Unread(Enum):
    """What stands for a value that a reply does not have, or not yet."""

    NONE = "no type was asked for"
    DATA = "read from a file, where the type is not known: its JSON is the value"


@dataclass(frozen=True, slots=True)
class FirstTry:
    """An answer that was not of the requested type, so that the model was asked once more.

    `problem` says what was wrong with it; `text` and `usage` are its own.
    """

    problem: str
    text: str
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, repr=False)  # with slots, `reply.text = …` would raise a TypeError
class Reply(Generic[T]):
    """What the model answered. `str(reply)` is the text.

    `thinking_seconds` is how long the model thought before its text, None if it did not. `origin`
    says where a recorded answer came from. `seconds` is how long the complete answer took, from
    the request to its end, None if unknown; for a recorded answer, how long it took when it was
    recorded. Where a type was asked for, `value` is the answer as that type, `first_try` the answer
    before it, if the model was asked once more, and `problem` says why there is no value. Where
    the model called functions, `earlier_steps` are its answers with the calls, each with its
    results behind it.
    """

    message: Message
    status: Status = "complete"
    backend: Backend = "minimax"
    thinking_seconds: float | None = None
    origin: Origin | None = None
    seconds: float | None = None
    first_try: FirstTry | None = None
    problem: str = ""
    earlier_steps: tuple[Message, ...] = ()
    _value: object = field(default=Unread.NONE, compare=False)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        text = self.text
        shown = text if len(text) <= _REPR_CHARACTERS else f"{text[:_REPR_CHARACTERS]}…"
        return f"Reply({shown!r}, status={self.status!r}, backend={self.backend!r})"

    if not TYPE_CHECKING:  # a type checker would take any attribute for one that exists

        def __getattr__(self, name: str) -> object:
            """Say where it is, if the value has it: `reply.value.year`."""
            value = None if name.startswith("_") or not self.has_value else self._read()
            if name == "value":
                why = f": {self.problem}" if self.problem else "; to get one, use `type=`"
                raise AttributeError(f"this reply has no value{why}")
            has_it = name in value if isinstance(value, dict) else hasattr(value, name)
            where = f"[{name!r}]" if isinstance(value, dict) else f".{name}"
            hint = f"; its value has one: `reply.value{where}`" if value and has_it else ""
            raise AttributeError(f"a Reply has no attribute {name!r}{hint}")

    @property
    def has_value(self) -> bool:
        """Whether a type was asked for, and the answer is of that type."""
        return self._value is not Unread.NONE and not self.problem

    @property
    def value(self) -> T:
        """The answer as the type that was asked for; of a turn in a file, as plain JSON data.

        Raises AttributeError where there is none.
        """
        if not self.has_value:
            raise AttributeError(name="value", obj=self)  # `__getattr__` says why
        return cast("T", self._read())

    def _read(self) -> object:
        if self._value is not Unread.DATA:
            return self._value
        from mm_magic.protocol.last_json import last_json  # few answers have a type

        return parse_json(last_json(self.text).json or "")

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
    def steps(self) -> tuple[Message, ...]:
        """The messages that followed the prompt: one, the answer, where nothing was called."""
        return (*self.earlier_steps, self.message)

    @property
    def calls(self) -> list[ToolUseBlock]:
        """The calls in its earlier steps, in order."""
        blocks = (block for step in self.earlier_steps for block in step.content)
        return [block for block in blocks if isinstance(block, ToolUseBlock)]

    @property
    def usage(self) -> Usage:
        """Token counts of the last request; each is None if the server did not give it."""
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
        """Whether it becomes part of its conversation.

        It is not incomplete, it has text, and it is of the type that was asked for. The text of one
        that was stopped may stand before a call.
        """
        steps = self.steps if self.status == "stopped" else (self.message,)
        has_text = any(step.text.strip() for step in steps if step.role == "assistant")
        return self.status != "incomplete" and has_text and not self.problem


def has_begun(reply: Reply) -> bool:
    """Whether anything of an answer came, be it only its id: then it is paid for.

    Behind calls, whose requests were paid for, something came.
    """
    return reply.id is not None or bool(reply.content or reply.earlier_steps)


def counted_usage(reply: Reply) -> Usage:
    """The tokens of a complete answer, and of what was asked before it: a first try, steps.

    Servers count at the end; earlier counts are guesses.
    """
    return sum(earlier_usages(reply), reply.usage if is_counted(reply) else Usage())


def is_counted(reply: Reply) -> bool:
    """Whether the server has counted the last answer. Zeros at its beginning are no count of it."""
    usage = reply.usage
    is_blank = bool(reply.message.content) and usage.input_tokens == usage.output_tokens == 0
    return reply.status == "complete" and not is_blank


def earlier_usages(reply: Reply) -> list[Usage]:
    """The tokens of each request before the one that brought the answer."""
    first = [reply.first_try.usage] if reply.first_try else []
    return [*first, *(each.usage for each in reply.earlier_steps if each.role == "assistant")]
