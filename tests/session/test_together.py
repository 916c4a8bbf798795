"""Several requests at once from Python, and how their streams are driven together."""

import asyncio
import os
import random
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from typing import Any

import numpy as np
import pytest
from support.asks import ask_of, said
from support.loopback import (
    END,
    Loopback,
    captured,
    chunk,
    failure,
    head,
    numbered,
    sse,
    stall,
    streamed,
    until,
)

import mm_magic as mm
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.session.api import forget_session
from mm_magic.session.cell_run import CellRun
from mm_magic.session.session import Session
from mm_magic.session.together import merged


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    with Loopback(*numbered()) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        forget_session()
        yield server
    forget_session()


def sent(server: Loopback, name: str) -> list[Any]:
    return sorted(request.json.get(name) for request in server.requests)


# Python


def test_compare(server: Loopback) -> None:
    """`mm.compare` asks for every value with every other, and stands alone."""
    replies = mm.compare("Why?", temperature=[0.1, 1], max_tokens=(5, 9), n=2, system="Be brief")

    assert len(replies) == 8
    assert sent(server, "temperature") == [0.1] * 4 + [1] * 4
    assert sent(server, "max_tokens") == [5] * 4 + [9] * 4
    frame = replies.to_frame()
    assert [*frame.columns[:2]] == ["temperature", "max_tokens"]
    assert [*frame.index] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [*frame.seconds] == [reply.seconds for reply in replies]
    assert all(reply.seconds is not None for reply in replies)
    assert mm.compare("Why?", model=["A", "B"]).to_frame()["model"].tolist() == ["A", "B"]
    assert all(len(request.json["messages"]) == 1 for request in server.requests)


def test_arrays_and_ranges_are_lists(server: Loopback) -> None:
    """Values may come from NumPy, a range or a generator."""
    mm.compare("Why?", temperature=np.array([0.25, 0.5]), max_tokens=range(5, 7))

    assert sent(server, "temperature") == [0.25, 0.25, 0.5, 0.5]
    assert sent(server, "max_tokens") == [5, 5, 6, 6]


def test_compare_awaited_in_a_conversation(server: Loopback) -> None:
    """`await mm.compare_async` does the same; a conversation remembers the first answer."""

    async def main() -> mm.Replies:
        replies = await mm.compare_async("Why?", n=2, conversation="main")
        await mm.ask_async("And?", conversation="main")
        return replies

    replies = asyncio.run(main())

    assert server.requests[-1].json["messages"][1]["content"][-1]["text"] == replies[0].text


def test_one_answer_is_replies_too(server: Loopback) -> None:
    """`mm.compare` gives Replies whatever there is to compare."""
    assert len(mm.compare("Why?")) == 1
    assert mm.compare("Why?", temperature=[0.5]).to_frame().columns[0] == "text"
    assert sent(server, "max_tokens")[0] is not None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"conversation": ["a", "b"]}, "conversation must have one value"),
        ({"stream": [True, False]}, "stream must have one value"),
        ({"temperature": []}, "temperature needs at least one value"),
        ({"temperature": [0.5, 0.5]}, "temperature has the value '0.5' twice"),
        ({"temperature": [0.5, 2]}, "temperature must be above 0 and at most 1, got 2"),
        ({"n": 0}, "n must be a whole number of 1 or more, got 0"),
        ({"n": True}, "n must be a whole number of 1 or more, got True"),
        ({"temprature": [0.5]}, "compare has no option 'temprature'"),
        ({"n": 13}, "this would send 13 requests; more than 12 need confirmation"),
    ],
)
def test_wrong_lists(server: Loopback, options: dict[str, Any], words: str) -> None:
    """A slip is told before anything is sent."""
    with pytest.raises(UsageError) as caught:
        mm.compare("Why?", **options)

    assert words in caught.value.message
    assert server.requests == []


def test_yes_goes_ahead(server: Loopback) -> None:
    """`yes=True` sends however many there are."""
    assert len(mm.compare("Why?", n=13, yes=True)) == 13
    assert len(server.requests) == 13


@pytest.mark.parametrize("value", [[0.1, 1], (0.1, 1), np.array([0.1, 1])])
def test_ask_names_compare(server: Loopback, value: Any) -> None:
    """`mm.ask` with a list gives the line with `mm.compare`."""
    with pytest.raises(UsageError, match="ask takes one temperature") as caught:
        mm.ask("Why?", temperature=value)

    assert "mm.compare('Why?', temperature=" in caught.value.next_steps[0]
    assert server.requests == []


def test_error_holds_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of two fails: the error has the replies, and a program can go on with them."""
    with Loopback(streamed(), failure(400, "no (2013)", "invalid_request_error")) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        forget_session()
        with pytest.raises(MiniMaxError) as caught:
            mm.compare("Why?", n=2)
    forget_session()

    assert isinstance(caught.value.replies, mm.Replies)
    assert sorted(reply.status for reply in caught.value.replies) == ["complete", "incomplete"]


def test_cell_counts_the_answers() -> None:
    """The line of a cell that waits for `mm.compare` says how many answers are there."""
    release = threading.Event()
    rest = [chunk(sse(event)) for event in captured()]
    with Loopback(streamed(), [head(), until(release), *rest, END]) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        said_then = set()

        def look(cell: CellRun) -> None:
            assert cell.asking is not None
            said_then.add(cell.asking.in_words(cell.asking.since))
            if cell.asking.ended:
                release.set()

        async def main() -> None:
            session.front_end.while_asking = look
            await session.comparisons.ask("Why?", [*mm_variants()], alone=True)
            await session.client.aclose()

        asyncio.run(main())
    assert release.is_set()
    assert said_then & {"request 2 …, 0 s"}
    asking = session.cells.here.asking
    assert asking is not None
    assert (asking.begun, asking.ended) == (2, 2)


# Stop


def test_cancelling_closes_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled `compare_async` closes 32 streams at once."""
    begun = [head(), chunk(sse(*captured()[:5])), stall]
    with Loopback(begun) as server:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        forget_session()

        async def main() -> None:
            task = asyncio.create_task(mm.compare_async("Why?", n=32, yes=True))
            while len(server.requests) < 32:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        assert len(server.connections) == 32
        assert all(each.closed.wait(30) for each in server.connections)
    forget_session()


@pytest.mark.parametrize("times", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_stopped_at_any_moment(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Whenever 32 streams are stopped, all of them are closed, and the conversation goes on."""
    moments = random.Random(times)
    unending = [head(), *(chunk(sse(event)) for event in captured()[:-2]), stall]

    async def stopped(session: Session, server: Loopback) -> None:
        task = asyncio.create_task(session.comparisons.ask("Why?", [*same(32)], alone=False))
        for _ in range(moments.randrange(400)):
            await asyncio.sleep(0)
        begun = moments.randrange(33)
        while len(server.requests) < begun:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert session.running.runs == []
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert all([await asyncio.to_thread(each.closed.wait, 30) for each in server.connections])
        assert all(turn.reply.may_enter() for turn in session.conversations.turns())

    async def main() -> None:
        for _ in range(times):
            with Loopback(unending) as server:
                monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
                await stopped(session, server)
        with Loopback(streamed()) as server:
            monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
            await session.turns.ask("And?", said(), alone=False)

    session = Session(os.environ)
    asyncio.run(main())


def test_stop_while_it_waits_for_its_turn() -> None:
    """Several that wait behind another turn of the conversation can be stopped; nothing is sent."""
    with Loopback([head(), stall]) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})

        async def main() -> None:
            first = asyncio.create_task(session.turns.ask("Why?", said(), alone=False))
            while not server.requests:
                await asyncio.sleep(0)
            variants = [*mm_variants()]
            second = asyncio.create_task(session.comparisons.ask("And?", variants, alone=False))
            while len(session.running.runs) < 3:
                await asyncio.sleep(0)
            session.running.runs[-1].cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            await session.client.aclose()

        asyncio.run(main())
        assert len(server.requests) == 1


def test_stop_of_each_run_cancels_once(server: Loopback) -> None:
    """The panel stops each of the runs; the task that drives them is cancelled once."""
    session = Session({"MINIMAX_BASE_URL": server.url})

    async def asked() -> int:
        try:
            await session.comparisons.ask("Why?", [*mm_variants()], alone=True)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            return task.cancelling()
        return 0

    async def main() -> int:
        task = asyncio.create_task(asked())
        while len(session.running.runs) < 2:
            await asyncio.sleep(0)
        for run in tuple(session.running.runs):
            run.cancel()
        count = await task
        await session.client.aclose()
        return count

    assert asyncio.run(main()) == 1


def same(number: int) -> Iterator[Any]:
    """The same request so many times."""
    from mm_magic.session.variants import variants

    return variants(said(), {}, number)


def mm_variants() -> Iterator[Any]:
    from mm_magic.session.variants import variants

    return variants(said(), {"temperature": (0.1, 1.0)})


# Driving


def test_merged_yields_as_it_comes() -> None:
    """What each source brings comes with its number; one that raises does not end the others."""

    async def source(*values: int, error: Exception | None = None) -> AsyncGenerator[int, None]:
        for value in values:
            await asyncio.sleep(0)
            yield value
        if error:
            raise error

    found = []

    async def take(both: AsyncGenerator[tuple[int, int], None]) -> None:
        async with aclosing(both):
            async for each in both:
                found.append(each)

    sources = {1: source(1, error=ValueError("no")), 2: source(1, 2, 3)}
    with pytest.raises(ValueError, match="no"):
        asyncio.run(take(merged(sources)))
    assert sorted(found) == [(1, 1), (2, 1), (2, 2), (2, 3)]


@pytest.mark.parametrize("taken", range(3))
def test_merged_closes_all(taken: int) -> None:
    """Closed at any moment, it leaves no source open."""
    closed = []

    async def endless(number: int) -> AsyncGenerator[int, None]:
        try:
            yield number
            await asyncio.Event().wait()
        finally:
            closed.append(number)

    async def main() -> None:
        both = merged({1: endless(1), 2: endless(2)})
        for _ in range(taken):
            await anext(both)
        await both.aclose()

    asyncio.run(main())
    assert sorted(closed) == ([1, 2] if taken else [])


def test_samples_of_parallel_cells() -> None:
    """Two threads that ask for samples of one request get numbers of their own."""
    with Loopback(streamed()) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        found: list[int] = []

        def work() -> None:
            session.cells.begin(None)
            runs = session.comparisons.start(ask_of("Why?", alone=True), [*same(3)]).runs
            found.extend(session.requests.begin(run).sample for run in runs)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(found) == [*range(12)]
