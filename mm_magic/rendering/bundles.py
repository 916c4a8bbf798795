"""A reply's parts as MIME bundles: safe HTML, Markdown, plain text.

Pure: values in, bundles out; nothing is displayed here. The look comes from the notebook's own
styles: the markup is plain enough to read well where a saved file is shown without any style, and
the few inline styles dim, box and bound widths. `opacity: .75` on text has a contrast of 7.0:1 in
JupyterLab's light theme and 8.3:1 in the dark one, wherever the page takes its colours from.

No part is a live region: a screen reader would read every delta.
"""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

from mm_magic.conversation.turn import TURN_MIME as TURN_MIME
from mm_magic.rendering.blocks import SOFT_LIMIT, Blocks, Piece
from mm_magic.rendering.grammar import CONTAINERS, FENCE
from mm_magic.rendering.markdown import (
    IGNORE,
    NO_DEFINITIONS,
    READABLE,
    Definitions,
    code_lines,
    escaped,
    escaped_note,
    formulas_weight,
    to_html,
    wrap,
)
from mm_magic.rendering.tex import UNSAFE_TEX
from mm_magic.wording import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mm_magic.protocol.messages import ImageBlock

Bundle = dict[str, object]
"""MIME type to data, as a kernel publishes it."""

PAGE = 8_000
"""Characters after which an answer goes on in a new display, at the next finished block."""
PAGE_FORMULAS = 12
"""Formulas of a usual size after which it does, too: all of a display are set at once. After twice
as many, which may take a page 100 ms, it does even within a list, at the next item.
"""

_FENCED = re.compile(rf" {{0,3}}{FENCE}")

_DIM = "opacity:.75"

# -- thinking ---------------------------------------------------------------------------------


def thinking_bundle(text: str, title: str) -> Bundle:
    """Return a folded box. In Markdown and plain text: the title, then quoted lines."""
    text = text.strip("\n")
    quoted = "\n".join(f"> {line}".rstrip() for line in disarmed(text).split("\n"))
    lines = "\n".join(f"> {line}".rstrip() for line in plain(text).split("\n"))
    return {
        "text/html": _thinking_html(text, title, is_open=False),
        "text/markdown": f"{disarmed(title)}:\n\n{quoted}\n",
        "text/plain": f"{plain(title)}:\n{lines}",
    }


def folded_thinking(text: str, title: str, *, is_hidden: bool) -> Bundle:
    """Return the folded box, or its title alone where the thinking is hidden."""
    return line_bundle(title) if is_hidden else thinking_bundle(text, title)


def growing_thinking(text: str, title: str) -> Bundle:
    """Return the open box while the model thinks; `text` may be only the end of it."""
    return {"text/html": _thinking_html(text, title, is_open=True), "text/plain": plain(title)}


def _thinking_html(text: str, title: str, *, is_open: bool) -> str:
    state = " open" if is_open else ""
    return (
        f'<details class="mm-thinking {IGNORE}"{state}><summary>{escaped(title)}</summary>'
        f"{dim_paragraphs(text, margin='margin-left:1em;')}</details>"
    )


def dim_paragraphs(text: str, *, margin: str = "") -> str:
    """Return untrusted text in which nothing is Markdown, as safe HTML that is drawn dim."""
    paragraphs = re.split(r"\n[ \t]*\n\s*", plain(text).strip("\n"))
    body = "".join(f'<p dir="auto">{escaped(part)}</p>' for part in paragraphs)
    return f'<div style="{_DIM};{margin}{READABLE};white-space:pre-wrap">{body}</div>'


# -- answer -----------------------------------------------------------------------------------


class AnswerPage:
    """Collects the pieces of a growing answer until they fill a page: `PAGE` characters or
    `limit` formulas, or more.

    A page ends where a block does, or an item of a list that is full of formulas; a longer block
    stays whole.
    """

    def __init__(self, limit: int = PAGE_FORMULAS) -> None:
        self._texts: list[str] = []
        self._size = 0
        self._limit = limit
        self.formulas = 0.0  # by their weight

    @property
    def text(self) -> str:
        return "".join(self._texts)

    def add(self, piece: Piece) -> bool:
        """Take the next piece, and return whether the page is full now."""
        self._texts.append(piece.text)
        self._size += len(piece.text)
        if not _FENCED.match(piece.drawn):
            self.formulas += formulas_weight(piece.drawn)
        if piece.ends_block:
            return self._size >= PAGE or self.formulas >= self._limit
        return piece.ends_item and self.formulas >= 2 * self._limit


def answer_pages(text: str, formulas: int = PAGE_FORMULAS) -> list[str]:
    """Return the pages of a finished answer; joined, they are the text but for blank ends."""
    blocks, page, pages = Blocks(limit=SOFT_LIMIT), AnswerPage(formulas), []
    for block in blocks.push(text):
        if page.add(block):
            pages.append(page.text)
            page = AnswerPage(formulas)
    return [text for text in (*pages, page.text + blocks.rest) if text.strip()]


def definitions_in(pages: Sequence[str]) -> Definitions:
    """Return what all pages of an answer define, for each of them."""
    found = Definitions()
    for page in pages:
        found.add(page)
    return found


def answer_bundle(page: str, definitions: Definitions = NO_DEFINITIONS) -> Bundle:
    """Return one page of an answer in its final form; the `definitions` are the whole answer's.

    Front ends prefer the HTML. The Markdown is what other tools take (nbconvert to LaTeX), and it
    is the model's own but for what could act there: see `disarmed`. The plain text is Markdown
    too, without control characters.
    """
    return {
        "text/html": to_html(page, definitions),
        "text/markdown": disarmed(page),
        "text/plain": plain(page.strip("\n")),
    }


def finished_bundles(thinking: str, title: str, text: str, *, hide_thinking: bool) -> list[Bundle]:
    """Return the parts of a finished reply: its thinking if there is any, and its pages."""
    texts = answer_pages(text)
    definitions = definitions_in(texts)
    pages = [answer_bundle(page, definitions) for page in texts]
    if not thinking.strip():
        return pages
    return [folded_thinking(thinking, title, is_hidden=hide_thinking), *pages]


UNFINISHED = "Still answering when this was saved; the rest is missing."
"""Stands at the end of an answer that grows, and so in a file that was saved meanwhile."""
UNFINISHED_SECONDS = 5
"""A page shows it so long after the last update: never while the answer grows before its reader."""

# It comes with each update, so it is short (a quote takes two bytes on the wire) and holds no style
# sheet for the screen: with one, a page that has formulas takes over 4 ms to compute its styles
# anew. So SVG tells the time. Where SVG is dropped, on GitHub or in a file that is not trusted, and
# on paper it shows at once. The height has room for two lines.
UNFINISHED_HTML = (
    "<style media=print>.mm-l{display:block}</style>"
    "<svg class=mm-l display=none width=100% height=48>"
    f"<set attributeName=display to=block begin={UNFINISHED_SECONDS}s />"
    f"<foreignObject width=100% height=48>{UNFINISHED}</foreignObject></svg>"
)


def growing_body(html: str) -> Bundle:
    """Return the finished blocks of an answer that still grows; the `growing_end` is below it."""
    return {"text/html": wrap(html), "text/plain": "…"}


def growing_end(html: str, waiting: str = "") -> Bundle:
    """Return the end of an answer that still grows: safe HTML, what it waits for, UNFINISHED."""
    line = f'<p style="{_DIM}"><small>{escaped(waiting)}</small></p>' if waiting else ""
    return {
        "text/html": wrap(html + line + UNFINISHED_HTML),
        "text/plain": f"{plain(waiting) or '…'}\n{UNFINISHED}",
    }


# U+2060 WORD JOINER: it shows as nothing, and breaks a construct wherever it stands.
_JOINER = "\u2060"
_OPENS_TAG = re.compile(r"<(?=[A-Za-z/!?])(?!https?://[^\s<>]+>)")
_OPENS_IMAGE = re.compile(r"!(?=\[)")
_OPENS_LINK = re.compile(r"\](?=[(:](?![ \t\n]*<?(?:https?://|mailto:)))", re.IGNORECASE)
_ENTITY = re.compile(r"&(?=(#?\w{1,32};))", re.ASCII)
_OPENS_RAW = re.compile(r"\{(?=\s*=)")
_FENCE_LINE = re.compile(rf"^({CONTAINERS}{FENCE})(.*)$", re.MULTILINE)
_LANGUAGE = re.compile(r"[ \t]*(?!mermaid)[A-Za-z0-9_+#.-]{1,30}[ \t]*", re.IGNORECASE)


def disarmed(text: str) -> str:
    """Return untrusted Markdown that stays harmless in tools that obey raw HTML and TeX.

    Tags, images, links to anything but the web, fences that are drawn (Mermaid), entities that
    reorder text and TeX that reads files are broken by an invisible character. What is in fenced
    code at the margin stays as it is, in a text of up to 300,000 characters.
    """
    text = _FENCE_LINE.sub(_safe_fence, plain(text))
    lines = _broken(text).split("\n")
    # The parsers read the broken text, which holds nothing that could hide a fence from them; and
    # what is put back stands within their fences, so they read the result just as they read this.
    code = code_lines("\n".join(lines))
    return "\n".join(
        own if number in code else line
        for number, (own, line) in enumerate(zip(text.split("\n"), lines, strict=True))
    )


def _safe_fence(line: re.Match[str]) -> str:
    return line[0] if _LANGUAGE.fullmatch(line[2]) else line[1]


def _safe_entity(entity: re.Match[str]) -> str:
    """Break what stands for a character that would not be let through as itself."""
    char = unescape(f"&{entity[1]}")
    return "&" if plain(char) == char else f"&{_JOINER}"


def _broken(text: str) -> str:
    text = _OPENS_TAG.sub(f"<{_JOINER}", text)
    text = _OPENS_IMAGE.sub(f"!{_JOINER}", text)
    text = _OPENS_LINK.sub(f"]{_JOINER}", text)
    text = _OPENS_RAW.sub(f"{{{_JOINER}", text)
    text = _ENTITY.sub(_safe_entity, text)
    return UNSAFE_TEX.sub(lambda command: f"\\{_JOINER}{command[0][1:]}", text)


# -- status -------------------------------------------------------------------------------------


_BESIDE_NUMBER = re.compile(r"(?<=[0-9]) (?=[A-Za-z])|(?<=[A-Za-z/+]) (?=[0-9$])|(?<=[a-z]) (?=/ )")
_SHORT = 50  # characters


def status_bundle(
    parts: Sequence[str], notes: Sequence[str], saved: Mapping[str, object] | None
) -> Bundle:
    """Return the quiet line under an answer, its notes below it, and the turn as JSON if given.

    In HTML no line breaks between a number and its word: "3.1 s", "turn 3".
    """
    line = " · ".join(parts)
    unbroken = " · ".join(map(_unbroken, parts))
    shown = "<br>".join(filter(None, [unbroken, *map(escaped_note, notes)]))
    bundle: Bundle = {
        "text/html": f'<div class="mm-status {IGNORE}" style="{_DIM}" dir="auto">'
        f"<small>{shown}</small></div>",
        "text/plain": "\n".join(map(plain, filter(None, [line, *notes]))),
    }
    if saved is not None:
        bundle[TURN_MIME] = dict(saved)
    return bundle


def _unbroken(part: str) -> str:
    """A part as safe HTML, its numbers bound to their words if it is so short that a page has room.

    A no-break space is in the HTML alone: the texts are searched and copied.
    """
    if len(part) <= _SHORT:
        return _BESIDE_NUMBER.sub("\u00a0", escaped(part))
    return escaped_note(part)


def picture_bundle(picture: ImageBlock) -> Bundle:
    """Return a picture of a prompt: the file that is sent, and what it is in plain text."""
    return {picture.media_type: picture.data, "text/plain": f"[{picture}]"}


def line_bundle(text: str) -> Bundle:
    """Return one quiet line by itself."""
    return status_bundle([text], [], None)
