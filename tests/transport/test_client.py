"""The client over real sockets: what it sends, what it yields, when it tries again."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
from support.asks import request_of
from support.loopback import (
    END,
    Answer,
    Loopback,
    captured,
    chunk,
    close,
    failure,
    head,
    reset,
    sse,
    stall,
    streamed,
    whole,
)
from support.taking import (
    PROMPT,
    TEXT,
    THINKING,
    Got,
    check_captured,
    get,
    get_error,
    new_client,
    take,
)

from mm_magic.errors import MiniMaxError
from mm_magic.transport.client import Retrying
from mm_magic.transport.endpoint import Endpoint, Secret

AT_ONCE = "0.01"  # a Retry-After, in seconds


# The request


def test_request_is_what_the_api_page_asks_for() -> None:
    """Path, headers and body are those of the API page, and the key stands in one header only."""
    request = request_of(
        "Hi",
        system="Be brief.",
        max_tokens=100,
        temperature=0.3,
        top_p=0.9,
        thinking={"type": "adaptive"},
    )

    async def main(url: str) -> None:
        endpoint = Endpoint(url + "/anthropic", Secret("sk-secret"))
        async with aclosing(new_client().stream(endpoint, request, retries=0)) as arriving:
            async for _ in arriving:
                pass

    with Loopback(streamed()) as server:
        asyncio.run(main(server.url))
        (sent,) = server.requests

    assert (sent.method, sent.path) == ("POST", "/anthropic/v1/messages")
    assert {name: sent.headers[name] for name in sent.headers.keys() - {"host"}} == {
        "authorization": "Bearer sk-secret",
        "content-type": "application/json",
        "anthropic-version": "2023-06-01",
        "accept": "text/event-stream, application/json",
        "accept-encoding": "identity",
        "connection": "keep-alive",
        "content-length": str(len(sent.body)),
        "user-agent": "mm_magic",
    }
    assert sent.json == {
        "model": "MiniMax-M2.7",
        "messages": [{"role": "user", "content": "Hi"}],
        "system": "Be brief.",
        "stream": True,
        "max_tokens": 100,
        "temperature": 0.3,
        "top_p": 0.9,
        "thinking": {"type": "adaptive"},
    }


def test_no_key_no_header() -> None:
    """A server of one's own that needs no key gets no Authorization header."""
    with Loopback(streamed()) as server:
        get(server.url)
        assert "authorization" not in server.requests[0].headers


# The answer


def one_lump() -> list[Any]:
    return [head(), chunk(sse(*captured())), END]


def byte_by_byte() -> list[Any]:
    data = sse(*captured())
    return [head(), *(chunk(data[i : i + 1]) for i in range(len(data))), END]


@pytest.mark.parametrize("answer", [streamed, one_lump, byte_by_byte])
def test_captured_stream(answer: Callable[[], Answer]) -> None:
    """Thinking, text and usage are right, however the stream was cut by the network."""
    with Loopback(answer()) as server:
        got = get(server.url)

    check_captured(got.message)
    assert got.accumulator.state == "complete"
    assert got.seconds == sorted(got.seconds)


def whole_message() -> dict[str, Any]:
    return {
        "id": "1",
        "type": "message",
        "role": "assistant",
        "model": "MiniMax-M2.7",
        "content": [
            {"type": "thinking", "thinking": THINKING, "signature": "5f" * 32},
            {"type": "text", "text": TEXT},
        ],
        "usage": {"input_tokens": 39, "output_tokens": 41, "cache_creation_input_tokens": 0},
        "stop_reason": "end_turn",
        "base_resp": {"status_code": 0, "status_msg": ""},
    }


@pytest.mark.parametrize("stream", [True, False])
def test_json_answer(stream: bool) -> None:
    """A JSON answer is read, whether it was asked for or a stream was."""
    request = request_of("Why is the sky blue?", stream=stream)
    with Loopback(whole(200, whole_message())) as server:
        got = asyncio.run(take(new_client(), server.url, Got(), request))
        assert server.json["stream"] is stream

    check_captured(got.message)
    assert got.accumulator.state == "complete"


def test_lines_before_the_answer_are_dropped() -> None:
    """White space that a gateway sends to keep the line open does not spoil a JSON answer."""
    answer = [head(200, "application/json"), chunk(b"\n"), chunk(b" \n")]
    with Loopback([*answer, chunk(b'{"content": [], "id": "x"}'), END]) as server:
        assert get(server.url).message.id == "x"


def test_error_in_the_middle_of_a_stream_ends_it() -> None:
    """After an error event nothing more is waited for, and what came before it is kept."""
    error = {"type": "error", "error": {"type": "api_error", "message": "filter (1027)"}}
    with Loopback([head(), chunk(sse(*captured()[:8], error)), stall]) as server:
        got = get(server.url)

    assert got.message.text == TEXT
    failed = got.accumulator.error()
    assert failed is not None
    assert failed.code == 1027


# Trying again


def test_busy_server_is_asked_again() -> None:
    """429 and then 200: one Retrying with the delay that Retry-After asks for, then the answer."""
    with Loopback(failure(429, "busy (1002)", retry_after="0.15"), streamed()) as server:
        got = get(server.url, retries=2)
        first, second = server.requests

    (retry,) = got.retries
    assert (retry.delay, retry.attempt, retry.retries) == (0.15, 1, 2)
    assert (retry.error.kind, retry.error.code) == ("rate_limit", 1002)
    assert second.at - first.at >= 0.15
    assert first.body == second.body
    check_captured(got.message)


def test_retries_are_used_up() -> None:
    """The error of the last try is raised, after as many retries as were allowed."""
    with Loopback(failure(529, "overloaded (2064)", retry_after=AT_ONCE)) as server:
        error = get_error(server.url, retries=2)
        assert len(server.requests) == 3

    assert (error.kind, error.code, error.request_id) == ("overloaded", 2064, "req-7")


def test_final_errors_are_not_tried_again() -> None:
    """A server's error that the same request would meet again is raised at once."""
    with Loopback(failure(500, "insufficient balance (1008)")) as server:
        assert get_error(server.url, retries=2).kind == "billing"
        assert len(server.requests) == 1


def test_no_second_try_after_the_first_event() -> None:
    """A stream that breaks off is not asked for again: it would be paid for twice."""
    with Loopback([head(), chunk(sse(*captured()[:4])), reset], streamed()) as server:
        error = get_error(server.url, retries=2)
        assert len(server.requests) == 1

    assert (error.kind, error.retryable) == ("connection", True)


@pytest.mark.parametrize("first", [reset, close, [head(), END]])
def test_answer_without_an_event_is_tried_again(first: Answer) -> None:
    """A connection that dies, or a stream that ends, before its first event is tried again."""
    with Loopback(first, streamed()) as server:
        got = get(server.url, retries=1)

    check_captured(got.message)
    assert [retry.delay for retry in got.retries] == [0.5]


BUSY = failure(429, "too many requests (1002)", retry_after=AT_ONCE)
MANY = failure(429, "too many connections (1041)", retry_after=AT_ONCE)


def tries(*answers: Answer, patience: int | None, retries: int) -> tuple[list[int], int, bool]:
    """The limits that the retries named, how many requests came, and whether an answer came."""
    limits: list[int] = []

    async def main(url: str) -> bool:
        client = new_client()
        stream = client.stream(Endpoint(url), PROMPT, retries=retries, patience=patience)
        try:
            async with aclosing(stream) as arriving:
                async for each in arriving:
                    if isinstance(each, Retrying):
                        limits.append(each.retries)
        except MiniMaxError:
            return False
        return True

    with Loopback(*answers, streamed()) as server:
        has_answer = asyncio.run(main(server.url))
        return limits, len(server.requests), has_answer


@pytest.mark.parametrize(
    ("answers", "limits"),
    [
        ([BUSY, BUSY, reset], [5, 5, 1]),
        ([reset, BUSY, BUSY], [1, 5, 5]),
        ([BUSY, MANY, BUSY, MANY], [5, 5, 5, 5]),
        ([MANY, MANY, close], [5, 5, 1]),
        ([BUSY, MANY, [head(), END], MANY], [5, 5, 1, 5]),
    ],
)
def test_patience_and_retries_are_counted_apart(answers: list[Answer], limits: list[int]) -> None:
    """How often the server was busy takes no retry from a dropped connection, nor the reverse."""
    assert tries(*answers, patience=5, retries=1) == (limits, len(answers) + 1, True)


@pytest.mark.parametrize(
    ("answers", "count"),
    [([BUSY] * 3, 3), ([MANY] * 3, 3), ([BUSY, MANY, BUSY], 3), ([BUSY, reset, reset, BUSY], 3)],
)
def test_each_of_the_two_limits_holds(answers: list[Answer], count: int) -> None:
    """Patience ends, and so do the retries, whatever came between."""
    limits, requests, has_answer = tries(*answers, patience=2, retries=1)
    assert (requests, has_answer) == (count, False)
    assert len(limits) == count - 1


@pytest.mark.parametrize(
    ("answers", "count"),
    [
        ([MANY], 2),
        ([MANY, MANY], 2),
        ([BUSY, MANY], 3),
        ([BUSY, MANY, MANY], 3),
        ([BUSY, MANY, BUSY, MANY], 4),
        ([BUSY, reset, MANY, BUSY], 4),
    ],
)
def test_without_patience_too_many_connections_are_tried_again_once(
    answers: list[Answer], count: int
) -> None:
    """Whatever came before; with the others it stays within the retries."""
    has_answer = count == len(answers) + 1
    assert tries(*answers, patience=None, retries=3) == ([3] * (count - 1), count, has_answer)


def test_too_many_connections_wait_for_long() -> None:
    """A slow retry follows code 1041: the wait is announced, and can be stopped."""

    async def main(url: str) -> Retrying:
        async with aclosing(new_client().stream(Endpoint(url), PROMPT, retries=2)) as arriving:
            first = await anext(arriving)
            assert isinstance(first, Retrying)
            return first

    with Loopback(failure(429, "too many connections (1041)")) as server:
        assert asyncio.run(main(server.url)).delay == 5.0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(status: int) -> None:
    """A redirect is a typed error, and the other host hears nothing of the prompt or the key."""
    with (
        Loopback(streamed()) as other,
        Loopback(whole(status, b"", location=other.url + "/v1/messages")) as server,
    ):
        error = get_error(server.url, retries=2)
        assert not other.connections

    assert (error.kind, error.status, error.retryable) == ("redirect", status, False)
