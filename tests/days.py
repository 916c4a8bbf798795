"""Random days in a notebook: what a user does, and what a kernel makes of it.

After each cell the kernel's conversations are compared with the oracle's, and with each request
the messages that were sent.
"""

import asyncio
import json
import warnings
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from itertools import product
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from oracle import DEMO, Key, Oracle, Who
from scripted import Answer, ScriptedSession, Service

from mm_magic.errors import MiniMaxError
from mm_magic.ipynb import read
from mm_magic.pasts import latest, pasts
from mm_magic.reply import Reply
from mm_magic.run import Run
from mm_magic.saved import record_json, turn_json
from mm_magic.settings import Options
from mm_magic.transport.offline.request import read_request
from mm_magic.turns import TURN_MIME

SIGNED = {"type": "thinking", "thinking": "Hm.", "signature": "5f"}
UNSIGNED = {"type": "thinking", "thinking": "Hm"}
BLANK = {"type": "text", "text": "\n\n"}
BLUE = {"type": "text", "text": "Blue."}
RED = {"type": "text", "text": "Red."}
NEW = {"type": "x_note", "weight": 1.0, "of": {"z": 0.5, "a": [2.0]}}
ANSWERS = {
    "blue": Answer("whole", (SIGNED, BLUE)),
    "red": Answer("whole", (SIGNED, RED)),
    "with something new": Answer("whole", (SIGNED, NEW, BLUE)),
    "unsigned": Answer("whole", (UNSIGNED, BLUE)),
    "in turns": Answer("whole", (BLANK, SIGNED, BLUE, SIGNED, RED, SIGNED)),
    "thought only": Answer("whole", (SIGNED,)),
    "blank": Answer("whole", (SIGNED, BLANK)),
    "stopped at once": Answer("stopped"),
    "stopped in thinking": Answer("stopped", (UNSIGNED,)),
    "stopped in white space": Answer("stopped", (SIGNED, BLANK)),
    "stopped in text": Answer("stopped", (SIGNED, RED)),
    "stopped in later thinking": Answer("stopped", (SIGNED, BLUE, UNSIGNED)),
    "broken": Answer("broken", (SIGNED, BLUE)),
    "refused": Answer("refused"),
}
WHOS: dict[str, Who] = {
    "usual": ("MiniMax-M2.7", "A", ""),
    "another model": ("MiniMax-M3", "A", ""),
    "another server": ("MiniMax-M2.7", "B", ""),
    "another system": ("MiniMax-M2.7", "A", "Be brief."),
    "demo": ("MiniMax-M2.7", DEMO, ""),
}


@dataclass(frozen=True)
class Call:
    """One question, and the answer that it gets, in words. Without a conversation it is alone."""

    conversation: str | None
    who: str
    prompt: str
    answer: str

    @property
    def options(self) -> Options:
        model, _, system = WHOS[self.who]
        name = self.conversation or "main"
        return Options(model=model, system=system, conversation=name, retries=0)


# One number picks a cell and what it asks: each draw costs time.
_CALLS = [Call(*each) for each in product(("main", "side", None), WHOS, ("Why?", "How?"), ANSWERS)]
_USUAL = [Call(*each) for each in product(["main"], ["usual"], ("Why?", "How?"), list(ANSWERS)[:3])]
CHANGES = ("delete", "undo", "cut and paste", "move", "clear")
_RUNS = list(product("abcd", _CALLS))
_USUAL_RUNS = list(product("abcd", _USUAL))


def _call(number: int) -> Call:
    return _CALLS[number]


def _run(number: int) -> tuple[str, Call]:
    return _RUNS[number]


def _usual_run(number: int) -> tuple[str, Call]:
    return _USUAL_RUNS[number]


calls = st.integers(0, len(_CALLS) - 1).map(_call)
runs = st.integers(0, len(_RUNS) - 1).map(_run)
usual_runs = st.integers(0, len(_USUAL_RUNS) - 1).map(_usual_run)
cells = st.sampled_from("abcd")
conversations = st.sampled_from(("main", "side"))


@dataclass(frozen=True)
class World:
    """What is there before a day begins: an event loop, who answers, and at which addresses.

    `is_wired`: over sockets.
    """

    loop: asyncio.AbstractEventLoop
    service: Service
    urls: Mapping[str, str]
    is_wired: bool = False


class Kernel:
    """A kernel's session, driven as the notebook layer drives it."""

    def __init__(self, world: World) -> None:
        self._loop, self._service, self._urls = world.loop, world.service, world.urls
        self.session = ScriptedSession(self._service, is_wired=world.is_wired)

    def close(self) -> None:
        self._loop.run_until_complete(self.session.client().aclose())

    def magic(self, call: Call) -> tuple[bool, list[Any], Any]:
        """A `%%minimax` cell: whether it ends well, what is in its outputs, what was sent."""
        self._prepare(call)
        self._service.stop = lambda: None
        is_well, outputs = self._loop.run_until_complete(self._magic(call))
        return is_well, outputs, self._service.take_request()

    def ask(self, call: Call) -> tuple[bool, Any]:
        """`mm.ask`: whether it got an answer, and what was sent."""
        self._prepare(call)
        self._service.stop = lambda: self.session.running[-1].cancel()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            is_well = self._loop.run_until_complete(self._ask(call))
        return is_well, self._service.take_request()

    def _prepare(self, call: Call) -> None:
        """Choose who answers, and what."""
        server = WHOS[call.who][1]
        self.session.choice = "offline" if server == DEMO else "live"
        self.session.variables["MINIMAX_BASE_URL"] = self._urls[server]
        self._service.next_answer = ANSWERS[call.answer]

    async def _magic(self, call: Call) -> tuple[bool, list[Any]]:
        alone = call.conversation is None
        prepared = self.session.prepare(call.prompt, call.options, alone=alone)
        run = self.session.start(prepared, is_drawn=True)
        answer = ANSWERS[call.answer]
        try:
            async with aclosing(run.steps()) as steps:
                async for _ in steps:
                    if answer.ending == "stopped" and run.reply().content == [*answer.blocks]:
                        run.cancel()
        except asyncio.CancelledError:
            _stay()
            return False, [self._saved(run, run.stop())]
        except MiniMaxError as error:
            has_come = error.reply is not None
            return False, [self._saved(run, run.reply("incomplete"))] if has_come else []
        return True, [self._saved(run, run.reply())]

    async def _ask(self, call: Call) -> bool:
        try:
            await self.session.ask(call.prompt, call.options, alone=call.conversation is None)
        except asyncio.CancelledError:
            _stay()
            return False
        except MiniMaxError:
            return False
        return True

    def _saved(self, run: Run, reply: Reply) -> Any:
        turn = run.turn(reply)
        return turn_json(turn, self.session.state_of(turn))


def _stay() -> None:
    """The task was cancelled, and goes on."""
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()


def as_a_browser(value: Any) -> Any:
    """A JSON value as JavaScript writes it: whole numbers have no point."""
    if isinstance(value, dict):
        return {name: as_a_browser(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_a_browser(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Day(RuleBasedStateMachine):
    """A user's day: cells are run, changed, deleted and brought back; kernels come and go.

    `outputs` are those of each cell of the notebook, in its order; `trash` what can be undone.
    """

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self.oracle = Oracle()
        self.kernel = Kernel(world)
        self.outputs: dict[str, list[Any]] = {}
        self.trash: dict[str, list[Any]] = {}
        self.deleted: set[str] = set()  # what the front end reports with the next run

    def teardown(self) -> None:
        self.kernel.close()

    @rule(cells=st.lists(usual_runs, min_size=1, max_size=4))
    def run_some(self, cells: list[tuple[str, Call]]) -> None:
        """Run `%%minimax` cells: new ones, edited ones, deleted ones that come back by undo."""
        for cell, call in cells:
            self._begin(cell)
            is_well = self._magic(cell, call)
            self._end(cell, 1, is_well=is_well)

    @rule(run=runs)
    def run(self, run: tuple[str, Call]) -> None:
        """Run a cell with any options and any answer."""
        self.run_some([run])

    @rule(cell=cells, asked=st.lists(calls, max_size=3), catches=st.booleans(), is_well=st.booleans())
    def run_loop(self, cell: str, asked: list[Call], catches: bool, is_well: bool) -> None:
        """Run a cell that calls `mm.ask` in a loop; it may go on behind errors, or end in one."""
        self._begin(cell)
        begun = 0
        for call in asked:
            goes_on = self._ask(cell, begun, call)
            begun += call.conversation is not None
            if not goes_on and not (catches and ANSWERS[call.answer].ending != "stopped"):
                is_well = False
                break
        self._end(cell, begun, is_well=is_well)

    @rule(cell=cells)
    def dry_run(self, cell: str) -> None:
        """`%%minimax --dry-run` only shows: the cell keeps its turns."""
        self._begin(cell)
        self.kernel.session.cell.only_shows = True
        self._end(cell, 99, is_well=True)

    @rule(
        cell=cells,
        what=st.sampled_from(("forget", "forget", "reset", "restore")),
        name=conversations,
        number=st.integers(1, 3),
    )
    def command(self, cell: str, what: str, name: str, number: int) -> None:
        """`%minimax forget N`, `reset` or `restore N`; one that changes nothing is an error."""
        self._begin(cell)
        if what == "restore":
            changed = self.kernel.session.bring_back(name, number)
            self.oracle.bring_back(name, number)
        else:
            which = number if what == "forget" else None
            changed = self.kernel.session.forget(name, which)
            self.oracle.forget(name, which)
        if changed:
            state = self.kernel.session.conversation(name).state
            self.outputs[cell].append(record_json([], [(name, state)]))
            self.oracle.tell(cell, name)
        self._end(cell, 0, is_well=bool(changed))

    @rule(cell=cells, what=st.sampled_from(CHANGES))
    def change(self, cell: str, what: str) -> None:
        """Change the document: of the first the front end tells with the next run, if at all."""
        if what in ("delete", "cut and paste") and cell in self.outputs:
            self.trash[cell] = self.outputs.pop(cell)
            self.oracle.trash[cell] = self.oracle.page.pop(cell)
            self.deleted.add(cell)
            if what == "cut and paste":  # a paste brings it back as undo does
                self.change(cell, "undo")
        elif what == "undo" and cell in self.trash:
            self.outputs[cell] = self.trash.pop(cell)
            self.oracle.page[cell] = self.oracle.trash.pop(cell)
        elif what == "move" and cell in self.outputs:
            self.outputs[cell] = self.outputs.pop(cell)  # to the end
        elif what == "clear" and cell in self.outputs:
            self.outputs[cell], self.oracle.page[cell] = [], []

    @rule(is_trusted=st.integers(0, 3).map(bool))
    def restart(self, is_trusted: bool) -> None:
        """Save, restart the kernel, and load the extension.

        Only what Jupyter trusts is resumed: else it is as if another kernel had written the file.
        """
        self.kernel.close()
        self.kernel = Kernel(self._world)
        for name, found in pasts(read(self._file())).items():
            past, *others = latest(found)
            assert not others
            if is_trusted:
                self.kernel.session.take_in(name, past.turns, past.state)
            else:
                self.kernel.session.not_resumed[name] = past.state.changes
        self.oracle = (
            self.oracle.reopened(self.oracle.page) if is_trusted else self.oracle.restarted()
        )
        self._compare_turns()

    # What each of them consists of

    def _file(self) -> bytes:
        """The notebook as a browser saves it: names sorted, and 1.0 written as 1."""
        cells = [
            {
                "cell_type": "code",
                "id": cell,
                "source": "",
                "metadata": {},
                "execution_count": 1,
                "outputs": [
                    {"output_type": "display_data", "data": {TURN_MIME: each}, "metadata": {}}
                    for each in outputs
                ],
            }
            for cell, outputs in self.outputs.items()
        ]
        notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
        return json.dumps(as_a_browser(notebook), sort_keys=True).encode()

    def _begin(self, cell: str) -> None:
        self.change(cell, "undo")  # a deleted cell can't run
        self.kernel.session.begin_cell(cell, "[1]", self.deleted)
        self.oracle.hide(self.deleted - {cell})
        self.deleted = set()
        self.outputs[cell], self.oracle.page[cell] = [], []

    def _magic(self, cell: str, call: Call) -> bool:
        expected = self._expected(call, (cell, 0))
        is_well, outputs, request = self.kernel.magic(call)
        self.outputs[cell] += outputs
        self._compare_request(request, expected)
        if ANSWERS[call.answer].ending in ("whole", "stopped"):
            self._answered(call, (cell, 0))
        return is_well

    def _ask(self, cell: str, nth: int, call: Call) -> bool:
        key = (cell, nth) if call.conversation else None
        expected = self._expected(call, key)
        is_well, request = self.kernel.ask(call)
        self._compare_request(request, expected)
        if ANSWERS[call.answer].ending == "whole":
            self._answered(call, key)
        return is_well

    def _expected(self, call: Call, key: Key) -> Any:
        return self.oracle.request(call.conversation, key, WHOS[call.who], call.prompt)

    def _answered(self, call: Call, key: Key) -> None:
        blocks = ANSWERS[call.answer].blocks
        self.oracle.answered(call.conversation, key, WHOS[call.who], call.prompt, blocks)

    def _compare_request(self, request: Any, expected: Any) -> None:
        assert request["messages"] == expected
        read_request(request)  # raises where the service would refuse it

    def _end(self, cell: str, begun: int, *, is_well: bool) -> None:
        session = self.kernel.session
        end = session.end_cell(succeeded=is_well)
        if turns := [*end.undrawn, *end.kept]:
            record = record_json(turn_json(turn, session.state_of(turn)) for turn in turns)
            self.outputs[cell].append(record)
        self.oracle.ended(cell, begun if is_well else None)
        self._compare_turns()

    def _compare_turns(self) -> None:
        for name in ("main", "side"):
            conversation = self.kernel.session.conversation(name)
            assert [(t.number, t.prompt, t.is_hidden) for t in conversation.turns] == [
                (t["number"], t["prompt"], t["hidden"]) for t in self.oracle.turns.get(name, [])
            ]
            assert conversation.made_with_others() == self.oracle.marked(name)
