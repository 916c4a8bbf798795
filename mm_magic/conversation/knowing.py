"""What a turn knows: of the turns above it, those that it was made with."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from mm_magic.conversation.turn import NOTHING, Turn


class Reader(NamedTuple):
    """Which turns above itself a turn knows."""

    is_demo: bool
    is_untrusted: bool

    @classmethod
    def of(cls, turn: Turn) -> "Reader":
        """What this turn is as a reader of those above it."""
        return cls(turn.is_demo, turn.is_untrusted)

    def known_among(self, turns: Iterable[Turn]) -> list[Turn]:
        """Those of the turns above that it knows."""
        is_demo, is_untrusted = self
        return [
            turn
            for turn in turns
            if not turn.is_hidden
            and turn.is_sendable
            and (is_demo or not turn.is_demo)
            and (is_untrusted or not turn.is_untrusted)
        ]


def known_now(turns: Sequence[Turn]) -> list[str]:
    """For each turn, what it would know of the turns above if its cell ran again now."""
    known = []
    hashes = dict.fromkeys(map(Reader.of, turns), NOTHING)
    read = {reader: set(map(id, reader.known_among(turns))) for reader in hashes}
    for turn in turns:
        known.append(hashes[Reader.of(turn)])
        for reader in hashes:
            if id(turn) in read[reader]:
                hashes[reader] = turn.hash_behind(hashes[reader])
    return known


def renamed(turns: Sequence[Turn], name: str) -> list[Turn]:
    """The turns in a conversation of this name, stale where they were stale before.

    `turns_hash` needs care: it is made of ids, and an id depends on the name of the conversation.
    """
    old = next((turn.conversation for turn in turns if turn.conversation != name), name)
    if old == name:
        return list(turns)
    made = [replace(turn, conversation=name) for turn in turns]
    before = known_now([replace(turn, conversation=old) for turn in turns])
    return [
        _knowing(turn, was, now)
        for turn, was, now in zip(made, before, known_now(made), strict=True)
    ]


def _knowing(turn: Turn, was: str, now: str) -> Turn:
    """The turn, and the other answers to its prompt, with what they knew under its new name."""
    others = tuple(_knowing(each, was, now) for each in turn.others)
    turns_hash = now if turn.turns_hash == was else turn.turns_hash
    return replace(turn, turns_hash=turns_hash, others=others)
