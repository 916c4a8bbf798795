"""JSON nested deep enough to exhaust Python's stack, wherever a server or a file can put it."""

import asyncio
import json
from typing import Any

import nbformat.v4
import pytest
from support.loopback import END, Answer, Loopback, captured, chunk, head, send, sse
from support.security_page import SECURITY_PAGE

from mm_magic.conversation.saved_turn import UnreadableTurn, read_turn, turn_json
from mm_magic.errors import MiniMaxError
from mm_magic.protocol.json_values import MAX_NESTING, parse_json
from mm_magic.session.options import Options
from mm_magic.session.session import Session

pytestmark = pytest.mark.filterwarnings("ignore:.* of the answer could not be read")

V4: Any = nbformat.v4  # its functions have no annotations
DEPTHS = [MAX_NESTING - 5, MAX_NESTING + 1, 450, 950, 3000, 100_000]
KINDS = {"arrays": ("[", "1", "]"), "objects": ('{"a":', "1", "}")}
PLACE = '"here"'
TEXT = "\n\nRayleigh scattering."


def nested(kind: str, depth: int) -> str:
    opening, inside, closing = KINDS[kind]
    return opening * depth + inside + closing * depth


def test_the_page_names_the_depth() -> None:
    """docs/security.md says how deep the deepest JSON is."""
    assert f"JSON nested up to {max(DEPTHS):,} deep" in SECURITY_PAGE


def whole(status: int, text: str) -> Answer:
    data = text.encode()
    return [head(status, "application/json", length=len(data)), send(data)]


def with_event(event: dict[str, Any], at: int = -2) -> str:
    events = captured()
    return sse(*events[:at], event, *events[at:]).decode()


def block(**content: object) -> dict[str, Any]:
    return {"type": "content_block_start", "index": 2, "content_block": content}


ERROR = {"type": "error", "error": {"message": "no (2013)", "why": "here"}}
TOOL = {"type": "tool_use", "id": "t", "name": "n"}
SAID = {"type": "text", "text": TEXT}
PLACES: dict[str, tuple[int, str]] = {
    "unknown block": (200, with_event(block(type="new", of="here"))),
    "tool input": (200, with_event(block(**TOOL, input={"a": "here"}))),
    "unknown event": (200, with_event({"type": "new", "of": "here"})),
    "half a character beside it": (200, with_event(block(type="new", a="HALF", of="here"))),
    "usage": (200, with_event({"type": "message_delta", "delta": {}, "usage": {"x": "here"}})),
    "error event": (200, with_event(ERROR)),
    "first event": (200, with_event(ERROR, at=0)),
    "whole answer": (200, json.dumps({"content": [{"type": "new", "of": "here"}, SAID]})),
    "error body": (400, json.dumps(ERROR)),
}


def answer(place: str, inside: str) -> Answer:
    status, text = PLACES[place]
    assert PLACE in text
    text = text.replace(PLACE, inside).replace("HALF", r"\ud83d")
    return [head(), chunk(text.encode()), END] if text.startswith("event") else whole(status, text)


def asked(url: str, times: int = 1) -> tuple[Session, MiniMaxError | None]:
    """The session after so many questions, and the error of the last."""
    session, failed = Session({"MINIMAX_BASE_URL": url}), None
    for _ in range(times):
        try:
            asyncio.run(session.turns.ask("Hi", Options(retries=0), alone=False))
        except MiniMaxError as error:
            failed = error
    return session, failed


def saved_file(session: Session) -> str:
    """A notebook with the turns of a session, as Jupyter writes it."""
    turns = [turn_json(turn, None) for turn in session.conversations.named("main").turns]
    outputs = [V4.new_output("display_data", {"application/x+json": turn}) for turn in turns]
    written: str = V4.writes(V4.new_notebook(cells=[V4.new_code_cell("x", outputs=outputs)]))
    return written


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_deep_json_is_kept_or_an_error(place: str, kind: str, depth: int) -> None:
    """What can be walked through is kept, sent again and saved; deeper JSON is left out, or is an
    error with its kind, and what came before it stays."""
    with Loopback(answer(place, nested(kind, depth))) as server:
        session, error = asked(server.url, times=2)

    if error is None:
        assert [turn.reply.text for turn in session.conversations.named("main").turns] == [TEXT] * 2
        assert TEXT.strip() in saved_file(session)
    elif place == "error event" and error.reply is not None:
        assert error.reply.text == TEXT
        assert error.kind == "bad_request"
    else:
        assert error.kind in ("protocol", "bad_request")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [*DEPTHS, MAX_NESTING])
def test_deep_tool_input_that_came_in_pieces_stays_text(depth: int, kind: str) -> None:
    """The arguments of a tool call are kept: parsed, or as the text that came."""
    text = f'{{"a":{nested(kind, depth - 1)}}}'
    events = captured()
    tool = [block(**TOOL, input={})]
    for at in range(0, len(text), 30_000):
        piece = {"type": "input_json_delta", "partial_json": text[at : at + 30_000]}
        tool.append({"type": "content_block_delta", "index": 2, "delta": piece})
    with Loopback([head(), chunk(sse(*events[:-2], *tool, *events[-2:])), END]) as server:
        session, error = asked(server.url)

    assert error is None
    (turn,) = session.conversations.named("main").turns
    kept = turn.reply.content[2]["input"]
    assert kept == (json.loads(text) if depth <= MAX_NESTING else text)
    assert read_turn(json.loads(json.dumps(turn_json(turn, None)))).turn.id == turn.id
    assert TEXT.strip() in saved_file(session)


def test_many_brackets_are_not_depth() -> None:
    """JSON that is wide, or whose strings are full of brackets, is read however long it is."""
    for value in ([[1]] * 10_000, "[{" * 10_000, {"a": ["[" * 500, {"b": "{" * 500}]}):
        assert parse_json(json.dumps(value)) == value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [2 * MAX_NESTING, 450, 900])
def test_deep_turn_of_a_file_is_not_read(depth: int, kind: str) -> None:
    """A saved turn that is nested too deeply is refused in words."""
    deep = json.loads(nested(kind, depth))
    turn = {"version": 1, "conversation": "main", "number": 1, "prompt": "p", "status": "complete"}
    turn |= {"backend": "url", "content": [{"type": "new", "of": deep}]}
    with pytest.raises(UnreadableTurn, match="nested"):
        read_turn(turn)
