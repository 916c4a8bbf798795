"""A notebook from a stranger: loading it sends nothing, shows nothing active, and tells all."""

import json
import os
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from support import corpora
from support.kernels import TURN, Cell, Kernel
from support.loopback import Loopback, streamed
from support.pages import Page
from test_hostile_text import acting, texts_of

PAYLOADS = corpora.payloads()
ESCAPES = corpora.escapes()
TEXT = "\n\n".join([*PAYLOADS, *ESCAPES])
NAME = " ".join(" ".join(text.split()) for text in [*PAYLOADS[:100], *ESCAPES])
HIDDEN = (1, 2, 3, 4, 6)
TAGS = {
    "a", "b", "blockquote", "br", "code", "del", "details", "div", "em", "h3", "h4", "h5", "h6",
    "hr", "i", "ins", "kbd", "li", "mark", "ol", "p", "pre", "s", "small", "span", "strong", "sub",
    "summary", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Loopback]:
    with Loopback(streamed()) as server:
        yield server


@pytest.fixture(scope="module")
def other() -> Iterator[Loopback]:
    """Where the file would like to lead."""
    with Loopback(streamed()) as server:
        yield server


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    folder = tmp_path_factory.mktemp("kernel")
    with Kernel(folder, {"JUPYTER_DATA_DIR": str(folder / "data")}) as kernel:
        yield kernel


def turn(number: int, conversation: str = "main", **more: object) -> dict[str, Any]:
    """A saved turn, hostile in all its texts."""
    content = [
        {"type": "thinking", "thinking": TEXT, "signature": NAME},
        {"type": "tool_use", "id": NAME, "name": NAME, "input": {NAME: TEXT}},
        {"type": "text", "text": f"answer {number} {TEXT}"},
    ]
    saved = {
        "version": 1, "id": NAME, "conversation": conversation, "number": number,
        "prompt": f"prompt {number} {TEXT}", "content": content, "context": NAME, "knew": NAME,
        "sent": 1, "status": "complete", "backend": "url", "model": NAME, "message_id": NAME,
        "asked": {"model": NAME, "system": TEXT, "max_tokens": 10**400, "base_url": NAME},
        "stop_reason": NAME, "usage": {"input_tokens": 10**400, "output_tokens": -1, NAME: NAME},
        "thinking_seconds": 1e300, "nth": 0, "replaces": [NAME],
        "state": {"begins": f"{conversation} begins", "changes": 10**300, "last": number},
    }  # fmt: skip
    return saved | more


def nested(depth: int) -> Any:
    return json.loads("[" * depth + "]" * depth)


def cell(name: str, source: str, *saved: object) -> dict[str, Any]:
    outputs = [
        {
            "output_type": "display_data",
            "data": {"text/html": "<p>Nothing to see.</p>", TURN: each},
            "metadata": {},
        }
        for each in saved
    ]
    return {
        "cell_type": "code", "id": name, "execution_count": 1, "metadata": {"base_url": NAME},
        "source": source, "outputs": outputs,
    }  # fmt: skip


def notebook(address: str) -> dict[str, Any]:
    """Turns that no reader sees, JSON that is no turn, and settings that are nobody's business."""
    settings = {"base_url": address, "MINIMAX_BASE_URL": address, "model": "X", "api_key": "k"}
    odd: list[object] = [
        None,
        True,
        7,
        "x",
        [],
        {},
        {"version": 9},
        {"version": "1"},
        {"turns": 7, "version": 1},
    ]
    return {
        "cells": [
            cell("load", "%load_ext mm_magic"),
            cell("a", "%%minimax\nhello", turn(1), turn(2, nth=1)),
            cell("b", "1 + 1", {"version": 1, "turns": [turn(3), turn(4, NAME)], "states": {}}),
            cell("c", "", *odd, turn(5, content=[{"type": "new", "of": nested(300)}])),
            cell("d", "", turn(6, settings=settings, endpoint=address, backend="minimax")),
            *({"cell_type": "code"}, {"cell_type": "markdown", "source": 7}, {"cell_type": None}),
        ],
        "metadata": {"mm_magic": settings, "minimax": settings, "MiniMax": settings},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


@pytest.fixture
def page(process: Kernel, tmp_path: Path, other: Loopback) -> Page:
    page = Page(tmp_path / "lesson.ipynb", tmp_path / "data", process)
    page.path.write_text(json.dumps(notebook(other.url)), "utf-8")
    return page


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def check_shown(cell: Cell) -> None:
    """What a cell shows holds no markup of the file's and no control character."""
    messages = [m["content"] for m in cell.messages if m["msg_type"] != "execute_input"]
    assert {char for text in texts_of(messages) for char in acting(text)} == set()
    for bundle in cell.displays:
        found = Tags(str(bundle.get("text/html", "")))
        assert found.tags <= TAGS
        assert found.attributes <= {
            "align", "class", "dir", "href", "open", "rel", "scope", "start", "style", "target",
            "title",
        }  # fmt: skip


def test_loading_sends_nothing_and_tells_what_is_there(
    page: Page, server: Loopback, other: Loopback
) -> None:
    """An untrusted file is counted and not sent; what `restore` takes in is listed, with the turns
    that the page does not show; only then a cell sends them, to nobody but the user's server."""
    before = len(server.requests)
    told = page.load(server.url)
    assert f"holds {len(HIDDEN)} earlier turns" in told
    assert "not trust" in told
    restored = page.run("restore", f'%minimax restore "{page.path}"')
    history = page.run("history", "%minimax history")
    shown = page.run("show", "%minimax show 1")
    state = page.run("state", "%minimax")
    for each in (restored, history, shown, state):
        assert each.status == "ok", each.traceback
        check_shown(each)
    assert restored.shown.count("not visible on its page") == len(HIDDEN)
    assert "nested too deeply" in restored.shown
    assert "your own server" in state.shown
    assert len(server.requests) == before
    sent = page.ask("new", "And now?")
    assert sent.status == "ok"
    assert len(server.requests) == before + 1
    assert server.requests[-1].json["model"] == "MiniMax-M2.7"
    assert "system" not in server.requests[-1].json
    assert not other.connections


def test_no_json_is_too_odd_to_load(page: Page, server: Loopback) -> None:
    """Files that are no notebooks, or broken ones, are one sentence at most."""
    before = len(server.requests)
    deep = "[" * 100_000
    hidden = f'"{TURN}"'
    for text in (
        "", "{", "null", "[]", "7", deep, f'{{"cells": {deep}', '{"cells": {}}', '{"nbformat": 4}',
        '{"nbformat": 99, "cells": []}', '{"nbformat": "4", "cells": [7, null, [], {}]}',
        '{"nbformat": 4, "cells": [{"cell_type": "code", "outputs": [{"data": {"a": ' + deep,
        '{"nbformat": 4, "cells": [{"cell_type": "code", "outputs": 7, "source": [7]}]}',
        '{"nbformat": 1e999, "cells": NaN}', "\ufeff{}", "\0",
    ):  # fmt: skip
        page.path.write_text(text + hidden, "utf-8")
        loaded = page.load(server.url)
        restored = page.run("restore", f'%minimax restore "{page.path}"')
        assert "Traceback" not in loaded
        assert (text[:40], restored.ename) == (text[:40], "UsageError")
        check_shown(restored)
    assert len(server.requests) == before


def test_file_names_nobody_else_s_file(page: Page, server: Loopback, tmp_path: Path) -> None:
    """A pipe, a device, a folder and a file too large are refused at once, by their names."""
    page.load(server.url)
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(10**9)
    for name in ("pipe", "large", ".", "missing"):
        restored = page.run("restore", f'%minimax restore "{tmp_path / name}"')
        assert (name, restored.ename) == (name, "UsageError")
