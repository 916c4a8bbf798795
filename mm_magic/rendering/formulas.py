"""Where the formulas are in a Markdown text, found before Markdown can touch them.

`$…$`, `$$…$$`, `\\(…\\)`, `\\[…\\]` and LaTeX's environments count, outside code only; `$5 and
$10` is no formula. Structure goes first: displays that begin a line are found, then the parser
says where the paragraphs, headings and cells are, and then each of these is searched on its own.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mm_magic.rendering.grammar import (
    CLOSERS,
    CONTAINERS,
    FENCE,
    ITEM,
    closes,
    is_heading,
    marker,
)
from mm_magic.rendering.tex import contained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Span = tuple[int, int]
"""Start and end of a part of the text."""


class Block(Protocol):
    """What is read of a token of the Markdown parser."""

    type: str
    map: list[int] | None  # its first line, and the one behind its last


# A formula beyond this many characters is text: MathJax gives up at 5 kB of macro buffer.
MAX_MATH = 10_000

# The environments that MathJax and LaTeX know and that are math by themselves.
_ENVIRONMENT = (
    r"(?:equation|align|alignat|flalign|gather|multline|eqnarray|split|aligned|alignedat|gathered"
    r"|array|[dr]?cases|drcases|(?:[pbBvV]?(?:small)?)matrix|CD)\*?"
)
BEGIN = re.compile(rf"\\begin\{{({_ENVIRONMENT})\}}")
_TOKENS = rf"""
    | (?P<tick>`+)
    | (?P<group>\\(?:text[a-z]*|mbox|hbox)[ ]?\{{[^{{}}]*\}})
    | \\(?P<side>begin|end)\{{(?P<name>{_ENVIRONMENT})\}}
    | (?P<delimiter>\\[()\[\]]|\$\$?)
    | (?P<escape>\\.)
"""
_IN_LINES = re.compile(_TOKENS.strip(" \n|"), re.VERBOSE)
_IN_TEXT = re.compile(
    rf"""
      (?P<fence>^{CONTAINERS}{FENCE})
    | (?P<blank>\n(?=[ \t>]*(?:\n|\Z)))
    {_TOKENS}""",
    re.MULTILINE | re.VERBOSE,
)
_MAY_BEGIN = re.compile(r"\$|\\[(\[]|\\begin\{")

_CONTAINERS = re.compile(CONTAINERS)
_QUOTE_MARKS = re.compile(r"(?:[ \t]*>)*")
_QUOTE_MARK = re.compile(r"[ \t]*>[ \t]?")
_MARKER = re.compile(rf"[ \t]*{ITEM}[ \t]")
_BLANK = re.compile(r"[ \t>]*\Z")
_PIPE = re.compile(r"\\.|(?P<pipe>\|)")
_SPACED_PIPE = re.compile(r"\\.|(?<=[ \t])(?P<pipe>\|)(?=[ \t\n]|\Z)")
_NO_PIPE = re.compile(r"(?P<pipe>(?!))")
_LINE_END = re.compile(r"[ \t.,;:]*(?:\n|\Z)")

# A letter or digit of a script that puts spaces between words: Chinese, Japanese, Korean and Thai
# text stands close to a formula. And the brace of `${a}/${b}`.
_TOUCHES = re.compile(r"[{0-9]|(?=[^\W_])[\u0000-\u0dff]")
# A dollar by itself, as in "Price ($)".
_EMPHASISED = {"**", "__", "~~"}
_ENCLOSED = {"()", "[]", "{}", "<>", '""', "''", "“”", "‘’", "«»", "（）", "「」", "『』", "【】"}
# What prose goes on with behind a dollar, and no formula begins with.
_GOES_ON = re.compile(r"[.,;:!?\]]\s|\).|[，。；：！？、）】」]", re.DOTALL)
# "$20 each, or US$ 30" and "$5 to 10$": two prices and the words between them, without any TeX.
_NO_TEX = r"[^\\^_={}<>+*|]*"
_BEFORE_PRICE = re.compile(rf"{_NO_TEX}[ (][A-Z]{{1,3}}")
_PRICE_BEHIND = re.compile(r"[ \u00a0]\d")
_TWO_PRICES = re.compile(
    rf"\d{_NO_TEX}[^\w.](?!(?:mod|div)\b)[^\W\d_]{{2,}} \d[\d.,]*(?: [A-Z]{{1,3}})?"
)
_OPENING, _CLOSING = "([（「【", ")]）」】"


def find_formulas(text: str, parse: Callable[[str], Sequence[Block]]) -> list[Span]:
    """Return start and end of each formula in `text`, delimiters included, in order.

    `parse` gives the blocks of a text.
    """
    if not _MAY_BEGIN.search(text):
        return []
    displays = _Scan(text, _IN_TEXT, (0, len(text))).displays()
    # As long as the text: where something is in one, it is in the other.
    hidden = _hidden(text, displays)
    found = [formula for place in _places(hidden, parse(hidden)) for formula in place.formulas()]
    return sorted([*displays, *found])


def display_closer(line: str) -> str:
    """Return what closes the display formula that `line` opens and that may hold blank lines."""
    content = line[_containers(line) :].strip()
    if content in ("$$", r"\["):
        return CLOSERS[content]
    begin = BEGIN.match(content)
    end = rf"\end{{{begin[1]}}}" if begin else ""
    return "" if end in content else end


def typeset_form(formula: str) -> str:
    """Return a formula as MathJax gets it, without the marks of the quote that it is in."""
    first, *lines = formula.split("\n")
    quotes = min((_quotes(line) for line in lines), default=0)
    formula = "\n".join([first, *(_unquoted(line, quotes) or "" for line in lines)])
    begin = BEGIN.match(formula)
    # MathJax takes the first end of that name, also if it belongs to an inner one.
    is_nested = begin is not None and formula.count(begin[0]) > 1
    return f"$${contained(formula)}$$" if is_nested else str(contained(formula))


def _containers(line: str) -> int:
    found = _CONTAINERS.match(line)
    return found.end() if found else 0


def _hidden(text: str, spans: Sequence[Span]) -> str:
    """Put something that is no Markdown in the place of each of these spans."""
    parts: list[str] = []
    position = 0
    for start, end in spans:
        parts += [text[position:start], "\ufdd0" * (end - start)]
        position = end
    return "".join(parts) + text[position:]


# -- where a formula may be -----------------------------------------------------------------------


class _Place(NamedTuple):
    """Lines of a text that belong together: a paragraph, a heading, a line of a quote, a row."""

    text: str
    start: int
    end: int
    cells: int

    def formulas(self) -> list[Span]:
        """Find the formulas of a row so that it has as many cells as its table.

        A pipe is a border as long as there are not too many of them.
        """
        if not self.cells:
            return _Scan(self.text, _IN_LINES, (self.start, self.end)).formulas()
        tries = (self._between(pattern) for pattern in (_PIPE, _SPACED_PIPE, _NO_PIPE))
        first = next(tries)
        if self._cells_beside(first) <= self.cells:
            return first
        return next((each for each in tries if self._cells_beside(each) == self.cells), first)

    def _between(self, border: re.Pattern[str]) -> list[Span]:
        found: list[Span] = []
        for cell in pairwise([self.start - 1, *self._pipes(border), self.end]):
            found += _Scan(self.text, _IN_LINES, (cell[0] + 1, cell[1])).formulas()
        return found

    def _pipes(self, border: re.Pattern[str]) -> list[int]:
        """Where the borders are, those at both ends of the row included."""
        found = border.finditer(self.text, self.start, self.end)
        return [pipe.start() for pipe in found if pipe["pipe"]]

    def _cells_beside(self, formulas: Sequence[Span]) -> int:
        row = _CONTAINERS.sub("", self.text[self.start : self.end], count=1).strip()
        outer = row.startswith("|") + (row.endswith("|") and not row.endswith("\\|"))
        ends = [end for _, end in formulas]
        pipes = 0
        for pipe in self._pipes(_PIPE):
            at = bisect_left(ends, pipe + 1)
            pipes += at == len(ends) or pipe < formulas[at][0]
        return pipes + 1 - outer


def _places(text: str, tokens: Sequence[Block]) -> Iterator[_Place]:
    starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    quotes = 0
    rows: dict[int, int] = {}
    for opening, token in pairwise(tokens):
        quotes += (opening.type == "blockquote_open") - (opening.type == "blockquote_close")
        if token.type != "inline" or not token.map:
            continue
        first, last = token.map
        if opening.type in ("th_open", "td_open"):
            rows[first] = rows.get(first, 0) + 1
        elif quotes:
            for line in range(first, last):
                yield _Place(text, starts[line], starts[line + 1] - 1, 0)
        else:
            yield _Place(text, starts[first], starts[last] - 1, 0)
    for line, cells in rows.items():
        yield _Place(text, starts[line], starts[line + 1] - 1, cells)


# -- what is a formula there ----------------------------------------------------------------------


class _Scan:
    """One pass over a part of a text that finds its formulas; linear but for a logarithm."""

    def __init__(self, text: str, pattern: re.Pattern[str], part: Span) -> None:
        self.text = text
        self.tokens = list(pattern.finditer(text, *part))
        self.start, self.end = part
        self.places: dict[str, list[int]] = {}
        self.ends: dict[int, int] = {}  # of the environments
        open_ones: dict[str, list[int]] = {}
        for number, token in enumerate(self.tokens):
            kind = token.lastgroup or ""
            key = token.group() if kind in ("tick", "delimiter") else kind
            self.places.setdefault(key, []).append(number)
            if token["side"] == "begin":
                open_ones.setdefault(token["name"], []).append(number)
            elif token["side"] and open_ones.get(token["name"]):
                self.ends[open_ones[token["name"]].pop()] = number

    def next(self, key: str, after: int) -> int:
        """Return the number of the next token `key` behind token `after`, or the token count."""
        places = self.places.get(key, [])
        at = bisect_left(places, after + 1)
        return places[at] if at < len(places) else len(self.tokens)

    def formulas(self) -> list[Span]:
        """Return the formulas in lines that belong together."""
        return self._found(lambda _number, _close: True)

    def displays(self) -> list[Span]:
        """Return the formulas that begin a line, in a whole text."""
        return self._found(self._is_display)

    def _found(self, may_be: Callable[[int, int], bool]) -> list[Span]:
        found: list[Span] = []
        number = 0
        while number < len(self.tokens):
            token, end = self.tokens[number], number
            if token.lastgroup == "fence":
                end = self._fence_end(number)
            elif token.lastgroup == "tick":
                end = self._code_end(number)
            elif (close := self._close(number)) is not None:
                if self._is_formula(number, close) and may_be(number, close):
                    found.append((token.start(), self.tokens[close].end()))
                    end = close
                elif token["side"]:
                    end = close  # what is in an environment is no formula of its own
            number = end + 1
        return found

    def _code_end(self, number: int) -> int:
        close = self.next(self.tokens[number].group(), number)
        return close if close < min(self.next("blank", number), len(self.tokens)) else number

    def _fence_end(self, number: int) -> int:
        opening = marker(self.tokens[number].group())
        close = number
        while (close := self.next("fence", close)) < len(self.tokens):
            token = self.tokens[close]
            if closes(opening, token.group() + _line_rest(self.text, token.end())):
                break
        return close

    def _close(self, number: int) -> int | None:
        """Return the number of the token that closes what the one at `number` opens, if any."""
        opener = self.tokens[number].group()
        if opener not in CLOSERS:
            return self.ends.get(number)
        close = self.next(CLOSERS[opener], number)
        if close == len(self.tokens) or self.next(opener, number) < close:
            return None
        return close

    def _is_formula(self, number: int, close: int) -> bool:
        opener, start, end = self.tokens[number], *self._inner(number, close)
        if end - start > MAX_MATH or self.next("fence", number) < close:
            return False
        inner = self.text[start:end]
        if not inner.strip() or not (contained(inner) or "").strip():
            return False
        if opener.group() == "$" and (inner != inner.strip() or self.next("$$", number) < close):
            return False  # Pandoc's rule: no space inside the dollars
        return opener.group() not in ("$", "$$") or self._may_be_dollars(
            inner, opener.start(), self.tokens[close].end()
        )

    def _inner(self, number: int, close: int) -> Span:
        return self.tokens[number].end(), self.tokens[close].start()

    def _may_be_dollars(self, inner: str, start: int, end: int) -> bool:
        before = self.text[start - 1 : start] if start > self.start else ""
        behind = self.text[end : end + 1] if end < self.end else ""
        if _TOUCHES.match(behind) or (before != "{" and _TOUCHES.match(before)):
            return False
        if _TWO_PRICES.fullmatch(inner) or (
            _PRICE_BEHIND.match(self.text, end, self.end) and _BEFORE_PRICE.fullmatch(inner)
        ):
            return False
        if before + inner[0] in _ENCLOSED | _EMPHASISED or inner[-1] + behind in _ENCLOSED:
            return False
        return _GOES_ON.match(inner) is None and _keeps_brackets(inner, before, behind)

    def _is_display(self, number: int, close: int) -> bool:
        """Does it begin a line, and stay within the item or quote, or the paragraph, it is in?"""
        opener, end = self.tokens[number], self.tokens[close].end()
        start = self._line_start(number)
        if start is None or opener.group() in ("$", r"\("):
            return False
        prefix = self.text[start : opener.start()]
        first, *lines = self.text[opener.start() : end].split("\n")
        if not _CONTAINERS.fullmatch(prefix) or not _stays_in(prefix, lines):
            return False
        if first.strip() not in CLOSERS and not opener["side"]:
            is_crossing = _MARKER.match if opener.group() == "$$" else _BLANK.match
            if any(_BLANK.match(line) or is_crossing(line) for line in lines):
                return False
        before = lines[-1][: -len(self.tokens[close].group())] if lines else first
        return bool(_LINE_END.match(self.text, end) or _CONTAINERS.fullmatch(before))

    def _line_start(self, number: int) -> int | None:
        """Where the line of this token starts, if no other token stands before it there."""
        before = max(self.tokens[number - 1].end() - 1, 0) if number else 0
        newline = self.text.rfind("\n", before, self.tokens[number].start())
        return newline + 1 if newline >= 0 or not number else None


def _keeps_brackets(inner: str, before: str, behind: str) -> bool:
    """Is each bracket around the formula closed around it, too, unlike in "($/kg), ($/lb)"?

    An interval may mix the kinds of brackets: "($[0, 1)$)".
    """
    if before and before in _OPENING:
        closing = _CLOSING[_OPENING.index(before)]
        if _lowest(inner, before, closing) < 0 and _lowest(inner, _OPENING, _CLOSING) < 0:
            return False
    if behind and behind in _CLOSING:
        opening, back = _OPENING[_CLOSING.index(behind)], inner[::-1]
        return _lowest(back, behind, opening) == 0 or _lowest(back, _CLOSING, _OPENING) == 0
    return True


def _lowest(inner: str, opening: str, closing: str) -> int:
    """How far more brackets are closed than opened, as a number that is not above 0."""
    steps = ((character in opening) - (character in closing) for character in inner)
    return min(accumulate(steps, initial=0))


def _quotes(line: str) -> int:
    found = _QUOTE_MARKS.match(line)
    return found[0].count(">") if found else 0


def _unquoted(line: str, quotes: int) -> str | None:
    """Return the line without so many quote marks, or None if it has fewer."""
    for _ in range(quotes):
        mark = _QUOTE_MARK.match(line)
        if mark is None:
            return None
        line = line[mark.end() :]
    return line


def _stays_in(prefix: str, lines: Sequence[str]) -> bool:
    """Are these lines in the quote and the list item that stand before the formula?"""
    quotes = prefix.count(">")
    inner = prefix.rpartition(">")[2]
    column = len((inner.removeprefix(" ") if quotes else inner).expandtabs(4))
    is_behind_blank = False
    for each in lines:
        line = _unquoted(each, quotes)
        if line is None or (line.strip() and _leaves(line, column, is_behind_blank)):
            return False
        is_behind_blank = not line.strip()
    return True


def _leaves(line: str, column: int, is_behind_blank: bool) -> bool:
    """Does the line begin something else than the item whose text begins at `column`?"""
    width = len(line) - len(line.lstrip(" \t"))
    if is_behind_blank and (is_heading(line) or width < min(column, 2)):
        return True
    return width < column and _MARKER.match(line) is not None


def _line_rest(text: str, start: int) -> str:
    end = text.find("\n", start)
    return text[start:] if end < 0 else text[start:end]
