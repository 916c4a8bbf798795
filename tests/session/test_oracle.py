"""Random days in a notebook: what is sent, and what is kept, is what the oracle says."""

import asyncio

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test
from support.asking import World
from support.days import Day
from support.loopback import Loopback
from support.oracle import DEMO
from support.scripted import Service

from mm_magic.conversation.conversation import Conversation, State

at_length = [pytest.mark.slow, pytest.mark.timeout(1800)]
so_many = pytest.mark.parametrize("days", [100, pytest.param(2_000, marks=at_length)])

NOWHERE = {"A": "http://127.0.0.1:1", "B": "http://127.0.0.1:2", DEMO: ""}


def random_days(world: World, days: int) -> None:
    """The same ones each time; one that fails is made short and printed."""

    class ThisDay(Day):
        """A day in this world."""

        def __init__(self) -> None:
            super().__init__(world)

    run_state_machine_as_test(
        ThisDay,
        settings=settings(
            max_examples=days,
            stateful_step_count=14,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


@so_many
def test_days_in_the_process(days: int) -> None:
    """Each request, and what each conversation is, are the oracle's."""
    with asyncio.Runner() as runner:
        random_days(World(runner.get_loop(), Service(), NOWHERE), days)


@so_many
def test_days_over_loopback(days: int) -> None:
    """The same holds for the JSON that arrives at a server."""
    service = Service()
    with (
        Loopback(service.over_loopback) as a,
        Loopback(service.over_loopback) as b,
        asyncio.Runner() as runner,
    ):
        urls = {"A": a.url, "B": b.url, DEMO: ""}
        random_days(World(runner.get_loop(), service, urls, is_wired=True), days // 30)


def test_number_is_not_used_again_behind_an_older_file() -> None:
    """A conversation that is read again from a file that knows less keeps its last number."""
    conversation = Conversation("main")
    conversation.take_in([], State("life", changes=1, last=3))
    conversation.take_in([], State("life", changes=1))
    assert conversation.last_number == 3
