"""`python -m mm_magic autoload`: the start-up file of IPython, and what it does in a kernel."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.kernels import clean_environment

from mm_magic.cli.main import main

FILE = Path("profile_default", "startup", "50-mm_magic.py")


@pytest.fixture
def start_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the file is to be, in a folder of IPython's own that is not there yet."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    return tmp_path / "ipython" / FILE


def run(folder: Path, *code: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Lines that IPython runs, each as a cell."""
    lines = "\n".join(f"get_ipython().run_cell({line!r})" for line in code)
    return subprocess.run(
        [sys.executable, "-m", "IPython", "--simple-prompt", "--no-banner", "--colors=nocolor"],
        input=f"{lines}\nexit()\n",
        cwd=folder,
        env=clean_environment(folder / "ipython") | {"MINIMAX_BACKEND": "offline"} | environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )


def test_on_and_off(start_up: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file's path is told, twice changes nothing, and `--off` removes what was written."""
    assert main(["autoload"]) == 0
    told = capsys.readouterr().out
    assert f"{start_up} was created." in told
    assert "python -m mm_magic autoload --off" in told
    content = start_up.read_bytes()

    assert main(["autoload"]) == 0
    assert f"{start_up} already exists." in capsys.readouterr().out
    assert start_up.read_bytes() == content
    assert main(["autoload", "--off"]) == 0
    assert f"{start_up} was removed." in capsys.readouterr().out
    assert not start_up.exists()
    assert main(["autoload", "--off"]) == 0
    assert "nothing to turn off" in capsys.readouterr().out


@pytest.mark.parametrize("options", [[], ["--off"]])
def test_another_file_stays(
    start_up: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    """A file of that name that holds anything else is neither overwritten nor removed."""
    start_up.parent.mkdir(parents=True)
    start_up.write_bytes(b"mine = 1\xff\n")

    assert main(["autoload", *options]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert f"{start_up} differs from what `autoload` writes, so it was left unchanged" in told.err
    assert start_up.read_bytes() == b"mine = 1\xff\n"


def test_folder_that_is_a_file(start_up: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that can't be made is told."""
    start_up.parents[1].parent.mkdir()
    start_up.parents[1].write_text("")

    assert main(["autoload"]) == 1
    assert "mm_magic autoload: " in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_folder_of_others(start_up: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where IPython would take a temporary folder, nothing is written."""
    start_up.parents[2].mkdir(mode=0o500)

    assert main(["autoload"]) == 1
    assert "Set the environment variable IPYTHONDIR" in capsys.readouterr().err


def test_new_sessions_have_the_magic(start_up: Path) -> None:
    """IPython is silent when it starts; the first cell with `%%minimax` works, and says who
    answers."""
    assert main(["autoload"]) == 0

    has_name = "print('name:', '_load_mm_magic' in globals())"
    done = run(start_up.parents[3], "1 + 1", "%%minimax --dry-run\nWhy?", has_name)

    before, _, after = done.stdout.partition("Out[1]: 2")
    assert "mm_magic" not in before + done.stderr
    assert after.count("mm_magic is ready: `%%minimax` asks the offline demo") == 1
    assert "To the offline demo:" in after
    assert "name: False" in after


@pytest.mark.parametrize(
    "module",
    [
        "raise ImportError('not here')",
        *(
            pytest.param(module, marks=pytest.mark.slow)
            for module in (
                "raise RuntimeError('broken')",
                "def load_ipython_extension(ip): raise OSError('broken')",
                "",
                None,
            )
        ),
    ],
    ids=["missing", "broken", "breaks", "another", "uninstalled"],
)
def test_silent_elsewhere(start_up: Path, module: str | None) -> None:
    """Where mm_magic is missing or broken, IPython starts without a word of it."""
    assert main(["autoload"]) == 0
    folder = start_up.parents[3]
    if module is None:
        text = "import sys; sys.modules['mm_magic'] = None\n"
        (start_up.parent / "00-first.py").write_text(text)
    else:
        (folder / "mm_magic.py").write_text(f"open('read', 'w').close()\n{module}\n")

    done = run(folder, "print('up', 1)", PYTHONPATH=str(folder))

    assert "up 1" in done.stdout
    assert "mm_magic" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert (folder / "read").exists() == (module is not None)
