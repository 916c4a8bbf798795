"""Cells that a kernel records and another replays."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mm_magic.conversation.reply import Reply
from mm_magic.conversation.saved_turn import turn_json
from mm_magic.conversation.turn import TURN_MIME, Turn
from mm_magic.errors import MiniMaxError
from mm_magic.protocol.json_values import encode_json
from mm_magic.session.replaying import Replaying
from mm_magic.session.run import Run
from mm_magic.session.session import Session
from mm_magic.session.turn_request import Ask
from mm_magic.transport.recording.player import Replay
from mm_magic.transport.recording.reader import read
from mm_magic.transport.recording.writer import Recorder, begin
from support.asks import ask_of
from support.scripted import Answer, Ending, Service

SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "5f"}
SERVERS = {"A": "http://a.invalid", "B": "http://b.invalid", "demo": "", "none": ""}


@dataclass(frozen=True)
class Cell:
    """A cell that asks: alone where it has no conversation.

    It asks the server A or B or the demo; "none" is a notebook without a key.
    """

    prompt: str = "Why?"
    conversation: str | None = "main"
    server: str = "A"
    temperature: float | None = None
    system: str = ""
    model: str | None = None
    id: str | None = None
    ending: Ending = "whole"
    is_fresh: bool = False

    @property
    def given(self) -> dict[str, object]:
        """The options that the notebook says."""
        given = {"model": self.model, "temperature": self.temperature, "system": self.system}
        said = {name: value for name, value in given.items() if value}
        return {"conversation": self.conversation or "main", "retries": 0, **said}


WHY, NIGHT = Cell(id="a"), Cell("And at night?", id="b")
ALONE = Cell(conversation=None)


class Kernel:
    """A session whose servers answer in this process: "answer 1", "answer 2" and so on."""

    def __init__(self, **variables: str) -> None:
        self.service = Service()
        self.thinking = "Hm."
        self.variables = variables
        self.session = Session(variables, sources=lambda _: self.service)
        self.session.who.demo_allowed = True

    def record(self, path: Path) -> None:
        begin(path, path.name)
        known = read(path.read_bytes(), path.name)
        self.session.recordings.recorder = Recorder(path, path.name, known)

    def replay(self, path: Path, **more: Any) -> None:
        found = read(path.read_bytes(), path.name)
        replay, recorder = Replay(found.exchanges), None
        if more.get("fills"):
            recorder = Recorder(path, path.name, found, samples=replay.samples)
            recorder.on_recorded = replay.add
        self.session.replay(Replaying(replay, path.name, math.inf, **more), recorder)

    def run(self, cell: Cell, *more: Cell) -> Reply:
        """Run one cell, whose code asks `more` in the same run; return its last answer."""
        self.session.cells.begin(cell.id)
        *_, reply = [self._asked(each) for each in (cell, *more)]
        self.session.cells.end(succeeded=True)
        return reply

    def _asked(self, cell: Cell) -> Reply:
        self.variables["MINIMAX_BASE_URL"] = SERVERS[cell.server]
        self.session.who.choice = "offline" if cell.server == "demo" else "auto"
        answer = {"type": "text", "text": f"answer {len(self.service.requests) + 1}"}
        self.service.next_answer = Answer(
            cell.ending, (SIGNED | {"thinking": self.thinking}, answer)
        )
        self.last_run = run = self.session.turns.start(self.ask(cell), is_drawn=True)
        asyncio.run(to_end(self.session, run))
        return run.reply()

    def ask(self, cell: Cell) -> Ask:
        """What a cell asks here."""
        options = self.session.options.overridden(cell.given)
        ask = ask_of(cell.prompt, options, alone=cell.conversation is None)
        return replace(ask, is_fresh=cell.is_fresh)

    @property
    def notes(self) -> list[str]:
        """What stood below the last answer."""
        return self.last_run.notes

    @property
    def turn(self) -> Turn:
        """The last turn."""
        assert self.session.latest.turn is not None
        return self.session.latest.turn

    @property
    def request(self) -> Any:
        """The request that was prepared last."""
        assert self.session.latest.request is not None
        return self.session.latest.request.request.to_body()

    def refusal(self, cell: Cell) -> MiniMaxError:
        """The error of a cell that is due to have no answer."""
        with pytest.raises(MiniMaxError) as caught:
            self.run(cell)
        return caught.value


async def to_end(session: Session, run: Run) -> None:
    async with aclosing(session.turns.steps(run)) as steps:
        async for _ in steps:
            pass


def recorded(path: Path, *cells: Cell) -> Kernel:
    """A kernel that recorded these cells, in order."""
    kernel = Kernel()
    kernel.record(path)
    for cell in cells:
        kernel.run(cell)
    return kernel


def replaying(path: Path, variables: Mapping[str, str] | None = None, **more: Any) -> Kernel:
    """A kernel that replays a recording, with these environment variables."""
    kernel = Kernel(**(variables or {}))
    kernel.replay(path, **more)
    return kernel


def run_all(kernel: Kernel, cells: Sequence[Cell]) -> tuple[list[str], int]:
    """The texts of the answers, and how many requests they cost."""
    before = len(kernel.service.requests)
    texts = [kernel.run(cell).text for cell in cells]
    return texts, len(kernel.service.requests) - before


def saved_in(kernel: Kernel) -> bytes:
    """The notebook's file with the turns of a kernel."""
    cells = []
    for there in kernel.session.conversations.values():
        for turn in there.turns:
            assert turn.key is not None
            data = {TURN_MIME: turn_json(turn, there.state)}
            output = {"output_type": "display_data", "metadata": {}, "data": data}
            cells.append({"cell_type": "code", "id": turn.key.cell_id, "outputs": [output]})
    return encode_json({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})
