"""One turn's way through the layers, asked of a session over real sockets."""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from support.asks import ask_of
from support.loopback import (
    END,
    Loopback,
    captured,
    chunk,
    failure,
    head,
    reset,
    sse,
    stall,
    streamed,
    whole,
)
from support.taking import THINKING, check_captured

from mm_magic.conversation.reply import Reply
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.protocol.messages import Message, TextBlock
from mm_magic.session.options import Options
from mm_magic.session.run import Calling, Step
from mm_magic.session.session import Session
from mm_magic.session.sync import heartbeat
from mm_magic.transport.client import Retrying

PLAIN = Options(retries=0)


def session_for(server: Loopback) -> Session:
    return Session({"MINIMAX_BASE_URL": server.url})


def ask(session: Session, prompt: str, options: Options = PLAIN, *, alone: bool = False) -> Reply:
    return asyncio.run(session.turns.ask(prompt, options, alone=alone))


def prompts_of(request: Any) -> list[str]:
    return [m["content"] for m in request.json["messages"] if m["role"] == "user"]


def test_reply_of_a_turn() -> None:
    """A turn gives the message, where it came from, and how long the model thought."""
    begin, rest = sse(*captured()[:4]), sse(*captured()[4:])
    with Loopback([head(), chunk(begin), chunk(rest), END]) as server:
        reply = ask(session_for(server), "Why is the sky blue?")

    check_captured(reply.message)
    assert (reply.status, reply.backend) == ("complete", "url")
    assert reply.thinking_seconds is not None
    assert reply.thinking_seconds >= 0


def test_every_option_is_sent() -> None:
    """All options stand in the request's body as the API page names them."""
    options = Options(
        model="MiniMax-M3",
        temperature=0.3,
        max_tokens=100,
        top_p=0.9,
        system="Be brief.",
        thinking="disabled",
        stream=False,
        conversation="x",
    )
    with Loopback(streamed()) as server:
        ask(session_for(server), "Hi", options)
        assert server.json == {
            "model": "MiniMax-M3",
            "messages": [{"role": "user", "content": "Hi"}],
            "system": "Be brief.",
            "stream": False,
            "max_tokens": 100,
            "temperature": 0.3,
            "top_p": 0.9,
            "thinking": {"type": "disabled"},
        }


def test_conversation_goes_on() -> None:
    """The second prompt carries the first turn, its thinking verbatim with its signature."""
    with Loopback(streamed()) as server:
        session = session_for(server)
        ask(session, "one")
        ask(session, "two")
        first, second = server.requests

    assert prompts_of(first) == ["one"]
    assert second.json["messages"] == [
        {"role": "user", "content": "one"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": THINKING, "signature": "5f" * 32},
                {"type": "text", "text": "\n\nRayleigh scattering."},
            ],
        },
        {"role": "user", "content": "two"},
    ]


def test_alone_sends_and_keeps_nothing() -> None:
    """A turn that stands alone sends no history and is not remembered."""
    with Loopback(streamed()) as server:
        session = session_for(server)
        for alone in (False, True, False):
            ask(session, "Hi", alone=alone)
        assert [len(prompts_of(request)) for request in server.requests] == [1, 1, 2]


def test_cell_that_runs_again_sends_what_stands_before_it() -> None:
    """A cell's request never carries its own old turn, nor the ones after it."""
    with Loopback(streamed()) as server:
        session = session_for(server)
        for cell, prompt in [("a", "one"), ("b", "two"), ("a", "again"), ("c", "three")]:
            session.cells.begin(cell)
            ask(session, prompt)
        assert [prompts_of(request) for request in server.requests] == [
            ["one"],
            ["one", "two"],
            ["again"],
            ["again", "two", "three"],
        ]


def test_turns_of_one_cell_are_kept_apart() -> None:
    """A loop in a cell makes several turns; running the cell again replaces each by its place."""
    with Loopback(streamed()) as server:
        session = session_for(server)
        for _ in range(2):
            session.cells.begin("a")
            for prompt in ("one", "two"):
                ask(session, prompt)
        assert [len(prompts_of(request)) for request in server.requests] == [1, 2, 1, 2]


def test_turns_at_the_same_time_get_numbers_of_their_own() -> None:
    """Two turns of one conversation that run together both enter, each with its own number."""

    async def main(session: Session) -> None:
        await asyncio.gather(*(session.turns.ask(p, PLAIN, alone=False) for p in ("one", "two")))

    with Loopback(streamed()) as server:
        session = session_for(server)
        asyncio.run(main(session))
    turns = session.conversations.named("main").turns
    assert [turn.number for turn in turns] == [1, 2]
    assert {turn.prompt.text for turn in turns} == {"one", "two"}


def test_conversations_in_threads_keep_all_their_turns() -> None:
    """Threads that each have a conversation of their own lose no turn of it."""
    session, names = Session({"MINIMAX_BASE_URL": "http://127.0.0.1:9"}), "abcdefgh"
    session.cells.begin("cell-1")

    def make(name: str) -> None:
        options = replace(PLAIN, conversation=name)
        for number in range(20):
            run = session.turns.start(ask_of(f"{number}", options, is_cell=False))
            request = session.requests.build(run.ask, run.cell, run.key)
            reply = Reply(Message(content=(TextBlock("Yes."),)))
            session.conversations.commit(request.turn(reply))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(make, names))
    finally:
        sys.setswitchinterval(before)
    assert [len(session.conversations.named(name).turns) for name in names] == [20] * len(names)


def test_cell_moves_to_another_conversation() -> None:
    """A cell that runs in another conversation takes its turn out of the old one."""
    with Loopback(streamed()) as server:
        session = session_for(server)
        for name in ("main", "other"):
            session.cells.begin("a")
            ask(session, "Hi", Options(conversation=name))
    assert not session.conversations.named("main").turns
    assert len(session.conversations.named("other").turns) == 1


def test_broken_answer_is_raised_with_what_came() -> None:
    """An answer that breaks off raises, holds the part that came, and enters no conversation."""
    with Loopback([head(), chunk(sse(*captured()[:8])), reset]) as server:
        session = session_for(server)
        with pytest.raises(MiniMaxError) as caught:
            ask(session, "Hi")

    reply = caught.value.reply
    assert reply is not None
    assert (reply.status, reply.text) == ("incomplete", "\n\nRayleigh scattering.")
    assert not caught.value.retryable
    assert not session.conversations.named("main").turns


def test_refused_request_holds_no_reply() -> None:
    """An error before the first event has no reply, and the next turn works."""
    with Loopback(failure(401, "invalid api key (2049)"), streamed()) as server:
        session = session_for(server)
        with pytest.raises(MiniMaxError) as caught:
            ask(session, "Hi")
        assert (caught.value.kind, caught.value.reply) == ("auth", None)
        ask(session, "Hi")
        assert [len(prompts_of(request)) for request in server.requests] == [1, 1]


def test_bad_prompt_sends_nothing() -> None:
    """A prompt or an option that the service would refuse is refused here."""
    with Loopback(streamed()) as server:
        with pytest.raises(UsageError, match="the prompt is empty"):
            ask(session_for(server), " \n")
        assert not server.connections


def test_event_that_cannot_be_read_is_told() -> None:
    """An event that is no JSON is left out of the answer, and the reader is told."""
    events = [*map(sse, captured()[:8]), b"data: {half\n\n", *map(sse, captured()[8:])]
    with (
        Loopback([head(), *map(chunk, events), END]) as server,
        pytest.warns(UserWarning, match="1 event of the answer could not be read"),
    ):
        reply = ask(session_for(server), "Hi")
    check_captured(reply.message)


def test_steps_show_the_growth() -> None:
    """The steps of a run bring retries, then thinking, then text, as they arrive."""

    async def main(session: Session) -> list[Step | Retrying | Calling]:
        run = session.turns.start(ask_of("Hi", Options(retries=1)))
        return [step async for step in session.turns.steps(run)]

    with Loopback(failure(429, "busy (1002)", retry_after="0.01"), streamed()) as server:
        retry, *steps = asyncio.run(main(session_for(server)))

    assert isinstance(retry, Retrying)
    growths = [step.growth for step in steps if isinstance(step, Step)]
    assert len(growths) == len(steps)
    assert [g.thinking for g in growths if g.thinking] == [THINKING]
    assert [g.text for g in growths if g.text] == ["\n\nRayleigh scattering."]


@pytest.mark.parametrize(("events", "enters"), [(4, False), (8, True)])
def test_stopped_run(events: int, enters: bool) -> None:
    """A stopped run closes its connection and keeps what came; it enters only with text."""

    async def main(server: Loopback, session: Session) -> Reply:
        run = session.turns.start(ask_of("Hi", PLAIN))

        async def drive() -> None:
            async for _ in session.turns.steps(run):
                seen.set()

        seen = asyncio.Event()
        task = asyncio.create_task(drive())
        await asyncio.wait_for(seen.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(server.connections[0].closed.wait, 0.5)
        return session.turns.stop(run)

    with Loopback([head(), chunk(sse(*captured()[:events])), stall]) as server:
        session = session_for(server)
        reply = asyncio.run(main(server, session))

    assert (reply.status, reply.thinking) == ("stopped", THINKING)
    assert bool(session.conversations.named("main").turns) is enters


def test_cancelled_ask_keeps_what_came() -> None:
    """A cancelled `ask` of a conversation leaves its text there as a stopped turn."""

    async def main(session: Session) -> None:
        task = asyncio.create_task(session.turns.ask("Hi", PLAIN, alone=False))
        while not (session.running.runs and session.running.runs[0].reply().text):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with Loopback([head(), chunk(sse(*captured()[:8])), stall]) as server:
        session = session_for(server)
        asyncio.run(main(session))
    (turn,) = session.conversations.named("main").turns
    assert (turn.reply.status, turn.reply.text) == ("stopped", "\n\nRayleigh scattering.")


def test_watcher_that_fails_leaves_no_run() -> None:
    """Where a watcher raises, the turn ends with its error, and the next one is not in its way."""

    def fail() -> None:
        raise RuntimeError("the widget is gone")

    with Loopback(streamed()) as server:
        session = session_for(server)
        session.watchers.append(fail)
        with pytest.raises(RuntimeError, match="the widget is gone"):
            ask(session, "Hi")
        session.watchers.clear()
        assert session.running.runs == []
        ask(session, "Hi")
        assert len(session.edits.forget("main")) == 1


def test_demo_answers_through_the_same_client() -> None:
    """Without a key, where the demo may answer, it does, and its turns go to no server."""
    environ: dict[str, str] = {}
    session = Session(environ)
    session.who.demo_allowed = True
    reply = ask(session, "Hi")
    assert (reply.backend, reply.model) == ("offline", "offline-demo")
    assert reply.text.lstrip().startswith("Offline demo, not a language model")

    with Loopback(streamed()) as server:
        environ["MINIMAX_BASE_URL"] = server.url
        with pytest.warns(UserWarning, match="never sent to a model: 1 was left out"):
            ask(session, "two")
        assert prompts_of(server.requests[0]) == ["two"]


def test_key_is_looked_up_at_each_request() -> None:
    """A key that is set or changed in a running kernel acts at the next request."""
    with Loopback(streamed()) as server:
        environ = {"MINIMAX_BASE_URL": server.url}
        session = Session(environ)
        for key in ("sk-1", "sk-2"):
            environ["MINIMAX_API_KEY"] = key
            ask(session, "Hi")
        sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer sk-1", "Bearer sk-2"]


def test_large_max_tokens_is_told_once_and_sent() -> None:
    """max_tokens above the API page's limit is sent, with one note in a session."""
    with Loopback(streamed()) as server:
        session = session_for(server)
        with pytest.warns(UserWarning, match="max_tokens 4096 is above 2048,"):
            ask(session, "Hi", Options(max_tokens=4096))
        ask(session, "Hi", Options(max_tokens=4096))  # a second warning would be an error
        assert [request.json["max_tokens"] for request in server.requests] == [4096, 4096]


def test_heartbeat_wakes_an_idle_loop() -> None:
    """The heartbeat beats about every 50 ms while its body runs, and not after it."""

    async def main() -> tuple[list[float], int]:
        loop = asyncio.get_running_loop()
        beats = [loop.time()]
        third = asyncio.Event()

        def beat() -> None:
            beats.append(loop.time())
            if len(beats) > 3:
                third.set()

        with heartbeat(beat):
            await asyncio.wait_for(third.wait(), 5)
        within = len(beats)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.12)
        return beats, len(beats) - within

    beats, after = asyncio.run(main())
    assert after == 0
    assert 0.14 < beats[3] - beats[0] < 1


KEY = "sk-canary-0123456789"


@pytest.mark.parametrize(
    "answer",
    [
        [failure(401, f"Invalid key {KEY}", "authentication_error")],
        [whole(200, f"<p>Bearer {KEY}</p>".encode(), "text/html")],
        streamed([{"type": "error", "error": {"type": "api_error", "message": f"no, {KEY}"}}]),
    ],
)
def test_key_that_a_server_repeats_is_taken_out(answer: Any) -> None:
    """No error holds the key, whatever the server says: neither its words nor its next steps."""
    with Loopback(answer) as server:
        session = Session({"MINIMAX_BASE_URL": server.url, "MINIMAX_API_KEY": KEY})
        with pytest.raises(MiniMaxError) as caught:
            ask(session, "Hi")
    error = caught.value
    assert KEY in server.requests[0].headers["authorization"]
    assert KEY not in repr([str(error), error.card(), error.args, error.__notes__, vars(error)])


def test_list_of_models_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that stalls on its list of models gives a time-out after ten seconds."""
    monkeypatch.setattr("mm_magic.session.models.LIST_SECONDS", 0.2)
    with Loopback([stall]) as server:
        session, told = session_for(server), r"the server sent no list of models within 0\.2 s"
        with pytest.raises(MiniMaxError, match=told) as caught:
            asyncio.run(session.models.ask(session.client))
    assert caught.value.kind == "timeout"


def test_dry_run_leaves_no_conversation() -> None:
    """A request that is only prepared opens no conversation."""
    session = Session({"MINIMAX_BACKEND": "offline"})
    session.turns.request(ask_of("Hi", Options(conversation="typo")))
    assert session.conversations == {}
