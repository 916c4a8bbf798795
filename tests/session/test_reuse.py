"""Reuse: a request that this notebook has an answer to is not sent."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.replays import (
    ALONE,
    NIGHT,
    SIGNED,
    WHY,
    Cell,
    Kernel,
    recorded,
    replaying,
    run_all,
    saved_in,
    to_end,
)
from support.scripted import Ending

from mm_magic.conversation.notebook_file import read
from mm_magic.conversation.saved_turn import turn_json
from mm_magic.conversation.stored import pasts
from mm_magic.conversation.turn import TURN_MIME, Turn
from mm_magic.jupyter.resume import latest, take_in
from mm_magic.protocol.json_values import encode_json
from mm_magic.session.notebook_as_recording import answers_of
from mm_magic.transport.recording import reader
from mm_magic.transport.recording.file_format import RecordedExchange

ALONE_TOO = replace(ALONE, id="alone", prompt="And alone?")
SIX = [Cell(f"Question {n}", id=f"c{n}") for n in range(1, 7)]


def reusing(kernel: Kernel | None = None) -> Kernel:
    """A kernel in which `--reuse` is set."""
    kernel = kernel or Kernel()
    kernel.session.options = kernel.session.options.overridden({"reuse": True})
    return kernel


def test_second_run_sends_nothing() -> None:
    """All cells run again cost nothing, and make the same turns."""
    kernel = reusing()
    first, sent = run_all(kernel, SIX)
    turns = [(turn.id, turn.reply, turn.sample) for turn in kernel.session.conversations.turns()]
    again, none = run_all(kernel, SIX)

    assert (first, sent, none) == (again, 6, 0)
    assert turns == [(t.id, t.reply, t.sample) for t in kernel.session.conversations.turns()]
    assert kernel.session.meter.total().answers == 6


def test_edited_turn_costs_what_depends_on_it() -> None:
    """An edited turn is asked again with those below it; back as it was, nothing is."""
    kernel = reusing()
    first, _ = run_all(kernel, SIX)
    edited = [SIX[0], replace(SIX[1], prompt="Another question"), *SIX[2:]]

    assert run_all(kernel, edited)[1] == 5
    assert run_all(kernel, edited)[1] == 0
    assert run_all(kernel, SIX) == (first, 0)


def test_it_is_off_by_itself() -> None:
    """Unless it is set, each run asks."""
    kernel = Kernel()
    run_all(kernel, [ALONE, *SIX])
    assert run_all(kernel, [ALONE, *SIX])[1] == 7


def test_it_can_be_set_later() -> None:
    """What was asked before it was set counts, too."""
    kernel = Kernel()
    first, _ = run_all(kernel, SIX)
    assert run_all(reusing(kernel), SIX) == (first, 0)


def test_code_that_asked_before_it_was_set() -> None:
    """Cells that ask from Python are counted like all others, also while reuse is off."""
    kernel = Kernel()
    from_python = replace(kernel.ask(replace(WHY, id="loop")), is_cell=False)
    kernel.run(replace(ALONE, id="first"))
    for reuse in (False, True):
        kernel.session.options = kernel.session.options.overridden({"reuse": reuse})
        asked = replace(from_python, options=from_python.options.overridden({"reuse": reuse}))
        kernel.session.cells.begin("loop")
        asyncio.run(to_end(kernel.session, kernel.session.turns.start(asked)))
        run_all(kernel, [replace(ALONE, id="later")])
    assert len(kernel.service.requests) == 3


def test_equal_requests_have_their_own_answers() -> None:
    """Cells that ask the same keep their own answers, and one more is asked."""
    kernel = reusing()
    a, b, c = (replace(ALONE, id=name) for name in "abc")
    first, _ = run_all(kernel, [a, b])
    assert run_all(kernel, [a, b]) == (first, 0)
    assert run_all(kernel, [b, a]) == (first[::-1], 0)
    assert run_all(kernel, [c])[1] == 1


def test_answer_that_was_brought_back() -> None:
    """The version that the reader brought back comes again, for each of the cells that ask it."""
    kernel = reusing()
    kernel.run(WHY)
    kernel.run(NIGHT)
    for _ in range(2):
        kernel.run(replace(NIGHT, is_fresh=True))
    kernel.session.edits.restore_version("main", 2, 1)
    assert run_all(kernel, [WHY, NIGHT]) == (["answer 1", "answer 2"], 0)
    kernel.session.edits.restore_version("main", 2, 3)
    assert run_all(kernel, [WHY, NIGHT]) == (["answer 1", "answer 4"], 0)


def test_answer_to_an_earlier_prompt_that_was_brought_back() -> None:
    """It comes again for its own prompt, not for the one that its cell has now."""
    kernel = reusing()
    kernel.run(WHY)
    kernel.run(replace(WHY, prompt="How?"))
    kernel.session.edits.restore_version("main", 1, 1)
    assert run_all(kernel, [replace(WHY, prompt="How?")]) == (["answer 2"], 0)
    assert run_all(kernel, [WHY]) == (["answer 1"], 0)


def test_forks_and_what_goes_on_behind_them() -> None:
    """A copy is not asked; what follows it is reused like any other turn."""
    kernel = reusing()
    lesson = [WHY, NIGHT]
    there = replace(NIGHT, id="idea", prompt="How?", conversation="idea")
    for sent in (3, 0):
        before = len(kernel.service.requests)
        run_all(kernel, lesson)
        kernel.session.cells.begin("fork")
        kernel.session.edits.fork("idea")
        kernel.session.cells.end(succeeded=True)
        run_all(kernel, [there])
        assert len(kernel.service.requests) - before == sent


@pytest.mark.parametrize("ending", ["broken", "refused"])
def test_what_is_not_whole_is_asked_again(ending: Ending) -> None:
    """An answer that failed or broke off is none."""
    kernel = reusing()
    kernel.refusal(replace(WHY, ending=ending))
    assert run_all(kernel, [WHY])[1] == 1


def test_a_stopped_answer_is_asked_again() -> None:
    """It stands in the conversation, and is no answer to come again."""
    kernel = reusing()
    kernel.service.stop = lambda: kernel.session.running.runs[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        kernel.run(replace(WHY, ending="stopped"))
    kernel.session.turns.stop(kernel.last_run)
    assert [turn.reply.status for turn in kernel.session.conversations.turns()] == ["stopped"]
    assert run_all(kernel, [WHY])[1] == 1


def test_thinking_goes_on_where_it_belongs() -> None:
    """The thinking of a reused answer is sent back to the server that thought it, to no other."""
    kernel = reusing()
    run_all(kernel, [WHY])
    run_all(kernel, [WHY, NIGHT])
    assert SIGNED["signature"] in str(kernel.request["messages"])
    run_all(kernel, [WHY, replace(NIGHT, prompt="And?", server="B")])
    assert "signature" not in str(kernel.request["messages"])

    other = reusing(kernel)
    run_all(other, [replace(WHY, server="B"), replace(NIGHT, prompt="Now?", server="B")])
    assert "signature" not in str(other.request["messages"])


def test_another_default_model_changes_nothing() -> None:
    """The model that the notebook does not name is no part of the request; the turn keeps its."""
    kernel = reusing()
    first, _ = run_all(kernel, SIX)
    kernel.session.options = replace(kernel.session.options, model="MiniMax-M3")
    assert run_all(kernel, SIX) == (first, 0)
    assert kernel.turn.model == "MiniMax-M2.7"
    named = replace(SIX[0], model="MiniMax-M3")
    assert run_all(kernel, [named])[1] == 1


def test_demo_and_models_answer_for_themselves() -> None:
    """A demo's answer does not stand for a model's, nor a model's for the demo's; where nobody can
    be asked a model's comes again."""
    kernel, demo = reusing(), [replace(cell, server="demo") for cell in (WHY, NIGHT)]
    models, _ = run_all(kernel, [WHY, NIGHT])
    kernel.session.edits.forget("main")
    demos, sent = run_all(kernel, demo)

    assert sent == 2
    assert kernel.turn.is_demo
    assert run_all(kernel, demo) == (demos, 0)
    kernel.session.edits.forget("main")
    assert run_all(kernel, [WHY, NIGHT]) == (models, 0)
    assert run_all(kernel, [replace(cell, server="none") for cell in (WHY, NIGHT)]) == (models, 0)


cells = st.tuples(st.sampled_from("abcd"), st.sampled_from(["Why?", "And?"]))


@settings(deadline=None, max_examples=10)
@given(runs=st.lists(cells, min_size=2, max_size=14), set_at=st.integers(0, 3))
def test_what_is_new_is_sent_and_nothing_else(runs: list[tuple[str, str]], set_at: int) -> None:
    """In whatever order cells run and are edited, a request goes out exactly if this prompt was not
    asked yet after these turns, by a cell in this place among those that ask the same."""
    kernel = Kernel()
    turns: dict[str, tuple[str, str]] = {}
    askers: dict[object, list[str]] = {}
    known: dict[object, str] = {}
    for number, (name, prompt) in enumerate(runs):
        if number == set_at:
            reusing(kernel)
        before = list(turns)[: list(turns).index(name)] if name in turns else list(turns)
        asked = tuple(turns[each] for each in before), prompt
        same = askers.setdefault(asked, [])
        same += [name] * (name not in same)
        place = asked, same.index(name)
        (text,), sent = run_all(kernel, [Cell(prompt, id=name)])
        assert sent == (number < set_at or place not in known)
        assert sent or text == known[place]
        known[place] = text
        turns[name] = prompt, text


# The file


def restarted(data: bytes, variables: Mapping[str, str] | None = None) -> Kernel:
    """A new kernel of the notebook with this file."""
    kernel = reusing(Kernel(**(variables or {})))
    kernel.session.requests.saved.take_in(partial(answers_of, read(data)))
    return kernel


@pytest.mark.parametrize("variables", [{}, {"MINIMAX_MODEL": "MiniMax-M3"}])
def test_new_kernel_has_the_answers_of_the_file(variables: Mapping[str, str]) -> None:
    """Restart and run all sends nothing; an edited cell costs what depends on it."""
    kernel = reusing()
    first, _ = run_all(kernel, SIX)
    data = saved_in(kernel)
    ids = [turn.id for turn in kernel.session.conversations.turns()]

    again = restarted(data, variables)
    assert run_all(again, SIX) == (first, 0)
    assert [turn.id for turn in again.session.conversations.turns()] == ids
    assert saved_in(again) == data
    other = restarted(data, variables)
    assert run_all(other, [*SIX[:2], replace(SIX[2], temperature=0.5), *SIX[3:]])[1] == 4


def test_an_interrupt_loses_none_of_them() -> None:
    """The answers of a file are taken when the first one is looked for; that may be stopped."""
    kernel = reusing()
    first, _ = run_all(kernel, SIX)
    notebook = read(saved_in(kernel))
    pressed = [KeyboardInterrupt]

    def interrupted() -> Iterator[tuple[RecordedExchange, Turn]]:
        for each in answers_of(notebook):
            yield each
            if pressed:
                raise pressed.pop()

    other = reusing(Kernel())
    other.session.requests.saved.take_in(interrupted)
    with pytest.raises(KeyboardInterrupt):
        _ = other.session.requests.saved.most
    assert run_all(other, SIX) == (first, 0)


def test_file_that_is_read_later_takes_nothing_back() -> None:
    """An answer that this kernel got since stays, whatever the file has in its place."""
    kernel = reusing()
    data = (run_all(kernel, [WHY]), saved_in(kernel))[1]
    other = reusing()
    other.run(ALONE)
    newer, _ = run_all(other, [WHY])
    other.session.requests.saved.take_in(partial(answers_of, read(data)))
    assert run_all(other, [WHY]) == (newer, 0)


def test_answer_of_an_earlier_kernel_that_was_brought_back() -> None:
    """It comes again for its cell, though that is counted in another place now."""
    before = Kernel()
    run_all(before, [replace(WHY, id="side", conversation="side"), WHY])
    file = read(saved_in(before))
    kernel = restarted(saved_in(before))
    take_in(kernel.session, latest(kernel.session, pasts(file)), "lesson.ipynb")
    kernel.run(replace(WHY, is_fresh=True))
    kernel.session.edits.restore_version("main", 1, 1)
    assert run_all(kernel, [WHY]) == (["answer 2"], 0)


def test_second_answer_of_a_cell_of_an_earlier_kernel_that_was_brought_back() -> None:
    """Of two equal requests of one cell it comes again for the one that it was given to."""
    one, two = (Cell(id="a", conversation=name) for name in ("one", "two"))
    before = Kernel()
    run_all(before, [ALONE] * 3)
    before.run(one, two)
    file = read(saved_in(before))
    kernel = restarted(saved_in(before))
    take_in(kernel.session, latest(kernel.session, pasts(file)), "lesson.ipynb")
    kernel.run(Cell("Which cell?", conversation="three", id=None))  # it counts for no other
    kernel.run(*(replace(each, is_fresh=True) for each in (one, two)))
    kernel.session.edits.restore_version("two", 1, 1)
    kernel.run(one, two)
    texts = [turn.reply.text for turn in kernel.session.conversations.turns()]
    assert texts == ["answer 2", "answer 5", "answer 1"]
    assert len(kernel.service.requests) == 3


def _answered_as(turn: Turn, message_id: str) -> Turn:
    """The same words in the message with this id."""
    message = replace(turn.reply.message, id=message_id)
    return replace(turn, reply=replace(turn.reply, message=message))


@pytest.mark.parametrize(("message_ids", "counted"), [("xx", 1), ("xy", 2)])
def test_equal_words_alone(message_ids: str, counted: int) -> None:
    """Cells that got the same words have two answers; a copied cell has the one that it shows."""
    kernel = Kernel()
    kernel.run(replace(ALONE, id="a"))
    turns = [_answered_as(kernel.turn, each) for each in message_ids]
    outputs = [{"data": {TURN_MIME: turn_json(turn, None)}} for turn in turns]
    cells = [
        {"cell_type": "code", "id": cell, "outputs": [output]}
        for cell, output in zip("ab", outputs, strict=True)
    ]
    file = read(encode_json({"nbformat": 4, "metadata": {}, "cells": cells}))
    assert len([*answers_of(file)]) == counted


def test_file_of_version_0_1() -> None:
    """Answers of version 0.1 come again, where an option is not set or has its old default."""
    path = Path(__file__).parent.parent / "data" / "v0_1"
    files = [each for each in path.glob("*.ipynb") if b"vnd.minimax.turn" in each.read_bytes()]
    assert files
    for file in files:
        kernel = restarted(file.read_bytes())
        first = next(
            turn
            for each, turn in answers_of(read(file.read_bytes()))
            if not each.key.earlier and turn.asked.keys() <= {"system"} and not turn.is_demo
        )
        cell = Cell(first.prompt.text, None, temperature=1.0, system=first.system, id="a")
        assert run_all(kernel, [cell]) == ([first.reply.text], 0)


def test_key_that_a_file_claims_counts_for_nothing() -> None:
    """The key is made of what was asked: a file can't put its answer to another prompt."""
    kernel = reusing()
    run_all(kernel, [WHY])
    data = saved_in(kernel).replace(b"Why?", b"How?")
    assert run_all(restarted(data), [WHY])[1] == 1


# Beside a recording


def test_file_first_then_saved_then_the_service(tmp_path: Path) -> None:
    """With an answers file what it lacks is looked for in the notebook, and added; then asked."""
    recorded(tmp_path / "r", SIX[0])
    kernel = reusing()
    saved, _ = run_all(kernel, [SIX[0], ALONE_TOO])
    kernel.session.edits.forget("main")
    kernel.replay(tmp_path / "r", fills=True)

    assert run_all(kernel, [SIX[0], ALONE_TOO]) == (["answer 1", saved[1]], 0)
    assert run_all(kernel, [replace(ALONE_TOO, id="z")])[1] == 1
    again = replaying(tmp_path / "r")
    assert run_all(again, [ALONE_TOO]) == ([saved[1]], 0)


def test_what_a_recording_answered_is_not_the_notebook_s(tmp_path: Path) -> None:
    """Where a model answers again it is asked."""
    recorded(tmp_path / "r", WHY)
    kernel = reusing(replaying(tmp_path / "r"))
    assert run_all(kernel, [WHY])[1] == 0
    kernel.session.replay(None)
    assert run_all(kernel, [WHY])[1] == 1


def test_recording_has_what_is_reused(tmp_path: Path) -> None:
    """While a recording is made, a reused answer comes into it, too."""
    kernel = reusing()
    texts, _ = run_all(kernel, SIX)
    kernel.record(tmp_path / "r")
    assert run_all(kernel, SIX) == (texts, 0)
    assert run_all(replaying(tmp_path / "r"), SIX) == (texts, 0)


def test_recording_without_a_key_lacks_a_model_s_answers(tmp_path: Path) -> None:
    """The file would name the server that is asked now as the one that answered, and none is."""
    kernel = Kernel()
    texts, _ = run_all(kernel, SIX)
    kernel.record(tmp_path / "r")
    assert run_all(kernel, [replace(each, server="none") for each in SIX]) == (texts, 0)
    assert reader.read((tmp_path / "r").read_bytes(), "r").exchanges == ()


def test_recording_lacks_what_came_from_a_recording(tmp_path: Path) -> None:
    """An answer of a recording that a notebook kept is reused, and recorded no second time."""
    recorded(tmp_path / "r", WHY)
    kernel = replaying(tmp_path / "r")
    kernel.run(WHY)
    kernel = restarted(saved_in(kernel))
    kernel.record(tmp_path / "again")
    assert run_all(kernel, [WHY]) == (["answer 1"], 0)
    assert reader.read((tmp_path / "again").read_bytes(), "again").exchanges == ()
