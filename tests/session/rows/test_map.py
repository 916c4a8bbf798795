"""`mm.map`: every row ends, nothing that was paid for is asked again, and a stop loses nothing."""

import asyncio
import random
import threading
import time
from collections import Counter
from typing import Any

import pandas as pd
import pytest
from support.loopback import Connection, Loopback, failure, stall, until
from support.rows import AtOnce, asked, echo, first, kernel, prompt_of
from support.rows_figures import check_at_rest, stop_at
from support.samples import one_in
from support.timing import within_half_a_second

import mm_magic as mm
from mm_magic.errors import MiniMaxError
from mm_magic.session.api import session

TEN = pd.DataFrame({"n": range(10)})


def busy(status: int = 429, **headers: str) -> Any:
    return failure(status, "slow down", "rate_limit_error", **headers)


def test_so_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """`parallel` requests are in flight, no more."""
    answer = AtOnce()
    with kernel(monkeypatch, answer):
        mm.map("Say {{n}}", TEN, parallel=3)
    assert answer.most == 3


@pytest.mark.parametrize("headers", [{"retry_after": "0.05"}, {}], ids=["Retry-After", "without"])
@pytest.mark.parametrize("status", [429, 529])
def test_storm(monkeypatch: pytest.MonkeyPatch, status: int, headers: dict[str, str]) -> None:
    """Every row has its answer after a storm, and few requests were refused."""
    with kernel(monkeypatch, first(12, busy(status, **headers))) as server:
        found = mm.map("Say {{n}}", pd.DataFrame({"n": range(60)}), parallel=8)
        assert list(found["answer"]) == [f"<Say {n}>" for n in range(60)]
        assert len(server.requests) == 72


def test_every_tenth_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every row has its answer, with at most 1.2 requests for each."""
    count = 0

    def answer(connection: Connection) -> None:
        nonlocal count
        count += 1
        (echo if count % 10 else busy(retry_after="0.01"))(connection)

    with kernel(monkeypatch, answer) as server:
        found = mm.map("Say {{n}}", pd.DataFrame({"n": range(200)}), parallel=8)
        assert list(found["answer"]) == [f"<Say {n}>" for n in range(200)]
        assert len(server.requests) <= 240


def test_a_server_that_stays_busy_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked a dozen times more; the error has the table so far."""

    def answer(connection: Connection) -> None:
        is_done = prompt_of(connection) == "Say 0"
        (echo if is_done else busy(retry_after="0.01"))(connection)

    with kernel(monkeypatch, answer) as server, pytest.raises(MiniMaxError) as raised:
        mm.map("Say {{n}}", TEN, parallel=2)
    assert raised.value.kind == "rate_limit"
    assert list(raised.value.rows["answer"])[:2] == ["<Say 0>", None]
    assert len(server.requests) <= 30


def test_retry_after_holds_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a refusal no other row is sent before the server's pause is over."""
    refused: list[float] = []

    def answer(connection: Connection) -> None:
        if not refused:
            refused.append(connection.request.at)
            busy(retry_after="0.3")(connection)
            return
        connection.closed.wait(0.05)
        echo(connection)

    with kernel(monkeypatch, answer) as server:
        mm.map("Say {{n}}", TEN, parallel=2)
        later = [each.at - refused[0] for each in server.requests]
    assert [seconds for seconds in later if 0.1 < seconds < 0.3] == []


def test_a_row_that_fails_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its error; another run asks only this row, with `on_error="raise"` it is raised."""
    rows = [{"n": "a"}, {"n": "boom"}, {"n": "c"}]
    with kernel(monkeypatch) as server:
        with pytest.warns(UserWarning, match="1 row failed: .*boom"):
            found = mm.map("Say {{n}}", rows)
        assert list(found["answer"]) == ["<Say a>", None, "<Say c>"]
        assert list(found["answer_error"].isna()) == [True, False, True]
        with pytest.warns(UserWarning, match="1 row failed"):
            mm.map("Say {{n}}", rows)
        assert Counter(asked(server)) == {"Say a": 1, "Say boom": 2, "Say c": 1}
        with pytest.raises(MiniMaxError) as raised:
            mm.map("Say {{n}}", rows, on_error="raise")
        assert list(raised.value.rows["answer"]) == ["<Say a>", None, "<Say c>"]


ENDS = {
    "auth": failure(401, "invalid api key (2049)"),
    "billing": failure(500, "insufficient balance (1008)"),
    "permission": failure(500, "plan lacks the model (2061)"),
    "not_found": failure(404, "not found"),
    "rate_limit": failure(429, "usage limit exceeded, resets at 18:00 (2056)"),
}


@pytest.mark.parametrize(("kind", "answer"), ENDS.items(), ids=ENDS)
def test_what_no_row_survives_ends_all(
    monkeypatch: pytest.MonkeyPatch, kind: str, answer: Any
) -> None:
    """The error has the table so far; another run asks only the rest."""
    is_up = threading.Event()

    def serve(connection: Connection) -> None:
        is_done = prompt_of(connection) in ("Say 0", "Say 1", "Say 2")
        (echo if is_done or is_up.is_set() else answer)(connection)

    with kernel(monkeypatch, serve, MINIMAX_MODEL="MiniMax-M2.7") as server:
        with pytest.raises(MiniMaxError) as raised:
            mm.map("Say {{n}}", TEN, parallel=1)
        assert raised.value.kind == kind
        assert list(raised.value.rows["answer"])[:4] == ["<Say 0>", "<Say 1>", "<Say 2>", None]
        assert raised.value.rows["answer_error"][9] == "not sent yet"
        assert "3 of 10 rows have an answer: run the same line again" in raised.value.card()
        assert sum(request.method == "POST" for request in server.requests) == 4
        is_up.set()
        server.requests.clear()
        found = mm.map("Say {{n}}", TEN, parallel=1)
        assert list(found["answer"]) == [f"<Say {n}>" for n in range(10)]
        assert asked(server) == [f"Say {n}" for n in range(3, 10)]


def test_same_again_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """One edited row asks one row, another option asks all, `fresh=True` too."""
    with kernel(monkeypatch) as server:
        once = mm.map("Say {{n}}", TEN)
        pd.testing.assert_frame_equal(mm.map("Say {{n}}", TEN), once)
        assert len(server.requests) == 10
        mm.map("Say {{n}}", pd.DataFrame({"n": [0, 1, 77]}))
        assert len(server.requests) == 11
        mm.map("Say {{n}}", TEN, temperature=0.5)
        assert len(server.requests) == 21
        mm.map("Say {{n}}", TEN, fresh=True)
        assert len(server.requests) == 31


def test_another_server_is_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one server answered is not another one's answer."""
    with kernel(monkeypatch), Loopback(echo) as other:
        mm.map("Say {{n}}", TEN)
        monkeypatch.setenv("MINIMAX_BASE_URL", other.url)
        mm.map("Say {{n}}", TEN)
        assert len(other.requests) == 10


def test_stop_closes_all_and_keeps_what_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cancelled run closes its connections; the next one asks only the rest."""
    hold = threading.Event()

    def answer(connection: Connection) -> None:
        if int(prompt_of(connection).split()[1]) >= 5:
            until(hold)(connection)
        echo(connection)

    async def stop_it(server: Loopback) -> None:
        task = asyncio.create_task(mm.map_async("Say {{n}}", TEN, parallel=4))
        while len(server.requests) < 9:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for connection in server.connections:
            assert await asyncio.to_thread(connection.closed.wait, 30)

    with kernel(monkeypatch, answer) as server:
        asyncio.run(stop_it(server))
        hold.set()
        server.requests.clear()
        found = mm.map("Say {{n}}", TEN)
        assert list(found["answer"]) == [f"<Say {n}>" for n in range(10)]
        assert asked(server) == [f"Say {n}" for n in range(5, 10)]


@within_half_a_second
def test_many_in_flight_are_stopped_at_once(monkeypatch: pytest.MonkeyPatch, limit: float) -> None:
    """All connections are closed, those that wait for the next row, too."""
    hold = threading.Event()

    def answer(connection: Connection) -> None:
        if int(prompt_of(connection).split()[1]) >= 40:
            until(hold)(connection)
        echo(connection)

    async def stop_it(server: Loopback) -> float:
        rows = pd.DataFrame({"n": range(200)})
        task = asyncio.create_task(mm.map_async("Say {{n}}", rows, parallel=32))
        while len(server.requests) < 72:
            await asyncio.sleep(0.01)
        task.cancel()
        begin = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        for connection in server.connections:
            assert await asyncio.to_thread(connection.closed.wait, 30)
        return max(each.closed_at or 0 for each in server.connections) - begin

    with kernel(monkeypatch, answer) as server:
        assert asyncio.run(stop_it(server)) < limit


def test_a_silent_row_does_not_hold_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest goes on beside a row that the server forgot."""

    def answer(connection: Connection) -> None:
        (stall if prompt_of(connection) == "Say 0" else echo)(connection)

    async def run(server: Loopback) -> None:
        task = asyncio.create_task(mm.map_async("Say {{n}}", TEN, parallel=2))
        while len(server.requests) < 10:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with kernel(monkeypatch, answer) as server:
        asyncio.run(run(server))


def test_two_maps_share_the_limiter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Together they have as many in flight as the one that wants more."""
    answer = AtOnce()

    async def both() -> None:
        await asyncio.gather(
            mm.map_async("A {{n}}", TEN, parallel=2), mm.map_async("B {{n}}", TEN, parallel=3)
        )

    with kernel(monkeypatch, answer):
        asyncio.run(both())
    assert answer.most == 3


def test_retired_default_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the default model is gone, the rows go on with the one that answers."""

    def answer(connection: Connection) -> None:
        request = connection.request
        if request.method == "GET":
            from support.loopback import whole

            whole(200, {"data": [{"id": "MiniMax-M3"}]})(connection)
        elif request.json["model"] == "MiniMax-M2.7":
            failure(400, "unknown model (2013)")(connection)
        else:
            echo(connection)

    with kernel(monkeypatch, answer) as server:
        monkeypatch.delenv("MINIMAX_MODEL", raising=False)
        found = mm.map("Say {{n}}", TEN, parallel=2)
        assert list(found["answer"]) == [f"<Say {n}>" for n in range(10)]
        posts = [each for each in server.requests if each.method == "POST"]
        assert len(posts) <= 12


@one_in(6)
def test_stopped_at_random_moments(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Nothing stays in flight, no answer is lost, and the kernel goes on."""
    stops, when = 30 // step, random.Random(3)
    rows = pd.DataFrame({"n": range(10 * stops)})
    with kernel(monkeypatch) as server:
        for _ in range(stops):
            moment = len(server.requests) + when.randint(1, 20)
            asyncio.run(stop_at(server, rows, moment, parallel=32))
            check_at_rest()
        assert list(mm.map("Say {{n}}", rows)["answer"]) == [f"<Say {n}>" for n in rows["n"]]
        assert len(server.requests) <= len(rows) + 32 * stops
        assert len(mm.map("Say {{n}}", rows)) == len(rows)
        assert session().conversations.turns() == []
