"""Bytes to server-sent events, by the WHATWG rules, however the bytes are cut.

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
It does not know what the events mean, and between two reads it holds one unfinished event at most,
of any size: who feeds it sees to a bound. The ids and the waiting times of the specification are
for those who connect again, and a cut answer can't be had that way: they are not read.
"""

import codecs
from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"
_PIECE = 1024 * 1024
_decoder = codecs.getincrementaldecoder("utf-8")


class ServerSentEvent(NamedTuple):
    """One dispatched event: its name ("message" if it has none), and its data."""

    name: str
    data: str


class EventStreamDecoder:
    """Turns reads of any size into events. The work is linear in the bytes."""

    def __init__(self) -> None:
        self._at_start = True  # the first line may begin with a byte order mark
        self._after_cr = False  # a LF that comes now belongs to the CR before it
        self._line = bytearray()  # the line that has not ended yet
        self._name = b""
        self._data = bytearray()  # each line of it ends with a LF

    @property
    def is_between_events(self) -> bool:
        """Nothing that has come belongs to what follows: the next byte begins an event."""
        return not (self._line or self._data or self._name or self._after_cr or self._at_start)

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Take the next bytes; return the events that they complete."""
        if not data:
            return []
        if self._after_cr:
            data = data.removeprefix(b"\n")
        self._after_cr = data.endswith(b"\r")
        lines = data.splitlines()  # of bytes: at LF, CR and CRLF only
        rest = lines.pop() if lines and not data.endswith((b"\n", b"\r")) else b""
        events: list[ServerSentEvent] = []
        if lines:
            lines[0] = self._whole_line(lines[0])
            for line in lines:
                self._interpret(line, events)
        if rest:
            self._hold(rest)
        return events

    def close(self) -> list[ServerSentEvent]:
        """The stream has ended: return the event that only lacked its blank line, if any.

        The specification drops such an event; servers that forget the last blank line exist.
        """
        events: list[ServerSentEvent] = []
        self._interpret(self._whole_line(b""), events)
        self._dispatch(events)
        return events

    def _hold(self, part: bytes) -> None:
        """Keep the beginning of a line until its end comes. Of a comment, the colon is enough."""
        self._line += part
        if self._line.startswith(b":"):
            del self._line[1:]

    def _whole_line(self, end: bytes) -> bytes:
        """The line that was held, with its `end`."""
        if not self._line:
            line = end
        else:
            self._line += end
            line = bytes(self._line)
            self._line.clear()
        if self._at_start:
            self._at_start = False
            return line.removeprefix(_BOM)
        return line

    def _interpret(self, line: bytes, events: list[ServerSentEvent]) -> None:
        """Take one whole line; a blank one dispatches the event."""
        if not line:
            self._dispatch(events)
            return
        field, _, value = line.partition(b": ")  # with its space: one copy less of a long value
        if b":" in field:
            field, _, value = line.partition(b":")
        if field == b"data":
            self._data += value
            self._data += b"\n"
        elif field == b"event":
            self._name = value

    def _dispatch(self, events: list[ServerSentEvent]) -> None:
        if self._data:
            name = self._name.decode("utf-8", "replace") or "message"
            del self._data[-1:]
            events.append(ServerSentEvent(name, _text(self._data)))
            self._data.clear()
        self._name = b""


def _text(data: bytearray) -> str:
    """The data as text. Decoded at once, 10 MB of emoji would take 40 MB more on the way."""
    if len(data) <= _PIECE:
        return data.decode("utf-8", "replace")
    decoder = _decoder("replace")
    pieces = [decoder.decode(data[at : at + _PIECE]) for at in range(0, len(data), _PIECE)]
    return "".join([*pieces, decoder.decode(b"", True)])
