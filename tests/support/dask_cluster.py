"""A Dask cluster of two worker processes on this machine.

Run as a process of its own, it prints its scheduler's address, and ends when its standard input
does; what scheduler and workers log goes to standard error.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from distributed import LocalCluster


@contextmanager
def cluster(folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """The address of a new cluster. It has this environment, and so have its workers.

    They work in `folder`, and log into `cluster.log` there.
    """
    with (
        (folder / "cluster.log").open("wb") as log,
        subprocess.Popen(
            [sys.executable, __file__], cwd=folder, env=environ, text=True, stderr=log,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        ) as process,
    ):  # fmt: skip
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # with its workers, which take 4 s to end


if __name__ == "__main__":
    with LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address=None,
        local_directory=".",
    ) as here:
        print(here.scheduler_address, flush=True)
        sys.stdin.read()
