"""What the service's errors mean over a real socket: as an HTTP answer, and in mid-stream."""

import json
from typing import Any

import pytest
from support.loopback import END, Loopback, captured, chunk, failure, head, sse, streamed, whole
from support.service_errors import ROWS, Row, name_of
from support.taking import get, get_error

AT_ONCE = "0.01"  # a Retry-After, in seconds


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_error_over_the_wire(row: Row) -> None:
    """An HTTP error is what its code says; without one, what its type, status or numbers say."""
    with Loopback(whole(row.status, row.body)) as server:
        error = get_error(server.url)

    assert (row.code, row.kind, row.retryable) == (error.code, error.kind, error.retryable)
    assert (error.status, error.request_id) == (row.status, "05a")


def named(wire: dict[str, Any]) -> bytes:
    """An error as MiniMax sends it into a stream."""
    return sse(wire)


def bare(wire: dict[str, Any]) -> bytes:
    """An error without the outer type and the event's name, as llama.cpp and OpenRouter do."""
    return f"data: {json.dumps({'error': wire['error']})}\n\n".encode()


@pytest.mark.parametrize("row", ROWS, ids=name_of)
@pytest.mark.parametrize("sent_as", [named, bare])
def test_error_in_mid_stream(row: Row, sent_as: Any) -> None:
    """The same body means the same in a stream, where no HTTP status comes with it."""
    begun = sse(*captured()[:2])
    with Loopback([head(), chunk(begun), chunk(sent_as(row.body)), END]) as server:
        error = get(server.url).accumulator.failure

    assert error is not None
    assert (row.code, row.kind, row.retryable) == (error.code, error.kind, error.retryable)
    assert error.status is None


@pytest.mark.parametrize("code", [1002, 1039, 2045, 2046, 2047, 2062])
def test_rate_limits_are_tried_again(code: int) -> None:
    """The rate limits, that of tokens per minute among them, are tried again before the answer."""
    busy = failure(429, f"rate limit exceeded(TPM) ({code})", retry_after=AT_ONCE)
    with Loopback(busy, busy, streamed()) as server:
        got = get(server.url, retries=2)

    assert [retry.error.code for retry in got.retries] == [code, code]
    assert got.accumulator.state == "complete"


@pytest.mark.parametrize("code", [1028, 1030, 2056, 2067])
def test_used_up_quota_is_not_tried_again(code: int) -> None:
    """The limit of a plan or a quota is final, though it comes as 429."""
    with Loopback(failure(429, f"limit reached ({code})", retry_after=AT_ONCE)) as server:
        error = get_error(server.url, retries=2)
        assert len(server.requests) == 1

    assert (error.kind, error.retryable) == ("rate_limit", False)
