"""What a long conversation costs: the work to build its next request, and memory."""

import gc
import json
import tracemalloc
from dataclasses import replace
from functools import partial

import pytest
from support.asks import ask_of
from support.images import plain_image
from support.samples import one_in
from support.timing import calls_of

from mm_magic.conversation.reply import Reply
from mm_magic.protocol.messages import Message, TextBlock, ThinkingBlock
from mm_magic.session.options import Options
from mm_magic.session.session import Session
from mm_magic.session.turn_request import TurnRequest

TURNS = 1_000
OPTIONS = Options(model="My-Own")  # its window is not known: nothing is left out
ANSWER = "Blue light is scattered more than red light. " * 18  # with its thinking, 1 kB


def long_session(turns: int = TURNS, *seen: object) -> Session:
    """A session with a conversation of so many cells, each of 1 kB; all ask about what is seen."""
    session = Session({"MINIMAX_BASE_URL": "http://127.0.0.1:1"})
    for number in range(turns):
        session.cells.begin(f"cell-{number}")
        run = session.turns.start(ask_of([f"{number}: why is the sky blue?", *seen], OPTIONS))
        thought = ThinkingBlock(f"{number}: they ask why. " * 5, "5f" * 32)
        reply = Reply(Message(content=(thought, TextBlock(f"{number}: {ANSWER}"))), backend="url")
        request = session.requests.build(run.ask, run.cell, run.key)
        session.conversations.commit(request.turn(reply))
        session.cells.end(succeeded=True)
    session.cells.begin("new")
    return session


@pytest.fixture(scope="module")
def session() -> Session:
    return long_session()


def build(session: Session) -> bytes:
    """The next request as bytes."""
    return session.turns.request(ask_of("next", OPTIONS)).request.encode()


def test_next_request_of_a_long_conversation(session: Session) -> None:
    """At most one function is called for each earlier turn: none is encoded, or looked into.

    `python -m bench` compares the time with that of `json.dumps`.
    """
    assert len(json.loads(build(session))["messages"]) == 2 * TURNS + 1
    assert calls_of(lambda: build(session)) < 2 * TURNS


def test_request_for_a_turn_far_above_costs_the_next_one_nothing(session: Session) -> None:
    """What was encoded stays, also where a cell at the top was looked at in between."""
    first = session.conversations.named("main").turns[0]
    build(session)

    def look_and_build() -> None:
        session.requests.history_now(first)
        build(session)

    assert calls_of(look_and_build) < 2.5 * TURNS  # 16 a turn where the chain is made anew


def test_earlier_pictures_cost_the_next_turn_nothing() -> None:
    """Behind prompts with pictures as many functions are called as behind others: none is read."""

    def next_request(session: Session) -> TurnRequest:
        request = session.turns.request(ask_of("next", OPTIONS))
        request.check_pictures()
        assert request.same_prompt is None
        return request

    plain, seeing = long_session(30), long_session(30, plain_image())
    assert len(next_request(seeing).pictures) == 30
    next_request(plain)
    calls = [calls_of(partial(next_request, each)) for each in (plain, seeing)]
    assert calls[0] == calls[1]


def test_pictures_are_counted_as_turns_are_added(session: Session) -> None:
    """To count what a request carries, no earlier turn is looked at."""
    request = replace(
        session.turns.request(ask_of("next", OPTIONS)), endpoint=None
    )  # the demo has limits
    assert calls_of(request.check_pictures) < 20


@one_in(5)
def test_memory_of_a_long_conversation(step: int) -> None:
    """A turn of 1 kB, with the JSON that is kept of it, takes less than 10 kB: 1,000 take 10 MB."""
    gc.collect()
    tracemalloc.start()
    try:
        session = long_session(TURNS // step)
        gc.collect()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(session.conversations.named("main").turns) == TURNS // step
    assert used < 10_000_000 // step
