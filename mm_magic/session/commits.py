"""What a turn begins and ends with: its request, and its place in a conversation."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mm_magic.conversation.reply import Reply
from mm_magic.conversation.turn import Turn, first_choice, with_others
from mm_magic.errors import MiniMaxError
from mm_magic.session.answerer import Kept
from mm_magic.session.defaults import Defaults
from mm_magic.session.latest import Latest
from mm_magic.session.models import Models
from mm_magic.session.notes import former_note, notes, recording_notes, stale_note
from mm_magic.session.refusals import Refusals
from mm_magic.session.requests import Requests
from mm_magic.session.run import Run
from mm_magic.session.told import Told
from mm_magic.session.turn_request import TurnRequest

if TYPE_CHECKING:  # few ask for several answers
    from mm_magic.session.together import Together


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Commits:
    """Begins turns and commits them. It sends nothing.

    What a reader should know of a turn is put into the notes of its run.
    """

    requests: Requests
    models: Models
    refusals: Refusals
    latest: Latest
    defaults: Defaults
    told: Told

    def begin(self, run: Run) -> TurnRequest | None:
        """The request of a run whose turn has come, built once; None if its cell keeps its answer.

        Raises MiniMaxError.
        """
        last, request = self.latest.request, self._begin(run)
        if self._keep_old([run], last):
            return None
        run.notes += self._notes(request)
        return request

    def begin_together(self, several: "Together") -> dict[Run, TurnRequest]:
        """All requests, built in order before one is sent: so each has its own sample.

        There are none where the cell keeps what it had. Raises MiniMaxError if none can be built.
        """
        requests, last = {}, self.latest.request
        for run in several.runs:
            try:
                requests[run] = self._begin(run)
            except MiniMaxError as error:
                run.error = error
        if not requests and (refused := [run.error for run in several.runs if run.error]):
            raise refused[0]
        if requests and self._keep_old(several.runs, last):
            several.keep()
            self.latest.compare = several.turn
            return {}
        for run, request in requests.items():
            run.notes += self._notes(request)
        return requests

    def commit(self, run: Run, reply: Reply, *, is_stopped: bool = False) -> None:
        """Put a finished turn into its conversation; a reply that may not enter changes nothing."""
        if (request := run.request) is None:
            return
        if run.turn is None:
            if reply.may_enter():
                self.refusals.learn(run, request)
            turn = request.turn(reply)
            self.requests.saved.add(request.request_key, turn)
            self._put(run, turn)
        run.notes += self._recording_notes(request, is_stopped=is_stopped)

    def commit_together(self, several: "Together") -> None:
        """They ended or were stopped: commit one of the answers, with the others beside it."""
        if several.turn is not None:
            return
        turns = several.turns()
        begun = {run.answer: (run, run.request) for run in several.runs if run.request}
        for run, request in begun.values():
            turn = turns[run.answer - 1]
            self.requests.saved.add(request.request_key, turn)
            if turn.reply.may_enter():
                self.refusals.learn(run, request)
        if (first := first_choice(turns[answer - 1] for answer in begun)) is not None:
            run, self.latest.request = begun[first.answer]
            self._put(run, with_others(first, turns))
            several.turn = self.latest.compare = run.turn
            self._keep_exchanges(several)
        for run, request in begun.values():
            if run.error is None:
                is_stopped = turns[run.answer - 1].reply.status == "stopped"
                run.notes += self._recording_notes(request, is_stopped=is_stopped)

    def _keep_exchanges(self, several: "Together") -> None:
        """What arrived for each answer is known by the turn that the answer would be."""
        assert several.turn is not None
        for turn in several.turn.answers:
            if (request := several.runs[turn.answer - 1].request) is not None:
                self.latest.became([request], turn)

    def _begin(self, run: Run) -> TurnRequest:
        run.request = self.latest.request = self.requests.begin(run)
        return run.request

    def _keep_old(self, runs: Sequence[Run], last: TurnRequest | None) -> bool:
        """Whether their cell keeps the answer that it had; `last` is what was sent last."""
        kept = next((run.answerer for run in runs if isinstance(run.answerer, Kept)), None)
        if kept is None:
            return False
        from mm_magic.session.reusing import keep_old  # few keep it

        keep_old(self.requests.recordings.samples, runs, kept.turn)
        self.latest.request = last
        self._put(runs[0], kept.turn)
        return True

    def _put(self, run: Run, turn: Turn) -> None:
        """Put the turn of a run into its conversation, if its reply may enter."""
        request, conversations = run.request, self.requests.conversations
        assert request is not None
        if turn.reply.may_enter():
            turn, stale = conversations.commit_and_compare(turn)
            is_recorded = self.requests.recordings.recorder is not None and request.is_recordable
            if stale and run.ask.is_cell and not is_recorded:  # else its own note says it
                run.notes.append(stale_note(stale))
            if run.ask.is_cell and turn.former:
                current = self.defaults.options.conversation
                run.notes.append(former_note(turn, conversations, current))
            if turn.conversation is not None:
                self.latest.commit = time.time()
                run.cell.made.append(turn)
                if not run.is_drawn:
                    run.cell.undrawn.append(turn)
        run.turn = self.latest.made = turn
        self.requests.saved.add_of_cell(turn)
        self.latest.became((request, *run.later), turn)

    def _notes(self, request: TurnRequest) -> list[str]:
        """What the reader of this turn should know; some of it is told once."""
        found = notes(request, self.requests.conversations, self.told, self.defaults.options)
        options, endpoint = request.ask.options, request.answerer.endpoint
        if not request.is_sent:
            return found
        if self.told.once(f"model {options.model}"):
            found += filter(None, [self.models.note_at(endpoint, options.model)])
        thinking = self.models.thinking_note_at(endpoint, options)
        if thinking and self.told.once(thinking):
            found.append(thinking)
        return found

    def _recording_notes(self, request: TurnRequest, *, is_stopped: bool) -> Iterable[str]:
        """What the reader of a turn that was recorded should know of that."""
        recorder = self.requests.recordings.recorder
        if recorder is None or not request.is_recordable:
            return ()
        there = self.requests.conversations.get(request.ask.conversation or "")
        return recording_notes(recorder, request, there, is_stopped=is_stopped)
