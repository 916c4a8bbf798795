"""What many rows cost: time beside bare httpx, memory, and work that does not grow faster."""

import asyncio
import gc
import tracemalloc

import pandas as pd
import pytest
from support.replays import Kernel
from support.rows import server_process
from support.rows_figures import bare, took
from support.scripted import Answer
from support.timing import calls_of

import mm_magic as mm
from mm_magic.session.api import forget_session
from mm_magic.session.rows.job import RowsJob, RowsOptions

IN_FLIGHT = 64


def kernel() -> Kernel:
    """A kernel whose server answers in this process."""
    kernel = Kernel(MINIMAX_API_KEY="sk-api-x")
    kernel.service.next_answer = Answer("whole", ({"type": "text", "text": "yes"},))
    return kernel


def ask(kernel: Kernel, rows: int) -> pd.DataFrame:
    frame = pd.DataFrame({"n": range(rows)})
    job = RowsJob(kernel.session, "Say {{n}}", frame, RowsOptions(kernel.session.options))
    found = asyncio.run(job.run(None))
    assert isinstance(found, pd.DataFrame)
    return found


def test_work_grows_with_the_rows_and_no_faster() -> None:
    """Four times as many rows take four times the calls."""
    ask(kernel(), 10)
    few, many = (calls_of(lambda n=n: ask(kernel(), n)) for n in (100, 400))  # type: ignore[misc]
    assert many < 4.5 * few


@pytest.mark.slow
def test_memory_beyond_the_answers() -> None:
    """Table, answers that the kernel remembers and all that it takes meanwhile: 2 kB a row."""
    here, rows = kernel(), 4_000
    ask(here, 50)
    here.service.requests.clear()
    keeps, here.service.requests = here.service.requests, _Forgetting()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        found = ask(here, rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(found) == rows
    assert keeps == []
    assert (peak - before) / rows < 2_000


class _Forgetting(list[object]):
    """A list that keeps nothing: what the test's own server took would count as ours."""

    def append(self, _item: object) -> None:
        pass


@pytest.mark.timed
def test_ten_thousand_rows_beside_bare_httpx(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 ms latency, 64 in flight: at most 1.2x of the wall time and 1.5x of the CPU."""
    rows = 10_000
    frame = pd.DataFrame({"n": range(rows)})
    with server_process(0.02) as url:
        monkeypatch.setenv("MINIMAX_BASE_URL", url)
        forget_session()
        ours = took(lambda: mm.map("Say {{n}}", frame, parallel=IN_FLIGHT))
        theirs = took(lambda: asyncio.run(bare(url, rows, IN_FLIGHT)))
    forget_session()
    print(f"wall {ours[0] / theirs[0]:.2f}x, CPU {ours[1] / theirs[1]:.2f}x of bare httpx")
    assert ours[0] <= 1.2 * theirs[0]
    assert ours[1] <= 1.5 * theirs[1]
