"""The turns in a notebook file, and the conversations that they make. No Jupyter is needed."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.files import cell, file, left_out, prompts, saved, turn
from support.timing import calls_of

import mm_magic as mm
from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.notebook_file import read
from mm_magic.conversation.saved_turn import pick_json, record_json, turn_json
from mm_magic.conversation.stored import TWICE, UNKNOWN, names_here, pasts
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.errors import UsageError
from mm_magic.prompt.prompt import Prompt
from mm_magic.transport.recording.file_format import header


def test_turn_comes_back_whole() -> None:
    """Key, label, prompt, content and number of a turn are read; so is its conversation."""
    talk = Conversation("main")
    placed = talk.commit(turn("why?", "a"))
    found = read(file(cell("a", saved(talk, placed)))).found[0]

    assert found.turn.key == TurnKey("a", 0)
    assert found.turn.label == "[3]"
    assert (found.turn.id, found.turn.prompt.text) == (placed.id, "why?")
    assert found.turn.reply.content == placed.reply.content
    assert found.state == talk.state


def test_read_notebook_gives_conversations(tmp_path: Path) -> None:
    """`mm.read_notebook` gives each conversation by name, in order of the numbers."""
    main, side = Conversation("main"), Conversation("side")
    one, two = main.commit(turn("one")), main.commit(turn("two"))
    other = side.commit(turn("other", conversation="side"))
    path = tmp_path / "a.ipynb"
    alone = turn("alone", conversation=None, number=0)
    path.write_bytes(
        file(
            cell("two", saved(main, two)),
            cell("one", saved(main, one)),
            cell("other", saved(side, other), turn_json(alone, None)),
        )
    )

    found = mm.read_notebook(path)
    assert {name: [t.prompt.text for t in each.turns] for name, each in found.items()} == {
        "main": ["one", "two"],
        "side": ["other"],
    }
    assert mm.read_notebook(str(path))["main"].turns[0].reply.text == "ONE"


def test_it_needs_no_jupyter(tmp_path: Path) -> None:
    """Reading a file imports neither IPython nor nbformat, nor any library for drawing."""
    talk = Conversation("main")
    path = tmp_path / "a.ipynb"
    path.write_bytes(file(cell("a", saved(talk, talk.commit(turn("why?"))))))
    code = (
        "import sys, mm_magic as mm; assert mm.read_notebook(sys.argv[1])['main'].turns; "
        "print({'IPython', 'nbformat', 'httpx', 'markdown_it', 'nh3'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"


def with_knew(talk: Conversation, turn: Turn) -> Turn:
    """A turn as a session makes it, which knows of the turns above."""
    history = talk.history(model="M", server="A", system="")
    return replace(turn, turns_hash=history.turns_hash, number=talk.last_number + 1)


# Which of several


def test_copy_of_a_cell() -> None:
    """The first of two cells with the same turn keeps it; a turn drawn again counts for nothing."""
    talk = Conversation("main")
    json_ = saved(talk, talk.commit(turn("why?", "a")))
    again = {**json_, "copy": True}
    (found,) = read(file(cell("s", again), cell("a", json_), cell("b", json_))).found

    assert found.turn.key == TurnKey("a", 0)


def test_turn_that_was_only_drawn_again() -> None:
    """If no cell made it any more, a turn that was drawn again counts, and has no cell."""
    talk = Conversation("main")
    again = saved(talk, talk.commit(turn("why?")), is_copy=True)
    notebook = read(file(cell("s", again), cell("s2", again)))

    assert prompts(notebook) == [["why?"]]
    assert notebook.found[0].turn.key is None


def test_turn_shown_after_it_was_forgotten_is_none() -> None:
    """A turn without a state is in no conversation: it was forgotten, or never entered."""
    shown = turn_json(turn("why?"), None, is_copy=True)
    assert prompts(read(file(cell("s", shown)))) == []


def test_older_answer_of_a_cell() -> None:
    """Of two answers with one number the later one stands, wherever it is, and none is missed."""
    talk = Conversation("main")
    old = saved(talk, talk.commit(turn("old", "a")))
    new = saved(talk, talk.commit(turn("new", "a")))
    back = saved(talk, talk.commit(turn("old", "a")))

    for cells in ([cell("b", old), cell("a", new)], [cell("a", new), cell("b", old)]):
        assert prompts(read(file(*cells))) == [["new"]]
        assert left_out(read(file(*cells))) == {}
    assert prompts(read(file(cell("b", new), cell("a", back)))) == [["old"]]


def test_number_held_twice() -> None:
    """Of two turns with one number that do not know of each other the first stays."""
    one, two = Conversation("main"), Conversation("main")
    past = turn("same")
    for talk in (one, two):
        talk.commit(past)
    a, b = one.commit(turn("a")), two.commit(turn("b"))
    notebook = read(file(cell("b", saved(two, b)), cell("a", saved(one, a))))

    assert prompts(notebook) == [["b"]]
    assert left_out(notebook) == {TWICE: [2]}


def test_turns_beyond_what_the_last_kernel_knew() -> None:
    """Turns that were not saved when the next kernel began from the file do not come between."""
    first = Conversation("main")
    kept, lost, lost2 = (saved(first, first.commit(turn(p))) for p in ("kept", "lost", "lost2"))
    second = Conversation("main")
    (past,) = pasts(read(file(cell("kept", kept))))["main"]
    second.take_in(past.turns, past.state)
    new = saved(second, second.commit(turn("new")))
    cells = [cell("kept", kept), cell("lost", lost), cell("lost2", lost2), cell("new", new)]

    assert prompts(read(file(*cells))) == [["kept", "new"]]
    assert left_out(read(file(*cells))) == {UNKNOWN: [3], TWICE: [2]}


def test_conversations_of_two_kernels(tmp_path: Path) -> None:
    """The one that changed last counts; where nothing tells, the last in the document."""
    one, two = Conversation("main"), Conversation("main", changes=1)
    a, b = saved(one, one.commit(turn("a"))), saved(two, two.commit(turn("b")))
    assert prompts(read(file(cell("b", b), cell("a", a)))) == [["b"], ["a"]]

    one.commit(turn("x"))
    one.hide(["x"])
    a = saved(one, one.turns[0])
    path = tmp_path / "a.ipynb"
    path.write_bytes(file(cell("b", b), cell("a", a)))
    assert prompts(read(path.read_bytes())) == [["a"], ["b"]]
    assert [t.prompt.text for t in mm.read_notebook(path)["main"].turns] == ["a"]


def test_merged_conversations_of_version_0_1() -> None:
    """Turns that version 0.1 had merged from another conversation are an earlier kernel's now."""
    one, two = Conversation("main"), Conversation("main", changes=1)
    a, b = saved(one, one.commit(turn("a"))), saved(two, two.commit(turn("b")))
    b["state"] |= {"changes": 2, "also": [[one.begins, 1]]}

    assert prompts(read(file(cell("a", a), cell("b", b)))) == [["b"], ["a"]]


def test_conversation_with_a_new_name() -> None:
    """A conversation keeps its turns, and their cells, where a kernel gave it another name."""
    one = Conversation("main")
    a, b = (saved(one, one.commit(with_knew(one, turn(p)))) for p in "ab")
    (past,) = pasts(read(file(cell("a", a), cell("b", b))))["main"]
    lesson, main = Conversation("lesson"), Conversation("main", changes=1)
    lesson.take_in(past.turns, past.state)
    mark = record_json([], [("lesson", lesson.state)])
    c = saved(lesson, lesson.commit(with_knew(lesson, turn("c", conversation="lesson"))))
    d = saved(main, main.commit(turn("d")))
    cells = (cell("a", a), cell("b", b), cell("d", d), cell("r", mark), cell("c", c))

    found = pasts(read(file(*cells)))
    (later,) = found["lesson"]
    assert prompts(read(file(*cells))) == [["d"]]
    assert [(t.prompt.text, t.conversation) for t in later.turns] == [(p, "lesson") for p in "abc"]
    assert [t.key for t in later.turns] == [TurnKey(p, 0) for p in "abc"]
    assert [t.id for t in later.turns] == [t.id for t in lesson.turns]
    assert lesson.stale_turns() == later.conversation().stale_turns() == set()


def test_turn_that_was_drawn_again_under_another_name() -> None:
    """It is one turn, and its cell's."""
    one, lesson = Conversation("main"), Conversation("lesson")
    a = saved(one, one.commit(turn("a")))
    lesson.take_in(one.turns, one.state)
    again = saved(lesson, lesson.turns[0], is_copy=True)
    (past,) = pasts(read(file(cell("s", again), cell("a", a))))["lesson"]

    assert ([t.key for t in past.turns], past.left_out) == ([TurnKey("a", 0)], {})


@pytest.mark.parametrize(
    ("name", "here", "expected"),
    [
        ("lesson.ipynb", [], ["main", "side"]),
        ("lesson.ipynb", ["main"], ["lesson", "side"]),
        ("lesson.ipynb", ["main", "side"], ["lesson", "lesson-2"]),
        ("lesson.ipynb", ["main", "lesson"], ["lesson-2", "side"]),
        ("side.ipynb", ["main"], ["side-2", "side"]),
        (" my\n lesson \x1b", ["main"], ["my lesson ␛", "side"]),
        ("--.ipynb", ["main"], ["notebook", "side"]),
    ],
)
def test_name_that_is_taken(name: str, here: list[str], expected: list[str]) -> None:
    """A conversation keeps its name, or is called after the file; no two get the same one."""
    taken = {each: Conversation(each) for each in here}
    for each, talk in taken.items():
        talk.commit(turn("mine", conversation=each))
    taken["side"] = taken.get("side", Conversation("side"))  # without turns it takes no name
    found = []
    for each in ("main", "side"):
        talk = Conversation(each)
        json_ = saved(talk, talk.commit(turn("a", conversation=each)))
        found += pasts(read(file(cell("a", json_))))[each]

    assert names_here(found, taken, name) == expected


def test_states_of_a_record() -> None:
    """A record tells of turns that nobody sees, and that others are gone or hidden."""
    talk = Conversation("main")
    cells = [cell(p, saved(talk, talk.commit(turn(p)))) for p in "abc"]
    asked = talk.commit(turn("d"))
    talk.forget(1)
    talk.hide(["b"])
    record = record_json([saved(talk, asked)], [("main", talk.state)])
    (past,) = pasts(read(file(*cells, cell("d", record))))["main"]

    assert [(t.prompt.text, t.is_hidden) for t in past.turns] == [
        ("b", True),
        ("c", False),
        ("d", False),
    ]
    assert past.left_out == {}


def test_incomplete_and_alone_turns_stay_out() -> None:
    """An incomplete turn and one that stood alone are found, and are in no conversation."""
    talk = Conversation("main")
    talk.commit(turn("a"))
    broken = saved(talk, turn("b", status="incomplete", number=2))
    alone = turn_json(turn("c", conversation=None, number=0), None)
    notebook = read(file(cell("b", broken), cell("c", alone)))

    assert [each.turn.prompt.text for each in notebook.found] == ["b", "c"]
    assert prompts(notebook) == [[]]


def test_recording_is_told_as_one() -> None:
    """A recording that is given as a notebook is named, with the command that takes it."""
    with pytest.raises(UsageError, match="is a recording") as caught:
        read(header() + b"\n{}\n", "lesson.jsonl")

    assert "%minimax replay" in caught.value.next_steps[0]


def test_cells_without_ids() -> None:
    """In a notebook of format 4.4 a cell is named by its place, which is no id that runs."""
    talk = Conversation("main")
    json_ = saved(talk, talk.commit(turn("why?")))
    (found,) = read(file(cell(None), cell(None, json_))).found

    assert found.turn.key == TurnKey("#2", 0)


def test_many_conversations_take_linear_work() -> None:
    """Twice the conversations in a file take twice the work, not four times."""

    def calls(count: int) -> int:
        turns = []
        for name in map(str, range(count)):
            talk = Conversation(name)
            turns.append(saved(talk, talk.commit(turn("a", conversation=name))))
        notebook = read(file(cell("a", record_json(turns))))
        assert len(pasts(notebook)) == count
        return calls_of(lambda: pasts(notebook))

    assert calls(1_000) < 2.5 * calls(500)


def test_a_turn_that_cannot_be_read_is_counted() -> None:
    """By its reason; the others of the file are read."""
    talk = Conversation("main")
    good = saved(talk, talk.commit(turn("why?", "a")))
    odd = [{**good, "prompt": 5}, {**good, "status": "later"}, {**good, "version": 99}]
    notebook = read(file(cell("b", *odd), cell("a", good)))
    assert prompts(notebook) == [["why?"]]
    assert sum(notebook.unreadable.values()) == 3
    assert notebook.unreadable["no prompt"] == 1


def test_picks_come_back_with_their_cells() -> None:
    """The answer that a cell picked stands; one whose cell is gone does not count any more."""
    talk = Conversation("main")
    two = turn("why?", "a", answer=2, sample=1)
    talk.commit(turn("why?", "a", answer=1, others=(two,)))
    as_made = saved(talk, talk.turns[0])
    picks = []
    for number, name in enumerate(("p", "q")):
        talk.pick(TurnKey(name, 0), 1, 2 - number)
        picks.append(pick_json(talk.picks[-1], talk.turns[0]))
    records = [record_json([], [("main", talk.state)], [each]) for each in picks]
    copy = record_json([], [("main", talk.state)], [{**picks[1], "copy": True}])

    (past,) = pasts(read(file(cell("a", as_made), *map(cell, "pq", records))))["main"]
    assert [(each.key, each.answer) for each in past.picks] == [
        (TurnKey("p", 0), 2),
        (TurnKey("q", 0), 1),
    ]
    assert past.turns[0].answer == 1
    (past,) = pasts(read(file(cell("a", as_made), cell("p", records[0]))))["main"]
    assert [each.key for each in past.picks] == [TurnKey("p", 0)]
    assert past.turns[0].answer == 2
    (past,) = pasts(read(file(cell("a", as_made), cell("s", copy))))["main"]
    assert [(each.key, each.answer) for each in past.picks] == [(None, 1)]


def test_pick_for_a_turn_that_was_made_again() -> None:
    """It counts no more, and still tells to which turn its cell keeps; that of no turn is none."""
    talk = Conversation("main")
    talk.commit(turn("why?", "a", answer=1, others=(turn("why?", "a", answer=2, sample=1),)))
    talk.pick(TurnKey("p", 0), 1, 2)
    pick = pick_json(talk.picks[0], talk.turns[0])
    talk.commit(turn("how?", "a", answer=1, others=(turn("how?", "a", answer=2, sample=1),)))
    record = record_json([], [("main", talk.state)], [pick, {**pick, "turn": "of no turn"}])
    (past,) = pasts(read(file(cell("a", saved(talk, talk.turns[0])), cell("p", record))))["main"]
    assert [(each.number, each.is_undone) for each in past.picks] == [(1, True)]
    assert past.turns[0].answer == 1


def test_turns_whose_cells_have_other_names() -> None:
    """A new prompt may belong to a turn of the file where the front end names cells otherwise."""
    talk = Conversation("main")
    data = file(cell("a", saved(talk, talk.commit(turn("why?", "a")))))
    there = pasts(read(data))["main"][0].conversation()
    elsewhere = TurnKey("vscode-notebook-cell:/a.ipynb#W1", 0)
    new, known = Prompt.of_text("how?"), Prompt.of_text("why?")
    assert there.is_unrecognised(elsewhere, new)
    assert not there.is_unrecognised(elsewhere, known)
    assert not there.is_unrecognised(TurnKey("b", 0), new)
    assert not there.is_unrecognised(None, new)
