"""`{{last_error}}`: the last error of the user's own cells, as a model gets it."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath

import pytest
from support.shells import Shell, file_with_cell, fresh_shell

from mm_magic import UsageError
from mm_magic.jupyter.last_error import name_of


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.delattr(sys, "last_value", raising=False)
    with fresh_shell() as shell:
        yield shell


@pytest.fixture
def prompt(shell: Shell, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def sent(text: str = "{{last_error}}") -> str:
        """What a cell with this prompt would send."""
        capsys.readouterr()
        shell.run(f"%%minimax --dry-run\n{text}")
        body = json.loads(capsys.readouterr().out.partition("\n")[2])
        return str(body["messages"][-1]["content"])

    return sent


def test_type_message_and_own_frames(shell: Shell, prompt: Callable[..., str]) -> None:
    """It has the calls of the user's cells with their lines, and the error; a library's calls and
    the values of variables stay out."""
    shell.run("import json\ndef read(text):\n    password = 'hunter2'\n    return json.loads(text)")
    cell = shell.ip.execution_count
    shell.error("x = 1\nread('{')")

    assert prompt("Why?\n{{last_error}}\nHelp!") == (
        "Why?\n\n"
        "Traceback (most recent call last, own code only):\n"
        f"  Cell In[{cell}], line 2\n"
        "    read('{')\n"
        f"  Cell In[{cell - 1}], line 4, in read\n"
        "    return json.loads(text)\n"
        "json.decoder.JSONDecodeError: Expecting property name enclosed in double quotes: "
        "line 1 column 2 (char 1)\n\n"
        "Help!"
    )


def test_own_modules_and_scripts(
    shell: Shell, prompt: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module beside the notebook and a script that was run are own code; no path is sent."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_helper.py").write_text("def half(x):\n    return x / 0\n", "utf-8")
    script = file_with_cell(tmp_path, "py", "import own_helper\nown_helper.half(1)\n")
    shell.run(f"%run {script.name}")

    sent = prompt()
    assert "  File file.py, line 2\n    own_helper.half(1)\n" in sent
    assert "  File own_helper.py, line 2, in half\n    return x / 0\n" in sent
    assert sent.endswith("ZeroDivisionError: division by zero")
    assert str(tmp_path) not in sent
    assert sent.count("\n") == 5


@pytest.mark.parametrize(
    ("cell", "end"),
    [
        ("x = = 1", "SyntaxError: invalid syntax"),
        ("%time 1 / 0", "ZeroDivisionError: division by zero"),
        ("%%time\n1 / 0", "ZeroDivisionError: division by zero"),
        ("try:\n    {}['a']\nexcept KeyError:\n    int('b')", "caused by KeyError: 'a'"),
        ("raise ValueError('a') from OSError('b')", "caused by OSError: b"),
        ("raise ValueError('a') from None", "ValueError: a"),
        ("e = ValueError('a'); e.add_note('look'); raise e", "ValueError: a\nlook"),
        ("async def f():\n    1 / 0\nawait f()", "ZeroDivisionError: division by zero"),
    ],
)
def test_kinds_of_errors(shell: Shell, prompt: Callable[..., str], cell: str, end: str) -> None:
    """Mistakes of grammar, magics, causes, notes and awaited code."""
    shell.error(cell)
    sent = prompt()
    assert sent.endswith(end)
    assert "Cell" in sent
    assert "ipython" not in sent.lower()


def test_long_ones_are_cut(
    shell: Shell, prompt: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of many calls the ends are sent, of a long message its beginning; page and prompt say so."""
    shell.run("def deep(n):\n    return deep(n - 1) if n else 1 / 0")
    shell.error("deep(99)")
    assert prompt().count("in deep") == 19
    assert "\n  … 81 more calls …\n" in prompt()
    assert prompt().endswith("\n\n(20 of 101 calls)")

    shell.error("raise ValueError('x' * 5000)")
    assert "x…\n\n(message cut at 1,000 characters)" in prompt()
    capsys.readouterr()
    shell.run("%%minimax\n{{last_error}}")
    assert "last_error: message cut at 1,000 characters." in capsys.readouterr().out


def test_keys_are_not_sent(shell: Shell, prompt: Callable[..., str]) -> None:
    """What looks like a key is masked in the user's lines and in the message."""
    shell.error("key = 'sk-cp-abcdefgh12345678'; raise ValueError(f'bad key {key}')")
    assert "abcdefgh" not in prompt()


def test_a_card_of_ours_and_an_interrupt_are_none(shell: Shell, prompt: Callable[..., str]) -> None:
    """The last error of the user's own code stays, whatever MiniMax cells and Stop did since."""
    shell.error("1 / 0")
    shell.error("%%minimax -t 5\nWhy?")
    shell.error("raise KeyboardInterrupt")
    shell.run("x = 1")
    assert prompt().endswith("ZeroDivisionError: division by zero")


def test_error_from_before_the_extension(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error that came before %load_ext counts."""
    monkeypatch.delattr(sys, "last_value", raising=False)
    with fresh_shell(loaded=False) as shell:
        shell.error("1 / 0")
        shell.run("%load_ext mm_magic")
        capsys.readouterr()
        shell.run("%%minimax --dry-run\n{{last_error}}")
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "here", "name"),
    [
        (PureWindowsPath(r"C:\work\lib\a.py"), PureWindowsPath(r"c:\Work"), "lib/a.py"),
        (PureWindowsPath(r"D:\lib\a.py"), PureWindowsPath(r"C:\work"), "a.py"),
        (PurePosixPath("/work/lib/a.py"), PurePosixPath("/work"), "lib/a.py"),
        (PurePosixPath("/lib/a.py"), PurePosixPath("/work"), "a.py"),
    ],
)
def test_names_are_the_same_on_every_system(file: PurePath, here: PurePath, name: str) -> None:
    """So a recording of an error answers on another system, too."""
    assert name_of(file, here) == name


def test_a_variable_of_this_name_goes_first(shell: Shell, prompt: Callable[..., str]) -> None:
    """The user's own `last_error` is put in."""
    shell.error("1 / 0")
    shell["last_error"] = "mine"
    assert prompt() == "mine"


@pytest.mark.parametrize("before", ["x = 1", "%%minimax -t 5\nWhy?"])
def test_without_an_error(shell: Shell, before: str) -> None:
    """Where no cell has failed, the card says so, and what to do; --literal sends the words."""
    shell.execute(before)
    error = shell.error("%%minimax\nWhy? {{last_error}}")
    assert isinstance(error, UsageError)
    assert error.message == "{{last_error}} can't be filled in: no cell has failed yet"
    assert "Run the cell that fails" in error.card()
    shell.run("%%minimax --literal\nWhy? {{last_error}}")
