"""The file of a recording: exchanges as lines of JSON. Bytes and values; no file is opened here.

The first line says what the file is; each further line is one exchange, whole in itself. A request
is kept without its headers and its address, and of the messages before the prompt only fingerprints
are: their text stands in the lines of their own turns, so that a file grows with the number of
turns and not with its square.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import (
    JsonObject,
    as_count,
    as_object,
    as_optional_text,
    as_text,
    join_surrogates,
    parse_json,
)
from mm_magic.transport.endpoint import Backend

FORMAT = "mm_magic recording"
VERSION = 1
"""Of the format. A file with a higher one was written by a later release."""
MEANING = (
    "model", "system", "stream", "max_tokens", "temperature", "top_p", "thinking", "tools",
    "tool_choice",
)  # fmt: skip
"""What a request means, beside its messages. A field that a release adds changes no hash."""
MAX_SECONDS = 1_000_000

Ending: TypeAlias = Literal["complete", "failed", "stopped", "broken"]
"""A whole answer; an error, or an answer that its server cut; stopped by the reader; the connection
broke. Only the first two are answers of the server as it gave them."""

Read: TypeAlias = tuple[float, bytes]
"""Seconds since the request was sent, and bytes."""

_BACKENDS: Mapping[str, Backend] = {word: word for word in get_args(Backend)}
_ENDINGS: Mapping[str, Ending] = {word: word for word in get_args(Ending)}
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


class DamagedLine(ValueError):
    """A line that is no exchange. Its text says why, in a few words."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request by its meaning.

    `earlier` are the fingerprints of the messages before `prompt`, the last message. `hash` tells
    requests apart; `question` those whose prompt or parameters differ, whatever came before.
    """

    parameters: JsonObject
    earlier: tuple[str, ...]
    prompt: JsonObject
    hash: str = field(init=False)
    question: str = field(init=False)

    def __post_init__(self) -> None:
        question = [self.parameters, self.prompt_print]
        object.__setattr__(self, "question", fingerprint(question))
        object.__setattr__(self, "hash", fingerprint([*question, self.earlier]))

    @property
    def prompt_print(self) -> str:
        return fingerprint(self.prompt)

    @property
    def text(self) -> str:
        """The prompt, if it is plain text."""
        return as_text(self.prompt.get("content"))

    def to_json(self) -> JsonObject:
        """A body in which the messages before the prompt are fingerprints."""
        return {"messages": [*self.earlier, self.prompt], **self.parameters}


@dataclass(frozen=True, slots=True)
class RecordedExchange:
    """A request and what came back.

    `nth` counts the cells that asked this same request, from 0. `day` is a date of UTC, as
    2026-11-20. `server` tells servers from each other and says nothing about them. `model` is the
    one that answered, None if it did not say.
    """

    asked: Asked
    nth: int
    day: str
    backend: Backend
    server: str
    model: str | None
    ending: Ending
    status: int
    content_type: str
    reads: tuple[Read, ...]

    @property
    def is_offered(self) -> bool:
        """Whether it is replayed: what was stopped or broke off is not what the server said."""
        return self.ending in ("complete", "failed")

    def to_line(self) -> bytes:
        """Its line, without the line end."""
        return _encode(
            {
                "hash": self.asked.hash,
                "nth": self.nth,
                "day": self.day,
                "backend": self.backend,
                "server": self.server,
                "model": self.model,
                "ending": self.ending,
                "status": self.status,
                "content_type": self.content_type,
                "request": self.asked.to_json(),
                "reads": [[round(seconds, 3), _data_json(data)] for seconds, data in self.reads],
            }
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """What a file holds. `damaged` are the numbers of lines that can't be read, with the reason."""

    exchanges: tuple[RecordedExchange, ...]
    damaged: tuple[tuple[int, str], ...] = ()


def header() -> bytes:
    """The first line of a file, without its end."""
    return _encode({"format": FORMAT, "version": VERSION})


def asked(body: Mapping[str, object]) -> Asked:
    """The meaning of a request's body; its messages may be fingerprints. Raises DamagedLine."""
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not isinstance(messages[-1], dict):
        raise DamagedLine("its request has no prompt")
    if not all(isinstance(message, str | dict) for message in messages):
        raise DamagedLine("its request has a message that is none")
    given = {name: _settled(body.get(name)) for name in MEANING}
    return Asked(
        parameters={name: value for name, value in given.items() if value not in (None, "")},
        earlier=tuple(
            each if isinstance(each, str) else fingerprint(each) for each in messages[:-1]
        ),
        prompt=messages[-1],
    )


def fingerprint(value: object) -> str:
    """16 hex digits that tell one JSON value from another, whatever the order of its names."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(join_surrogates(text).encode()).hexdigest()[:16]


def read(data: bytes, name: str) -> Recording:
    """Read a file's bytes. Raises UsageError, with `name` in it, where they are no recording."""
    first, *lines = data.split(b"\n")
    if not check_header(first, name):
        raise UsageError(
            f"{name!r} is not a recording",
            next_steps=("`%minimax record FILE` makes one, in a file of its own.",),
        )
    exchanges, damaged = [], []
    for number, line in enumerate(lines, start=2):
        try:
            # Two files that were joined have a first line in the middle.
            if line.strip() and not check_header(line, name):
                exchanges.append(read_line(line))
        except DamagedLine as error:
            damaged.append((number, str(error)))
    return Recording(tuple(exchanges), tuple(damaged))


def check_header(line: bytes, name: str) -> bool:
    """Whether it is a recording's first line. Raises UsageError if a later release wrote it."""
    if not line.lstrip(b"\xef\xbb\xbf \t").startswith(b"{") or FORMAT.encode() not in line[:200]:
        return False
    found = as_object(parse_json(line))
    version = as_count(found.get("version"))
    if found.get("format") != FORMAT or version is None:
        return False
    if version > VERSION:
        raise UsageError(
            f"a later release of mm_magic wrote {name!r}: its version is {version}, and this "
            f"release reads {VERSION}"
        )
    return True


def read_line(line: bytes) -> RecordedExchange:
    """Read one exchange. Raises DamagedLine."""
    found = parse_json(line)
    if not isinstance(found, dict):
        raise DamagedLine("it is not whole JSON")
    request = asked(as_object(found.get("request")))
    if found.get("hash") != request.hash:
        raise DamagedLine("its request was changed: the hash is another one")
    backend = _BACKENDS.get(as_text(found.get("backend")))
    ending = _ENDINGS.get(as_text(found.get("ending")))
    status = as_count(found.get("status"))
    reads = found.get("reads")
    if backend is None or ending is None:
        raise DamagedLine("its backend or ending is unknown")
    if status is None or not 100 <= status <= 599 or not isinstance(reads, list):
        raise DamagedLine("it has no answer")
    return RecordedExchange(
        asked=request,
        nth=max(0, as_count(found.get("nth")) or 0),
        day=read_day(found.get("day")),
        backend=backend,
        server=as_text(found.get("server"))[:40],
        model=as_optional_text(found.get("model")),
        ending=ending,
        status=status,
        content_type=as_text(found.get("content_type"))[:200],
        reads=tuple(map(_read_read, reads)),
    )


def read_day(value: object) -> str:
    """A date as 2026-11-20, "" if it is none."""
    return value if isinstance(value, str) and _DAY.fullmatch(value) else ""


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
    raise DamagedLine("its answer has a read that is none")


def _data_json(data: bytes) -> object:
    """Text where it is whole UTF-8: a read may end within a character."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}


def _settled(value: object) -> object:
    """1.0 and 1 are one number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _encode(value: JsonObject) -> bytes:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return join_surrogates(text).encode()
