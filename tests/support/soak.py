"""Random days over sockets, tables and faults, mixed as long as one likes: what they leave behind.

Each round has servers and notebooks of its own, and ends with all of them closed, so whatever is
left of it was lost somewhere.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from support.asking import Comparison, Table, World
from support.days import Day, random_day
from support.faults import round_of_faults
from support.loopback import Connection, Loopback, Step
from support.oracle import DEMO
from support.scripted import Answer, Service

DAYS = 30
"""Of one round."""
_LIMIT = 30.0  # seconds until a server has seen that nobody listens


class Watched:
    """A server's answer, of which one knows how many are under way."""

    def __init__(self, answer: Step) -> None:
        self._answer = answer
        self._under_way = 0
        self._changed = threading.Condition()

    def __call__(self, connection: Connection) -> None:
        with self._changed:
            self._under_way += 1
        try:
            self._answer(connection)
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def is_at_rest(self) -> bool:
        """Whether nothing is being answered, once the last ones have seen that nobody listens."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._under_way, _LIMIT)


class CountedService(Service):
    """Counts the endings of its answers in `met`."""

    def __init__(self, met: Counter[str]) -> None:
        super().__init__()
        self._met = met
        self._lock = threading.Lock()

    def _answer_to(self, body: Mapping[str, Any]) -> Answer:
        answer = super()._answer_to(body)
        with self._lock:
            self._met["requests"] += 1
            self._met[answer.ending] += 1
        return answer


class WatchedDay(Day):
    """A day that is counted in `met`, and after each of whose cells no request is left."""

    def __init__(self, world: World, server: Watched, met: Counter[str]) -> None:
        super().__init__(world)
        self._server = server
        self._met = met

    def compare(self, run: tuple[str, Comparison]) -> None:
        self._met["compares"] += 1
        super().compare(run)

    def ask_rows(self, cell: str, table: Table, in_file: bool) -> None:
        self._met["maps"] += 1
        self._met["rows"] += len(table.answers)
        super().ask_rows(cell, table, in_file)

    def restart(self, is_trusted: bool) -> None:
        self._met["restarts"] += 1
        super().restart(is_trusted)

    def _file(self) -> bytes:
        self._met["saves"] += 1
        return super()._file()

    def _compare_turns(self) -> None:
        self._met["comparisons with the oracle"] += 1
        super()._compare_turns()
        assert self._server.is_at_rest(), "the server still answers a request of a cell that ended"
        assert not self.kernel.session.running.runs


def mixed_round(seed: int, met: Counter[str], folder: Path) -> None:
    """Days in notebooks over sockets; then faults that many turns meet at once."""
    service = CountedService(met)
    server = Watched(service.over_loopback)
    with Loopback(server) as a, Loopback(server) as b, asyncio.Runner() as runner:
        urls = {"A": a.url, "B": b.url, DEMO: ""}
        world = World(runner.get_loop(), service, urls, True, folder / "answers.jsonl")
        for number in range(seed * DAYS, (seed + 1) * DAYS):
            met["days"] += 1
            with closing(WatchedDay(world, server, met)) as day:
                try:
                    for step in random_day(Random(number)):
                        step.take(day)
                except BaseException as error:
                    error.add_note(f"It is day {number}.")
                    raise
        for connection in (*a.connections, *b.connections):
            assert connection.closed.wait(_LIMIT), "a connection outlived its kernel"
    faults = Counter[str]()
    round_of_faults(seed, faults)
    met["requests"] += faults["requests"]
    met["faults"] += faults["requests"] - faults["none"]
