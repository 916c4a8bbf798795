"""Fences within a fence of Markdown, as models write them.

By the rules the first closing fence of an inner block ends the outer one, too. In a block that is
named `markdown` an opening fence with a language begins an inner block instead, and the next
closing fence ends only that.
"""

from __future__ import annotations

import re

from mm_magic.rendering.grammar import CONTAINERS, FENCE, closes

_OUTER = re.compile(
    rf"^({CONTAINERS})({FENCE})[ \t]*(?:markdown|md)[ \t]*$", re.IGNORECASE | re.MULTILINE
)
_ANY = re.compile(rf"{CONTAINERS}({FENCE})")
_INNER = re.compile(rf"[ \t>]*({FENCE})[ \t]*(?=\S)")


class MarkdownFence:
    """Tells where an open block of Markdown ends; `outer` is the marker that opened it."""

    def __init__(self, outer: str) -> None:
        self._open = [outer]
        self.longest = 0  # of the fences within it

    @property
    def holds_open(self) -> bool:
        """Whether a fence within it is open."""
        return len(self._open) > 1

    def is_closed_by(self, line: str) -> bool:
        """Take the next line, and return whether it closes the block."""
        if closes(self._open[-1], line):
            self._open.pop()
            return not self._open
        inner = _INNER.match(line.rstrip())
        # A shorter fence, or one of the other kind, can't be taken for the outer one's end.
        if inner and not self.holds_open and inner[1].startswith(self._open[0]):
            self._open.append(inner[1])
            self.longest = max(self.longest, len(inner[1]))
        return False


def markdown_fence(line: str) -> MarkdownFence | None:
    """Return the block of Markdown that `line` opens, if it does."""
    opening = _OUTER.match(line.rstrip("\n"))
    return MarkdownFence(opening[2]) if opening else None


def lengthened(text: str, *, is_growing: bool = False) -> str:
    """Return `text` with longer fences around the blocks of Markdown that hold others.

    A block that isn't closed in the end stays as it is, and so does what follows; while the text
    is growing it is taken to go on.
    """
    if _OUTER.search(text) is None:
        return text
    lines = text.split("\n")
    number = 0
    while number < len(lines):
        opening = _ANY.match(lines[number])
        if opening is None:
            number += 1
            continue
        end, longest = _end(lines, number, opening[1])
        if end == len(lines) and not is_growing:
            break
        added = opening[1][0] * (longest + 1 - len(opening[1])) if longest else ""
        lines[number] = lines[number].replace(opening[1], opening[1] + added, 1)
        if end < len(lines):
            lines[end] = lines[end].rstrip() + added
        number = end + 1
    return "\n".join(lines)


def _end(lines: list[str], start: int, fence: str) -> tuple[int, int]:
    """Return the number of the line that closes the fence opened in line `start`, or how many
    there are; and the length of the longest fence in it, 0 if it need not be made longer."""
    block = markdown_fence(lines[start])
    for number in range(start + 1, len(lines)):
        if block.is_closed_by(lines[number]) if block else closes(fence, lines[number]):
            break
    else:
        number = len(lines)
    return number, block.longest if block else 0
