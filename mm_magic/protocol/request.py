"""The request: its JSON body, and the ranges of its parameters.

Ranges are those of MiniMax's API page. What the page does not forbid is let through.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import JsonObject, encode_json
from mm_magic.protocol.messages import ImageBlock, with_pictures_as

Thinking: TypeAlias = Literal["auto", "adaptive", "disabled"]
Effort: TypeAlias = Literal["low", "medium", "high", "xhigh", "max"]

DEFAULT_TEMPERATURE = 1.0
DEFAULT_TOP_P = 0.95
"""What acts where a request has none, by the API page."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. A parameter that is not there is left to the server's default.

    `messages` are JSON already, oldest first, the new prompt last: each part is one message, or
    several with commas between. Earlier turns are thus encoded once, not again for each request.
    `parameters` is the body but for its messages.
    """

    messages: Sequence[bytes]
    parameters: JsonObject

    def to_body(self) -> JsonObject:
        """The body as the API page describes it."""
        messages = json.loads(b"[%b]" % b",".join(self.messages))
        return {"model": self.parameters.get("model"), "messages": messages, **self.parameters}

    def to_shown(self) -> JsonObject:
        """The same for a reader: of each picture it says what it is, as "image/png, 8×5, 2 kB"."""
        body = self.to_body()
        messages = body["messages"]
        assert isinstance(messages, list)
        return {**body, "messages": [with_pictures_as(_in_words, each) for each in messages]}

    def encode(self) -> bytes:
        """The body as UTF-8 JSON."""
        parameters = dict(self.parameters)
        model = encode_json({"model": parameters.pop("model", None)})
        # Copied once: 0.08 ms for 1.3 MB in 1,000 parts. Put between head and tail it took 0.65.
        parts = [*self.messages]
        parts[0] = b'%b,"messages":[%b' % (model[:-1], parts[0])
        tail = encode_json(parameters)[1:]
        parts[-1] = b"%b]%b%b" % (parts[-1], b"," if parameters else b"", tail)
        return b",".join(parts)


def _in_words(image: ImageBlock) -> JsonObject:
    return replace(image, data=str(image)).to_wire()


def encode_message(role: str, content: object) -> bytes:
    """The JSON of one message: `content` is text, or content blocks as they stand on the wire."""
    return encode_json({"role": role, "content": content})


def check_model(model: object) -> None:
    """Raise UsageError unless `model` is a name. Any name is let through: models come and go."""
    if not isinstance(model, str) or not model.strip():
        raise UsageError(f"model must be a name, got {model!r}")


def check_fraction(name: str, value: object) -> None:
    """Raise UsageError unless `value` is in (0, 1]: the range of temperature and of top_p."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1:
        raise UsageError(
            f"{name} must be above 0 and at most 1, got {value!r}",
            next_steps=("The smallest useful value is 0.01.",) if value == 0 else (),
        )


def check_count(name: str, value: object, least: int = 1) -> None:
    """Raise UsageError unless `value` is a whole number of `least` or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{name} must be a whole number of {least} or more, got {value!r}")


def check_thinking(value: str) -> None:
    """Raise UsageError unless `value` is one of the three words."""
    if value not in get_args(Thinking):
        raise UsageError(f"thinking must be auto, adaptive or disabled, got {value!r}")
