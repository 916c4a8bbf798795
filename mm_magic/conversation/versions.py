"""The answers that a turn had before its cell ran again: the last few, in memory only.

A version is a text: the same text again is the same version. They are numbered in the order in
which they first came, so version 1 is the first answer. Of several answers to one prompt it is the
one that was sent.
"""

from dataclasses import replace

from mm_magic.conversation.turn import Turn

MOST_FORMER = 3
"""Former answers that a turn keeps."""


def succeeding(turn: Turn, old: Turn) -> Turn:
    """The turn that takes the place of the old one, with the answers that the place had before."""
    known = [*old.former, replace(old, answer=0, others=(), former=())]
    text = turn.reply.text.strip()
    same = [each for each in known if each.reply.text.strip() == text]  # two after a pick
    version = same[0].version if same else 1 + max(each.version for each in known)
    former = tuple(each for each in known if each not in same)
    return replace(turn, version=version, former=former[-MOST_FORMER:])


def former_version(turn: Turn, version: int) -> Turn | None:
    """The former answer with this number, if it is kept."""
    return next((each for each in turn.former if each.version == version), None)
