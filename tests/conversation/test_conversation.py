"""Turns: their order, running one again, and what of them is sent."""

import json
import tracemalloc
from dataclasses import replace
from typing import Any, cast

import pytest
from support.timing import calls_of

from mm_magic.conversation.conversation import Conversation, State
from mm_magic.conversation.history import History
from mm_magic.conversation.reply import Reply, Status
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.conversation.versions import former_version, succeeding
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.messages import (
    Block,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolUseBlock,
    UnknownBlock,
)
from mm_magic.transport.endpoint import Backend

SERVER: dict[str, Any] = {
    "model": "MiniMax-M2.7",
    "server": "https://api.minimax.io/anthropic",
    "system": "",
}
THOUGHT: dict[str, object] = {"type": "thinking", "thinking": "Hm.", "signature": "5f"}


def reply(
    text: str = "Blue.",
    status: Status = "complete",
    backend: Backend = "minimax",
    thought: bool = True,
) -> Reply:
    blocks: list[Block] = [ThinkingBlock("Hm.", "5f")] if thought else []
    return Reply(Message(content=(*blocks, TextBlock(text))), status, backend)


def run(
    conversation: Conversation, cell: str | None, prompt: str, answer: Reply, **asked: Any
) -> list[Any]:
    """One turn, as a session makes it; returns the messages that were sent before its prompt."""
    key = TurnKey(cell, 0) if cell else None
    before = conversation.history(conversation.place(key), **(SERVER | asked))
    number = conversation.number_at(conversation.place(key))
    turn = turn_of(number, key, prompt, answer, before)
    assert conversation.commit(turn).number == number
    return messages_of(before)


def turn_of(number: int, key: TurnKey | None, prompt: str, answer: Reply, before: History) -> Turn:
    asked = Prompt.of_text(prompt)
    return Turn("main", number, key, asked, answer, {}, before.context_hash, before.turns_hash)


def messages_of(history: History) -> list[Any]:
    """The messages as values."""
    return list(json.loads(b"[%b]" % b",".join(history.messages)))


def pair(prompt: str, text: str, *, thought: bool = True) -> list[dict[str, object]]:
    content = [*([THOUGHT] if thought else []), {"type": "text", "text": text}]
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": content}]


def three_turns() -> Conversation:
    conversation = Conversation("main")
    for cell in "abc":
        run(conversation, cell, f"prompt {cell}", reply(f"answer {cell}"))
    return conversation


def test_turns_before_a_cell_are_sent_in_order() -> None:
    """A new turn carries all earlier ones, thinking with its signature included."""
    conversation = three_turns()
    sent = run(conversation, "d", "prompt d", reply())
    assert sent == [m for cell in "abc" for m in pair(f"prompt {cell}", f"answer {cell}")]
    assert [turn.number for turn in conversation.turns] == [1, 2, 3, 4]


def test_running_a_cell_again_replaces_its_turn_in_place() -> None:
    """A cell that runs again carries what stands before it, never its own old turn."""
    conversation = three_turns()
    sent = run(conversation, "b", "changed", reply("new"))
    assert sent == pair("prompt a", "answer a")
    assert [(turn.number, turn.prompt.text) for turn in conversation.turns] == [
        (1, "prompt a"),
        (2, "changed"),
        (3, "prompt c"),
    ]


def test_thinking_after_a_changed_turn_is_left_out() -> None:
    """Thinking that was made with an older answer above is not sent back; the rest is."""
    conversation = three_turns()
    run(conversation, "b", "changed", reply("new"))
    assert run(conversation, "d", "prompt d", reply()) == [
        *pair("prompt a", "answer a"),
        *pair("changed", "new"),
        *pair("prompt c", "answer c", thought=False),
    ]


@pytest.mark.parametrize(
    "changed", [{"model": "MiniMax-M3"}, {"server": "http://127.0.0.1"}, {"system": "Be brief."}]
)
def test_thinking_stays_in_its_context(changed: dict[str, str]) -> None:
    """Another model, server or system prompt gets the turns without their thinking."""
    conversation = three_turns()
    sent = run(conversation, None, "next", reply(), **changed)
    assert sent == [m for c in "abc" for m in pair(f"prompt {c}", f"answer {c}", thought=False)]


def test_same_run_again_keeps_thinking() -> None:
    """A turn that ran again and came out the same spoils no thinking below it."""
    conversation = three_turns()
    run(conversation, "b", "prompt b", reply("answer b"))
    sent = run(conversation, "d", "prompt d", reply())
    assert sent == [m for cell in "abc" for m in pair(f"prompt {cell}", f"answer {cell}")]


def test_demo_turns_go_to_the_demo_only() -> None:
    """What the offline demo wrote is never sent to a model as if a model had said it."""
    conversation = Conversation("main")
    run(conversation, "a", "prompt a", reply("scripted", backend="offline"), server="offline")
    run(conversation, "b", "prompt b", reply("real"))
    for_model = conversation.history(**SERVER)
    for_demo = conversation.history(**(SERVER | {"server": "offline"}))
    assert messages_of(for_model) == pair("prompt b", "real")
    assert (for_model.sent, for_model.demo_left_out) == (1, 1)
    assert (for_demo.sent, for_demo.demo_left_out) == (2, 0)


def test_without_a_cell_every_run_appends() -> None:
    """Where no cell is known, the same prompt twice makes two turns."""
    conversation = Conversation("main")
    for _ in range(2):
        run(conversation, None, "Hi", reply())
    assert [turn.number for turn in conversation.turns] == [1, 2]


def test_numbers_are_not_used_again() -> None:
    """The number of a turn that was taken out stays unused."""
    conversation = three_turns()
    conversation.remove_keys({TurnKey("c", 0)})
    conversation.remove_keys({TurnKey("nobody's", 0)})
    run(conversation, "d", "prompt d", reply())
    assert [turn.number for turn in conversation.turns] == [1, 2, 4]


@pytest.mark.parametrize(
    ("answer", "enters"),
    [
        (reply(), True),
        (reply(status="stopped"), True),
        (reply(status="incomplete"), False),
        (reply(""), False),
        (reply(" \n"), False),
        (reply(" \n", "stopped"), False),
    ],
)
def test_what_enters_a_conversation(answer: Reply, enters: bool) -> None:
    """Complete and stopped replies with text enter; broken and empty ones don't."""
    assert answer.may_enter() is enters


@pytest.mark.parametrize(
    ("blocks", "kept"),
    [
        ([TextBlock("a"), ThinkingBlock("cut off")], ["text"]),
        ([ThinkingBlock("Hm.", "5f"), TextBlock("\n\n"), TextBlock("a")], ["thinking", "text"]),
        ([TextBlock("a"), ToolUseBlock("1", "f", {})], ["text"]),
        ([ThinkingBlock(" \n", "5f"), TextBlock("a")], ["text"]),
        ([TextBlock("a"), ToolUseBlock("1", "f", "no JSON")], ["text"]),
        ([UnknownBlock({"type": "redacted_thinking", "data": "x"})], ["redacted_thinking"]),
        ([TextBlock("a"), UnknownBlock({"type": "server_tool_use", "id": "1"})], ["text"]),
        ([TextBlock("a"), UnknownBlock({"type": "tool_result", "tool_use_id": "1"})], ["text"]),
    ],
)
def test_what_the_service_refuses_is_not_sent(blocks: list[Block], kept: list[str]) -> None:
    """No white-space text, thinking at the end, or call without its result; unknown blocks stay."""
    turn = Turn("main", 1, None, Prompt.of_text("Hi"), Reply(Message(content=blocks)), {}, "", "")
    _, answer = turn.messages(in_context=True)
    assert [block["type"] for block in cast("Any", answer)["content"]] == kept


@pytest.mark.parametrize(
    "blocks",
    [[], [ThinkingBlock("cut off")], [ThinkingBlock("Hm."), TextBlock(" "), ThinkingBlock("Hm.")]],
)
def test_turn_with_an_empty_answer_is_not_sent(blocks: list[Block]) -> None:
    """A file may hold a turn whose answer no server takes: it stays out with its prompt."""
    conversation = three_turns()
    answer = Reply(Message(content=blocks))
    run(conversation, "d", "prompt d", answer)
    sent = run(conversation, "e", "prompt e", reply())
    assert [message["content"] for message in sent if message["role"] == "user"] == [
        "prompt a",
        "prompt b",
        "prompt c",
    ]


@pytest.mark.parametrize("kind", ["redacted_thinking", "web_search_tool_result", "x_note"])
def test_what_only_its_own_server_takes(kind: str) -> None:
    """Blocks of other types go back where they came from, and to no other model."""
    conversation = Conversation("main")
    call = UnknownBlock({"type": "server_tool_use", "id": "s1"})
    other = UnknownBlock({"type": kind, "tool_use_id": "s1"} if "tool" in kind else {"type": kind})
    answer = Reply(Message(content=(call, other, TextBlock("a"))))
    run(conversation, "a", "prompt a", answer)
    (_, same) = messages_of(conversation.history(**SERVER))
    (_, elsewhere) = messages_of(conversation.history(**(SERVER | {"model": "MiniMax-M3"})))
    assert kind in [block["type"] for block in same["content"]]
    assert elsewhere["content"] == [{"type": "text", "text": "a"}]


def test_reply_shows_the_answer_and_no_more() -> None:
    """`str` of a reply is its text; its content is the wire's blocks."""
    answer = reply("Blue.")
    assert (str(answer), answer.text, answer.thinking) == ("Blue.", "Blue.", "Hm.")
    assert answer.content == [THOUGHT, {"type": "text", "text": "Blue."}]


@pytest.mark.parametrize("systems", [("",), ("Be brief.", "Be kind.")])
def test_memory_grows_with_the_turns_alone(systems: tuple[str, ...]) -> None:
    """Twice the turns take twice the memory, also where two system prompts take turns."""

    def size(turns: int) -> int:
        tracemalloc.start()
        conversation = Conversation("main")
        for number in range(turns):
            key, system = TurnKey(f"cell-{number}", 0), systems[number % len(systems)]
            before = conversation.history(**(SERVER | {"system": system}))
            answer = reply(f"{number} {'word ' * 50}")
            turn = turn_of(0, key, "Why?", answer, before)
            conversation.commit(replace(turn, link=before.link))
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return taken

    assert size(200) < 2.5 * size(100)


STATE = State("how it began", changes=2, last=3)


def test_conversation_is_read_again_until_it_goes_on() -> None:
    """A later file of the same conversation is taken; not once something happened here."""
    earlier = three_turns().turns
    conversation = Conversation("main")
    conversation.take_in(earlier[:2], STATE)
    conversation.take_in(earlier, STATE)
    assert conversation.turns == earlier

    run(conversation, "d", "prompt d", reply())
    conversation.take_in(earlier, STATE)
    assert [turn.number for turn in conversation.turns] == [1, 2, 3, 4]

    conversation.forget()
    conversation.take_in(earlier, STATE)
    assert conversation.turns == []


def test_no_conversation_takes_the_place_of_another() -> None:
    """A conversation with turns stays as it is; one that was emptied makes room for another."""
    conversation = three_turns()
    mine = conversation.state
    conversation.take_in(three_turns().turns[:1], STATE)
    assert conversation.state == mine

    conversation.forget()
    conversation.take_in(three_turns().turns[:1], STATE)
    assert [turn.prompt.text for turn in conversation.turns] == ["prompt a"]
    assert (conversation.begins, conversation.state.changes) == (STATE.begins, 3)


def test_turn_is_as_stale_under_another_name() -> None:
    """What was made with the turns above is not stale in a conversation of another name."""
    conversation = three_turns()
    run(conversation, "b", "changed", reply("new"))
    run(conversation, "d", "prompt d", reply())
    conversation.hide(["d"])
    lesson = Conversation("lesson")
    lesson.take_in(conversation.turns, conversation.state)
    lesson.bring_back(4)

    assert conversation.stale_turns() == lesson.stale_turns() == {3}
    assert all(turn.conversation == "lesson" for turn in lesson.turns)


def compared(cell: int) -> Turn:
    """A turn with two answers."""
    turn = turn_of(
        0, TurnKey(f"c{cell}", 0), "Why?", reply(), Conversation("main").history(**SERVER)
    )
    return replace(turn, answer=1, others=(replace(turn, answer=2, reply=reply("Red.")),))


def test_picks_of_a_long_conversation() -> None:
    """A pick does not go through the answers of other turns, nor does a run that undoes it."""

    def calls(number: int) -> int:
        conversation = Conversation("main")
        for cell in range(number):
            conversation.commit(compared(cell))
            conversation.pick(TurnKey(f"p{cell}", 0), cell + 1, 2)
        return calls_of(lambda: conversation.pick(TurnKey("q", 0), 1, 1)) + calls_of(
            lambda: conversation.commit(compared(0))
        )

    assert calls(200) < 4 * calls(20)


def test_outdated_turns_of_a_long_conversation() -> None:
    """To look for outdated turns again hashes none that stands as it did."""
    conversation = Conversation("main")
    for number in range(100):
        run(conversation, f"c{number}", f"Question {number}?", reply())
    assert not conversation.stale_turns()
    assert calls_of(conversation.stale_turns) < 20 * 100
    run(conversation, "c98", "Another?", reply())
    assert conversation.stale_turns() == {100}


def test_the_last_three_former_answers_stay() -> None:
    """Older ones go, an equal one keeps its number, and all numbers go on."""
    before = Conversation("main").history(None, **SERVER)
    turns = [turn_of(1, TurnKey("a", 0), "Why?", reply(text), before) for text in "abcdeb"]
    now, *later = turns
    for turn in later[:4]:
        now = succeeding(turn, now)
    assert (now.version, [(each.version, each.reply.text) for each in now.former]) == (
        5,
        [(2, "b"), (3, "c"), (4, "d")],
    )
    again = succeeding(later[4], now)
    assert again.version == 2
    assert [each.version for each in again.former] == [3, 4, 5]
    assert former_version(again, 4) is now.former[2]


def test_state_tells_the_last_number_where_the_turns_do_not() -> None:
    """In an unchanged conversation the last turn tells it; after one was forgotten nothing does."""
    conversation = three_turns()
    assert conversation.state.last == 0
    conversation.forget(3)
    assert (conversation.state.last, conversation.state.gone) == (3, ((3, 3),))


def test_a_cell_that_makes_fewer_turns() -> None:
    """Its own turns from there on go; those of other cells and the copies it made stay."""
    conversation = Conversation("main")
    before = conversation.history(None, **SERVER)
    for number, (cell, index) in enumerate([("a", 0), ("b", 1), ("a", 1), ("a", 2)], 1):
        conversation.commit(turn_of(number, TurnKey(cell, index), "?", reply(), before))
    copy = replace(conversation.turns[3], key=TurnKey("a", 9, "main"), number=5, copy_of=1)
    conversation.commit(copy)
    conversation.remove_beyond("a", 1, {copy.key})
    assert [turn.number for turn in conversation.turns] == [1, 2, 5]
    conversation.remove_beyond("a", 1, ())
    assert [turn.number for turn in conversation.turns] == [1, 2]
