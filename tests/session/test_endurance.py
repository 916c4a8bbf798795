"""Many turns with faults, and days in notebooks, one after another: nothing is left behind."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeAlias

import pytest
from support.faults import FAULTS, round_of_faults
from support.left import Left, complaints, slope
from support.living import LivingNotebook
from support.soak import mixed_round

Round: TypeAlias = Callable[[int, Counter[str]], None]
"""What is done again and again: with a seed, and a count of what was met."""
WARM_UP = 2  # rounds, for imports and certificates
OBJECTS = 2  # for each request: where a turn is kept there are dozens

needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts in /proc")


def soak(one: Round, rounds: int) -> Counter[str]:
    """Do so many rounds, and look at what they leave; returns what they met."""
    met, found = Counter[str](), list[Left]()
    with complaints() as heard:
        for seed in range(WARM_UP + rounds):
            one(seed, met)
            if seed >= WARM_UP - 1:
                found.append(Left.now(met["requests"]))
    first, last = found[0], found[-1]
    kept = slope([found], "blocks")
    print(f"{dict(met)}; {kept:+.2f} objects for each request are kept")
    assert heard == []
    assert (last.threads, last.files) == (first.threads, first.files)
    assert kept < OBJECTS
    return met


@needs_proc
def test_nothing_is_left_of_turns_with_faults() -> None:
    """After hundreds of faults, cancels and threads: as many threads and files as before, no task,
    and no memory to speak of."""
    met = soak(round_of_faults, 3)
    assert met.keys() - {"requests"} == FAULTS.keys()


@needs_proc
@pytest.mark.slow
def test_nothing_is_left_of_days_in_notebooks(tmp_path: Path) -> None:
    """The same after cells, compares, tables, stops, faults, restarts and saves over sockets. After
    each cell the conversations are the oracle's, and the server answers nobody."""
    met = soak(partial(mixed_round, folder=tmp_path), 6)
    assert met.keys() > {"compares", "maps", "stopped", "broken", "refused", "restarts", "saves"}


@needs_proc
@pytest.mark.slow
def test_nothing_is_left_of_a_notebook_in_a_kernel(tmp_path: Path) -> None:
    """Cells, compares, tables, stops, faults, saves and a restart in a real kernel: each request
    carries what the cells above it hold, and the kernel has as many threads and files as before."""
    met, chance = Counter[str](), Random(7)
    with LivingNotebook(tmp_path, met) as notebook:
        for _life in range(2):
            looks = []
            for _part in range(2):
                for _ in range(40):
                    notebook.step(chance)
                looks.append(notebook.look())
            assert (looks[1].threads, looks[1].files) <= (looks[0].threads, looks[0].files)
            notebook.restart()
    assert met.keys() > {"compares", "maps", "stopped", "faults", "restarts", "saves"}
