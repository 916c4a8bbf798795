"""One turn of a conversation at a time, whoever asks, and the others beside it."""

import asyncio
import subprocess
import sys
import threading
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from support.asks import ask_of
from support.kernels import clean_environment
from support.loopback import Loopback, captured, chunk, close, head, sse, stall, streamed, until

from mm_magic.conversation.reply import Reply
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.session.options import Options
from mm_magic.session.run import Run
from mm_magic.session.session import Session
from mm_magic.session.turn_queue import TurnQueue
from mm_magic.session.variants import variants

MAIN = Options(retries=0)
SIDE = Options(retries=0, conversation="side")


def prompts(server: Loopback) -> list[list[str]]:
    """The prompts of each request, in the order in which they came."""
    return [
        [message["content"] for message in request.json["messages"] if message["role"] == "user"]
        for request in server.requests
    ]


def session_for(server: Loopback) -> Session:
    return Session({"MINIMAX_BASE_URL": server.url})


async def arrives(server: Loopback) -> None:
    """Wait for a request."""
    assert await asyncio.to_thread(server.arrived.wait, 5)


def held(go_on: threading.Event) -> list[Any]:
    """An answer that waits in its middle."""
    events = captured()
    return [
        head(),
        chunk(sse(*events[:8])),
        until(go_on),
        *streamed(events[8:])[1:],
    ]


def test_second_turn_waits_and_others_do_not() -> None:
    """A second turn of a conversation waits and then carries the first; others run meanwhile."""
    go_on = threading.Event()

    async def main(session: Session) -> None:
        first = asyncio.create_task(session.turns.ask("one", MAIN, alone=False))
        await arrives(server)
        second = asyncio.create_task(session.turns.ask("two", MAIN, alone=False))
        await session.turns.ask("aside", SIDE, alone=False)
        await session.turns.ask("alone", MAIN, alone=True)
        assert len(session.running.runs) == 2
        assert prompts(server) == [["one"], ["aside"], ["alone"]]
        go_on.set()
        await asyncio.gather(first, second)

    with Loopback(held(go_on), streamed()) as server:
        session = session_for(server)
        asyncio.run(main(session))
        assert prompts(server)[3:] == [["one", "two"]]
    assert [turn.prompt.text for turn in session.conversations.named("main").turns] == [
        "one",
        "two",
    ]


def test_threads_wait_for_each_other() -> None:
    """Turns of one conversation that come from several threads and loops go one by one."""
    go_on, has_ended = threading.Event(), []

    def ask(session: Session, prompt: str, options: Options) -> None:
        asyncio.run(session.turns.ask(prompt, options, alone=False))
        has_ended.append(prompt)

    def thread(prompt: str, options: Options = MAIN) -> threading.Thread:
        begun = threading.Thread(target=ask, args=(session, prompt, options))
        begun.start()
        return begun

    with Loopback(held(go_on), streamed()) as server:
        session = session_for(server)
        threads = [thread("one")]
        assert server.arrived.wait(30)
        threads += [thread("two"), thread("three")]
        thread("aside", SIDE).join(5)
        assert has_ended == ["aside"]
        go_on.set()
        for each in threads:
            each.join(5)
        sent = prompts(server)

    assert sorted(map(len, sent)) == [1, 1, 2, 3]
    assert [turn.number for turn in session.conversations.named("main").turns] == [1, 2, 3]
    assert not session.conversations.named("main").stale_turns()


NESTED = """
import asyncio, functools
from mm_magic.session.sync import run_to_end
from mm_magic.session.session import Session
from mm_magic.session.options import Options

session, options = Session(), Options(retries=0)

async def main():
    outer = asyncio.create_task(session.turns.ask("one", options, alone=False))
    await asyncio.to_thread(input)  # the request has arrived
    asyncio.get_running_loop().call_soon(functools.partial(print, "inside", flush=True))
    run_to_end(session.turns.ask("two", options, alone=False))
    print(outer.done())
    await session.client.aclose()

asyncio.run(main())
"""


def test_call_inside_a_streaming_turn_waits_for_it(tmp_path: Path) -> None:
    """A synchronous call on the loop of a turn that streams lets that one end, and carries it."""
    go_on = threading.Event()
    with (
        Loopback(held(go_on), streamed()) as server,
        subprocess.Popen(
            [sys.executable, "-c", NESTED],  # its loop is nestable ever after
            env=clean_environment(tmp_path) | {"MINIMAX_BASE_URL": server.url},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as script,
    ):
        assert script.stdin is not None
        assert script.stdout is not None
        assert server.arrived.wait(20)
        print(file=script.stdin, flush=True)
        assert script.stdout.readline() == "inside\n"
        go_on.set()
        assert script.stdout.readline() == "True\n"
        assert prompts(server) == [["one"], ["one", "two"]]


def test_waiting_turn_that_is_cancelled_sends_nothing() -> None:
    """A turn that is stopped while it waits changes nothing, and those behind it come next."""
    go_on = threading.Event()

    async def main(session: Session) -> None:
        first, second, third = (
            asyncio.create_task(session.turns.ask(prompt, MAIN, alone=False))
            for prompt in ("one", "two", "three")
        )
        await arrives(server)
        assert [run.ask.prompt.text for run in session.running.runs] == ["one", "two", "three"]
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        go_on.set()
        await asyncio.gather(first, third)

    with Loopback(held(go_on), streamed()) as server:
        session = session_for(server)
        asyncio.run(main(session))
        assert prompts(server) == [["one"], ["one", "three"]]
    assert session.running.runs == []


def test_running_turn_that_is_stopped_lets_the_next_one_through() -> None:
    """Behind a stopped turn the waiting one is sent at once, with what the first had said."""

    async def first(run: Run) -> None:
        try:
            async with aclosing(session.turns.steps(run)) as steps:
                async for step in steps:
                    if step.growth.text:  # type: ignore[union-attr]
                        run.cancel()
        except asyncio.CancelledError:
            session.turns.stop(run)

    async def main(session: Session) -> None:
        run = session.turns.start(ask_of("one", MAIN), is_drawn=True)
        await asyncio.gather(first(run), session.turns.ask("two", MAIN, alone=False))

    with Loopback([head(), chunk(sse(*captured()[:8])), stall], streamed()) as server:
        session = session_for(server)
        asyncio.run(main(session))
        assert prompts(server) == [["one"], ["one", "two"]]
    turns = session.conversations.named("main").turns
    assert [turn.reply.status for turn in turns] == ["stopped", "complete"]


def test_failed_turn_lets_the_next_one_through() -> None:
    """Behind a turn that fails the waiting one is sent, without it."""

    async def main(session: Session) -> None:
        asks = (session.turns.ask(prompt, MAIN, alone=False) for prompt in ("one", "two"))
        failed, reply = await asyncio.gather(*asks, return_exceptions=True)
        assert isinstance(failed, MiniMaxError)
        assert isinstance(reply, Reply)

    with Loopback([head(), chunk(sse(*captured()[:8])), close], streamed()) as server:
        session = session_for(server)
        asyncio.run(main(session))
        assert prompts(server) == [["one"], ["two"]]


def test_conversation_in_use_is_not_forgotten() -> None:
    """While a turn runs in a conversation, its turns can't be forgotten or changed, no other answer
    picked, and no copies begin it."""
    go_on = threading.Event()

    async def main(session: Session) -> None:
        await session.comparisons.ask("zero", [*variants(MAIN, {}, 2)], alone=False)
        server.arrived.clear()
        running = asyncio.create_task(session.turns.ask("one", MAIN, alone=False))
        await arrives(server)
        with pytest.raises(UsageError, match="a turn is running in conversation main"):
            session.edits.pick(2)
        session.options = SIDE
        with pytest.raises(UsageError, match="a turn is running in conversation main"):
            session.edits.fork("main")
        with pytest.raises(UsageError, match="a turn is running in conversation main"):
            session.edits.forget("main")
        with pytest.raises(UsageError, match="a turn is running in conversation main"):
            session.edits.restore_version("main", 1, 1)
        assert session.edits.forget("side") == []
        go_on.set()
        await running
        assert session.edits.pick(2)[0].answer == 2
        assert len(session.edits.forget("main")) == 2

    with Loopback(streamed(), streamed(), held(go_on)) as server:
        asyncio.run(main(session_for(server)))


def test_queue_keeps_the_order_of_arrival() -> None:
    """They pass one by one in the order in which they came, and it is free behind the last."""
    queue, passed = TurnQueue(), []

    async def one(number: int) -> None:
        async with queue.passing():
            passed.append(number)
            await asyncio.sleep(0)
            assert passed[-1] == number

    async def main() -> None:
        await asyncio.gather(*map(one, range(20)))

    asyncio.run(main())
    assert passed == list(range(20))
    asyncio.run(asyncio.wait_for(one(20), 5))


def test_queue_between_threads() -> None:
    """From many threads, some of them cancelled, never two are inside, and none is left waiting."""
    queue, inside, most, passed = TurnQueue(), 0, 0, 0

    async def one() -> None:
        nonlocal inside, most, passed
        async with queue.passing():
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            passed += 1
            inside -= 1

    async def some() -> None:
        tasks = [asyncio.create_task(one()) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks[1::3]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    threads = [threading.Thread(target=asyncio.run, args=(some(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
    assert most == 1
    assert passed >= 4 * 13
    asyncio.run(asyncio.wait_for(one(), 5))
