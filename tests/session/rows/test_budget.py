"""`budget=`: whatever the service charges, and whatever fails, a table does not cost more."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, make_dataclass
from typing import Any

import pytest
from support.loopback import (
    END,
    Connection,
    Event,
    Loopback,
    Step,
    captured,
    chunk,
    failure,
    head,
    reset,
    sse,
    streamed,
    whole,
)

from mm_magic.errors import UsageError
from mm_magic.session.api import forget_session, session
from mm_magic.session.rows.job import RowsJob, RowsOptions
from mm_magic.session.values import ValueType

INPUT, CACHED, OUTPUT = 0.30e-6, 0.375e-6, 1.20e-6  # USD for a token of MiniMax-M2.7
ADDED = 34  # tokens that the service adds: on the API page "Hello" has 39
LONGEST = 2048 * OUTPUT  # max_tokens, where it is not set


@dataclass
class Service:
    """MiniMax at its dearest: a token for each byte of a text, and answers of max_tokens.

    `per_byte` and `output` are its tokens where they are fewer. `counts_as` is how it counts its
    input. `answer` sends an answer, which is paid for. `billed` is in USD.
    """

    counts_as: str = "input_tokens"
    per_byte: float = 1.0
    output: int | None = None
    answer: "Callable[[Connection, list[Event]], None] | None" = None
    billed: float = 0.0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, connection: Connection) -> None:
        body = connection.request.json
        told = len((body.get("system", "") + body["messages"][0]["content"]).encode())
        later = sum(len(str(each["content"]).encode()) for each in body["messages"][1:])
        tokens = int((told + later) * self.per_byte) + ADDED
        written = body["max_tokens"] if self.output is None else self.output
        with self._lock:
            price = INPUT if self.counts_as == "input_tokens" else CACHED
            self.billed += tokens * price + written * OUTPUT
        events = captured(text="yes")
        events[-2]["usage"] = {"output_tokens": written, self.counts_as: tokens}
        (self.answer or whole_answer)(connection, events)


def whole_answer(connection: Connection, events: list[Event]) -> None:
    for step in streamed(events):
        step(connection)


@contextmanager
def minimax(
    monkeypatch: pytest.MonkeyPatch, service: Callable[[Connection], None]
) -> Iterator[Loopback]:
    """MiniMax's own address, whose prices are known; a proxy on this machine answers for it."""
    with Loopback(service) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("MINIMAX_BASE_URL", "http://api.minimax.io/anthropic")
        forget_session()
        try:
            yield proxy
        finally:
            forget_session()


def job(
    budget: float | None,
    prompt: Any = "Say {{n}}",
    ns: Sequence[object] = range(30),
    *,
    parallel: int = 8,
    kind: type | None = None,
    **options: object,
) -> RowsJob:
    how = RowsOptions(
        session().options.overridden(options),
        parallel=parallel,
        budget=budget,
        type=None if kind is None else ValueType.of(kind),
    )
    return RowsJob(session(), prompt, [{"n": n} for n in ns], how)


def run(job: RowsJob) -> Any:
    return asyncio.run(job.run(None))


def foreseen(job: RowsJob) -> float:
    """What it costs at the most, in USD, as the reader is told."""
    found = re.search(r"At most about \$(\d+\.\d+)", job.forecast())
    assert found is not None
    return float(found[1])


Fields = make_dataclass("Fields", [(f"a_field_with_quite_a_long_name_{n}", int) for n in range(30)])
TABLES: dict[str, dict[str, Any]] = {
    "short": {},
    "a long system prompt": {"system": "Code book. " * 3000},
    "a schema": {"kind": Fields},
    "long rows": {"ns": [f"{n} {'word ' * 4000}" for n in range(30)]},
    "signs": {"ns": [f"{n}{'~|' * 9000}" for n in range(30)]},
    "Chinese": {"ns": [f"{n}{'湖' * 5000}" for n in range(30)]},
    "emoji": {"system": "🌤" * 5000},
    "what JSON escapes": {"system": '"\n\\\x01' * 5000},
    "a function": {"prompt": lambda row: f"{row.n} {'?' * 20_000}"},
    "short answers": {"max_tokens": 10, "system": "Code book. " * 3000},
}


@pytest.mark.parametrize("counts_as", ["input_tokens", "cache_creation_input_tokens"])
@pytest.mark.parametrize("name", TABLES)
def test_the_budget_is_never_exceeded(
    name: str, counts_as: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by a long input, wherever it stands, nor by long answers, nor by many at once."""
    service, table = Service(counts_as), TABLES[name]
    with minimax(monkeypatch, service) as server:
        budget = foreseen(job(None, **table)) / 30 * 5.5
        with pytest.raises(UsageError, match="before the next request could exceed"):
            run(job(budget, **table))
        assert 0 < len(server.requests) < 30
        assert 0 < service.billed <= budget


@pytest.mark.parametrize("name", [name for name in TABLES if name != "a schema"])
def test_no_table_costs_more_than_foreseen(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a reader confirms is the same sum: that of the most that each request can cost."""
    service, table = Service("cache_creation_input_tokens"), TABLES[name]
    with minimax(monkeypatch, service) as server:
        asked = job(None, **table)
        at_most = foreseen(asked)
        run(asked)
        assert len(server.requests) == 30
        assert service.billed <= at_most + 0.00005  # which is told in four digits
        forget_session()
        run(job(at_most + 0.0001, **table))


def test_a_second_request_for_a_value_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It carries the first answer as well, and is not sent, either, where it could be too much."""
    service = Service()
    with minimax(monkeypatch, service) as server:
        budget = foreseen(job(None, ns=[1], kind=Fields)) * 1.5
        with pytest.raises(UsageError, match="1 request not sent"):
            run(job(budget, ns=[1], kind=Fields))
        assert len(server.requests) == 1
        assert service.billed <= budget


ORDINARY = {
    "reviews": {"ns": [f"{n} {'word ' * 100}" for n in range(300)]},
    "pages": TABLES["long rows"],
    "values": TABLES["a schema"],
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_rows_use_their_budget(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left at the end is too little for one request, however little each has cost."""
    service, table = Service(per_byte=0.25, output=40), ORDINARY[name]
    with minimax(monkeypatch, service):
        rows = len(table.get("ns", range(30)))
        most = foreseen(job(None, **table)) / rows
        budget = most * 2.5
        with pytest.raises(UsageError, match="before the next request"):
            run(job(budget, **table))
        assert budget - service.billed < most * 1.2


# What fails


def broken(count: int, end: Step = reset) -> Callable[[Connection, list[Event]], None]:
    """An answer of which only so many events come."""

    def answer(connection: Connection, events: list[Event]) -> None:
        head()(connection)
        if count:
            chunk(sse(*events[:count]))(connection)
        end(connection)

    return answer


def dropped(connection: Connection, _events: list[Event]) -> None:
    """The connection drops while the model writes."""
    reset(connection)


def failing(connection: Connection, events: list[Event]) -> None:
    """The service fails in the middle of its answer."""
    error = {"type": "overloaded_error", "message": "overloaded (2064)"}
    whole_answer(connection, [*events[:6], {"type": "error", "error": error}])


def uncounted(connection: Connection, events: list[Event]) -> None:
    """A whole answer without its tokens."""
    del events[-2]["usage"]
    whole_answer(connection, events)


def sorry(connection: Connection, _events: list[Event]) -> None:
    """HTTP 200 with something else in it."""
    whole(200, b"<p>Sorry", "text/html")(connection)


FAULTS = {
    "after some words": broken(6),
    "after the first event": broken(1),
    "an end in the middle": broken(6, END),
    "before the first event": dropped,
    "nothing before the end": broken(0, END),
    "an error in the middle": failing,
    "a time limit": lambda connection, _: failure(408, "too slow (1001)")(connection),
    "not counted": uncounted,
    "something else": sorry,
}


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize("fault", FAULTS)
def test_what_breaks_off_counts_with_the_most(
    fault: str, retries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody says what it cost, and the service may charge for all of it, with each retry."""
    service = Service(answer=FAULTS[fault])
    with minimax(monkeypatch, service) as server:
        budget = 3.4 * (LONGEST + 200 * INPUT)
        with pytest.raises(UsageError, match=r"exceed the budget of \S+: at most \S+ spent") as e:
            run(job(budget, parallel=2, retries=retries))
        assert len(server.requests) == 3
        assert service.billed <= budget
        assert "The next request can cost up to $0.0025." in e.value.next_steps[0]


def test_what_broke_off_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line of the table and the kernel's usage say how many requests they don't count."""
    with minimax(monkeypatch, Service(answer=broken(6))):
        counts: list[Any] = []
        asyncio.run(job(None, ns=range(3)).run(counts.append))
        assert (counts[0].failed, counts[0].uncounted, counts[0].tokens) == (3, 3, 0)
        assert session().meter.summary() == "3 answers · 3 not counted"


REFUSALS = {
    "refused": failure(400, "no (2013)"),
    "failed": failure(500, "internal error"),
    "a failure of the network between": whole(502, b"Bad gateway", "text/html"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_refused_costs_nothing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in place of an answer takes nothing of the budget: every row is tried."""
    with minimax(monkeypatch, REFUSALS[name]) as server:
        found = run(job(1.5 * LONGEST, ns=range(5), retries=0))
        assert len(server.requests) == 5
        assert found["answer_error"].notna().all()


def test_what_never_left_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody listens, every row fails, and the budget stays whole."""
    with Loopback() as nobody:
        pass
    with minimax(monkeypatch, Service()):
        monkeypatch.setenv("http_proxy", nobody.url)
        found = run(job(1.5 * LONGEST, ns=range(5), retries=0))
        assert found["answer_error"].str.contains("refused the connection").all()


# Another model


class Retired(Service):
    """Does not know the default model any more, and lists another one."""

    def __call__(self, connection: Connection) -> None:
        if connection.request.method == "GET":
            whole(200, {"data": [{"id": "MiniMax-M3"}]})(connection)
        elif connection.request.json["model"] == "MiniMax-M3":
            super().__call__(connection)
        else:
            failure(400, "unknown model 'MiniMax-M2.7' (2013)")(connection)


@pytest.mark.parametrize(("times", "answered"), [(0.9, 0), (1.1, 1), (3.3, 3)])
def test_another_model_in_its_place(
    times: float, answered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is sent in the place of a refused request may cost eight times as much: it counts."""
    service = Retired()
    longest = 16_384 * OUTPUT
    with minimax(monkeypatch, service):
        with pytest.raises(UsageError, match=f"{30 - answered} requests not sent") as raised:
            run(job(times * longest))
        assert service.billed <= times * longest
        assert raised.value.rows["answer"].notna().sum() == answered
        assert "The next request can cost up to $0.0197." in raised.value.next_steps[0]
