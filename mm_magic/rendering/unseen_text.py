"""What of a turn is not on its page, though it would be sent.

A notebook file shows a turn as HTML, and keeps it as JSON that no reader sees: in a file that
somebody made up the two can differ, and Markdown itself leaves text out of the HTML.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import unescape
from urllib.parse import unquote

from mm_magic.conversation.notebook_file import FoundTurn, NotebookCell, joined
from mm_magic.conversation.turn import TURN_MIME, Turn
from mm_magic.protocol.json_values import JsonObject, as_object, as_text
from mm_magic.protocol.messages import ImageBlock, TextBlock, ThinkingBlock, said
from mm_magic.rendering import markup
from mm_magic.rendering.bundles import (
    answer_pages,
    definitions_in,
    growing_thinking,
    line_bundle,
)
from mm_magic.rendering.code import CODE_STYLE, PRE_STYLE
from mm_magic.rendering.columns import OPENING, frame
from mm_magic.rendering.dialect import TAG
from mm_magic.rendering.markdown import (
    READABLE,
    as_written,
    to_html,
)
from mm_magic.wording import plain

# A cell's source is searched for the prompt of each of its turns: a second or so in all.
_MAX_SEARCH = 10**9  # characters of the source times turns
_DRAWN = {"display_data", "execute_result"}
# Where there is another form beside these, a front end may prefer it to the HTML.
_OURS = {"text/html", "text/markdown", "text/plain", TURN_MIME}
# Styles of ours, all of them harmless: of code, of text, and of code in version 0.1.
_STYLES = "|".join(map(re.escape, (CODE_STYLE, PRE_STYLE, READABLE, "margin:0 0 1em 1em")))
# What differs from one release to the next: colours of code, its box and its name, the width of
# text, the side of a cell, the size of headings. And the title of thinking tells seconds.
_VARYING = re.compile(
    rf' style="(?:{_STYLES})"|;{READABLE}(?=[;"])| align="(?:right|center)"'
    r"|<small>[^<]{1,60}</small>(?=<pre)|(?:(?<=<h)|(?<=</h))[3-6](?=[ >])"
    r'|<span class="[a-z][a-z0-9]{0,2}">|</span>|(?<=") open(?=><summary>)|(?<=<summary>)[^<]*'
)

# What fonts show nothing of, with blanks between. Scripts and emoji need one at a time, or two:
# joiners, soft hyphens, a variation selector before a joiner. Three in a row can only be a code.
_NOTHING = (
    "\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
)
# Tag characters are ASCII that nobody sees; the controls after them reorder what is seen. The
# supplementary variation selectors, which stand for bytes as well, belong behind ideographs.
_HIDDEN = re.compile(
    "[\U000e0000-\U000e007f\u202a-\u202e\u2066-\u2069]"
    "|(?<![\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])[\U000e0100-\U000e01ef]"
    rf"|(?:[{_NOTHING}]\s*){{3}}"
)

# Drawn in other ways than by its letters: list markers, task boxes, the language of a block of
# code, and the numbers of links that are defined elsewhere.
_MARKUP = re.compile(
    r"^(?:[ \t>*+-]|\d{1,9}[.)](?!\S))*"
    r"(?:(?:`{3,}|~{3,})[ \t]*[A-Za-z0-9+#]{1,20}|\[[xX]\](?!\S)|\[\d{1,3}\](?=:))?"
    r"|(?<=\])\[\d{1,3}\]",
    re.MULTILINE,
)
_TAG = re.compile(r'<(?:[^>"]|"[^"]*")*>')
_ADDRESS = re.compile(r'<a href="([^"]*)"')
_ENTITY = re.compile(r"&[#\w]{2,32};")
_WORD = re.compile(r"[^\W_]+")


def not_on_page(found: Iterable[FoundTurn]) -> Iterator[tuple[Turn, list[str]]]:
    """Each turn with the parts that its cell does not show: prompt, thinking, answer, other blocks.

    Of a turn with several answers it is each of them, as any may be picked.

    A part is shown where the cell holds the very HTML that is drawn of it, and that has all the
    words of the part; a prompt also where it stands in the cell's source. The address of a link
    counts as shown. Characters that nobody can see do not.
    """
    by_cell: dict[NotebookCell, list[Turn]] = {}
    for each in found:
        by_cell.setdefault(each.cell, []).extend(each.turn.answers)
    for cell, turns in by_cell.items():
        page = {_settled(joined(html)) for html in _drawn(cell.outputs)}
        page |= _in_columns(page, turns)
        pictures = _pictures(cell.outputs)
        is_searched = len(cell.source) * len(turns) <= _MAX_SEARCH
        source = _one_line(cell.source) if is_searched else ""
        yield from ((turn, _missing(turn, source, page, pictures)) for turn in turns)


def _drawn(outputs: Sequence[JsonObject]) -> Iterator[object]:
    """The HTML of the outputs that a page shows as HTML."""
    for output in outputs:
        data = as_object(output.get("data"))
        if as_text(output.get("output_type")) in _DRAWN and data.keys() <= _OURS:
            yield data.get("text/html")


def _pictures(outputs: Sequence[JsonObject]) -> set[str]:
    """The pictures that a page shows, in base64."""
    drawn = (each for each in outputs if as_text(each.get("output_type")) in _DRAWN)
    data = (as_object(output.get("data")) for output in drawn)
    return {
        joined(image).replace("\n", "")
        for each in data
        for kind, image in each.items()
        if kind.startswith("image/") and each.keys() <= {kind, "text/plain"}
    }


def _in_columns(page: set[str], turns: Sequence[Turn]) -> set[str]:
    """What of these turns stands in the HTML of several answers beside one another.

    It counts where nothing is beside it but what is drawn there: other HTML could hide it.
    """
    columns = [html for html in page if html.startswith(OPENING)]
    size = sum(map(len, columns)) * len(turns)
    if not columns or size > _MAX_SEARCH:
        return set()
    parts = {part for turn in turns for part in _html_of(turn)}
    found: set[str] = set()
    for html in columns:
        inside = set()
        for part in sorted(parts, key=len, reverse=True):  # one may begin as another does
            if part in html:
                inside.add(part)
                html = html.replace(part, _PLACE)
        if _FRAME.fullmatch(html):
            found |= inside
    return found


def _html_of(turn: Turn) -> Iterator[str]:
    """The pages of its answer and its thinking, as they are drawn."""
    pages = answer_pages(turn.reply.text)
    definitions = definitions_in(pages)
    yield from (_settled(to_html(page, definitions)) for page in pages)
    if turn.reply.thinking.strip():
        yield _settled(str(growing_thinking(turn.reply.thinking, "")["text/html"]))


def _missing(turn: Turn, source: str, page: set[str], pictures: set[str]) -> list[str]:
    parts = {
        "prompt": _is_prompt_shown(turn, source, page)
        and pictures.issuperset(picture.data for picture in turn.prompt.pictures),
        "thinking": any(_is_thinking_shown(each, page) for each in _drawings(turn, ThinkingBlock)),
        "answer": any(_is_answer_shown(each, page) for each in _drawings(turn, TextBlock)),
        "other blocks": all(
            isinstance(block, TextBlock | ThinkingBlock) and not block.extra
            for block in turn.reply.message.content
        ),
    }
    return [name for name, is_shown in parts.items() if not is_shown]


def _is_prompt_shown(turn: Turn, source: str, page: set[str]) -> bool:
    """Whether its text is in the cell's source, or drawn as `%minimax show` does."""
    prompt = turn.prompt
    again = line_bundle(f"Turn {turn.number}: {prompt}")
    texts = [block.text for block in prompt.content if isinstance(block, TextBlock)]
    is_in_source = all(_one_line(text) in source for text in texts)
    is_shown = is_in_source or _settled(str(again["text/html"])) in page
    is_known = all(isinstance(block, TextBlock | ImageBlock) for block in prompt.content)
    return is_shown and is_known and not _HIDDEN.search(prompt.text)


def _drawings(turn: Turn, kind: type[TextBlock | ThinkingBlock]) -> list[str]:
    """What can be drawn of a turn's text or thinking.

    Version 0.1 drew all blocks of one kind as one paragraph, whatever stood between them.
    """
    reply = turn.reply
    of_0_1 = "".join(said(block) for block in reply.message.content if isinstance(block, kind))
    return [reply.text if kind is TextBlock else reply.thinking, of_0_1]


def _is_thinking_shown(thinking: str, page: set[str]) -> bool:
    box = growing_thinking(thinking, "")
    is_there = not thinking or _settled(str(box["text/html"])) in page
    return is_there and not _HIDDEN.search(thinking)


def _is_answer_shown(answer: str, page: set[str]) -> bool:
    # Version 0.1 put any number of formulas on a page.
    all_pages = answer_pages(answer), answer_pages(answer, formulas=len(answer) + 1)
    return any(_is_shown(each, page) for each in all_pages) and not _HIDDEN.search(answer)


def _is_shown(texts: Sequence[str], page: set[str]) -> bool:
    """Whether the pages of an answer are in the cell, and have all its words in what is seen.

    Markdown leaves out what links are named and titled, cells beyond a table's width, quotes that
    are too deep, and what stands behind the language of a block of code.
    """
    definitions = definitions_in(texts)
    drawn = [_settled(to_html(text, definitions)) for text in texts]
    # "&#917569;" is a character that nobody sees, and is left out of the page.
    entities = [as_written(text, definitions) for text in texts if "&" in text]
    if not page.issuperset(drawn) or any(map(_HIDDEN.search, entities)):
        return False
    seen = [f"{_TAG.sub(' ', html)} {' '.join(_ADDRESS.findall(html))}" for html in drawn]
    return _words(
        _MARKUP.sub("", TAG.sub(" ", markup.TAG.sub(" ", plain("\n".join(texts)))))
    ) <= _words(" ".join(seen))


def _words(text: str) -> Counter[str]:
    return Counter(_WORD.findall(unquote(_ENTITY.sub(lambda found: unescape(found[0]), text))))


def _settled(html: str) -> str:
    return _VARYING.sub("", html)


def _one_line(text: str) -> str:
    return " ".join(text.split())


_PLACE = "\0"  # no HTML of ours holds it
_LABEL = "LABEL"
_TAGS = [re.escape(_settled(each)).replace(_LABEL, "[^<]*+") for each in frame(_LABEL)]
# A tag with attributes, left open, would go on into the answers behind it.
_QUIET_LINE = re.escape(_settled(str(line_bundle(_LABEL)["text/html"]))).replace(
    _LABEL, r"(?:[^<]++|</?code>|<br>)*+"
)
_FRAME = re.compile(f"(?:{'|'.join([_PLACE, _QUIET_LINE, *_TAGS])})*+")
