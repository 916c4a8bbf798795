"""Sentences under an answer: what its reader should know of the request."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set

from mm_magic.conversation.catalog import MODELS, find, max_tokens_warning
from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.session.options import Options
from mm_magic.session.turn_request import TurnRequest
from mm_magic.transport.recording.writer import Recorder
from mm_magic.wording import closest, model_name, option, turns_listed

_NAMES = 10
"""Models that a sentence names at most."""

UNDO_DELETION = "undo the deletion (Edit > Undo Cell Operation) and run the cell"
"""Jupyter tells the kernel that a cell was deleted, and not that this was undone."""


def notes(
    request: TurnRequest,
    conversations: Mapping[str, Conversation],
    hidden: Set[TurnKey | None],
    defaults: Options,
    once: Callable[[str], bool],
) -> list[str]:
    """What the reader of this turn should know.

    `hidden` are the keys of the turns that were hidden since the last turn; `once` says whether a
    thing is told for the first time.
    """
    options, history, is_sent = request.ask.options, request.history, request.script is None
    found = [
        hidden_note(turn, defaults.conversation)
        for conversation in conversations.values()
        for turn in conversation.turns
        if turn.is_hidden and turn.key in hidden
    ]
    warning = max_tokens_warning(options.model, options.max_tokens)
    if is_sent and warning and once("max_tokens"):
        found.append(warning)
    left_out = is_sent and history.demo_left_out
    if left_out and once(f"demo turns of {options.conversation}"):
        found.append(
            "Turns of the offline demo are never sent to a model: "
            f"{history.demo_left_out} left out."
        )
    if history.too_long:
        found.append(too_long_note(options.model, history.too_long))
    conversation = conversations.get(request.ask.conversation or "")
    if conversation and conversation.is_unrecognised(request.key, request.ask.prompt):
        found.append(
            "This is a new turn: here earlier turns are recognised by their prompts, and none has "
            "this one."
        )
    return found


def model_note(model: str, listed: Sequence[str], *, is_own: bool) -> str:
    """A sentence if the model is neither in the server's list nor in the catalog, "" otherwise.

    `listed` is empty where the server was not asked. Of a server of one's own (`is_own`) nothing
    but its list is known.
    """
    known = [*listed, *(name for name in MODELS if not is_own and name not in listed)]
    if not known or model in known or (not is_own and find(model)):
        return ""
    where = "in the server's list" if listed else "among MiniMax's known models"
    names = ", ".join((listed or known)[:_NAMES])
    more = f" and {len(listed) - _NAMES} more" if len(listed) > _NAMES else ""
    by_lower = {name.lower(): name for name in known}
    close = closest(model.lower(), [*by_lower])
    guess = f" Did you mean {by_lower[close]}?" if close else ""
    return f"{model_name(model)} is not {where}: {names}{more}.{guess}"


def hidden_note(turn: Turn, current: str) -> str:
    """The sentence on a turn that is not sent; `current` is the conversation of the commands."""
    first = way_to(turn, current)
    where = f" of {turn.conversation}" if first else ""
    return (
        f"Turn {turn.number}{where} is not sent: its cell was deleted. To send it again: "
        f"{first}`%minimax restore {turn.number}`, or {UNDO_DELETION}."
    )


def way_to(turn: Turn, current: str) -> str:
    """What to do before a command for this turn works; "" in the conversation of the commands."""
    if turn.conversation == current:
        return ""
    line = option("-c", "--conversation", str(turn.conversation))
    return f"`%minimax {line}`, then " if line else "choose it in `%minimax panel`, then "


def too_long_note(model: str, left_out: int) -> str:
    """The sentence that tells how many turns were left out."""
    turns = "The oldest turn was" if left_out == 1 else f"The {left_out} oldest turns were"
    known = find(model)
    assert known is not None  # nothing is left out where the window is not known
    return (
        f"{turns} left out: the whole conversation may not fit into {model}'s window of "
        f"{known.window:,} tokens."
    )


def stale_note(numbers: Sequence[int]) -> str:
    """The sentence on turns that were answered before an earlier turn changed."""
    turns = turns_listed(numbers)
    told = f"{turns[0].upper()}{turns[1:]}"
    if len(numbers) == 1:
        return f"{told} is outdated: an earlier turn has changed since. Run its cell again."
    return (
        f"{told} are outdated: an earlier turn has changed since. Run their cells again, in order."
    )


def recording_notes(
    recorder: Recorder,
    request: TurnRequest,
    conversation: Conversation | None,
    *,
    is_stopped: bool = False,
) -> Iterator[str]:
    """What keeps a turn that was just recorded from being replayed from top to bottom."""
    if recorder.problem:
        yield f"Not recorded in {recorder.name}: {recorder.problem}."
    elif is_stopped:
        yield "A stopped answer is not replayed: run the cell again to record a complete one."
    elif conversation is None:
        return
    elif places := recorder.unrecorded(request.request_key):
        # The key counts the turns that were left out for want of room, too.
        numbers = [turn.number for turn in conversation.before(to_demo=request.to_demo)]
        missing = [numbers[place - 1] for place in places if place <= len(numbers)]
        verb = "is" if len(missing) == 1 else "are"
        yield (
            f"This request follows {turns_listed(missing)} above, which {verb} not in "
            f"{recorder.name}. Your readers will run all cells from the top, so do the same."
        )
    elif others := sorted(conversation.stale_turns()):
        verb, cells = (
            ("was", "that cell again")
            if len(others) == 1
            else ("were", "those cells again, in order")
        )
        yield (
            f"Earlier turns have changed since {turns_listed(others)} {verb} answered. "
            f"Your readers will run all cells from the top: run {cells}."
        )
