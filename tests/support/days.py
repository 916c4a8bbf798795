"""Random days in a notebook: what a user does, and what a kernel makes of it.

After each cell the kernel's conversations are compared with the oracle's, and with each request
the messages that were sent.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from random import Random
from typing import Any, TypeAlias, TypeVar

from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.notebook_file import read
from mm_magic.conversation.saved_turn import pick_json, record_json, turn_json
from mm_magic.conversation.stored import pasts
from mm_magic.conversation.turn import TURN_MIME, Turn
from mm_magic.errors import UsageError
from mm_magic.jupyter.resume import latest, take_in
from mm_magic.session.notebook_as_recording import answers_of
from mm_magic.transport.demo.read_request import read_request
from support.asking import (
    ANSWERS,
    STEPS,
    WHOS,
    Asked,
    Call,
    Comparison,
    Kernel,
    Table,
    World,
)
from support.looks import PROMPTS, arrives, seen, seen_in
from support.oracle import Key, Oracle, Page, Reader, spoken, text_of

NAMES = ("main", "side", "lesson")
_WHAT = ("", "", "reuse", "fresh")
_PROMPTS = (*("Why?", "How?") * 6, *PROMPTS)
CHANGES = ("delete", "undo", "cut and paste", "move", "clear")
_SORTS = (*("blue", "red", "unsigned"), *ANSWERS)  # the usual ones are more frequent
_OFTEN = [("blue", "red"), ("red", "blue"), ("blue", "red", "unsigned")] * 60
_COMPARED = [*_OFTEN, *product(_SORTS, repeat=2), ("blue",) * 3]
_ALIKE = (*("main",) * 4, "side", None)
_LESS = (
    *product(("usual", "usual", "demo", "demo that sees"), ("1", "1", "2", "word")),
    ("another system", "system"),
)
_PAIRS = [("blue", "red"), ("red", "blue"), ("blue", "blue"), *product(_SORTS, repeat=2)]
_PICKS = list(product("efefefa", (1, 2, 2, 3)))
_FORKS = [
    ("main", "side"),
    ("main", "side"),
    ("main", "lesson"),
    ("side", "main"),
    ("side", "side"),
]
_UNTIL = (None, None, 1, 2, 3)


def comparison(name: str | None, prompt: str, answers: tuple[str, ...], what: str) -> Comparison:
    """A prompt that is asked for these answers at once."""
    return Comparison(Call(name, "usual", prompt, answers[0], what), answers)


def comparison_without(
    name: str | None, less: tuple[str, str], prompt: str, answers: tuple[str, str], what: str
) -> Comparison:
    """A prompt that is asked for two answers at once: in full, and without something."""
    who, without = less
    return Comparison(Call(name, who, prompt, answers[0], what), answers, without)


_Method = TypeVar("_Method", bound=Callable[..., None])
Draw: TypeAlias = Callable[[Random], Any]
_STEPS: dict[str, Mapping[str, Draw]] = {}


def one_of(options: Sequence[Any]) -> Draw:
    """Draws one of these."""
    return lambda random: random.choice(options)


def made_by(make: Callable[..., Any], *options: Sequence[Any]) -> Draw:
    """Draws one of each of these, and what is made of them."""
    return lambda random: make(*map(random.choice, options))


def in_cell(draw: Draw, among: str = "abcd") -> Draw:
    """Draws a cell, and what runs in it."""
    return lambda random: (random.choice(among), draw(random))


def some_of(draw: Draw, least: int, most: int) -> Draw:
    """Draws that several times."""
    return lambda random: [draw(random) for _ in range(random.randint(least, most))]


def step(**draws: Draw) -> Callable[[_Method], _Method]:
    """A method is a step of a random day, which draws its arguments so."""

    def mark(method: _Method) -> _Method:
        _STEPS[method.__name__] = draws
        return method

    return mark


cells = one_of("abcdef")
conversations = one_of(NAMES)
often = one_of((True, True, True, False))
_anything = (*NAMES, None), [*WHOS], _PROMPTS, [*ANSWERS]
calls_in_code = made_by(Call, *_anything, ("", "reuse"), [False, False, True])
runs = in_cell(made_by(Call, *_anything, _WHAT, [False, False, True]))
runs_with_tools = in_cell(made_by(Call, *_anything, _WHAT, [True]))
usual_runs = in_cell(made_by(Call, ["main"], ["usual"], _PROMPTS, [*ANSWERS][:3]))
_half_pictures = ("Why?", "How?", "red", "red in another file", "blue", "red or blue")
runs_with_pictures = in_cell(
    made_by(Call, ["main"], ["usual"], _half_pictures, ["blue", "red"]), among="aab"
)
_asked_alike = ("Why?", "Why?", "red", "red in another file")
_for_readers = ("Why?", "red", "red in few colours", *("blue", "green") * 2, "blue or red")
_looks = ("red", "red in another file", "blue")
_who_alike = ("usual", "usual", "demo", "demo that sees")
alike_runs = in_cell(
    made_by(Call, (None, None, "main", "side"), _who_alike, _asked_alike, ("blue", "red"), _WHAT)
)
comparisons = in_cell(made_by(comparison, _ALIKE, _PROMPTS, _COMPARED, _WHAT))
comparisons_without = in_cell(
    made_by(comparison_without, _ALIKE, _LESS, _half_pictures, _PAIRS, _WHAT), among="bccd"
)
picks = one_of(_PICKS)
_WORDS = ("oak", "elm", "fir", "ash", "yew", "lime", "alder", "beech", "rowan", "cedar")
_ASKED_FOR_ROWS = ("usual", "usual", "another server", "another system")
_OF_ROWS = (*("blue", "red", "unsigned") * 3, "refused", "broken", "stopped in text")


def tables(random: Random) -> Table:
    """Draws rows, and what they get."""
    words = random.sample(_WORDS, random.randint(1, 8))
    answers = {word: random.choice(_OF_ROWS) for word in words}
    return Table(random.choice(_ASKED_FOR_ROWS), answers)


HIDDEN = re.compile(
    r"Turns? ([\d, toand]+?)(?: of ([\w-]+))? (?:is|are) not sent: [a-z ]+ was deleted"
)
FILE = "lesson"
RESTORE = "the cell of %minimax restore"
LONGEST = 13
_IN_FILE = "the answers file"


def as_a_browser(value: Any) -> Any:
    """A JSON value as JavaScript writes it: whole numbers have no point."""
    if isinstance(value, dict):
        return {name: as_a_browser(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_a_browser(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def numbers_in(text: str) -> list[int]:
    """The numbers that a text such as "1 to 3 and 5" lists."""
    runs = [[*map(int, part.split(" to "))] for part in re.split(", | and ", text)]
    return [number for run in runs for number in range(run[0], run[-1] + 1)]


@dataclass(frozen=True)
class Step:
    """What a user does: a method of `Day`, and its arguments."""

    name: str
    arguments: Mapping[str, Any]

    def take(self, day: "Day") -> None:
        getattr(day, self.name)(**self.arguments)

    def __str__(self) -> str:
        return f"day.{self.name}({', '.join(f'{a}={b!r}' for a, b in self.arguments.items())})"


def random_day(random: Random) -> Sequence[Step]:
    """Up to 13 steps. Most days lack some kinds of them, so that others come close together."""
    kinds = ["run_some", *random.sample([*_STEPS], random.randint(1, len(_STEPS)))]
    return [_random_step(random, random.choice(kinds)) for _ in range(random.randint(1, LONGEST))]


def _random_step(random: Random, name: str) -> Step:
    return Step(name, {what: draw(random) for what, draw in _STEPS[name].items()})


class Day:
    """A user's day: cells are run, changed, deleted and brought back; kernels come and go.

    `outputs` are those of each cell of the notebook, in its order; `trash` what can be undone.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.oracle = Oracle()
        self.kernel = Kernel(world)
        self.outputs: dict[str, list[Any]] = {}
        self.trash: dict[str, list[Any]] = {}
        self.deleted: set[str] = set()  # what the front end reports with the next run
        self.sources: dict[str, Callable[[], None]] = {}  # what cells do when they run again
        self.rows: dict[tuple[str, str], dict[str, str]] = {}  # by where they are, and by system

    def close(self) -> None:
        """Leave nothing to the next day, also where a fault ended this one."""
        self.kernel.close()
        self.kernel.take_requests()
        if self._world.file is not None:
            self._world.file.unlink(missing_ok=True)

    @step(cells=some_of(usual_runs, 1, 4))
    def run_some(self, cells: list[tuple[str, Call]]) -> None:
        """Run `%%minimax` cells: new ones, edited ones, deleted ones that come back by undo."""
        for cell, call in cells:
            self.sources[cell] = partial(self.run_some, [(cell, call)])
            self._begin(cell)
            is_well = self._magic(cell, call)
            self._end(cell, 1, is_well=is_well)

    @step(on=often)
    def set_reuse(self, on: bool) -> None:
        """`%minimax --reuse` or `--no-reuse`: as long as the kernel runs."""
        self.kernel.reuses = on

    @step(
        before=some_of(alike_runs, 0, 3),
        between=one_of(("nothing", "nothing", "restart", "late")),
        order=one_of((1, 1, -1)),
    )
    def run_all(self, before: list[tuple[str, Call]], between: str, order: int) -> None:
        """Cells run; then all that are there run again with `--reuse`, at times in a new kernel."""
        self.run_some(before)
        if between != "nothing":
            self.restart(is_trusted=between == "restart")
        if between == "late":
            self.take_in()
        self.set_reuse(on=True)
        for cell in [cell for cell in self.outputs if cell in self.sources][::order]:
            self.sources[cell]()

    @step(run=runs)
    def run(self, run: tuple[str, Call]) -> None:
        """Run a cell with any options and any answer."""
        self.run_some([run])

    @step(before=runs_with_tools, later=some_of(usual_runs, 1, 2), restarts=one_of((False, True)))
    def run_with_tools(
        self, before: tuple[str, Call], later: list[tuple[str, Call]], restarts: bool
    ) -> None:
        """Run a cell whose answer calls a function, and others behind it, also in a new kernel."""
        self.run_some([before])
        if restarts:
            self.restart(is_trusted=True)
        self.run_some(later)

    @step(
        cell=cells,
        asked=some_of(calls_in_code, 0, 3),
        catches=one_of((False, True)),
        is_well=one_of((False, True)),
    )
    def run_loop(self, cell: str, asked: list[Call], catches: bool, is_well: bool) -> None:
        """Run a cell that calls `mm.ask` in a loop; it may go on behind errors, or end in one."""
        self.sources[cell] = partial(self.run_loop, cell, asked, catches, is_well)
        self._begin(cell)
        begun = 0
        for call in asked:
            goes_on = self._ask(cell, begun, call)
            begun += call.conversation is not None
            if not goes_on and not (catches and ANSWERS[call.answer].ending != "stopped"):
                is_well = False
                break
        self._end(cell, begun, is_well=is_well)

    @step(run=comparisons)
    def compare(self, run: tuple[str, Comparison]) -> None:
        """Run a cell with a list or `-n`; some of the answers may fail, or all be stopped."""
        cell, comparison = run
        self.sources[cell] = partial(self.compare, run)
        self._begin(cell)
        self._end(cell, 1, is_well=self._compare(cell, comparison))

    @step(
        before=some_of(runs_with_pictures, 1, 3),
        run=comparisons_without,
        picked=some_of(picks, 0, 1),
        later=some_of(usual_runs, 0, 1),
        comes=one_of(("nothing", "nothing", "again", "restart and again")),
    )
    def compare_without(
        self,
        before: list[tuple[str, Call]],
        run: tuple[str, Comparison],
        picked: list[tuple[str, int]],
        later: list[tuple[str, Call]],
        comes: str,
    ) -> None:
        """Turns, and then one with `--without`, of which the other answer may be picked.

        It may run again with `--reuse`, at times in a new kernel.
        """
        self.run_some(before)
        self.compare(run)
        self.pick(picked, is_well=True)
        self.run_some(later)
        if comes.startswith("restart"):
            self.restart(is_trusted=True)
        if comes.endswith("again"):
            call = replace(run[1].call, what="reuse")
            self.compare((run[0], replace(run[1], call=call)))

    @step(cell=cells, table=tables, in_file=one_of((False, True)))
    def ask_rows(self, cell: str, table: Table, in_file: bool) -> None:
        """Run a cell that asks a table, at times with an answers file.

        Rows may fail, and all be stopped. What a row got it keeps, in the kernel or in the file.
        """
        self.sources[cell] = partial(self.ask_rows, cell, table, in_file)
        self._begin(cell)
        self._end(cell, 0, is_well=self._ask_rows(table, in_file=in_file))

    @step(picked=some_of(picks, 1, 2), is_well=often)
    def pick(self, picked: list[tuple[str, int]], is_well: bool) -> None:
        """`%minimax pick N`, in cells that may have picked before; some end in an error then."""
        for cell, number in picked:
            self.sources[cell] = partial(self.pick, [(cell, number)], is_well)
            self._begin(cell)
            is_picked = self._pick(cell, number)
            self._end(cell, 0, 1, is_well=is_well and is_picked)

    @step(
        run=comparisons,
        picked=some_of(picks, 1, 3),
        later=usual_runs,
        comes=one_of(("nothing", "restart", "delete", "again", "again and restart")),
    )
    def compare_and_pick(
        self,
        run: tuple[str, Comparison],
        picked: list[tuple[str, int]],
        later: tuple[str, Call],
        comes: str,
    ) -> None:
        """A comparison, a pick and a later turn; then what may come between them and the next."""
        self.compare(run)
        self.pick(picked, is_well=True)
        self.run_some([later])
        if comes == "delete":
            self.change(picked[0][0], "delete")
        elif comes.startswith("again"):
            self.compare(run)
        if comes.endswith("restart"):
            self.restart(is_trusted=True)
        self.pick(picked[:1], is_well=True)

    @step(cell=cells)
    def dry_run(self, cell: str) -> None:
        """`%%minimax --dry-run` only shows: the cell keeps its turns."""
        self._begin(cell)
        self.kernel.session.cells.here.only_shows = True
        self._end(cell, None, is_well=True)

    @step(
        cell=cells,
        what=one_of(("forget", "forget", "reset", "restore")),
        name=conversations,
        number=one_of(range(1, 4)),
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
            changed = self.kernel.session.edits.forget(name, which)
            self.oracle.forget(name, which)
        if changed:
            self._mark(cell, name, back)
            for each in back:
                assert turn is not None
                assert each.number == turn["number"]
                self.oracle.tell(cell, name, turn, is_copy=True)
        self._end(cell, 0, is_well=bool(changed))

    @step(cell=one_of("cd"), names=one_of(_FORKS), until=one_of(_UNTIL))
    def fork(self, cell: str, names: tuple[str, str], until: int | None) -> None:
        """`%minimax fork NAME [N]`: one that can't be is an error, and changes nothing."""
        origin, name = names
        self.sources[cell] = partial(self.fork, cell, names, until)
        self._begin(cell)
        keys = self.oracle.fork(origin, name, cell, until)
        copies = self.kernel.fork(origin, name, until)
        assert len(copies) == len(keys)
        if copies:
            state = self.kernel.session.conversations[name].state
            self.outputs[cell].append(record_json(turn_json(each, state) for each in copies))
        self._end(cell, 0, is_well=bool(copies), copies=keys)

    @step(
        before=some_of(usual_runs, 2, 3),
        runs=some_of(runs, 0, 2),
        untils=one_of([*product(_UNTIL, repeat=2)]),
    )
    def fork_again(
        self,
        before: list[tuple[str, Call]],
        runs: list[tuple[str, Call]],
        untils: tuple[int | None, int | None],
    ) -> None:
        """A cell forks; then cells run, and it runs again."""
        self.run_some(before)
        self.fork("d", ("main", "side"), untils[0])
        self.run_some(runs)
        self.fork("d", ("main", "side"), untils[1])

    @step(cell=cells)
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

    @step(cell=cells, which=one_of(range(6)))
    def restore_version(self, cell: str, which: int) -> None:
        """`%minimax restore N --version K`: an answer from before a cell ran again comes back."""
        kept = [
            (name, turn["number"], former["version"])
            for name, turns in self.oracle.turns.items()
            for turn in turns
            for former in turn["former"]
        ]
        name, number, version = (kept or [("main", 1, 1)])[which % max(1, len(kept))]
        self._begin(cell)
        found = self.kernel.session.edits.restore_version(name, number, version)
        expected = self.oracle.restore_version(name, number, version)
        assert (found is None) is (expected is None)
        if found and expected:
            self._mark(cell, name, [found[0]])
            self.oracle.tell(cell, name, expected, is_copy=True)
        self._end(cell, 0, is_well=found is not None)

    @step(
        cell=cells,
        call=usual_runs,
        others=some_of(cells, 1, 3),
        which=one_of(range(6)),
        reuses=one_of((False, True)),
    )
    def look_back(
        self, cell: str, call: tuple[str, Call], others: list[str], which: int, reuses: bool
    ) -> None:
        """A cell runs again with another answer, a former one comes back, a new kernel goes on."""
        for answer in ("blue", "red"):
            self.run_some([(cell, replace(call[1], answer=answer))])
        for other in others:
            self.restore_version(other, which)
        if reuses:
            self.run_some([(cell, replace(call[1], what="reuse"))])
        self.restart(is_trusted=True)
        self.run_some([call])

    @step(
        looks=made_by(lambda *looks: looks, _looks, _looks),
        answers=made_by(lambda *answers: answers, ("blue", "red"), ("blue", "red")),
        between=one_of(("nothing", "restart")),
    )
    def look_again(self, looks: Sequence[str], answers: Sequence[str], between: str) -> None:
        """A cell asks about a picture, and another goes on; then both do so again, with reuse."""
        for look, what in zip(looks, ("", "reuse"), strict=True):
            first = Call("main", "usual", look, answers[0], what)
            self.run_some([("a", first), ("b", Call("main", "usual", "Why?", answers[1], what))])
            if between == "restart":
                self.restart(is_trusted=True)

    @step(cell=cells, what=one_of(CHANGES))
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

    @step(is_trusted=often)
    def restart(self, is_trusted: bool) -> None:
        """Save, restart the kernel, and load the extension.

        Only what Jupyter trusts is resumed: else it is as if another kernel had written the file.
        """
        self.kernel.close()
        self.kernel = Kernel(self._world)
        self.rows = {where: known for where, known in self.rows.items() if where[0] == _IN_FILE}
        self.oracle = self.oracle.restarted()
        self.oracle.look(self.oracle.page)
        changes = (found[0].state.changes for found in pasts(read(self._file())).values())
        self.kernel.session.conversations.changes_in_file = max(changes, default=-1)
        if is_trusted:
            self._take_in(self._file(), self.oracle.page)
        self._compare_turns()

    @step()
    def take_in(self) -> None:
        """Save, then `%minimax restore`: what other kernels wrote is taken in.

        It has a cell of its own, which stays: else the file would not tell the names from then on.
        """
        self._insert(RESTORE)
        file, page = self._file(), {cell: [*told] for cell, told in self.oracle.page.items()}
        self._begin(RESTORE)
        for name in self._take_in(file, page):
            self._mark(RESTORE, name)
        self._end(RESTORE, 0, is_well=True)

    @step(before=some_of(usual_runs, 2, 3), run=usual_runs)
    def take_in_late(self, before: list[tuple[str, Call]], run: tuple[str, Call]) -> None:
        """`%minimax restore` in a notebook that is not trusted, after a cell ran."""
        self.run_some(before)
        self.restart(is_trusted=False)
        self.run_some([run])
        self.take_in()

    @step(
        before=some_of(
            in_cell(made_by(Call, [None], ["usual"], _for_readers, ["blue", "red"])), 0, 2
        ),
        asked=some_of(one_of(_for_readers), 1, 3),
    )
    def replay(self, before: list[tuple[str, Call]], asked: list[str]) -> None:
        """Cells run; then a reader replays the saved file, where pictures may look otherwise."""
        self.run_some(before)
        kernel, reader = Kernel(self._world), Reader(self.oracle.page)
        try:
            kernel.replay(read(self._file()))
            for number, prompt in enumerate(asked):
                expected = reader.answer(arrives(prompt), {})
                kernel.session.cells.begin(f"reader-{number}")
                is_well, (turn, *_) = kernel.magic(Call(None, "usual", prompt, "blue"))
                assert is_well is (expected is not None)
                if expected:
                    assert spoken(turn["steps"][-1]["content"]) == spoken(expected["blocks"])
        finally:
            kernel.close()
        assert kernel.take_requests() == []

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
        self.kernel.session.cells.begin(cell, "[1]", self.deleted)
        self.oracle.hide(self.deleted - {cell})
        self.oracle.begin(cell)
        self.deleted = set()
        self.outputs[cell], self.oracle.page[cell] = [], []

    def _magic(self, cell: str, call: Call) -> bool:
        if self._is_refused(call, (cell, 0), call.asked):
            assert self.kernel.magic(call) == (False, [])
            return self._nothing_sent()
        hidden = self.oracle.notes((cell, 0))
        answers, sent = self._answers(call, (cell, 0), [call.asked])
        is_well, outputs = self.kernel.magic(call)
        self.outputs[cell] += outputs
        self._compare_requests(sent, hidden)
        self._answered(call, (cell, 0), answers)
        return is_well

    def _compare(self, cell: str, comparison: Comparison) -> bool:
        call, key = comparison.call, (cell, 0)
        messages = [self._messages(call, key, each) for each in comparison.asked]
        if self._are_refused(call, key, comparison.asked):
            assert self.kernel.compare(comparison, messages) == (False, [])
            return self._nothing_sent()
        hidden = self.oracle.notes(key)
        answers, sent = self._answers(call, key, comparison.asked)
        is_well, outputs = self.kernel.compare(comparison, messages)
        self.outputs[cell] += outputs
        self._compare_requests(sent, hidden)
        self._answered(call, key, answers)
        return is_well

    def _ask(self, cell: str, nth: int, call: Call) -> bool:
        key = (cell, nth) if call.conversation else None
        if self._is_refused(call, key, call.asked):
            assert not self.kernel.ask(call)
            return self._nothing_sent()
        hidden = self.oracle.notes(key)
        answers, sent = self._answers(call, key, [call.asked])
        is_well = self.kernel.ask(call)
        self._compare_requests(sent, hidden)
        self._answered(call, key, answers, is_shown=False)
        return is_well

    def _answers(self, call: Call, key: Key, asked: Sequence[Asked]) -> tuple[list[Any], list[Any]]:
        """The answers that will be had, and the messages of those that are asked for."""
        answers, sent = [], []
        for each in asked:
            answer = self._answer(call, key, each)
            if self._is_refused(call, key, each):
                answers.append(answer | {"ending": "refused", "blocks": (), "steps": ()})
                continue
            answer = self.oracle.count(answer)
            saved = self.oracle.again(answer) if self.kernel.may_reuse(call) else None
            steps = STEPS if call.has_tools else ()
            if saved is None:
                sent.append(self._messages(call, key, each))
                if steps:
                    sent.append([*sent[-1], *steps])
            new = answer | {"ending": each.answer.ending, "blocks": each.answer.blocks}
            new |= {"steps": steps}
            answers.append(saved or new)
        return answers, sent

    def _answer(self, call: Call, key: Key, asked: Asked) -> Any:
        return self.oracle.answer(
            call.conversation,
            key,
            asked.who,
            arrives(asked.prompt),
            asked.said,
            asked.without,
            is_whole=asked.prompt == call.prompt,
        )

    def _messages(self, call: Call, key: Key, asked: Asked) -> Any:
        prompt = arrives(asked.prompt)
        return self.oracle.request(call.conversation, key, asked.who, prompt, asked.without)

    def _is_refused(self, call: Call, key: Key, asked: Asked) -> bool:
        """Whether it is an error before anything is sent: who is asked takes not such pictures."""
        saved = self.oracle.again(self._answer(call, key, asked))
        is_had = saved is not None and self.kernel.may_reuse(call)
        return not is_had and self.oracle.is_refused(asked.who, self._messages(call, key, asked))

    def _are_refused(self, call: Call, key: Key, asked: Sequence[Asked]) -> bool:
        """Whether none of them is sent: each is refused, or a turn to leave out is not there."""
        above = self.oracle.above(call.conversation, key, WHOS[call.who][1])
        left_out = {each.without for each in asked if each.without is not None}
        is_there = left_out <= {turn["number"] for turn in above}
        return not is_there or all(self._is_refused(call, key, each) for each in asked)

    def _nothing_sent(self) -> bool:
        assert self.kernel.take_requests() == []
        return False

    def _ask_rows(self, table: Table, *, in_file: bool) -> bool:
        """Whether it was not stopped. The conversations stay as they are."""
        _, server, system = WHOS[table.who]
        file = self._world.file if in_file else None
        in_kernel = self.rows.setdefault((server, system), {})
        known = self.rows.setdefault((_IN_FILE, system), {}) if file else in_kernel
        sent = table.answers.keys() - known.keys()
        new = {word: table.text(word) for word in sent if table.ending(word) == "whole"}
        texts = self.kernel.ask_rows(table, file, sent)
        requests = self.kernel.take_requests()
        prompts = [table.prompt(word) for word in sorted(sent)]
        assert sorted(each["messages"][0]["content"] for each in requests) == prompts
        assert {len(each["messages"]) for each in requests} <= {1}
        in_kernel.update(new)
        known.update(new)
        assert texts == [known.get(word) for word in table.answers]
        return "stopped" not in map(table.ending, sent)

    def _pick(self, cell: str, number: int) -> bool:
        expected = self.oracle.pick((cell, 0), number)
        try:
            turn, _ = self.kernel.session.edits.pick(number, is_drawn=True)
        except UsageError:
            assert expected is None
            return False
        assert expected is not None
        there = self.kernel.session.conversations[str(turn.conversation)]
        record = record_json([], [(there.name, there.state)], [pick_json(there.picks[-1], turn)])
        self.outputs[cell].append(record)
        name, told = expected
        assert (there.name, turn.number, turn.answer) == (name, told["number"], number)
        return True

    def _answered(self, call: Call, key: Key, answers: list[Any], *, is_shown: bool = True) -> None:
        prompt = arrives(call.prompt)
        self.oracle.answered(call.conversation, key, WHOS[call.who], prompt, answers)
        if call.conversation is None and is_shown:
            self.oracle.tell_alone(prompt, answers)

    def _compare_requests(self, expected: list[Any], hidden: set[tuple[str, int]]) -> None:
        """These messages were sent, in any order; what is told beside the answer is right.

        That is the turns that are `hidden`.
        """
        requests = self.kernel.take_requests()
        assert len(requests) == len(expected)
        for request in requests:
            expected.remove(seen_in(request["messages"]))  # raises where it is none of them
            read_request(request)  # raises where the service would refuse it
        told = [HIDDEN.match(note) for note in self.kernel.notes]
        found = [(each[2] or "main", n) for each in told if each for n in numbers_in(each[1])]
        assert sorted(found) == sorted(hidden)

    def _take_in(self, file: bytes, page: Page) -> list[str]:
        """Kernel and oracle take in what was saved; the names that it has here."""
        session = self.kernel.session
        notebook = read(file)
        session.requests.saved.take_in(partial(answers_of, notebook))
        self.oracle.keep_answers(page)
        names = take_in(session, latest(session, pasts(notebook)), f"{FILE}.ipynb")
        last = {name: each.last_number for name, each in session.conversations.items()}
        self.oracle.take_in(page, FILE, last)
        return names

    def _mark(self, cell: str, name: str, back: Sequence[Turn] = ()) -> None:
        """A command leaves in the outputs how it stands with a conversation, and what came back."""
        state = self.kernel.session.conversations.named(name).state
        turns = [turn_json(turn, state, is_copy=True) for turn in back]
        self.outputs[cell].append(record_json(turns, [(name, state)]))
        self.oracle.tell(cell, name)

    def _end(
        self,
        cell: str,
        begun: int | None,
        picks: int = 0,
        *,
        is_well: bool,
        copies: Sequence[Key] = (),
    ) -> None:
        session = self.kernel.session
        end = session.cells.end(succeeded=is_well)
        turns = [*end.undrawn, *end.kept]
        kept = [
            (there, pick, turn)
            for there, pick in end.kept_picks
            if (turn := there.numbered(pick.number)) is not None
        ]
        if turns or kept:
            record = record_json(
                (turn_json(turn, session.conversations.state_of(turn)) for turn in turns),
                ((there.name, there.state) for there, _, _ in kept),
                (pick_json(pick, turn) for _, pick, turn in kept),
            )
            self.outputs[cell].append(record)
        self.oracle.ended(cell, begun if is_well else None, picks, copies)
        self._compare_turns()

    def _compare_turns(self) -> None:
        for name in {*self.kernel.session.conversations, *self.oracle.turns}:
            conversation = self.kernel.session.conversations.get(name) or Conversation(name)
            turns = self.oracle.turns.get(name, [])
            assert [
                (t.number, seen(t.prompt.to_wire()), t.is_hidden, max(t.answer, 1), _steps(t))
                for t in conversation.turns
            ] == [
                (
                    *(t["number"], t["prompt"], t["hidden"], t["answer"]),
                    [*(each["content"] for each in t["steps"]), [*t["blocks"]]],
                )
                for t in turns
            ]
            assert conversation.stale_turns() == self.oracle.marked(name)
            assert [*map(_versions, conversation.turns)] == [
                [(each["version"], text_of(each)) for each in (turn, *turn["former"])]
                for turn in self.oracle.turns.get(name, [])
            ]


def _steps(turn: Turn) -> list[Any]:
    """What followed the prompt of a turn."""
    return [[block.to_wire() for block in step.content] for step in turn.steps]


def _versions(turn: Turn) -> list[tuple[int, str]]:
    """The answer of a turn and its former ones: their numbers and words."""
    return [(each.version, " ".join(each.reply.text.split())) for each in (turn, *turn.former)]
