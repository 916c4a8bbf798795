"""What other systems have otherwise, as far as it can be had here: pipes of few characters, closed
pipes with another error, names in capitals, types of files that a registry names."""

import json
import mimetypes
import select
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.client import HTTPConnection
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from support.kernels import clean_environment

from mm_magic.cli.main import main
from mm_magic.cli.site.command import SiteHandler
from mm_magic.cli.site.contents import write_contents
from mm_magic.conversation.turn import TURN_MIME


def notebook(path: Path) -> Path:
    """A notebook with an output that holds hidden JSON."""
    data = {"text/plain": "shown", TURN_MIME: {"version": 2, "turns": []}}
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    cell: dict[str, Any] = {"cell_type": "code", "id": "a", "execution_count": 1, "metadata": {}}
    cells = [cell | {"source": "1", "outputs": [output]}]
    wire = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(wire), "utf-8")
    return path


def command(folder: Path, *words: str, **how: Any) -> "subprocess.CompletedProcess[bytes]":
    """A command of ours, whose output can hold what a pipe on Windows holds."""
    environ = clean_environment(folder / "Ελένη") | {"PYTHONIOENCODING": "cp1252", "COLUMNS": "200"}
    environ |= {"PYTHONUTF8": "0"}
    line = [sys.executable, "-m", "mm_magic", *words]
    return subprocess.run(
        line, cwd=folder, env=environ, stderr=subprocess.PIPE, timeout=60, check=False, **how
    )


@pytest.mark.parametrize(
    "words",
    [
        *([name, "--help"] for name in ("demo", "site", "autoload", "extract", "strip")),
        ["--help"],
        ["autoload"],
        ["autoload", "--off"],
        ["strip", "Ελένη.ipynb", "b.ipynb"],
    ],
    ids=" ".join,
)
def test_output_where_a_pipe_has_few_characters(tmp_path: Path, words: list[str]) -> None:
    """What the pipe can't hold is a question mark there, and the command does its work."""
    notebook(tmp_path / "Ελένη.ipynb")
    notebook(tmp_path / "b.ipynb")
    done = command(tmp_path, *words, stdout=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout != b""


def test_a_reader_that_leaves_a_pipe(tmp_path: Path) -> None:
    """On Windows a write to a closed pipe is an invalid argument, as one to this thing is here."""
    notebook(tmp_path / "a.ipynb")
    with select.epoll() as thing:
        done = command(tmp_path, "extract", "a.ipynb", "--format", "csv", stdout=thing.fileno())
    assert (done.returncode, done.stderr) == (0, b"")


def test_output_that_can_not_be_written(tmp_path: Path) -> None:
    """A full disk behind the output is told by what it is."""
    notebook(tmp_path / "a.ipynb")
    with Path("/dev/full").open("wb") as full:
        done = command(tmp_path, "extract", "a.ipynb", "--format", "csv", stdout=full)
    assert done.returncode == 1
    assert done.stderr.startswith(b"mm_magic: the output can't be written: No space left")
    assert done.stderr.count(b"\n") == 1


def test_names_in_capitals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A notebook with such a name is not overwritten, and published without its saved turns."""
    path = notebook(tmp_path / "LESSON.IPYNB")
    before = path.read_bytes()
    with pytest.raises(SystemExit):
        main(["extract", str(path), "-o", str(path)])
    assert "would overwrite a notebook" in capsys.readouterr().err
    assert path.read_bytes() == before

    recording = tmp_path / "LESSON.JSONL"
    recording.write_text("{}\n", "utf-8")
    folder = tmp_path / "site"
    folder.mkdir()
    assert write_contents([path, recording], folder) == ["LESSON.IPYNB"]
    assert TURN_MIME not in (folder / "LESSON.IPYNB").read_text("utf-8")
    assert (folder / "LESSON.recording").is_file()


@pytest.fixture
def _registry() -> Iterator[None]:
    """A system whose registry calls scripts plain text."""
    mimetypes.init()
    before = mimetypes.types_map.copy()
    for ending in (".js", ".mjs", ".wasm", ".css", ".json"):
        mimetypes.add_type("text/plain", ending)
    yield
    mimetypes.init()
    assert mimetypes.types_map == before


@pytest.mark.usefixtures("_registry")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.js", "text/javascript"), ("a.mjs", "text/javascript"), ("a.wasm", "application/wasm"),
        ("a.css", "text/css"), ("a.json", "application/json"), ("a.html", "text/html"),
    ],
)  # fmt: skip
def test_types_of_a_sites_files(tmp_path: Path, name: str, kind: str) -> None:
    """A browser runs no script that is called plain text: the site's server says what it is."""
    (tmp_path / name).write_bytes(b"")
    handler = partial(SiteHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        connection = HTTPConnection("127.0.0.1", server.server_port, timeout=60)
        connection.request("GET", f"/{name}")
        answer = connection.getresponse()
        connection.close()
        server.shutdown()
    assert (answer.status, answer.headers.get_content_type()) == (200, kind)
