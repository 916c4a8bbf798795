"""Calls and their results as a reader sees them."""

import json
import re
from html import unescape
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from support.corpora import own_payloads

from mm_magic.conversation.reply import Reply
from mm_magic.protocol.messages import Message, TextBlock, ToolResultBlock, ToolUseBlock
from mm_magic.rendering.calls import ShownCall, call_line, calls_bundle, step_bundles

if TYPE_CHECKING:
    from mm_magic.rendering.bundles import Bundle

PAYLOADS = [*own_payloads().values()]
PICTURE = "data:image/png;base64,"
TAGS = {"details", "summary", "code", "small", "pre", "br", "div", "p", "img"}
TABLE = {"table", "thead", "tbody", "tr", "th", "td", "b", "span"}


class Tags(HTMLParser):
    """The tags of a page, and the names of their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: dict[str, str | None] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= dict(attrs)


def use(name: str = "look", given: Any = None) -> ToolUseBlock:
    return ToolUseBlock("t1", name, {"at": "sea"} if given is None else given)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_calls(payload: str) -> None:
    """Names, arguments and results are text in HTML, whatever they hold."""
    shown = [
        ShownCall(use(payload, {payload: payload}), payload, is_error=True),
        ShownCall(use(payload, payload)),
        ShownCall(use(), payload, own={"image/png": payload}),
    ]
    bundle = calls_bundle(shown)
    found = Tags(str(bundle["text/html"]))

    assert found.tags <= TAGS
    assert found.attributes.keys() <= {"class", "style", "src", "alt"}
    assert str(found.attributes.get("src", PICTURE)).startswith(PICTURE)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_hostile_objects(payload: str) -> None:
    """Of an object's own HTML its table and text are left: nothing acts, or leads anywhere."""
    own: Bundle = {"text/html": f"<table><tr><td>{payload}</td></tr></table>{payload}"}
    found = Tags(str(calls_bundle([ShownCall(use(), "x", own=own)])["text/html"]))

    allowed = TAGS | TABLE | {"strong", "i", "em", "ul", "ol", "li", "caption", "tfoot"}
    assert found.tags <= allowed - {"img"}
    assert found.attributes.keys() <= {
        "class", "style", "colspan", "rowspan", "scope", "title",
    }  # fmt: skip


def test_picture() -> None:
    """A picture that a function returned is drawn, with the result as its text."""
    html = str(
        calls_bundle([ShownCall(use(), 'A "picture"', own={"image/png": "AAAA\n"})])["text/html"]
    )

    assert '<img src="data:image/png;base64,AAAA" alt="A &quot;picture&quot;">' in html


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (ShownCall(use()), 'look(at="sea") …'),
        (ShownCall(use(), "blue"), 'look(at="sea") → blue'),
        (
            ShownCall(use(), "ValueError: no", is_error=True),
            'look(at="sea") → failed: ValueError: no',
        ),
        (ShownCall(use(), "a | b\nc"), 'look(at="sea") → a | b …'),
        (ShownCall(use(), "| a |\n| b |"), 'look(at="sea") → | a | …'),
        (
            ShownCall(use(), "|  | a | b \\| c |\n| --- | --- | ---: |\n| 0 | 1 | 2 |"),
            'look(at="sea") → table: a, b \\| c',
        ),
        (ShownCall(use("f", {"a": "x" * 99})), 'f(a="' + "x" * 74 + "…"),
        (ShownCall(use("f", {}), "x" * 99 + "\ny"), "f() → " + "x" * 59 + "…"),
        (ShownCall(use("f", {})), "f() …"),
        (ShownCall(use("f", "{at: x")), "f({at: x) …"),
        (ShownCall(use("f", {"a": "é", "n": [1, None]})), 'f(a="é", n=[1, null]) …'),
    ],
)
def test_line(call: ShownCall, line: str) -> None:
    """A call and the first line of its result are one line."""
    assert call_line(call) == line
    assert calls_bundle([call])["text/plain"] == f"Call: {line}"


def test_long_call() -> None:
    """What is long is cut in its line, and folded in full below it up to a limit."""
    bundle = calls_bundle([ShownCall(use("f", {"a": "x" * 300}), "y" * 300)])

    assert len(str(bundle["text/plain"])) < 200
    assert "x" * 300 in str(bundle["text/html"])
    huge = calls_bundle([ShownCall(use("f", {"a": "x" * 10**6}), "y\n" * 10**6)])
    assert all(len(str(each)) < 70_000 for each in huge.values())


def test_steps() -> None:
    """The answers that called are drawn with their calls, in order, before the last one."""
    look = Message(content=(TextBlock("Let me look."), use()))
    results = Message(role="user", content=(ToolResultBlock("t1", "blue"),))
    stopped = Message(content=(use("wait"),))
    reply = Reply(Message(), earlier_steps=(look, results, stopped))

    assert [each["text/plain"] for each in step_bundles(reply, hide_thinking=False)] == [
        "Let me look.", 'Call: look(at="sea") → blue', 'Call: wait(at="sea") …',
    ]  # fmt: skip


CODE = 'for at in ("sea", "\\n"):\n\tlook(at)\n'


@pytest.mark.parametrize("is_open", [True, False])
def test_texts_of_several_lines(is_open: bool) -> None:
    """Code among the arguments is read as code, each text below its name; the rest is JSON."""
    given = {"code": CODE, "n": 2, "a<b": "x\n\ny", "line": "x\n"}
    bundle = calls_bundle([ShownCall(use("run", given), is_open=is_open)])
    html = str(bundle["text/html"])

    found = re.findall("<small>(.*?)</small><pre[^>]*><code>(.*?)</code>", html)
    assert [(title, unescape(text.replace("<br>", "\n"))) for title, text in found] == [
        ("Arguments", '{\n  "n": 2,\n  "line": "x\\n"\n}'),
        ("Argument code", CODE),
        ("Argument a&lt;b", "x\n\ny"),
    ]
    assert f"Argument code\n\n```text\n{CODE}" in str(bundle["text/markdown"])


@pytest.mark.parametrize("sign", ["\r", "\x1b", "\u202e", "\u200b", "\x00"])
def test_a_text_with_signs_that_show_nothing(sign: str) -> None:
    """Such a text is not read as it stands: its lines could be others than one sees."""
    html = str(calls_bundle([ShownCall(use("run", {"code": f"x\n{sign}y"}))])["text/html"])

    assert "Argument code" not in html
    assert "x\\n" in html


def test_what_is_decided_on_is_whole() -> None:
    """The arguments of a call that the reader may refuse are not cut, as those of others are."""
    given = {"code": "x = 1; " * 1000 + "END", "more": [*range(1000)]}
    told = json.dumps(given, indent=2)
    whole = calls_bundle([ShownCall(use("run", given), is_open=True)])
    cut = calls_bundle([ShownCall(use("run", given), "done")])

    assert told.replace("\n", "<br>").replace('"', "") in str(whole["text/html"]).replace('"', "")
    assert told in str(whole["text/markdown"])
    assert max(len(str(each)) for each in cut.values()) < len(told) / 2
