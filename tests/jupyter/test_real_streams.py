"""Streams as servers really send them, from a socket to what is drawn under the cell."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest
from support.asks import ask_of
from support.hostile import is_there, load
from support.loopback import END, Loopback, Step, captured, chunk, delta, head, pause, sse, streamed
from support.shells import Shell, fresh_shell

import mm_magic.session.run
from mm_magic.conversation.reply import Reply
from mm_magic.jupyter.views.page import Final, Live
from mm_magic.rendering.bundles import Bundle, finished_bundles, line_bundle
from mm_magic.session.session import Session
from mm_magic.transport.body import Clocks
from mm_magic.transport.client import Client

FILE = "real-world/streams.json"
KINDS = ("K12", "K13", "K19", "K20")
CASES = {
    case["id"]: case for case in (load(FILE) if is_there(FILE) else []) if case["kind"] in KINDS
}


class Page:
    """A screen that keeps what each display shows."""

    def __init__(self) -> None:
        self.shown: dict[str, Bundle] = {}

    def show(self, slot: str, bundle: Bundle, *, update: bool) -> None:
        assert update == (slot in self.shown)
        self.shown[slot] = bundle

    @property
    def html(self) -> str:
        return "\n".join(str(bundle["text/html"]) for bundle in self.shown.values())


@dataclass
class Drawn:
    """A reply, its notes, and what is drawn of it: as it grows with nothing final yet, in the end,
    and where it is drawn once."""

    reply: Reply
    notes: list[str]
    growing: str
    live: str
    final: str


def draw(steps: list[Step], clocks: Clocks | None = None) -> Drawn:
    """Ask a server that answers with these steps, and draw what comes."""
    pages = Page(), Page()
    ticking: Iterator[int] = iter(range(1_000_000))
    live, final = Live(pages[0], clock=lambda: float(next(ticking))), Final(pages[1])

    async def main(session: Session) -> mm_magic.session.run.Run:
        run = session.turns.start(ask_of("Hi"))
        async with aclosing(session.turns.steps(run)) as arriving:
            async for step in arriving:
                assert isinstance(step, mm_magic.session.run.Step)
                for view in (live, final):
                    view.update(*step.growth)
        return run

    with Loopback([*steps]) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        session.client = Client(clocks=clocks)
        run = asyncio.run(main(session))
    live.tick("")
    growing = pages[0].html
    for view in (live, final):
        view.thinking_done("Thinking")
        view.finish(line_bundle("done"))
    return Drawn(run.reply(), run.notes, growing, *(page.html for page in pages))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_real_stream(case: dict[str, Any]) -> None:
    """Each stream of the corpus gives the text, the status and the drawing that are due."""
    steps: list[Step] = [head()]
    for seconds, what, *times in case["steps"]:
        body = what.encode() if isinstance(what, str) else sse(*what)
        steps += [pause(seconds), chunk(body)] * (times or [1])[0]
    patience = case.get("patience", 60)
    got = draw([*steps, END], Clocks(silence=patience, progress=patience))

    assert case.get("status", "complete") == got.reply.status
    assert case.get("text", got.reply.text) == got.reply.text
    assert got.notes == []
    for html in (got.growing, got.live, got.final):
        assert re.search(case.get("html", ""), html)


THOUGHT = {"type": "thinking", "thinking": "It is sorted."}
CODE = "```python\nx = 1\n```"


def answer(*contents: Any) -> list[dict[str, Any]]:
    """The events of an answer with these blocks; text comes in deltas of five characters."""
    begin, ping, *_, end, stop = captured()
    events = [begin, ping]
    for index, content in enumerate(contents):
        block = {"type": "text", "text": ""} if isinstance(content, str) else content
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        if isinstance(content, str):
            parts = [content[at : at + 5] for at in range(0, len(content), 5)]
            events += [delta(index, "text_delta", text=part) for part in parts]
        events.append({"type": "content_block_stop", "index": index})
    return [*events, end, stop]


def test_paragraphs_are_drawn_as_they_are_read() -> None:
    """A heading, a list and code that thinking or a call separates are drawn as what they are."""
    call = {"type": "tool_use", "id": "1", "name": "f", "input": {}}
    got = draw(streamed(answer("Let me see:", THOUGHT, "# Result", call, "- one", THOUGHT, CODE)))

    assert got.reply.text == f"Let me see:\n\n# Result\n\n- one\n\n{CODE}"
    for html in (got.growing, got.live, got.final):
        assert re.search(r"<h\d[^>]*>.*Result", html)
        assert "<li" in html
        assert "highlight" in html
    assert got.live == got.final
    parts = finished_bundles(got.reply.thinking, "Thinking", got.reply.text, hide_thinking=False)
    assert got.final.startswith("\n".join(str(bundle["text/html"]) for bundle in parts))


def test_content_of_message_start_is_drawn() -> None:
    """An answer that stands in message_start is drawn, while it streams and in the end."""
    begin, *_, end, stop = captured()
    begin["message"]["content"] = [THOUGHT, {"type": "text", "text": "# All of it"}]
    got = draw(streamed([begin, end, stop]))

    assert (got.reply.thinking, got.reply.text) == ("It is sorted.", "# All of it")
    for html in (got.growing, got.live, got.final):
        assert re.search(r"<h\d[^>]*>.*All of it", html)
    assert "It is sorted." in got.live


@pytest.mark.parametrize(
    "line",
    [
        *("data: [DONE]", "data: [done]", "data:", "data:  ", "data: null", "\ufeffdata: [DONE]"),
        *(": bye", "event: done", "event: done\ndata: [DONE]", "event: done\ndata: {}"),
        'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}',
        'data: {"object":"chat.completion.chunk","choices":[],"usage":{"total_tokens":9}}',
    ],
)
@pytest.mark.parametrize("place", ["first", "amid", "last"])
def test_lines_that_say_nothing_get_no_word(line: str, place: str) -> None:
    """A proxy's last line, or an empty one, is not worth a word, wherever it stands."""
    parts = [chunk(sse(event)) for event in captured()[:-1]]
    parts.insert({"first": 0, "amid": 8, "last": len(parts)}[place], chunk(f"{line}\n\n".encode()))
    got = draw([head(), *parts, END])

    assert (got.reply.status, got.notes) == ("complete", [])
    assert got.reply.text == "\n\nRayleigh scattering."


def test_an_answer_of_nothing_but_an_end_is_asked_again() -> None:
    """A server that only says [DONE] has not answered: the next try may."""
    with Loopback([head(), chunk(b"data: [DONE]\n\n"), END], streamed()) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        session.client = Client(jitter=lambda: 0.0)

        async def main() -> Reply:
            run = session.turns.start(ask_of("Hi"))
            async with aclosing(session.turns.steps(run)) as steps:
                async for _ in steps:
                    pass
            return run.reply()

        assert asyncio.run(main()).status == "complete"
        assert len(server.requests) == 2


# In a shell


@pytest.fixture
def shell() -> Iterator[Shell]:
    with fresh_shell() as shell:
        yield shell


def test_code_behind_thinking_becomes_the_next_input(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`%minimax code` finds code that thinking stood before and after."""
    with Loopback(streamed(answer("So:", THOUGHT, CODE, THOUGHT, "Done."))) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        shell.run("%%minimax\nHow?")
    shell.run("%minimax code")
    assert shell.ip.rl_next_input == "x = 1"
