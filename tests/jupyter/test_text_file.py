"""`-s @FILE`: the system prompt from a file, in a real shell, and what is no text of a file."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.loopback import Loopback, numbered
from support.shells import Shell, fresh_shell

import mm_magic as mm
from mm_magic import MiniMaxError
from mm_magic.jupyter.arguments import parse
from mm_magic.jupyter.text_file import MAX_BYTES

ROLE = "You are a cow.\nSay moo, «Kuh» {x} $y @z.\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "role.md").write_bytes(ROLE.encode())
    return tmp_path


@pytest.fixture
def shell() -> Iterator[Shell]:
    with fresh_shell() as shell:
        yield shell


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with Loopback(*numbered()) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        yield server


def system_of(line: str) -> object:
    return parse(line).given["system"]


@pytest.mark.parametrize(
    "line",
    [
        "-s @role.md",
        "-s@role.md",
        '-s "@role.md"',
        "--system @role.md",
        "--system=@role.md",
        "-s @./role.md",
        "-s '@my notes/role of it.md'",
        "-s @~/role.md",
    ],
)
def test_text_of_the_file(line: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`@FILE` is the text of the file, whatever is in it, however the option is written."""
    monkeypatch.setenv("HOME", str(folder))
    (folder / "my notes").mkdir()
    (folder / "my notes" / "role of it.md").write_text(ROLE, "utf-8")

    assert system_of(line) == ROLE


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("-s @@role.md", "@role.md"),
        ("-s @@", "@"),
        ("-s @@@x", "@@x"),
        ("-s a@role.md", "a@role.md"),
        ('-s " @role.md"', " @role.md"),
    ],
)
def test_real_at(line: str, text: str) -> None:
    """Two of them stand for a real one, and one that does not come first means nothing."""
    assert system_of(line) == text


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_same_text_on_every_system(folder: Path, ends: str, mark: bytes) -> None:
    """Line ends and the mark of a Windows editor make no other request of the same text."""
    (folder / "role.md").write_bytes(mark + ROLE.replace("\n", ends).encode())

    assert system_of("-s @role.md") == ROLE


def a_folder(path: Path) -> None:
    path.mkdir()


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def a_terminal(path: Path) -> None:
    path.symlink_to("/dev/tty")


def a_loop(path: Path) -> None:
    path.symlink_to(path)


def too_large(path: Path) -> None:
    path.write_bytes(b"x" * (MAX_BYTES + 1))


def endless(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def a_picture(path: Path) -> None:
    path.write_bytes(b"\x89PNG\r\n\x1a\n\x00\x00")


def latin_1(path: Path) -> None:
    path.write_bytes("Käse".encode("latin-1"))


def utf_16(path: Path) -> None:
    path.write_bytes("Be brief".encode("utf-16"))


def utf_16_without_a_mark(path: Path) -> None:
    path.write_bytes("Be brief".encode("utf-16-le"))


def surrogates(path: Path) -> None:
    path.write_bytes(b"\xed\xa0\xbd")


def missing(_path: Path) -> None:
    pass


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices have no such names elsewhere")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (a_folder, "is a folder"),
        (a_pipe, "is not a regular file"),
        (a_device, "is not a regular file"),
        (a_terminal, "is not a regular file"),
        (a_loop, "can't be read"),
        (too_large, "is too large: the limit is 1,000,000 bytes"),
        (endless, "is too large: the limit is 1,000,000 bytes"),
        (a_picture, "is not UTF-8 text"),
        (latin_1, "is not UTF-8 text"),
        (utf_16, "is not UTF-8 text"),
        (utf_16_without_a_mark, "is not UTF-8 text"),
        (surrogates, "is not UTF-8 text"),
        (missing, "does not exist"),
    ],
)
@pytest.mark.parametrize("cell", ["%%minimax -s @it.md\nWhy?", "%minimax -s @it.md"])
def test_what_is_no_text(
    shell: Shell,
    server: Loopback,
    folder: Path,
    make: Callable[[Path], None],
    words: str,
    cell: str,
) -> None:
    """It is refused before anything is sent or set, with the line that sends the name as text."""
    make(folder / "it.md")

    error = shell.error(cell)

    assert isinstance(error, MiniMaxError)
    assert error.kind == "usage"
    assert f"'it.md' {words}" in error.message
    assert "`-s @@it.md`" in error.card()
    assert server.requests == []
    assert shell.run("%config MiniMax.system") == ""
    shell.run("%%minimax -s @@it.md\nWhy?")
    assert server.requests[-1].json["system"] == "@it.md"


def test_pipe_with_a_writer(folder: Path) -> None:
    """A pipe that somebody writes into is refused, too, and not waited for."""
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=lambda: (folder / "pipe").write_text("x"), daemon=True)
    writer.start()

    with pytest.raises(MiniMaxError, match="not a regular file"):
        parse("-s @pipe")
    with (folder / "pipe").open() as pipe:
        pipe.read()
    writer.join()


def test_largest_file(folder: Path) -> None:
    """A file of the largest size is taken."""
    (folder / "big").write_bytes(b"x" * MAX_BYTES)

    assert system_of("-s @big") == "x" * MAX_BYTES


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("-s @rol.md", "Did you mean `-s @role.md`?"),
        ("-s @Role.md", "Did you mean `-s @role.md`?"),
        ("-s @role.txt", "Did you mean `-s @role.md`?"),
        ("-s @", "Write: `-s @FILE`"),
        ('-s "@ann: be brief"', '`-s "@@ann: be brief"`'),
        ("-s @~nobody-here/x.md", '`-s "@@~nobody-here/x.md"`'),
        ("-s @no/such/folder.md", "`-s @@no/such/folder.md`"),
        ("-s @" + "x" * 300, "File name too long"),
    ],
)
def test_step(line: str, step: str) -> None:
    """The error has the line that works."""
    with pytest.raises(MiniMaxError) as caught:
        parse(line)

    assert step in caught.value.card()


def test_key_for_a_name() -> None:
    """A key that was pasted there is not repeated."""
    with pytest.raises(MiniMaxError) as caught:
        parse("-s @sk-cp-A1b2C3d4E5f6")

    assert "A1b2" not in caught.value.card()


def test_what_is_sent_shown_saved_and_said(
    shell: Shell, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    """The text of the file is what counts, and not its name."""
    reply: Any = shell.run("%%minimax -s @role.md\nWhy?")
    shell.run("%%minimax -s @role.md --dry-run\nWhy?")
    shown = capsys.readouterr().out
    shell.run("%minimax -s @role.md")
    shell.run("%%minimax\nAnd?")

    assert reply.text == "answer 1"
    assert [request.json["system"] for request in server.requests] == [ROLE, ROLE]
    assert json.loads(shown[shown.index("{") :])["system"] == ROLE
    assert shell.run("%config MiniMax.system") == ROLE
    assert f"From now on: system {ROLE!r}" in capsys.readouterr().out


def test_file_is_read_at_each_run(shell: Shell, server: Loopback, folder: Path) -> None:
    """A cell that runs again sends what the file holds then; a setting stays as it was set."""
    shell.run("%minimax -s @role.md")
    shell.run("%%minimax -s @role.md\nWhy?")
    (folder / "role.md").write_text("Be brief.", "utf-8")
    shell.run("%%minimax -s @role.md\nWhy?")
    shell.run("%%minimax\nWhy?")

    assert [r.json["system"] for r in server.requests] == [ROLE, "Be brief.", ROLE]


def test_recording_keeps_the_text(shell: Shell, server: Loopback, folder: Path) -> None:
    """A recording answers the same text from any file; the name of the file is not in it."""
    shell.run("%minimax record r.jsonl")
    shell.run("%%minimax -s @role.md\nWhy?")
    (folder / "role.md").rename(folder / "other.md")
    shell.run("%minimax record")
    shell.run("%minimax replay r.jsonl --speed max")
    shell.run("%minimax reset")

    assert shell.run("%%minimax -s @other.md\nWhy?").text == "answer 1"
    assert "role.md" not in (folder / "r.jsonl").read_text("utf-8")
    assert len(server.requests) == 1


def test_recorded_text_that_begins_with_an_at(shell: Shell, server: Loopback) -> None:
    """The line that a recording proposes is read as the text that was recorded."""
    shell.run("%minimax record r.jsonl")
    shell.run("%%minimax -s @@home\nWhy?")
    shell.run("%minimax replay r.jsonl --speed max")
    shell.run("%minimax reset")

    error = shell.error("%%minimax\nWhy?")

    assert isinstance(error, MiniMaxError)
    assert "`%%minimax -s @@home`" in error.card()
    assert len(server.requests) == 1


def test_long_text_is_said_back_in_short(
    shell: Shell, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither `%minimax -s @FILE` nor `%minimax` fills the page with the file."""
    (folder / "big").write_text("word " * 10_000)
    capsys.readouterr()
    shell.run("%minimax -s @big")
    said = capsys.readouterr().out
    shell.run("%minimax")
    shown = capsys.readouterr().out

    assert said.startswith("From now on: system 'word word")
    assert "system word word" in shown
    assert max(len(said), shown.count("word") * 5) < 300


def test_config_and_python_take_the_text_as_it_stands(shell: Shell, server: Loopback) -> None:
    """Only a line reads a file."""
    mm.ask("Why?", system="@role.md")
    shell.run("%config MiniMax.system = '@role.md'")
    shell.run("%%minimax\nWhy?")
    (traits,) = (each for each in shell.ip.configurables if type(each).__name__ == "MiniMax")
    traits.system = "@@role.md"
    shell.run("%%minimax\nWhy?")

    sent = [request.json["system"] for request in server.requests]
    assert sent == ["@role.md", "@role.md", "@@role.md"]
