"""Sentences under an answer: what its reader should know of the request."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING

from mm_magic.conversation.catalog import MODELS, find, max_tokens_warning
from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.session.answerer import Nobody, Saved
from mm_magic.session.conversations import Conversations
from mm_magic.session.options import Options
from mm_magic.session.picking import another_choice
from mm_magic.session.told import Told
from mm_magic.session.turn_request import TurnRequest
from mm_magic.wording import (
    capitalised,
    closest,
    counted,
    model_name,
    option,
    share,
    turns_listed,
    was,
)

if TYPE_CHECKING:
    from mm_magic.transport.recording.writer import Recorder

_NAMES = 10
"""Models that a sentence names at most."""

UNDO_DELETION = "undo the deletion (Edit > Undo Cell Operation) and run the cell"
"""Jupyter tells the kernel that a cell was deleted, and not that this was undone."""


def notes(
    request: TurnRequest, conversations: Conversations, told: Told, defaults: Options
) -> list[str]:
    """What the reader of this turn should know; some of it is told once."""
    with conversations.changing:
        return [
            *_hidden(conversations, told.take_hidden(but=request.key), defaults),
            *_of_request(request, conversations, told.once),
            *_unpicked(request, conversations, told.take_unpicked(), defaults),
        ]


def _hidden(
    conversations: Conversations, keys: Set[TurnKey | None], defaults: Options
) -> Iterator[str]:
    """The sentences on turns with these keys that are hidden."""
    for conversation in conversations.values():
        turns = (turn for turn in conversation.turns if turn.is_hidden and turn.key in keys)
        yield from (hidden_note(each, defaults.conversation) for each in _by_cell(turns))


def _unpicked(
    request: TurnRequest, conversations: Conversations, turns: Iterable[Turn], defaults: Options
) -> Iterator[str]:
    """The sentences on turns that have another answer, as the cells that picked were deleted."""
    for turn in turns:
        if turn.key != request.key and conversations.stands(turn):
            yield unpicked_note(turn, defaults.conversation)


def _of_request(
    request: TurnRequest, conversations: Conversations, once: Callable[[str], bool]
) -> list[str]:
    """The sentences on what a request sends, and leaves out.

    `once` says whether a thing is told for the first time.
    """
    options, history, is_sent = request.ask.options, request.history, request.is_sent
    found: list[str] = []
    warning = max_tokens_warning(options.model, options.max_tokens)
    if is_sent and warning and once("max_tokens"):
        found.append(warning)
    left_out = is_sent and history.demo_left_out
    if left_out and once(f"demo turns of {options.conversation}"):
        found.append(
            "Turns of the offline demo are never sent to a model: "
            f"{history.demo_left_out} {was(history.demo_left_out)} left out."
        )
    untrusted = is_sent and history.untrusted_left_out
    if untrusted and once(f"untrusted turns of {options.conversation} {request.to_demo}"):
        found.append(untrusted_note(untrusted))
    if history.too_long:
        found.append(too_long_note(options.model, history.too_long))
    conversation = conversations.get(request.ask.conversation or "")
    if conversation and conversation.is_unrecognised(request.key, request.ask.prompt):
        found.append("This is a new turn: no earlier turn in this file has this prompt.")
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


def _by_cell(turns: Iterable[Turn]) -> Iterable[list[Turn]]:
    """The turns of each cell."""
    found: dict[str, list[Turn]] = {}
    for turn in turns:
        found.setdefault(turn.key.cell_id if turn.key else "", []).append(turn)
    return found.values()


def unpicked_note(turn: Turn, current: str) -> str:
    """The sentence on a turn whose answer is another one, as the cell that picked was deleted."""
    where = capitalised(turn_in_words(turn, current))
    return f"{where} uses answer {turn.answer} again: the `pick` cell was deleted."


def turn_in_words(turn: Turn, current: str) -> str:
    """As "turn 3", with its conversation if that is not the one of the commands."""
    is_current = turn.conversation == current
    return f"turn {turn.number}" + ("" if is_current else f" of {turn.conversation}")


def continues_note(turn: Turn) -> str:
    """The sentence on the answer that a turn has, where it has several."""
    told = f"The conversation continues with answer {turn.answer}"
    other = another_choice(turn)
    return f"{told}; `%minimax pick {other}` chooses another." if other else f"{told}."


def hidden_note(turns: Sequence[Turn], current: str) -> str:
    """The sentence on turns of a deleted cell; `current` is the conversation of the commands."""
    first = way_to(turns[0], current)
    told = capitalised(turns_listed(turn.number for turn in turns))
    told += f" of {turns[0].conversation}" if first else ""
    are, its, them = ("are", "their", "them") if len(turns) > 1 else ("is", "its", "it")
    return (
        f"{told} {are} not sent: {its} cell was deleted. To bring {them} back: "
        f"{first}{way_back(turns)}."
    )


def way_back(turns: Sequence[Turn]) -> str:
    """What brings back turns whose cells were deleted, in the conversation of the commands."""
    number = str(turns[0].number) if len(turns) == 1 else "N"
    return f"`%minimax restore {number}`, or {UNDO_DELETION}"


def way_to(turn: Turn, current: str) -> str:
    """What to do before a command for this turn works; "" in the conversation of the commands."""
    if turn.conversation == current:
        return ""
    line = option("-c", "--conversation", str(turn.conversation))
    return (
        f"`%minimax {line}`, then "
        if line
        else "choose its conversation in `%minimax panel`, then "
    )


def former_note(turn: Turn, conversations: Mapping[str, Conversation], current: str) -> str:
    """The sentence on the answers that a turn had before its cell ran again.

    `current` is the conversation of the commands.
    """
    way, there = way_to(turn, current), conversations[str(turn.conversation)]
    is_last = not way and there.turns[-1].number == turn.number
    line = "%minimax diff" if is_last else f"%minimax diff {turn.number}"
    return f"{counted(len(turn.former), 'earlier answer')}; to compare: {way}`{line}`"


def too_long_note(model: str, left_out: int) -> str:
    """The sentence that tells how many turns were left out."""
    turns = "The oldest turn was" if left_out == 1 else f"The {left_out} oldest turns were"
    known = find(model)
    assert known is not None  # nothing is left out where the window is not known
    return (
        f"{turns} left out: the whole conversation may not fit into {model}'s window of "
        f"{known.window:,} tokens."
    )


def untrusted_note(number: int, *, was_asked: bool = True) -> str:
    """The sentence on turns that are shown and not sent: below an answer, or before one."""
    turns, them = ("turn", "it") if number == 1 else ("turns", "them")
    verb = ("was" if number == 1 else "were") if was_asked else ("is" if number == 1 else "are")
    return (
        f"{number:,} {turns} from an untrusted file {verb} not sent. "
        f"To send {them}: `%minimax restore`."
    )


def reused_notes(saved: Sequence[Saved], of: int = 1) -> list[str]:
    """Sentences on answers, of so many, that the notebook had already; none if there are none.

    Where it is known that another kind of server would be asked now, both are named.
    """
    if not saved:
        return []
    told = "This answer was reused"
    if of > 1:
        told = f"{capitalised(share(len(saved), of, 'answer'))} {was(len(saved))} reused"
    is_keyless = any(isinstance(each.instead, Nobody) for each in saved)
    again = "asking again needs a key" if is_keyless else "`%%minimax --fresh` asks again"
    return [f"{told}; {again}.", *dict.fromkeys(filter(None, map(_other_server, saved)))]


_SERVERS = {"minimax": "MiniMax", "url": "your own server"}


def _other_server(saved: Saved) -> str:
    """That another server would be asked than the one that answered, "" if it is the same."""
    reply = saved.turn.reply
    then, now = reply.origin.backend if reply.origin else reply.backend, saved.instead.backend
    if then == now or not {then, now} <= _SERVERS.keys():
        return ""
    who = {"minimax": "MiniMax", "url": "another server"}[then]
    return f"{capitalised(who)} gave this answer; now, {_SERVERS[now]} would answer."


def stale_note(numbers: Sequence[int], conversation: str = "") -> str:
    """The sentence on turns that were answered before an earlier turn changed.

    It names their conversation where that is not the one that its reader thinks of.
    """
    told = capitalised(turns_listed(numbers)) + (conversation and f" of {conversation}")
    if len(numbers) == 1:
        return f"{told} is outdated: an earlier turn has changed since. Run its cell again."
    return (
        f"{told} are outdated: an earlier turn has changed since. Run their cells again, in order."
    )


def recording_notes(
    recorder: "Recorder",
    request: TurnRequest,
    conversation: Conversation | None,
    *,
    is_stopped: bool = False,
) -> Iterator[str]:
    """What keeps a turn that was just recorded from being replayed from top to bottom."""
    if recorder.problem:
        yield f"The answer could not be recorded in {recorder.name}: {recorder.problem}."
    elif is_stopped:
        yield "A stopped answer is not replayed: run the cell again to record a complete one."
    elif conversation is None or request.ask.without:  # the full request beside it says the rest
        return
    elif places := recorder.unrecorded(request.request_key):
        # The key counts the turns that were left out for want of room, too.
        numbers = [turn.number for turn in conversation.before(to_demo=request.to_demo)]
        missing = [numbers[place - 1] for place in places if place <= len(numbers)]
        verb = "is" if len(missing) == 1 else "are"
        yield (
            f"This request builds on {turns_listed(missing)}, which {verb} not in "
            f"{recorder.name}. Your readers will run all cells from the top, so do the same."
        )
    elif others := sorted(conversation.stale_turns()):
        verb, cells = (
            ("was", "that turn's cell again")
            if len(others) == 1
            else ("were", "those turns' cells again, in order")
        )
        yield (
            f"Earlier turns have changed since {turns_listed(others)} {verb} answered. "
            f"Your readers will run all cells from the top, so run {cells}."
        )
