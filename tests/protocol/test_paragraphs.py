"""Text in several blocks: one text where they are neighbours, paragraphs where they stand apart."""

import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.wire import BEGIN, NO_TEXT, STOP, delta, message, pieces, read, sse, start, text

from mm_magic.protocol.accumulate import Accumulator
from mm_magic.protocol.events import message_events
from mm_magic.rendering.markdown import code_blocks, to_html

Wire = dict[str, Any]

THOUGHT: Wire = {"type": "thinking", "thinking": "It is sorted."}
BETWEEN: list[Wire] = [
    THOUGHT,
    {"type": "thinking", "thinking": ""},
    {"type": "redacted_thinking", "data": "b64="},
    {"type": "tool_use", "id": "1", "name": "look", "input": {}},
    {"type": "server_tool_use", "id": "2", "name": "web_search", "input": {}},
]


def blocks(*contents: str | Wire) -> bytes:
    """A stream of these blocks, one after the other; texts come in deltas of three characters."""
    wires: list[Wire] = [BEGIN]
    for index, content in enumerate(contents):
        if isinstance(content, str):
            deltas = [content[at : at + 3] for at in range(0, len(content), 3)]
            wires += [start(index, NO_TEXT), *(text(index, each) for each in deltas)]
        else:
            wires.append(start(index, content))
        wires.append({"type": "content_block_stop", "index": index})
    return sse(*wires, STOP)


@pytest.mark.parametrize("between", BETWEEN, ids=lambda block: block["type"])
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_text_around_another_block_is_paragraphs(between: Wire, size: int) -> None:
    """A heading behind thinking or a tool call is one, in the message and in what grows."""
    accumulator, growths = read(pieces(blocks("Let me check:", between, "## Result"), size))
    found = accumulator.message()
    assert found.text == "Let me check:\n\n## Result"
    assert "".join(growth.text for growth in growths) == found.text
    assert re.search(r"<h\d[^>]*>.*Result", to_html(found.text))


def test_a_fence_behind_thinking_is_a_fence() -> None:
    """Code that begins behind thinking, or ends before it, is found as code."""
    code = "```python\nx = 1\n```"
    found = message(blocks("So:", THOUGHT, code, THOUGHT, "Done.", THOUGHT, code)).text
    assert [block for _, block in code_blocks(found)] == ["x = 1\n"] * 2


def test_neighbours_are_one_text() -> None:
    """A text that a server split over several blocks is joined as it is."""
    assert message(blocks("Hel", "lo ", "", "there.")).text == "Hello there."
    assert message(blocks("", THOUGHT, "Hel", "", "lo")).text == "Hello"


def test_deltas_of_other_kinds_inside_a_block_split_no_text() -> None:
    """Thinking or a signature in the middle of a text block leaves the text whole."""
    found = message(
        sse(
            *(BEGIN, start(0, NO_TEXT), text(0, "Hel")),
            delta(0, "thinking_delta", "thinking", "Hm"),
            delta(0, "signature_delta", "signature", "5e"),
            *(text(0, "lo"), STOP),
        )
    )
    assert (found.text, found.thinking) == ("Hello", "Hm")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("a", "b", "a\n\nb"),
        ("a\n", "b", "a\n\nb"),
        ("a", "\nb", "a\n\nb"),
        ("a\n", "\nb", "a\n\nb"),
        ("a\n\n", "b", "a\n\nb"),
        ("a", "\n\nb", "a\n\nb"),
        ("a\n\n", "\n\nb", "a\n\n\n\nb"),
        ("", "b", "b"),
        ("\n", "b", "\n\nb"),
        ("a", "", "a"),
        ("a", "\n", "a\n"),
        ("a", "    indented", "a\n\n    indented"),
    ],
)
def test_only_missing_line_ends_are_added(before: str, after: str, expected: str) -> None:
    """Line ends that a text brings along count; at the end of an answer none are added."""
    assert message(blocks(before, THOUGHT, after)).text == expected


def test_thinking_around_text_is_paragraphs() -> None:
    """What was thought before a text and after it stands apart as well."""
    accumulator, growths = read([blocks(THOUGHT, "So.", THOUGHT, "Yes.")])
    assert accumulator.message().thinking == "It is sorted.\n\nIt is sorted."
    assert "".join(growth.thinking for growth in growths) == accumulator.message().thinking


def test_an_answer_in_one_piece_reads_the_same() -> None:
    """Without a stream the text is the same as with one."""
    wire: Wire = {
        "content": [{"type": "text", "text": "a:"}, THOUGHT, {"type": "text", "text": "# b"}]
    }
    accumulator = Accumulator()
    growth = accumulator.add(message_events(wire))
    assert (growth.text, growth.thinking) == ("a:\n\n# b", "It is sorted.")
    assert accumulator.message().text == growth.text


def test_blocks_go_back_as_they_came() -> None:
    """The line ends between are the reader's: the blocks themselves hold none of them."""
    wires = [block.to_wire() for block in message(blocks("a", THOUGHT, "b")).content]
    assert wires == [{"type": "text", "text": "a"}, THOUGHT, {"type": "text", "text": "b"}]


TEXTS = ["", "a", "\n", "\n\n", "b\n", "\nc", "```", "# d", "é\n\n", "a\ud83d", "\ude00b", "😀"]
STARTS = ["", "", "a", "ab", "\n", "😀"]


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Blocks in order, of all kinds, some given in message_start, some said twice."""
    wires: list[Wire] = []
    given = draw(
        st.lists(st.sampled_from([NO_TEXT, {**NO_TEXT, "text": "ab"}, THOUGHT]), max_size=1)
    )
    wires.append({**BEGIN, "message": {**BEGIN["message"], "content": given}})
    for index in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["text", "text", "thinking", "tool_use"]))
        name = "thinking" if kind == "thinking" else "text"
        if kind == "tool_use":
            wires.append(start(index, {"type": kind, "id": str(index), "name": "f", "input": {}}))
            continue
        if begins := draw(st.booleans()):
            wires.append(start(index, {"type": kind, name: draw(st.sampled_from(STARTS))}))
        said = draw(st.lists(st.sampled_from(TEXTS), max_size=4, min_size=not begins))
        wires += [delta(index, f"{kind}_delta", name, each) for each in said]
    return sse(*wires, STOP)


def reads(body: bytes, cuts: list[int]) -> list[bytes]:
    ends = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    return [body[a:b] for a, b in pairwise(ends)]


@settings(derandomize=True, deadline=None, max_examples=500)
@given(streams(), st.lists(st.integers(0, 2000), max_size=12))
def test_growths_make_up_the_message(body: bytes, cuts: list[int]) -> None:
    """Whatever the blocks and the cuts, what grew is the text, to the byte."""
    accumulator, growths = read(reads(body, cuts))
    found = accumulator.message()
    for name in ("text", "thinking"):
        grown = "".join(getattr(growth, name) for growth in growths)
        shown = getattr(found, name)
        # Half a character at the very end waits for its other half, which never came.
        assert grown in (shown, shown.removesuffix("\ufffd"))
    assert read([body])[0].message() == found
