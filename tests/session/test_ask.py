"""`mm.ask` and `mm.ask_async` in processes of their own: every way in, clean exits, Ctrl-C."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
from support.loopback import (
    Answer,
    Loopback,
    captured,
    chunk,
    failure,
    head,
    pause,
    sse,
    stall,
    streamed,
)
from support.timing import within_half_a_second

ROOT = Path(__file__).parents[2]

PRELUDE = """
import asyncio, gc, logging, threading
import mm_magic as mm
# asyncio's debug mode reports callbacks over 0.1 s: on a busy machine, the import of httpx
logging.getLogger("asyncio").addFilter(lambda record: "took %.3f seconds" not in record.msg)
"""


def script_of(body: str) -> list[str]:
    """A command that runs `body` where each warning is an error and asyncio checks itself."""
    code = PRELUDE + textwrap.dedent(body) + "\ngc.collect()\n"
    return [sys.executable, "-X", "dev", "-W", "error", "-c", code]


def environment(server: Loopback) -> dict[str, str]:
    more = {"MINIMAX_BASE_URL": server.url, "PYTHONPATH": str(ROOT), "PYTHONASYNCIODEBUG": "1"}
    return {**os.environ, **more}


def run(body: str, server: Loopback) -> list[str]:
    """The lines that the script prints. It must print nothing on stderr, and leave nothing open."""
    done = subprocess.run(
        script_of(body),
        env=environment(server),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    for connection in server.connections:
        assert connection.closed.wait(30)
    return done.stdout.split("\n")[:-1]


ANSWER = "Rayleigh scattering."

WAYS = {
    "once": ("print(str(mm.ask('Hi')).strip())", 1),
    "several in a row": ("for _ in range(4): print(str(mm.ask('Hi')).strip())", 4),
    "asyncio.run twice": (
        "for _ in range(2): print(str(asyncio.run(mm.ask_async('Hi'))).strip())",
        2,
    ),
    "in a thread of a loop": (
        """
        async def main():
            replies = await asyncio.gather(*(asyncio.to_thread(mm.ask, 'Hi') for _ in range(3)))
            for reply in replies: print(str(reply).strip())
        asyncio.run(main())
        """,
        3,
    ),
    "from two threads": (
        """
        def work(): print(str(mm.ask('Hi')).strip() + '\\n', end='')
        threads = [threading.Thread(target=work) for _ in range(2)]
        for t in threads: t.start()
        for t in threads: t.join()
        """,
        2,
    ),
    "32 at the same time": (
        """
        async def main():
            for reply in await asyncio.gather(*(mm.ask_async('Hi') for _ in range(32))):
                print(str(reply).strip())
            assert asyncio.all_tasks() == {asyncio.current_task()}
        asyncio.run(main())
        """,
        32,
    ),
    "inside a running loop": (
        """
        async def main():
            for _ in range(2): print(str(mm.ask('Hi')).strip())
            print(str(await mm.ask_async('Hi')).strip())
            print(str(await asyncio.to_thread(mm.ask, 'Hi')).strip())
            loops = [x for x in gc.get_objects() if isinstance(x, asyncio.BaseEventLoop)]
            assert [x for x in loops if not x.is_closed()] == [asyncio.get_running_loop()]
            assert asyncio.all_tasks() == {asyncio.current_task()}
        asyncio.run(main())
        print(str(mm.ask('Hi')).strip())
        """,
        5,
    ),
    "inside a task beside others": (
        """
        async def inner(): return mm.ask('Hi')
        async def main():
            others = [asyncio.create_task(mm.ask_async('Hi')) for _ in range(3)]
            print(str(await asyncio.create_task(inner())).strip())
            for reply in await asyncio.gather(*others): print(str(reply).strip())
        asyncio.run(main())
        """,
        4,
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_way_in(way: str) -> None:
    """Each way in answers, warns of nothing and leaves no socket and no task behind."""
    body, asked = WAYS[way]
    slow = [head(), pause(0.02), *(chunk(sse(event)) for event in captured())]
    with Loopback([*slow, *streamed()[-1:]]) as server:
        assert run(body, server) == [ANSWER] * asked
        assert len(server.requests) == asked


def test_same_loop_uses_its_connection_again() -> None:
    """Asks that follow one another on one loop share a connection."""
    body = """
    async def main():
        for _ in range(3): await mm.ask_async('Hi')
    asyncio.run(main())
    """
    with Loopback(streamed()) as server:
        run(body, server)
        assert len(server.connections) == 1


def test_failure_comes_out_as_it_is() -> None:
    """A failed ask raises its own error in a script and inside a loop, and closes everything."""
    body = """
    def attempt():
        try: mm.ask('Hi')
        except mm.MiniMaxError as error: print(error.kind, error.code, error.reply)
    async def main(): attempt()
    attempt()
    asyncio.run(main())
    """
    with Loopback(failure(402, "insufficient balance (1008)")) as server:
        assert run(body, server) == ["billing 1008 None"] * 2


def test_ask_stands_alone_unless_a_conversation_is_named() -> None:
    """`conversation="main"` remembers and sends earlier turns; without it nothing is remembered."""
    body = """
    mm.ask('one')
    mm.ask('two', conversation='main')
    mm.ask('three', conversation='main', temperature=0.3)
    """
    with Loopback(streamed()) as server:
        run(body, server)
        sent = [request.json for request in server.requests]
    assert [len(body["messages"]) for body in sent] == [1, 1, 3]
    assert [body.get("temperature") for body in sent] == [None, None, 0.3]


def test_script_without_a_key_is_told_the_ways_out() -> None:
    """`mm.ask` alone, with no key and no address, raises and names the ways out."""
    body = """
    try: mm.ask('Hi')
    except mm.MiniMaxError as error: print(error.kind, 'MINIMAX_API_KEY' in str(error.next_steps))
    """
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        script_of(body), env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("auth True\n", "")


# Ctrl-C

INTERRUPTED = {
    "in a script": """
    try: mm.ask('Hi', retries=2)
    except KeyboardInterrupt: print('stopped', flush=True)
    print(str(mm.ask('Hi')).strip())
    """,
    "inside a running loop": """
    async def main():
        try: mm.ask('Hi', retries=2)
        except KeyboardInterrupt: print('stopped', flush=True)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        print(str(mm.ask('Hi')).strip())
    asyncio.run(main())
    """,
    "inside a loop that has no handler": """
    async def main():
        try: mm.ask('Hi', retries=2)
        except KeyboardInterrupt: print('stopped', flush=True)
        print(str(mm.ask('Hi')).strip())
    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    """,
    "awaited by asyncio.run": """
    try: asyncio.run(mm.ask_async('Hi', retries=2))
    except KeyboardInterrupt: print('stopped', flush=True)
    print(str(asyncio.run(mm.ask_async('Hi'))).strip())
    """,
}

WAITING = "in the wait before a retry"
SILENCES: dict[str, Answer] = {
    "before the header": [stall],
    "after its beginning": [head(), chunk(sse(*captured()[:4])), stall],
    WAITING: failure(429, "busy (1002)", retry_after="30", connection="close"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
@pytest.mark.parametrize("silence", SILENCES)
@pytest.mark.parametrize("way", INTERRUPTED)
@within_half_a_second
def test_interrupt(way: str, silence: str, limit: float) -> None:
    """Ctrl-C ends the request within half a second, raises KeyboardInterrupt, and all goes on."""
    with (
        Loopback(SILENCES[silence], streamed()) as server,
        subprocess.Popen(
            script_of(INTERRUPTED[way]),
            env=environment(server),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child,
    ):
        assert child.stdout is not None
        timer = threading.Timer(20, child.kill)  # a child that ignores the signal hangs no test
        timer.start()
        try:
            assert server.arrived.wait(30)
            if silence == WAITING:  # it has read the error when it closes the connection
                assert server.connections[0].closed.wait(30)
            struck = time.monotonic()
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == "stopped\n"
            seen = time.monotonic() - struck
            rest, errors = child.communicate(timeout=30)
        finally:
            timer.cancel()
            child.kill()

    assert seen < limit
    assert errors == ""
    assert (rest, child.returncode) == (f"{ANSWER}\n", 0)
    assert len(server.requests) == 2
    closed_at = server.connections[0].closed_at
    assert closed_at is not None
    assert closed_at - struck < limit


STRUCK_BEFORE_THE_TASK = """
    import signal
    from mm_magic.session.sync import run_to_end
    steps = []
    async def work():
        for step in range(3):
            await asyncio.sleep(0)
            steps.append(step)
    async def main():
        loop = asyncio.get_running_loop()
        create_task = loop.create_task
        def struck(*given, **more):
            signal.raise_signal(signal.SIGINT)
            return create_task(*given, **more)
        loop.create_task = struck
        try: run_to_end(work())
        except KeyboardInterrupt: print('stopped')
        loop.create_task = create_task
        for _ in range(10): await asyncio.sleep(0)
        print(steps)
    asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_interrupt_before_the_task() -> None:
    """An interrupt that comes just before the coroutine is started leaves nothing that goes on."""
    done = subprocess.run(
        script_of(STRUCK_BEFORE_THE_TASK), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("stopped\n[]\n", "")


def test_import_is_light() -> None:
    """`import mm_magic` brings in none of the packages that take long to import."""
    heavy = ("httpx", "IPython", "ipywidgets", "markdown_it", "nh3", "nest_asyncio2", "traitlets")
    body = f"import sys; print(sorted(set({heavy!r}) & set(sys.modules)))"
    with Loopback(streamed()) as server:
        assert run(body, server) == ["[]"]


def test_a_server_is_asked_without_the_demo() -> None:
    """A script that asks a server loads neither the demo nor what replays."""
    body = (
        "import sys; mm.ask('Why?'); "
        "print([name for name in sys.modules if '.demo' in name or 'replaying' in name])"
    )
    with Loopback(streamed()) as server:
        assert run(body, server) == ["[]"]
