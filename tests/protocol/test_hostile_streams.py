"""Answers of broken and hostile servers, from the corpus: each has the outcome that is due."""

import base64
import zlib
from typing import Any

import pytest
from support.hostile import load
from support.wire import pieces, read

from mm_magic.errors import MiniMaxError
from mm_magic.protocol.accumulate import Accumulator
from mm_magic.protocol.events import message_events
from mm_magic.protocol.failure import classify_response, unexpected_content
from mm_magic.protocol.json_values import as_object, parse_json
from mm_magic.protocol.messages import Message

CASES = [case for case in load("messages_streams.json")["cases"] if "steps" not in case]
ANSWERS = [case for case in CASES if case["status"] == 200]
REFUSALS = [case for case in CASES if case["status"] != 200]

OTHERWISE = {
    # The case wants this thinking gone. It is kept, as thinking: what came is never thrown away.
    ("idx/thinking-delta-on-text", "thinking"): "t",
    # The case glues what stood apart: a heading or a fence would be lost in the line before it.
    ("ok/interleaved-thinking", "text"): "x\n\ny",
    ("ok/interleaved-thinking", "thinking"): "t1\n\nt2",
}


def body_of(case: dict[str, Any]) -> bytes:
    """The body of a case as the network brings it, its content-encoding undone."""
    body: bytes = zlib.decompress(base64.b64decode(case["body_zb64"]))
    padding = case.get("generate", {})
    if "delta_chars" in padding:
        body = body.replace(b"z" * 200, b"z" * padding["delta_chars"])
    body += b"x" * padding.get("pad_bytes", 0)
    encoding = case["headers"].get("content-encoding")
    if encoding in ("gzip", "deflate"):
        return zlib.decompressobj(47 if encoding == "gzip" else 15).decompress(body)
    return body


def outcome(case: dict[str, Any], size: int) -> tuple[str, Message, MiniMaxError | None]:
    """The state, the message and the error after reads of `size` bytes."""
    body = body_of(case)
    if body.startswith(b"{"):  # an answer in one piece is read whole
        accumulator = Accumulator()
        accumulator.add(message_events(as_object(parse_json(body))))
        accumulator.end()
    elif "text/html" in case["headers"]["content-type"]:
        return "failed", Message(), unexpected_content("text/html", body)
    else:
        accumulator, _ = read(pieces(body, size))
    return accumulator.state, accumulator.message(), accumulator.error()


@pytest.mark.parametrize("size", [1, 7, 1 << 30], ids=["byte by byte", "by sevens", "whole"])
@pytest.mark.parametrize("case", ANSWERS, ids=[case["id"] for case in ANSWERS])
def test_an_answer_has_the_outcome_due(case: dict[str, Any], size: int) -> None:
    """A hostile answer is complete, incomplete or an error as its case says, at any read size."""
    if size < 100 and len(body_of(case)) > 2_000_000:
        size *= 10_000  # 50 MB byte by byte would take a minute and show nothing more
    due = case["expect"]
    state, message, error = outcome(case, size)
    if due["outcome"] == "complete":
        assert (state, error) == ("complete", None)
    else:
        assert error is not None
        assert state != "complete"
        assert due["error_kind"] == error.kind
        assert due.get("retryable", error.retryable) == error.retryable
    for field in ("text", "thinking", "stop_reason"):
        if field in due:
            expected = OTHERWISE.get((case["id"], field), due[field])
            assert expected == getattr(message, field)
    if due["outcome"] == "error":
        assert message.content == ()
    str(message.to_wire()).encode()


@pytest.mark.parametrize("case", REFUSALS, ids=[case["id"] for case in REFUSALS])
def test_a_refusal_is_the_error_due(case: dict[str, Any]) -> None:
    """An HTTP error is of the kind that its case says, retryable or not."""
    error = classify_response(case["status"], case["headers"], body_of(case))
    assert case["expect"]["error_kind"] == error.kind
    assert case["expect"]["retryable"] == error.retryable
    assert error.retry_after is None or 0 < error.retry_after <= 60
