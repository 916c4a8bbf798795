"""The rules of Markdown's lines that several modules go by.

The parser says where blocks are. This is for what has to be known without it: of a text that is
still growing, and of formulas, which it must not touch.
"""

from __future__ import annotations

import re

ITEM = r"(?:[-*+]|\d{1,9}[.)])"
"""What marks a list item."""
CONTAINERS = rf"(?:[ \t>]|{ITEM}[ \t])*"
"""What may stand before a fence or a display formula on its line: quote marks and list markers."""
FENCE = r"(?:`{3,}(?![^`\n]*`)|~{3,})"
"""What opens a block of code, or closes it: its marker."""
CLOSERS = {"$": "$", "$$": "$$", r"\(": r"\)", r"\[": r"\]"}
"""What closes a formula, by what opens it."""

_HEADING = re.compile(r"[ \t>]*#{1,6}[ \t]")
_TABLE_RULE = re.compile(r"\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t:-]*)+")


def marker(opening: str) -> str:
    """Return the marker at the end of what opens a block of code, containers included."""
    return opening[len(opening.rstrip("`~")) :]


def closes(opening: str, line: str) -> bool:
    """Does `line` close the block of code that the marker `opening` opened?"""
    found = line.lstrip(" \t>").rstrip()
    return len(found) >= len(opening) and not found.strip(opening[0])


def is_heading(line: str) -> bool:
    """Is this line a heading, in a quote or not?"""
    return _HEADING.match(line) is not None


def is_table_rule(line: str) -> bool:
    """Is this line, without what is around it, the rule below the head of a table?

    Around it are blanks and, where a table in a quote counts, too, quote marks.
    """
    return _TABLE_RULE.fullmatch(line) is not None
