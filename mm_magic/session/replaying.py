"""A recording that answers: which recorded answer a turn gets, and why it gets none.

The key of a request depends on who answered in one way only: turns of the demo go to the demo and
to nobody else. So where a conversation holds such turns, both keys are looked for. An answer from
an untrusted notebook is looked for behind the turns that are shown, as its cell knew them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.history import History
from mm_magic.conversation.reply import Origin
from mm_magic.conversation.turn import Turn
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.protocol.messages import ToolResultBlock
from mm_magic.protocol.request_key import RequestKey
from mm_magic.session.answerer import Demo, Nobody, Recorded, Server
from mm_magic.session.build_request import Draft, history_now
from mm_magic.session.options import BY_NAME, Options, on_line
from mm_magic.session.turn_request import Ask, TurnRequest
from mm_magic.transport.endpoint import OFFLINE
from mm_magic.transport.recording.file_format import RecordedExchange
from mm_magic.transport.recording.player import Found, Playback, Replay
from mm_magic.transport.recording.writer import Asker
from mm_magic.wording import counted, plain, quoted

_SAVED = "the notebook's saved turns"
_Find: TypeAlias = Callable[[RequestKey, str, Callable[[str], Asker]], Found | None]


@dataclass(frozen=True, slots=True, eq=False)
class Replaying:
    """A recording that answers.

    `name` is what the user called it, "" for the notebook's own turns. `speed` is a factor,
    math.inf without a wait. `is_loose` also takes the answer to the same prompt and options in
    another context; `fills` asks a server, if there is one, for what is missing or was an error.
    `is_restored`: what it has from an untrusted notebook may be sent on, too.
    """

    replay: Replay
    name: str
    speed: float = 1.0
    is_loose: bool = False
    fills: bool = False
    is_restored: bool = False

    def build(
        self,
        draft: Draft,
        live: Callable[[], Server | Demo],
        live_name: str,
        reused: Callable[[], TurnRequest | None],
    ) -> TurnRequest:
        """The turn with its answer, or with the error that there is none.

        `live` gives who is asked for a missing answer, `live_name` the name of who would be: turns
        of the notebook's file may know it by that. `reused` gives the request with an answer that
        the notebook has.
        """
        model, asker = draft.ask.options.model, draft.cell.asker
        keys = _keys(draft)
        own, again = self._own(draft, model, asker), None
        if own is None:
            again = next(self._fitting(self.replay.find_again, draft, model, asker), None)
        if own is None and again is None and self.is_loose and draft.ask.without is None:
            own = self.replay.find_loosely(keys[0], model, asker)
        why = partial(self._missing, keys, draft.ask)
        is_had = own is not None and own.exchange.ending != "failed" and not draft.ask.is_fresh
        if self.fills and not is_had:
            try:
                asked = live()
                request = reused() or draft.build(asked)
            except MiniMaxError as error:
                if error.kind != "auth":  # without a key it is a replay like any other
                    why = partial(_with_more_steps, error, why)
            else:
                counted_as = self.replay.counted_as(request.request_key, model)
                return replace(request, counted_as=counted_as)
        if (found := own or again) is not None:
            return self._played(draft, found)
        if (request_with_answer := reused()) is not None:
            return request_with_answer
        by_the_rest = self._fitting(self.replay.find_by_the_rest, draft, model, asker)
        if (found := next(by_the_rest, None)) is not None:
            return self._played(draft, found)
        first = next((chain_name(each.server) for each in self.replay.exchanges), live_name)
        return draft.build(Nobody(first, why))

    def _own(self, draft: Draft, model: str, asker: Callable[[str], Asker]) -> Found | None:
        """The recorded answer of this very asker."""
        fitting = self._fitting(self.replay.find, draft, model, asker)
        # A prompt that was asked twice in a row, of a model and of the demo, fits both.
        return min(fitting, key=lambda found: self.replay.place(found.exchange), default=None)

    def _fitting(
        self, find: _Find, draft: Draft, model: str, asker: Callable[[str], Asker]
    ) -> Iterator[Found]:
        """What fits of the answers; one of an untrusted notebook was given behind such turns."""
        for is_untrusted in (False, True):
            for key in _keys(replace(draft, is_untrusted=is_untrusted)):
                found = find(key, model, asker)
                if found and self._is_untrusted(found.exchange) is is_untrusted:
                    yield found

    def _is_untrusted(self, exchange: RecordedExchange) -> bool:
        return exchange.is_untrusted and not self.is_restored

    def results(self, draft: Draft, called: TurnRequest) -> dict[str, ToolResultBlock] | None:
        """The recorded results of the calls that the last steps of a draft have, by their ids.

        The answer to the request `called` has these calls. None where they are to be
        made: they are not there, and a server is asked for what is missing. Raises UsageError if
        nobody is.
        """
        answerer = called.answerer
        played = answerer.playback.exchange if isinstance(answerer, Recorded) else None
        for key in _keys(draft):
            if (found := self.replay.results(key, played)) is not None:
                return found
        if self.fills:
            return None
        raise UsageError(
            f"the results of these calls are not in {repr(self.name) if self.name else _SAVED}, and"
            " a recording calls no functions",
            next_steps=("Record the cell again, and wait until its answer is complete.",),
        )

    def in_words(self) -> str:
        """What answers, in a few words."""
        answers = sum(each.is_offered for each in self.replay.exchanges)
        days = sorted({each.day for each in self.replay.exchanges if each.day})
        when = f", recorded {' to '.join(dict.fromkeys((days[0], days[-1])))}" if days else ""
        what = f"the recording {self.name}" if self.name else "the notebook's own saved turns"
        return f"{what} ({counted(answers, 'answer')}{when})"

    @property
    def models(self) -> list[str]:
        """The models that recorded requests name, each once."""
        named = (each.key.options.get("model") for each in self.replay.exchanges)
        return list(dict.fromkeys(name for name in named if isinstance(name, str)))

    def history_now(self, there: Conversation, turn: Turn, live_name: str) -> History:
        """What a request would carry before a turn's prompt if its cell ran again now."""
        servers = dict.fromkeys(chain_name(each.server) for each in self.replay.exchanges)
        histories = [history_now(there, turn, name) for name in (*servers, live_name)]
        same = (each for each in histories if each.context_hash == turn.context_hash)
        return next(same, histories[0])

    def _played(self, draft: Draft, found: Found) -> TurnRequest:
        exchange = found.exchange
        origin = Origin(
            exchange.backend,
            exchange.day,
            found.is_loose,
            exchange.seconds,
            is_of_other_picture=found.is_of_other_picture,
        )
        server, playback = chain_name(exchange.server), Playback(exchange, self.speed)
        draft = replace(draft, is_untrusted=self._is_untrusted(exchange))
        return draft.build(Recorded(server, playback, origin), counted_as=found.counted_as)

    def _missing(self, keys: Sequence[RequestKey], ask: Ask) -> MiniMaxError:
        """There is no answer: how the request differs from the recorded ones, and what to do."""
        from mm_magic.transport.recording.mismatch import difference

        where = repr(self.name) if self.name else _SAVED
        what = f"this request without {ask.without}" if ask.without else "this request"
        command = "%minimax replay"
        if self.name:
            command += f" {quoted(self.name) or 'FILE'}"
        steps = []
        if ask.without is None:  # else the whole request would be the nearest one
            steps = difference(keys, self.replay.exchanges, on_line, _history_on_line(ask))
            if self.replay.loosely(keys[0], ask.options.model):
                steps.append(f"To take the recorded answer anyway: `{command} --loose`")
        steps.append("To see what is recorded: `%minimax replay --list`")
        if not self.fills:  # it needs a key, as none of the others does
            steps.append(f"To ask a model for what is missing: `{command} --fill`")
        return UsageError(f"{what} is not in {where}", next_steps=steps)


def _history_on_line(ask: Ask) -> list[str]:
    """The words of a magic's line that say what comes before the prompt."""
    if ask.alone:
        return ["--alone"]
    name = ask.options.conversation
    named = BY_NAME["conversation"].on_line(name)
    return [named] if named and name != Options().conversation else []


def _keys(draft: Draft) -> list[RequestKey]:
    keys = (draft.request_key(to_demo=to_demo) for to_demo in (False, True))
    return list({key.hash: key for key in keys}.values())


def chain_name(server: str) -> str:
    """The name by which a history knows a server of a recording; the demo is always the demo."""
    return server if server == OFFLINE else f"recorded {server}"


def _with_more_steps(error: MiniMaxError, why: Callable[[], MiniMaxError]) -> MiniMaxError:
    """Nothing can be asked for what is missing: why it is missing may mend it, too."""
    from mm_magic.transport.recording.mismatch import NOT_RECORDED

    missing = why()
    error.message = f"{missing.message}, and {error.message}"
    error.args = (plain(error.message),)
    steps = (step for step in missing.next_steps if step != NOT_RECORDED)  # the message says it
    error.next_steps = (*steps, *error.next_steps)
    return error
