"""What the notebook has in place of a request: its saved answer, or what its cell had before.

An answer to this very request is drawn again. Without a key a cell keeps a model's answer even
where it asks something else now, so that a reader's Run All leaves a lesson whole.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mm_magic.conversation.turn import Turn
from mm_magic.session.answerer import Demo, Kept, Nobody, Saved, Server
from mm_magic.session.build_request import Draft
from mm_magic.session.conversations import Conversations
from mm_magic.session.notebook_as_recording import key_of
from mm_magic.session.run import Run
from mm_magic.session.saved_answers import SavedAnswers
from mm_magic.session.turn_request import TurnRequest
from mm_magic.transport.recording.player import Replay
from mm_magic.transport.recording.writer import Samples

NEEDS_KEY = "A new answer needs a key."


@dataclass(frozen=True, slots=True)
class Reuse:
    """Finds the answers that a notebook has.

    `samples` says which of several answers belongs to whom, `recording` what they are counted by
    where one answers. `asked` would be asked for a new one.
    """

    saved: SavedAnswers
    samples: Samples
    recording: Replay | None
    asked: Server | Demo | Nobody

    def find(self, draft: Draft) -> TurnRequest | None:
        """The request with its answer, None if there is none.

        One that is from an untrusted file was given behind the turns that are shown above, any
        other one behind those that are sent.
        """
        found = (self._find(replace(draft, is_untrusted=each)) for each in (True, False))
        return next((each for each in found if each is not None), None)

    def _find(self, draft: Draft) -> TurnRequest | None:
        to_demo, model = isinstance(self.asked, Demo), draft.ask.options.model
        key = draft.request_key(to_demo=to_demo)
        if self.recording is not None:
            name = self.recording.counted_as(key, model)
        else:
            name = self.saved.counted_as(key, model, to_demo=to_demo)
        place = self.samples.place(name, draft.cell.asker(name))
        saved = self.saved.find(key, model, place, to_demo=to_demo)
        if saved is None or saved.is_untrusted is not draft.is_untrusted:
            return None
        return draft.build(Saved(saved, self.asked), counted_as=name)


def keeping(saved: SavedAnswers, conversations: Conversations, request: TurnRequest) -> TurnRequest:
    """The request, or what its cell keeps in place of it.

    That is what a model answered there before, with all its answers.
    """
    answerer = request.answerer
    if request.key is None or not isinstance(answerer, Demo | Nobody):
        return request
    there = conversations.get(request.ask.conversation or "")
    place = there.place(request.key, request.ask.prompt) if there else None
    standing = (turn for turn in conversations.turns() if turn.key == request.key)
    old = next(standing, saved.of_cell(request.key))
    if old is None and there is not None and place is not None:  # its cell has another name here
        old = there.turns[place]
    if old is None or old.is_demo or not old.reply.text.strip():
        return request
    old = replace(old.as_made, key=request.key, label=request.cell.label, is_hidden=False)
    return replace(request, answerer=Kept(old, answerer))


def keep_old(samples: Samples, runs: Sequence[Run], old: Turn) -> None:
    """The cell of these runs keeps the turn that it had; none of them is sent."""
    _keep_places(samples, [run.request for run in runs if run.request], old)
    for run in runs:
        run.error, run.is_kept, run.turn = None, True, old
        run.notes = [_why_old(runs, old)]


def _why_old(runs: Sequence[Run], old: Turn) -> str:
    """The line above the answer that a cell keeps, although it is no answer to what it asks."""
    if old.prompt.differs_in_pictures(runs[0].ask.prompt):
        told = "A picture has changed; the answer below was given for the old one, shown above it."
        return f"{told} {NEEDS_KEY}"
    if not old.prompt.asks_as(runs[0].ask.prompt):
        return f"This prompt has changed; the answer below is to the old one. {NEEDS_KEY}"
    asked = [(run.ask.asked(), run.ask.without and run.ask.without.what) for run in runs]
    if asked != [(each.asked, each.without and each.without.what) for each in old.answers]:
        told = "The options have changed; the answer below was given with the old ones."
        return f"{told} {NEEDS_KEY}"
    if old.reply.status != "complete":
        return f"The answer below is not complete. {NEEDS_KEY}"
    if old.reply.problem:
        return f"The answer below is not of the requested type. {NEEDS_KEY}"
    return f"Earlier turns have changed since the answer below was given. {NEEDS_KEY}"


def _keep_places(samples: Samples, requests: Sequence[TurnRequest], old: Turn) -> None:
    """The cell counts as one that asked for its old answers, so that others keep theirs."""
    known, cell = {request.counted_as for request in requests}, requests[0].cell
    for name in (each.request_key for each in old.answers):
        if name and name not in known:
            samples.keep(name, cell.asker(name))
            cell.has_asked(name)


def trust(
    saved: SavedAnswers,
    conversations: Conversations,
    name: str | None = None,
    number: int | None = None,
) -> list[Turn]:
    """Send the turns of an untrusted file from now on: all, or those of one conversation.

    Returns those that stand in a conversation.
    """
    with conversations.changing:
        there = (each for each in conversations.values() if name in (None, each.name))
        turns = [turn for each in there for turn in each.trust(number)]
    saved.trust(None if name is None else {each.id for turn in turns for each in turn.answers})
    return turns


def save_again(
    saved: SavedAnswers, samples: Samples, conversations: Conversations, turn: Turn
) -> None:
    """An answer that was brought back is the one that comes again, where it still belongs."""
    there = conversations.named(str(turn.conversation))
    if turn.number in there.stale_turns():
        return
    key = key_of(turn, there.earlier_of(turn))
    if turn.key is not None:  # an answer of an earlier kernel was counted by that one
        model = str(turn.parameters.get("model"))
        name = saved.counted_as(key, model, to_demo=turn.is_demo)
        asker = (
            turn.key.cell_id,
            sum(_is_asked_before(each, turn) for each in conversations.turns()),
        )
        turn = replace(turn, sample=samples.place(name, asker))
    saved.add(key, turn)


def _is_asked_before(other: Turn, turn: Turn) -> bool:
    """Whether the cell of a turn asked the same before it, for the other one."""
    if other.key is None or turn.key is None or other.copy_of:
        return False
    is_before = other.key.index_in_cell < turn.key.index_in_cell
    is_same = other.request_key == turn.request_key
    return other.key.cell_id == turn.key.cell_id and is_before and is_same
