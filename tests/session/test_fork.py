"""`%minimax fork`: copies of a conversation's turns, which belong to the cell that forked."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from support.asking import Call, Kernel, World
from support.files import turn
from support.oracle import DEMO
from support.scripted import Service
from support.timing import calls_of

from mm_magic.conversation.notebook_file import read
from mm_magic.conversation.saved_turn import record_json, turn_json
from mm_magic.conversation.stored import pasts
from mm_magic.conversation.turn import TURN_MIME, Turn
from mm_magic.errors import UsageError
from mm_magic.jupyter.resume import latest, take_in
from mm_magic.session.cell_run import CellRun
from mm_magic.session.conversations import Conversations
from mm_magic.session.fork import Forked, fork
from mm_magic.session.notebook_as_recording import recording_of

NOWHERE = {"A": "http://127.0.0.1:1", "B": "http://127.0.0.1:2", DEMO: ""}


class Notebook:
    """Cells that a kernel runs, and what the file keeps of them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.kernel = Kernel(world)
        self.outputs: dict[str, list[Any]] = {}

    @property
    def conversations(self) -> Any:
        return self.kernel.session.conversations

    def begin(self, cell: str | None, *, deleted: Sequence[str] = ()) -> None:
        self.kernel.session.cells.begin(cell, "[1]", deleted)
        self.outputs[str(cell)] = []

    def end(self, cell: str | None, *, is_well: bool = True) -> None:
        end = self.kernel.session.cells.end(succeeded=is_well)
        self.outputs[str(cell)] += [self._json(each) for each in (*end.undrawn, *end.kept)]

    def ask(self, cell: str, prompt: str = "", name: str = "main", **more: Any) -> list[Any]:
        """Run a cell that asks; return the messages that were sent."""
        call = {"who": "usual", "answer": "blue"} | more
        self.begin(cell, deleted=call.pop("deleted", ()))
        _, outputs = self.kernel.magic(Call(name, prompt=prompt or f"{cell}?", **call))
        self.outputs[cell] += outputs
        self.end(cell)
        messages: list[Any] = self.kernel.take_request()["messages"]
        return messages

    def fork(self, cell: str | None, name: str = "idea", until: int | None = None) -> Forked:
        """Run a cell that forks."""
        self.begin(cell)
        forked = self.forked(cell, name, until)
        self.end(cell)
        return forked

    def forked(self, cell: str | None, name: str, until: int | None = None) -> Forked:
        """Fork in the running cell."""
        forked = self.kernel.session.edits.fork(name, until)
        self.outputs[str(cell)].append(record_json(map(self._json, forked.copies)))
        return forked

    def refused(
        self, cell: str | None, name: str = "idea", until: int | None = None
    ) -> tuple[str, ...]:
        """Run a cell that forks and fails: the error and the lines that work."""
        self.begin(cell)
        with pytest.raises(UsageError) as caught:
            self.forked(cell, name, until)
        self.end(cell, is_well=False)
        return (caught.value.message, *caught.value.next_steps)

    def restart(self) -> None:
        """Save, restart the kernel, and resume the file."""
        self.kernel.close()
        self.kernel = Kernel(self._world)
        session = self.kernel.session
        take_in(session, latest(session, pasts(read(self.file()))), "lesson.ipynb")

    def file(self) -> bytes:
        cells = [
            {
                "cell_type": "code",
                "id": cell,
                "source": "",
                "outputs": [{"output_type": "display_data", "data": {TURN_MIME: o}} for o in out],
            }
            for cell, out in self.outputs.items()
        ]
        return json.dumps({"cells": cells, "nbformat": 4, "nbformat_minor": 5}).encode()

    def prompts(self, name: str = "idea") -> list[str]:
        return [each.prompt.text for each in self.conversations[name].turns]

    def numbers(self, name: str = "idea") -> list[int]:
        return [each.number for each in self.conversations[name].visible]

    def _json(self, made: Turn) -> Any:
        return turn_json(made, self.conversations.state_of(made))


@pytest.fixture
def notebook() -> Iterator[Notebook]:
    """It has turns of the cells a, b and c in conversation main."""
    with asyncio.Runner() as runner:
        notebook = Notebook(World(runner.get_loop(), Service(), NOWHERE))
        for cell in "abc":
            notebook.ask(cell)
        yield notebook
        notebook.kernel.close()


def texts(messages: Sequence[Any]) -> list[str]:
    """The prompts of a request."""
    return [each["content"] for each in messages if each["role"] == "user"]


def test_copies_are_sent_as_the_turns_would_be(notebook: Notebook) -> None:
    """The request behind the copies is that behind the turns, thinking with signatures included."""
    notebook.fork("f")

    forked = notebook.ask("d", name="idea", prompt="And?")
    assert forked == notebook.ask("e", prompt="And?")
    assert "signature" in json.dumps(forked)
    assert texts(forked) == ["a?", "b?", "c?", "And?"]
    assert notebook.conversations["idea"].stale_turns() == set()


def test_up_to_a_turn(notebook: Notebook) -> None:
    """Behind the name stands the number of the last turn to copy."""
    assert [each.copy_of for each in notebook.fork("f", until=2).copies] == [1, 2]
    assert notebook.prompts() == ["a?", "b?"]


def test_hidden_turns_are_not_copied(notebook: Notebook) -> None:
    """What is not sent is not copied; what its going made outdated is so in the copy, too."""
    notebook.ask("d", deleted=["b"])
    forked = notebook.fork("f")

    assert [each.copy_of for each in forked.copies] == [1, 3, 4]
    assert [each.number for each in forked.copies] == [1, 2, 3]
    assert notebook.conversations["main"].stale_turns() == {3}
    assert notebook.conversations["idea"].stale_turns() == {2}
    assert texts(notebook.ask("e", name="idea")) == ["a?", "c?", "d?", "e?"]


def test_run_again(notebook: Notebook) -> None:
    """It makes the same copies anew, in their places, and says what is outdated by that."""
    notebook.fork("f")
    notebook.ask("d", name="idea")
    notebook.ask("e")
    notebook.ask("b", prompt="B?")
    forked = notebook.fork("f")

    assert notebook.prompts() == ["a?", "B?", "c?", "d?"]
    assert notebook.numbers() == [1, 2, 3, 4]
    assert forked.not_copied == [4]
    assert forked.outdated == [4]
    assert notebook.fork("f").outdated == []


def test_run_again_lists_all_outdated(notebook: Notebook) -> None:
    """What was outdated in the new conversation before is listed with what becomes so."""
    notebook.fork("f")
    notebook.ask("d", name="idea")
    notebook.ask("b", prompt="B?")
    assert notebook.fork("f").outdated == [4]
    notebook.ask("e", name="idea")
    notebook.ask("b", prompt="And b?")
    assert notebook.fork("f").outdated == [4, 5]


def test_run_again_up_to_another_turn(notebook: Notebook) -> None:
    """A lower number takes the last copies out at once; a higher one names another fork."""
    notebook.fork("f")
    notebook.ask("d", name="idea")
    forked = notebook.fork("f", until=1)
    assert notebook.prompts() == ["a?", "d?"]
    assert forked.outdated == [4]

    error = "conversation idea already has copies of turn 1"
    assert notebook.refused("f", until=3) == (error, "Begin another one: `%minimax fork idea-2 3`")
    assert notebook.prompts() == ["a?", "d?"]


def test_forgotten_copy_stays_forgotten(notebook: Notebook) -> None:
    """Where a copy was forgotten, the cell makes the others anew, with the same line."""
    notebook.fork("f", until=3)
    notebook.ask("d", name="idea")
    notebook.kernel.session.edits.forget("idea", 2)
    notebook.fork("f", until=3)
    assert notebook.prompts() == ["a?", "c?", "d?"]

    notebook.kernel.session.edits.forget("idea")
    notebook.fork("f")
    assert notebook.prompts() == ["a?", "b?", "c?"]
    assert notebook.numbers() == [5, 6, 7]


def test_origin_goes_its_own_way(notebook: Notebook) -> None:
    """The copies stay as they are when turns of the origin are asked again or forgotten."""
    notebook.fork("f")
    notebook.ask("a", prompt="A?")
    notebook.kernel.session.edits.forget("main")

    assert texts(notebook.ask("d", name="idea")) == ["a?", "b?", "c?", "d?"]
    assert notebook.conversations["idea"].stale_turns() == set()


def test_cell_that_is_deleted_and_comes_back(notebook: Notebook) -> None:
    """Deleting the cell hides the copies; running it again sends them again."""
    notebook.fork("f")
    assert texts(notebook.ask("d", name="idea", deleted=["f"])) == ["d?"]
    notebook.fork("f")

    assert notebook.numbers() == [1, 2, 3, 4]
    assert texts(notebook.ask("e", name="idea")) == ["a?", "b?", "c?", "d?", "e?"]


def test_cell_that_asks_and_forks(notebook: Notebook) -> None:
    """Turns and copies of one cell are told apart, in whatever order a later run makes them."""
    call = Call("main", "usual", "x?", "blue")
    notebook.begin("f")
    notebook.forked("f", "idea")
    notebook.forked("f", "other", 2)
    notebook.kernel.ask(call)
    notebook.end("f")
    notebook.kernel.take_request()
    notebook.ask("d", name="idea")
    notebook.begin("f")
    notebook.kernel.ask(call)
    notebook.forked("f", "idea", 2)
    notebook.forked("f", "other", 2)
    notebook.end("f")

    assert notebook.prompts("main") == ["a?", "b?", "c?", "x?"]
    assert notebook.prompts("idea") == ["a?", "b?", "d?"]
    assert notebook.prompts("other") == ["a?", "b?"]


def test_cell_that_does_something_else(notebook: Notebook) -> None:
    """A cell has the turns of its last run alone: its copies go when it asks, and the reverse."""
    notebook.ask("f", name="idea")
    notebook.fork("f")
    assert notebook.prompts("idea") == ["a?", "b?", "c?"]
    assert notebook.conversations["idea"].stale_turns() == set()
    notebook.fork("f", "other")
    assert notebook.prompts("idea") == []
    assert notebook.prompts("other") == ["a?", "b?", "c?"]

    notebook.ask("f", name="other")
    assert notebook.prompts("other") == ["f?"]


def test_cell_that_fails_keeps_its_copies(notebook: Notebook) -> None:
    """Copies that a failed run did not reach are kept, and left in the file again."""
    notebook.fork("f")
    notebook.begin("f")
    notebook.end("f", is_well=False)
    notebook.restart()
    assert notebook.prompts() == ["a?", "b?", "c?"]


def test_after_a_restart(notebook: Notebook) -> None:
    """The file holds the copies as turns: they are sent as before, and made anew in place."""
    notebook.fork("f")
    before = notebook.ask("d", name="idea")
    notebook.restart()
    assert notebook.ask("d", name="idea") == before

    notebook.ask("e")
    notebook.ask("b", prompt="B?")
    notebook.fork("f")
    assert notebook.prompts() == ["a?", "B?", "c?", "d?"]
    notebook.restart()
    assert notebook.prompts() == ["a?", "B?", "c?", "d?"]
    assert notebook.conversations["idea"].stale_turns() == {3, 4}  # c was, too


def test_cells_with_other_names(notebook: Notebook) -> None:
    """VS Code names cells by an address: a copy of the file is known by what it copies."""
    notebook.ask("b", prompt="a?")
    notebook.fork("f")
    notebook.ask("d", name="idea")
    notebook.restart()
    notebook.ask("vscode-notebook-cell:/a#X", prompt="c?", name="idea")  # it has no such turn
    assert notebook.prompts() == ["a?", "a?", "c?", "d?", "c?"]

    notebook.kernel.session.edits.forget("idea", 5)
    notebook.ask("b", prompt="B?")
    notebook.fork("vscode-notebook-cell:/a#Y")
    assert notebook.prompts() == ["a?", "B?", "c?", "d?"]
    assert notebook.numbers() == [1, 2, 3, 4]


def test_without_cells(notebook: Notebook) -> None:
    """Where cells are not known, a fork begins a conversation, and the next one another."""
    notebook.fork(None)
    assert notebook.prompts() == ["a?", "b?", "c?"]
    assert notebook.refused(None)[1:] == ("Begin another one: `%minimax fork idea-2`",)

    notebook.outputs["g"] = notebook.outputs.pop("None")  # the file gives the cell a name
    notebook.restart()
    notebook.ask("b", prompt="B?")
    notebook.fork("g")
    assert notebook.prompts() == ["a?", "B?", "c?"]


def test_fork_of_a_fork(notebook: Notebook) -> None:
    """Copies are turns: they can be copied again."""
    notebook.fork("f")
    session = notebook.kernel.session
    session.options = session.options.overridden({"conversation": "idea"})
    forked = notebook.fork("g", "other", 2)

    assert [each.copy_of for each in forked.copies] == [1, 2]
    assert texts(notebook.ask("d", name="other")) == ["a?", "b?", "d?"]


def test_demo_turns_stay_the_demos(notebook: Notebook) -> None:
    """A copy of what the demo said goes to no model."""
    notebook.ask("d", who="demo")
    notebook.fork("f")
    assert texts(notebook.ask("e", name="idea")) == ["a?", "b?", "c?", "e?"]


def test_other_model(notebook: Notebook) -> None:
    """Another model gets the copies without their thinking, as it gets the turns."""
    notebook.fork("f")
    messages = notebook.ask("d", name="idea", who="another model")
    assert messages == notebook.ask("d", who="another model")
    assert "signature" not in json.dumps(messages)


@pytest.mark.parametrize(
    ("name", "until", "message", "step"),
    [
        ("main", None, "conversation main can't be copied into itself",
         "Choose another name: `%minimax fork main-2`"),
        ("main", 2, "conversation main can't be copied into itself",
         "Choose another name: `%minimax fork main-2 2`"),
        ("used", 2, "conversation used already has 1 turn",
         "Begin another one: `%minimax fork used-3 2`"),
        ("used-2", None, "conversation used-2 already has 1 turn",
         "Begin another one: `%minimax fork used-3`"),
        ("idea", 9, "conversation main has no turn 9; its turns: 1 to 3",
         "To copy all of them: `%minimax fork idea`"),
        ("my idea", 0, "conversation main has no turn 0; its turns: 1 to 3",
         'To copy all of them: `%minimax fork "my idea"`'),
    ],
)  # fmt: skip
def test_refused(notebook: Notebook, name: str, until: int | None, message: str, step: str) -> None:
    """What can't be copied is an error with the line that works, and changes nothing."""
    notebook.ask("d", name="used")
    notebook.ask("e", name="used-2")
    before = notebook.file()

    assert notebook.refused("f", name, until) == (message, step)
    notebook.outputs.pop("f")
    assert notebook.file() == before
    assert "idea" not in notebook.conversations


@pytest.mark.parametrize("name", ["", " "])
def test_no_name(notebook: Notebook, name: str) -> None:
    """A name that no conversation can have is refused as `-c` refuses it."""
    assert notebook.refused("f", name) == (f"a conversation needs a name, got {name!r}",)


def test_nothing_to_copy(notebook: Notebook) -> None:
    """An empty conversation has nothing to copy; neither has one whose turns are all hidden."""
    notebook.kernel.session.edits.forget("main")
    nothing = ("conversation main has no turns to copy",
               "To begin idea without earlier turns: `%%minimax -c idea`")  # fmt: skip
    assert notebook.refused("f") == nothing
    assert notebook.refused("f", until=2) == nothing

    notebook.ask("d")
    notebook.ask("e", name="side", deleted=["d"])
    assert notebook.refused("f") == nothing


def test_nothing_is_counted_twice(notebook: Notebook) -> None:
    """Copies cost nothing: no request is sent, and no token is counted."""
    before = notebook.kernel.session.meter.total()
    notebook.fork("f")
    assert notebook.kernel.session.meter.total() == before
    with pytest.raises(ValueError, match="not enough values"):
        notebook.kernel.take_request()


def test_replay_of_the_notebook(notebook: Notebook) -> None:
    """A notebook that replays itself has each answer once: nobody asks for a copy."""
    notebook.fork("f")
    notebook.ask("d", name="idea")
    notebook.ask("b", prompt="B?")

    recording = recording_of(read(notebook.file()))
    asked = [each.key.prompt["content"] for each in recording.exchanges]
    assert asked == ["a?", "B?", "d?"]
    assert recording.damaged == ((3, "earlier turns have changed since"),)


def test_several_answers(notebook: Notebook) -> None:
    """A copy has the one of several answers that was picked, also after a restart."""
    main = notebook.conversations["main"]
    last = main.turns[-1]
    other = replace(last, answer=2, reply=turn("another").reply)
    main.turns[-1] = replace(last, answer=1, others=(other,))
    main.pick(None, last.number, 2)
    notebook.fork("f")
    notebook.restart()

    copy = notebook.conversations["idea"].turns[-1]
    assert (copy.copy_of, copy.reply.text, copy.answers) == (3, "ANOTHER", [copy])


def test_long_conversations_take_linear_work() -> None:
    """Twice the turns take twice the work, not four times."""

    def calls(number: int) -> int:
        conversations = Conversations()
        for nth in range(number):
            conversations.commit(turn(f"{nth}?"))
        cell = CellRun(cell_id="f")
        fork(conversations, "main", "idea", None, cell)
        return calls_of(lambda: fork(conversations, "main", "idea", None, cell))

    assert calls(400) < 2.5 * calls(200)
