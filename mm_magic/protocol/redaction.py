"""Text without a key that a server repeats in it: bytes, words, and the events of an answer.

A key is found as it stands by itself and as JSON writes it, also where it is cut: in bytes at any
place, in a block of an answer between any two deltas. What a server spells otherwise is not found.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from re import Match, Pattern
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
_TELLING = 8
"""Characters at the end of a delta that are held back if a key begins so; fewer tell nothing."""

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
    in_json = json.dumps(key)[1:-1]
    return list(dict.fromkeys((key, in_json, in_json.replace("/", r"\/"))))


class Pieces(Generic[AnyStr]):
    """One text that comes in pieces, without a key. The work grows with its length.

    `forms` are the ways to write the key, and `any_form` finds them. What may be the beginning of
    one is held back if it has `telling` characters or more. No attribute shows the key where a
    debugger lists variables: they are methods of it.
    """

    def __init__(
        self,
        forms: Sequence[AnyStr],
        any_form: Pattern[AnyStr],
        hidden: AnyStr,
        telling: int = 1,
    ) -> None:
        self.has_hidden = False
        self._find: Callable[[AnyStr, int], Match[AnyStr] | None] = any_form.search
        self._letters: set[AnyStr] = {form[n : n + 1] for form in forms for n in range(len(form))}
        self._begins: list[tuple[AnyStr, Callable[[AnyStr], bool]]] = [
            (form[:1], form.startswith) for form in forms
        ]
        self._reach = max(map(len, forms)) - 1
        self._hidden: AnyStr = hidden
        self._telling = telling
        self._open: AnyStr = hidden[:0]  # the end of what came, if a key may begin with it
        self._told = 0  # how much of that has been passed on

    def take(self, piece: AnyStr) -> AnyStr:
        """What can be passed on, now that this piece has come."""
        text: AnyStr = self._open + piece if self._open else piece
        found = self._find(text, 0)
        if found is None and not self._open and self._begin_of_open(text, 0) == len(text):
            return piece  # as nearly always
        parts: list[AnyStr] = []
        at, last = self._told, 0
        while found is not None:
            parts += [text[at : found.start()], self._hidden]
            at = last = found.end()
            self.has_hidden = True
            found = self._find(text, last)
        begin = self._begin_of_open(text, last)
        end = begin if len(text) - begin >= self._telling else len(text)
        parts.append(text[at:end])
        self._open, self._told = text[begin:], max(at, end) - begin
        return parts[0] if len(parts) == 1 else text[:0].join(parts)

    def flush(self) -> AnyStr:
        """What is held back, where nothing follows that belongs to it."""
        held: AnyStr = self._open[self._told :]
        self._told = len(self._open)
        return held

    def _begin_of_open(self, text: AnyStr, last: int) -> int:
        """Where that end of the text begins which a key may begin with; its length if none does.

        `last` is where the last key in it ends.
        """
        end = len(text)
        if text[-1:] not in self._letters:
            return end
        least = max(last, end - self._reach)
        for first, is_beginning in self._begins:
            at = text.find(first, least)
            while 0 <= at < end and not is_beginning(text[at:]):
                at = text.find(first, at + 1)
            end = at if at >= 0 else end
        return end


def redacted_body(key: str) -> Pieces[bytes] | None:
    """For a body that comes in reads; None where there is no key to look for."""
    if not (forms := [form.encode() for form in _forms(key)]):
        return None
    any_form = re.compile(b"|".join(map(re.escape, forms)))
    return Pieces(forms, any_form, HIDDEN.encode())


class RedactedEvents:
    """The events of an answer without a key that stands across several deltas of a block.

    A key that one of them holds whole is for `redacted_body`. Signatures stay as they are.
    """

    def __init__(self, key: str) -> None:
        self._blocks: dict[tuple[type[_Delta], Index], Pieces[str]] = {}
        self._new_block: Callable[[], Pieces[str]] | None = None
        if forms := _forms(key):
            any_form = re.compile("|".join(map(re.escape, forms)))
            self._new_block = lambda: Pieces(forms, any_form, HIDDEN, _TELLING)

    @property
    def has_hidden(self) -> bool:
        """Whether a key was in it."""
        return any(block.has_hidden for block in self._blocks.values())

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

    def _redacted(self, delta: _Delta, new_block: Callable[[], Pieces[str]]) -> _Delta:
        kind, index = type(delta), delta.index
        if (block := self._blocks.get((kind, index))) is None:
            block = self._blocks[kind, index] = new_block()
        text = _TEXT_OF[kind](delta)
        passed = block.take(text)
        return delta if passed == text else kind(index, passed)
