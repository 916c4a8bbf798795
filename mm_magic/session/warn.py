"""A note to Python code that asked: a warning that names the line of that code."""

import sys
import warnings

_BETWEEN = {"mm_magic", "asyncio", "contextlib", "nest_asyncio2"}
"""The packages between that line and the place where a note arises."""


def warn(note: str) -> None:
    """Issue a UserWarning at the nearest line outside this package and its event loop."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals["__name__"].partition(".")[0] in _BETWEEN:
        frame, level = frame.f_back, level + 1
    warnings.warn(note, stacklevel=level)
