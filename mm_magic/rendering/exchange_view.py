"""What was sent and what came back, side by side: a request, and the events of its answer.

Pure: reads in, a bundle out. It shows what a server sent, and trusts none of it.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import NamedTuple, TypeVar

from mm_magic.protocol.json_values import as_object, as_text, parse_json
from mm_magic.protocol.sse import EventStreamDecoder
from mm_magic.rendering.bundles import Bundle, thinking_mark
from mm_magic.rendering.markdown import IGNORE, escaped, without_blank_lines
from mm_magic.transport.recording.file_format import Read
from mm_magic.transport.recording.recent import KeptAnswer
from mm_magic.wording import counted, cut, plain

MAX_LINE = 400  # characters
MAX_LINES = 150
MAX_ROWS = 100
"""More of them are left out in the middle."""
_NAME = 40  # columns of an event's name: in plain text each line of data stands behind as many
_RUN = 3  # events of one sort in a row that are shown of many

_PRE = (
    "white-space:pre-wrap;overflow-wrap:anywhere;margin:0;background:none;line-height:1.4;"
    "font-family:var(--jp-code-font-family,monospace);font-size:.85em"
)
_CELL = "text-align:left;vertical-align:top;padding:.1em .5em"
_HEAD = "".join(
    f'<th scope="col" style="{_CELL}">{name}</th>' for name in ("time", "event", "data")
)

T = TypeVar("T")


class Came(NamedTuple):
    """One event: seconds since the request was sent, its name, its data. A gap has no seconds."""

    seconds: float | None
    name: str
    data: str


def wire_bundle(request: str, kept: KeptAnswer[T]) -> Bundle:
    """The text of a request beside what came for it, marked if there is thinking in it."""
    sent = cut_in_the_middle(request)
    kind = kept.content_type.partition(";")[0].strip()
    title = f"Received: HTTP {kept.status}{f', {kind}' if kind else ''}:"
    rows = [(_time(came.seconds), came.name, came.data) for came in came_events(kept)]
    came = b"".join(data for _, data in kept.reads).decode("utf-8", "replace")
    return {
        "text/html": _html(sent, title, rows),
        "text/plain": _plain(sent, title, rows),
        **thinking_mark(f"{request}{came}"),
    }


def came_events(kept: KeptAnswer[T]) -> list[Came]:
    """What came for one request: the events of a stream, or the one document that it was.

    Of many events of one sort in a row the first two and the last are there.
    """
    reads = list(kept.reads)
    body = b"".join(data for _, data in reads)
    gap = [Came(None, "…", f"{counted(kept.left_out, 'byte')} not kept")] if kept.left_out else []
    is_json = "json" in kept.content_type if gap else body.lstrip().startswith(b"{")
    if not body:
        return gap
    if kept.status != 200 or is_json:
        return [*gap, Came(reads[-1][0], "(no stream)", cut_in_the_middle(_indented(body)))]
    events = _events(reads)
    if gap:
        events = [*gap, *events[1:]]  # the first may be a half
    runs = [came for _, run in groupby(events, _sort) for came in _ends_of(list(run))]
    return [
        came._replace(name=cut(came.name, _NAME), data=cut_in_the_middle(came.data))
        for came in _ends(runs, MAX_ROWS, lambda n: Came(None, "…", f"{n:,} more"))
    ]


def cut_in_the_middle(text: str) -> str:
    """A text with at most so many lines of at most so many characters, cut in the middle."""
    lines = _ends(text.split("\n"), MAX_LINES, lambda n: f"… {counted(n, 'line')} …")
    return "\n".join("".join(_ends(line, MAX_LINE, _characters)) for line in lines)


def _characters(number: int) -> str:
    return f" … {counted(number, 'character')} … "


def _ends(items: Sequence[T], limit: int, gap: Callable[[int], T]) -> Sequence[T]:
    """All of a sequence, or its first two thirds and the last one, with `gap` between them."""
    out = len(items) - limit
    if out <= 0:
        return items
    last = limit // 3
    return [*items[: limit - last], gap(out), *items[-last:]]


def _ends_of(run: Sequence[Came]) -> Sequence[Came]:
    """The first two and the last of a run of events of one sort."""
    return _ends(run, _RUN, lambda n: Came(None, "…", f"{n:,} more like this"))


def _events(reads: Iterable[Read]) -> list[Came]:
    decoder, events, seconds = EventStreamDecoder(), [], 0.0
    for seconds, data in reads:
        events += [Came(seconds, event.name, event.data) for event in decoder.feed(data)]
    return [*events, *(Came(seconds, event.name, event.data) for event in decoder.close())]


def _sort(came: Came) -> tuple[str, str]:
    """Its name, and what grows by it."""
    return came.name, as_text(as_object(as_object(parse_json(came.data)).get("delta")).get("type"))


def _indented(body: bytes) -> str:
    value = parse_json(body)
    return (
        json.dumps(value, indent=2, ensure_ascii=False)
        if value
        else body.decode("utf-8", "replace")
    )


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f} s"


def _html(sent: str, title: str, rows: Sequence[tuple[str, str, str]]) -> str:
    body = "".join(
        f'<tr><td style="{_CELL};white-space:nowrap">{escaped(time)}</td>'
        f'<td style="{_CELL}">{escaped(name)}</td>'
        f'<td style="{_CELL}"><pre style="{_PRE}">{escaped(data)}</pre></td></tr>'
        for time, name, data in rows
    )
    return without_blank_lines(
        f'<div class="mm-wire {IGNORE}" style="display:flex;flex-wrap:wrap;gap:1em">'
        f'<div style="flex:1 1 18em;min-width:0"><p>Sent:</p><pre style="{_PRE}">{escaped(sent)}'
        f'</pre></div><div style="flex:2 1 30em;min-width:0"><p>{escaped(title)}</p><table>'
        f"<thead><tr>{_HEAD}</tr></thead><tbody>{body}</tbody></table></div></div>"
    )


def _plain(sent: str, title: str, rows: Sequence[tuple[str, str, str]]) -> str:
    width = max((len(plain(name)) for _, name, _ in rows), default=0)
    below = "\n" + " " * (13 + width)
    lines = [
        f"{time:>9}  {name:<{width}}  {data.replace(chr(10), below)}" for time, name, data in rows
    ]
    return plain("\n".join(["Sent:", sent, "", title, *lines]))
