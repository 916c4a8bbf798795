"""Which cells ask the same request, so that one recording answers them: what the notebook said."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.loopback import Loopback, numbered
from support.shells import Shell, fresh_shell
from traitlets.config import Config

from mm_magic.errors import UsageError


@contextmanager
def notebook(server: Loopback, configured: Mapping[str, object]) -> Iterator[Shell]:
    """A shell that asks this server, with these options in IPython's configuration file."""
    with fresh_shell(Config(MiniMax=dict(configured))) as shell:
        shell.run(f"import os; os.environ['MINIMAX_BASE_URL'] = {server.url!r}")
        yield shell


def recorded(path: Path, *cells: str, configured: Mapping[str, object] | None = None) -> None:
    with Loopback(*numbered()) as server, notebook(server, configured or {}) as shell:
        shell.run(f"%minimax record {path}")
        for cell in cells:
            shell.run(cell)


@contextmanager
def replaying(path: Path, configured: Mapping[str, object] | None = None) -> Iterator[Shell]:
    """A shell in which the recording answers, at the address of another server; none is asked."""
    with Loopback() as server, notebook(server, configured or {}) as shell:
        shell.run(f"%minimax replay {path} --speed max")
        yield shell
        assert server.requests == []


@pytest.mark.parametrize(
    ("there", "here"),
    [({}, {"temperature": 0.5}), ({"temperature": 0.5, "model": "MiniMax-M3"}, {"top_p": 0.9})],
)
def test_configuration_of_the_machine(
    tmp_path: Path, there: Mapping[str, object], here: Mapping[str, object]
) -> None:
    """IPython's configuration file is no part of what the notebook said."""
    recorded(tmp_path / "r", "%%minimax\nWhy?", configured=there)
    with replaying(tmp_path / "r", here) as shell:
        shell.run("%%minimax\nWhy?")


@pytest.mark.parametrize(
    ("there", "here"),
    [
        ("%%minimax --no-stream\nWhy?", "%%minimax --stream\nWhy?"),
        ("%%minimax\nWhy?", "%%minimax --no-stream\nWhy?"),
        ("%%minimax -t 0.3\nWhy?", "%config MiniMax.temperature = 0.3\n%minimax\n"),
        ("%%minimax -t 0.3\nWhy?", "%%minimax -t 0.30 --hide-thinking\nWhy?"),
        ("%%minimax -t 0.3\nWhy?", "import mm_magic as mm\nmm.ask('Why?', temperature=0.3)"),
        ("%%minimax\nWhy?", "%%minimax -t default\nWhy?"),
        ("%%minimax\nWhy?", "%%minimax -c other\nWhy?"),
    ],
)
def test_same_request(tmp_path: Path, there: str, here: str) -> None:
    """How an answer is shown, and in which way an option is set, tells no requests apart."""
    recorded(tmp_path / "r", there)
    with replaying(tmp_path / "r") as shell:
        shell.run(here)
        if "%config" in here:
            shell.run("%%minimax\nWhy?")


@pytest.mark.parametrize(
    ("there", "here", "step"),
    [
        ("-t 0.3", "", "Recorded with -t 0.3: `%%minimax -t 0.3`"),
        ("", "-t 0.3", "Recorded with -t default: `%%minimax -t default`"),
        ("", "-t 1", "Recorded with -t default: `%%minimax -t default`"),
        ("-m MiniMax-M3", "", "Recorded with -m MiniMax-M3: `%%minimax -m MiniMax-M3`"),
        ("", "-m MiniMax-M2.7", "Recorded with the default model."),
        ("--thinking disabled", "", "Recorded with --thinking disabled: `%%minimax --thinking "),
    ],
)
def test_another_request(tmp_path: Path, there: str, here: str, step: str) -> None:
    """An option that is set in one of two cells alone tells them apart, and the error says so."""
    recorded(tmp_path / "r", f"%%minimax {there}\nWhy?")
    with replaying(tmp_path / "r") as shell:
        error = shell.error(f"%%minimax {here}\nWhy?")
    assert isinstance(error, UsageError)
    assert error.next_steps[0].startswith(step)
