"""One process beside two Dask workers: `python -m bench.engines`, run in tests/.

The server is a process of its own. It begins so many answers at a time, each of which takes so
long; requests beyond that wait, as they do at vLLM. Start and imports are not measured. It takes
two to three minutes.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import dask.dataframe as dd
import pandas as pd
from distributed import Client
from support.dask_cluster import cluster
from support.rows import server_process

import mm_magic as mm
from bench.table import where_and_when
from mm_magic.session.api import forget_session

ROOT = Path(__file__).parents[2]
WAVES = 3
"""So many times as many rows are asked as the server answers at a time."""
SECONDS = 4.0
"""How long an answer takes."""
FEW, MANY = 14, 256
"""How many answers a server gives at a time."""
PROMPT = "Label this: {{n}}"


@dataclass(frozen=True, slots=True)
class Way:
    """So many rows at a time, in this process or in each of the workers."""

    parallel: int
    workers: int = 0

    @property
    def who(self) -> str:
        return f"{self.workers} Dask workers" if self.workers else "one process"

    @property
    def in_flight(self) -> int:
        return self.parallel * max(1, self.workers)


BESIDE = Way(64)
"""The way that the others are compared with."""
WAYS = {
    FEW: [Way(8), BESIDE, Way(32, workers=2)],
    MANY: [Way(8), BESIDE, Way(128), Way(64, workers=2)],
}


def table(rows: int, first: int = 0) -> pd.DataFrame:
    return pd.DataFrame({"n": range(first, first + rows)})


def asked_here(rows: pd.DataFrame, parallel: int) -> object:
    return mm.map(PROMPT, rows, parallel=parallel, fresh=True)


def asked_by_workers(rows: pd.DataFrame, parallel: int) -> object:
    """The same by two workers, half of the table each."""
    ask = partial(mm.map, PROMPT, parallel=parallel, fresh=True)
    spread = dd.from_pandas(rows, npartitions=2)
    return spread.map_partitions(ask, meta=ask(spread._meta)).compute()


@contextmanager
def at(url: str) -> Iterator[None]:
    """While the body runs, this process and two workers ask the server there."""
    environ = {**os.environ, "MINIMAX_BASE_URL": url, "PYTHONPATH": str(ROOT)}
    os.environ["MINIMAX_BASE_URL"] = url
    forget_session()
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        cluster(Path(folder), environ) as address,
        Client(address),
    ):
        for ask in (asked_here, asked_by_workers):  # what is imported at the first use
            ask(table(16, first=10_000), 8)
        yield


def rate(way: Way, rows: int) -> float:
    """Rows a second."""
    ask = asked_by_workers if way.workers else asked_here
    begun = time.perf_counter()
    ask(table(rows), way.parallel)
    return rows / (time.perf_counter() - begun)


def measured(at_a_time: int) -> dict[Way, float]:
    """Rows a second in each way, one after the other."""
    with server_process(SECONDS, at_a_time) as url, at(url):
        return {way: rate(way, WAVES * min(way.in_flight, at_a_time)) for way in WAYS[at_a_time]}


def lines() -> Iterator[str]:
    """The table as Markdown."""
    yield "| answers at a time | asked by | rows a second | against one process, `parallel=64` |"
    yield "| --: | --- | --: | --: |"
    for at_a_time in WAYS:
        found = measured(at_a_time)
        for way, rows in found.items():
            ratio = rows / found[BESIDE]
            who = f"{way.who}, `parallel={way.parallel}`"
            yield f"| {at_a_time} | {who} | {rows:.1f} | {ratio:.2f}x |"


def cpu_of_a_row() -> float:
    """Milliseconds of CPU that a row takes in this process."""
    rows = 1000
    with server_process(0.0) as url:
        os.environ["MINIMAX_BASE_URL"] = url
        forget_session()
        asked_here(table(16), 8)
        begun = time.process_time()
        asked_here(table(rows), 64)
        return (time.process_time() - begun) / rows * 1000


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in lines())
    print(f"\nA row takes {cpu_of_a_row():.1f} ms of CPU. Measured {where_and_when()}.")
