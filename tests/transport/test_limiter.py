"""The limiter: so many requests at a time, fewer after the server was busy, and no bursts."""

import asyncio
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest

from mm_magic.transport.limiter import Limiter, Place


class Clock:
    """A clock that goes on where somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


async def waiting(limiter: Limiter, count: int) -> list["asyncio.Task[None]"]:
    """So many requests that take a place, and leave it in the next round of the loop."""

    async def one() -> None:
        async with limiter.place() as place:
            await asyncio.sleep(0)
            place.took()

    tasks = [asyncio.create_task(one()) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def taken(limiter: Limiter, count: int, stack: AsyncExitStack) -> list[Place]:
    return [await stack.enter_async_context(limiter.place()) for _ in range(count)]


def test_as_many_as_the_largest_wish() -> None:
    """Two tables share the places of the one that wants more; where none wants, all may go."""

    async def run() -> tuple[int, int, int]:
        limiter = Limiter()
        with limiter.wanting(2), limiter.wanting(3):
            tasks = await waiting(limiter, 10)
            both = limiter.in_flight
            await asyncio.gather(*tasks)
        free = await waiting(limiter, 10)
        all_at_once = limiter.in_flight
        await asyncio.gather(*free)
        return both, all_at_once, limiter.in_flight

    assert asyncio.run(run()) == (3, 10, 0)


def test_busy_server_gets_one_request_after_the_pause() -> None:
    """After a refusal nobody is let in until the pause is over; then one, and no burst."""
    clock = Clock()

    async def run() -> list[int]:
        limiter, flights = Limiter(clock=clock, sleep=clock.sleep), []

        async def one() -> None:
            async with limiter.place() as place:
                flights.append(limiter.in_flight)
                await asyncio.sleep(0)
                place.took()

        with limiter.wanting(8):
            async with AsyncExitStack() as stack:
                places = await taken(limiter, 8, stack)
                for place in places:
                    place.was_busy(5.0)
            await asyncio.gather(*(one() for _ in range(20)))
        return flights

    flights = asyncio.run(run())
    assert clock.slept == [5.0]
    assert flights[0] == 1
    assert max(b - a for a, b in pairwise(flights)) <= 2  # who leaves makes room, too
    assert max(flights) > 4  # beyond half of what it was, slowly


def test_halved_once_for_all_that_were_in_flight() -> None:
    """Eight refusals of one storm halve once; one of a request sent after that halves again."""
    clock = Clock()

    async def run() -> tuple[float, float]:
        limiter = Limiter(clock=clock, sleep=clock.sleep)
        async with AsyncExitStack() as stack:
            for place in await taken(limiter, 8, stack):
                place.was_busy(1.0)
        usual = limiter._usual
        async with limiter.place() as place:
            place.was_busy(1.0)
        return usual, limiter._usual

    assert asyncio.run(run()) == (4, 1)


@pytest.mark.parametrize(("seconds", "all_at_once"), [(30, 1), (90, 8)])
def test_a_storm_is_forgotten_after_a_minute(seconds: float, all_at_once: int) -> None:
    """Who begins to ask later than that has all places."""
    clock = Clock()

    async def run() -> int:
        limiter = Limiter(clock=clock, sleep=clock.sleep)
        async with limiter.place() as place:
            place.was_busy(1.0)
        clock.now += seconds
        with limiter.wanting(8):
            tasks = await waiting(limiter, 10)
            found = limiter.in_flight
            await asyncio.gather(*tasks)
        return found

    assert asyncio.run(run()) == all_at_once


def test_the_longest_pause_counts() -> None:
    """A later refusal with a longer Retry-After holds back those that wait already."""
    clock = Clock()

    async def run() -> None:
        limiter = Limiter(clock=clock, sleep=clock.sleep)
        async with AsyncExitStack() as stack:
            first, second = await taken(limiter, 2, stack)
            first.was_busy(30.0)
            second.was_busy(2.0)
        async with limiter.place():
            pass

    asyncio.run(run())
    assert clock.now == 130.0


@pytest.mark.parametrize("when", ["while it waits", "as it is let in"])
def test_one_that_is_cancelled_gives_its_place_on(when: str) -> None:
    """No place is lost, and the next one in the queue is let in."""

    async def run() -> tuple[bool, int]:
        limiter = Limiter()
        with limiter.wanting(1):
            async with limiter.place():
                one, two = await waiting(limiter, 2)
                if when == "while it waits":
                    one.cancel()
                    await asyncio.sleep(0)
            if when == "as it is let in":
                one.cancel()
            await asyncio.wait([one, two], timeout=5)
        return two.done(), limiter.in_flight

    assert asyncio.run(run()) == (True, 0)


def test_places_are_shared_by_threads() -> None:
    """Event loops of several threads go through the same places."""
    limiter, most = Limiter(), []

    async def one() -> None:
        async with limiter.place():
            most.append(limiter.in_flight)
            await asyncio.sleep(0.001)

    async def several() -> None:
        await asyncio.gather(*(one() for _ in range(10)))

    async def run() -> None:
        with limiter.wanting(3):
            await asyncio.gather(*(asyncio.to_thread(asyncio.run, several()) for _ in range(4)))

    asyncio.run(run())
    assert len(most) == 40
    assert max(most) <= 3
    assert limiter.in_flight == 0
