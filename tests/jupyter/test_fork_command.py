"""`%minimax fork NAME [N]` as it is typed, in a shell in this process."""

from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.completer import provisionalcompleter
from support.loopback import Loopback, numbered
from support.shells import Shell, fresh_shell

from mm_magic.errors import UsageError

CONTINUE = "To continue it: "


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with Loopback(*numbered()) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        yield server


@pytest.fixture
def shell(server: Loopback) -> Iterator[Shell]:
    """It has two turns."""
    del server
    with fresh_shell() as shell:
        shell.run("%%minimax\nWhy?")
        shell.run("%%minimax\nHow?")
        yield shell


def prompts(server: Loopback) -> list[Any]:
    """Those of the last request."""
    messages = server.requests[-1].json["messages"]
    return [each["content"] for each in messages if each["role"] == "user"]


def printed(shell: Shell, line: str, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    shell.run(line)
    return " ".join(capsys.readouterr().out.split())


def test_terminal(shell: Shell, server: Loopback, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence says what was copied, and the line that continues it works."""
    told = printed(shell, "%minimax fork idea", capsys)
    line = "%%minimax -c idea"
    assert (
        told == f"Conversation idea begins with copies of turns 1 and 2 of main. {CONTINUE}`{line}`"
    )
    shell.run(f"{line}\nAnd?")
    assert prompts(server) == ["Why?", "How?", "And?"]
    shell.run("%%minimax\nAnd?")  # it did not switch
    assert prompts(server) == ["Why?", "How?", "And?"]
    assert len(server.requests) == 4

    told = printed(shell, '%minimax fork "my idea" 1', capsys)
    line = '%%minimax -c "my idea"'
    assert told == f"Conversation my idea begins with a copy of turn 1 of main. {CONTINUE}`{line}`"
    shell.run(f"{line}\nWell?")
    assert prompts(server) == ["Why?", "Well?"]


def test_dry_run_python_and_usage(
    shell: Shell, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    """Copies are in a dry run and behind `mm.ask`; the usage counts no answer twice."""
    before = printed(shell, "%minimax usage", capsys)
    shell.ip.run_line_magic("minimax", "fork idea")
    assert printed(shell, "%minimax usage", capsys) == before
    assert "Why?" in printed(shell, "%%minimax -c idea --dry-run\nAnd?", capsys)
    shell.run('import mm_magic as mm; mm.ask("And?", conversation="idea")')
    assert prompts(server) == ["Why?", "How?", "And?"]


def test_conversation_of_all_cells(shell: Shell, server: Loopback) -> None:
    """The current conversation is copied, whichever it is; turns that stand alone are in none."""
    shell.run("%%minimax --alone -o reply\nAlone?")
    shell.run("%minimax -c side")
    shell.run("%%minimax\nSide?")
    shell.run("%minimax fork idea")
    shell.run("%%minimax -c idea\nAnd?")
    assert prompts(server) == ["Side?", "And?"]


@pytest.mark.parametrize(
    ("words", "step"),
    [
        ("", "For example: `%minimax fork idea`"),
        ("''", "For example: `%minimax fork idea`"),
        ("3", "For example: `%minimax fork idea 3`"),
        ("my idea", 'For example: `%minimax fork "my idea"`'),
        ("my idea 2", 'For example: `%minimax fork "my idea" 2`'),
        ("2 idea", "For example: `%minimax fork idea 2`"),
        ("idea -1", "For example: `%minimax fork idea`"),
        ("idea 1.5", "For example: `%minimax fork idea`"),
        ("1 2 3", "For example: `%minimax fork idea 1`"),
        ("-c idea 2", "Write: `%minimax fork idea 2`"),
        ("--conversation idea", "Write: `%minimax fork idea`"),
        ("idea -t 0.5", "Write: `%minimax fork idea`, and put the options in a cell of their own."),
        ("idea 3", "To copy all of them: `%minimax fork idea`"),
    ],
)
def test_words_that_are_refused(shell: Shell, words: str, step: str) -> None:
    """What can't be read is an error with the line that works."""
    error = shell.error(f"%minimax fork {words}")
    assert isinstance(error, UsageError)
    assert error.next_steps == (step,)


def test_help_and_tab(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """The help tells of it; Tab offers the command, and behind it no name that is taken."""
    assert "fork NAME [N]" in printed(shell, "%minimax help", capsys)
    assert "continues the new conversation" in printed(shell, "%minimax fork -h", capsys)
    assert "fork" in offered(shell, "%minimax fo")
    assert offered(shell, "%minimax fork ") == ["--help"]


def offered(shell: Shell, line: str) -> list[str]:
    with provisionalcompleter():
        return [found.text for found in shell.ip.Completer.completions(line, len(line))]
