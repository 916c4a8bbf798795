"""A key that a server repeats: found in bytes, words and events, wherever it is cut."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.timing import calls_of

from mm_magic.protocol.events import (
    ContentBlockStop,
    Event,
    InputJsonDelta,
    MessageStop,
    Ping,
    SignatureDelta,
    TextDelta,
    ThinkingDelta,
)
from mm_magic.protocol.redaction import (
    MIN_KEY,
    RedactedBody,
    RedactedEvents,
    holds_key,
    redacted,
)

KEY = "sk-api-Zq81-b1d5e7f0"
ODD = 'sk"\\/api-Zq81-b1d5'  # each of its odd characters is another one in JSON
DELTAS = [TextDelta, ThinkingDelta, InputJsonDelta]


def body(key: str, reads: list[bytes]) -> bytes:
    found = RedactedBody(key)
    return b"".join([*map(found.take, reads), found.flush()])


def text_of(events: list[Event], key: str = KEY) -> str:
    """The text of the deltas that are left, joined."""
    redaction = RedactedEvents(key)
    passed = [*redaction.take(events), *redaction.flush()]
    return "".join(str(getattr(event, "text", "")) for event in passed)


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({place % (len(text) + 1) for place in places} | {len(text)})
    return [text[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(
    st.lists(st.sampled_from([KEY, KEY[:5], KEY[:11], "s", "sk", "a word ", "é"]), max_size=8),
    st.lists(st.integers(0, 200), max_size=12),
)
def test_any_cuts(parts: list[str], places: list[int]) -> None:
    """However a text is cut, the key is replaced in it, and nothing else is changed."""
    text = "".join(parts)
    whole = text.replace(KEY, "…")
    pieces = cut(text, places)
    assert body(KEY, [piece.encode() for piece in pieces]).decode() == whole
    left = text_of([TextDelta(0, piece) for piece in pieces])
    assert left == text.replace(KEY, f"{KEY[:7]}…")


@given(st.text("ab", min_size=MIN_KEY, max_size=14), st.text("ab", max_size=60), st.data())
def test_key_that_repeats_itself(key: str, text: str, data: st.DataObject) -> None:
    """A key whose end is like its beginning is found as in one piece."""
    pieces = cut(text, data.draw(st.lists(st.integers(0, 60), max_size=9)))
    assert body(key, [piece.encode() for piece in pieces]).decode() == text.replace(key, "…")
    deltas: list[Event] = [TextDelta(0, piece) for piece in pieces]
    assert text_of(deltas, key) == text.replace(key, f"{key[:7]}…")


@pytest.mark.parametrize("write", [json.dumps, lambda key: json.dumps(key).replace("/", r"\/")])
def test_key_in_json(write: "type[str]") -> None:
    """In JSON the key is found as writers of JSON escape it."""
    data = f'{{"text": {write(ODD)}}}'.encode()
    assert holds_key(data, ODD)
    assert (
        body(ODD, [data[at : at + 3] for at in range(0, len(data), 3)]) == '{"text": "…"}'.encode()
    )
    assert redacted(data.decode(), ODD) == '{"text": "…"}'


@pytest.mark.parametrize("kind", DELTAS)
@pytest.mark.parametrize("size", [1, 3, 8, 19])
def test_pieces_in_a_block(kind: type[TextDelta], size: int) -> None:
    """A key is found in the pieces of a block, beside those of another one and behind a ping."""
    redaction = RedactedEvents(KEY)
    passed: list[Event] = []
    for at in range(0, len(KEY), size):
        passed += redaction.take([kind(0, KEY[at : at + size]), Ping(), kind(1, "x")])
    passed += redaction.take([kind(0, "."), ContentBlockStop(0), MessageStop()])
    own = "".join(next(iter(vars_of(e))) for e in passed if isinstance(e, kind) and e.index == 0)
    assert own == ("…." if "partial_json" in kind.__slots__ else "sk-api-….")


def vars_of(event: TextDelta | ThinkingDelta | InputJsonDelta) -> list[str]:
    names = (name for name in type(event).__slots__ if name != "index")
    return [str(getattr(event, name)) for name in names]


def test_what_only_begins_like_a_key() -> None:
    """It is held back until it is known what follows, and then it is all there."""
    redaction = RedactedEvents(KEY)
    begin = TextDelta(0, f"It begins: {KEY[:-1]}")
    assert redaction.take([TextDelta(0, "words")]) == [TextDelta(0, "words")]
    assert redaction.take([begin]) == [TextDelta(0, "It begins: sk-api-")]
    stop = ContentBlockStop(0)
    assert redaction.take([stop]) == [TextDelta(0, KEY[7:-1]), stop]


def test_signatures_stay() -> None:
    """A signature is passed on as it came."""
    signature = SignatureDelta(0, KEY)
    assert RedactedEvents(KEY).take([signature]) == [signature]


@pytest.mark.parametrize("key", ["", "ollama", "lm-studio", "x" * (MIN_KEY - 1)])
def test_a_word_is_no_key(key: str) -> None:
    """What servers of one's own take for a key, such as `ollama`, may stand in an answer."""
    events: list[Event] = [TextDelta(0, key)]
    assert RedactedEvents(key).take(events) is events
    assert body(key, [key.encode()]) == key.encode()
    assert redacted(key, key) == key
    assert not holds_key(key.encode(), key)


@pytest.mark.parametrize("part", [KEY, KEY[:-1], KEY[0]])
def test_work_is_linear(part: str) -> None:
    """Many keys, and many beginnings of one, take work that grows with the text alone."""

    def steps(count: int) -> int:
        deltas: list[Event] = [TextDelta(0, part) for _ in range(count)]
        return calls_of(lambda: (text_of(deltas), body(KEY, [part.encode() * count])))

    assert steps(4000) < 4.5 * steps(1000)


def test_many_blocks_take_linear_work() -> None:
    """Blocks that all end like a beginning of a key cost no more than others, with or without a
    stop."""

    def steps(count: int, *after: Event) -> int:
        events: list[Event] = []
        for index in range(count):
            events += [TextDelta(index, KEY[:10]), *after]
        return calls_of(lambda: text_of(events))

    for after in ([], [ContentBlockStop(0)]):
        assert steps(4000, *after) < 4.5 * steps(1000, *after)


def test_no_attribute_shows_the_key() -> None:
    """Whoever lists the variables of what looks for the key does not see it."""
    redaction, found = RedactedEvents(KEY), RedactedBody(KEY)
    redaction.take([TextDelta(0, "word")])
    parts = [*redaction._forms.values(), *found._forms]
    assert KEY not in repr([vars(each) for each in (redaction, found, *parts)])
    assert KEY not in repr(vars(re)).replace("\\\\", "")
