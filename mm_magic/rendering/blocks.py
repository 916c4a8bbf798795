"""Cuts a growing Markdown text into its finished blocks, so that each is drawn once."""

from __future__ import annotations

import re
from typing import NamedTuple

from mm_magic.rendering import markup
from mm_magic.rendering.fences import MarkdownFence, markdown_fence
from mm_magic.rendering.formulas import MAX_MATH, display_closer
from mm_magic.rendering.grammar import CONTAINERS, FENCE, closes, is_heading, is_table_rule

_FENCE = re.compile(rf"({CONTAINERS})({FENCE})")
_INDENTED = ("    ", "\t")
_LIST_ITEM = re.compile(r" {0,3}(?:[-*+]|(\d{1,9})[.)])(?:\s|$)")
# What is most likely a formula, in one line.
_FORMULA = re.compile(r"\$\$|\\[(\[]|\\begin\{|(?<!\$)\$(?=[^\s\d$])[^$\n]*[^\s$]\$(?![\w$])")
SOFT_LIMIT = 4_000
"""Characters after which a growing code block, list or table is cut for drawing."""
ITEM_FORMULAS = 4
"""A list comes in parts of about so many formulas, so that they are set while it grows."""


class Piece(NamedTuple):
    """A finished block, or a part of a long one.

    `text` is what came. `drawn` is the same as Markdown that stands alone: in a part of a long
    block the fence is opened and closed again, or the table's head repeated. `ends_block` is false
    for all parts of a block but its last; `ends_item` is true where a list goes on behind it whose
    items keep their numbers if it is drawn by itself.
    """

    text: str
    drawn: str
    ends_block: bool
    ends_item: bool = False


class Blocks:
    """Cuts a growing text into its finished top-level blocks.

    Rendered one by one the blocks look as they do rendered together; joined, with `rest` at the
    end, they are the text. A list, or indented code, is finished by the line that ends it; any
    other block by a blank line, and code by its closing fence.

    With `limit` (in characters) a longer fence, list or table comes in parts, and so does a list
    with many formulas. Where blocks end does not depend on it.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._partial: list[str] = []
        self._begin_block()

    def _begin_block(self) -> None:
        self._kind = ""  # "flow" or "container" once a line is not blank
        self._fence = ""  # the open fence's marker
        self._markdown: MarkdownFence | None = None  # the same, where it is named `markdown`
        self._prefix = ""  # what stands before it on its line
        self._opening = ""  # that line
        self._closer = ""  # what closes the display formula that is open
        self._markup: markup.Opening | None = None  # thinking or a call that is open, as text
        self._tag = ""  # its tag
        self._above = 0  # how many lines of the piece stand above that
        self._line = ""  # the last one, and how many there are but for blank ones at the beginning
        self._count = 0
        self._head = ""  # a table's first two lines
        self._size = 0
        self._after_blank = False
        self._number: int | None = None  # of a list's last item, as Markdown counts
        self._begin_piece()

    def _begin_piece(self, repeated: str = "") -> None:
        self._repeated = repeated  # what is drawn before the lines that came
        self._lines: list[str] = []
        self._piece_size = len(repeated)
        self._piece_formulas = 0

    @property
    def rest(self) -> str:
        """The text behind the last piece."""
        return "".join([*self._lines, *self._partial])

    @property
    def drawn_rest(self) -> str:
        """The same, to be drawn."""
        return self._repeated + self.rest

    @property
    def is_in_fence(self) -> bool:
        """Whether `rest` ends in code, by its whole lines."""
        return bool(self._fence)

    @property
    def open_tag(self) -> str:
        """The tag of the thinking or the call, written as text, in which `rest` ends."""
        return self._tag if self._markup else ""

    @property
    def is_in_formula(self) -> bool:
        """Whether `rest` holds a display formula that is not closed yet."""
        return bool(self._closer)

    @property
    def open_formula(self) -> str:
        """The end of `rest` from such a formula on, "" if there is none."""
        return "".join([*self._lines[self._above :], *self._partial]) if self.is_in_formula else ""

    def push(self, delta: str) -> list[Piece]:
        """Take the next part of the text and return the pieces that it finished."""
        first, *more = delta.split("\n")
        self._partial.append(first)
        done: list[Piece] = []
        for part in more:
            line = "".join(self._partial) + "\n"
            self._partial = [part]
            done += self._take_line(line)
        return done

    def _end_block(self) -> list[Piece]:
        piece = self._piece(ends_block=True)
        self._begin_block()
        return [piece]

    def _cut(self, *, closing: str = "", repeated: str = "") -> list[Piece]:
        """End a piece within a long block; `repeated` opens the next one."""
        piece = self._piece(closing, ends_block=False)
        self._begin_piece(repeated)
        return [piece]

    def _cut_list(self, number: int | None) -> list[Piece]:
        """End a piece before the item with this number, if there is much in it."""
        keeps_number = number is None or self._number is None or number == self._number + 1
        has_formulas = self._limit is not None and self._piece_formulas >= ITEM_FORMULAS
        if not self._is_long() and not (has_formulas and keeps_number):
            return []
        return [piece._replace(ends_item=keeps_number) for piece in self._cut()]

    def _count_item(self, number: int | None) -> None:
        """A list takes the number of its first item and counts on, whatever the others say."""
        if number is not None and self._number is not None:
            number = self._number + 1
        self._number = number

    def _piece(self, closing: str = "", *, ends_block: bool) -> Piece:
        text = "".join(self._lines)
        return Piece(text, f"{self._repeated}{text}{closing}", ends_block)

    def _append(self, line: str) -> None:
        self._lines.append(line)
        self._line = line
        self._size += len(line)
        self._piece_size += len(line)
        if not self._fence:
            self._piece_formulas += len(_FORMULA.findall(line))
        if self._kind or line.strip():
            self._count += 1

    def _take_line(self, line: str) -> list[Piece]:
        if self._markup:
            self._append(line)
            self._markup = None if self._markup.closer in line else self._markup
            return []
        if self._fence and not self._leaves_fence(line):
            return self._take_code(line)
        self._fence = ""
        if self._closer and not (is_heading(line) and not self._line.strip(" \t>\n")):
            self._append(line)
            if self._closer in line or self._size > MAX_MATH:
                self._closer = ""
            return []
        self._closer = ""
        return self._take_text(line) if line.strip() else self._take_blank(line)

    def _take_blank(self, line: str) -> list[Piece]:
        if self._kind and self._line.startswith(_INDENTED):
            self._kind = "container"  # indented code goes on behind a blank line
        self._append(line)
        self._after_blank = True
        return self._end_block() if self._kind == "flow" else []

    def _take_text(self, line: str) -> list[Piece]:
        done: list[Piece] = []
        is_item = _LIST_ITEM.match(line)
        number = int(is_item[1]) if is_item and is_item[1] else None
        if self._kind == "container" and line[0] not in " \t":
            if is_item:
                done = self._cut_list(number)
            elif self._after_blank:
                done = self._end_block()
        before = self._line
        self._append(line)
        self._after_blank = False
        if is_item or (not self._kind and line.startswith(_INDENTED)):
            self._kind = "container"
        if is_item and line[0] not in " \t":
            self._count_item(number)
        self._kind = self._kind or "flow"
        self._open(line)
        self._above = len(self._lines) - 1
        if self._count == 2 and is_table_rule(line.lstrip(" \t").rstrip()):
            self._head = before + line
            return done
        return done or self._cut_table(line)

    def _open(self, line: str) -> None:
        """See whether `line` opens a fence, a display formula, or thinking written as text."""
        is_nested = line[0] == ">" or (self._kind == "container" and line[0] in " \t")
        found = None if is_nested else markup.opening(line)
        if found and found.closing(line, found.end) < 0:
            self._markup, self._tag = found, line[found.start : found.end]
            return
        fence = _FENCE.match(line.rstrip("\n"))
        if fence and (self._kind == "container" or len(fence[1]) < 4):
            self._prefix, self._fence, self._opening = fence[1], fence[2], line
            self._markdown = markdown_fence(line)
            if not fence[1]:
                self._kind = "flow"  # at the margin it has ended any list
        elif line.rstrip().endswith(("$$", "\\[")) or "\\begin{" in line:
            self._closer = display_closer(line)

    def _leaves_fence(self, line: str) -> bool:
        """A fence in a quote or an item ends where a line no longer belongs to that."""
        if ">" in self._prefix:
            return not line.lstrip().startswith(">")
        return bool(self._prefix) and self._kind == "container" and line[0] not in " \t\n"

    def _take_code(self, line: str) -> list[Piece]:
        self._append(line)
        markdown = self._markdown
        if markdown.is_closed_by(line) if markdown else closes(self._fence, line):
            self._fence = ""
            return self._end_block() if self._kind == "flow" else []
        is_within_another = markdown is not None and markdown.holds_open
        if self._is_long() and self._kind == "flow" and not is_within_another:
            return self._cut(closing=f"{self._prefix}{self._fence}\n", repeated=self._opening)
        return []

    def _cut_table(self, line: str) -> list[Piece]:
        is_row = self._head and self._kind == "flow" and "|" in line
        if is_row and not self._fence and not self._closer and self._is_long():
            return self._cut(repeated=self._head)
        return []

    def _is_long(self) -> bool:
        return self._limit is not None and self._piece_size > self._limit
