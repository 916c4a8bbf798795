"""What came together is one read, and a fast stream is looked at now and then. Time is a fake."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from itertools import pairwise

import pytest
from support.jumping import run

from mm_magic.transport.coalesce import AHEAD, FAST, REST, SHARE, TRICKLE, gathered


class Socket:
    """Packets that wait in a socket, each of several pieces: seconds, and what has come by then."""

    def __init__(self, packets: Sequence[tuple[float, list[bytes]]]) -> None:
        self._packets = list(packets)
        self.looks = 0
        self.is_closed = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        try:
            while self._packets:
                self.looks += 1
                await asyncio.sleep(max(0.0, begin + self._packets[0][0] - loop.time()))
                while self._packets and begin + self._packets[0][0] <= loop.time() + 1e-9:
                    for piece in self._packets.pop(0)[1]:
                        yield piece
        finally:
            self.is_closed = True


async def reads_of(socket: Socket) -> list[tuple[float, bytes]]:
    loop = asyncio.get_running_loop()
    begin = loop.time()
    async with aclosing(gathered(socket.pieces())) as reads:
        return [(loop.time() - begin, data) async for data in reads]


def at_a_pace(rate: float, seconds: float, size: int = 4) -> list[tuple[float, list[bytes]]]:
    """Packets of one piece, so many a second."""
    return [(n / rate, [b"%0*d" % (size, n)]) for n in range(int(rate * seconds))]


def test_what_comes_together_is_one_read() -> None:
    """The pieces of a packet are joined, those of the next one are not; the first comes alone."""
    found = run(reads_of(Socket([(0, [b"a", b"b", b"c"]), (1, [b"d"]), (2, [b"e", b"f"])])))
    assert found == [(0, b"a"), (0, b"bc"), (1, b"d"), (2, b"ef")]


def test_a_body_without_pieces_has_no_read() -> None:
    """An empty body ends at once, and without a read."""
    assert run(reads_of(Socket([]))) == []


def test_a_stream_that_can_be_followed_is_handed_on_at_once() -> None:
    """Each piece of a stream under 100 a second is a read of its own, at the time when it came."""
    packets = at_a_pace(0.99 / FAST, 5)
    found = run(reads_of(Socket(packets)))
    assert [data for _, data in found] == [pieces[0] for _, pieces in packets]
    assert [when for when, _ in found] == pytest.approx([when for when, _ in packets])


def test_a_fast_stream_is_looked_at_now_and_then() -> None:
    """Of 500 pieces a second nothing is lost, and the socket is looked at 20 times a second."""
    packets = at_a_pace(500, 10)
    socket = Socket(packets)
    found = run(reads_of(socket))
    assert b"".join(data for _, data in found) == b"".join(pieces[0] for _, pieces in packets)
    late = [when for when, _ in found if 2 < when < 9]
    assert all(b - a == pytest.approx(REST, abs=0.01) for a, b in pairwise(late))
    assert socket.looks < 400


def test_nothing_waits_longer_than_two_rests() -> None:
    """A piece is handed on a twentieth of the answer's time or 0.05 s later, twice at most."""
    packets = at_a_pace(500, 5)
    came = {pieces[0]: when for when, pieces in packets}
    for when, data in run(reads_of(Socket(packets))):
        for at in range(0, len(data), 4):
            waited = when - came[data[at : at + 4]]
            assert waited <= 2 * min(REST, when * SHARE) + 1e-6
            assert waited < 1e-6 or when > FAST / SHARE


def test_who_fills_the_socket_is_not_left_alone() -> None:
    """Large pieces are handed on as they come, however fast."""
    packets = at_a_pace(500, 2, size=TRICKLE)
    found = run(reads_of(Socket(packets)))
    assert [when for when, _ in found] == pytest.approx([when for when, _ in packets])


def test_what_nobody_takes_stays_in_the_socket() -> None:
    """While the last read is worked on, little more than AHEAD is taken in, and nothing is lost."""
    piece = b"x" * (AHEAD // 4)
    socket = Socket([(n, [piece]) for n in range(40)])

    async def main() -> list[int]:
        sizes = []
        async with aclosing(gathered(socket.pieces())) as reads:
            async for data in reads:
                sizes.append(len(data))
                await asyncio.sleep(1000)
        return sizes

    sizes = run(main())
    assert sum(sizes) == 40 * len(piece)
    assert max(sizes) <= AHEAD + len(piece)


def test_what_came_before_an_error_is_handed_on() -> None:
    """A body that breaks off gives all that it had, and then the error."""

    async def breaking() -> AsyncGenerator[bytes, None]:
        yield b"a"
        yield b"b"
        yield b"c"
        raise ConnectionResetError("gone")

    async def main() -> list[bytes]:
        async with aclosing(gathered(breaking())) as reads:
            found = [await anext(reads), await anext(reads)]
            with pytest.raises(ConnectionResetError, match="gone"):
                await anext(reads)
        return found

    assert run(main()) == [b"a", b"bc"]


def test_an_end_between_two_looks_loses_nothing() -> None:
    """What comes and ends while the last read is worked on is handed on."""

    async def main() -> list[bytes]:
        found = []
        socket = Socket([(0, [b"a"]), (1, [b"b"])])
        async with aclosing(gathered(socket.pieces())) as reads:
            async for data in reads:
                found.append(data)
                await asyncio.sleep(3)
        return found

    assert run(main()) == [b"a", b"b"]


@pytest.mark.parametrize("way", ["close", "cancel", "close after an error"])
def test_who_stops_leaves_nothing_behind(way: str) -> None:
    """Closed or cancelled in the middle, the body is closed, and no task and no log is left."""

    async def broken_after(socket: Socket) -> AsyncGenerator[bytes, None]:
        async with aclosing(socket.pieces()) as pieces:
            yield await anext(pieces)
            yield await anext(pieces)
            raise ConnectionResetError("gone")

    async def main() -> bool:
        told: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, what: told.append(what))
        begin = loop.time()
        socket = Socket([(0, [b"a", b"b"]), (1000, [b"c"])])
        pieces = broken_after(socket) if "error" in way else socket.pieces()
        reads = gathered(pieces)
        assert [await anext(reads), await anext(reads)] == [b"a", b"b"]
        if way == "cancel":
            waiting = asyncio.ensure_future(anext(reads))
            await asyncio.sleep(1)
            waiting.cancel()
            await asyncio.wait([waiting])
            assert waiting.cancelled()
        else:
            await asyncio.sleep(1)
            await reads.aclose()
        gc.collect()
        assert (asyncio.all_tasks(), told) == ({asyncio.current_task()}, [])
        assert loop.time() == begin + 1
        return socket.is_closed

    assert run(main())
