"""Text without a key that a server repeats in it: bytes, words, and the events of an answer.

A key is found as it stands by itself and as JSON writes it, also where it is cut: in bytes at any
place, in a block of an answer between any two deltas. What a server spells otherwise is not found.
"""

import json
from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import AnyStr, Generic, TypeAlias

from mm_magic.protocol.events import (
    Event,
    Index,
    InputJsonDelta,
    Ping,
    TextDelta,
    ThinkingDelta,
)

MIN_KEY = 12
"""Characters. What is shorter is a word that stands for no key: `ollama`, `lm-studio`."""
HIDDEN = "…"
_SHOWN = 7
"""Characters: so much of the beginning of a key that comes in pieces is passed on at once, since
words begin so, too, and none of an answer that is stopped may be missing. `sk-api-` tells nothing.
"""

_Delta: TypeAlias = TextDelta | ThinkingDelta | InputJsonDelta
_TEXT_OF: Mapping[type[_Delta], Callable[[_Delta], str]] = {
    TextDelta: attrgetter("text"),
    ThinkingDelta: attrgetter("thinking"),
    InputJsonDelta: attrgetter("partial_json"),
}


def redacted(text: str, key: str) -> str:
    """The text with `HIDDEN` in place of each `key`."""
    for form in _forms(key):
        text = text.replace(form, HIDDEN)
    return text


def holds_key(data: bytes, key: str) -> bool:
    """Whether the key is in it."""
    return any(form.encode() in data for form in _forms(key))


def _forms(key: str) -> list[str]:
    """A key as it stands by itself, and in a JSON string; none for what is too short to be one."""
    if len(key) < MIN_KEY:
        return []
    return list(dict.fromkeys((key, _in_json(key), _in_json(key).replace("/", r"\/"))))


def _in_json(key: str) -> str:
    return json.dumps(key)[1:-1]


class Form(Generic[AnyStr]):
    """One way to write a key, to be found in a text that comes in pieces.

    `hidden` takes the place of all but the first `shown` characters of the key, however it is cut.
    No attribute shows the key where a debugger lists variables: only functions know it. A pattern
    would, as `re` remembers those that were compiled.
    """

    def __init__(self, form: AnyStr, hidden: AnyStr, shown: int = 0) -> None:
        self._find: Callable[[AnyStr, int], int] = lambda text, at: text.find(form, at)
        self._is_beginning: Callable[[AnyStr], bool] = form.startswith
        self._first: AnyStr = form[:1]
        self._letters: frozenset[AnyStr] = frozenset(form[at : at + 1] for at in range(len(form)))
        self._length = len(form)
        self._hidden: AnyStr = hidden
        self._shown = shown

    def take(self, before: AnyStr, piece: AnyStr) -> tuple[AnyStr, AnyStr]:
        """What can be passed on of a text, and the end of it that a key may begin with.

        `before` is that end as the last piece left it. All but its first `shown` characters are
        held back. The work grows with the length of the text.
        """
        text: AnyStr = before + piece if before else piece
        found = self._find(text, 0)
        if found < 0 and not before and self._begin_of_open(text, 0) == len(text):
            return piece, text[:0]  # as nearly always
        parts: list[AnyStr] = []
        at, last = min(len(before), self._shown), 0
        while found >= 0:
            parts += [text[at : found + self._shown], self._hidden]
            at = last = found + self._length
            found = self._find(text, last)
        begin = self._begin_of_open(text, last)
        parts.append(text[at : begin + self._shown])
        return text[:0].join(parts), text[begin:]

    def held(self, before: AnyStr) -> AnyStr:
        """What of that end is held back."""
        return before[self._shown :]

    def _begin_of_open(self, text: AnyStr, last: int) -> int:
        """Where that end of the text begins which a key may begin with; its length if none does.

        `last` is where the last key in it ends.
        """
        if text[-1:] not in self._letters:
            return len(text)
        at = text.find(self._first, max(last, len(text) - self._length + 1))
        while at >= 0 and not self._is_beginning(text[at:]):
            at = text.find(self._first, at + 1)
        return at if at >= 0 else len(text)


class RedactedBody:
    """A body that comes in reads, without a key, of which nothing is passed on."""

    def __init__(self, key: str) -> None:
        self._forms = [Form(form.encode(), HIDDEN.encode()) for form in _forms(key)]
        self._open = [b""] * len(self._forms)

    def take(self, data: bytes) -> bytes:
        """What can be passed on, now that this read has come."""
        for place, form in enumerate(self._forms):
            data, self._open[place] = form.take(self._open[place], data)
        return data

    def flush(self) -> bytes:
        """What is held back, where the body has ended."""
        held = b""
        for form, before in zip(self._forms, self._open, strict=True):
            passed, before = form.take(before, held)
            held = passed + form.held(before)
        return held


class RedactedEvents:
    """The events of an answer without a key that stands across several deltas of a block.

    They are deltas in a row, but for pings and those of other blocks. A key that one of them holds
    whole is for `RedactedBody`. Signatures stay as they are.
    """

    def __init__(self, key: str) -> None:
        self._open: dict[tuple[type[_Delta], Index], str] = {}  # the ends of their texts
        self._forms: Mapping[type[_Delta], Form[str]] = {}
        if _forms(key):
            text = Form(key, HIDDEN, _SHOWN)
            in_json = Form(_in_json(key), HIDDEN)  # no part of an escape may be left of it
            self._forms = {TextDelta: text, ThinkingDelta: text, InputJsonDelta: in_json}

    def take(self, events: list[Event]) -> list[Event]:
        """What can be passed on, now that these have come."""
        if not self._forms:
            return events
        passed: list[Event] = []
        for event in events:
            if isinstance(event, (TextDelta, ThinkingDelta, InputJsonDelta)):
                passed.append(self._redacted(event))
            elif isinstance(event, Ping):
                passed.append(event)
            else:
                passed += [*self.flush(), event]
        return passed

    def flush(self) -> list[Event]:
        """What is held back, where no delta follows that belongs to it."""
        ends, self._open = self._open, {}
        held = ((place, self._forms[place[0]].held(end)) for place, end in ends.items())
        return [kind(index, text) for (kind, index), text in held if text]

    def _redacted(self, delta: _Delta) -> _Delta:
        kind, place = type(delta), (type(delta), delta.index)
        text = _TEXT_OF[kind](delta)
        passed, end = self._forms[kind].take(self._open.pop(place, ""), text)
        if end:
            self._open[place] = end
        return delta if passed == text else kind(delta.index, passed)
