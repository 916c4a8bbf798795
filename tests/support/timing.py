"""What something costs: counted where that is enough, timed where it is not.

A count is the same on a busy machine. A test that compares seconds carries the marker `timed`.
"""

import sys
import time
from collections.abc import Callable
from types import FrameType

import pytest

HALF_A_SECOND, PATIENT = 0.5, 20.0

within_half_a_second = pytest.mark.parametrize(
    "limit",
    [
        pytest.param(HALF_A_SECOND, id="within 0.5 s", marks=pytest.mark.timed),
        pytest.param(PATIENT, id="in the end"),
    ],
)
"""For a test of what users are promised: it runs twice, and only `timed` with the true limit."""


def calls_of(function: Callable[[], object]) -> int:
    """How many functions were called to run this one, those written in C included.

    Work inside one call in C is not seen: copying a long string is one call.
    """
    calls = 0

    def count(_frame: FrameType, event: str, _given: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls


def seconds_of(function: Callable[[], object], rounds: int = 3) -> float:
    """The seconds of CPU time that it takes, as the best of some rounds."""
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time()
        function()
        best = min(best, time.process_time() - begin)
    return best
