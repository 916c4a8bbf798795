"""A prompt as a value: blocks of content, and how it stands in a message."""

import json
from functools import partial
from typing import Any

import pytest
from support.images import plain_image
from support.timing import calls_of

from mm_magic.errors import UsageError
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.messages import TextBlock, UnknownBlock

SOURCE = {"type": "base64", "media_type": "image/png", "data": "aa"}
IMAGE: dict[str, object] = {"type": "image", "source": SOURCE}


@pytest.mark.parametrize("text", ["", " ", "\n\t\u3000"])
def test_a_prompt_of_white_space_is_refused(text: str) -> None:
    """The service would refuse it with a 400; here nothing is sent."""
    with pytest.raises(UsageError, match="the prompt is empty"):
        Prompt.of_text(text)


@pytest.mark.parametrize("value", [None, 5, b"Hi", ["Hi"]])
def test_a_prompt_is_text(value: Any) -> None:
    """What is no text says so, with its type."""
    with pytest.raises(UsageError, match=f"must be text, got {type(value).__name__}"):
        Prompt.of_text(value)


def test_text_alone_is_a_plain_string() -> None:
    """Prompts of version 0.1 keep their JSON, and so their fingerprints."""
    assert json.loads(Prompt.of_text("Hi").encode()) == {"role": "user", "content": "Hi"}


def test_blocks_survive_the_wire() -> None:
    """A prompt of several blocks is read back as it was written; its text is that of its text."""
    prompt = Prompt((TextBlock("Look: "), UnknownBlock(IMAGE), TextBlock("what is it?")))
    assert prompt.to_wire() == [
        {"type": "text", "text": "Look: "},
        IMAGE,
        {"type": "text", "text": "what is it?"},
    ]
    assert Prompt.from_wire(prompt.to_wire()) == prompt
    assert prompt.text == "Look: what is it?"


def test_pictures_are_read_where_texts_are_the_same() -> None:
    """Prompts with other words are told apart by these; a picture is read once."""
    one, other = (Prompt.of([text, plain_image()]) for text in ("What is this? ", "Why?"))
    same = Prompt.of(["What is this? ", plain_image()])
    apart, first, again = (calls_of(partial(one.asks_as, each)) for each in (other, same, same))
    assert apart < again < first
    assert [one.asks_as(each) for each in (other, same)] == [False, True]
    assert not one.asks_as(Prompt.of(["What is this?", plain_image(colour="blue")]))


def test_a_picture_alone_is_a_prompt() -> None:
    """A prompt without a word is not empty where something else is asked with."""
    assert Prompt((UnknownBlock(IMAGE),)).text == ""
