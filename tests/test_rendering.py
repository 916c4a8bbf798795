"""The MIME bundles of a reply's parts."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from mm_magic.markdown import to_html
from mm_magic.rendering import (
    PAGE,
    TURN_MIME,
    Bundle,
    answer_bundle,
    answer_pages,
    disarmed,
    growing_answer,
    growing_thinking,
    line_bundle,
    status_bundle,
    thinking_bundle,
)

OWN = json.loads((Path(__file__).parent / "data" / "xss.json").read_text("utf-8"))["payloads"]
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
        thinking_bundle(text, text, is_open=False),
        growing_thinking(text, text),
        growing_answer("", text),
        status_bundle([text, text], [text], {"a": text}),
        line_bundle(text),
    ]
    for bundle in bundles:
        for tag, attributes in Tags(html_of(bundle)).found:
            assert tag in TAGS
            assert set(attributes) <= {"class", "style", "dir", "open"}
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", plain_of(bundle))
        assert "mathjax_process" not in html_of(bundle)


def test_thinking_folds_and_reads_well_flattened() -> None:
    """The box has its title and keeps lines; the other forms quote the text under the title."""
    bundle = thinking_bundle("one\ntwo\n\nthree <b>", "Thinking (1.2 s)", is_open=False)
    assert "<details" in html_of(bundle)
    assert " open" not in html_of(bundle)
    assert "<summary>Thinking (1.2 s)</summary>" in html_of(bundle)
    assert '<p dir="auto">one<br>two</p><p dir="auto">three &lt;b&gt;</p>' in html_of(bundle)
    assert plain_of(bundle) == "Thinking (1.2 s):\n> one\n> two\n>\n> three <b>"
    assert str(bundle["text/markdown"]).startswith("Thinking (1.2 s):\n\n> one\n> two\n")
    assert " open>" in html_of(thinking_bundle("x", "t", is_open=True))


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
        "a", "blockquote", "code", "em", "h1", "hr", "li", "ol", "p", "pre", "strong", "ul",
    }  # fmt: skip
    for tag, attributes in Tags(parser.render(disarmed(text))).found:
        assert tag in harmless
        assert set(attributes) <= {"href", "class", "title"}
        assert str(attributes.get("href", "https://")).startswith(("http", "mailto:"))
        assert "mermaid" not in str(attributes.get("class"))


def test_disarmed_tex_reads_no_file() -> None:
    """A TeX command that reads a file is broken; an ordinary one is not."""
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


def test_status_is_one_quiet_line_with_notes() -> None:
    """Parts stand on one line, notes below, and the turn goes under its own MIME type."""
    bundle = status_bundle(["M2.7", "turn 3", "39 in / 40 out"], ["Stopped."], {"version": 1})
    assert plain_of(bundle) == "M2.7 · turn 3 · 39 in / 40 out\nStopped."
    assert "M2.7 · turn 3 · 39 in / 40 out<br>Stopped." in html_of(bundle)
    assert bundle[TURN_MIME] == {"version": 1}
    assert TURN_MIME not in status_bundle(["a"], [], None)
