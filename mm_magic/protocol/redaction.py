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


class Pieces(Generic[AnyStr]):
    """One text that comes in pieces, without one form of a key. The work grows with its length.

    `hidden` takes the place of all but the first `shown` characters of the key, however it is cut.
    What may be more of it is held back. No attribute shows the key where a debugger lists
    variables: only functions know it. A pattern would, as `re` remembers those that were compiled.
    """

    def __init__(self, form: AnyStr, hidden: AnyStr, shown: int = 0) -> None:
        self._find: Callable[[AnyStr, int], int] = lambda text, at: text.find(form, at)
        self._is_beginning: Callable[[AnyStr], bool] = form.startswith
        self._first: AnyStr = form[:1]
        self._letters: frozenset[AnyStr] = frozenset(form[at : at + 1] for at in range(len(form)))
        self._length = len(form)
        self._hidden: AnyStr = hidden
        self._shown = shown
        self._open: AnyStr = hidden[:0]  # the end of what came, if a key may begin with it
        self._told = 0  # how much of that has been passed on

    def take(self, piece: AnyStr) -> AnyStr:
        """What can be passed on, now that this piece has come."""
        text: AnyStr = self._open + piece if self._open else piece
        found = self._find(text, 0)
        if found < 0 and not self._open and self._begin_of_open(text, 0) == len(text):
            return piece  # as nearly always
        parts: list[AnyStr] = []
        at, last = self._told, 0
        while found >= 0:
            parts += [text[at : found + self._shown], self._hidden]
            at = last = found + self._length
            found = self._find(text, last)
        begin = self._begin_of_open(text, last)
        end = min(begin + self._shown, len(text))
        parts.append(text[at:end])
        self._open, self._told = text[begin:], end - begin
        return text[:0].join(parts)

    def flush(self) -> AnyStr:
        """What is held back, where nothing follows that belongs to it."""
        held: AnyStr = self._open[self._told :]
        self._told = len(self._open)
        return held

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
        self._of_forms = [Pieces(form.encode(), HIDDEN.encode()) for form in _forms(key)]

    def take(self, data: bytes) -> bytes:
        """What can be passed on, now that this read has come."""
        for each in self._of_forms:
            data = each.take(data)
        return data

    def flush(self) -> bytes:
        """What is held back, where the body has ended."""
        held = b""
        for each in self._of_forms:
            held = each.take(held) + each.flush()
        return held


class RedactedEvents:
    """The events of an answer without a key that stands across several deltas of a block.

    A key that one of them holds whole is for `RedactedBody`. Signatures stay as they are.
    """

    def __init__(self, key: str) -> None:
        self._blocks: dict[tuple[type[_Delta], Index], Pieces[str]] = {}
        self._new_block: Callable[[type[_Delta]], Pieces[str]] | None = None
        if _forms(key):
            self._new_block = lambda kind: (
                Pieces(_in_json(key), HIDDEN)
                if kind is InputJsonDelta  # where an escape must not be cut
                else Pieces(key, HIDDEN, _SHOWN)
            )

    def take(self, events: list[Event]) -> list[Event]:
        """What can be passed on, now that these have come."""
        if self._new_block is None:
            return events
        passed: list[Event] = []
        for event in events:
            if isinstance(event, (TextDelta, ThinkingDelta, InputJsonDelta)):
                passed.append(self._redacted(event, self._new_block))
            elif isinstance(event, Ping):
                passed.append(event)
            else:
                passed += [*self.flush(), event]
        return passed

    def flush(self) -> list[Event]:
        """What is held back, where no delta follows that belongs to it."""
        held = ((place, block.flush()) for place, block in self._blocks.items())
        return [kind(index, text) for (kind, index), text in held if text]

    def _redacted(self, delta: _Delta, new_block: Callable[[type[_Delta]], Pieces[str]]) -> _Delta:
        kind, index = type(delta), delta.index
        if (block := self._blocks.get((kind, index))) is None:
            block = self._blocks[kind, index] = new_block(kind)
        text = _TEXT_OF[kind](delta)
        passed = block.take(text)
        return delta if passed == text else kind(index, passed)
