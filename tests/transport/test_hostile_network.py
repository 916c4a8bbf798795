"""The corpus of hostile answers, played on loopback, asked through a session as users ask."""

import asyncio
import importlib.util
import tracemalloc
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from support import hostile

from mm_magic.conversation.reply import Reply
from mm_magic.errors import MiniMaxError
from mm_magic.session.options import Options
from mm_magic.session.session import Session

pytestmark = pytest.mark.filterwarnings("ignore:.* of the answer could not be read")

CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in hostile.load("messages_streams.json")["cases"]
}
READS: dict[str, int | None] = {"1": 1, "7": 7, "whole": None}
"""Bytes in one HTTP chunk: httpx gives each to its reader on its own."""

LARGE = {"ok/one-char-deltas-5000"}  # 580 kB: 8 s byte by byte, and nothing new to see
RUNS = [(size, name) for size in READS for name in CASES if size != "1" or name not in LARGE]

MORE_RETRIES = {"tcp/keepalive-reuse-dead": 1}
TWICE = {"tcp/keepalive-reuse-dead"}

OTHERWISE: dict[str, dict[str, str]] = {
    # A thinking delta inside a text block: the corpus drops it, here it opens a thinking block.
    # Nothing received is thrown away, and it is not shown as answer text either way.
    "idx/thinking-delta-on-text": {"thinking": "t"},
    # What thinking separates is glued there; here it is paragraphs, or a heading would be lost.
    "ok/interleaved-thinking": {"text": "x\n\ny", "thinking": "t1\n\nt2"},
}
"""Expectations that this project does not share, each with its reason."""


@dataclass(frozen=True)
class Outcome:
    """What became of one question."""

    outcome: str
    reply: Reply | None
    error: MiniMaxError | None


@pytest.fixture(scope="module")
def players() -> Iterator[dict[str, Any]]:
    """A player for each size of reads."""
    spec = importlib.util.spec_from_file_location("hostile_play", hostile.FOLDER / "play.py")
    assert spec is not None
    assert spec.loader is not None
    play = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(play)
    path = hostile.FOLDER / "messages_streams.json"
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
            reply = await session.ask("Hi", options, alone=True)
        except MiniMaxError as error:
            outcome = Outcome("incomplete" if error.reply else "error", error.reply, error)
        else:
            outcome = Outcome(reply.status, reply, None)
    return outcome


@pytest.mark.parametrize(("size", "name"), RUNS)
def test_hostile_answer(players: dict[str, Any], size: str, name: str) -> None:
    """Each answer has the outcome due: complete, incomplete with what came, or a typed error."""
    due = CASES[name]["expect"] | OTHERWISE.get(name, {})
    session = Session({"MINIMAX_BASE_URL": players[size].url(name)})
    options = Options(retries=MORE_RETRIES.get(name, 0))

    got = asyncio.run(ask(session, options, 2 if name in TWICE else 1))

    if CASES[name].get("alt_outcome") == got.outcome:
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


def test_compressed_bomb_stays_small(players: dict[str, Any]) -> None:
    """50 MB of compressed comments are dropped as they come: memory stays within the limit."""
    name = "enc/gzip-bomb-comment"
    session = Session({"MINIMAX_BASE_URL": players["whole"].url(name)})
    tracemalloc.start()
    try:
        asyncio.run(ask(session, Options(retries=0), 1))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak / 2**20 < CASES[name]["rss_limit_mb"]
