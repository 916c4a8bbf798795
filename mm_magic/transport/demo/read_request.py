"""What the embedded backend reads in a request: the turns, the system prompt, the parameters.

It refuses what the service refuses. It never interprets the words.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mm_magic.errors import UsageError
from mm_magic.prompt.schema import split_schema
from mm_magic.protocol.json_values import JsonObject, as_object, as_text
from mm_magic.protocol.messages import (
    Block,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    prompt_block_from_wire,
)
from mm_magic.protocol.request import (
    DEFAULT_TEMPERATURE,
    DEFAULT_TOP_P,
    check_count,
    check_fraction,
)

DEFAULTS: Mapping[str, float] = {"temperature": DEFAULT_TEMPERATURE, "top_p": DEFAULT_TOP_P}
"""The service's own values, for what was not sent."""


@dataclass(frozen=True, slots=True)
class EarlierTurn:
    """A prompt sent before the last one, and what was sent back as its reply ("" if nothing)."""

    prompt: str
    thinking: str = ""
    answer: str = ""


class GivenTool(NamedTuple):
    """A function that may be called, and the JSON Schema of its arguments."""

    name: str
    schema: JsonObject


@dataclass(frozen=True, slots=True)
class DemoRequest:
    """A valid request. `words` counts all that was sent as text: here, a token is a word.

    `pictures` are those of the prompt, where its text has "[picture 1: 8×5]". `parameters` holds
    every other field of the body as it came. `results` are those of the calls that the prompt has
    led to so far.
    """

    prompt: str
    pictures: tuple[ImageBlock, ...]
    earlier: tuple[EarlierTurn, ...]
    system: str
    parameters: Mapping[str, object]
    words: int
    results: tuple[str, ...] = ()

    @property
    def tools(self) -> list[JsonObject]:
        """The functions that may be called."""
        given = self.parameters.get("tools")
        return list(map(as_object, given)) if isinstance(given, list) else []

    @property
    def first_tool(self) -> GivenTool | None:
        """The first of them; None if there is none."""
        if not self.tools:
            return None
        first = self.tools[0]
        return GivenTool(as_text(first.get("name")), as_object(first.get("input_schema")))

    @property
    def schema(self) -> JsonObject | None:
        """The JSON Schema that the system prompt asks for, None if it asks for none."""
        return split_schema(self.system)[1]

    @property
    def temperature(self) -> float:
        """The temperature sent, or the service's default."""
        return self._fraction("temperature")

    @property
    def top_p(self) -> float:
        """The top_p sent, or the service's default."""
        return self._fraction("top_p")

    @property
    def sets_sampling(self) -> bool:
        """Whether it says at which temperature or top_p words are drawn."""
        return any(self.parameters.get(name) is not None for name in DEFAULTS)

    @property
    def max_tokens(self) -> int | None:
        """The limit in words, or None when none was sent."""
        value = self.parameters.get("max_tokens")
        return value if isinstance(value, int) else None

    @property
    def wants_thinking(self) -> bool:
        """False only for `{"type": "disabled"}`."""
        return as_object(self.parameters.get("thinking")).get("type") != "disabled"

    @property
    def wants_stream(self) -> bool:
        """Whether the answer is to come as server-sent events."""
        return self.parameters.get("stream") is True

    def _fraction(self, name: str) -> float:
        value = self.parameters.get(name)
        return float(value) if isinstance(value, int | float) else DEFAULTS[name]


def read_request(body: Mapping[str, object]) -> DemoRequest:
    """The request in the JSON object `body`.

    Raises UsageError where the service would answer HTTP 400.
    """
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise UsageError("messages is empty")
    parts = [_read_message(message, place) for place, message in enumerate(messages)]
    if parts[-1].role != "user":
        raise UsageError(f"the last message must have role 'user', got {parts[-1].role!r}")
    _check_ranges(body)
    system = _read_content(body.get("system")).text
    prompts = [n for n, part in enumerate(parts) if part.role == "user" and not part.is_results]
    if not prompts:
        raise UsageError("messages: a tool_result needs its tool_use")
    asked = prompts[-1]
    return DemoRequest(
        prompt=parts[asked].content.text,
        pictures=parts[asked].content.pictures,
        earlier=_turns(parts[:asked]),
        system=system,
        parameters={k: v for k, v in body.items() if k not in ("messages", "system")},
        words=count_words(system)
        + sum(count_words(p.content.text) + count_words(p.content.thinking) for p in parts),
        results=tuple(text for part in parts[asked:] for text in part.content.results),
    )


def count_words(text: str) -> int:
    """The number of words: runs of characters that are not white space."""
    return len(text.split())


class _Content(NamedTuple):
    text: str
    thinking: str
    pictures: tuple[ImageBlock, ...] = ()
    results: tuple[str, ...] = ()
    is_results: bool = False


class _Message(NamedTuple):
    role: str
    content: _Content

    @property
    def is_results(self) -> bool:
        """Whether it has results of calls, and nothing else."""
        return self.content.is_results


def _read_message(message: object, place: int) -> _Message:
    if not isinstance(message, dict):
        raise UsageError(f"messages[{place}] must be an object")
    role = message.get("role")
    if role not in ("user", "assistant"):
        # The system prompt has a field of its own; the service refuses it among the messages.
        raise UsageError(f"messages[{place}]: role must be 'user' or 'assistant', got {role!r}")
    content = _read_content(message.get("content"))
    if not content.text.strip() and not content.thinking.strip():
        raise UsageError(f"messages[{place}]: content is empty")
    return _Message(role, content)


def _read_content(content: object) -> _Content:
    """The text and the thinking in a string or a list of blocks; a wrong type counts as empty."""
    if isinstance(content, str):
        return _Content(content, "")
    wires = content if isinstance(content, list) else []
    blocks = [prompt_block_from_wire(wire) for wire in wires if isinstance(wire, dict)]
    thinking = [block.thinking for block in blocks if isinstance(block, ThinkingBlock)]
    pictures = tuple(block for block in blocks if isinstance(block, ImageBlock))
    texts = [_text(block, pictures) for block in blocks if not isinstance(block, ThinkingBlock)]
    text = ("" if pictures else "\n\n").join(texts)  # pictures stand within one text
    results = tuple(block.text for block in blocks if isinstance(block, ToolResultBlock))
    is_results = bool(blocks) and len(results) == len(blocks)
    return _Content(text, "\n\n".join(thinking), pictures, results, is_results)


def _text(block: Block, pictures: Sequence[ImageBlock]) -> str:
    if isinstance(block, TextBlock):
        return block.text
    if isinstance(block, ImageBlock):
        number = next(n for n, each in enumerate(pictures, 1) if each is block)
        return "[picture {}: {}×{}]".format(number, *block.size)
    # A tool's result: told as it came, so that nothing that was sent is hidden.
    return json.dumps(block.to_wire(), ensure_ascii=False)


def _turns(messages: Sequence[_Message]) -> tuple[EarlierTurn, ...]:
    """The messages as turns: each user message opens one, a reply joins the open one.

    Of a turn with calls, the answer behind their results counts.
    """
    turns: list[EarlierTurn] = []
    for message in messages:
        content = message.content
        if message.is_results and turns:
            turns[-1] = EarlierTurn(turns[-1].prompt)
            continue
        if message.role == "user" or not turns or turns[-1].answer or turns[-1].thinking:
            turns.append(EarlierTurn(content.text if message.role == "user" else ""))
        if message.role == "assistant":
            turns[-1] = EarlierTurn(turns[-1].prompt, content.thinking, content.text)
    return tuple(turns)


def _check_ranges(body: Mapping[str, object]) -> None:
    """Raise UsageError where the service would refuse a number. null is as good as not sent."""
    given: Mapping[str, Any] = {name: value for name, value in body.items() if value is not None}
    for name in DEFAULTS.keys() & given.keys():
        check_fraction(name, given[name])
    if "max_tokens" in given:
        check_count("max_tokens", given["max_tokens"])
