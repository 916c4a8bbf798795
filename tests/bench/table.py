"""The rows of the benchmark, and the table that they make."""

import os
import platform
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement: it is met if `value` is not above `goal`, both in `unit`.

    `ours` is what was measured, `beside` what was measured beside it in the same run.
    """

    what: str
    ours: str
    beside: str
    value: float
    goal: float
    unit: str = "x"

    @property
    def is_met(self) -> bool:
        return self.value <= self.goal

    def cells(self) -> tuple[str, ...]:
        goal = f"≤ {self.goal:g}{_spaced(self.unit)}"
        value = f"{self.value:.3g}{_spaced(self.unit)}"
        return self.what, self.ours, self.beside, value, goal, "yes" if self.is_met else "**no**"


def _spaced(unit: str) -> str:
    return unit if unit in ("", "x") else f" {unit}"


HEADER = ("what", "ours", "beside it", "result", "must be", "met")


def markdown(rows: Iterable[Row]) -> str:
    """The table as Markdown."""
    lines = [HEADER, ("---", "---", "---", "--:", "--:", "---"), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def where_and_when() -> str:
    """The date, the machine and the Python of this run."""
    return (
        f"{time.strftime('%Y-%m-%d')}, {_processor()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, {sys.platform}"
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"
