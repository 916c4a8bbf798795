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
from mm_magic.jupyter.views.finished import draw_again, show, width_of
from mm_magic.session.notes import UNDO_DELETION, way_to
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
    if hidden := [turn.number for turn in conversation.turns if turn.is_hidden]:
        notes.append(
            f"To send {turns_listed(hidden)} again: `%minimax restore N`, or {UNDO_DELETION}."
        )
    others = [name for name in here.session.conversations if name != conversation.name]
    if others:
        notes.append(f"Other conversations: {', '.join(others)}")
    show(here.shell, table_bundle(COLUMNS, rows, notes, width=width_of(here.shell)))


def show_again(here: Here, words: Sequence[str]) -> None:
    """`%minimax show [N]`: draw a turn again; without N the last one."""
    word = at_most_one("show", words)
    turn = (
        here.session.last_turn
        if word is None
        else _in_file(here, word) or turn_numbered(here.session, word)
    )
    if turn is None:
        raise UsageError("there are no turns yet")
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
    """`%minimax restore [FILE or N]`: send again what is not sent now.

    Without a word it first undoes the last `forget` or `reset`, unless a turn was made since.
    """
    word = at_most_one("restore", words)
    if word is not None and word.isdecimal():
        _restore_turn(here, word)
    elif word is None and (undone := here.session.conversations.undo_forgetting()):
        conversation, back = undone
        turns = turns_listed(turn.number for turn in back)
        _mark(here, conversation, f"Conversation {conversation.name}: {turns} restored.", back)
    else:
        from mm_magic.jupyter.resume import restore

        restore(here.shell, here.session, word)


def _restore_turn(here: Here, word: str) -> None:
    """Send again a turn that is hidden or was forgotten. Raises UsageError."""
    conversation, number = _named(here.session, None), int(word)
    conversations = here.session.conversations
    if back := conversations.bring_back(conversation.name, number):
        _mark(here, conversation, f"Turn {number} is sent again, in its old place.", back)
    elif newer := conversations.instead_of(conversation, number):
        raise UsageError(
            f"the cell of turn {number} has since made turn {newer.number} of {newer.conversation}",
            next_steps=(f"{way_to(newer, conversation.name)}`%minimax forget {newer.number}`",),
        )
    else:
        turn = turn_numbered(here.session, word)
        raise UsageError(f"turn {turn.number} is already sent with each new prompt")


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
    way = way_to(gone[0], here.session.options.conversation)
    later = f"{way}`%minimax restore {gone[0].number if len(gone) == 1 else 'N'}`"
    _mark(
        here,
        here.session.conversations.named(name),
        f"Conversation {name}: {turns} forgotten. The page keeps the answers. To undo this: "
        f"`%minimax restore` now, or {later} until the kernel ends.",
    )


def _mark(here: Here, conversation: Conversation, sentence: str, back: Sequence[Turn] = ()) -> None:
    """Say what changed, and leave it in the file, which else would bring it back.

    The turns that came `back` are left there, too: the outputs of their cells may be gone.
    """
    from mm_magic.conversation.saved_turn import record_json, turn_json
    from mm_magic.rendering.bundles import TURN_MIME, line_bundle

    state = conversation.state
    record = record_json(
        (turn_json(turn, state, is_copy=True) for turn in back), [(conversation.name, state)]
    )
    show(here.shell, {**line_bundle(sentence), TURN_MIME: record})


def _summary(conversation: Conversation, next_one: TurnRequest) -> str:
    if not conversation.turns:
        return f"Conversation {conversation.name} has no turns."
    sent = next_one.history.sent
    turns = counted(sent, "turn")
    return f"Conversation {conversation.name}: a new cell sends {turns} before its prompt."
