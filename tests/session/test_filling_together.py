"""`%minimax replay FILE --fill` in several kernels at a time: nothing is lost in their file."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from support.replays import Cell, Kernel, replaying, to_end
from support.scripted import Answer

from mm_magic.session.rows.job import RowsJob, RowsOptions
from mm_magic.session.variants import variants
from mm_magic.transport.recording.file_format import RecordedExchange
from mm_magic.transport.recording.reader import read
from mm_magic.transport.recording.writer import begin

ONE = Cell("Name one.", conversation=None, id="a")
ANOTHER = Cell("Name one.", conversation=None, id="b")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "lesson.jsonl"
    begin(path, path.name)
    return path


def filling(path: Path, name: str) -> Kernel:
    """A kernel that fills a file; what its server says has this name in its thinking."""
    kernel = replaying(path, fills=True)
    kernel.thinking = name
    return kernel


def exchanges(path: Path) -> tuple[RecordedExchange, ...]:
    found = read(path.read_bytes(), path.name)
    assert found.damaged == ()
    return found.exchanges


def samples(path: Path) -> list[int]:
    return [each.sample for each in exchanges(path)]


def test_one_has_what_the_other_asked(path: Path) -> None:
    """What one kernel has asked the other one plays; who asks once more asks for the next."""
    ada, ben = filling(path, "Ada"), filling(path, "Ben")

    assert [each.run(ONE).thinking for each in (ada, ben)] == ["Ada", "Ada"]
    assert [each.run(ANOTHER).thinking for each in (ben, ada)] == ["Ben", "Ben"]

    assert (len(ada.service.requests), len(ben.service.requests)) == (1, 1)
    assert samples(path) == [0, 1]
    assert "(2 answers" in ada.session.answering()


def test_a_conversation_goes_on_in_the_other(path: Path) -> None:
    """The turns of a lesson that one kernel has begun are the same in the other."""
    ada, ben = filling(path, "Ada"), filling(path, "Ben")
    cells = [Cell("Why?", id="a"), Cell("How?", id="b"), Cell("When?", id="c")]

    for kernel, number in ((ada, 2), (ben, 3), (ada, 3)):
        for cell in cells[:number]:
            kernel.run(cell)

    assert (len(ada.service.requests), len(ben.service.requests)) == (2, 1)
    assert len(exchanges(path)) == 3


def test_both_ask_at_the_same_time(path: Path) -> None:
    """Both answers are kept, each kernel goes on with its own, and a reader has both."""
    ada, ben = filling(path, "Ada"), filling(path, "Ben")

    async def at_once() -> None:
        runs = []
        for kernel in (ada, ben):
            kernel.variables["MINIMAX_BASE_URL"] = "http://a.invalid"
            kernel.session.cells.begin(ONE.id)
            kernel.service.next_answer = answer_of(kernel)
            runs.append(to_end(kernel.session, kernel.session.turns.start(kernel.ask(ONE))))
        await asyncio.gather(*runs)

    asyncio.run(at_once())

    assert samples(path) == [0, 1]
    assert [each.run(ONE).thinking for each in (ada, ben)] == ["Ada", "Ben"]
    assert (len(ada.service.requests), len(ben.service.requests)) == (1, 1)
    reader = replaying(path)
    assert [reader.run(cell).thinking for cell in (ONE, ANOTHER)] == ["Ada", "Ben"]


def test_both_compare_at_the_same_time(path: Path) -> None:
    """All answers of both are kept, though one kernel learns of the other's all at once."""
    ada, ben = filling(path, "Ada"), filling(path, "Ben")

    async def at_once() -> None:
        asking = []
        for kernel in (ada, ben):
            kernel.variables["MINIMAX_BASE_URL"] = "http://a.invalid"
            kernel.service.next_answer = answer_of(kernel)
            three = [*variants(kernel.session.options, {}, 3)]
            asking.append(kernel.session.comparisons.ask("Name one.", three, alone=True))
        await asyncio.gather(*asking)

    asyncio.run(at_once())
    assert sorted(samples(path)) == [*range(6)]


def test_fresh_takes_the_place_of_what_another_asked(path: Path) -> None:
    """Who asks again what came from the other replaces it, as in one kernel."""
    ada, ben = filling(path, "Ada"), filling(path, "Ben")
    ada.run(ONE)

    assert ben.run(replace(ONE, is_fresh=True)).thinking == "Ben"

    assert samples(path) == [0, 0]
    assert replaying(path).run(ONE).thinking == "Ben"


def answer_of(kernel: Kernel) -> Answer:
    thinking = {"type": "thinking", "thinking": kernel.thinking, "signature": "5f"}
    return Answer("whole", (thinking, {"type": "text", "text": f"{kernel.thinking} answers."}))


def test_many_cells_in_threads(path: Path) -> None:
    """However they meet, the file is whole, and no answer stands in the place of another."""
    gate = Barrier(3)
    cells = [Cell(f"Name {n}.", conversation=None, id=f"c{n}") for n in range(40)]

    def run_all(name: str) -> list[str]:
        kernel = filling(path, name)
        gate.wait()
        return [kernel.run(cell).thinking for cell in cells]

    with ThreadPoolExecutor(3) as pool:
        found = [*pool.map(run_all, ("Ada", "Ben", "Chi"))]

    places = [(each.key.hash, each.sample) for each in exchanges(path)]
    assert len({*places}) == len(places) >= len(cells)
    reader = replaying(path)
    played = [reader.run(cell).thinking for cell in cells]
    assert all(name in names for name, *names in zip(played, *found, strict=True))


def test_two_tables_at_the_same_time(path: Path) -> None:
    """Both tables have the same answers, each paid for once, and the file answers a third one."""
    rows = [{"word": word} for word in ("oak", "elm", "fir", "ash")]

    def job(kernel: Kernel) -> RowsJob:
        kernel.variables["MINIMAX_BASE_URL"] = "http://a.invalid"
        kernel.service.next_answer = answer_of(kernel)
        return RowsJob(
            kernel.session, "Say {{word}}", rows, RowsOptions(kernel.session.options, file=path)
        )

    async def at_once() -> list[Any]:
        return [*await asyncio.gather(*(job(each).run(None) for each in kernels))]

    kernels = [Kernel(), Kernel()]
    kernels[0].thinking, kernels[1].thinking = "Ada", "Ben"
    tables = asyncio.run(at_once())

    assert [list(table["answer"]) for table in tables] == [[*tables[0]["answer"]]] * 2
    assert sum(len(each.service.requests) for each in kernels) == 4
    assert samples(path) == [0] * 4
    kernels = [Kernel()]
    (table,) = asyncio.run(at_once())
    assert table["answer"].notna().all()
    assert kernels[0].service.requests == []


def test_a_file_that_goes_away(path: Path) -> None:
    """Where it is gone, answers come all the same, and it is told."""
    ada = filling(path, "Ada")
    path.unlink()

    assert ada.run(ONE).thinking == "Ada"
    assert "No such file" in str(ada.notes)
