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
                clock.now += 0.1
                place.was_busy(1.0)
        usual = limiter._usual
        async with limiter.place() as place:
            place.was_busy(1.0)
        return usual, limiter._usual

    assert asyncio.run(run()) == (4, 1)


async def holding(limiter: Limiter, count: int) -> list["asyncio.Task[Place]"]:
    """So many requests that take a place and keep it."""
    tasks = [asyncio.create_task(limiter.place().__aenter__()) for _ in range(count)]
    await settled()
    return tasks


async def settled() -> None:
    """All that can go on without anything from outside has gone on."""
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("parallel", "flights"), [(8, [1, 2, 3, 4, 4, 4, 4, 4, 5]), (7, [1, 2, 3, 3, 3, 3, 4])]
)
def test_each_answer_lets_one_more_in_up_to_half(parallel: int, flights: list[int]) -> None:
    """Above half of what was in flight it takes as many answers as there are places."""
    clock = Clock()

    async def run() -> list[int]:
        limiter, found = Limiter(clock=clock, sleep=clock.sleep), []
        with limiter.wanting(20):
            async with AsyncExitStack() as stack:
                for place in await taken(limiter, parallel, stack):
                    place.was_busy(1.0)
            first, *_ = await holding(limiter, 10)
            for _ in flights:
                found.append(limiter.in_flight)
                first.result().took()
                await settled()
        return found

    assert asyncio.run(run()) == flights


def test_a_server_that_recovered_is_asked_as_before() -> None:
    """Once there are as many places as are wanted, a larger wish has all of its own at once."""
    clock = Clock()

    async def run() -> int:
        limiter = Limiter(clock=clock, sleep=clock.sleep)
        with limiter.wanting(3):
            async with limiter.place() as place:
                place.was_busy(1.0)
            async with limiter.place() as place:
                for _ in range(6):  # 1, 2, 2.5, 2.9, 3.2: more than three places
                    place.took()
            with limiter.wanting(12):
                await holding(limiter, 12)
                return limiter.in_flight

    assert asyncio.run(run()) == 12


def test_places_are_given_in_the_order_of_the_requests() -> None:
    """One that is first goes before all that wait, the others behind them."""

    async def run() -> list[str]:
        limiter, order = Limiter(), []

        async def one(name: str, *, is_first: bool = False) -> None:
            place = limiter.place(is_first=True) if is_first else limiter.place()
            async with place:
                order.append(name)

        with limiter.wanting(1):
            async with limiter.place():
                tasks = [asyncio.create_task(one(name)) for name in "abc"]
                await settled()
                tasks.append(asyncio.create_task(one("first", is_first=True)))
                await settled()
            await asyncio.gather(*tasks)
        return order

    assert asyncio.run(run()) == ["first", "a", "b", "c"]


def test_one_that_is_cancelled_lets_nobody_in_too_early() -> None:
    """It had no place yet: those before it in the queue go on waiting."""

    async def run() -> tuple[bool, int]:
        limiter = Limiter()
        with limiter.wanting(1):
            async with limiter.place():
                before, last = await holding(limiter, 2)
                last.cancel()
                await settled()
                return before.done(), limiter.in_flight

    assert asyncio.run(run()) == (False, 1)


def test_one_that_is_cancelled_in_the_pause_gives_its_place_back() -> None:
    """The server said when it may be asked again, and meanwhile the cell was stopped."""
    clock = Clock()

    async def for_ever(_seconds: float) -> None:
        await asyncio.Event().wait()

    async def run() -> tuple[int, int]:
        limiter = Limiter(clock=clock, sleep=for_ever)
        async with limiter.place() as place:
            place.was_busy(1.0)
        (task,) = await holding(limiter, 1)
        before = limiter.in_flight
        task.cancel()
        await settled()
        return before, limiter.in_flight

    assert asyncio.run(run()) == (1, 0)


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
