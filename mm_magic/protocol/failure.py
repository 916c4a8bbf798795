"""What a failure means: MiniMax's own code first, the HTTP status second.

The code stands only in the message, "… (1008)", and the status contradicts it often: no balance
arrives as 500, a used-up plan as 429. Nothing here raises; the errors are values.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

from mm_magic.errors import Kind, MiniMaxError, NetworkError, ProtocolError, ServiceError
from mm_magic.protocol.json_values import (
    JsonObject,
    as_number,
    as_object,
    as_optional_text,
    as_text,
    join_surrogates,
    parse_json,
)
from mm_magic.protocol.messages import BaseResp

MAX_RETRY_AFTER = 60.0
"""Seconds. A server that asks for longer gets our own, shorter pause, and then gives its error."""

TOO_MANY_CONNECTIONS = 1041
SLOW_RETRY = 5.0
"""Seconds before a retry after this code, where the server does not say how long."""

_MAX_MESSAGE = 2000  # characters of the server's text that an error shows


class _Meaning(NamedTuple):
    kind: Kind
    retryable: bool
    words: str


CODES: Mapping[int, _Meaning] = {
    1000: _Meaning("server", True, "the service had an internal error"),
    1001: _Meaning("timeout", True, "the service took too long"),
    1002: _Meaning("rate_limit", True, "too many requests"),
    1004: _Meaning("auth", False, "the key was not accepted"),
    1008: _Meaning("billing", False, "the account has no balance"),
    1013: _Meaning("server", True, "the service had an internal error"),
    1024: _Meaning("server", True, "the service had an internal error"),
    1026: _Meaning("bad_request", False, "the service refused the prompt as sensitive"),
    1027: _Meaning("bad_request", False, "the service refused its own answer as sensitive"),
    1028: _Meaning("rate_limit", False, "the quota is used up"),
    1030: _Meaning("rate_limit", False, "the quota is used up"),
    1033: _Meaning("server", True, "the service had an internal error"),
    1039: _Meaning("rate_limit", True, "too many tokens per minute"),
    1041: _Meaning("rate_limit", True, "too many connections"),
    1042: _Meaning("bad_request", False, "the prompt has too many invisible characters"),
    2013: _Meaning("bad_request", False, "the service did not accept the request"),
    2045: _Meaning("rate_limit", True, "the number of requests grew too fast"),
    2046: _Meaning("rate_limit", True, "too many requests"),
    2047: _Meaning("rate_limit", True, "too many requests"),
    2049: _Meaning("auth", False, "the key was not accepted"),
    2056: _Meaning("rate_limit", False, "the plan's quota is used up"),
    2061: _Meaning("permission", False, "the plan does not include this model"),
    2062: _Meaning("rate_limit", True, "the plan's rate limit has been reached"),
    2064: _Meaning("overloaded", True, "the service is overloaded"),
    2067: _Meaning("rate_limit", False, "the plan's limit has been reached"),
}
"""MiniMax's error codes. Source: its error-code page, and captures of real traffic, Nov 2026."""

_STATUSES: Mapping[int, _Meaning] = {
    400: _Meaning("bad_request", False, "the service did not accept the request"),
    401: _Meaning("auth", False, "the key was not accepted"),
    402: _Meaning("billing", False, "the account has no balance"),
    403: _Meaning("permission", False, "the key does not permit this"),
    404: _Meaning("not_found", False, "there is nothing at this address"),
    408: _Meaning("timeout", True, "the service took too long"),
    409: _Meaning("server", True, "the request conflicted with another one"),
    413: _Meaning("too_large", False, "the request is too large"),
    429: _Meaning("rate_limit", True, "too many requests"),
    529: _Meaning("overloaded", True, "the service is overloaded"),
}

_TYPES: Mapping[str, int] = {  # an error in a stream has no status, but its type has one
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 408,
    "overloaded_error": 529,
    "bad_request_error": 400,  # MiniMax's /v1 has these four
    "authorized_error": 401,
    "insufficient_balance_error": 402,
    "unprocessable_entity_error": 422,
}

_SAY_LITTLE = ("bad_request", "server", "timeout")
_TOO_LONG = _Meaning("too_large", False, "the request has more tokens than the model accepts")

_CODE = re.compile(r"\((\d{3,5})\)")
_UNKNOWN_MODEL = re.compile(
    r"\b(unknown|invalid|unsupported) model\b(?! (option|param|setting))|\Amodel: \S"
    r"|\bmodel\b.{0,80}\b(not found|not exist)"
    r"|\bmodel \S+ (is )?not supported",  # but not "this model: top_k is not supported"
    re.IGNORECASE | re.DOTALL,
)
_CONTEXT = re.compile(
    r"context[ _](window|length|size|limit)|too many tokens(?! (per|in a|a)\b|, please wait)"
    r"|prompt is too long",
    re.IGNORECASE,
)
_THINKING = re.compile(r"\bthinking\b|\bsignatures?\b", re.IGNORECASE)
_KEY_FIELD = re.compile(r"x-api-key", re.IGNORECASE)
_SECONDS = re.compile(r"\d+(\.\d+)?", re.ASCII)  # float() takes "inf", "1e3" and "1_0" as well


def classify_response(status: int, headers: Mapping[str, str], body: bytes) -> MiniMaxError:
    """The error that an HTTP answer other than 200 stands for.

    `headers` has lower-case names. `body` may be JSON, HTML or plain text.
    """
    if status < 300:
        return ProtocolError(f"expected HTTP 200, got {status} with no answer in it")
    if status < 400:
        return NetworkError(
            f"the address answered with a redirect (HTTP {status}), which is not followed",
            kind="redirect",
            status=status,
            next_steps=("Check MINIMAX_BASE_URL: it must be the API's own address.",),
        )
    wire = parse_json(body)
    message = _message(as_object(wire)) if wire is not None else _from_text(body)
    error = _classified(message, as_object(wire), status)
    error.request_id = error.request_id or headers.get("trace-id") or headers.get("request-id")
    error.retry_after = _seconds(headers.get("retry-after", ""))
    return error


def classify_error(wire: JsonObject) -> MiniMaxError:
    """The error of an `error` event, or of an error object under HTTP 200."""
    return _classified(_message(wire), wire, None)


def classify_base_resp(base_resp: BaseResp) -> MiniMaxError:
    """The error of a `base_resp` whose code is not 0."""
    error = classify_error({"base_resp": base_resp.to_wire()})
    error.code = error.code or base_resp.status_code
    return error


def unexpected_content(content_type: str, beginning: bytes) -> ProtocolError:
    """The error of a 200 whose body is neither an event stream nor JSON: a portal's page, say."""
    got = repr(content_type) if content_type else "no content type"
    return ProtocolError(
        f"expected an event stream or JSON, got {got}: {_from_text(beginning)[:200]!r}",
        next_steps=(
            "The network's proxy or login page may have answered instead of the service.",
            "Check MINIMAX_BASE_URL, and open any web page to see whether you have to log in.",
        ),
    )


def retry_delay(error: MiniMaxError, attempt: int, jitter: float) -> float | None:
    """Seconds to wait before trying again, or None if the error is final.

    `attempt` counts the retries made so far for such a reason, from 0; `jitter` is a random number
    in [0, 1). A Retry-After in (0, 60] is obeyed; else too many connections wait for SLOW_RETRY,
    and all others for 0.5, 1, 2, 4, 8, 8, … s, less up to a quarter.
    """
    if not error.retryable:
        return None
    if error.retry_after is not None:
        return error.retry_after
    if error.code == TOO_MANY_CONNECTIONS:
        return SLOW_RETRY
    return 0.5 * 2.0 ** min(attempt, 4) * (1 - 0.25 * jitter)


def is_busy(error: MiniMaxError) -> bool:
    """Whether the server has too many requests now, and may take this one later."""
    return error.retryable and error.kind in ("rate_limit", "overloaded")


def may_refuse_thinking(error: MiniMaxError) -> bool:
    """Whether the thinking of earlier turns may be why a server refused a request."""
    return error.kind == "bad_request" and bool(_THINKING.search(error.message))


def _classified(message: str, wire: JsonObject, status: int | None) -> MiniMaxError:
    code = _code_in(message, wire)
    meaning = CODES[code] if code is not None else _by_status(wire, status)
    if code in (None, 2013):  # too general: the words say more
        meaning = _by_words(message, meaning)
    if meaning.kind == "auth" and _KEY_FIELD.search(message):
        message = ""  # it names a header that was never sent, and would send the reader astray
    return ServiceError(
        f"{meaning.words}: {message}" if message else meaning.words,
        kind=meaning.kind,
        retryable=meaning.retryable,
        status=status,
        code=code,
        request_id=as_optional_text(wire.get("request_id")),
    )


def _by_words(message: str, meaning: _Meaning) -> _Meaning:
    """What the server's words make clearer; `meaning` where they do not."""
    if meaning.kind in ("bad_request", "not_found", "server") and _CONTEXT.search(message):
        return _TOO_LONG
    if meaning.kind in ("bad_request", "not_found") and _UNKNOWN_MODEL.search(message):
        return _Meaning("not_found", False, "the service does not know this model")
    return meaning


def _by_status(wire: JsonObject, status: int | None) -> _Meaning:
    """What an error without a known code means.

    400 and most of 5xx say little. The body can name other statuses, by its error's type and in
    numbers: the first that says more counts.
    """
    named = [each for each in _statuses(wire, status) if 400 <= each < 600]
    clear = (m for each in named if (m := _meaning(each)).kind not in _SAY_LITTLE)
    return next(clear, _meaning(status or next(iter(named), 500)))


def _statuses(wire: JsonObject, status: int | None) -> list[int]:
    """HTTP's status, and those that the body names; the surest first."""
    error = as_object(wire.get("error"))
    kind = _TYPES.get(as_text(error.get("type"))) or _TYPES.get(as_text(wire.get("type")))
    numbers = [as_number(each.get("http_code")) for each in (error, wire)]
    return [each for each in (kind, status, *numbers, *_code_fields(wire)) if each is not None]


def _meaning(status: int) -> _Meaning:
    if status >= 500:
        return _STATUSES.get(status, _Meaning("server", True, "the service failed"))
    return _STATUSES.get(status, _STATUSES[400])


def _code_in(message: str, wire: JsonObject) -> int | None:
    """The first number in parentheses that is a known code; else one in a field of its own."""
    base_resp = BaseResp.from_wire(wire.get("base_resp"))
    fields = [base_resp.status_code if base_resp else None, *_code_fields(wire)]
    found = (*map(int, _CODE.findall(message)), *fields)
    return next((code for code in found if code in CODES), None)


def _code_fields(wire: JsonObject) -> list[int | None]:
    """The numbers called `code`: some servers put a code there, OpenRouter an HTTP status."""
    return [as_number(each.get("code")) for each in (as_object(wire.get("error")), wire)]


def _message(wire: JsonObject) -> str:
    """The server's own words. MiniMax puts them in the first or the last of these places."""
    error = wire.get("error")
    status_msg = as_object(wire.get("base_resp")).get("status_msg")
    places = (as_object(error).get("message"), error, wire.get("message"), status_msg)
    return _shown(next(filter(None, map(as_text, places)), ""))


def _from_text(body: bytes) -> str:
    """The words of an HTML or plain text body."""
    text = body[: 8 * _MAX_MESSAGE].decode("utf-8", "replace")
    text = re.sub(r"<(script|style)\b.*?(</\1>|\Z)", " ", text, flags=re.DOTALL | re.IGNORECASE)
    return _shown(" ".join(re.sub(r"<[^<>]*>", " ", text).split()))


def _shown(text: str) -> str:
    return join_surrogates(text[:_MAX_MESSAGE]).strip()


def _seconds(header: str) -> float | None:
    """A Retry-After in (0, 60] seconds; None where it is absent, unreadable or too long."""
    seconds = float(header) if _SECONDS.fullmatch(header) else 0.0
    return seconds if 0 < seconds <= MAX_RETRY_AFTER else None
