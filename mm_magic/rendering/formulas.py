"""Where the formulas are in a Markdown text, found before Markdown can touch them.

`$…$`, `$$…$$`, `\\(…\\)` and `\\[…\\]` count, outside code only; `$5 and $10` is no formula.
"""

from __future__ import annotations

import re
from bisect import bisect_left

# A formula beyond this many characters is text: MathJax gives up at 5 kB of macro buffer.
MAX_MATH = 10_000

# What may stand before a fence or a display formula on its line: quote marks and list markers.
CONTAINERS = r"(?:[ \t>]|(?:[-*+]|\d{1,9}[.)])[ \t])*"
_MATH_TOKEN = re.compile(
    rf"""
      (?P<fence>^{CONTAINERS}(?:`{{3,}}(?=[^`\n]*$)|~{{3,}}))
    | (?P<blank>\n(?=[ \t>]*(?:\n|\Z)))
    | (?P<tick>`+)
    | (?P<delimiter>\\[()\[\]]|\$\$?)
    | (?P<escape>\\.)
    """,
    re.MULTILINE | re.VERBOSE,
)
CLOSERS = {"$": "$", "$$": "$$", r"\(": r"\)", r"\[": r"\]"}
# Commands that reach beyond the formula: links, styles, classes, ids, loaded code, files (when
# the notebook is made into LaTeX), and definitions, which hold for the whole page.
UNSAFE_TEX = re.compile(
    r"\\(?:href|url|style|class|cssId|data|bbox|unicode|require|mmlToken|csname|catcode|special"
    r"|includegraphics|[A-Za-z]*[Ii]nput[A-Za-z]*|include|openin|openout|read|write|immediate|usepackage"
    r"|[egx]?def|let|futurelet|(?:re)?new(?:command|environment)|providecommand"
    r"|Declare[A-Za-z]+|Newextarrow)(?![A-Za-z])"
)


def find_formulas(text: str) -> list[tuple[int, int]]:
    """Return start and end of each formula in `text`, delimiters included, in order."""
    return _Scan(text).formulas()


def marker(fence: str) -> str:
    """Return the backticks or tildes at the end of what opens a fence."""
    return fence[len(fence.rstrip("`~")) :]


def closes(opening: str, line: str) -> bool:
    """Does `line` close the fence that the marker `opening` opened?"""
    found = line.lstrip(" \t>").rstrip()
    return len(found) >= len(opening) and not found.strip(opening[0])


class _Scan:
    """One pass over a text that finds its formulas; linear but for a logarithm."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(_MATH_TOKEN.finditer(text))
        self.unsafe = [command.start() for command in UNSAFE_TEX.finditer(text)]
        self.places: dict[str, list[int]] = {}
        for number, token in enumerate(self.tokens):
            kind = token.lastgroup or ""
            key = token.group() if kind in ("tick", "delimiter") else kind
            self.places.setdefault(key, []).append(number)

    def next(self, key: str, after: int) -> int:
        """Return the number of the next token `key` behind token `after`, or the token count."""
        places = self.places.get(key, [])
        at = bisect_left(places, after + 1)
        return places[at] if at < len(places) else len(self.tokens)

    def formulas(self) -> list[tuple[int, int]]:
        """Return start and end of each formula, delimiters included, in order."""
        found: list[tuple[int, int]] = []
        number = 0
        while number < len(self.tokens):
            token, end = self.tokens[number], number
            if token.lastgroup == "fence":
                end = self._fence_end(number)
            elif token.lastgroup == "tick":
                end = self._code_end(number)
            elif token.group() in CLOSERS and (close := self._math_end(number)) is not None:
                found.append((token.start(), self.tokens[close].end()))
                end = close
            number = end + 1
        return found

    def _code_end(self, number: int) -> int:
        close = self.next(self.tokens[number].group(), number)
        return close if close < self.next("blank", number) else number

    def _fence_end(self, number: int) -> int:
        opening = marker(self.tokens[number].group())
        close = number
        while (close := self.next("fence", close)) < len(self.tokens):
            token = self.tokens[close]
            if closes(opening, token.group() + _line_rest(self.text, token.end())):
                break
        return close

    def _math_end(self, number: int) -> int | None:
        """Return the number of the token that closes the formula opened at `number`, if any."""
        opener = self.tokens[number]
        close = self.next(CLOSERS[opener.group()], number)
        if close >= len(self.tokens) or self.next("fence", number) < close:
            return None
        inner_start, inner_end = opener.end(), self.tokens[close].start()
        if inner_end - inner_start > MAX_MATH:
            return None
        inner = self.text[inner_start:inner_end]
        if not inner.strip() or self._is_unsafe(inner_start, inner_end):
            return None
        if self.next("blank", number) < close and not self._stands_alone(number):
            return None
        if opener.group() == "$" and not self._is_inline(inner, number, close):
            return None
        return close

    def _is_unsafe(self, start: int, end: int) -> bool:
        at = bisect_left(self.unsafe, start)
        return at < len(self.unsafe) and self.unsafe[at] < end

    def _stands_alone(self, number: int) -> bool:
        """Only an opener alone on its line may hold blank lines: `$$` in prose must not run on."""
        opener = self.tokens[number]
        if opener.group() not in ("$$", r"\["):
            return False
        line_start = self.text.rfind("\n", 0, opener.start()) + 1
        if number and self.tokens[number - 1].end() > line_start:
            return False  # at once, so that a line full of openers isn't matched for each
        line = self.text[line_start : opener.start()] + _line_rest(self.text, opener.end())
        return re.fullmatch(CONTAINERS, line + " ") is not None

    def _is_inline(self, inner: str, number: int, close: int) -> bool:
        """Pandoc's rule: no space inside the dollars, and no digit behind the closing one."""
        if inner[0].isspace() or inner[-1].isspace() or self.next("$$", number) < close:
            return False
        behind = self.tokens[close].end()
        return not self.text[behind : behind + 1].isdigit()


def _line_rest(text: str, start: int) -> str:
    end = text.find("\n", start)
    return text[start:] if end < 0 else text[start:end]
