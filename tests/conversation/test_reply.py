"""A reply and a turn are values: nothing in them can be assigned."""

import copy
import pickle
from dataclasses import FrozenInstanceError, replace

import pytest

from mm_magic import Reply
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.prompt.prompt import Prompt
from mm_magic.protocol.messages import Message, TextBlock

REPLY = Reply(Message(content=(TextBlock("Hi"),)))
TURN = Turn("main", 1, None, Prompt.of_text("Why?"), REPLY, {"model": "M"}, "", "")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        *((REPLY, name) for name in ("text", "thinking", "status", "usage", "message", "nothing")),
        (REPLY.message, "text"),
        (TURN, "model"),
        (TURN, "number"),
    ],
)
def test_no_name_can_be_assigned(value: object, name: str) -> None:
    """Each name of a reply or a turn is read-only, and the error says so in Python's words."""
    with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{name}'"):
        setattr(value, name, "x")
    with pytest.raises(FrozenInstanceError, match=f"cannot delete field '{name}'"):
        delattr(value, name)
    assert (REPLY.text, TURN.number) == ("Hi", 1)


def test_a_reply_is_copied_whole() -> None:
    """Copies and pickles of a reply are equal to it."""
    assert copy.deepcopy(REPLY) == REPLY
    assert pickle.loads(pickle.dumps(REPLY)) == REPLY


@pytest.mark.parametrize("cell", ["a", "b", None])
def test_a_turn_knows_its_cell(cell: str | None) -> None:
    """A turn without a cell is of none, the cell None included."""
    assert replace(TURN, key=TurnKey("a", 1)).is_of(cell) is (cell == "a")
    assert not TURN.is_of(cell)
