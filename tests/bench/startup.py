"""The rows of fresh processes: `%load_ext`, and a script up to its first answer."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from statistics import median

from bench.peers import server
from bench.table import Row

_MEMORY = (
    "print('MEMORY', next(line for line in open('/proc/self/status')"
    " if line.startswith('VmRSS')).split()[1])"
)
_OURS = "import mm_magic as mm; mm.ask('Hi', model='deltas-8')"
_BARE = """
import asyncio, httpx
async def main():
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        url = {url!r} + "/v1/messages"
        async with client.stream("POST", url, json={{"model": "deltas-8"}}) as response:
            async for _ in response.aiter_raw():
                pass
asyncio.run(main())
"""


def rows(*, is_short: bool) -> list[Row]:
    """Measure all of them, in fresh processes that take turns."""
    rounds = 6 if is_short else 15
    with server() as url, tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "IPYTHONDIR": folder, "MINIMAX_BASE_URL": url}
        # As after an installation: the modules are compiled once, in the round that doesn't count.
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTHONPYCACHEPREFIX"] = folder
        return [*_loading(rounds, environment), _first_answer(rounds, environment, url)]


def _loading(rounds: int, environment: dict[str, str]) -> list[Row]:
    ipython = [sys.executable, "-m", "IPython", "--no-banner", "--HistoryManager.enabled=False"]
    cpu: dict[str, list[float]] = {"pass": [], "%load_ext mm_magic": []}
    memory: dict[str, list[float]] = {code: [] for code in cpu}
    for turn in range(rounds + 1):  # the first compiles, and fills the disk's cache
        for code in cpu:
            seconds, output = _child([*ipython, "-c", f"{code}\n{_MEMORY}"], environment)
            kilobytes = re.search(r"MEMORY (\d+)", output)
            assert kilobytes is not None, output
            if turn:
                cpu[code].append(seconds)
                memory[code].append(int(kilobytes[1]) / 1024)
    (bare, ours), (small, large) = map(min, cpu.values()), map(median, memory.values())
    return [
        Row(
            "`%load_ext mm_magic`, CPU",
            f"{ours:.3f} s",
            f"IPython alone {bare:.3f} s",
            ours - bare,
            0.05,
            "s more",
        ),
        Row(
            "`%load_ext mm_magic`, memory",
            f"{large:.1f} MB",
            f"IPython alone {small:.1f} MB",
            large - small,
            5,
            "MB more",
        ),
    ]


def _first_answer(rounds: int, environment: dict[str, str], url: str) -> Row:
    cpu: dict[str, list[float]] = {_BARE.format(url=url): [], _OURS: []}
    for turn in range(rounds + 1):
        for code, found in cpu.items():
            seconds, _ = _child([sys.executable, "-c", code], environment)
            if turn:
                found.append(seconds)
    bare, ours = map(min, cpu.values())
    return Row(
        "plain process to the first answer, CPU",
        f"{ours:.3f} s",
        f"bare httpx {bare:.3f} s",
        ours - bare,
        0.084,  # 0.2 s in all, where bare httpx takes 0.116 s
        "s more",
    )


def _child(command: Sequence[str], environment: dict[str, str]) -> tuple[float, str]:
    """CPU seconds of a process, by the system's own accounts, and what it printed."""
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        output = process.stdout.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, output
    return used.ru_utime + used.ru_stime, output
