"""What is written to a file: whole or not at all, and for nobody else's eyes."""

import json
import os
import resource
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mm_magic.cli.files import write_whole
from mm_magic.cli.main import main
from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.saved_turn import turn_json
from mm_magic.conversation.turn import TURN_MIME, Turn
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.messages import Message, TextBlock


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def notebook(path: Path) -> None:
    """A notebook that holds one turn."""
    talk = Conversation("main")
    reply = Reply(Message(content=(TextBlock("answer"),)))
    turn = talk.commit(
        Turn("main", 0, None, Prompt.of_text("prompt"), reply, {"model": "M"}, "", "")
    )
    data = {TURN_MIME: turn_json(turn, talk.state), "text/plain": "…"}
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    cell: dict[str, Any] = {"cell_type": "code", "id": "a", "execution_count": 1, "metadata": {}}
    cell |= {"source": "%%minimax\nprompt", "outputs": [output]}
    wire = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(wire), "utf-8")


@pytest.fixture(autouse=True)
def _open_by_default() -> Iterator[None]:
    """A user whose new files everybody may read."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("form", ["jsonl", "csv", "md"])
def test_exported_turns_are_for_their_owner(tmp_path: Path, form: str) -> None:
    """A file that `extract` makes can be read by nobody else, whatever the umask says."""
    notebook(tmp_path / "a.ipynb")
    target = tmp_path / "turns"
    assert main(["extract", str(tmp_path / "a.ipynb"), "--format", form, "-o", str(target)]) == 0
    assert "prompt" in target.read_text("utf-8-sig")
    assert mode(target) == 0o600


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    """A file that is there keeps its permissions, and a link to it stays a link."""
    notebook(tmp_path / "a.ipynb")
    (tmp_path / "a.ipynb").chmod(0o640)
    (tmp_path / "link.ipynb").symlink_to(tmp_path / "a.ipynb")
    assert main(["strip", str(tmp_path / "link.ipynb")]) == 0
    assert (tmp_path / "link.ipynb").is_symlink()
    assert mode(tmp_path / "a.ipynb") == 0o640
    assert TURN_MIME not in (tmp_path / "a.ipynb").read_text("utf-8")


@pytest.mark.parametrize("before", [None, b"the old content"])
def test_disk_that_is_full_changes_nothing(tmp_path: Path, before: bytes | None) -> None:
    """Where a file can't be written to its end, the old one stays, and no half of the new one."""
    target = tmp_path / "target"
    if before is not None:
        target.write_bytes(before)
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from mm_magic.cli.files import write_whole\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, (1000, {resource.RLIM_INFINITY}))\n"
        "try:\n    write_whole(Path(sys.argv[1]), b'x' * 5000)\n"
        "except OSError as error:\n    print(error.strerror)"
    )
    command = [sys.executable, "-c", code, str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "too large" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == (["target"] if before else [])
    assert before is None or target.read_bytes() == before


def test_what_is_no_file_takes_the_content(tmp_path: Path) -> None:
    """A device or a pipe is written to and stays what it is; a folder is refused."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(pipe, b"turns")
        assert os.read(reading, 100) == b"turns"
    finally:
        os.close(reading)
    assert pipe.is_fifo()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path, b"x")
