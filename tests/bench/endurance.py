"""Hours in notebooks, and what they leave: `python -m bench.endurance MINUTES`, run in tests/.

Half of the time goes to the random days of the tests, over sockets and in this process, beside
turns that meet faults; the other half to one notebook in a real kernel, and a short while to a
kernel without mm_magic.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from random import Random

from support.kernels import Kernel
from support.left import LOAD, LOOK_AT_IT, Left, complaints, grown, slope
from support.living import LivingNotebook
from support.soak import mixed_round

from bench.table import Row, markdown, where_and_when

WARM_UP = 3  # rounds, for imports, certificates and caches
LIVES = (100, 300, 3000)
"""Cells that a kernel runs until it is restarted."""
LOOK = 100  # cells from one look at a kernel to the next
PLAIN = 1500  # cells without mm_magic
GOAL = 10.0  # MB for 10,000 requests or cells


def days(folder: Path, seconds: float) -> Iterator[Row]:
    """Rounds of random days until the time is over."""
    met, found, end = Counter[str](), list[Left](), time.monotonic() + seconds
    with complaints() as heard:
        for seed in count():
            mixed_round(seed, met, folder)
            if seed >= WARM_UP:
                found.append(Left.now(met["requests"]))
                _tell("days", met, found[-1])
            if time.monotonic() > end:
                break
    what = f"random days, {met['requests']:,} requests"
    yield from _at_rest(what, [found])
    yield Row(f"{what}: complaints", f"{len(heard)}", "–", len(heard), 0, "")
    megabytes = _megabytes([found])
    yield Row(f"{what}: memory for 10,000", f"{megabytes:+.1f} MB", "–", megabytes, GOAL, "MB")


def kernel(folder: Path, seconds: float) -> Iterator[Row]:
    """One notebook whose kernel is restarted now and then, until the time is over."""
    met, lives, end = Counter[str](), list[list[Left]](), time.monotonic() + seconds
    chance = Random(7)
    with LivingNotebook(folder, met) as notebook:
        while time.monotonic() < end:
            lives.append([])
            for cell in range(1, 1 + chance.choice(LIVES)):
                notebook.step(chance)
                if cell % LOOK == 0:
                    lives[-1].append(notebook.look())
                    _tell("kernel", met, lives[-1][-1])
                if time.monotonic() > end:
                    break
            notebook.restart()
    what = f"a notebook in a kernel, {met['cells']:,} cells, {met['restarts']} restarts"
    yield from _at_rest(what, lives)
    ours, plain = _megabytes(lives), _megabytes([_plain(folder)])
    beside = f"IPython alone {plain:+.1f} MB"
    yield Row(
        f"{what}: memory for 10,000", f"{ours:+.1f} MB", beside, ours - plain, GOAL, "MB more"
    )


def _plain(folder: Path) -> list[Left]:
    """What a kernel without mm_magic has whose cells have a short text as their value."""
    found = []
    with Kernel(folder) as plain:
        plain.run(LOAD)
        for cell in range(1, 1 + PLAIN):
            plain.run(f"'<Say {cell}>'", cell_id=f"c{cell % 8}")
            if cell % LOOK == 0:
                found.append(Left(after=cell, **json.loads(plain.run(LOOK_AT_IT).stdout)))
    return found


def _at_rest(what: str, lives: Sequence[Sequence[Left]]) -> Iterator[Row]:
    """By how many files and threads a life has grown at most, from its first look to its last."""
    for name, said in (("files", "open files"), ("threads", "threads")):
        most = max((grown(life, name) for life in lives if life), default=0)
        yield Row(f"{what}: {said}", f"{most:+}", "–", most, 0, "")


def _megabytes(lives: Sequence[Sequence[Left]]) -> float:
    """The MB by which 10,000 requests or cells make a process larger.

    The first look at it comes while it still loads what it needs.
    """
    return 10_000 * slope([life[1:] for life in lives if life[1:]]) / 1e6


def _tell(what: str, met: Mapping[str, int], left: Left) -> None:
    here = {"files": left.files, "threads": left.threads, "MB": round(left.size / 1e6, 2)}
    told: dict[str, float] = {**met, **here}
    print(time.strftime("%H:%M:%S"), what, told, file=sys.stderr, flush=True)


PARTS: dict[str, Callable[[Path, float], Iterator[Row]]] = {"days": days, "kernel": kernel}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.endurance", description=__doc__)
    parser.add_argument("minutes", type=float, nargs="?", default=120.0)
    parser.add_argument("--only", choices=[*PARTS], help="all of the time for this part")
    given = parser.parse_args()
    parts = [part for name, part in PARTS.items() if given.only in (None, name)]
    with tempfile.TemporaryDirectory() as folder:
        seconds = 60 * given.minutes / len(parts)
        rows = [row for part in parts for row in part(Path(folder), seconds)]
    print(f"{markdown(rows)}\n\nMeasured {where_and_when()}.")
    return 0 if all(row.is_met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
