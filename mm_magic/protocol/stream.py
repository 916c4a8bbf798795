"""Bytes of a stream to typed events: the way that all reads of a streamed answer take.

Nearly all of an answer are deltas that differ in nothing but one string. Once one of them was
read in full, those that follow it in the same shape are read by cutting their strings out.
"""

import json
from dataclasses import dataclass

from mm_magic.protocol.events import Event, Index, TextDelta, ThinkingDelta, parse_events
from mm_magic.protocol.sse import EventStreamDecoder

_TRIES = 4  # shapes learned in vain, until a server counts as one without any
_decode = json.JSONDecoder().raw_decode  # strict: a raw line end would be the stream's own


class EventReader:
    """Turns reads of any size into events.

    Deltas of one block that come in one read may be joined into one; apart from that the events
    are what `parse_events` makes of the decoder's.
    """

    def __init__(self) -> None:
        self._decoder = EventStreamDecoder()
        self._shape: DeltaShape | None = None
        self._tries = _TRIES

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes; return the events that they complete."""
        if self._shape is None:
            return self._read_in_full(data)
        events: list[Event] = []
        if not self._decoder.is_between_events:
            end = self._shape.end_of_first(data)
            events = parse_events(self._decoder.feed(data[:end]))
            data = data[end:]
        end = self._shape.end_of_last(data)
        if self._decoder.is_between_events and (delta := self._shape.read(data[:end])) is not None:
            self._tries = _TRIES
            events.append(delta)
            return events + parse_events(self._decoder.feed(data[end:]))
        return events + self._read_in_full(data)

    def close(self) -> list[Event]:
        """The stream has ended: return the event that only lacked its blank line, if any."""
        return parse_events(self._decoder.close())

    def _read_in_full(self, data: bytes) -> list[Event]:
        events = parse_events(self._decoder.feed(data))
        if events and self._tries and isinstance(last := events[-1], TextDelta | ThinkingDelta):
            is_whole = self._decoder.is_between_events
            self._learn(data if is_whole else data[: data.rfind(b"\n\n") + 2], last)
        return events

    def _learn(self, data: bytes, last: TextDelta | ThinkingDelta) -> None:
        """Take the shape of the delta that `data` ends with."""
        blank_line = data.rfind(b"\n\n", 0, -2)
        event = data if blank_line < 0 else data[blank_line + 2 :]
        if self._shape is None or self._shape.read(event) is None:
            self._shape = shape_of(event, last) or self._shape
            self._tries -= 1


@dataclass(frozen=True, slots=True)
class DeltaShape:
    """How a server writes the deltas of one block: the bytes before the string and behind it.

    `between` is what stands between the strings of two deltas in a row; `inside` is where the
    first begins and the last ends.
    """

    kind: type[TextDelta | ThinkingDelta]
    index: Index
    before: bytes
    behind: bytes
    between: str
    inside: slice

    def end_of_first(self, data: bytes) -> int:
        """Where the first event of this shape ends; all of `data` if none does."""
        return self._end(data, data.find(self.behind))

    def end_of_last(self, data: bytes) -> int:
        """Where the last event of this shape ends; all of `data` if none does."""
        return self._end(data, data.rfind(self.behind))

    def _end(self, data: bytes, at: int) -> int:
        return len(data) if at < 0 else at + len(self.behind)

    def read(self, data: bytes) -> TextDelta | ThinkingDelta | None:
        """What `data` holds if it is one or more whole events of this shape, joined; else None.

        Each piece has to be the inside of a JSON string by itself: two broken events can make up
        a whole one.
        """
        if not (
            data.startswith(self.before)
            and data.endswith(self.behind)
            and len(self.between) <= len(data)
        ):
            return None
        try:
            text = data[self.inside].decode()
            if not (text.isprintable() and '"' not in text and "\\" not in text):
                text = "".join(map(_unescaped, text.split(self.between)))
        except ValueError:
            return None
        return self.kind(self.index, text)


def shape_of(event: bytes, delta: TextDelta | ThinkingDelta) -> DeltaShape | None:
    """The shape of `event`, which was read as `delta`; None if it can't be told.

    The general way is the judge. Where it finds both an empty string and an "x" that stand
    between the two parts as the delta's text, any string that stands there is the text: nothing
    else in the event changes it, and nothing but a quote or a line end leads out of it.
    """
    text = delta.text if isinstance(delta, TextDelta) else delta.thinking
    try:
        literal = json.dumps(text, ensure_ascii=False).encode()
        before, found, behind = event.rpartition(literal)
        before, behind = before + b'"', b'"' + behind
        # ASCII: there a character is a byte, and no byte order mark passes.
        between = (behind + before).decode("ascii")
    except UnicodeError:
        return None
    inside = slice(len(before), -len(behind))
    shape = DeltaShape(type(delta), delta.index, before, behind, between, inside)
    is_proved = found and all(
        [shape.kind(shape.index, probe.decode())]
        == parse_events(EventStreamDecoder().feed(before + probe + behind))
        for probe in (b"", b"x")
    )
    return shape if is_proved else None


def _unescaped(inside: str) -> str:
    """The string whose inside, as JSON writes it, this is. Raises ValueError if it is none."""
    if "\\" not in inside and '"' not in inside and inside.isprintable():
        return inside  # it means itself
    value, end = _decode(f'"{inside}"')
    if end != len(inside) + 2:
        raise ValueError("a quote inside")
    return str(value)
