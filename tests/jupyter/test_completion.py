"""Tab on the magic's line: in a shell, and by a kernel's complete_request."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from support.kernels import Kernel
from support.loopback import Loopback, whole
from support.shells import Shell, fresh_shell

from mm_magic.jupyter.arguments import CELL_ROWS, flags_of
from mm_magic.jupyter.commands.table import COMMANDS, Command

LOAD = "%load_ext mm_magic"
OPTIONS = flags_of(CELL_ROWS)

ASK = """import mm_magic as mm
for name in ("main", "main", "my talk"):
    mm.ask("Hi", conversation=name, thinking="disabled", max_tokens=1)"""


@pytest.fixture(scope="module")
def shell() -> Iterator[Shell]:
    with fresh_shell() as shell:
        shell.run(ASK)
        yield shell


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        kernel.run(LOAD)
        kernel.run(ASK)
        yield kernel


def completed(shell: Shell, text: str) -> list[str]:
    """What Tab offers at the end of `text`."""
    with provisionalcompleter():
        return [found.text for found in shell.ip.Completer.completions(text, len(text))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("%%minimax ", OPTIONS),
        ("%%minimax -", OPTIONS),
        ("%minimax ", [*COMMANDS, *OPTIONS]),
        ("%minimax m", ["models"]),
        ("%minimax history ", ["main", '"my talk"']),
        ("%minimax reset m", ["main"]),
        ("%minimax show ", ["1", "2"]),
        ("%minimax forget ", ["1", "2"]),
        ("%%minimax -c ", ["main", '"my talk"']),
        ("%minimax models ", ["--help"]),
        ("%minimax request ", ["1", "2", "--events", "--help"]),
        ("%minimax request 1 ", ["--events", "--help"]),
        ("%%minimax -t ", ["default"]),
        ("%%minimax --max_tokens ", ["default"]),
        ("%%minimax --te", ["--temperature"]),
        ("%%minimax -t 0.3 --th", ["--thinking"]),
        ("%%minimax --thinking ", ["auto", "adaptive", "disabled"]),
        ("%%minimax --thinking a", ["auto", "adaptive"]),
        ("%%minimax -m MiniMax-M2.7", ["MiniMax-M2.7", "MiniMax-M2.7-highspeed"]),
        ("%%minimax --model  MiniMax-M2.5-", ["MiniMax-M2.5-highspeed"]),
        ("%%minimax --nothing", []),
    ],
)
def test_in_a_shell_and_in_a_kernel(
    shell: Shell, kernel: Kernel, text: str, expected: list[str]
) -> None:
    """Options, commands and models are offered where they may stand, and nothing else is."""
    assert sorted(completed(shell, text)) == sorted(expected)
    assert sorted(kernel.complete(text)) == sorted(expected)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda command: command.name)
def test_every_command(shell: Shell, command: Command) -> None:
    """Tab knows each command, and the options that it has."""
    assert command.name in completed(shell, f"%minimax {command.name[:2]}")
    for flag in flags_of(command.own_options):
        assert flag in completed(shell, f"%minimax {command.name} -")


def test_second_line_is_a_line_of_its_own(shell: Shell) -> None:
    """In a cell of several lines the line with the cursor counts."""
    assert completed(shell, "x = 1\n%minimax mod") == ["models"]


def test_other_lines_are_left_alone(shell: Shell) -> None:
    """Outside the magic's line IPython completes as ever."""
    shell["minimal"] = {"key": 1}

    assert "minimal" in completed(shell, "mini")
    assert completed(shell, "minimal['k") == ["key"]
    assert "--model" not in completed(shell, "%%time --")


def test_names_are_offered_as_they_are_typed(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name stands in quotes where it needs them; one that can't be typed is not offered."""
    monkeypatch.chdir(tmp_path)
    names = ("it's", 'say "hi" now', "x\n!touch here", "-c")
    for name in names:
        (tmp_path / f"{name}.jsonl").touch()
        shell.run(f"mm.ask('Hi', conversation={name!r}, thinking='disabled', max_tokens=1)")

    assert completed(shell, "%minimax record ") == ['"it\'s.jsonl"', "'say \"hi\" now.jsonl'"]
    assert completed(shell, "%%minimax -c ")[2:] == ['"it\'s"', "'say \"hi\" now'"]


def test_models_of_the_server(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the server has listed its models, they are offered first."""
    with Loopback(whole(200, {"data": [{"id": "MiniMax-M9"}]})) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        shell.run("%minimax models")

    assert completed(shell, "%%minimax -m ")[0] == "MiniMax-M9"


TABLES = """
import pandas as pd
import polars as pl
from dataclasses import dataclass
from datetime import date
from typing import Literal
words, none, number, _hidden = ["a"], [], 3, ["x"]
trees, leaves = pd.DataFrame({"n": [1]}), pl.Series([1])
Mood = Literal["good", "bad"]
@dataclass
class Tree:
    height: int
class Leaf:
    pass
"""


def test_tables_and_types() -> None:
    """`--rows` offers the tables of the notebook and then its lists, `--type` its classes."""
    with fresh_shell() as shell:
        shell.run(TABLES)
        assert completed(shell, "%%minimax --rows ") == ["trees", "leaves", "words"]
        assert completed(shell, "%%minimax --rows trees --type T") == ["Tree"]
        usual = ["int", "float", "bool", "str", "list[str]"]
        assert completed(shell, "%%minimax --type ") == ["Mood", "Tree", "Leaf", *usual]
