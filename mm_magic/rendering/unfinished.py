"""The end of a growing Markdown text, as it can be drawn without being taken back.

What is half written may mean something else with the next character: a dash is a list item or
the underline of a heading, a bracket a link or a remark. What is undecided waits; what is likely,
such as the end of emphasis that has begun, is added.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mm_magic.rendering import markup
from mm_magic.rendering.dialect import PAIRED_TAGS, address_length, delimits
from mm_magic.rendering.grammar import CLOSERS, CONTAINERS, ITEM, is_table_rule

# In characters. A construct that is open for longer is not waited for: it is likely no such thing.
LONGEST_WAIT = 600
LONGEST_FORMULA = 100

_FENCE_END = re.compile(r"[ \t>]*(?:`+|~+)?[ \t]*\Z")
# What a line begins with that may become a rule, an underline, a list item, a heading, a fence, a
# table, or the definition of a link.
_UNDECIDED = re.compile(
    rf"{CONTAINERS}(?:[-*_=+~`#>|: \t]*|\d{{1,9}}[.)]?|`{{3,}}[^`]*|~{{3,}}.*"
    rf"|\[(?!\^)[^\]]*\]:.*|\[\^[^\]]*\]?)\Z"
)
_ROW = re.compile(rf"{CONTAINERS}\|")
_BEGINS_BLOCK = re.compile(rf"[ \t>]*(?:{ITEM}|#{{1,6}})[ \t]")
_HEADING_END = re.compile(r"(?<=[ \t])#+[ \t]*\Z")
_LAST_BAR = re.compile(r"(?<!\\)\|(?=[^|]*\Z)")

_MARK = re.compile(
    rf"""
      (?P<formula>\\[(\[]|\$\$|\$(?=[^\W\d]|\\))
    | (?P<escape>\\.)
    | (?P<tick>`+)
    | (?P<run>\*+|_+|~+)
    | (?P<address>(?<=http)://|(?<=https)://|(?<=www)\.)
    | (?P<bracket>!?\[)
    | <(?P<slash>/?)(?P<tag>{"|".join(PAIRED_TAGS)})[ ]{{0,9}}>
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_LINK = re.compile(
    r"!?\[(?:[^\[\]\\]|\\.|\[[^\[\]]*\])*\]"
    r"(?:\((?:[^()\\]|\\.|\([^()]*\))*\)|\[[^\]]*\]|(?=[^(\[]))",
    re.DOTALL,
)
_HALF = re.compile(r"(?:(?<!\\)\\\n?|(?<!\\)[$!]|<(?:[/A-Za-z][^<>\n]{0,600})?|&[#\w]{0,32})\Z")


def settled(text: str, *, is_code: bool = False) -> str:
    """Return `text`, the unfinished end of an answer, as Markdown to be drawn now.

    With `is_code` its last line stands in a fence.
    """
    lines = text.split("\n")
    if not is_code and markup.opening(lines[-1]):
        return text
    if half := markup.half_marker(text):
        text = text[:-half]
        lines = text.split("\n")
    if is_code:
        return "\n".join([*lines[:-1], ""]) if _FENCE_END.match(lines[-1]) else text
    end = ""
    if len(lines[-1]) <= LONGEST_WAIT and _UNDECIDED.match(lines[-1]):
        lines.pop()
        end = "\n"
    elif _BEGINS_BLOCK.match(lines[-1]):
        lines[-1] = _HEADING_END.sub("", lines[-1])
    if not lines:
        return ""
    is_row = _ROW.match(lines[-1]) is not None
    if is_row and not _is_in_table(lines):  # the next line alone tells whether it is a table's head
        return "\n".join([*lines[:-1], ""])
    first = len(lines) - 1
    while first > 0 and lines[first].strip() and not _BEGINS_BLOCK.match(lines[first]):
        first -= 1
    kept, last = "".join(f"{line}\n" for line in lines[:first]), "\n".join(lines[first:])
    bar = _LAST_BAR.search(last) if is_row else None
    cell = bar.end() if bar else 0
    return kept + last[:cell] + _completed(last[cell:] + end)


def _is_in_table(lines: list[str]) -> bool:
    for line in reversed(lines):
        if is_table_rule(line.lstrip(" \t>")):
            return True
        if not _ROW.match(line):
            return False
    return False


class _Open(NamedTuple):
    start: int
    end: int
    closer: str


def _completed(text: str) -> str:
    """Return the end of a paragraph without what is half written, and with all that is open
    closed."""
    opened: list[_Open] = []
    place = 0
    while mark := _MARK.search(text, place):
        place = mark.end()
        if mark["run"] and place == len(text):  # it may grow
            return _closed(_HALF.sub("", text[: mark.start()]), opened)
        if mark["run"]:
            _take_run(opened, text, mark)
        elif mark["tag"]:
            _take_tag(opened, mark)
        elif mark["address"]:
            place = max(place, mark.start() + address_length(text, mark.start()))
        elif mark["tick"]:
            place = _end_of_code(text, mark)
            if place < 0:
                return _closed(text[: mark.start()], opened, _open_code(text, mark))
        elif mark["bracket"] or mark["formula"]:
            place = _end_of_pair(text, mark)
            if place < 0:
                return _closed(text[: mark.start()], opened)
    return _closed(_HALF.sub("", text), opened)


def _closed(text: str, opened: list[_Open], code: str = "") -> str:
    """Return `text` and what closes it; a mark that nothing follows waits for what it holds."""
    if code:
        return text + code + "".join(each.closer for each in reversed(opened))
    text = text.rstrip()
    while opened and opened[-1].end >= len(text):
        text = text[: opened.pop().start].rstrip()
    return text + "".join(each.closer for each in reversed(opened))


def _take_run(opened: list[_Open], text: str, run: re.Match[str]) -> None:
    char, left = run["run"][0], len(run["run"])
    if char == "~" and left == 1:
        return
    before, after = text[run.start() - 1 : run.start()] or " ", text[run.end()]
    opens, closes = delimits(before, after, splits_words=char != "_")
    while closes and left and any(each.closer[0] == char for each in opened):
        last = opened.pop()
        if last.closer[0] == char:
            ended = min(left, len(last.closer))
            left -= ended
            if kept := last.closer[ended:]:
                opened.append(last._replace(closer=kept))
    if opens and left:
        opened.append(_Open(run.start(), run.end(), char * left))


def _take_tag(opened: list[_Open], tag: re.Match[str]) -> None:
    closer = f"</{tag['tag']}>"
    if not tag["slash"]:
        opened.append(_Open(tag.start(), tag.end(), closer))
    elif opened and opened[-1].closer.lower() == closer.lower():
        opened.pop()


def _end_of_code(text: str, ticks: re.Match[str]) -> int:
    closing = re.compile(rf"(?<!`){ticks['tick']}(?!`)").search(text, ticks.end())
    return closing.end() if closing else -1


def _open_code(text: str, ticks: re.Match[str]) -> str:
    code = text[ticks.end() :].rstrip().rstrip("`")
    return f"{ticks['tick']}{code}{ticks['tick']}" if code.strip() else ""


def _end_of_pair(text: str, mark: re.Match[str]) -> int:
    """Return where a link or formula ends; -1 if that is waited for."""
    waited = len(text) - mark.start()
    if mark["bracket"]:
        link = _LINK.match(text, mark.start())
        if link is None:
            return -1 if waited <= LONGEST_WAIT else mark.end()
        # The text of a link may hold emphasis, all of which is there.
        return link.end()
    end = text.find(CLOSERS[mark[0]], mark.end())
    if end < 0:
        is_short = mark[0] != "$" or (waited <= LONGEST_FORMULA and "\n" not in text[mark.end() :])
        return -1 if is_short and waited <= LONGEST_WAIT else mark.end()
    return end + len(CLOSERS[mark[0]])
