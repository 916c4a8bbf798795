"""Many rows beside bare httpx, killed and stopped: `python -m bench.rows`, run in tests/.

It takes four to six minutes, most of them for starting the processes that are killed.
"""

import asyncio
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from support.loopback import Loopback
from support.rows import AtOnce, server_process
from support.rows_figures import bare, check_at_rest, kill_again_and_again, stop_at, took

import mm_magic as mm
from bench.table import Row, markdown, where_and_when
from mm_magic.session.api import forget_session

ROWS, IN_FLIGHT, LATENCY = 10_000, 64, 0.02
KILLED_ROWS, PARALLEL, KILLS = 1_200, 8, 100
STOPS, STOPPED_IN_FLIGHT = 200, 32


def numbers(rows: int) -> pd.DataFrame:
    return pd.DataFrame({"n": range(rows)})


def use(url: str) -> None:
    """Ask this server from now on."""
    os.environ["MINIMAX_BASE_URL"] = url
    forget_session()


def beside_bare_httpx() -> Iterator[Row]:
    with server_process(LATENCY) as url:
        use(url)
        ours = took(lambda: mm.map("Say {{n}}", numbers(ROWS), parallel=IN_FLIGHT))
        theirs = took(lambda: asyncio.run(bare(url, ROWS, IN_FLIGHT)))
    for what, mine, other, goal in zip(("wall time", "CPU"), ours, theirs, (1.2, 1.5), strict=True):
        beside = f"bare httpx {other:.1f} s"
        yield Row(f"{ROWS:,} rows: {what}", f"{mine:.1f} s", beside, mine / other, goal)


def killed() -> Row:
    with tempfile.TemporaryDirectory() as folder:
        found = kill_again_and_again(Path(folder), KILLED_ROWS, PARALLEL, KILLS, seed=7)
    assert found.same_without_network
    rows, most = KILLED_ROWS, KILLED_ROWS + KILLS * PARALLEL
    what = f"SIGKILL {KILLS} times in {rows:,} rows, then run to the end"
    ours, beside = f"{found.requests:,} requests", f"{rows:,} rows, {PARALLEL} in flight"
    return Row(what, ours, beside, found.requests / rows, most / rows)


def stopped() -> Row:
    """The limit is on the slowest of all stops."""
    when, rows = random.Random(3), numbers(20 * STOPS)
    with Loopback(AtOnce()) as server:
        use(server.url)
        seconds = []
        for _ in range(STOPS):
            moment = len(server.requests) + when.randint(1, 40)
            seconds.append(asyncio.run(stop_at(server, rows, moment, STOPPED_IN_FLIGHT)))
            check_at_rest()
        answers = list(mm.map("Say {{n}}", rows, parallel=STOPPED_IN_FLIGHT)["answer"])
    assert answers == [f"<Say {n}>" for n in rows["n"]]
    what = f"stopped {STOPS} times with up to {STOPPED_IN_FLIGHT} in flight: last socket closed"
    ours = f"after {statistics.median(seconds):.3f} s (median)"
    return Row(what, ours, "–", max(seconds), 0.5, "s")


if __name__ == "__main__":
    os.environ.pop("MINIMAX_API_KEY", None)
    rows = [*beside_bare_httpx(), stopped(), killed()]
    sys.stdout.write(f"{markdown(rows)}\n\nMeasured {where_and_when()}.\n")
