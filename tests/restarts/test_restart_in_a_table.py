"""A kernel that ends in the middle of a table: its answers stay as far as a file has them."""

from pathlib import Path
from threading import Event

import pytest
from support.kernels import Kernel
from support.loopback import Connection, Loopback
from support.pages import Page, sent
from support.rows import asked, echo, prompt_of

from mm_magic.transport.recording.reader import read

PROMPTS = [f"Say {n}" for n in range(6)]


@pytest.mark.parametrize(
    ("is_killed", "file"),
    [
        (True, None),
        (False, "answers.jsonl"),
        pytest.param(True, "answers.jsonl", marks=pytest.mark.slow),
        pytest.param(False, None, marks=pytest.mark.slow),
    ],
)
def test_kernel_ends(
    process: Kernel, data: Path, tmp_path: Path, is_killed: bool, file: str | None
) -> None:
    """No request stays open. The new kernel asks what no file has, and its conversation goes on."""
    half, go_on = Event(), Event()

    def answer(connection: Connection) -> None:
        if prompt_of(connection) in PROMPTS[3:]:
            if len(connection.server.requests) == 1 + len(PROMPTS):
                half.set()
            connection.wait(go_on)
        echo(connection)

    ask_rows = (
        "import mm_magic as mm\n"
        "rows = [{'n': n} for n in range(6)]\n"
        f"table = mm.map('Say {{{{n}}}}', rows, parallel=3, file={file!r})\n"
        "print(*table.answer)"
    )
    with Loopback(answer) as server:
        page = Page(tmp_path / "lesson.ipynb", data, process)
        page.load(server.url)
        page.run("folder", f"%cd -q {tmp_path}")
        page.ask("hello", "Hello")
        page.save()
        process.send(ask_rows, cell_id="rows")
        assert half.wait(30)
        process.restart(is_killed=is_killed)
        for connection in server.connections:
            assert connection.closed.wait(30)
        go_on.set()
        server.requests.clear()

        page.load(server.url)
        page.run("folder", f"%cd -q {tmp_path}")
        answers = " ".join(f"<{prompt}>" for prompt in PROMPTS)
        assert page.run("rows", ask_rows).stdout.startswith(answers)
        assert asked(server) == (PROMPTS[3:] if file else PROMPTS)
        page.ask("next", "Next")
        assert sent(server) == ["Hello", "<Hello>", "Next"]
    if file:
        found = read((tmp_path / file).read_bytes(), file)
        assert found.damaged == ()
        assert sorted(each.key.text for each in found.exchanges if each.is_offered) == PROMPTS
