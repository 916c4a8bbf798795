"""Files that a stranger made: whatever stands in any place of a saved turn or of a line of a
recording is read, or left out with its reason. It never raises anything but a MiniMaxError."""

import json
import math
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from support.asks import ask_of
from support.odd import DEEP, VALUES, changed, places
from support.replays import NIGHT, WHY, Kernel, recorded, run_all, saved_in

from mm_magic.cli.extract import FORMATS, rows_of
from mm_magic.conversation.notebook_file import read as read_notebook
from mm_magic.conversation.stored import pasts
from mm_magic.conversation.turn import TURN_MIME
from mm_magic.errors import MiniMaxError
from mm_magic.jupyter.resume import latest, take_in
from mm_magic.jupyter.views.finished import status_of
from mm_magic.protocol.json_values import JsonObject
from mm_magic.rendering.bundles import answer_bundle
from mm_magic.session.notebook_as_recording import answers_of
from mm_magic.session.replaying import Replaying
from mm_magic.transport.recording.player import Replay
from mm_magic.transport.recording.reader import read as read_recording

every_value = pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)


def notebook_of(turn: JsonObject) -> bytes:
    """A notebook that holds this JSON as a turn."""
    wire = json.loads(saved_in(recorded_turns()))
    wire["cells"][0]["outputs"][0]["data"][TURN_MIME] = turn
    return json.dumps(wire).encode()


def recorded_turns() -> Kernel:
    kernel = Kernel()
    run_all(kernel, [WHY, NIGHT])
    return kernel


def a_turn() -> dict[str, Any]:
    """A saved turn with all that one may have: other answers, a first try, pictures, tools."""
    wire = json.loads(saved_in(recorded_turns()))
    turn: dict[str, Any] = wire["cells"][0]["outputs"][0]["data"][TURN_MIME]
    picture = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
    error = {"kind": "server", "message": "no"}
    other = {**turn, "id": "other", "answer": 2, "error": error}
    tools = [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "t", "name": "n", "input": {}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "7"}]},
    ]
    server = [
        {"type": "server_tool_use", "id": "s", "name": "search", "input": {"q": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
    ]
    turn["steps"][-1]["content"][:0] = server
    return turn | {
        "steps": [*tools, *turn["steps"]],
        "prompt": [{"type": "text", "text": "Why?"}, {"type": "image", "source": picture}],
        "answer": 1,
        "answers": [other],
        "asked": {"model": "M", "temperature": 0.5, "thinking": {"type": "adaptive"}},
        "said": ["temperature"],
        "first_try": {"problem": "no JSON", "text": "x", "usage": {"output_tokens": 1}},
        "recorded": {"backend": "url", "day": "2026-11-20"},
        "problem": "",
        "copy_of": 1,
        "nth": 0,
        "replaces": ["1"],
        "sample": 1,
        "seconds": 1.5,
    }


@every_value
def test_any_place_of_a_saved_turn(value: Any) -> None:
    """The turn is taken in, drawn, extracted and sent, or counted with the reason why not."""
    turn, found = a_turn(), Counter[bool]()
    for place in places(turn):
        notebook = read_notebook(notebook_of(changed(turn, place, value)))
        kernel = Kernel(MINIMAX_BASE_URL="http://a.invalid")
        session = kernel.session
        take_in(session, latest(session, pasts(notebook)), "a.ipynb")
        session.requests.saved.take_in(partial(answers_of, notebook))
        for each in session.conversations.turns():
            answer_bundle(each.reply.text)
            status_of(each, session.conversations.state_of(each), [])
        for form in FORMATS.values():
            form(rows_of(notebook, "a.ipynb")).encode()
        session.cells.begin("new")
        json.loads(session.turns.request(ask_of("And now?", session.options)).request.encode())
        found[bool(notebook.unreadable)] += 1
    assert found[True] > 0
    assert found[False] > 0 or value == DEEP


@every_value
def test_any_place_of_a_recorded_line(value: Any, tmp_path: Path) -> None:
    """The answer comes, or the line is damaged, or the error is one of ours; the line beside it
    stays whole."""
    path = tmp_path / "r.jsonl"
    recorded(path, WHY, NIGHT)
    head, first, second = path.read_bytes().splitlines()
    line, outcomes = json.loads(first), Counter[str]()
    for place in places(line):
        odd = json.dumps(changed(line, place, value)).encode()
        found = read_recording(b"\n".join([head, odd, second]), "r")
        assert len(found.exchanges) + len(found.damaged) == 2
        assert found.exchanges[-1].to_line() == second
        outcomes["damaged"] += len(found.damaged)
        kernel = Kernel()
        kernel.session.replay(Replaying(Replay(found.exchanges), "r", math.inf))
        try:
            kernel.run(WHY)
            outcomes["answered"] += 1
        except MiniMaxError:
            outcomes["refused"] += 1
        assert kernel.service.requests == []
    assert outcomes["damaged"]
    assert outcomes["refused"]
    assert outcomes["answered"] or value == DEEP
