"""The file of a recording: its lines, and what is damaged in it."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.recordings import ASKED, EARLIER, EXCHANGE, NIGHT, file_of

from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import JsonObject
from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.recording.file_format import RecordedExchange, Recording, header
from mm_magic.transport.recording.reader import read

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


@pytest.mark.parametrize("more", [{"weather": ["fair"]}, {"hash": "of version 0.1", "nth": 1}])
def test_unknown_fields_survive(more: JsonObject) -> None:
    """What a later release adds to a line is read, and written again; also a name of 0.1's."""
    line = json.dumps(json.loads(EXCHANGE.to_line()) | more).encode()
    (found,) = read(header() + b"\n" + line, "r").exchanges

    assert found.extra == more
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
            "its request holds something that is not a message",
        ),
        (
            "request",
            {"options": {}, "earlier": ["a"], "prompt": {}},
            "its request holds something that is not a message",
        ),
        ("key", "0123456789abcdef", "its request was changed after it was recorded"),
        ("backend", "somebody", "its backend or ending is unknown"),
        ("ending", ["complete"], "its backend or ending is unknown"),
        ("status", True, "it has no answer"),
        ("status", 99, "it has no answer"),
        ("reads", None, "it has no answer"),
        ("reads", [[-1, "a"]], "its answer holds a part that can't be read"),
        ("reads", [[1e999, "a"]], "its answer holds a part that can't be read"),
        ("reads", [[1, {"base64": "?"}]], "its answer holds a part that can't be read"),
        ("reads", [["1", "a"]], "its answer holds a part that can't be read"),
        ("reads", [[1, 2]], "its answer holds a part that can't be read"),
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
    assert caught.value.next_steps == ("To make one: `%minimax record FILE`",)


def test_newer_file_is_told() -> None:
    """A file of a later release is named as such."""
    with pytest.raises(UsageError, match="'r' was written by a later release"):
        read(b'{"format":"mm_magic recording","version":3}\n', "r")
