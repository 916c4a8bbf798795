"""The two file formats that docs/formats.md describes: what is written agrees with the schemas.

docs/schemas/ holds them as JSON Schema. They are checked against files of version 0.1, against what
this release writes, and against the example notebooks. Something damaged must fail.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support.asks import said
from support.images import plain_image
from support.recordings import EXCHANGE
from support.replays import ALONE, NIGHT, WHY, Kernel, replaying
from support.scripted import Answer, ScriptedSession, Service

from mm_magic.conversation.reply import Origin
from mm_magic.conversation.saved_turn import (
    UnreadableTurn,
    pick_json,
    read_picks,
    read_record,
    read_turn,
    record_json,
    turn_json,
)
from mm_magic.conversation.turn import TURN_MIME, Failure
from mm_magic.errors import MiniMaxError
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.request_key import RequestKey
from mm_magic.session.variants import variants
from mm_magic.transport.recording import file_format
from mm_magic.transport.recording.reader import read
from mm_magic.transport.recording.writer import Recorder, append, begin

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SAMPLES = ROOT / "tests" / "data" / "v0_1"
NOTEBOOKS = [*sorted(SAMPLES.glob("*.ipynb")), *sorted((ROOT / "notebooks").glob("*.ipynb"))]
RECORDINGS = sorted(SAMPLES.glob("*.jsonl"))
ANSWER = Answer(
    "whole",
    ({"type": "thinking", "thinking": "Hm.", "signature": "5f"}, {"type": "text", "text": "Blue."}),
)

Wire = dict[str, Any]
Damage = Callable[[Wire], object]


def schema(name: str) -> Draft202012Validator:
    """The validator of one schema."""
    found = json.loads((DOCS / "schemas" / f"{name}.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(found)
    return Draft202012Validator(found)


TURN, LINE = schema("turn"), schema("recording-line")


def problems(validator: Draft202012Validator, value: object) -> list[str]:
    """What a schema has against a value, with the place of each."""
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def saved_in(path: Path) -> list[Wire]:
    """The turns and the records in the outputs of a notebook."""
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return [
        output["data"][TURN_MIME]
        for cell in cells
        for output in cell.get("outputs", [])
        if TURN_MIME in output.get("data", {})
    ]


def lines_of(path: Path) -> list[Wire]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def asked_and_recorded(path: Path) -> list[Wire]:
    """The saved turns of a session that records into `path`: two of "main", one alone.

    One more request is refused, so that the file holds a failure, too.
    """
    service = Service()
    service.next_answer = ANSWER
    session = ScriptedSession(service)
    session.variables["MINIMAX_BASE_URL"] = "http://a.invalid"
    begin(path, path.name)
    session.recordings.recorder = Recorder(path, path.name)

    async def ask_all() -> None:
        await session.turns.ask("Why is the sky blue?", said(temperature=0.3), alone=False)
        await session.turns.ask("And at night?", said(), alone=False)
        service.next_answer = Answer("refused")
        with pytest.raises(MiniMaxError):
            await session.turns.ask("And on Mars?", said(retries=0), alone=False)

    asyncio.run(ask_all())
    conversation = session.conversations["main"]
    turns = [turn_json(turn, conversation.state) for turn in conversation.turns]
    alone = replace(conversation.turns[0], conversation=None, number=0)
    return [*turns, turn_json(alone, None, is_copy=True)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Wire], list[Wire]]:
    """What this release writes: saved turns, and the lines of a recording."""
    path = tmp_path_factory.mktemp("written") / "lesson.jsonl"
    turns = asked_and_recorded(path)
    return turns, lines_of(path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_turns_of_a_notebook_follow_the_schema(path: Path) -> None:
    """All that the notebooks of version 0.1 and the example notebooks hold follows the schema."""
    saved = saved_in(path)

    assert saved != []
    assert [problem for each in saved for problem in problems(TURN, each)] == []


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recordings_of_version_1_follow_the_schema(path: Path) -> None:
    """Every line of version 0.1's recordings follows the schema."""
    assert [problem for line in lines_of(path) for problem in problems(LINE, line)] == []


def test_several_answers_follow_the_schema() -> None:
    """A turn with other answers beside it, one of which failed, follows the schema."""
    service = Service()
    service.next_answer = ANSWER
    session = ScriptedSession(service)
    session.variables["MINIMAX_BASE_URL"] = "http://a.invalid"
    asked = [*variants(said(), {"temperature": (0.1, 1.0)}, 2)]
    asyncio.run(session.comparisons.ask("Why?", asked, alone=False))
    (turn,) = session.conversations["main"].turns
    lost = replace(turn.others[0], failure=Failure("rate_limit", "slow down"))
    wire: Wire = turn_json(replace(turn, others=(lost, *turn.others[1:])), None)

    assert problems(TURN, wire) == []
    there = session.conversations["main"]
    now, _ = session.edits.pick(2, is_drawn=True)
    pick = pick_json(there.picks[-1], now)
    record: Wire = record_json([], [("main", there.state)], [pick])
    assert record["states"]["main"]["picks"] == [[1, 1]]
    assert pick == {"conversation": "main", "turn": turn.id, "answer": 2, "change": 1}
    assert problems(TURN, record) == []
    for missing in pick:
        less = {name: value for name, value in pick.items() if name != missing}
        assert problems(TURN, record | {"picks": [less]}) != []
        assert read_picks({"picks": [less]}) == [] or missing == "change"
    damages: list[Wire] = [{"answer": 0}, {"steps": []}, {"error": {}}, {"request_key": "x"}]
    for damage in damages:
        damaged = deepcopy(wire)
        damaged["answers"][0] |= damage
        assert problems(TURN, damaged) != []


def test_turns_written_today_follow_the_schema(written: tuple[list[Wire], list[Wire]]) -> None:
    """Saved turns and a record of them are of version 2, follow the schema, and can be read."""
    turns, _ = written
    state = read_turn(turns[1]).state
    record = record_json(turns, [("main", state)])

    assert [each["version"] for each in (*turns, record)] == [2] * 4
    assert [problem for each in (*turns, record) for problem in problems(TURN, each)] == []
    assert read_record(record) == (turns, {"main": state})


def test_lines_written_today_follow_the_schema(written: tuple[list[Wire], list[Wire]]) -> None:
    """The first line of a new recording, answers and a refusal follow the schema."""
    _, lines = written

    assert lines[0] == {"format": "mm_magic recording", "version": 2}
    assert [line["ending"] for line in lines[1:]] == ["complete", "complete", "failed"]
    assert [problem for line in lines for problem in problems(LINE, line)] == []


def test_turns_of_all_sorts_follow_the_schema(tmp_path: Path) -> None:
    """So do turns that were stopped, hidden, run again, asked of the demo, or replayed."""
    kernel = Kernel()
    kernel.record(tmp_path / "r")
    said_all = replace(NIGHT, temperature=0.3, system="Be brief.", model="MiniMax-M3")
    for cell in (WHY, WHY, said_all, replace(ALONE, server="demo")):
        kernel.run(cell)
    kernel.service.stop = lambda: kernel.session.running.runs[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        kernel.run(replace(WHY, prompt="Stop?", id="s", ending="stopped"))
    kernel.session.turns.stop(kernel.last_run)
    kernel.session.conversations.hide(["a"])
    again = replaying(tmp_path / "r", is_loose=True)
    again.run(said_all)

    for session in (kernel.session, again.session):
        state = session.conversations["main"].state
        turns = [turn_json(each, state) for each in session.conversations.turns()]
        record = record_json(turns, [("main", state)])
        assert [problem for each in (*turns, record) for problem in problems(TURN, each)] == []
    lines = lines_of(tmp_path / "r")
    assert lines[-1]["ending"] == "stopped"
    assert [problem for line in lines for problem in problems(LINE, line)] == []


def test_pictures_follow_the_schema(tmp_path: Path) -> None:
    """So do turns and lines whose prompt has a picture, and those behind such a turn."""
    kernel = Kernel()
    kernel.run(WHY)
    prompt = Prompt.of(["What is", plain_image(), "?"])
    (turn,) = kernel.session.conversations.turns()
    turn = replace(turn, prompt=prompt)
    origin = Origin("url", is_of_other_picture=True)
    replayed = replace(turn, reply=replace(turn.reply, backend="recorded", origin=origin))
    for each in (turn, replayed):
        saved = turn_json(each, None)
        assert problems(TURN, saved) == []
        assert read_turn(saved).turn.reply.origin == each.reply.origin

    keys = (
        RequestKey({}, (), prompt.message()),
        RequestKey({}, (turn.prints,), {"role": "user", "content": "Why?"}),
    )
    begin(tmp_path / "r", "r")
    for key in keys:
        append(tmp_path / "r", replace(EXCHANGE, key=key).to_line())
    assert [problem for line in lines_of(tmp_path / "r") for problem in problems(LINE, line)] == []
    read_again = read((tmp_path / "r").read_bytes(), "r").exchanges
    assert [each.key.hash for each in read_again] == [key.hash for key in keys]


def test_read_that_ends_within_a_character_follows_the_schema() -> None:
    """Bytes that are no text follow the schema as base64."""
    line = json.loads(EXCHANGE.to_line())

    assert line["reads"][-1][1] == {"base64": "4g=="}
    assert problems(LINE, line) == []


CALL = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
STEPS = [
    {"role": "assistant", "content": [CALL]},
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "Blue."}]},
]
PICTURE = [{"type": "text", "text": "Why?"}, {"type": "image", "source": {"type": "base64"}}]


@pytest.mark.parametrize("more", [{"steps": STEPS}, {"prompt": PICTURE}, {"x_note": ["fair"]}])
def test_turn_survives_a_round_trip(more: Wire, written: tuple[list[Wire], list[Wire]]) -> None:
    """Steps, blocks in a prompt, and fields that no release knows yet are read and written."""
    wire = written[0][0] | more
    saved = read_turn(wire)

    assert problems(TURN, wire) == []
    assert turn_json(saved.turn, saved.state) == wire | {"id": saved.turn.id}


def test_key_is_made_as_described() -> None:
    """A key can be made again from its line by what docs/formats.md says of it."""
    page = (DOCS / "formats.md").read_text("utf-8")
    (recording,) = re.findall(r"```jsonl\n(.*?)```", page, re.DOTALL)
    for line in map(json.loads, recording.splitlines()[1:]):
        request = line["request"]
        turns = ";".join(map(",".join, request["earlier"]))
        asked = json.dumps([request["options"], request["prompt"], turns], sort_keys=True)
        assert line["key"] == hashlib.sha256(asked.encode()).hexdigest()[:16]


def test_every_field_is_described(written: tuple[list[Wire], list[Wire]]) -> None:
    """A field that is written is a property in its schema, and docs/formats.md explains it."""
    turns, lines = written
    page = (DOCS / "formats.md").read_text("utf-8")
    known = TURN.schema["$defs"]["turn"]
    exchange = LINE.schema["$defs"]["exchange"]
    described = {
        "turn": known["properties"].keys() | known["allOf"][1]["else"]["properties"].keys(),
        "line": exchange["properties"].keys() | exchange["else"]["properties"].keys(),
    }

    assert {name for turn in turns for name in turn} - described["turn"] == set()
    assert {name for line in lines[1:] for name in line} - described["line"] == set()
    undocumented = {n for names in described.values() for n in names if f"| `{n}` |" not in page}
    assert undocumented == set()


def test_examples_of_the_page_follow_the_schemas() -> None:
    """The examples in docs/formats.md are whole and right, and this release reads them."""
    page = (DOCS / "formats.md").read_text("utf-8")
    turn, picked, record, recording = re.findall(r"```json[l]?\n(.*?)```", page, re.DOTALL)
    lines = [json.loads(line) for line in recording.splitlines()]

    assert problems(TURN, json.loads(turn)) == []
    assert problems(TURN, json.loads(picked)) == []
    assert problems(TURN, json.loads(record)) == []
    assert json.loads(picked)["picks"][0]["turn"] == json.loads(turn)["id"]
    assert [problem for line in lines for problem in problems(LINE, line)] == []
    assert read_turn(json.loads(turn)).turn.reply.text == "Air scatters blue light most."
    read_record(json.loads(record))
    assert read(recording.encode(), "example").damaged == ()


DAMAGED_TURNS: dict[str, Damage] = {
    "no version": lambda turn: turn.pop("version"),
    "a version of the future": lambda turn: turn.update(version=3),
    "no prompt": lambda turn: turn.pop("prompt"),
    "a prompt that is a number": lambda turn: turn.update(prompt=7),
    "no content": lambda turn: turn.pop("steps" if turn["version"] == 2 else "content"),
    "content that is text": lambda turn: turn.update(steps="Blue.", content="Blue."),
    "an unknown status": lambda turn: turn.update(status="fine"),
    "an unknown backend": lambda turn: turn.update(backend="elsewhere"),
    "a blank conversation": lambda turn: turn.update(conversation=" "),
    "a number without a conversation": lambda turn: turn.update(conversation=None),
    "a conversation without a number": lambda turn: turn.update(number=0),
    "a number below zero": lambda turn: turn.update(number=-1),
}
DAMAGED_LINES: dict[str, Damage] = {
    "no request": lambda line: line.pop("request"),
    "no prompt": lambda line: line["request"].update(prompt=None, messages=[]),
    "a message that is none": lambda line: line["request"].update(earlier=[[7]], messages=[7]),
    "no answer": lambda line: line.pop("reads"),
    "a read that is none": lambda line: line["reads"].append(["soon", "data"]),
    "a read before the request": lambda line: line["reads"].append([-1, "data"]),
    "a read of three": lambda line: line["reads"].append([0.1, "data", "more"]),
    "no HTTP status": lambda line: line.update(status=7),
    "an unknown ending": lambda line: line.update(ending="happy"),
    "an unknown backend": lambda line: line.update(backend="elsewhere"),
}


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("damage", DAMAGED_TURNS.values(), ids=DAMAGED_TURNS.keys())
def test_damaged_turn_fails(
    damage: Damage, version: int, written: tuple[list[Wire], list[Wire]]
) -> None:
    """A damaged turn fails both the schema and this release's reader, alone and in a record."""
    turn = deepcopy(written[0][0] if version == 2 else saved_in(SAMPLES / "lesson.ipynb")[0])
    assert turn["version"] == version
    damage(turn)

    assert problems(TURN, turn) != []
    assert problems(TURN, {"version": version, "turns": [turn], "states": {}}) != []
    with pytest.raises(UnreadableTurn):
        read_turn(turn)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("damage", DAMAGED_LINES.values(), ids=DAMAGED_LINES.keys())
def test_damaged_line_fails(
    damage: Damage, version: int, written: tuple[list[Wire], list[Wire]]
) -> None:
    """A damaged line fails both the schema and this release's reader."""
    line = deepcopy(written[1][1] if version == 2 else lines_of(SAMPLES / "lesson.jsonl")[1])
    assert ("hash" in line) == (version == 1)
    damage(line)

    assert problems(LINE, line) != []
    data = file_format.header() + b"\n" + json.dumps(line).encode()
    assert [number for number, _ in read(data, "r").damaged] == [2]


def test_unknown_fields_are_allowed(written: tuple[list[Wire], list[Wire]]) -> None:
    """A field of a later release, or of somebody else, breaks no schema."""
    turns, lines = written

    assert problems(TURN, turns[0] | {"x_note": [1]}) == []
    assert problems(LINE, lines[1] | {"x_note": [1], "hash": [1]}) == []
