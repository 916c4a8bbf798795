"""What the notebook file keeps of a turn, and the quiet line under the answer."""

import json
from dataclasses import replace
from typing import Any

import pytest
from support.asks import ask_of, said

from mm_magic.conversation.reply import Reply
from mm_magic.conversation.saved_turn import turn_json
from mm_magic.errors import NetworkError, ProtocolError, ServiceError
from mm_magic.protocol.json_values import JsonObject
from mm_magic.protocol.messages import Message, TextBlock, ThinkingBlock, Usage
from mm_magic.rendering.status_line import status_notes, status_parts
from mm_magic.session.next_steps import next_steps
from mm_magic.session.session import Session
from mm_magic.session.turn_request import TurnRequest
from mm_magic.session.who_answers import TypedKey
from mm_magic.transport.endpoint import Endpoint, Secret

KEY = "sk-live-4f6e"
URL = "http://127.0.0.1:8000/v1"
USAGE = Usage(input_tokens=1039, output_tokens=41, cache_read_input_tokens=None)
MESSAGE = Message(
    id="05b5",
    model="MiniMax-M2.7",
    content=(ThinkingBlock("Why", "5f5f"), TextBlock("Because")),
    usage=USAGE,
    stop_reason="end_turn",
)
REPLY = Reply(MESSAGE, thinking_seconds=1.25)
WORDLESS = replace(MESSAGE, content=(ThinkingBlock("Why", "5f5f"),))


def prepared(
    prompt: str = "Why?", *, url: str = URL, alone: bool = False, **options: Any
) -> TurnRequest:
    session = Session({"MINIMAX_BASE_URL": url, "MINIMAX_API_KEY": KEY})
    session.begin_cell("cell-1")
    return session.build(ask_of(prompt, said(**options), alone=alone))


def saved_turn(asked: TurnRequest, reply: Reply) -> JsonObject:
    return turn_json(asked.turn(reply), None)


def test_saved_turn_is_enough_to_go_on() -> None:
    """The saved turn holds prompt, content with signatures, parameters, usage and place."""
    turn = saved_turn(prepared(system="Be brief"), REPLY)

    assert turn["version"] == 2
    assert (turn["conversation"], turn["number"], turn["prompt"]) == ("main", 1, "Why?")
    assert turn["steps"] == [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Why", "signature": "5f5f"},
                {"type": "text", "text": "Because"},
            ],
        }
    ]
    assert turn["said"] == ["system"]
    assert turn["asked"] == {
        "model": "MiniMax-M2.7",
        "system": "Be brief",
        "stream": True,
        "max_tokens": 2048,
    }
    assert turn["model"] == "MiniMax-M2.7"
    assert (turn["status"], turn["stop_reason"]) == ("complete", "end_turn")
    assert turn["usage"] == {"input_tokens": 1039, "output_tokens": 41}


def test_saved_turn_holds_no_key_address_or_cell() -> None:
    """Neither the key nor the address nor the cell's id is in the saved turn."""
    text = json.dumps(saved_turn(prepared(), REPLY))

    for secret in (KEY, "127.0.0.1", "8000", "cell-1"):
        assert secret not in text


def test_same_turn_has_the_same_id() -> None:
    """The id depends on conversation, place, prompt and content, and on nothing else."""
    turn = saved_turn(prepared(), REPLY)

    again = saved_turn(prepared(temperature=0.1), replace(REPLY, thinking_seconds=9.0))
    assert again["id"] == turn["id"]
    others = [
        saved_turn(prepared("How?"), REPLY),
        saved_turn(prepared(conversation="side"), REPLY),
        saved_turn(prepared(alone=True), REPLY),
        saved_turn(prepared(), Reply(replace(MESSAGE, content=(TextBlock("No"),)))),
    ]
    assert len({turn["id"], *(other["id"] for other in others)}) == 5


def test_saved_turn_is_json_that_utf8_can_hold() -> None:
    """Lone halves of a surrogate pair, as some servers split an emoji, are joined or replaced."""
    halves = (TextBlock("\ud83d\ude00 \ud83d"),)

    turn = saved_turn(prepared("\ud83d"), Reply(replace(MESSAGE, content=halves)))

    content = [{"type": "text", "text": "😀 �"}]
    assert turn["steps"] == [{"role": "assistant", "content": content}]
    json.dumps(turn, ensure_ascii=False).encode()


# The quiet line


@pytest.mark.parametrize(
    ("reply", "options", "line"),
    [
        (REPLY, {}, "MiniMax-M2.7 · turn 1 · 1,039 in / 41 out · $0.0004"),
        (
            REPLY,
            {"conversation": "side"},
            "MiniMax-M2.7 · side: turn 1 · 1,039 in / 41 out · $0.0004",
        ),
        (
            replace(REPLY, seconds=4.25),
            {},
            "MiniMax-M2.7 · turn 1 · 1,039 in / 41 out · $0.0004 · 4.2 s",
        ),
        (REPLY, {"alone": True}, "MiniMax-M2.7 · alone · 1,039 in / 41 out · $0.0004"),
        (
            Reply(replace(MESSAGE, usage=replace(USAGE, cache_read_input_tokens=1000))),
            {},
            "MiniMax-M2.7 · turn 1 · 1,039 in / 41 out · 1,000 cached · $0.0004",
        ),
        (
            Reply(replace(MESSAGE, usage=Usage(input_tokens=1, output_tokens=1))),
            {},
            "MiniMax-M2.7 · turn 1 · 1 in / 1 out · under $0.0001",
        ),
        (
            Reply(replace(MESSAGE, usage=Usage(output_tokens=3))),
            {},
            "MiniMax-M2.7 · turn 1 · ? in / 3 out",
        ),
        (
            Reply(replace(MESSAGE, usage=Usage(), stop_reason="tool_use")),
            {},
            "MiniMax-M2.7 · turn 1 · stop reason: tool_use",
        ),
        (Reply(MESSAGE, backend="url"), {}, "MiniMax-M2.7 · turn 1 · 1,039 in / 41 out"),
        (Reply(replace(MESSAGE, model="New")), {}, "New · turn 1 · 1,039 in / 41 out"),
        (
            Reply(MESSAGE, backend="offline"),
            {},
            "Offline demo, not a language model · turn 1 · 1,039 in / 41 out",
        ),
        (Reply(MESSAGE, "stopped"), {}, "MiniMax-M2.7 · turn 1 · stopped"),
        (Reply(MESSAGE, "incomplete"), {}, "MiniMax-M2.7 · incomplete, not remembered"),
        (Reply(MESSAGE, "incomplete"), {"alone": True}, "MiniMax-M2.7 · alone · incomplete"),
        (Reply(WORDLESS, "stopped"), {}, "MiniMax-M2.7 · stopped, not remembered"),
        (Reply(WORDLESS), {}, "MiniMax-M2.7 · 1,039 in / 41 out · $0.0004"),
        (Reply(Message(), "incomplete"), {"model": "Mine"}, "Mine · no answer"),
        (Reply(Message(), "stopped"), {}, "MiniMax-M2.7 · stopped"),
        (Reply(Message(), "stopped"), {"alone": True}, "MiniMax-M2.7 · alone · stopped"),
        (
            Reply(Message(), "incomplete", "offline"),
            {},
            "Offline demo, not a language model · no answer",
        ),
    ],
)
def test_status_line(reply: Reply, options: dict[str, Any], line: str) -> None:
    """The line names who answered, the place, tokens and price, and what is out of the ordinary."""
    assert " · ".join(status_parts(prepared(**options).turn(reply))) == line


@pytest.mark.parametrize(
    ("message", "note"),
    [
        (replace(MESSAGE, model="New"), "MiniMax-M2.7 was asked for, but New answered."),
        (
            replace(MESSAGE, stop_reason="max_tokens", usage=Usage()),
            "The answer was cut off at max_tokens 2048. For a longer answer: "
            "`%%minimax --max-tokens 8192`",
        ),
        (
            replace(MESSAGE, stop_reason="max_tokens"),
            "The service cut the answer off after 41 tokens, short of max_tokens 2048.",
        ),
        (replace(MESSAGE, content=(ThinkingBlock("Why"),)), "has no text, so it is not remembered"),
    ],
)
def test_notes(message: Message, note: str) -> None:
    """A note tells of another model, a cut, and a reply that is not remembered."""
    (found,) = status_notes(prepared().turn(Reply(message)))

    assert note in found


def test_ordinary_reply_has_no_notes() -> None:
    """An ordinary reply has nothing below the line."""
    assert status_notes(prepared().turn(REPLY)) == []


# What to do next


@pytest.mark.parametrize(
    ("host", "here", "other"),
    [
        ("api.minimax.io", "global", "https://api.minimaxi.com/anthropic"),
        ("api.minimaxi.com", "China", "https://api.minimax.io/anthropic"),
        ("api.minimax.cn", "China", "https://api.minimax.io/anthropic"),
    ],
)
def test_refused_key_names_the_other_region(host: str, here: str, other: str) -> None:
    """A key that is refused may be of the other region: its address is told."""
    error = ServiceError("invalid api key", kind="auth", code=2049)

    steps = " ".join(next_steps(error, Endpoint(f"https://{host}/anthropic", Secret(KEY))))

    assert f"this address is the {here} one" in steps
    assert f"MINIMAX_BASE_URL={other}" in steps


def test_own_steps_come_first() -> None:
    """An error that knows what to do says that and nothing else."""
    error = ProtocolError("a login page came", next_steps=("Log in.",))

    assert next_steps(error, None) == ("Log in.",)


def test_steps_name_only_what_is_on_the_card() -> None:
    """The request id is spoken of only where there is one."""
    error = NetworkError("broken", kind="protocol")
    assert "request ID" not in " ".join(next_steps(error, None))

    error.request_id = "req-7"
    assert "request ID" in " ".join(next_steps(error, None))


def test_typed_key_shows_nothing() -> None:
    """The key from the prompt shows itself in no repr."""
    assert KEY not in repr(TypedKey(Secret(KEY), "127.0.0.1")) + repr(prepared())
