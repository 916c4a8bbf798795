"""An answers file from a stranger: it answers, and does nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.kernels import Kernel
from support.loopback import Loopback, captured, sse, streamed
from support.replays import WHY, recorded
from test_hostile_notebooks import NAME, TEXT, check_shown

CELLS = (
    "%minimax replay {file}",
    "%%minimax\nWhy?",
    "%minimax replay {file} --list",
    "%minimax replay --list",
    "%minimax replay {file} --loose",
    "%%minimax\nWhy not?",
    "%minimax history",
    "%minimax show 1",
    "%minimax request 1 --events",
    "%minimax",
    "%minimax usage",
    "%minimax replay {file} --fill",
    "%%minimax --fresh\nWhy?",
)
"""With "Why not?" the recording has no answer; `--fill` asks for nothing that it has."""


@pytest.fixture(scope="module")
def other() -> Iterator[Loopback]:
    """Where the file would like to lead."""
    with Loopback(streamed()) as server:
        yield server


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


def hostile_file(path: Path, address: str) -> Path:
    """A recording of "Why?" that is hostile in each text of its line, and its answer in all."""
    recorded(path, WHY)
    head, line = map(json.loads, path.read_text("utf-8").splitlines())
    events: list[dict[str, Any]] = captured(thinking=TEXT, text=TEXT)
    events[0]["message"] |= {"model": NAME, "id": NAME}
    tool = {"type": "tool_use", "id": NAME, "name": NAME, "input": {NAME: TEXT}}
    events.insert(9, {"type": "content_block_start", "index": 2, "content_block": tool})
    events[-2]["delta"]["stop_reason"] = NAME
    settings = {"base_url": address, "MINIMAX_BASE_URL": address, "api_key": "k", NAME: TEXT}
    line |= {"day": NAME, "server": address, "model": NAME, "settings": settings, **settings}
    line["reads"] = [[0.0, sse(*events).decode()]]
    path.write_text(f"{json.dumps(head | settings)}\n{json.dumps(line)}\n", "utf-8")
    return path


def test_a_recording_only_answers(kernel: Kernel, other: Loopback, tmp_path: Path) -> None:
    """No output holds markup or a control character of the file's; no address of it is asked, and
    no setting of it is taken over."""
    file = hostile_file(tmp_path / "hostile.jsonl", other.url)
    kernel.fresh("")
    shown = ""
    for number, code in enumerate(CELLS):
        cell = kernel.run(code.format(file=file), cell_id=str(number))
        check_shown(cell)
        assert cell.ename in ("", "UsageError", "MiniMaxError", "RequestError"), cell.traceback
        shown += cell.shown
    assert "Rayleigh" not in shown  # of the server's answer
    assert NAME[:20] in shown
    assert other.url not in kernel.run("%config MiniMax").shown
    assert not other.connections


def test_an_answers_file_only_answers(kernel: Kernel, other: Loopback, tmp_path: Path) -> None:
    """`mm.map` puts its text into the table as it is, and asks nobody."""
    file = hostile_file(tmp_path / "hostile.jsonl", other.url)
    kernel.fresh("")
    kernel.run("%config MiniMax.conversation = 'rows'\nimport mm_magic as mm")
    cell = kernel.run(f"table = mm.map('{{{{row}}}}', ['Why?'], file={str(file)!r})")
    assert cell.status == "ok", cell.traceback
    check_shown(cell)
    answer = kernel.run("import json; print(json.dumps(table.answer[0]))")
    assert json.loads(answer.stdout).strip() == TEXT.strip()
    assert not other.connections
