"""Writes exchanges into a recording as they happen: one line at the end of each, in one write.

It takes what passes and changes nothing of it. Where writing fails, the answer goes on, and the
reader is told.
"""

import asyncio
import json
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Lock
from typing import Literal, TypeAlias

from mm_magic.errors import MiniMaxError, UsageError
from mm_magic.protocol.failure import classify_response
from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.body import take_in
from mm_magic.transport.endpoint import OFFLINE, Endpoint
from mm_magic.transport.exchange import Exchange, Reads
from mm_magic.transport.recording.file_format import (
    Ending,
    Read,
    RecordedExchange,
    header,
    seconds_of,
    version_of,
)

Asker: TypeAlias = Hashable
"""Who asks: a cell, and how often one run of it has asked this request before."""

How: TypeAlias = Literal["ended", "stopped", "broken"]
"""How the reads of a body came to their end: by themselves, by the reader, by an error."""

_HIDDEN = "…".encode()  # in place of a key that a server repeats
_HEADER_BYTES = 1000
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


def create(path: Path, name: str) -> None:
    """Make a new recording that only its owner may read. Raises UsageError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY
    try:
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            file.write(header() + b"\n")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{name!r} can't be written: {reason}") from None


def append(path: Path, line: bytes) -> None:
    """Put a line at the end of a recording. Raises OSError, or UsageError if it is none any more.

    Half a line at the end, of a process that died, becomes a line of its own.
    """
    with os.fdopen(os.open(path, os.O_RDWR | os.O_APPEND | _BINARY), "r+b", buffering=0) as file:
        if version_of(file.readline(_HEADER_BYTES), path.name) is None:
            raise UsageError(f"{path.name!r} is no longer a recording")
        file.seek(-1, os.SEEK_END)
        data = b"%b%b\n" % (b"" if file.read(1) == b"\n" else b"\n", line)
        if file.write(data) != len(data):
            raise OSError("the line did not fit: is the disk full?")


class Recorder:
    """Appends to the file `path`. `name` is as the user gave it; `known` is what it holds.

    `count` counts the answers that came into it since. `problem` says why the last exchange is not
    in it, "" if it is. `on_recorded` is given each new exchange.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        known: Sequence[RecordedExchange] = (),
        *,
        samples: Samples | None = None,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self.name = name
        self.count = 0
        self.problem = ""
        self.on_recorded: Callable[[RecordedExchange], None] = lambda _: None
        self.path = path
        self.samples = samples or Samples()
        self._today = today
        self._lock = Lock()
        self._prompts = {each.key.prompt_print for each in known if each.is_offered}
        self._labels = max((int(n) for each in known if (n := each.server).isdecimal()), default=0)
        self._servers: dict[str, str] = {}

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

        def write(exchange: Exchange, reads: list[Read], how: How) -> None:
            secret = endpoint.key.reveal() if endpoint and endpoint.key else ""
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
                reads=tuple(_without(secret, reads)),
                seconds=seconds_of(reads),
            )
            self._write(recorded, secret)

        return lambda exchange: replace(exchange, chunks=_overheard(exchange, write))

    def unrecorded(self, key: RequestKey) -> list[int]:
        """The places, from 1, of those of its earlier prompts that the file does not hold."""
        prompts = enumerate(key.earlier_prompts, start=1)
        return [place for place, each in prompts if each not in self._prompts]

    def _label(self, server: str) -> str:
        """A number that tells this server from the others in the file."""
        with self._lock:
            return self._servers.setdefault(server, str(self._labels + len(self._servers) + 1))

    def _write(self, exchange: RecordedExchange, key: str) -> None:
        line = exchange.to_line()
        if any(form in line for form in key_forms(key)):
            self.problem = "the request holds the key"
            return
        try:
            with self._lock:
                append(self.path, line)
        except (OSError, UsageError) as error:
            self.problem = str(getattr(error, "strerror", None) or error)
            return
        self.problem = ""
        if exchange.is_offered:
            self.count += 1
            self._prompts.add(exchange.key.prompt_print)
        self.on_recorded(exchange)


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
        accumulator, is_over = take_in(content_type, reads, has_ended=how == "ended")
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
        accumulator, _ = take_in(content_type, reads, has_ended=True)
    except MiniMaxError as error:
        return error
    return accumulator.failure


def _without(key: str, reads: list[Read]) -> list[Read]:
    """The reads without a key that the server repeats; it may stand across two of them."""
    whole = b"".join(data for _, data in reads)
    if not any(form in whole for form in key_forms(key)):
        return reads
    for form in key_forms(key):
        whole = whole.replace(form, _HIDDEN)
    return [(reads[-1][0], whole)]


def key_forms(key: str) -> set[bytes]:
    """A key as it stands by itself, and in a JSON string."""
    return {key.encode(), json.dumps(key)[1:-1].encode()} if key else set()
