"""Random days in a notebook: what a user does, and what a kernel makes of it.

After each cell the kernel's conversations are compared with the oracle's, and with each request
the messages that were sent.
"""

import json
import re
from collections.abc import Sequence
from copy import deepcopy
from itertools import product
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.notebook_file import read
from mm_magic.conversation.saved_turn import record_json, turn_json
from mm_magic.conversation.stored import pasts
from mm_magic.conversation.turn import TURN_MIME, Turn
from mm_magic.jupyter.resume import latest, take_in
from mm_magic.transport.demo.read_request import read_request
from support.asking import ANSWERS, WHOS, Call, Kernel, World
from support.oracle import Key, Oracle, Page

# One number picks a cell and what it asks: each draw costs time. (`sampled_from` prints all that it
# could have picked.)
NAMES = ("main", "side", "lesson")
_CALLS = [Call(*each) for each in product((*NAMES, None), WHOS, ("Why?", "How?"), ANSWERS)]
_USUAL = [Call(*each) for each in product(["main"], ["usual"], ("Why?", "How?"), list(ANSWERS)[:3])]
CHANGES = ("delete", "undo", "cut and paste", "move", "clear")
_RUNS = list(product("abcd", _CALLS))
_USUAL_RUNS = list(product("abcd", _USUAL))


@st.composite
def calls(draw: st.DrawFn) -> Call:
    return _CALLS[draw(st.integers(0, len(_CALLS) - 1))]


@st.composite
def runs(draw: st.DrawFn) -> tuple[str, Call]:
    return _RUNS[draw(st.integers(0, len(_RUNS) - 1))]


@st.composite
def usual_runs(draw: st.DrawFn) -> tuple[str, Call]:
    return _USUAL_RUNS[draw(st.integers(0, len(_USUAL_RUNS) - 1))]


cells = st.sampled_from("abcd")
HIDDEN = re.compile(r"Turn (\d+)(?: of ([\w-]+))? is not sent: its cell was deleted")
FILE = "lesson"
RESTORE = "the cell of %minimax restore"
often = st.integers(0, 3).map(bool)
conversations = st.sampled_from(NAMES)


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

    @rule(cells=st.lists(usual_runs(), min_size=1, max_size=4))
    def run_some(self, cells: list[tuple[str, Call]]) -> None:
        """Run `%%minimax` cells: new ones, edited ones, deleted ones that come back by undo."""
        for cell, call in cells:
            self._begin(cell)
            is_well = self._magic(cell, call)
            self._end(cell, 1, is_well=is_well)

    @rule(run=runs())
    def run(self, run: tuple[str, Call]) -> None:
        """Run a cell with any options and any answer."""
        self.run_some([run])

    @rule(
        cell=cells,
        asked=st.lists(calls(), max_size=3),
        catches=st.booleans(),
        is_well=st.booleans(),
    )
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
        back: list[Turn] = []
        turn = None
        if what == "restore":
            changed = back = self.kernel.session.conversations.bring_back(name, number)
            turn = self.oracle.bring_back(name, number)
        else:
            which = number if what == "forget" else None
            changed = self.kernel.session.forget(name, which)
            self.oracle.forget(name, which)
        if changed:
            self._mark(cell, name, back)
            for each in back:
                assert turn is not None
                assert each.number == turn["number"]
                self.oracle.tell(cell, name, turn, is_copy=True)
        self._end(cell, 0, is_well=bool(changed))

    @rule(cell=cells)
    def undo(self, cell: str) -> None:
        """`%minimax restore` right after `forget` or `reset`."""
        self._begin(cell)
        undone, expected = self.kernel.session.conversations.undo_forgetting(), self.oracle.undo()
        assert (undone is None) is (expected is None)
        if undone and expected:
            assert [turn.number for turn in undone[1]] == [t["number"] for t in expected[1]]
            self._mark(cell, undone[0].name, undone[1])
            for turn in expected[1]:
                self.oracle.tell(cell, undone[0].name, turn, is_copy=True)
        self._end(cell, 0, is_well=undone is not None)

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
            self.oracle.page[cell] = self.oracle.page.pop(cell)
        elif what == "clear" and cell in self.outputs:
            self.outputs[cell], self.oracle.page[cell] = [], []

    @rule(is_trusted=often)
    def restart(self, is_trusted: bool) -> None:
        """Save, restart the kernel, and load the extension.

        Only what Jupyter trusts is resumed: else it is as if another kernel had written the file.
        """
        self.kernel.close()
        self.kernel = Kernel(self._world)
        self.oracle = self.oracle.restarted()
        self.oracle.look(self.oracle.page)
        changes = (found[0].state.changes for found in pasts(read(self._file())).values())
        self.kernel.session.conversations.changes_in_file = max(changes, default=-1)
        if is_trusted:
            self._take_in(self._file(), self.oracle.page)
        self._compare_turns()

    @rule()
    def take_in(self) -> None:
        """Save, then `%minimax restore`: what other kernels wrote is taken in.

        It has a cell of its own, which stays: else the file would not tell the names from then on.
        """
        self._insert(RESTORE)
        file, page = self._file(), deepcopy(self.oracle.page)
        self._begin(RESTORE)
        for name in self._take_in(file, page):
            self._mark(RESTORE, name)
        self._end(RESTORE, 0, is_well=True)

    @rule(before=st.lists(usual_runs(), min_size=2, max_size=3), run=usual_runs())
    def take_in_late(self, before: list[tuple[str, Call]], run: tuple[str, Call]) -> None:
        """`%minimax restore` in a notebook that is not trusted, after a cell ran."""
        self.run_some(before)
        self.restart(is_trusted=False)
        self.run_some([run])
        self.take_in()

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

    def _insert(self, cell: str) -> None:
        """A cell that runs is there: a new one, or one that was deleted and undone."""
        self.change(cell, "undo")
        self.outputs.setdefault(cell, [])

    def _begin(self, cell: str) -> None:
        self._insert(cell)
        self.kernel.session.begin_cell(cell, "[1]", self.deleted)
        self.oracle.hide(self.deleted - {cell})
        self.deleted = set()
        self.outputs[cell], self.oracle.page[cell] = [], []

    def _magic(self, cell: str, call: Call) -> bool:
        expected = self._expected(call, (cell, 0))
        is_well, outputs = self.kernel.magic(call)
        self.outputs[cell] += outputs
        self._compare_request(expected)
        if ANSWERS[call.answer].ending in ("whole", "stopped"):
            self._answered(call, (cell, 0))
        return is_well

    def _ask(self, cell: str, nth: int, call: Call) -> bool:
        key = (cell, nth) if call.conversation else None
        expected = self._expected(call, key)
        is_well = self.kernel.ask(call)
        self._compare_request(expected)
        if ANSWERS[call.answer].ending in ("whole", "stopped"):
            self._answered(call, key)
        return is_well

    def _expected(self, call: Call, key: Key) -> tuple[Any, set[tuple[str, int]]]:
        """The messages that are sent, and the turns of which the answer tells."""
        messages = self.oracle.request(call.conversation, key, WHOS[call.who], call.prompt)
        return messages, self.oracle.notes(key)

    def _answered(self, call: Call, key: Key) -> None:
        blocks = ANSWERS[call.answer].blocks
        self.oracle.answered(call.conversation, key, WHOS[call.who], call.prompt, blocks)

    def _compare_request(self, expected: tuple[Any, set[tuple[str, int]]]) -> None:
        request = self.kernel.take_request()
        messages, hidden = expected
        assert request["messages"] == messages
        read_request(request)  # raises where the service would refuse it
        told = [HIDDEN.match(note) for note in self.kernel.notes]
        assert {(each[2] or "main", int(each[1])) for each in told if each} == hidden

    def _take_in(self, file: bytes, page: Page) -> list[str]:
        """Kernel and oracle take in what was saved; the names that it has here."""
        session = self.kernel.session
        names = take_in(session, latest(session, pasts(read(file))), f"{FILE}.ipynb")
        last = {name: each.last_number for name, each in session.conversations.items()}
        self.oracle.take_in(page, FILE, last)
        return names

    def _mark(self, cell: str, name: str, back: Sequence[Turn] = ()) -> None:
        """A command leaves in the outputs how it stands with a conversation, and what came back."""
        state = self.kernel.session.conversations.named(name).state
        turns = [turn_json(turn, state, is_copy=True) for turn in back]
        self.outputs[cell].append(record_json(turns, [(name, state)]))
        self.oracle.tell(cell, name)

    def _end(self, cell: str, begun: int, *, is_well: bool) -> None:
        session = self.kernel.session
        end = session.end_cell(succeeded=is_well)
        if turns := [*end.undrawn, *end.kept]:
            record = record_json(
                turn_json(turn, session.conversations.state_of(turn)) for turn in turns
            )
            self.outputs[cell].append(record)
        self.oracle.ended(cell, begun if is_well else None)
        self._compare_turns()

    def _compare_turns(self) -> None:
        for name in {*self.kernel.session.conversations, *self.oracle.turns}:
            conversation = self.kernel.session.conversations.get(name) or Conversation(name)
            assert [(t.number, t.prompt.text, t.is_hidden) for t in conversation.turns] == [
                (t["number"], t["prompt"], t["hidden"]) for t in self.oracle.turns.get(name, [])
            ]
            assert conversation.stale_turns() == self.oracle.marked(name)
