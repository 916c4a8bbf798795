"""MiniMax's errors as they arrive: one row for each code, and for each way without a code."""

from typing import Any, NamedTuple

from mm_magic.errors import Kind


class Row(NamedTuple):
    """`code` is None where the body holds none; `status` is HTTP's, `error` the body's."""

    code: int | None
    status: int
    error: dict[str, Any]
    kind: Kind
    retryable: bool

    @property
    def body(self) -> dict[str, Any]:
        return {"type": "error", "error": self.error, "request_id": "05a"}


def _coded(
    code: int, status: int, kind_on_wire: str, words: str, kind: Kind, *, retryable: bool = False
) -> Row:
    return Row(
        code, status, {"type": kind_on_wire, "message": f"{words} ({code})"}, kind, retryable
    )


_LIMIT = "rate_limit_error"
_INVALID = "invalid_request_error"
CODED = (
    _coded(1000, 500, "api_error", "unknown error", "server", retryable=True),
    _coded(1013, 500, "api_error", "internal service error", "server", retryable=True),
    _coded(1024, 502, "api_error", "internal error", "server", retryable=True),
    _coded(1033, 503, "api_error", "downstream service error", "server", retryable=True),
    _coded(1001, 504, "timeout_error", "request timed out", "timeout", retryable=True),
    _coded(1002, 429, _LIMIT, "rate limit exceeded(RPM)", "rate_limit", retryable=True),
    _coded(2045, 429, _LIMIT, "rate growth limit", "rate_limit", retryable=True),
    _coded(2062, 429, _LIMIT, "plan rate limit", "rate_limit", retryable=True),
    _coded(1039, 429, _LIMIT, "rate limit exceeded(TPM)", "rate_limit", retryable=True),
    _coded(1039, 500, "api_error", "token limit exceeded", "rate_limit", retryable=True),
    _coded(2046, 429, _LIMIT, "rate limit", "rate_limit", retryable=True),
    _coded(2047, 429, _LIMIT, "rate limit", "rate_limit", retryable=True),
    _coded(1041, 429, _LIMIT, "too many connections", "rate_limit", retryable=True),
    _coded(2064, 529, "overloaded_error", "high load", "overloaded", retryable=True),
    _coded(1028, 429, _LIMIT, "quota reached", "rate_limit"),
    _coded(1030, 429, _LIMIT, "quota reached", "rate_limit"),
    _coded(2067, 429, _LIMIT, "plan limit reached", "rate_limit"),
    _coded(2056, 429, _LIMIT, "usage limit exceeded, resets at 18:00 UTC", "rate_limit"),
    _coded(1004, 401, "authentication_error", "login fail", "auth"),
    _coded(2049, 401, "authorized_error", "invalid api key", "auth"),
    _coded(1008, 402, "insufficient_balance_error", "insufficient balance", "billing"),
    _coded(1008, 429, "insufficient_balance_error", "insufficient balance", "billing"),
    _coded(1008, 500, "api_error", "insufficient balance", "billing"),
    _coded(2061, 500, "api_error", "your plan does not support this model", "permission"),
    _coded(1026, 400, _INVALID, "input new_sensitive", "bad_request"),
    _coded(1027, 422, "unprocessable_entity_error", "output new_sensitive", "bad_request"),
    _coded(1042, 400, _INVALID, "invisible character ratio limit", "bad_request"),
    _coded(2013, 400, "bad_request_error", "invalid params", "bad_request"),
    _coded(2013, 400, _INVALID, "invalid params, unknown model 'x'", "not_found"),
    _coded(2013, 400, _INVALID, "invalid params, context window exceeds limit", "too_large"),
)

CODELESS = (
    Row(None, 400, {"type": "bad_request_error", "message": "m"}, "bad_request", False),
    Row(None, 401, {"type": "authorized_error", "message": "m"}, "auth", False),
    Row(None, 500, {"type": "authorized_error", "message": "m"}, "auth", False),
    Row(None, 500, {"type": "insufficient_balance_error", "message": "m"}, "billing", False),
    Row(None, 429, {"type": "insufficient_balance_error", "message": "m"}, "billing", False),
    Row(None, 422, {"type": "unprocessable_entity_error", "message": "m"}, "bad_request", False),
    Row(None, 400, {"type": "authentication_error", "message": "m"}, "auth", False),
    Row(None, 500, {"type": "api_error", "message": "m", "http_code": "402"}, "billing", False),
    Row(None, 500, {"message": "m", "http_code": 429}, "rate_limit", True),
    Row(None, 500, {"code": 402, "message": "m"}, "billing", False),
    Row(None, 502, {"code": 429, "message": "m"}, "rate_limit", True),
    Row(None, 500, {"type": "api_error", "code": "401", "message": "m"}, "auth", False),
    Row(None, 500, {"code": 529, "message": "m"}, "overloaded", True),
    Row(None, 500, {"code": 200, "http_code": "0", "message": "m"}, "server", True),
    Row(None, 500, {"code": "context_length_exceeded", "http_code": True}, "server", True),
    Row(1008, 500, {"code": 1008, "message": "m"}, "billing", False),
    Row(1039, 400, {"code": "1039", "message": "m"}, "rate_limit", True),
)

ROWS = (*CODED, *CODELESS)


def name_of(row: object) -> str:
    """The name of a row's test."""
    assert isinstance(row, Row)
    return f"{row.code or row.error.get('type', 'no type')}-{row.status}-{row.kind}"
