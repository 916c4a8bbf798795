"""Three corpora: streams of odd servers, texts that attack the page, and ordinary texts.

This project's own are in tests/data/hostile, one JSON object a line; docs/security.md counts them
alone. Where the folder of `support.hostile` is there, its cases go through the same tests.
"""

import base64
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import hostile, wire

OWN = Path(__file__).parents[1] / "data" / "hostile"
EVENTS = {"content-type": "text/event-stream"}
_CONTROLS = (
    (0x00, 0x08), (0x0B, 0x1F), (0x7F, 0x9F),
    (0x202A, 0x202E), (0x2066, 0x2069), (0xE0000, 0xE007F),
)  # fmt: skip
"""The first and the last of each kind of character that a terminal obeys, or that hides text."""


@dataclass(frozen=True)
class Stream:
    """One answer of a server: its body, content-encoding undone, and what is due of it."""

    name: str
    body: bytes
    due: Mapping[str, Any]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=lambda: EVENTS)


@dataclass(frozen=True)
class Benign:
    """A text that is what it says: the text, the elements and the formulas that a reader sees."""

    name: str
    text: str
    shown: str
    elements: Sequence[str]
    links: Sequence[str]
    formulas: Sequence[str]


def own_streams() -> list[Stream]:
    """This project's own streams. A `Stream` that is due no text must have none."""
    return [
        Stream(
            case["name"],
            b"".join(map(_sent, case["sent"])),
            {"text": "", "thinking": ""} | case,
            case.get("status", 200),
            case.get("headers", EVENTS),
        )
        for case in _own("streams.jsonl")
    ]


def streams() -> list[Stream]:
    """All streams whose bodies come as a whole."""
    shared = [
        Stream(case["id"], _body(case), case["expect"], case["status"], case["headers"])
        for case in _shared("messages_streams.json", "cases")
        if "steps" not in case
    ]
    return own_streams() + shared


def own_payloads() -> dict[str, str]:
    """This project's own texts that attack the page, by name.

    Joined they all stay what they are: the first ends thinking, the last opens code for good.
    """
    return {case["name"]: case["payload"] for case in _own("payloads.jsonl")}


def payloads() -> list[str]:
    """All texts that attack the page."""
    shared = (case["payload"] for case in _shared("xss_payloads.json", "payloads"))
    return [*shared, *own_payloads().values()]


def escapes() -> list[str]:
    """All texts with characters that a terminal obeys. Our own hold each of them."""
    shared = (case["text"] for case in _shared("terminal_escapes.json", "cases"))
    kinds = [[*map(chr, range(first, last + 1))] for first, last in _CONTROLS]
    every = {character for kind in kinds for character in kind}
    acting = (text for text in own_payloads().values() if not every.isdisjoint(text))
    return [*shared, *acting, *(f"a{'b'.join(kind)}c" for kind in kinds)]


def strings() -> list[str]:
    """All strings that may come as any field."""
    name = "naughty_strings.json"
    shared = hostile.load(name) if hostile.is_there(name) else []
    return [*shared, *own_strings()]


def own_strings() -> list[str]:
    """This project's own strings: ordinary texts, and those that attack the page."""
    return [*(each.text for each in benign()), *own_payloads().values()]


def benign() -> list[Benign]:
    """Ordinary texts. One that says nothing else is a paragraph of what it says."""
    return [
        Benign(
            case["name"],
            case["text"],
            case.get("shown", case["text"]),
            case.get("elements", "p").split(),
            case.get("links", ()),
            case.get("formulas", ()),
        )
        for case in _own("benign.jsonl")
    ]


def _shared(name: str, part: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = hostile.load(name)[part] if hostile.is_there(name) else []
    return cases


def _own(name: str) -> list[dict[str, Any]]:
    # Not splitlines(): it would cut at U+2028, too.
    lines = (OWN / name).read_text("utf-8").removesuffix("\n").split("\n")
    return [json.loads(line) for line in lines]


def _sent(part: Any) -> bytes:
    """The bytes of one part of a stream.

    Text is sent as it is, U+DCxx as the byte xx; an object is an event; a list is one of `_EVENTS`
    with its arguments, or text as many times as it says.
    """
    match part:
        case str():
            return part.encode("utf-8", "surrogateescape")
        case ["repeat", piece, times]:
            return _sent(piece) * int(times)
        case [name, *arguments]:
            return wire.sse(_EVENTS[name](*arguments))
        case event:
            return wire.sse(event)


_EVENTS: dict[str, Callable[..., dict[str, Any]]] = {
    "begin": lambda: wire.BEGIN,
    "ping": lambda: wire.PING,
    "start": wire.start,
    "text": wire.text,
    "thinking": wire.thinking,
    "json": lambda index, piece: wire.delta(index, "input_json_delta", "partial_json", piece),
    "end": lambda: wire.END,
    "stop": lambda: wire.STOP,
}


def _body(case: Mapping[str, Any]) -> bytes:
    """The body of a shared stream as the network brings it."""
    body: bytes = zlib.decompress(base64.b64decode(case["body_zb64"]))
    padding = case.get("generate", {})
    if "delta_chars" in padding:
        body = body.replace(b"z" * 200, b"z" * padding["delta_chars"])
    body += b"x" * padding.get("pad_bytes", 0)
    encoding = case["headers"].get("content-encoding")
    if encoding in ("gzip", "deflate"):
        return zlib.decompressobj(47 if encoding == "gzip" else 15).decompress(body)
    return body
