"""What `%minimax usage` and the panel say about tokens and prices."""

import sys
import threading
from collections.abc import Iterator

import pytest

from mm_magic.catalog import dollars
from mm_magic.meter import Meter
from mm_magic.protocol.messages import Message, TextBlock, Usage
from mm_magic.reply import Reply
from mm_magic.transport.endpoint import Backend


def reply(
    model: str | None = "MiniMax-M2.7",
    backend: Backend = "minimax",
    *,
    tokens: tuple[int | None, int | None] = (1000, 2000),
    cached: int | None = None,
    ended: bool = True,
) -> Reply:
    """An answer; one that has not ended has the counts of its beginning."""
    usage = Usage(*tokens, cache_read_input_tokens=cached)
    message = Message(
        id="1",
        model=model,
        content=(TextBlock("Yes."),),
        stop_reason="end_turn" if ended else None,
        usage=usage,
    )
    return Reply(message, backend=backend)


def metered(*replies: Reply) -> Meter:
    meter = Meter()
    for each in replies:
        meter.add(each)
    return meter


def test_nothing_yet() -> None:
    """Before the first answer it says so, in both forms."""
    assert Meter().lines() == ["Used in this kernel: no answer yet."]
    assert Meter().summary() == "no answer yet"


def test_tokens_and_price_add_up() -> None:
    """Tokens and prices of a model add up; the price table's date stands beside them."""
    meter = metered(reply(), reply(cached=500))

    assert meter.lines() == [
        "Used in this kernel:",
        "  MiniMax-M2.7: 2 answers · 2,000 in / 4,000 out · 500 cached · $0.0054",
        "Prices are of November 2026; — means that a price is not known.",
    ]
    assert meter.summary() == (
        "2 answers · 2,000 in / 4,000 out · 500 cached · $0.0054 (prices of November 2026)"
    )


def test_each_model_has_its_line() -> None:
    """Answers are told apart by model and by who answered."""
    meter = metered(reply(), reply("MiniMax-M2.7-highspeed"), reply(backend="url"))

    assert [line.split(":")[0] for line in meter.lines()[1:4]] == [
        "  MiniMax-M2.7",
        "  MiniMax-M2.7-highspeed",
        "  MiniMax-M2.7 at another server",
    ]


@pytest.mark.parametrize(
    "unknown", [reply("MiniMax-M9"), reply(None), reply(backend="url"), reply(backend="recorded")]
)
def test_unknown_price(unknown: Reply) -> None:
    """A price that is not known is a dash, also as a part of the sum."""
    assert "· price — (" in metered(unknown).summary()
    assert "· $0.0027 and — (" in metered(reply(), unknown).summary()


def test_uncounted_answer() -> None:
    """An answer that did not end is told, and its first counts are not taken for its tokens."""
    stopped = reply(tokens=(7, 1), ended=False)

    assert metered(stopped).lines()[1:] == [
        "  MiniMax-M2.7: 1 answer · 1 without a count",
        "An answer that was stopped or broke off has no count: servers count last.",
    ]
    assert metered(stopped, reply()).total().input == 1000
    assert metered(reply(tokens=(None, 5))).total().uncounted == 1


def test_no_answer_is_not_counted() -> None:
    """A request that brought not a word changes nothing."""
    assert metered(Reply(Message())).lines() == Meter().lines()


def test_demo_is_free() -> None:
    """The demo's answers cost nothing, and are no part of the sum."""
    meter = metered(reply("MiniMax-M2.7", "offline"))

    assert meter.lines()[1:] == ["  Offline demo, not a language model: 1 answer · free"]
    assert meter.summary() == "no answer yet from a model; 1 from the offline demo"
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
            meter.add(reply())

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
