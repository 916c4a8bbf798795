"""What the notebook file keeps of a turn, and the quiet line under the answer."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from support.asks import ask_of, said
from support.images import plain_image, png_header

from mm_magic.conversation.left_out import LeftOut
from mm_magic.conversation.reply import Reply
from mm_magic.conversation.saved_turn import UnreadableTurn, read_picks, read_turn, turn_json
from mm_magic.conversation.turn import Failure, Turn
from mm_magic.errors import NetworkError, ProtocolError, ServiceError
from mm_magic.jupyter.views.finished import picture_bundles
from mm_magic.prompt.prompt import Prompt
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
PICTURED = Prompt.of(["What is", plain_image(), "?"])
WORDLESS = replace(MESSAGE, content=(ThinkingBlock("Why", "5f5f"),))


def prepared(
    prompt: str = "Why?", *, url: str = URL, alone: bool = False, **options: Any
) -> TurnRequest:
    session = Session({"MINIMAX_BASE_URL": url, "MINIMAX_API_KEY": KEY})
    session.cells.begin("cell-1")
    return session.turns.request(ask_of(prompt, said(**options), alone=alone))


def saved_turn(asked: TurnRequest, reply: Reply) -> JsonObject:
    return turn_json(asked.turn(reply), None)


def test_a_picture_survives_the_file() -> None:
    """A turn whose prompt has a picture is the same turn when it is read again."""
    request = prepared()
    request = replace(request, ask=replace(request.ask, prompt=PICTURED))
    turn = request.turn(REPLY)
    again = read_turn(json.loads(json.dumps(turn_json(turn, None), sort_keys=True))).turn

    assert again.prompt == PICTURED
    assert (again.id, again.prints) == (turn.id, turn.prints)
    assert again.encoded(in_context=True) == turn.encoded(in_context=True)


@pytest.mark.parametrize(
    "source",
    [
        {"type": "base64", "media_type": "text/html", "data": "PHNjcmlwdD4="},
        {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo=\n"},
        {
            "type": "base64", "media_type": "image/png",
            "data": base64.b64encode(png_header(100_000, 100_000)).decode(),
        },
        {"type": "url", "url": "http://127.0.0.1/x.png"},
        "iVBORw0KGgo=",
    ],
)  # fmt: skip
def test_what_only_claims_to_be_a_picture(source: object) -> None:
    """A file can hold anything as a picture: what is none is kept, and neither drawn nor sent."""
    wire = {**saved_turn(prepared(), REPLY)}
    image = {"type": "image", "source": source}
    wire["prompt"] = [image, {"type": "text", "text": "Why?"}]
    turn = read_turn(wire).turn

    assert turn_json(turn, None)["prompt"] == wire["prompt"]
    assert picture_bundles(turn.prompt) == []
    assert turn.messages(in_context=True)[0]["content"] == [{"type": "text", "text": "Why?"}]
    wire["prompt"] = [image]
    assert read_turn(wire).turn.messages(in_context=True) == []


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
            "MiniMax-M2.7 · turn 1 · 1,039 in + 1,000 from cache / 41 out · $0.0004",
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

    assert f"this is the {here} address" in steps
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


@pytest.mark.parametrize("field", ["status", "backend"])
def test_unknown_status_or_backend(field: str) -> None:
    """What a later version may write there is not guessed: the turn is left out."""
    wire = saved_turn(prepared(), REPLY)
    assert read_turn(wire).turn.prompt.text == "Why?"
    for odd in ("later", None, 1):
        with pytest.raises(UnreadableTurn, match="status or backend"):
            read_turn({**wire, field: odd})


def test_a_pick_that_cannot_be_read_is_left_out() -> None:
    """The others of its record stay, with all that they have."""
    good: JsonObject = {"conversation": "main", "turn": "t", "answer": 2, "nth": 1, "later": True}
    odd: list[object] = [None, {}, {**good, "answer": 0}, {**good, "conversation": " "}]
    (found,) = read_picks({"picks": [*odd, good]})
    assert (found.conversation, found.turn_id, found.answer) == ("main", "t", 2)
    assert (found.index_in_cell, found.is_copy, found.extra) == (1, False, {"later": True})


# Several answers


def a_turn() -> Turn:
    return prepared().turn(REPLY)


def compared() -> Turn:
    """A turn whose cell got three answers: the first was stopped, the third failed."""
    turn = replace(a_turn(), answer=2, sample=1)
    first = replace(
        turn,
        answer=1,
        sample=0,
        parameters=turn.parameters | {"temperature": 0.1},
        reply=replace(REPLY, seconds=2.5, status="stopped"),
    )
    lost = Reply(Message(role="assistant", content=()), "incomplete", "minimax")
    third = replace(turn, answer=3, reply=lost, failure=Failure("rate_limit", "slow down"))
    return replace(turn, others=(first, third))


def test_several_answers_make_a_round_trip() -> None:
    """All answers come back as they were, in order, with what each has for itself."""
    turn = compared()
    wire: Any = json.loads(json.dumps(turn_json(turn, None)))
    found = read_turn(wire).turn

    assert turn_json(found, None) == wire
    assert [each.answer for each in found.answers] == [1, 2, 3]
    assert found.answers[0].parameters["temperature"] == 0.1
    assert wire["answers"][0]["seconds"] == found.answers[0].reply.seconds == 2.5
    assert found.answers[2].failure == Failure("rate_limit", "slow down")
    assert [each.reply.text for each in found.answers] == [each.reply.text for each in turn.answers]
    assert found.id == turn.id
    assert not {"prompt", "conversation", "number"} & wire["answers"][0].keys()


def test_a_turn_as_its_cell_made_it() -> None:
    """Whichever answer was picked since, a file keeps the first one that is complete."""
    turn = compared()
    first = turn.as_made
    assert (first.answer, turn.choices) == (2, [1, 2])
    for picked in (turn.with_answer(number) for number in turn.choices):
        assert picked.as_made.answer == first.answer
        assert [each.answer for each in picked.as_made.answers] == [1, 2, 3]


def test_unknown_fields_of_answers_survive() -> None:
    """What a later release adds to an answer is kept."""
    wire: Any = turn_json(compared(), None)
    wire["answers"][0]["mood"] = "good"

    assert turn_json(read_turn(wire).turn, None) == wire


@pytest.mark.parametrize(
    "answers", [None, 1, "x", [1], [{}], [{"steps": []}], [{"answers": [{}]}], {"a": 1}]
)
def test_answers_that_are_none(answers: object) -> None:
    """An answer that can't be read costs only itself."""
    wire = turn_json(a_turn(), None) | {"answers": answers}

    assert read_turn(wire).turn.others == ()


@pytest.mark.parametrize("own", [0, 2, -1, "x"])
def test_answers_with_the_same_number(own: object) -> None:
    """Of answers with one number the first is read, and none beside a turn without one."""
    wire: Any = turn_json(compared(), None)
    broken, whole = wire["answers"][1], wire["answers"][0]
    wire["answers"] = [broken | {"answer": 2}, whole, broken | {"answer": 1}, whole | {"answer": 0}]
    found = read_turn(wire | {"answer": own}).turn

    assert [each.answer for each in found.answers] == ([1, 2] if own == 2 else [0])
    assert all(each.reply.may_enter() for each in found.answers)


def test_unknown_kind_of_error() -> None:
    """An error of a kind that this release does not know is a server's."""
    wire: Any = turn_json(compared(), None)
    wire["answers"][1]["error"] = {"kind": "mood", "message": 1}

    assert read_turn(wire).turn.answers[2].failure == Failure("server", "")


LEFT_OUT = [LeftOut("2"), LeftOut("system"), LeftOut("notes", Prompt.of_text("Without."))]


@pytest.mark.parametrize("left_out", LEFT_OUT, ids=lambda each: each.what)
def test_what_was_left_out_makes_a_round_trip(left_out: LeftOut) -> None:
    """An answer comes back with what its request lacked, and with the prompt that was sent."""
    turn = replace(a_turn(), without=left_out)
    wire: Any = json.loads(json.dumps(turn_json(turn, None)))
    found = read_turn(wire).turn

    assert found.without == left_out
    assert found.prompt == turn.prompt
    assert found.sent_prompt == turn.sent_prompt
    assert turn_json(found, None) == wire


@pytest.mark.parametrize(
    "left_out",
    [1, "2", {}, {"what": 2}, {"what": "0"}, {"what": "1" * 10}, {"what": "a b"}, {"what": "notes"},
     {"what": "notes", "prompt": ""}, {"what": "2", "prompt": "x"}, {"what": "٢"},
     {"what": "system", "prompt": "x"}],
)  # fmt: skip
def test_left_out_is_not_guessed(left_out: object) -> None:
    """An answer is not read where it can't be told what its request lacked."""
    wire: Any = turn_json(compared(), None)
    wire["answers"][0]["without"] = left_out

    assert [each.answer for each in read_turn(wire).turn.answers] == [2, 3]


def test_one_answer_has_no_new_field() -> None:
    """A turn that was asked alone is saved as before."""
    assert not {"answer", "answers", "error", "without"} & turn_json(a_turn(), None).keys()
