"""`python -m mm_magic strip`: what readers of the page can't see, out of notebook files."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from support.files import cell, file, saved, turn
from support.loopback import Connection, Loopback, captured, streamed
from support.pages import Page

import mm_magic as mm
from mm_magic.cli.main import main
from mm_magic.cli.strip import COLUMNS, THINKING
from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.notebook_file import joined
from mm_magic.conversation.replies import Outcome
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.saved_turn import record_json
from mm_magic.conversation.turn import TURN_MIME
from mm_magic.protocol.messages import Message, TextBlock, ThinkingBlock
from mm_magic.rendering.bundles import answer_bundle, line_bundle, thinking_bundle
from mm_magic.rendering.comparison import ShownAnswer, answers_on_page


def display(bundle: Any) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": bundle}


def notebook(path: Path) -> Path:
    """A turn as it is drawn, and outputs of others; one text holds half a character."""
    talk = Conversation("main")
    json_ = saved(talk, talk.commit(turn("why?", "a")))
    drawn = [
        display(thinking_bundle("Hm", "Thinking")),
        display(answer_bundle("WHY?")),
        display({**line_bundle("M · turn 1"), TURN_MIME: json_}),
    ]
    made = cell("a") | {"outputs": drawn}
    other = cell("b") | {"outputs": [{"output_type": "stream", "name": "stdout", "text": "\ud83d"}]}
    content = json.loads(file(made, other, {"cell_type": "markdown", "source": "Grüße", "id": "m"}))
    content["metadata"] = {"x": 1.0, "big": 10**30}
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    path.write_bytes(text.encode(errors="backslashreplace"))
    return path


def outputs(path: Path) -> list[Any]:
    found: list[Any] = json.loads(path.read_text())["cells"][0]["outputs"]
    return found


def test_saved_turns_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The saved turns go, all that the page shows stays, and it is said what that means."""
    path = notebook(tmp_path / "a.ipynb")
    before = path.read_text().split("\n")

    assert main(["strip", str(path)]) == 0
    after = path.read_text().split("\n")
    assert TURN_MIME not in path.read_text()
    assert mm.read_notebook(path) == {}
    assert len(outputs(path)) == 3
    assert set(after) <= set(before) | {line.rstrip(",") for line in before}
    out = capsys.readouterr().out
    assert "a.ipynb: removed 1 saved turn. The conversation can no longer be restored from" in out
    assert "Jupyter no longer trusts it" in out


def test_turns_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each turn counts once: one that was drawn again, and several in one output, as well."""
    talk = Conversation("main")
    one, two = (saved(talk, talk.commit(turn(prompt))) for prompt in ("one", "two"))
    again = {**one, "copy": True}
    record = record_json([again, two], [("main", talk.state)])
    path = tmp_path / "a.ipynb"
    path.write_bytes(file(cell("one", one), cell("again", again), cell("two", record)))

    assert main(["strip", str(path)]) == 0
    assert "a.ipynb: removed 2 saved turns." in capsys.readouterr().out


def test_thinking_goes_if_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --thinking the outputs that show thinking go, too; the answer stays."""
    path = notebook(tmp_path / "a.ipynb")

    assert main(["strip", str(path), "--thinking"]) == 0
    answer, status = outputs(path)
    assert "WHY?" in answer["data"]["text/plain"]
    assert "turn 1" in status["data"]["text/plain"]
    assert "Hm" not in path.read_text()
    assert "removed 1 saved turn and the thinking of 1 answer." in capsys.readouterr().out


@pytest.mark.parametrize("title", ["Thinking for answer ", "Thinking of answer "])
@pytest.mark.parametrize("number", [2, 4, 5, 13])
def test_thinking_of_several_answers_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], number: int, title: str
) -> None:
    """The thinking of many answers stands in one output with them; what they say stays.

    A file may have its title in an earlier wording.
    """
    quote = "> Quoted.\n\nThinking for answers:\n\n> That is hard.\n\n```html\n<details>\n```"
    outcomes = [
        ShownAnswer(Outcome(nth, reply(f"Hm{nth} <i>.\n\n> Hm\n\nHm", f"Yes{nth}\n\n{quote}")))
        for nth in range(1, number + 1)
    ]
    shown = [display(each) for each in answers_on_page(outcomes, hide_thinking=False)]
    path = tmp_path / "a.ipynb"
    data = file(cell("a") | {"outputs": shown})
    path.write_bytes(data.replace(b"Thinking for answer ", title.encode()))

    assert main(["strip", str(path), "--thinking"]) == 0
    assert f"and the thinking of {number} answers." in capsys.readouterr().out
    assert "Hm" not in path.read_text()
    (answers,) = outputs(path)
    plain = [
        ShownAnswer(Outcome(n.outcome.number, reply("", n.outcome.reply.text))) for n in outcomes
    ]
    (expected,) = answers_on_page(plain, hide_thinking=False)
    found = {form: joined(text) for form, text in answers["data"].items()}
    assert found == expected
    main(["strip", str(path), "--thinking"])
    assert "nothing to remove" in capsys.readouterr().out


@pytest.mark.parametrize("times", [1, 60_000])
def test_thinking_that_is_not_closed(tmp_path: Path, times: int) -> None:
    """It goes to its end, which is the end of its output, however often it begins."""
    html = COLUMNS + '"><p>Yes</p>' + f'{THINKING}"><summary>Thinking</summary>Hm' * times
    path = tmp_path / "a.ipynb"
    path.write_bytes(file(cell("a") | {"outputs": [display({"text/html": html})]}))

    assert main(["strip", str(path), "--thinking"]) == 0
    (answers,) = outputs(path)
    assert joined(answers["data"]["text/html"]) == COLUMNS + '"><p>Yes</p>'


THOUGHT = "canary-thought"


def answer(connection: Connection) -> None:
    """Answer with a thought that can be recognised; call a function that is offered."""
    request = connection.request.json
    events = captured(thinking=f"A {THOUGHT}.", text="Yes.")
    if request.get("tools") and len(request["messages"]) == 1:
        block = {"type": "tool_use", "id": "call-1", "name": "look", "input": {"text": "up"}}
        events[-2]["delta"] = {"stop_reason": "tool_use"}
        events[-2:-2] = [
            {"type": "content_block_start", "index": 2, "content_block": block},
            {"type": "content_block_stop", "index": 2},
        ]
    for step in streamed(events):
        step(connection)


SHOWING = (
    "%%minimax\nWhy?",
    "%%minimax\nAnd then?",
    "%%minimax -n 2\nTwice?",
    "%%minimax -n 5\nFive times?",
    "%minimax pick 2",
    "%minimax diff",
    "def look(text: str) -> str:\n    return text",
    "%%minimax --tools look\nCall!",
    "%minimax request",
    "%minimax request 2",
    "%minimax request --events",
    "%minimax request 1 --events",
    "get_ipython().run_line_magic('minimax', 'request')",
    "get_ipython().run_line_magic('minimax', 'request 2')",
    "get_ipython().run_line_magic('minimax', 'request --events')",
    "get_ipython().run_cell_magic('minimax', '--dry-run', 'And now?')",
    "%%minimax --dry-run\nAnd now?",
    "%%minimax --dry-run -n 2\nAnd now?",
    "%%minimax --rows names --dry-run\n{{row}}",
    "%%minimax --rows names\n{{row}}",
    "%%minimax --without 1\nAnd without it?",
    "%%minimax --reuse\nWhy?",
    "%minimax show",
    "%minimax show 3",
    "%minimax history",
    "%minimax usage",
    "%minimax code",
    "%minimax fork idea 1",
    "%minimax request",
    "%minimax restore 1",
    "%minimax",
    "import mm_magic as mm\nmm.ask('Why?', show=True)",
    "mm.ask('Why?')",
    "mm.compare('Why?', n=2)",
    "mm.compare('Why?', n=5)",
    "mm.map('{{row}}', names)",
    "%minimax record tape.jsonl",
    "%minimax replay tape.jsonl --list",
)
"""All that shows something of an answer."""
SENT_WITH_IT = {cell for cell in SHOWING if "request" in cell or "dry-run" in cell} - {
    "%%minimax --rows names --dry-run\n{{row}}"
}


def test_no_output_of_ours_shows_thinking_then(page: Page) -> None:
    """Whatever shows thinking in a notebook, nothing of it is left with --thinking."""
    with Loopback(answer) as server:
        page.load(server.url)
        page.run("names", "names = ['one', 'two']")
        for number, code in enumerate(SHOWING):
            page.run(str(number), code)
    page.save()
    before = {code: page.cells[str(number)] for number, code in enumerate(SHOWING)}
    shown = {code for code, cell in before.items() if THOUGHT in json.dumps(cell["outputs"])}
    assert shown >= SENT_WITH_IT

    assert main(["strip", "--thinking", str(page.path)]) == 0
    after = json.loads(page.path.read_text())["cells"]
    left = ["".join(cell["source"]) for cell in after if THOUGHT in json.dumps(cell)]
    assert left == []
    assert "Yes." in page.path.read_text()


@pytest.mark.parametrize("source", ["%minimax request", "%%minimax --dry-run -t 1\nWhy?"])
def test_thinking_in_requests_of_version_0_1(tmp_path: Path, source: str) -> None:
    """Version 0.1 printed a request and marked nothing: it is found by its cell and its text."""
    sent = json.dumps({"content": [{"type": "thinking", "thinking": THOUGHT}]}, indent=2)
    printed = {"output_type": "stream", "name": "stdout", "text": sent.splitlines(keepends=True)}
    quoted = {**printed, "text": json.dumps({"content": sent})}
    path = tmp_path / "a.ipynb"
    made = [cell("a") | {"source": source, "outputs": [printed]}]
    made += [cell("b") | {"source": source, "outputs": [quoted]}]
    made += [cell("c") | {"source": "print(sent)", "outputs": [printed]}]
    path.write_bytes(file(*made))

    assert main(["strip", "--thinking", str(path)]) == 0
    left = [each["outputs"] for each in json.loads(path.read_text())["cells"]]
    assert left == [[], [quoted], [printed]]


def reply(thinking: str, text: str) -> Reply:
    blocks = (ThinkingBlock(thinking, "5f"), TextBlock(text))
    return Reply(Message(content=blocks[not thinking :]))


def test_file_is_as_jupyter_writes_it(tmp_path: Path) -> None:
    """The stripped file is what Jupyter itself would write, to the byte."""
    path, again = tmp_path / "a.ipynb", tmp_path / "again.ipynb"
    shown: Any = {"text/plain": "Grüße\nund mehr", TURN_MIME: {"b": 1, "a": [2.5]}}
    new: Any = nbformat.v4
    outputs = [new.new_output("display_data", shown), new.new_output("stream", text="x\ny\n")]
    made = new.new_notebook(cells=[new.new_code_cell("1 + 1\n2", outputs=outputs)])
    nbformat.write(made, path)  # type: ignore[no-untyped-call]
    main(["strip", str(path)])

    del made.cells[0].outputs[0].data[TURN_MIME]
    nbformat.write(made, again)  # type: ignore[no-untyped-call]
    assert path.read_bytes() == again.read_bytes()


def test_half_characters_stay(tmp_path: Path) -> None:
    """What is not taken out is not changed: half a character, large numbers, permissions."""
    path = notebook(tmp_path / "a.ipynb")
    path.chmod(0o640)
    main(["strip", str(path)])

    content = json.loads(path.read_text())
    assert content["cells"][1]["outputs"][0]["text"] == "\ud83d"
    assert content["metadata"] == {"x": 1.0, "big": 10**30}
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["a.ipynb"]


def test_nothing_to_take_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file without saved turns stays as it is, to the byte and the second."""
    path = tmp_path / "a.ipynb"
    path.write_bytes(b'{"nbformat":4,   "cells": [3, {"cell_type": "code", "outputs": null}]}')
    before = path.read_bytes(), path.stat()

    assert main(["strip", "--thinking", str(path)]) == 0
    assert (path.read_bytes(), path.stat()) == before
    assert "a.ipynb: nothing to remove" in capsys.readouterr().out


def test_output_of_the_turn_alone_goes_whole(tmp_path: Path) -> None:
    """An output that held nothing but the turn does not stay behind empty."""
    talk = Conversation("main")
    path = tmp_path / "a.ipynb"
    path.write_bytes(file(cell("a", saved(talk, talk.commit(turn("why?"))))))
    main(["strip", str(path)])

    assert outputs(path) == []


def test_link_stays_a_link(tmp_path: Path) -> None:
    """A link to a notebook stays one, and the notebook behind it is stripped."""
    path, link = notebook(tmp_path / "a.ipynb"), tmp_path / "link.ipynb"
    link.symlink_to(path)
    main(["strip", str(link)])

    assert link.is_symlink()
    assert TURN_MIME not in path.read_text()


def test_others_are_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that can't be read is told, the others are done, and the exit status is 1."""
    good, bad = notebook(tmp_path / "good.ipynb"), tmp_path / "bad.ipynb"
    bad.write_bytes(b"[" * 100_000)

    assert main(["strip", str(bad), str(tmp_path / "none"), str(good)]) == 1
    assert TURN_MIME not in good.read_text()
    assert bad.read_bytes() == b"[" * 100_000
    err = capsys.readouterr().err
    assert "bad.ipynb' is not JSON" in err
    assert "there is no file" in err


def test_names_that_the_terminal_lacks(tmp_path: Path) -> None:
    """A file whose name stdout can't show does not end the work on the others."""
    names = ["\N{HIRAGANA LETTER A}.ipynb", "b.ipynb"]
    for name in names:
        notebook(tmp_path / name)
    command = [sys.executable, "-m", "mm_magic", "strip", *names]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, env=environment)
    assert done.stdout.count(b"removed 1 saved turn") == 2
    assert all(TURN_MIME not in (tmp_path / name).read_text("utf-8") for name in names)
