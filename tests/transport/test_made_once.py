"""What is made when it is first needed, by threads that all ask first."""

import sys
from collections.abc import Callable, Iterator
from functools import partial
from threading import Barrier, Thread

import pytest

from mm_magic.session.session import Session
from mm_magic.transport.made_once import made_once

THREADS = 16


@pytest.fixture(autouse=True)
def _many_switches() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def found_by_threads(look: Callable[[], object]) -> set[int]:
    """The ids of what each thread finds that calls `look` at the same moment as all others."""
    found: list[object] = []
    barrier = Barrier(THREADS)

    def run() -> None:
        barrier.wait()
        found.append(look())

    threads = [Thread(target=run) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == THREADS
    return {id(each) for each in found}


def test_all_threads_get_the_same() -> None:
    """It is made by one thread; the others wait for it, however long that takes."""
    made: list[object] = []

    class Owner:
        @made_once
        def thing(self) -> object:
            made.append(object())
            return made[-1]

    owner = Owner()
    assert len(found_by_threads(lambda: owner.thing)) == 1
    assert len(made) == 1


@pytest.mark.parametrize("name", ["client", "commits", "sender", "turns"])
def test_parts_of_a_session(name: str) -> None:
    """Threads that ask first have the same parts: one client, so one limit for all requests."""
    for _ in range(20):
        session = Session({})
        assert len(found_by_threads(partial(getattr, session, name))) == 1
