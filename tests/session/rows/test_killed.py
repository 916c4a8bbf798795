"""SIGKILL at random moments: nothing that was answered is asked again, and the table is whole."""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.loopback import Connection, Loopback
from support.rows import echo

ROWS, PARALLEL, KILLS = 120, 8, 6
SCRIPT = f"""
import pandas as pd, mm_magic as mm
table = mm.map("Say {{{{n}}}}", pd.DataFrame({{"n": range({ROWS})}}), parallel={PARALLEL},
               file="answers.jsonl")
table.to_csv("table.csv")
"""


@pytest.mark.slow
def test_killed_again_and_again(tmp_path: Path) -> None:
    """Requests in all are at most the rows, and those in flight at each kill; then the file alone
    gives the same table."""
    when, came = random.Random(7), threading.Event()
    due = 0

    def answer(connection: Connection) -> None:
        if len(connection.server.requests) >= due:
            came.set()
        echo(connection)

    with Loopback(answer) as server:
        environ = {**os.environ, "MINIMAX_BASE_URL": server.url}
        environ["PYTHONPATH"] = str(Path(__file__).parents[3])
        for _ in range(KILLS):
            due = len(server.requests) + when.randint(1, 12)
            came.clear()
            with subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environ) as run:
                assert came.wait(60)
                run.send_signal(signal.SIGKILL)
        subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environ, check=True)
        assert len(server.requests) <= ROWS + KILLS * PARALLEL
    table = (tmp_path / "table.csv").read_bytes()
    del environ["MINIMAX_BASE_URL"]
    environ.pop("MINIMAX_API_KEY", None)
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environ, check=True)
    assert (tmp_path / "table.csv").read_bytes() == table
