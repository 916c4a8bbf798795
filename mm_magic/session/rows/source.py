"""Where the answers of rows come from: what is known, who is asked, and what takes it down."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from mm_magic.conversation.notebook_file import load_bytes
from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.protocol.request_key import RequestKey
from mm_magic.session.rows.answers import (
    Answers,
    KernelAnswers,
    Reading,
    RecordedAnswers,
    RowAnswer,
)
from mm_magic.session.session import Session
from mm_magic.transport.endpoint import Endpoint
from mm_magic.transport.recording.player import Replay
from mm_magic.transport.recording.reader import read
from mm_magic.transport.recording.writer import BEGINNING, Recorder, begin, is_new
from mm_magic.web_page import readable
from mm_magic.wording import counted

Server: TypeAlias = tuple[Endpoint | None, str]


@dataclass(frozen=True, slots=True)
class Source:
    """Where the answers of one table come from.

    `known` finds those that are there, "in" `name` for the reader. `server` is asked for the
    others; where it is None, `why` says why nobody is. What the kernel gets now it `remembers`, and
    `recorder` takes it down. `is_new`: its file is not there yet; `answered`: the requests that it
    holds answers to.
    """

    known: Answers
    name: str
    server: Server | None
    why: MiniMaxError | None
    remembers: KernelAnswers
    recorder: Recorder | None = None
    is_new: bool = False
    answered: Sequence[RequestKey] = ()

    def begin(self) -> bool:
        """Make its file; False if there is none to make. Raises UsageError."""
        recorder = self.recorder if self.is_new else None
        return recorder is not None and begin(recorder.path, self.name)

    @property
    def is_demo(self) -> bool:
        """Whether the demo is asked."""
        return self.server is not None and self.server[0] is None


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
        server, why = _server(session) if replaying.fills else (None, None)
        name = replaying.name or "the notebook's saved turns"
        asks_again = is_fresh and server is not None
    else:
        (server, why), name = (session.row_server(fills=False), None), "this kernel"
        known, asks_again = None, is_fresh
    remembers = _remembered(session, server, reading)
    return Source(_known(known or remembers, asks_again), name, server, why, remembers)


def _of_file(session: Session, reading: Reading, path: Path, *, is_fresh: bool) -> Source:
    server, why = _server(session)
    is_missing = server is not None and is_new(path, path.name)
    recording = read(BEGINNING if is_missing else load_bytes(path, path.name), path.name)
    known = RecordedAnswers(Replay(recording.exchanges), reading)
    return Source(
        known=_known(known, is_fresh and server is not None),
        name=path.name,
        server=server,
        why=why,
        remembers=_remembered(session, server, reading),
        recorder=Recorder(path, path.name, recording),
        is_new=is_missing,
        answered=[each.key for each in recording.exchanges if each.is_offered],
    )


def _known(answers: Answers, asks_again: bool) -> Answers:
    return _Nothing() if asks_again else answers


def _server(session: Session) -> tuple[Server | None, MiniMaxError | None]:
    """Who is asked for what a recording lacks, or why nobody is."""
    try:
        return session.row_server(fills=True), None
    except MiniMaxError as error:
        if error.kind != "auth":
            raise
        return None, error


def _remembered(session: Session, server: Server | None, reading: Reading) -> KernelAnswers:
    known = session.row_answers.setdefault(server[1] if server else "", {})
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
