"""What models write, and readers expect, beyond CommonMark: rules for the Markdown parser.

Emphasis beside punctuation in scripts without spaces, bare addresses, a few harmless
tags, footnotes, task boxes, and a table that is indented less than the list item it stands in.
Nothing here makes HTML of the model's own: each rule makes elements that the parser could make.
"""

from __future__ import annotations

import re
from html import unescape
from itertools import pairwise
from typing import TYPE_CHECKING
from unicodedata import category, east_asian_width

from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.parser_inline import ParserInline
from markdown_it.rules_block import reference
from markdown_it.rules_inline.state_inline import Scanned, StateInline
from markdown_it.token import Token

from mm_magic.rendering.grammar import is_table_rule

if TYPE_CHECKING:
    from collections.abc import Container

    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_core import StateCore
    from markdown_it.utils import EnvType

PAIRED_TAGS = (
    "b", "code", "del", "em", "i", "ins", "kbd", "mark", "s", "small", "strong", "sub", "sup", "u",
)  # fmt: skip
TAG = re.compile(rf"<(?:(/?)({'|'.join(PAIRED_TAGS)})|br\s{{0,9}}/?)\s{{0,9}}>", re.IGNORECASE)
"""A tag that means what it means: it has no attribute, and does nothing but mark its text."""
_RULE_TAG = re.compile(r"<hr ?/?>", re.IGNORECASE)
_MAX_OPEN_TAGS = 20

FOOTNOTE = re.compile(r"\[\^([^\]\[\s\ufdd0\ufdd1]{1,40})\]")
_FOOTNOTE_LINE = re.compile(rf"^{FOOTNOTE.pattern}:", re.MULTILINE)

_TASK = re.compile(r"\[([ xX])\](?:[ \t]+|$)")
_BOXES = {" ": "☐ ", "x": "☑ ", "X": "☑ "}


def install(parser: MarkdownIt) -> None:
    """Teach `parser` all of it."""
    parser.inline = _Inline()
    parser.block.ruler.at("reference", _reference)
    parser.block.ruler.before("table", "lazy_table", _lazy_table, {"alt": ["paragraph"]})
    parser.core.ruler.after("block", "footnotes", _find_footnotes)
    parser.core.ruler.push("task_boxes", _draw_task_boxes)
    parser.core.ruler.push("tags", _pair_tags)


class _Inline(ParserInline):
    def __init__(self) -> None:
        super().__init__()
        self.ruler.before("link", "footnote", _footnote)
        self.add_terminator_char(".")
        self.ruler.before("newline", "address", _bare_address)
        self.ruler.before("html_inline", "tag", _tag)

    def parse(self, src: str, md: MarkdownIt, env: EnvType, tokens: list[Token]) -> list[Token]:
        state = _Line(src, md, env, tokens)
        self.tokenize(state)
        for rule in self.ruler2.getRules(""):
            rule(state)
        return state.tokens


# -- emphasis ---------------------------------------------------------------------------------


class _Line(StateInline):
    """The text of one block, whose emphasis needs no spaces where the script has none."""

    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803
        marker, end = self.src[start], start
        while end < self.posMax and self.src[end] == marker:
            end += 1
        before = self.src[start - 1] if start else " "
        after = self.src[end] if end < self.posMax else " "
        return Scanned(*delimits(before, after, splits_words=canSplitWord), end - start)


def delimits(before: str, after: str, *, splits_words: bool) -> tuple[bool, bool]:
    """Return whether a run of asterisks, or of underscores (which don't split words), between
    these two characters can begin emphasis, and whether it can end it.

    CommonMark's section 6.2; but where a script puts no space beside punctuation, punctuation
    doesn't tell a beginning from an end. (So does the specification "markdown-cjk-friendly".)
    """
    at_space = isWhiteSpace(ord(before)), isWhiteSpace(ord(after))
    at_mark = _is_punctuation(before), _is_punctuation(after)
    unspaced = _is_unspaced(before), _is_unspaced(after)
    is_free = unspaced[0] or unspaced[1]
    left = not at_space[1] and (not at_mark[1] or at_space[0] or at_mark[0] or is_free)
    right = not at_space[0] and (not at_mark[0] or at_space[1] or at_mark[1] or is_free)
    if splits_words:
        return left, right
    opens = left and (not right or at_mark[0] or (at_mark[1] and unspaced[1]))
    closes = right and (not left or at_mark[1] or (at_mark[0] and unspaced[0]))
    return opens, closes


def _is_unspaced(char: str) -> bool:
    """Is it of a script that puts no space between words: Thai to Burmese, Khmer, or a wide one?

    Emoji, which are wide too, don't count.
    """
    code = ord(char)
    if code < 0x1100:
        return 0x0E00 <= code < 0x10A0
    if code < 0x2300:
        return 0x1780 <= code < 0x1800 or east_asian_width(char) == "W"
    is_emoji = code < 0x2E80 or 0x1F000 <= code < 0x20000
    return not is_emoji and east_asian_width(char) in ("W", "F", "H")


def _is_punctuation(char: str) -> bool:
    return isMdAsciiPunct(ord(char)) or isPunctChar(char)


# -- addresses --------------------------------------------------------------------------------

# What an address begins with: before the character at which the parser stops, and from there on.
_BEGINNINGS = {
    ":": re.compile(r"(?<![A-Za-z0-9])https?\Z", re.IGNORECASE),
    ".": re.compile(r"(?<![A-Za-z0-9./])www\Z", re.IGNORECASE),
}
_ADDRESS = re.compile(  # U+FDD0: a formula
    r"(?:://|\.(?=[A-Za-z0-9]))[^\s<>\"`|\\^\[\]\x00-\x1f\ufdd0]{1,2000}"
)
_ENTITY = re.compile(r"&#?\w{1,32};", re.ASCII)
_ENTITY_END = re.compile(r"&(?:lt|gt|quot|nbsp);")
_PLAIN_HOST = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]+)?(?:[/?#]|\Z)", re.IGNORECASE)
_TRAILING = "?!.,:;*~'"
_LATEST = 8


def address_length(text: str, start: int) -> int:
    """Return how many characters from `start`, behind "https" or "www", belong to a bare address;
    0 if there is none.

    It ends before white space, punctuation of any other script, and a bracket that it doesn't
    open; punctuation at its end belongs to the sentence.
    """
    found = _ADDRESS.match(text, start)
    if found is None:
        return 0
    address = _ENTITY_END.split(found[0], maxsplit=1)[0]
    open_brackets = {")": 0, "}": 0}
    for place, char in enumerate(address):
        if char in "({":
            open_brackets[")" if char == "(" else "}"] += 1
        elif char in ")}":
            open_brackets[char] -= 1
        ends = open_brackets.get(char, 0) < 0
        if ends or (not char.isascii() and category(char)[0] in "PZCS"):
            address = address[:place]
            break
    address = address.rstrip(_TRAILING)
    return len(address) if address.strip(":/.") else 0


def _bare_address(state: StateInline, silent: bool) -> bool:
    pattern = None if silent else _BEGINNINGS.get(state.src[state.pos])
    beginning = pattern and pattern.search(state.src, max(0, state.pos - 6), state.pos)
    length = address_length(state.src, state.pos) if beginning else 0
    if not beginning or not length:
        return False
    start, end = beginning.start(), state.pos + _before_closing(state, length)
    link = _web_link(state, start, end) if state.pending.endswith(beginning[0]) else None
    if link:
        state.pending = state.pending[: -len(beginning[0])]
        _push_link(state, *link)
    else:
        state.pending += state.src[state.pos : end]
    state.pos = end
    return True


def _web_link(state: StateInline, start: int, end: int) -> tuple[str, str] | None:
    """Return the target of a bare address and what is shown of it; None if it is to be no link."""
    # Behind a character that nobody sees the address would seem to go on.
    if state.linkLevel or (end < len(state.src) and category(state.src[end]) == "Cf"):
        return None
    written = _ENTITY.sub(lambda found: unescape(found[0]), state.src[start:end])
    target = f"https://{written}" if written[:4].lower() == "www." else written
    link = state.md.normalizeLink(target)
    if not state.md.validateLink(link):
        return None
    # A host of other letters may look like another one.
    is_plain = _PLAIN_HOST.match(target) is not None
    return link, written if is_plain else state.md.normalizeLinkText(target)


def _before_closing(state: StateInline, length: int) -> int:
    """End an address where the emphasis around it ends, as in `**see https://x.org/a**text`."""
    address = state.src[state.pos : state.pos + length]
    if _is_open(state, "*"):
        address = address.partition("*")[0]
    if address.endswith("_") and _is_open(state, "_"):
        address = address.rstrip("_")
    return len(address)


def _is_open(state: StateInline, mark: str) -> bool:
    latest = [each for each in state.delimiters[-_LATEST:] if each.marker == ord(mark)]
    return sum(each.open for each in latest) > sum(each.close for each in latest)


def _push_link(state: StateInline, link: str, shown: str) -> None:
    state.push("link_open", "a", 1).attrs = {"href": link}
    state.push("text", "", 0).content = shown
    state.push("link_close", "a", -1)


# -- footnotes --------------------------------------------------------------------------------


def _reference(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """What begins with `[^` is a footnote, never the address of a link."""
    place = state.bMarks[start] + state.tShift[start]
    return not FOOTNOTE.match(state.src, place) and reference(state, start, end, silent)


def _find_footnotes(state: StateCore) -> None:
    """Note which footnotes the text defines, before their marks are drawn."""
    for token in state.tokens:
        if token.content.startswith("[^") or "\n[^" in token.content:
            labels = _FOOTNOTE_LINE.findall(token.content) if token.type == "inline" else ()
            state.env.setdefault("footnotes", set()).update(labels)


def _footnote(state: StateInline, silent: bool) -> bool:
    """Show the mark of a footnote, and the one before its text, raised."""
    if not state.src.startswith("[^", state.pos):
        return False
    mark = FOOTNOTE.match(state.src, state.pos)
    if mark is None or mark.end() > state.posMax or not _is_footnote(state, mark[1]):
        return False
    begins_line = not state.pos or state.src[state.pos - 1] == "\n"
    is_text = begins_line and state.src.startswith(":", mark.end())
    if not silent:
        if is_text and state.tokens and state.tokens[-1].type == "softbreak":
            state.tokens[-1].type = "hardbreak"
        state.push("footnote_open", "sup", 1)
        state.push("text", "", 0).content = f"[{mark[1]}]"
        state.push("footnote_close", "sup", -1)
    state.pos = mark.end() + is_text
    return True


def _is_footnote(state: StateInline, label: str) -> bool:
    if label in state.env.get("footnotes", ()):
        return True
    shared: Container[str] = state.env.get("known_footnotes", ())
    return label in shared or (label.isdecimal() and not state.env.get("is_complete", True))


# -- tags -------------------------------------------------------------------------------------


def _tag(state: StateInline, silent: bool) -> bool:
    found = TAG.match(state.src, state.pos, state.posMax)
    if found is None:
        return False
    if not silent:
        token = state.push("tag", "", 0)
        token.content = found[0]
        token.tag, token.markup = (found[2] or "br").lower(), found[1] or ""
    state.pos = found.end()
    return True


def _pair_tags(state: StateCore) -> None:
    """Make elements of the tags that have their partner in the same block, and text of others."""
    for number, token in enumerate(state.tokens):
        children = token.children or []
        if _RULE_TAG.fullmatch(token.content) and token.type == "inline":
            around = state.tokens[number - 1], state.tokens[number + 1]
            if around[0].type == "paragraph_open":
                token.children = [Token("hr", "hr", 0)]
                around[0].hidden = around[1].hidden = True
        elif any(child.type == "tag" for child in children):
            _pair(children)


def _pair(children: list[Token]) -> None:
    opened: list[Token] = []
    for token in children:
        if token.type == "tag" and token.tag == "br":
            token.type = "tag_break"
        elif token.type == "tag" and not token.markup:
            opened.append(token)
        elif token.type == "tag":
            _close(opened, token)
        elif token.nesting == 1:
            opened.append(token)
        elif token.nesting == -1:
            while opened and opened.pop().type == "tag":
                pass  # a tag that isn't closed within the emphasis or link
    for token in children:
        if token.type == "tag":
            token.type, token.tag = "text", ""


def _close(opened: list[Token], closing: Token) -> None:
    for token in reversed(opened[-_MAX_OPEN_TAGS:]):
        if token.type != "tag":
            return
        if token.tag == closing.tag:
            break
    else:
        return
    while (partner := opened.pop()) is not token:
        pass
    partner.type, partner.nesting = "tag_open", 1
    closing.type, closing.nesting = "tag_close", -1


# -- blocks -----------------------------------------------------------------------------------


def _draw_task_boxes(state: StateCore) -> None:
    """Show `[ ]` and `[x]` at the beginning of a list item as boxes; nobody can tick them."""
    for (item, _), text in zip(pairwise(state.tokens), state.tokens[2:], strict=False):
        if item.type != "list_item_open" or not text.children:
            continue
        first = text.children[0]
        box = _TASK.match(first.content) if first.type == "text" else None
        if box:
            first.content = _BOXES[box[1]] + first.content[box.end() :]


def _lazy_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Let a table end the paragraph of a list item that it is indented less than.

    By the rules its lines would be the paragraph's own; nobody means that.
    """
    if not silent or start + 1 >= end or state.sCount[start] >= state.blkIndent:
        return False
    head, rule = (
        state.src[state.bMarks[line] + state.tShift[line] : state.eMarks[line]]
        for line in (start, start + 1)
    )
    return head.startswith("|") and is_table_rule(rule.rstrip())
