"""Blocks that hold something before their first delta: a beginning, or all of it, said twice."""

from typing import Any

import pytest
from support.timing import calls_of
from support.wire import BEGIN, NO_TEXT, STOP, delta, message, pieces, read, sse, start, text

from mm_magic.protocol.messages import TextBlock, ThinkingBlock, ToolUseBlock, UnknownBlock


def block(kind: str, words: str) -> dict[str, Any]:
    return {"type": kind, kind: words}


def check(stream: bytes, expected: str) -> None:
    """At any read size the message says this, and so does what grows."""
    for size in (1, 7, 100_000):
        accumulator, growths = read(pieces(stream, size))
        found = accumulator.message()
        assert found.thinking + found.text == expected
        assert "".join(growth.thinking + growth.text for growth in growths) == expected


@pytest.mark.parametrize("kind", ["text", "thinking"])
@pytest.mark.parametrize(
    ("begins", "deltas", "expected"),
    [
        pytest.param("Hello there!", ["Hello there!"], "Hello there!", id="again in one"),
        pytest.param("Hello there!", ["Hel", "lo ", "there!"], "Hello there!", id="in pieces"),
        pytest.param("Hel", ["Hel", "lo"], "Hello", id="the first piece again"),
        pytest.param("Hello", ["Hello there!"], "Hello there!", id="again and more"),
        pytest.param("Hello", ["Hell", "o there!"], "Hello there!", id="across deltas"),
        pytest.param("Hel", ["lo"], "Hello", id="a beginning"),
        pytest.param("Hello", ["Hel", "icopter"], "HelloHelicopter", id="only alike at first"),
        pytest.param("Hello", ["", "Hello", ""], "Hello", id="empty deltas"),
        pytest.param("Hello", [], "Hello", id="no deltas"),
        pytest.param("Hello there!", ["Hello"], "Hello there!", id="cut while it repeats"),
        pytest.param("你好", ["你", "好！"], "你好！", id="Chinese"),
        pytest.param("# A\n\n", ["# A\n\n", "- b"], "# A\n\n- b", id="Markdown"),
    ],
)
def test_text_of_a_start_is_shown_once(
    kind: str, begins: str, deltas: list[str], expected: str
) -> None:
    """Deltas that say a start's text again add nothing, and those that go on from it all."""
    wires = [delta(0, f"{kind}_delta", kind, each) for each in deltas]
    check(sse(BEGIN, start(0, block(kind, begins)), *wires, STOP), expected)


def test_a_start_is_shown_at_once() -> None:
    """What a start says is there before its first delta, and never taken back."""
    reads = [start(0, block("text", "Hello")), text(0, "Hel"), text(0, "lo"), text(0, " you"), STOP]
    _, growths = read(map(sse, reads))
    assert [growth.text for growth in growths] == ["Hello", "", "", " you", "", ""]


def test_what_a_start_has_beside_its_text_stays() -> None:
    """A signature and unknown fields of a start that is said again are kept."""
    thought = {**block("thinking", "Hm"), "signature": "5e", "x": 1}
    found = message(sse(start(0, thought), delta(0, "thinking_delta", "thinking", "Hm."), STOP))
    assert (ThinkingBlock("Hm.", "5e", {"x": 1}),) == found.content


@pytest.mark.parametrize("deltas", [['{"a": 1}'], ['{"a"', ": 1}"], [""], []])
def test_input_of_a_start_is_taken_once(deltas: list[str]) -> None:
    """A tool's input that stands in its start and comes again as JSON is that input."""
    tool = {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}
    wires = [delta(0, "input_json_delta", "partial_json", each) for each in deltas]
    found = message(sse(start(0, tool), *wires, STOP))
    assert (ToolUseBlock("1", "f", {"a": 1}),) == found.content


def test_a_long_start_that_comes_again_costs_linear_work() -> None:
    """Twice the text, said again in small deltas, is twice the calls."""

    def calls(size: int) -> int:
        words = "word " * size
        wires = [start(0, block("text", words)), *[text(0, "word ")] * size, STOP]
        stream = pieces(sse(*wires), 500)
        return calls_of(lambda: read(stream)[0].message())

    assert calls(2000) < 2.5 * calls(1000)


# Blocks in message_start


def begin(*content: object) -> dict[str, Any]:
    return {**BEGIN, "message": {**BEGIN["message"], "content": list(content)}}


SAID = block("text", "Hello there!")
THOUGHT = block("thinking", "Hm.")
TOOL = {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}}
OTHER: dict[str, object] = {"type": "redacted_thinking", "data": "b64="}


@pytest.mark.parametrize(
    "wires",
    [
        pytest.param([begin(SAID), STOP], id="nothing else"),
        pytest.param([begin(SAID), start(0, NO_TEXT), STOP], id="an empty start"),
        pytest.param([begin(SAID), start(0, SAID), STOP], id="a start that says it"),
        pytest.param([begin(SAID), start(0, NO_TEXT), text(0, "Hello there!"), STOP], id="deltas"),
        pytest.param([begin(SAID), start(0, SAID), text(0, "Hello there!"), STOP], id="all three"),
        pytest.param([begin(SAID), text(0, "Hello there!"), STOP], id="deltas without a start"),
        pytest.param([begin(block("text", "Hel")), text(0, "lo there!"), STOP], id="a beginning"),
        pytest.param([begin(block("text", "Hel")), start(0, SAID), STOP], id="more in the start"),
        pytest.param([begin(SAID), begin(SAID), STOP], id="message_start twice"),
        pytest.param([begin(SAID), begin(), STOP], id="an empty message_start after it"),
        pytest.param([begin(), begin(SAID), start(0, SAID), STOP], id="an empty one before it"),
        pytest.param([begin(NO_TEXT), start(0, NO_TEXT), text(0, "Hello there!")], id="empty"),
        pytest.param([begin("x", None, SAID), STOP], id="beside what is no block"),
        pytest.param(
            [begin(NO_TEXT), start(0, SAID), text(0, "Hello "), text(0, "there!"), STOP],
            id="an empty one, then all of it twice",
        ),
    ],
)
def test_content_of_message_start_is_shown_once(wires: list[dict[str, Any]]) -> None:
    """A block that stands in message_start is there, also where it comes again in the usual way."""
    check(sse(*wires), "Hello there!")
    assert (TextBlock("Hello there!"),) == message(sse(*wires)).content


def test_blocks_of_all_kinds_in_message_start() -> None:
    """Thinking, tool calls and unknown blocks are taken as well, and once."""
    content = [THOUGHT, SAID, TOOL, OTHER]
    expected = (
        ThinkingBlock("Hm."),
        TextBlock("Hello there!"),
        ToolUseBlock("1", "f", {"a": 1}),
        UnknownBlock(OTHER),
    )
    starts = [start(index, each) for index, each in enumerate(content)]
    assert expected == message(sse(begin(*content), STOP)).content
    assert expected == message(sse(begin(*content), *starts, STOP)).content


def test_a_start_that_says_something_else_is_another_block() -> None:
    """What follows a block of message_start at its index, and is not that block, is added."""
    other_tool = {**TOOL, "id": "2"}
    found = message(
        sse(
            begin(block("text", "Hi."), TOOL, OTHER),
            *(start(0, THOUGHT), start(1, other_tool), start(2, {**OTHER, "data": "YQ=="})),
            *(start(3, NO_TEXT), text(3, "Yes."), STOP),
        )
    )
    kinds = [each.to_wire()["type"] for each in found.content]
    assert kinds[:3] == ["text", "tool_use", "redacted_thinking"]
    assert kinds[3:] == ["thinking", "tool_use", "redacted_thinking", "text"]
    assert found.text == "Hi.\n\nYes."


def test_a_start_behind_deltas_is_another_block() -> None:
    """A block of message_start that has grown is not begun again."""
    wires = [begin(block("text", "Hi")), text(0, "."), start(0, block("text", "Hi there")), STOP]
    check(sse(*wires), "Hi.Hi there")


def test_message_start_twice_keeps_what_the_second_leaves_out() -> None:
    """The fields of both count, the later one where both say something; blocks stay."""
    more: Any = {"usage": {"input_tokens": 7}, "service_tier": "standard"}
    first = {**BEGIN, "message": {**BEGIN["message"], **more}}
    less: Any = {"id": None, "model": "N", "content": None}
    second = {**BEGIN, "message": less}
    found = message(sse(first, second, start(0, NO_TEXT), text(0, "Hi"), STOP))
    assert (found.id, found.model, found.text) == ("5f0c", "N", "Hi")
    assert (found.usage.input_tokens, found.extra) == (7, {"service_tier": "standard"})
