"""The file of a recording: exchanges as lines of JSON. Bytes and values; no file is opened here.

The first line says what the file is; each further line is one exchange, whole in itself. A request
is kept without its headers and its address, and of the messages before the prompt only fingerprints
are: their text stands in the lines of their own turns, so that a file grows with the number of
turns and not with its square. docs/formats.md describes it.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import (
    JsonObject,
    as_count,
    as_object,
    as_optional_text,
    as_text,
    encode_json,
    join_surrogates,
    parse_json,
)
from mm_magic.protocol.request_key import RequestKey
from mm_magic.transport.endpoint import Backend

FORMAT = "mm_magic recording"
VERSION = 2
"""Of the format. A file with a higher one was written by a later release."""
MAX_SECONDS = 1_000_000

Ending: TypeAlias = Literal["complete", "failed", "stopped", "broken"]
"""A whole answer; an error, or an answer that its server cut; stopped by the reader; the connection
broke. Only the first two are answers of the server as it gave them."""

Read: TypeAlias = tuple[float, bytes]
"""Seconds since the request was sent, and bytes."""

_BACKENDS: Mapping[str, Backend] = {word: word for word in get_args(Backend)}
_ENDINGS: Mapping[str, Ending] = {word: word for word in get_args(Ending)}
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_FIELDS = {
    "key", "sample", "day", "backend", "server", "model", "ending", "status", "content_type",
    "request", "reads",
}  # fmt: skip


class DamagedLine(ValueError):
    """A line that is no exchange. Its text says why, in a few words."""


@dataclass(frozen=True, slots=True)
class RecordedExchange:
    """A request and what came back.

    `sample` counts the answers that belong to this same request, from 0. `day` is a date of UTC, as
    2026-11-20. `server` tells servers from each other and says nothing about them. `model` is the
    one that answered, None if it did not say. `is_version_1`: it was read from a file of version
    0.1, where an option that is not set can't be told from its default. `extra` are fields that
    this release does not know. `seconds` is how long the answer took, None if nothing tells.
    `is_untrusted`: it is from a notebook that Jupyter does not trust; no recording says so.
    """

    key: RequestKey
    sample: int
    day: str
    backend: Backend
    server: str
    model: str | None
    ending: Ending
    status: int
    content_type: str
    reads: tuple[Read, ...]
    is_version_1: bool = False
    seconds: float | None = field(default=None, compare=False)  # the reads tell it
    extra: JsonObject = field(default_factory=dict)
    is_untrusted: bool = False

    @property
    def is_offered(self) -> bool:
        """Whether it is replayed: what was stopped or broke off is not what the server said."""
        return self.ending in ("complete", "failed")

    def to_line(self) -> bytes:
        """Its line, without the line end."""
        return encode_json(
            {
                "key": self.key.hash,
                "sample": self.sample,
                "day": self.day,
                "backend": self.backend,
                "server": self.server,
                "model": self.model,
                "ending": self.ending,
                "status": self.status,
                "content_type": self.content_type,
                "request": self.key.to_json(),
                "reads": [[round(seconds, 3), _data_json(data)] for seconds, data in self.reads],
                **self.extra,
            }
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """What a file holds. `damaged` are the numbers of lines that can't be read, with the reason.

    It is in the first `size` bytes; behind them may be half a line, which another kernel is adding.
    """

    exchanges: tuple[RecordedExchange, ...]
    damaged: tuple[tuple[int, str], ...] = ()
    size: int = field(default=0, compare=False)


def header() -> bytes:
    """The first line of a file, without its end."""
    return encode_json({"format": FORMAT, "version": VERSION})


def version_of(line: bytes, name: str) -> int | None:
    """The version in a recording's first line; None if it is none.

    Raises UsageError if a later release wrote it.
    """
    if not line.lstrip(b"\xef\xbb\xbf \t").startswith(b"{") or FORMAT.encode() not in line[:200]:
        return None
    found = as_object(parse_json(line))
    version = as_count(found.get("version"))
    if found.get("format") != FORMAT or version is None:
        return None
    if version > VERSION:
        raise UsageError(
            f"{name!r} was written by a later release of mm_magic: its format version is "
            f"{version}, and this release reads versions up to {VERSION}"
        )
    return version


def read_exchange(wire: JsonObject) -> RecordedExchange:
    """Read one exchange. Raises DamagedLine."""
    key = _read_key(as_object(wire.get("request")))
    if wire.get("key") != key.hash:
        raise DamagedLine("its request was changed after it was recorded")
    return exchange_of(wire, key, as_count(wire.get("sample")) or 0)


def exchange_of(wire: JsonObject, key: RequestKey, sample: int) -> RecordedExchange:
    """The exchange of a line of any version, but for its request. Raises DamagedLine."""
    backend = _BACKENDS.get(as_text(wire.get("backend")))
    ending = _ENDINGS.get(as_text(wire.get("ending")))
    status = as_count(wire.get("status"))
    reads = wire.get("reads")
    if backend is None or ending is None:
        raise DamagedLine("its backend or ending is unknown")
    if status is None or not 100 <= status <= 599 or not isinstance(reads, list):
        raise DamagedLine("it has no answer")
    told = tuple(map(_read_read, reads))
    return RecordedExchange(
        key=key,
        sample=max(0, sample),
        day=read_day(wire.get("day")),
        backend=backend,
        server=as_text(wire.get("server"))[:40],
        model=as_optional_text(wire.get("model")),
        ending=ending,
        status=status,
        content_type=as_text(wire.get("content_type"))[:200],
        reads=told,
        seconds=seconds_of(told),
        extra={name: value for name, value in wire.items() if name not in _FIELDS},
    )


def seconds_of(reads: Iterable[Read]) -> float | None:
    """When the last of these reads came, None where no times were kept."""
    return max((seconds for seconds, _ in reads), default=0.0) or None


def read_day(value: object) -> str:
    """A date as 2026-11-20, "" if it is none."""
    return value if isinstance(value, str) and _DAY.fullmatch(value) else ""


def _read_key(wire: JsonObject) -> RequestKey:
    options, earlier, prompt = wire.get("options"), wire.get("earlier"), wire.get("prompt")
    if not (isinstance(prompt, dict) and isinstance(options, dict) and isinstance(earlier, list)):
        raise DamagedLine("its request has no prompt")
    turns = [turn for turn in earlier if isinstance(turn, list) and turn]
    if len(turns) < len(earlier) or not all(isinstance(p, str) for turn in turns for p in turn):
        raise DamagedLine("its request holds something that is not a message")
    return RequestKey(options, tuple(map(tuple, turns)), prompt)


def _read_read(value: object) -> Read:
    match value:
        case [int() | float() as seconds, str() as text] if 0 <= seconds <= MAX_SECONDS:
            return float(seconds), join_surrogates(text).encode()
        case [int() | float() as seconds, {"base64": str() as coded}] if (
            0 <= seconds <= MAX_SECONDS
        ):
            try:
                return float(seconds), base64.b64decode(coded, validate=True)
            except (binascii.Error, ValueError):
                pass
    raise DamagedLine("its answer holds a part that can't be read")


def _data_json(data: bytes) -> object:
    """Text where it is whole UTF-8: a read may end within a character."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
