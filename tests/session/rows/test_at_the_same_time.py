"""Tables that are asked at the same time, and have rows in common: each row is paid for once."""

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pandas as pd
import pytest
from support.loopback import Connection, Loopback, captured, failure, stall, streamed
from support.rows import asked, echo, kernel, prompt_of

import mm_magic as mm
from mm_magic.conversation.rows_count import RowsCount
from mm_magic.session.api import session
from mm_magic.session.replaying import Replaying
from mm_magic.session.rows.job import RowsJob, RowsOptions
from mm_magic.session.values import ValueType
from mm_magic.transport.recording.player import Replay
from mm_magic.transport.recording.reader import read
from mm_magic.transport.recording.writer import Recorder, begin

TEN = pd.DataFrame({"n": range(10)})
ALL = [f"<Say {n}>" for n in range(10)]
PROMPTS = [f"Say {n}" for n in range(10)]


def fill(path: Path) -> None:
    """The session replays a file, and asks for what it lacks."""
    begin(path, path.name)
    known = read(path.read_bytes(), path.name)
    replay = Replay(known.exchanges)
    recorder = Recorder(path, path.name, known, samples=replay.samples)
    recorder.on_recorded = replay.add
    session().replay(Replaying(replay, path.name, fills=True), recorder)


def job(file: Path | None = None, rows: Any = TEN, **more: Any) -> RowsJob:
    return RowsJob(session(), "Say {{n}}", rows, RowsOptions(session().options, file=file, **more))


def in_a_file(path: Path) -> list[RowsJob]:
    return [job(path), job(path)]


def in_a_file_by_two_names(path: Path) -> list[RowsJob]:
    begin(path, path.name)
    link = path.with_name("link.jsonl")
    link.symlink_to(path)
    return [job(path), job(link)]


def in_the_kernel(_path: Path) -> list[RowsJob]:
    return [job(), job()]


def in_a_recording_that_is_filled(path: Path) -> list[RowsJob]:
    fill(path)
    return [job(), job()]


def in_a_recording_and_in_a_file(path: Path) -> list[RowsJob]:
    fill(path)
    return [job(), job(path)]


PLACES = [
    in_a_file,
    in_a_file_by_two_names,
    in_the_kernel,
    in_a_recording_that_is_filled,
    in_a_recording_and_in_a_file,
]
in_each_place = pytest.mark.parametrize("place", PLACES)
Place = Callable[[Path], list[RowsJob]]


def at_first(step: Callable[[Connection], None]) -> Callable[[Connection], None]:
    """Answer the first request of row 0 by this, and then echo."""
    seen = set[str]()

    def answer(connection: Connection) -> None:
        is_first = (prompt := prompt_of(connection)) == "Say 0" and prompt not in seen
        seen.add(prompt)
        (step if is_first else echo)(connection)

    return answer


class View:
    """Keeps what is said at the end."""

    notes: Sequence[str] = ()

    def tick(self) -> None:
        pass

    def finish(self, notes: Sequence[str]) -> None:
        self.notes = notes


async def both(jobs: list[RowsJob]) -> list[Any]:
    return [*await asyncio.gather(*(each.run(None) for each in jobs))]


@in_each_place
def test_each_row_is_asked_once(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Both tables are whole, however many of the rows each of them asked."""
    with kernel(monkeypatch) as server:
        jobs = place(tmp_path / "a.jsonl")
        tables = asyncio.run(both(jobs))
        assert [list(table["answer"]) for table in tables] == [ALL, ALL]
        assert asked(server) == PROMPTS


@in_each_place
def test_in_threads(place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in the threads of an engine, each with an event loop of its own."""
    gate = Barrier(2)

    def run(each: RowsJob) -> list[str]:
        gate.wait()
        return list(asyncio.run(each.run(None))["answer"])

    with kernel(monkeypatch) as server, ThreadPoolExecutor(2) as pool:
        assert [*pool.map(run, place(tmp_path / "a.jsonl"))] == [ALL, ALL]
        assert asked(server) == PROMPTS


@in_each_place
def test_what_another_run_has_asked_since(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is found before a row is sent, though it was not there when the rows were counted."""
    with kernel(monkeypatch) as server:
        one, other = place(tmp_path / "a.jsonl")
        asyncio.run(one.run(None))
        assert list(asyncio.run(other.run(None))["answer"]) == ALL
        assert asked(server) == PROMPTS


@in_each_place
def test_fresh_asks_all_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A table that is to be asked again takes no answer of another one."""
    with kernel(monkeypatch) as server:
        one, _ = place(path := tmp_path / "a.jsonl")
        asyncio.run(one.run(None))
        file = path if path.exists() else None
        fresh = [job(file, is_fresh=True), job(file, is_fresh=True)]
        asyncio.run(both(fresh))
        assert asked(server) == sorted(PROMPTS * 3)


@in_each_place
def test_a_row_that_fails_is_asked_by_the_other(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """No answer came of it, so the other table asks for one."""
    with kernel(monkeypatch, at_first(failure(400, "odd (2013)"))) as server:
        jobs = place(tmp_path / "a.jsonl")
        tables = asyncio.run(both(jobs))
        assert sum(table["answer"].isna().sum() for table in tables) == 1
        assert asked(server) == sorted([*PROMPTS, "Say 0"])


@in_each_place
def test_a_row_of_a_table_that_is_stopped(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The other table waits for the answer, and asks when none can come any more."""

    async def stop_one(jobs: list[RowsJob], server: Loopback) -> Any:
        counts: list[RowsCount] = []
        stopped = asyncio.create_task(jobs[0].run(counts.append))
        while not server.requests:
            await asyncio.sleep(0.01)
        other = asyncio.create_task(jobs[1].run(counts.append))
        while [each.done for each in counts] != [9, 9]:
            await asyncio.sleep(0.01)
        stopped.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stopped
        return await other

    with kernel(monkeypatch, at_first(stall)) as server:
        table = asyncio.run(stop_one(place(tmp_path / "a.jsonl"), server))
        assert list(table["answer"]) == ALL
        assert asked(server) == sorted([*PROMPTS, "Say 0"])


def test_an_answer_that_is_not_of_the_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is asked for once more, and that once, too."""

    def answer(connection: Connection) -> None:
        is_first = len(connection.request.json["messages"]) == 1
        for step in streamed(captured(text="many" if is_first else "7")):
            step(connection)

    with kernel(monkeypatch, answer) as server:
        path = tmp_path / "a.jsonl"
        jobs = [job(path, type=ValueType.of(int)) for _ in range(2)]
        tables = asyncio.run(both(jobs))
        assert [list(table["answer"]) for table in tables] == [[7] * 10] * 2
        assert len(server.requests) == 20


def test_another_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it has added to the file is not asked again, while the table is being asked."""
    path = tmp_path / "a.jsonl"
    rows = [{"n": n} for n in range(2, 10)]
    code = f"import mm_magic as mm; mm.map('Say {{{{n}}}}', {rows}, file={str(path)!r})"

    def answer(connection: Connection) -> None:
        if prompt_of(connection) == "Say 1":
            subprocess.run([sys.executable, "-c", code], check=True)
        echo(connection)

    with kernel(monkeypatch, answer) as server:
        assert list(mm.map("Say {{n}}", TEN, parallel=1, file=path)["answer"]) == ALL
        assert asked(server) == PROMPTS


def test_another_process_in_step(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where both begin with the same row at the same moment, they go on with different ones."""
    path, number = tmp_path / "a.jsonl", 40
    rows = [{"n": n} for n in range(number)]
    code = f"import mm_magic as mm; mm.map('Say {{{{n}}}}', {rows}, parallel=1, file={str(path)!r})"
    in_step = Barrier(2)

    def answer(connection: Connection) -> None:
        with suppress(BrokenBarrierError):
            in_step.wait()
        echo(connection)

    def other() -> None:
        try:
            subprocess.run([sys.executable, "-c", code], check=True)
        finally:
            in_step.abort()

    with kernel(monkeypatch, answer) as server, ThreadPoolExecutor(1) as pool:
        running = pool.submit(other)
        try:
            table = mm.map("Say {{n}}", rows, parallel=1, file=path)
        finally:
            in_step.abort()
        running.result()
        assert list(table["answer"]) == [f"<Say {n}>" for n in range(number)]
        doubled = Counter(asked(server))
        assert len(doubled) == number
        assert doubled["Say 0"] == 2
        assert doubled.total() < 1.5 * number


def test_what_was_not_asked_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It counts as reused, and not for the speed or the price."""
    found: list[RowsCount] = []

    with kernel(monkeypatch):
        jobs = in_a_file(tmp_path / "a.jsonl")
        asyncio.run(jobs[0].run(None))
        view = View()

        def watch(count: RowsCount) -> View:
            found.append(count)
            return view

        asyncio.run(jobs[1].run(watch))
    assert [(each.done, each.asked) for each in found] == [(10, 0)]
    assert view.notes == ["10 answers were reused from a.jsonl; fresh=True asks again."]
