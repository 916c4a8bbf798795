"""Texts that stand apart, joined so that each begins a paragraph of its own.

An answer's text can have thinking or a tool call in its middle. Glued together, the two sides would
lose a heading, a list or a fence.
"""

from collections.abc import Iterable


def in_paragraphs(texts: Iterable[str]) -> str:
    """The texts one below the other, with the line ends between them that they lack."""
    parts: list[str] = []
    end = ""
    for text in texts:
        parts += (gap(end, text), text)
        end = (end + text)[-2:]
    return "".join(parts)


def gap(before: str, after: str) -> str:
    """The line ends that are missing between two texts for a blank line.

    They are the same wherever in a row of line ends they are put: so it can be asked for when the
    first character comes that is none.
    """
    if not before or not after.strip("\n"):
        return ""
    there = len(before) - len(before.rstrip("\n")) + len(after) - len(after.lstrip("\n"))
    return "\n" * (2 - there)
