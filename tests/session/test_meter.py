"""What `%minimax usage` and the panel say about tokens and prices."""

import asyncio
import sys
import threading
from collections.abc import Iterator

import pytest
from support.loopback import Loopback, captured, chunk, close, head, sse, streamed

from mm_magic.conversation.catalog import dollars
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Turn
from mm_magic.errors import MiniMaxError
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.messages import Message, TextBlock, Usage
from mm_magic.rendering.status_line import status_parts
from mm_magic.session.session import Session
from mm_magic.session.usage import Meter
from mm_magic.transport.endpoint import Backend


def reply(
    model: str | None = "MiniMax-M2.7",
    backend: Backend = "minimax",
    *,
    tokens: tuple[int | None, int | None] = (1000, 2000),
    cached: int | None = None,
    ended: bool = True,
    stop_reason: str | None = "end_turn",
) -> Reply:
    """An answer; one that has not ended has the counts of its beginning."""
    usage = Usage(*tokens, cache_read_input_tokens=cached)
    message = Message(
        id="1",
        model=model,
        content=(TextBlock("Yes."),),
        stop_reason=stop_reason if ended else None,
        usage=usage,
    )
    return Reply(message, "complete" if ended else "stopped", backend)


def metered(*replies: Reply) -> Meter:
    meter = Meter()
    for each in replies:
        meter.add(each, "MiniMax-M2.7")
    return meter


def test_nothing_yet() -> None:
    """Before the first answer it says so, in both forms."""
    assert Meter().lines() == ["No answers yet in this kernel."]
    assert Meter().summary() == "no answers yet"


def test_tokens_and_price_add_up() -> None:
    """Tokens and prices of a model add up; the price table's date stands beside them."""
    meter = metered(reply(), reply(cached=500))

    assert meter.lines() == [
        "Used in this kernel:",
        "  MiniMax-M2.7: 2 answers · 2,000 in + 500 from cache / 4,000 out · $0.0054",
        "Prices as of November 2026.",
    ]
    assert meter.summary() == (
        "2 answers · 2,000 in + 500 from cache / 4,000 out · $0.0054 (prices as of November 2026)"
    )


def test_each_model_has_its_line() -> None:
    """Answers are told apart by model and by who answered."""
    meter = metered(reply(), reply("MiniMax-M2.7-highspeed"), reply(backend="url"))

    assert [line.split(":")[0] for line in meter.lines()[1:4]] == [
        "  MiniMax-M2.7",
        "  MiniMax-M2.7-highspeed",
        "  MiniMax-M2.7 on your own server",
    ]


@pytest.mark.parametrize(
    "unknown", [reply("MiniMax-M9"), reply(backend="url"), reply(backend="recorded")]
)
def test_unknown_price(unknown: Reply) -> None:
    """A price that is not known is not told; beside known ones it is a dash, which is explained."""
    assert metered(unknown).summary() == "1 answer · 1,000 in / 2,000 out"
    assert "rice" not in "".join(metered(unknown).lines())
    assert metered(reply(), unknown).lines()[-1] == (
        "Prices as of November 2026; “—” means unknown."
    )
    assert "· $0.0027 and — (" in metered(reply(), unknown).summary()


def test_uncounted_answer() -> None:
    """An answer that did not end is told, and its first counts are not taken for its tokens."""
    stopped = reply(tokens=(7, 1), ended=False)

    assert metered(stopped).lines()[1:] == [
        "  MiniMax-M2.7: 1 answer · 1 not counted",
        "Not counted: the answer was stopped or broke off, or its server does not count tokens.",
    ]
    assert metered(stopped, reply()).total().input == 1000
    assert metered(reply(tokens=(None, 5))).total().uncounted == 1


def test_what_counts_is_the_end() -> None:
    """An answer that ended is counted, also without a model or a reason; a cut one is not."""
    events = captured()
    events[0]["message"]["model"] = None
    events[-2]["delta"]["stop_reason"] = None
    cut = [head(), *(chunk(sse(event)) for event in captured()[:-1]), close]
    with Loopback(streamed(events), cut) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        asyncio.run(session.turns.ask("Why?", session.options, alone=True))
        with pytest.raises(MiniMaxError):
            asyncio.run(session.turns.ask("Why?", session.options, alone=True))

    assert session.meter.lines()[1] == (
        "  MiniMax-M2.7 on your own server: 2 answers · 39 in / 41 out · 1 not counted"
    )


def test_no_answer_is_not_counted() -> None:
    """A request that brought not a word changes nothing."""
    assert metered(Reply(Message())).lines() == Meter().lines()


@pytest.mark.parametrize(
    "answer",
    [
        reply(),
        reply(None),
        reply("MiniMax-M2.5"),
        reply("MiniMax-M9"),
        reply(stop_reason=None),
        reply(tokens=(0, 0)),
        reply(tokens=(1, 1)),
        reply(tokens=(1, None)),
        reply(backend="url"),
        reply(ended=False),
    ],
)
def test_line_below_the_answer_agrees(answer: Reply) -> None:
    """Model, tokens and price are those of the line below the answer; one it counts is counted.

    Zeros stand at the beginning of an answer: where they are all that came, nobody counted it.
    """
    who, _, *counts = status_parts(
        Turn("main", 1, None, Prompt.of_text("Why?"), answer, {"model": "MiniMax-M2.7"}, "", "")
    )
    row = metered(answer).lines()[1]

    assert row.split(":")[0].removesuffix(" on your own server").strip() == who
    if answer.status == "complete" and answer.usage.output_tokens:
        assert row.endswith(f": 1 answer · {' · '.join(counts)}")
    else:
        assert not any(" in / 0 out" in each or "$" in each for each in counts)
        assert row.endswith(": 1 answer · 1 not counted")


def test_demo_is_free() -> None:
    """The demo's answers cost nothing, and are no part of the sum."""
    meter = metered(reply("MiniMax-M2.7", "offline"))

    assert meter.lines()[1:] == ["  Offline demo, not a language model: 1 answer · free"]
    assert meter.summary() == "no answers from a model yet; 1 from the offline demo"
    assert meter.total().answers == 0


def test_name_of_a_model_is_made_plain() -> None:
    """A model's name, which is the server's, can't steer the terminal."""
    assert "\x1b" not in "\n".join(metered(reply("\x1b[2J")).lines())


@pytest.fixture
def _eager_threads() -> Iterator[None]:
    """Threads take turns so often that what they share is torn if nothing guards it."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("_eager_threads")
def test_threads() -> None:
    """Answers that several threads add at once are all counted."""
    meter = Meter()
    ready = threading.Barrier(4)

    def add() -> None:
        ready.wait()
        for _ in range(500):
            meter.add(reply(), "MiniMax-M2.7")

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.total().answers == 2000


@pytest.mark.parametrize(
    ("amount", "shown"), [(None, "—"), (0, "$0.0000"), (0.00001, "under $0.0001"), (1.5, "$1.5000")]
)
def test_dollars(amount: float | None, shown: str) -> None:
    """An amount has four places; a smaller one is not shown as nothing."""
    assert dollars(amount) == shown
