"""The JSON in a model's answer, between words of planning and of explanation.

The last value counts: what comes before it may be a draft. It is found in time that grows with the
length of the text, whatever that holds, and nothing in it is repaired.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_STRING = r'"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
_NUMBER = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+"
_SCALAR = re.compile(rf"{_STRING}|{_NUMBER}|true|false|null")
_TOKEN = re.compile(rf"[ \t\n\r]*+([{{}}\[\],:]|{_SCALAR.pattern})")
_SPACE = re.compile(r"[ \t\n\r]*+")
_OPENS = re.compile(r"[{\[]")
_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")


class LastJson(NamedTuple):
    """The last JSON value of a text: the part of the text that it is, None if there is none.

    Then `broken_at` is the place where the last piece that began as JSON stops being any, None
    where no piece did.
    """

    json: str | None
    broken_at: int | None = None


def last_json(text: str) -> LastJson:
    """The last JSON value in a text.

    A fenced block that holds one value and nothing else comes first; else the last object or array;
    or, if it is the whole last line, a number, a string in quotation marks, true, false or null.
    What lies inside a piece that breaks off is no value of its own.
    """
    for block in reversed([*_fenced(text)]):
        if _is_value(block.strip()):
            return LastJson(block.strip())
    start, end, broken_at = _last_container(text)
    whole = text.rstrip()
    last_line = whole[whole.rfind("\n") + 1 :].strip()
    if len(whole) - len(last_line) >= max(end, broken_at or 0) and _SCALAR.fullmatch(last_line):
        return LastJson(last_line)
    return LastJson(text[start:end]) if end else LastJson(None, broken_at)


def _is_value(text: str) -> bool:
    if _SCALAR.fullmatch(text):
        return True
    return _OPENS.match(text) is not None and _container(text, 0).end == len(text)


def _fenced(text: str) -> Iterator[str]:
    """What stands in the fences of a text; the last one may be open."""
    fence, lines = "", list[str]()
    for line in text.split("\n"):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence, lines = mark[1], []
        elif mark and mark[1].startswith(fence) and not line[mark.end() :].strip():
            yield "\n".join(lines)
            fence = ""
        elif fence:
            lines.append(line)
    if fence:
        yield "\n".join(lines)


def _last_container(text: str) -> tuple[int, int, int | None]:
    """Where the last object or array begins and ends, 0 and 0 if there is none, and where a piece
    behind it broke off."""
    start, end, broken_at, place = 0, 0, None, 0
    while opening := _OPENS.search(text, place):
        piece = _container(text, opening.start())
        place = piece.again_from
        if piece.end:
            start, end, broken_at = opening.start(), piece.end, None
        elif piece.is_begun:
            broken_at = piece.broken_at
    return start, end, broken_at


class _Piece(NamedTuple):
    """What begins with a bracket: it ends at `end`, or is no JSON from `broken_at` on (`end` is 0).

    `is_begun`: there is something of JSON in it. `again_from` is where to look for the next one.
    """

    end: int
    broken_at: int
    is_begun: bool
    again_from: int


def _container(text: str, start: int) -> _Piece:
    """Read one object or array."""
    closing: list[str] = []
    due, place, count, string_at = "value", start, 0, 0
    while token := _TOKEN.match(text, place):
        due = _due_after(token[1], due, closing)
        if not due:
            break
        place, count = token.end(), count + 1
        string_at = token.start(1) if token[1][0] == '"' else 0
        if not closing:
            return _Piece(place, place, True, place)
    space = _SPACE.match(text, place)
    broken_at = space.end() if space else place
    # A quotation mark may have opened a "string" of words with the true value in it: a bracket in
    # there counts. No place is read in this way more than three times.
    if text[broken_at : broken_at + 1] == '"' and due:
        again_from = broken_at + 1
    else:
        again_from = string_at + 1 if string_at else max(broken_at, start + 1)
    return _Piece(0, broken_at, count > 1, again_from)


def _due_after(token: str, due: str, closing: list[str]) -> str:
    """What may follow a token where `due` was due, "" if the token may not stand there.

    `closing` has the brackets that are to be closed, the innermost last.
    """
    if token in "{[":
        if not due.startswith("value"):
            return ""
        closing.append("}" if token == "{" else "]")
        return "key or end" if token == "{" else "value or end"
    if token in "}]":
        if not due.endswith("end") or closing[-1] != token:
            return ""
        closing.pop()
        return "comma or end"
    if token == ",":
        return {"}": "key", "]": "value"}[closing[-1]] if due.startswith("comma") else ""
    if token == ":":
        return "value" if due == "colon" else ""
    if due.startswith("key"):
        return "colon" if token[0] == '"' else ""
    return "comma or end" if due.startswith("value") else ""
