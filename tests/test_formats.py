"""docs/formats.md and its schemas: they hold for what is written today, and for version 0.1."""

import asyncio
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from support.recordings import EXCHANGE, file_of
from support.replays import ALONE, NIGHT, WHY, Kernel, replaying

from mm_magic.conversation.saved_turn import UnreadableTurn, read_turn, record_json, turn_json
from mm_magic.conversation.turn import TURN_MIME
from mm_magic.errors import MiniMaxError
from mm_magic.transport.recording.file_format import header
from mm_magic.transport.recording.reader import read

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "tests" / "data" / "v0_1"
NOTEBOOKS = [*SAMPLES.glob("*.ipynb"), *(ROOT / "notebooks").glob("*.ipynb")]
SCHEMAS = ROOT / "docs" / "schemas"
GUIDE = (ROOT / "docs" / "formats.md").read_text("utf-8")


def validator(name: str) -> Any:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


TURN, LINE = validator("turn"), validator("recording-line")


def wires_of(data: bytes) -> list[Any]:
    """The lines of a recording, as JSON."""
    return [json.loads(line) for line in data.splitlines()]


def saved_in(path: Path) -> Iterator[Any]:
    """What the cells of a notebook file hold under our MIME type."""
    for cell in json.loads(path.read_text("utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            if TURN_MIME in output.get("data", {}):
                yield output["data"][TURN_MIME]


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


# What was written before


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebooks(path: Path) -> None:
    """All that the example notebooks and those of version 0.1 hold is as the schema says."""
    saved = list(saved_in(path))
    assert saved
    for wire in saved:
        TURN.validate(wire)


@pytest.mark.parametrize("name", ["lesson.jsonl", "simple.jsonl"])
def test_recordings_of_version_1(name: str) -> None:
    """So is each line of the recordings of version 0.1."""
    for wire in wires_of((SAMPLES / name).read_bytes()):
        LINE.validate(wire)


# What is written today


def test_turns(tmp_path: Path) -> None:
    """Turns of all sorts are as the schema says: stopped, alone, hidden, replayed, re-run."""
    kernel = Kernel()
    kernel.record(tmp_path / "r")
    kernel.run(WHY)
    kernel.run(WHY)
    kernel.run(replace(NIGHT, temperature=0.3, system="Be brief.", model="MiniMax-M3"))
    kernel.run(replace(ALONE, server="demo"))
    kernel.service.stop = lambda: kernel.session.running[0].cancel()
    with suppress(asyncio.CancelledError):
        kernel.run(replace(WHY, prompt="Stop?", id="s", ending="stopped"))
    kernel.session.stop(kernel.last_run)
    kernel.session.conversations.hide(["a"])
    again = replaying(tmp_path / "r", is_loose=True)
    again.run(replace(NIGHT, temperature=0.3, system="Be brief.", model="MiniMax-M3"))

    for session in (kernel.session, again.session):
        states = [(name, each.state) for name, each in session.conversations.items()]
        turns = [turn_json(each, states[0][1]) for each in session.conversations.turns()]
        assert session.last_turn is not None
        alone = turn_json(session.last_turn, None, is_copy=True)
        for wire in (*turns, alone, record_json([*turns, alone], states)):
            TURN.validate(wire)
            assert json.loads(json.dumps(wire)) == wire


STEPS = [
    {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "t", "name": "look", "input": {}}],
    },
    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "x"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "Blue."}]},
]
PICTURE = [{"type": "text", "text": "Why?"}, {"type": "image", "source": {"type": "base64"}}]


@pytest.mark.parametrize("more", [{"steps": STEPS}, {"prompt": PICTURE}, {"weather": ["fair"]}])
def test_turn_is_read_and_written_again(more: dict[str, Any]) -> None:
    """Steps, blocks in a prompt, and fields that no release knows yet survive a round trip."""
    wire = json.loads(examples("json")[0]) | more
    turn = read_turn(wire).turn
    again = turn_json(turn, read_turn(wire).state)
    TURN.validate(wire)
    TURN.validate(again)
    assert again == wire | {"id": turn.id}


def test_lines(tmp_path: Path) -> None:
    """Each line that is recorded is as the schema says: whole, failed, stopped, cut characters."""
    kernel = Kernel()
    kernel.record(tmp_path / "r")
    for cell in (WHY, replace(NIGHT, temperature=0.3, server="demo"), replace(ALONE, system="x")):
        kernel.run(cell)
    kernel.service.stop = lambda: kernel.session.running[0].cancel()
    for ending in ("refused", "broken", "stopped"):
        with suppress(MiniMaxError, asyncio.CancelledError):
            kernel.run(replace(ALONE, ending=ending))
    lines = wires_of((tmp_path / "r").read_bytes())
    assert {line.get("ending") for line in lines[1:]} == {"complete", "failed", "stopped"}
    for wire in (*lines, *wires_of(file_of(EXCHANGE))):
        LINE.validate(wire)


# What is damaged


@pytest.mark.parametrize(
    "damage",
    [
        {"version": 3},
        {"number": 0},
        {"conversation": None},
        {"conversation": " "},
        {"prompt": ""},
        {"prompt": [{"text": "no type"}]},
        {"steps": []},
        {"steps": [{"role": "assistant", "content": [1]}]},
        {"status": "perhaps"},
        {"backend": "somebody"},
    ],
)
def test_damaged_turn(damage: dict[str, Any]) -> None:
    """What can't be read as a turn is not as the schema says, either."""
    wire = json.loads(examples("json")[0]) | damage
    assert not TURN.is_valid(wire)
    if damage != {"prompt": [{"text": "no type"}]}:  # it is read as a block that is not known
        with pytest.raises(UnreadableTurn):
            read_turn(wire)


@pytest.mark.parametrize(
    "damage",
    [
        {"key": "0"},
        {"request": {"options": {}, "earlier": [[]], "prompt": {}}},
        {"ending": "perhaps"},
        {"backend": "somebody"},
        {"status": 99},
        {"reads": [[-1, "a"]]},
        {"reads": [[1, {"base64": "?"}]]},
        {"reads": [[1]]},
    ],
)
def test_damaged_line(damage: dict[str, Any]) -> None:
    """A line that is reported as damaged is not as the schema says, either."""
    wire = json.loads(EXCHANGE.to_line()) | damage
    assert LINE.is_valid(json.loads(EXCHANGE.to_line()))
    assert not LINE.is_valid(wire)
    assert read(header() + b"\n" + json.dumps(wire).encode(), "r").exchanges == ()


# What people read


def test_examples_hold() -> None:
    """The examples of the guide are valid, and are read without a damaged line."""
    for example in examples("json"):
        TURN.validate(json.loads(example))
    (recording,) = examples("jsonl")
    for wire in wires_of(recording.encode()):
        LINE.validate(wire)
    found = read(recording.encode(), "r")
    assert len(found.exchanges) == 2
    assert found.damaged == ()


def test_key_is_as_described() -> None:
    """A key can be made again by what the guide says of it."""
    line = wires_of(examples("jsonl")[0].encode())[2]
    request = line["request"]
    turns = ";".join(",".join(turn) for turn in request["earlier"])
    asked = json.dumps([request["options"], request["prompt"], turns], sort_keys=True)
    assert hashlib.sha256(asked.encode()).hexdigest()[:16] == line["key"]


@pytest.mark.parametrize("schema", [TURN.schema, LINE.schema])
def test_guide_names_each_field(schema: Any) -> None:
    """Each field that the schema names stands in the guide."""
    own = ("turn", "turn_1", "turn_2", "record", "state", "first_line", "exchange", "exchange_1")
    kinds = [schema["$defs"][name] for name in (*own, "exchange_2") if name in schema["$defs"]]
    named = {name for kind in kinds for name in kind["properties"]}
    assert {name for name in named if f"`{name}`" not in GUIDE} == set()
