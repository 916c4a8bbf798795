"""JSON as servers and files have it: read with care, written as UTF-8, and told apart."""

import hashlib
import json
import math
import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

JsonObject: TypeAlias = dict[str, object]

MAX_NESTING = 100
"""Levels of objects and arrays in JSON that is read. With 500, Jupyter can't save a notebook."""

_HOLDING = (dict, list)  # 3 times as quick as dict | list, which is made at each use
_SURROGATE = re.compile("[\ud800-\udfff]")
_SURROGATE_OR_ESCAPE = re.compile(r"[\ud800-\udfff]|\\u[dD][89a-fA-F]")


def _finite(number: str) -> float | None:
    """Python reads NaN, Infinity and 1e999 where JSON has no such numbers: they become null."""
    value = float(number)
    return value if math.isfinite(value) else None


# strict=False: servers send raw tabs in strings. One decoder for all: json.loads(strict=False)
# makes one at each call (2.7 µs an event against 0.6).
_decode = json.JSONDecoder(strict=False, parse_float=_finite, parse_constant=_finite).raw_decode


def parse_json(data: str | bytes, *, keep_halves: bool = False, limit: int = MAX_NESTING) -> object:
    """The JSON value of `data`, or None if it is none, or nested deeper than `limit`.

    Its strings can be encoded, and so saved and sent: halves of characters are joined or become
    U+FFFD. `keep_halves` leaves them, where the other half may come with the next delta.
    """
    text = (data if isinstance(data, str) else data.decode("utf-8-sig", "replace")).strip()
    try:
        parsed, end = _decode(text)
        if end != len(text) or (_may_be_deep(text) and is_deep(parsed, limit)):
            return None
        may_have_halves = "\\u" in text or not isinstance(data, bytes)  # what is decoded has none
        if keep_halves or not (may_have_halves and _SURROGATE_OR_ESCAPE.search(text)):
            return parsed
        return _decode(join_surrogates(json.dumps(parsed, ensure_ascii=False)))[0]
    except (ValueError, RecursionError):
        return None


def is_deep(value: object, limit: int = MAX_NESTING) -> bool:
    """Whether a JSON value has more than `limit` levels of objects and arrays."""
    level: list[Iterable[object]] = [[value]]
    for _ in range(limit + 1):
        inside = [part for each in level for part in each if isinstance(part, _HOLDING)]
        level = [part.values() if isinstance(part, dict) else part for part in inside]
        if not level:
            return False
    return True


def _may_be_deep(text: str) -> bool:
    return len(text) > 2 * MAX_NESTING and text.count("[") + text.count("{") > MAX_NESTING


def as_object(value: object) -> JsonObject:
    """`value` if it is a JSON object, else an empty one: servers send null where one is due."""
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str:
    """`value` if it is a string, else ""."""
    return value if isinstance(value, str) else ""


def as_optional_text(value: object) -> str | None:
    """`value` if it is a string that is not empty, else None."""
    return value if isinstance(value, str) and value else None


def as_count(value: object) -> int | None:
    """`value` if it is a whole number of 64 bits, else None. true and false are not numbers."""
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 2**63:
        return None
    return value


def as_number(value: object) -> int | None:
    """`value` if it is a whole number, also one that came as text, else None."""
    is_digits = isinstance(value, str) and value.isascii() and value.isdigit()
    return int(str(value)[:9]) if is_digits else as_count(value)


def join_surrogates(text: str) -> str:
    """Join the halves of split characters; a half that stays alone becomes U+FFFD.

    Some servers cut an emoji into two `\\ud83d`, `\\ude00` deltas; no file or socket takes those.
    """
    if not _SURROGATE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def encode_json(value: object) -> bytes:
    """Compact UTF-8 JSON. Lone surrogates, which UTF-8 cannot hold, become U+FFFD."""
    return join_surrogates(json.dumps(value, ensure_ascii=False, separators=(",", ":"))).encode()


def fingerprint(value: object) -> str:
    """16 hex digits that tell one JSON value from another, whatever a file did to it."""
    text = join_surrogates(json.dumps(settled(value), ensure_ascii=False, sort_keys=True))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def settled(value: object) -> object:
    """A JSON value as it comes back from a notebook file.

    Jupyter sorts the names of an object, and a browser writes 1.0 as 1. An object's type comes
    first, as on the wire.
    """
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: (name != "type", name))
        return {name: settled(value[name]) for name in names}
    if isinstance(value, list | tuple):
        return [settled(each) for each in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value
