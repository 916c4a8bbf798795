"""A recording's bytes as exchanges, whichever version wrote its lines."""

from typing import TypeGuard

from mm_magic.errors import UsageError
from mm_magic.protocol.json_values import JsonObject, parse_json
from mm_magic.transport.recording import version_1
from mm_magic.transport.recording.file_format import (
    DamagedLine,
    RecordedExchange,
    Recording,
    read_exchange,
    version_of,
)


def read(data: bytes, name: str) -> Recording:
    """Read a file's bytes. Raises UsageError, with `name` in it, where they are no recording."""
    first, *lines = data.split(b"\n")
    if version_of(first, name) is None:
        raise UsageError(
            f"{name!r} is not a recording",
            next_steps=("To make one: `%minimax record FILE`",),
        )
    wires = {
        number: parse_json(line)
        for number, line in enumerate(lines, start=2)
        # Two files that were joined have a first line in the middle.
        if line.strip() and version_of(line, name) is None
    }
    old = version_1.exchanges(wire for wire in wires.values() if _is_version_1(wire))
    found = {n: next(old) if _is_version_1(wire) else _read(wire) for n, wire in wires.items()}
    is_cut = isinstance(found.get(1 + len(lines)), DamagedLine)
    return Recording(
        exchanges=tuple(each for each in found.values() if isinstance(each, RecordedExchange)),
        damaged=tuple((n, str(each)) for n, each in found.items() if isinstance(each, DamagedLine)),
        size=len(data) - (len(lines[-1]) if is_cut else 0),
    )


def _is_version_1(wire: object) -> TypeGuard[JsonObject]:
    return isinstance(wire, dict) and "hash" in wire and "key" not in wire


def _read(wire: object) -> RecordedExchange | DamagedLine:
    if not isinstance(wire, dict):
        return DamagedLine("it is not complete JSON")
    try:
        return read_exchange(wire)
    except DamagedLine as error:
        return error
