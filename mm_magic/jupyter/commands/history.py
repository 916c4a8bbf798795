"""`%minimax history`, `show`, `reset`, `forget`, `restore`: what the conversation remembers."""

from collections.abc import Sequence

from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.turn import Turn
from mm_magic.errors import UsageError
from mm_magic.jupyter.arguments import at_most_one
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.commands.history_table import (
    COLUMNS,
    history_rows,
    next_turn,
    outdated_notes,
)
from mm_magic.jupyter.views.finished import draw_again, show
from mm_magic.session.session import Session
from mm_magic.session.turn_request import TurnRequest
from mm_magic.wording import counted, listed, turns_listed


def history(here: Here, words: Sequence[str]) -> None:
    """`%minimax history [NAME]`: the turns as a table, and what would be sent."""
    from mm_magic.rendering.tables import table_bundle

    conversation = _named(here.session, at_most_one("history", words))
    next_one = next_turn(here.session, conversation)
    rows = history_rows(conversation, next_one)
    notes = [*outdated_notes(conversation), _summary(conversation, next_one)]
    others = [name for name in here.session.conversations if name != conversation.name]
    if others:
        notes.append(f"Other conversations: {', '.join(others)}")
    show(here.shell, table_bundle(COLUMNS, rows, notes))


def show_again(here: Here, words: Sequence[str]) -> None:
    """`%minimax show [N]`: draw a turn again; without N the last one."""
    word = at_most_one("show", words)
    turn = (
        here.session.last_turn
        if word is None
        else _in_file(here, word) or turn_numbered(here.session, word)
    )
    if turn is None:
        raise UsageError("there is no turn yet")
    hide = here.session.options.hide_thinking
    draw_again(here.shell, turn, here.session.conversations.state_of(turn), hide_thinking=hide)


def reset(here: Here, words: Sequence[str]) -> None:
    """`%minimax reset [NAME]`: forget all turns of a conversation."""
    name = _named(here.session, at_most_one("reset", words)).name
    _say_forgotten(here, name, here.session.forget(name))


def forget(here: Here, words: Sequence[str]) -> None:
    """`%minimax forget [N]`: forget a turn; without N the last one."""
    word = at_most_one("forget", words)
    conversation = _named(here.session, None)
    if word is None and not conversation.turns:
        raise UsageError(f"conversation {conversation.name} has no turns")
    turn = conversation.turns[-1] if word is None else turn_numbered(here.session, word)
    _say_forgotten(here, conversation.name, here.session.forget(conversation.name, turn.number))


def restore(here: Here, words: Sequence[str]) -> None:
    """`%minimax restore [FILE or N]`: send again what is not sent now."""
    word = at_most_one("restore", words)
    if word is None or not word.isdecimal():
        from mm_magic.jupyter.resume import restore

        restore(here.shell, here.session, word)
        return
    turn = turn_numbered(here.session, word)
    conversation = _named(here.session, None)
    if not here.session.conversations.bring_back(conversation.name, turn.number):
        raise UsageError(f"turn {turn.number} is not hidden: it is sent")
    _mark(here, conversation, f"Turn {turn.number} is sent again, in its place.")


def _in_file(here: Here, number: str) -> Turn | None:
    """The turn with this number in the notebook's file, if only that has it."""
    from mm_magic.jupyter.resume import find_turn

    if not number.isdecimal() or _named(here.session, None).numbered(int(number)):
        return None
    return find_turn(here.shell, here.session, int(number))


def turn_numbered(session: Session, number: str) -> Turn:
    """The turn with this number in the current conversation. Raises UsageError."""
    conversation = _named(session, None)
    turn = conversation.numbered(int(number)) if number.isdecimal() else None
    if turn is None:
        known = listed(each.number for each in conversation.turns) or "none"
        raise UsageError(
            f"conversation {conversation.name} has no turn {number!r}; its turns: {known}"
        )
    return turn


def _named(session: Session, name: str | None) -> Conversation:
    """The conversation of this name, or the current one. It may be empty."""
    wanted = name or session.options.conversation
    found = session.conversations.get(wanted)
    if found is None and name is not None:
        known = ", ".join(session.conversations) or "none yet"
        raise UsageError(f"there is no conversation {name!r}; there are: {known}")
    return found or Conversation(wanted)


def _say_forgotten(here: Here, name: str, gone: Sequence[Turn]) -> None:
    if not gone:
        raise UsageError(f"conversation {name} has no turns")
    turns = turns_listed(turn.number for turn in gone)
    _mark(
        here,
        here.session.conversations.named(name),
        f"Conversation {name}: {turns} forgotten. The page keeps the answers.",
    )


def _mark(here: Here, conversation: Conversation, sentence: str) -> None:
    """Say what changed, and leave it in the file, which else would bring it back."""
    from mm_magic.conversation.saved_turn import record_json
    from mm_magic.rendering.bundles import TURN_MIME, line_bundle

    record = record_json([], [(conversation.name, conversation.state)])
    show(here.shell, {**line_bundle(sentence), TURN_MIME: record})


def _summary(conversation: Conversation, next_one: TurnRequest) -> str:
    if not conversation.turns:
        return f"Conversation {conversation.name} has no turns."
    sent = next_one.history.sent
    turns = counted(sent, "turn")
    return f"Conversation {conversation.name}: a new cell sends {turns} before its prompt."
