"""The values of the Messages API: what comes in goes out again."""

import json
from typing import Any

import pytest
from support.wire import DATA

from mm_magic.protocol.accumulate import Accumulator
from mm_magic.protocol.events import message_events
from mm_magic.protocol.json_values import join_surrogates, parse_json
from mm_magic.protocol.messages import (
    BaseResp,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
    UnknownBlock,
    Usage,
    block_from_wire,
    picture_in_words,
)

PAGE: dict[str, Any] = json.loads((DATA / "answer.json").read_text("utf-8"))


def whole(wire: dict[str, Any]) -> Message:
    """The message of an answer that was not streamed."""
    accumulator = Accumulator()
    accumulator.add(message_events(wire))
    accumulator.end()
    assert accumulator.error() is None
    return accumulator.message()


def test_the_pages_example_is_read_field_by_field() -> None:
    """Every field of the API page's example answer is where it belongs."""
    message = whole(PAGE)
    thinking, text = PAGE["content"]
    assert (
        Message(
            id="06379fa1dfdd9047604b8abc088ea75c",
            model="MiniMax-M2.7",
            role="assistant",
            content=(
                ThinkingBlock(thinking["thinking"], thinking["signature"]),
                TextBlock("Hello! How can I help you today?"),
            ),
            stop_reason="end_turn",
            stop_sequence=None,
            usage=Usage(39, 40, 0, 0),
            base_resp=BaseResp(0, "success"),
        )
        == message
    )
    assert (text["text"], thinking["thinking"]) == (message.text, message.thinking)


def test_the_pages_example_survives_the_round_trip() -> None:
    """The example answer, read and written again, is the same JSON."""
    assert whole(PAGE).to_wire() == PAGE


def test_unknown_fields_survive_the_round_trip() -> None:
    """Fields that this version doesn't know stay in the message, in its usage and in a block."""
    wire = {
        **PAGE,
        "service_tier": "standard",
        "usage": {"input_tokens": 1, "server_tool_use": None, "cache_creation": {"a": 1}},
        "content": [{"type": "text", "text": "Hi", "citations": None}],
        "stop_sequence": "###",
    }
    assert wire == whole(wire).to_wire()


@pytest.mark.parametrize(
    "wire",
    [
        *PAGE["content"],
        {"type": "thinking", "thinking": "no signature"},
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "text", "text": "a", "citations": [{"url": "x"}]},
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {"x": [1, None]}},
        {"type": "tool_use", "id": "call_1", "name": "f", "input": "{broken"},
        {"type": "redacted_thinking", "data": "b64="},
        {"type": "server_tool_use", "id": 5, "deep": {"er": [{}]}},
        {"type": None},
        {},
    ],
)
def test_blocks_survive_the_round_trip(wire: dict[str, Any]) -> None:
    """Each block of the page, with fields more or less, and each unknown one stays as it was."""
    assert wire == block_from_wire(wire).to_wire()


@pytest.mark.parametrize(
    ("wire", "block"),
    [
        ({"type": "text", "text": None}, TextBlock("")),
        ({"type": "thinking"}, ThinkingBlock("")),
        ({"type": "thinking", "thinking": 1, "signature": 2}, ThinkingBlock("")),
        ({"type": "tool_use", "input": None}, ToolUseBlock("", "", {})),
        ({"type": "image"}, UnknownBlock({"type": "image"})),
    ],
)
def test_blocks_of_wrong_types_are_read(wire: dict[str, Any], block: object) -> None:
    """A field of the wrong type counts as empty."""
    assert block == block_from_wire(wire)


def test_usage_is_overwritten_field_by_field() -> None:
    """A later usage wins where it has a number; null, text and true change nothing."""
    first = Usage().updated({"input_tokens": 7, "output_tokens": 0, "service_tier": "standard"})
    later: dict[str, Any] = {
        "input_tokens": None,
        "output_tokens": 40,
        "cache_read_input_tokens": 3,
    }
    assert Usage(7, 40, None, 3, {"service_tier": "standard"}) == first.updated(later)
    wrong = {"input_tokens": "9", "output_tokens": True, "service_tier": None}
    assert first == first.updated(wrong)
    assert first == first.updated({})


def test_usage_writes_only_what_the_server_said() -> None:
    """A count that the server never sent isn't written as 0."""
    assert Usage(input_tokens=0).to_wire() == {"input_tokens": 0}


def test_status_code_in_quotes_counts() -> None:
    """A server that writes the number as text means the number."""
    assert BaseResp.from_wire({"status_code": "1002"}) == BaseResp(1002)


@pytest.mark.parametrize("wire", [None, 5, {}, {"status_code": "no"}, {"status_code": True}, []])
def test_no_status_code_is_no_base_resp(wire: object) -> None:
    """A `base_resp` without a number isn't taken for one."""
    assert BaseResp.from_wire(wire) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain 😀", "plain 😀"),
        ("a\ud83d\ude00b", "a😀b"),
        ("\ud83d", "\ufffd"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("x\ud83d\ud83d\ude00", "x\ufffd😀"),
    ],
)
def test_halves_of_characters_are_joined_or_replaced(text: str, expected: str) -> None:
    """Two halves that meet become their character, a half alone becomes U+FFFD."""
    assert expected == join_surrogates(text)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'\xef\xbb\xbf {"a": 1}\r\n', {"a": 1}),
        (b'{"a": "\xff"}', {"a": "\ufffd"}),
        (rb'{"a": "\ud83d", "b": "\ud83d\ude00 \\ud83d"}', {"a": "\ufffd", "b": "😀 \\ud83d"}),
        (b"9" * 5000, None),
        (b"{} {}", None),
        (b"", None),
    ],
)
def test_json_is_read_leniently_and_can_be_saved(data: bytes, expected: object) -> None:
    """A byte order mark, broken UTF-8 and lone surrogates are mended; what is no JSON is None."""
    assert expected == parse_json(data)


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (94_499, "94 kB"),
        (1_234_567, "1,235 kB"),
    ],
)
def test_the_size_of_a_picture_in_words(size: int, told: str) -> None:
    """Bytes below a thousand, then thousands of them."""
    assert picture_in_words("image/png", 8, 6, size) == f"image/png, 8×6, {told}"


def test_usage_of_two_requests() -> None:
    """The tokens of both; what neither counted stays unknown."""
    one, two = Usage(1, None, 4, None, {"a": 1}), Usage(2, None, None, 8, {"b": 2})
    assert one + two == Usage(3, None, 4, 8, {"a": 1})
