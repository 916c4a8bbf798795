"""`%%minimax --type`: what it takes, what it shows, and what it refuses."""

import contextlib
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.loopback import Loopback, captured, streamed
from support.printed import on_one_line
from support.shells import Shell, fresh_shell

from mm_magic import AnswerError, UsageError
from mm_magic.jupyter.named_type import named_type
from mm_magic.prompt.schema import split_schema
from mm_magic.session.api import session

REVIEW = """
from dataclasses import dataclass
from typing import Literal
@dataclass
class Review:
    title: str
    year: int
"""
GOOD = '{"title": "Emma", "year": 1815}'
NO_YEAR = '{"title": "Emma"}'


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setenv("MINIMAX_BACKEND", "offline")
    with fresh_shell() as shell:
        shell.run(REVIEW)
        yield shell


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Begins a shell and a server that gives these texts."""
    with contextlib.ExitStack() as stack:

        def begin(*texts: str) -> tuple[Shell, Loopback]:
            answers = (streamed(captured(text=text)) for text in texts)
            server = stack.enter_context(Loopback(*answers))
            monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
            shell = stack.enter_context(fresh_shell())
            shell.run(REVIEW)
            return shell, server

        yield begin


def printed(shell: Shell, cell: str) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        shell.run(cell)
    return out.getvalue()


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("Review", "Review"), ("int", "int"), ("list[Review]", "list[Review]"),
        ('"Literal[\'a\', \'b\']"', "Literal['a', 'b']"), ('"int | None"', "int | None"),
        ('"dict[str, Review]"', "dict[str, Review]"), ("module.Date", "Date"),
        ("list[dict[str,int]]", "list[dict[str, int]]"),
    ],
)  # fmt: skip
def test_names_of_types(shell: Shell, words: str, name: str) -> None:
    """A name of the notebook, a builtin, and what brackets, points and bars make of them."""
    shell.run("class Module:\n    @dataclass\n    class Date:\n        day: int\nmodule = Module")

    assert shell.run(f"%%minimax --type {words}\nQ").has_value
    assert named_type(words.strip('"'), shell.ip.user_ns).name == name


def test_names_of_typing() -> None:
    """They need no import; what the notebook calls so comes first."""
    name = "Literal['a', 'b'] | Optional[int]"
    assert named_type(name, {}).schema == named_type("Literal['a', 'b'] | int | None", {}).schema
    assert named_type("List", {"List": str}).name == "str"


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("Revew", "Did you mean Review?"),
        ("Literal['a','b']", "Put a type with quotes in double quotes: "),
        ("print()", "the name of your class"),
        ("\"__import__('os').system(1)\"", "the name of your class"),
        ('"lambda: 0"', "the name of your class"),
        ('"[x for x in y]"', "the name of your class"),
        ('"int; str"', "the name of your class"),
        ("\"f'{1}'\"", "the name of your class"),
        ('"x := int"', "the name of your class"),
        ("Review[int]", ""),
        ("Review.none", ""),
        ("5", "list[str]"),
    ],
)
def test_no_type(ask: Any, words: str, step: str) -> None:
    """Anything else is an error before anything is sent, and no call in it runs."""
    shell, server = ask(GOOD)
    error = shell.error(f"%%minimax --type {words}\nQ")

    assert isinstance(error, UsageError)
    assert step in " ".join(error.next_steps)
    assert server.requests == []


@pytest.mark.parametrize(
    ("cell", "name", "prompt"),
    [
        ("--type dict[str, int] --alone\nQ", "dict[str, int]", "Q"),
        ("--type dict[str, list[int]] Why so?", "dict[str, list[int]]", "Why so?"),
        ("--type int | None Why?", "int | None", "Why?"),
        ("--type=dict[str, int] Why?", "dict[str, int]", "Why?"),
        ("--type Review Why?", "Review", "Why?"),
        ("--type int [1] what?", "int", "[1] what?"),
    ],
)
def test_spaces(shell: Shell, cell: str, name: str, prompt: str) -> None:
    """A type goes on to the end of its brackets, and beside a bar; a prompt may follow."""
    shell.run(f"%%minimax {cell}")

    turn = session().latest.turn
    assert turn is not None
    assert turn.prompt.text == prompt
    assert split_schema(turn.system)[1] == named_type(name, shell.ip.user_ns).schema


def test_no_end_of_brackets(ask: Any) -> None:
    """Brackets that stay open are an error, whatever stands behind them."""
    shell, server = ask(GOOD)

    assert isinstance(shell.error("%%minimax --type list[str -t 1\nQ"), UsageError)
    assert server.requests == []


def test_for_all_cells(shell: Shell) -> None:
    """A type belongs to its prompt: `%minimax --type` gives the line for one cell."""
    error = shell.error("%minimax --type Review")

    assert isinstance(error, UsageError)
    assert error.next_steps[0].endswith("`%%minimax --type Review`")


def test_what_is_shown(ask: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Below the answer stand the value, and what was wrong with the first one."""
    shell, server = ask(NO_YEAR, GOOD)
    reply = shell.run("%%minimax --type Review -o r\nQ")

    shown = capsys.readouterr().out
    assert "field  value\ntitle  Emma\nyear   1815\n" in shown
    assert (
        "The first answer did not fit the type (“year” is missing), so the model was asked again."
        in shown
    )
    assert "made up" not in shown
    assert shell["r"] is reply
    assert reply.value == shell["Review"]("Emma", 1815)
    assert len(server.requests) == 2


def test_values_of_the_demo(shell: Shell) -> None:
    """Of the demo's values it is said that they are made up, and of its texts not."""
    one, several = "made up this value to fit the type.", "made up these values to fit the type."
    assert one in on_one_line(printed(shell, "%%minimax --type int\nHow many?"))
    assert several in on_one_line(printed(shell, "%%minimax --type int -n 2 --alone\nHow many?"))
    assert "made up" not in printed(shell, "%%minimax\nHow many?")


def test_wrong_twice(ask: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """The card says what is wrong; the answer stays, and is not remembered."""
    shell, server = ask(NO_YEAR, NO_YEAR, "after")
    error = shell.error("%%minimax --type Review -o r\nQ")

    assert isinstance(error, AnswerError)
    assert "the answer is not of type Review: `year` is missing" in error.card()
    shown = capsys.readouterr().out
    assert shown.count(NO_YEAR) == 2
    assert "not of the requested type, not remembered" in shown
    shell.run("%%minimax\nnext")
    assert len(server.requests[2].json["messages"]) == 1


def test_dry_run(shell: Shell) -> None:
    """The schema is shown, behind the system prompt, and nothing is sent."""
    shown = printed(shell, "%%minimax --type Review -s Brief --dry-run\nQ")

    assert "Brief\\n\\nAnswer only with JSON that fits this JSON Schema" in shown
    assert '\\"year\\"' in shown


def test_a_recording_does_not_hold_to_the_words_of_a_check(
    ask: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The request that asks once more is found, whatever words this release of pydantic has."""
    shell, server = ask('{"n": 9}', '{"n": 1}')
    checked = (
        "from pydantic import BaseModel, field_validator\n"
        "class Checked(BaseModel):\n"
        "    n: int\n"
        "    @field_validator('n')\n"
        "    @classmethod\n"
        "    def check(cls, n):\n"
        "        if n > 5:\n"
        "            raise ValueError(WORDS)\n"
        "        return n\n"
    )
    cell = "%%minimax --type Checked --alone\nQ"
    shell.run(f"WORDS = 'must be small'\n{checked}")
    shell.run(f"%minimax record {tmp_path}/a.jsonl")
    shell.run(cell)
    shell.run("%minimax record")
    shell.run(f"WORDS = 'has to be smaller'\n{checked}")
    shell.run(f"%minimax replay {tmp_path}/a.jsonl --speed 100")

    assert shell.run(cell).value.n == 1
    assert "has to be smaller" in capsys.readouterr().out
    assert len(server.requests) == 2


def test_template_beside_it(ask: Any) -> None:
    """Values are put into the prompt as ever, and never into the name of the type."""
    shell, server = ask(GOOD)
    shell.run("word = 'moo'")
    shell.run("%%minimax --type Review\nSay {{word}}")

    assert server.requests[0].json["messages"][0]["content"] == "Say moo"


def test_not_imported_at_start() -> None:
    """Loading the extension, and a turn without a type, import no pydantic."""
    root = str(Path(__file__).parents[2])
    code = (
        "import sys\n"
        "from IPython.core.interactiveshell import InteractiveShell as S\n"
        "ip = S.instance()\n"
        "ip.run_line_magic('load_ext', 'mm_magic')\n"
        "ip.run_cell_magic('minimax', '', 'Q')\n"
        "assert 'pydantic' not in sys.modules\n"
        "ip.run_cell_magic('minimax', '--type int', 'Q')\n"
        "assert 'pydantic' in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"MINIMAX_BACKEND": "offline", "PYTHONPATH": root, "PATH": ""},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
