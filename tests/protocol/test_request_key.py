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
        RequestKey(ASKED, EARLIER, NIGHT | {"content": "And at night? "}),
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
