"""Which turn `%minimax pick` is about, and whether it has the answer that is asked for."""

from collections.abc import Iterator

from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.errors import UsageError
from mm_magic.session.conversations import Conversations
from mm_magic.wording import counted


def compare_of(
    conversations: Conversations, key: TurnKey | None, last: Turn | None, current: str
) -> Turn:
    """The turn whose answers a cell chooses from. Raises UsageError.

    It is the one that the pick with this key was for, else the `last` that was made here, else the
    last of the `current` conversation, which may come from a file.
    """
    for there, number in _candidates(conversations, key, last):
        if (turn := _standing(conversations, there, number)) is not None:
            return turn
    here = conversations.get(current)
    compared = [turn for turn in here.visible if turn.others] if here else []
    if not compared:
        raise UsageError(
            f"no turn of {current} has several answers",
            next_steps=("Ask for two with `%%minimax -n 2`, then run this again.",),
        )
    return compared[-1]


def _candidates(
    conversations: Conversations, key: TurnKey | None, last: Turn | None
) -> Iterator[tuple[Conversation, int]]:
    """Conversation and number of the turns that may be meant. Raises UsageError."""
    for there, pick in conversations.picks():
        if key is not None and pick.key == key:
            yield there, pick.number
    if last is None:
        return
    if last.conversation is None:
        raise UsageError(
            "the last comparison used `--alone`, so it belongs to no conversation",
            next_steps=("Run its cell without `--alone`, then run this again.",),
        )
    if not last.reply.may_enter():
        raise UsageError(
            "no answer of the last comparison has text",
            next_steps=("Run its cell again, then run this again.",),
        )
    yield conversations[last.conversation], last.number


def _standing(conversations: Conversations, there: Conversation, number: int) -> Turn | None:
    """The turn with this number, if it has several answers. Raises UsageError if it is not sent."""
    turn = there.numbered(number) or conversations.instead_of(there, number)
    if turn is None and any(each.number == number for each in there.forgotten):
        raise UsageError(
            f"the answers to pick from are in turn {number} of {there.name}, which was forgotten",
            next_steps=(f"Run `%minimax restore {number}`, then run this again.",),
        )
    if turn is None or not turn.others:
        return None
    if turn.is_hidden:
        raise UsageError(
            f"the answers to pick from are in turn {turn.number} of {turn.conversation}, which is "
            "not sent: its cell was deleted",
            next_steps=(f"Run `%minimax restore {turn.number}`, then run this again.",),
        )
    return turn


def check_answer(turn: Turn, number: int) -> None:
    """Raise UsageError unless the conversation can continue with this answer of a turn."""
    choices = turn.choices
    if number in choices:
        return
    found = next((each for each in turn.answers if each.answer == number), None)
    if found is None:
        answers = counted(len(turn.answers), "answer")
        problem = f"there is no answer {number}: turn {turn.number} has {answers}"
    elif found.failure is not None:
        problem = f"answer {number} failed: {found.failure.message}"
    else:
        problem = f"answer {number} has no text"
    step = (
        f"To pick another one: `%minimax pick {choice}`" if (choice := another_choice(turn)) else ""
    )
    raise UsageError(problem, next_steps=(step,) if step else ())


def another_choice(turn: Turn) -> int | None:
    """The number of another answer with which the conversation can continue, None without one."""
    return next((number for number in turn.choices if number != turn.answer), None)
