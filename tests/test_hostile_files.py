"""Notebook files that are damaged, foreign, too new, too large or made up: nothing breaks out."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from files import cell, file, left_out, prompts, saved, turn
from hypothesis import given, settings
from hypothesis import strategies as st

import mm_magic as mm
from mm_magic import ipynb
from mm_magic.cli_extract import FORMATS, rows_of
from mm_magic.conversation import Conversation, State
from mm_magic.ipynb import load, read
from mm_magic.pasts import TOO_HIGH, conversation, pasts
from mm_magic.saved import turn_json
from mm_magic.visible import not_on_page


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[" * 100_000, "is not JSON, or it is nested too deeply"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[]", "is not a notebook: its JSON has no nbformat"),
        (b'{"nbformat": "4"}', "is not a notebook"),
        (b'{"nbformat": 4}', "it has no list of cells"),
        (b'{"nbformat": 3, "worksheets": []}', "has notebook format 3, and 4 is due"),
        (b'{"nbformat": 5, "cells": []}', "has notebook format 5; this release reads 4"),
    ],
)
def test_no_notebook(tmp_path: Path, content: bytes, message: str) -> None:
    """What is no notebook raises a UsageError that says why, with the file's name."""
    path = tmp_path / "x.ipynb"
    path.write_bytes(content)

    with pytest.raises(mm.UsageError, match=message) as caught:
        load(path)
    assert "x.ipynb" in str(caught.value)


def test_files_that_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing, huge or locked file, a folder and a pipe raise UsageError; nothing waits."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    large = tmp_path / "large"
    large.write_bytes(b"x" * 11)
    monkeypatch.setattr(ipynb, "MAX_BYTES", 10)

    for path, message in [
        (tmp_path / "none", "there is no file"),
        (tmp_path, "is a folder"),
        (pipe, "is no regular file"),
        (large, "is too large: 11 bytes; at most 10 are read"),
        (Path("a\0b"), "can't be read"),
        (large / "below", "can't be read"),
        (tmp_path / ("x" * 300), "can't be read"),
    ]:
        with pytest.raises(mm.UsageError, match=message):
            load(path)


def test_one_unreadable_turn_loses_nothing_else() -> None:
    """What can't be read is counted by reason; the other turns stand."""
    talk = Conversation("main")
    good = saved(talk, talk.commit(turn("a")))
    newer = {"version": 2, "turns": []}
    bad = [{**good, "version": 2}, {**good, "number": -1}, "text", {**good, "content": 3}, newer]
    notebook = read(file(cell("x", *bad), cell("a", good)))

    assert prompts(notebook) == [["a"]]
    assert notebook.unreadable == {
        "a later release of mm_magic wrote it": 2,
        "it has no number": 1,
        "it has no version": 1,
        "it has no content": 1,
    }


def test_numbers_that_leave_no_room() -> None:
    """A conversation whose numbers or changes are near the limit is told of, and not taken in."""
    talk = Conversation("main")
    good = saved(talk, talk.commit(turn("a")))
    for state in (
        {"begins": "b", "gone": [[2, 1_000_000]]},
        {"begins": "b", "last": 999_999},
        {"begins": "b", "changes": 10**6},
    ):
        notebook = read(file(cell("a", {**good, "state": state})))
        assert prompts(notebook) == [[]]
        assert left_out(notebook) == {TOO_HIGH: 1}
    notebook = read(file(cell("a", {**good, "number": 10**6})))
    assert left_out(notebook) == {TOO_HIGH: 1}


def test_conversations_that_hold_each_other() -> None:
    """A circle of beginnings, as nobody writes it, gives each turn one place."""
    cells = []
    for number, (mine, other) in enumerate([("x", "y"), ("y", "x")]):
        talk = Conversation("main")
        json_ = saved(talk, talk.commit(turn(mine)))
        state = {"begins": mine, "changes": number, "also": [[other, 1], [mine, 4]], "last": 9}
        cells.append(cell(mine, {**json_, "state": state}))

    assert prompts(read(file(*cells))) == [["y", "x"]]


HOSTILE = json.loads(
    json.dumps(
        turn_json(turn("why?"), State("b", 1, ((2, 3),), ((1, 1),), (("c", 4),), 5)), sort_keys=True
    )
)
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**18, 10**400, -1, 10**6])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["\ud83d", "\x1b[31m", "=1+1", "\u202e", "b", "c"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*HOSTILE]), inner),
    max_leaves=8,
)
HOSTILE_TURN = st.one_of(
    st.dictionaries(st.sampled_from([*HOSTILE]), ANY_JSON, max_size=3).map(
        lambda changed: {**HOSTILE, **changed}
    ),
    st.dictionaries(
        st.sampled_from(["begins", "changes", "gone", "hidden", "also", "last"]), ANY_JSON
    ).map(lambda state: {**HOSTILE, "state": state}),
    ANY_JSON,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.lists(HOSTILE_TURN, max_size=4), st.lists(HOSTILE_TURN, max_size=3), ANY_JSON)
def test_hostile_json_never_breaks_out(
    turns: Sequence[object], of_record: Sequence[object], other: object
) -> None:
    """Whatever stands where a turn is due: it is read or counted, extracted, and sent as JSON."""
    record = {"version": 1, "turns": of_record, "states": {"main": other}}
    strange = {"cell_type": "code", "outputs": other, "source": other, "id": other}
    notebook = read(file(cell("a", *turns), cell("b", record), strange, other))

    for name, found in pasts(notebook).items():
        talk = conversation(name, found)
        talk.commit(turn("next", conversation=name))
        history = talk.history(model="M", server="http://x", system="")
        json.loads(b"[%b]" % b",".join(history.messages))
        json.dumps([turn_json(each, talk.state) for each in talk.turns], ensure_ascii=False)
        talk.made_with_others()
    for each in notebook.found:
        not_on_page(each)
    rows = list(rows_of(notebook, "a.ipynb"))
    for form in FORMATS.values():
        form(rows).encode()
