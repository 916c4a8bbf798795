"""The extension that was loaded at the start of a kernel, before any cell: see `autoload`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.kernels import Kernel
from support.loopback import Loopback, numbered
from support.pages import Page, sent
from support.printed import on_one_line
from support.shells import Shell, fresh_shell
from traitlets.config import Config

import mm_magic
from mm_magic.cli.main import main

READY = "mm_magic is ready: `%%minimax` asks the offline demo, not a language model.\n"


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A shell whose extension was loaded before its first cell."""
    monkeypatch.setenv("MINIMAX_BACKEND", "offline")
    with fresh_shell(loaded=False) as shell:
        shell.ip.extension_manager.load_extension("mm_magic")
        yield shell


@pytest.mark.parametrize(
    "cell",
    [
        "%%minimax --dry-run\nWhy?",
        "%minimax history",
        "import mm_magic as mm",
        "%load_ext mm_magic",
        "%reload_ext mm_magic",
        "%load_ext autoreload\nfrom mm_magic import ask",
    ],
)
def test_first_use_introduces(shell: Shell, capsys: pytest.CaptureFixture[str], cell: str) -> None:
    """Nothing is said before the first cell that uses mm_magic, and there it is said once."""
    shell.run("1 + 1")
    assert "mm_magic" not in capsys.readouterr().out

    shell.run(cell)
    out = capsys.readouterr().out
    assert out.startswith(READY)
    assert "already loaded" not in out
    shell.run("%%minimax --dry-run\nWhy?")
    assert READY not in capsys.readouterr().out


def test_unload_and_load(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    """It can be taken out without a word, and put in again as ever."""
    shell.run("%unload_ext mm_magic")
    assert capsys.readouterr().out == ""
    assert "minimax" not in shell.ip.magics_manager.magics["cell"]

    shell.run("%load_ext mm_magic")
    assert capsys.readouterr().out.startswith(READY)
    shell.run("%load_ext mm_magic")
    assert "already loaded" in capsys.readouterr().out


def test_settings_that_are_not_used_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """What is wrong in IPython's configuration is said with the first use, too."""
    config = Config()
    config.MiniMax.temperature = "warm"
    with fresh_shell(config, loaded=False) as shell:
        mm_magic.load_ipython_extension(shell.ip)
        assert capsys.readouterr().out == ""
        shell.run("%minimax usage")

    assert capsys.readouterr().out.startswith(
        "The options in your IPython configuration are ignored"
    )


def started(folder: Path, page: Path, url: str) -> Kernel:
    """A new kernel of a notebook, in which mm_magic is loaded by the start-up file."""
    environ = {
        "JPY_SESSION_NAME": str(page),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "MINIMAX_BASE_URL": url,
    }
    return Kernel(folder, environ)


@pytest.mark.parametrize(
    "first",
    ["%%minimax\nprompt b", pytest.param("%load_ext mm_magic", marks=pytest.mark.slow)],
)
def test_restarted_kernel_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str
) -> None:
    """In a restarted kernel the first cell says what the file held, and that is sent."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    assert main(["autoload"]) == 0
    path = tmp_path / "lesson.ipynb"
    with Loopback(*numbered()) as server:
        with started(tmp_path, path, server.url) as kernel:
            page = Page(path, tmp_path / "data", kernel)
            assert page.ask("a").status == "ok"
            page.run("b", "first = 1")
            page.save()
        with started(tmp_path, path, server.url) as kernel:
            page.kernel = kernel
            assert page.run("x", "1 + 1").stdout == ""
            told = page.run("b", first).stdout
            page.ask("c")

    ready, resumed = on_one_line(told).split("; model MiniMax-M2.7. ")
    assert ready.startswith("mm_magic is ready: `%%minimax` asks your own server")
    assert resumed.startswith("This file holds 1 turn, saved ")
    assert "A new cell sends 1 earlier turn of main" in resumed
    assert sent(server)[:2] == ["a", "1"]
