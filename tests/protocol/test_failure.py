"""What a failure means: its kind, its code, whether and when to try again."""

import ast
import json
import pickle
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.service_errors import CODED

import mm_magic.protocol
from mm_magic.errors import (
    MiniMaxError,
    NetworkError,
    ProtocolError,
    ServiceError,
    Stopped,
    UsageError,
)
from mm_magic.protocol.failure import (
    CODES,
    SLOW_RETRY,
    classify_base_resp,
    classify_error,
    classify_response,
    may_refuse_thinking,
    retry_delay,
    unexpected_content,
)
from mm_magic.protocol.messages import BaseResp

if TYPE_CHECKING:
    from mm_magic.protocol.json_values import JsonObject

# MiniMax's code, the HTTP status that it arrives with, the kind, retryable.
TABLE = [(row.code, row.status, row.kind, row.retryable) for row in CODED if row.code != 2013]
TABLE.append((2013, 400, "bad_request", False))  # words in the message tell more of this one


def body(message: str, **more: object) -> bytes:
    """An error body as MiniMax writes it."""
    wire = {"type": "error", "error": {"type": "api_error", "message": message}, **more}
    return json.dumps(wire).encode()


def test_code_in_quotes_in_an_error_counts() -> None:
    """A `base_resp` is read in one way, with its number as text, too, also in an error."""
    error = classify_error({"base_resp": {"status_code": "1002", "status_msg": "slow down"}})

    assert (error.code, error.kind, error.retryable) == (1002, "rate_limit", True)


def test_the_table_holds_every_code() -> None:
    """Every known code has its row here."""
    assert CODES.keys() == {code for code, *_ in TABLE}


@pytest.mark.parametrize(("code", "status", "kind", "retryable"), TABLE)
def test_the_code_in_the_message_decides(
    code: int, status: int, kind: str, retryable: bool
) -> None:
    """An error is what MiniMax's code says, whatever the HTTP status."""
    error = classify_response(status, {}, body(f"some words ({code})", request_id="05a"))
    assert isinstance(error, ServiceError)
    assert (kind, retryable, code, status) == (
        error.kind,
        error.retryable,
        error.code,
        error.status,
    )
    assert error.request_id == "05a"
    assert f"some words ({code})" in str(error)


@pytest.mark.parametrize(("code", "_", "kind", "retryable"), TABLE)
def test_the_code_decides_in_a_stream_and_in_base_resp(
    code: int, _: int, kind: str, retryable: bool
) -> None:
    """The same code means the same in an error event and in a status under HTTP 200."""
    event: JsonObject = {"type": "error", "error": {"message": f"words ({code})"}}
    alone: JsonObject = {"base_resp": {"status_code": code, "status_msg": "words"}}
    for error in (
        classify_error(event),
        classify_error(alone),
        classify_base_resp(BaseResp(code, "words")),
    ):
        assert (kind, retryable, code) == (error.kind, error.retryable, error.code)
        assert error.status is None
        assert "words" in str(error)


@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, "bad_request", False),
        (401, "auth", False),
        (402, "billing", False),
        (403, "permission", False),
        (404, "not_found", False),
        (405, "bad_request", False),
        (408, "timeout", True),
        (413, "too_large", False),
        (422, "bad_request", False),
        (429, "rate_limit", True),
        (500, "server", True),
        (502, "server", True),
        (503, "server", True),
        (504, "server", True),
        (529, "overloaded", True),
        (599, "server", True),
    ],
)
def test_without_a_code_the_status_decides(status: int, kind: str, retryable: bool) -> None:
    """An error without a known code is what its HTTP status says, with any body."""
    for content in (b"", b"<html>", body("oops"), body("oops (12345)"), b"[1]", b"null", b"\xff"):
        error = classify_response(status, {}, content)
        assert (kind, retryable, None) == (error.kind, error.retryable, error.code), content


@pytest.mark.parametrize(
    ("name", "kind", "retryable"),
    [
        ("invalid_request_error", "bad_request", False),
        ("authentication_error", "auth", False),
        ("billing_error", "billing", False),
        ("permission_error", "permission", False),
        ("not_found_error", "not_found", False),
        ("request_too_large", "too_large", False),
        ("rate_limit_error", "rate_limit", True),
        ("timeout_error", "timeout", True),
        ("overloaded_error", "overloaded", True),
        ("bad_request_error", "bad_request", False),
        ("authorized_error", "auth", False),
        ("insufficient_balance_error", "billing", False),
        ("unprocessable_entity_error", "bad_request", False),
        ("api_error", "server", True),
        ("new_sort_of_error", "server", True),
    ],
)
def test_in_a_stream_the_errors_type_stands_for_the_status(
    name: str, kind: str, retryable: bool
) -> None:
    """An error event without a code is what its type says."""
    error = classify_error({"type": "error", "error": {"type": name, "message": "m"}})
    assert (kind, retryable) == (error.kind, error.retryable)


def test_the_first_known_code_counts() -> None:
    """Other numbers in parentheses aren't codes; the body's base_resp is asked last."""
    error = classify_response(500, {}, body("2 tries (100), model (40960): (1008) not (1002)"))
    assert error.code == 1008
    error = classify_response(500, {}, body("no", base_resp={"status_code": 2061}))
    assert (error.code, error.kind) == (2061, "permission")


def test_an_unknown_status_in_base_resp_is_the_servers_failure() -> None:
    """An undocumented status is the server's failure, told in the server's words."""
    error = classify_base_resp(BaseResp(9999, "odd"))
    assert (error.kind, error.retryable) == ("server", True)
    assert "odd" in str(error)


def test_a_used_up_plan_shows_its_time_and_is_not_tried_again() -> None:
    """The time of the quota's reset is in the message, and no retry follows."""
    error = classify_response(429, {"retry-after": "5"}, body("resets at 18:00 UTC (2056)"))
    assert "resets at 18:00 UTC" in str(error)
    assert retry_delay(error, 0, 0.0) is None


@pytest.mark.parametrize(
    "message",
    [
        "invalid params, unknown model 'MiniMax-M9' (2013)",
        'model "x" not found, try pulling it first',
        "The model `x` does not exist.",
        "model: x",
        "Unsupported model x",
        "model x is not supported",
    ],
)
def test_an_unknown_model_is_told_from_other_wrong_parameters(message: str) -> None:
    """A model that the server lacks is `not_found`, with 400 and with 404."""
    error = classify_response(404, {}, body(message))
    assert error.kind == "not_found"
    if message != "model: x":
        assert "does not know this model" in str(error)
        assert classify_response(400, {}, body(message)).kind == "not_found"


@pytest.mark.parametrize(
    "message",
    [
        "this model: top_k is not supported (2013)",
        "the model does not support tools (2013)",
        "unsupported model parameter: temperature",
        "invalid model option 'effort'",
        "empty messages (2013)",
        "new_sensitive: unknown model words in the prompt (1026)",
    ],
)
def test_other_wrong_parameters_are_no_unknown_model(message: str) -> None:
    """A parameter that the model refuses stays a bad request."""
    assert classify_response(400, {}, body(message)).kind == "bad_request"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "invalid params, context window exceeds limit (2013)"),
        (400, "the request exceeds the available context size"),
        (400, "This model's maximum context length is 32768 tokens"),
        (400, "context_length_exceeded"),
        (500, "Trying to keep the first 9 tokens when context length is 4096"),
        (400, "prompt is too long: 210000 tokens > 200000 maximum"),
        (400, "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
        (400, "too many tokens in the prompt (2013)"),
    ],
)
def test_a_context_overflow_is_too_large(status: int, message: str) -> None:
    """More than the model's context is `too_large` and final, also where it came as 500."""
    error = classify_response(status, {}, body(message))
    assert (error.kind, error.retryable) == ("too_large", False)
    in_stream = classify_base_resp(BaseResp(2013, message))
    assert (in_stream.kind, in_stream.code) == ("too_large", 2013)


@pytest.mark.parametrize("words", ["too many tokens per minute", "Too many tokens, please wait"])
@pytest.mark.parametrize("status", [400, 429, 500])
def test_tokens_per_minute_are_no_context_overflow(status: int, words: str) -> None:
    """Too many tokens in a time is not too many for the model."""
    assert classify_response(status, {}, body(words)).kind != "too_large"


def test_a_refused_key_does_not_name_a_header_that_was_not_sent() -> None:
    """A 401 about the X-Api-Key field says that the key was not accepted, and no more."""
    message = "login fail: Please carry the API secret key in the 'X-Api-Key' field (1004)"
    error = classify_response(401, {}, body(message))
    assert (error.kind, error.code, str(error)) == ("auth", 1004, "the key was not accepted")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (
            b"<html><head><title>502</title><style>b{}</style></head><h1>Bad Gateway</h1>",
            "502 Bad Gateway",
        ),
        (b"<script>alert(1)</script><p>nginx", "nginx"),
        (b"<script>never closed", ""),
        (b"  Service\n  Unavailable ", "Service Unavailable"),
        (b'{"error": "plain string"}', "plain string"),
        (b'{"error": {"message": {"deep": 1}}, "message": "outer"}', "outer"),
        (b'{"base_resp": {"status_msg": "status"}}', "status"),
        (b'{"error": {"message": ""}}', ""),
        ("Zürich \ud800".encode("utf-8", "surrogatepass"), "Zürich \ufffd\ufffd\ufffd"),
    ],
)
def test_the_servers_words_are_found_in_any_body(content: bytes, words: str) -> None:
    """HTML loses its tags, JSON gives its message, and text stays."""
    error = classify_response(502, {}, content)
    assert str(error) == (f"the service failed: {words}" if words else "the service failed")


def test_hostile_words_can_be_shown() -> None:
    """A message is cut at 2000 characters, and no control of a terminal is in it."""
    error = classify_response(500, {}, body("\x1b]52;c;\x07\u202e\ud83d" + "x" * 100_000))
    assert len(str(error)) < 2100
    assert not {"\x1b", "\x07", "\u202e", "\ud83d"} & set(str(error))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_error_that_is_not_followed(status: int) -> None:
    """A 3xx is of the network's kind and final; its target isn't shown."""
    error = classify_response(status, {"location": "https://evil.invalid/"}, b"moved")
    assert isinstance(error, NetworkError)
    assert ("redirect", False, status) == (error.kind, error.retryable, error.status)
    assert "evil" not in str(error)


@pytest.mark.parametrize("status", [201, 202, 204, 205])
def test_another_success_is_no_answer(status: int) -> None:
    """A 2xx other than 200 holds no answer, and says which it was."""
    error = classify_response(status, {}, b"")
    assert isinstance(error, ProtocolError)
    assert str(status) in str(error)


def test_a_page_in_place_of_an_answer_is_named() -> None:
    """A login page under HTTP 200 is a protocol error that shows its type and its first words."""
    error = unexpected_content("text/html", b"<html><title>Wi-Fi login</title>" + b"x" * 5000)
    assert (error.kind, error.retryable) == ("protocol", False)
    assert "text/html" in str(error)
    assert "Wi-Fi login" in str(error)
    assert len(str(error)) < 400
    assert "no content type" in str(unexpected_content("", b""))


@pytest.mark.parametrize(
    ("headers", "content", "expected"),
    [
        ({"trace-id": "t", "request-id": "r"}, body("m", request_id="b"), "b"),
        ({"trace-id": "t", "request-id": "r"}, body("m"), "t"),
        ({"request-id": "r"}, b"<html>", "r"),
        ({}, body("m", request_id=None), None),
        ({}, body("m", request_id=5), None),
    ],
)
def test_the_request_id_is_what_support_asks_for(
    headers: dict[str, str], content: bytes, expected: str | None
) -> None:
    """The body's request_id comes first, then the headers Trace-Id and Request-Id."""
    assert expected == classify_response(500, headers, content).request_id


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("1", 1.0),
        ("0.5", 0.5),
        ("60", 60.0),
        ("60.5", None),
        ("0", None),
        ("-5", None),
        ("abc", None),
        ("1, 2", None),
        ("", None),
        ("inf", None),
        ("nan", None),
        ("1e1", None),
        ("1_0", None),
        ("９", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_retry_after_is_obeyed_up_to_a_minute(header: str, seconds: float | None) -> None:
    """A plain number in (0, 60] is the pause; with anything else, our own pause is taken."""
    error = classify_response(429, {"retry-after": header}, b"")
    assert seconds == error.retry_after
    assert (seconds or 0.5) == retry_delay(error, 0, 0.0)


def test_the_pause_doubles_up_to_eight_seconds() -> None:
    """Without advice the pauses are 0.5, 1, 2, 4, 8, 8 s, less up to a quarter by chance."""
    error = classify_response(503, {}, b"")
    assert [retry_delay(error, n, 0.0) for n in range(6)] == [0.5, 1, 2, 4, 8, 8]
    assert retry_delay(error, 10_000, 0.0) == 8
    assert retry_delay(error, 1, 0.5) == 0.875


def test_a_final_error_has_no_pause() -> None:
    """What will fail again isn't tried again, whatever Retry-After says."""
    error = classify_response(401, {"retry-after": "1"}, b"")
    assert retry_delay(error, 0, 0.0) is None


def test_too_many_connections_are_tried_slowly() -> None:
    """Code 1041 gets a longer pause, however often it came."""
    error = classify_response(429, {}, body("too many connections (1041)"))
    assert [retry_delay(error, attempt, 0.0) for attempt in (0, 1)] == [SLOW_RETRY, SLOW_RETRY]


@pytest.mark.parametrize(
    "error",
    [
        classify_response(429, {"retry-after": "2", "trace-id": "t"}, body("slow (1002)")),
        ProtocolError("broke off", retryable=True, next_steps=("Again.",)),
        UsageError("wrong", next_steps=("Right.",)),
        NetworkError("gone", kind="connection"),
        Stopped(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_pickling(error: Exception) -> None:
    """An error raised in a pool of processes arrives with all that it knows."""
    copy: Any = pickle.loads(pickle.dumps(error))
    assert type(error) is type(copy)
    assert (str(error), vars(error)) == (str(copy), vars(copy))
    assert isinstance(copy, MiniMaxError | Stopped)


@pytest.mark.parametrize(
    ("status", "message", "expected"),
    [
        (400, "messages.1: invalid signature in the thinking block (2013)", True),
        (400, "thinking is not accepted here (2013)", True),
        (400, "rethinking needed (2013)", False),
        (400, "temperature is out of range (2013)", False),
        (500, "the thinking stopped (1000)", False),
    ],
)
def test_what_may_be_for_the_thinking(status: int, message: str, expected: bool) -> None:
    """A refused request may be sent again without thinking only where the server speaks of it."""
    error = classify_response(status, {}, body(message))
    assert may_refuse_thinking(error) is expected


def test_the_protocol_core_imports_the_pure_standard_library_only() -> None:
    """No module of protocol/ imports a clock, a file, a thread, a socket or another layer."""
    impure = {"os", "time", "io", "socket", "threading", "asyncio", "pathlib", "datetime", "random"}
    for path in Path(mm_magic.protocol.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "."]
            for name in names:
                ours = name == "mm_magic.errors" or name.startswith("mm_magic.protocol.")
                standard = name.split(".")[0] in sys.stdlib_module_names - impure
                assert ours or standard, f"{path.name} imports {name}"
            if isinstance(node, ast.Name):
                assert node.id not in {"open", "print", "__import__"}, path.name
