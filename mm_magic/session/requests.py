"""The requests that turns would be now: to whom they go, or whose saved answer they have."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from mm_magic.conversation.turn import Turn, TurnKey
from mm_magic.errors import MiniMaxError
from mm_magic.session.answerer import Demo, Nobody, Server
from mm_magic.session.cell_run import CellRun
from mm_magic.session.conversations import Conversations
from mm_magic.session.recordings import Recordings
from mm_magic.session.who_answers import WhoAnswers

if TYPE_CHECKING:  # they come when they are needed: %load_ext is quick
    from collections.abc import Iterable, Iterator, Mapping

    from mm_magic.conversation.history import History
    from mm_magic.protocol.messages import ToolResultBlock
    from mm_magic.session.build_request import Draft
    from mm_magic.session.run import Run
    from mm_magic.session.saved_answers import SavedAnswers
    from mm_magic.session.turn_request import Ask, TurnRequest


class Requests:
    """Builds requests, and counts those that are sent: so each has its own answer, or sample.

    It sends nothing itself, and changes no conversation.
    """

    def __init__(
        self, who: WhoAnswers, conversations: Conversations, recordings: Recordings
    ) -> None:
        self._who = who
        self.conversations = conversations
        self.recordings = recordings
        self.refuse_thinking: set[tuple[str, str]] = set()
        """Servers, with their models, that refused the thinking of earlier turns."""
        self._saved: SavedAnswers | None = None  # before the first answer

    @property
    def saved(self) -> "SavedAnswers":
        """The answers that this notebook has."""
        from mm_magic.session.saved_answers import SavedAnswers

        self._saved = self._saved or SavedAnswers()
        return self._saved

    def live(self, *, demo_allowed: bool | None = None) -> Server | Demo:
        """Who answers without a recording. Raises as `WhoAnswers.endpoint` does."""
        endpoint = self._who.endpoint(demo_allowed=demo_allowed)
        return Server(endpoint) if endpoint else Demo()

    def to_fill(self) -> Server | Demo:
        """Who answers what a recording lacks: the demo only where it was chosen.

        Raises as `WhoAnswers.endpoint` does.
        """
        return self.live(demo_allowed=False)

    @property
    def can_fill(self) -> bool:
        """Whether somebody can be asked for what a recording lacks."""
        try:
            self.to_fill()
        except MiniMaxError as error:
            return error.kind != "auth"  # a setting that can't be is an error when it is used
        return True

    def build(self, ask: "Ask", cell: CellRun, key: TurnKey | None) -> "TurnRequest":
        """The request that a turn would be now. Raises UsageError, and as `live` does."""
        with self.conversations.changing:
            return self._keeping(self._built(self._draft(ask, cell, key)))

    def build_next(self, ask: "Ask", cell: CellRun) -> "TurnRequest":
        """The request that the next turn of a cell would be now. Raises as `build` does."""
        return self.build(ask, cell, cell.key() if ask.has_key else None)

    def begin(self, run: "Run") -> "TurnRequest":
        """The request of a run whose turn has come. Raises as `build` does."""
        with self.conversations.changing:  # of two threads that ask the same each gets its sample
            request = self.build(run.ask, run.cell, run.key)
            request.check_pictures()
            return self._sent(request)

    def once_more(self, run: "Run", turn: Turn, problem: str) -> "TurnRequest":
        """The request that asks once more for what the answer of this turn should have been."""
        with self.conversations.changing:
            return self._sent(self._built(self._draft_of(run).once_more(turn, problem)))

    def behind_calls(self, run: "Run") -> "TurnRequest":
        """The request behind the steps of a run: it goes where the first one went."""
        asked = run.answerer
        with self.conversations.changing:
            draft = self._draft_of(run).behind(run.earlier_steps)
            if self.recordings.replaying is None and isinstance(asked, Server | Demo):
                return self._sent(self._placed(draft.build(asked)))
            return self._sent(self._built(draft))

    def recorded_results(self, run: "Run") -> "Mapping[str, ToolResultBlock] | None":
        """What a recording has of the calls of its answer, None where they are to be made."""
        assert run.request is not None
        if (replaying := self.recordings.replaying) is None or run.request.is_sent:
            return None
        with self.conversations.changing:
            draft = self._draft_of(run)
        called = run.later[-1] if run.later else run.request
        return replaying.results(draft.behind(run.steps_with_calls()), called)

    def of_model(self, request: "TurnRequest", model: str) -> "TurnRequest":
        """A request to a server as it would be to another model, with the place of the first."""
        options = replace(request.ask.options, model=model)
        with self.conversations.changing:
            draft = self._draft(replace(request.ask, options=options), request.cell, request.key)
            other = draft.build(request.answerer)
        return replace(other, counted_as=request.counted_as, sample=request.sample)

    def _draft(self, ask: "Ask", cell: CellRun, key: TurnKey | None) -> "Draft":
        """The turn, before it is known who answers it."""
        from mm_magic.session.build_request import Draft

        there = None if ask.alone else self.conversations.get(ask.options.conversation)
        return Draft.of(ask, cell, key, there, self.refuse_thinking)

    def _draft_of(self, run: "Run") -> "Draft":
        return self._draft(run.ask, run.cell, run.key)

    def _built(self, draft: "Draft") -> "TurnRequest":
        """The request of a draft. Raises as `build` does."""
        self.recordings.catch_up()
        replaying = self.recordings.replaying
        if replaying is None:
            request = self._reused(draft) or draft.build(self.live())
        else:
            name, reused = self._who.server_name(), partial(self._reused, draft)
            request = replaying.build(draft, self.to_fill, name, reused)
        return self._placed(request)

    def _placed(self, request: "TurnRequest") -> "TurnRequest":
        """The request, with the place of its answer among those to the same one."""
        name, samples = request.counted_as, self.recordings.samples
        return replace(request, sample=samples.place(name, request.cell.asker(name)))

    def _sent(self, request: "TurnRequest") -> "TurnRequest":
        """It is being sent: which answer to it belongs to whom is told by counting."""
        name, cell = request.counted_as, request.cell
        self.recordings.samples.keep(name, cell.asker(name))
        cell.has_asked(name)
        return request

    def foresee(
        self, asks: "Iterable[tuple[Ask, int]]", cell: CellRun
    ) -> "list[tuple[TurnRequest, int]]":
        """The requests that the cell would make: each Ask so many times, in this order.

        Each request comes with the number of those that are like it. What can't be built is left
        out; raises MiniMaxError where nothing can be.
        """
        cell = cell.copy()
        found: list[tuple[TurnRequest, int]] = []
        refused: list[MiniMaxError] = []
        with self.conversations.changing, self.recordings.samples.on_trial():
            for ask, times in asks:
                try:
                    found += self._foreseen(ask, times, cell)
                except MiniMaxError as error:
                    refused.append(error)
        if refused and not found:
            raise refused[0]
        return found

    def _foreseen(
        self, ask: "Ask", times: int, cell: CellRun
    ) -> "Iterator[tuple[TurnRequest, int]]":
        """The requests of one Ask; none is beyond what is known but the last, for all of those."""
        replaying = self.recordings.replaying
        answers = (self._saved, replaying and replaying.replay)
        known = max((each.most for each in answers if each), default=0)
        for left in range(times, 0, -1):
            request = self.build_next(ask, cell)
            request.check_pictures()
            if request.sample >= known:
                yield request, left
                return
            yield request, 1
            self._sent(request)

    def _reused(self, draft: "Draft") -> "TurnRequest | None":
        """The request with the answer that this notebook has; None if it has none, or may not."""
        ask = draft.ask
        is_wanted = self._who.is_keyless or (ask.options.reuse and not ask.is_fresh)
        if self._saved is None or not is_wanted:
            return None
        from mm_magic.session.reusing import Reuse

        replaying = self.recordings.replaying
        recording = replaying.replay if replaying else None
        return Reuse(self._saved, self.recordings.samples, recording, self._asked()).find(draft)

    def _asked(self) -> Server | Demo | Nobody:
        """Who would be asked for a new answer."""
        try:
            return self.to_fill()
        except MiniMaxError as error:  # where nobody can be asked a model's answer comes again, too
            why = error.with_traceback(None)
        return Nobody(self._who.server_name(), lambda: why)

    def _keeping(self, request: "TurnRequest") -> "TurnRequest":
        """The request, or what its cell keeps in place of it where nobody can be asked."""
        if self._saved is None or not self._who.is_keyless:
            return request
        from mm_magic.session.reusing import keeping

        return keeping(self._saved, self.conversations, request)

    def history(self, ask: "Ask", cell: CellRun) -> "History":
        """What would be sent before a new prompt. Raises as `build` does."""
        if self.recordings.replaying is not None:  # it depends on what the recording holds
            return self.build(ask, cell, None).history
        with self.conversations.changing:
            return self._draft(ask, cell, None).history(self.live().server)

    def history_now(self, turn: Turn) -> "History":
        """What would be sent before a turn's prompt if its cell ran again now."""
        from mm_magic.session.build_request import history_now

        assert turn.conversation is not None
        there = self.conversations.named(turn.conversation)
        if (replaying := self.recordings.replaying) is not None:
            return replaying.history_now(there, turn, self._who.server_name())
        return history_now(there, turn, self.live().server, self.refuse_thinking)
