"""`%minimax record` says who can read the recording, and how others can."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.printed import on_one_line
from support.shells import Shell, fresh_shell

from mm_magic.jupyter.commands.permissions import who_can_read

ONLY_YOU = "Only you can read the file; `!chmod g+r {}` lets your group read it."

pytestmark = pytest.mark.skipif(os.name != "posix", reason="its files have no modes")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("MINIMAX_BACKEND", "offline")
    with fresh_shell() as shell:
        yield shell


@pytest.mark.parametrize(
    ("typed", "name", "word"),
    [
        ("lesson.jsonl", "lesson.jsonl", "lesson.jsonl"),
        ('"my lesson.jsonl"', "my lesson.jsonl", "'my lesson.jsonl'"),
        ('"~/my lesson.jsonl"', "my lesson.jsonl", "~/'my lesson.jsonl'"),
        ("Übung.jsonl", "Übung.jsonl", "'Übung.jsonl'"),
        ("-- -r.jsonl", "-r.jsonl", "./-r.jsonl"),
    ],
)
def test_line_opens_a_new_recording(
    shell: Shell,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    typed: str,
    name: str,
    word: str,
) -> None:
    """A new recording is for its owner alone; the line that is told opens it to the group."""
    capfd.readouterr()
    shell.run(f"%minimax record {typed}")

    told = on_one_line(capfd.readouterr().out)
    assert told.endswith(ONLY_YOU.format(word))
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    shell.run(told.split("`")[-2])
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o640


@pytest.mark.parametrize("name", ["a$HOME.jsonl", "a{b}.jsonl", "a`b.jsonl", "a;b.jsonl"])
def test_names_that_a_shell_reads_otherwise(
    shell: Shell, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A name that would not arrive as it is typed is told as FILE."""
    shell.run(f'%minimax record "{name}"')

    assert on_one_line(capsys.readouterr().out).endswith(ONLY_YOU.format("FILE"))


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        (0o600, ONLY_YOU.format("lesson.jsonl")),
        (0o660, "You and your group can read the file.\n"),
        (0o644, "Everyone with access to the file's folder can read the file.\n"),
        (0o604, "Everyone with access to the file's folder can read the file.\n"),
    ],
)
def test_recording_that_goes_on(
    shell: Shell, tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int, told: str
) -> None:
    """Of a recording that is there, it is told who can read it as it is."""
    shell.run("%minimax record lesson.jsonl\n%minimax record")
    (tmp_path / "lesson.jsonl").chmod(mode)
    capsys.readouterr()

    shell.run("%minimax record lesson.jsonl")

    assert on_one_line(capsys.readouterr().out).split("stops recording. ")[1] == told.strip()


def test_where_modes_say_nothing(tmp_path: Path) -> None:
    """Where the system's modes don't say who can read a file, nothing is told."""
    assert who_can_read(tmp_path, "a.jsonl", has_modes=False) == ""
    assert who_can_read(tmp_path / "gone", "gone", has_modes=True) == ""
