"""The corpora of hostile answers, played on loopback, asked through a session as users ask."""

import asyncio
import importlib.util
import random
import tracemalloc
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from support import hostile
from support.corpora import own_streams
from support.loopback import END, Connection, Loopback, captured, chunk, head, sse
from support.wire import pieces

from mm_magic.conversation.reply import Reply
from mm_magic.errors import MiniMaxError
from mm_magic.session.options import Options
from mm_magic.session.session import Session

pytestmark = pytest.mark.filterwarnings("ignore:.* of the answer could not be read")

OWN = {stream.name: stream for stream in own_streams()}
SHARED_FILE = "messages_streams.json"
SHARED: dict[str, dict[str, Any]] = {
    case["id"]: case
    for case in (hostile.load(SHARED_FILE)["cases"] if hostile.is_there(SHARED_FILE) else ())
}
READS: dict[str, int | None] = {"1": 1, "7": 7, "whole": None}
"""Bytes in one HTTP chunk: httpx gives each to its reader on its own."""

# 580 kB: 8 s byte by byte, and nothing new to see
LARGE = {"ok/one-char-deltas-5000", *(name for name in OWN if len(OWN[name].body) > 20_000)}
RUNS = [
    (size, name)
    for size in READS
    for name in (*OWN, *SHARED)
    if size == "whole" or name not in LARGE
]

MORE_RETRIES = {"tcp/keepalive-reuse-dead": 1}
TWICE = {"tcp/keepalive-reuse-dead"}

OTHERWISE: dict[str, dict[str, str]] = {
    # A thinking delta inside a text block: the corpus drops it, here it opens a thinking block.
    # Nothing received is thrown away, and it is not shown as answer text either way.
    "idx/thinking-delta-on-text": {"thinking": "t"},
    # What thinking separates is glued there; here it is paragraphs, or a heading would be lost.
    "ok/interleaved-thinking": {"text": "x\n\ny", "thinking": "t1\n\nt2"},
    # The decoder follows the specification. What looks at a body's beginning, to tell a stream
    # from JSON or a page, passes over white space and a byte order mark behind it.
    "a byte order mark behind a blank line spoils its line": {"text": "lostHi"},
}
"""Expectations that this project does not share, each with its reason."""


@dataclass(frozen=True)
class Outcome:
    """What became of one question."""

    outcome: str
    reply: Reply | None
    error: MiniMaxError | None


@pytest.fixture(scope="module")
def own_urls() -> Iterator[Callable[[str, str], str]]:
    """Where one of our own streams is, by the size of its reads and by name."""

    def play(connection: Connection) -> None:
        size, number = connection.request.path.split("/")[1:3]
        stream = list(OWN.values())[int(number)]
        headers: dict[str, Any] = dict(stream.headers)
        head(stream.status, headers.pop("content-type"), **headers)(connection)
        for part in pieces(stream.body, READS[size] or 65536):
            chunk(part)(connection)
        END(connection)

    with Loopback(play) as server:
        yield lambda size, name: f"{server.url}/{size}/{list(OWN).index(name)}"


@pytest.fixture(scope="module")
def players() -> Iterator[dict[str, Any]]:
    """A player of the shared answers for each size of reads."""
    spec = importlib.util.spec_from_file_location("hostile_play", hostile.FOLDER / "play.py")
    assert spec is not None
    assert spec.loader is not None
    play = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(play)
    path = hostile.FOLDER / SHARED_FILE
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):  # it opens a file
        playing = {size: play.Player(path, read=n, max_sleep=0.5) for size, n in READS.items()}
    yield playing
    for player in playing.values():
        player.close()


async def ask(session: Session, options: Options, times: int) -> Outcome:
    """The outcome of the last of `times` questions, put one after another."""
    outcome = Outcome("nothing", None, None)
    for _ in range(times):
        try:
            reply = await session.turns.ask("Hi", options, alone=True)
        except MiniMaxError as error:
            outcome = Outcome("incomplete" if error.reply else "error", error.reply, error)
        else:
            outcome = Outcome(reply.status, reply, None)
    return outcome


@pytest.fixture
def url(request: pytest.FixtureRequest, size: str, name: str) -> str:
    """Where the answer with this name is played."""
    if name in OWN:
        return str(request.getfixturevalue("own_urls")(size, name))
    return str(request.getfixturevalue("players")[size].url(name))


@pytest.mark.parametrize(("size", "name"), RUNS)
def test_hostile_answer(url: str, name: str) -> None:
    """Each answer has the outcome due: complete, incomplete with what came, or a typed error."""
    case = {} if name in OWN else SHARED[name]
    due = {**(OWN[name].due if name in OWN else case["expect"]), **OTHERWISE.get(name, {})}
    session = Session({"MINIMAX_BASE_URL": url})
    options = Options(retries=MORE_RETRIES.get(name, 0))

    got = asyncio.run(ask(session, options, 2 if name in TWICE else 1))

    if case.get("alt_outcome") == got.outcome:
        return
    assert got.outcome == due["outcome"], got
    if got.reply is not None:
        for part in ("text", "thinking", "stop_reason"):
            if part in due:
                assert getattr(got.reply, part) == due[part]
        got.reply.text.encode()  # no lone surrogates: they can't be saved
    if got.error is not None:
        assert got.error.kind == due["error_kind"]
        if "retryable" in due:
            assert got.error.retryable is due["retryable"]
        str(got.error).encode()


def bomb(megabytes: int, said: int) -> bytes:
    """So many megabytes of comments and an answer, compressed: the less each says, the smaller."""
    chance, packing = random.Random(said), zlib.compressobj(wbits=31)
    comments = (chance.randbytes(said).hex().encode() for _ in range(megabytes * 2**10))
    parts = [packing.compress(b":%s\n" % comment.ljust(1022)) for comment in comments]
    return b"".join([*parts, packing.compress(sse(*captured(text="Hello"))), packing.flush()])


@pytest.mark.parametrize(
    ("megabytes", "said", "most", "outcome"),
    [
        pytest.param(50, 0, 150, "complete", id="in one read"),
        pytest.param(50, 20, 25, "complete", id="in many reads"),
        pytest.param(200, 0, 170, "error", id="too much without an event"),
    ],
)
def test_compressed_bomb_stays_small(megabytes: int, said: int, most: int, outcome: str) -> None:
    """Compressed comments are dropped as they are unpacked: they take what unpacking one read
    takes, at most, and the answer behind them arrives unless there are too many of them."""
    packed = bomb(megabytes, said)
    with Loopback([head(content_encoding="gzip"), chunk(packed), END]) as server:
        session = Session({"MINIMAX_BASE_URL": server.url})
        tracemalloc.start()
        try:
            got = asyncio.run(ask(session, Options(retries=0), 1))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert got.outcome == outcome
    assert got.reply is None or got.reply.text == "Hello"
    assert peak / 2**20 < most
