"""Stop in a real kernel: the connection closes, what arrived stays, and the kernel goes on."""

import time
from collections.abc import Callable, Iterator

import pytest
from support.kernels import Cell, Kernel
from support.loopback import (
    END,
    Answer,
    Loopback,
    captured,
    chunk,
    every,
    failure,
    head,
    sse,
    stall,
    streamed,
)
from support.timing import within_half_a_second

PARTS = [chunk(sse(event)) for event in captured()]
AWAITED = "%%minimax -o kept\nWhy?"
SYNCHRONOUS = "%%time\n%%minimax -o kept\nWhy?"


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with Kernel(tmp_path_factory.mktemp("kernel")) as kernel:
        yield kernel


def shows(text: str) -> Callable[[Cell], bool]:
    """Whether the page shows this, live form included."""
    return lambda cell: any(text in bundle["text/html"] for bundle in cell.displays)


MOMENTS: list[tuple[Answer, str | None, str]] = [
    ([stall], None, ""),
    ([head(), stall], None, ""),
    ([head(), *PARTS[:4], stall], "blue light", "blue light"),
    ([head(), *PARTS[:8], stall], "Rayleigh", "Rayleigh"),
    ([head(), *PARTS[:8], every(0.01, b": still here\n\n")], "Rayleigh", "Rayleigh"),
    (failure(429, "busy (1002)", retry_after="50", connection="close"), "trying again", ""),
]
NAMES = ["no-answer", "no-event", "thinking", "text", "comments", "retry"]


@pytest.mark.parametrize(("answer", "seen", "kept"), MOMENTS, ids=NAMES)
@pytest.mark.parametrize(
    ("code", "ename"),
    [(AWAITED, "Stopped"), (SYNCHRONOUS, "KeyboardInterrupt")],
    ids=["awaited", "synchronous"],
)
@within_half_a_second
def test_stop(
    kernel: Kernel,
    code: str,
    ename: str,
    answer: Answer,
    seen: str | None,
    kept: str,
    limit: float,
) -> None:
    """At any moment Stop closes the connection and keeps what came; the queue ends, and then all
    works again."""
    stopped_at = 0.0
    with Loopback(answer, streamed()) as server:

        def is_due(cell: Cell) -> bool:
            nonlocal stopped_at
            if seen is None:
                server.arrived.wait(30)
            elif not shows(seen)(cell):
                return False
            stopped_at = time.monotonic()
            return bool(cell.messages)

        kernel.fresh(server.url)
        first = kernel.send(code, cell_id="a")
        queued = kernel.send("print('ran')")
        cell = kernel.collect(first, when=is_due)
        ended_at = time.monotonic()
        waiting = kernel.collect(queued)

        assert server.connections[0].closed.wait(limit)
        assert (server.connections[0].closed_at or 0) - stopped_at < limit
        assert ended_at - stopped_at < limit
        assert (cell.status, cell.ename) == ("error", ename)
        assert cell.traceback == "→ For a complete answer, run the cell again."
        assert cell.displays[-1]["text/plain"].count("stopped") == 1
        assert cell.saved["status"] == "stopped"
        assert any(kept in bundle["text/plain"] for bundle in cell.displays)
        assert waiting.status == "aborted"
        assert kernel.run("print(kept.status)").stdout == "stopped\n"

        after = kernel.run("%%minimax\nAnd?", cell_id="b")
        assert after.status == "ok"
        turns = [m["content"] for m in server.requests[-1].json["messages"] if m["role"] == "user"]
        assert turns == (["Why?", "And?"] if kept == "Rayleigh" else ["And?"])


@pytest.mark.parametrize("line", ["%%minimax", "%%minimax -n 2"])
def test_stop_behind_another_turn(kernel: Kernel, line: str) -> None:
    """A cell that is stopped while it waits for another turn says so once, and asked nothing."""
    with Loopback([head(), *PARTS[:4], stall]) as server:
        kernel.fresh(server.url)
        kernel.run(
            "import asyncio, mm_magic as mm\n"
            "first = asyncio.create_task(mm.ask_async('Why?', conversation='main'))"
        )
        cell = kernel.run(f"{line}\nAnd?", cell_id="a", when=lambda cell: bool(cell.displays))
        kernel.run("first.cancel()")

        assert len(server.requests) == 1
    assert cell.ename == "Stopped"
    assert [each["text/plain"] for each in cell.displays] == ["stopped"]
    assert "topped" not in cell.traceback


def test_stopped_thinking_is_not_sent_again(kernel: Kernel) -> None:
    """The turn of a stopped answer goes back with its text, and all that came of it."""
    with Loopback([head(), *PARTS[:8], stall], streamed()) as server:
        kernel.fresh(server.url)
        kernel.run("%%minimax\nWhy?", cell_id="a", when=shows("Rayleigh"))
        kernel.run("%%minimax\nAnd?", cell_id="b")

        answer = server.requests[1].json["messages"][1]["content"]

    assert answer[-1] == {"type": "text", "text": "\n\nRayleigh scattering."}


def test_stop_in_a_loop_of_asks(kernel: Kernel) -> None:
    """A Stop ends a loop that catches MiniMaxError, in `mm.ask` and in `await mm.ask_async`."""
    for call in ("mm.ask(p)", "await mm.ask_async(p)"):
        with Loopback([head(), *PARTS[:4], stall]) as server:
            kernel.fresh(server.url)
            cell = kernel.run(
                "import mm_magic as mm\n"
                "for p in ('a', 'b'):\n"
                f"    try: {call}\n"
                "    except mm.MiniMaxError: print('swallowed')",
                when=lambda _, server=server: server.arrived.wait(30),  # type: ignore[misc]
            )

            assert server.connections[0].closed.wait(30)
            assert len(server.requests) == 1
        assert "swallowed" not in cell.stdout


def test_waiting_and_retries_are_told(kernel: Kernel) -> None:
    """While a retry waits the page counts down; then the answer comes, and no trace is left."""
    busy = failure(529, "high load (2064)", retry_after="1")
    with Loopback(busy, [head(), *PARTS, END]) as server:
        kernel.fresh(server.url)
        cell = kernel.run("%%minimax\nWhy?")

    live = " ".join(m["content"]["data"]["text/plain"] for m in cell.of("display_data"))
    assert "busy, trying again in 1 s (1 of 2)" in live
    assert "busy" not in cell.shown
    assert "Rayleigh scattering." in cell.shown
