"""Whether an answer is complete, incomplete or failed, and what its error says."""

from typing import Any

import pytest
from support.wire import BEGIN, DATA, END, NO_TEXT, PING, STOP, read, sse, start, text

from mm_magic.protocol.accumulate import Accumulator
from mm_magic.protocol.messages import BaseResp


def test_an_error_in_the_stream_keeps_what_came() -> None:
    """After a filter cut the stream, the text stays, and the error is not to be tried again."""
    accumulator, _ = read([(DATA / "error_in_stream.sse").read_bytes()])
    error = accumulator.error()
    assert error is not None
    assert (
        error.kind,
        error.code,
        error.retryable,
        error.request_id,
    ) == ("bad_request", 1027, False, "0510a7c4e2")
    assert accumulator.message().text == "The first half"


def overloaded(**more: object) -> dict[str, Any]:
    return {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}, **more}


def test_an_error_is_retryable_only_before_the_first_block() -> None:
    """The same error may be tried again before anything was shown, and not after."""
    for before, expected in (
        ([], True),
        ([BEGIN, PING], True),
        ([BEGIN, start(0, NO_TEXT)], False),
        ([BEGIN, text(0, "Hi")], False),
    ):
        accumulator, _ = read([sse(*before, overloaded())])
        assert (accumulator.state, accumulator.error()) == ("failed", accumulator.failure)
        assert accumulator.failure is not None
        assert expected == accumulator.failure.retryable


@pytest.mark.parametrize(
    ("wires", "expected"),
    [
        pytest.param([BEGIN, text(0, "Hi"), STOP], "complete", id="message_stop"),
        pytest.param([BEGIN, text(0, "Hi"), END], "complete", id="stop_reason and the end"),
        pytest.param([BEGIN, PING, STOP], "complete", id="no block at all"),
        pytest.param([text(0, "Hi"), STOP], "complete", id="no message_start"),
        pytest.param([BEGIN, start(0, NO_TEXT), STOP], "complete", id="an empty block"),
        pytest.param([BEGIN, text(0, "Hi")], "incomplete", id="cut in a block"),
        pytest.param([BEGIN], "incomplete", id="cut before the first block"),
        pytest.param([PING, PING], "incomplete", id="only pings"),
        pytest.param([], "incomplete", id="nothing"),
        pytest.param([STOP], "incomplete", id="message_stop of nothing"),
    ],
)
def test_complete_is_a_stop_or_a_stop_reason(wires: list[dict[str, Any]], expected: str) -> None:
    """An answer is complete after its stop event, or after a stop_reason and the end."""
    accumulator, _ = read([sse(*wires)])
    assert expected == accumulator.state
    assert (accumulator.error() is None) == (expected == "complete")


@pytest.mark.parametrize(
    ("stream", "message", "retryable"),
    [
        (sse(BEGIN, text(0, "Hi")), "broke off: the connection closed", False),
        (sse(BEGIN, PING), "broke off before its first word", True),
        (b"", "an empty answer", True),
        (sse(STOP), "an empty answer", True),
        (b'data: {"choices":[]}\n\ndata: [DONE]\n\n', "speaks OpenAI's protocol", False),
        (b'data: {"hello":1}\n\n', "does not follow the Messages API", False),
    ],
)
def test_an_incomplete_answer_says_what_is_missing(
    stream: bytes, message: str, retryable: bool
) -> None:
    """The error says how far the answer came, and whether to try again."""
    error = read([stream])[0].error()
    assert error is not None
    assert message in str(error)
    assert ("protocol", retryable) == (error.kind, error.retryable)


def test_nothing_is_taken_after_the_end() -> None:
    """What a server sends after its stop or its error changes nothing."""
    for last, state in ((STOP, "complete"), (overloaded(), "failed")):
        accumulator, growths = read([sse(BEGIN, text(0, "Hi"), last, text(0, "!"), STOP)])
        assert (state, "Hi") == (accumulator.state, accumulator.message().text)
        assert [growth.text for growth in growths] == ["Hi", ""]


def test_the_end_of_a_stream_does_not_change_a_decision() -> None:
    """`end` decides only what is still open."""
    accumulator = Accumulator()
    states = [accumulator.state]
    for _ in range(2):
        accumulator.end()
        states.append(accumulator.state)
    assert states == ["growing", "incomplete", "incomplete"]


@pytest.mark.parametrize("wire", [BEGIN, PING, END, text(0, "!"), STOP])
def test_a_bad_base_resp_anywhere_is_a_failure(wire: dict[str, Any]) -> None:
    """MiniMax's status other than 0 fails the answer, beside whichever event it stands."""
    bad = {"status_code": 1027, "status_msg": "output sensitive"}
    accumulator, _ = read([sse(BEGIN, text(0, "Hi"), {**wire, "base_resp": bad}, STOP)])
    assert accumulator.state == "failed"
    assert accumulator.failure is not None
    assert accumulator.failure.code == 1027
    assert accumulator.message().base_resp == BaseResp(1027, "output sensitive")
    assert accumulator.message().text.startswith("Hi")


def test_a_good_base_resp_is_kept() -> None:
    """A status of 0 is no failure, and stays in the message."""
    accumulator, _ = read(
        [sse(BEGIN, text(0, "Hi"), {**STOP, "base_resp": {"status_code": 0, "status_msg": "ok"}})]
    )
    assert accumulator.state == "complete"
    assert accumulator.message().base_resp == BaseResp(0, "ok")
