"""Writes exchanges into a recording as they happen: one line at the end of each, in one write.

It takes what passes and changes nothing of it. Where writing fails, the answer goes on, and the
reader is told.
"""

import asyncio
import os
import stat
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Literal, TypeAlias

from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.protocol.failure import classify_response
from mm_magic.protocol.json_values import as_number
from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.body import take_in
from mm_magic.transport.endpoint import OFFLINE, Endpoint
from mm_magic.transport.exchange import Exchange, Reads
from mm_magic.transport.recording.file_format import (
    Ending,
    Read,
    RecordedExchange,
    Recording,
    header,
    seconds_of,
    version_of,
)
from mm_magic.transport.recording.reader import read
from mm_magic.transport.recording.redacted_reads import redacted_reads

Asker: TypeAlias = Hashable
"""Who asks: a cell, and how often one run of it has asked this request before."""

How: TypeAlias = Literal["ended", "stopped", "broken"]
"""How the reads of a body came to their end: by themselves, by the reader, by an error."""

_HEADER_BYTES = 1000
BEGINNING = header() + b"\n"
"""What a new recording holds."""
_NOTHING = Recording(())
_PATIENCE = 1.0
"""Seconds for which a file's lock is waited for: other kernels hold it for one write. Meanwhile
nothing else runs here."""
_LITTLE_PATIENCE = 0.05  # where the last one waited in vain
_BINARY = getattr(os, "O_BINARY", 0)  # else Windows changes line ends


class Samples:
    """Which of the answers to one request belongs to whom: the k-th to the k-th that asks it.

    One that asks again keeps its place.
    """

    def __init__(self) -> None:
        self._places: dict[str, dict[Asker, int]] = {}
        self._lock = Lock()

    def place(self, request: str, asker: Asker) -> int:
        """The place of this asker, from 0: its own, or the one that it would get."""
        places = self._places.get(request, {})
        return places.get(asker, len(places))

    def keep(self, request: str, asker: Asker) -> int:
        """The place of this asker, which is its own from now on."""
        with self._lock:
            places = self._places.setdefault(request, {})
            return places.setdefault(asker, len(places))

    def move(self, request: str, place: int, least: int) -> int:
        """Give who has this place another one, behind all others: the place `least` or a later one.

        Returns the new place.
        """
        with self._lock:
            places = self._places.setdefault(request, {})
            free = max(least, 1 + max(places.values(), default=-1))
            for asker in [asker for asker, each in places.items() if each == place]:
                places[asker] = free
            return free

    def is_asked(self, request: str) -> bool:
        """Whether anybody has asked it."""
        return bool(self._places.get(request))

    @contextmanager
    def on_trial(self) -> Iterator[None]:
        """Places that are kept in the body are given back at its end."""
        before = {request: len(places) for request, places in self._places.items()}
        try:
            yield
        finally:
            for request, places in self._places.items():
                while len(places) > before.get(request, 0):
                    places.popitem()  # the one that was kept last


def begin(path: Path, name: str) -> bool:
    """Make a new recording that only its owner may read; False if a file with content is there.

    Of several kernels that begin the same file one does it. Raises UsageError.
    """
    try:
        if _has_content(path):
            return False
        with _opened(path, os.O_CREAT) as file:
            if file.read(1):
                return False
            file.write(BEGINNING)
    except (OSError, ValueError) as error:
        raise _unwritable(name, error) from None
    return True


def is_new(path: Path, name: str) -> bool:
    """Whether there is no such recording yet, so that `begin` makes it. Raises UsageError."""
    try:
        return not _has_content(path)
    except (OSError, ValueError) as error:
        raise _unwritable(name, error) from None


def _unwritable(name: str, error: OSError | ValueError) -> UsageError:
    """Why a recording can't be begun. A NUL in the name is a ValueError."""
    return UsageError(f"{name!r} can't be written: {getattr(error, 'strerror', None) or error}")


def _has_content(path: Path) -> bool:
    """Whether something is there, and no empty file: what a kernel leaves that dies early."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return found.st_size > 0 or not stat.S_ISREG(found.st_mode)


def append(
    path: Path, line: bytes | Callable[[FileIO], bytes], *, patience: float = _PATIENCE
) -> int:
    """Put a line at the end of a recording; return how many bytes it has then.

    Raises OSError, or UsageError if it is none any more. Half a line at the end, of a process that
    died, becomes a line of its own. Another kernel that appends to the same file waits, also while
    `line` looks into it; one that waits longer than `patience`, in seconds, gets BlockingIOError.
    """
    with _opened(path, patience=patience) as file:
        if version_of(file.readline(_HEADER_BYTES), path.name) is None:
            raise UsageError(f"{path.name!r} is no longer a recording")
        new = line if isinstance(line, bytes) else line(file)
        file.seek(-1, os.SEEK_END)
        data = b"%b%b\n" % (b"" if file.read(1) == b"\n" else b"\n", new)
        if file.write(data) != len(data):
            raise OSError("the line did not fit, so the disk may be full")
        return file.tell()


@contextmanager
def _opened(path: Path, flags: int = 0, *, patience: float = _PATIENCE) -> Iterator[FileIO]:
    """A file to read and to append to; while the body runs, no other kernel has it so.

    Else another one could add half a line, and die, between a look at the last line and a write.
    On Windows nobody could read what is locked, so nothing is.
    """
    handle = os.open(path, os.O_RDWR | os.O_APPEND | _BINARY | flags, 0o600)
    with os.fdopen(handle, "r+b", buffering=0) as file:
        if sys.platform != "win32":
            _lock(handle, patience)
        yield file


def _lock(handle: int, patience: float) -> None:
    """Lock a file until it is closed. Raises BlockingIOError if another program keeps it locked."""
    import fcntl

    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() > end:
                raise BlockingIOError(error.errno, "another program keeps it locked") from None
        except OSError:  # some network drives have no locks
            return
        time.sleep(0.005)  # nothing tells when a lock is free


class Recorder:
    """Appends to the file `path`. `name` is as the user gave it; `known` is what it holds.

    `count` counts the answers that came into it since. `problem` says why the last exchange is not
    in it, "" if it is. `on_recorded` is given each new exchange, also those that other kernels add;
    `on_added` is given only those.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        known: Recording = _NOTHING,
        *,
        samples: Samples | None = None,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self.name = name
        self.count = 0
        self.problem = ""
        self.on_recorded: Callable[[RecordedExchange], None] = lambda _: None
        self.on_added: Callable[[RecordedExchange], None] = lambda _: None
        self.path = path
        self.samples = samples or Samples()
        self._size = known.size  # of what is known of the file
        self._today = today
        self._lock = Lock()
        self._patience = _PATIENCE
        self._next: dict[str, int] = {}  # of each request, the sample behind all that are known
        self._prompts: set[str] = set()  # that have an answer
        self._of_others: set[tuple[str, int]] = set()  # requests and samples: complete ones
        self._labels = max((as_number(each.server) or 0 for each in known.exchanges), default=0)
        self._servers: dict[str, str] = {}
        for exchange in known.exchanges:
            self._know(exchange)

    def tap(
        self,
        key: RequestKey,
        sample: int,
        endpoint: Endpoint | None,
        is_left_out: Callable[[MiniMaxError], bool] = lambda _: False,
    ) -> Callable[[Exchange], Exchange]:
        """Record the answers to this request that pass from now on.

        `endpoint` is None for the demo. Of a server no more comes into the file than which sort it
        is, and that it is not another one. `is_left_out` is given the error that a server answers
        with: whether the file need not know of it, as another request is sent in its place.
        """

        known = (key.hash, sample) in self._of_others

        def write(exchange: Exchange, reads: list[Read], how: How) -> None:
            content_type = exchange.headers.get("content-type", "")
            ending, model = outcome(exchange.status, content_type, reads, how)
            error = _error(exchange, reads) if ending == "failed" else None
            if error is not None and is_left_out(error):
                return
            recorded = RecordedExchange(
                key=key,
                sample=sample,
                day=self._today().isoformat(),
                backend=endpoint.backend if endpoint else OFFLINE,
                server=self._label(endpoint.base_url) if endpoint else OFFLINE,
                model=model,
                ending=ending,
                status=exchange.status,
                content_type=content_type,
                reads=tuple(redacted_reads(reads, endpoint.key if endpoint else None)),
                seconds=seconds_of(reads),
            )
            self._write(recorded, is_again=known)

        return lambda exchange: replace(exchange, chunks=_overheard(exchange, write))

    def unrecorded(self, key: RequestKey) -> list[int]:
        """The places, from 1, of those of its earlier prompts that the file does not hold."""
        prompts = enumerate(key.earlier_prompts, start=1)
        return [place for place, each in prompts if each not in self._prompts]

    def _label(self, server: str) -> str:
        """A number that tells this server from the others in the file."""
        with self._lock:
            return self._servers.setdefault(server, str(self._labels + len(self._servers) + 1))

    def catch_up(self) -> None:
        """Take in what other kernels have added; a file that can't be read has nothing new."""
        added: Sequence[RecordedExchange] = ()
        with suppress(OSError), self._lock:
            if self.path.stat().st_size > self._size:
                with self.path.open("rb") as file:
                    added = self._added(file)
        self._tell(added)

    def has_of_others(self, request: str) -> bool:
        """Whether another kernel has added an answer to this request since."""
        known = range(self._next.get(request, 0))
        return any((request, sample) in self._of_others for sample in known)

    def _tell(self, added: Sequence[RecordedExchange]) -> None:
        """What other kernels have added is known from now on."""
        for each in added:
            self.on_added(each)
            self.on_recorded(each)

    def _write(self, exchange: RecordedExchange, *, is_again: bool) -> None:
        """Put an exchange into the file. `is_again`: it may take the place of another kernel's."""
        line = exchange.to_line()
        added: Sequence[RecordedExchange] = ()

        def last_line(file: FileIO) -> bytes:
            nonlocal added, exchange
            added = self._added(file)
            moved = exchange if is_again else self._beside_others(exchange)
            if moved is exchange:
                return line
            exchange = moved
            return moved.to_line()

        try:
            with self._lock:
                self._size = append(self.path, last_line, patience=self._patience)
                self._know(exchange)
        except (OSError, UsageError) as error:
            if isinstance(error, BlockingIOError):
                self._patience = _LITTLE_PATIENCE  # else a table's rows would wait one by one
            self.problem = str(getattr(error, "strerror", None) or error)
        else:
            self.problem, self._patience = "", _PATIENCE
            self.count += exchange.is_offered
        self._tell(added)
        if not self.problem:
            self.on_recorded(exchange)

    def _added(self, file: BinaryIO | FileIO) -> Sequence[RecordedExchange]:
        """What has come into the file since; half a line may become a whole one."""
        file.seek(self._size)
        whole, end, _ = file.read().rpartition(b"\n")
        self._size += len(whole) + len(end)
        added = read(b"%b\n%b" % (header(), whole), self.name).exchanges
        for each in added:
            self._know(each)
            if each.ending == "complete":
                self._of_others.add((each.key.hash, each.sample))
        return added

    def _beside_others(self, exchange: RecordedExchange) -> RecordedExchange:
        """The exchange as another sample, where a kernel that asked the same was quicker."""
        request, sample = exchange.key.hash, exchange.sample
        if (request, sample) not in self._of_others:
            return exchange
        return replace(exchange, sample=self.samples.move(request, sample, self._next[request]))

    def _know(self, exchange: RecordedExchange) -> None:
        """An exchange is in the file."""
        if exchange.is_offered:
            self._prompts.add(exchange.key.prompt_print)
        name = exchange.key.hash
        self._next[name] = max(self._next.get(name, 0), exchange.sample + 1)


async def _overheard(
    exchange: Exchange, write: Callable[[Exchange, list[Read], How], None]
) -> Reads:
    """The reads of an exchange; `write` is called once when they have ended, however they did."""
    reads: list[Read] = []
    how: How = "broken"
    try:
        async with aclosing(exchange.chunks) as chunks:
            async for read in chunks:
                reads.append(read)
                yield read
        how = "ended"
    except (asyncio.CancelledError, GeneratorExit):
        how = "stopped"
        raise
    finally:
        write(exchange, reads, how)


def outcome(
    status: int, content_type: str, reads: Iterable[Read], how: How
) -> tuple[Ending, str | None]:
    """What came of an answer, and the model that gave it, if it said so.

    An answer is complete with its last event, whatever became of the connection after that, and
    with its stop_reason, if then the reader left.
    """
    if not 200 <= status < 300:
        return "failed", None  # the status says enough, whatever is missing of the words
    try:
        accumulator, is_over, _ = take_in(content_type, reads, has_ended=how == "ended")
    except MiniMaxError:  # the client read no further, either
        return "failed", None
    message = accumulator.message()
    model = message.model
    is_left_whole = how == "stopped" and accumulator.state == "growing" and message.stop_reason
    if accumulator.state == "complete" or is_left_whole:
        return "complete", model
    return "failed" if is_over or how == "ended" else how, model


def _error(exchange: Exchange, reads: Sequence[Read]) -> MiniMaxError | None:
    """The error that a failed answer stands for; None where it only broke off."""
    if not 200 <= exchange.status < 300:
        body = b"".join(data for _, data in reads)
        return classify_response(exchange.status, exchange.headers, body)
    try:
        content_type = exchange.headers.get("content-type", "")
        taken = take_in(content_type, reads, has_ended=True)
    except MiniMaxError as error:
        return error
    return taken.accumulator.failure
