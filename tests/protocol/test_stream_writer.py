"""The bytes of a stream from typed events, and the events read back from them."""

from support.wire import message

from mm_magic.protocol.events import (
    ContentBlockStart,
    ContentBlockStop,
    ErrorEvent,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    Unknown,
    parse_events,
)
from mm_magic.protocol.sse import EventStreamDecoder
from mm_magic.protocol.stream_writer import Writable, write, write_wire

EVENTS: tuple[Writable, ...] = (
    MessageStart({"id": "5f0c", "model": "M", "content": []}),
    Ping(),
    ContentBlockStart(0, {"type": "thinking", "thinking": ""}),
    ThinkingDelta(0, "Hm\r\n\nevent: message_stop"),
    SignatureDelta(0, "5f"),
    ContentBlockStop(0),
    ContentBlockStart(1, {"type": "text", "text": ""}),
    TextDelta(1, "Blue \u2028 😀"),
    ContentBlockStart(2, {"type": "tool_use", "id": "t", "name": "f", "input": {}}),
    InputJsonDelta(2, '{"a": 1}'),
    ContentBlockStop(None),
    Unknown({"type": "new", "a": [1]}),
    MessageDelta("end_turn", None, {"output_tokens": 3}),
    MessageDelta("stop_sequence", "END", {}),
    ErrorEvent({"type": "error", "error": {"message": "busy (1000)"}}),
    MessageStop(),
)


def test_events_survive_the_way_there_and_back() -> None:
    """What is written is read as the same events, whatever their text holds."""
    assert parse_events(EventStreamDecoder().feed(write(*EVENTS))) == list(EVENTS)


def test_an_event_is_written_as_the_service_writes_it() -> None:
    """An event has its type as its name, and compact UTF-8 JSON as its data."""
    name, data, *ends = write(TextDelta(1, "ä")).decode().split("\n")
    assert name == "event: content_block_delta"
    delta = '"delta":{"type":"text_delta","text":"ä"}'
    assert data == f'data: {{"type":"content_block_delta","index":1,{delta}}}'
    assert ends == ["", ""]
    assert write_wire({"type": "ping"}) == b'event: ping\ndata: {"type":"ping"}\n\n'


def test_half_a_character_can_be_written() -> None:
    """Halves of a character are joined, or become U+FFFD: UTF-8 has no form for them."""
    stream = write(*EVENTS[:1], EVENTS[6], TextDelta(1, "a\ud83d\ude00b\ud83d"), EVENTS[-1])
    assert message(stream).text == "a😀b\ufffd"
