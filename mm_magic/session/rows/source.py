"""Where the answers of rows come from: what is known, who is asked, and what takes it down."""

from collections.abc import Hashable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from weakref import WeakValueDictionary

from mm_magic.conversation.notebook_file import load_bytes
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.protocol.request_key import RequestKey
from mm_magic.session.answerer import Demo, Server
from mm_magic.session.rows.answers import (
    Answers,
    KernelAnswers,
    Reading,
    RecordedAnswers,
    RowAnswer,
)
from mm_magic.session.session import Session
from mm_magic.session.turn_queue import TurnQueue
from mm_magic.transport.recording.player import Replay
from mm_magic.transport.recording.reader import read
from mm_magic.transport.recording.writer import BEGINNING, Recorder, begin, is_new
from mm_magic.web_page import readable
from mm_magic.wording import counted

_asking: WeakValueDictionary[tuple[Hashable, str], TurnQueue] = WeakValueDictionary()
"""Of each request that is being asked, by where its answer is kept: who asks it, and who waits."""
_lock = Lock()


@dataclass(frozen=True, slots=True)
class Source:
    """Where the answers of one table come from.

    `known` finds those that are there, "in" `name` for the reader. `asked` is asked for the
    others; where it is None, `why` says why nobody is. What the kernel gets now it `remembers`, and
    `recorder` takes it down. `is_new`: its file is not there yet; `answered`: the requests that it
    holds answers to. All tables of this process whose answers go to one `place` share them.
    """

    known: Answers
    name: str
    asked: Server | Demo | None
    why: MiniMaxError | None
    remembers: KernelAnswers
    place: Hashable
    recorder: Recorder | None = None
    is_new: bool = False
    answered: Sequence[RequestKey] = ()

    def begin(self) -> bool:
        """Make its file; False if there is none to make. Raises UsageError."""
        recorder = self.recorder if self.is_new else None
        return recorder is not None and begin(recorder.path, self.name)

    def asking(self, request: str) -> AbstractAsyncContextManager[None]:
        """While the body runs, no other table asks this request, by the hash of its key."""
        with _lock:
            queue = _asking.setdefault((self.place, request), TurnQueue())
        return queue.passing()

    def find(self, key: RequestKey) -> RowAnswer | None:
        """The answer that is there by now, whoever asked for it."""
        if self.recorder is not None:
            self.recorder.catch_up()
        return self.known.find(key)

    def is_doubled(self, request: str) -> bool:
        """Whether another process has answered a request that was sent here, too."""
        return self.recorder is not None and self.recorder.has_of_others(request)


class _Nothing:
    """No answers, as all are to be asked again."""

    def find(self, _key: RequestKey) -> RowAnswer | None:
        return None


def source(
    session: Session, reading: Reading, file: str | Path | None, *, is_fresh: bool
) -> Source:
    """The source of a table's answers: a file, the recording that answers, or this kernel's memory.

    Raises UsageError where the file is no recording, and MiniMaxError where nobody can answer.
    """
    if file is not None:
        return _of_file(session, reading, readable(Path(file).expanduser()), is_fresh=is_fresh)
    session.recordings.catch_up()
    if (replaying := session.recordings.replaying) is not None:
        known = RecordedAnswers(replaying.replay, reading)
        asked, why = _asked(session) if replaying.fills else (None, None)
        name = replaying.name or "the notebook's saved turns"
        asks_again = is_fresh and asked is not None
    else:
        asked, why, name = session.requests.live(), None, "this kernel"
        known, asks_again = None, is_fresh
    remembers = _remembered(session, asked, reading)
    filled = session.recordings.recorder if known is not None and asked is not None else None
    return Source(
        known=_known(known or remembers, asks_again),
        name=name,
        asked=asked,
        why=why,
        remembers=remembers,
        place=remembers.place if filled is None else filled.path.resolve(),
        recorder=filled,
    )


def _of_file(session: Session, reading: Reading, path: Path, *, is_fresh: bool) -> Source:
    asked, why = _asked(session)
    is_missing = asked is not None and is_new(path, path.name)
    recording = read(BEGINNING if is_missing else load_bytes(path, path.name), path.name)
    replay = Replay(recording.exchanges)
    recorder = Recorder(path, path.name, recording)
    recorder.on_added = replay.add
    return Source(
        known=_known(RecordedAnswers(replay, reading), is_fresh and asked is not None),
        name=path.name,
        asked=asked,
        why=why,
        remembers=_remembered(session, asked, reading),
        place=path.resolve(),
        recorder=recorder,
        is_new=is_missing,
        answered=[each.key for each in recording.exchanges if each.is_offered],
    )


def _known(answers: Answers, asks_again: bool) -> Answers:
    return _Nothing() if asks_again else answers


def _asked(session: Session) -> tuple[Server | Demo | None, MiniMaxError | None]:
    """Who is asked for what a recording lacks, or why nobody is."""
    try:
        return session.requests.to_fill(), None
    except MiniMaxError as error:
        if error.kind != "auth":
            raise
        return None, error


def _remembered(session: Session, asked: Server | Demo | None, reading: Reading) -> KernelAnswers:
    known = session.row_answers.setdefault(asked.server if asked else "", {})
    return KernelAnswers(known, reading)


def missing(source: Source, number: int, rows: int) -> MiniMaxError:
    """The error where a recording lacks answers and nobody is asked for them."""
    verb = "is" if number == 1 else "are"
    told = f"{number:,} of the prompts for {counted(rows, 'row')} {verb} not in {source.name}"
    if (why := source.why) is not None:
        return MiniMaxError(f"{told}, and {why.message}", kind=why.kind, next_steps=why.next_steps)
    return UsageError(
        told, next_steps=("To ask a model for what is missing: `%minimax replay FILE --fill`",)
    )
