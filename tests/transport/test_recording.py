"""The file of a recording: its lines, what is damaged in it, and how exchanges come into it."""

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
from hypothesis import given
from hypothesis import strategies as st
from support.loopback import (
    END,
    Answer,
    Loopback,
    captured,
    chunk,
    close,
    failure,
    head,
    sse,
    stall,
)
from support.loopback import delta as loopback_delta
from support.taking import PROMPT, new_client
from support.wire import BEGIN, STOP

from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.protocol.json_values import JsonObject
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

NIGHT: JsonObject = {"role": "user", "content": "And at night?"}
EARLIER = (("0123456789abcdef", "fedcba9876543210"),)
ASKED: JsonObject = {"model": "MiniMax-M2.5", "temperature": 0.3, "max_tokens": 2048}
REQUEST_KEY = RequestKey(ASKED, EARLIER, NIGHT)
EXCHANGE = RecordedExchange(
    key=REQUEST_KEY,
    sample=1,
    day="2026-11-20",
    backend="minimax",
    server="1",
    model="MiniMax-M2.7",
    ending="complete",
    status=200,
    content_type="text/event-stream",
    reads=((0.153, b"event: ping\ndata: {}\n\n"), (1.2, "…".encode()[:1])),
)


def file_of(*exchanges: RecordedExchange) -> bytes:
    return b"\n".join([header(), *(each.to_line() for each in exchanges), b""])


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
        assert str(server.port) not in path.read_text("utf-8")
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


# What a request means


@pytest.mark.parametrize(
    "same",
    [
        RequestKey(ASKED | {"temperature": 0.30}, EARLIER, NIGHT),
        RequestKey(ASKED | {"max_tokens": 2048.0}, EARLIER, NIGHT),
        RequestKey(dict(reversed(ASKED.items())), EARLIER, dict(reversed(NIGHT.items()))),
    ],
)
def test_hash_of_the_same_meaning(same: RequestKey) -> None:
    """What means the same has the same hash: other forms of a number, another order of names."""
    assert same.hash == REQUEST_KEY.hash


@pytest.mark.parametrize(
    "other",
    [
        RequestKey({}, EARLIER, NIGHT),
        RequestKey(ASKED | {"model": "MiniMax-M2.7"}, EARLIER, NIGHT),
        RequestKey(ASKED | {"temperature": 0.31}, EARLIER, NIGHT),
        RequestKey(ASKED | {"top_p": 0.95}, EARLIER, NIGHT),
        RequestKey(ASKED | {"system": "Be brief."}, EARLIER, NIGHT),
        RequestKey(ASKED | {"thinking": {"type": "disabled"}}, EARLIER, NIGHT),
        RequestKey(ASKED, (), NIGHT),
        RequestKey(ASKED, (*EARLIER, *EARLIER), NIGHT),
        RequestKey(ASKED, ((*EARLIER[0], "0"),), NIGHT),
        RequestKey(ASKED, EARLIER, NIGHT | {"content": "And at night? "}),
    ],
)
def test_hash_of_another_meaning(other: RequestKey) -> None:
    """Any other option, prompt or earlier message is another request."""
    assert other.hash != REQUEST_KEY.hash


def test_hash_is_that_of_this_format() -> None:
    """The hash of a request is fixed: files that are out there hold it."""
    assert REQUEST_KEY.hash == "2d9046265fd1397f"
    assert RequestKey(ASKED, (), NIGHT).question == REQUEST_KEY.question


# Lines

reads = st.lists(
    st.tuples(st.integers(0, 10**6).map(lambda ms: ms / 1000), st.binary(max_size=20))
).map(tuple)
texts = st.text(max_size=20)
exchanges = st.builds(
    replace,
    st.just(EXCHANGE),
    key=st.builds(
        lambda text, system, earlier: RequestKey(
            {"model": "M", "system": system}, tuple(earlier), {"role": "user", "content": text}
        ),
        texts,
        texts,
        st.lists(st.sampled_from([("0123456789abcdef",), ("0", "1", "2")])),
    ),
    sample=st.integers(0, 9),
    model=st.none() | texts.filter(bool),
    content_type=texts,
    ending=st.sampled_from(["complete", "failed", "stopped", "broken"]),
    backend=st.sampled_from(["minimax", "url", "offline"]),
    status=st.integers(100, 599),
    reads=reads,
)


@given(st.lists(exchanges, max_size=3))
def test_round_trip(made: list[RecordedExchange]) -> None:
    """What is written is read back, to the byte and the millisecond, whatever text is in it."""
    assert read(file_of(*made), "r") == Recording(tuple(made))


def test_line_is_small() -> None:
    """Of the messages before the prompt a line keeps fingerprints; times are in milliseconds."""
    line = replace(EXCHANGE, reads=((0.1534999, b"a"), (2.0, b"\xff"))).to_line()
    wire = json.loads(line)

    assert wire["request"] == {
        "options": ASKED,
        "earlier": [list(turn) for turn in EARLIER],
        "prompt": NIGHT,
    }
    assert wire["reads"] == [[0.153, "a"], [2.0, {"base64": "/w=="}]]
    assert b"\n" not in line


def test_unknown_fields_survive() -> None:
    """What a later release adds to a line is read, and written again."""
    line = json.dumps(json.loads(EXCHANGE.to_line()) | {"weather": ["fair"]}).encode()
    (found,) = read(header() + b"\n" + line, "r").exchanges

    assert found.extra == {"weather": ["fair"]}
    assert json.loads(found.to_line()) == json.loads(line)


@given(st.binary(max_size=60) | st.just(b""), st.integers(0, 10**6))
def test_damaged_line_costs_only_itself(junk: bytes, place: int) -> None:
    """Whatever stands in a line, the others are read, and only that one is reported."""
    line = EXCHANGE.to_line()
    cut = place % len(line)
    damaged = (line[:cut] + junk + line[cut + 1 :]).replace(b"\n", b"")
    other = replace(EXCHANGE, sample=2)

    found = read(b"\n".join([header(), damaged, other.to_line()]), "r")

    assert found.exchanges[-1] == other
    assert len(found.exchanges) + len(found.damaged) == (2 if damaged.strip() else 1)
    assert [number for number, _ in found.damaged] in ([], [2])


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("request", {"options": {}, "earlier": []}, "its request has no prompt"),
        (
            "request",
            {"options": {}, "earlier": [[1]], "prompt": {}},
            "its request has a message that is none",
        ),
        (
            "request",
            {"options": {}, "earlier": ["a"], "prompt": {}},
            "its request has a message that is none",
        ),
        ("key", "0123456789abcdef", "its request was changed: the key is another one"),
        ("backend", "somebody", "its backend or ending is unknown"),
        ("ending", ["complete"], "its backend or ending is unknown"),
        ("status", True, "it has no answer"),
        ("status", 99, "it has no answer"),
        ("reads", None, "it has no answer"),
        ("reads", [[-1, "a"]], "its answer has a read that is none"),
        ("reads", [[1e999, "a"]], "its answer has a read that is none"),
        ("reads", [[1, {"base64": "?"}]], "its answer has a read that is none"),
        ("reads", [["1", "a"]], "its answer has a read that is none"),
        ("reads", [[1, 2]], "its answer has a read that is none"),
    ],
)
def test_damaged_field_is_told(field: str, value: object, why: str) -> None:
    """A line that is JSON and no exchange says what is wrong with it."""
    line = json.dumps(json.loads(EXCHANGE.to_line()) | {field: value}).encode()

    assert read(header() + b"\n" + line, "r") == Recording((), ((2, why),))


def test_file_that_went_through_an_editor() -> None:
    """A byte order mark, CRLF, empty lines and a second file behind the first are no damage."""
    data = b"\xef\xbb\xbf" + file_of(EXCHANGE).replace(b"\n", b"\r\n") + b"\r\n" + file_of(EXCHANGE)

    assert read(data, "r") == Recording((EXCHANGE, EXCHANGE))


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"{}", b"[1]", EXCHANGE.to_line(), b'{"format":"mm_magic recording"}', b"\xff{"],
)
def test_not_a_recording(data: bytes) -> None:
    """A file that does not begin as one is no recording, and the error says how one is made."""
    with pytest.raises(UsageError, match=r"'notes\.txt' is not a recording") as caught:
        read(data, "notes.txt")
    assert caught.value.next_steps == ("`%minimax record FILE` makes one, in a file of its own.",)


def test_newer_file_is_told() -> None:
    """A file of a later release is named as such."""
    with pytest.raises(UsageError, match="a later release of mm_magic wrote 'r': its version is 3"):
        read(b'{"format":"mm_magic recording","version":3}\n', "r")


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
        (EXCHANGE, EXCHANGE), ((3, "it is not whole JSON"),)
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
        "'r.jsonl' is not a recording any more",
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


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        ([head(), *WHOLE, END], "complete"),
        ([head(), *WHOLE, stall], "complete"),
        ([head(), *WHOLE, close], "complete"),
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


def test_prompt_has_no_text_where_it_is_none() -> None:
    """A prompt of blocks has no text to compare with."""
    assert RequestKey({}, (), {"content": [{"type": "text"}]}).text == ""
