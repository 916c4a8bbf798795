"""`%minimax pick`: which of several answers the conversation continues with."""

from collections.abc import Sequence

from mm_magic.conversation.left_out import LeftOut
from mm_magic.conversation.turn import Turn
from mm_magic.errors import UsageError
from mm_magic.jupyter.arguments import at_most_one, number_in
from mm_magic.jupyter.commands.here import Here
from mm_magic.jupyter.running_cell import running_cell
from mm_magic.jupyter.views.finished import show
from mm_magic.session.notes import stale_note, turn_in_words
from mm_magic.wording import capitalised, plain, shortened

_PROMPT_CHARACTERS = 60


def pick(here: Here, words: Sequence[str]) -> None:
    """`%minimax pick N`: let the conversation continue with answer N of the last comparison."""
    from mm_magic.conversation.saved_turn import pick_json, record_json
    from mm_magic.rendering.bundles import TURN_MIME, line_bundle

    session = here.session
    is_drawn = not running_cell(here.shell).is_captured
    turn, stale = session.edits.pick(_number(at_most_one("pick", words)), is_drawn=is_drawn)
    there = session.conversations[str(turn.conversation)]
    record = record_json([], [(there.name, there.state)], [pick_json(there.picks[-1], turn)])
    sentences = [_told(turn, session.options.conversation), *([stale_note(stale)] if stale else [])]
    show(here.shell, {**line_bundle(" ".join(sentences)), TURN_MIME: record})


def _number(word: str | None) -> int:
    """Raises UsageError."""
    number = number_in(word)
    if number is None:
        got = "" if word is None else f", got {word!r}"
        raise UsageError(
            f"pick needs the number of an answer{got}",
            next_steps=("For example: `%minimax pick 2`",),
        )
    return number


def _told(turn: Turn, current: str) -> str:
    prompt = " ".join(plain(shortened(str(turn.prompt), _PROMPT_CHARACTERS)).split())
    where = capitalised(turn_in_words(turn, current))
    told = f"{where} (“{prompt}”) now uses answer {turn.answer}."
    return f"{told} {_given_without(turn.without)}" if turn.without else told


def _given_without(left_out: LeftOut) -> str:
    """The sentence on an answer to less than its cell's request: the conversation stays whole."""
    told = f"That answer was given without {left_out}"
    if left_out.is_variable:
        return f"{told}; the turn keeps its full prompt."
    if left_out.turn:
        return f"{told}; {left_out} is still sent with later prompts."
    return f"{told}."
