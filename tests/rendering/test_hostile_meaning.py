"""What is not hostile keeps its meaning: ordinary texts, and CommonMark's own examples."""

import re
from collections.abc import Iterator, Sequence

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from support.corpora import Benign, benign
from support.hostile import commonmark_examples
from support.security_page import SECURITY_PAGE
from test_markdown import LEVELS, Elements

from mm_magic.rendering.bundles import answer_bundle, disarmed
from mm_magic.rendering.markdown import fragment

WEB = re.compile(r"https?://|mailto:", re.IGNORECASE)
OURS = {tag: LEVELS.get(tag[1:], 6) for tag in ("h1", "h2", "h3", "h4", "h5", "h6")}

OTHERWISE = {
    # A bare address is a link, as on GitHub.
    "https://example.com\n",
    "< https://foo.bar >\n",
    "<https://foo.bar/baz bim>\n",
    # `\[\\\]` is a formula in brackets for us, as models write it, and stays as it was written.
    "\\!\\\"\\#\\$\\%\\&\\'\\(\\)\\*\\+\\,\\-\\.\\/\\:\\;\\<\\=\\>\\?\\@\\[\\\\\\]\\^\\_\\`\\{\\|\\}\\~\n",
}
"""Examples that are drawn otherwise, each with its reason."""


class CommonMark(MarkdownIt):
    """The parser as it is, but that an address in the text is shown encoded, as ours is."""

    def __init__(self) -> None:
        super().__init__("commonmark")

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802 (the library's name)
        return self.normalizeLink(link)


PARSER = CommonMark()


def flat(tokens: Sequence[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from flat(token.children or [])


def is_benign(text: str) -> bool:
    """No raw HTML, no image, no link but to the web: what else there is must stay as it is."""
    environment: dict[str, dict[str, dict[str, str]]] = {}
    tokens = list(flat(PARSER.parse(text, environment)))
    links = [str(token.attrs["href"]) for token in tokens if token.type == "link_open"]
    links += [each["href"] for each in environment.get("references", {}).values()]
    return all(map(WEB.match, links)) and not {token.type for token in tokens} & {
        "html_block",
        "html_inline",
        "image",
    }


def meaning(html: str) -> list[object]:
    """Elements in their order, the text without white space, addresses, titles, list numbers."""
    found = Elements(re.sub(r"<small>[^<]*</small>(?=<pre)", "", html))  # the language of code
    tags = [tag for tag, _ in found.tags if tag.strip("/") not in ("div", "span")]
    text = "".join("".join(found.text).split())
    attributes = [
        (tag, name, value)
        for tag, attrs in found.tags
        for name, value in attrs.items()
        if name in ("href", "title", "start")
    ]
    return [tags, text, attributes]


def with_our_headings(html: str) -> str:
    """The same page with the headings that an answer has: from h3 down, and bold."""
    html = re.sub(r"(?<=<)h[1-6](?=>)|(?<=</)h[1-6](?=>)", lambda h: f"h{OURS[h[0]]}", html)
    return re.sub(r"(<h[3-6]>)(.*?)(</h[3-6]>)", r"\1<strong>\2</strong>\3", html, flags=re.DOTALL)


def test_benign_commonmark_means_the_same() -> None:
    """All benign examples of the specification keep elements, text, addresses and numbers, but for
    those that are listed with a reason: fewer than 1 %."""
    benign = [text for text in commonmark_examples() if is_benign(text)]
    changed = {
        text
        for text in benign
        if meaning(fragment(text)) != meaning(with_our_headings(PARSER.render(text)))
    }
    same = len(benign) - len(OTHERWISE)
    assert f"Of CommonMark's {len(benign)} benign examples, {same} mean the same" in SECURITY_PAGE
    assert changed == OTHERWISE
    assert len(OTHERWISE) < 0.01 * len(benign)


def words(text: str) -> str:
    return " ".join(text.split())


def drawn(html: str) -> Benign:
    """What a reader sees of this page; its text is the page."""
    found = Elements(html)
    return Benign(
        "",
        html,
        # An element ends a word, but for those within a line.
        words("".join(Elements(BETWEEN_BLOCKS.sub(" <", html)).text)),
        [tag for tag, _ in found.tags if not tag.startswith("/") and tag not in ("div", "span")],
        [attributes["href"] for _, attributes in found.tags if "href" in attributes],
        found.math,
    )


BETWEEN_BLOCKS = re.compile(r"<(?=/?(?:p|h\d|li|[ou]l|t[hdr]|table|blockquote|pre|br|div)\b)")
TEXTS = pytest.mark.parametrize("text", benign(), ids=lambda text: text.name)


@TEXTS
def test_an_ordinary_text_means_what_it_says(text: Benign) -> None:
    """The page shows its words, elements, links and formulas, and nothing else."""
    found = drawn(fragment(text.text))
    assert words(text.shown) == found.shown
    assert [*text.elements] == found.elements
    assert [*text.links] == found.links
    assert [*text.formulas] == found.formulas


@TEXTS
def test_an_ordinary_text_is_the_same_in_plain_text(text: Benign) -> None:
    """As plain text it is what the model wrote."""
    assert text.text.strip("\n") == answer_bundle(text.text)["text/plain"]


@TEXTS
def test_an_ordinary_text_means_the_same_where_raw_html_is_obeyed(text: Benign) -> None:
    """In Markdown for other programs no tag of it becomes one, and no other word is lost."""
    obeying, other = (
        MarkdownIt("gfm-like", {"linkify": False, "html": html}) for html in (True, False)
    )
    due, found = drawn(other.render(text.text)), drawn(obeying.render(disarmed(text.text)))
    assert due.shown == found.shown.replace("\u2060", "")
    assert due.elements == found.elements
    assert due.links == found.links
