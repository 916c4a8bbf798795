"""What a kernel records and replays: which recorded answer a turn gets, and what is told of it.

A request in replay must come out as it was recorded, and what it carries of earlier thinking
depends on the server. So it is built for each server of the recording in turn: the one that makes
a recorded request of it is the one that was asked.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from mm_magic.conversation.number_ranges import in_words, ranges
from mm_magic.conversation.reply import Origin
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.protocol.request import Request
from mm_magic.session.cell_run import CellRun
from mm_magic.session.turn_request import Prepared
from mm_magic.transport.endpoint import OFFLINE, Endpoint
from mm_magic.transport.recording.file_format import Asked, RecordedExchange, asked
from mm_magic.transport.recording.player import Playback, Replay, Unanswered
from mm_magic.transport.recording.writer import Recorder
from mm_magic.wording import plain, quoted

if TYPE_CHECKING:
    from mm_magic.conversation.conversation import Conversation
    from mm_magic.transport.client import Tap

Build = Callable[[Endpoint | None, str], Prepared]
"""Prepares a turn for who answers and for the name that its history knows that one by."""


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

    def prepared(
        self,
        build: Build,
        cell: CellRun,
        live: Callable[[], tuple[Endpoint | None, str]],
        live_name: str,
        *,
        takes: bool,
    ) -> Prepared:
        """The turn with its answer. With `takes` that answer is this cell's from now on.

        `live` gives who is asked for a missing answer, `live_name` the name of who would be: turns
        of the notebook file may know it by that.
        """
        candidates = [build(None, name) for name in self.names(live_name)]
        requests = [asked_of(each.request) for each in candidates]
        if fits := list(self._fitting(requests, cell)):
            # The first turn is the same for all servers: the one that was asked is preferred. A
            # prompt that was asked twice in a row, of a model and of the demo, fits both.
            place, answer = min(
                fits,
                key=lambda fit: (
                    self.replay.place(fit[1]),
                    candidates[fit[0]].server != chain_name(fit[1].server),
                ),
            )
            asker = cell.asker(requests[place].hash, takes=takes)
            found = self.replay.take(requests[place], asker) if takes else answer
            if found is not None:
                return self._played(candidates[place], found)
        request = requests[0]
        if self.is_loose:
            asker = cell.asker(request.question, takes=False)
            if found := self.replay.find_loosely(request, asker, takes=takes):
                cell.asker(request.question, takes=takes)
                return self._played(build(None, chain_name(found.server)), found, is_loose=True)
        why = partial(self._missing, requests)
        if self.fills:
            try:
                return build(*live())
            except MiniMaxError as error:
                why = partial(_with_more_steps, error, why)
        return replace(candidates[0], script=Unanswered(why))

    def _fitting(
        self, requests: Iterable[Asked], cell: CellRun
    ) -> Iterator[tuple[int, RecordedExchange]]:
        """The places of those requests that were recorded, each with its answer."""
        for place, request in enumerate(requests):
            found = self.replay.find(request, cell.asker(request.hash, takes=False))
            if found is not None:
                yield place, found

    def in_words(self) -> str:
        """What answers, in a few words."""
        answers = sum(each.is_offered for each in self.replay.exchanges)
        days = sorted({each.day for each in self.replay.exchanges if each.day})
        when = f", recorded {' to '.join(dict.fromkeys((days[0], days[-1])))}" if days else ""
        what = f"the recording {self.name}" if self.name else "the notebook's own saved turns"
        rest = "; a model is asked for what is missing" if self.fills else ""
        return f"{what} ({answers} answer{'' if answers == 1 else 's'}{when}){rest}"

    def names(self, live_name: str) -> list[str]:
        """The names by which a history in replay may know who answered."""
        return [*map(chain_name, self.replay.servers), live_name]

    def _played(
        self, candidate: Prepared, found: RecordedExchange, *, is_loose: bool = False
    ) -> Prepared:
        return replace(
            candidate,
            script=Playback(found, self.speed),
            origin=Origin(found.backend, found.day, is_loose),
        )

    def _missing(self, requests: list[Asked]) -> MiniMaxError:
        """There is no answer: what is other than in the recording, and what to do."""
        from mm_magic.transport.recording.mismatch import difference

        where = repr(self.name) if self.name else "the notebook's saved turns"
        command = "%minimax replay"
        if self.name:
            command += f" {quoted(self.name) or 'FILE'}"
        for request in requests:
            if times := self.replay.times(request):
                return UsageError(
                    f"{where}: this request was recorded for {times} cell{'s' * (times > 1)}, and "
                    "one more asks it",
                    next_steps=(
                        f"To count the cells anew: `{command}`",
                        _fill_step(command),
                    ),
                )
        return UsageError(
            f"this request is not in {where}",
            next_steps=(
                *difference(requests, self.replay.exchanges),
                *([_fill_step(command)] * (not self.fills)),
                *([f"To take it as it is: `{command} --loose`"] * self.replay.is_near(requests[0])),
            ),
        )


def chain_name(server: str) -> str:
    """By what name a history knows a server of a recording; the demo is always the demo."""
    return server if server == OFFLINE else f"recorded {server}"


def asked_of(request: Request) -> Asked:
    """The meaning of a request."""
    return asked(request.to_body())


def recording_tap(recorder: Recorder, prepared: Prepared) -> "Tap":
    """Records the answers to a turn's request."""
    request = asked_of(prepared.request)
    asker = prepared.cell.asker(request.hash, takes=True)
    return recorder.tap(request, asker, endpoint=prepared.endpoint, server=prepared.server)


def recording_notes(
    recorder: Recorder,
    prepared: Prepared,
    conversation: "Conversation | None",
    *,
    is_stopped: bool = False,
) -> Iterator[str]:
    """What keeps a turn that was just recorded from being replayed from top to bottom."""
    if recorder.problem:
        yield f"Not recorded in {recorder.name}: {recorder.problem}."
    elif is_stopped:
        yield "A stopped answer is not replayed: run the cell again to record a whole one."
    elif places := recorder.unrecorded(asked_of(prepared.request)):
        numbers = _numbers(prepared)
        missing = [numbers[place - 1] for place in places if place <= len(numbers)]
        yield (
            f"Not from top to bottom: {_turns(missing)} above, which this request carries, "
            f"{_is_or_are(missing)} not in {recorder.name}. Readers run all cells from the top: do "
            "so, too."
        )
    elif conversation is not None and (others := sorted(conversation.stale_turns())):
        yield (
            f"Not from top to bottom: {_turns(others)} {_was_or_were(others)} made with other "
            "turns above. Readers run all cells from the top: run "
            f"{'that cell' if len(others) == 1 else 'those cells'} again, in order."
        )


def _fill_step(command: str) -> str:
    return f"To ask a model for what is missing: `{command} --fill`"


def _with_more_steps(error: MiniMaxError, why: Callable[[], MiniMaxError]) -> MiniMaxError:
    """There is nobody to ask for what is missing: why it is missing may mend it, too."""
    from mm_magic.transport.recording.mismatch import NOT_RECORDED

    missing = why()
    error.message = f"{missing.message}, and {error.message}"
    error.args = (plain(error.message),)
    steps = (step for step in missing.next_steps if step != NOT_RECORDED)  # the message says it
    error.next_steps = (*steps, *error.next_steps)
    return error


def _numbers(prepared: Prepared) -> list[int]:
    """The numbers of the earlier turns that a request carries."""
    numbers, link = [], prepared.history.link
    while link.turn is not None and link.before is not None:
        numbers.append(link.turn.number)
        link = link.before
    return numbers[::-1]


def _turns(numbers: list[int]) -> str:
    return f"turn{'s' * (len(numbers) > 1)} {in_words(ranges(numbers))}"


def _is_or_are(numbers: list[int]) -> str:
    return "are" if len(numbers) > 1 else "is"


def _was_or_were(numbers: list[int]) -> str:
    return "were" if len(numbers) > 1 else "was"
