"""Recordings that version 0.1 wrote: which answer a request gets from them."""

from pathlib import Path

import pytest
from support.recordings import THOUGHT, file_of_0_1, line_of_0_1
from support.replays import NIGHT, WHY, Cell, replaying

from mm_magic.protocol.json_values import JsonObject

TEXT: JsonObject = {"type": "text", "text": "Blue."}
REDACTED: JsonObject = {"type": "redacted_thinking", "data": "eA=="}
CALL: JsonObject = {"type": "tool_use", "id": "t", "name": "look", "input": {}}


def written(folder: Path, *lines: bytes) -> Path:
    path = folder / "r"
    path.write_bytes(file_of_0_1(*lines))
    return path


def said(**given: object) -> Cell:
    """A cell of its own that sets these options."""
    return Cell(conversation=None, id=str(given), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", [said(), said(temperature=1.0), said(model="MiniMax-M2.7")])
def test_default_counts_as_not_set(tmp_path: Path, cell: Cell) -> None:
    """Version 0.1 sent its defaults: who sets such a value, or none, asks the same request."""
    path = written(tmp_path, line_of_0_1("Why?", "One."))
    assert replaying(path).run(cell).text == "One."


@pytest.mark.parametrize(
    ("cell", "step"),
    [
        (
            said(temperature=0.3),
            "This prompt was recorded with -t default: `%%minimax --alone -t default`",
        ),
        (said(model="MiniMax-M3"), "This prompt was recorded with the default model."),
        (
            said(system="Be brief."),
            'This prompt was recorded with -s "": `%%minimax --alone -s ""`',
        ),
    ],
)
def test_another_value_is_another_request(tmp_path: Path, cell: Cell, step: str) -> None:
    """A value that is no default tells requests apart, and the error says what was recorded."""
    path = written(tmp_path, line_of_0_1("Why?", "One."))
    assert replaying(path).refusal(cell).next_steps[0] == step


def test_value_that_was_set(tmp_path: Path) -> None:
    """A line with a value that is no default belongs to cells that set it."""
    path = written(tmp_path, line_of_0_1("Why?", "One.", temperature=0.3))
    kernel = replaying(path)
    assert kernel.run(said(temperature=0.3)).text == "One."
    step = "This prompt was recorded with -t 0.3: `%%minimax --alone -t 0.3`"
    assert kernel.refusal(said(temperature=1.0)).next_steps[0] == step


def test_kth_of_cells_that_differ_in_a_default(tmp_path: Path) -> None:
    """Cells that differ in a default alone ask one request: each gets an answer of its own."""
    lines = (line_of_0_1("Why?", text, nth=nth) for nth, text in enumerate(("One.", "Two.")))
    kernel = replaying(written(tmp_path, *lines))
    cells = said(temperature=1.0), said(), said(temperature=1.0)
    assert [kernel.run(cell).text for cell in cells] == ["One.", "Two.", "One."]
    assert kernel.run(said(model="MiniMax-M2.7")).text == "Two."


def test_missing_line_keeps_its_place(tmp_path: Path) -> None:
    """Where the line of the first cell is damaged, the second cell still gets its own."""
    lines = [line_of_0_1("Why?", text, nth=nth) for nth, text in enumerate(("One.", "Two."))]
    kernel = replaying(written(tmp_path, lines[0][:-9], lines[1]))
    kernel.refusal(said())
    assert kernel.run(said(temperature=1.0)).text == "Two."


def test_streamed_and_in_one_piece(tmp_path: Path) -> None:
    """Version 0.1 told requests apart by `stream`: two cells get the two answers, in order."""
    lines = (line_of_0_1("Why?", "One."), line_of_0_1("Why?", "Two.", stream=False))
    kernel = replaying(written(tmp_path, *lines))
    cells = said(), said(temperature=1.0)
    assert [kernel.run(cell).text for cell in cells] == ["One.", "Two."]


def test_model_that_no_cell_named(tmp_path: Path) -> None:
    """Version 0.1 kept the model that MINIMAX_MODEL named, as it did one that a cell named."""
    lines = (line_of_0_1("Why?", "M3.", model="MiniMax-M3"), line_of_0_1("Why?", "M2.7."))
    path = written(tmp_path, *lines)
    environ = {"MINIMAX_MODEL": "MiniMax-M3"}
    assert replaying(path, environ).run(said()).text == "M3."
    assert replaying(path, environ).run(said(model="MiniMax-M2.7")).text == "M2.7."
    assert replaying(path).run(said()).text == "M2.7."
    assert replaying(path).run(said(model="MiniMax-M3")).text == "M3."
    assert replaying(path, {"MINIMAX_MODEL": "MiniMax-M2.5"}).run(said()).text == "M2.7."


def test_fill_adds_to_it(tmp_path: Path) -> None:
    """What is asked with `--fill` comes behind the older answers, and does not hide them."""
    path = written(tmp_path, line_of_0_1("Why?", "One."))
    cells = [said(temperature=1.0), said(), said(model="MiniMax-M2.7"), said(temperature=0.3)]
    kernel = replaying(path, fills=True)
    texts = [kernel.run(cell).text for cell in cells]
    assert texts == ["One.", "answer 1", "answer 2", "answer 3"]
    kernel = replaying(path)
    assert [kernel.run(cell).text for cell in cells] == texts


def test_loose(tmp_path: Path) -> None:
    """In another context, too, a default counts as not set, and each cell gets its own answer."""
    user: JsonObject = {"role": "user", "content": "Before?"}
    earlier: list[JsonObject] = [user, {"role": "assistant", "content": [TEXT]}]
    lines = (
        line_of_0_1("Why?", text, nth=nth, earlier=earlier)
        for nth, text in enumerate(("One.", "Two."))
    )
    kernel = replaying(written(tmp_path, *lines), is_loose=True)
    cells = said(temperature=1.0), said()
    assert [kernel.run(cell).text for cell in cells] == ["One.", "Two."]


@pytest.mark.parametrize(
    ("came", "sent"),
    [
        ((THOUGHT, TEXT), (THOUGHT, TEXT)),
        ((THOUGHT, TEXT), (TEXT,)),
        ((THOUGHT, {"type": "text", "text": "\n"}, TEXT), (THOUGHT, TEXT)),
        ((REDACTED, TEXT), (REDACTED, TEXT)),
        ((TEXT, CALL), (TEXT, CALL)),
    ],
)
def test_earlier_turns_are_recognised(
    tmp_path: Path, came: tuple[JsonObject, ...], sent: tuple[JsonObject, ...]
) -> None:
    """An answer that was sent back, with its thinking or without, is known by what stands here."""
    user: JsonObject = {"role": "user", "content": "Why?"}
    lines = (
        line_of_0_1("Why?", "", answer=came),
        line_of_0_1(
            NIGHT.prompt, "Black.", earlier=[user, {"role": "assistant", "content": [*sent]}]
        ),
    )
    kernel = replaying(written(tmp_path, *lines))
    assert [kernel.run(cell).text.strip() for cell in (WHY, NIGHT)] == ["Blue.", "Black."]


def test_line_that_was_changed(tmp_path: Path) -> None:
    """A line whose request was changed is left out."""
    line = line_of_0_1("Why?", "One.").replace(b"Why?", b"How?")
    error = replaying(written(tmp_path, line)).refusal(Cell("How?"))
    assert error.message == "this request is not in 'r'"
