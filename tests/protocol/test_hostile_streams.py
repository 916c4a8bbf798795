"""Answers of broken and hostile servers, from the corpora: each has the outcome that is due."""

import pytest
from support.corpora import Stream, streams
from support.wire import pieces, read

from mm_magic.errors import MiniMaxError
from mm_magic.protocol.accumulate import Accumulator
from mm_magic.protocol.events import message_events
from mm_magic.protocol.failure import classify_response, unexpected_content
from mm_magic.protocol.json_values import as_object, parse_json
from mm_magic.protocol.messages import Message

STREAMS = streams()
ANSWERS = [stream for stream in STREAMS if stream.status == 200]
REFUSALS = [stream for stream in STREAMS if stream.status != 200]

OTHERWISE = {
    # The case wants this thinking gone. It is kept, as thinking: what came is never thrown away.
    ("idx/thinking-delta-on-text", "thinking"): "t",
    # The case glues what stood apart: a heading or a fence would be lost in the line before it.
    ("ok/interleaved-thinking", "text"): "x\n\ny",
    ("ok/interleaved-thinking", "thinking"): "t1\n\nt2",
}


def outcome(stream: Stream, size: int) -> tuple[str, Message, MiniMaxError | None]:
    """The state, the message and the error after reads of `size` bytes."""
    if "json" in stream.headers["content-type"]:  # an answer in one piece is read whole
        accumulator = Accumulator()
        accumulator.add(message_events(as_object(parse_json(stream.body))))
        accumulator.end()
    elif "text/html" in stream.headers["content-type"]:
        return "failed", Message(), unexpected_content("text/html", stream.body)
    else:
        accumulator, _ = read(pieces(stream.body, size))
    return accumulator.state, accumulator.message(), accumulator.error()


@pytest.mark.parametrize("size", [1, 7, 1 << 30], ids=["byte by byte", "by sevens", "whole"])
@pytest.mark.parametrize("stream", ANSWERS, ids=[stream.name for stream in ANSWERS])
def test_an_answer_has_the_outcome_due(stream: Stream, size: int) -> None:
    """A hostile answer is complete, incomplete or an error as its case says, at any read size."""
    if size < 100 and len(stream.body) > 2_000_000:
        size *= 10_000  # 50 MB byte by byte would take a minute and show nothing more
    due = stream.due
    state, message, error = outcome(stream, size)
    if due["outcome"] == "complete":
        assert (state, error) == ("complete", None)
    else:
        assert error is not None
        assert state != "complete"
        assert due["error_kind"] == error.kind
        assert due.get("retryable", error.retryable) == error.retryable
    for field in ("text", "thinking", "stop_reason"):
        if field in due:
            expected = OTHERWISE.get((stream.name, field), due[field])
            assert expected == getattr(message, field)
    if due["outcome"] == "error":
        assert message.content == ()
    str(message.to_wire()).encode()


@pytest.mark.parametrize("stream", REFUSALS, ids=[stream.name for stream in REFUSALS])
def test_a_refusal_is_the_error_due(stream: Stream) -> None:
    """An HTTP error is of the kind that its case says, retryable or not."""
    error = classify_response(stream.status, stream.headers, stream.body)
    assert stream.due["error_kind"] == error.kind
    assert stream.due["retryable"] == error.retryable
    assert error.retry_after is None or 0 < error.retry_after <= 60
