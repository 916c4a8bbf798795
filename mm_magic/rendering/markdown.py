"""Model text, which is untrusted Markdown, as safe HTML.

Three guards stand one behind the other: a Markdown parser without raw HTML and images, a link
check, and an nh3 allowlist over all that comes out. Nothing here knows of a notebook.
"""

from __future__ import annotations

import re
from collections import ChainMap
from functools import cache
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING
from unicodedata import bidirectional
from urllib.parse import quote

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from mm_magic.rendering import code, markup
from mm_magic.rendering.dialect import PAIRED_TAGS, install
from mm_magic.rendering.fences import lengthened
from mm_magic.rendering.formulas import find_formulas, typeset_form
from mm_magic.wording import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.renderer import RendererHTML
    from markdown_it.rules_core import StateCore
    from markdown_it.utils import EnvType, OptionsDict

# Beyond this many characters a fragment is shown as plain text: the parser needs up to 30 µs a
# character, for a row of "![", so this bounds one call to about three seconds.
MAX_MARKDOWN = 100_000
# Beyond this many no code is looked for in Markdown that is kept as such: the two parsers of
# `code_lines` need up to 15 µs a character, for a row of lists in lists.
MAX_DISARMED = 300_000
MAX_NESTING = 40
# MathJax's time goes by the characters of TeX: 2 to 4 ms for each so many, the layout included.
FORMULA_SIZE = 40

_TO_TYPE = re.compile(r"`((?:%|--)[^`<>]+)`")
_BEFORE_BLANK_LINE = re.compile(r"\n(?=[ \t]*\n)")

# A formula is taken out before Markdown sees it, and stands as U+FDD0 number U+FDD1 meanwhile.
# Both are noncharacters, which no text may hold; those that come in become U+FFFD.
_HOLE = re.compile("\ufdd0([0-9]{1,6})\ufdd1")
_ENCODED_HOLE = re.compile("%EF%B7%90([0-9]{1,6})%EF%B7%91")
_RESERVED = str.maketrans({"\ufdd0": "\ufffd", "\ufdd1": "\ufffd"})

_LINK = re.compile(r"https?://|mailto:", re.IGNORECASE)
# Zero-width and reordering characters, as they look in an encoded address.
_HIDDEN_IN_LINK = re.compile(r"%E2%80%(?:8[B-F]|A[A-E])|%E2%81%A|%EF%BB%BF|%F3%A0", re.IGNORECASE)
# Models begin at "##". JupyterLab draws h5 as large as the text and h6 smaller than it.
_HEADINGS = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"}
_HEADING_STYLES = {"h5": "font-size:1.1em", "h6": "font-size:1em"}
_STRONG, _STRONG_END = Token("strong_open", "strong", 1), Token("strong_close", "strong", -1)
# Beyond this a line of text is hard to follow. Tables and code may be wider.
READABLE = "max-width:46em"
_MEASURED = {"p", "ul", "ol", "blockquote"}
# MathJax 3 (JupyterLab) and MathJax 2 (nbconvert) go by different class names.
IGNORE = "mathjax_ignore tex2jax_ignore"
_PROCESS = "mathjax_process tex2jax_process"
_RAW = "<span>"  # of a formula that is not to be set: all other spans have classes
_LOWERED = set(_HEADINGS.values())
_TEXT_BLOCKS = {"p", "ul", "ol", "li", "blockquote", "th", "td"} | _LOWERED
_TAGS = _TEXT_BLOCKS | {
    "a", "br", "code", "del", "details", "div", "em", "hr", "pre", "s", "span", "strong", "summary",
    "table", "tbody", "thead", "tr", *PAIRED_TAGS,
}  # fmt: skip
_ALIGNED = {"paragraph_open", "th_open", "td_open"}
_STYLED = (
    *_MEASURED,
    *_HEADING_STYLES,
    "th",
    "td",
    "div",
    "pre",
)  # by this module alone: no style of the model's gets here
_SCHEMES = {"http", "https", "mailto"}
_ABSOLUTE = re.compile(rf"(?i:{'|'.join(sorted(_SCHEMES))}):")


def _absolute(_tag: str, name: str, value: str) -> str | None:
    """The attribute; None for an address in this page's own site, or in a file's own folder.

    nh3 has an option for it only since 0.3.6.
    """
    return value if name != "href" or _ABSOLUTE.match(value) else None


_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    clean_content_tags={"script", "style"},
    attributes={tag: {"style"} for tag in _STYLED}
    | {"a": {"href", "title"}, "details": {"open"}, "ol": {"start", "style"}}
    | {tag: {"style", "align"} for tag in ("th", "td")},
    tag_attribute_values={tag: {"dir": {"auto", "ltr"}} for tag in _TEXT_BLOCKS | {"div"}},
    set_tag_attribute_values={"a": {"target": "_blank"}},
    filter_style_properties={
        "text-align",
        "font-size",
        "margin",
        "border",
        "padding",
        "overflow-x",
        "width",
        "max-width",
        "word-break",
        "word-wrap",
        "background",
    },
    allowed_classes={
        "span": {*code.COLOURS.values(), *_PROCESS.split()},
        "div": {"highlight"},
    }
    | {tag: {"jp-toc-ignore"} for tag in _LOWERED},
    url_schemes=_SCHEMES,
    link_rel="noopener noreferrer nofollow",
    attribute_filter=_absolute,
)


class Definitions:
    """The addresses and footnotes that an answer defines, for all of its pages.

    The text of a footnote comes last: until the definitions are complete, what looks like the
    mark of a numbered one is drawn as such.
    """

    def __init__(self, *, is_complete: bool = True) -> None:
        self.is_complete = is_complete
        self.links: dict[str, dict[str, str]] = {}
        self.footnotes: set[str] = set()

    def __len__(self) -> int:
        return len(self.links) + len(self.footnotes)

    def add(self, text: str) -> None:
        """Take in what finished blocks define; the first definition of a name counts."""
        if "]:" not in text or len(text) > MAX_MARKDOWN:
            return
        text, formulas = _prepared(text)
        environment: EnvType = {}
        _block_parser().parse(text, environment)
        self.footnotes |= environment.get("footnotes", set())
        for label, link in environment.get("references", {}).items():
            if not _HOLE.search(label) and label not in self.links:
                address = _filled_address(_filled(link["href"], formulas), formulas)
                self.links[label] = {"href": address, "title": _filled(link["title"], formulas)}


_SPANS = {"colspan", "rowspan"}
_TABLE_CLEANER = nh3.Cleaner(
    tags={
        *("table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption"),
        *("p", "div", "span", "b", "strong", "i", "em", "code", "pre", "br", "ul", "ol", "li"),
    },
    attributes={"th": _SPANS | {"scope"}, "td": _SPANS},
    url_schemes=set(),
    link_rel=None,
)


def only_table(html: str) -> str:
    """Return what is a table, a list or text in the HTML of an object, without any address."""
    return _TABLE_CLEANER.clean(html)


NO_DEFINITIONS = Definitions()


def to_html(text: str, definitions: Definitions = NO_DEFINITIONS) -> str:
    """Return untrusted Markdown as one safe HTML element.

    JupyterLab's MathJax sets the recognised formulas and nothing else.
    """
    return without_blank_lines(wrap(fragment(text, definitions)))


def without_blank_lines(html: str) -> str:
    """The same HTML for a Markdown file, such as nbconvert's, where a blank line would end it.

    What stands behind a blank line in code would be taken for Markdown there.
    """
    return _BEFORE_BLANK_LINE.sub("&#10;", html)


def wrap(html: str) -> str:
    """Put safe fragments into the element that keeps MathJax away from all but the formulas."""
    return f'<div class="mm-answer {IGNORE}" dir="auto">{html}</div>'


def fragment(text: str, definitions: Definitions = NO_DEFINITIONS, *, typeset: bool = True) -> str:
    """Return untrusted Markdown as safe HTML without the wrapper, to be joined and wrapped.

    With `typeset` false, as while an answer grows, MathJax sets no formula. `definitions` are
    those of the whole answer; those in `text` itself need not be among them.
    """
    html = as_written(text, definitions, typeset=typeset)
    # An entity may stand for a character that is not let through as itself.
    return plain(html) if "&" in text else html


def with_typeset(html: str) -> str:
    """Return fragments that were drawn with `typeset` false so that MathJax sets their formulas."""
    return html.replace(_RAW, f'<span class="{_PROCESS}">')


def formulas_weight(text: str) -> float:
    """How much work it is to set the formulas of untrusted Markdown: about 1 each, more for a long
    one.
    """
    formulas = _prepared(text)[1] if len(text) <= MAX_MARKDOWN else []
    return sum(max(1.0, len(formula) / FORMULA_SIZE) for formula in formulas)


def as_written(
    text: str, definitions: Definitions = NO_DEFINITIONS, *, typeset: bool = True
) -> str:
    """The same, but for characters that reorder text or can't be seen, written as entities."""
    if len(text) > MAX_MARKDOWN:
        return f"<pre>{escape(plain(text))}</pre>\n"
    holed, formulas = _prepared(text, is_growing=not typeset)
    environment: EnvType = {
        "formulas": formulas,
        "references": ChainMap({}, definitions.links),
        "known_footnotes": definitions.footnotes,
        "is_complete": definitions.is_complete,
        "is_growing": not typeset,
    }
    html: str = _parser().render(holed, environment)
    attribute = f' class="{_PROCESS}"' if typeset else ""
    html = _HOLE.sub(lambda hole: _formula_html(formulas[int(hole[1])], attribute), html)
    return _CLEANER.clean(html)


def _prepared(text: str, *, is_growing: bool = False) -> tuple[str, list[str]]:
    """Return `text` as the parser gets it, and the formulas that were taken out."""
    text = plain(text).translate(_RESERVED)
    return _take_math(lengthened(text, is_growing=is_growing))


def code_blocks(text: str) -> list[tuple[str, str]]:
    """Return what stands behind the fence and the code of each fenced block, with the fences that
    `fragment` sees.
    """
    holed, formulas = _prepared(text)
    fences = (token for token in _of_answer(_block_parser().parse(holed)) if token.type == "fence")
    return [(token.info.strip(), _filled(token.content, formulas)) for token in fences]


def _of_answer(tokens: Sequence[Token]) -> Sequence[Token]:
    """The tokens behind the last tag that ends thinking begun in the prompt."""
    ends = (at + 1 for at, token in enumerate(tokens) if markup.ends_thinking(token))
    return tokens[max(ends, default=0) :]


def code_lines(text: str) -> set[int]:
    """Return the numbers of the lines that are in closed fenced code, at the margin, whichever
    dialect reads the text: it has raw HTML, and tables or not. None beyond `MAX_DISARMED`.
    """
    if len(text) > MAX_DISARMED:
        return set()
    return set.intersection(*(_fenced(parser, text) for parser in _dialects()))


def _fenced(parser: MarkdownIt, text: str) -> set[int]:
    found: set[int] = set()
    # A fence that isn't closed takes in the line that is added.
    added = text.count("\n") + 1
    for token in parser.parse(f"{text}\n."):
        if token.type == "fence" and token.level == 0 and token.map and token.map[1] <= added:
            found.update(range(token.map[0] + 1, token.map[1] - 1))
    return found


def open_fence(text: str) -> str:
    """Return the line that closes the code with which the text ends, "" if that is closed."""
    if len(text) > MAX_DISARMED:
        return ""
    return max((_unclosed(parser, text) for parser in _dialects()), key=len)


def _unclosed(parser: MarkdownIt, text: str) -> str:
    added = text.count("\n") + 1
    *_, last = [Token("", "", 0), *parser.parse(f"{text}\n.")]
    is_open = last.type == "fence" and last.map and last.map[1] > added
    return last.markup if is_open else ""


@cache
def _dialects() -> tuple[MarkdownIt, MarkdownIt]:
    """CommonMark without and with tables: a list can interrupt a table that is no paragraph."""
    parsers = MarkdownIt("commonmark"), MarkdownIt("commonmark").enable("table")
    for parser in parsers:
        parser.core.ruler.enableOnly(["normalize", "block"])
    return parsers


def as_text(text: str) -> str:
    """Return untrusted text as a safe paragraph in which nothing is Markdown."""
    return f'<p dir="auto">{escaped(text.strip(chr(10)))}</p>\n'


def escaped(text: str) -> str:
    """Return untrusted text as safe HTML on the lines that it has."""
    return escape(plain(text), quote=False).replace("\n", "<br>")


def escaped_note(text: str) -> str:
    """Return a note as safe HTML; a magic's line or option to type, in backticks, is code."""
    return _TO_TYPE.sub(r"<code>\1</code>", escaped(text))


def _take_math(text: str) -> tuple[str, list[str]]:
    """Return `text` with a hole for each formula, and the formulas as they were written."""
    parts: list[str] = []
    formulas: list[str] = []
    position = 0
    for start, end in find_formulas(text, _block_parser().parse):
        parts += [text[position:start], f"\ufdd0{len(formulas)}\ufdd1"]
        formulas.append(text[start:end])
        position = end
    return "".join(parts) + text[position:], formulas


def _formula_html(formula: str, attribute: str) -> str:
    return f"<span{attribute}>{escape(typeset_form(formula))}</span>"


class _Parser(MarkdownIt):
    """CommonMark with tables and strikethrough, no raw HTML, and links to the web only."""

    def __init__(self) -> None:
        super().__init__("commonmark", {"html": False, "maxNesting": MAX_NESTING})
        install(self)
        markup.install(self)
        self.enable(["table", "strikethrough"])
        self.core.ruler.push("mm_headings", _lower_headings)
        self.core.ruler.push("mm_direction", _set_direction)
        self.core.ruler.push("mm_images", _replace_images)
        self.core.ruler.push("mm_formulas", _put_formulas_back)
        self.add_render_rule(markup.FOLDED, _folded_html)
        self.add_render_rule(markup.ENDED, _ended_html)
        self.add_render_rule("fence", code.html)
        self.add_render_rule("code_block", code.html)

    def validateLink(self, url: str) -> bool:  # noqa: N802
        return _LINK.match(url) is not None and _HIDDEN_IN_LINK.search(url) is None

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802
        """Show an address encoded: decoded it can look like somebody else's host."""
        return self.normalizeLink(link)


@cache
def _parser() -> MarkdownIt:
    return _Parser()


@cache
def _block_parser() -> MarkdownIt:
    """A parser that sees the same blocks, and does not look into their lines."""
    parser = _Parser()
    parser.core.ruler.enableOnly(["normalize", "block", "footnotes"])
    return parser


# The parser's last rules. Behind each opening of a heading, paragraph or cell stands its text.


def _lower_headings(state: StateCore) -> None:
    """Make headings smaller than the notebook's own, and bold."""
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = _HEADINGS[token.tag]
    for opening, text in pairwise(state.tokens):
        if opening.type == "heading_open":
            # JupyterLab's table of contents lists the headings of outputs too, down to h4.
            opening.attrSet("class", "jp-toc-ignore")
            if style := _HEADING_STYLES.get(opening.tag):
                _add_style(opening, style)
            text.children = [_STRONG, *(text.children or []), _STRONG_END]


def _set_direction(state: StateCore) -> None:
    """Let each block run in the direction of its own text, and align it to that side."""
    for opening, text in pairwise(state.tokens):
        if opening.nesting == 1 and opening.tag in _TEXT_BLOCKS:
            opening.attrSet("dir", "auto")
        if opening.type in _ALIGNED:
            _align(opening, text.content)
        if opening.nesting == 1 and opening.level == 0 and opening.tag in _MEASURED:
            _add_style(opening, READABLE)


def _align(opening: Token, text: str) -> None:
    """JupyterLab aligns every paragraph to the left and every cell of a table to the right, and
    lets no "start" through; GitHub keeps `align` and no style.
    """
    is_cell = opening.type != "paragraph_open"
    if not opening.attrGet("style"):
        if _is_rtl(text):
            opening.attrSet("style", "text-align:right")
        elif is_cell:
            opening.attrSet("style", "text-align:left")
    side = str(opening.attrGet("style") or "").removeprefix("text-align:")
    if is_cell and side != "left":
        opening.attrSet("align", side)


def _add_style(opening: Token, style: str) -> None:
    before = opening.attrGet("style")
    opening.attrSet("style", f"{before};{style}" if before else style)


def _replace_images(state: StateCore) -> None:
    for token in state.tokens:
        token.children = _without_images(token.children or [])


def _put_formulas_back(state: StateCore) -> None:
    """Fill the holes that the renderer can't: those outside of text."""
    formulas: list[str] = state.env["formulas"]
    for token in state.tokens:
        children = token.children or []
        for part in (token, *children):
            _fill_holes(part, formulas)
        for link, shown in pairwise(children):
            if link.markup == "autolink" and shown.type == "text":
                shown.content = _filled_address(shown.content, formulas)


def _is_rtl(text: str) -> bool:
    """Is the first letter with a direction a Hebrew or Arabic one? (What dir="auto" goes by.)"""
    directions = map(bidirectional, text)
    return next((found for found in directions if found in ("L", "R", "AL")), "L") != "L"


def _without_images(children: Sequence[Token]) -> list[Token]:
    """An image becomes a link to it, or its text where it already stands in a link."""
    shown: list[Token] = []
    links = 0
    for token in children:
        links += token.nesting if token.type in ("link_open", "link_close") else 0
        if token.type != "image":
            shown.append(token)
            continue
        source = str(token.attrGet("src") or "")
        text = Token("text", "", 0, content=token.content or (source if not links else "image"))
        anchor = Token("link_open", "a", 1, attrs={"href": source})
        shown += [text] if links else [anchor, text, Token("link_close", "a", -1)]
    return shown


def _fill_holes(token: Token, formulas: Sequence[str]) -> None:
    """Put formulas back where they turned out to be no math: in code, addresses and titles."""
    if token.type in ("code_inline", "code_block", "fence", markup.FOLDED):
        token.content = _filled(token.content, formulas)
        token.info = _filled(token.info, formulas)
    for name, value in token.attrs.items():
        token.attrs[name] = _filled_address(_filled(str(value), formulas), formulas)


def _filled(text: str, formulas: Sequence[str]) -> str:
    return _HOLE.sub(lambda hole: formulas[int(hole[1])], text)


def _filled_address(text: str, formulas: Sequence[str]) -> str:
    def encoded(hole: re.Match[str]) -> str:
        # What looks like an encoded hole may also be the model's own text.
        number = int(hole[1])
        return quote(formulas[number], safe="$()=+,;:@!*'/") if number < len(formulas) else hole[0]

    return _ENCODED_HOLE.sub(encoded, text)


def _folded_html(
    _renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    _options: OptionsDict,
    env: EnvType,
) -> str:
    token = tokens[index]
    if token.meta["is_closed"] and not markup.shown(token):
        return ""
    # With nothing behind it, it may be all that there is to read.
    state = "" if token.meta["is_closed"] or env.get("is_growing") else " open"
    return (
        f"<details{state}><summary>{escaped(markup.title(token))}</summary>"
        f'<div style="margin:0 0 1em 1em">{escaped(markup.shown(token))}</div></details>\n'
    )


def _ended_html(
    _renderer: RendererHTML,
    tokens: Sequence[Token],
    index: int,
    _options: OptionsDict,
    _env: EnvType,
) -> str:
    if not markup.ends_thinking(tokens[index]):
        return ""
    return "<p><small>Everything above is thinking, written as text.</small></p>\n"
