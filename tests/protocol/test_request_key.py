"""What makes two requests the same request."""

import pytest
from support.recordings import ASKED, EARLIER, NIGHT, REQUEST_KEY

from mm_magic.protocol.request_key import RequestKey


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


def test_prompt_is_kept_as_typed() -> None:
    """What is recorded is what was typed."""
    typed = NIGHT | {"content": " And at night?\n"}

    assert RequestKey(ASKED, EARLIER, typed).to_json()["prompt"] == typed
