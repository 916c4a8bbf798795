"""A reader without a key: a model's answers in the notebook are never replaced by the demo's."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.replays import Cell, Kernel, run_all, saved_in

from mm_magic.conversation.conversation import trusted
from mm_magic.conversation.notebook_file import read
from mm_magic.conversation.saved_turn import record_json, turn_json
from mm_magic.conversation.stored import pasts
from mm_magic.conversation.turn import TURN_MIME
from mm_magic.protocol.json_values import encode_json
from mm_magic.session.notebook_as_recording import answers_of
from mm_magic.session.reusing import trust

ALONE = Cell(conversation=None, id="alone")
LESSON = [Cell(f"Question {n}", id=f"c{n}") for n in range(1, 5)]
CHANGED = (
    "This prompt has changed; the answer below is to the old one. A new answer needs a key.",
    "The options have changed; the answer below was given with the old ones. A new answer needs "
    "a key.",
    "Earlier turns have changed since the answer below was given. A new answer needs a key.",
    "The answer below is not complete. A new answer needs a key.",
)


def keyless(cells: Sequence[Cell]) -> list[Cell]:
    return [replace(cell, server="none") for cell in cells]


def opened(data: bytes, *, is_trusted: bool) -> Kernel:
    """A new kernel of a notebook with this file, as `%load_ext` leaves it."""
    kernel, notebook = Kernel(), read(data)
    of_cells = [trusted(each.turn, is_trusted=is_trusted) for each in notebook.found]
    kernel.session.requests.saved.take_in(
        partial(answers_of, notebook, is_trusted=is_trusted), of_cells
    )
    for name, (past, *_) in pasts(notebook).items():
        turns = [
            trusted(turn, is_trusted=is_trusted and not turn.is_untrusted) for turn in past.turns
        ]
        kernel.session.conversations.take_in(name, turns, past.state, past.picks)
    return kernel


@pytest.fixture(scope="module")
def lesson() -> bytes:
    """The file of a teacher."""
    kernel = Kernel()
    run_all(kernel, LESSON)
    return saved_in(kernel)


def turns_in(data: bytes) -> list[dict[str, object]]:
    """The turns of a file, without what their conversation says of them."""
    cells = json.loads(data)["cells"]
    return [
        {**saved, "state": None}
        for cell in cells
        for output in cell["outputs"]
        for saved in output["data"].values()
    ]


@pytest.mark.parametrize("is_trusted", [True, False])
def test_lesson_stays_whole(lesson: bytes, is_trusted: bool) -> None:
    """Run All, as often as you like, sends nothing, and leaves each turn as it was."""
    kernel = opened(lesson, is_trusted=is_trusted)
    for _ in range(2):
        assert run_all(kernel, keyless(LESSON)) == ([f"answer {n}" for n in range(1, 5)], 0)
        assert kernel.notes == []
        assert turns_in(saved_in(kernel)) == turns_in(lesson)
    assert [t.is_untrusted for t in kernel.session.conversations.turns()] == [not is_trusted] * 4
    again = opened(saved_in(kernel), is_trusted=True)
    assert run_all(again, keyless(LESSON))[1] == 0
    assert turns_in(saved_in(again)) == turns_in(lesson)
    assert [t.is_untrusted for t in again.session.conversations.turns()] == [not is_trusted] * 4


@pytest.mark.parametrize(
    ("edited", "told"),
    [
        (replace(LESSON[1], prompt="Another question"), CHANGED[0]),
        (replace(LESSON[1], temperature=0.5), CHANGED[1]),
        (replace(LESSON[1], conversation="side"), CHANGED[2]),
        (replace(LESSON[1], conversation=None), CHANGED[2]),
    ],
)
def test_edited_cell_keeps_its_answer(lesson: bytes, edited: Cell, told: str) -> None:
    """It is drawn under a line that says why; the turn is the old one, and what follows it comes
    again as ever."""
    kernel = opened(lesson, is_trusted=False)
    cells = keyless([LESSON[0], edited, *LESSON[2:]])
    for _ in range(2):
        assert run_all(kernel, cells[:2]) == (["answer 1", "answer 2"], 0)
        assert kernel.notes == [told]
        assert run_all(kernel, cells[2:]) == (["answer 3", "answer 4"], 0)
        assert turns_in(saved_in(kernel)) == turns_in(lesson)
    again = opened(saved_in(kernel), is_trusted=True)
    assert run_all(again, cells)[1] == 0
    assert turns_in(saved_in(again)) == turns_in(lesson)


def alone_in_file(kernel: Kernel) -> bytes:
    """A file whose only cell has the kernel's last answer, which is in no conversation."""
    output = {"output_type": "display_data", "data": {TURN_MIME: turn_json(kernel.turn, None)}}
    cell = {"cell_type": "code", "id": ALONE.id, "outputs": [output]}
    return encode_json({"nbformat": 4, "metadata": {}, "cells": [cell]})


@pytest.mark.parametrize("is_reopened", [False, True])
def test_edited_cell_that_stands_alone_keeps_its_answer(is_reopened: bool) -> None:
    """It is in no conversation, so the kernel, or the file, has it by its cell."""
    kernel = Kernel()
    kernel.run(ALONE)
    if is_reopened:
        kernel = opened(alone_in_file(kernel), is_trusted=True)
    sent = len(kernel.service.requests)
    kept = kernel.run(replace(ALONE, prompt="How?", server="none"))
    assert (kept.text, kernel.notes) == ("answer 1", [CHANGED[0]])
    assert len(kernel.service.requests) == sent


def test_cell_that_stands_alone_is_trusted() -> None:
    """`%minimax restore` holds for the answers that stand alone, too."""
    kernel = Kernel()
    kernel.run(ALONE)
    kernel = opened(alone_in_file(kernel), is_trusted=False)
    edited = replace(ALONE, prompt="How?", server="none")
    kernel.run(edited)
    before = kernel.turn.is_untrusted
    trust(kernel.session.requests.saved, kernel.session.conversations)
    kernel.run(edited)
    assert (before, kernel.turn.is_untrusted) == (True, False)


def test_edited_cell_under_another_name_keeps_its_answer(lesson: bytes) -> None:
    """Where the front end names cells otherwise, the turn of the file is known by its prompt."""
    kernel = opened(lesson, is_trusted=True)
    edited = replace(LESSON[1], id="vscode-notebook-cell:/a.ipynb#W1", temperature=0.5)
    cells = keyless([LESSON[0], edited])
    assert run_all(kernel, cells) == (["answer 1", "answer 2"], 0)
    assert kernel.notes == [CHANGED[1]]


def test_edited_cell_keeps_the_answer_that_was_brought_back() -> None:
    """Not the last one that it got, which stands nowhere now."""
    kernel = Kernel()
    for _ in range(2):
        kernel.run(LESSON[0])
    kernel.session.edits.restore_version("main", 1, 1)
    edited = replace(LESSON[0], prompt="Another question")
    assert run_all(kernel, keyless([edited])) == (["answer 1"], 0)


def test_demo_answers_new_cells_alone(lesson: bytes) -> None:
    """A new cell gets the demo's answer, which is behind the others or between them without making
    a difference to those."""
    kernel = opened(lesson, is_trusted=False)
    new = Cell("A new question", id="new", server="none")
    for place in (4, 2, 0):
        cells = keyless(LESSON)
        cells.insert(place, new)
        texts, sent = run_all(kernel, cells)
        assert texts.pop(place).startswith("answer")
        assert (texts, sent) == ([f"answer {n}" for n in range(1, 5)], 1)
    demo = kernel.session.conversations["main"].numbered(5)
    assert demo is not None
    assert demo.is_demo
    assert len(kernel.request["messages"]) == 1
    assert turns_in(saved_in(kernel))[:4] == turns_in(lesson)


def test_where_the_demo_was_chosen_it_answers(lesson: bytes) -> None:
    """After `%minimax offline`, and with MINIMAX_BACKEND, it takes the place of a model."""
    for choice in ("offline", "auto"):
        kernel = opened(lesson, is_trusted=True)
        cells = [replace(cell, server="demo" if choice == "offline" else "none") for cell in LESSON]
        kernel.variables["MINIMAX_BACKEND"] = "" if choice == "offline" else "offline"
        assert run_all(kernel, cells)[1] == 4
        assert kernel.turn.is_demo


def test_stopped_answer_is_kept(lesson: bytes) -> None:
    """A model's answer that is not complete is not replaced either."""
    data = lesson.replace(b'"status":"complete"', b'"status":"stopped"').replace(
        b'"status": "complete"', b'"status": "stopped"'
    )
    assert data != lesson
    kernel = opened(data, is_trusted=False)
    assert run_all(kernel, keyless(LESSON[:1])) == (["answer 1"], 0)
    assert kernel.notes == [CHANGED[3]]


def test_equal_prompts_keep_their_own_answers() -> None:
    """An edited cell still counts as one that asked for its old answer."""
    cells = [replace(LESSON[0], id=name, conversation=name) for name in "ab"]
    teacher = Kernel()
    run_all(teacher, cells)
    kernel = opened(saved_in(teacher), is_trusted=False)
    edited = replace(cells[0], prompt="Another question")
    assert run_all(kernel, keyless([edited, cells[1]])) == (["answer 1", "answer 2"], 0)


def test_fresh_answer_needs_a_key(lesson: bytes) -> None:
    """`--fresh` does not let the demo answer in place of a model."""
    kernel = opened(lesson, is_trusted=True)
    fresh = [replace(cell, is_fresh=True) for cell in keyless(LESSON)]
    assert run_all(kernel, fresh)[1] == 0


# Sending


def sent(kernel: Kernel) -> list[str]:
    """The texts of the request that was prepared last."""
    return [
        block if isinstance(block, str) else block["text"]
        for message in kernel.request["messages"]
        for block in (
            message["content"] if isinstance(message["content"], list) else [message["content"]]
        )
        if isinstance(block, str) or "text" in block
    ]


def test_untrusted_turns_are_not_sent(lesson: bytes) -> None:
    """The first request that would carry them says so; restored, they are sent, and what was
    answered without them is outdated."""
    kernel = opened(lesson, is_trusted=False)
    run_all(kernel, keyless(LESSON))
    data = saved_in(kernel)
    new, other = Cell("A new question", id="new"), Cell("Another one", id="other")
    for here in (kernel, opened(data, is_trusted=True)):
        here.run(new)
        assert sent(here) == ["A new question"]
        told = "4 turns from an untrusted file were not sent. To send them: `%minimax restore`."
        assert here.notes == [told]
        here.run(other)
        assert len(sent(here)) == 3
        assert here.notes == []
        assert here.session.conversations["main"].stale_turns() == set()

        trust(here.session.requests.saved, here.session.conversations)
        assert here.session.conversations["main"].stale_turns() == {5, 6}
        here.run(new)
        assert sent(here)[:-1] == [
            text for n in range(1, 5) for text in (f"Question {n}", f"answer {n}")
        ]
        assert here.session.conversations["main"].stale_turns() == {6}
        run_all(here, keyless(LESSON))
        assert not any(turn.is_untrusted for turn in here.session.conversations.turns())


def test_answer_that_was_given_without_them_is_reused_there(lesson: bytes) -> None:
    """With `--reuse` and a key Run All sends a new prompt once; once they are sent, again."""
    kernel = opened(lesson, is_trusted=False)
    kernel.session.options = kernel.session.options.overridden({"reuse": True})
    cells = [*LESSON, Cell("A new question", id="new")]
    assert run_all(kernel, cells)[1] == 1
    assert run_all(kernel, cells)[1] == 0
    trust(kernel.session.requests.saved, kernel.session.conversations)
    assert run_all(kernel, cells)[1] == 1
    assert run_all(kernel, cells)[1] == 0


def test_one_turn_is_trusted(lesson: bytes) -> None:
    """`%minimax restore N` is for one turn, also where it is drawn again."""
    kernel = opened(lesson, is_trusted=False)
    trust(kernel.session.requests.saved, kernel.session.conversations, "main", 2)
    run_all(kernel, keyless(LESSON[:2]))
    kernel.run(Cell("A new question", id="new"))
    assert sent(kernel) == ["Question 2", "answer 2", "A new question"]


runs = st.tuples(
    st.sampled_from(LESSON),
    st.sampled_from(["", "", "Another question", "A third one"]),
    st.sampled_from(["none", "none", "A"]),
)


@settings(deadline=None, max_examples=25)
@given(steps=st.lists(runs, min_size=4, max_size=12), restore_at=st.integers(0, 12))
def test_whatever_the_reader_does(
    lesson: bytes, steps: Sequence[tuple[Cell, str, str]], restore_at: int
) -> None:
    """Without a key a cell keeps a model's answer; nothing of the file is sent before `restore`;
    and the file that is saved would send what the kernel would."""
    kernel = opened(lesson, is_trusted=False)
    conversations = kernel.session.conversations
    ran: set[str] = set()
    of_file = {f"answer {n}" for n in range(1, 5)}
    kernel.service.requests += [{}] * 10  # so that new answers have other numbers
    outputs = {cell["id"]: cell["outputs"][0]["data"] for cell in json.loads(lesson)["cells"]}
    for number, (cell, prompt, server) in enumerate(steps):
        if number == restore_at:
            trust(kernel.session.requests.saved, conversations)
            states = [(name, there.state) for name, there in conversations.items()]
            outputs = {"restore": {TURN_MIME: record_json([], states)}} | outputs
        requests = len(kernel.service.requests)
        kernel.run(replace(cell, prompt=prompt or cell.prompt, server=server))
        (now,) = [turn for turn in conversations.turns() if turn.is_of(cell.id)]
        assert not now.is_demo
        if server == "none":
            assert len(kernel.service.requests) == requests
        elif number < restore_at:
            assert not of_file & {*sent(kernel)}
        assert cell.id is not None
        outputs[cell.id] = {TURN_MIME: turn_json(now, conversations.state_of(now))}
        ran.add(cell.id)
        if len(ran) == len(LESSON) or number >= restore_at:  # else Jupyter does not trust it
            assert known(opened(notebook(outputs), is_trusted=True)) == known(kernel)


def known(kernel: Kernel) -> list[object]:
    """What a kernel would send, and what it marks."""
    (there,) = kernel.session.conversations.values()
    turns = [(turn.number, turn.is_untrusted, turn.reply.text) for turn in there.turns]
    return [turns, there.stale_turns()]


def notebook(outputs: Mapping[str, Mapping[str, object]]) -> bytes:
    """A file whose cells, by their ids, have these outputs."""
    cells = [
        {
            "cell_type": "code",
            "id": name,
            "outputs": [{"output_type": "display_data", "metadata": {}, "data": data}],
        }
        for name, data in outputs.items()
    ]
    return encode_json({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells})
