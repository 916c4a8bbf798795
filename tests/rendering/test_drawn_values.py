"""An answer that is a value, as a table with the answer folded below it."""

import json
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from mm_magic.conversation.reply import FirstTry, Reply
from mm_magic.protocol.messages import Message, TextBlock, ThinkingBlock
from mm_magic.rendering.values import reply_bundles, value_bundle, value_table


def reply(text: str, first: FirstTry | None = None) -> Reply:
    return Reply(Message(content=(TextBlock(text),)), first_try=first, _value=object())


def lines(value: object) -> list[str]:
    """The table's plain text."""
    return str(value_table(reply(json.dumps(value)))["text/plain"]).split("\n")


def test_an_object() -> None:
    """An object has a row for each field; text is as it is, anything else is JSON."""
    assert lines({"title": "Emma", "year": 1815, "tags": ["novel"], "x": None, "ok": True}) == [
        "field  value", "title  Emma", "year   1815", 'tags   ["novel"]', "x      null",
        "ok     true",
    ]  # fmt: skip


def test_a_list_of_objects() -> None:
    """A list of objects has a column for each name, and a row for each object."""
    assert lines([{"name": "a", "n": 1}, {"n": 2, "more": "x"}]) == [
        "name  n  more", "a     1", "      2  x",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, "b"], ["value", "1", "b"]), (42, ["value", "42"]), ([], ["an empty list"]),
        ({}, ["an empty object"]), ([{}, {}], ["value", "{}", "{}"]), ("yes", ["value", "yes"]),
        ([{"a": 1}, 2], ["value", '{"a": 1}', "2"]), (None, ["value", "null"]),
    ],
)  # fmt: skip
def test_other_values(value: object, expected: list[str]) -> None:
    """Anything else stands in one column."""
    assert lines(value) == expected


def test_a_long_list() -> None:
    """A long list shows its first rows, and says how many there are."""
    shown = lines(list(range(1000)))

    assert len(shown) == 52
    assert shown[-1] == "The first 50 of 1,000 are shown."


def test_a_deep_value() -> None:
    """What is nested too deeply for a table is shown by its beginning."""
    assert str(value_table(reply("[" * 150 + "1" + "]" * 150))["text/plain"]).startswith(
        "value\n[["
    )


WIDE = [{f"c{n}": "w" * 4000 if n == row else "" for n in range(12)} for row in range(12)]


@pytest.mark.parametrize(
    "value",
    [
        [{"a": "x" * 20_000, "b": "y"}] + [{"a": "z", "b": "y"}] * 49,
        WIDE + [{f"c{n}": "s" for n in range(12)}] * 38,
        ["天" * 7000] + ["z"] * 49,
        {"n" * 20_000: 1} | {f"c{n}": n for n in range(49)},
    ],
    ids=["one long cell", "one in each column", "wide characters", "a long name"],
)
def test_size_follows_the_answer(value: object) -> None:
    """What is saved is a few times as long as the answer, whichever cell of it is long."""
    text = json.dumps(value, ensure_ascii=False)

    saved = sum(len(str(form)) for form in value_bundle(reply(text)).values())

    assert saved < 6 * len(text)


def test_what_is_folded() -> None:
    """The answer is folded below the table; so is the first one, if it was asked once more."""
    once = value_bundle(reply('So: {"a": 1}'))
    twice = value_bundle(reply('So: {"a": 1}', FirstTry("`a` is missing", "Oops {}")))

    assert str(once["text/html"]).count("<details") == 1
    assert 'So: {"a": 1}' in str(once["text/html"])
    assert "Oops" in str(twice["text/html"])
    assert str(twice["text/markdown"]).startswith("```text\nfield  value\na      1\n```")
    assert "The first answer:\n\n> Oops {}" in str(twice["text/markdown"])


def test_thinking_stands_above() -> None:
    """Thinking is folded above the table, and a reply without a value is drawn as its text."""
    blocks = (ThinkingBlock("Hm."), TextBlock("[1]"))
    typed = Reply(Message(content=blocks), _value=[1])
    plain = Reply(Message(content=blocks))

    assert len(reply_bundles(typed, "Thinking", hide_thinking=False)) == 2
    assert "mm-table" in str(reply_bundles(typed, "Thinking", hide_thinking=False)[1])
    assert "mm-table" not in str(reply_bundles(plain, "Thinking", hide_thinking=False))


class Tags(HTMLParser):
    """The tags and attributes of a piece of HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attrs)}


HOSTILE = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</td></table><h1>", "$x$",
    "```\n# out", "`" * 5, "![x](https://evil.example/x.png)", "[x](javascript:alert(1))",
    "\u202etxt.exe", "\x1b[31mred", "a\nb", "<!-- ", "{{x}}", "|", "\\write18{rm}", "&#x202e;",
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("make", [lambda t: {t: t}, lambda t: [{t: t}], lambda t: [t], lambda t: t])
def test_hostile_values(text: str, make: object) -> None:
    """Names and values are text in every form: no tag, no link, no control character of theirs."""
    assert callable(make)
    bundle = value_bundle(reply(json.dumps(make(text)), FirstTry(text, text)))

    allowed = {
        "details", "summary", "div", "p", "table", "thead", "tbody", "tr", "th", "td", "class",
        "style", "dir", "scope", "br",
    }  # fmt: skip
    assert Tags(str(bundle["text/html"])).found <= allowed
    for form in bundle.values():
        assert "\x1b" not in str(form)
        assert "\u202e" not in str(form)
    markdown = str(bundle["text/markdown"])
    block, *_ = MarkdownIt().parse(markdown)
    assert (block.type, block.content) == ("fence", f"{bundle['text/plain']}\n")
    assert "\n# out" not in markdown
