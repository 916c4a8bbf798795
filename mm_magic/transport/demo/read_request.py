"""What the embedded backend reads in a request: the turns, the system prompt, the parameters.

It refuses what the service refuses, with the service's code 2013. It never interprets the words.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard


class InvalidRequest(ValueError):
    """The service would answer HTTP 400 to this request; the text says why."""


@dataclass(frozen=True, slots=True)
class EarlierTurn:
    """A prompt sent before the last one, and what was sent back as its reply ("" if nothing)."""

    prompt: str
    thinking: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """A valid request. `words` counts all that was sent as text: here, a token is a word.

    `parameters` holds every other field of the body as it came.
    """

    prompt: str
    earlier: tuple[EarlierTurn, ...]
    system: str
    parameters: Mapping[str, object]
    words: int

    @property
    def temperature(self) -> float:
        """The temperature sent, or the service's default."""
        return _number(self.parameters.get("temperature"), 1.0)

    @property
    def top_p(self) -> float:
        """The top_p sent, or the service's default."""
        return _number(self.parameters.get("top_p"), 0.95)

    @property
    def max_tokens(self) -> int | None:
        """The limit in words, or None when none was sent."""
        value = self.parameters.get("max_tokens")
        return value if isinstance(value, int) else None

    @property
    def wants_thinking(self) -> bool:
        """False only for `{"type": "disabled"}`."""
        thinking = self.parameters.get("thinking")
        return not (isinstance(thinking, Mapping) and thinking.get("type") == "disabled")

    @property
    def wants_stream(self) -> bool:
        """Whether the answer is to come as server-sent events."""
        return self.parameters.get("stream") is True


def read_request(body: Mapping[str, object]) -> Request:
    """The request in the JSON object `body`. Raises InvalidRequest."""
    messages = body.get("messages")
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not messages:
        raise InvalidRequest("messages is empty")
    parts = [_read_message(message, place) for place, message in enumerate(messages)]
    if parts[-1].role != "user":
        raise InvalidRequest(f"the last message must have role 'user', got {parts[-1].role!r}")
    _check_ranges(body)
    system = _read_content(body.get("system") or "").text
    return Request(
        prompt=parts[-1].content.text,
        earlier=_turns(parts[:-1]),
        system=system,
        parameters={k: v for k, v in body.items() if k not in ("messages", "system")},
        words=count_words(system)
        + sum(count_words(p.content.text) + count_words(p.content.thinking) for p in parts),
    )


def count_words(text: str) -> int:
    """The number of words: runs of characters that are not white space."""
    return len(text.split())


@dataclass(frozen=True, slots=True)
class _Content:
    text: str
    thinking: str


@dataclass(frozen=True, slots=True)
class _Message:
    role: str
    content: _Content


def _read_message(message: object, place: int) -> _Message:
    if not isinstance(message, Mapping):
        raise InvalidRequest(f"messages[{place}] must be an object")
    role = message.get("role")
    if role not in ("user", "assistant"):
        # The system prompt has a field of its own; the service refuses it among the messages.
        raise InvalidRequest(f"messages[{place}]: role must be 'user' or 'assistant', got {role!r}")
    content = _read_content(message.get("content"))
    if not content.text.strip() and not content.thinking.strip():
        raise InvalidRequest(f"messages[{place}]: content is empty")
    return _Message(role, content)


def _read_content(content: object) -> _Content:
    """The text and the thinking in a string or a list of blocks; a wrong type counts as empty."""
    if isinstance(content, str):
        return _Content(content, "")
    if not isinstance(content, Sequence):
        return _Content("", "")
    blocks = [block for block in content if isinstance(block, Mapping)]
    thinking = [str(b.get("thinking", "")) for b in blocks if b.get("type") == "thinking"]
    texts = [_block_text(b) for b in blocks if b.get("type") != "thinking"]
    return _Content("\n\n".join(texts), "\n\n".join(thinking))


def _block_text(block: Mapping[object, object]) -> str:
    if block.get("type") == "text":
        return str(block.get("text", ""))
    # A tool's result, an image: told as it came, so that nothing that was sent is hidden.
    return json.dumps(block, ensure_ascii=False)


def _turns(messages: Sequence[_Message]) -> tuple[EarlierTurn, ...]:
    """The messages as turns: each user message opens one, a reply joins the open one."""
    turns: list[EarlierTurn] = []
    for message in messages:
        content = message.content
        if message.role == "user" or not turns or turns[-1].answer or turns[-1].thinking:
            turns.append(EarlierTurn(content.text if message.role == "user" else ""))
        if message.role == "assistant":
            turns[-1] = EarlierTurn(turns[-1].prompt, content.thinking, content.text)
    return tuple(turns)


def _check_ranges(body: Mapping[str, object]) -> None:
    for name in ("temperature", "top_p"):
        value = body.get(name)
        if value is not None and not (_is_number(value) and 0 < value <= 1):
            raise InvalidRequest(f"{name} must be in (0, 1], got {value!r}")
    limit = body.get("max_tokens")
    if limit is not None and not (_is_number(limit) and isinstance(limit, int) and limit >= 1):
        raise InvalidRequest(f"max_tokens must be a whole number from 1, got {limit!r}")


def _number(value: object, otherwise: float) -> float:
    return float(value) if _is_number(value) else otherwise


def _is_number(value: object) -> TypeGuard[int | float]:
    # In Python a bool is an int; on the wire it is no number.
    return isinstance(value, int | float) and not isinstance(value, bool)
