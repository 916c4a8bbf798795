"""What makes two requests the same request."""

import re

import pytest
from support.recordings import ASKED, EARLIER, NIGHT, REQUEST_KEY

from mm_magic.protocol.image_file import png_file
from mm_magic.protocol.json_values import JsonObject
from mm_magic.protocol.messages import ImageBlock
from mm_magic.protocol.request_key import RequestKey, prompt_print


@pytest.mark.parametrize(
    "same",
    [
        RequestKey(ASKED | {"temperature": 0.30}, EARLIER, NIGHT),
        RequestKey(ASKED | {"max_tokens": 2048.0}, EARLIER, NIGHT),
        RequestKey(dict(reversed(ASKED.items())), EARLIER, dict(reversed(NIGHT.items()))),
        RequestKey(ASKED, EARLIER, NIGHT | {"content": "\n  And at night? \r\n\t\n"}),
    ],
)
def test_hash_of_the_same_meaning(same: RequestKey) -> None:
    """What means the same has the same hash: other forms of a number, another order of names."""
    assert same.hash == REQUEST_KEY.hash


@pytest.mark.parametrize(
    "other",
    [
        RequestKey({}, EARLIER, NIGHT),
        RequestKey(ASKED | {"model": "MiniMax-M2.7"}, EARLIER, NIGHT),
        RequestKey(ASKED | {"temperature": 0.31}, EARLIER, NIGHT),
        RequestKey(ASKED | {"top_p": 0.95}, EARLIER, NIGHT),
        RequestKey(ASKED | {"system": "Be brief."}, EARLIER, NIGHT),
        RequestKey(ASKED | {"thinking": {"type": "disabled"}}, EARLIER, NIGHT),
        RequestKey(ASKED, (), NIGHT),
        RequestKey(ASKED, (*EARLIER, *EARLIER), NIGHT),
        RequestKey(ASKED, ((*EARLIER[0], "0"),), NIGHT),
        RequestKey(ASKED, EARLIER, NIGHT | {"content": "And  at night?"}),
        RequestKey(ASKED | {"system": " "}, EARLIER, NIGHT),
    ],
)
def test_hash_of_another_meaning(other: RequestKey) -> None:
    """Any other option, prompt or earlier message is another request."""
    assert other.hash != REQUEST_KEY.hash


def test_hash_is_that_of_this_format() -> None:
    """The hash of a request is fixed: files that are out there hold it."""
    assert REQUEST_KEY.hash == "2d9046265fd1397f"
    assert RequestKey(ASKED, (), NIGHT).question == REQUEST_KEY.question


def test_prompt_has_no_text_where_it_is_none() -> None:
    """A prompt of blocks has no text to compare with."""
    assert RequestKey({}, (), {"content": [{"type": "text"}]}).text == ""


def test_space_around_blocks_does_not_count() -> None:
    """Of a prompt of blocks only the space at its two ends is left out, and no other block."""

    def key(*blocks: object) -> str:
        return RequestKey({}, (), {"role": "user", "content": list(blocks)}).hash

    picture = {"type": "image", "source": {"data": " x "}}
    one, two = {"type": "text", "text": "One "}, {"type": "text", "text": " two"}
    assert key(one | {"text": "\n One "}, picture, two | {"text": " two\n"}) == key(
        one, picture, two
    )
    assert key(one | {"text": "One"}, picture, two) != key(one, picture, two)
    assert key(picture, two) != key(picture | {"source": {"data": "x"}}, two)
    assert key() != key(one)


def image_of(colour: int) -> ImageBlock:
    image = ImageBlock.of_file(png_file((4, 3), bytes([colour] * 36)))
    assert image is not None
    return image


def _with_picture(colour: int, **more: object) -> JsonObject:
    """A prompt with a picture of one colour."""
    text = {"type": "text", "text": " is what?\n"}
    return {"role": "user", "content": [image_of(colour).to_wire() | more, text]}


def test_a_picture_is_known_by_its_pixels() -> None:
    """No key holds a picture; its pixels tell requests apart, its file's type and size do not."""
    one, other = RequestKey({}, (), _with_picture(1)), RequestKey({}, (), _with_picture(2))
    block, text = one.to_json()["prompt"]["content"]  # type: ignore[index]
    assert block == {
        "type": "image",
        "media_type": "image/png",
        "width": 4,
        "height": 3,
        "bytes": len(image_of(1).file),
        "pixels": image_of(1).pixels,
    }
    assert text == {"type": "text", "text": " is what?\n"}
    assert one.text == " is what?\n"
    assert str(one) == f"[{image_of(1)}] is what?\n"
    assert str(RequestKey({}, (), {"content": "What?"})) == "What?"
    assert one.hash != other.hash
    packed: JsonObject = {
        "role": "user",
        "content": [block | {"media_type": "image/webp", "bytes": 5}, text],
    }
    assert RequestKey({}, (), packed).hash == one.hash
    assert RequestKey({}, (), one.prompt).prompt == one.prompt
    assert one.hash != RequestKey({}, (), _with_picture(1, cache_control={})).hash
    lying = _with_picture(2, pixels=image_of(1).pixels)
    assert RequestKey({}, (), lying).hash == other.hash


def test_requests_that_differ_in_pictures_alone() -> None:
    """They share a key, whether the picture is in the prompt or in an earlier one."""

    def keys(colour: int) -> list[RequestKey]:
        prompt = _with_picture(colour)
        earlier = ((prompt_print(prompt), "0" * 16),)
        return [RequestKey({}, (), prompt), RequestKey({}, earlier, NIGHT)]

    for one, other in zip(keys(1), keys(2), strict=True):
        assert one.has_pictures
        assert one.hash != other.hash
        assert one.with_any_pictures().hash == other.with_any_pictures().hash
        assert one.with_any_pictures().hash != one.hash
    assert re.fullmatch("[0-9a-f]{16}-[0-9a-f]{16}", prompt_print(_with_picture(1)))
    plain = RequestKey(ASKED, EARLIER, NIGHT)
    assert not plain.has_pictures
    assert plain.with_any_pictures() == plain


def test_prompt_is_kept_as_typed() -> None:
    """What is recorded is what was typed."""
    typed = NIGHT | {"content": " And at night?\n"}

    assert RequestKey(ASKED, EARLIER, typed).to_json()["prompt"] == typed
