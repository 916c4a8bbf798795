"""From server-sent events to typed ones: what each means, and that none stops the stream."""

import json
from typing import Any

import pytest
from support.wire import STOP, delta, sse, start, text, thinking

from mm_magic.protocol.events import (
    BaseRespEvent,
    ContentBlockStart,
    ContentBlockStop,
    ErrorEvent,
    Event,
    InputJsonDelta,
    MessageDelta,
    MessageStart,
    MessageStop,
    Ping,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
    Unknown,
    Unreadable,
    message_events,
    parse_events,
)
from mm_magic.protocol.messages import BaseResp
from mm_magic.protocol.sse import EventStreamDecoder

DOCUMENTED: list[tuple[dict[str, Any], Event]] = [
    ({"type": "ping"}, Ping()),
    ({"type": "message_start", "message": {"id": "1"}}, MessageStart({"id": "1"})),
    (start(0, {"type": "text", "text": ""}), ContentBlockStart(0, {"type": "text", "text": ""})),
    (text(1, "Hi"), TextDelta(1, "Hi")),
    (thinking(0, "Hm"), ThinkingDelta(0, "Hm")),
    (delta(0, "signature_delta", "signature", "5e"), SignatureDelta(0, "5e")),
    (delta(2, "input_json_delta", "partial_json", '{"a'), InputJsonDelta(2, '{"a')),
    ({"type": "content_block_stop", "index": 1}, ContentBlockStop(1)),
    (
        {
            "type": "message_delta",
            "delta": {"stop_reason": "stop_sequence", "stop_sequence": "###"},
            "usage": {"output_tokens": 4},
        },
        MessageDelta("stop_sequence", "###", {"output_tokens": 4}),
    ),
    (STOP, MessageStop()),
]


def events(stream: bytes) -> list[Event]:
    return parse_events(EventStreamDecoder().feed(stream))


@pytest.mark.parametrize(("wire", "event"), DOCUMENTED, ids=lambda value: type(value).__name__)
def test_documented_events_are_typed(wire: dict[str, Any], event: Event) -> None:
    """Each event of the API becomes its type, with the fields of the wire."""
    assert [event] == events(sse(wire))


@pytest.mark.parametrize(("wire", "event"), DOCUMENTED, ids=lambda value: type(value).__name__)
def test_the_type_in_the_data_wins_over_the_name(wire: dict[str, Any], event: Event) -> None:
    """An event is what its data says, under another's name and under none."""
    data = json.dumps(wire)
    assert [event] == events(f"event: error\ndata: {data}\n\n".encode())
    assert [event] == events(f"data: {data}\n\n".encode())


@pytest.mark.parametrize(("wire", "event"), DOCUMENTED, ids=lambda value: type(value).__name__)
def test_the_name_alone_is_enough(wire: dict[str, Any], event: Event) -> None:
    """Data without a type is read by the event's name."""
    data = json.dumps({key: value for key, value in wire.items() if key != "type"})
    assert [event] == events(f"event: {wire['type']}\ndata: {data}\n\n".encode())


@pytest.mark.parametrize(
    "wire",
    [
        {"type": "content_block_heartbeat", "index": 0},
        {"type": 7},
        {"type": ["ping"]},
        {"unnamed": True},
        delta(0, "citations_delta", "citation", {"url": "x"}),
        {"type": "content_block_delta", "index": 0, "delta": None},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": 5}},
    ],
)
def test_what_is_unknown_is_kept_as_it_came(wire: dict[str, Any]) -> None:
    """An event or a delta of an unknown sort is no error, and none of it is lost."""
    assert [Unknown(wire)] == events(f"data: {json.dumps(wire)}\n\n".encode())


@pytest.mark.parametrize(
    "data",
    [
        *("{", '{"type', '{"type":"ping"} x', 'x":"Hi"}}', "[1, 2]", "the upstream timed out"),
        *("[DONE] {", "x" * 33, '[{"type":"ping"}]'),
    ],
)
def test_what_is_no_json_object_is_flagged(data: str) -> None:
    """Data that is no JSON object gives one Unreadable with all of it, and the stream goes on."""
    stream = f"event: ping\ndata: {data}\n\n".encode() + sse(STOP)
    assert [Unreadable("ping", data), MessageStop()] == events(stream)


NOTHING = [
    *("[DONE]", "[done]", " [DONE] ", "DONE", "done", '"[DONE]"', "[END]", "<eos>", "[]", '""'),
    *("", "  ", "\t", "null", "true", "5", "ping", "keep-alive", "\ufeff", "\ufeff[DONE]"),
]


@pytest.mark.parametrize("data", NOTHING)
@pytest.mark.parametrize("name", ["", "event: done\n", "event: ping\n", "event: [DONE]\n"])
def test_data_that_says_nothing_is_no_event(data: str, name: str) -> None:
    """What proxies end a stream with, or keep it alive with, is neither an event nor unreadable."""
    stream = f"{name}data: {data}\n\n: bye\n\ndata:\n\ndata\n\nevent: done\n\n".encode()
    assert [MessageStop()] == events(stream + sse(STOP))


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_deep_nesting_is_unreadable(bracket: str) -> None:
    """A million brackets are one unreadable event and no crash."""
    data = '{"type":"ping","x":' + bracket * 1_000_000
    assert [Unreadable("message", data)] == events(f"data: {data}\n\n".encode())


def test_raw_control_characters_in_strings_are_read() -> None:
    """A raw tab in a JSON string, which JSON forbids and servers send, is text."""
    stream = sse(text(0, "a-b")).replace(b"a-b", b"a\tb\x01")
    assert [TextDelta(0, "a\tb\x01")] == events(stream)


@pytest.mark.parametrize("index", [None, "0", 0.5, True, [0]])
def test_an_index_that_is_no_whole_number_is_none(index: object) -> None:
    """A delta under a broken index keeps its text."""
    assert [TextDelta(None, "Hi")] == events(sse(text(index, "Hi")))


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_numbers_that_json_lacks_become_null(number: str) -> None:
    """NaN and its like, which no notebook file takes, don't come through."""
    assert [Unknown({"type": "x", "n": None})] == events(
        f'data: {{"type":"x","n":{number}}}\n\n'.encode()
    )


def test_lone_surrogates_stay_in_deltas_only() -> None:
    """Half a character waits in a delta for the other half; everywhere else it is replaced."""
    stream = sse(text(0, "\ud83d"), {"type": "message_start", "message": {"model": "m\ud83d"}})
    assert [TextDelta(0, "\ud83d"), MessageStart({"model": "m\ufffd"})] == events(stream)
    assert [SignatureDelta(0, "\ufffd")] == events(
        sse(delta(0, "signature_delta", "signature", "\udc00"))
    )
    assert [Unknown({"type": "x", "\ufffd": "😀"})] == events(
        rb'data: {"type":"x","\ud800":"\ud83d\ude00"}' + b"\n\n"
    )


@pytest.mark.parametrize(
    "wire",
    [
        {"type": "error", "error": {"type": "api_error", "message": "boom"}},
        {"error": {"code": 500, "message": "llama.cpp leaves the type out"}},
        {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}},
    ],
)
def test_errors_are_found_with_and_without_a_type(wire: dict[str, Any]) -> None:
    """An error event, an error object and a bad status alone are errors, streamed or not."""
    assert ErrorEvent(wire) == events(f"data: {json.dumps(wire)}\n\n".encode())[0]
    assert [ErrorEvent(wire)] == message_events(wire)


def test_an_error_in_plain_text_keeps_its_words() -> None:
    """A proxy's error event whose data is plain text is an error with that text."""
    (event,) = events(b"event: error\ndata: upstream connect error\n\n")
    assert ErrorEvent({"type": "error", "error": {"message": "upstream connect error"}}) == event


@pytest.mark.parametrize(
    "wire", [{"type": "message_start", "message": {}}, text(0, "Hi"), {"type": "ping"}, STOP]
)
def test_base_resp_is_found_on_any_event(wire: dict[str, Any]) -> None:
    """MiniMax's own status is found beside any event, and comes before a stop."""
    found = events(sse({**wire, "base_resp": {"status_code": 1027, "status_msg": "no"}}))
    status = BaseRespEvent(BaseResp(1027, "no"))
    assert len(found) == 2
    assert status == found[0 if wire is STOP else 1]


def test_a_whole_answer_is_the_events_of_its_stream() -> None:
    """An unstreamed answer is read as a stream whose first event holds all of it."""
    wire: dict[str, Any] = {
        "id": "1",
        "content": [{"type": "text", "text": "Hi"}, None],
        "base_resp": None,
    }
    assert [MessageStart(wire), MessageStop()] == message_events(wire)


def test_a_whole_answer_of_another_kind_is_unknown() -> None:
    """JSON that is neither an answer nor an error is kept for the message that says so."""
    assert [Unknown({"choices": []})] == message_events({"choices": []})
