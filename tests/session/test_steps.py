"""What goes back to a model of turns in which it called for tools."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.asks import ask_of
from support.replays import NIGHT, WHY, Kernel, replaying, to_end
from support.scripted import Answer

from mm_magic.conversation.conversation import State
from mm_magic.conversation.saved_turn import read_turn, turn_json

SIGNED = {"type": "thinking", "thinking": "I look.", "signature": "5f"}
LOOK = {"type": "text", "text": "Let me look."}
CALL = {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "sky"}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "blue"}
BLUE = {"type": "text", "text": "It is blue."}


def sent_after(kernel: Kernel, prompt: str = "And now?") -> list[Any]:
    """The messages that the next prompt is sent with, but for itself."""
    kernel.service.requests.clear()
    kernel.service.next_answer = Answer("whole", (BLUE,))
    asyncio.run(to_end(kernel.session, kernel.session.turns.start(ask_of(prompt))))
    before: list[Any]
    *before, last = kernel.service.take_request()["messages"]
    assert last == {"role": "user", "content": prompt}
    return before


def called(kernel: Kernel, *content: dict[str, Any]) -> None:
    """A turn whose answer has these blocks."""
    kernel.variables["MINIMAX_BASE_URL"] = "http://a.invalid"
    kernel.service.next_answer = Answer("whole", content)
    asyncio.run(to_end(kernel.session, kernel.session.turns.start(ask_of("Why?"))))


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        ((LOOK, CALL), [LOOK]),
        ((SIGNED, LOOK, CALL), [SIGNED, LOOK]),
        ((LOOK, SIGNED, CALL), [LOOK]),
        ((CALL, BLUE), [BLUE]),
    ],
)
def test_call_without_a_result_is_not_sent(content: tuple[Any, ...], sent: list[Any]) -> None:
    """The API refuses a call without its result from then on: the text goes back, the call not."""
    kernel = Kernel()
    called(kernel, *content)

    assert kernel.turn.reply.content == [*content]  # the turn and its file keep it
    assert sent_after(kernel) == [
        {"role": "user", "content": "Why?"},
        {"role": "assistant", "content": sent},
    ]


def test_replay_after_a_call(tmp_path: Path) -> None:
    """A conversation with such a turn is recorded and replayed as any other."""
    kernel = Kernel()
    kernel.record(tmp_path / "r")
    called(kernel, LOOK, CALL)
    kernel.run(NIGHT)
    again = replaying(tmp_path / "r")

    assert again.run(WHY).content == [LOOK, CALL]
    assert again.run(NIGHT).text == "answer 2"


def restored(kernel: Kernel, *steps: dict[str, Any], **more: object) -> None:
    """Take a turn with these steps from a saved turn of version 2 into a kernel."""
    called(kernel, BLUE)
    wire = turn_json(kernel.turn, None) | {"steps": list(steps), **more}
    kernel.session.edits.forget("main")
    turn = read_turn(wire).turn
    assert turn_json(turn, None) == wire | {"id": turn.id}
    kernel.session.conversations.take_in("main", [turn], State("b"))


STEPS = (
    {"role": "assistant", "content": [SIGNED, CALL]},
    {"role": "user", "content": [RESULT]},
    {"role": "assistant", "content": [BLUE]},
)
WHY_MESSAGE = {"role": "user", "content": "Why?"}


def test_steps_are_sent_back_whole() -> None:
    """A turn with steps goes back with its call, the result and the answer, and its thinking."""
    kernel = Kernel()
    restored(kernel, *STEPS)

    assert sent_after(kernel) == [WHY_MESSAGE, *STEPS]


def test_thinking_of_steps_goes_to_nobody_else() -> None:
    """In another context the steps go back without what another model signed."""
    kernel = Kernel()
    restored(kernel, *STEPS, context="another")

    without = {"role": "assistant", "content": [CALL]}
    assert sent_after(kernel) == [WHY_MESSAGE, without, *STEPS[1:]]
