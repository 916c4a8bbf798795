"""`%%minimax --rows` in every place where an option can stand: docs/options.md has the table."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.loopback import Connection, Loopback, captured, failure, streamed, until
from support.printed import on_one_line
from support.rows import asked, echo, kernel, prompt_of
from support.shells import Shell, fresh_shell

from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.session.api import session

TREES = pd.DataFrame({"name": ["oak", "elm", "fir"]}, index=[3, 3, 4])
SAY = "%%minimax --rows trees {}\nSay {{{{name}}}}"
ANSWERS = ["<Say oak>", "<Say elm>", "<Say fir>"]
PROMPTS = ["Say elm", "Say fir", "Say oak"]


@contextmanager
def notebook(
    monkeypatch: pytest.MonkeyPatch, answer: Any = echo
) -> Iterator[tuple[Shell, Loopback]]:
    """A shell with a table in it, and the server that it asks."""
    with kernel(monkeypatch, answer) as server, fresh_shell() as shell:
        shell["trees"] = TREES.copy()
        yield shell, server


def run(shell: Shell, options: str = "") -> list[Any]:
    """The answers of a cell that asks for all trees."""
    return list(shell.run(SAY.format(options))["answer"])


@pytest.mark.parametrize("options", ["", "--alone", "-c side", "-o out", "--no-stream"])
def test_beside_other_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: str
) -> None:
    """Each row is asked by itself, whatever came before, and nothing is remembered."""
    with notebook(monkeypatch) as (shell, server):
        shell.run(f"%%minimax {options if options == '-c side' else ''}\nBefore")
        server.requests.clear()
        assert run(shell, options) == ANSWERS
        assert asked(server) == PROMPTS
        assert all(len(request.json["messages"]) == 1 for request in server.requests)
        assert {request.json["stream"] for request in server.requests} == {options != "--no-stream"}
        assert len(session().conversations.turns()) == 1
        if options == "-o out":
            pd.testing.assert_index_equal(shell["out"].index, TREES.index)
    note = "Each row stands alone: 1 earlier turn is not sent."
    assert (note in capsys.readouterr().out) == (options != "--alone")


def test_the_notebooks_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """They stand beside the columns; a column comes first."""
    with notebook(monkeypatch) as (shell, server):
        shell["style"], shell["name"] = "briefly", "nobody"
        shell.run("%%minimax --rows trees\nSay {{name}} {{style}}")
        assert asked(server) == [f"{prompt} briefly" for prompt in PROMPTS]


STRANGE = ["{{token}}", "{{row.__class__}} {{trees}}", "@/etc/hostname", "%%minimax -m x", "-s @x"]


def test_cells_are_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing in a table is filled in, looked up, read as a file or taken for an option: values
    and names of columns are sent as they stand."""
    with notebook(monkeypatch) as (shell, server):
        shell["token"], shell["strange"] = "a secret", pd.DataFrame({"a": STRANGE})
        shell["named"] = pd.DataFrame([STRANGE], columns=STRANGE)
        shell.run("%%minimax --rows strange\nSay {{a}}")
        assert asked(server) == sorted(f"Say {text}" for text in STRANGE)
        server.requests.clear()
        shell.run("%%minimax --rows named\nSay {{row}}")
        (prompt,) = asked(server)
        assert all(prompt.count(text) >= 2 for text in STRANGE)
        assert "secret" not in prompt
        assert {request.json["model"] for request in server.requests} == {"MiniMax-M2.7"}
        assert "system" not in server.requests[0].json


def test_dry_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Number, forecast and the first request; nothing is sent."""
    with notebook(monkeypatch) as (shell, server):
        shell.run(SAY.format("--dry-run"))
        assert server.requests == []
    told = capsys.readouterr().out
    assert "3 rows, columns name. 3 requests: about" in told
    body = json.loads(told[told.index("{") : told.rindex("}") + 1])
    assert body["messages"] == [{"role": "user", "content": "Say oak"}]


def test_a_missing_value_is_told_before_and_after(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A dry run, the question for a confirmation, and the line below the answers say it, once."""
    note = "1 row has no value for {{name}}, so its prompt is empty there."
    with notebook(monkeypatch) as (shell, server):
        shell["trees"].loc[4, "name"] = None
        shell.run(SAY.format("--dry-run"))
        assert on_one_line(capsys.readouterr().out).count(note) == 1
        shell.run("%config MiniMax.confirm_above = 2")
        with pytest.raises(UsageError):
            run(shell)
        assert on_one_line(capsys.readouterr().out).count(note) == 1
        assert server.requests == []
        assert run(shell, "--yes") == ["<Say oak>", "<Say elm>", "<Say >"]
    assert on_one_line(capsys.readouterr().out).count(note) == 1


REFUSED = {
    "a list": ("-t 0.1,1", "`%%minimax -t 0.1 --rows trees`"),
    "lists": ("-m A -m B -s x -s y", "`%%minimax -m A -s x --rows trees`"),
    "-n": ("-n 2 -o out", "`%%minimax --rows trees -o out`"),
    "--literal": ("--literal", "`%%minimax --rows trees`"),
    "a budget on one's own server": ("--budget 1", "a budget can't be used here"),
    "a budget of nothing": ("--budget 0", "--budget must be an amount in USD"),
}


@pytest.mark.parametrize(("options", "says"), REFUSED.values(), ids=REFUSED)
def test_refused_together(monkeypatch: pytest.MonkeyPatch, options: str, says: str) -> None:
    """The error has the line that works; nothing is sent."""
    with notebook(monkeypatch) as (shell, server):
        error = shell.error(SAY.format(options))
        assert isinstance(error, UsageError)
        assert says in error.card()
        assert server.requests == []


def test_slips(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is none, an option for all cells, and a budget for one answer say what to do."""
    with notebook(monkeypatch) as (shell, server):
        cells = {
            "%%minimax --rows tree\n{{name}}": "Did you mean trees?",
            "%%minimax --rows trees.x\n{{name}}": "--rows needs a variable name",
            "%minimax --rows trees": "`%%minimax --rows trees`",
            "%%minimax --budget 1\nHi": "`%%minimax --rows NAME --budget 0.5`",
            "%%minimax --rows trees\nSay {{nme}}": "Did you mean `{{name}}`?",
            "%%minimax --rows trees -t 0.1,1\n{{name}}": "replace this one and run the cell again.",
            "%%minimax --rows trees -t 0.1,1 -o found\n{{name}}": (
                "replace this one, choose a new name for -o, and run the cell again."
            ),
        }
        for cell, says in cells.items():
            error = shell.error(cell)
            assert isinstance(error, UsageError)
            assert says in error.card()
        assert server.requests == []


def test_money(monkeypatch: pytest.MonkeyPatch) -> None:
    """More requests than `confirm_above` need `--yes`, or `yes=True`; known answers are free."""
    with notebook(monkeypatch) as (shell, server):
        shell["trees"] = pd.DataFrame({"name": range(20)})
        shell.run("import mm_magic as mm")
        error = shell.error(SAY.format("-t 0.5"))
        assert isinstance(error, UsageError)
        assert "this would send 20 requests; more than 12 need confirmation" in error.card()
        assert "`%%minimax --rows trees -t 0.5 --yes`" in error.card()
        error = shell.error("mm.map('Say {{name}}', trees, temperature=0.5)")
        assert isinstance(error, UsageError)
        assert "`mm.map(…, yes=True)`" in error.card()
        assert server.requests == []
        assert len(run(shell, "-t 0.5 --yes")) == 20
        assert len(shell.run("mm.map('Say {{name}}', trees, temperature=0.5)")) == 20
        assert len(server.requests) == 20


def test_a_changed_prompt_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the file has answers to none of the prompts, number and forecast come first."""
    with notebook(monkeypatch) as (shell, server):
        call = f"mm.map('{{}} {{{{{{{{name}}}}}}}}', trees, file={str(tmp_path / 'a.jsonl')!r}{{}})"
        shell.run("import mm_magic as mm\n" + call.format("Say", ""))
        error = shell.error(call.format("Now", ""))
        assert isinstance(error, UsageError)
        assert "'a.jsonl' has no answers to these prompts" in error.card()
        assert "3 requests: about" in error.card()
        assert len(server.requests) == 3
        shell.run(call.format("Now", ", yes=True"))
        shell.run(call.format("Say", ""))
        assert len(server.requests) == 6


def test_a_prompt_on_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may follow the options, as in any other cell."""
    with notebook(monkeypatch) as (shell, server):
        shell.run("%%minimax --rows trees Say {{name}}")
        assert asked(server) == PROMPTS


def test_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo answers each row by itself, the same in every run."""
    with notebook(monkeypatch) as (shell, server):
        shell.run("%minimax offline")
        found = run(shell)
        assert len(set(found)) == 3
        assert run(shell, "--fresh") == found
        assert server.requests == []


def test_record_and_replay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Recorded as other answers are; a replay gives the same table and sends nothing."""
    path = tmp_path / "a.jsonl"
    with notebook(monkeypatch) as (shell, server):
        shell.run(f"%minimax record {path}")
        first = shell.run(SAY.format(""))
        shell.run("%minimax record")
    with notebook(monkeypatch) as (shell, server):
        shell.run(f"%minimax replay {path}")
        pd.testing.assert_frame_equal(shell.run(SAY.format("")), first)
        assert server.requests == []
        shell["trees"] = pd.DataFrame({"name": ["oak", "yew"]})
        error = shell.error(SAY.format("-o out"))
        assert isinstance(error, MiniMaxError)
        assert list(shell["out"]["answer"]) == ["<Say oak>", None]
        shell.run(f"%minimax replay {path} --fill")
        assert run(shell) == ["<Say oak>", "<Say yew>"]
        assert asked(server) == ["Say yew"]


def test_re_run_and_fresh(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second run sends nothing; `--fresh` asks all again, and both are said."""
    with notebook(monkeypatch) as (shell, server):
        run(shell)
        capsys.readouterr()
        assert run(shell) == ANSWERS
        assert (
            "3 answers were reused from this kernel; `%%minimax --fresh` asks"
            in capsys.readouterr().out
        )
        run(shell, "--fresh")
        assert "All rows were sent again." in capsys.readouterr().out
        assert len(server.requests) == 6


def test_one_failed_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cell ends well; the variable has the others, and a second run asks this one."""
    bad = True

    def answer(connection: Connection) -> None:
        is_bad = bad and prompt_of(connection) == "Say elm"
        (failure(400, "no (2013)") if is_bad else echo)(connection)

    with notebook(monkeypatch, answer) as (shell, server):
        assert run(shell, "-o out") == ["<Say oak>", None, "<Say fir>"]
        assert list(shell["out"]["answer_error"].isna()) == [True, False, True]
        bad = False
        assert run(shell, "-o out") == ANSWERS
        assert asked(server) == ["Say elm", *PROMPTS]


def test_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    """■ closes all connections; the variable has what is done, and a second run asks the rest."""
    hold = threading.Event()

    def answer(connection: Connection) -> None:
        if prompt_of(connection) != "Say oak" and not hold.is_set():
            if prompt_of(connection) == "Say fir":
                while not session().row_answers[connection.server.url]:
                    connection.closed.wait(0.01)
                for running in session().running.runs:
                    running.cancel()  # as the panel's Stop does
            until(hold)(connection)
        echo(connection)

    with notebook(monkeypatch, answer) as (shell, server):
        assert isinstance(shell.error(SAY.format("-o out")), KeyboardInterrupt)
        assert shell["out"]["answer"].iloc[0] == "<Say oak>"
        assert all(connection.closed.wait(30) for connection in server.connections)
        hold.set()
        server.requests.clear()
        assert run(shell) == ANSWERS
        assert asked(server) == ["Say elm", "Say fir"]


HEIGHT = """
from dataclasses import dataclass
@dataclass
class Height:
    metres: int
"""


def measured(connection: Connection) -> None:
    """Say a height; of elms not at once."""
    messages = connection.request.json["messages"]
    is_wrong = messages[0]["content"] == "Say elm" and len(messages) == 1
    for step in streamed(captured(text="{}" if is_wrong else '{"metres": 30}')):
        step(connection)


@contextmanager
def typed(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Shell, Loopback]]:
    with notebook(monkeypatch, measured) as (shell, server):
        shell.run(HEIGHT)
        yield shell, server


@pytest.mark.parametrize("options", ["", "--alone", "-c side", "-o out", "--no-stream"])
def test_type(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: str
) -> None:
    """`--type` gives a column for each field; the line says what was asked for once more."""
    with typed(monkeypatch) as (shell, server):
        found = shell.run(SAY.format(f"--type Height {options}"))
        assert list(found["metres"]) == [30, 30, 30]
        assert len(server.requests) == 4
        assert session().conversations.turns() == []
        if options == "-o out":
            assert shell["out"] is found
    assert (
        "1 answer did not fit the type (“metres” is missing), so the model was asked again."
    ) in " ".join(capsys.readouterr().out.split())


def test_type_and_dry_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The schema is shown in the system prompt; nothing is sent."""
    with typed(monkeypatch) as (shell, server):
        shell.run(SAY.format("--type Height -s Brief --dry-run"))
        assert server.requests == []
    told = capsys.readouterr().out
    body = json.loads(told[told.index("{") : told.rindex("}") + 1])
    assert body["system"].startswith("Brief\n\nAnswer only with JSON that fits this JSON Schema")
    assert "If an answer does not fit the type, the model is asked again" in told


def test_type_slips(monkeypatch: pytest.MonkeyPatch) -> None:
    """A type that is none, and a field by the name of a column, are errors; nothing is sent."""
    with typed(monkeypatch) as (shell, server):
        shell["trees"] = TREES.assign(metres=1)
        cells = {
            "%%minimax --rows trees --type Hight\n{{name}}": "Did you mean Height?",
            "%%minimax --rows trees --type Height\n{{name}}": "already has a column 'metres'",
            "%%minimax --rows trees --type Height -n 2\n{{name}}": (
                "`%%minimax --rows trees --type Height`"
            ),
        }
        for cell, says in cells.items():
            error = shell.error(cell)
            assert isinstance(error, UsageError)
            assert says in error.card()
        assert server.requests == []


def test_type_and_money(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line to go ahead has the type."""
    with typed(monkeypatch) as (shell, server):
        shell["trees"] = pd.DataFrame({"name": range(20)})
        error = shell.error(SAY.format("--type Height"))
        assert isinstance(error, UsageError)
        assert "`%%minimax --rows trees --type Height --yes`" in error.card()
        assert server.requests == []


def test_type_record_replay_and_fill(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The requests of a row that was asked for once more are recorded, and replayed."""
    path = tmp_path / "a.jsonl"
    with typed(monkeypatch) as (shell, server):
        shell.run(f"%minimax record {path}")
        first = shell.run(SAY.format("--type Height"))
        shell.run("%minimax record")
    with typed(monkeypatch) as (shell, server):
        shell.run(f"%minimax replay {path}")
        pd.testing.assert_frame_equal(shell.run(SAY.format("--type Height")), first)
        shell["trees"] = pd.DataFrame({"name": ["oak", "elm", "yew"]})
        assert isinstance(shell.error(SAY.format("--type Height -o out")), MiniMaxError)
        assert list(shell["out"]["metres"].isna()) == [False, False, True]
        assert server.requests == []
        shell.run(f"%minimax replay {path} --fill")
        assert list(shell.run(SAY.format("--type Height"))["metres"]) == [30, 30, 30]
        assert asked(server) == ["Say yew"]


def test_type_re_run_and_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second run sends nothing, also after the cell of the class ran again; `--fresh` asks."""
    with typed(monkeypatch) as (shell, server):
        first = shell.run(SAY.format("--type Height -o trees"))
        shell.run(HEIGHT)
        pd.testing.assert_frame_equal(shell.run(SAY.format("--type Height")), first)
        assert len(server.requests) == 4
        shell.run(SAY.format("--type Height --fresh"))
        assert len(server.requests) == 8


def test_type_and_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo answers with JSON made from the schema."""
    with typed(monkeypatch) as (shell, server):
        shell.run("%minimax offline")
        assert shell.run(SAY.format("--type Height"))["metres"].notna().all()
        assert server.requests == []


def test_type_stays_in_its_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    """A re-run without it asks for text again."""
    with typed(monkeypatch) as (shell, server):
        shell.run(SAY.format("--type Height"))
        assert run(shell) == ['{"metres": 30}', "{}", '{"metres": 30}']
        assert "system" not in server.requests[-1].json


def test_a_column_of_this_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that came back can go in again; a column of the user's is never lost."""
    with notebook(monkeypatch) as (shell, _):
        shell.run(SAY.format("-o trees"))
        shell.run("%%minimax --rows trees -o trees\nNow {{row}}")
        assert shell["trees"]["answer"].iloc[0] == "<Now name: oak>"
        shell["trees"] = pd.DataFrame({"answer": ["x"]})
        error = shell.error("%%minimax --rows trees\n{{answer}}")
        assert isinstance(error, UsageError)
        assert "the table already has a column 'answer'" in error.card()
