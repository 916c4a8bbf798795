"""A table, cells and the panel at the same time: each does what it would do alone."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from support.kernels import Kernel
from support.loopback import Connection, Loopback, stall
from support.rows import asked, echo, prompt_of
from traitlets.config import Config

from mm_magic.jupyter.config import MiniMax
from mm_magic.jupyter.panel.panel import Panel
from mm_magic.session.rows.job import RowsJob, RowsOptions
from mm_magic.session.session import Session

ROWS, AT_A_TIME = 12, 4


class Desk:
    """A kernel's session with its panel, and a server that holds back all rows until `go_on`."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.server = Loopback(self._answer)
        self.session = Session({"MINIMAX_BASE_URL": self.server.url})
        self.settings: Any = MiniMax(self.session, config=Config())
        self.panel = Panel(self.session, self.settings, lambda: "all")

    def close(self) -> None:
        self.panel.close()
        self.server.close()

    def _answer(self, connection: Connection) -> None:
        prompt = prompt_of(connection)
        if prompt.startswith("Say"):
            connection.wait(self.go_on)
        (stall if prompt == "hang" else echo)(connection)

    def ask_rows(self) -> "asyncio.Task[Any]":
        how = RowsOptions(self.session.options, parallel=AT_A_TIME)
        job = RowsJob(self.session, "Say {{n}}", pd.DataFrame({"n": range(ROWS)}), how)
        return asyncio.create_task(job.run(None))

    async def arrive(self, number: int) -> None:
        """Wait for so many prompts."""
        while len(self.prompts) < number:
            await asyncio.sleep(0.001)

    @property
    def prompts(self) -> list[Any]:
        """The requests that came, but for those of the panel for a list of models."""
        return [each.json for each in self.server.requests if each.method == "POST"]


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


def test_cells_and_settings_beside_a_table(desk: Desk) -> None:
    """Cells are answered while rows wait, and what the panel sets holds for them; the rows are all
    asked as the first one was, and each stands alone."""

    async def main() -> Any:
        rows = desk.ask_rows()
        await desk.arrive(AT_A_TIME)
        await desk.session.turns.ask("one", desk.session.options, alone=False)
        desk.panel.controls.settings["temperature"].widget.set_state({"value": "0.3"})
        await desk.session.turns.ask("two", desk.session.options, alone=False)
        desk.session.edits.fork("idea")
        desk.go_on.set()
        return await rows

    table = asyncio.run(main())

    assert [*table["answer"]] == [f"<Say {n}>" for n in range(ROWS)]
    of_rows = [each for each in desk.prompts if each["messages"][0]["content"].startswith("Say")]
    assert len(of_rows) == ROWS
    assert {len(each["messages"]) for each in of_rows} == {1}
    assert not any("temperature" in each for each in of_rows)
    one, two = (each for each in desk.prompts if each not in of_rows)
    assert ("temperature" in one, two["temperature"]) == (False, 0.3)
    assert [each["content"] for each in two["messages"][::2]] == ["one", "two"]
    for name in ("main", "idea"):
        turns = desk.session.conversations[name].turns
        assert [turn.reply.text.strip() for turn in turns] == ["<one>", "<two>"]
    assert desk.session.running.runs == []


def test_stop_of_the_panel_ends_both(desk: Desk) -> None:
    """The panel's Stop ends the table and the cell; the same table then asks all that is left."""

    async def main() -> None:
        rows = desk.ask_rows()
        await desk.arrive(AT_A_TIME)
        cell = asyncio.create_task(
            desk.session.turns.ask("hang", desk.session.options, alone=False)
        )
        await desk.arrive(AT_A_TIME + 1)
        desk.panel.controls.stop.click()
        found = await asyncio.gather(rows, cell, return_exceptions=True)
        assert [*map(type, found)] == [asyncio.CancelledError] * 2
        for connection in desk.server.connections:
            assert await asyncio.to_thread(connection.closed.wait, 30)
        assert desk.session.running.runs == []
        desk.server.requests.clear()
        desk.go_on.set()
        table = await desk.ask_rows()
        assert [*table["answer"]] == [f"<Say {n}>" for n in range(ROWS)]

    asyncio.run(main())
    assert asked(desk.server) == sorted(f"Say {n}" for n in range(ROWS))


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


def test_commands_while_a_turn_streams(kernel: Kernel) -> None:
    """What would change the conversation of a turn that is under way is refused, and says why; a
    fork begins with the turns that have ended. Nothing is lost."""
    begun, go_on = threading.Event(), threading.Event()

    def answer(connection: Connection) -> None:
        if prompt_of(connection) == "two":
            begun.set()
            connection.wait(go_on)
        echo(connection)

    def fails(command: str) -> str:
        return kernel.run(f"%minimax {command}", cell_id="command").traceback

    def earlier(prompt: str, name: str) -> list[str]:
        """The prompts that are sent before this one."""
        kernel.run(f"%%minimax -c {name}\n{prompt}", cell_id=prompt)
        return [each["content"] for each in server.requests[-1].json["messages"][:-1:2]]

    with Loopback(answer) as server:
        kernel.fresh(server.url)
        kernel.run("%%minimax -n 2\none", cell_id="one")
        kernel.run("%%minimax -c side\naside", cell_id="aside")
        kernel.run(
            "import asyncio, mm_magic as mm\n"
            "asking = asyncio.create_task(mm.ask_async('two', conversation='main'))",
            cell_id="two",
        )
        assert begun.wait(30)
        for command in ("pick 2", "forget", "forget 1", "reset"):
            told = fails(command)
            assert "a turn is running in conversation main" in told
            assert "Stop it, or wait until it ends." in told
        kernel.run("%minimax -c side")
        assert "a turn is running in conversation main" in fails("fork main")
        kernel.run("%minimax -c main")
        assert kernel.run("%minimax fork idea", cell_id="fork").status == "ok"
        go_on.set()
        assert kernel.run("print((await asking).text.strip())").stdout == "<two>\n"

        assert earlier("three", "main") == ["one", "two"]
        assert earlier("four", "idea") == ["one"]
        assert earlier("five", "side") == ["aside"]
        assert kernel.run("%minimax pick 2", cell_id="command").status == "ok"
