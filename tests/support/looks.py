"""Prompts with pictures for random days, and how they look to whoever gets them.

It reads pictures with Pillow alone: it shares no code with the package.
"""

import base64
import io
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from PIL import Image

from support.images import file_of, plain_image, png_with_names

_RED, _BLUE = plain_image(), plain_image(colour="blue")
PROMPTS: Mapping[str, list[object]] = {
    "red": ["What is ", _RED],
    "red in another file": ["What is ", png_with_names()],
    "red in few colours": ["What is ", file_of(_RED.quantize(2), "GIF")],
    "blue": ["What is ", _BLUE],
    "green": ["What is ", plain_image(colour="green")],
    "red or blue": [_RED, " or ", _BLUE, "?"],
    "blue or red": [_BLUE, " or ", png_with_names(), "?"],
}
"""By the names that days have for them; other prompts are their own words."""

_LESS = {"red or blue": "blue", "blue or red": "red in another file"}


def without_variable(prompt: str) -> str:
    """What is asked where a variable is left out: fewer pictures, or a text."""
    return _LESS.get(prompt, "What?")


def asked(prompt: str) -> str | list[object]:
    """What a notebook asks: a text, or texts and pictures."""
    return PROMPTS.get(prompt, prompt)


def arrives(prompt: str) -> Any:
    """The content of the message that asks it, as `seen` has it."""
    return _ARRIVES.get(prompt, prompt)


def seen(content: Any) -> Any:
    """The content of a message with what each picture looks like, in place of its data."""
    if isinstance(content, str):
        return content
    return [_seen(block) if block["type"] == "image" else block for block in content]


def seen_in(messages: Any) -> list[Any]:
    """The messages of a request with such contents."""
    return [each | {"content": seen(each["content"])} for each in messages]


def _seen(block: Any) -> Any:
    return {"type": "image", "looks": _look_of_data(block["source"]["data"])}


@lru_cache(maxsize=64)
def _look_of_data(data: str) -> str:
    return _look(base64.b64decode(data))


def _look(picture: Any) -> str:
    """Size and pixels of an image, or of the bytes of its file."""
    image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else picture
    return "{}×{} {}".format(*image.size, image.convert("RGB").tobytes().hex())


def _block(part: object) -> Any:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    return {"type": "image", "looks": _look(part)}


_ARRIVES = {name: [_block(part) for part in parts] for name, parts in PROMPTS.items()}
