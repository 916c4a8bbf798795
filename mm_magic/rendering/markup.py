"""Thinking and calls that arrive as text, in the tags of a model's own template.

Some models and proxies leave these tags in the answer. What stands between them is folded under a
name, shown as the text that it is, and never run. A tag in code is a quotation, and so is a tag for
thinking in the middle of a line. Sources: public reports on MiniMax-M2 and M3, 2026.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.token import Token

MARKER = "]<]minimax[>["
"""What MiniMax-M3 puts before each tag of a call."""
_MARKERS = rf"(?:{re.escape(MARKER)})"
_THINKING = r"mm:think|think|thinking"
_CALL = r"minimax:tool_call|tool_calls?"
_OPENING = re.compile(
    rf"(?P<markers>{_MARKERS}+)(?:<(?P<after>{_CALL})>|(?=</(?P<ends>{_CALL})>))?"
    rf"|<(?P<tag>{_THINKING}|{_CALL})>"
)
_STRAY = re.compile(rf"[ ]{{0,3}}{_MARKERS}*</(?P<tag>{_THINKING}|{_CALL})>")
TAG = re.compile(rf"{_MARKERS}|</?(?:{_THINKING}|{_CALL})>")
"""A tag or a marker, which is not shown itself."""
_FUNCTION = re.compile(r"""<invoke name="([^"<>\n]{1,60})">|"name"\s*:\s*"([^"\n]{1,60})\"""")
FOLDED, ENDED = "folded_markup", "stray_markup"


class Opening(NamedTuple):
    """Where a line begins such a text, where what it holds begins, and what ends it."""

    start: int
    end: int
    closer: str
    is_call: bool

    def closing(self, text: str, place: int) -> int:
        """Where the closing tag is, its markers included; -1 if it is not there."""
        at = text.find(self.closer, place)
        while at > place and text.endswith(MARKER, place, at):
            at -= len(MARKER)
        return at


def opening(line: str) -> Opening | None:
    """The first tag of a line that begins thinking or a call, None if there is none.

    Thinking begins a line. A call may follow text, but not within a line's code.
    """
    place, ticks = 0, 0
    for match in _OPENING.finditer(line):
        start = match.start()
        ticks += line.count("`", place, start)
        place = start
        tag = match["tag"] or match["after"] or match["ends"] or "tool_call"
        is_sure = bool(match["markers"]) or tag == "minimax:tool_call"
        begins = start < 4 and not line[:start].strip(" ")
        if begins or (is_sure and ticks % 2 == 0):
            return Opening(start, match.end(), f"</{tag}>", "call" in tag)
    return None


def half_marker(text: str) -> int:
    """How many characters at the end of `text` may become a marker; one alone does not count."""
    longest = range(len(MARKER) - 1, 1, -1)
    return next((size for size in longest if text.endswith(MARKER[:size])), 0)


def install(parser: MarkdownIt) -> None:
    """Let `parser` find it: tokens of the kinds FOLDED and ENDED."""
    ends = ["paragraph", "reference", "list"]
    parser.block.ruler.before("fence", FOLDED, _find, {"alt": ends})


def _find(state: StateBlock, start: int, _end: int, silent: bool) -> bool:
    """The block rule."""
    is_top = not state.level and not state.blkIndent and state.sCount[start] < 4
    if not is_top and not (silent and state.sCount[start] < min(4, state.blkIndent)):
        return False
    begin = state.bMarks[start]
    line = state.src[begin : state.eMarks[start]]
    found, stray = opening(line), _STRAY.match(line)
    if found is None and stray is None:
        return False
    if silent:
        return True
    if found is None:
        assert stray is not None
        token = state.push(ENDED, "", 0)
        token.meta = {"is_call": "call" in stray["tag"]}
        _go_on(state, start, begin + stray.end())
    else:
        if before := line[: found.start].strip():
            _paragraph(state, start, before)
        closing = found.closing(state.src, begin + found.end)
        is_closed = closing >= 0
        token = state.push(FOLDED, "", 0)
        token.content = state.src[begin + found.end : closing if is_closed else None]
        token.meta = {"is_call": found.is_call, "is_closed": is_closed}
        if is_closed:
            place = state.src.index(found.closer, closing) + len(found.closer)
            _go_on(state, _line_of(state, start, place), place)
        else:
            state.line = state.lineMax
    token.map = [start, state.line]
    return True


def _paragraph(state: StateBlock, line: int, text: str) -> None:
    state.push("paragraph_open", "p", 1).map = [line, line + 1]
    inline = state.push("inline", "", 0)
    inline.map, inline.content, inline.children = [line, line + 1], text, []
    state.push("paragraph_close", "p", -1)


def _line_of(state: StateBlock, line: int, place: int) -> int:
    while state.eMarks[line] < place:
        line += 1
    return line


def _go_on(state: StateBlock, line: int, place: int) -> None:
    """Let the parser go on behind the tag, in the middle of a line.

    It takes no line twice: what stands behind a tag on the first line is a paragraph.
    """
    rest, first = state.src[place : state.eMarks[line]], state.line
    state.line = line if rest.strip() and line > first else line + 1
    state.bMarks[line], state.tShift[line] = place, len(rest) - len(rest.lstrip())
    state.sCount[line] = 0
    if rest.strip() and line == first:
        _paragraph(state, line, rest.strip())


def ends_thinking(token: Token) -> bool:
    """Is it a closing tag alone, with all text above it thinking? One of a call ends nothing."""
    return token.type == ENDED and not token.meta["is_call"]


def title(token: Token) -> str:
    """What a folded part is, in words: of a call its function, as the model named it."""
    if not token.meta["is_call"]:
        return "Thinking, written as text"
    found = [a or b for a, b in _FUNCTION.findall(token.content[:10_000])]
    names = ", ".join(dict.fromkeys(found[:5]))
    return f"Tool call{f' to {names}' if names else ''}, written as text and not run"


def shown(token: Token) -> str:
    """What is shown of it: all but the markers of a call."""
    return (TAG.sub("", token.content) if token.meta["is_call"] else token.content).strip()
