"""Cuts a growing Markdown text into its finished blocks, so that each is drawn once."""

from __future__ import annotations

import re

from mm_magic.rendering.formulas import CLOSERS, CONTAINERS, MAX_MATH, closes

_FENCE = re.compile(rf"({CONTAINERS})(`{{3,}}(?=[^`\n]*$)|~{{3,}})")
_INDENTED = ("    ", "\t")
_LIST_ITEM = re.compile(r" {0,3}(?:[-*+]|\d{1,9}[.)])(?:\s|$)")
_TABLE_RULE = re.compile(r"[ \t]*(?:\|[ \t]*)?:?-+:?[ \t]*(?:\|[ \t:-]*)+$")


class Blocks:
    """Cuts a growing text into its finished top-level blocks.

    Rendered one by one the blocks look as they do rendered together; joined, with `rest` at the
    end, they are the text. A list, or indented code, is finished by the line that ends it; any
    other block by a blank line, and code by its closing fence.

    With `limit` (in characters) a longer fence, list or table is also cut within: what follows
    opens the fence or repeats the table's head again. That is for drawing only.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._partial: list[str] = []
        self._restart()

    def _restart(self, *lines: str) -> None:
        self._lines = list(lines)
        self._size = sum(map(len, lines))
        self._kind = ""  # "flow" or "container" once a line is not blank
        self._fence = ""  # the open fence's marker
        self._prefix = ""  # what stands before it on its line
        self._opening = ""  # that line
        self._start = 0  # how many blank lines come first
        self._closer = ""  # what closes the display formula that is open
        self._is_table = False
        self._blank = False

    @property
    def rest(self) -> str:
        """The text behind the last finished block."""
        return "".join(self._lines) + "".join(self._partial)

    @property
    def is_in_formula(self) -> bool:
        """Whether `rest` holds a display formula that is not closed yet."""
        return bool(self._closer)

    def push(self, delta: str) -> list[str]:
        """Take the next piece of the text and return the blocks that it finished."""
        first, *more = delta.split("\n")
        self._partial.append(first)
        done: list[str] = []
        for piece in more:
            line = "".join(self._partial) + "\n"
            self._partial = [piece]
            done += self._take_line(line)
        return done

    def _cut(self, *again: str, tail: str = "") -> list[str]:
        block = "".join(self._lines) + tail
        self._restart(*again)
        return [block]

    def _append(self, line: str) -> None:
        self._lines.append(line)
        self._size += len(line)

    def _take_line(self, line: str) -> list[str]:
        if self._fence and not self._leaves_fence(line):
            return self._take_code(line)
        self._fence = ""
        if self._closer:
            self._append(line)
            if self._closer in line or self._size > MAX_MATH:
                self._closer = ""
            return []
        if not line.strip():
            if self._kind and self._lines[-1].startswith(_INDENTED):
                self._kind = "container"  # indented code goes on behind a blank line
            self._append(line)
            self._blank = True
            self._start += not self._kind
            return self._cut() if self._kind == "flow" else []
        return self._take_text(line)

    def _take_text(self, line: str) -> list[str]:
        done: list[str] = []
        is_item = _LIST_ITEM.match(line) is not None
        if self._kind == "container" and (
            (self._blank and not is_item and line[0] not in " \t")
            or (is_item and line[0] not in " \t" and self._is_long())
        ):
            done = self._cut()
        self._append(line)
        self._blank = False
        if is_item or (not self._kind and line.startswith(_INDENTED)):
            self._kind = "container"
        self._kind = self._kind or "flow"
        if len(self._lines) == self._start + 2:
            self._is_table = _TABLE_RULE.match(line.rstrip()) is not None
        self._open(line)
        return done or self._cut_table(line)

    def _open(self, line: str) -> None:
        """See whether `line` opens a fence or a display formula."""
        fence = _FENCE.match(line.rstrip("\n"))
        if fence and (self._kind == "container" or len(fence[1]) < 4):
            self._prefix, self._fence, self._opening = fence[1], fence[2], line
            if not fence[1]:
                self._kind = "flow"  # at the margin it has ended any list
        elif line.rstrip().endswith(("$$", "\\[")):
            opener = re.sub(f"^{CONTAINERS}", "", line).strip()
            self._closer = CLOSERS.get(opener, "") if opener in ("$$", r"\[") else ""

    def _leaves_fence(self, line: str) -> bool:
        """A fence in a quote or an item ends where a line no longer belongs to that."""
        if ">" in self._prefix:
            return not line.lstrip().startswith(">")
        return bool(self._prefix) and self._kind == "container" and line[0] not in " \t\n"

    def _take_code(self, line: str) -> list[str]:
        self._append(line)
        if closes(self._fence, line):
            self._fence = ""
            return self._cut() if self._kind == "flow" else []
        if self._is_long() and self._kind == "flow":
            fence, prefix, opening = self._fence, self._prefix, self._opening
            done = self._cut(opening, tail=f"{prefix}{fence}\n")
            self._fence, self._prefix, self._opening, self._kind = fence, prefix, opening, "flow"
            return done
        return []

    def _cut_table(self, line: str) -> list[str]:
        is_row = self._kind == "flow" and "|" in line and len(self._lines) > self._start + 3
        if not (self._is_table and is_row and self._is_long()):
            return []
        done = self._cut(*self._lines[self._start : self._start + 2])
        self._kind, self._is_table = "flow", True
        return done

    def _is_long(self) -> bool:
        return self._limit is not None and self._size > self._limit
