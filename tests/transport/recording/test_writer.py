"""How exchanges come into the file of a recording."""

import asyncio
import json
import math
import os
import random
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from threading import Barrier
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
from support.timing import calls_of
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
from mm_magic.transport.recording.writer import Recorder, append, begin

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
        begin(path, path.name)
    recorder = Recorder(path, path.name, read(path.read_bytes(), "r"), today=lambda: DAY)
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
    begin(tmp_path / "r.jsonl", "r.jsonl")

    assert (tmp_path / "r.jsonl").read_bytes() == header() + b"\n"
    assert stat.S_IMODE((tmp_path / "r.jsonl").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["no folder/r.jsonl", "nul\0", "a" * 300])
def test_file_that_cannot_be_made(tmp_path: Path, name: str) -> None:
    """Where nothing can be written the error says why."""
    with pytest.raises(UsageError, match="can't be written: "):
        begin(tmp_path / name, name)


def test_only_an_empty_file_is_begun(tmp_path: Path) -> None:
    """A file with content is left alone, whatever it is; an empty one is as good as none."""
    there, empty = tmp_path / "there.txt", tmp_path / "empty.jsonl"
    there.write_text("mine")
    empty.touch()

    assert [begin(path, path.name) for path in (there, empty, empty, tmp_path)] == [
        False, True, False, False,
    ]  # fmt: skip
    assert there.read_text() == "mine"
    assert empty.read_bytes() == header() + b"\n"


def test_kernels_that_begin_the_same_file(tmp_path: Path) -> None:
    """One of them begins it, and its first line stands there once."""
    path, gate = tmp_path / "r.jsonl", Barrier(8)

    def work(_: int) -> bool:
        gate.wait()
        return begin(path, path.name)

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(work, range(8))) == [False] * 7 + [True]
    assert path.read_bytes() == header() + b"\n"


def test_append_after_half_a_line(tmp_path: Path) -> None:
    """Half a line, of a process that died, is damaged; what is appended is whole."""
    path = tmp_path / "r.jsonl"
    path.write_bytes(file_of(EXCHANGE) + EXCHANGE.to_line()[:40])

    append(path, EXCHANGE.to_line())

    assert read(path.read_bytes(), "r") == Recording(
        (EXCHANGE, EXCHANGE), ((3, "it is not complete JSON"),)
    )


@pytest.mark.skipif(sys.platform == "win32", reason="there nothing is locked")
def test_append_waits_for_another_kernel(tmp_path: Path) -> None:
    """Half a line that another kernel is adding, and dies, does not take this one with it."""
    import fcntl

    path = tmp_path / "r.jsonl"
    begin(path, path.name)
    with path.open("ab", buffering=0) as other, ThreadPoolExecutor(1) as pool:
        fcntl.flock(other, fcntl.LOCK_EX)
        ours = pool.submit(append, path, EXCHANGE.to_line())
        with suppress(TimeoutError):
            ours.result(timeout=0.05)  # without the lock it is through by now
        other.write(b"{")
        other.close()
        ours.result()

    assert path.read_bytes() == header() + b"\n{\n" + EXCHANGE.to_line() + b"\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there nothing is locked")
def test_a_file_that_stays_locked(tmp_path: Path) -> None:
    """A lock that nobody gives back holds nobody up for long, and the next answer for less; the
    reader is told, and what comes after it is recorded."""
    import fcntl

    path = tmp_path / "r.jsonl"
    begin(path, path.name)
    recorder = Recorder(path, path.name)
    whole = Playback(replace(EXCHANGE, reads=((0.0, sse(*captured())),)), math.inf)
    work: list[int] = []

    async def ask() -> None:
        tap = recorder.tap(key_of(PROMPT), 0, None)
        async with aclosing(new_client().stream(whole, PROMPT, retries=0, taps=[tap])) as arriving:
            async for _ in arriving:
                pass

    def answered() -> None:
        asyncio.run(ask())

    with path.open("ab", buffering=0) as other, ThreadPoolExecutor(1) as pool:
        fcntl.flock(other, fcntl.LOCK_EX)
        held = pool.submit(lambda: work.extend([calls_of(answered), calls_of(answered)]))
        with suppress(TimeoutError):
            held.result(timeout=20)
        problem = recorder.problem
        other.close()
        held.result()
    assert problem == "another program keeps it locked"
    assert work[1] < work[0]
    assert recorder.count == 0
    answered()

    assert (recorder.problem, recorder.count) == ("", 1)
    assert len(read(path.read_bytes(), "r").exchanges) == 1


def test_every_place_where_a_line_may_end(tmp_path: Path) -> None:
    """Wherever the last line was cut, the lines before and after it are whole; it is where all of
    it is there."""
    path = tmp_path / "r.jsonl"
    line = EXCHANGE.to_line()
    for size in (0, 1, *range(2, len(line), 31), len(line) - 1, len(line), len(line) + 1):
        path.write_bytes(file_of(EXCHANGE) + (line + b"\n")[:size])
        append(path, line)
        found = read(path.read_bytes(), "r")
        assert len(found.exchanges) == 2 + (size >= len(line))
        assert len(found.damaged) == (0 < size < len(line))


KILLED = """
import os, signal, sys
from contextlib import suppress
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_FSIZE, setrlimit
from mm_magic.transport.recording.writer import append

path, line, places = Path(sys.argv[1]), sys.argv[2].encode(), map(int, sys.argv[3].split())
told, tell = os.pipe()
for place in places:
    end = path.stat().st_size + place
    if (child := os.fork()) == 0:
        if place % 2:  # this write ends there; where a kill hits one, the kernel decides
            setrlimit(RLIMIT_FSIZE, (end, RLIM_INFINITY))
        while True:
            with suppress(OSError):
                append(path, line[:1] + b" " * 200_000 + line[1:])
                os.write(tell, b"x")  # it is saved
    while path.stat().st_size < end:
        pass
    os.kill(child, signal.SIGKILL)
    append(path, line)
    os.waitpid(child, 0)
print(len(os.read(told, 1_000_000)))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="it needs fork")
def test_kernel_killed_in_the_middle_of_an_append(tmp_path: Path) -> None:
    """SIGKILL at a random byte loses at most the line that was not reported as saved, and none of
    those that another kernel adds; nor does a disk that is full at that byte."""
    path, runs = tmp_path / "r.jsonl", 200
    begin(path, path.name)
    choice = random.Random(7)
    places = " ".join(str(choice.randrange(1, 500_000)) for _ in range(runs))
    line = replace(EXCHANGE, reads=()).to_line().decode()
    command = [sys.executable, "-c", KILLED, str(path), line, places]
    saved = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    found = read(path.read_bytes(), "r")
    assert saved + runs <= len(found.exchanges) <= saved + 2 * runs
    assert 0 < len(found.damaged) <= runs


@pytest.mark.parametrize("server", ["7" * 5_000, "²", "-1", "a.example"])
def test_any_server_in_a_recording(tmp_path: Path, server: str) -> None:
    """A recording is gone on with, whatever it says of the server that answered."""
    known = Recording((replace(EXCHANGE, server=server),))
    assert Recorder(tmp_path / "r.jsonl", "r.jsonl", known).problem == ""


@pytest.mark.parametrize("there", [None, b"", b"something else\n"])
def test_file_that_is_gone(tmp_path: Path, there: bytes | None) -> None:
    """A file that was taken away or replaced is left alone; the answer goes on, and it is told."""
    path = tmp_path / "r.jsonl"
    begin(path, path.name)
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
    begin(path, "r")
    request = replace(
        PROMPT, messages=[encode_message("user", "Hi"), encode_message("user", f"My key: {KEY}")]
    )
    with Loopback([head(), *WHOLE, END]) as server:
        endpoint = Endpoint(server.url, Secret(KEY))
        recorder = take(path, endpoint, endpoint=endpoint, request=request)

    assert recorder.problem == "the request contains your API key"
    assert path.read_bytes() == header() + b"\n"
