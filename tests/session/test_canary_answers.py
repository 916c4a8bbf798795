"""Servers that repeat the key in an answer, and prompts that hold it: it is kept nowhere."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from support.canary import KEY, echoing, found_in
from support.loopback import (
    END,
    Answer,
    Loopback,
    captured,
    chunk,
    delta,
    head,
    numbered,
    sse,
    streamed,
    whole,
)

from mm_magic.conversation.reply import Reply
from mm_magic.conversation.saved_turn import turn_json
from mm_magic.errors import UsageError
from mm_magic.session.options import Options
from mm_magic.session.session import Session
from mm_magic.transport.body import take_in
from mm_magic.transport.recording.reader import read
from mm_magic.transport.recording.writer import Recorder, begin

SAID = f"Bearer {KEY}"
BYTES = sse(*echoing(SAID))
DOCUMENT = {
    "id": f"id-{KEY}",
    "type": "message",
    "role": "assistant",
    "model": KEY,
    "content": [
        {"type": "thinking", "thinking": f"{SAID} {SAID}", "signature": "5f"},
        {"type": "text", "text": SAID},
    ],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 1, "output_tokens": 5},
    "debug": {"headers": [SAID]},
}
ANSWERS: dict[str, Answer] = {
    "a stream": streamed(echoing(SAID)),
    "one read": [head(), chunk(BYTES), END],
    "small reads": [head(), *(chunk(BYTES[at : at + 7]) for at in range(0, len(BYTES), 7)), END],
    "compressed": [head(content_encoding="gzip"), chunk(gzip.compress(BYTES)), END],
    "a document": whole(200, DOCUMENT),
    "headers": [
        head(200, f"text/event-stream; of={KEY}", request_id=KEY, x_debug=SAID),
        chunk(BYTES),
        END,
    ],
    "no last event": [head(), chunk(sse(*echoing(SAID)[:-1])), END],
}


def session_for(server: Loopback) -> Session:
    return Session({"MINIMAX_BASE_URL": server.url, "MINIMAX_API_KEY": KEY})


def ask(session: Session, prompt: str = "Why?", **options: Any) -> Reply:
    return asyncio.run(session.turns.ask(prompt, Options(retries=0, **options), alone=False))


@pytest.mark.parametrize("way", ANSWERS)
def test_answer(way: str, tmp_path: Path) -> None:
    """A key in an answer, whole or in pieces, is in no reply, saved turn, request or recording."""
    tape = tmp_path / "tape.jsonl"
    with Loopback(ANSWERS[way]) as server:
        session = session_for(server)
        begin(tape, tape.name)
        session.recordings.recorder = Recorder(tape, tape.name)
        first = ask(session)
        again = ask(session)
    turn = session.latest.turn
    assert turn is not None
    kept = [repr(reply.message) for reply in (first, again)]
    kept += [json.dumps(turn_json(turn, session.conversations.state_of(turn)))]
    kept += [repr(each.reads) for each in session.latest.exchanges._kept]
    kept += [server.requests[-1].body.decode(), tape.read_text()]
    assert "…" in first.text
    assert first.thinking.count("…") >= 2
    assert found_in("\n".join(kept)) == []

    recorded = read(tape.read_bytes(), tape.name).exchanges[0]
    taken = take_in(recorded.content_type, recorded.reads, has_ended=True)
    assert taken.accumulator.message().text == first.text


def test_what_is_kept_is_sent_back() -> None:
    """The next request carries the answer as it was kept, and signatures as they came."""
    with Loopback(streamed(echoing(SAID))) as server:
        session = session_for(server)
        first = ask(session)
        ask(session)
        _, said, _ = server.requests[-1].json["messages"]
    assert [block for block in said["content"] if block["type"] == "text"] == [
        {"type": "text", "text": first.text}
    ]
    assert said["content"][0]["signature"] == "5f" * 32


def test_what_only_looks_like_the_key_stays() -> None:
    """All but the last character of a key, at the end of an answer too, is no key."""
    text = f"{KEY[:-1]} {KEY[:9]}! {KEY[:-1]}"
    cut = [delta(1, "text_delta", text=text[at : at + 6]) for at in range(0, len(text), 6)]
    events = captured()
    with Loopback(streamed([*events[:7], *cut, *events[8:]])) as server:
        assert ask(session_for(server)).text == text


def test_a_word_for_a_key() -> None:
    """A word that a server of one's own takes for a key may be in prompts, answers, recordings."""
    with Loopback(streamed(captured(text="ollama runs models"))) as server:
        session = Session({"MINIMAX_BASE_URL": server.url, "MINIMAX_API_KEY": "ollama"})
        assert ask(session, "What is ollama?").text == "ollama runs models"


def test_prompt() -> None:
    """A request that holds the key is not sent, wherever it is in it, and is shown without it."""
    with Loopback(*numbered()) as server:
        session = session_for(server)
        for options in ({}, {"system": f"The key is {KEY}."}, {"conversation": "b"}):
            prompt = "Why?" if options.get("system") else f"My key: {KEY}"
            with pytest.raises(UsageError, match="the request contains your API key") as caught:
                ask(session, prompt, **options)
            assert "Remove the key from the prompt" in caught.value.card()
            assert session.latest.request is not None
            assert found_in(session.latest.request.in_words()) == []
        assert not server.requests
        assert session.latest.turn is None
        assert ask(session, KEY[:-1]).text == "answer 1"
