"""The table of `%minimax history`: each turn of a conversation, and what becomes of it."""

from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.reply import counted_usage
from mm_magic.conversation.turn import Turn
from mm_magic.prompt.prompt import Prompt
from mm_magic.session.notes import stale_note
from mm_magic.session.session import Session
from mm_magic.session.turn_request import Ask, TurnRequest
from mm_magic.transport.endpoint import DEMO_NAME

PROMPT_CHARACTERS = 32
ANSWER_CHARACTERS = 40
UNCOUNTED = "—"
COLUMNS = ("turn", "state", "cell", "prompt", "answer", "model", "tokens")
STATE = COLUMNS.index("state")
TEXTS = ("state", "prompt", "answer", "model")
"""The columns that make room for the others where the page is narrow."""


def next_turn(session: Session, conversation: Conversation) -> TurnRequest:
    """What a new cell of a conversation would send."""
    options = session.options.overridden({"conversation": conversation.name})
    return session.turns.request(Ask(Prompt.of_text("?"), options, is_cell=False))


def history_rows(conversation: Conversation, next_one: TurnRequest) -> list[list[str]]:
    """The turns of a conversation as rows of COLUMNS; `next_one` is what a new cell would send."""
    to_demo = next_one.to_demo
    stale = conversation.stale_turns()
    left_out = next_one.history.too_long
    return [
        _row(turn, _state(turn, stale, to_demo=to_demo, is_left_out=is_left_out))
        for turn, is_left_out in _with_room(conversation, left_out, to_demo=to_demo)
    ]


def outdated_notes(conversation: Conversation) -> list[str]:
    """What to do about the turns that the table calls outdated, in one sentence."""
    stale = sorted(conversation.stale_turns())
    return [stale_note(stale)] if stale else []


def _with_room(
    conversation: Conversation, left_out: int, *, to_demo: bool
) -> list[tuple[Turn, bool]]:
    """Each turn, and whether it is one of the oldest for which there is no room."""
    rows, left = [], left_out
    for turn in conversation.turns:
        is_meant = not turn.is_hidden and not turn.is_untrusted
        counts = is_meant and (to_demo or not turn.is_demo)
        rows.append((turn, counts and left > 0))
        left -= counts
    return rows


def _row(turn: Turn, state: str) -> list[str]:
    from mm_magic.rendering.status_line import tokens_in_words, who_answered
    from mm_magic.wording import shortened

    return [
        str(turn.number),
        state,
        turn.label,
        shortened(str(turn.prompt), PROMPT_CHARACTERS),
        shortened(_own_words(turn), ANSWER_CHARACTERS),
        "offline demo" if turn.is_demo else who_answered(turn),
        tokens_in_words(counted_usage(turn.reply)) or UNCOUNTED,
    ]


def _own_words(turn: Turn) -> str:
    """The answer; of the demo's, what follows its name, which stands in a column of its own."""
    return turn.reply.text.removeprefix(f"{DEMO_NAME}: ") if turn.is_demo else turn.reply.text


def _state(turn: Turn, stale: set[int], *, to_demo: bool, is_left_out: bool) -> str:
    if turn.is_hidden:
        return "not sent: its cell was deleted"
    if turn.is_demo and not to_demo:
        return "demo turn, not sent"
    if turn.is_untrusted:
        return "shown, not sent"
    if is_left_out:
        return "not sent: the request would be too long"
    parts = ["sent"]
    if turn.others:
        parts.append(f"answer {turn.answer} of {len(turn.answers)}")
    if turn.reply.status == "stopped":
        parts.append("stopped")
    if turn.number in stale:
        parts.append("outdated")
    return ", ".join(parts)
