"""`%minimax history`, `show`, `reset`, `forget`, `restore`: what the conversation remembers."""

from collections.abc import Sequence
from dataclasses import dataclass

from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.turn import Turn
from mm_magic.conversation.versions import former_version
from mm_magic.errors import UsageError
from mm_magic.jupyter.arguments import at_most_one, number_in, read_command
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.commands.history_table import (
    COLUMNS,
    TEXTS,
    history_rows,
    next_turn,
    outdated_notes,
)
from mm_magic.jupyter.views.finished import again, draw_again, show, width_of
from mm_magic.session.notes import stale_note, way_back, way_to
from mm_magic.session.options import COUNT, option
from mm_magic.session.session import Session
from mm_magic.session.turn_request import TurnRequest
from mm_magic.wording import counted, listed, turns_listed, was


def history(here: Here, words: Sequence[str]) -> None:
    """`%minimax history [NAME]`: the turns as a table, and what would be sent."""
    from mm_magic.rendering.tables import table_bundle

    conversation = _named(here.session, at_most_one("history", words))
    next_one = next_turn(here.session, conversation)
    rows = history_rows(conversation, next_one)
    notes = [*outdated_notes(conversation), _summary(conversation, next_one)]
    if hidden := [turn for turn in conversation.turns if turn.is_hidden]:
        listed = turns_listed(turn.number for turn in hidden)
        notes.append(f"To bring {listed} back: {way_back(hidden)}.")
    if any(turn.is_untrusted for turn in conversation.visible):
        notes.append(
            "“Shown, not sent” marks turns from a file that Jupyter does not trust. To send these "
            "as well: `%minimax restore`, or `%minimax restore N` for one."
        )
    others = [name for name in here.session.conversations if name != conversation.name]
    if others:
        notes.append(f"Other conversations: {', '.join(others)}")
    width = width_of(here.shell)
    show(here.shell, table_bundle(COLUMNS, rows, notes, width=width, broken=TEXTS))


def show_again(here: Here, words: Sequence[str]) -> None:
    """`%minimax show [N]`: draw a turn again; without N the last one."""
    word = at_most_one("show", words)
    turn = (
        here.session.latest.turn
        if word is None
        else _in_file(here, word) or turn_numbered(here.session, word)
    )
    if turn is None:
        raise no_turns("there are no turns yet")
    hide = here.session.options.hide_thinking
    draw_again(here.shell, turn, here.session.conversations.state_of(turn), hide_thinking=hide)


def reset(here: Here, words: Sequence[str]) -> None:
    """`%minimax reset [NAME]`: forget all turns of a conversation."""
    name = _named(here.session, at_most_one("reset", words)).name
    _say_forgotten(here, name, here.session.edits.forget(name))


def forget(here: Here, words: Sequence[str]) -> None:
    """`%minimax forget [N]`: forget a turn; without N the last one."""
    word = at_most_one("forget", words)
    conversation = _named(here.session, None)
    if word is None and not conversation.turns:
        raise UsageError(f"conversation {conversation.name} has no turns")
    turn = conversation.turns[-1] if word is None else turn_numbered(here.session, word)
    _say_forgotten(
        here, conversation.name, here.session.edits.forget(conversation.name, turn.number)
    )


@dataclass(frozen=True, slots=True)
class RestoreOptions:
    """The options of `%minimax restore`."""

    version: int | None = option(
        None, COUNT, "--version", metavar="K",
        help="bring back version K of turn N's answer, from before its cell ran again",
    )  # fmt: skip


def restore(here: Here, words: Sequence[str]) -> None:
    """`%minimax restore [FILE or N] [--version K]`: send again what is not sent now.

    Without a word it first undoes the last `forget` or `reset`, unless a turn was made since.
    """
    word, given = read_command("restore", RestoreOptions, words)
    if given.version is not None:
        _restore_version(here, word, given.version)
    elif (number := number_in(word)) is not None:
        _restore_turn(here, number)
    elif word is None and (undone := here.session.conversations.undo_forgetting()):
        conversation, back = undone
        turns = turns_listed(turn.number for turn in back)
        told = f"Conversation {conversation.name}: {turns} {was(len(back))} restored."
        _mark(here, conversation, told, back)
    else:
        from mm_magic.jupyter.resume import restore

        restore(here.shell, here.session, word)


def _restore_turn(here: Here, number: int) -> None:
    """Send again a turn that is hidden or was forgotten. Raises UsageError."""
    from mm_magic.session.reusing import trust

    conversation = _named(here.session, None)
    conversations = here.session.conversations
    if back := conversations.bring_back(conversation.name, number):
        told = f"Turn {number} is back in its old place and is sent with each new prompt."
        trust(here.session.requests.saved, conversations, conversation.name, number)
        _mark(here, conversation, told, back)
    elif back := trust(here.session.requests.saved, conversations, conversation.name, number):
        _mark(here, conversation, f"Turn {number} is sent with each new prompt from now on.", back)
    elif newer := conversations.instead_of(conversation, number):
        raise UsageError(
            f"turn {number} can't be restored: its cell has since made turn {newer.number} of "
            f"{newer.conversation}",
            next_steps=(
                "To forget that one: "
                f"{way_to(newer, conversation.name)}`%minimax forget {newer.number}`. "
                "Then run this again.",
            ),
        )
    else:
        turn = turn_numbered(here.session, str(number))
        raise UsageError(f"turn {turn.number} is already sent with each new prompt")


def _restore_version(here: Here, word: str | None, version: int) -> None:
    """Bring back an answer that a turn had before, and draw it. Raises UsageError."""
    if word is None:
        raise UsageError(
            "--version needs the number of a turn",
            next_steps=(f"Write: `%minimax restore N --version {version}`",),
        )
    turn = turn_numbered(here.session, word)
    check_version(turn, version, f"%minimax restore {turn.number}")
    conversation = _named(here.session, None)
    found = here.session.edits.restore_version(conversation.name, turn.number, version)
    assert found is not None
    back, stale = found
    show(here.shell, *again(here.shell, back, hide_thinking=here.session.options.hide_thinking))
    undo = f"To undo this: `%minimax restore {back.number} --version {turn.version}`"
    notes = [undo, *([stale_note(stale)] if stale else [])]
    told = f"Turn {back.number} is back to version {version} of its answer."
    _mark(here, conversation, told, [back], notes)


def check_version(turn: Turn, version: int, line: str) -> None:
    """Raise UsageError unless the turn has had this answer; `line` is the command for another."""
    if former_version(turn, version) is not None:
        return
    known = [each.version for each in turn.former]
    if not known:
        raise UsageError(
            f"turn {turn.number} has no earlier answers in this kernel",
            next_steps=("Run its cell again: if the new answer differs, both are kept.",),
        )
    what = f"turn {turn.number} has no earlier version {version}"
    if version == turn.version:
        what = f"version {version} is the answer that turn {turn.number} has now"
    raise UsageError(
        f"{what}; earlier versions: {listed(known)}",
        next_steps=(f"Write: `{line} --version {known[-1]}`",),
    )


def _in_file(here: Here, number: str) -> Turn | None:
    """The turn with this number in the notebook's file, if only that has it."""
    from mm_magic.jupyter.resume import find_turn

    found = number_in(number)
    if found is None or _named(here.session, None).numbered(found):
        return None
    return find_turn(here.shell, here.session, found)


def no_turns(what: str) -> UsageError:
    """The error where nothing has been asked yet."""
    step = "Ask something first: write `%%minimax` on the first line and the question below it."
    return UsageError(what, next_steps=(step,))


def turn_numbered(session: Session, number: str) -> Turn:
    """The turn with this number in the current conversation. Raises UsageError."""
    conversation = _named(session, None)
    wanted = number_in(number)
    turn = None if wanted is None else conversation.numbered(wanted)
    if turn is None:
        if not conversation.turns:
            raise UsageError(f"conversation {conversation.name} has no turns")
        known = listed(each.number for each in conversation.turns)
        is_forgotten = wanted in [each.number for each in conversation.forgotten]
        raise UsageError(
            f"conversation {conversation.name} has no turn {number!r}; its turns: {known}",
            next_steps=(f"Turn {wanted} was forgotten; to bring it back: "
                        f"`%minimax restore {wanted}`",) * is_forgotten,
        )  # fmt: skip
    return turn


def _named(session: Session, name: str | None) -> Conversation:
    """The conversation of this name, or the current one. It may be empty."""
    wanted = name or session.options.conversation
    found = session.conversations.get(wanted)
    if found is None and name is not None:
        known = ", ".join(session.conversations) or "none yet"
        raise UsageError(f"there is no conversation {name!r}; existing conversations: {known}")
    return found or Conversation(wanted)


def _say_forgotten(here: Here, name: str, gone: Sequence[Turn]) -> None:
    if not gone:
        raise UsageError(f"conversation {name} has no turns")
    turns = turns_listed(turn.number for turn in gone)
    way = way_to(gone[0], here.session.options.conversation)
    number = gone[0].number if len(gone) == 1 else "N"
    undo = f"`%minimax restore` now, or {way}`%minimax restore {number}` until the kernel ends"
    if len(gone) == 1 and not way and not gone[0].is_hidden:  # its number would send a hidden turn
        undo = f"`%minimax restore {number}` (works until the kernel ends)"
    _mark(
        here,
        here.session.conversations.named(name),
        f"Conversation {name}: {turns} {was(len(gone))} forgotten. The answers stay on the page. "
        f"To undo this: {undo}.",
    )


def _mark(
    here: Here,
    conversation: Conversation,
    sentence: str,
    back: Sequence[Turn] = (),
    notes: Sequence[str] = (),
) -> None:
    """Say what changed, and leave it in the file, which else would bring it back.

    The turns that came `back` are left there, too: the outputs of their cells may be gone.
    """
    from mm_magic.conversation.saved_turn import record_json, turn_json
    from mm_magic.rendering.bundles import status_bundle

    state = conversation.state
    record = record_json(
        (turn_json(turn, state, is_copy=True) for turn in back), [(conversation.name, state)]
    )
    show(here.shell, status_bundle([], [sentence, *notes], record))


def _summary(conversation: Conversation, next_one: TurnRequest) -> str:
    if not conversation.turns:
        return f"Conversation {conversation.name} has no turns."
    sent = next_one.history.sent
    turns = counted(sent, "earlier turn")
    return f"Conversation {conversation.name}: a new cell sends {turns} with its prompt."
