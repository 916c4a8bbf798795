"""`mm.ask(…, show=True)` in a terminal, and where IPython or the extension is not there."""

import re
from collections.abc import Iterator

import pytest
from support.loopback import Loopback, failure, streamed
from support.shells import Shell, fresh_shell

import mm_magic as mm
from mm_magic.session.api import forget_session

SHOWN = """\
The sky scatters blue light.
Thinking

Rayleigh scattering.
MiniMax-M2.7 · alone · 39 in / 41 out · seconds
"""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with Loopback(streamed()) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        yield server


@pytest.fixture
def shell(server: Loopback) -> Iterator[Shell]:  # noqa: ARG001 (it is there first)
    with fresh_shell() as shell:
        shell.run("import mm_magic as mm")
        yield shell


@pytest.mark.parametrize(
    "code",
    [
        "mm.ask('Why?', show=True)",
        "mm.ask('Why?', show=True);",
        "reply = mm.ask('Why?', show=True)\nreply",
        "for _ in range(1): mm.ask('Why?', show=True)",
    ],
)
def test_printed_once(shell: Shell, code: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The answer is printed as a cell prints it, once, also where it is the cell's value."""
    capsys.readouterr()
    shell.run(code)
    shown = re.sub(r" \(\d\.\d s\)", "", capsys.readouterr().out)
    shown = re.sub(r"\d\.\d s$", "seconds", shown, flags=re.MULTILINE)
    assert shown == SHOWN


def test_not_printed_by_itself(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """Without `show` nothing is printed, and an answer that is shown on purpose is."""
    capsys.readouterr()
    shell.run("reply = mm.ask('Why?')")
    assert capsys.readouterr().out == ""
    shell.run("reply = mm.ask('Why?', show=True)\ndisplay(reply)")
    assert capsys.readouterr().out.count("Rayleigh scattering.") == 2


def test_later_reply_is_drawn(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """The value of a cell is drawn if another reply was, though that one is gone."""
    capsys.readouterr()
    shell.run("for _ in range(3): mm.ask('Why?', show=True)\nmm.ask('Why?')")
    assert capsys.readouterr().out.count("Rayleigh scattering.") == 4


def test_error_is_raised(shell: Shell, server: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is raised as without `show`."""
    with Loopback(failure(400, "no", "invalid_request_error")) as refusing:
        monkeypatch.setenv("MINIMAX_BASE_URL", refusing.url)
        error = shell.error("mm.ask('Why?', show=True)")
    assert isinstance(error, mm.MiniMaxError)
    assert error.kind == "bad_request"
    assert not server.requests


def test_refused_without_the_extension(server: Loopback) -> None:
    """In a script, and after %unload_ext, `show` is refused before anything is sent."""
    forget_session()
    with pytest.raises(mm.UsageError, match="show=True needs a notebook") as caught:
        mm.ask("Why?", show=True)
    assert "`%load_ext mm_magic`" in caught.value.card()
    assert "print(mm.ask(" in caught.value.card()
    with fresh_shell() as shell:
        shell.run("import mm_magic as mm\n%unload_ext mm_magic")
        assert "show=True" in str(shell.error("mm.ask('Why?', show=True)"))
    assert not server.requests
