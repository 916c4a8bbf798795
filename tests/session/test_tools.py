"""Functions that a model calls: each request is taken by a strict service, whatever happens."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from threading import Event
from typing import Any

import pytest
from support.asks import ask_of
from support.tool_service import BLUE, LOOK, SIGNED, Block, ToolService, call, session_of, text

from mm_magic.conversation.conversation import State
from mm_magic.conversation.reply import Reply, counted_usage
from mm_magic.conversation.saved_turn import read_turn, turn_json
from mm_magic.errors import MiniMaxError
from mm_magic.protocol.messages import ToolResultBlock
from mm_magic.rendering.status_line import status_parts
from mm_magic.session.options import Options
from mm_magic.session.run import Run
from mm_magic.session.session import Session
from mm_magic.session.sync import run_to_end
from mm_magic.session.tools.tool import tools_of

OPTIONS = Options(retries=0)


class Sky:
    """Something to look at, which counts the looks."""

    def __init__(self) -> None:
        self.looks: list[str] = []

    @property
    def functions(self) -> list[Callable[..., Any]]:
        def look(at: str = "sky") -> str:
            """Look at something.

            Args:
                at: What to look at.
            """
            self.looks.append(at)
            return "blue"

        async def wait(at: str = "sky") -> str:
            """Look at something after a while."""
            await asyncio.sleep(0)
            self.looks.append(at)
            return "red"

        def fail() -> None:
            """Never work."""
            raise ValueError("too dark")

        return [look, wait, fail]


def asked(sky: Sky, prompt: str = "Why?") -> Any:
    """What asks with the tools."""
    return replace(ask_of(prompt, OPTIONS), tools=tools_of(sky.functions))


def ask(session: Session, sky: Sky, prompt: str = "Why?") -> Reply:
    """Run a turn with the tools to its end."""
    run = session.turns.start(asked(sky, prompt))
    asyncio.run(to_end(session, run))
    return run.reply()


async def to_end(session: Session, run: Run, events: int | None = None) -> None:
    """Drive a run; after so many events it is stopped."""
    async with aclosing(session.turns.steps(run)) as steps:
        async for _ in steps:
            if events is not None and (events := events - 1) < 0:
                run.cancel()


def next_is_taken(session: Session, service: ToolService) -> list[Any]:
    """Ask without tools, and return the messages that were sent: none may be refused."""
    service.answers = [[BLUE]]
    asyncio.run(to_end(session, session.turns.start(ask_of("And now?", OPTIONS))))
    assert service.refusals == []
    messages: list[Any] = service.bodies[-1]["messages"]
    return messages


def test_call_and_answer() -> None:
    """The function runs once, its result goes back with the call, and the turn has all steps."""
    sky, service = Sky(), ToolService([SIGNED, LOOK, call(given={"at": "sea"})], [BLUE])
    with session_of(service) as session:
        reply = ask(session, sky)

        assert sky.looks == ["sea"]
        assert reply.text == "It is blue."
        assert [step.role for step in reply.steps] == ["assistant", "user", "assistant"]
        first, second = service.bodies
        assert [tool["name"] for tool in first["tools"]] == ["look", "wait", "fail"]
        assert "type" not in first["tools"][0]
        assert second["tools"] == first["tools"]
        assert second["messages"][1:] == [
            {"role": "assistant", "content": [SIGNED, LOOK, call(given={"at": "sea"})]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "blue"}],
            },
        ]
        messages = next_is_taken(session, service)
        assert messages[:3] == second["messages"]
        assert len(session.conversations.turns()) == 2


CALLS: dict[str, tuple[Block, ...]] = {
    "a function": (call(),),
    "an async function": (call("wait"),),
    "one that fails": (call("fail"),),
    "an unknown name": (call("loook"),),
    "a name that no server takes": (call("../look now\n" * 20),),
    "a name of an attribute": (call("__class__"),),
    "no JSON": (call(given="{at: sea"),),
    "JSON that is no object": (call(given="[1]"),),
    "arguments that do not fit": (call(given={"at": [1], "to": 2}),),
    "two calls": (call(), call("wait", id="t2")),
    "two with one id": (call(), call("wait")),
    "one without an id": (call(id=""), call("wait", id="t2")),
    "an id that no server takes": (call(id="functions.look:0"),),
    "ids that look alike": (call(id="a.b"), call(id="a:b")),
    "text and a call": (LOOK, call()),
    "a call and text": (call(), LOOK),
    "white space and a call": (text("\n\n"), call()),
    "thinking and a call": (SIGNED, call()),
    "thinking after a call": (call(), SIGNED),
}


@pytest.mark.parametrize("blocks", CALLS.values(), ids=CALLS.keys())
def test_whatever_is_called(blocks: Sequence[Block]) -> None:
    """Whatever an answer calls, the next request is taken, and the one after that turn, too."""
    sky, service = Sky(), ToolService(blocks, [BLUE])
    with session_of(service) as session:
        ask(session, sky)

        assert service.refusals == []
        assert [b.get("is_error", False) for b in service.results].count(False) == len(sky.looks)
        next_is_taken(session, service)


@pytest.mark.parametrize("blocks", CALLS.values(), ids=CALLS.keys())
def test_stopped_at_any_event(blocks: Sequence[Block]) -> None:
    """Stopped between any two events, no function has run twice, and the next request is taken.

    So it is in another kernel that reads what the file has then.
    """
    for number in range(100):
        sky, service = Sky(), ToolService(blocks, [LOOK, call(id="t3")], [BLUE])
        with session_of(service) as session:
            run = session.turns.start(asked(sky))
            try:
                asyncio.run(to_end(session, run, number))
            except asyncio.CancelledError:
                session.turns.stop(run)
            assert run.request is not None
            turn = run.turn or run.request.turn(run.reply("stopped"))
            assert len(sky.looks) <= 3
            has_ended = run.reply().status == "complete"
            next_is_taken(session, service)
            restarted = Session(session.who.environ)
            if turn.reply.may_enter():
                read = read_turn(turn_json(turn, None)).turn
                assert read.id == turn.id
                restarted.conversations.take_in("main", [read], State("b"))
            next_is_taken(restarted, service)
        if has_ended:
            return
    raise AssertionError("the turn never ended")


SAYS_NOTHING = text("\n")


@pytest.mark.parametrize(
    ("answers", "sent"),
    [
        ([[LOOK, call("strike")]], [LOOK]),
        ([[SIGNED, LOOK, call("look"), call("strike", id="t2")]], [SIGNED, LOOK]),
        ([[LOOK, call()], [call("strike", id="t2")]], [LOOK]),
        ([[LOOK, call()], [SIGNED, None]], [LOOK]),
        ([[call("strike")]], None),
        ([[SIGNED, SAYS_NOTHING, call("strike")]], None),
        ([[call()], [SIGNED, None]], None),
    ],
)
def test_a_stopped_turn_counts_if_it_has_text(
    answers: list[list[Block | None]], sent: list[Block] | None
) -> None:
    """So it is where the text stands before a call; without any text it is not remembered."""

    def strike() -> None:
        """Be interrupted."""
        raise KeyboardInterrupt

    service = ToolService(*answers)
    with session_of(service) as session, ThreadPoolExecutor() as pool:
        session.cells.begin("a")
        run = session.turns.start(
            replace(ask_of("Why?", OPTIONS), tools=tools_of([*Sky().functions, strike]))
        )
        driven = pool.submit(asyncio.run, to_end(session, run))
        if None in answers[-1]:
            assert service.hangs.wait(30)
            run.cancel()
        with pytest.raises(asyncio.CancelledError):
            driven.result()
        session.turns.stop(run)
        turns = session.conversations.turns()
        assert run.turn is not None
        line = status_parts(run.turn)

        assert [turn.reply.status for turn in turns] == ["stopped"] * (sent is not None)
        assert line[-1] == ("stopped" if sent else "stopped, not remembered")
        assert ("turn 1" in line) == (sent is not None)
        session.cells.begin("b")
        messages = next_is_taken(session, service)
        assert [m["content"] for m in messages[1:-1]] == ([sent] if sent else [])


def test_only_named_functions_run() -> None:
    """A name is looked up among the functions that were named, and nowhere else."""
    names = ["print", "os.system", "__import__", "Sky", "looks", "look ", "LOOK", "../look", "eval"]
    blocks = [call(name, {"at": "sea"}, id=f"t{n}") for n, name in enumerate(names)]
    sky, service = Sky(), ToolService(blocks, [BLUE])
    with session_of(service) as session:
        ask(session, sky)

        assert sky.looks == []
        assert [b["content"].startswith("There is no tool") for b in service.results] == [True] * 9
        assert "The tools are: look, wait, fail." in service.results[0]["content"]


def test_retries_call_nothing_again() -> None:
    """A request that is sent again after an error carries the result; the function ran once."""
    sky, service = Sky(), ToolService([call()], 529, 500, [BLUE])
    with session_of(service) as session:
        options = Options(retries=2)
        run = session.turns.start(replace(asked(sky), options=options))
        asyncio.run(to_end(session, run))

        assert sky.looks == ["sky"]
        assert run.reply().text == "It is blue."
        assert service.bodies[1] == service.bodies[2] == service.bodies[3]


@pytest.mark.parametrize("status", [500, 529, 401, 404])
def test_failure_behind_a_call(status: int) -> None:
    """An error behind a call has what came, is not to be retried, and is not remembered."""
    sky, service = Sky(), ToolService([LOOK, call()], status)
    with session_of(service) as session:
        with pytest.raises(MiniMaxError) as caught:
            ask(session, sky)

        reply = caught.value.reply
        assert reply is not None
        assert [step.role for step in reply.steps] == ["assistant", "user", "assistant"]
        assert not caught.value.retryable
        assert session.conversations.turns() == []
        assert len(next_is_taken(session, service)) == 1


def test_ten_steps() -> None:
    """A model that never stops calling is stopped after ten requests; the next is taken."""
    sky, service = Sky(), ToolService([LOOK, call()])
    with session_of(service) as session:
        run = session.turns.start(asked(sky))
        asyncio.run(to_end(session, run))

        assert len(service.bodies) == 10
        assert len(sky.looks) == 9
        (note,) = [note for note in run.notes if "functions" in note]
        assert note == (
            "The model was still calling functions after 10 requests; its last calls were not run."
        )
        next_is_taken(session, service)


def test_saved_turn_that_still_calls() -> None:
    """A saved turn that ends with calls is shown again as it is: nothing is called or sent."""
    sky, service = Sky(), ToolService([LOOK, call()])
    with session_of(service) as session:
        runs = []
        for reuse in (False, True):
            session.cells.begin("a")
            run = session.turns.start(replace(asked(sky), options=replace(OPTIONS, reuse=reuse)))
            asyncio.run(to_end(session, run))
            session.cells.end(succeeded=True)
            runs.append(run)

        assert [run.is_reused for run in runs] == [False, True]
        assert len(service.bodies) == 10
        assert len(sky.looks) == 9


def test_interrupt_where_nothing_handles_it() -> None:
    """A function that ends in KeyboardInterrupt stops the turn where no handler cancels it, too."""

    def strike() -> None:
        """Be interrupted."""
        raise KeyboardInterrupt

    with session_of(ToolService([LOOK, call("strike")])) as session:
        run = session.turns.start(replace(ask_of("Why?", OPTIONS), tools=tools_of([strike])))
        with pytest.raises(asyncio.CancelledError), ThreadPoolExecutor() as pool:
            pool.submit(asyncio.run, to_end(session, run)).result()
        reply = session.turns.stop(run)

        assert reply.status == "stopped"
        assert "The user stopped" in str(reply.steps[1].content)
        assert session.running.runs == []


@pytest.mark.parametrize("reason", ["max_tokens", "model_context_window_exceeded", "refusal"])
def test_an_answer_that_was_cut_calls_nothing(reason: str) -> None:
    """Where an answer breaks off the arguments may be cut: the call is not made."""
    sky, service = Sky(), ToolService([LOOK, call()])
    service.reason = reason
    with session_of(service) as session:
        reply = ask(session, sky)

        assert sky.looks == []
        assert reply.stop_reason == reason
        next_is_taken(session, service)


def test_all_requests_count() -> None:
    """Tokens of all requests add up, in the reply's count, the meter and a saved turn."""
    sky, service = Sky(), ToolService([call()], [call()], [BLUE])
    with session_of(service) as session:
        reply = ask(session, sky)

        assert (counted_usage(reply).input_tokens, counted_usage(reply).output_tokens) == (30, 15)
        assert "30 in / 15 out" in str(session.meter.total())
        assert session.latest.turn is not None
        saved = read_turn(turn_json(session.latest.turn, None)).turn
        assert counted_usage(saved.reply) == counted_usage(reply)
        assert [s.content for s in saved.reply.steps] == [s.content for s in reply.steps]


def test_requests_before_an_error_count() -> None:
    """What was paid for before a request failed, or a call was stopped, is in the meter."""
    sky, service = Sky(), ToolService([call()], [call()], 400)
    with session_of(service) as session:
        with pytest.raises(MiniMaxError):
            ask(session, sky)
        assert "20 in / 10 out" in str(session.meter.total())

        service.answers = [[call("strike")]]

        def strike() -> None:
            """Be interrupted."""
            raise KeyboardInterrupt

        run = session.turns.start(replace(ask_of("Why?", OPTIONS), tools=tools_of([strike])))
        with pytest.raises(asyncio.CancelledError), ThreadPoolExecutor() as pool:
            pool.submit(asyncio.run, to_end(session, run)).result()
        session.turns.stop(run)
        assert "30 in / 15 out" in str(session.meter.total())


def test_refused_thinking_of_a_step() -> None:
    """A server that refuses the thinking of a step gets the same request without it, once."""
    sky, service = Sky(), ToolService([SIGNED, call()], [BLUE])
    service.refuses_thinking = True
    with session_of(service) as session:
        assert ask(session, sky).text == "It is blue."

        assert sky.looks == ["sky"]
        assert SIGNED in service.bodies[1]["messages"][1]["content"]
        assert service.bodies[2]["messages"][1]["content"] == [call()]


def test_type_for_minimax_alone() -> None:
    """MiniMax's own hosts get the type of a tool, and no other; the request's key is the same."""
    requests = []
    for environ in ({"MINIMAX_API_KEY": "k" * 20}, {"MINIMAX_BASE_URL": "http://127.0.0.1:9"}):
        session = Session(environ)
        requests.append(session.turns.request(asked(Sky())))
    minimax, own = (request.request.to_body()["tools"] for request in requests)

    assert isinstance(minimax, list)
    assert isinstance(own, list)
    assert [tool.pop("type") for tool in minimax] == ["custom"] * 3
    assert minimax == own
    assert requests[0].request_key == requests[1].request_key


def test_in_a_thread() -> None:
    """Outside the main thread, where no handler can be set, functions are called, too."""
    sky, service = Sky(), ToolService([call(), call("wait", id="t2")], [BLUE])
    with session_of(service) as session, ThreadPoolExecutor() as pool:
        assert pool.submit(ask, session, sky).result().text == "It is blue."
        assert sky.looks == ["sky", "sky"]


def check_asking(
    session: Session, service: ToolService, look_up: Callable[[], object], name: str | None
) -> None:
    """A turn of main calls what asks in this conversation: unless it is main, an answer comes."""
    run = session.turns.start(replace(ask_of("Why?", OPTIONS), tools=tools_of([look_up])))
    asyncio.run(to_end(session, run))

    (result,) = (b for b in run.reply().steps[1].content if isinstance(b, ToolResultBlock))
    assert result.is_error == (name == "main")
    assert ("can't ask in main" if name == "main" else "inner") in result.text
    next_is_taken(session, service)


@pytest.mark.parametrize("name", ["main", "side", None])
def test_function_that_asks(name: str | None) -> None:
    """A function may ask, too; but in its own conversation both would wait for each other."""
    service = ToolService([LOOK, call("look_up")], [text("inner")], [BLUE])
    with session_of(service) as session:

        async def look_up() -> str:
            """Ask somebody else."""
            options = replace(OPTIONS, conversation=name or "main")
            return (await session.turns.ask("Who?", options, alone=name is None)).text

        check_asking(session, service, look_up, name)


def in_executor(work: Callable[[], str]) -> str:
    pool = ThreadPoolExecutor()
    try:
        return pool.submit(work).result(30)
    finally:
        pool.shutdown(wait=False)  # a test that fails ends, too


def in_two_threads(work: Callable[[], str]) -> str:
    return in_executor(partial(in_executor, work))


@pytest.mark.parametrize("somewhere", [in_executor, in_two_threads])
@pytest.mark.parametrize("name", ["main", "side", None])
def test_function_that_asks_in_a_thread(
    name: str | None, somewhere: Callable[[Callable[[], str]], str]
) -> None:
    """So it is in a thread that the function begins and waits for: nothing hangs."""
    service = ToolService([LOOK, call("look_up")], [text("inner")], [BLUE])
    with session_of(service) as session:

        def ask_somebody() -> str:
            options = replace(OPTIONS, conversation=name or "main")
            return run_to_end(session.turns.ask("Who?", options, alone=name is None)).text

        def look_up() -> str:
            """Ask somebody else."""
            return somewhere(ask_somebody)

        check_asking(session, service, look_up, name)


def test_another_thread_waits_for_a_turn_that_calls() -> None:
    """A thread that was there before the call asks in the same conversation: it waits its turn."""
    service = ToolService([LOOK, call("let_ask")], [BLUE])
    may_ask, asks = Event(), Event()
    with session_of(service) as session, ThreadPoolExecutor() as pool:

        def ask_too() -> str:
            assert may_ask.wait(30)
            asks.set()
            return run_to_end(session.turns.ask("Who?", OPTIONS, alone=False)).text

        def let_ask() -> str:
            """Let the other thread ask."""
            may_ask.set()
            assert asks.wait(30)
            return "blue"

        other = pool.submit(ask_too)
        run = session.turns.start(replace(ask_of("Why?", OPTIONS), tools=tools_of([let_ask])))
        asyncio.run(to_end(session, run))

        assert other.result(30) == "It is blue."
        assert [turn.prompt.text for turn in session.conversations.turns()] == ["Why?", "Who?"]
