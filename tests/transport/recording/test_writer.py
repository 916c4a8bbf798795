"""How exchanges come into the file of a recording."""

import asyncio
import json
import stat
from collections.abc import Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.loopback import (
    END,
    Answer,
    Loopback,
    captured,
    chunk,
    close,
    every,
    failure,
    head,
    sse,
    stall,
)
from support.loopback import delta as loopback_delta
from support.recordings import EXCHANGE, file_of
from support.taking import PROMPT, new_client
from support.wire import BEGIN, STOP

from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.protocol.request import Request, encode_message
from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.client import Source
from mm_magic.transport.demo.offline import Offline
from mm_magic.transport.endpoint import Endpoint, Secret
from mm_magic.transport.recording.file_format import RecordedExchange, Recording, header
from mm_magic.transport.recording.player import Playback
from mm_magic.transport.recording.reader import read
from mm_magic.transport.recording.writer import Recorder, append, create

KEY = "sk-cp-canary-7d1f"
DAY = date(2026, 11, 20)


def key_of(request: Request) -> RequestKey:
    """The key of a request that follows no turn, and in which nothing was set."""
    return RequestKey({}, (), json.loads(request.messages[-1]))


def record(
    path: Path, answer: Answer, *, key: str | None = None, request: Request = PROMPT
) -> tuple[Recorder, RecordedExchange]:
    """Record one exchange with a loopback server; return what came into the file."""
    with Loopback(answer) as server:
        endpoint = Endpoint(server.url, Secret(key) if key else None)
        recorder = take(path, endpoint, endpoint=endpoint, request=request)
        assert server.url not in path.read_text("utf-8")
        assert f":{server.port}" not in path.read_text("utf-8")
    return recorder, read(path.read_bytes(), "r").exchanges[-1]


def take(
    path: Path,
    source: Source,
    *,
    endpoint: Endpoint | None = None,
    request: Request = PROMPT,
    until: Callable[[list[Any]], bool] = lambda _: False,
) -> Recorder:
    """Ask once, and stop when `until` holds of the events that have come."""
    if not path.exists():
        create(path, path.name)
    recorder = Recorder(path, path.name, read(path.read_bytes(), "r").exchanges, today=lambda: DAY)
    tap = recorder.tap(key_of(request), 0, endpoint)

    async def ask() -> None:
        events: list[Any] = []
        async with aclosing(
            new_client().stream(source, request, retries=0, taps=[tap])
        ) as arriving:
            async for arrival in arriving:
                events += getattr(arrival, "events", [])
                if until(events):
                    return

    with suppress(MiniMaxError):
        asyncio.run(ask())
    return recorder


# Writing


def test_new_file_is_for_its_owner(tmp_path: Path) -> None:
    """A new recording holds its first line, and nobody else may read it."""
    create(tmp_path / "r.jsonl", "r.jsonl")

    assert (tmp_path / "r.jsonl").read_bytes() == header() + b"\n"
    assert stat.S_IMODE((tmp_path / "r.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["there.txt", "no folder/r.jsonl", "nul\0"])
def test_file_that_cannot_be_made(tmp_path: Path, name: str) -> None:
    """Nothing is written over, and where nothing can be written the error says why."""
    (tmp_path / "there.txt").write_text("mine")

    with pytest.raises(UsageError, match="can't be written: "):
        create(tmp_path / name, name)
    assert (tmp_path / "there.txt").read_text() == "mine"


def test_append_after_half_a_line(tmp_path: Path) -> None:
    """Half a line, of a process that died, is damaged; what is appended is whole."""
    path = tmp_path / "r.jsonl"
    path.write_bytes(file_of(EXCHANGE) + EXCHANGE.to_line()[:40])

    append(path, EXCHANGE.to_line())

    assert read(path.read_bytes(), "r") == Recording(
        (EXCHANGE, EXCHANGE), ((3, "it is not complete JSON"),)
    )


@pytest.mark.parametrize("there", [None, b"", b"something else\n"])
def test_file_that_is_gone(tmp_path: Path, there: bytes | None) -> None:
    """A file that was taken away or replaced is left alone; the answer goes on, and it is told."""
    path = tmp_path / "r.jsonl"
    create(path, path.name)
    recorder = Recorder(path, path.name)
    path.unlink()
    if there is not None:
        path.write_bytes(there)
    answer = Playback(replace(EXCHANGE, reads=((0.0, sse(*captured())),)))
    taped = recorder.tap(key_of(PROMPT), 0, None)

    async def ask() -> int:
        stream = new_client().stream(answer, PROMPT, retries=0, taps=[taped])
        return len([batch async for batch in stream])

    assert asyncio.run(ask()) == 1
    assert recorder.problem in (
        "No such file or directory",
        "'r.jsonl' is no longer a recording",
    )
    assert (path.read_bytes() if path.exists() else None) == there


# What comes into the file


def test_exchange_is_recorded(tmp_path: Path) -> None:
    """An answer comes into the file as it came over the wire, with who gave it, and when."""
    _, exchange = record(tmp_path / "r", [head(), *(chunk(sse(e)) for e in captured()), END])

    assert b"".join(data for _, data in exchange.reads) == sse(*captured())
    assert exchange.key == key_of(PROMPT)
    assert (exchange.day, exchange.backend, exchange.server) == ("2026-11-20", "url", "1")
    assert (exchange.model, exchange.ending, exchange.status) == ("MiniMax-M2.7", "complete", 200)
    assert exchange.content_type == "text/event-stream"
    times = [seconds for seconds, _ in exchange.reads]
    assert times == sorted(times)


WHOLE = [chunk(sse(*captured()))]
OPEN = [chunk(sse(*captured()[:-2]))]
STOPPED = chunk(sse(*captured()[:-1]))  # its stop_reason is the last that comes
REFUSAL: dict[str, Any] = {"type": "x", "base_resp": {"status_code": 1027}}


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        ([head(), *WHOLE, END], "complete"),
        ([head(), *WHOLE, stall], "complete"),
        ([head(), *WHOLE, close], "complete"),
        ([head(), STOPPED, stall], "complete"),
        ([head(), STOPPED, every(0.02, b": wait\n\n")], "complete"),
        ([head(), STOPPED, close], "broken"),
        ([head(), STOPPED, chunk(sse(REFUSAL)), stall], "failed"),
        ([head(), *OPEN, END], "failed"),
        ([head(), *OPEN, close], "broken"),
        ([head(), chunk(sse({"type": "error", "error": {}})), stall], "failed"),
        ([head(), END], "failed"),
        ([head(content_type="text/html"), chunk(b"<html>hello</html>"), END], "failed"),
        ([failure(429, "slow down (1002)")], "failed"),
    ],
)
def test_endings(tmp_path: Path, answer: Answer, ending: str) -> None:
    """A line says how its answer ended; one whose connection broke is not offered as an answer."""
    _, exchange = record(tmp_path / "r", answer)

    assert exchange.ending == ending
    assert exchange.is_offered == (ending != "broken")


@pytest.mark.parametrize("when", ["message_start", "text_delta"])
def test_stopped_answer_is_marked(tmp_path: Path, when: str) -> None:
    """An answer that the reader stops is in the file, as far as it came, and is not offered."""
    deltas = (0, 1) if when == "message_start" else (8, 9)
    with Loopback([head(), chunk(sse(*captured()[: deltas[1]])), stall]) as server:
        endpoint = Endpoint(server.url)
        take(tmp_path / "r", endpoint, endpoint=endpoint, until=lambda events: bool(events))

    (exchange,) = read((tmp_path / "r").read_bytes(), "r").exchanges
    assert (exchange.ending, exchange.is_offered) == ("stopped", False)
    assert b"".join(data for _, data in exchange.reads) == sse(*captured()[: deltas[1]])


def test_demo_is_recorded_as_the_demo(tmp_path: Path) -> None:
    """The demo's answers are marked as such, with the times of its script."""
    take(tmp_path / "r", Offline(), until=lambda events: len(events) > 5)

    (exchange,) = read((tmp_path / "r").read_bytes(), "r").exchanges
    assert (exchange.backend, exchange.server) == ("offline", "offline")
    assert exchange.reads[0][0] == 0.15


def test_servers_are_told_apart(tmp_path: Path) -> None:
    """Each server has a number of its own, also beside those of an earlier kernel."""
    path = tmp_path / "r"
    for _ in range(2):
        record(path, [head(), *WHOLE, END])
    take(path, Offline(), until=lambda events: len(events) > 5)

    assert [e.server for e in read(path.read_bytes(), "r").exchanges] == ["1", "2", "offline"]


# Secrets

ECHO = json.dumps({"type": "error", "error": {"message": f"bad key {KEY}"}}).encode()
IN_TEXT = sse(BEGIN, loopback_delta(0, "text_delta", text=f"key {KEY}!"), STOP)


@pytest.mark.parametrize(
    "answer",
    [
        [head(401, "application/json"), chunk(ECHO), END],
        [head(), chunk(IN_TEXT), END],
        [head(), *(chunk(IN_TEXT[i : i + 3]) for i in range(0, len(IN_TEXT), 3)), END],
        [head(), chunk(b"\xff" + IN_TEXT), END],
        [head(x_api_key=KEY, set_cookie=KEY), *WHOLE, END],
    ],
)
def test_no_key_in_the_file(tmp_path: Path, answer: Answer) -> None:
    """A key that a server repeats, whole or cut over several reads, is not in the file."""
    _, exchange = record(tmp_path / "r", answer, key=KEY)

    data = (tmp_path / "r").read_bytes()
    assert KEY.encode() not in data + b"".join(part for _, part in exchange.reads)
    assert b"authorization" not in data.lower()
    assert b"user-agent" not in data.lower()


def test_no_key_of_a_prompt_in_the_file(tmp_path: Path) -> None:
    """A request that holds the key itself is not recorded, and the recorder says so."""
    path = tmp_path / "r"
    create(path, "r")
    request = replace(
        PROMPT, messages=[encode_message("user", "Hi"), encode_message("user", f"My key: {KEY}")]
    )
    with Loopback([head(), *WHOLE, END]) as server:
        endpoint = Endpoint(server.url, Secret(KEY))
        recorder = take(path, endpoint, endpoint=endpoint, request=request)

    assert recorder.problem == "the request holds the key"
    assert path.read_bytes() == header() + b"\n"
