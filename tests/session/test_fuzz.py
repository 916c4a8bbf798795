"""Random streams, bodies and bytes: a reply or a typed error, which can be saved and sent."""

import asyncio
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.asks import ask_of
from support.loopback import captured
from support.security_page import SECURITY_PAGE

from mm_magic.conversation.reply import Reply
from mm_magic.conversation.saved_turn import read_turn, turn_json
from mm_magic.conversation.turn import Turn
from mm_magic.errors import MiniMaxError
from mm_magic.rendering.bundles import answer_bundle, status_bundle, thinking_bundle
from mm_magic.rendering.status_line import status_notes, status_parts
from mm_magic.session.options import Options
from mm_magic.session.run import Step
from mm_magic.session.session import Session
from mm_magic.transport.exchange import Exchange, Reads

# -- what a hostile server is made of -----------------------------------------------------------

VALUES = (
    "null", "true", '""', '"x"', "0", "-1", "1.5", "1e999", "NaN", "1" + "0" * 400, "[]", "{}",
    '["a"]', '{"type":"text","text":"t"}', r'"\ud83d"', r'"\ude00"', r'"\u001b[2J"', '"🙂"',
    "[" * 150 + "]" * 150, '"<script>"', '"message_stop"', "9" * 5000,
)  # fmt: skip
"""JSON, and what Python takes for it, where something else is due."""


def odd_events() -> Iterator[str]:
    """Events with each value in each place."""
    for value, index in itertools.product(VALUES, ("0", "1", "null", '"0"')):
        for kind, name in (("text", "text"), ("thinking", "thinking"), ("signature", "signature"),
                           ("input_json", "partial_json"), ("new", "x")):  # fmt: skip
            delta = f'{{"type":"{kind}_delta","{name}":{value}}}'
            yield f'{{"type":"content_block_delta","index":{index},"delta":{delta}}}'
        yield f'{{"type":"content_block_stop","index":{index}}}'
        for block in ("text", "thinking", "tool_use", "new"):
            fields = f'"text":{value},"thinking":{value},"id":{value},"input":{value},"x":{value}'
            begun = f'{{"type":"{block}",{fields}}}'
            yield f'{{"type":"content_block_start","index":{index},"content_block":{begun}}}'
    for value in VALUES:
        yield f'{{"type":"message_start","message":{value}}}'
        head = f'"id":{value},"model":{value},"usage":{{"input_tokens":{value}}},"x":{value}'
        yield f'{{"type":"message_start","message":{{{head},"stop_reason":{value}}}}}'
        counts = f'{{"output_tokens":{value},"cache_read_input_tokens":{value},"x":{value}}}'
        yield f'{{"type":"message_delta","delta":{{"stop_reason":{value}}},"usage":{counts}}}'
        yield f'{{"type":"message_delta","delta":{value},"usage":{value}}}'
        yield f'{{"type":"error","error":{value},"request_id":{value}}}'
        yield f'{{"type":"error","error":{{"type":{value},"message":{value}}}}}'
        yield f'{{"type":"ping","base_resp":{{"status_code":{value},"status_msg":{value}}}}}'
        yield f'{{"type":{value}}}'
        yield value


GOOD = [
    f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
    for event in [*captured(), *captured(text="more")[7:8]]
]
BREAKS = (
    b"\n", b"\n\n", b"\r\n\r\n", b"\r", b": hush\n\n", b"data: ", b"data", b"event: error\n", b"{",
    b"id: \0\n", b"retry: 9999999999999999999\n", b"\xff", b"\xef\xbb\xbf", b"\xf0\x9f", b" ",
    b"data: [DONE]\n\n", b"event: error\ndata: no\n\n", b"<html>", b"\0",
)  # fmt: skip
PIECES = [
    *GOOD * 20,
    *BREAKS * 8,
    *(f"data: {event}\n\n".encode() for event in odd_events()),
]
WHOLE = json.dumps({**captured()[0]["message"], "content": [{"type": "text", "text": "Hi"}]})
ERROR = '{"type":"error","error":{"type":"api_error","message":"no (1002)"},"request_id":"r"}'
BODIES = [b"".join(GOOD), WHOLE.encode(), ERROR.encode(), b"<html><p>Log in</p>", b""]
TYPES = ("text/event-stream", "application/json", "text/html", "")
STATUSES = (200, 200, 200, 200, 201, 204, 302, 400, 401, 404, 429, 500, 529, 599)


def stream(choices: bytes) -> bytes:
    """Pieces as the choices say, two bytes for each; most begin and end as they should."""
    numbers = zip(choices[1::2], choices[2::2], strict=False)
    pieces = [PIECES[(256 * a + b) % len(PIECES)] for a, b in numbers]
    how = choices[0] if choices else 0
    return b"".join([*GOOD[: how % 9], *pieces, *GOOD[11 - how % 3 : 11]])


def body(choices: bytes) -> bytes:
    """A good body in which bytes are changed, put in and taken out; or the choices themselves."""
    if len(choices) < 2 or choices[0] > 220:
        return choices
    data = bytearray(BODIES[choices[0] % len(BODIES)])
    for a, b, c in zip(choices[1::3], choices[2::3], choices[3::3], strict=False):
        at = (256 * a + b) % (len(data) + 1)
        data[at : at + c % 3] = bytes([c]) if c % 5 else b""
    return bytes(data)


# -- one question -------------------------------------------------------------------------------


class Server:
    """A backend that gives one answer, in reads of uneven size."""

    def __init__(self, status: int, content_type: str, data: bytes, size: int) -> None:
        self._headers = {"content-type": content_type, "retry-after": str(size)}
        self._status, self._data, self._size = status, data, size
        self.is_stream = content_type == "text/event-stream" and not data.lstrip().startswith(b"{")

    def answer(self, _body: Mapping[str, object]) -> Exchange:
        return Exchange(self._status, self._headers, self._reads())

    async def _reads(self) -> Reads:
        for at in range(0, len(self._data), self._size):
            yield 0.0, self._data[at : at + self._size]


RUNNER = asyncio.Runner()


@pytest.fixture(autouse=True, scope="module")
def _runner() -> Iterator[None]:
    with RUNNER:
        yield


async def asked(session: Session) -> tuple[Reply, MiniMaxError | None, str]:
    run = session.turns.start(ask_of("Why?", Options(retries=0)))
    shown = ""
    try:
        async for step in session.turns.steps(run):
            assert isinstance(step, Step)
            shown += step.growth.thinking + step.growth.text
    except MiniMaxError as error:
        return run.reply(), error, shown
    return run.reply(), None, shown


def check(server: Server, data: bytes) -> None:
    """One question has a reply or a typed error, and both can be shown, saved and sent."""
    session = Session({"MINIMAX_BACKEND": "offline"}, sources=lambda _: server)
    reply, error, shown = RUNNER.run(asked(session))
    turns = session.conversations.named("main").turns
    assert (error is None and reply.may_enter()) == bool(turns)
    if error is None and server.is_stream:
        assert b"stop" in data
    if rb"\ud" not in data:
        # Where blocks overlap, the order differs, and the line ends between them.
        all_of_it = reply.thinking + reply.text
        assert sorted(shown.replace("\n", "")) == sorted(all_of_it.replace("\n", ""))
    if error is not None:
        error.card().encode()
        assert error.kind
        assert error.reply is None or error.reply.message.content
    for turn in turns:
        check_turn(turn)
        json.loads(session.turns.request(ask_of("And?", Options())).request.encode())


def check_turn(turn: Turn) -> None:
    saved: Any = turn_json(turn, None)
    file = json.dumps(saved, ensure_ascii=False, allow_nan=False).encode()
    assert read_turn(json.loads(file)).turn.id == turn.id
    bundle = status_bundle(status_parts(turn), status_notes(turn), saved)
    json.dumps(bundle, ensure_ascii=False).encode()
    if len(file) % 8 == 0:  # drawing takes longer than all else
        for drawn in (
            answer_bundle(turn.reply.text),
            thinking_bundle(turn.reply.thinking, ""),
        ):
            json.dumps(drawn, ensure_ascii=False).encode()


def fuzzed(examples: int) -> settings:
    """The settings of a run of so many examples: the same ones each time, however long."""
    slow = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=slow,
    )


SOME, MANY = 500, 10_000
"""Examples of each kind, events and bytes: in the default run and in the slow one."""
SEQUENCES = st.tuples(st.binary(max_size=40), st.sampled_from([1 << 20, 1 << 20, 50, 7, 1]))
BYTES = st.tuples(
    st.binary(max_size=25), st.sampled_from(STATUSES), st.sampled_from(TYPES), st.integers(1, 90)
)


def check_sequence(given_: tuple[bytes, int]) -> None:
    choices, size = given_
    data = stream(choices)
    check(Server(200, "text/event-stream", data, max(size, len(data) // 200)), data)


def check_bytes(given_: tuple[bytes, int, str, int]) -> None:
    choices, status, content_type, size = given_
    data = body(choices)
    check(Server(status, content_type, data, size), data)


@fuzzed(SOME)
@given(SEQUENCES)
@example((bytes(2), 7))
def test_any_sequence_of_events(given_: tuple[bytes, int]) -> None:
    """Events in any order with any values, cut anywhere, make a reply or a typed error."""
    check_sequence(given_)


@fuzzed(SOME)
@given(BYTES)
def test_any_bytes(given_: tuple[bytes, int, str, int]) -> None:
    """Any bytes under any status and content type make a reply or a typed error."""
    check_bytes(given_)


@pytest.mark.slow
@pytest.mark.timeout(600)
@fuzzed(MANY)
@given(SEQUENCES)
def test_any_sequence_of_events_at_length(given_: tuple[bytes, int]) -> None:
    """The same, many times."""
    check_sequence(given_)


@pytest.mark.slow
@pytest.mark.timeout(600)
@fuzzed(MANY)
@given(BYTES)
def test_any_bytes_at_length(given_: tuple[bytes, int, str, int]) -> None:
    """The same, many times."""
    check_bytes(given_)


def test_the_page_counts_them() -> None:
    """docs/security.md says how many streams of either kind are tried."""
    assert f"{2 * MANY:,} random streams ({2 * SOME:,} in the default run)" in SECURITY_PAGE
