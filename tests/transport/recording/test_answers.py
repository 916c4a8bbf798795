"""Answers are found by their request, whichever version of mm_magic wrote the file."""

from dataclasses import replace

from support.timing import calls_of

from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.recording.file_format import RecordedExchange
from mm_magic.transport.recording.player import Replay
from mm_magic.transport.recording.version_1 import keys_for

KEY = RequestKey({"temperature": 1}, (), {"role": "user", "content": "Why?"})
OLD = keys_for(KEY, "MiniMax-M2.7")[0]
MODEL = "MiniMax-M2.7"


def exchange(key: RequestKey, sample: int = 0) -> RecordedExchange:
    return RecordedExchange(key, sample, "", "minimax", "1", None, "complete", 200, "", ())


def test_look_up_makes_no_key() -> None:
    """In a file without lines of version 0.1 a look-up is less work than to make one key."""
    replay = Replay([exchange(KEY)])

    assert replay.answers(KEY, MODEL)
    making = calls_of(lambda: RequestKey(KEY.options, KEY.earlier, KEY.prompt))
    assert calls_of(lambda: replay.answers(KEY, MODEL)) < making


def test_lines_of_both_versions() -> None:
    """A line of version 0.1 answers the request of today, beside newer lines, in either order."""
    old, new = replace(exchange(OLD), is_version_1=True), exchange(KEY, sample=1)

    for lines in ([old, new], [new, old]):
        replay = Replay(lines)
        assert replay.answers(KEY, MODEL) == {0: old, 1: new}
        assert replay.counted_as(KEY, MODEL) == OLD.hash
        assert replay.most == 2


def test_no_answers() -> None:
    """Nothing is found in an empty recording, and a request counts under its own hash."""
    replay = Replay([])

    assert (replay.answers(KEY, MODEL), replay.most) == ({}, 0)
    assert replay.counted_as(KEY, MODEL) == KEY.hash
