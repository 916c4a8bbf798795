"""From events to a message: whatever the order, the cuts and the gaps, nothing is lost."""

import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.timing import seconds_of
from support.wire import (
    BEGIN,
    DATA,
    END,
    NO_TEXT,
    STOP,
    delta,
    message,
    pieces,
    read,
    sse,
    start,
    text,
    thinking,
)

from mm_magic.protocol.accumulate import Accumulator
from mm_magic.protocol.events import TextDelta
from mm_magic.protocol.messages import (
    Message,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
    UnknownBlock,
    Usage,
)

FIXTURES = {
    "thinking_text": (
        "complete",
        Message(
            id="5f0c1d9be27a4d3c8a61f2074be9d381",
            model="MiniMax-M2.7",
            content=(
                ThinkingBlock(
                    "The sky: Rayleigh scattering, short waves scatter more.",
                    "8d2f4a6b0c1e3957f8a2b4c6d8e0f1a3b5c7d9e1f3a5b7c9d1e3f5a7b9c1d3e5",
                ),
                TextBlock("\n\nAir scatters blue light ~ λ⁻⁴ 🌤."),
            ),
            stop_reason="end_turn",
            usage=Usage(39, 40, 0, 12),
            extra={"service_tier": "standard"},
        ),
    ),
    "overlapping_blocks": (
        "complete",
        Message(
            id="chatcmpl-x7Kq2",
            model="qwen3-4b",
            content=(ThinkingBlock("Two and two.", ""), TextBlock("Four.")),
            stop_reason="end_turn",
            usage=Usage(14, 9),
        ),
    ),
    "no_stop_reason": (
        "complete",
        Message(
            id="b94e6d2f7c0a41f8835d1e9a06c7b2f4",
            model="MiniMax-M3",
            content=(TextBlock("你好！"),),
            usage=Usage(21, 0, extra={"service_tier": "standard"}),
        ),
    ),
    "error_in_stream": (
        "failed",
        Message(
            id="0e6c1b57d39f4a82b0c4e8d7a1f52936",
            model="MiniMax-M2.7",
            content=(TextBlock("The first half"),),
            usage=Usage(0, 0),
        ),
    ),
    "tool_use": (
        "complete",
        Message(
            id="7ab3c5d9e1f24680b2d4f6a8c0e1f3a5",
            model="MiniMax-M2.7",
            content=(ToolUseBlock("call_function_1", "weather", {"city": "Zürich", "days": 3}),),
            stop_reason="tool_use",
            usage=Usage(52, 18),
            extra={"service_tier": "standard"},
        ),
    ),
    # Events twice, thinking inside a text block, an empty text before a call: as LiteLLM sends it.
    "doubled_events": (
        "complete",
        Message(
            id="msg_3c1f9a52-7d40-4c86-a1b7-55e0d2c94a18",
            model="minimax/MiniMax-M2.7",
            content=(
                TextBlock("I look it up."),
                ThinkingBlock("Zürich, then the days."),
                TextBlock(""),
                ToolUseBlock("call_7", "weather", {"city": "Zürich"}),
            ),
            stop_reason="tool_use",
            usage=Usage(61, 22),
        ),
    ),
    # Comments, a signature that comes late, and one in a block of its own: as OpenRouter sends it.
    "late_signatures": (
        "complete",
        Message(
            id="gen-1764312345-bQ2mX",
            model="minimax/minimax-m2.7",
            content=(
                ThinkingBlock("Noble: no reactions.", "c4f1"),
                TextBlock("Neon, argon — 氩."),
                ThinkingBlock("", "9b07"),
            ),
            stop_reason="end_turn",
            usage=Usage(17, 14),
        ),
    ),
    "text_around_thinking": (
        "complete",
        Message(
            id="3f6a0d1c8b7e4925af10c3d2e9b85764",
            model="MiniMax-M2.7",
            content=(
                TextBlock("Let me check:"),
                ThinkingBlock("It is sorted.", "77ab"),
                TextBlock("\n```python\nx = 1\n```"),
                UnknownBlock({"type": "redacted_thinking", "data": "b64="}),
                TextBlock("- Sor"),
                TextBlock("ted 🗂."),
            ),
            stop_reason="end_turn",
            usage=Usage(30, 25),
        ),
    ),
    # Blocks in message_start, again in their starts and in their deltas; a beginning that goes on.
    "said_again": (
        "complete",
        Message(
            id="chatcmpl-51d0",
            model="M",
            content=(
                ThinkingBlock("Greet."),
                TextBlock("Hello there! 👋"),
                TextBlock(" Nice day."),
            ),
            stop_reason="stop_sequence",
            usage=Usage(output_tokens=3),
        ),
    ),
}


def test_every_wire_fixture_has_its_expectation() -> None:
    """No stream in tests/data stays untested."""
    assert {path.stem for path in DATA.glob("*.sse")} == set(FIXTURES)


@pytest.mark.parametrize("name", FIXTURES)
@pytest.mark.parametrize("size", [1, 2, 7, 100_000])
def test_wire_fixtures_give_the_same_message_at_every_read_size(name: str, size: int) -> None:
    """Each captured shape gives its state and its message, whole and byte by byte."""
    accumulator, _ = read(pieces((DATA / f"{name}.sse").read_bytes(), size))
    assert FIXTURES[name] == (accumulator.state, accumulator.message())


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.sampled_from(sorted(FIXTURES)), st.data())
def test_wire_fixtures_give_the_same_message_at_any_cuts(name: str, data: st.DataObject) -> None:
    """Cut anywhere, a stream gives its message, and its growths make up the message's text."""
    body = (DATA / f"{name}.sse").read_bytes()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=30)))
    reads = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    accumulator, growths = read(reads)
    found = accumulator.message()
    assert FIXTURES[name] == (accumulator.state, found)
    assert accumulator.skipped == 0
    assert found.text == "".join(growth.text for growth in growths)
    assert found.thinking == "".join(growth.thinking for growth in growths)


@pytest.mark.parametrize("name", ["thinking_text", "overlapping_blocks", "no_stop_reason"])
def test_line_ends_and_a_missing_last_blank_line_change_nothing(name: str) -> None:
    """CR, CRLF, a byte order mark and an end without the blank line give the same message."""
    body = (DATA / f"{name}.sse").read_bytes()
    for other in (
        body.replace(b"\n", b"\r\n"),
        body.replace(b"\n", b"\r"),
        b"\xef\xbb\xbf" + body,
        body.removesuffix(b"\n"),
        body.removesuffix(b"\n\n"),
    ):
        accumulator, _ = read(pieces(other, 5))
        assert FIXTURES[name] == (accumulator.state, accumulator.message())


@pytest.mark.parametrize("index", [None, "x", 7, 1_000_000_000, -1])
def test_an_odd_index_keeps_its_block_together(index: object) -> None:
    """Null, missing, negative and huge indexes are names like any other, and pad no list."""
    tracemalloc.start()
    try:
        found = message(sse(BEGIN, start(index, NO_TEXT), text(index, "Hello"), text(index, "!")))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (TextBlock("Hello!"),) == found.content
    assert peak < 1_000_000


def test_blocks_that_overlap_are_kept_apart() -> None:
    """Deltas go to the block of their index, whatever comes between."""
    found = message(
        sse(
            BEGIN,
            *(start(0, NO_TEXT), start(1, NO_TEXT)),
            *(text(0, "He"), text(1, " wo"), text(0, "llo"), text(1, "rld")),
            STOP,
        )
    )
    assert (TextBlock("Hello"), TextBlock(" world")) == found.content


def test_a_start_at_a_used_index_opens_a_new_block() -> None:
    """A server that uses an index twice loses no text of the first block."""
    found = message(sse(start(0, NO_TEXT), text(0, "a"), start(0, NO_TEXT), text(0, "b"), STOP))
    assert (TextBlock("a"), TextBlock("b")) == found.content


def test_a_delta_goes_to_a_block_of_its_own_kind() -> None:
    """Thinking under a text block's index is never shown as text, nor the other way round."""
    found = message(
        sse(
            *(start(0, {"type": "thinking", "thinking": ""}), text(0, "shown")),
            *(start(1, NO_TEXT), thinking(1, "hidden"), thinking(0, "first")),
        )
    )
    assert found.text == "shown"
    assert found.thinking == "first\n\nhidden"


def test_deltas_without_a_start_make_their_blocks() -> None:
    """Text, thinking with its signature and tool input are kept where no start came."""
    found = message(
        sse(
            thinking(0, "Hm"),
            delta(0, "signature_delta", "signature", "5e"),
            text(1, "Hi"),
            delta(2, "input_json_delta", "partial_json", '{"a":1}'),
        )
    )
    assert (
        ThinkingBlock("Hm", "5e"),
        TextBlock("Hi"),
        ToolUseBlock("", "", {"a": 1}),
    ) == found.content


def test_text_in_a_start_is_the_beginning_of_the_block() -> None:
    """What a start already holds comes before its deltas, in the message and in the growth."""
    seed = {"type": "thinking", "thinking": "seed"}
    accumulator, growths = read(
        [sse(start(0, seed), thinking(0, "!"), start(1, {"type": "text", "text": "He"}), STOP)]
    )
    assert (accumulator.message().thinking, accumulator.message().text) == ("seed!", "He")
    assert (growths[0].thinking, growths[0].text) == ("seed!", "He")


def test_a_signature_replaces_the_one_before() -> None:
    """A signature is opaque: the last one holds, nothing is appended."""
    block = {"type": "thinking", "thinking": "Hm", "signature": "a"}
    signatures = [delta(0, "signature_delta", "signature", value) for value in ("b", "c")]
    assert (ThinkingBlock("Hm", "c"),) == message(sse(start(0, block), *signatures)).content


def test_unknown_blocks_and_events_are_kept() -> None:
    """What this version doesn't know stays in the message, or in `unknown`, as it came."""
    block: dict[str, Any] = {"type": "redacted_thinking", "data": "b64="}
    odd = delta(0, "citations_delta", "citation", {"url": "x"})
    news: dict[str, Any] = {"type": "news", "items": [1]}
    accumulator, _ = read([sse(BEGIN, start(0, block), odd, news, text(1, "Hi"), STOP)])
    assert (UnknownBlock(block), TextBlock("Hi")) == accumulator.message().content
    assert [odd, news] == accumulator.unknown


def test_unreadable_events_are_counted() -> None:
    """An event that can't be read is skipped and counted, and the rest is read."""
    stream = sse(BEGIN, text(0, "Hel")) + b"data: {broken\n\ndata: a b\n\n" + sse(text(0, "lo"))
    accumulator, _ = read([stream])
    assert (accumulator.skipped, accumulator.message().text) == (2, "Hello")


@pytest.mark.parametrize("usage", [None, {}, {"output_tokens": None}, "much"])
def test_usage_that_says_nothing_changes_nothing(usage: object) -> None:
    """A last usage of null, or without numbers, leaves the first one as it was."""
    begin = {**BEGIN, "message": {**BEGIN["message"], "usage": {"input_tokens": 7}}}
    found = message(sse(begin, text(0, "Hi"), {**END, "usage": usage}, STOP))
    assert Usage(input_tokens=7) == found.usage


@pytest.mark.parametrize("last", [{"stop_reason": None}, {"stop_reason": ""}, {}, None])
def test_a_stop_reason_is_not_taken_back(last: object) -> None:
    """A later message_delta without a stop_reason leaves the one that came."""
    found = message(sse(BEGIN, text(0, "Hi"), END, {"type": "message_delta", "delta": last}))
    assert found.stop_reason == "end_turn"


def test_a_stop_sequence_is_kept() -> None:
    """The sequence that ended the answer is in the message."""
    end: dict[str, Any] = {
        "type": "message_delta",
        "delta": {"stop_reason": "stop_sequence", "stop_sequence": "#"},
    }
    found = message(sse(BEGIN, text(0, "Hi"), end, STOP))
    assert (found.stop_reason, found.stop_sequence) == ("stop_sequence", "#")


@pytest.mark.parametrize(
    ("pieces_of_json", "expected"),
    [
        (["", '{"a": ', '"\\ud83d', '\\ude00"}'], {"a": "😀"}),
        (['{"a": "\\ud83d"}'], {"a": "\ufffd"}),
        ([], {"given": 1}),
        (["", ""], {"given": 1}),
        (['{"a": '], '{"a": '),
        (["[1]"], "[1]"),
    ],
)
def test_tool_input_is_an_object_or_the_text_that_came(
    pieces_of_json: list[str], expected: object
) -> None:
    """A tool's input is parsed when it is whole; what is no object stays text."""
    block = {"type": "tool_use", "id": "1", "name": "f", "input": {"given": 1}}
    deltas = [delta(0, "input_json_delta", "partial_json", piece) for piece in pieces_of_json]
    (found,) = message(sse(start(0, block), *deltas, STOP)).content
    assert isinstance(found, ToolUseBlock)
    assert expected == found.input


def test_halves_of_a_character_meet_across_deltas() -> None:
    """An emoji cut into two deltas is whole in the growth and in the message, and can be saved."""
    accumulator, growths = read([sse(text(0, "a\ud83d")), sse(text(0, "\ude00b"), STOP)])
    assert [growth.text for growth in growths] == ["a", "😀b", ""]
    assert accumulator.message().text == "a😀b"


@pytest.mark.parametrize("kind", [text, thinking])
def test_a_half_that_stays_alone_is_replaced(kind: Any) -> None:
    """Half a character without its other half becomes U+FFFD in the message."""
    found = message(sse(kind(0, "a\ud83d"), kind(0, " b\ude00"), STOP))
    assert found.text + found.thinking == "a\ufffd b\ufffd"
    str(found.to_wire()).encode()


@pytest.mark.timed
def test_a_long_answer_costs_linear_time() -> None:
    """Four times the deltas, of text or of tool input, take four times as long, not sixteen."""

    def seconds(count: int, kind: str, name: str) -> float:
        stream = [sse(delta(0, kind, name, "word "))] * count
        return seconds_of(lambda: read(stream)[0].message())

    for kind, name in (("text_delta", "text"), ("input_json_delta", "partial_json")):
        assert seconds(20_000, kind, name) < 8 * seconds(5_000, kind, name)


def test_a_growth_is_as_long_as_its_read() -> None:
    """Each growth holds what its own read added, not what came before."""
    accumulator = Accumulator()
    assert {"word "} == {accumulator.add([TextDelta(0, "word ")]).text for _ in range(20_000)}
    assert len(accumulator.message().text) == 100_000
