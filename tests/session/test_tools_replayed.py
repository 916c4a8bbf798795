"""Calls in a recording, and in a notebook's own turns: they come again, and nothing runs."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.asks import ask_of
from support.replays import to_end
from support.tool_service import ToolService, call, session_of, text

from mm_magic.conversation import notebook_file
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.saved_turn import turn_json
from mm_magic.conversation.turn import TURN_MIME, Turn
from mm_magic.protocol.json_values import encode_json
from mm_magic.protocol.messages import ToolResultBlock
from mm_magic.session.notebook_as_recording import recording_of
from mm_magic.session.options import Options
from mm_magic.session.replaying import Replaying
from mm_magic.session.session import Session
from mm_magic.session.tools.tool import tools_of
from mm_magic.transport.recording.file_format import Recording
from mm_magic.transport.recording.player import Replay
from mm_magic.transport.recording.reader import read
from mm_magic.transport.recording.writer import Recorder, begin

OPTIONS = Options(retries=0)


class Dice:
    """A die that shows 1, 2 and so on."""

    def __init__(self) -> None:
        self.rolls = 0

    def roll(self) -> int:
        """Roll the die."""
        self.rolls += 1
        return self.rolls


def rolled(session: Session, dice: Dice, cell: str) -> Reply:
    """A cell that stands alone and asks for a roll, as each of them does."""
    session.cells.begin(cell)
    ask = replace(ask_of("Roll!", OPTIONS, alone=True), tools=tools_of([dice.roll]))
    run = session.turns.start(ask)
    asyncio.run(to_end(session, run))
    session.cells.end(succeeded=True)
    return run.reply()


def told(reply: Reply) -> tuple[list[str], str]:
    """The results of the calls, and the answer."""
    blocks = (block for step in reply.steps for block in step.content)
    return [b.text for b in blocks if isinstance(b, ToolResultBlock)], reply.text


def of_file(path: Path, _turns: list[Turn]) -> Recording:
    return read(path.read_bytes(), path.name)


def of_notebook(_path: Path, turns: list[Turn]) -> Recording:
    cells = [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "outputs": [
                {"output_type": "display_data", "metadata": {}, "data": {TURN_MIME: saved}}
            ],
        }
        for number, saved in enumerate(turn_json(turn, None) for turn in turns)
    ]
    wire = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    return recording_of(notebook_file.read(encode_json(wire)))


@pytest.mark.parametrize("kept", [of_file, of_notebook])
@pytest.mark.parametrize("ids", [("c0", "c0", "c0"), ("t1", "t2", "t3"), ("functions.roll:0",) * 3])
def test_equal_prompts_get_their_own_results(
    tmp_path: Path, kept: Callable[[Path, list[Turn]], Recording], ids: tuple[str, ...]
) -> None:
    """Whatever ids a server gives: each cell has the results and the answer that it had."""
    answers = [[[call("roll", id=id_)], [text(f"It is {n}.")]] for n, id_ in enumerate(ids, 1)]
    path, dice, turns, live = tmp_path / "r.jsonl", Dice(), [], []
    with session_of(ToolService(*(each for pair in answers for each in pair))) as session:
        begin(path, path.name)
        session.recordings.recorder = Recorder(path, path.name, read(path.read_bytes(), path.name))
        for cell in "abc":
            live.append(rolled(session, dice, cell))
            assert session.latest.turn is not None
            turns.append(session.latest.turn)
    assert [told(reply) for reply in live] == [([f"{n}"], f"It is {n}.") for n in (1, 2, 3)]

    again = Session({})
    again.replay(Replaying(Replay(kept(path, turns).exchanges), path.name, math.inf))
    replayed = [rolled(again, dice, cell) for cell in "abc"]
    assert [told(reply) for reply in replayed] == [told(reply) for reply in live]
    assert dice.rolls == 3


def test_seconds_of_a_turn_of_the_notebook() -> None:
    """The file has the seconds of all requests of a turn together; so has the reply again."""
    dice, again = Dice(), Session({})
    with session_of(ToolService([call("roll")], [text("It is 1.")])) as session:
        rolled(session, dice, "a")
        turn = session.latest.turn
    assert turn is not None
    turn = replace(turn, reply=replace(turn.reply, seconds=5.0))

    again.replay(Replaying(Replay(of_notebook(Path(), [turn]).exchanges), "", math.inf))
    assert rolled(again, dice, "a").seconds == 5.0


def test_the_last_run_of_a_cell_counts(tmp_path: Path) -> None:
    """Of a cell that was recorded twice, calls with equal ids have the results of the last run."""
    path, dice = tmp_path / "r.jsonl", Dice()
    answers = [[call("roll", id="c0")], [text("It is 1.")]], [[call("roll", id="c0")], [text("2!")]]
    with session_of(ToolService(*answers[0], *answers[1])) as session:
        begin(path, path.name)
        session.recordings.recorder = Recorder(path, path.name, read(path.read_bytes(), path.name))
        live = [rolled(session, dice, "a") for _ in range(2)]

    again = Session({})
    again.replay(Replaying(Replay(of_file(path, []).exchanges), path.name, math.inf))
    assert told(rolled(again, dice, "a")) == told(live[1])
