"""Random days in a notebook: what is sent, and what is kept, is what the oracle says.

Each day has a number and is the same each time. To repeat day 777 alone:
`cd tests && python -c "from session.test_oracle import *; test_days_in_the_process([777])"`
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from random import Random
from typing import Any, TypeVar

import pytest
from support.asking import Call, World
from support.days import Day, Step, random_day
from support.looks import arrives
from support.loopback import Loopback
from support.oracle import DEMO
from support.scripted import Service

from mm_magic.conversation.conversation import Conversation, State

at_length = [pytest.mark.slow, pytest.mark.timeout(1800)]
thousands = (range(first, first + 1_000) for first in range(0, 10_000, 1_000))
so_many = pytest.mark.parametrize(
    "days", [range(120), *(pytest.param(days, marks=at_length) for days in thousands)]
)

_T = TypeVar("_T")
NOWHERE = {"A": "http://127.0.0.1:1", "B": "http://127.0.0.1:2", DEMO: ""}


def random_days(world: World, days: Iterable[int]) -> None:
    """An error tells the number of its day, and a few steps of it that are enough."""
    for number in days:
        steps = random_day(Random(number))
        if fault_of(world, steps):
            steps = shortened(steps, partial(fault_of, world))
            fault = fault_of(world, steps)
            assert fault is not None, "the same steps should have the same fault"
            fault.add_note("\n".join([f"Day {number}, made short:", *map(str, steps)]))
            raise fault


def fault_of(world: World, steps: Sequence[Step]) -> BaseException | None:
    """What is wrong in a day that has these steps."""
    with closing(Day(world)) as day:
        try:
            for step in steps:
                step.take(day)
        except (Exception, asyncio.CancelledError) as error:
            return error
    return None


def shortened(steps: Sequence[_T], is_faulty: Callable[[Sequence[_T]], Any]) -> Sequence[_T]:
    """Faulty steps, without those that the fault does not need."""
    for place in reversed(range(len(steps))):
        others = [*steps[:place], *steps[place + 1 :]]
        if is_faulty(others):
            steps = others
    return steps


@so_many
def test_days_in_the_process(days: Sequence[int]) -> None:
    """Each request, and what each conversation is, are the oracle's."""
    with asyncio.Runner() as runner:
        random_days(World(runner.get_loop(), Service(), NOWHERE), days)


@so_many
def test_days_over_loopback(days: Sequence[int]) -> None:
    """The same holds for the JSON that arrives at a server."""
    service = Service()
    with (
        Loopback(service.over_loopback) as a,
        Loopback(service.over_loopback) as b,
        asyncio.Runner() as runner,
    ):
        urls = {"A": a.url, "B": b.url, DEMO: ""}
        random_days(World(runner.get_loop(), service, urls, is_wired=True), days[::30])


def test_day_is_made_short() -> None:
    """What is told of a faulty day is the steps that the fault needs."""
    assert shortened(range(14), lambda steps: {3, 9} <= {*steps}) == [3, 9]


def test_fault_of_one_day_is_none_of_the_next() -> None:
    """A day that ends before its request was compared leaves none to the day after it."""
    with asyncio.Runner() as runner:
        world = World(runner.get_loop(), Service(), NOWHERE)
        call = Call("main", "usual", "Why?", "blue")
        with closing(Day(world)) as day:
            day.kernel.magic(call)  # nothing looks at its request
        assert fault_of(world, [Step("run", {"run": ("a", call)})]) is None


def test_one_look_in_several_files() -> None:
    """Days ask about the same pixels in several files, and about others."""
    assert arrives("red") == arrives("red in another file") == arrives("red in few colours")
    assert arrives("red") != arrives("blue")


def test_number_is_not_used_again_behind_an_older_file() -> None:
    """A conversation that is read again from a file that knows less keeps its last number."""
    conversation = Conversation("main")
    conversation.take_in([], State("life", changes=1, last=3))
    conversation.take_in([], State("life", changes=1))
    assert conversation.last_number == 3
