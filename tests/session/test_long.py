"""What a long conversation costs: the work to build its next request, and memory."""

import gc
import json
import tracemalloc
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from random import Random

import pytest
from support.asks import ask_of
from support.images import plain_image
from support.replays import Cell, Kernel
from support.samples import one_in
from support.timing import calls_of

from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Turn
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


# What a kernel keeps of the cells that ran in it

RUNS, CELLS = 300, 12


class _Forgetting(list[object]):
    """A list that keeps nothing: what the test's own server took would count as ours."""

    def append(self, _item: object) -> None:
        pass


def rerun(kernel: Kernel, runs: Iterable[int]) -> None:
    """Run the cells of a notebook in no order, and ask something new each time."""
    chance = Random(7)
    for number in runs:
        kernel.run(Cell(f"{number}: why is the sky blue?", id=f"c{chance.randrange(CELLS)}"))


def test_turns_of_former_runs_are_not_kept() -> None:
    """But for the last few of each cell: `--reuse` needs the answers of the others alone."""
    kernel = Kernel()
    there = _turns()
    rerun(kernel, range(RUNS))
    assert _turns() - there < 10 * CELLS < RUNS


def _turns() -> int:
    gc.collect()
    return sum(isinstance(each, Turn) for each in gc.get_objects())


def test_memory_of_an_answer() -> None:
    """What a kernel keeps of a short one, `Out` included, takes at most 3 kB."""
    kernel, out = Kernel(), list[Reply]()
    kernel.service.requests = _Forgetting()
    rerun(kernel, range(RUNS))
    gc.collect()
    tracemalloc.start()
    try:
        out += [kernel.run(Cell(f"{number}: why?", id="a")) for number in range(RUNS)]
        gc.collect()
        found = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    ours = found.filter_traces([tracemalloc.Filter(inclusive=False, filename_pattern="*/tests/*")])
    assert sum(each.size for each in ours.statistics("filename")) / RUNS < 3_000


def test_an_answer_is_one_object() -> None:
    """Whoever asks a run for its reply keeps the one that the conversation has."""
    kernel = Kernel()
    reply = kernel.run(Cell(id="a"))
    assert kernel.last_run.reply() is reply is kernel.turn.reply
