"""The MIME bundles of a reply's parts."""

from __future__ import annotations

import random
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt
from support.corpora import own_payloads

from mm_magic.rendering.bundles import (
    PAGE,
    TURN_MIME,
    UNFINISHED_HTML,
    Bundle,
    answer_bundle,
    answer_pages,
    disarmed,
    growing_body,
    growing_end,
    growing_thinking,
    line_bundle,
    status_bundle,
    thinking_bundle,
)
from mm_magic.rendering.columns import Column, finished_columns
from mm_magic.rendering.markdown import to_html

if TYPE_CHECKING:
    from markdown_it.token import Token

OWN = [*own_payloads().values()]
TAGS = {
    "blockquote", "br", "code", "details", "div", "li", "p", "small", "strong", "summary", "ul",
}  # fmt: skip


class Tags(HTMLParser):
    """All start tags with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def html_of(bundle: Bundle) -> str:
    return str(bundle["text/html"])


def plain_of(bundle: Bundle) -> str:
    return str(bundle["text/plain"])


@pytest.mark.parametrize("text", [*OWN, "\x1b[2J\x9b1m\u202e", "`<b>` </details></div>"])
def test_hostile_text_in_any_field_is_only_text(text: str) -> None:
    """Names, titles, notes, thinking and error texts never become markup or control codes."""
    bundles = [
        thinking_bundle(text, text),
        growing_thinking(text, text),
        growing_end("", text),
        status_bundle([text, text], [text], {"a": text}),
        line_bundle(text),
    ]
    for bundle in bundles:
        for tag, attributes in Tags(html_of(bundle).replace(UNFINISHED_HTML, "")).found:
            assert tag in TAGS
            assert set(attributes) <= {"class", "style", "dir", "open"}
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", plain_of(bundle))
        assert "mathjax_process" not in html_of(bundle)


def test_thinking_folds_and_reads_well_flattened() -> None:
    """The box has its title and keeps lines; the other forms quote the text under the title."""
    bundle = thinking_bundle("one\ntwo\n\nthree <b>", "Thinking (1.2 s)")
    assert "<details" in html_of(bundle)
    assert " open" not in html_of(bundle)
    assert "<summary>Thinking (1.2 s)</summary>" in html_of(bundle)
    assert '<p dir="auto">one<br>two</p><p dir="auto">three &lt;b&gt;</p>' in html_of(bundle)
    assert plain_of(bundle) == "Thinking (1.2 s):\n> one\n> two\n>\n> three <b>"
    assert str(bundle["text/markdown"]).startswith("Thinking (1.2 s):\n\n> one\n> two\n")
    assert " open>" in html_of(growing_thinking("x", "t"))


def test_an_answer_has_three_forms() -> None:
    """HTML is the safe rendering; benign Markdown stays as the model wrote it."""
    prose = "# Why\n\n*Because* `a<b>` is **so**: [x](https://x.invalid), $y<z$.\n\n"
    text = prose + "```c\n#include <a>\n```\n"
    bundle = answer_bundle(text)
    assert bundle["text/html"] == to_html(text)
    assert bundle["text/plain"] == text.strip("\n")
    assert str(bundle["text/markdown"]).replace("\u2060", "") == text
    assert "```c\n#include <a>\n```" in str(bundle["text/markdown"])


@pytest.mark.parametrize("text", [*OWN, *(f"> {text}" for text in OWN), *(f"- {t}" for t in OWN)])
def test_disarmed_markdown_does_nothing_where_raw_html_is_obeyed(text: str) -> None:
    """A renderer with raw HTML and every kind of link makes only harmless elements of it."""
    parser = MarkdownIt("commonmark")
    parser.validateLink = lambda _url: True  # type: ignore[method-assign, assignment]
    harmless = {
        "a", "blockquote", "code", "em", "h1", "h2", "hr", "li", "ol", "p", "pre", "strong", "ul",
    }  # fmt: skip
    for tag, attributes in Tags(parser.render(disarmed(text))).found:
        assert tag in harmless
        assert set(attributes) <= {"href", "class", "title"}
        assert str(attributes.get("href", "https://")).startswith(("http", "mailto:"))
        assert "mermaid" not in str(attributes.get("class"))


# What a reader that obeys raw HTML may take for code, or may not.
NO_CODE = [
    "``` a`b\nBAD\n```\n",
    "```a`\nBAD\n```",
    "$$\n```\n$$\n\n```\nBAD\n```\n",
    "- ```\n  x\n\n```\n```\n\nBAD\n\n```\n",
    "|a|\n|-|\n2. a\n   ~~~\n~~~\nBAD\n~~~\n",
    "a\n2. ~~~\n\n~~~\nBAD\n~~~\n",
    "> ```\nBAD\n```\n",
    "    ```\nBAD\n    ```\n",
    "\t```\n\nBAD\n\n```\n",
    "a\n    ```\nBAD\n    ```\n",
    "~~~\n```\n~~~\nBAD\n```\n",
    "````\n```\n````\nBAD\n```\n",
    "[a]: https://x.invalid\n===\n2. a\n   ```\n```\nBAD\n```\n",
    "```\nBAD",
]
PIECES = [
    "```", "~~~", "````", "```py\n", "~~~ `\n", "``` a`\n", " ", "    ", "\t", "\n", "\n\n", "> ",
    "- ", "2. ", "a", "`", "<b>", "<!--", "<a href=x>", "![i](http://e/x.png)", "$$\n", "\\[\n",
    "|", "|a|\n|-|\n", "---", "===", "\\", "{=html}", "mermaid", "[a]: x\n", "[a]: https://x\n",
    "[b](", "https://x", "!", "[", "]", "(", "\n```\n<img src=x>\n```\n", "\n~~~\n[a](x)\n~~~\n",
]  # fmt: skip


def acts(tokens: list[Token]) -> list[str]:
    """What would act in a page made of parsed Markdown."""
    found: list[str] = []
    for token in tokens:
        target = str(token.attrs.get("href", "https://"))
        if token.type in ("html_block", "html_inline", "image"):
            found.append(token.type)
        elif not re.match(r"https?://|mailto:", target, re.IGNORECASE):
            found.append(target)
        elif re.match(r"\s*(mermaid|\{)", token.info, re.IGNORECASE):
            found.append(token.info)
        found += acts(token.children or [])
    return found


@pytest.fixture(scope="module")
def dialects() -> list[MarkdownIt]:
    """Parsers with raw HTML and every kind of link, without and with tables."""
    parsers = [MarkdownIt("commonmark"), MarkdownIt("commonmark").enable("table")]
    for parser in parsers:
        parser.validateLink = lambda _url: True  # type: ignore[method-assign, assignment]
    return parsers


@pytest.mark.parametrize("text", NO_CODE)
@pytest.mark.parametrize("bad", ["<img src=x onerror=alert(1)>", "![i](https://x.invalid/i.png)"])
def test_what_only_looks_like_code_is_disarmed(
    text: str, bad: str, dialects: list[MarkdownIt]
) -> None:
    """Whatever hides a fence or makes one up, nothing acts where another parser sees no code."""
    shown = disarmed(text.replace("BAD", bad))
    assert [acts(parser.parse(shown)) for parser in dialects] == [[], []]
    assert shown.replace("\u2060", "") == text.replace("BAD", bad)


def test_disarmed_text_of_any_pieces_does_nothing(dialects: list[MarkdownIt]) -> None:
    """Random pieces of Markdown and HTML hold no raw tag, image or other link when disarmed."""
    chance = random.Random(4)
    for _ in range(4_000):
        text = "".join(chance.choices(PIECES, k=chance.randint(3, 14)))
        shown = disarmed(text)
        assert (text, [acts(parser.parse(shown)) for parser in dialects]) == (text, [[], []])


@pytest.mark.parametrize(
    "opening",
    ["```mermaid", "~~~mermaid `", "- > ```mermaid", "> - > 1. ~~~ Mermaid", "-\t```mermaid x"],
)
def test_a_fence_that_is_drawn_loses_its_name(opening: str) -> None:
    """Mermaid fences are plain code, however deep in quotes and lists they stand."""
    assert "mermaid" in opening.lower()
    assert "mermaid" not in disarmed(f"{opening}\ngraph TD; a-->b\n").lower()


def test_fenced_code_at_the_margin_stays() -> None:
    """Code in closed fences can be copied as the model wrote it, also right below a paragraph."""
    for code in ("~~~c\n#include <a>\n\n~~~\n", "```py\na[i](x) <b> ![c](d) \\input{x}\n```"):
        for before in ("", "Text:\n", "- a\n\n", "```\n```\n"):
            assert disarmed(before + code) == before + code
    assert "\u2060" in disarmed("```\n<b>" + "a" * 300_000 + "\n```\n")


def test_disarmed_entities_reorder_nothing() -> None:
    """An entity for a character that is not let through is broken; an ordinary one is not."""
    parser = MarkdownIt("commonmark")
    for entity in ("&#x202e;", "&#8238;", "&#xE0041;", "&#x2066;"):
        html = parser.render(disarmed(f"a{entity}b [c](https://x.invalid '{entity}')"))
        assert not re.search("[\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]", html)
    assert disarmed("&amp; &nbsp; &zwj;") == "&amp; &nbsp; &zwj;"


def test_disarmed_tex_reads_no_file() -> None:
    """A TeX command that reads a file is broken; an ordinary one is not."""
    assert r"\VerbatimInput" not in disarmed(r"\VerbatimInput{/etc/passwd}")
    assert r"\input" not in disarmed(r"\input{/etc/passwd} $\input{x}$")
    assert disarmed(r"$\infty \frac12$") == r"$\infty \frac12$"


def test_pages_end_at_finished_blocks() -> None:
    """A long answer is cut between blocks, loses nothing, and never within a fence."""
    fence = "```python\n" + "x = 1\n\n" * 4000 + "```\n"
    text = "A paragraph of some length, said again.\n\n" * 1000 + fence + "the end"
    pages = answer_pages(text)
    assert "".join(pages) == text
    assert [page for page in pages if "```" in page] == [
        page for page in pages if page.count("```") == 2
    ]
    assert all(len(page) < PAGE + 100 for page in pages if "```" not in page)
    assert answer_pages("short") == ["short"]
    assert answer_pages("\n\n") == []


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        ("3.1 s", "3.1\u00a0s"),
        ("turn 3", "turn\u00a03"),
        ("side: turn 3, 2 earlier sent", "side: turn\u00a03, 2\u00a0earlier sent"),
        (
            "17 in + 104 from cache / 80 out",
            "17\u00a0in +\u00a0104\u00a0from cache\u00a0/\u00a080\u00a0out",
        ),
        ("$0.0010 and $0.2", "$0.0010\u00a0and\u00a0$0.2"),
        ("Turn 1: " + "1 a " * 20, "Turn 1: " + "1 a " * 20),
    ],
)
def test_numbers_stay_with_their_words(part: str, shown: str) -> None:
    """On a narrow page no line ends between a number and its word; the text form has spaces."""
    bundle = status_bundle(["M2.7", part], [], None)
    assert f"M2.7 · {shown}<" in html_of(bundle)
    assert plain_of(bundle) == f"M2.7 · {part}"


def test_status_is_one_quiet_line_with_notes() -> None:
    """Parts stand on one line, notes below, and the turn goes under its own MIME type."""
    bundle = status_bundle(["M2.7", "turn 3", "39 in / 40 out"], ["Stopped."], {"version": 1})
    assert plain_of(bundle) == "M2.7 · turn 3 · 39 in / 40 out\nStopped."
    assert "M2.7 · turn\u00a03 · 39\u00a0in\u00a0/\u00a040\u00a0out<br>Stopped." in html_of(bundle)
    assert bundle[TURN_MIME] == {"version": 1}
    assert TURN_MIME not in status_bundle(["a"], [], None)


def test_what_to_type_is_code_in_the_line_and_its_notes() -> None:
    """A magic's line or an option between backticks is code, in a sentence and in a note below."""
    sentence = "Turn 1 was forgotten. To undo this: `%minimax restore 1`, until the kernel ends."
    html = str(
        status_bundle([sentence], ["With `--alone` nothing is sent; <b> `x`."], None)["text/html"]
    )

    assert "<code>%minimax restore 1</code>" in html
    assert "With <code>--alone</code> nothing" in html
    assert "&lt;b&gt; `x`." in html


@pytest.mark.parametrize(
    "text",
    [
        "```python\ndef f():\n    x = 1\n\n    return x\n```",
        "```\n# a\n\n\n- b\n   \n\t\n<b>c\n```",
        "    indented\n\n    <i>code",
        "$$\na\n$$\n\n- one\n\n      code\n\n      more\n\n> ```\n> a\n>\n> *b*\n> ```",
        "```\n\n```",
    ],
)
@pytest.mark.parametrize("beside", [False, True])
def test_markdown_file_keeps_the_html(text: str, beside: bool) -> None:
    """In a Markdown file, as nbconvert makes it, an answer's HTML is read as HTML to its end."""
    bundle = answer_bundle(f"Before.\n\n{text}\n\nAfter.")
    if beside:
        bundle = finished_columns([Column("A", [bundle]), Column("B", [bundle])])
    html = str(bundle["text/html"])
    read = MarkdownIt("commonmark", {"html": True}).render(f"{html}\n\n*end*")

    assert read == f"{html}\n<p><em>end</em></p>\n"


def test_what_grows_holds_no_style_sheet_for_the_screen() -> None:
    """A page computes all its styles anew for each, so what comes often has none but for paper."""
    for html in ("", "<p>The sky is <b>blue</b>.</p>"):
        for bundle in (growing_end(html), growing_end(html, "3 s"), growing_body(html)):
            sheets = [each for tag, each in Tags(html_of(bundle)).found if tag == "style"]
            assert all(each.get("media") == "print" for each in sheets)
