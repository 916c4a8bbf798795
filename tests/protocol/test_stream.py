"""The short way for deltas of one shape: it gives what the general way gives, for any bytes."""

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.corpora import Stream, own_streams
from support.wire import BEGIN, DATA, NO_TEXT, STOP, pieces, sse, start, text, thinking

from mm_magic.protocol.accumulate import Accumulator
from mm_magic.protocol.events import Event, TextDelta, ThinkingDelta, Unreadable, parse_events
from mm_magic.protocol.sse import EventStreamDecoder
from mm_magic.protocol.stream import DeltaShape, EventReader, shape_of

Writer = Callable[[bytes], bytes]


def template(before: str, behind: str) -> Writer:
    return lambda inside: before.encode() + inside + behind.encode()


# How servers write a delta: the order and the spacing differ, and some send no name.
WRITERS: dict[str, Writer] = {
    "compact": template(
        'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
        '"delta":{"type":"text_delta","text":"',
        '"}}\n\n',
    ),
    "spaced": template(
        'event: content_block_delta\ndata: {"type": "content_block_delta", "index": 1, '
        '"delta": {"type": "thinking_delta", "thinking": "',
        '"}}\n\n',
    ),
    "another order": template(
        'data: {"delta":{"text":"',
        '","type":"text_delta"},"index":0,"type":"content_block_delta"}\n\n',
    ),
    "CRLF": template(
        'event: content_block_delta\r\ndata: {"index":2,"delta":{"type":"text_delta","text":"',
        '"}}\r\n\r\n',
    ),
    "CR": template(
        'event: content_block_delta\rdata: {"index":2,"delta":{"type":"text_delta","text":"',
        '"}}\r\r',
    ),
    "another string": template(
        'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x",'
        '"y":"',
        '"}}\n\n',
    ),
    "a status beside": template(
        'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"',
        '"},"base_resp":{"status_code":0}}\n\n',
    ),
    "data over two lines": template(
        'data: {"type":"content_block_delta","index":0,\n'
        'data: "delta":{"type":"text_delta","text":"',
        '"}}\n\n',
    ),
}
INSIDES = [
    *(b"", b"a", b" ", b"word ", "λ".encode(), "天空".encode(), "😀".encode(), "\u200d".encode()),
    *(rb"\n", rb"\"", rb"\\", rb"\/", rb"\u00e9", rb"\ud83d\ude00", rb"\ud83d", rb"\ude00"),
    # broken alone; some of them whole in a row
    *(b"\\", rb"\u00", b"e9", b'"', b'","', b'"}}', b"\n", b"\r", b"\n\n", b"\t", b"\x01", b"\0"),
    *(
        b"\xf0\x9f",
        b"\x98\x80",
        b"\xff",
        b"\xef\xbb\xbf",
        b'"}}\n\ndata: {"type":"ping"',
        b"data: ",
    ),
]
OTHERS = [
    sse({"type": "ping"}),
    sse(text(0, "other")),
    sse(text(7, "other")),
    sse({"type": "content_block_stop", "index": 0}),
    *(b": comment\n\n", b"\n", b"\r", b"event: x\n", b"data: x\n", b"id: 7\n\n", b"\xef\xbb\xbf"),
]


def merged(events: list[Event]) -> list[Event]:
    """The events, neighbours of one block joined: whether they were does not count."""
    found: list[Event] = []
    for event in events:
        match found[-1:], event:
            case [TextDelta(index, before)], TextDelta(same, more) if index == same:
                found[-1] = TextDelta(index, before + more)
            case [ThinkingDelta(index, before)], ThinkingDelta(same, more) if index == same:
                found[-1] = ThinkingDelta(index, before + more)
            case _:
                found.append(event)
    return found


def check_same(reads: list[bytes]) -> None:
    """Read by read, both ways give the same events and the same growth."""
    reader, decoder = EventReader(), EventStreamDecoder()
    short, general = Accumulator(), Accumulator()
    for part in reads:
        events, expected = reader.feed(part), parse_events(decoder.feed(part))
        assert merged(expected) == merged(events), part
        assert general.add(expected) == short.add(events)
    events, expected = reader.close(), parse_events(decoder.close())
    assert merged(expected) == merged(events)
    assert (general.add(expected), general.message()) == (short.add(events), short.message())


@settings(derandomize=True, deadline=None, max_examples=500)
@given(
    st.sampled_from(sorted(WRITERS)),
    st.lists(
        st.lists(
            st.lists(st.sampled_from(INSIDES), max_size=3).map(b"".join), min_size=1, max_size=5
        ),
        max_size=8,
    ),
    st.data(),
)
def test_reads_of_whole_deltas_give_the_same(
    name: str, reads: list[list[bytes]], data: st.DataObject
) -> None:
    """Deltas in any shape, whole and broken, several in a read, are read as one by one."""
    write = WRITERS[name]
    parts = [b"".join(map(write, insides)) for insides in reads]
    for other in data.draw(st.lists(st.sampled_from(OTHERS), max_size=2)):
        parts.insert(data.draw(st.integers(0, len(parts))), other)
    check_same([write(b"word"), *parts])
    check_same([write(b"word") * 2, write(b""), *parts])


@settings(derandomize=True, deadline=None, max_examples=300)
@given(st.sampled_from(sorted(WRITERS)), st.lists(st.sampled_from([*INSIDES, *OTHERS])), st.data())
def test_any_cuts_give_the_same(name: str, items: list[bytes], data: st.DataObject) -> None:
    """A stream of deltas and other events, cut anywhere, is the same both ways."""
    write = WRITERS[name]
    body = b"".join(item if item in OTHERS else write(item) for item in [b"word", *items])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    check_same([body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)])


@pytest.mark.parametrize("name", WRITERS)
def test_parts_of_a_delta_are_no_delta(name: str) -> None:
    """Two parts that share a quote, a byte order mark in front and a lone part are read alike."""
    write = WRITERS[name]
    before, behind = write(b"@").split(b"@")
    check_same([write(b"word"), before + behind[1:], write(b"word")])
    check_same([write(b"word"), before, behind, behind + before, write(b"word")])
    mark = b"\xef\xbb\xbf"
    check_same([mark + write(b"word"), mark + write(b"word"), write(b"word")])


@pytest.mark.parametrize("path", sorted(DATA.glob("*.sse")), ids=lambda path: path.stem)
@pytest.mark.parametrize("size", [1, 7, 150, 100_000])
def test_captured_streams_give_the_same(path: Any, size: int) -> None:
    """Each captured shape is read the same both ways."""
    check_same(pieces(path.read_bytes(), size))


@pytest.mark.parametrize("stream", own_streams(), ids=lambda stream: stream.name)
@pytest.mark.parametrize("size", [7, 150, 100_000])
def test_odd_streams_give_the_same(stream: Stream, size: int) -> None:
    """Each stream of an odd server is read the same both ways, deltas in front of it included."""
    before = WRITERS["compact"](b"word ") * 2
    check_same([before, *pieces(stream.body, size)])


def test_random_text_gives_the_same() -> None:
    """Words, code, formulas, emoji and Chinese come through the short way as they are."""
    words = ["the ", "天空", "😀", "\n\n- ", '"x"', "\\frac{a}{b}", "\t", "\u2028", "é", "\x7f", ""]
    chosen = random.Random(7)
    for ensure_ascii in (True, False):
        stream = [
            "".join(
                f"data: {json.dumps(text(0, chosen.choice(words)), ensure_ascii=ensure_ascii)}\n\n"
                for _ in range(chosen.randrange(1, 5))
            ).encode()
            for _ in range(500)
        ]
        check_same([sse(BEGIN), *stream, sse(STOP)])


# That the short way is taken


def shape(writer: str, inside: bytes = b"word") -> DeltaShape | None:
    event = WRITERS[writer](inside)
    (found,) = parse_events(EventStreamDecoder().feed(event))
    assert isinstance(found, TextDelta | ThinkingDelta)
    return shape_of(event, found)


@pytest.mark.parametrize("writer", ["compact", "spaced", "another order", "CRLF"])
@pytest.mark.parametrize("inside", [b"word", b"", rb"\n\n", "天空".encode(), b"text"])
def test_a_shape_is_told_from_one_delta(writer: str, inside: bytes) -> None:
    """The shape of usual servers is known after one delta, whatever its text is."""
    found = shape(writer, inside)
    assert found is not None
    read = found.read(WRITERS[writer](b"one ") + WRITERS[writer](rb"\"two\" "))
    assert found.kind(found.index, 'one "two" ') == read


def test_no_shape_where_the_string_is_not_the_text() -> None:
    """Where another string only looks like the text, there is no shape."""
    assert shape("another string", b"x") is None


def test_deltas_of_one_read_are_joined() -> None:
    """A read of sixteen deltas of one block is one event, and the next block has its own shape."""
    reader = EventReader()
    reader.feed(sse(BEGIN, start(0, {"type": "thinking", "thinking": ""}), thinking(0, "a ")))
    assert [ThinkingDelta(0, "b " * 16)] == reader.feed(sse(*[thinking(0, "b ")] * 16))
    reader.feed(sse(start(1, NO_TEXT), text(1, "c ")))
    assert [TextDelta(1, "d " * 16)] == reader.feed(sse(*[text(1, "d ")] * 16))


def test_two_broken_deltas_make_no_whole_one() -> None:
    """What is broken by itself is flagged, also where the next delta would make it whole."""
    write = WRITERS["compact"]
    reader = EventReader()
    reader.feed(write(b"word"))
    for first, second in ((b"a\\", b"nb"), (rb"\u00", b"41"), (b'a","b', b"c")):
        found = reader.feed(write(first) + write(second))
        assert [Unreadable, TextDelta] == [type(event) for event in found]
    assert [TextDelta(0, "on")] == reader.feed(write(b"on"))


def test_the_search_for_a_shape_ends() -> None:
    """A server whose deltas differ in more than their text is soon read in the general way."""
    reader, usual = EventReader(), sse(text(0, "word"))
    for number in range(3):
        reader.feed(sse({**text(0, "word"), "event_id": number}))
    reader.feed(usual)
    assert len(reader.feed(usual * 2)) == 1
    for number in range(9):
        reader.feed(sse({**text(0, "word"), "event_id": number}))
    reader.feed(usual)
    assert len(reader.feed(usual * 2)) == 2
