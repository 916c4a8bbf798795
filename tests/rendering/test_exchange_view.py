"""`%minimax request --events`: the request beside what came for it, as it came."""

import asyncio
import gc
import re
import socket
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from weakref import WeakSet

import pytest
from IPython.core.completer import provisionalcompleter
from markdown_it import MarkdownIt
from support.asks import request_of
from support.loopback import Answer, Loopback, captured, failure, streamed, whole
from support.shells import Shell, fresh_shell

from mm_magic.errors import UsageError
from mm_magic.rendering.exchange_view import (
    MAX_LINE,
    MAX_LINES,
    MAX_ROWS,
    came_events,
    cut_in_the_middle,
    wire_bundle,
)
from mm_magic.transport.client import Client
from mm_magic.transport.exchange import Exchange, Reads
from mm_magic.transport.recording.file_format import Read
from mm_magic.transport.recording.recent import (
    MAX_BYTES,
    MAX_EXCHANGES,
    KeptAnswer,
    RecentExchanges,
)

PING = b'event: ping\ndata: {"type":"ping"}\n\n'
STREAM = {"content-type": "text/event-stream; charset=utf-8"}


def text_delta(text: str) -> bytes:
    return b'event: content_block_delta\ndata: {"delta":{"type":"text_delta","text":"%b"}}\n\n' % (
        text.encode()
    )


def kept(*reads: Read, status: int = 200, content_type: str = "") -> KeptAnswer[str]:
    """What is kept of an answer of which these reads came."""
    exchanges: RecentExchanges[str] = RecentExchanges()
    passing = exchanges.tap("turn")(exchange(*reads, status=status))
    assert asyncio.run(taken(passing)) == list(reads)
    answer = exchanges.to("turn")
    assert answer is not None
    answer.content_type = content_type or answer.content_type
    return answer


async def taken(passing: Exchange) -> list[Read]:
    """The reads of an exchange."""
    async with aclosing(passing.chunks) as chunks:
        return [read async for read in chunks]


def exchange(*reads: Read, status: int = 200) -> Exchange:
    async def chunks() -> Reads:
        for read in reads:
            yield read

    return Exchange(status, STREAM, chunks())


class Plays:
    """A backend that gives the same reads to each request."""

    def __init__(self, *reads: Read) -> None:
        self._reads = reads

    def answer(self, _body: object) -> Exchange:
        return exchange(*self._reads)


@contextmanager
def asking(*answers: Answer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A shell whose requests get these answers, each asked once."""
    with Loopback(*answers) as server, fresh_shell() as shell:
        monkeypatch.setenv("MINIMAX_BASE_URL", server.url)
        shell.run("%config MiniMax.retries = 0")
        yield shell


# What is shown


def test_times_names_and_data() -> None:
    """Each event has the time of the read that completed it, its name and its data."""
    answer = kept((0.1, PING + b"event: mess"), (0.25, b"age_stop\ndata: {}\n"), (0.5, b"\n"))
    assert came_events(answer) == [(0.1, "ping", '{"type":"ping"}'), (0.5, "message_stop", "{}")]


def test_an_event_that_broke_off() -> None:
    """Of an event that broke off, what came of it is there."""
    assert came_events(kept((0.1, PING), (0.2, b'data: {"a'))) == [
        (0.1, "ping", '{"type":"ping"}'),
        (0.2, "message", '{"a'),
    ]


def test_many_of_one_sort() -> None:
    """Of more than three events of one sort in a row the first two and the last are shown."""
    deltas = [(float(n), text_delta(f"w{n}")) for n in range(9)]
    names = [came.data[-6:-3] for came in came_events(kept(*deltas, (9.0, PING)))]
    shown = came_events(kept(*deltas, (9.0, PING)))
    assert [came.seconds for came in shown] == [0.0, 1.0, None, 8.0, 9.0]
    assert shown[2].data == "6 more like this"
    assert [names[0], names[3]] == ['"w0', '"w8']


def test_very_many_events() -> None:
    """However many sorts follow each other, no more than 100 rows are shown, and the last is."""
    mixed = [(float(n), PING if n % 2 else text_delta("x")) for n in range(1000)]
    shown = came_events(kept(*mixed))
    assert len(shown) == MAX_ROWS + 1
    assert [shown[0].seconds, shown[-1].seconds] == [0.0, 999.0]
    assert [came.data for came in shown if came.seconds is None] == ["900 more"]


def test_a_long_line_is_cut_in_its_middle() -> None:
    """Of a long line beginning and end stay, and how much is left out is told."""
    assert cut_in_the_middle("x" * MAX_LINE) == "x" * MAX_LINE
    assert re.fullmatch(r"ax+ … 602 characters … x+b", cut_in_the_middle("a" + "x" * 1000 + "b"))


def test_a_long_name_is_cut() -> None:
    """The name of an event is cut, so that it pads no line of the others."""
    reads = [(0.1, b"event: %b\ndata: {}\n\n" % (b"x" * 50_000)), *[(0.2, PING)] * 3]

    bundle = wire_bundle("{}", kept(*reads))

    assert "xxx…" in str(bundle["text/plain"])
    assert max(len(str(form)) for form in bundle.values()) < 5000


def test_many_lines_are_cut_in_their_middle() -> None:
    """Of many lines the first and the last stay."""
    lines = cut_in_the_middle("\n".join(map(str, range(1000)))).split("\n")
    assert (len(lines), lines[0], lines[-1]) == (MAX_LINES + 1, "0", "999")
    assert "… 850 lines …" in lines


def test_a_document() -> None:
    """An answer that is no stream is shown as one document, indented if it is JSON."""
    document = came_events(kept((0.3, b' {"a":'), (0.4, b"1}")))
    assert document == [(0.4, "(no stream)", '{\n  "a": 1\n}')]
    refused = came_events(kept((0.2, b"<h1>Bad gateway</h1>"), status=502))
    assert refused == [(0.2, "(no stream)", "<h1>Bad gateway</h1>")]


def test_nothing_came() -> None:
    """An empty answer has no events, and its status is shown."""
    assert came_events(kept()) == []
    assert "HTTP 200, text/event-stream:" in str(wire_bundle("{}", kept())["text/plain"])


HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(1)>$x$ \x1b[31m \u202e" \u2028 \x9b'


@pytest.mark.parametrize("place", ["name", "data", "status line", "request"])
def test_what_a_server_sends_is_text(place: str) -> None:
    """Markup, terminal codes and reordering do nothing, wherever they stand in what came."""
    name = HOSTILE if place == "name" else "x"
    data = HOSTILE if place == "data" else "x"
    content_type = HOSTILE if place == "status line" else "text/event-stream"
    answer = kept((0.1, f"event: {name}\ndata: {data}\n\n".encode()), content_type=content_type)
    bundle = wire_bundle(HOSTILE if place == "request" else "{}", answer)
    html, text = str(bundle["text/html"]), str(bundle["text/plain"])
    allowed = {"div", "p", "pre", "table", "thead", "tbody", "tr", "th", "td", "br"}
    assert set(re.findall(r"<(\w+)", html)) <= allowed
    assert "alert(1)" in html
    assert "mathjax_ignore" in html
    assert not re.search("[\x1b\x9b\u202e\u2028]", html + text)


# What is kept


def test_reads_pass_unchanged() -> None:
    """An answer that is kept is the same answer, read by read."""
    reads = [(0.1, b"a"), (0.2, b""), (0.3, b"c" * 1_000_000)]
    exchanges: RecentExchanges[str] = RecentExchanges()

    assert asyncio.run(taken(exchanges.tap("turn")(exchange(*reads)))) == reads


def test_memory_is_bounded() -> None:
    """Of a long answer the first reads go; that is told at its beginning, without half an event."""
    deltas = [(float(n), text_delta("x" * 1000)) for n in range(2000)]
    halves = [(seconds, half) for seconds, data in deltas for half in (data[:600], data[600:])]
    for reads in (deltas, halves):
        answer = kept(*reads, (2000.0, PING))
        assert sum(len(data) for _, data in answer.reads) <= MAX_BYTES
        assert answer.left_out > MAX_BYTES
        shown = came_events(answer)
        assert shown[0] == (None, "…", f"{answer.left_out:,} bytes not kept")
        assert shown[-1] == (2000.0, "ping", '{"type":"ping"}')
        assert {came.name for came in shown} == {"…", "content_block_delta", "ping"}


def test_a_document_that_is_too_large() -> None:
    """Of a long document the end is shown, and how much of its beginning is not kept."""
    text = b'{"a":"' + b"x" * 3_000_000 + b'end"}'
    parts = [(0.1, text[place : place + 1000]) for place in range(0, len(text), 1000)]
    gap, rest = came_events(kept(*parts, content_type="application/json"))
    assert re.fullmatch(r"2,\d{3},\d{3} bytes not kept", gap.data)
    assert (rest.name, rest.data[-8:]) == ("(no stream)", 'xxxend"}')


def test_one_read_that_is_too_large() -> None:
    """Of an answer that came in one read, larger than the room for it, its size is told."""
    assert came_events(kept((0.1, b"{" * MAX_BYTES))) == [(None, "…", "1,000,000 bytes not kept")]


def test_small_reads_count_as_memory() -> None:
    """Reads of one byte take more memory than their byte, and that counts."""
    answer = kept(*((0.0, b":") for _ in range(20_000)))
    assert len(answer.reads) < 10_000


def test_the_oldest_goes() -> None:
    """All answers together are bounded: the oldest reads go, and of the oldest turns all is."""
    exchanges: RecentExchanges[int] = RecentExchanges()
    client, request = Client(), request_of("?")
    large = Plays((0.1, PING + b":" * 200_000), (0.1, b'\ndata: {"type":"message_stop"}\n\n'))

    async def ask() -> None:
        for turn in range(MAX_EXCHANGES + 4):
            stream = client.stream(large, request, retries=0, taps=[exchanges.tap(turn)])
            async with aclosing(stream) as arriving:
                async for _ in arriving:
                    pass

    asyncio.run(ask())
    known = [answer for turn in range(30) if (answer := exchanges.to(turn))]
    assert [answer.of for answer in known] == list(range(4, MAX_EXCHANGES + 4))
    assert [answer.of for answer in known if answer.reads][:2] == [15, 16]
    assert [bool(answer.left_out) for answer in known] == [True] * 12 + [False] * 4
    assert came_events(known[0])[0].data == "200,067 bytes not kept"


class Prepared:
    """Stands for a turn as it was prepared."""


@pytest.mark.parametrize("at_once", [1, 2 * MAX_EXCHANGES])
def test_many_short_answers(at_once: int) -> None:
    """Of the turns before the last ones nothing stays, however little came for them; nor of those
    that were let go while more of them came."""
    exchanges: RecentExchanges[Prepared] = RecentExchanges()
    turns: WeakSet[Prepared] = WeakSet()

    def passing() -> Exchange:
        turns.add(turn := Prepared())
        return exchanges.tap(turn)(exchange((0.1, b"a"), (0.2, b"b")))

    async def ask() -> None:
        for _ in range(2 * MAX_EXCHANGES):
            begun = [passing() for _ in range(at_once)]
            await asyncio.gather(*map(taken, begun))

    asyncio.run(ask())
    gc.collect()
    assert len(turns) == MAX_EXCHANGES


# The command


def test_the_last_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a number it shows the last request and the events that came for it."""
    first, second = streamed(captured(text="One.")), streamed(captured(text="Two."))
    with asking(first, second, monkeypatch=monkeypatch) as shell:
        shell.run("%%minimax\nFirst?")
        shell.run("%%minimax --alone\nSecond?")
        capsys.readouterr()
        shell.run("%minimax request --events")
    shown = capsys.readouterr().out
    assert '"content": "Second?"' in shown
    assert "Two." in shown
    assert "One." not in shown
    assert shown.index("message_start") < shown.index("signature_delta") < shown.index("Two.")


def test_a_turn_by_its_number(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a number it shows that turn, in the order of words that one likes."""
    answers = [streamed(captured(text=word)) for word in ("One.", "Two.")]
    with asking(*answers, monkeypatch=monkeypatch) as shell:
        shell.run("%%minimax\nFirst?")
        shell.run("%%minimax\nSecond?")
        for line in ("%minimax request 1 --events", "%minimax request --events 1"):
            capsys.readouterr()
            shell.run(line)
            shown = capsys.readouterr().out
            assert "One." in shown
            assert "Two." not in shown


def test_a_refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the service said no, its words and the HTTP status are shown."""
    refused = failure(500, "insufficient balance (1008)")
    with asking(refused, monkeypatch=monkeypatch) as shell:
        shell.error("%%minimax\nWhy?")
        capsys.readouterr()
        shell.run("%minimax request --events")
    shown = capsys.readouterr().out
    assert "Received: HTTP 500" in shown
    assert "insufficient balance (1008)" in shown


def test_the_last_try_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a request that was sent again, the answer to the last try is shown."""
    busy = failure(429, "slow down (1002)", **{"retry-after": "0.01"})
    with asking(busy, streamed(captured(text="Yes.")), monkeypatch=monkeypatch) as shell:
        shell.run("%config MiniMax.retries = 1")
        shell.run("%%minimax\nWhy?")
        capsys.readouterr()
        shell.run("%minimax request 1 --events")
    shown = capsys.readouterr().out
    assert "Yes." in shown
    assert "slow down" not in shown


def test_one_piece(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An answer in one piece is shown as the JSON that it is."""
    document = {"id": "1", "content": [{"type": "text", "text": "Hi."}], "stop_reason": "end_turn"}
    with asking(whole(200, document), monkeypatch=monkeypatch) as shell:
        shell.run("%%minimax --no-stream\nWhy?")
        capsys.readouterr()
        shell.run("%minimax request --events")
    assert "(no stream)  {\n" in capsys.readouterr().out


def test_nothing_to_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first request, without an answer, and for a forgotten one, the error says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with fresh_shell() as shell:
        assert "nothing has been sent yet" in str(shell.error("%minimax request --events"))
        monkeypatch.setenv("MINIMAX_BASE_URL", nobody)
        shell.run("%config MiniMax.retries = 0")
        shell.error("%%minimax\nWhy?")
        assert "no answer has arrived" in str(shell.error("%minimax request --events"))
    answers = [streamed()] * (MAX_EXCHANGES + 1)
    with asking(*answers, monkeypatch=monkeypatch) as shell:
        for _ in answers:
            shell.run("%%minimax\nWhy?")
        shell.run("%minimax request 2 --events")
        error = shell.error("%minimax request 1 --events")
    assert "no longer kept" in str(error)


def test_slips() -> None:
    """An option that is none is named, with the one that is meant; `-h` explains."""
    with fresh_shell() as shell:
        error = shell.error("%minimax request --event")
        assert isinstance(error, UsageError)
        assert any("--events" in step for step in error.next_steps)
        shell.run("%minimax request -h")


@pytest.mark.parametrize("line", ["%minimax request --", "%minimax request 1 --"])
def test_tab(line: str) -> None:
    """Tab behind `%minimax request` offers its own options, and no option of a cell."""
    with fresh_shell() as shell, provisionalcompleter():
        offered = [found.text for found in shell.ip.Completer.completions(line, len(line))]
    assert offered == ["--events", "--help"]


def test_no_key_from_a_server(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that says the key again does not get it onto the page."""
    with asking(streamed(captured(text="key-0123456789")), monkeypatch=monkeypatch) as shell:
        monkeypatch.setenv("MINIMAX_API_KEY", "key-0123456789")
        shell.run("%%minimax\nWhy?")
        capsys.readouterr()
        shell.run("%minimax request --events")
    shown = capsys.readouterr().out
    assert "message_start" in shown
    assert "0123456789" not in shown


def test_markdown_file_keeps_the_html() -> None:
    """In a Markdown file a blank line in what was sent or received does not end the HTML."""
    html = str(wire_bundle("POST /\n\n    {}", kept((0.1, text_delta("a"))))["text/html"])
    read = MarkdownIt("commonmark", {"html": True}).render(f"{html}\n\n*end*")
    assert read == f"{html}\n<p><em>end</em></p>\n"
