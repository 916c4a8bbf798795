"""A recording that answers: which recorded answer a turn gets, and why it gets none.

The key of a request depends on who answered in one way only: turns of the demo go to the demo and
to nobody else. So where a conversation holds such turns, both keys are looked for.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from mm_magic.conversation.conversation import Conversation
from mm_magic.conversation.history import History
from mm_magic.conversation.reply import Origin
from mm_magic.conversation.turn import Turn
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.protocol.request_key import RequestKey
from mm_magic.session.build_request import Draft, history_now
from mm_magic.session.options import on_line
from mm_magic.session.turn_request import TurnRequest
from mm_magic.transport.endpoint import OFFLINE, Endpoint
from mm_magic.transport.recording.player import Found, Playback, Replay, Unanswered
from mm_magic.wording import counted, plain, quoted


@dataclass(frozen=True, slots=True, eq=False)
class Replaying:
    """A recording that answers.

    `name` is what the user called it, "" for the notebook's own turns. `speed` is a factor,
    math.inf without a wait. `is_loose` also takes the answer to the same prompt and options in
    another context; `fills` asks a server for what is missing.
    """

    replay: Replay
    name: str
    speed: float = 1.0
    is_loose: bool = False
    fills: bool = False

    def build(
        self, draft: Draft, live: Callable[[], tuple[Endpoint | None, str]], live_name: str
    ) -> TurnRequest:
        """The turn with its answer, or with the error that there is none.

        `live` gives who is asked for a missing answer, `live_name` the name of who would be: turns
        of the notebook's file may know it by that.
        """
        model, asker = draft.ask.options.model, draft.cell.asker
        keys = _keys(draft)
        fitting = [found for key in keys if (found := self.replay.find(key, model, asker))]
        if fitting:
            # A prompt that was asked twice in a row, of a model and of the demo, fits both.
            return self._played(draft, min(fitting, key=lambda f: self.replay.place(f.exchange)))
        again = [f for key in keys if (f := self.replay.find_again(key, model, asker))]
        if again and not self.fills:
            return self._played(draft, again[0])
        if self.is_loose and (found := self.replay.find_loosely(keys[0], model, asker)):
            return self._played(draft, found)
        why = partial(self._missing, keys, model)
        if self.fills:
            try:
                request = draft.build(*live())
            except MiniMaxError as error:
                if again:
                    return self._played(draft, again[0])
                why = partial(_with_more_steps, error, why)
            else:
                counted_as = self.replay.counted_as(request.request_key, model)
                return replace(request, counted_as=counted_as)
        first = next((chain_name(each.server) for each in self.replay.exchanges), live_name)
        return draft.build(None, first, script=Unanswered(why))

    def in_words(self) -> str:
        """What answers, in a few words."""
        answers = sum(each.is_offered for each in self.replay.exchanges)
        days = sorted({each.day for each in self.replay.exchanges if each.day})
        when = f", recorded {' to '.join(dict.fromkeys((days[0], days[-1])))}" if days else ""
        what = f"the recording {self.name}" if self.name else "the notebook's own saved turns"
        rest = "; a model is asked for what is missing" if self.fills else ""
        return f"{what} ({counted(answers, 'answer')}{when}){rest}"

    def history_now(self, there: Conversation, turn: Turn, live_name: str) -> History:
        """What a request would carry before a turn's prompt if its cell ran again now."""
        servers = dict.fromkeys(chain_name(each.server) for each in self.replay.exchanges)
        histories = [history_now(there, turn, name) for name in (*servers, live_name)]
        same = (each for each in histories if each.context_hash == turn.context_hash)
        return next(same, histories[0])

    def _played(self, draft: Draft, found: Found) -> TurnRequest:
        exchange = found.exchange
        return draft.build(
            None,
            chain_name(exchange.server),
            script=Playback(exchange, self.speed),
            origin=Origin(exchange.backend, exchange.day, found.is_loose, exchange.seconds),
            counted_as=found.counted_as,
        )

    def _missing(self, keys: Sequence[RequestKey], model: str) -> MiniMaxError:
        """There is no answer: how the request differs from the recorded ones, and what to do."""
        from mm_magic.transport.recording.mismatch import difference

        where = repr(self.name) if self.name else "the notebook's saved turns"
        command = "%minimax replay"
        if self.name:
            command += f" {quoted(self.name) or 'FILE'}"
        steps = difference(keys, self.replay.exchanges, on_line)
        if self.replay.loosely(keys[0], model):
            steps.append(f"To take the recorded answer anyway: `{command} --loose`")
        steps.append("To see what is recorded: `%minimax replay --list`")
        if not self.fills:  # it needs a key, as none of the others does
            steps.append(f"To ask a model for what is missing: `{command} --fill`")
        return UsageError(f"this request is not in {where}", next_steps=steps)


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
